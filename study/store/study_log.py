"""What the researcher does with a study as a whole: closing it, opening the key, and whatever else is logged.

Used through store.Store.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from study.store.answering import CLOSED_AT, StoreError, closed_at, insert_once, unblinded_at
from study.store.builds import has_answers, newest
from study.store.database import exclusive_lock, reading
from study.store.schema import about, clock, listener, study_event, unblinding, utc_moment

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan, SealedPlan

_PLAN, _PLAN_SHA256, _PLAN_AT = "plan", "plan_sha256", "plan_at"  # rows of `about`


def close(engine: sa.Engine, who: str) -> dt.datetime:
    """See store.Store.close_study."""
    with engine.begin() as connection:
        exclusive_lock(connection)
        return close_in(connection, who)


def close_in(connection: sa.Connection, who: str) -> dt.datetime:
    """Close the study in a transaction that holds the `exclusive_lock`; return since when it is closed."""
    since = closed_at(connection)
    if since is None:
        since = clock(connection)
        connection.execute(about.insert().values(name=CLOSED_AT, value=since.isoformat()))
        log(connection, who, "closed")
    return since


def reopen(engine: sa.Engine, who: str) -> bool:
    """See store.Store.reopen_study."""
    with engine.begin() as connection:
        exclusive_lock(connection)
        if closed_at(connection) is None:
            return False
        if opened := unblinded_at(connection):
            problem = f"the study was unblinded on {opened:%Y-%m-%d %H:%M} UTC, so it stays closed"
            raise StoreError(problem, "make a new study folder for further answers")
        connection.execute(about.delete().where(about.c.name == CLOSED_AT))
        log(connection, who, "reopened")
        return True


def unblind(engine: sa.Engine, who: str, reason: str, key_sha256: str) -> None:
    """See store.Store.log_unblinding."""
    with engine.begin() as connection:
        exclusive_lock(connection)
        sealed = newest(connection)
        if sealed is None or sealed.key_sha256 != key_sha256:
            raise StoreError(
                f"the key's sha256 {key_sha256[:12]}... is not the one sealed at build"
                f"{'' if sealed is None else ' (' + sealed.key_sha256[:12] + '...)'}",
                "restore private/key.csv from the build",
            )
        close_in(connection, who)
        row = {"at": clock(connection), "who": who[:200], "reason": reason, "key_sha256": key_sha256}
        connection.execute(unblinding.insert().values(**row))


def keep_plan(connection: sa.Connection, listener_id: int, plan: AnalysisPlan) -> None:
    """Record the analysis plan, its sha256 and the time, as the first listener begins who is no pilot.

    Nothing is recorded where there are answers that count already.
    """
    pilot = connection.execute(sa.select(listener.c.pilot).where(listener.c.id == listener_id)).scalar_one()
    if pilot or has_answers(connection):
        return
    if insert_once(connection, about, {"name": _PLAN, "value": plan.text}, ["name"]):
        at = clock(connection).isoformat()
        for name, value in ((_PLAN_SHA256, plan.sha256), (_PLAN_AT, at)):
            connection.execute(about.insert().values(name=name, value=value))


def kept_plan(engine: sa.Engine) -> SealedPlan | None:
    """See store.Store.kept_plan."""
    from analysis.plan import SealedPlan

    with reading(engine) as connection:
        rows = {row.name: row.value for row in connection.execute(sa.select(about))}
    if _PLAN not in rows:
        return None
    return SealedPlan(rows[_PLAN], rows.get(_PLAN_SHA256, ""), utc_moment(rows.get(_PLAN_AT, "")))


def log(connection: sa.Connection, who: str, what: str, detail: str = "") -> None:
    """Add a row to the log, within the caller's transaction."""
    row = {"at": clock(connection), "who": who[:200], "what": what[:40], "detail": detail}
    connection.execute(study_event.insert().values(**row))


def rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    """All rows of a table that only grows, oldest first, without their ids."""
    with reading(engine) as connection:
        entries = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    return [{name: value for name, value in row.items() if name != "id"} for row in entries]
