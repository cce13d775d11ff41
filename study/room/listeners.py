"""Who takes part and how far each one is. Used through store.Store."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from study.room.protocol import Page, Slot, State, Step, next_step
from study.room.schema import answer, listener, reading, trial


@dataclass(frozen=True)
class Listener:
    """One listener as the pages need them: who, which tab may write, and the step to show."""

    id: int
    name: str
    tab: str | None
    playback: str | None
    step: Step


@dataclass(frozen=True)
class Progress:
    """How far one listener is. Counts leave practice out; times are UTC."""

    name: str
    token: str
    stage: str
    answered: int
    total: int
    invited_at: dt.datetime
    last_seen: dt.datetime | None
    finished_at: dt.datetime | None


def progress(engine: sa.Engine) -> list[Progress]:
    """All listeners in the order of their invitation."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(listener).order_by(listener.c.number)).mappings().all()
        standing = states(connection)
    told = []
    for row in rows:
        step = next_step(standing[row["id"]])
        unopened = step.page is Page.WELCOME and row["last_seen_at"] is None
        told.append(
            Progress(
                name=row["name"],
                token=row["token"],
                stage="not opened yet" if unopened else step.stage,
                answered=step.answered,
                total=step.total,
                invited_at=row["invited_at"],
                last_seen=row["last_seen_at"],
                finished_at=row["finished_at"],
            )
        )
    return told


def states(connection: sa.Connection, listener_id: int | None = None) -> dict[int, State]:
    """What decides the step of one listener, or of all: listener id -> State."""
    slots = (
        sa.select(trial.c.listener_id, trial.c.slot, trial.c.part, trial.c.position, answer.c.answered_at)
        .outerjoin(
            answer, sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
        )
        .order_by(trial.c.listener_id, trial.c.slot)
    )
    people = sa.select(listener)
    if listener_id is not None:
        slots = slots.where(trial.c.listener_id == listener_id)
        people = people.where(listener.c.id == listener_id)
    by_listener: dict[int, list[Slot]] = {}
    for row in connection.execute(slots):
        by_listener.setdefault(row.listener_id, []).append(
            Slot(row.slot, row.part, row.position, row.answered_at is not None)
        )
    return {
        row["id"]: State(
            slots=tuple(by_listener.get(row["id"], ())),
            consented=row["consent_at"] is not None,
            sound_checked=row["sound_check_at"] is not None,
            part_begun=row["part_begun"],
            finished=row["finished_at"] is not None,
            closed=row["revoked_at"] is not None,
        )
        for row in connection.execute(people).mappings()
    }
