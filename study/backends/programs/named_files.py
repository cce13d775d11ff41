"""What the files and folders hold that a command line names: clips are made again when one has changed.

Contents decide, not dates, so that a copy of a study on another machine is the same study. Weights of many
GB cost no more than small ones: of a large file `_BLOCKS` blocks are read, spread evenly over it, as a model
that was trained again differs everywhere.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from caw.files import atomic

_WHOLE = 20_000_000  # bytes up to which all of a file is read
_BLOCKS, _BLOCK = 64, 65536  # of a larger one; bytes of each
_MOST_FILES = 1000  # in a folder: more are a disk or a collection, and would be read at every look
_SETTLED = 2.0  # s after which another write shows in a file's times: as coarse as any file system's clock is
_BY_THE_WAY = "__pycache__"  # what running a program leaves behind, as are files whose names begin with a dot


def digest(path: Path, without: Collection[Path] = ()) -> str | None:
    """Of a file's or a folder's content; None for what is neither, and for a folder of too many files.

    Of a folder count its files' names in it and their contents, but for what programs leave by the way.
    without: files and folders that do not count either, be it `path` itself or what is in it.
    Raises: OSError for what may not be read.
    """
    each = digests(path, without)
    if each is None:
        return None
    if "" in each:
        return each[""]
    all_of_it = hashlib.sha256()
    for name, content in each.items():
        all_of_it.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return all_of_it.hexdigest()


def digests(path: Path, without: Collection[Path] = ()) -> dict[str, str] | None:
    """As `digest`, of each file that counts: by its path in the folder, or "" for a file that is `path`."""
    left_out = [place.resolve() for place in without]
    if _is_in(path, left_out):
        return None
    if path.is_file():
        return {"": _of_file(path)}
    if not path.is_dir():
        return None
    names = list(islice(_files_in(path, left_out), _MOST_FILES + 1))
    if len(names) > _MOST_FILES:
        return None
    return {name: _of_file(path / name) for name in names}


def _files_in(folder: Path, left_out: Collection[Path]) -> Iterator[str]:
    """The files that count, by their paths in the folder, always in the same order."""
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name != _BY_THE_WAY and not name.startswith("."))
        below[:] = [name for name in below if not _is_in(Path(place, name), left_out)]
        for name in sorted(files):
            file = Path(place, name)
            if not name.startswith(".") and file.is_file() and not _is_in(file, left_out):
                yield file.relative_to(folder).as_posix()


def _is_in(path: Path, places: Collection[Path]) -> bool:
    return bool(places) and any(path.resolve().is_relative_to(place) for place in places)


def _of_file(file: Path) -> str:
    facts = file.stat()
    if time.time() - max(facts.st_mtime, facts.st_ctime) < _SETTLED:
        return _read.__wrapped__(file, facts.st_size)
    return _read(file, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


@lru_cache(maxsize=10 * _MOST_FILES)
def _read(file: Path, size: int, *_unchanged_while: int) -> str:
    """A file's digest, read once while nothing says that it has changed: every cell of a study asks."""
    if size <= _WHOLE:
        return atomic.sha256(file)
    found = hashlib.sha256(str(size).encode())
    with file.open("rb") as content:
        for index in range(_BLOCKS):
            content.seek((size - _BLOCK) * index // (_BLOCKS - 1))
            found.update(content.read(_BLOCK))
    return found.hexdigest()
