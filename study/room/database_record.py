"""Which database a study's listeners are in: private/database.json, written when the first is invited.

Without it a lost responses.sqlite would be replaced by an empty one in silence, and everybody's link and
answers would be gone without a word. To begin anew on purpose, the record is deleted.
"""

from __future__ import annotations

import contextlib
import json
import os

import sqlalchemy as sa

from caw import atomic
from study.folder import StudyFolder
from study.room.answering import StoreError
from study.room.schema import about, listener, now, reading


def require_file(folder: StudyFolder) -> None:
    """Raises StoreError where an SQLite file with listeners is gone, before an empty one takes its place."""
    with contextlib.suppress(sa.exc.ArgumentError):  # an address that is none is told on opening
        url = sa.make_url(folder.database_url())
        gone = url.get_backend_name() == "sqlite" and not os.path.exists(url.database or "")
        if gone and _read(folder) is not None:
            raise _lost(folder)


def require(folder: StudyFolder, engine: sa.Engine) -> None:
    """Raises StoreError where the opened database is another one than that of the study's listeners.

    A database with listeners that no record tells of is recorded.
    """
    with reading(engine) as connection:
        mark = _mark(connection)
        peopled = connection.execute(sa.select(listener.c.id).limit(1)).first() is not None
    known = _read(folder)
    if known is not None and known.get("database") != mark:
        raise _lost(folder)
    if known is None and peopled:
        with contextlib.suppress(OSError):  # a folder that can only be read is read nonetheless
            _write(folder, mark)


def note(folder: StudyFolder, engine: sa.Engine) -> None:
    """Records the database, as its first listener is invited."""
    if _read(folder) is None:
        with reading(engine) as connection:
            mark = _mark(connection)
        _write(folder, mark)


def identity(engine: sa.Engine) -> tuple[int, int] | None:
    """Which file an SQLite database is just now; None for other databases and where there is no file."""
    if engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:"):
        return None
    try:
        now_there = os.stat(engine.url.database)
    except OSError:
        return None
    return now_there.st_dev, now_there.st_ino


def check(engine: sa.Engine, opened: tuple[int, int] | None) -> None:
    """Asks the database for one row, and whether it can be written; a health check, so it changes nothing.

    opened: its identity when it was opened. Raises StoreError, whose words anybody may read so that they name
    no path, or SQLAlchemyError where it does not answer.
    """
    if opened is not None:
        here = identity(engine)
        if here is None:
            raise StoreError("The database file is gone.")
        if here != opened:
            raise StoreError("The database file is not the one that this server opened.")
    with reading(engine) as connection:
        connection.execute(sa.select(about.c.name).limit(1)).all()
        if connection.dialect.name == "sqlite":
            file = engine.url.database or ""
            writable = opened is None or (
                os.access(file, os.W_OK) and os.access(os.path.dirname(file) or ".", os.W_OK)
            )
        else:
            writable = connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"
    if not writable:
        raise StoreError("The database can only be read, so no answer can be saved.")


def _mark(connection: sa.Connection) -> str:
    return connection.execute(sa.select(about.c.value).where(about.c.name == "database")).scalar_one()


def _write(folder: StudyFolder, mark: str) -> None:
    folder.make_private()
    content = {"database": mark, "listeners_since": now().isoformat(timespec="seconds")}
    atomic.write(folder.database_record, json.dumps(content) + "\n", mode=0o600)


def _read(folder: StudyFolder) -> dict[str, str] | None:
    try:
        content = json.loads(folder.database_record.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise StoreError(f"{folder.database_record} cannot be read; restore it, or delete it to begin anew")
    return content


def _lost(folder: StudyFolder) -> StoreError:
    url = sa.make_url(folder.database_url())
    place = url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    return StoreError(
        f"{place} is not the database of this study's listeners, who were invited from "
        f"{str((_read(folder) or {}).get('listeners_since'))[:10]} on; put it back, as from a copy made by "
        "`study backup`, or name it in STUDY_DATABASE_URL; to begin anew without them delete "
        f"{folder.database_record}"
    )
