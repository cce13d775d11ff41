"""What the player reports by itself (play, pause, seek, ended, ...), apart from answers. See store.Store."""

from __future__ import annotations

import sqlalchemy as sa

from study.room.schema import now, play_event

MOST = 500  # reports of one clip by one listener: who plays it does not get there, who replays a post does


def record(
    engine: sa.Engine,
    listener_id: int,
    slot: int,
    kind: str,
    *,
    seconds_heard: float | None,
    position_seconds: float | None,
) -> bool:
    """Adds one report; returns False, and adds nothing, where there are MOST of this clip already."""
    mine = sa.and_(play_event.c.listener_id == listener_id, play_event.c.slot == slot)
    with engine.begin() as connection:
        if connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one() >= MOST:
            return False
        connection.execute(
            play_event.insert().values(
                listener_id=listener_id,
                slot=slot,
                at=now(),
                kind=kind,
                seconds_heard=seconds_heard,
                position_seconds=position_seconds,
            )
        )
        return True
