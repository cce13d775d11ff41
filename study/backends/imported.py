"""Clips made by a system that was run elsewhere. They are read and checked, and nothing else is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw import audio
from study.backends import BackendError, Clip, Cost, ProgressCallback, Task


class ImportedBackend:
    """One file is one cell of one clip: `task.cell.file`."""

    name = "imported"
    needs = "an [[imported]] table per clip"
    modes = ("UMG", "VAR")
    counts_epochs = False

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        for key in options:
            raise BackendError(f"unknown option {key!r}", "imported clips have none", key=key)

    def recipe(self, task: Task) -> dict[str, Any]:
        return {"file": task.cell.file_sha256}

    def shared_job(self, task: Task) -> str:
        return ""

    def artifacts(self, task: Task) -> tuple[str, ...]:
        return ()

    def costs(self, task: Task) -> dict[str, Cost]:
        return {name: Cost(0.2) for name in task.names}

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Raises caw.audio.AudioError for a file that is no usable sound or is too short."""
        for number, name in enumerate(task.names):
            progress(number / len(task.names), f"import {name}")
            samples, rate = audio.read(task.cell.file)
            if (length := len(samples) / rate) < task.seconds:
                what = f"{task.cell.file}: is {length:.2f} s long, {task.seconds:.2f} s are needed"
                fix = "import a longer clip or lower stimuli.seconds or stimuli.trim"
                raise audio.AudioError(f"{what}; {fix}")
            yield Clip(name, samples, rate, seed=None, run="")


BACKEND = ImportedBackend()
