"""What a clip sounds like from moment to moment: loudness by band, onsets, pitch classes.

Plain numpy and scipy: librosa's are as good and take 1.5 s of start, 16 where numba has kept nothing of them
yet (`tests/benchmarks/beats.py`), which is longer than all that is done here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from caw import audio, mel_scale

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
AT_ONCE = 2048  # windows held as spectra


@dataclass(frozen=True)
class Frames:
    """A clip's features, one row every `HOP` seconds; row k is the moment k * HOP."""

    mel: np.ndarray  # float32 [frames, BANDS], dB over the floor, 0 to DEPTH_DB
    chroma: np.ndarray  # float32 [frames, 12]: amplitude of each pitch class from A up
    onsets: np.ndarray  # [frames]: how much more begins here than around, 0 and up, deviation 1
    bass: np.ndarray  # [frames]: the same of the low bands alone

    def __len__(self) -> int:
        return len(self.mel)

    def row(self, seconds):
        """The row or rows of moments in seconds."""
        return np.clip(np.rint(np.asarray(seconds) / HOP).astype(int), 0, len(self) - 1)


def analyse(samples: np.ndarray, rate: int) -> Frames:
    """Features of samples [n] at `rate` Hz; the same memory whatever the rate."""
    if rate > ANALYSIS_RATE:
        samples, rate = audio.resample(samples, rate, ANALYSIS_RATE), ANALYSIS_RATE
    size = max(64, round(WINDOW * rate))
    count = int(len(samples) / rate / HOP) + 1
    mel = _spectra(samples, rate, size, HOP, count, _bands(size, rate))
    mel = 10 * np.log10(mel + 1e-12)
    mel = np.maximum(mel - np.percentile(mel.max(axis=1), 95) + DEPTH_DB, 0)
    long = round(CHROMA_WINDOW * rate)
    few = -(-count // CHROMA_EVERY)
    chroma = _spectra(samples, rate, long, HOP * CHROMA_EVERY, few, _pitch_classes(long, rate), power=0.5)
    chroma = np.repeat(chroma, CHROMA_EVERY, axis=0)[:count]
    return Frames(mel, chroma, onsets(mel), onsets(mel[:, :BASS_BANDS]))


def _spectra(samples, rate, size: int, hop: float, count: int, weights, *, power=1.0) -> np.ndarray:
    """Weighted sums [count, columns] of the power spectra of windows every `hop` seconds, centred on them."""
    starts = np.rint(np.arange(count) * hop * rate).astype(int)
    padded = np.pad(samples, (size // 2, size + 1)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    shape = signal.get_window("hann", size).astype(np.float32)
    rows = []
    for first in range(0, count, AT_ONCE):
        part = windows[starts[first : first + AT_ONCE]] * shape
        spectra = np.abs(np.fft.rfft(part, axis=1)) ** 2 / np.sum(shape**2)
        rows.append((spectra**power @ weights).astype(np.float32))
    return np.concatenate(rows)


def _bands(size: int, rate: int) -> np.ndarray:
    """Triangles [bins, BANDS] from LOWEST to half the rate, even on the mel scale, each summing to 1."""
    edges = mel_scale.even(LOWEST, rate / 2, BANDS + 2)
    # a triangle narrower than two bins would hold none
    width = np.maximum(np.diff(edges), rate / size)
    middle, bins = edges[1:-1], np.fft.rfftfreq(size, 1 / rate)[:, None]
    filters = np.minimum((bins - middle) / width[:-1] + 1, (middle - bins) / width[1:] + 1)
    filters = np.maximum(filters, 0)
    return (filters / np.maximum(filters.sum(axis=0), 1e-9)).astype(np.float32)


def _pitch_classes(size: int, rate: int) -> np.ndarray:
    """Weights [bins, 12] of bins in the pitch classes, 440 Hz the first; low pitches count for more."""
    bins = np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0)
    semitone = 12 * np.log2(bins / 440)
    apart = np.abs((semitone[:, None] - np.arange(12) + 6) % 12 - 6)
    heard = (bins >= PITCHES[0]) & (bins <= PITCHES[1])
    return (np.maximum(1 - apart, 0) * (heard / np.sqrt(bins))[:, None]).astype(np.float32)


def onsets(mel: np.ndarray) -> np.ndarray:
    """How strongly sound begins at each frame: the mean rise in dB, less its surroundings."""
    before = ndimage.maximum_filter1d(mel, 3, axis=1)  # a pitch that glides into the next band is no onset
    rise = np.zeros(len(mel))
    rise[RISE:] = np.maximum(mel[RISE:] - before[:-RISE], 0).mean(axis=1)
    rise = ndimage.gaussian_filter1d(rise, 1.0)
    local = ndimage.uniform_filter1d(rise, 2 * round(LOCAL / HOP) + 1)
    out = np.maximum(rise - local, 0)
    return out / max(float(out.std()), LEAST_RISE_DB)
