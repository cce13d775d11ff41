"""Where excerpts can be cut out of a recording so that no two of them share a moment.

A stretch is (from, to) in seconds. Places are reckoned in whole milliseconds, so that lengths add up exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

Stretch = tuple[float, float]
_RASTER = 100  # ms; the room between excerpts is drawn in such steps, so that their starts are short numbers


def without(stretches: Iterable[Stretch], taken: Iterable[Stretch]) -> list[Stretch]:
    """What is left of the stretches where those of `taken` are cut out of them, from the first on."""
    left = list(stretches)
    for begin, end in taken:
        before = [(first, min(last, begin)) for first, last in left]
        after = [(max(first, end), last) for first, last in left]
        left = [(first, last) for first, last in before + after if last > first]
    return sorted(left)


def fitting(stretch: Stretch, length: float) -> int:
    """How many excerpts of `length` seconds fit side by side into the stretch."""
    first, last = _inside(stretch)
    return max(0, last - first) // _whole(length)


def rest(stretch: Stretch, length: float) -> float:
    """The seconds of the stretch that are left beside as many excerpts as fit."""
    return stretch[1] - stretch[0] - fitting(stretch, length) * length


def side_by_side(stretches: Sequence[Stretch], length: float, dice: np.random.Generator) -> list[float]:
    """Starts (s) of as many excerpts as fit into the stretches without an overlap, in a drawn order."""
    starts: list[int] = []
    for stretch in stretches:
        if count := fitting(stretch, length):
            first, last = _inside(stretch)
            slack = last - first - count * _whole(length)
            gaps = _RASTER * np.sort(dice.integers(0, slack // _RASTER + 1, count))
            starts += [int(start) for start in first + gaps + _whole(length) * np.arange(count)]
    return [starts[index] / 1000 for index in dice.permutation(len(starts))]


def spread(stretch: Stretch, length: float, count: int) -> list[float]:
    """Starts (s) of `count` excerpts that lie evenly in the stretch, overlapping where they must.

    They come in such an order that those next to each other in the list overlap least.
    """
    first, last = _inside(stretch)
    starts = np.linspace(first, max(first, last - _whole(length)), count).astype(int)
    step = max(1, (starts[-1] - starts[0]) // max(1, count - 1))
    stride = min(count, math.ceil(_whole(length) / step))
    return [int(starts[index]) / 1000 for begin in range(stride) for index in range(begin, count, stride)]


def longest_overlap(starts: Sequence[float], length: float) -> float:
    """The most seconds that two excerpts share of those that begin at `starts`."""
    apart = np.diff(np.sort(np.asarray(starts, float)))
    return round(max(0.0, length - float(apart.min())), 3) if len(apart) else 0.0


def _whole(length: float) -> int:
    """A length in milliseconds, rounded up."""
    return math.ceil(length * 1000 - 1e-6)


def _inside(stretch: Stretch) -> tuple[int, int]:
    """The whole milliseconds within a stretch."""
    return math.ceil(stretch[0] * 1000 - 1e-6), math.floor(stretch[1] * 1000 + 1e-6)
