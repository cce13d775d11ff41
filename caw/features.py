"""Features of a clip from moment to moment: level by band, onsets and pitch classes; and the mel scale.

librosa's features are as good for beats and slower to load (`tests/benchmarks/beats.py`, table in
`docs/mosaic.md`). They also differ in their last bits, and what is drawn from a seed must not change.
The mel scale is that of O'Shaughnessy 1987, "Speech communication", which librosa calls HTK's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from caw import audio

HOP = 0.005  # seconds between frames
WINDOW = 0.023  # seconds: short, so that onsets are placed well
BANDS = 40
LOWEST = 30.0  # Hz
BASS_BANDS = 6  # of them, for kick drums and bass notes: to about 250 Hz
DEPTH_DB = 60.0  # below the clip's loud moments; less is silence
ANALYSIS_RATE = 22050  # Hz, at most
RISE = 3  # frames over which a rise of level is an onset
LEAST_RISE_DB = 0.25  # deviation of the rise; in sound that swells more evenly than that nothing begins
LOCAL = 0.5  # seconds to either side in which an onset stands out
CHROMA_WINDOW = 0.19  # seconds: long, so that semitones are apart
CHROMA_EVERY = 4  # frames
PITCHES = (80.0, 2500.0)  # Hz
WINDOWS_AT_ONCE = 2048  # windows held as spectra


@dataclass(frozen=True)
class Frames:
    """A clip's features, one row every `HOP` seconds; row k is at k * HOP seconds."""

    mel: np.ndarray  # float32 [frames, BANDS], dB over the floor, 0 to DEPTH_DB
    chroma: np.ndarray  # float32 [frames, 12]: amplitude of each pitch class from A up
    onsets: np.ndarray  # [frames]: strength of onsets over their surroundings, 0 and up, deviation 1
    bass: np.ndarray  # [frames]: the same, of the low bands alone

    def __len__(self) -> int:
        return len(self.mel)

    def row(self, seconds):
        """The row or rows at times in seconds."""
        return np.clip(np.rint(np.asarray(seconds) / HOP).astype(int), 0, len(self) - 1)


def analyse(samples: np.ndarray, rate: int) -> Frames:
    """Features of samples [n] at `rate` Hz, which are resampled to at most ANALYSIS_RATE."""
    if rate > ANALYSIS_RATE:
        samples, rate = audio.resample(samples, rate, ANALYSIS_RATE), ANALYSIS_RATE
    size = max(64, round(WINDOW * rate))
    count = int(len(samples) / rate / HOP) + 1
    mel = _spectra(samples, rate, size, HOP, count, _mel_filters(size, rate))
    mel = 10 * np.log10(mel + 1e-12)
    mel = np.maximum(mel - np.percentile(mel.max(axis=1), 95) + DEPTH_DB, 0)
    long = round(CHROMA_WINDOW * rate)
    few = -(-count // CHROMA_EVERY)
    chroma = _spectra(
        samples, rate, long, HOP * CHROMA_EVERY, few, _pitch_class_filters(long, rate), power=0.5
    )
    chroma = np.repeat(chroma, CHROMA_EVERY, axis=0)[:count]
    return Frames(mel, chroma, onsets(mel), onsets(mel[:, :BASS_BANDS]))


def _spectra(samples, rate, size: int, hop: float, count: int, weights, *, power=1.0) -> np.ndarray:
    """Weighted sums [count, columns] of the power spectra of windows centred every `hop` seconds."""
    starts = np.rint(np.arange(count) * hop * rate).astype(int)
    padded = np.pad(samples, (size // 2, size + 1)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    shape = signal.get_window("hann", size).astype(np.float32)
    rows = []
    for first in range(0, count, WINDOWS_AT_ONCE):
        part = windows[starts[first : first + WINDOWS_AT_ONCE]] * shape
        spectra = np.abs(np.fft.rfft(part, axis=1)) ** 2 / np.sum(shape**2)
        rows.append((spectra**power @ weights).astype(np.float32))
    return np.concatenate(rows)


def _mel_filters(size: int, rate: int) -> np.ndarray:
    """Triangles [bins, BANDS] from LOWEST to half the rate, even on the mel scale, each summing to 1."""
    edges = mel_frequencies(BANDS + 2, LOWEST, rate / 2)
    # a triangle narrower than two bins would hold none
    width = np.maximum(np.diff(edges), rate / size)
    middle, bins = edges[1:-1], np.fft.rfftfreq(size, 1 / rate)[:, None]
    filters = np.minimum((bins - middle) / width[:-1] + 1, (middle - bins) / width[1:] + 1)
    filters = np.maximum(filters, 0)
    return (filters / np.maximum(filters.sum(axis=0), 1e-9)).astype(np.float32)


def _pitch_class_filters(size: int, rate: int) -> np.ndarray:
    """Weights [bins, 12] of bins in the pitch classes from A (440 Hz) up; low pitches count for more."""
    bins = np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0)
    semitone = 12 * np.log2(bins / 440)
    apart = np.abs((semitone[:, None] - np.arange(12) + 6) % 12 - 6)
    in_range = (bins >= PITCHES[0]) & (bins <= PITCHES[1])
    return (np.maximum(1 - apart, 0) * (in_range / np.sqrt(bins))[:, None]).astype(np.float32)


def onsets(mel: np.ndarray) -> np.ndarray:
    """How strongly sound begins at each frame: the mean rise in dB over the bands, less its surroundings."""
    before = ndimage.maximum_filter1d(mel, 3, axis=1)  # a pitch that glides into the next band is no onset
    rise = np.zeros(len(mel))
    rise[RISE:] = np.maximum(mel[RISE:] - before[:-RISE], 0).mean(axis=1)
    rise = ndimage.gaussian_filter1d(rise, 1.0)
    local = ndimage.uniform_filter1d(rise, 2 * round(LOCAL / HOP) + 1)
    out = np.maximum(rise - local, 0)
    return out / max(float(out.std()), LEAST_RISE_DB)


def hz_to_mel(hertz):
    """Frequencies in Hz on the mel scale."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def mel_frequencies(count: int, low: float, high: float) -> np.ndarray:
    """`count` frequencies in Hz from `low` to `high`, both included, evenly spaced on the mel scale."""
    return 700 * (10 ** (np.linspace(hz_to_mel(low), hz_to_mel(high), count) / 2595) - 1)


def mel_filters(edges: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Triangular filters [bands, bins], each of which sums to 1, or is 0 if it holds no bin.

    edges: Hz [bands + 2]; band k rises from edges[k] to edges[k + 1] and falls to edges[k + 2]. bins: Hz.
    """
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
