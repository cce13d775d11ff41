"""Files of training runs on their way between a worker and the study, where the two share no file system.

A worker's `Outbox` looks at its folder again and again and sends what changed as a snapshot: the folder as it
was at one moment, so that a run in it can go on like one whose training was killed at that moment. The study's
`Depot` puts a snapshot in place once all of it is there, in the order in which its files were written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from caw import atomic

PIECE = 4_000_000  # bytes of a file that travel at once
_TRIES, _PAUSE = 5, 0.02  # s; for a moment in which nothing is written
_LAST = ("checkpoint.pt", "finished.json")  # of files written within one tick of the clock: they name others


class FilesDamaged(ValueError):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Piece:
    """The next bytes of a file."""

    path: str  # inside the folder, with slashes
    content: bytes


@dataclass(frozen=True)
class Snapshot:
    """All pieces of these files were sent."""

    files: tuple[tuple[str, str], ...]  # path and SHA-256, in the order in which they were written
    gone: tuple[str, ...] = ()  # what is no longer there

    def __bool__(self) -> bool:
        return bool(self.files or self.gone)


class Outbox:
    """The worker's side: tells what changed in `folder` since this was made, and from then on."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sent = _state(folder)

    def changes(self) -> Iterator[Piece | Snapshot]:
        """What changed, pieces first; nothing where nothing did, or where no quiet moment was found."""
        with contextlib.ExitStack() as held:
            if (caught := self._caught(held)) is None:
                return
            state, files = caught
            gone = tuple(sorted(self.sent.keys() - state.keys()))
            digests = []
            for path, file in files.items():
                digest = hashlib.sha256()
                for content in _pieces(file, state[path].size):
                    digest.update(content)
                    yield Piece(path, content)
                digests.append((path, digest.hexdigest()))
            if snapshot := Snapshot(tuple(digests), gone):
                yield snapshot
            self.sent = state

    def _caught(self, held: contextlib.ExitStack) -> tuple[dict[str, _Written], dict[str, BinaryIO]] | None:
        """The folder's state and its changed files, opened, of a moment in which all of them were so."""
        for _ in range(_TRIES):
            before = _state(self.folder)
            changed = [path for path in before if self.sent.get(path) != before[path]]
            changed.sort(key=lambda path: (before[path].time, _LAST.index(_name(path)) + 1 if _name(path) in _LAST else 0))
            with contextlib.suppress(FileNotFoundError):
                files = {path: held.enter_context((self.folder / path).open("rb")) for path in changed}
                if _state(self.folder) == before:
                    return before, files
            held.close()
            time.sleep(_PAUSE)
        return None


@dataclass(frozen=True)
class _Written:
    """What tells one state of a file from another."""

    time: int  # ns
    size: int
    inode: int


def _state(folder: Path) -> dict[str, _Written]:
    """All files below a folder, but those that a write in progress keeps beside its place."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(atomic.TEMPORARY):
                continue
            with contextlib.suppress(FileNotFoundError):
                path = Path(root, name)
                seen = path.lstat()
                found[path.relative_to(folder).as_posix()] = _Written(seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found
