"""Keeps the worker of a folder going: starts it, wakes it, replaces it when it is lost, and ends it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import study as study_package
from study.muse.folder import PROGRESS, MuseFolder, Progress

PATIENCE = 20.0  # s in which a training writes its last checkpoint
PROBLEM = 2  # exit code of a worker that can do nothing before the user does something
LOSSES = 3  # workers lost in a row that left nothing, after which no other is started
_BETWEEN = 1.0  # s before a lost worker is replaced


class Keeper:
    """The worker of one folder, seen from the server."""

    def __init__(self, folder: MuseFolder) -> None:
        self.folder = folder
        self.lost = ""  # why no worker goes on any more, where the worker itself could not say
        self._process: subprocess.Popen | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def process_id(self) -> int | None:
        """Of the worker that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        self.folder.note_progress(Progress())  # what was done last time, or stood in its way, is over
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the worker look for what is missing."""
        process = self._process
        with contextlib.suppress(OSError, AttributeError, ValueError):  # none runs: the next one looks itself
            process.stdin.write(b"\n")
            process.stdin.flush()

    def stop(self) -> None:
        """End the worker; a training writes its last checkpoint first."""
        self._ending.set()
        process = self._process
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        losses, before = 0, -1.0
        while not self._ending.is_set():
            self._process = process = self._started()
            if self._ending.is_set():  # `stop` may have come before there was a process to end
                process.terminate()
            code = process.wait()
            if self._ending.is_set() or code == PROBLEM:
                return
            left = self._newest()
            losses, before = (1 if left != before else losses + 1), left
            if losses >= LOSSES:
                self.lost = f"exit code {code}" if code >= 0 else f"signal {-code}"
                return
            self._ending.wait(_BETWEEN)

    def _started(self) -> subprocess.Popen:
        root = str(Path(study_package.__file__).parents[1])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        return subprocess.Popen(
            [sys.executable, "-m", "study.muse.worker", str(self.folder.path)],
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
        )

    def _newest(self) -> float:
        """When the newest file was written: a worker that is lost again and again leaves none."""
        files = [file for file in self.folder.path.rglob("[!.]*") if file.name != PROGRESS]
        return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
