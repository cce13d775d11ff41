"""Listeners who come by the open link: who they are on their platform, the places there are, how each ended.

What a platform calls a listener stands in `recruit` and `recruit_id` and nowhere else: answers, logs, exports
and reports know a neutral name alone. A place is taken when a listener agrees to take part, and not when the
link is opened, so that nobody holds places by opening it many times. All that decides about places happens
one transaction after the other.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from study.design.open_link import OpenLink
from study.store import listeners
from study.store.answering import StoreError, closed_at, insert_once
from study.store.database import reading
from study.store.listeners import BY_PERSONAL_LINK
from study.store.protocol import State, Stations
from study.store.schema import clock, listener, now, pair_trial, recruit, recruit_id, trial

COMPLETED, SCREENED_OUT, TIMED_OUT, OVER_QUOTA = "completed", "screened out", "timed out", "over quota"
UNOPENED = dt.timedelta(hours=3)  # after which somebody who opened the link and never began is forgotten
MOST_UNOPENED = 5000  # of them at once; beyond, the oldest are forgotten
_AT_ONCE = 200  # that are forgotten in one transaction
_PLACES_LOCK = 0x57_0D3  # of PostgreSQL's advisory locks, beside those in study.store.database


class FullError(StoreError):
    """All places are taken."""


@dataclass(frozen=True)
class Recruit:
    """Somebody whom the open link brought: the secret of their personal link, and where they stand."""

    token: str
    begun: bool
    outcome: str | None


def find(engine: sa.Engine, identity: str) -> Recruit | None:
    """The listener of an identity, as `identity_of` makes it."""
    with reading(engine) as connection:
        return _find(connection, identity)


def join(engine: sa.Engine, settings: OpenLink, ids: Mapping[str, str], *, pilot: bool = False) -> Recruit:
    """Return the listener with these ids of a recruiting platform, made at first: one for each person.

    Raises FullError where all places are taken, StoreError where the study is closed or not built.
    """
    known = find(engine, identity_of(ids[settings.names_listener], pilot=pilot))
    if known is not None:
        return known
    with engine.begin() as connection:
        return _join(connection, settings, ids, pilot=pilot)


def identity_of(person: str, *, pilot: bool = False) -> str:
    """What stands for a person in the database: who tries the study as a pilot can take part as well."""
    return hashlib.sha256(f"{'pilot' if pilot else 'id'} {person}".encode()).hexdigest()


def take_place(connection: sa.Connection, settings: OpenLink | None, listener_id: int) -> bool:
    """Whether there is a place for a listener who agrees to take part; where not, that is noted.

    `one_at_a_time` must have been called in this transaction, before any row was locked.
    """
    row = _of(connection, listener_id) if settings is not None else None
    if row is None or row["consent_at"] is not None:
        return True
    if row["outcome"] is not None:
        return False
    moment = clock(connection)
    expire(connection, settings, moment)
    if row["pilot"] or not _full(connection, settings):
        return True
    end(connection, listener_id, OVER_QUOTA, moment)
    return False


def end(connection: sa.Connection, listener_id: int, outcome: str, moment: dt.datetime) -> bool:
    """Note how a listener ended, once and for all. False where another end was noted before."""
    mine = recruit.c.listener_id == listener_id
    open_still = recruit.update().where(mine, recruit.c.outcome.is_(None))
    if connection.execute(open_still.values(outcome=outcome, outcome_at=moment)).rowcount:
        return True
    before = connection.execute(sa.select(recruit.c.outcome).where(mine)).scalar()
    return before in (None, outcome)


def screen_out(connection: sa.Connection, listener_id: int) -> None:
    """See store.Store.screen_out."""
    moment = clock(connection)
    values = {"listener_id": listener_id, "identity": f"{BY_PERSONAL_LINK}{listener_id}", "came_at": moment}
    insert_once(connection, recruit, values, ["listener_id"])
    end(connection, listener_id, SCREENED_OUT, moment)


def expire(
    connection: sa.Connection, settings: OpenLink, moment: dt.datetime, listener_id: int | None = None
) -> None:
    """Note that the time of those who began and have not finished is over: of one listener, or of all."""
    if settings.timeout_minutes is None:
        return
    late = sa.select(listener.c.id).where(
        listener.c.consent_at < moment - dt.timedelta(minutes=settings.timeout_minutes),
        listener.c.finished_at.is_(None),
    )
    change = recruit.update().where(recruit.c.outcome.is_(None), recruit.c.listener_id.in_(late))
    if listener_id is not None:
        change = change.where(recruit.c.listener_id == listener_id)
    connection.execute(change.values(outcome=TIMED_OUT, outcome_at=moment))


def state_of(
    engine: sa.Engine,
    connection: sa.Connection,
    row: sa.RowMapping,
    settings: OpenLink | None,
    stations: Stations,
) -> State:
    """Where a listener stands, `row` being theirs. That their time is over is noted at this moment."""
    state = listeners.states(connection, row["id"], stations)[row["id"]]
    limit = settings.timeout_minutes if settings is not None else None
    if limit is None or state.outcome is not None or state.finished or row["consent_at"] is None:
        return state
    if now() - row["consent_at"] <= dt.timedelta(minutes=limit):
        return state
    came = sa.select(recruit.c.listener_id).where(recruit.c.listener_id == row["id"])
    if connection.execute(came).first() is None:  # a personal link has no time limit
        return state
    with engine.begin() as writing:
        one_at_a_time(writing)
        expire(writing, settings, clock(writing), row["id"])
        return listeners.states(writing, row["id"], stations)[row["id"]]


def expire_all(engine: sa.Engine, settings: OpenLink | None) -> None:
    """The same for a whole study, before it is looked at; nothing without an open link."""
    if settings is not None and settings.timeout_minutes is not None:
        with engine.begin() as connection:
            one_at_a_time(connection)
            expire(connection, settings, clock(connection))


def ids_of(engine: sa.Engine, listener_id: int) -> dict[str, str]:
    """The ids that a listener came with; {} for one with a personal link."""
    mine = recruit_id.c.listener_id == listener_id
    with reading(engine) as connection:
        rows = connection.execute(sa.select(recruit_id.c.name, recruit_id.c.value).where(mine))
        return {row.name: row.value for row in rows}


def everybody(engine: sa.Engine) -> list[dict[str, Any]]:
    """Who came by the open link, for paying them: name, pilot, ids, outcome and times (UTC)."""
    columns = (listener.c.id, listener.c.name, listener.c.pilot, recruit.c.identity, recruit.c.came_at)
    columns += (listener.c.consent_at, listener.c.finished_at, recruit.c.outcome, recruit.c.outcome_at)
    people = sa.select(*columns).join(recruit, recruit.c.listener_id == listener.c.id).order_by(listener.c.id)
    with reading(engine) as connection:
        rows = connection.execute(people).mappings().all()
        ids: dict[int, dict[str, str]] = {}
        for row in connection.execute(sa.select(recruit_id)):
            ids.setdefault(row.listener_id, {})[row.name] = row.value
    return [dict(row) | {"ids": ids.get(row["id"], {})} for row in rows]


def counts(engine: sa.Engine) -> Counter[str]:
    """How many came by the open link, by how they ended; "under way" and "not begun" without an end."""
    listed = [one for one in everybody(engine) if one["ids"] and not one["pilot"]]
    return Counter(
        one["outcome"] or ("under way" if one["consent_at"] is not None else "not begun") for one in listed
    )


def one_at_a_time(connection: sa.Connection) -> None:
    """Let nobody else decide about places until this transaction ends, as SQLite does by itself."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PLACES_LOCK})")


def _join(connection: sa.Connection, settings: OpenLink, ids: Mapping[str, str], *, pilot: bool) -> Recruit:
    one_at_a_time(connection)
    identity = identity_of(ids[settings.names_listener], pilot=pilot)
    if known := _find(connection, identity):
        return known
    if closed_at(connection) is not None:
        raise StoreError("the study is closed")
    moment = clock(connection)
    expire(connection, settings, moment)
    if not pilot and _full(connection, settings):
        raise FullError("all places are taken")
    _forget_unopened(connection, moment)
    token = listeners.invite(connection, _free_name(connection), pilot=pilot)
    me = connection.execute(sa.select(listener.c.id).where(listener.c.token == token)).scalar_one()
    connection.execute(recruit.insert().values(listener_id=me, identity=identity, came_at=moment))
    rows = [{"listener_id": me, "name": name, "value": value} for name, value in ids.items()]
    connection.execute(recruit_id.insert(), rows)
    return Recruit(token, False, None)


def _full(connection: sa.Connection, settings: OpenLink) -> bool:
    """Whether those who completed and those under way fill the quota."""
    if settings.quota is None:
        return False
    under_way = sa.and_(
        recruit.c.outcome.is_(None), listener.c.consent_at.is_not(None), listener.c.revoked_at.is_(None)
    )
    taken = (
        sa.select(sa.func.count())
        .select_from(recruit.join(listener, listener.c.id == recruit.c.listener_id))
        .where(listener.c.pilot.is_(False), sa.or_(recruit.c.outcome == COMPLETED, under_way))
    )
    return connection.execute(taken).scalar_one() >= settings.quota


def _forget_unopened(connection: sa.Connection, moment: dt.datetime) -> None:
    """Delete those who opened the link and never began, where that is long ago or they are too many."""
    unopened = (
        sa.select(recruit.c.listener_id, recruit.c.came_at)
        .join(listener, listener.c.id == recruit.c.listener_id)
        .where(recruit.c.outcome.is_(None), listener.c.consent_at.is_(None), listener.c.revoked_at.is_(None))
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(unopened.subquery())).scalar_one()
    oldest = unopened.order_by(recruit.c.came_at).limit(min(_AT_ONCE, count))
    if connection.dialect.name != "sqlite":  # whoever is just agreeing to take part stays
        oldest = oldest.with_for_update(of=listener, skip_locked=True)
    surplus = count + 1 - MOST_UNOPENED
    gone = [
        row.listener_id
        for place, row in enumerate(connection.execute(oldest))
        if row.came_at < moment - UNOPENED or place < surplus
    ]
    for table in (recruit_id, recruit, trial, pair_trial):
        connection.execute(table.delete().where(table.c.listener_id.in_(gone)))
    connection.execute(listener.delete().where(listener.c.id.in_(gone)))


def _free_name(connection: sa.Connection) -> str:
    """A name that says nothing but that the listener came by the open link."""
    number = (connection.execute(sa.select(sa.func.max(listener.c.id))).scalar() or 0) + 1
    while True:
        name = f"open-{number:04d}"
        if connection.execute(sa.select(listener.c.id).where(listener.c.name == name)).first() is None:
            return name
        number += 1


def _find(connection: sa.Connection, identity: str) -> Recruit | None:
    query = (
        sa.select(listener.c.token, listener.c.consent_at, recruit.c.outcome)
        .join(recruit, recruit.c.listener_id == listener.c.id)
        .where(recruit.c.identity == identity)
    )
    row = connection.execute(query).first()
    return None if row is None else Recruit(row.token, row.consent_at is not None, row.outcome)


def _of(connection: sa.Connection, listener_id: int) -> sa.RowMapping | None:
    query = (
        sa.select(listener.c.consent_at, listener.c.pilot, recruit.c.outcome)
        .join(recruit, recruit.c.listener_id == listener.c.id)
        .where(listener.c.id == listener_id)
    )
    if connection.dialect.name != "sqlite":
        query = query.with_for_update(of=recruit)
    return connection.execute(query).mappings().first()
