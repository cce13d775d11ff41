"""Files of training runs on their way between a worker and the study, where the two share no file system.

A worker's `Outbox` looks at its folder again and again and sends what changed as a snapshot: the folder as it
was at one moment, so that a run in it can go on like one whose training was killed at that moment. A `Depot`
puts a snapshot in place once all of it is there, file by file in the order in which they were written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from caw.files import atomic

PIECE = 4_000_000  # bytes of a file that travel at once
_TRIES, _PAUSE = 10, 0.02  # s; for a moment in which nothing is written
_LAST = {"checkpoint.pt": 1, "finished.json": 2}  # of what one tick of the clock saw: these name others


class FilesDamaged(ValueError):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Piece:
    """The next bytes of a file. Between two pieces of one file come none of another."""

    path: str  # inside the folder, with slashes
    content: bytes


@dataclass(frozen=True)
class Snapshot:
    """All pieces of these files were sent."""

    files: tuple[tuple[str, str], ...]  # path and SHA-256, in the order in which they were written
    gone: tuple[str, ...] = ()  # paths of what was there before and is no longer


@dataclass(frozen=True)
class _Written:
    """What tells one state of a file from another."""

    time: int  # ns
    size: int
    inode: int


def contents(folder: Path, names: tuple[str, ...]) -> Iterator[Piece | Snapshot]:
    """All there is below `folder` of these names, files or folders with all they hold."""

    def ours(path: str) -> bool:
        return PurePosixPath(path).parts[0] in names

    yield from _sent(folder, {}, ours)


class Outbox:
    """The worker's side: tells what changed in `folder` after this was made."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sent = _state(folder)

    def changes(self) -> Iterator[Piece | Snapshot]:
        """What changed since the last call; nothing where nothing did, or where no quiet moment was found."""
        state = yield from _sent(self.folder, self.sent)
        if state is not None:
            self.sent = state


class Depot:
    """The other side: takes what an outbox sends and puts it into `folder`.

    name: tells the files of its unfinished transfers from those of others.
    """

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.name = name
        self.held: dict[str, tuple[Path, str]] = {}  # path -> where its bytes wait, their SHA-256
        self._open: tuple[str, Path, BinaryIO] | None = None
        self._digest = hashlib.sha256()

    def take(self, sent: Piece | Snapshot) -> bool:
        """Write down a piece; at a snapshot put all in place. Whether the work has come on then: what a log
        says may be new each time.

        Raises: FilesDamaged, with the folder as it was; OSError naming a file, as when the disk is full.
        """
        try:
            if isinstance(sent, Piece):
                self._write(sent)
                return False
            self._close()
            if {path: digest for path, (_, digest) in self.held.items()} != dict(sent.files):
                names = ", ".join(path for path, _ in sent.files)
                self.drop()
                raise FilesDamaged(f"{names}: arrived with other bytes than were sent")
            return self._settle(sent)
        except OSError as error:
            file = str(error.filename or self.folder)
            raise type(error)(error.errno, error.strerror, file) from None

    def drop(self) -> None:
        """Forget what came since the last snapshot."""
        if self._open is not None:
            with contextlib.suppress(OSError):  # of a full disk, which no longer matters
                self._open[2].close()
            self._open = None
        for waiting, _ in self.held.values():
            waiting.unlink(missing_ok=True)
        self.held.clear()

    def _write(self, piece: Piece) -> None:
        if self._open is None or self._open[0] != piece.path:
            self._close()
            self._begin(piece.path)
        self._open[2].write(piece.content)
        self._digest.update(piece.content)

    def _settle(self, snapshot: Snapshot) -> bool:
        new = False
        for path, digest in snapshot.files:
            waiting, place = self.held.pop(path)[0], self.folder / path
            if not path.endswith(".log"):
                new = new or not place.exists() or atomic.sha256(place) != digest
            place.parent.mkdir(parents=True, exist_ok=True)
            waiting.replace(place)
        for path in snapshot.gone:
            self._place(path).unlink(missing_ok=True)
        return new or bool(snapshot.gone)

    def _begin(self, path: str) -> None:
        self._place(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        waiting = self.folder / f".{self.name}-{len(self.held)}{atomic.TEMPORARY}"
        self._open = path, waiting, waiting.open("wb")
        self._digest = hashlib.sha256()
        self.held[path] = waiting, ""

    def _close(self) -> None:
        if self._open is None:
            return
        path, waiting, file = self._open
        self._open = None
        with file:
            file.flush()
            os.fsync(file.fileno())
        self.held[path] = waiting, self._digest.hexdigest()

    def _place(self, path: str) -> Path:
        """Inside the folder, whatever the other side says."""
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
            raise FilesDamaged(f"{path!r} is no path inside {self.folder}")
        return self.folder / path


def _sent(
    folder: Path, known: dict[str, _Written], ours: Callable[[str], bool] = lambda path: True
) -> Iterator[Piece | Snapshot]:
    """Pieces and snapshot of what is not `known`; returns the folder's state, None without a quiet moment."""
    with contextlib.ExitStack() as held:
        if (caught := _caught(folder, known, ours, held)) is None:
            return None
        state, files = caught
        digests = []
        for path, file in files.items():
            digest = hashlib.sha256()
            for content in _pieces(file, state[path].size):
                digest.update(content)
                yield Piece(path, content)
            digests.append((path, digest.hexdigest()))
        gone = tuple(sorted(known.keys() - state.keys()))
        if digests or gone:
            yield Snapshot(tuple(digests), gone)
        return state


def _caught(
    folder: Path, known: dict[str, _Written], ours: Callable[[str], bool], held: contextlib.ExitStack
) -> tuple[dict[str, _Written], dict[str, BinaryIO]] | None:
    """The folder's state and its new files, opened, of a moment in which all of them were so."""
    for _ in range(_TRIES):
        state = {path: seen for path, seen in _state(folder).items() if ours(path)}
        new = sorted(path for path, seen in state.items() if known.get(path) != seen)
        new.sort(key=lambda path: (state[path].time, _LAST.get(path.rsplit("/")[-1], 0)))
        with contextlib.suppress(FileNotFoundError):
            files = {path: held.enter_context((folder / path).open("rb")) for path in new}
            if {path: seen for path, seen in _state(folder).items() if ours(path)} == state:
                return state, files
        held.close()
        time.sleep(_PAUSE)
    return None


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """At least one, also of an empty file; of a file that grows no more than its size was."""
    left = size
    while True:
        content = file.read(min(PIECE, left))
        left -= len(content)
        yield content
        if not content or not left:
            return


def _state(folder: Path) -> dict[str, _Written]:
    """All files below a folder, but what a write in progress keeps beside its file's place."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(atomic.TEMPORARY):
                continue
            path = Path(root, name)
            with contextlib.suppress(FileNotFoundError):
                seen = path.lstat()
                inside = path.relative_to(folder).as_posix()
                found[inside] = _Written(seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found
