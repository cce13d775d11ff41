"""Settings and presets of a training, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from caw.problems import ProblemError

PAPER_SCALES = (
    320, 400, 500, 640, 800, 1000, 1280, 1600, 2000, 2500, 4000, 8000, 10000, 12000, 14400, 16000,
)  # fmt: skip

EARLIER = {"schedule": "cosine", "guide": False, "score_steps": 1}  # in runs of versions without these
SCHEDULES = ("root", "cosine")
SHORTEST_CLIP = 2.0  # seconds that a training needs
LONGEST_DRAW = 3600  # seconds that are drawn at a time
LARGEST_SEED = 2**53 - 1  # each scale draws with seeds of its own, up to 1000 times as large
SHORTEST_CROP = 0.1  # seconds: a few frames of the score


_COUNTS = (
    "kernel", "bands", "score_channels", "score_layers", "channels", "layers", "finer_layers", "batch",
    "score_batch", "score_steps",
    "score_draw_steps", "draw_steps", "finer_draw_steps", "steady",
)  # fmt: skip


class SettingsError(ProblemError):
    """A setting is unknown, of the wrong kind, or out of range."""


def unknown(owner: str, key: str, known: Collection[str]) -> SettingsError:
    """The error for a setting that `owner` does not have; it suggests the known one that looks most alike."""
    near = difflib.get_close_matches(key, known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}"
    return SettingsError(f"{owner} has no setting {key!r}", fix)


def _at_least(settings: Settings, name: str, low: int) -> None:
    value = getattr(settings, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise SettingsError(f"{name} is {value!r}", f"use a whole number of {low} or more")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that every preset has.

    All fields are checked when an object is made; a value that cannot be raises SettingsError.
    """

    preset: str  # the name of the preset that was changed; not itself a setting
    epochs: int = 1000  # optimiser steps per scale
    seed: int = 0  # of the weights, the crops and the noise
    device: str = "auto"  # auto | cpu | cuda
    rate: int | None = None  # Hz of the finest scale; None: the clip's own, at most 16000
    scales: tuple[int, ...] = ()  # candidate scale rates in Hz, ascending
    learning_rate: float = 1.5e-3

    def __post_init__(self) -> None:
        _at_least(self, "epochs", 1)
        _at_least(self, "seed", 0)
        if self.seed > LARGEST_SEED:
            raise SettingsError(f"seed is {self.seed}", f"use a whole number from 0 to {LARGEST_SEED}")
        if self.rate is not None:
            _at_least(self, "rate", 500)
        if self.device not in ("auto", "cpu", "cuda"):
            raise SettingsError(f"device is {self.device!r}", "use auto, cpu or cuda")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingsError(f"learning_rate is {self.learning_rate!r}", "use a number above 0")

    @property
    def shares_steps(self) -> bool:
        """Whether a training is the beginning of every longer one, so that these can go on from its end."""
        return False


@dataclass(frozen=True, kw_only=True)
class FlowSettings(Settings):
    """Settings of `fast` and `standard`: a score and three waveforms, each a small flow-matching network.

    Notes
    -----
    Flow matching is that of Lipman et al. (2023). docs/model-experiments.md gives the measurements behind
    the defaults.

    Examples
    --------
    >>> FlowSettings(epochs=100).shares_steps
    True
    """

    preset: str = "fast"
    epochs: int = 600
    scales: tuple[int, ...] = (1000, 4000, 16000)
    learning_rate: float = 2e-3  # of Adam
    matrix_rate: float = 0.02  # of Muon, for the waveforms
    score_rate: float = 0.005  # and for the score, which learns by heart otherwise
    decay: float = 0.0  # of the weights that Muon trains
    kernel: int = 5
    bands: int = 112  # of the score
    score_channels: int = 128
    score_layers: int = 6  # dilations 1, 2, 4, ...: 4 s of receptive field
    score_crop: float = 8.0  # seconds per training crop
    score_batch: int = 2  # crops per step
    score_dropout: float = 0.25
    score_steps: int = 2  # steps of the score in an epoch: it gains from more, the waveforms hardly
    guide: bool = True  # the score's network reads beats, bars, pitch classes, loudness and accents
    transposed: float = 0.25  # share of crops that are transposed, for chords that the clip lacks
    album_epochs: int = 200  # the first epochs, which learn from all of an album where there is one
    guide_noise: float = 0.4  # deviations of noise on the guide while training
    guide_dropout: float = 0.15  # share of crops from which each part of the guide is left out
    channels: int = 48  # of the waveforms' networks
    frames: int = 250  # frames per second of the lowest waveform: fold = scale rate / frames
    layers: int = 5  # 0.5 s of receptive field
    crop: float = 6.0
    finer_frames: int = 500  # of the others
    finer_layers: int = 4  # 125 ms (a longer field memorises)
    finer_crop: float = 2.0
    batch: int = 4
    prediction_order: int = 32  # of the linear prediction that whitens a scale
    schedule: str = "root"  # root | cosine: how the learning rate falls; only root lets runs share steps
    steady: int = 100  # root: steps at the full rate, which then falls as 1 / sqrt(steps)
    recent: int = 10  # the weights' average is about a tenth of the training old
    averaging: float = 0.99  # cosine: largest decay of the moving average of the weights
    lower_noise: float = 0.3  # most noise mixed into a scale's inputs while training
    draw_noise: float = 0.05  # and while drawing
    score_draw_steps: int = 5  # evaluations of its network per draw
    draw_steps: int = 3
    finer_draw_steps: int = 2
    impositions: int = 1  # times that the finest waveform is brought to the score; more shortens its tones
    variation: float = 0.7  # how far VAR goes from the clip: 0 keeps score and lowest waveform

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _COUNTS:
            _at_least(self, name, 1)
        _at_least(self, "impositions", 0)
        _at_least(self, "album_epochs", 0)
        _at_least(self, "recent", 2)
        if self.kernel % 2 == 0:
            raise SettingsError(f"kernel is {self.kernel!r}", "use an odd number")
        for name in ("score_crop", "crop", "finer_crop"):
            if not getattr(self, name) >= SHORTEST_CROP:
                raise SettingsError(f"{name} is {getattr(self, name)!r}", f"use {SHORTEST_CROP} s or more")
        if self.schedule not in SCHEDULES:
            raise SettingsError(f"schedule is {self.schedule!r}", f"use {' or '.join(SCHEDULES)}")
        if not 0 <= self.score_dropout < 1:
            raise SettingsError(f"score_dropout is {self.score_dropout!r}", "use a number from 0 to below 1")
        if not 0 <= self.variation <= 1:
            raise SettingsError(f"variation is {self.variation!r}", "use a number from 0 to 1")
        if not 0 <= self.guide_dropout < 1:
            raise SettingsError(f"guide_dropout is {self.guide_dropout!r}", "use a number from 0 to below 1")
        if not 0 <= self.transposed <= 1:
            raise SettingsError(f"transposed is {self.transposed!r}", "use a number from 0 to 1")
        if not (math.isfinite(self.guide_noise) and self.guide_noise >= 0):
            raise SettingsError(f"guide_noise is {self.guide_noise!r}", "use a number of 0 or more")

    @property
    def shares_steps(self) -> bool:
        return self.schedule == "root"


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(Settings):
    """Settings of `paper`: the published recipe (Greshler et al. 2021, section 3 and supplementary A)."""

    preset: str = "paper"
    epochs: int = 3000
    scales: tuple[int, ...] = PAPER_SCALES
    first_energy: float = 0.0025  # the first scale is the lowest whose mean square reaches this
    fallback_scale: int = 500  # Hz, where none does
    first_channels: int = 16
    channels: int = 96
    kernel: int = 9
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    betas: tuple[float, float] = (0.5, 0.999)
    decay_at: float = 2 / 3  # share of the epochs after which the rate drops tenfold
    penalty: float = 0.01  # weight of the gradient penalty
    reconstruction: float = 1e-4  # weight of the multi-resolution STFT loss
    fine_noise: float = 0.01  # noise from the third scale up, per root of the energy a scale adds
    draws: int = 32  # signals drawn from the scales below and reused, with new noise in every step

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("first_channels", "channels", "kernel", "draws"):
            _at_least(self, name, 1)


PRESETS: dict[str, Settings] = {
    "fast": FlowSettings(),
    "standard": FlowSettings(
        preset="standard",
        epochs=2000,
        channels=64,
        layers=6,
        finer_frames=1000,
        finer_layers=5,
        score_draw_steps=12,
        draw_steps=6,
        finer_draw_steps=5,
    ),
    "paper": AdversarialSettings(),
}


def preset(name: str = "fast", **changes: Any) -> Settings:
    """The settings of a preset, some of them changed.

    Parameters
    ----------
    name : {"fast", "standard", "paper"}
        fast trains in minutes on a CPU, standard draws with larger networks, paper is the published recipe.
    **changes
        Fields of `FlowSettings` (presets fast and standard) or `AdversarialSettings` (preset paper). None
        leaves a setting as it is.

    Returns
    -------
    FlowSettings or AdversarialSettings

    Raises
    ------
    SettingsError
        For an unknown preset or setting, or a value that is of the wrong kind or out of range.

    Examples
    --------
    >>> preset("fast", epochs=100, seed=1).epochs
    100
    >>> preset("fast", epoch=100)
    Traceback (most recent call last):
    caw.config.SettingsError: preset fast has no setting 'epoch'; did you mean 'epochs'?
    """
    if name not in PRESETS:
        raise SettingsError(f"preset is {name!r}", f"use one of {', '.join(PRESETS)}")
    base = PRESETS[name]
    known = {field.name for field in dataclasses.fields(base)} - {"preset"}
    for key in changes:
        if key not in known:
            raise unknown(f"preset {name}", key, known)
    return dataclasses.replace(base, **{k: v for k, v in changes.items() if v is not None})


def as_begun(settings: Settings, record: dict[str, Any]) -> Settings:
    """The settings with which an unfinished run goes on that was begun by a version without guides.

    record: the run's settings, as `to_json` wrote them. Settings that this version did not have get the
    values that correspond to what it did.
    """
    if not isinstance(settings, FlowSettings) or "guide" in record:
        return settings
    theirs = from_json(record)
    later = {field.name for field in dataclasses.fields(settings)} - set(record) - {"schedule"}
    return dataclasses.replace(settings, **{name: getattr(theirs, name) for name in later | {"variation"}})


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as a dict that can be written as JSON."""
    return dataclasses.asdict(settings)


def from_json(record: dict[str, Any]) -> Settings:
    """The settings that `to_json` wrote into `record`."""
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k != "preset"}
    name = record.get("preset", "")
    if isinstance(PRESETS.get(name), FlowSettings):
        changes = EARLIER | changes
    return preset(name, **changes)
