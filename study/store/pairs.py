"""The paired task in the database: each listener's pairs, and how an answer to one grows. Used through
store.Store and the page of a pair.

As `study.store.builds` and `study.store.answering` do for single clips. A pair has two play keys. What is
kept of its listening is kept for each of its two clips; the question opens when both were heard.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from study.folder import PRACTICE
from study.store import answering, check_results, own_answers
from study.store.answering import Listening, Saved, StoreError
from study.store.database import lock, reading
from study.store.orders import set_order
from study.store.protocol import AnswerError, Slot, clean
from study.store.schema import clock, elapsed, in_order, listener, pair_answer, pair_trial

SIDES = ("first", "second")
QUESTIONS = ("real", "inspiring")  # in the order in which they are asked
_SAME = sa.and_(
    pair_answer.c.listener_id == pair_trial.c.listener_id, pair_answer.c.slot == pair_trial.c.slot
)


@dataclass(frozen=True)
class PairDraft:
    """A pair as its page needs it. keys, next_keys: the play keys of its two clips and of those of the next
    pair. fields: choice and comment. listening: what was heard of either.
    """

    slot: int
    question: str
    keys: tuple[str, str]
    next_keys: tuple[str, str] | None
    fields: dict[str, Any]
    listening: tuple[Listening, Listening]
    final: bool
    revision: int

    @property
    def heard(self) -> bool:
        """Whether both clips were heard to their ends."""
        return all(one.unlocked for one in self.listening)


def check(pairs: list[dict[str, Any]], stimuli: Mapping[str, list[str]], practice: list[str]) -> None:
    """Raise StoreError where hands hold what is not in their set, no pair, or an unknown question."""
    for entry in pairs:
        ids = set(practice if entry["set"] == PRACTICE else stimuli.get(entry["set"], ()))
        named = {stimulus for hand in entry["hands"] for pair in hand for stimulus in pair}
        if not named or not named <= ids or entry["question"] not in QUESTIONS:
            raise StoreError(
                f"the pairs of set {entry['set']!r} are not of its clips", "build the study again"
            )
    if not any(entry["set"] != PRACTICE for entry in pairs):
        raise StoreError("there are no pairs", "see [pairs] in study.toml")


def assign(
    connection: sa.Connection,
    pairs: list[dict],
    listener_id: int,
    number: int,
    *,
    ordering: str,
    seed: int,
    new_key: Callable[[], str],
) -> None:
    """Deal one listener's pairs and write them in their order, with play keys for both clips of each."""
    rows = []
    for part, (question, name, dealt) in enumerate(parts(pairs, number, ordering=ordering, seed=seed)):
        for position, (first, second) in enumerate(dealt, start=1):
            rows.append(
                {
                    "listener_id": listener_id,
                    "slot": len(rows),
                    "part": part,
                    "set_name": name,
                    "position": position,
                    "question": question[position - 1] if part == 0 else question,
                    "first_id": first,
                    "second_id": second,
                    "first_key": new_key(),
                    "second_key": new_key(),
                    "repetition": 0,
                }
            )
    connection.execute(pair_trial.insert(), rows)


def parts(pairs: list[dict], number: int, *, ordering: str, seed: int) -> list[tuple[Any, str, list]]:
    """List what a listener hears, part by part, as (question, set, pairs), beginning with practice.

    All of a question is asked before the next begins: who has met clips as inspiring ones would know them
    again where one of two is real. Listeners take turns with the hands of a set, and whoever has one for the
    second time hears first what was second.
    """
    turn = 0 if ordering == "fixed" else number
    trying = [(one["question"], pair) for one in pairs if one["set"] == PRACTICE for pair in one["hands"][0]]
    dealt: list[tuple[Any, str, list]] = [
        ([question for question, _ in trying], PRACTICE, [pair for _, pair in trying])
    ]
    by_question: dict[str, dict[str, list]] = {}
    for entry in pairs:
        if entry["set"] != PRACTICE:
            by_question.setdefault(entry["question"], {})[entry["set"]] = entry["hands"]
    for question in (one for one in QUESTIONS if one in by_question):
        sets = by_question[question]
        for name in set_order(list(sets), number=turn, ordering=ordering, again=question != QUESTIONS[0]):
            times, place = divmod(turn, len(sets[name]))
            hand = [tuple(pair[:: -1 if times % 2 else 1]) for pair in sets[name][place]]
            random.Random(f"{seed}/{name}/{question}/pairs/{turn}").shuffle(hand)
            dealt.append((question, name, hand))
    return dealt


def slots(connection: sa.Connection, listener_id: int | None = None) -> dict[int, list[Slot]]:
    """The slots of one listener, or of all, by listener id; {} in a study of single clips."""
    query = (
        sa.select(
            pair_trial.c.listener_id,
            pair_trial.c.slot,
            pair_trial.c.part,
            pair_trial.c.position,
            pair_trial.c.question,
            pair_answer.c.answered_at,
        )
        .outerjoin(pair_answer, _SAME)
        .order_by(pair_trial.c.listener_id, pair_trial.c.slot)
    )
    if listener_id is not None:
        query = query.where(pair_trial.c.listener_id == listener_id)
    found: dict[int, list[Slot]] = {}
    for row in connection.execute(query):
        slot = Slot(row.slot, row.part, row.position, row.answered_at is not None, question=row.question)
        found.setdefault(row.listener_id, []).append(slot)
    return found


def begun() -> sa.Select:
    """The listener ids of those who have answered something of a pair that counts, pilots included."""
    query = sa.select(pair_answer.c.listener_id).join(pair_trial, _SAME)
    return query.where(pair_trial.c.part > 0, pair_answer.c.revision > 0).distinct()


def times(connection: sa.Connection) -> list[sa.Row]:
    """listener_id, shown_at, unlocked_at and answered_at of every answer to a pair that counts."""
    names = ("listener_id", "shown_at", "unlocked_at", "answered_at")
    query = sa.select(*(pair_answer.c[name] for name in names)).join(pair_trial, _SAME)
    return list(connection.execute(query.where(pair_trial.c.part > 0, pair_answer.c.revision > 0)))


def clip(connection: sa.Connection, play_key: str, token: str) -> sa.Row | None:
    """listener_id, slot, set_name, stimulus_id, side and finished_at of a play key, for its own listener."""
    for side in SIDES:
        query = (
            sa.select(
                pair_trial.c.listener_id,
                pair_trial.c.slot,
                pair_trial.c.set_name,
                pair_trial.c[f"{side}_id"].label("stimulus_id"),
                sa.literal(side).label("side"),
                listener.c.finished_at,
            )
            .join(listener, listener.c.id == pair_trial.c.listener_id)
            .where(
                pair_trial.c[f"{side}_key"] == play_key,
                listener.c.token == token,
                listener.c.revoked_at.is_(None),
            )
        )
        if row := connection.execute(query).first():
            return row
    return None


def show(engine: sa.Engine, listener_id: int, slot: int) -> PairDraft:
    """The pair that a listener is at, and what is answered so far. Timed at first.

    Raises: StoreError for a slot that the listener does not have.
    """
    with reading(engine) as connection:
        draft = _draft(connection, listener_id, slot)
    if draft is not None:
        return draft
    with engine.begin() as connection:
        answering.admit(connection, listener_id)
        values = {"listener_id": listener_id, "slot": slot, "shown_at": clock(connection)}
        answering.insert_once(connection, pair_answer, values, ["listener_id", "slot"])
        return _draft(connection, listener_id, slot)


def save(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    *,
    tab: str,
    changes: Mapping[str, Any] | None = None,
    listening: Mapping[str, Listening | None] | None = None,
    press: str | None = None,
    require_heard: bool = True,
    digest: str | None = None,
) -> Saved:
    """Save what is new of an answer and, when Next was pressed, make it final, in one transaction.

    As store.Store.save does for a clip. listening: by side, one of SIDES.
    """
    with engine.begin() as connection:
        answering.owner(connection, listener_id, tab)
        here = sa.and_(pair_answer.c.listener_id == listener_id, pair_answer.c.slot == slot)
        row = connection.execute(lock(sa.select(pair_answer).where(here), connection)).mappings().first()
        if row is None:
            raise StoreError(f"pair {slot} was not shown yet", "reload the page")
        if row["answered_at"] is not None:
            return Saved(True, (), row["revision"])
        if slot != _next_slot(connection, listener_id):
            raise StoreError(f"pair {slot} is not the next one", "reload the page")
        moment = in_order(clock(connection), row["shown_at"], row["unlocked_at"])
        settled = _settled(changes or {})
        changed = {name: value for name, value in settled.items() if value != row[name]}
        heard = _heard(row, listening or {}, moment)
        owed = () if {**row, **changed}["choice"] else ("choice",)
        if require_heard and not heard.get("unlocked_at", row["unlocked_at"]):
            owed = ("both", *owed)
        pressed = press is not None and press[:64] != row["press"]
        final = pressed and not owed
        if pressed:
            heard["press"] = press[:64]
        if final:
            heard |= {"answered_at": moment} | answering.stamp(connection, digest)
        further = int(bool(changed or final))
        if changed or heard:
            values = {**heard, **changed, "revision": row["revision"] + further}
            connection.execute(pair_answer.update().where(here).values(**values))
        connection.execute(listener.update().where(listener.c.id == listener_id).values(last_seen_at=moment))
        return Saved(final, tuple(owed), row["revision"] + further, pressed)


def log_play(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    side: str,
    kind: str,
    *,
    listening: Listening,
    position_seconds: float | None,
) -> bool:
    """As answering.log_play, of one clip of a pair: the report's kind is kept with its side."""
    with engine.begin() as connection:
        report = f"{kind} {side}", listening, position_seconds, 2 * answering.MOST_REPORTS
        if not answering.put_report(connection, listener_id, slot, *report):
            return False
        here = sa.and_(
            pair_answer.c.listener_id == listener_id,
            pair_answer.c.slot == slot,
            pair_answer.c.answered_at.is_(None),
        )
        row = connection.execute(lock(sa.select(pair_answer).where(here), connection)).mappings().first()
        if row is not None:
            values = _heard(row, {side: replace(listening, unlocked=False)}, clock(connection))
            if values:
                connection.execute(pair_answer.update().where(here).values(**values))
        return True


def _draft(connection: sa.Connection, listener_id: int, slot: int) -> PairDraft | None:
    rows = connection.execute(
        sa.select(pair_trial)
        .where(pair_trial.c.listener_id == listener_id, pair_trial.c.slot.in_((slot, slot + 1)))
        .order_by(pair_trial.c.slot)
    ).all()
    if not rows or rows[0].slot != slot:
        raise StoreError(f"there is no pair {slot} for this listener")
    here = sa.and_(pair_answer.c.listener_id == listener_id, pair_answer.c.slot == slot)
    row = connection.execute(sa.select(pair_answer).where(here)).mappings().first()
    if row is None:
        return None
    first, second = (_listening(row[f"{side}_heard"]) for side in SIDES)
    return PairDraft(
        slot=slot,
        question=rows[0].question,
        keys=(rows[0].first_key, rows[0].second_key),
        next_keys=(rows[1].first_key, rows[1].second_key) if len(rows) > 1 else None,
        fields={name: row[name] for name in ("choice", "comment")},
        listening=(first, second),
        final=row["answered_at"] is not None,
        revision=row["revision"],
    )


def _listening(kept: Mapping[str, Any] | None) -> Listening:
    """What was heard of a clip, from its column."""
    if not kept:
        return Listening()
    spans = tuple((start, end) for start, end in kept["spans"])
    return Listening(kept["plays"], kept["seconds_heard"], kept["seconds_played"], spans, kept["unlocked"])


def _heard(
    row: Mapping[str, Any], listening: Mapping[str, Listening | None], moment: dt.datetime
) -> dict[str, Any]:
    """The columns about listening after reports, those that change. They only grow, as those of a clip."""
    values: dict[str, Any] = {}
    now: list[Listening] = []
    for side in SIDES:
        before, report = _listening(row[f"{side}_heard"]), listening.get(side)
        if report is None:
            now.append(before)
            continue
        further = report.seconds_heard >= before.seconds_heard
        after = Listening(
            max(before.plays, report.plays),
            max(before.seconds_heard, report.seconds_heard),
            max(before.seconds_played, report.seconds_played),
            report.spans if further else before.spans,
            before.unlocked or report.unlocked,
        )
        now.append(after)
        if after != before:
            values[f"{side}_heard"] = {
                "plays": after.plays,
                "seconds_heard": after.seconds_heard,
                "seconds_played": after.seconds_played,
                "spans": [list(span) for span in after.spans],
                "unlocked": after.unlocked,
            }
    if row["unlocked_at"] is None and all(one.unlocked for one in now):
        values["unlocked_at"] = moment
    return values


def _settled(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changed fields as they are saved. Raises: AnswerError for what no page offers."""
    settled = dict(changes)
    for name, value in changes.items():
        if name == "comment":
            settled[name] = clean(value)
        elif name != "choice":
            raise AnswerError(f"unknown field {name!r}", "an answer to a pair has choice and comment")
        elif value not in (None, *SIDES):
            raise AnswerError(f"choice = {value!r}", f"it must be one of {', '.join(SIDES)}")
    return settled


def _next_slot(connection: sa.Connection, listener_id: int) -> int | None:
    query = sa.select(sa.func.min(pair_trial.c.slot)).outerjoin(pair_answer, _SAME)
    query = query.where(pair_trial.c.listener_id == listener_id, pair_answer.c.answered_at.is_(None))
    return connection.execute(query).scalar()


def answers(engine: sa.Engine, *, practice: bool = False, pilot: bool = False) -> list[dict[str, Any]]:
    """One dict per listener and pair with a final answer, in the order they were given; without truth.

    Columns: listener (name), set, pair (the listener's own number of it, from 1), question, position (within
    its part, from 1), part, first_id and second_id (of the stimuli, as they stood), choice ("first" or
    "second"), comment, of either clip first_plays, first_seconds_heard and first_seconds_played (second_...),
    answered_at (UTC), response_seconds (from when both were heard to the final answer), app_version,
    design_digest.

    Answers to the study's own questions before and after, and checks, stand last, as of single clips.

    pilot: the answers of pilots instead of those of listeners.
    """
    query = (
        sa.select(listener.c.name.label("listener"), pair_trial, pair_answer)
        .join(pair_trial, pair_trial.c.listener_id == listener.c.id)
        .join(pair_answer, _SAME)
        .where(pair_answer.c.answered_at.is_not(None), listener.c.pilot.is_(pilot))
        .order_by(listener.c.id, pair_trial.c.slot)
    )
    if not practice:
        query = query.where(pair_trial.c.part > 0)
    with reading(engine) as connection:
        rows, latest = connection.execute(query).mappings().all(), clock(connection)
        asked_once, checked = own_answers.of_listeners(connection), check_results.exported(connection)
    people = [row[pair_trial.c.listener_id] for row in rows]
    own = [asked_once.get(one, {}) | checked.get(one, {}) for one in people]
    return own_answers.spread([_exported(row, latest) for row in rows], own)


def _exported(row: sa.RowMapping, latest: dt.datetime) -> dict[str, Any]:
    opened = row[pair_answer.c.unlocked_at] or row[pair_answer.c.shown_at]
    seconds = elapsed(opened, row[pair_answer.c.answered_at], latest)
    measured: dict[str, Any] = {}
    for side in SIDES:
        heard = _listening(row[pair_answer.c[f"{side}_heard"]])
        measured |= {
            f"{side}_plays": heard.plays,
            f"{side}_seconds_heard": heard.seconds_heard,
            f"{side}_seconds_played": heard.seconds_played,
        }
    answered = row[pair_answer.c.answered_at]
    return {
        "listener": row["listener"],
        "set": row[pair_trial.c.set_name],
        "pair": row[pair_trial.c.slot] + 1,
        "question": row[pair_trial.c.question],
        "position": row[pair_trial.c.position],
        "part": row[pair_trial.c.part],
        "first_id": row[pair_trial.c.first_id],
        "second_id": row[pair_trial.c.second_id],
        "choice": row[pair_answer.c.choice],
        "comment": row[pair_answer.c.comment],
        **measured,
        "answered_at": answered if answered <= latest else None,
        "response_seconds": None if seconds is None else round(seconds, 3),
        "app_version": row[pair_answer.c.app_version],
        "design_digest": row[pair_answer.c.design_digest],
    }
