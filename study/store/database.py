"""Connections to a study's database: opening it, making its tables or bringing older ones up to date, locks.

A fresh database gets the tables of study.store.schema at once. The steps from older ones are Alembic's, in
study/store/migrations, and the newest of them says which version this program reads. Alembic is imported only
where there is something to bring up.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from caw.problems import ProblemError
from study.store import database_file
from study.store.schema import about, alembic_version, listener, metadata

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION = max(int(file.name[:4]) for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))  # of the tables
FIRST_VERSION = 2  # the oldest that can be brought up to date: none before it left the house
_OPENING_LOCK = 0x57_0D1  # of PostgreSQL's advisory locks; any number that nobody else takes
_MAKING_LOCK = 0x57_0D2  # another one


class UnknownSchemaError(ProblemError):
    """The database was written by a version of this program that is not known here."""


def connect(url: str, *, copy_old: bool = True) -> sa.Engine:
    """Open the database, creating what it lacks and bringing older tables up to date.

    SQLite runs with a write-ahead log and a flush to disk at every commit, and each writing transaction
    takes the write lock when it begins: deferred ones fail with "database is locked" under several writers.
    copy_old: whether an SQLite file of an older version is copied before it is changed.

    Raises sqlalchemy.exc.SQLAlchemyError where the database cannot be opened, UnknownSchemaError
    where a newer version of this program wrote it.
    """
    engine = _sqlite(url) if url.startswith("sqlite") else _server(url)
    try:
        _bring_up(engine, copy_old=copy_old)
    except BaseException:
        engine.dispose()
        raise
    return engine


def reading(engine: sa.Engine) -> sa.Connection:
    """Return a connection that only reads: on SQLite it never takes the write lock."""
    return engine.connect().execution_options(begin="BEGIN")


def lock(query: sa.Select, connection: sa.Connection) -> sa.Select:
    """Lock the rows that a transaction is about to change; SQLite has locked the whole file already."""
    return query if connection.dialect.name == "sqlite" else query.with_for_update()


def shared_lock(connection: sa.Connection) -> None:
    """Lock the study as open or closed for this transaction, together with others that do the same.

    On SQLite a writing transaction is the only one anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_OPENING_LOCK})")


def exclusive_lock(connection: sa.Connection) -> None:
    """Lock the study for what opens or closes it; this and `shared_lock` wait for each other."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_OPENING_LOCK})")


def _sqlite(url: str) -> sa.Engine:
    file = sa.make_url(url).database
    own: dict[str, object] = {}
    if file and file != ":memory:":  # it holds every listener's link: readable by its owner alone
        database_file.require_own_log(Path(file))
        with contextlib.suppress(OSError):  # there already, or no place: connecting tells
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        own = {"creator": database_file.DatabaseFile.at(file).connect, "pool_size": 10, "max_overflow": 40}
    engine = sa.create_engine(url, hide_parameters=True, **own)  # a log would hold a listener's secret

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        how = connection.get_execution_options().get("begin", "BEGIN IMMEDIATE")
        if how != "BEGIN":
            _require_file(connection)
        connection.exec_driver_sql(how)

    return engine


def require(engine: sa.Engine) -> bool:
    """Ask the database for one row. Returns whether it can be written as well, without writing anything.

    Raises DBAPIError where the database does not answer, or its file was moved, deleted or replaced.
    """
    with engine.connect() as connection:
        connection = connection.execution_options(begin="BEGIN")
        _require_file(connection)
        connection.execute(sa.select(about.c.name).limit(1)).all()
        if connection.dialect.name != "sqlite":
            return connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"
    file = Path(engine.url.database or "")
    return not file.is_file() or (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def file_is_gone(engine: sa.Engine, error: sa.exc.DBAPIError) -> bool:
    """Whether `error` came of an SQLite file that is no longer the one that was opened."""
    if isinstance(error.orig, database_file.DatabaseFileError):
        return True
    return engine.dialect.name == "sqlite" and not Path(engine.url.database or "").is_file()


def _require_file(connection: sa.Connection) -> None:
    raw = connection.connection.dbapi_connection
    if isinstance(raw, database_file.Connection) and raw.file is not None:
        try:
            raw.file.report(raw)
        except database_file.DatabaseFileError as error:
            raise sa.exc.OperationalError("", None, error) from error


def _server(url: str) -> sa.Engine:
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            url = "postgresql+psycopg://" + url.removeprefix(plain)
    return sa.create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True, hide_parameters=True)


def _bring_up(engine: sa.Engine, *, copy_old: bool) -> None:
    """Leave the database with the present tables, whatever it had, once for all processes that open it.

    An SQLite file of an older version is copied before, but for one that is a copy itself.

    Raises UnknownSchemaError for a newer database, which stays as it is.
    """
    with reading(engine) as connection:
        if _version(connection) == VERSION:
            return
    with _only_process(engine) as connection:
        version = _version(connection)  # another process may have been faster
        if version is None:
            metadata.create_all(connection)
            connection.execute(about.insert().values(name="schema", value=str(VERSION)))
            connection.execute(alembic_version.insert().values(version_num=_revision(VERSION)))
        elif version != VERSION:
            if copy_old:
                _copy_beside(engine.url, version)
            _migrate(connection)
        if connection.execute(sa.select(about.c.value).where(about.c.name == "database")).scalar() is None:
            connection.execute(about.insert().values(name="database", value=_mark(connection)))


def _mark(connection: sa.Connection) -> str:
    """Return the mark of this database. An older one gets the same where a copy of it is brought up again."""
    first = connection.execute(sa.select(listener.c.token).order_by(listener.c.id).limit(1)).scalar()
    return hashlib.sha256(first.encode()).hexdigest()[:32] if first else secrets.token_hex(16)


def _revision(version: int) -> str:
    """The name that Alembic has for a version of the tables."""
    return f"{version:04d}"


def _version(connection: sa.Connection) -> int | None:
    """The version of a database's tables; None for one without tables."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(about.name):
        return None
    written = connection.execute(sa.select(about.c.value).where(about.c.name == "schema")).scalar()
    revision = None
    if inspector.has_table(alembic_version.name):
        revision = connection.execute(sa.select(alembic_version.c.version_num)).scalar()
    for version in range(FIRST_VERSION, VERSION + 1):
        if (written, revision) == (str(version), _revision(version)):
            return version
    what = f"has schema {written}, this version reads {VERSION}"
    raise UnknownSchemaError(what, "use the version that wrote it")


@contextlib.contextmanager
def _only_process(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction during which every other process waits to open the database."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING_LOCK})")
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


def _copy_beside(url: sa.URL, version: int) -> None:
    """Copy an SQLite file as it was beside it, and name the copy on stderr."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return
    file = Path(url.database)
    copy = database_file.free_name(file, f"version-{version}")
    with contextlib.closing(sqlite3.connect(file)) as old:
        database_file.copy_whole(old, copy)
    print(f"{file} is brought to schema {VERSION}; as it was it is kept in {copy}", file=sys.stderr)


def _migrate(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, _revision(VERSION))
