"""Backups: the whole database in one SQLite file, made while listeners answer, and how one is put back.

The copy is one moment of the database: whatever was acknowledged before it began is in it, and nothing half.
It is a database of the same version, so every command reads it at `sqlite:///FILE`, a PostgreSQL study's too.
The recordings that it names are in a folder beside it (`study.store.backup_recordings`).
Used through store.Store.backup and the command `study restore-backup`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from study import blinding
from study.folder import StudyFolder
from study.store import backup_recordings, database, database_file, database_record, study_log
from study.store.answering import StoreError
from study.store.backup_recordings import Named
from study.store.builds import has_answers, newest
from study.store.schema import metadata

_ROWS = 1000  # copied at once
_ATTEMPTS = 5  # at a copy whose recordings listeners replace meanwhile


@dataclass(frozen=True)
class Restored:
    """aside: the file that keeps what was there before; None where there was nothing. lost: the recordings
    that the backup names and that are neither beside it nor in the study's folder. recordings_aside: the
    folder that keeps those which the backup does not name; None where there are none.
    """

    aside: Path | None
    lost: list[Named]
    recordings_aside: Path | None


def backup(engine: sa.Engine, file: Path, recordings: Path | None) -> list[Named]:
    """See store.Store.backup. recordings: the folder of the study's recordings."""
    part, folder = file.with_name(f".{file.name}.part"), backup_recordings.beside(file)
    folder_part = backup_recordings.beside(part)
    try:
        if folder.exists():
            raise FileExistsError
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the name is ours from here on
    except FileExistsError:
        there = folder if folder.exists() else file
        raise StoreError(
            f"{there} is there already, and a backup overwrites nothing", "name a new file"
        ) from None
    except OSError as error:
        raise StoreError(
            f"cannot write {file}: {error.strerror}", "name a file in a folder that is there"
        ) from error
    try:
        shutil.rmtree(folder_part, ignore_errors=True)
        lost = _copy(engine, part, recordings, folder_part)
        _flush(part)
        if folder_part.is_dir():
            _flush(folder_part)
            folder_part.replace(folder)
        part.replace(file)
        _flush(file.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        shutil.rmtree(folder_part, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        file.unlink(missing_ok=True)
        if isinstance(error, database_file.DatabaseFileError):
            raise StoreError(*error.args) from error
        raise
    return lost


def _copy(engine: sa.Engine, part: Path, recordings: Path | None, folder: Path) -> list[Named]:
    """Copies the database, and then the recordings that the copy names; returns those that are lost.

    A recording that a listener withdrew between the two makes another copy of the database necessary.
    """
    for _attempt in range(_ATTEMPTS):
        part.unlink(missing_ok=True)
        if engine.dialect.name == "sqlite":
            opened = database_file.DatabaseFile.at(engine.url.database)
            with contextlib.closing(opened.connect()) as source:  # never an empty one in a lost one's place
                database_file.copy_whole(source, part)
        else:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy_tables(engine, part)
        _check(part)
        if recordings is None:
            return []
        wanted = backup_recordings.named_in(part)
        lost = backup_recordings.copy(wanted, recordings, folder)
        if {one.file for one in lost} <= {one.file for one in backup_recordings.named(engine)}:
            names = {one.file for one in wanted}
            for file in (file for file in folder.glob("*") if file.name not in names):
                file.unlink()  # of an earlier attempt
            return lost
    what = "listeners replace their recordings faster than they can be copied"
    raise StoreError(what, "try again, with the server stopped if need be")


def restore(folder: StudyFolder, file: Path, who: str) -> Restored:
    """Puts a backup in the place of the study's SQLite database, and its recordings beside it.

    The backup is checked first, and brought to the present tables in a copy; it is left as it is itself. Then
    SQLite's own backup writes it over the database in one transaction, which a killed process does not
    leave half done. An unblinding that the backup does not know of is carried over: the key stays opened.
    Its recordings are in the study's folder before, and those that it does not name stay there until after.

    Raises StoreError for a file that is no backup of this study, and while a server uses the database.
    """
    url = sa.make_url(folder.database_url())
    beside = backup_recordings.beside(file)
    if url.get_backend_name() != "sqlite":
        too = f", and copy what is in {beside} to {folder.recordings}" if beside.is_dir() else ""
        raise StoreError(
            f"the answers of {folder.path} are in PostgreSQL ({url.render_as_string(hide_password=True)}), "
            "where pg_restore puts back what pg_dump wrote",
            "a file of `study backup` is used as it is: "
            f"set STUDY_DATABASE_URL=sqlite:///{file.absolute()}{too}",
        )
    target = Path(os.path.realpath(url.database or ""))
    part, half = (target.with_name(f".{target.name}.{what}") for what in ("restored", "replaced"))
    recordings_aside, whole = None, False
    try:
        database_file.require_unused(target)
        _remove(part)
        _copy_of_backup(file, target, part)
        _bring_up(folder, file, part)
        wanted = backup_recordings.named_in(part)
        lost = backup_recordings.copy(wanted, beside, folder.recordings)
        aside = database_file.free_name(target, "replaced")
        recordings_aside = backup_recordings.beside(aside)
        others = backup_recordings.keep_others(folder.recordings, wanted, recordings_aside)
        with _opened(target) as current:
            if current is not None:
                _remove(half)
                database_file.copy_whole(current, half)
                _flush(half)
                half.replace(aside)
                _record(part, who, file, aside, current)
                with contextlib.closing(sqlite3.connect(part)) as source:
                    source.backup(current)
        replaced: Path | None = aside
        if current is None:
            replaced = aside if _set_aside(target, aside) else None
            _record(part, who, file, replaced)
            _flush(part)
            part.replace(target)
            _flush(target.parent)
        whole = True
    except database_file.DatabaseFileError as error:
        raise StoreError(*error.args) from error
    except (sqlite3.Error, sa.exc.SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        problem = f"cannot put {file} in the place of {target}: {reason}"
        raise StoreError(problem, "nothing is lost: see to the folder and the disk, and try again") from error
    finally:
        _remove(part)
        _remove(half)
        if not whole and recordings_aside is not None:
            shutil.rmtree(recordings_aside, ignore_errors=True)
    for other in others:
        other.unlink(missing_ok=True)
    return Restored(replaced, lost, recordings_aside if others else None)


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
