"""The recordings of a backup: what listeners sent in the follow-up, in a folder beside the backup's file.

A backup FILE of a study with recordings has a folder FILE.recordings. It holds each recording that the copied
database names, under its name, and nothing else. A recording never changes: another one has another name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from study.folder import make_private
from study.store import database
from study.store.database_file import RECORDINGS
from study.store.schema import follow_up_clip, listener

_PART = ".part"  # of the names of files that are being written, as the server has them


@dataclass(frozen=True)
class Named:
    """A recording that a database names: its file, its size in bytes and sha256, and whose it is."""

    file: str
    size: int
    sha256: str
    listener: str

    def is_in(self, folder: Path) -> bool:
        """Whether the file is there, as it was taken. Reads all of it."""
        path = folder / self.file
        try:
            if Path(self.file).name != self.file or path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


def beside(file: Path) -> Path:
    """The folder of the recordings of a backup in a file."""
    return file.with_name(f"{file.name}{RECORDINGS}")


def named(engine: sa.Engine) -> list[Named]:
    """The recordings that a database names."""
    columns = [follow_up_clip.c[f"recording{end}"] for end in ("", "_bytes", "_sha256")]
    query = (
        sa.select(*columns, listener.c.name)
        .join(listener, listener.c.id == follow_up_clip.c.listener_id)
        .where(follow_up_clip.c.recording.is_not(None))
        .order_by(listener.c.id, follow_up_clip.c.slot)
    )
    with database.reading(engine) as connection:
        return [Named(*row) for row in connection.execute(query)]


def named_in(file: Path) -> list[Named]:
    """The recordings that an SQLite file with the present tables names."""
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        return named(engine)
    finally:
        engine.dispose()


def copy(wanted: Iterable[Named], source: Path, target: Path) -> list[Named]:
    """Copy recordings from a folder into another that has not got them yet, each in one step.

    Returns those that are whole in neither; of them, too, what there is is copied.
    """
    lost = []
    for one in wanted:
        if one.is_in(target):
            continue
        whole = one.is_in(source)
        try:
            if whole or not (target / Path(one.file).name).exists():
                _copy_one(source / Path(one.file).name, make_private(target))
        except FileNotFoundError:  # it was withdrawn, or another one took its place
            whole = False
        if not whole:
            lost.append(one)
    return lost


def keep_others(folder: Path, wanted: Iterable[Named], aside: Path) -> list[Path]:
    """Give the recordings of a folder that are not wanted a second place, in the folder `aside`.

    Returns their files. They stay in the first place as well, so that a killed process has lost nothing.
    """
    keep = {one.file for one in wanted}
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [file for file in files if file.name not in keep and file.suffix != _PART and file.is_file()]
    for file in others:
        try:
            os.link(file, make_private(aside) / file.name)
        except OSError:  # another disk, or one without links
            _copy_one(file, aside)
    return others


def _copy_one(file: Path, folder: Path) -> None:
    """Copies a file for its owner alone: it is in the folder as a whole, on the disk, or not at all."""
    part = folder / f"{file.name}{_PART}"
    try:
        with file.open("rb") as here, open(part, "wb", opener=_private) as there:
            shutil.copyfileobj(here, there)
            there.flush()
            os.fsync(there.fileno())
        part.replace(folder / file.name)
    finally:
        part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
