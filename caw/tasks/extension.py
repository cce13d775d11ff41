"""Extend a recording's bandwidth upwards, from other material of the same source at the full rate.

What the recording holds is kept. Above it, a small network that was trained on the other material tells from
the low band how loud each band above is, 125 times a second; what sounds there (`caw.tasks.excitation`) is
brought to that loudness. (The published model draws the high band by its finer scales, Greshler et al. 2021,
section 4; caw/README.md compares.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage, signal
from torch import Tensor, nn

from caw import audio
from caw.features import mel_filters, mel_frequencies
from caw.tasks.excitation import Excitation

WINDOW = 0.032  # seconds, of the spectra
OVERLAP = 4
FEATURES = 64  # bands of the low band that the network sees, at most
BANDS = 28  # whose loudness it tells
SEEN = 0.85  # of the low rate's Nyquist frequency: what lies above may be rolled off
TOLD = 0.75  # of it, where the told bands begin
ROLLED_OFF_DB = 35.0  # a recording is mended up to where its own filter took this much
CHANNELS = 64
DILATIONS = (1, 2, 4, 8)  # frames: 0.25 s in all
STEPS = 700
LEARNING_RATE = 2e-3
BATCH = 16
CROP = 128  # frames, 1 s
DROPOUT = 0.2
JITTER = 0.3  # standard deviation of the noise on the network's input, in its own
LEVEL_JITTER = 0.5  # and of the level, in natural log of power
CAUTION = 0.35  # share taken off what a band's told level exceeds the material's median by, in log power
CAUTION_FROM = 2.0  # above the median, in natural log of power
LOUD = 0.95  # quantile of the frames' energies that levels are compared by
LOWEST_LOW_RATE = 1000  # Hz
SHORTEST_MATERIAL = 5.0  # seconds


class ExtensionError(ValueError):
    """Material or a recording that cannot be used; the message quotes the value and says the mend."""


class LoudnessNetwork(nn.Module):
    """Low-band spectra to the loudness of the bands above: [B, features, frames] -> [B, BANDS, frames]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(features, CHANNELS, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, 3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.drop = nn.Dropout1d(DROPOUT)
        self.leave = nn.Conv1d(CHANNELS, BANDS, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for layer in self.layers:
            normal = nn.functional.layer_norm(h.transpose(1, 2), (CHANNELS,)).transpose(1, 2)
            h = h + self.drop(torch.relu(layer(normal)))
        return self.leave(h)


@dataclass(frozen=True)
class Bands:
    """The frequency axis of an extension from `low_rate` to `rate` Hz."""

    rate: int
    low_rate: int

    @property
    def size(self) -> int:
        """Samples of a window."""
        return 2 ** round(np.log2(WINDOW * self.rate))

    @property
    def frequencies(self) -> np.ndarray:
        """Hz of the bins."""
        return np.fft.rfftfreq(self.size, 1 / self.rate)

    @property
    def seen(self) -> float:
        """Hz up to where a recording is taken to hold its source."""
        return SEEN * self.low_rate / 2

    @property
    def edges(self) -> np.ndarray:
        """Hz where the told bands begin, peak and end [BANDS + 2], even on the mel scale."""
        return mel_frequencies(BANDS + 2, TOLD * self.low_rate / 2, self.rate / 2)

    def spectra(self, samples: np.ndarray) -> np.ndarray:
        """[n] -> [bins, frames]; white noise of variance 1 has a power of 1."""
        window = signal.get_window("hann", self.size)
        overlap = self.size - self.size // OVERLAP
        return signal.stft(samples, 1.0, window, self.size, overlap, scaling="psd")[2] / np.sqrt(2)

    def waves(self, spectra: np.ndarray, count: int) -> np.ndarray:
        """The inverse of `spectra`: [count]."""
        window = signal.get_window("hann", self.size)
        overlap = self.size - self.size // OVERLAP
        waves = signal.istft(spectra * np.sqrt(2), 1.0, window, self.size, overlap, scaling="psd")[1]
        return np.pad(waves, (0, max(0, count - len(waves))))[:count]

    def features(self, spectra: np.ndarray) -> np.ndarray:
        """Log power of the low band [features, frames]."""
        power = np.abs(spectra[self.frequencies < self.seen]) ** 2
        groups = np.array_split(power, min(FEATURES, len(power)))
        return _log(np.stack([group.mean(axis=0) for group in groups]))

    def loudness(self, spectra: np.ndarray) -> np.ndarray:
        """Log power of the told bands [BANDS, frames]."""
        filters = mel_filters(self.edges, self.frequencies)
        return _log(filters @ np.abs(spectra) ** 2)

    def loud(self, spectra: np.ndarray) -> float:
        """Root power of the low band in the clip's loud frames."""
        frames = (np.abs(spectra[self.frequencies < self.seen]) ** 2).mean(axis=0)
        return float(np.sqrt(np.quantile(frames, LOUD) + 1e-20))


@dataclass
class Extension:
    """What was learnt from the material, ready to extend recordings of one low rate."""

    bands: Bands
    network: LoudnessNetwork
    scaling: dict[str, np.ndarray]  # mean and deviation of features and loudness, median loudness [., 1]
    excitation: Excitation
    spectrum: np.ndarray  # mean log power of the material's loud frames [bins]

    def apply(self, low: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """The recording [m] at the low rate with its upper bands drawn: [round(m * rate / low_rate)]."""
        bands = self.bands
        count = round(len(low) * bands.rate / bands.low_rate)
        wave = audio.resample(low, bands.low_rate, bands.rate).astype(np.float64)
        wave = np.pad(wave, (0, max(0, count - len(wave))))[:count]
        spectra = bands.spectra(wave)
        level = bands.loud(spectra)
        spectra = spectra / level
        gain, kept = self._mended(spectra)
        told = self._told(spectra)
        rng = np.random.default_rng(seed)
        source = self.excitation.draw(wave / level, bands.spectra, bands.rate, bands.seen, rng)
        centres = bands.edges[1:-1]
        shape = np.stack([np.interp(bands.frequencies, centres, frame) for frame in told.T], axis=1)
        drawn = source * np.exp(shape / 2)
        width = max(bands.rate / bands.size, 0.025 * bands.low_rate)
        above = np.clip((bands.frequencies - (kept - width)) / width, 0, 1)[:, None]
        return (bands.waves((1 - above) * gain[:, None] * spectra + above * drawn, count) * level).astype(
            np.float32
        )

    @torch.inference_mode()
    def _told(self, spectra: np.ndarray) -> np.ndarray:
        """Log power of the told bands [BANDS, frames], the loud ones held back by CAUTION."""
        scaling = self.scaling
        features = (self.bands.features(spectra) - scaling["features.mean"]) / scaling["features.deviation"]
        told = self.network(torch.from_numpy(features).float()[None])[0].double().numpy()
        told = told * scaling["loudness.deviation"] + scaling["loudness.mean"]
        return told - CAUTION * np.maximum(0, told - scaling["loudness.median"] - CAUTION_FROM)

    def _mended(self, spectra: np.ndarray) -> tuple[np.ndarray, float]:
        """Gain [bins] that undoes the roll-off of the recording's own filter, and Hz up to where it is kept.

        The roll-off is the recording's mean spectrum below that of the material, as far as it only grows.
        """
        bands, nyquist = self.bands, self.bands.low_rate / 2
        ours, frequencies = _loud_spectrum(spectra, bands), bands.frequencies
        lack = ndimage.uniform_filter1d((self.spectrum - ours) * 10 / np.log(10), 3)
        lack -= np.median(lack[(frequencies > 0.6 * nyquist) & (frequencies < 0.8 * nyquist)])
        lack = np.where(frequencies < 0.8 * nyquist, 0, lack)
        lack = np.maximum.accumulate(np.maximum(lack - 1.5, 0) * (lack > 1.5))
        lost = (lack > ROLLED_OFF_DB) | (frequencies > 0.96 * nyquist)
        kept = float(frequencies[np.argmax(lost)])
        return 10 ** (np.where(lost, 0, lack) / 20), kept


def learn(
    material: np.ndarray,
    rate: int,
    low_rate: int,
    *,
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[int, int, float], None] | None = None,
) -> Extension:
    """Learn the upper bands of a source from other material of it.

    material: mono [n] at `rate` Hz. low_rate: Hz of the recordings to extend, below `rate`. progress: called
    with (step, steps, loss). Errors: ExtensionError.
    """
    material = np.asarray(material, dtype=np.float32)
    validate(material, rate, low_rate)
    bands = Bands(rate, low_rate)
    spectra = bands.spectra(material.astype(np.float64))
    spectra = spectra / bands.loud(spectra)
    features, loudness = bands.features(spectra), bands.loudness(spectra)
    scaling = {"loudness.median": np.median(loudness, axis=1, keepdims=True)}
    for name, values in (("features", features), ("loudness", loudness)):
        scaling[f"{name}.mean"] = values.mean(axis=1, keepdims=True)
        scaling[f"{name}.deviation"] = values.std(axis=1, keepdims=True) + 1e-3
    torch.manual_seed(seed)
    network = LoudnessNetwork(len(features))
    inputs, targets = (
        torch.from_numpy((values - scaling[f"{name}.mean"]) / scaling[f"{name}.deviation"]).float()
        for name, values in (("features", features), ("loudness", loudness))
    )
    per_level = [torch.from_numpy(1 / scaling[f"{n}.deviation"]).float() for n in ("features", "loudness")]
    _train(network, inputs, targets, per_level, seed, steps, progress)
    groups = np.clip(np.searchsorted(bands.edges[1:-1], bands.frequencies), 0, BANDS - 1)
    excitation = Excitation.learn(material.astype(np.float64), bands.spectra, groups, rate, bands.seen)
    return Extension(bands, network.eval(), scaling, excitation, _loud_spectrum(spectra, bands))


def extend(
    material: np.ndarray, rate: int, low: np.ndarray, low_rate: int, *, seed: int = 0, steps: int = STEPS
) -> np.ndarray:
    """`learn` from the material and `apply` to one recording: [m] -> [round(m * rate / low_rate)]."""
    return learn(material, rate, low_rate, seed=seed, steps=steps).apply(low, seed=seed)


def _train(network, inputs, targets, per_level, seed, steps, progress) -> None:
    """Least squares on log power, on crops whose level varies (AdamW, one cycle)."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=max(2, steps))
    crop = min(CROP, inputs.shape[1] - 1)
    weight = per_level[1] ** -2
    for step in range(steps):
        starts = torch.randint(0, inputs.shape[1] - crop, (BATCH,), generator=generator).tolist()
        louder = LEVEL_JITTER * torch.randn(BATCH, 1, 1, generator=generator)
        seen, sought = (
            torch.stack([values[:, s : s + crop] for s in starts]) + louder * level
            for values, level in zip((inputs, targets), per_level, strict=True)
        )
        seen = seen + JITTER * torch.randn(seen.shape, generator=generator)
        loss = ((network(seen) - sought).square() * weight).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps, loss.item())


def validate(material: np.ndarray, rate: int, low_rate: int) -> None:
    """Refuse what `learn` cannot use, before long work. ExtensionError says why."""
    if material.ndim != 1:
        raise ExtensionError(f"the material has shape {material.shape}; give one channel, [n]")
    if not np.isfinite(material).all():
        raise ExtensionError("the material holds NaN or infinite samples; export it again")
    if low_rate >= rate:
        raise ExtensionError(
            f"the recording has {low_rate} Hz, the material {rate} Hz; give material at a higher rate"
        )
    if low_rate < LOWEST_LOW_RATE:
        raise ExtensionError(f"the recording has {low_rate} Hz; give one of {LOWEST_LOW_RATE} Hz or more")
    if len(material) < SHORTEST_MATERIAL * rate:
        told = f"the material is {len(material) / rate:.2f} s long"
        raise ExtensionError(f"{told}; give {SHORTEST_MATERIAL:g} s or more")


def _log(power: np.ndarray) -> np.ndarray:
    return np.log(power + 1e-7)


def _loud_spectrum(spectra: np.ndarray, bands: Bands) -> np.ndarray:
    """Log of the mean power in each bin over the louder half of the frames."""
    power = np.abs(spectra) ** 2
    energy = power[bands.frequencies < bands.seen].sum(axis=0)
    return np.log(power[:, energy >= np.median(energy)].mean(axis=1) + 1e-12)
