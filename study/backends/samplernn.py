"""SampleRNN: one run per passage, whose kept states are the epoch counts.

A run lies in models/SOURCE-samplernn/ and serves all epoch counts and both modes. Beside it,
SOURCE-samplernn.recipe.json keeps what it is trained from, written before training starts, so that a run is
never taken for one it is not.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw import audio
from caw.samplernn import kept_weights
from caw.samplernn.config import CANDIDATES, MOST_CANDIDATES
from study.backends import BackendError, Clip, Cost, Task, Tell, run_claims, seed_for, training_progress

# of one core, for the default network
_SECONDS_PER_EPOCH = 0.25
_SECONDS_PER_SECOND = {"UMG": 0.15, "VAR": 2.4}  # of sound
_SECONDS_TO_COMPILE = 6.0
_BYTES_PER_RUN, _BYTES_PER_COUNT = 11e6, 2e6
_EPOCHS_PER_PART = 50  # of the training, so that epoch counts share all but the last of their parts
_WAIT = 3.0  # seconds between two words while drawing
_ODDS = ("temperature", "top_p", "eta")
_DRAWING = ("candidates", *_ODDS)  # options that training knows nothing of
_TOGETHER = 32  # clips drawn at once: more gain no time and keep finished ones waiting


class SampleRNNBackend:
    """Options of [backend.samplernn]: temperature, top_p, eta, candidates (VAR), device, settings' fields."""

    name = "samplernn"
    needs = "nothing else; a GPU makes training faster"
    modes = ("UMG", "VAR")
    counts_epochs = True

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        run_claims.refuse_set_elsewhere(options)
        self._settings(options, seed=0)
        self._odds(options)
        candidates = options.get("candidates", CANDIDATES)
        if (
            isinstance(candidates, bool)
            or not isinstance(candidates, int)
            or not 1 <= candidates <= MOST_CANDIDATES
        ):
            told = f"candidates is {candidates!r}; use a whole number from 1 to {MOST_CANDIDATES}"
            raise BackendError(told, key="candidates")

    def recipe(self, task: Task) -> dict[str, Any]:
        drawn = dataclasses.asdict(self._odds(task.options))
        if not drawn["eta"]:  # as before there was one, so that clips made then stay
            del drawn["eta"]
        if task.cell.mode == "VAR":
            drawn["candidates"] = task.options.get("candidates", CANDIDATES)
        return self._trained_from(task) | drawn

    def shared_job(self, task: Task) -> str:
        return self._folder(task).name

    def artifacts(self, task: Task) -> tuple[str, ...]:
        folder = self._folder(task)
        return folder.name, run_claims.recipe_file(folder).name

    def costs(self, task: Task) -> dict[str, Cost]:
        folder, wanted = self._folder(task), task.cell.epochs or 1
        drawn = task.seconds * _SECONDS_PER_SECOND[task.cell.mode]
        if task.cell.mode == "VAR":
            drawn *= task.options.get("candidates", CANDIDATES) / CANDIDATES
        made = {name: Cost(drawn) for name in task.names} | {"compile": Cost(_SECONDS_TO_COMPILE)}
        kept = kept_weights.counts(folder)
        if wanted in kept:
            return made
        reached = max([*kept, training_progress.epochs_behind(folder)])
        done = 0 if reached > wanted else reached  # passed without keeping it: trained from the start again
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
        odds = self._odds(task.options)
        given = {"seeds": seeds, "epochs": task.cell.epochs, "odds": odds, "told": told}
        if task.cell.mode == "UMG":
            return run.generate(task.seconds, **given)
        return run.vary(**given, candidates=task.options.get("candidates", CANDIDATES))

    def _trained(self, task: Task, folder: Path, tell: Tell) -> Any:
        """The run of this task's source, with the weights of its epochs."""
        from caw.samplernn import runs

        run_claims.claim(folder, self._trained_from(task) | run_claims.learned(task))
        cell = task.cell
        if cell.epochs in kept_weights.counts(folder):
            return runs.load(folder)
        from caw.samplernn.training import train

        tell(0.0, f"train {folder.name}")
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        source = {"file": cell.file.name, "sha256": cell.file_sha256}
        source |= {"start": cell.start, "seconds": cell.seconds}

        return train(
            samples,
            rate,
            folder,
            settings=self._settings(task.options, seed=task.training_seed),
            epochs=cell.epochs,
            source=[source],
            resume=True,  # also begins anew where nothing is to resume
            progress=training_progress.telling(tell, folder.name),
        )

    @staticmethod
    def _trained_from(task: Task) -> dict[str, Any]:
        return {key: value for key, value in task.options.items() if key not in ("device", *_DRAWING)}

    @staticmethod
    def _odds(options: Mapping[str, Any]) -> Any:
        from caw.samplernn import config

        try:
            return config.Odds(**{key: options[key] for key in _ODDS if key in options})
        except config.SettingsError as error:
            raise run_claims.refused(error, options) from None

    def _settings(self, options: Mapping[str, Any], *, seed: int) -> Any:
        from caw.samplernn import config

        changes = {key: value for key, value in options.items() if key not in _DRAWING}
        try:
            return config.settings(**changes, seed=seed)
        except config.SettingsError as error:
            raise run_claims.refused(error, options) from None

    def _folder(self, task: Task) -> Path:
        return task.models / f"{task.cell.learner}-{task.cell.backend}"


BACKEND = SampleRNNBackend()
