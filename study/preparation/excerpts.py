"""Where to cut excerpts: apart from each other where the passage is long enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TRIES = 300


def place_excerpts(
    count: int, length: float, first: float, last: float, taken: Sequence[float], dice: np.random.Generator
) -> tuple[list[float], float]:
    """Choose `count` excerpts of `length` seconds between the seconds `first` and `last`.

    taken: starts of excerpts of the same length that were cut before, to be kept clear of as far as it goes.

    Returns their starts (s, in an order drawn by `dice`) and by how many seconds two of them overlap at
    most: 0 wherever count * length fits. An excerpt longer than the passage is an error of the caller.
    """
    slack = last - first - count * length
    if slack < -1e-6:
        starts = np.linspace(first, max(first, last - length), count)
        overlap = length - (starts[1] - starts[0])
        return [float(start) for start in dice.permutation(starts)], float(overlap)
    best, least = None, np.inf
    for _ in range(_TRIES):
        gaps = np.sort(dice.uniform(0.0, max(slack, 0.0), count))
        starts = first + gaps + length * np.arange(count)
        shared = longest_overlap(starts, taken, length)
        if shared < least:
            best, least = starts, shared
    return [float(start) for start in dice.permutation(best)], 0.0


def longest_overlap(starts: Sequence[float], others: Sequence[float], length: float) -> float:
    """The most seconds that an excerpt of one list shares with one of the other."""
    if len(starts) == 0 or len(others) == 0:
        return 0.0
    apart = np.abs(np.subtract.outer(np.asarray(starts), np.asarray(others)))
    return float(max(0.0, length - apart.min()))
