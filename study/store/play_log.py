"""What the player reports by itself (play, pause, seek, ended, ...), beside the answers. See store.Store."""

from __future__ import annotations

import sqlalchemy as sa

from study.store import answering
from study.store.schema import clock, play_event

MOST = 500  # reports of one clip by one listener: who plays it does not get there, who replays a post does


def record(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    kind: str,
    *,
    listening: answering.Listening,
    position_seconds: float | None,
) -> bool:
    """Adds one report, and what it tells to the answer's measures, so that a replay cut off by Next counts.

    Returns False, and adds nothing, where there are MOST of this clip already.
    """
    mine = sa.and_(play_event.c.listener_id == listener_id, play_event.c.slot == slot)
    with engine.begin() as connection:
        if connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one() >= MOST:
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
        answering.overheard(connection, listener_id, slot, listening)
        return True
