"""Digests of the files and folders that a command line names. Clips are made again when one has changed.

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
_SETTLED = 2.0  # seconds, the coarsest clock of any file system: a later write shows in the file's times
_CACHE = "__pycache__"  # left behind by running a program, as are files whose names begin with a dot


def digest(path: Path, without: Collection[Path] = ()) -> str | None:
    """The digest of the content of a file or folder.

    In a folder, the names and the contents of all files count, except for caches and hidden files.

    Parameters
    ----------
    path : Path
    without : collection of Path
        Files and folders that do not count either: `path` itself, or some inside it.

    Returns
    -------
    str or None
        None for a path that is neither a file nor a folder, and for a folder of too many files.

    Raises
    ------
    OSError
        For a file that may not be read.
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
    """The digest of each file that counts, by its path in the folder, or by "" where `path` is a file."""
    excluded = [place.resolve() for place in without]
    if _is_in(path, excluded):
        return None
    if path.is_file():
        return {"": _of_file(path)}
    if not path.is_dir():
        return None
    names = list(islice(_files_in(path, excluded), _MOST_FILES + 1))
    if len(names) > _MOST_FILES:
        return None
    return {name: _of_file(path / name) for name in names}


def _files_in(folder: Path, excluded: Collection[Path]) -> Iterator[str]:
    """The files that count, by their paths in the folder, always in the same order."""
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name != _CACHE and not name.startswith("."))
        below[:] = [name for name in below if not _is_in(Path(place, name), excluded)]
        for name in sorted(files):
            file = Path(place, name)
            if not name.startswith(".") and file.is_file() and not _is_in(file, excluded):
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
    """The digest of a file, read once while its size and times stay: every cell of a study asks for it."""
    if size <= _WHOLE:
        return atomic.sha256(file)
    blocks = hashlib.sha256(str(size).encode())
    with file.open("rb") as content:
        for index in range(_BLOCKS):
            content.seek((size - _BLOCK) * index // (_BLOCKS - 1))
            blocks.update(content.read(_BLOCK))
    return blocks.hexdigest()
