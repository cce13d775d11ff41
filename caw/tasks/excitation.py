"""What sounds in the band above a recording: overtones of what it holds, as its source has them, and noise.

Squaring or cubing a voice or a string makes tones where its own overtones lie, and in step with them. How
much of each goes into each band, and how much noise beside them, is a regression on other material of the
source. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

LOCAL = (9, 3)  # bins and frames over which a spectrum's own level is taken
TAPS = 513  # of the low-pass before the powers
RIDGE = 1e-3

Spectra = Callable[[np.ndarray], np.ndarray]  # [n] -> [bins, frames]


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
        """Regress the material's flattened spectrum on the overtones of what it has below `cutoff` Hz.

        material: [n] at `rate` Hz. groups: which bins share their weights [bins]. Only the louder half of the
        frames counts.
        """
        given = spectra(material)
        sought = flattened(given)
        made = overtones(material, spectra, rate, cutoff)
        energy = (np.abs(given) ** 2).sum(axis=0)
        loud = energy >= np.median(energy)
        count = int(groups.max()) + 1
        weights, noise = np.zeros((count, len(made)), complex), np.ones(count)
        for group in range(count):
            inside = groups == group
            x = sought[inside][:, loud].ravel()
            y = made[:, inside][:, :, loud].reshape(len(made), -1)
            gram = y.conj() @ y.T / y.shape[1]
            weights[group] = np.linalg.solve(gram + RIDGE * np.eye(len(made)), y.conj() @ x / y.shape[1])
            kept = np.mean(np.abs(weights[group] @ y) ** 2) / max(np.mean(np.abs(x) ** 2), 1e-12)
            noise[group] = np.sqrt(max(0.0, 1 - kept))
        return cls(weights, noise, groups)

    def draw(
        self, recording: np.ndarray, spectra: Spectra, rate: int, cutoff: float, rng: np.random.Generator
    ) -> np.ndarray:
        """A flat spectrum [bins, frames] of power about 1 for the recording [n]."""
        made = overtones(recording, spectra, rate, cutoff)
        white = spectra(rng.standard_normal(len(recording)))
        tones = np.einsum("bk,kbf->bf", self.weights[self.groups], made)
        return tones + self.noise[self.groups][:, None] * white


def overtones(wave: np.ndarray, spectra: Spectra, rate: int, cutoff: float) -> np.ndarray:
    """Flattened spectra of powers of the wave below `cutoff` Hz [kinds, bins, frames]."""
    low = signal.oaconvolve(wave, signal.firwin(TAPS, cutoff, fs=rate), "same")
    edged = signal.lfilter([1, -0.97], [1], low)
    return np.stack([flattened(spectra(kind)) for kind in (low**2, low**3, np.abs(edged), edged**3)])


def flattened(spectrum: np.ndarray) -> np.ndarray:
    """A spectrum divided by its own local level."""
    level = ndimage.uniform_filter(np.abs(spectrum) ** 2, LOCAL)
    return spectrum / np.sqrt(level + 1e-12 * level.max() + 1e-30)
