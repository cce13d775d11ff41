"""What the analysis gets from the database: answers and open texts, without truth. See store.Store."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from analysis import questionnaire
from analysis.questionnaire import VERDICT, asked_in
from study.store import check_results, own_answers
from study.store import pairs as pair_task
from study.store.builds import newest
from study.store.database import reading
from study.store.schema import answer, clock, elapsed, final_answer, listener, trial

LEFT_EMPTY = "left_empty"
_STAMPS = ("first_play_at", "answered_at")
_SLACK = 1.0  # s, by which the player's two counts of seconds may differ
_MEASURED = ("plays", "seconds_heard", "seconds_played", "first_play_at", "answered_at")
_LATER = tuple(field.name for field in asked_in("rating"))  # fields that a second pass asks
_AGAIN = ("set_position", "position", *_MEASURED, "response_seconds")  # what a second pass has of its own


def answers(engine: sa.Engine, *, practice: bool = False, pilot: bool = False) -> list[dict[str, Any]]:
    """One dict per listener, stimulus and repetition with a final answer, in the order they were given.

    Columns: listener (name), set, stimulus_id, position (within its set, from 1), set_position (which set
    came first, from 1), repetition (1 for a hidden repeat), the answer's fields, plays, seconds_heard (each
    second of the clip once), seconds_played (replays included, but for one that Next cut off), first_play_at
    and answered_at (UTC), response_seconds (from the clip's end, when the questions opened, to the final
    answer; away time counts), app_version, design_digest, left_empty. Practice clips only when asked for:
    set "practice", set_position 0.

    A study of two passes has one row for both: the columns above tell of the first pass, with the verdict;
    position, set_position and what follows the fields stand once more with "rating_" in front, for the
    second. What is not answered yet in the second pass is None.

    Where any listener has had a further round, round says of which an answer is, from 1; set_position and
    position are within it.

    A value that cannot be, as after a clock that stepped back or a change by hand, is left empty: times in
    the wrong order, in the future or unreadable, numbers outside their range, more seconds heard than played.
    left_empty names the columns where that happened, None where nothing was odd. In a study of several groups
    of listeners, group is the listener's.

    Answers to the study's own questions, and whether checks were passed, stand last, in columns that only a
    study with such answers has.

    In a study of pairs there is a row for each pair, see `study.store.pairs.answers`.

    pilot: the answers of pilots instead of those of listeners.
    """
    with reading(engine) as connection:
        current = newest(connection)
    if current is not None and current.pairs is not None:
        return pair_task.answers(engine, practice=practice, pilot=pilot)
    columns = [column for column in answer.c if column.name not in ("spans", "press")]
    query = (
        sa.select(listener.c.name.label("listener"), listener.c.group_name, trial, *columns)
        .join(trial, trial.c.listener_id == listener.c.id)
        .join(answer, sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot))
        .where(answer.c.answered_at.is_not(None), listener.c.pilot.is_(pilot))
        .order_by(listener.c.id, trial.c.slot)
    )
    if not practice:
        query = query.where(trial.c.part > 0)
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
        latest = clock(connection)
        sets_before = _parts_before(connection)
        asked_once = own_answers.of_listeners(connection)
        checked = check_results.exported(connection)
    further = any(row[trial.c.round] > 1 for row in rows)
    merged: dict[tuple, dict[str, Any]] = {}
    own: dict[tuple, dict[str, Any]] = {}
    for row in rows:
        before, sets = sets_before[row[trial.c.listener_id], row[trial.c.round]]
        clip = tuple(row[trial.c[name]] for name in ("listener_id", "set_name", "stimulus_id", "repetition"))
        own.setdefault(clip, asked_once.get(clip[0], {}) | checked.get(clip[0], {}))
        own[clip] |= own_answers.on_clip(row[answer.c.further])
        if row[trial.c.phase] == "rating":  # its verdict came before: slots are answered in order
            exported = _exported(row, latest, before + sets)
            merged[clip] |= {name: exported[name] for name in _LATER}
            merged[clip] |= {f"rating_{name}": exported[name] for name in _AGAIN}
            again = [f"rating_{name}" if name in _AGAIN else name for name in exported[LEFT_EMPTY]]
            merged[clip][LEFT_EMPTY] = [*merged[clip][LEFT_EMPTY], *again]
            continue
        merged[clip] = _exported(row, latest, before)
        if current.groups:
            merged[clip]["group"] = row[listener.c.group_name]
        if further:
            merged[clip]["round"] = row[trial.c.round]
        if row[trial.c.phase] == "verdict":
            merged[clip] |= dict.fromkeys(_LATER)
        if current.passes == 2:
            merged[clip] |= {f"rating_{name}": None for name in _AGAIN}
    exported = [row | {LEFT_EMPTY: " ".join(row[LEFT_EMPTY]) or None} for row in merged.values()]
    return own_answers.spread(exported, own.values())


def final_forms(engine: sa.Engine, *, pilot: bool = False) -> list[dict[str, Any]]:
    """One dict per open answer: listener (name), number (from 1), question, text, saved_at (UTC).

    pilot: those of pilots instead of those of listeners.
    """
    query = (
        sa.select(listener.c.name.label("listener"), final_answer)
        .join(final_answer, final_answer.c.listener_id == listener.c.id)
        .where(listener.c.pilot.is_(pilot))
        .order_by(listener.c.id, final_answer.c.number)
    )
    with reading(engine) as connection:
        rows, latest = connection.execute(query).mappings().all(), clock(connection)
    forms = [
        {name: row[name] for name in ("listener", "number", "question", "text", "saved_at")} for row in rows
    ]
    return [row | {"saved_at": row["saved_at"] if row["saved_at"] <= latest else None} for row in forms]


def _parts_before(connection: sa.Connection) -> dict[tuple[int, int], tuple[int, int]]:
    """By listener and round: the parts before that round, and how many sets it has."""
    query = sa.select(trial.c.listener_id, trial.c.round, trial.c.set_name, trial.c.part).distinct()
    firsts: dict[tuple[int, int], int] = {}
    names: dict[tuple[int, int], set[str]] = {}
    for row in connection.execute(query.where(trial.c.part > 0)):
        here = row.listener_id, row.round
        names.setdefault(here, set()).add(row.set_name)
        firsts[here] = min(row.part, firsts.get(here, row.part))
    return {here: (first - 1, len(names[here])) for here, first in firsts.items()}


def _exported(row: sa.RowMapping, latest: dt.datetime, sets_before: int = 0) -> dict[str, Any]:
    """Return one answer.

    latest: the moment that no stamp is after. sets_before: how many parts came before its pass.
    """
    opened = row[answer.c.unlocked_at] or row[answer.c.shown_at]
    seconds = elapsed(opened, row[answer.c.answered_at], latest)
    values = {name: row[answer.c[name]] for name in (*questionnaire.NAMES, *_MEASURED)}
    odd = {name for name, value in values.items() if value is not None and not _possible(name, value, latest)}
    if not odd & {"seconds_heard", "seconds_played"}:
        odd |= {"seconds_heard"} if values["seconds_heard"] > values["seconds_played"] + _SLACK else set()
    if not odd & {"plays", "seconds_played"}:
        odd |= {"plays"} if not values["plays"] and values["seconds_played"] > _SLACK else set()
    odd |= {"response_seconds"} if seconds is None else set()
    return {
        "listener": row["listener"],
        "set": row[trial.c.set_name],
        "stimulus_id": row[trial.c.stimulus_id],
        "position": row[trial.c.position],
        "set_position": row[trial.c.part] - sets_before,
        "repetition": row[trial.c.repetition],
        **{name: None if name in odd else value for name, value in values.items()},
        "response_seconds": None if seconds is None else round(seconds, 3),
        "app_version": row[answer.c.app_version],
        "design_digest": row[answer.c.design_digest],
        LEFT_EMPTY: sorted(odd),
    }


def _possible(name: str, value: Any, latest: dt.datetime) -> bool:
    """Whether a value of an answer can be. Verdicts and words are as they are; nothing can stand for them."""
    if name in _STAMPS:
        return value <= latest
    return name not in _RANGES or _RANGES[name](value)


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


_RANGES: dict[str, Callable[[Any], bool]] = {
    **{field.name: field.allows for field in questionnaire.FIELDS if field.levels and field is not VERDICT},
    "plays": lambda value: isinstance(value, int) and value >= 0,
    "seconds_heard": _seconds,
    "seconds_played": _seconds,
}
