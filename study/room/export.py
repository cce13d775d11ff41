"""What the analysis gets from the database: answers and open texts, without truth. See store.Store."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from study.room.builds import newest
from study.room.protocol import FIELDS, FIELDS_OF
from study.room.schema import answer, final_answer, listener, reading, trial

_MEASURED = ("plays", "seconds_heard", "seconds_played", "first_play_at", "answered_at")
_AGAIN = ("set_position", "position", *_MEASURED, "response_seconds")  # what a second pass has of its own


def answers(engine: sa.Engine, *, practice: bool = False, pilot: bool = False) -> list[dict[str, Any]]:
    """One dict per listener, stimulus and repetition with a final answer, in the order they were given.

    Columns: listener (name), set, stimulus_id, position (within its set, from 1), set_position (which set
    came first, from 1), repetition (1 for a hidden repeat), the answer's fields, plays, seconds_heard (each
    second of the clip once), seconds_played (replays included, but for one that Next cut off), first_play_at
    and answered_at (UTC), response_seconds (from the clip's end, when the questions opened, to the final
    answer; away time counts), app_version, design_digest. Practice clips only when asked for:
    set "practice", set_position 0.

    A study of two passes has one row for both: the columns above tell of the first pass, with the verdict;
    position, set_position and what follows the fields stand once more with "rating_" in front, for the
    second. What is not answered yet in the second pass is None.

    pilot: the answers of pilots instead of those of listeners.
    """
    query = (
        sa.select(listener.c.name.label("listener"), trial, answer)
        .join(trial, trial.c.listener_id == listener.c.id)
        .join(answer, sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot))
        .where(answer.c.answered_at.is_not(None), listener.c.pilot.is_(pilot))
        .order_by(listener.c.id, trial.c.slot)
    )
    if not practice:
        query = query.where(trial.c.part > 0)
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
        current = newest(connection)
    sets = len(current.stimuli) if current is not None else 0
    merged: dict[tuple, dict[str, Any]] = {}
    for row in rows:
        clip = tuple(row[trial.c[name]] for name in ("listener_id", "set_name", "stimulus_id", "repetition"))
        if row[trial.c.phase] == "rating":  # its verdict came before: slots are answered in order
            told = _told(row, sets)
            merged[clip] |= {name: told[name] for name in FIELDS_OF["rating"]}
            merged[clip] |= {f"rating_{name}": told[name] for name in _AGAIN}
            continue
        merged[clip] = _told(row)
        if row[trial.c.phase] == "verdict":
            merged[clip]["kept"] = None
        if current.passes == 2:
            merged[clip] |= {f"rating_{name}": None for name in _AGAIN}
    return list(merged.values())


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
        rows = connection.execute(query).mappings().all()
    return [
        {name: row[name] for name in ("listener", "number", "question", "text", "saved_at")} for row in rows
    ]


def _told(row: sa.RowMapping, sets_before: int = 0) -> dict[str, Any]:
    """One answer; sets_before: how many sets were heard in the pass before this one."""
    opened = row[answer.c.unlocked_at] or row[answer.c.shown_at]
    return {
        "listener": row["listener"],
        "set": row[trial.c.set_name],
        "stimulus_id": row[trial.c.stimulus_id],
        "position": row[trial.c.position],
        "set_position": row[trial.c.part] - sets_before,
        "repetition": row[trial.c.repetition],
        **{name: row[answer.c[name]] for name in (*FIELDS, *_MEASURED)},
        "response_seconds": round((row[answer.c.answered_at] - opened).total_seconds(), 3),
        "app_version": row[answer.c.app_version],
        "design_digest": row[answer.c.design_digest],
    }
