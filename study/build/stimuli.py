"""One form for every clip, so that nothing but the music tells a real one from a fake.

`cut` gives all clips one channel, rate, band and length, without offset, faded in and out. `gains` levels
them to one loudness, lowered for all together where any true peak would exceed -1 dBTP. `quantise` gives them
16 bits with dither, so that their lowest bits look alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from caw import audio
from caw.problems import ProblemError
from study.design import Stimuli

HIGHEST_TRUE_PEAK = -1.0  # dBTP
WIDEST_SPREAD = 0.5  # LU between the loudest and the softest clip after quantising
_MARGIN = 0.05  # dB kept below the highest true peak for dither and rounding
_BAND_SHARE = 0.45  # of the lowest rate: above it, resamplers differ and old material is empty
_TRANSITION = 0.06  # width of the low-pass's slope as a share of its edge
_STOPBAND = 90.0  # dB
_FULL_SCALE = 2**15


class StimulusError(ProblemError):
    """A clip cannot be brought into the common form."""


@dataclass(frozen=True)
class Levels:
    """Levels of finished stimuli: loudness in LUFS, peaks in dBTP."""

    loudest: float
    softest: float
    highest_peak: float

    @property
    def spread(self) -> float:
        """The difference of the loudest and the softest, in LU."""
        return self.loudest - self.softest


def common_bandwidth(settings: Stimuli, rates: Mapping[str, int]) -> float:
    """The upper edge of the band that every clip carries.

    Parameters
    ----------
    settings : Stimuli
        The table [stimuli]. Its `bandwidth` counts where it is set.
    rates : mapping of str to int
        The rate of each clip in Hz, by the clip's name.

    Returns
    -------
    float
        In Hz. By default 0.45 of the lowest rate: above it resamplers differ, and old material is empty.

    Raises
    ------
    StimulusError
        If `bandwidth` is more than the clip of the lowest rate can have.

    Examples
    --------
    >>> common_bandwidth(Stimuli(), {"riff": 44100, "old": 8000})
    3600.0
    """
    lowest = min([settings.rate, *rates.values()])
    if settings.bandwidth is None:
        return _BAND_SHARE * lowest
    if settings.bandwidth > lowest / 2:
        poorest = min(rates, key=lambda name: rates[name])
        what = f"stimuli.bandwidth = {settings.bandwidth:g} Hz, but {poorest} has a rate of {lowest} Hz"
        raise StimulusError(what, f"lower it to {_BAND_SHARE * lowest:g} or delete the key")
    return settings.bandwidth


def rate_for(bandwidth: float, settings: Stimuli) -> int:
    """The lowest rate in Hz that carries the band of all clips (`common_bandwidth`)."""
    return min(settings.rate, round(bandwidth / _BAND_SHARE))


def cut(samples: np.ndarray, rate: int, settings: Stimuli, *, bandwidth: float, where: float) -> np.ndarray:
    """Bring a clip into the common form, except for its level.

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
        The clip.
    rate : int
        Its rate in Hz.
    settings : Stimuli
        The table [stimuli].
    bandwidth : float
        In Hz. Nothing is left above it, nor below `settings.lowest`.
    where : float
        From 0 to 1: where in the trimmed clip the excerpt is taken.

    Returns
    -------
    ndarray of float64, shape (settings.samples,)
        The excerpt at `settings.rate`, without offset, faded in and out.

    Raises
    ------
    StimulusError
        If the clip is too short.
    """
    resampled = audio.resample(samples, rate, settings.rate).astype(np.float64)
    trim, length = round(settings.trim * settings.rate), settings.samples
    room = len(resampled) - 2 * trim - length
    if room < -2:  # rounding of rates may take a sample or two
        what = f"lasts {len(samples) / rate:.2f} s, {settings.seconds + 2 * settings.trim:g} s are needed"
        raise StimulusError(what, "take a longer clip, or lower stimuli.seconds or stimuli.trim")
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
    """Remove what lies above a frequency, without delay and with linear phase.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        The sound.
    rate : int
        Its rate in Hz.
    bandwidth : float
        In Hz. The gain is 0 dB below 0.94 of it and -90 dB above it.

    Returns
    -------
    ndarray, shape (n,)
        The same sound where `bandwidth` is half of the rate or more.

    Notes
    -----
    The filter is a windowed sinc with Kaiser's window: J. F. Kaiser, Nonrecursive digital filter design using
    the I0-sinh window function, IEEE Symposium on Circuits and Systems, 1974.
    """
    width = _TRANSITION * bandwidth
    if bandwidth >= rate / 2:
        return samples
    taps, beta = signal.kaiserord(_STOPBAND, width / (rate / 2))
    kernel = signal.firwin(taps | 1, bandwidth - width / 2, window=("kaiser", beta), fs=rate)
    padded = np.pad(samples, taps)
    return signal.fftconvolve(padded, kernel, mode="same")[taps : taps + len(samples)]


def high_pass(samples: np.ndarray, rate: int, lowest: float) -> np.ndarray:
    """Remove what lies below a frequency, without delay.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        The sound.
    rate : int
        Its rate in Hz.
    lowest : float
        In Hz. The gain is -6 dB there and -72 dB an octave below. 0 removes nothing.

    Returns
    -------
    ndarray, shape (n,)
        The filtered sound: a Butterworth filter of order 6, applied forwards and backwards.
    """
    if not lowest:
        return samples
    return signal.sosfiltfilt(signal.butter(6, lowest, "highpass", fs=rate, output="sos"), samples)


def gains(measured: Mapping[str, tuple[float, float]], wanted: float) -> tuple[dict[str, float], float, str]:
    """The factors that give all clips one loudness.

    Parameters
    ----------
    measured : mapping of str to (float, float)
        The loudness in LUFS and the true peak in dBTP of each clip, by its name.
    wanted : float
        The loudness to reach, in LUFS.

    Returns
    -------
    factors : dict of str to float
        What to multiply each clip by.
    target : float
        The loudness that is reached, in LUFS: `wanted`, or as much less as keeps the highest true peak of all
        clips at -1 dBTP.
    highest : str
        The name of the clip with the highest peak.

    Raises
    ------
    StimulusError
        If a clip is silent.

    Examples
    --------
    >>> factors, target, highest = gains({"riff": (-20.0, -3.0), "take": (-30.0, -12.0)}, wanted=-26.0)
    >>> {name: round(factor, 2) for name, factor in factors.items()}, target, highest
    ({'riff': 0.5, 'take': 1.58}, -26.0, 'take')
    """
    needed: dict[str, float] = {}
    for name, (loud, _) in measured.items():
        if not np.isfinite(loud):
            raise StimulusError(f"{name}: is silent where the stimulus is cut", "take another passage")
        needed[name] = wanted - loud
    peaks = {name: peak + needed[name] for name, (_, peak) in measured.items()}
    highest = max(peaks, key=lambda name: peaks[name])
    excess = max(0.0, peaks[highest] - (HIGHEST_TRUE_PEAK - _MARGIN))
    factors = {name: 10 ** ((gain - excess) / 20) for name, gain in needed.items()}
    return factors, wanted - excess, highest


def quantise(samples: np.ndarray, seed: int) -> np.ndarray:
    """Round a clip to 16 bits, with triangular dither two steps wide.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        The clip; full scale is 1.
    seed : int
        The seed of the dither. It must not follow from the clip's truth.

    Returns
    -------
    ndarray of float32, shape (n,)
        Whole multiples of 2**-15, from -1 to 1 - 2**-15.

    Notes
    -----
    With this dither, the rounding error does not depend on the music: Lipshitz, Wannamaker and Vanderkooy,
    Quantization and dither: a theoretical survey, Journal of the Audio Engineering Society 40, 1992.

    Examples
    --------
    >>> (np.unique(quantise(np.zeros(1000), seed=0)) * 2**15).tolist()
    [-1.0, 0.0, 1.0]
    """
    dice = np.random.default_rng(seed)
    dither = dice.random(len(samples)) - dice.random(len(samples))
    steps = np.rint(samples * _FULL_SCALE + dither)
    return (np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1) / _FULL_SCALE).astype(np.float32)


def check_levels(files: Sequence[Path]) -> Levels:
    """Measure finished files and check that they are alike.

    Parameters
    ----------
    files : sequence of Path
        All stimuli of a study.

    Returns
    -------
    Levels
        Their loudness and their highest true peak.

    Raises
    ------
    StimulusError
        If the loudness spreads by more than 0.5 LU, or if a true peak exceeds -1 dBTP.
    """
    loud, peaks = [], []
    for file in files:
        samples, rate = soundfile.read(file)
        loud.append(audio.loudness(samples, rate))
        peaks.append(audio.true_peak(samples))
    levels = Levels(max(loud), min(loud), max(peaks))
    if levels.spread > WIDEST_SPREAD:
        what = f"loudness spreads by {levels.spread:.2f} LU after quantising"
        raise StimulusError(what, "raise stimuli.loudness, or leave out clips with extreme peaks")
    if levels.highest_peak > HIGHEST_TRUE_PEAK:
        what = f"true peak of {levels.highest_peak:.2f} dBTP after quantising"
        raise StimulusError(what, "lower stimuli.loudness")
    return levels
