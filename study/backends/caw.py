"""Catch-A-Waveform: one model per passage and epoch count, trained here.

A run is kept in models/SOURCE-EPOCHS/ and serves both modes. SOURCE-EPOCHS.recipe.json beside it says what it
was trained from (`study.backends.training`). The runs of one source share their steps where the preset
allows: each goes on from SOURCE.trunk.pt, where the one before it ended, and is the same as if it had been
trained alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caw import audio
from study.backends import Clip, Cost, ProgressCallback, Task, seed_for, training
from study.backends.training import songs
from study.design import BRIDGE

if TYPE_CHECKING:
    from caw.runs import Run

# Of one core, measured for 25 s at 16 kHz. `paper` works on the whole clip in every step, the others on
# crops.
_SECONDS_PER_EPOCH = {"fast": 0.5, "standard": 0.8, "paper": 600.0}
_MEASURED_LENGTH = 25.0  # seconds
_SECONDS_PER_CLIP = 2.0
_BYTES_PER_RUN = {"fast": 7.1e6, "standard": 9e6, "paper": 60e6}  # weights; clip and losses come on top
_BYTES_PER_TRUNK = {"fast": 23e6, "standard": 29e6}
_BYTES_PER_EPOCH = 280.0  # of losses.jsonl
_BYTES_PER_SECOND = 4 * 16000.0  # of the clip
_EPOCHS_PER_PART = 50  # of the costs, so that runs that share epochs name the parts alike


class CawBackend:
    """Options of [backend.caw]: preset, device, and any other field of caw.config.Settings."""

    name = "caw"
    needs = "nothing else; a GPU makes it faster"
    modes = ("UMG", "VAR")
    counts_epochs = True

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        training.refuse_set_elsewhere(options)
        self._settings(options, epochs=1, seed=0)

    def composes(self, options: Mapping[str, Any]) -> str:
        if options.get("preset") == "paper":
            return "the preset paper follows no plan, and learns from one clip alone"
        return "" if options.get("guide", True) else "a model without a guide follows no plan"

    def outdated(self, task: Task) -> tuple[str, str] | None:
        cell = task.cell
        asks = cell.requested_plan is not None or cell.plan == BRIDGE or cell.strength is not None
        asks = asks or cell.gap is not None
        if not asks or not (old := [f"models/{run.name}" for run in self._unguided_runs(task)]):
            return None
        was, them = ("was", "it") if len(old) == 1 else ("were", "them")
        what = f"{' and '.join(old)} {was} trained by an earlier version, whose models follow no plan"
        return what, f"delete {them} to have {them} trained anew, or delete this key"

    def recipe(self, task: Task) -> dict[str, Any]:
        options = {key: value for key, value in task.options.items() if key != "device"}
        return {"preset": "fast"} | options

    def shared_job(self, task: Task) -> str:
        return self._source(task) if self._shares(task) else self._folder(task).name

    def artifacts(self, task: Task) -> tuple[str, ...]:
        folder = self._folder(task)
        own = folder.name, training.recipe_file(folder).name
        if not self._shares(task):
            return own
        earlier = [
            name for run in self._unguided_runs(task) for name in (run.name, training.recipe_file(run).name)
        ]
        return tuple(dict.fromkeys((*own, self._trunk(task).name, *earlier)))

    def costs(self, task: Task) -> dict[str, Cost]:
        folder, cell = self._folder(task), task.cell
        clips = {name: Cost(self._seconds_per_clip(task)) for name in task.names}
        if self._is_complete(folder):
            return clips
        preset, epochs = task.options.get("preset", "fast"), cell.epochs or 1
        per_epoch = _SECONDS_PER_EPOCH[preset]
        disk = _BYTES_PER_RUN[preset] + _BYTES_PER_EPOCH * epochs + _BYTES_PER_SECOND * cell.seconds
        if preset == "paper":
            per_epoch *= cell.seconds / _MEASURED_LENGTH
        reached = self._reached(folder)
        if not self._shares(task):
            return {f"train {folder.name}": Cost(per_epoch * (epochs - reached), disk)} | clips
        source, begun = self._source(task), self._shared_epochs(task)
        parts = {f"keep {folder.name}": Cost(0.0, disk)}
        parts[f"keep {self._trunk(task).name}"] = Cost(0.0, _BYTES_PER_TRUNK[preset])
        for first in range(begun // _EPOCHS_PER_PART * _EPOCHS_PER_PART, epochs, _EPOCHS_PER_PART):
            last = min(first + _EPOCHS_PER_PART, epochs)
            steps = max(0, last - max(first, begun, reached))
            parts[f"train {source} from {first} to {last}"] = Cost(per_epoch * steps)
        return parts | clips

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Raises BackendError for a run of another recipe, and caw's ValueErrors for what it refuses."""
        folder = self._folder(task)
        whole = sum(cost.seconds for cost in self.costs(task).values())
        share = self._seconds_per_clip(task) * len(task.names) / whole
        run = self._trained(task, folder, lambda done, text: progress((1 - share) * done, text))
        for number, name in enumerate(task.names):
            progress(1 - share + share * number / len(task.names), f"make {name}")
            seed = seed_for(task.seed, name)
            yield Clip(name, self._drawn(run, task, seed), run.rate, seed, folder.name)

    @staticmethod
    def _seconds_per_clip(task: Task) -> float:
        cell = task.cell
        return _SECONDS_PER_CLIP if cell.gap is None or cell.mode == "VAR" else songs.SECONDS_PER_CLIP

    def _drawn(self, run: Run, task: Task, seed: int) -> np.ndarray:
        """One clip, float32 [n] at the run's rate."""
        cell = task.cell
        if cell.gap is not None:
            return songs.draw(run, task, seed)
        if cell.mode == "VAR":
            return run.vary(seed=seed, strength=cell.strength)
        if cell.plan == BRIDGE:
            return _bridge(run, task, seed)
        return run.generate(task.seconds, seed=seed, plan=cell.requested_plan)

    def _trained(self, task: Task, folder: Path, progress: ProgressCallback):
        """The run of this task's source and epochs: loaded, continued, or trained from the start."""
        from caw import runs

        settings = self._settings(task.options, epochs=task.cell.epochs, seed=task.training_seed)
        if earlier := self._unguided_runs(task):  # epoch counts of one source are to differ in nothing else
            own = {name: getattr(settings, name) for name in ("epochs", "seed", "device", *task.options)}
            settings = replace(runs.load(earlier[0]).settings, **own)
        recipe = self.recipe(task) | training.training_material(task) | {"epochs": task.cell.epochs}
        if settings.shares_steps:  # a default that has changed: the schedule of earlier runs had an end
            recipe["schedule"] = settings.schedule
        if getattr(settings, "guide", False):  # a default that has changed: earlier runs have no guide
            recipe["guide"] = True
        training.claim(folder, recipe)
        if self._is_complete(folder):
            return runs.load(folder)
        from caw.training import train

        progress(0.0, f"train {folder.name}")
        cell, plans = task.cell, None
        if cell.gap is None:
            samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        else:
            samples, rate, plans = songs.learnt(cell)
        album = [audio.read(one.file, rate=rate)[0] for one in cell.album]
        return train(
            samples,
            rate,
            folder,
            settings=settings,
            source=training.source_facts(task),
            plan=plans,
            resume=True,  # starts a new training where there is none to resume
            shared_checkpoint=self._trunk(task) if settings.shares_steps else None,
            progress=training.epoch_progress(progress, folder.name),
            album=album,
        )

    def _unguided_runs(self, task: Task) -> list[Path]:
        """The runs of the task's source that an earlier version trained, which had no guide."""
        if not getattr(self._settings(task.options, epochs=1, seed=0), "guide", False):
            return []
        bound = training.bound_runs(task.models, self._source(task))
        return [folder for folder, recipe in bound.items() if recipe and not recipe.get("guide")]

    def _settings(self, options: Mapping[str, Any], *, epochs: int | None, seed: int):
        from caw import config

        changes = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        name = changes.pop("preset", "fast")
        try:
            return config.preset(name, **changes, epochs=epochs, seed=seed)
        except (config.SettingsError, TypeError) as error:
            raise training.option_error(error, options) from None

    def _source(self, task: Task) -> str:
        """What the runs of one training of a source are named after."""
        cell = task.cell
        return cell.training_name if cell.backend == self.name else f"{cell.training_name}-{cell.backend}"

    def _folder(self, task: Task) -> Path:
        return task.models / f"{self._source(task)}-{task.cell.epochs}"

    def _trunk(self, task: Task) -> Path:
        return task.models / f"{self._source(task)}.trunk.pt"

    def _shares(self, task: Task) -> bool:
        return self._settings(task.options, epochs=1, seed=0).shares_steps

    def _shared_epochs(self, task: Task) -> int:
        """Epochs that the shared checkpoint holds already, where the run is as long."""
        file = self._trunk(task)
        if not file.exists():
            return 0
        from caw.run_folder import epochs_in

        epochs = epochs_in(file)
        return epochs if epochs <= task.cell.epochs else 0

    def _reached(self, folder: Path) -> int:
        """Epochs behind the checkpoint of a run that is there and not complete."""
        if not folder.exists():
            return 0
        from caw import runs

        try:
            scales = len(runs.load(folder).rates)
        except runs.RunError:
            return 0
        return training.epochs_done(folder, scales=scales)

    def _is_complete(self, folder: Path) -> bool:
        if not folder.exists():
            return False
        from caw import runs

        try:
            return runs.load(folder).complete
        except runs.RunError:
            return False


def _bridge(run: Run, task: Task, seed: int) -> np.ndarray:
    """New bars between the end of the passage and its beginning, at least as long as a clip must last."""
    from caw.compose.bridging import PHRASE

    cell = task.cell
    passage, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
    bars, wanted = math.ceil(task.seconds / PHRASE), math.ceil(task.seconds * run.rate)
    while True:
        new = run.beside(passage, passage, rate, bars=bars, seed=seed).new
        if len(new) >= wanted:
            return new
        bars = math.ceil(bars * wanted / len(new)) + 1  # bars may be short, and the last half a one


BACKEND = CawBackend()
