"""Lower a recording's steady noise (hiss, hum, the surface of an old record); length, rate and level stay.

The noise is estimated from the recording's own quietest moments, so nothing is trained. (The published model
denoises by what its reconstruction leaves out, Greshler et al. 2021, section 4; docs/tasks.md compares.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage, signal, special

from caw.problems import ProblemError

WINDOW = 0.064  # seconds, of the spectra
OVERLAP = 8  # windows over every sample
SMOOTHING = 0.15  # seconds over which the quietest moments are looked for
QUIETEST = 0.02  # quantile of the moments that counts as quietest, in each frequency
NEIGHBOURS = 500.0  # Hz; between a clip's tones there is only noise, so the least of the neighbours counts
LEAST = 0.1  # quantile over the neighbours
SPREAD = 0.3  # quantile: near the quietest in steady noise, far from it in music that never pauses
DOUBT = 2.5  # dB off the estimate for each squared dB by which they are further apart than in steady noise
DOUBT_MOST = 18.0  # dB
PAUSE = (0.5, 2.0)  # mean log power over the noise: at most the first in a pause, the second in none
PAUSE_FRAME = 0.1  # seconds
MEMORY = 0.95  # of the decision-directed estimate
FLOOR_DB = -25.0  # a frequency is never lowered by more, so that what is left sounds like the room
SHORTEST = 0.5  # seconds of clip
SHORTEST_NOISE = 0.1  # seconds of a passage that is named as noise


class DenoisingError(ProblemError):
    """A clip that cannot be denoised, or a setting that cannot be used."""


def denoise(
    samples: np.ndarray, rate: int, *, strength: float = 1.0, noise: tuple[float, float] | None = None
) -> np.ndarray:
    """Lower the steady noise of a clip.

    Parameters
    ----------
    samples : array [n] or [channels, n]
        The clip, of 0.5 s or more. All channels share one gain, so that the stereo image stays.
    rate : int
        Sampling rate in Hz.
    strength : float
        From 0 (the clip as it is) over 1 to 2 (every reduction doubled in dB).
    noise : (float, float), optional
        Start and end in seconds of a passage that holds nothing but noise. By default the noise is estimated
        from the quietest moments.

    Returns
    -------
    array
        Of the shape of `samples`, float32.

    Raises
    ------
    DenoisingError
        For a clip that cannot be denoised, or a strength or passage that is out of range.

    Notes
    -----
    Each short-time spectrum is multiplied by the log-amplitude gain of Ephraim and Malah (1985, equation 20).
    Their decision-directed estimate is run both ways in time, so that an attack is as clear as a decay. Noise
    is estimated by minimum statistics (Martin 2001).

    Examples
    --------
    >>> import numpy as np
    >>> noise = 0.01 * np.random.default_rng(0).standard_normal(16000)
    >>> quiet = denoise(noise, 8000)
    >>> quiet.shape, bool(quiet.std() < 0.5 * noise.std())
    ((16000,), True)
    """
    samples = np.asarray(samples, dtype=np.float32)
    _validate(samples, rate, strength)
    if strength == 0:
        return samples.copy()
    size = 2 ** max(5, round(np.log2(WINDOW * rate)))
    hop = size // OVERLAP
    spectra = _spectra(samples, size, hop)
    power = np.mean(np.abs(spectra) ** 2, axis=tuple(range(samples.ndim - 1)))  # [bins, frames]
    if noise is None:
        floor = _quietest(power, rate, size, hop)
    else:
        floor = _of_passage(power, noise, samples.shape[-1] / rate, rate / hop)
    gain = np.sqrt(_gain(power, floor) * _gain(power[:, ::-1], floor)[:, ::-1])
    gain **= 1 + _pauses(power, floor, rate / hop)  # where nothing sounds, noise is lowered twice as far
    return _waves(spectra * gain**strength, size, hop, samples.shape[-1])


def _validate(samples: np.ndarray, rate: int, strength: float) -> None:
    if samples.ndim not in (1, 2):
        raise DenoisingError(f"samples have shape {samples.shape}", "give [n] or [channels, n]")
    if not np.isfinite(samples).all():
        raise DenoisingError("the clip holds NaN or infinite samples", "export it again")
    if samples.shape[-1] < SHORTEST * rate:
        seconds = samples.shape[-1] / rate
        raise DenoisingError(f"the clip is {seconds:.2f} s long", f"give {SHORTEST:g} s or more")
    if not 0 <= strength <= 2:
        raise DenoisingError(f"strength is {strength!r}", "use a number from 0 to 2")


def _quietest(power: np.ndarray, rate: float, size: int, hop: int) -> np.ndarray:
    """Power of the noise in each bin [bins], from the quietest moments (Martin 2001, minimum statistics).

    Music that never pauses has quiet moments too, and they are not noise. Steady noise is recognised by how
    little its power varies once smoothed; where it varies more, the estimate is lowered.
    """
    low, spread = _low_and_spread(power, rate, size, hop)
    bias, steady = _of_white_noise(size, hop, power.shape[1], rate)
    doubt = np.minimum(DOUBT_MOST, DOUBT * np.maximum(0, spread - steady) ** 2)
    return bias * low * 10 ** (-doubt / 10)


def _low_and_spread(power: np.ndarray, rate: float, size: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    smooth = ndimage.uniform_filter1d(power, max(1, round(SMOOTHING * rate / hop)), axis=1)
    lowest, low = np.quantile(smooth, [QUIETEST, SPREAD], axis=1) + 1e-20
    neighbours = int(NEIGHBOURS * size / rate) | 1
    spread = ndimage.median_filter(10 * np.log10(low / lowest), neighbours)
    return ndimage.percentile_filter(lowest, 100 * LEAST, neighbours), spread


@lru_cache
def _of_white_noise(size: int, hop: int, frames: int, rate: float) -> tuple[float, float]:
    """For white noise: the factor from `_low_and_spread` back to its power, and its spread in dB."""
    samples = np.random.default_rng(0).standard_normal(hop * min(frames, 4000))
    power = np.abs(_spectra(samples, size, hop)) ** 2
    low, spread = _low_and_spread(power, rate, size, hop)
    inner = slice(len(low) // 8, -len(low) // 8)
    return float(power[inner].mean() / low[inner].mean()), float(np.quantile(spread[inner], 0.75))


def _of_passage(power: np.ndarray, noise: tuple[float, float], seconds: float, frames: float) -> np.ndarray:
    start, end = noise
    if not 0 <= start < end <= seconds or end - start < SHORTEST_NOISE:
        fix = f"give {SHORTEST_NOISE:g} s or more within the clip's {seconds:.2f} s"
        raise DenoisingError(f"the noise passage is {start:g}:{end:g}", fix)
    level = power[:, round(start * frames) : max(round(start * frames) + 1, round(end * frames))].mean(axis=1)
    return np.exp(ndimage.uniform_filter1d(np.log(level + 1e-20), 5))


def _pauses(power: np.ndarray, floor: np.ndarray, frames: float) -> np.ndarray:
    """From 1 where a frame holds noise alone to 0 where anything else sounds: [frames]."""
    over = np.log(power / np.maximum(floor, 1e-20)[:, None] + 1e-9).mean(axis=0)
    over = ndimage.uniform_filter1d(over, max(1, round(PAUSE_FRAME * frames)))
    return np.clip((PAUSE[1] - over) / (PAUSE[1] - PAUSE[0]), 0, 1)


def _gain(power: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Gain of every bin and frame, at most 1: [bins, frames]."""
    least = 10 ** (FLOOR_DB / 10)
    excess = np.minimum(power / np.maximum(floor, 1e-20)[:, None], 1e6)  # posterior signal-to-noise ratio
    gain = np.empty_like(power)
    known = np.maximum(excess[:, 0] - 1, 0)
    for frame in range(power.shape[1]):
        now = excess[:, frame]
        prior = np.maximum(MEMORY * known + (1 - MEMORY) * np.maximum(now - 1, 0), least)
        wiener = prior / (1 + prior)
        gain[:, frame] = wiener * np.exp(special.exp1(np.maximum(now * wiener, 1e-8)) / 2)
        known = gain[:, frame] ** 2 * now
    return np.clip(gain, 10 ** (FLOOR_DB / 20), 1)


def _window(size: int) -> np.ndarray:
    return np.sqrt(signal.get_window("hann", size))


def _spectra(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """[..., n] -> [..., bins, frames], scaled so that white noise of variance 1 has a power of about 1."""
    return signal.stft(samples, 1.0, _window(size), size, size - hop, scaling="psd")[2] / np.sqrt(2)


def _waves(spectra: np.ndarray, size: int, hop: int, count: int) -> np.ndarray:
    waves = signal.istft(spectra * np.sqrt(2), 1.0, _window(size), size, size - hop, scaling="psd")[1]
    return waves[..., :count].astype(np.float32)
