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


def _mark(connection: sa.Connection) -> str:
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
        f"{str((_read(folder) or {}).get('listeners_since'))[:10]} on; put it back, as from a copy made by "
        "`study backup`, or name it in STUDY_DATABASE_URL; to begin anew without them delete "
        f"{folder.database_record}"
    )
