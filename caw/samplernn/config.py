"""Settings of a SampleRNN and of drawing from it, and the names of weights in its run folder."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caw.config import LARGEST_SEED, SettingsError, unknown

CELLS = ("gru", "lstm")
QUANTISATIONS = ("mu-law", "linear")
CANDIDATES, MOST_CANDIDATES = 16, 256  # drawn side by side for a variation: by default, and at most


@dataclass(frozen=True, kw_only=True)
class SampleRNNSettings:
    """All that decides a model and its training, except its length, which is the epoch count.

    An epoch is one optimiser step, as in caw, on `window` samples of each of `streams` stretches of the
    clips.
    """

    seed: int = 0  # of the weights and of the streams
    device: str = "auto"  # auto | cpu | cuda, for training; drawing uses the CPU
    rate: int = 16000  # Hz; the clips' lowest rate if that is lower
    quantisation: str = "mu-law"  # mu-law | linear, 8 bit
    frame_sizes: tuple[int, ...] = (8, 2)  # samples in a frame of each recurrent tier, descending
    context: int = 8  # previous samples that the sample tier sees (published: the smallest frame)
    cell: str = "lstm"  # gru | lstm
    layers: int = 1  # recurrent layers of each tier
    dim: int = 128  # channels everywhere
    embedding: int = 64  # channels of a sample's level before the sample tier
    skip: bool = False  # whether a tier's input is added to its output
    weight_norm: bool = True  # whether linear layers have it (Salimans and Kingma 2016)
    streams: int = 16  # stretches of the clips that are learned side by side
    window: int = 512  # samples over which gradients are propagated back in time
    stretch: float = 8.0  # seconds after which a stream begins again elsewhere, from the learnt start
    flip: bool = True  # whether half of the streams have their polarity inverted
    learning_rate: float = 4e-3  # of Adam, constant
    gradient_norm: float = 1.0  # longer gradients are clipped
    averaging: float = 0.99  # decay of the moving average of the weights, which is what is drawn from
    held_out: float = 0.0  # share of each clip, at its end, that is scored and not learned

    def __post_init__(self) -> None:
        for name, most in (("dim", 4096), ("embedding", 4096), ("layers", 16)):
            _whole(self, name, 1, most)
        for name in ("context", "streams"):
            _whole(self, name, 1, 4096)
        _whole(self, "seed", 0, LARGEST_SEED)
        _whole(self, "rate", 500, 768_000)
        _one_of(self, "device", ("auto", "cpu", "cuda"))
        _one_of(self, "cell", CELLS)
        _one_of(self, "quantisation", QUANTISATIONS)
        for name in ("skip", "weight_norm", "flip"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is {getattr(self, name)!r}", "use true or false")
        if self.dim % 8:
            raise SettingsError(f"dim is {self.dim}", "use a multiple of 8")
        self._check_frames()
        _number(self, "learning_rate", 0, math.inf, "above 0")
        _number(self, "gradient_norm", 0, math.inf, "above 0")
        _number(self, "stretch", 0, 3600, "above 0, up to 3600 s")
        for name, top in (("averaging", 1.0), ("held_out", 0.5)):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value < top):
                raise SettingsError(f"{name} is {value!r}", f"use a number from 0 to below {top:g}")

    def _check_frames(self) -> None:
        sizes = self.frame_sizes
        if not sizes or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes):
            raise SettingsError(f"frame_sizes is {sizes!r}", "use whole numbers such as 8, 2")
        if any(a <= b or a % b for a, b in zip(sizes, sizes[1:], strict=False)):
            raise SettingsError(f"frame_sizes is {sizes!r}", "use multiples of the next, such as 8, 2")
        if self.context > sizes[0]:
            raise SettingsError(f"context is {self.context}", f"use at most the largest frame, {sizes[0]}")
        _whole(self, "window", sizes[0], 10_000_000)
        if self.window % sizes[0]:
            raise SettingsError(
                f"window is {self.window}", f"use a multiple of the largest frame, {sizes[0]}"
            )


@dataclass(frozen=True, kw_only=True)
class Odds:
    """How a level is drawn from the network's probabilities (docs/samplernn.md gives the reasons)."""

    temperature: float = 0.9  # below 1 likely levels become likelier; at 1 the quantisation noise adds up
    top_p: float = 1.0  # draw from the likeliest levels of so much probability (Holtzman et al. 2020); 1: all
    eta: float = 0.0  # least probability of a level, or sqrt(eta) e^-entropy (Hewitt et al. 2022); 0: all

    def __post_init__(self) -> None:
        for name, low, high, advice in (
            ("temperature", 0.05, 5, "1 for as learned"),
            ("top_p", 0.01, 1, "1 for all levels"),
            ("eta", 0, 0.1, "0 for all levels"),
        ):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and low <= value <= high):
                raise SettingsError(f"{name} is {value!r}", f"use a number from {low} to {high}, {advice}")


ODDS = Odds()


def settings(**changes: Any) -> SampleRNNSettings:
    """The default settings with some changed; None leaves one as it is. Raises SettingsError."""
    known = {field.name for field in dataclasses.fields(SampleRNNSettings)}
    for key in changes:
        if key not in known:
            raise unknown("samplernn", key, known)
    values = {key: value for key, value in changes.items() if value is not None}
    if isinstance(values.get("frame_sizes"), list):
        values["frame_sizes"] = tuple(values["frame_sizes"])
    if "frame_sizes" in values and not isinstance(values["frame_sizes"], tuple):
        raise SettingsError(f"frame_sizes is {values['frame_sizes']!r}", "use whole numbers such as 8, 2")
    return SampleRNNSettings(**values)


def to_json(chosen: SampleRNNSettings) -> dict[str, Any]:
    """The settings as a dict for JSON, which `settings(**record)` reads back."""
    return dataclasses.asdict(chosen)


def _whole(chosen: SampleRNNSettings, name: str, low: int, most: int) -> None:
    value = getattr(chosen, name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= most:
        raise SettingsError(f"{name} is {value!r}", f"use a whole number from {low} to {most}")


def _number(chosen: SampleRNNSettings, name: str, above: float, most: float, allowed: str) -> None:
    value = getattr(chosen, name)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (number and above < value <= most):
        raise SettingsError(f"{name} is {value!r}", f"use a number {allowed}")


def _one_of(chosen: SampleRNNSettings, name: str, allowed: tuple[str, ...]) -> None:
    value = getattr(chosen, name)
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}", f"use {' or '.join(allowed)}")


def weights_file(epochs: int) -> str:
    """Name of the weights after so many epochs in the run folder."""
    return f"epochs-{epochs:06d}.safetensors"


def epochs_of_weights(folder: Path) -> list[int]:
    """The epoch counts whose weights are in a run folder, ascending; none if there is no folder."""
    names = (re.fullmatch(r"epochs-(\d+)\.safetensors", path.name) for path in folder.glob("epochs-*"))
    return sorted(int(name[1]) for name in names if name)
