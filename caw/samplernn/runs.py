"""Run folders of SampleRNN: what a training leaves on disk, and the model that is loaded from it."""

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
from caw.samplernn import kept_weights
from caw.samplernn.config import CANDIDATES, ODDS, Odds, Settings, settings
from caw.samplernn.network import SampleRNN

CONFIG = "config.json"
CLIPS = "clips.safetensors"
LOSSES = "losses.jsonl"
CHECKPOINT = "checkpoint.pt"  # stays, so that a run can go on to more epochs
RETURN = "return.pt"  # beside it, while the training comes by a count that it once passed
LONGEST = 3600.0  # seconds that are drawn at once


@dataclass(frozen=True)
class Run:
    """A training's result. Its state after some epochs is what a run of only so many ends with."""

    folder: Path
    settings: Settings
    config: dict[str, Any]

    @property
    def rate(self) -> int:
        """Hz of everything this run makes."""
        return int(self.config["rate"])

    @property
    def seconds(self) -> float:
        """Length of the first training clip."""
        return self.config["clips"][0]["samples"] / self.rate

    @property
    def epochs(self) -> list[int]:
        """The counts that weights are kept of, ascending."""
        return kept_weights.counts(self.folder)

    def network(self, epochs: int | None = None) -> SampleRNN:
        """The network after so many epochs (None: the last kept), on the CPU. RunError: not kept."""
        counts = self.epochs
        if not counts:
            raise RunError(f"{self.folder} is not trained yet; run samplernn train again with --resume")
        epochs = counts[-1] if epochs is None else epochs
        if epochs not in counts:
            told = f"{self.folder} keeps no weights of epoch {epochs}"
            raise RunError(f"{told}; choose one of {', '.join(map(str, counts))}, or train on")
        path = self.folder / kept_weights.file_name(epochs)
        network = SampleRNN(self.settings)
        try:
            network.load_state_dict(read_tensors(path, self.config))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{path} does not fit {CONFIG} ({reason}); train the run again") from error
        return network.eval()

    def generate(
        self,
        seconds: float,
        *,
        seeds: list[int],
        epochs: int | None = None,
        odds: Odds = ODDS,
        told: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """UMG: new music, one clip per seed, float32 [seeds, n] at the level of the training clips.

        All are drawn at once, and each is what it would be alone. told: hears the share that is done.
        """
        from caw.samplernn import sampling

        drawn = sampling.generate(
            self.network(epochs),
            _samples(seconds, self.rate),
            self.rate,
            seeds=seeds,
            odds=odds,
            told=told,
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
        told: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """VAR: the first `seconds` of a training clip (None: all) followed, one variation per seed.

        As `generate`; `variation.vary` says how.
        """
        from caw.samplernn import variation

        if not 0 <= clip < len(self.clips):
            raise RunError(f"clip is {clip}; this run was trained on {len(self.clips)}, counted from 0")
        count = None if seconds is None else _samples(seconds, self.rate)
        drawn = variation.vary(
            self.network(epochs),
            self.clips[clip][:count],
            self.rate,
            seeds=seeds,
            candidates=candidates,
            odds=odds,
            told=told,
        )
        return drawn * np.float32(self.config["peak"])

    def scores(self) -> dict[int, dict[str, float]]:
        """Epoch -> bits per sample of what is learned (train) and of what is held out, where scored."""
        path, found = self.folder / LOSSES, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
                if not (isinstance(record, dict) and isinstance(record.get("epoch"), int)):
                    break
            except (
                ValueError,
                RecursionError,
            ):  # a kill cut the last line short; training writes it anew
                break
            named = {name: record[name] for name in ("train", "held_out") if name in record}
            if named:
                found[record["epoch"]] = named
        return found

    @cached_property
    def clips(self) -> list[np.ndarray]:
        """The training clips, float32 [n] at the run's rate with a joint peak of .98."""
        tensors = read_tensors(self.folder / CLIPS, self.config)
        return [tensors[name].numpy() for name in sorted(tensors)]


def load(folder: str | Path) -> Run:
    """The run in `folder`. RunError names what is missing or damaged."""
    folder = Path(folder)
    file = folder / CONFIG
    if not file.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}; make one with samplernn train")
    config = read_config(file)
    try:
        run = Run(folder, settings(**config["settings"]), config)
        run.rate, run.seconds, config["peak"]  # noqa: B018  they raise where the file is of another version
    except (LookupError, TypeError, SettingsError) as error:
        reason = str(error) if isinstance(error, SettingsError) else f"no {error}"
        raise RunError(f"{file} is of another version ({reason}); train the run again") from error
    if not (folder / CLIPS).is_file():
        raise RunError(f"{folder} lacks {CLIPS}; restore it or train the run again")
    return run


def _samples(seconds: float, rate: int) -> int:
    if not (np.isfinite(seconds) and 0.1 <= seconds <= LONGEST):
        raise RunError(f"seconds is {seconds!r}; use a length from 0.1 to {LONGEST:g}")
    return round(seconds * rate)
