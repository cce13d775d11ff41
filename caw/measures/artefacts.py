"""Faults that no player makes: holes and ridges between a cascade's scales, clicks, gaps, audible seams.

A seam is a moment at which new music meets a recording. `seams` compares the change of sound there with the
changes at the recording's own half beats, where notes end and begin anyway.
"""

import numpy as np
from scipy import fft, signal

from caw import beats, features
from caw.measures.spectra import QUIET_DB, TooShortError, cached, frames_per_second, log_mel, rms, validated

EDGE = (0.9, 1.1)  # the band of an edge, as a share of its frequency
SHOULDERS = ((0.7, 0.85), (1.18, 1.4))  # and those it is measured against
CLICK_ORDER = 4  # of the difference: it takes a smooth sound away and leaves a jump of one sample
CLICK_BLOCK = 0.016  # seconds over which the local level is taken
CLICK_OUTLIER = 20.0  # times the local median; white noise reaches 8
CLICK_LEAST_DB = -40.0  # dB re the clip's own level in that difference
CLICK_LONGEST = 0.001  # seconds; what stays high for longer is an attack
CLICK_APART = 0.005  # seconds to either side in which nothing else may stand out
LEAST_DB = -90.0  # dB re white noise of the clip's level; a spectrum below it is empty
SAMPLES_AT_ONCE = 2_000_000  # samples held as frames
FRAME = 0.05  # seconds, of the level in which silence is sought
SEAM_REACH = 0.2  # seconds to either side of a seam, about a half beat
SEAM_QUANTILE = 0.9  # of a recording's own half beats; a seam that changes less than they do does not show


def edge(real, fake, rate, *, hz: float) -> float:
    """Level around a scale's Nyquist frequency against its neighbours, less the same of the real clip, in dB.

    The level is the mean power from 0.9 to 1.1 hz over the geometric mean of the powers from 0.7 to 0.85 and
    from 1.18 to 1.4 hz. Below 0 dB there is a hole where two scales of a cascade should meet, above a ridge.
    Raises TooShortError where 1.4 hz is above half the rate.
    """
    if not reaches(hz, rate):
        raise TooShortError(f"an edge at {hz:g} Hz has no upper neighbour at a rate of {rate:g} Hz")
    in_fake, in_real = (
        cached(x, ("prominence", hz), lambda x=x: _prominence(x, rate, hz)) for x in (fake, real)
    )
    return in_fake - in_real


def reaches(hz: float, rate: float) -> bool:
    """Whether there is enough of the spectrum above `hz` for `edge`."""
    return SHOULDERS[1][1] * hz <= rate / 2


def clicks(x, rate) -> float:
    """Clicks per minute: single samples, or joints of two signals, that jump out of their surroundings.

    A click is an outlier of the absolute fourth-order difference: over 20 times its median in the 16 ms
    around (the largest of the medians of three blocks of 16 ms), for 1 ms at most, with nothing else over
    that threshold within 5 ms. A drum's attack is no click, since it raises the level of what follows.
    """
    x = validated(x, rate, "x")
    jumps = np.abs(np.diff(x, CLICK_ORDER))
    block = max(8, round(CLICK_BLOCK * rate))
    blocks = np.pad(jumps, (0, -jumps.size % block), mode="edge").reshape(-1, block)
    medians = np.median(blocks, axis=1)
    around = np.pad(medians, 1, mode="edge")
    local = np.max([around[:-2], around[1:-1], around[2:]], axis=0)
    least = rms(jumps) * 10 ** (CLICK_LEAST_DB / 20)
    high = np.flatnonzero(blocks > np.maximum(CLICK_OUTLIER * local, least)[:, None])
    high = high[high < jumps.size]
    if not high.size:
        return 0.0
    groups = np.split(high, np.flatnonzero(np.diff(high) > CLICK_APART * rate) + 1)
    longest = max(CLICK_ORDER + 1, round(CLICK_LONGEST * rate))
    count = sum(group[-1] - group[0] < longest for group in groups)
    return float(60 * count * rate / x.size)


def silence(x, rate) -> dict[str, float]:
    """How much of a clip is silent: dict(share, longest), from 0 to 1 and in seconds.

    A frame of 50 ms is silent if it is over 40 dB below the clip's own level.
    """
    x = validated(x, rate, "x")
    size = max(1, round(FRAME * rate))
    frames = x[: x.size // size * size].reshape(-1, size)
    quiet = np.sqrt(np.mean(frames**2, axis=1)) < rms(x) * 10 ** (QUIET_DB / 20)
    ends = np.flatnonzero(np.diff(np.pad(quiet, 1).astype(np.int8)))
    longest = (ends[1::2] - ends[::2]).max(initial=0)
    return {"share": float(quiet.mean()), "longest": float(longest * size / rate)}


def level_changes(x, rate, moments, reach: float = SEAM_REACH) -> np.ndarray:
    """How far the levels of the bands change at moments in seconds, in dB [n].

    The change is the mean over the log-mel bands of the absolute difference between a band's mean level in
    the `reach` seconds after a moment and in those before it. It is NaN for a moment so near to an end that
    less than half of a side is there.
    """
    levels, frames = log_mel(x, rate), frames_per_second(rate)
    total = np.concatenate([np.zeros((len(levels), 1)), np.cumsum(levels, axis=1)], axis=1)
    middle = np.rint(np.asarray(moments, dtype=float) * frames).astype(int)
    wide, size = max(1, round(reach * frames)), levels.shape[1]
    changes = []
    for place in middle:
        first, last = max(0, place - wide), min(size, place + wide)
        if min(place - first, last - place) < max(1, wide // 2):
            changes.append(np.nan)
            continue
        before = (total[:, place] - total[:, first]) / (place - first)
        after = (total[:, last] - total[:, place]) / (last - place)
        changes.append(float(np.abs(after - before).mean()))
    return np.array(changes)


def own_changes(clip, rate, reach: float = SEAM_REACH) -> np.ndarray:
    """`level_changes` at all half beats of a recording, or at its onsets where it has no beat, in dB [n].

    Raises MeasureError where it has no such moment.
    """
    x = validated(clip, rate, "clip")
    changes = level_changes(clip, rate, beats.beat_grid(features.analyse(x, rate)).bounds, reach)
    changes = changes[np.isfinite(changes)]
    if not changes.size:
        raise TooShortError(f"{x.size / rate:.2f} s hold no beat to compare a seam with")
    return changes


def seams(made, rate, moments, clip, reach: float = SEAM_REACH) -> np.ndarray:
    """How much seams show: `level_changes` over the 90 % quantile of the recording's `own_changes`.

    made: [n] with seams at `moments` in seconds. clip: the recording, [n] at the same rate. A seam of 1 or
    less is hidden among the recording's own changes.
    """
    return level_changes(made, rate, moments, reach) / np.quantile(
        own_changes(clip, rate, reach), SEAM_QUANTILE
    )


def _prominence(x, rate, hz: float) -> float:
    """Level in dB of the band around `hz` over its neighbours, by Welch's method."""
    x = validated(x, rate, "x")
    size = min(x.size, max(256, round(64 * rate / hz)))  # 64 periods of the edge
    window = signal.get_window("hann", size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x / rms(x), size)[:: size - size // 2]
    frequencies, power, rows = np.fft.rfftfreq(size, 1 / rate), 0.0, max(1, SAMPLES_AT_ONCE // size)
    for first in range(0, len(frames), rows):  # scipy's `welch` takes a Python call for each frame
        part = frames[first : first + rows]
        spectra = fft.rfft((part - part.mean(axis=1, keepdims=True)) * window, axis=1)
        power = power + np.sum(np.abs(spectra) ** 2, axis=0, dtype=np.float64)
    power *= 2 / (len(frames) * rate * np.sum(window**2))

    def level(low: float, high: float) -> float:
        inside = (frequencies >= low * hz) & (frequencies <= high * hz)
        return 10 * np.log10(rate / 2 * power[inside].mean() + 10 ** (LEAST_DB / 10))

    return float(level(*EDGE) - np.mean([level(*shoulder) for shoulder in SHOULDERS]))
