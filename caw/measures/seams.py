"""Whether a seam shows: does sound change more where new music meets a recording than elsewhere in it?

Beside every seam stands the recording's own: how much its levels change at its half beats, where notes end
and begin anyway.
"""

import numpy as np

from caw import beats, features
from caw.measures import yardstick

REACH = 0.2  # seconds to either side, about a half beat
SHARE = 0.9  # of a recording's own half beats; a seam that changes less than they do does not show


def changes(x, rate, moments, reach: float = REACH) -> np.ndarray:
    """How far the levels of the bands change at moments in seconds, in dB [n].

    The mean over the log-mel bands of the absolute difference between a band's mean level in the `reach`
    seconds after a moment and in those before it. A moment so near to an end that less than half of a side is
    there reads NaN.
    """
    levels, frames = yardstick.log_mel(x, rate), yardstick.frames_per_second(rate)
    total = np.concatenate([np.zeros((len(levels), 1)), np.cumsum(levels, axis=1)], axis=1)
    middle = np.rint(np.asarray(moments, dtype=float) * frames).astype(int)
    wide, size = max(1, round(reach * frames)), levels.shape[1]
    found = []
    for place in middle:
        first, last = max(0, place - wide), min(size, place + wide)
        if min(place - first, last - place) < max(1, wide // 2):
            found.append(np.nan)
            continue
        before = (total[:, place] - total[:, first]) / (place - first)
        after = (total[:, last] - total[:, place]) / (last - place)
        found.append(float(np.abs(after - before).mean()))
    return np.array(found)


def own_changes(clip, rate, reach: float = REACH) -> np.ndarray:
    """The same at all half beats of a recording, or at its onsets where it has no beat, in dB [n].

    Raises: YardstickError where no such moment is in it.
    """
    x = yardstick.validated(clip, rate, "clip")
    found = changes(clip, rate, beats.grid(features.analyse(x, rate)).bounds, reach)
    found = found[np.isfinite(found)]
    if not found.size:
        raise yardstick.TooShortError(f"{x.size / rate:.2f} s hold no beat to compare a seam with")
    return found


def seams(made, rate, moments, clip, reach: float = REACH) -> np.ndarray:
    """`changes` at seams in dB over the 90 % quantile of `own_changes` of the recording: 1 or less hides.

    made: [n] with the seams in it, at `moments` in seconds. clip: the recording, [n] at the same rate.
    """
    return changes(made, rate, moments, reach) / np.quantile(own_changes(clip, rate, reach), SHARE)
