"""A clip's units (half beats, or notes): what each sounds like, and which can follow which.

Distances are root sums of squares over groups of features, each group in units of its own median distance
between units of the same metrical place, so that 1 is as far as two such units usually are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from caw.mosaic.beats import Grid
from caw.mosaic.features import HOP, Frames

EDGE = 0.06  # seconds of sound on which a join is judged, either side
SLICES = 4  # of a unit, in which its onsets are compared
OTHER_PLACE = 10.0  # what it costs to go to another place in the bar: for clips too short to choose
CHOICES = 32  # followers kept of a unit
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
    echoes: np.ndarray  # [units, choices]: how far the next bar is from what the clip would have played

    @property
    def units(self) -> int:
        return self.grid.units


def cut(frames: Frames, grid: Grid, ahead: int) -> Pieces:
    """The pieces of a clip. ahead: units over which echoes are told."""
    rows = frames.row(grid.bounds)
    chroma, timbre, rhythm = _chroma(frames, rows), _means(frames.mel, rows), _rhythm(frames, rows)
    edges = _edges(frames, rows)
    groups = [chroma[1:], timbre[1:], rhythm[1:], edges[1:-1]]  # what comes after unit k, k < units - 1
    candidates = [chroma, timbre, rhythm, edges[:-1]]
    followers, costs = _followers(groups, candidates, grid)
    sound = [chroma, timbre, rhythm]
    echoes = _echoes(sound, followers, scales(sound, grid.places), ahead)
    return Pieces(grid, chroma, timbre, rhythm, followers, costs, echoes)


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


def _echoes(groups, followers: np.ndarray, measures: np.ndarray, ahead: int) -> np.ndarray:
    """Mean distance over so many units of what a jump leads to from what would have come without it."""
    sound = np.concatenate([g / s for g, s in zip(groups, measures, strict=True)], axis=1).astype(np.float32)
    units, last = len(sound), len(sound) - 1
    total = np.zeros(followers.shape)
    for first in range(0, units, AT_ONCE):
        here = np.arange(first, min(first + AT_ONCE, units))
        for later in range(ahead):
            mine = sound[np.minimum(here + 1 + later, last)][:, None]
            theirs = sound[np.minimum(followers[here] + later, last)]
            total[here] += np.sqrt(np.mean((mine - theirs) ** 2, axis=2) * sound.shape[1] / len(groups))
    return total / ahead


def _means(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means [units, d] of frames [n, d] between bounds."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    ends = np.maximum(rows[1:], rows[:-1] + 1)
    return (total[np.minimum(ends, len(values))] - total[rows[:-1]]) / (ends - rows[:-1])[:, None]


def _chroma(frames: Frames, rows: np.ndarray) -> np.ndarray:
    chroma = np.maximum(_means(frames.chroma, rows), 0)
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
    """What sounds just before each bound [units + 1, bands + 12]."""
    back = round(EDGE / HOP)
    starts = np.maximum(rows - back - 1, 0)
    total = np.concatenate([np.zeros((1, frames.mel.shape[1])), np.cumsum(frames.mel, axis=0, dtype=float)])
    ends = np.maximum(rows - 1, starts + 1)
    return (total[ends] - total[starts]) / (ends - starts)[:, None]
