"""SampleRNN: one run per passage, which keeps its weights at every epoch count of the study.

A run is kept in models/SOURCE-samplernn/ and serves all epoch counts and both modes.
SOURCE-samplernn.recipe.json beside it says what it was trained from (`study.backends.training`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw import audio
from caw.samplernn.config import CANDIDATES, MOST_CANDIDATES, epochs_of_weights
from study.backends import BackendError, Clip, Cost, ProgressCallback, Task, seed_for, training

# of one core, for the default network
_SECONDS_PER_EPOCH = 0.25
_SECONDS_PER_SECOND = {"UMG": 0.15, "VAR": 2.4}  # of sound
_SECONDS_TO_COMPILE = 6.0
_BYTES_PER_RUN, _BYTES_PER_COUNT = 11e6, 2e6
_EPOCHS_PER_PART = 50  # of the training, so that epoch counts share all but the last of their parts
_REPORT_EVERY = 3.0  # seconds while clips are drawn
_ODDS = ("temperature", "top_p", "eta")
_DRAWING = ("candidates", *_ODDS)  # options of drawing, which do not matter to training
_CLIPS_AT_ONCE = 32  # more gain no time and keep finished ones waiting


class SampleRNNBackend:
    """Options of [backend.samplernn]: temperature, top_p, eta, candidates (VAR), device, settings' fields."""

    name = "samplernn"
    needs = "nothing else; a GPU makes training faster"
    modes = ("UMG", "VAR")
    counts_epochs = True

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        training.refuse_set_elsewhere(options)
        self._settings(options, seed=0)
        self._odds(options)
        candidates = options.get("candidates", CANDIDATES)
        if type(candidates) is not int or not 1 <= candidates <= MOST_CANDIDATES:
            fix = f"use a whole number from 1 to {MOST_CANDIDATES}"
            raise BackendError(f"candidates is {candidates!r}", fix, key="candidates")

    def recipe(self, task: Task) -> dict[str, Any]:
        drawing = dataclasses.asdict(self._odds(task.options))
        if not drawing["eta"]:  # clips that were made before there was such an option stay valid
            del drawing["eta"]
        if task.cell.mode == "VAR":
            drawing["candidates"] = task.options.get("candidates", CANDIDATES)
        return self._training_options(task) | drawing

    def shared_job(self, task: Task) -> str:
        return self._folder(task).name

    def artifacts(self, task: Task) -> tuple[str, ...]:
        folder = self._folder(task)
        return folder.name, training.recipe_file(folder).name

    def costs(self, task: Task) -> dict[str, Cost]:
        folder, wanted = self._folder(task), task.cell.epochs or 1
        seconds = task.seconds * _SECONDS_PER_SECOND[task.cell.mode]
        if task.cell.mode == "VAR":
            seconds *= task.options.get("candidates", CANDIDATES) / CANDIDATES
        clips = {name: Cost(seconds) for name in task.names} | {"compile": Cost(_SECONDS_TO_COMPILE)}
        counts = epochs_of_weights(folder)
        if wanted in counts:
            return clips
        reached = max([*counts, training.epochs_done(folder)])
        done = 0 if reached > wanted else reached  # a count that was passed is trained from the start
        parts = {f"run {folder.name}": Cost(0.0, _BYTES_PER_RUN)} if not counts else {}
        parts[f"weights {folder.name} {wanted}"] = Cost(0.0, _BYTES_PER_COUNT)
        pace = _SECONDS_PER_EPOCH * (task.options.get("dim", 128) / 128) ** 1.5
        pace *= task.options.get("streams", 16) * task.options.get("window", 512) / (16 * 512)
        for begin in range(0, wanted, _EPOCHS_PER_PART):
            end = min(begin + _EPOCHS_PER_PART, wanted)
            if end > done:
                parts[f"train {folder.name} {begin}-{end}"] = Cost(pace * (end - max(begin, done)))
        return parts | clips

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Raises BackendError for a run of another recipe, samplernn's ValueErrors for what it refuses."""
        folder = self._folder(task)
        costs = self.costs(task)
        drawing = sum(costs[name].seconds for name in task.names) + _SECONDS_TO_COMPILE
        share = drawing / sum(cost.seconds for cost in costs.values())
        run = self._trained(task, folder, lambda done, text: progress((1 - share) * done, text))
        names, last = list(task.names), time.monotonic()
        for first in range(0, len(names), _CLIPS_AT_ONCE):
            group = names[first : first + _CLIPS_AT_ONCE]
            seeds = [seed_for(task.seed, name) for name in group]
            what = f"draw {group[0]}" if len(group) == 1 else f"draw {group[0]} to {group[-1]}"
            progress(1 - share + share * first / len(names), what)

            def on_progress(
                done: float, what: str = what, first: int = first, size: int = len(group)
            ) -> None:
                nonlocal last
                if time.monotonic() - last >= _REPORT_EVERY:
                    progress(1 - share + share * (first + done * size) / len(names), what)
                    last = time.monotonic()

            for name, seed, samples in zip(
                group, seeds, self._draw(task, run, seeds, on_progress), strict=True
            ):
                yield Clip(name, samples, run.rate, seed, folder.name)

    def _draw(self, task: Task, run: Any, seeds: list[int], on_progress: Any) -> Any:
        odds = self._odds(task.options)
        inputs = {"seeds": seeds, "epochs": task.cell.epochs, "odds": odds, "progress": on_progress}
        if task.cell.mode == "UMG":
            return run.generate(task.seconds, **inputs)
        return run.vary(**inputs, candidates=task.options.get("candidates", CANDIDATES))

    def _trained(self, task: Task, folder: Path, progress: ProgressCallback) -> Any:
        """The run of this task's source, with the weights of its epochs."""
        from caw.samplernn import runs

        training.claim(folder, self._training_options(task) | training.training_material(task))
        cell = task.cell
        if cell.epochs in epochs_of_weights(folder):
            return runs.load(folder)
        from caw.samplernn.training import train

        progress(0.0, f"train {folder.name}")
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
        return train(
            samples,
            rate,
            folder,
            settings=self._settings(task.options, seed=task.training_seed),
            epochs=cell.epochs,
            source=[training.source_facts(task)],
            resume=True,  # starts a new training where there is none to resume
            progress=training.epoch_progress(progress, folder.name),
        )

    @staticmethod
    def _training_options(task: Task) -> dict[str, Any]:
        return {key: value for key, value in task.options.items() if key not in ("device", *_DRAWING)}

    @staticmethod
    def _odds(options: Mapping[str, Any]) -> Any:
        from caw.samplernn import config

        try:
            return config.Odds(**{key: options[key] for key in _ODDS if key in options})
        except config.SettingsError as error:
            raise training.option_error(error, options) from None

    def _settings(self, options: Mapping[str, Any], *, seed: int) -> Any:
        from caw.samplernn import config

        changes = {key: value for key, value in options.items() if key not in _DRAWING}
        try:
            return config.settings(**changes, seed=seed)
        except config.SettingsError as error:
            raise training.option_error(error, options) from None

    def _folder(self, task: Task) -> Path:
        return task.models / f"{task.cell.training_name}-{task.cell.backend}"


BACKEND = SampleRNNBackend()
