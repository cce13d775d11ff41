"""Clips made by a system that was run elsewhere: read, checked, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw import audio
from study.backends import BackendError, Clip, Cost, Task, Tell


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
            raise BackendError(f"unknown option {key!r}; imported clips have none", key=key)

    def recipe(self, task: Task) -> dict[str, Any]:
        return {"file": task.cell.file_sha256}

    def shared_job(self, task: Task) -> str:
        return ""

    def artifacts(self, task: Task) -> tuple[str, ...]:
        return ()

    def costs(self, task: Task) -> dict[str, Cost]:
        return {name: Cost(0.2) for name in task.names}

    def make(self, task: Task, tell: Tell) -> Iterator[Clip]:
        """Raises: caw.audio.AudioError when the file is no usable sound or is too short."""
        for done, name in enumerate(task.names):
            tell(done / len(task.names), f"import {name}")
            samples, rate = audio.read(task.cell.file)
            if len(samples) / rate < task.seconds:
                told = (
                    f"{task.cell.file}: is {len(samples) / rate:.2f} s long, {task.seconds:.2f} s are needed"
                )
                raise audio.AudioError(
                    f"{told}; import a longer clip or lower stimuli.seconds or stimuli.trim"
                )
            yield Clip(name, samples, rate, seed=None, run="")


BACKEND = ImportedBackend()
