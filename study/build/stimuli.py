"""One form for every clip, so that nothing but the music tells a real one from a fake.

cut      mono, one rate, one band, one length, no offset, faded in and out
level    one integrated loudness for all, lowered together when any true peak would exceed -1 dBTP
quantise 16 bits with dither, so that the lowest bits of all clips look alike
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from caw import audio
from study.design import Stimuli

HIGHEST_TRUE_PEAK = -1.0  # dBTP
WIDEST_SPREAD = 0.5  # LU between the loudest and the softest clip after quantising
_MARGIN = 0.05  # dB kept below the highest true peak for dither and rounding
_BAND_SHARE = 0.45  # of the lowest rate: above it, resamplers differ and old material is empty
_TRANSITION = 0.06  # width of the low-pass's slope as a share of its edge
_STOPBAND = 90.0  # dB
_FULL_SCALE = 2**15


class StimulusError(ValueError):
    """A clip cannot be brought into the common form."""


@dataclass(frozen=True)
class Levels:
    """What levelling came to, measured after quantising. Loudness in LUFS, peaks in dBTP."""

    loudest: float
    softest: float
    highest_peak: float

    @property
    def spread(self) -> float:
        return self.loudest - self.softest


def common_bandwidth(settings: Stimuli, rates: Mapping[str, int]) -> float:
    """The band in Hz that every clip carries, given the rate of each: 0.45 of the lowest, or what is set.

    Raises: StimulusError when more is asked for than the clip of the lowest rate has.
    """
    lowest = min([settings.rate, *rates.values()])
    if settings.bandwidth is None:
        return _BAND_SHARE * lowest
    if settings.bandwidth > lowest / 2:
        poorest = min(rates, key=lambda name: rates[name])
        told = f"stimuli.bandwidth = {settings.bandwidth:g} Hz, but {poorest} has a rate of {lowest} Hz"
        raise StimulusError(f"{told}; lower it to {_BAND_SHARE * lowest:g} or delete the key")
    return settings.bandwidth


def rate_for(bandwidth: float, settings: Stimuli) -> int:
    """The lowest rate in Hz that carries the band of all clips, as `common_bandwidth` gives it."""
    return min(settings.rate, round(bandwidth / _BAND_SHARE))


def cut(samples: np.ndarray, rate: int, settings: Stimuli, *, bandwidth: float, where: float) -> np.ndarray:
    """A clip in the common form but for its level.

    samples: float32 [n] at `rate` Hz. bandwidth: Hz, nothing is left above it, nor below settings.lowest.
    where: 0..1, where in what is left after trimming the excerpt is taken.

    Returns float64 [settings.samples], free of offset, faded.
    Raises: StimulusError when the clip is too short.
    """
    resampled = audio.resample(samples, rate, settings.rate).astype(np.float64)
    trim, length = round(settings.trim * settings.rate), settings.samples
    room = len(resampled) - 2 * trim - length
    if room < -2:  # rounding of rates may take a sample or two
        told = f"lasts {len(samples) / rate:.2f} s, {settings.seconds + 2 * settings.trim:g} s are needed"
        raise StimulusError(f"{told}; take a longer clip, or lower stimuli.seconds or stimuli.trim")
    first = max(0, trim + round(where * room) if room > 0 else (len(resampled) - length) // 2)
    inside = low_pass(high_pass(resampled, settings.rate, settings.lowest), settings.rate, bandwidth)
    excerpt = inside[first : first + length]
    excerpt = np.pad(excerpt, (0, length - len(excerpt)))
    window = np.ones(length)
    if ramp := round(settings.fade * settings.rate):
        slope = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
        window[:ramp], window[length - ramp :] = slope, slope[::-1]
    faded = excerpt * window
    return faded - window * (faded.sum() / window.sum())


def low_pass(samples: np.ndarray, rate: int, bandwidth: float) -> np.ndarray:
    """Linear-phase low-pass of [n] without delay: 0 dB below 0.94 x bandwidth, -90 dB above it (Kaiser)."""
    width = _TRANSITION * bandwidth
    if bandwidth >= rate / 2:
        return samples
    taps, beta = signal.kaiserord(_STOPBAND, width / (rate / 2))
    kernel = signal.firwin(taps | 1, bandwidth - width / 2, window=("kaiser", beta), fs=rate)
    padded = np.pad(samples, taps)
    return signal.fftconvolve(padded, kernel, mode="same")[taps : taps + len(samples)]


def high_pass(samples: np.ndarray, rate: int, lowest: float) -> np.ndarray:
    """High-pass of [n] without delay: -6 dB at `lowest` Hz, -72 dB an octave below (Butterworth, twice)."""
    if not lowest:
        return samples
    return signal.sosfiltfilt(signal.butter(6, lowest, "highpass", fs=rate, output="sos"), samples)


def gains(measured: Mapping[str, tuple[float, float]], wanted: float) -> tuple[dict[str, float], float, str]:
    """The factor for each clip that gives all of them one loudness.

    measured: (loudness in LUFS, true peak in dBTP) of each clip. wanted: LUFS.

    Returns (factors, target in LUFS, name of the clip with the highest peak). The target is `wanted`, or as
    much below as keeps the highest true peak of all clips at -1 dBTP.
    Raises: StimulusError for a silent clip.
    """
    needed: dict[str, float] = {}
    for name, (loud, _) in measured.items():
        if not np.isfinite(loud):
            raise StimulusError(f"{name}: is silent where the stimulus is cut; take another passage")
        needed[name] = wanted - loud
    peaks = {name: peak + needed[name] for name, (_, peak) in measured.items()}
    highest = max(peaks, key=lambda name: peaks[name])
    excess = max(0.0, peaks[highest] - (HIGHEST_TRUE_PEAK - _MARGIN))
    factors = {name: 10 ** ((gain - excess) / 20) for name, gain in needed.items()}
    return factors, wanted - excess, highest


def quantise(samples: np.ndarray, seed: int) -> np.ndarray:
    """Round [n] to 16 bits with triangular dither of two steps' width.

    seed: of the dither; it must not follow from the clip's truth.
    """
    dice = np.random.default_rng(seed)
    dither = dice.random(len(samples)) - dice.random(len(samples))
    steps = np.rint(samples * _FULL_SCALE + dither)
    return (np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1) / _FULL_SCALE).astype(np.float32)


def check_levels(files: Sequence[Path]) -> Levels:
    """Measure the finished files and see that they are alike.

    Raises: StimulusError when loudness spreads by more than 0.5 LU or a true peak exceeds -1 dBTP.
    """
    loud, peaks = [], []
    for file in files:
        samples, rate = soundfile.read(file)
        loud.append(audio.loudness(samples, rate))
        peaks.append(audio.true_peak(samples))
    levels = Levels(max(loud), min(loud), max(peaks))
    if levels.spread > WIDEST_SPREAD:
        told = f"loudness spreads by {levels.spread:.2f} LU after quantising"
        raise StimulusError(f"{told}; raise stimuli.loudness, or leave out clips with extreme peaks")
    if levels.highest_peak > HIGHEST_TRUE_PEAK:
        told = f"true peak of {levels.highest_peak:.2f} dBTP after quantising"
        raise StimulusError(f"{told}; lower stimuli.loudness")
    return levels
