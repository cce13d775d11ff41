"""The SQLite file that holds the answers: whether it is still the one that was opened, and its log its own.

SQLite works on open files. Where a running server's file is moved, deleted or replaced, every commit still
succeeds, into a file that nobody finds again. And where a file is copied over the one of a killed server,
SQLite replays the log of the old one (FILE-wal) into it. Neither is an error to SQLite, so both are looked
for here, by device and inode and by the file's header.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from caw.problems import ProblemError

BUSY_SECONDS = 30  # how long a writer waits for another one before it gives up
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
RECORDINGS = ".recordings"  # how the folder of a backup's recordings ends, beside its file
_HEADER = b"SQLite format 3\0"
_WITHOUT_LOG = b"\x01\x01"  # bytes 18 and 19 of a file that has no log beside it, as of every backup
_OPENING = threading.RLock()


class DatabaseFileError(ProblemError, sqlite3.OperationalError):
    """The file, or the log beside it, is not the one that belongs here."""


class DatabaseInUse(DatabaseFileError):
    """Another process has the file open."""


class DatabaseFile:
    """One SQLite file, for all connections of this process to it."""

    _known: ClassVar[dict[Path, DatabaseFile]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()  # some are dropped without a close
        self._home: tuple[tuple[int, int] | None, ...] = ()  # of the file, its log and its index
        self._lost = False

    @classmethod
    def at(cls, path: Path | str) -> DatabaseFile:
        """The file at a path, which all engines of this process share."""
        place = Path(os.path.realpath(path))
        with _OPENING:
            return cls._known.setdefault(place, cls(place))

    def connect(self) -> Connection:
        """A new connection with a write-ahead log, flushed to the disk at every commit.

        Raises DatabaseFileError where the file is another one than that of the connections that are open, and
        where the log beside it is that of another file.
        """
        with _OPENING:
            if self.connections:
                self.require()
            else:
                require_own_log(self.path)
            raw = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw",  # never an empty file in the place of a lost one
                uri=True,
                timeout=BUSY_SECONDS,
                check_same_thread=False,
                isolation_level=None,  # the driver's own BEGIN would be a deferred one
                factory=Connection,
            )
            try:
                for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                    raw.execute(f"PRAGMA {pragma}")
                raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the log and its index
                if self.connections:
                    self.require()
                else:
                    self._home, self._lost = _identity(self.path), False
            except BaseException:
                raw.close()
                raise
            raw.file = self
            self.connections.add(raw)
            return raw

    def require(self) -> None:
        """Raises DatabaseFileError where the file or its log was moved, deleted or replaced since it was
        opened. Costs three looks at the folder.
        """
        identity = _identity(self.path)
        if identity != self._home:
            if identity[0] != self._home[0]:
                raise DatabaseFileError(
                    f"{self.path} was moved, deleted or replaced while it was in use",
                    "nothing is saved until "
                    "that very file is back; else stop the server, put a backup in its place with "
                    "`study restore-backup` and start the server again",
                )
            raise DatabaseFileError(
                f"{self.path}-wal or -shm was deleted or replaced while it was in use",
                "nothing is saved until the server is stopped and started again",
            )

    def report(self, connection: Connection) -> None:
        """As `require`; the first time it also writes a line to the log and secures what was saved so far.

        connection: an open one outside a transaction, which reaches the file that was opened.
        """
        try:
            self.require()
        except DatabaseFileError as error:
            with _OPENING:
                if not self._lost:
                    self._lost = True
                    print(f"DATABASE LOST: {error}{self._secure(connection)}", file=sys.stderr, flush=True)
            raise
        if self._lost:
            self._lost = False
            print(f"{self.path} is back: answers are saved again", file=sys.stderr, flush=True)

    def _secure(self, connection: Connection) -> str:
        """Brings what the open files hold to where it is found again. Returns where, for the log."""
        try:
            if _identity(self.path)[0] == self._home[0]:  # only the log is gone, and it can be emptied
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                return ""
            copy = free_name(self.path, "rescued")
            copy_whole(connection, copy)
        except (sqlite3.Error, OSError):  # as where the folder went with it
            return ""
        return f". All that was saved until now is in {copy}"


class Connection(sqlite3.Connection):
    """A connection whose commits count only where they went into the file that is in its place."""

    file: DatabaseFile | None = None

    def commit(self) -> None:
        super().commit()
        if self.file is not None:
            self.file.report(self)

    def close(self) -> None:
        super().close()
        if self.file is not None:
            with _OPENING:
                self.file.connections.discard(self)
            self.file = None


def require_own_log(path: Path) -> None:
    """Raises DatabaseFileError where the log beside a file is that of another file, before it is replayed.

    A file without a log says so in its header, so a log beside it was left by the file that it replaced; and
    a file copied while it had a log is damaged by one of another time, which SQLite's own check finds.
    """
    log = path.with_name(f"{path.name}-wal")
    if DatabaseFile.at(path).connections or not log.is_file() or not log.stat().st_size:
        return  # reading the file while this process has it open would end SQLite's locks on it
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(20)
        if header.startswith(_HEADER) and header[18:20] != _WITHOUT_LOG and _is_whole(path):
            return
    raise DatabaseFileError(
        f"{log} is not the log of {path}, as where a backup was copied over the database of a killed server",
        "nothing was changed; put the backup in place with `study restore-backup`, which keeps both aside",
    )


def _is_whole(path: Path) -> bool:
    """Whether a file and the log beside it make one sound database. Changes nothing.

    The first page holds how many pages there are, and so does every transaction in the log; SQLite does not
    compare them.
    """
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as raw:
        try:
            raw.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
            before = raw.execute("PRAGMA page_count").fetchone()[0]
            if raw.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                return False
            index = path.with_name(f"{path.name}-shm").read_bytes()[:24]
            frames, pages = struct.unpack("=II", index[16:24])  # of SQLite's WAL-index format
            after = raw.execute("PRAGMA page_count").fetchone()[0]
            return not frames or before <= pages <= after  # others may be writing
        except (sqlite3.OperationalError, OSError, struct.error):  # busy, or closed to us: opening tells
            return True
        except sqlite3.DatabaseError:
            return False


@contextlib.contextmanager
def exclusive_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """The only connection to a file, whose log is dealt with and which stays locked until the end.

    Raises DatabaseInUse where another process has it open.
    """
    require_unused(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as raw:
        try:
            if raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
                raise _in_use(path)
            raw.execute("PRAGMA locking_mode=EXCLUSIVE")
            raw.execute("BEGIN EXCLUSIVE")
            raw.execute("COMMIT")  # the lock stays
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            raise _in_use(path) from None
        yield raw


def require_unused(path: Path) -> None:
    """Raises DatabaseInUse where a process has the file open, or had as it was taken away."""
    if DatabaseFile.at(path).connections:
        raise _in_use(path)
    with contextlib.suppress(FileNotFoundError), path.with_name(f"{path.name}-shm").open("r+b") as index:
        try:
            fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _in_use(path) from None


def copy_whole(source: sqlite3.Connection, target: Path) -> None:
    """Copies a database as it is at this moment into a new file that stands alone, for its owner only.

    One step of SQLite's backup: a reader among others, which makes no writer wait.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(target)) as new:
            source.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def free_name(file: Path, what: str) -> Path:
    """A name beside a file that nothing has yet, nor anything beside it: FILE.WHAT.sqlite, FILE.WHAT-2..."""
    names = [f"{file.stem}.{what}{file.suffix}"]
    names += [f"{file.stem}.{what}-{number}{file.suffix}" for number in range(2, 1000)]
    taken = {entry.name for entry in file.absolute().parent.iterdir()}
    return next(
        file.with_name(name)
        for name in names
        if not taken & {name, *(f"{name}{end}" for end in (*BESIDE, RECORDINGS))}
    )


def _identity(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Device and inode of the file, its log and its index; None for what is not there."""
    entries: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal", f"{path}-shm"):
        try:
            entry = os.stat(name)
            entries.append((entry.st_dev, entry.st_ino))
        except OSError:
            entries.append(None)
    return tuple(entries)


def _in_use(path: Path) -> DatabaseInUse:
    return DatabaseInUse(f"{path} is in use by another process", "stop `study serve` and try again")
