"""Mosaic: the passage's own pieces in another order, without training. It is the control for the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from caw import audio
from study.backends import BackendError, Clip, Cost, ProgressCallback, Task, seed_for

_OPTIONS = ("run", "beats_per_bar", "tempo")
_SECONDS_TO_START, _SHARE_OF_CLIP, _SHARE_OF_OUTPUT = 0.2, 0.015, 0.005  # s; s per s of sound: of one core


class MosaicBackend:
    """Options of [backend.mosaic]: run (beats), beats_per_bar, tempo (beats a minute)."""

    name = "mosaic"
    needs = "nothing else; the passage must last 2 s"
    modes = ("UMG", "VAR")
    counts_epochs = False

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        from caw import mosaic

        for key, value in options.items():
            if key not in _OPTIONS:
                raise BackendError(f"unknown option {key!r}", f"mosaic has {', '.join(_OPTIONS)}", key=key)
            try:
                mosaic.check_options(**{key: value})
            except mosaic.MosaicError as error:
                raise BackendError(str(error), key=key) from None

    def recipe(self, task: Task) -> dict[str, Any]:
        return dict(task.options)

    def shared_job(self, task: Task) -> str:
        return ""

    def artifacts(self, task: Task) -> tuple[str, ...]:
        return ()

    def costs(self, task: Task) -> dict[str, Cost]:
        each = _SHARE_OF_OUTPUT * max(task.seconds, task.cell.seconds)
        start = (_SECONDS_TO_START + _SHARE_OF_CLIP * task.cell.seconds) / max(1, len(task.names))
        return {name: Cost(start + each) for name in task.names}

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Raises BackendError for a passage that cannot be cut, AudioError for a file that is no sound."""
        from caw import mosaic

        cell = task.cell
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        progress(0.0, f"cut {cell.source}")
        try:
            pieces = mosaic.cut(samples, rate, **task.options)
            for number, name in enumerate(task.names, 1):
                progress(number / (1 + len(task.names)), f"make {name}: {pieces.grid.description()}")
                seed = seed_for(task.seed, name)
                draw = pieces.vary if cell.mode == "VAR" else partial(pieces.generate, task.seconds)
                yield Clip(name, draw(seed=seed)[0], rate, seed, run="")
        except mosaic.MosaicError as error:
            raise BackendError(f"{cell.file}: {error}") from None


BACKEND = MosaicBackend()
