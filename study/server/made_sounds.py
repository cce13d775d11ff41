"""Sounds that the server makes when they are first asked for, as files of this process.

They lie in a temporary folder that is gone when the process ends. Many listeners may ask for the same sound
in the same moment, and somebody may tidy up temporary files while the server runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


class MadeSounds:
    """Files that are made at need. kept: how many there may be; those used last stay. None: all of them."""

    def __init__(self, kept: int | None = None) -> None:
        self.kept = kept
        self._lock = threading.Lock()
        self._folder: TemporaryDirectory | None = None

    def file(self, name: str, make: Callable[[Path], object]) -> Path:
        """The file of this name. `make` writes it to the path that it is given, where it is not there yet."""
        path = self._home() / name
        try:
            os.utime(path)  # it is in use
            return path
        except FileNotFoundError:
            begun = path.with_name(f".{os.urandom(4).hex()}{name}")
        try:
            make(begun)
            begun.rename(path)
        finally:
            begun.unlink(missing_ok=True)
        if self.kept is not None:
            for old in sorted(path.parent.glob("[!.]*"), key=_age)[: -self.kept]:
                old.unlink(missing_ok=True)
        return path

    def _home(self) -> Path:
        with self._lock:
            if self._folder is None or not Path(self._folder.name).is_dir():
                self._folder = TemporaryDirectory(prefix="study-", ignore_cleanup_errors=True)
            return Path(self._folder.name)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another request removed it
        return 0.0
