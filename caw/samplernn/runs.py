"""Run folders of SampleRNN: the files of a training, and the model that is loaded from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from caw.config import SettingsError
from caw.run_folder import RunError, read_config, read_tensors
from caw.samplernn.config import (
    CANDIDATES,
    ODDS,
    Odds,
    SampleRNNSettings,
    epochs_of_weights,
    settings,
    weights_file,
)
from caw.samplernn.network import SampleRNN

CONFIG = "config.json"
CLIPS = "clips.safetensors"
LOSSES = "losses.jsonl"
CHECKPOINT = "checkpoint.pt"  # stays, so that a run can be trained for more epochs
RETURN = "return.pt"  # of a second training, to an epoch that the first passed without leaving weights
LONGEST = 3600.0  # seconds that are drawn at once


@dataclass(frozen=True)
class SampleRNNRun:
    """A trained SampleRNN. Its weights after some epochs equal those of a run of only so many."""

    folder: Path
    settings: SampleRNNSettings
    config: dict[str, Any]

    @property
    def rate(self) -> int:
        """Sampling rate in Hz of all that is drawn."""
        return int(self.config["rate"])

    @property
    def seconds(self) -> float:
        """Length of the first training clip."""
        return self.config["clips"][0]["samples"] / self.rate

    @property
    def epochs(self) -> list[int]:
        """The epoch counts that have weights, ascending."""
        return epochs_of_weights(self.folder)

    def network(self, epochs: int | None = None) -> SampleRNN:
        """The network after so many epochs (None: the last), on the CPU. Raises RunError without weights."""
        counts = self.epochs
        if not counts:
            raise RunError(f"{self.folder} is not trained yet", "run samplernn train again with --resume")
        epochs = counts[-1] if epochs is None else epochs
        if epochs not in counts:
            problem = f"{self.folder} keeps no weights of epoch {epochs}"
            raise RunError(problem, f"choose one of {', '.join(map(str, counts))}, or train on")
        path = self.folder / weights_file(epochs)
        network = SampleRNN(self.settings)
        try:
            network.load_state_dict(read_tensors(path, self.config))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{path} does not fit {CONFIG} ({reason})", "train the run again") from error
        return network.eval()

    def generate(
        self,
        seconds: float,
        *,
        seeds: list[int],
        epochs: int | None = None,
        odds: Odds = ODDS,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Generate new music (UMG), one clip per seed.

        Parameters
        ----------
        seconds : float
            Length of each clip, 0.1 to 3600.
        seeds : list of int
            All clips are drawn at once, and each equals the clip that is drawn from its seed alone.
        epochs : int, optional
            Draw from the weights of this epoch; the last if not given.
        odds : Odds
            Temperature and truncation of the drawing.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        array, float32 [seeds, n]
            At the level of the training clips.

        Raises
        ------
        RunError
            For a length or a seed out of range, or an epoch without weights.
        """
        from caw.samplernn import sampling

        drawn = sampling.generate(
            self.network(epochs),
            _samples(seconds, self.rate),
            self.rate,
            seeds=seeds,
            odds=odds,
            progress=progress,
        )
        return drawn * np.float32(self.config["peak"])

    def vary(
        self,
        *,
        seeds: list[int],
        clip: int = 0,
        seconds: float | None = None,
        candidates: int = CANDIDATES,
        epochs: int | None = None,
        odds: Odds = ODDS,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Generate variations (VAR) of a training clip, one per seed.

        Parameters
        ----------
        clip : int
            Index of the training clip.
        seconds : float, optional
            Follow only so much of the clip; all of it if not given.
        candidates : int
            How many are drawn side by side; more follow the clip more closely (`sampling.vary`).
        seeds, epochs, odds, progress
            As for `generate`, which also says what is returned and raised.
        """
        from caw.samplernn import sampling

        if not 0 <= clip < len(self.clips):
            raise RunError(f"clip is {clip}", f"this run was trained on {len(self.clips)}, counted from 0")
        count = None if seconds is None else _samples(seconds, self.rate)
        drawn = sampling.vary(
            self.network(epochs),
            self.clips[clip][:count],
            self.rate,
            seeds=seeds,
            candidates=candidates,
            odds=odds,
            progress=progress,
        )
        return drawn * np.float32(self.config["peak"])

    def scores(self) -> dict[int, dict[str, float]]:
        """Bits per sample of the learned (train) and the held-out samples, by epoch, where it was scored."""
        path, scores = self.folder / LOSSES, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
                if not (isinstance(record, dict) and isinstance(record.get("epoch"), int)):
                    break
            except (ValueError, RecursionError):  # a kill cut the last line short; training rewrites it
                break
            values = {name: record[name] for name in ("train", "held_out") if name in record}
            if values:
                scores[record["epoch"]] = values
        return scores

    @cached_property
    def clips(self) -> list[np.ndarray]:
        """The training clips, float32 [n] at the run's rate with a joint peak of .98."""
        tensors = read_tensors(self.folder / CLIPS, self.config)
        return [tensors[name].numpy() for name in sorted(tensors)]


def load(folder: str | Path) -> SampleRNNRun:
    """Load a run of SampleRNN.

    Parameters
    ----------
    folder : str or Path
        The run folder, made by `caw.samplernn.training.train`.

    Returns
    -------
    SampleRNNRun

    Raises
    ------
    RunError
        For a folder that is no run or is damaged.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    caw.run_folder.RunError: nowhere is no run folder: it has no config.json; make one with samplernn train
    """
    folder = Path(folder)
    file = folder / CONFIG
    if not file.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}", "make one with samplernn train")
    config = read_config(file)
    try:
        run = SampleRNNRun(folder, settings(**config["settings"]), config)
        run.rate, run.seconds, config["peak"]  # noqa: B018  they raise where the file is of another version
    except (LookupError, TypeError, SettingsError) as error:
        reason = str(error) if isinstance(error, SettingsError) else f"no {error}"
        raise RunError(f"{file} is of another version ({reason})", "train the run again") from error
    if not (folder / CLIPS).is_file():
        raise RunError(f"{folder} lacks {CLIPS}", "restore it or train the run again")
    return run


def _samples(seconds: float, rate: int) -> int:
    if not (np.isfinite(seconds) and 0.1 <= seconds <= LONGEST):
        raise RunError(f"seconds is {seconds!r}", f"use a length from 0.1 to {LONGEST:g}")
    return round(seconds * rate)
