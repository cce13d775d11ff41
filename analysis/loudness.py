"""How loud sound is: integrated loudness, peaks and silence of arrays. Levels relative to full scale 1.0.

Recordings, comparisons and the stimuli of a study are all measured here.
"""

from __future__ import annotations

import numpy as np
import pyloudnorm
from scipy import signal

from caw import audio

SHORTEST = 0.4  # seconds, a block of ITU-R BS.1770
OVERSAMPLING = 4  # ITU-R BS.1770-5, annex 2
_PIECE = 2**22  # samples oversampled at once
_REACH = 32  # samples; further away, none has a part in what lies between two


def integrated(samples: np.ndarray, rate: int) -> float:
    """Integrated loudness of [n] or [channels, n] in LUFS (ITU-R BS.1770-5); -inf for silence.

    A clip shorter than a block of 0.4 s is repeated, which changes no loudness. More than five channels, for
    which the recommendation has no weights, are taken as the mean of all.
    """
    samples = np.atleast_2d(np.asarray(samples, np.float64))
    if len(samples) > 5:
        samples = samples.mean(axis=0, keepdims=True)
    if samples.shape[1] < SHORTEST * rate + 1:
        times = int(np.ceil((SHORTEST * rate + 1) / samples.shape[1]))
        samples = np.tile(samples, times)
    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(rate).integrated_loudness(samples.T))


def true_peak(samples: np.ndarray) -> float:
    """Highest level on and between the samples of [n] or [channels, n] in dBTP, by fourfold oversampling.

    Long sound is oversampled piece by piece, to the same value.
    """
    peak = 0.0
    for channel in np.atleast_2d(samples):
        peak = max(peak, float(np.abs(channel).max(initial=0.0)))
        for first in range(0, len(channel), _PIECE):
            before = min(first, _REACH)
            piece = channel[first - before : first + _PIECE + _REACH].astype(np.float64)
            between = np.abs(signal.resample_poly(piece, OVERSAMPLING, 1))
            peak = max(peak, float(between[OVERSAMPLING * before :][: OVERSAMPLING * _PIECE].max()))
    return 20 * float(np.log10(peak)) if peak > 0 else -np.inf


def silent_share(samples: np.ndarray, rate: int) -> float:
    """Share of [n] or [channels, n] in frames of 50 ms that stay 60 dB under the sound's own peak; 1 if all.

    The frames and the limit are those that `caw.audio.read` warns by.
    """
    loud = np.abs(np.atleast_2d(samples)).max(axis=0)
    if not loud.any():
        return 1.0
    hop = max(1, round(audio.PAUSE_FRAME * rate))
    frames = np.pad(loud, (0, -loud.size % hop)).reshape(-1, hop).max(axis=1)
    return float(np.mean(frames < loud.max() * 10 ** (audio.PAUSE_DB / 20)))
