"""What the analysis gets from the database: answers and open texts, without truth. See store.Store."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from study.room.protocol import FIELDS
from study.room.schema import answer, final_answer, listener, reading, trial

_KEPT = (*FIELDS, "plays", "seconds_heard", "seconds_played", "first_play_at", "answered_at")


def answers(engine: sa.Engine, *, practice: bool = False) -> list[dict[str, Any]]:
    """One dict per final answer, by listener and in the order they were given.

    Columns: listener (name), set, stimulus_id, position (within its set, from 1), set_position (which set
    came first, from 1), repetition (1 for a hidden repeat), the answer's fields, plays, seconds_heard (each
    second of the clip once), seconds_played (replays included), first_play_at and answered_at (UTC),
    response_seconds (from the clip's end, when the questions opened, to the final answer; away time counts),
    app_version, design_digest. Practice clips only when asked for: set "practice", set_position 0.
    """
    query = (
        sa.select(listener.c.name.label("listener"), trial, answer)
        .join(trial, trial.c.listener_id == listener.c.id)
        .join(answer, sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot))
        .where(answer.c.answered_at.is_not(None))
        .order_by(listener.c.number, trial.c.slot)
    )
    if not practice:
        query = query.where(trial.c.part > 0)
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return [
        {
            "listener": row["listener"],
            "set": row[trial.c.set_name],
            "stimulus_id": row[trial.c.stimulus_id],
            "position": row[trial.c.position],
            "set_position": row[trial.c.part],
            "repetition": row[trial.c.repetition],
            **{name: row[answer.c[name]] for name in _KEPT},
            "response_seconds": _seconds(row),
            "app_version": row[answer.c.app_version],
            "design_digest": row[answer.c.design_digest],
        }
        for row in rows
    ]


def final_forms(engine: sa.Engine) -> list[dict[str, Any]]:
    """One dict per open answer: listener (name), number (from 1), question, text, saved_at (UTC)."""
    query = (
        sa.select(listener.c.name.label("listener"), final_answer)
        .join(final_answer, final_answer.c.listener_id == listener.c.id)
        .order_by(listener.c.number, final_answer.c.number)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return [
        {name: row[name] for name in ("listener", "number", "question", "text", "saved_at")} for row in rows
    ]


def _seconds(row: sa.RowMapping) -> float:
    opened = row[answer.c.unlocked_at] or row[answer.c.shown_at]
    return round((row[answer.c.answered_at] - opened).total_seconds(), 3)
