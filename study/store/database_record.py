"""Which database a study's listeners are in: private/database.json, written when the first is invited.

Without it a lost responses.sqlite would be replaced by an empty one in silence, and everybody's link and
answers would be gone without a word. To begin anew on purpose, the record is deleted.
"""

from __future__ import annotations

import contextlib
import json
import os

import sqlalchemy as sa

from caw.files import atomic
from study.folder import StudyFolder
from study.store.answering import StoreError
from study.store.database import reading
from study.store.schema import about, listener, now


def require_file(folder: StudyFolder) -> None:
    """Raise StoreError where an SQLite file with listeners is gone, before an empty one takes its place."""
    with contextlib.suppress(sa.exc.ArgumentError):  # an address that is none is told on opening
        url = sa.make_url(folder.database_url())
        gone = url.get_backend_name() == "sqlite" and not os.path.exists(url.database or "")
        if gone and _read(folder) is not None:
            raise _lost(folder)


def require(folder: StudyFolder, engine: sa.Engine) -> None:
    """Raise StoreError where the opened database is another one than that of the study's listeners.

    A database with listeners is recorded where no record exists.
    """
    with reading(engine) as connection:
        here = mark(connection)
        peopled = connection.execute(sa.select(listener.c.id).limit(1)).first() is not None
    known = _read(folder)
    if known is not None and known.get("database") != here:
        raise _lost(folder)
    if known is None and peopled:
        with contextlib.suppress(OSError):  # a folder that can only be read is read nonetheless
            _write(folder, here)


def note(folder: StudyFolder, engine: sa.Engine) -> None:
    """Record the database, as its first listener is invited."""
    if _read(folder) is None:
        with reading(engine) as connection:
            here = mark(connection)
        _write(folder, here)


def expected(folder: StudyFolder) -> str | None:
    """Return the mark of the database of the study's listeners; None before the first is invited."""
    return (_read(folder) or {}).get("database")


def mark(connection: sa.Connection) -> str:
    """Return the random mark by which a database differs from those of other studies."""
    return connection.execute(sa.select(about.c.value).where(about.c.name == "database")).scalar_one()


def _write(folder: StudyFolder, mark: str) -> None:
    folder.make_private()
    content = {"database": mark, "listeners_since": now().isoformat(timespec="seconds")}
    atomic.write(folder.database_record, json.dumps(content) + "\n", mode=0o600)


def _read(folder: StudyFolder) -> dict[str, str] | None:
    try:
        return atomic.read_json(folder.database_record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        message = f"{folder.database_record} cannot be read; restore it, or delete it to begin anew"
        raise StoreError(message) from None


def _lost(folder: StudyFolder) -> StoreError:
    url = sa.make_url(folder.database_url())
    place = url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    return StoreError(
        f"{place} is not the database of this study's listeners, who were invited from "
        f"{str((_read(folder) or {}).get('listeners_since'))[:10]} on",
        "put a copy made by `study backup` in "
        f"its place with `study restore-backup {folder.path} FILE`, or name the right one in "
        f"STUDY_DATABASE_URL; to begin anew without them delete {folder.database_record}",
    )
