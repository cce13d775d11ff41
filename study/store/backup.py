"""Backups: the whole database in one SQLite file, made while listeners answer, and how one is put back.

The copy is one moment of the database: whatever was acknowledged before it began is in it, and nothing half.
It is a database of the same version, so every command reads it at `sqlite:///FILE`, a PostgreSQL study's too.
Used through store.Store.backup and the command `study restore-backup`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from study import blinding
from study.folder import StudyFolder
from study.store import database, database_file, database_record, study_log
from study.store.answering import StoreError
from study.store.builds import has_answers, newest
from study.store.schema import metadata

_ROWS = 1000  # copied at once


def backup(engine: sa.Engine, file: Path) -> None:
    """See store.Store.backup."""
    part = file.with_name(f".{file.name}.part")
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the name is ours from here on
    except FileExistsError:
        raise StoreError(
            f"{file} is there already, and a backup overwrites nothing", "name a new file"
        ) from None
    except OSError as error:
        raise StoreError(
            f"cannot write {file}: {error.strerror}", "name a file in a folder that is there"
        ) from error
    try:
        part.unlink(missing_ok=True)
        if engine.dialect.name == "sqlite":
            opened = database_file.DatabaseFile.at(engine.url.database)
            with contextlib.closing(opened.connect()) as source:  # never an empty one in a lost one's place
                database_file.copy_whole(source, part)
        else:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy_tables(engine, part)
        _check(part)
        _flush(part)
        part.replace(file)
        _flush(file.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        if isinstance(error, database_file.DatabaseFileError):
            raise StoreError(*error.args) from error
        raise


def restore(folder: StudyFolder, file: Path, who: str) -> Path | None:
    """Puts a backup in the place of the study's SQLite database. Returns the file that keeps what was there.

    The backup is checked first, and brought to the present tables in a copy; it is left as it is itself. Then
    SQLite's own backup writes it over the database in one transaction, which a killed process does not
    leave half done. An unblinding that the backup does not know of is carried over: the key stays opened.

    Raises StoreError for a file that is no backup of this study, and while a server uses the database.
    """
    url = sa.make_url(folder.database_url())
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            f"the answers of {folder.path} are in PostgreSQL ({url.render_as_string(hide_password=True)}), "
            "where pg_restore puts back what pg_dump wrote",
            f"a file of `study backup` is used as it is: set STUDY_DATABASE_URL=sqlite:///{file.absolute()}",
        )
    target = Path(os.path.realpath(url.database or ""))
    part, half = (target.with_name(f".{target.name}.{what}") for what in ("restored", "replaced"))
    try:
        database_file.require_unused(target)
        _remove(part)
        _copy_of_backup(file, target, part)
        _bring_up(folder, file, part)
        aside = database_file.free_name(target, "replaced")
        with _opened(target) as current:
            if current is not None:
                _remove(half)
                database_file.copy_whole(current, half)
                _flush(half)
                half.replace(aside)
                _record(part, who, file, aside, current)
                with contextlib.closing(sqlite3.connect(part)) as source:
                    source.backup(current)
                return aside
        replaced = aside if _set_aside(target, aside) else None
        _record(part, who, file, replaced)
        _flush(part)
        part.replace(target)
        _flush(target.parent)
        return replaced
    except database_file.DatabaseFileError as error:
        raise StoreError(*error.args) from error
    except (sqlite3.Error, sa.exc.SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        problem = f"cannot put {file} in the place of {target}: {reason}"
        raise StoreError(problem, "nothing is lost: see to the folder and the disk, and try again") from error
    finally:
        _remove(part)
        _remove(half)


def _copy_of_backup(file: Path, target: Path, part: Path) -> None:
    """Copies a backup, which stays as it is, and checks the copy."""
    other = "name a file made by `study backup`"
    if not file.is_file():
        raise StoreError(f"{file}: there is no such file", other)
    if target.exists() and file.samefile(target):
        raise StoreError(f"{file} is the study's database itself", other)
    database_file.require_own_log(file)
    with_log = file.with_name(f"{file.name}-wal").exists()
    how = "mode=ro" if with_log else "immutable=1"  # nothing appears beside a backup, which may be read-only
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)) as source:
            database_file.copy_whole(source, part)
        fault = _fault(part)
        with contextlib.closing(sqlite3.connect(part)) as raw:
            tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        fault, tables = str(error), set()
    if fault:
        raise StoreError(f"{file} is damaged or no database ({fault})", other)
    if not {"about", "listener", "answer", "unblinding"} <= tables:
        raise StoreError(f"{file} is no database of a study", other)


def _bring_up(folder: StudyFolder, file: Path, part: Path) -> None:
    """Brings the copy of a backup to the present tables, and makes sure that it is one of this study."""
    try:
        engine = database.connect(f"sqlite:///{part}", copy_old=False)
    except database.UnknownSchemaError as error:
        raise StoreError(f"{file} {error.problem.what}", error.problem.fix) from error
    try:
        if (expected := database_record.expected(folder)) is not None:
            with database.reading(engine) as connection:
                if database_record.mark(connection) != expected:
                    raise StoreError(
                        f"{file} is a backup of another study than {folder.path}, or of the one before it "
                        "began anew",
                        f"name one of this study, or delete {folder.database_record} to go over "
                        "to that one's listeners",
                    )
        with database.reading(engine) as connection:
            build, answered = newest(connection), has_answers(connection)
        sealed = blinding.seal(folder) if folder.key.is_file() else None
        if build is not None and answered and sealed not in (None, build.key_sha256):
            raise StoreError(
                f"{file} holds answers to other sets than those in {folder.sets} (their key is "
                f"{build.key_sha256[:12]}, that of {folder.path} is {sealed[:12]})",
                "put back the folder of that time as well",
            )
    finally:
        engine.dispose()


@contextlib.contextmanager
def _opened(target: Path) -> Iterator[sqlite3.Connection | None]:
    """The database, as the only one who uses it; None where there is none that can be read."""
    with contextlib.ExitStack() as stack:
        current = None
        if target.exists() and target.stat().st_size:
            try:
                database_file.require_own_log(target)
                current = stack.enter_context(database_file.exclusive_connection(target))
                if current.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise sqlite3.DatabaseError("damaged")
            except database_file.DatabaseInUse:
                raise
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and not isinstance(
                    error, database_file.DatabaseFileError
                ):
                    raise  # as where the file may not be written
                stack.close()
                current = None
        yield current


def _set_aside(target: Path, aside: Path) -> bool:
    """Takes a database that cannot be read out of the way with all that lies beside it.

    The files beside it are copied before it is renamed, and removed after: it is never without them.
    """
    beside = [target.with_name(f"{target.name}{end}") for end in database_file.BESIDE]
    beside = [path for path in beside if path.exists()]
    for path in beside:
        copy = aside.with_name(path.name.replace(target.name, aside.name, 1))
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
    there = target.exists()
    if there:
        target.replace(aside)
    for path in beside:
        path.unlink()
    return there or bool(beside)


def _record(
    part: Path, who: str, file: Path, aside: Path | None, current: sqlite3.Connection | None = None
) -> None:
    """Writes the restoring into the log of the copy, and the unblindings of what it replaces."""
    engine = database.connect(f"sqlite:///{part}")
    try:
        with engine.begin() as connection:
            note = f"; what it replaced is in {aside.name}" if aside is not None else ""
            study_log.log(connection, who, "backup restored", f"{file.name}{note}")
            query = "SELECT at, who, reason, key_sha256 FROM unblinding"
            known = {tuple(row) for row in connection.exec_driver_sql(query)}
            rows = [] if current is None else [row for row in current.execute(query) if row not in known]
            for row in rows:
                connection.exec_driver_sql(
                    "INSERT INTO unblinding (at, who, reason, key_sha256) VALUES (?, ?, ?, ?)", row
                )
            if rows:
                study_log.close_in(connection, who)
    finally:
        engine.dispose()
    with contextlib.closing(sqlite3.connect(part)) as raw:
        raw.execute("PRAGMA journal_mode=DELETE")
    _check(part)


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
    if fault := _fault(file):
        raise StoreError(f"the copy of the database is damaged ({fault})", "check the disk and the database")


def _fault(file: Path) -> str:
    """What SQLite finds wrong with a database file; "" for nothing."""
    with contextlib.closing(sqlite3.connect(file)) as raw:
        result = raw.execute("PRAGMA integrity_check").fetchone()[0]
        loose = len(raw.execute("PRAGMA foreign_key_check").fetchall())
    return result if result != "ok" else f"{loose} rows point at none" if loose else ""


def _flush(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(file: Path) -> None:
    for name in (file.name, *(f"{file.name}{end}" for end in database_file.BESIDE)):
        file.with_name(name).unlink(missing_ok=True)
