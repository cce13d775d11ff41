"""VAR: the sound of a clip followed, its waveform drawn anew.

Many candidates are drawn side by side; every BLOCK seconds those whose spectrum is farthest from the clip's
at that moment give way to copies of the nearest (the particles of Gordon, Salmond and Smith 1993, with the
distance to the clip for a likelihood). The network hears nothing of the clip: it is steered by the choice
among what it would have played anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from caw.samplernn import quantisation, sampling
from caw.samplernn.config import CANDIDATES, Odds
from caw.samplernn.network import SampleRNN

BLOCK = 0.032  # seconds between two choices
KEPT = 4  # one in so many candidates survives a choice
_LOWEST = 60.0  # Hz of the lowest band
_BANDS_PER_OCTAVE = 12  # so that a chord's notes count
_PARTS = 4  # of a block, whose loudness in wide bands tells where notes begin
_FLOOR_DB = 60.0  # what lies so far below the clip's loudest band counts as silence


def vary(
    network: SampleRNN,
    clip: np.ndarray,
    rate: int,
    *,
    seeds: Sequence[int],
    candidates: int = CANDIDATES,
    odds: Odds,
    told: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Variations of `clip`, float32 [n] as it was trained on: float32 [len(seeds), n], from -1 to 1.

    candidates: drawn side by side for each; the more, the closer it is followed. Clip i depends on seeds[i]
    and on no other. Raises: RunError as `sampling.generate`.
    """
    sampling.check(seeds)
    settings, clips = network.settings, len(seeds)
    frame = settings.frame_sizes[0]
    block = max(1, round(BLOCK * rate / frame)) * frame
    blocks = -(-len(clip) // block)
    ear = _Ear(np.pad(clip, (block, blocks * block - len(clip))), block, rate)
    dice = [np.random.default_rng(seed) for seed in seeds]
    drawn = sampling.voices(network, clips * candidates)
    last = np.zeros((clips * candidates, block), np.float32)
    levels = np.empty((blocks, clips, candidates, block), np.uint8)
    parents = np.empty((blocks, clips, candidates), np.int64)
    kept = max(1, candidates // KEPT)
    for index in range(blocks):
        uniforms = np.concatenate([one.random((candidates, block), np.float32) for one in dice])
        new = drawn.draw(uniforms, odds)
        sound = quantisation.decode(new, settings.quantisation)
        far = ear.distance(np.concatenate([last, sound], 1), index).reshape(clips, candidates)
        nearest = np.argsort(far, axis=1, kind="stable")[:, :kept]
        levels[index] = new.reshape(clips, candidates, block)
        for one in range(clips):
            parents[index, one] = np.resize(nearest[one], candidates)
        chosen = (parents[index] + np.arange(clips)[:, None] * candidates).ravel()
        drawn.take(chosen)
        last = sound[chosen]
        if told:
            told((index + 1) / blocks)
    return quantisation.decode(_traced(levels, parents), settings.quantisation)[:, : len(clip)]


def _traced(levels: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """The levels of each clip's nearest candidate and of those it descends from, uint8 [clips, n]."""
    blocks, clips = levels.shape[:2]
    found = np.empty((clips, blocks, levels.shape[3]), np.uint8)
    for one in range(clips):
        candidate = 0
        for index in range(blocks - 1, -1, -1):
            candidate = parents[index, one, candidate]
            found[one, index] = levels[index, one, candidate]
    return found.reshape(clips, -1)


class _Ear:
    """What a block of sound is like: the loudness of its notes, and of wide bands from moment to moment."""

    def __init__(self, clip: np.ndarray, block: int, rate: int) -> None:
        """clip: [block + n], a block of silence before it."""
        self.block, self.part = block, block // _PARTS
        top = rate / 2
        octaves = np.log2(top / _LOWEST)
        edges = _LOWEST * 2 ** np.linspace(0, octaves, round(octaves * _BANDS_PER_OCTAVE) + 1)
        self.notes = _bands(edges, 2 * block, rate)
        self.wide = _bands(_LOWEST * 2 ** np.arange(1, octaves + 1), 2 * self.part, rate)
        count = len(clip) // block - 1
        windows = np.stack([clip[i * block : (i + 2) * block] for i in range(count)])
        self.floor = 1e-12
        notes, wide = self._powers(windows)
        self.floor = 10 ** (-_FLOOR_DB / 10) * max(notes.max(), 1e-9)
        self.wanted = [self._decibels(powers) for powers in (notes, wide)]

    def distance(self, sound: np.ndarray, index: int) -> np.ndarray:
        """Mean square of dB, [candidates], for sound [candidates, 2 * block]: a block and the one before."""
        far = np.zeros(len(sound))
        for powers, wanted in zip(self._powers(sound), self.wanted, strict=True):
            far += ((self._decibels(powers) - wanted[index]) ** 2).mean(axis=1)
        return far

    def _powers(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        notes = _power(windows) @ self.notes
        hops = range(self.block - self.part, 2 * self.block - 2 * self.part + 1, self.part)
        parts = np.stack([windows[:, hop : hop + 2 * self.part] for hop in hops], 1)
        wide = _power(parts) @ self.wide
        return notes, (wide * _PARTS**2).reshape(len(windows), -1)

    def _decibels(self, powers: np.ndarray) -> np.ndarray:
        return 10 * np.log10(powers + self.floor)


def _power(windows: np.ndarray) -> np.ndarray:
    """Power spectra of the last axis, Hann window."""
    return np.abs(np.fft.rfft(windows * np.hanning(windows.shape[-1]))) ** 2


def _bands(edges: np.ndarray, size: int, rate: int) -> np.ndarray:
    """Mean over the bins of an FFT of `size` samples in each band, [bins, bands]; none is empty."""
    hertz = np.fft.rfftfreq(size, 1 / rate)
    found = []
    for low, high in zip(edges, edges[1:], strict=False):
        inside = (hertz >= low) & (hertz < high)
        if inside.any():
            found.append(inside / inside.sum())
    return np.stack(found, 1).astype(np.float32)
