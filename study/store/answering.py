"""How one answer grows: shown, listened to, filled in field by field, made final. Used through store.Store.

The row in `answer` is the current state, `revision` its history; both are written in one transaction, so a
killed server leaves either a whole change or none. A final answer never changes again.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from analysis import questionnaire
from caw.problems import ProblemError
from study.design import own_questions
from study.design.own_questions import OwnQuestion
from study.store.database import lock, reading, shared_lock
from study.store.protocol import clean, missing, settle, settle_own
from study.store.schema import (
    about,
    answer,
    build,
    clock,
    final_answer,
    in_order,
    listener,
    play_event,
    revision,
    trial,
    unblinding,
    utc_moment,
)

MOST_REPORTS = 500  # of one clip by one listener: who plays it does not get there, who replays a post does
CLOSED_AT = "closed_at"  # the row of `about`; absent while the study is open
_MAX_SPANS = 200
_MAX_SECONDS = 36_000.0


class StoreError(ProblemError):
    """The database cannot do what is asked for."""


class OtherTab(StoreError):
    """The listener goes on in another browser tab; this one may not write."""


@dataclass(frozen=True)
class Listening:
    """What the player reports of one clip, in seconds. `spans` are the stretches heard, each second once."""

    plays: int = 0
    seconds_heard: float = 0.0
    seconds_played: float = 0.0
    spans: tuple[tuple[float, float], ...] = ()
    unlocked: bool = False

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> Listening:
        """Read a report of the player. It comes from a browser, so anything odd counts as nothing."""
        spans = report.get("spans")
        pairs = spans[:_MAX_SPANS] if isinstance(spans, list) else []
        return cls(
            plays=int(_number(report.get("plays"), 100_000)),
            seconds_heard=_number(report.get("heard"), _MAX_SECONDS),
            seconds_played=_number(report.get("played"), _MAX_SECONDS),
            spans=tuple(
                (_number(pair[0], _MAX_SECONDS), _number(pair[1], _MAX_SECONDS))
                for pair in pairs
                if isinstance(pair, list | tuple) and len(pair) == 2
            ),
            unlocked=report.get("unlocked") is True,
        )


@dataclass(frozen=True)
class Draft:
    """A trial as its page needs it. `fields` holds the answer so far, by questionnaire.NAMES.

    `further` holds answers to the study's own questions, by their names.
    `phase` (one of questionnaire.PHASES) says which of the fields are asked.
    """

    slot: int
    play_key: str
    next_play_key: str | None
    fields: dict[str, Any]
    listening: Listening
    final: bool
    revision: int
    phase: str = "all"
    further: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved:
    """The outcome of a save: whether the answer is final, what is missing, whether Next was pressed anew."""

    final: bool
    missing: tuple[str, ...]
    revision: int
    pressed: bool = False


def show(engine: sa.Engine, listener_id: int, slot: int) -> Draft:
    """See store.Store.show. Raises StoreError for a slot the listener does not have."""
    with reading(engine) as connection:
        draft = _draft(connection, listener_id, slot)
    if draft is not None:
        return draft
    with engine.begin() as connection:
        admit(connection, listener_id)
        here = sa.and_(trial.c.listener_id == listener_id, trial.c.slot == slot)
        phase = connection.execute(sa.select(trial.c.phase).where(here)).scalar_one()
        values = {"listener_id": listener_id, "slot": slot, "shown_at": clock(connection)}
        values |= {"spans": [], "phase": phase}
        insert_once(connection, answer, values, ["listener_id", "slot"])
        return _draft(connection, listener_id, slot)


def save(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    *,
    tab: str,
    changes: Mapping[str, Any],
    listening: Listening | None,
    press: str | None,
    require_heard: bool,
    require_confidence: bool,
    digest: str | None,
    further: Mapping[str, Any],
    questions: Sequence[OwnQuestion],
) -> Saved:
    """See store.Store.save."""
    with engine.begin() as connection:
        owner(connection, listener_id, tab)
        here = sa.and_(answer.c.listener_id == listener_id, answer.c.slot == slot)
        row = connection.execute(lock(sa.select(answer).where(here), connection)).mappings().first()
        if row is None:
            raise StoreError(f"clip {slot} was not shown yet", "reload the page")
        if row["answered_at"] is not None:
            return Saved(True, (), row["revision"])
        if slot != _next_slot(connection, listener_id):
            raise StoreError(f"clip {slot} is not the next one", "reload the page")
        moment = _next_moment(connection, row)
        settled = settle(changes, phase=row["phase"])
        changed = {name: value for name, value in settled.items() if value != row[name]}
        own, given = own_questions.asked(questions, "clip", row["phase"]), row["further"] or {}
        now = settle_own(own, further, given) if further else given
        revised = dict(changed)
        if now != given:
            changed["further"] = now
            names = [one.name for one in own if now.get(one.name) != given.get(one.name)]
            revised["further"] = {name: now.get(name) for name in names}
        heard = _heard(row, listening, moment)
        owed = missing(
            {**row, **changed},
            heard=not require_heard or bool(heard.get("unlocked_at")),
            phase=row["phase"],
            confidence=require_confidence,
            questions=questions,
        )
        pressed = press is not None and press[:64] != row["press"]
        final = pressed and not owed
        if pressed:
            heard["press"] = press[:64]
        if changed or final:
            changed_row = {**changed, "revision": row["revision"] + 1}
            if final:
                changed_row |= {"answered_at": moment} | stamp(connection, digest)
            connection.execute(answer.update().where(here).values(**heard, **changed_row))
            connection.execute(
                revision.insert().values(
                    listener_id=listener_id,
                    slot=slot,
                    revision=changed_row["revision"],
                    at=moment,
                    final=final,
                    changes=revised,
                )
            )
        elif listening is not None or pressed:
            connection.execute(answer.update().where(here).values(**heard))
        connection.execute(listener.update().where(listener.c.id == listener_id).values(last_seen_at=moment))
        return Saved(final, tuple(owed), row["revision"] + int(bool(changed or final)), pressed)


def log_play(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    kind: str,
    *,
    listening: Listening,
    position_seconds: float | None,
) -> bool:
    """Add one report, and bring the answer's measures up to it, so that a replay cut off by Next counts.

    Returns False, and adds nothing, where there are MOST_REPORTS of this clip already.
    """
    with engine.begin() as connection:
        if not put_report(connection, listener_id, slot, kind, listening, position_seconds):
            return False
        _overheard(connection, listener_id, slot, listening)
        return True


def put_report(
    connection: sa.Connection,
    listener_id: int,
    slot: int,
    kind: str,
    listening: Listening,
    position_seconds: float | None,
    most: int = MOST_REPORTS,
) -> bool:
    """Add one report of a player, where a trial has not `most` of them already; whether it was added."""
    mine = sa.and_(play_event.c.listener_id == listener_id, play_event.c.slot == slot)
    if connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one() >= most:
        return False
    connection.execute(
        play_event.insert().values(
            listener_id=listener_id,
            slot=slot,
            at=clock(connection),
            kind=kind,
            seconds_heard=listening.seconds_heard,
            position_seconds=position_seconds,
        )
    )
    return True


def _overheard(connection: sa.Connection, listener_id: int, slot: int, listening: Listening) -> None:
    """Bring an answer's measures up to a report that the player sent between two runs of the page.

    Only measures of an answer that is not final; whether the questions open is for the page alone.
    """
    here = sa.and_(answer.c.listener_id == listener_id, answer.c.slot == slot, answer.c.answered_at.is_(None))
    row = connection.execute(lock(sa.select(answer).where(here), connection)).mappings().first()
    if row is not None:
        heard = _heard(row, replace(listening, unlocked=False), _next_moment(connection, row))
        connection.execute(answer.update().where(here).values(**heard))


def owner(connection: sa.Connection, listener_id: int, tab: str) -> Mapping[str, Any]:
    """Return the listener's row, locked for this transaction. Raises OtherTab where `tab` may not write."""
    row = admit(connection, listener_id)
    if row["tab"] != tab:
        raise OtherTab("the study goes on in another tab")
    return row


def admit(connection: sa.Connection, listener_id: int) -> Mapping[str, Any]:
    """Return the listener's row, locked for this transaction, in which the study stays open.

    Raises StoreError where the listener's link was revoked or the study is closed.
    """
    shared_lock(connection)
    query = sa.select(listener).where(listener.c.id == listener_id)
    row = connection.execute(lock(query, connection)).mappings().one()
    if row["revoked_at"] is not None:
        raise StoreError("this personal link was withdrawn")
    if closed_at(connection) is not None:
        raise StoreError("the study is closed")
    return row


def closed_at(connection: sa.Connection) -> dt.datetime | None:
    """When the study was closed; None while it is open."""
    moment = connection.execute(sa.select(about.c.value).where(about.c.name == CLOSED_AT)).scalar()
    return utc_moment(moment)


def unblinded_at(connection: sa.Connection) -> dt.datetime | None:
    """When the key was opened first; None while it is sealed. A closed study stays closed from then on."""
    return connection.execute(sa.select(sa.func.min(unblinding.c.at))).scalar()


def put_final(
    connection: sa.Connection,
    listener_id: int,
    number: int,
    question: str,
    text: str | None,
    moment: dt.datetime,
) -> None:
    """Write one open answer. A text of None leaves what is there, or an empty text where there is none."""
    values = {
        "listener_id": listener_id,
        "number": number,
        "question": question,
        "text": clean(text) or "",
        "saved_at": moment,
    }
    insert_once(connection, final_answer, values, ["listener_id", "number"])
    if text is not None:
        connection.execute(
            final_answer.update()
            .where(final_answer.c.listener_id == listener_id, final_answer.c.number == number)
            .values(question=question, text=values["text"], saved_at=moment)
        )


def _draft(connection: sa.Connection, listener_id: int, slot: int) -> Draft | None:
    rows = connection.execute(
        sa.select(trial.c.slot, trial.c.play_key, trial.c.phase)
        .where(trial.c.listener_id == listener_id, trial.c.slot.in_((slot, slot + 1)))
        .order_by(trial.c.slot)
    ).all()
    if not rows or rows[0].slot != slot:
        raise StoreError(f"there is no clip {slot} for this listener")
    row = (
        connection.execute(
            sa.select(answer).where(answer.c.listener_id == listener_id, answer.c.slot == slot)
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    return Draft(
        slot=slot,
        play_key=rows[0].play_key,
        next_play_key=rows[1].play_key if len(rows) > 1 else None,
        fields={name: row[name] for name in questionnaire.NAMES},
        listening=Listening(
            row["plays"],
            row["seconds_heard"],
            row["seconds_played"],
            tuple((start, end) for start, end in row["spans"]),
            row["unlocked_at"] is not None,
        ),
        final=row["answered_at"] is not None,
        revision=row["revision"],
        phase=rows[0].phase,
        further=row["further"] or {},
    )


def _heard(row: Mapping[str, Any], listening: Listening | None, moment: dt.datetime) -> dict[str, Any]:
    """Return the columns about listening after a report. They only grow: a late report takes nothing away."""
    if listening is None:
        return {"unlocked_at": row["unlocked_at"]}
    further = listening.seconds_heard >= row["seconds_heard"]
    return {
        "plays": max(row["plays"], listening.plays),
        "seconds_heard": max(row["seconds_heard"], listening.seconds_heard),
        "seconds_played": max(row["seconds_played"], listening.seconds_played),
        "spans": [list(span) for span in listening.spans] if further else row["spans"],
        "first_play_at": row["first_play_at"] or (moment if listening.plays else None),
        "unlocked_at": row["unlocked_at"] or (moment if listening.unlocked else None),
    }


def _next_moment(connection: sa.Connection, row: Mapping[str, Any]) -> dt.datetime:
    """Return the moment of a change of an answer, which is never before the changes that it follows."""
    last = (
        sa.select(revision.c.at)
        .where(revision.c.listener_id == row["listener_id"], revision.c.slot == row["slot"])
        .order_by(revision.c.revision.desc())
        .limit(1)
    )
    earlier = (row["shown_at"], row["first_play_at"], row["unlocked_at"], connection.execute(last).scalar())
    return in_order(clock(connection), *earlier)


def _next_slot(connection: sa.Connection, listener_id: int) -> int | None:
    return connection.execute(
        sa.select(sa.func.min(trial.c.slot))
        .outerjoin(
            answer, sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
        )
        .where(trial.c.listener_id == listener_id, answer.c.answered_at.is_(None))
    ).scalar()


def stamp(connection: sa.Connection, digest: str | None) -> dict[str, str]:
    """Under which version of the program and of the study's design an answer was given.

    digest: of the design that is being served; None: that of the newest build.
    """
    newest = sa.select(build.c.design_digest).order_by(build.c.id.desc()).limit(1)
    return {
        "app_version": app_version(),
        "design_digest": digest or connection.execute(newest).scalar_one(),
    }


def insert_once(
    connection: sa.Connection, table: sa.Table, values: dict[str, Any], key: Sequence[str]
) -> bool:
    """Add a row where none has its key. Returns whether it was added."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    once = insert.values(**values).on_conflict_do_nothing(index_elements=key).returning(table.c[key[0]])
    return connection.execute(once).first() is not None


def _number(value: Any, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(float(value), 0.0), highest)


@cache
def app_version() -> str:
    try:
        return version("eureka-study")
    except PackageNotFoundError:
        return "unknown"
