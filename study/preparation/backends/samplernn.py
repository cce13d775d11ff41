"""SampleRNN: one run per passage, whose kept states are the epoch counts.

A run lies in models/SOURCE-samplernn/ and serves all epoch counts and both modes. Beside it,
SOURCE-samplernn.recipe.json keeps what it is trained from, written before training starts, so that a run is
never taken for one it is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw import audio
from study.preparation import run_claims
from study.preparation.backends import BackendError, Clip, Cost, Task, Tell, seed_for

# of one core, for the default network
_SECONDS_PER_EPOCH = 0.25
_SECONDS_PER_SECOND = {"UMG": 0.15, "VAR": 2.4}  # of sound
_SECONDS_TO_COMPILE = 6.0
_BYTES_PER_RUN, _BYTES_PER_COUNT = 11e6, 2e6
_EPOCHS_PER_PART = 50  # of the training, so that epoch counts share all but the last of their parts
_WAIT = 3.0  # seconds between two words while drawing
_DRAWING = {"temperature": 0.9, "top_p": 1.0, "candidates": 16}
_TOGETHER = 32  # clips drawn at once: more gain no time and keep finished ones waiting


class SampleRNNBackend:
    """Options of [backend.samplernn]: temperature, top_p, candidates (VAR), device, and settings' fields."""

    name = "samplernn"
    needs = "nothing else; a GPU makes training faster"
    modes = ("UMG", "VAR")
    counts_epochs = True

    def lacks(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        run_claims.refuse_set_elsewhere(options)
        self._settings(options, seed=0)
        for key, low, high in (("temperature", 0.05, 5), ("top_p", 0.01, 1), ("candidates", 1, 256)):
            value = options.get(key, _DRAWING[key])
            whole = key == "candidates"
            right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not (right and low <= value <= high):
                kind = "a whole number" if whole else "a number"
                raise BackendError(f"{key} is {value!r}; use {kind} from {low} to {high}", key=key)

    def recipe(self, task: Task) -> dict[str, Any]:
        drawn = {key: task.options.get(key, default) for key, default in _DRAWING.items()}
        if task.cell.mode == "UMG":
            del drawn["candidates"]
        return self._trained_from(task) | drawn

    def work(self, task: Task) -> str:
        return self._folder(task).name

    def keeps(self, task: Task) -> tuple[str, ...]:
        folder = self._folder(task)
        return folder.name, run_claims.recipe_file(folder).name

    def costs(self, task: Task) -> dict[str, Cost]:
        folder, wanted = self._folder(task), task.cell.epochs or 1
        drawn = task.seconds * _SECONDS_PER_SECOND[task.cell.mode]
        if task.cell.mode == "VAR":
            drawn *= task.options.get("candidates", _DRAWING["candidates"]) / _DRAWING["candidates"]
        made = {name: Cost(drawn) for name in task.names} | {"compile": Cost(_SECONDS_TO_COMPILE)}
        kept = self._kept(folder)
        if wanted in kept:
            return made
        passed = any(count > wanted for count in kept)  # without keeping it: trained from the start again
        done = 0 if passed else max(kept, default=0)
        parts = {f"run {folder.name}": Cost(0.0, _BYTES_PER_RUN)} if not kept else {}
        parts[f"weights {folder.name} {wanted}"] = Cost(0.0, _BYTES_PER_COUNT)
        pace = _SECONDS_PER_EPOCH * (task.options.get("dim", 128) / 128) ** 1.5
        pace *= task.options.get("streams", 16) * task.options.get("window", 512) / (16 * 512)
        for begin in range(0, wanted, _EPOCHS_PER_PART):
            end = min(begin + _EPOCHS_PER_PART, wanted)
            if end > done:
                parts[f"train {folder.name} {begin}-{end}"] = Cost(pace * (end - max(begin, done)))
        return parts | made

    def make(self, task: Task, tell: Tell) -> Iterator[Clip]:
        """Raises: BackendError for a run of another recipe; samplernn's ValueErrors for what it refuses."""
        folder = self._folder(task)
        costs = self.costs(task)
        drawing = sum(costs[name].seconds for name in task.names) + _SECONDS_TO_COMPILE
        share = drawing / sum(cost.seconds for cost in costs.values())
        run = self._trained(task, folder, lambda done, text: tell((1 - share) * done, text))
        names, last = list(task.names), time.monotonic()
        for first in range(0, len(names), _TOGETHER):
            group = names[first : first + _TOGETHER]
            seeds = [seed_for(task.seed, name) for name in group]
            what = f"draw {group[0]}" if len(group) == 1 else f"draw {group[0]} to {group[-1]}"
            tell(1 - share + share * first / len(names), what)

            def told(done: float, what: str = what, first: int = first, size: int = len(group)) -> None:
                nonlocal last
                if time.monotonic() - last >= _WAIT:
                    tell(1 - share + share * (first + done * size) / len(names), what)
                    last = time.monotonic()

            for name, seed, samples in zip(group, seeds, self._draw(task, run, seeds, told), strict=True):
                yield Clip(name, samples, run.rate, seed, folder.name)

    def _draw(self, task: Task, run: Any, seeds: list[int], told: Any) -> Any:
        given = {"seeds": seeds, "epochs": task.cell.epochs, "told": told}
        given |= {key: task.options.get(key, _DRAWING[key]) for key in ("temperature", "top_p")}
        if task.cell.mode == "UMG":
            return run.generate(task.seconds, **given)
        return run.vary(**given, candidates=task.options.get("candidates", _DRAWING["candidates"]))

    def _trained(self, task: Task, folder: Path, tell: Tell) -> Any:
        """The run of this task's source, with the weights of its epochs."""
        from caw.samplernn import runs

        run_claims.claim(folder, self._trained_from(task) | run_claims.learned(task))
        cell = task.cell
        if cell.epochs in self._kept(folder):
            return runs.load(folder)
        from caw.samplernn.training import train

        tell(0.0, f"train {folder.name}")
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        source = {"file": cell.file.name, "sha256": cell.file_sha256}
        source |= {"start": cell.start, "seconds": cell.seconds}

        def told(progress: Any) -> None:
            where = f"epoch {progress.epoch} of {progress.epochs}"
            tell(progress.fraction, f"train {folder.name}: {where}")

        return train(
            samples,
            rate,
            folder,
            settings=self._settings(task.options, seed=task.training_seed),
            epochs=cell.epochs,
            source=[source],
            resume=True,  # also begins anew where nothing is to resume
            progress=told,
        )

    @staticmethod
    def _trained_from(task: Task) -> dict[str, Any]:
        return {key: value for key, value in task.options.items() if key != "device" and key not in _DRAWING}

    def _settings(self, options: Mapping[str, Any], *, seed: int) -> Any:
        from caw.samplernn import config

        changes = {key: value for key, value in options.items() if key not in _DRAWING}
        try:
            return config.settings(**changes, seed=seed)
        except config.SettingsError as error:
            raise run_claims.refused(error, options) from None

    def _folder(self, task: Task) -> Path:
        return task.models / f"{task.cell.learner}-{task.cell.backend}"

    @staticmethod
    def _kept(folder: Path) -> list[int]:
        """The epoch counts whose weights lie in a run folder; as caw.samplernn.runs, without its torch."""
        names = (re.fullmatch(r"epochs-(\d+)\.safetensors", path.name) for path in folder.glob("epochs-*"))
        return [int(name[1]) for name in names if name]


BACKEND = SampleRNNBackend()
