"""Extend a recording's bandwidth upwards, from other material of the same source at the full rate.

What the recording holds is kept. Above it, a small network that was trained on the other material predicts
from the low band how loud each band above is, 125 times a second. What sounds there (`Excitation`) is brought
to that loudness: overtones of what the recording holds, and noise. Squaring or cubing a voice or a string
makes tones where its own overtones lie, in step with them; how much of each goes into each band is a
regression on the other material. (The published model draws the high band by its finer scales, Greshler et
al. 2021, section 4; docs/tasks.md compares.)
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
from caw.problems import ProblemError

WINDOW = 0.032  # seconds, of the spectra
OVERLAP = 4
FEATURES = 64  # parts of the low band that the network sees, at most
BANDS = 28  # whose loudness it predicts
SEEN = 0.85  # of the low rate's Nyquist frequency: what lies above may be rolled off
PREDICTED = 0.75  # of that frequency, where the predicted bands begin
ROLLED_OFF_DB = 35.0  # a recording is used up to where its own filter took this much
CHANNELS = 64
DILATIONS = (1, 2, 4, 8)  # frames: 0.25 s in all
STEPS = 700
LEARNING_RATE = 2e-3
BATCH = 16
CROP = 128  # frames, 1 s
DROPOUT = 0.2
JITTER = 0.3  # standard deviation of the noise on the network's input, in its own
LEVEL_JITTER = 0.5  # and of the level, in natural log of power
CAUTION = 0.35  # share taken off a predicted level's excess over the material's median
CAUTION_FROM = 2.0  # above the median, in natural log of power, where that excess begins
LOUD = 0.95  # quantile of the frames' energies that levels are compared by
LOWEST_LOW_RATE = 1000  # Hz
LOCAL = (9, 3)  # bins and frames over which a spectrum's own level is taken
TAPS = 513  # of the low-pass before the powers
RIDGE = 1e-3
SHORTEST_MATERIAL = 5.0  # seconds

Spectra = Callable[[np.ndarray], np.ndarray]  # [n] -> [bins, frames]


class ExtensionError(ProblemError):
    """Material or a recording that cannot be used."""


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
class FrequencyAxis:
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
        """Hz up to where a recording is assumed to hold its source."""
        return SEEN * self.low_rate / 2

    @property
    def edges(self) -> np.ndarray:
        """Hz where the predicted bands begin, peak and end [BANDS + 2], even on the mel scale."""
        return mel_frequencies(BANDS + 2, PREDICTED * self.low_rate / 2, self.rate / 2)

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
        """Log power of the predicted bands [BANDS, frames]."""
        filters = mel_filters(self.edges, self.frequencies)
        return _log(filters @ np.abs(spectra) ** 2)

    def loud(self, spectra: np.ndarray) -> float:
        """Root power of the low band in the clip's loud frames."""
        frames = (np.abs(spectra[self.frequencies < self.seen]) ** 2).mean(axis=0)
        return float(np.sqrt(np.quantile(frames, LOUD) + 1e-20))


@dataclass(frozen=True)
class Excitation:
    """Mixing weights of the overtones in each group of bins."""

    weights: np.ndarray  # complex [groups, kinds]
    noise: np.ndarray  # share of noise [groups], in amplitude
    groups: np.ndarray  # group of each bin [bins]

    @classmethod
    def learn(
        cls, material: np.ndarray, spectra: Spectra, groups: np.ndarray, rate: int, cutoff: float
    ) -> Excitation:
        """Regress the material's flattened spectrum on the overtones of its part below `cutoff` Hz.

        material: [n] at `rate` Hz. groups: which bins share their weights [bins]. Only the louder half of the
        frames counts.
        """
        spectrum = spectra(material)
        target = flattened(spectrum)
        tones = overtones(material, spectra, rate, cutoff)
        energy = (np.abs(spectrum) ** 2).sum(axis=0)
        loud = energy >= np.median(energy)
        count = int(groups.max()) + 1
        weights, noise = np.zeros((count, len(tones)), complex), np.ones(count)
        for group in range(count):
            inside = groups == group
            x = target[inside][:, loud].ravel()
            y = tones[:, inside][:, :, loud].reshape(len(tones), -1)
            gram = y.conj() @ y.T / y.shape[1]
            weights[group] = np.linalg.solve(gram + RIDGE * np.eye(len(tones)), y.conj() @ x / y.shape[1])
            explained = np.mean(np.abs(weights[group] @ y) ** 2) / max(np.mean(np.abs(x) ** 2), 1e-12)
            noise[group] = np.sqrt(max(0.0, 1 - explained))
        return cls(weights, noise, groups)

    def draw(
        self, recording: np.ndarray, spectra: Spectra, rate: int, cutoff: float, rng: np.random.Generator
    ) -> np.ndarray:
        """A flat spectrum [bins, frames] of power about 1 for the recording [n]."""
        tones = overtones(recording, spectra, rate, cutoff)
        white = spectra(rng.standard_normal(len(recording)))
        mixed = np.einsum("bk,kbf->bf", self.weights[self.groups], tones)
        return mixed + self.noise[self.groups][:, None] * white


def overtones(wave: np.ndarray, spectra: Spectra, rate: int, cutoff: float) -> np.ndarray:
    """Flattened spectra of powers of the wave below `cutoff` Hz [kinds, bins, frames]."""
    low = signal.oaconvolve(wave, signal.firwin(TAPS, cutoff, fs=rate), "same")
    edged = signal.lfilter([1, -0.97], [1], low)
    return np.stack([flattened(spectra(kind)) for kind in (low**2, low**3, np.abs(edged), edged**3)])


def flattened(spectrum: np.ndarray) -> np.ndarray:
    """A spectrum divided by its own local level."""
    level = ndimage.uniform_filter(np.abs(spectrum) ** 2, LOCAL)
    return spectrum / np.sqrt(level + 1e-12 * level.max() + 1e-30)


@dataclass
class Extension:
    """A network and weights learnt from the material, ready to extend recordings of one low rate."""

    axis: FrequencyAxis
    network: LoudnessNetwork
    scaling: dict[str, np.ndarray]  # mean and deviation of features and loudness, median loudness [., 1]
    excitation: Excitation
    spectrum: np.ndarray  # mean log power of the material's loud frames [bins]

    def apply(self, low: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Draw the upper bands of a recording.

        Parameters
        ----------
        low : array [m]
            The recording at the low rate.
        seed : int
            Of the noise in the upper bands.

        Returns
        -------
        array [round(m * rate / low_rate)]
        """
        axis = self.axis
        count = round(len(low) * axis.rate / axis.low_rate)
        wave = audio.resample(low, axis.low_rate, axis.rate).astype(np.float64)
        wave = np.pad(wave, (0, max(0, count - len(wave))))[:count]
        spectra = axis.spectra(wave)
        level = axis.loud(spectra)
        spectra = spectra / level
        gain, crossover = self._equalised(spectra)
        loudness = self._predicted(spectra)
        rng = np.random.default_rng(seed)
        source = self.excitation.draw(wave / level, axis.spectra, axis.rate, axis.seen, rng)
        centres = axis.edges[1:-1]
        shape = np.stack([np.interp(axis.frequencies, centres, frame) for frame in loudness.T], axis=1)
        drawn = source * np.exp(shape / 2)
        width = max(axis.rate / axis.size, 0.025 * axis.low_rate)
        above = np.clip((axis.frequencies - (crossover - width)) / width, 0, 1)[:, None]
        joined = (1 - above) * gain[:, None] * spectra + above * drawn
        return (axis.waves(joined, count) * level).astype(np.float32)

    @torch.inference_mode()
    def _predicted(self, spectra: np.ndarray) -> np.ndarray:
        """Log power of the predicted bands [BANDS, frames], the loud ones held back by `CAUTION`."""
        scaling = self.scaling
        features = (self.axis.features(spectra) - scaling["features.mean"]) / scaling["features.deviation"]
        loudness = self.network(torch.from_numpy(features).float()[None])[0].double().numpy()
        loudness = loudness * scaling["loudness.deviation"] + scaling["loudness.mean"]
        return loudness - CAUTION * np.maximum(0, loudness - scaling["loudness.median"] - CAUTION_FROM)

    def _equalised(self, spectra: np.ndarray) -> tuple[np.ndarray, float]:
        """Gain [bins] that undoes the roll-off of the recording's own filter, and Hz up to where it is used.

        The roll-off is by how much the recording's mean spectrum lies below that of the material, where this
        only grows.
        """
        axis, nyquist = self.axis, self.axis.low_rate / 2
        ours, frequencies = _loud_spectrum(spectra, axis), axis.frequencies
        lack = ndimage.uniform_filter1d((self.spectrum - ours) * 10 / np.log(10), 3)
        lack -= np.median(lack[(frequencies > 0.6 * nyquist) & (frequencies < 0.8 * nyquist)])
        lack = np.where(frequencies < 0.8 * nyquist, 0, lack)
        lack = np.maximum.accumulate(np.maximum(lack - 1.5, 0) * (lack > 1.5))
        lost = (lack > ROLLED_OFF_DB) | (frequencies > 0.96 * nyquist)
        return 10 ** (np.where(lost, 0, lack) / 20), float(frequencies[np.argmax(lost)])


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

    Parameters
    ----------
    material : array [n]
        One channel at `rate` Hz, of 5 s or more.
    rate : int
        Hz of the material, and of what is extended.
    low_rate : int
        Hz of the recordings to extend, from 1000 to below `rate`.
    seed : int
        Of the network's weights and of the crops that it learns from.
    steps : int
        Optimiser steps.
    progress : callable, optional
        Called with (step, steps, loss).

    Returns
    -------
    Extension
        Its `apply` extends a recording.

    Raises
    ------
    ExtensionError
        For material that cannot be used.
    """
    material = np.asarray(material, dtype=np.float32)
    validate(material, rate, low_rate)
    axis = FrequencyAxis(rate, low_rate)
    spectra = axis.spectra(material.astype(np.float64))
    spectra = spectra / axis.loud(spectra)
    features, loudness = axis.features(spectra), axis.loudness(spectra)
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
    groups = np.clip(np.searchsorted(axis.edges[1:-1], axis.frequencies), 0, BANDS - 1)
    excitation = Excitation.learn(material.astype(np.float64), axis.spectra, groups, rate, axis.seen)
    return Extension(axis, network.eval(), scaling, excitation, _loud_spectrum(spectra, axis))


def extend(
    material: np.ndarray, rate: int, low: np.ndarray, low_rate: int, *, seed: int = 0, steps: int = STEPS
) -> np.ndarray:
    """Extend one recording from other material of its source: `learn`, then `Extension.apply`.

    Parameters
    ----------
    material : array [n]
        One channel at `rate` Hz, of 5 s or more.
    rate : int
        Hz of the material, and of the result.
    low : array [m]
        The recording.
    low_rate : int
        Hz of the recording, from 1000 to below `rate`.
    seed : int
        Of everything random.
    steps : int
        Optimiser steps of the network.

    Returns
    -------
    array [round(m * rate / low_rate)]

    Raises
    ------
    ExtensionError
        For material that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from caw import audio
    >>> noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * 4000).astype(np.float32)
    >>> low = audio.resample(noise[:8000], 4000, 2000)
    >>> extend(noise, 4000, low, 2000, steps=2).shape
    (8000,)
    """
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
        seen, target = (
            torch.stack([values[:, s : s + crop] for s in starts]) + louder * level
            for values, level in zip((inputs, targets), per_level, strict=True)
        )
        seen = seen + JITTER * torch.randn(seen.shape, generator=generator)
        loss = ((network(seen) - target).square() * weight).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps, loss.item())


def validate(material: np.ndarray, rate: int, low_rate: int) -> None:
    """Raise ExtensionError for material that `learn` cannot use: worth asking before long work."""
    if material.ndim != 1:
        raise ExtensionError(f"the material has shape {material.shape}", "give one channel, [n]")
    if not np.isfinite(material).all():
        raise ExtensionError("the material holds NaN or infinite samples", "export it again")
    if low_rate >= rate:
        what = f"the recording has {low_rate} Hz, the material {rate} Hz"
        raise ExtensionError(what, "give material at a higher rate")
    if low_rate < LOWEST_LOW_RATE:
        raise ExtensionError(f"the recording has {low_rate} Hz", f"give one of {LOWEST_LOW_RATE} Hz or more")
    if len(material) < SHORTEST_MATERIAL * rate:
        seconds = len(material) / rate
        raise ExtensionError(f"the material is {seconds:.2f} s long", f"give {SHORTEST_MATERIAL:g} s or more")


def _log(power: np.ndarray) -> np.ndarray:
    return np.log(power + 1e-7)


def _loud_spectrum(spectra: np.ndarray, axis: FrequencyAxis) -> np.ndarray:
    """Log of the mean power in each bin over the louder half of the frames."""
    power = np.abs(spectra) ** 2
    energy = power[axis.frequencies < axis.seen].sum(axis=0)
    return np.log(power[:, energy >= np.median(energy)].mean(axis=1) + 1e-12)
