"""A clip's units (half beats, or notes): what each sounds like, and which can follow which.

Distances are root sums of squares over groups of features, each group in units of its own median distance
between units of the same metrical place, so that 1 is as far as two such units usually are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from caw.beats import Grid
from caw.features import HOP, Frames

EDGE = 0.06  # seconds of sound on which a join is judged, either side
SLICES = 4  # of a unit, in which its onsets are compared
OTHER_PLACE = 10.0  # what it costs to go to another place in the bar: for clips too short to choose
CHOICES = 32  # followers kept of a unit
SAME = 0.4  # distance of units that sound the same
AT_ONCE = 256  # units whose distances to all others are held


@dataclass(frozen=True)
class Pieces:
    """Units and who may follow whom. A bound k is where unit k begins; there is one more than units."""

    grid: Grid
    chroma: np.ndarray  # [units, 12], of length 1 in the squares
    timbre: np.ndarray  # [units, bands], dB
    rhythm: np.ndarray  # [units, SLICES], onsets
    followers: np.ndarray  # int [units, choices]: who may come at the bound after unit k, the best first
    costs: np.ndarray  # [units, choices]: how ill they fit; inf where there is none
    alike: np.ndarray  # uint8 [units, units]: how many units from k on sound as those from j on, to a limit

    @property
    def units(self) -> int:
        return self.grid.units


def cut(frames: Frames, grid: Grid, ahead: int) -> Pieces:
    """The pieces of a clip. ahead: units (to 255) over which it is told how long two places sound alike."""
    rows = frames.row(grid.bounds)
    chroma, timbre, rhythm = pitch_classes(frames, rows), means(frames.mel, rows), _rhythm(frames, rows)
    edges = _edges(frames, rows)
    groups = [chroma[1:], timbre[1:], rhythm[1:], edges[1:-1]]  # what comes after unit k, k < units - 1
    candidates = [chroma, timbre, rhythm, edges[:-1]]
    followers, costs = _followers(groups, candidates, grid)
    alike = _alike([chroma, timbre], min(ahead, 255))
    return Pieces(grid, chroma, timbre, rhythm, followers, costs, alike)


def distances(groups: list[np.ndarray], others: list[np.ndarray], scales: np.ndarray) -> np.ndarray:
    """Distances [n, m] of rows of groups [n, d] from rows of others [m, d], each group by its scale."""
    total = 0.0
    for a, b, scale in zip(groups, others, scales, strict=True):
        squares = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T
        total = total + np.maximum(squares, 0) / scale**2
    return np.sqrt(total / len(groups))


def scales(groups: list[np.ndarray], places: np.ndarray) -> np.ndarray:
    """The median distance of each group between units of the same place, over at most 400 units."""
    step = max(1, len(places) // 400)
    some = np.arange(0, len(places), step)
    alike = (places[some][:, None] == places[some]) & ~np.eye(len(some), dtype=bool)
    out = []
    for group in groups:
        apart = distances([group[some]], [group[some]], np.ones(1))
        out.append(np.median(apart[alike]) if alike.any() else np.median(apart))
    return np.maximum(out, 1e-6)


def _followers(groups, candidates, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """For the bound after every unit: other units that may come there instead of the next, with their costs.

    They begin at the place in the bar that the next unit has, and sound like it; what comes before either
    bound sounds alike as well. The last unit has none, as nothing comes after it to compare: a walk never
    plays it.
    """
    units = grid.units
    choices = min(CHOICES, max(1, units - 1))
    measures = scales(candidates, grid.places)
    followers = np.zeros((units, choices), int)
    costs = np.full((units, choices), np.inf)
    for first in range(0, units - 1, AT_ONCE):
        here = np.arange(first, min(first + AT_ONCE, units - 1))
        cost = distances([group[here] for group in groups], candidates, measures)
        cost += OTHER_PLACE * (grid.places[here + 1][:, None] != grid.places)
        cost[np.arange(len(here)), here + 1] = np.inf  # that is no jump
        best = np.argsort(cost, axis=1, kind="stable")[:, :choices]
        followers[here], costs[here] = best, np.take_along_axis(cost, best, axis=1)
    return followers, costs


def _alike(groups: list[np.ndarray], ahead: int) -> np.ndarray:
    """For every two units, how many from them on sound the same, at most `ahead`.

    The scale is that of all units: in a loop those of one place are all the same.
    """
    units = len(groups[0])
    measures = scales(groups, np.zeros(units))
    count = np.zeros((units + 1, units + 1), np.uint8)
    for first in range(0, units, AT_ONCE):
        here = slice(first, min(first + AT_ONCE, units))
        count[here, :-1] = distances([group[here] for group in groups], groups, measures) < SAME
    for unit in range(units - 1, -1, -1):
        count[unit, :-1] *= np.minimum(count[unit + 1, 1:], ahead - 1) + 1
    return count[:-1, :-1]


def means(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means [units, d] of frames [n, d] between bounds."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    ends = np.maximum(rows[1:], rows[:-1] + 1)
    return (total[np.minimum(ends, len(values))] - total[rows[:-1]]) / (ends - rows[:-1])[:, None]


def pitch_classes(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Shares of the pitch classes from A up [units, 12], of length 1 in the squares."""
    chroma = np.maximum(means(frames.chroma, rows), 0)
    return np.sqrt(chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9))


def _rhythm(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Where in a unit something begins: the highest onset of each of its slices; the first reaches before."""
    onsets = ndimage.maximum_filter1d(frames.onsets, 5)
    length = np.diff(rows)[:, None] / SLICES
    moments = rows[:-1, None] + np.arange(SLICES) * length
    reach = max(1, round(float(np.median(length)) / 2))
    wide = ndimage.maximum_filter1d(onsets, 2 * reach + 1)
    return np.minimum(wide[np.clip(np.rint(moments).astype(int), 0, len(wide) - 1)], 4.0)


def _edges(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """What sounds just before each bound, dB [units + 1, bands]."""
    back = round(EDGE / HOP)
    starts = np.maximum(rows - back - 1, 0)
    total = np.concatenate([np.zeros((1, frames.mel.shape[1])), np.cumsum(frames.mel, axis=0, dtype=float)])
    ends = np.maximum(rows - 1, starts + 1)
    return (total[ends] - total[starts]) / (ends - starts)[:, None]
