"""The log-mel spectrogram and the onset curve that the measures share, and clips that are analysed once.

Log-mel spectrograms have 64 ms Hann windows every 16 ms and 64 triangular bands from 0 Hz to half the rate,
evenly spaced on the mel scale (`caw.features.mel_frequencies`; fewer bands below 4 kHz, where the bins are
few). A band holds the mean power of its bins in dB. 0 dB is white noise of the clip's RMS level; anything
under -50 dB (faint hiss between loud tones) fades into the floor.
"""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import fft, signal

from caw import features
from caw.problems import ProblemError

WINDOW, HOP = 0.064, 0.016  # seconds, of the spectrograms
BANDS = 64
FLOOR_DB = -50.0
QUIET_DB = -40.0  # dB below the clip's RMS level; stretches below it are not compared
SHORTEST = 0.5  # seconds
NOISE_SEED = 0  # of the white noise that measures are anchored by
WINDOWS_AT_ONCE = 2048  # windows held as spectra: this bounds memory and changes no value


class MeasureError(ProblemError):
    """Arrays that cannot be measured."""


class TooShortError(MeasureError):
    """A clip is too short, or holds too little, for one measure; others may still be taken of it."""


class AnalysedClip:
    """A clip that is analysed once; every measure takes one in the place of an array.

    samples: float array [n]. rate: Hz, the same that the measure is given. name: what errors call it.
    """

    def __init__(self, samples, rate, *, name: str = "x"):
        self.samples, self.rate = validated(samples, rate, name), rate
        self.cache: dict[Hashable, Any] = {}  # filled by `cached`

    @cached_property
    def log_mel(self) -> np.ndarray:
        return _log_mel(self.samples, self.rate)


def as_clip(x, rate, name: str) -> AnalysedClip:
    """`x` as an `AnalysedClip`, so that it can be compared with many clips at the cost of one analysis."""
    return x if isinstance(x, AnalysedClip) else AnalysedClip(x, rate, name=name)


def cached(x, key: Hashable, compute: Callable[[], Any]) -> Any:
    """The result of `compute`, which an `AnalysedClip` computes once for each key."""
    if not isinstance(x, AnalysedClip):
        return compute()
    if key not in x.cache:
        x.cache[key] = compute()
    return x.cache[key]


def validated(x, rate, name: str) -> np.ndarray:
    """`x` as float32 [n]. Raises MeasureError, which calls it `name`, where it cannot be measured."""
    if isinstance(x, AnalysedClip):
        if x.rate != rate:
            raise MeasureError(
                f"{name} is a clip at {x.rate} Hz, measured at {rate} Hz", "give both one rate"
            )
        return x.samples
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 1:
        raise MeasureError(f"{name} has shape {x.shape}", "give one channel, shape [n]")
    if not rate >= 200:
        raise MeasureError(f"rate is {rate!r}", "give a sampling rate of at least 200 Hz")
    if x.size < SHORTEST * rate:
        raise MeasureError(f"{name} is {x.size / rate:.2f} s long", f"give at least {SHORTEST:g} s")
    if not np.isfinite(x).all():
        raise MeasureError(f"{name} holds NaN or infinite samples", "generate or read it again")
    if not x.any():
        raise MeasureError(f"{name} is silent", "give a clip with sound")
    return x


def require_one_length(real, fake, rate) -> None:
    """Raise TooShortError for two clips that differ in length by more than a frame of 16 ms."""
    sizes = [validated(x, rate, name).size for x, name in ((real, "real"), (fake, "fake"))]
    if abs(sizes[0] - sizes[1]) > HOP * rate:
        lengths = f"real has {sizes[0] / rate:.2f} s, fake {sizes[1] / rate:.2f} s"
        raise TooShortError(lengths, "the same moment is in clips of one length")


def rms(x: np.ndarray) -> float:
    """Root mean square of [n]."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def log_mel(x, rate) -> np.ndarray:
    """Log-mel spectrogram [bands, frames] in dB, as the head of this module defines it."""
    samples = validated(x, rate, "x")
    return x.log_mel if isinstance(x, AnalysedClip) else _log_mel(samples, rate)


def _log_mel(x: np.ndarray, rate) -> np.ndarray:
    size, hop = round(WINDOW * rate), max(1, round(HOP * rate))
    window, bands = signal.get_window("hann", size).astype(np.float32), _mel_filters(size, rate)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x / rms(x), size // 2), size)[::hop]
    blocks = []
    for first in range(0, len(frames), WINDOWS_AT_ONCE):  # a long clip's spectra would not fit into memory
        spectra = fft.rfft(frames[first : first + WINDOWS_AT_ONCE] * window, axis=1)
        power = np.abs(spectra) ** 2 / np.sum(window**2)
        blocks.append(10 * np.log10(bands @ power.T + 10 ** (FLOOR_DB / 10)))
    return np.concatenate(blocks, axis=1)


def _mel_filters(size: int, rate: float) -> np.ndarray:
    """Triangular filters [bands, size // 2 + 1], each of which sums to 1."""
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    bands = min(BANDS, bins.size // 2)
    return features.mel_filters(features.mel_frequencies(bands + 2, 0, rate / 2), bins).astype(np.float32)


def frames_per_second(rate: float) -> float:
    """Frames of the log-mel spectrogram in a second: about 62.5."""
    return rate / max(1, round(HOP * rate))


def onset_curve(x, rate) -> np.ndarray:
    """Mean rise in dB over the bands of the log-mel spectrogram from frame to frame, [frames - 1]."""
    return np.maximum(0, np.diff(log_mel(x, rate), axis=1)).mean(axis=0)


def onset_autocorrelation(x, rate, *, longest: float) -> tuple[np.ndarray, float]:
    """Autocorrelation of the onset curve at lags of 0 to `longest` seconds, and frames per second.

    The curve's mean is taken off; at lag 0 the autocorrelation is 1.
    """
    rise = onset_curve(x, rate)
    rise -= rise.mean()
    frames = frames_per_second(rate)
    high = round(longest * frames)
    spectrum = np.abs(fft.rfft(rise, 2 * rise.size + high)) ** 2
    correlation = fft.irfft(spectrum)[: high + 1]
    return correlation / max(correlation[0], 1e-12), frames
