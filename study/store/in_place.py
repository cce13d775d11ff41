"""Hearing a clip in a song: when a listener may, and that they did. Play events alone know of it.

A clip in place meets the music that it was made for, or not, at a seam that can tell what it is. So it may be
heard in the second pass of a study alone, when no verdict of the listener's can change any more.
"""

from __future__ import annotations

import sqlalchemy as sa

from study.store.answering import Listening, put_report
from study.store.database import reading
from study.store.schema import answer, trial

KIND = "place"  # begins the kind of such a play event; the number of the song follows


def is_rated(engine: sa.Engine, listener_id: int, slot: int) -> bool:
    """Whether a trial is of the second pass, and every verdict that comes before it is final."""
    mine = trial.c.listener_id == listener_id
    answered = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
    open_verdicts = (
        sa.select(trial.c.slot)
        .outerjoin(answer, answered)
        .where(mine, trial.c.slot < slot, trial.c.phase == "verdict", answer.c.answered_at.is_(None))
    )
    with reading(engine) as connection:
        phase = connection.execute(sa.select(trial.c.phase).where(mine, trial.c.slot == slot)).scalar()
        return phase == "rating" and connection.execute(open_verdicts.limit(1)).first() is None


def log(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    song: int,
    *,
    listening: Listening,
    position_seconds: float | None,
) -> bool:
    """Add a report of hearing a clip in the song of this number. The answer's own measures stay as they are.

    Returns False, and adds nothing, where there are too many reports of this clip already.
    """
    with engine.begin() as connection:
        return put_report(connection, listener_id, slot, f"{KIND} {song}", listening, position_seconds)
