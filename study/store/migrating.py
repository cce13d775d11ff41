"""Makes a fresh database and brings an old one to the present tables, once, however many processes open it.

A fresh database gets the tables of study.store.schema at once; the steps from older ones are Alembic's, in
study/room/migrations. Alembic is imported only where there is something to bring up.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from study.store import database_file
from study.store.schema import SCHEMA_VERSION, about, alembic_version, listener, metadata, reading

HEAD = "0002"  # the newest revision in migrations/versions
_FIRST = "0001"  # of databases that were made before Alembic
_LOCK = 0x57_0D2  # of PostgreSQL's advisory locks; any number that nobody else takes


class UnknownSchemaError(ValueError):
    """The database was written by a version of this program that is not known here."""


def bring_up(engine: sa.Engine, *, copy_old: bool = True) -> None:
    """Leaves the database with the present tables; an SQLite file of an older version is copied before, but
    for one that is a copy itself.

    Raises UnknownSchemaError for a newer database, which stays as it is.
    """
    with reading(engine) as connection:
        if _revision(connection) == HEAD:
            return
    with _alone(engine) as connection:
        found = _revision(connection)  # another process may have been faster
        if found is None:
            metadata.create_all(connection)
            connection.execute(about.insert().values(name="schema", value=str(SCHEMA_VERSION)))
            connection.execute(alembic_version.insert().values(version_num=HEAD))
        elif found != HEAD:
            if copy_old:
                _copy_beside(engine.url, found)
            _migrate(connection, found)
        if connection.execute(sa.select(about.c.value).where(about.c.name == "database")).scalar() is None:
            connection.execute(about.insert().values(name="database", value=_mark(connection)))


def _mark(connection: sa.Connection) -> str:
    """What tells this database from others. An old one that is upgraded twice, from a copy, gets it again."""
    first = connection.execute(sa.select(listener.c.token).order_by(listener.c.id).limit(1)).scalar()
    return hashlib.sha256(first.encode()).hexdigest()[:32] if first else secrets.token_hex(16)


def _revision(connection: sa.Connection) -> str | None:
    """The revision a database stands at; None for one without tables."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(about.name):
        return None
    version = connection.execute(sa.select(about.c.value).where(about.c.name == "schema")).scalar()
    revision = _FIRST
    if inspector.has_table(alembic_version.name):
        revision = connection.execute(sa.select(alembic_version.c.version_num)).scalar()
    if (revision, version) not in ((_FIRST, "1"), (HEAD, str(SCHEMA_VERSION))):
        raise UnknownSchemaError(f"has schema {version}, this version reads {SCHEMA_VERSION}")
    return revision


@contextlib.contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction of its own while every other process waits to open the database."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection
        return
    with engine.connect() as connection:
        connection.detach()  # not to be lent again: it does not look at foreign keys
        raw = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=OFF")  # copied tables are dropped, and their rows must not go along
        with connection.begin():  # BEGIN IMMEDIATE
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise sqlite3.IntegrityError(f"{len(broken)} rows point at none; nothing was changed")


def _copy_beside(url: sa.URL, revision: str) -> None:
    """An SQLite file as it was, beside it; the line on stderr names it."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return
    file = Path(url.database)
    copy = database_file.free_name(file, f"version-{int(revision)}")
    with contextlib.closing(sqlite3.connect(file)) as old:
        database_file.copy_whole(old, copy)
    print(f"{file} is brought to schema {SCHEMA_VERSION}; as it was it is kept in {copy}", file=sys.stderr)


def _migrate(connection: sa.Connection, found: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    place = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", place.replace("%", "%%"))
    config.attributes["connection"] = connection
    if not sa.inspect(connection).has_table(alembic_version.name):
        command.stamp(config, found)
    command.upgrade(config, HEAD)
