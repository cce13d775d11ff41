"""Which group and which order a new listener gets, so that both stay balanced whoever drops out.

The orders of the numbers 0, 1, 2, ... are balanced block by block (see study.store.orders), so the next
listener of a group gets the lowest number that nobody of it fills: nobody who has begun or may still begin.
The places of those who were revoked before they began are thus filled first. Groups are filled in the same
way: a new listener joins the one that has the fewest such listeners for its share.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from study.store import pairs as pair_task
from study.store.schema import answer, listener, recruit, trial


def next_group(
    connection: sa.Connection, groups: Sequence[Sequence[Any]] | None, *, pilot: bool
) -> str | None:
    """The group of the next listener: of those that lack most, one by lot; None in a study without groups.

    groups: name, share and blocks of each, as a build has them.
    """
    if not groups:
        return None
    lacking = {name: len(filled(connection, pilot, name)) / share for name, share, _ in groups}
    fewest = min(lacking.values())
    return random.SystemRandom().choice([name for name, count in lacking.items() if count == fewest])


def next_number(
    connection: sa.Connection, *, pilot: bool, group: str | None = None, but: int | None = None
) -> int:
    """The number of the next listener of a group, which decides their order; those of pilots are negative.

    but: a listener who counts for none, as one who gets a number anew.
    """
    if pilot:
        lowest = sa.select(sa.func.min(listener.c.number)).where(listener.c.pilot.is_(True))
        return (connection.execute(lowest).scalar() or 0) - 1
    taken = filled(connection, pilot, group, but=but)
    return next(number for number in range(len(taken) + 1) if number not in taken)


def filled(
    connection: sa.Connection, pilot: bool, group: str | None = None, *, but: int | None = None
) -> set[int]:
    """The numbers of those of a group who have begun or may still begin, leaving out the listener `but`."""
    people = sa.select(listener.c.id, listener.c.number, listener.c.revoked_at)
    people = people.where(listener.c.pilot.is_(pilot), listener.c.group_name.is_not_distinct_from(group))
    over = sa.select(recruit.c.listener_id).where(recruit.c.outcome.is_not(None))  # of the open link
    have_begun, gone = begun(connection), set(connection.execute(over).scalars())
    return {
        row.number
        for row in connection.execute(people)
        if row.id != but and (row.id in have_begun or (row.revoked_at is None and row.id not in gone))
    }


def begun(connection: sa.Connection) -> set[int]:
    """The ids of those who have answered a field of a clip that counts, pilots included."""
    same = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
    counted = (
        sa.select(answer.c.listener_id)
        .join(trial, same)
        .where(trial.c.part > 0, answer.c.revision > 0)
        .distinct()
    )
    return {one for query in (counted, pair_task.begun()) for one in connection.execute(query).scalars()}
