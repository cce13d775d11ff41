"""Catch-A-Waveform: one model per passage and epoch count, trained here.

A run lies in models/SOURCE-EPOCHS/ and serves both modes. Beside it, SOURCE-EPOCHS.recipe.json keeps what it
was trained from, written before training starts, so that a run is never taken for one it is not. The runs of
one source share their steps where the preset allows: each goes on from SOURCE.trunk.pt, where the one before
it ended, and is the same as if it had been trained alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caw import audio
from study.backends import Clip, Cost, Task, Tell, run_claims, seed_for, training_progress
from study.design import BRIDGE

if TYPE_CHECKING:
    from caw.runs import Run

# of one core, measured for 25 s at 16 kHz; `paper` works on the whole clip in every step, the others on crops
_SECONDS_PER_EPOCH = {"fast": 0.5, "standard": 0.8, "paper": 600.0}
_MEASURED_LENGTH = 25.0  # s
_SECONDS_PER_CLIP = 2.0
_BYTES_PER_RUN = {"fast": 7.1e6, "standard": 9e6, "paper": 60e6}  # weights; clip and losses come on top
_BYTES_PER_TRUNK = {"fast": 23e6, "standard": 29e6}
_BYTES_PER_EPOCH = 280.0  # of losses.jsonl
_BYTES_PER_SECOND = 4 * 16000.0  # of the clip
_STRETCH = 50  # epochs that are one part of the costs, so that runs that share them name them alike


class CawBackend:
    """Options of [backend.caw]: preset, device, and any other field of caw.config.Settings."""

    name = "caw"
    needs = "nothing else; a GPU makes it faster"
    modes = ("UMG", "VAR")
    counts_epochs = True

    def lacks(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        run_claims.refuse_set_elsewhere(options)
        self._settings(options, epochs=1, seed=0)

    def composes(self, options: Mapping[str, Any]) -> str:
        if options.get("preset") == "paper":
            return "the preset paper follows no plan, and learns from one clip alone"
        return "" if options.get("guide", True) else "a model without a guide follows no plan"

    def outdated(self, task: Task) -> tuple[str, str] | None:
        cell = task.cell
        asks = cell.asked is not None or cell.plan == BRIDGE or cell.strength is not None
        if not asks or not (old := [f"models/{run.name}" for run in self._of_before(task)]):
            return None
        was, them = ("was", "it") if len(old) == 1 else ("were", "them")
        what = f"{' and '.join(old)} {was} trained by an earlier version, whose models follow no plan"
        return what, f"delete {them} to have {them} trained anew, or delete this key"

    def recipe(self, task: Task) -> dict[str, Any]:
        options = {key: value for key, value in task.options.items() if key != "device"}
        return {"preset": "fast"} | options

    def work(self, task: Task) -> str:
        return self._source(task) if self._shares(task) else self._folder(task).name

    def keeps(self, task: Task) -> tuple[str, ...]:
        folder = self._folder(task)
        own = folder.name, run_claims.recipe_file(folder).name
        if not self._shares(task):
            return own
        before = [name for run in self._of_before(task) for name in (run.name, f"{run.name}.recipe.json")]
        return tuple(dict.fromkeys((*own, self._trunk(task).name, *before)))

    def costs(self, task: Task) -> dict[str, Cost]:
        folder, cell = self._folder(task), task.cell
        made = {name: Cost(_SECONDS_PER_CLIP) for name in task.names}
        if self._is_complete(folder):
            return made
        preset, epochs = task.options.get("preset", "fast"), cell.epochs or 1
        per_epoch = _SECONDS_PER_EPOCH[preset]
        disk = _BYTES_PER_RUN[preset] + _BYTES_PER_EPOCH * epochs + _BYTES_PER_SECOND * cell.seconds
        if preset == "paper":
            per_epoch *= cell.seconds / _MEASURED_LENGTH
        reached = self._reached(folder)
        if not self._shares(task):
            return {f"train {folder.name}": Cost(per_epoch * (epochs - reached), disk)} | made
        source, begun = self._source(task), self._begun(task)
        parts = {f"keep {folder.name}": Cost(0.0, disk)}
        parts[f"keep {self._trunk(task).name}"] = Cost(0.0, _BYTES_PER_TRUNK[preset])
        for first in range(begun // _STRETCH * _STRETCH, epochs, _STRETCH):
            last = min(first + _STRETCH, epochs)
            steps = max(0, last - max(first, begun, reached))
            parts[f"train {source} from {first} to {last}"] = Cost(per_epoch * steps)
        return parts | made

    def make(self, task: Task, tell: Tell) -> Iterator[Clip]:
        """Raises: BackendError for a run of another recipe; caw's ValueErrors for what it refuses."""
        folder = self._folder(task)
        whole = sum(cost.seconds for cost in self.costs(task).values())
        share = _SECONDS_PER_CLIP * len(task.names) / whole
        run = self._trained(task, folder, lambda done, text: tell((1 - share) * done, text))
        for made, name in enumerate(task.names):
            tell(1 - share + share * made / len(task.names), f"make {name}")
            seed = seed_for(task.seed, name)
            yield Clip(name, self._drawn(run, task, seed), run.rate, seed, folder.name)

    def _drawn(self, run: Run, task: Task, seed: int) -> np.ndarray:
        """One clip, float32 [n] at the run's rate."""
        cell = task.cell
        if cell.mode == "VAR":
            return run.vary(seed=seed, strength=cell.strength)
        if cell.plan == BRIDGE:
            return _bridge(run, task, seed)
        return run.generate(task.seconds, seed=seed, plan=cell.asked)

    def _trained(self, task: Task, folder: Path, tell: Tell):
        """The run of this task's source and epochs: loaded, gone on with, or trained from nothing."""
        from caw import runs

        settings = self._settings(task.options, epochs=task.cell.epochs, seed=task.training_seed)
        if before := self._of_before(task):  # epoch counts of one source are to differ in nothing else
            own = {name: getattr(settings, name) for name in ("epochs", "seed", "device", *task.options)}
            settings = replace(runs.load(before[0]).settings, **own)
        about = run_claims.learned(task) | {"epochs": task.cell.epochs}
        if settings.shares_steps:  # a default that has changed: earlier runs looked at their end
            about["schedule"] = settings.schedule
        if getattr(settings, "guide", False):  # another: earlier runs have none
            about["guide"] = True
        run_claims.claim(folder, self.recipe(task) | about)
        if self._is_complete(folder):
            return runs.load(folder)
        from caw.training import train

        tell(0.0, f"train {folder.name}")
        cell = task.cell
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        source = {"file": cell.file.name, "sha256": cell.file_sha256}
        source |= {"start": cell.start, "seconds": cell.seconds}
        album = [audio.read(one.file, rate=rate)[0] for one in cell.album]
        return train(
            samples,
            rate,
            folder,
            settings=settings,
            source=source,
            resume=True,  # also begins anew where nothing is to resume
            shared_checkpoint=self._trunk(task) if settings.shares_steps else None,
            progress=training_progress.telling(tell, folder.name),
            album=album,
        )

    def _of_before(self, task: Task) -> list[Path]:
        """The runs of the task's source that an earlier version trained, which had no guide."""
        if not getattr(self._settings(task.options, epochs=1, seed=0), "guide", False):
            return []
        there = run_claims.claimed(task.models, self._source(task))
        return [folder for folder, recipe in there.items() if recipe and not recipe.get("guide")]

    def _settings(self, options: Mapping[str, Any], *, epochs: int | None, seed: int):
        from caw import config

        changes = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        name = changes.pop("preset", "fast")
        try:
            return config.preset(name, **changes, epochs=epochs, seed=seed)
        except (config.SettingsError, TypeError) as error:
            raise run_claims.refused(error, options) from None

    def _source(self, task: Task) -> str:
        """What the runs of one training of a source are named after."""
        cell = task.cell
        return cell.learner if cell.backend == self.name else f"{cell.learner}-{cell.backend}"

    def _folder(self, task: Task) -> Path:
        return task.models / f"{self._source(task)}-{task.cell.epochs}"

    def _trunk(self, task: Task) -> Path:
        return task.models / f"{self._source(task)}.trunk.pt"

    def _shares(self, task: Task) -> bool:
        return self._settings(task.options, epochs=1, seed=0).shares_steps

    def _begun(self, task: Task) -> int:
        """Epochs that are done already: those of the trunk, where the run is longer."""
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
        return training_progress.epochs_behind(folder, scales=scales)

    def _is_complete(self, folder: Path) -> bool:
        if not folder.exists():
            return False
        from caw import runs

        try:
            return runs.load(folder).complete
        except runs.RunError:
            return False


def _bridge(run: Run, task: Task, seed: int) -> np.ndarray:
    """New bars, as long as a clip must last, from the passage's end to its beginning; without these two."""
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
