"""A copy of the whole database in one SQLite file, made while listeners answer. Used through store.Store.

The copy is one moment of the database: whatever was acknowledged before it began is in it, and nothing half.
It is a database of the same version, so every command reads it at `sqlite:///FILE`, a PostgreSQL study's too.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from study.room.answering import StoreError
from study.room.schema import metadata

_ROWS = 1000  # copied at once


def backup(engine: sa.Engine, file: Path) -> None:
    """See store.Store.backup."""
    part = file.with_name(f".{file.name}.part")
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the name is ours from here on
    except FileExistsError:
        raise StoreError(
            f"{file} is there already, and a backup overwrites nothing; name a new file"
        ) from None
    except OSError as error:
        raise StoreError(
            f"cannot write {file}: {error.strerror}; name a file in a folder that is there"
        ) from error
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if engine.dialect.name == "sqlite":
            _copy_file(Path(engine.url.database), part)
        else:
            _copy_tables(engine, part)
        _check(part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
        place = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
    except BaseException:
        part.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        raise


def _copy_file(source: Path, target: Path) -> None:
    """One step of SQLite's backup: a reader among others, which makes no writer wait."""
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it


def _copy_tables(engine: sa.Engine, target: Path) -> None:
    """Table by table, all as they were when the first was read."""
    copy = sa.create_engine(f"sqlite:///{target}")
    try:
        with engine.connect() as source, copy.begin() as written:
            source = source.execution_options(isolation_level="REPEATABLE READ", stream_results=True)
            metadata.create_all(written)
            for table in metadata.sorted_tables:
                for rows in source.execute(sa.select(table)).mappings().partitions(_ROWS):
                    written.execute(table.insert(), [dict(row) for row in rows])
    finally:
        copy.dispose()


def _check(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as raw:
        found = raw.execute("PRAGMA integrity_check").fetchone()[0]
        loose = raw.execute("PRAGMA foreign_key_check").fetchall()
    if found != "ok" or loose:
        told = found if found != "ok" else f"{len(loose)} rows point at none"
        raise StoreError(f"the copy of the database is damaged ({told}); check the disk and the database")
