"""Unit selection: what each unit of a clip sounds like, which units can follow which, and orders of them.

Units are half beats, or notes where no beat is clear (`caw.beats`). Distances are root sums of squares over
groups of features, each group in units of its own median distance between units of the same metrical place,
so that 1 is as far as two such units usually are. New music is a random walk over units whose neighbours
sound alike; a variation is the best sequence of substitutes for the clip's own units (the selection by target
and join costs of Hunt and Black 1996, "Unit selection in a concatenative speech synthesis system").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from caw.beats import BeatGrid
from caw.features import HOP, Frames

EDGE = 0.06  # seconds of sound on which a join is judged, either side
SLICES = 4  # of a unit, in which its onsets are compared
OTHER_PLACE = 10.0  # what it costs to go to another place in the bar: for clips too short to choose
FOLLOWERS = 32  # of a unit, at most
SAME = 0.4  # distance of units that sound the same
UNITS_AT_ONCE = 256  # units whose distances to all others are held
JOIN = 1.0  # cost of a join in itself, in median distances: longer runs have fewer joins
TEMPERATURE = 0.08  # of the draw, in costs per unit
AHEAD = 0.5  # weight of the least cost of the next jump
REPETITION = 1.5  # cost of returning to a unit that was just played; less with time
MEMORY = 0.75  # of the clip's units, until a unit may come again for nothing
SAME_COURSE = 3.0  # cost of returning, after a detour, to where the clip itself would be by now
COURSES = 6  # runs for which that holds
CONTINUATION = 4.0  # cost, by the longest run, of a jump after which the clip sounds on as it is
SHORTEST_RUN = 2  # units
DOUBLE = 0.6  # cost, in a variation, of a substitute that sounds the same
PREFERENCE = 0.35  # deviation of the random preference among substitutes, drawn for each seed
HARMONY, RHYTHM, TIMBRE = 2.0, 1.0, 0.5  # weights of what a variation preserves
NO_JUMP = 1e3  # cost of counting as a jump where the clip only continues
CANDIDATES = 24  # substitutes for each unit of a variation
LENGTHS = 0.25  # difference in a unit's length, as a share, that costs LENGTH_COST
LENGTH_COST = 1.0


@dataclass(frozen=True)
class Units:
    """The units of a clip and who may follow whom. Bound k is where unit k begins."""

    grid: BeatGrid
    chroma: np.ndarray  # [units, 12], of length 1 in the squares
    timbre: np.ndarray  # [units, bands], dB
    rhythm: np.ndarray  # [units, SLICES], onsets
    followers: np.ndarray  # int [units, choices]: who may come at the bound after unit k, the best first
    costs: np.ndarray  # [units, choices]: how badly they fit; inf where there is none
    alike: np.ndarray  # uint8 [units, units]: for how many units k and j and those after them sound alike

    def __len__(self) -> int:
        return self.grid.units


@dataclass(frozen=True)
class UnitRun:
    """Units that are played in the clip's own order."""

    first: int
    count: int


def cut(frames: Frames, grid: BeatGrid, ahead: int) -> Units:
    """The units of a clip. ahead: for how many units (to 255) two places are compared."""
    rows = frames.row(grid.bounds)
    chroma, timbre, rhythm = pitch_classes(frames, rows), means(frames.mel, rows), _rhythm(frames, rows)
    edges = _edges(frames, rows)
    groups = [chroma[1:], timbre[1:], rhythm[1:], edges[1:-1]]  # what comes after unit k, k < units - 1
    candidates = [chroma, timbre, rhythm, edges[:-1]]
    followers, costs = _followers(groups, candidates, grid)
    alike = _alike([chroma, timbre], min(ahead, 255))
    return Units(grid, chroma, timbre, rhythm, followers, costs, alike)


def means(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means [units, d] of frames [n, d] between bounds, given as rows [units + 1]."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    ends = np.maximum(rows[1:], rows[:-1] + 1)
    return (total[np.minimum(ends, len(values))] - total[rows[:-1]]) / (ends - rows[:-1])[:, None]


def pitch_classes(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Shares of the pitch classes from A up [units, 12], of length 1 in the squares."""
    chroma = np.maximum(means(frames.chroma, rows), 0)
    return np.sqrt(chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9))


def _rhythm(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """The highest onset in each slice of each unit [units, SLICES]; the first reaches before the unit."""
    onsets = ndimage.maximum_filter1d(frames.onsets, 5)
    length = np.diff(rows)[:, None] / SLICES
    moments = rows[:-1, None] + np.arange(SLICES) * length
    reach = max(1, round(float(np.median(length)) / 2))
    wide = ndimage.maximum_filter1d(onsets, 2 * reach + 1)
    return np.minimum(wide[np.clip(np.rint(moments).astype(int), 0, len(wide) - 1)], 4.0)


def _edges(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Levels of the bands just before each bound, dB [units + 1, bands]."""
    back = round(EDGE / HOP)
    starts = np.maximum(rows - back - 1, 0)
    total = np.concatenate([np.zeros((1, frames.mel.shape[1])), np.cumsum(frames.mel, axis=0, dtype=float)])
    ends = np.maximum(rows - 1, starts + 1)
    return (total[ends] - total[starts]) / (ends - starts)[:, None]


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


def _followers(groups, candidates, grid: BeatGrid) -> tuple[np.ndarray, np.ndarray]:
    """For the bound after every unit, the units that may come there instead of the next, and their costs.

    They begin at the place in the bar that the next unit has, and sound like it; what comes before either
    bound sounds alike as well. The last unit has no followers, since nothing comes after it to compare.
    """
    units = grid.units
    choices = min(FOLLOWERS, max(1, units - 1))
    measures = scales(candidates, grid.places)
    followers = np.zeros((units, choices), int)
    costs = np.full((units, choices), np.inf)
    for first in range(0, units - 1, UNITS_AT_ONCE):
        here = np.arange(first, min(first + UNITS_AT_ONCE, units - 1))
        cost = distances([group[here] for group in groups], candidates, measures)
        cost += OTHER_PLACE * (grid.places[here + 1][:, None] != grid.places)
        cost[np.arange(len(here)), here + 1] = np.inf  # that is no jump
        best = np.argsort(cost, axis=1, kind="stable")[:, :choices]
        followers[here], costs[here] = best, np.take_along_axis(cost, best, axis=1)
    return followers, costs


def _alike(groups: list[np.ndarray], ahead: int) -> np.ndarray:
    """For every two units, for how many units from them on the clip sounds the same, at most `ahead`.

    Distances are in units of the median over all units, since in a loop all those of one place are the same.
    """
    units = len(groups[0])
    measures = scales(groups, np.zeros(units))
    count = np.zeros((units + 1, units + 1), np.uint8)
    for first in range(0, units, UNITS_AT_ONCE):
        here = slice(first, min(first + UNITS_AT_ONCE, units))
        count[here, :-1] = distances([group[here] for group in groups], groups, measures) < SAME
    for unit in range(units - 1, -1, -1):
        count[unit, :-1] *= np.minimum(count[unit + 1, 1:], ahead - 1) + 1
    return count[:-1, :-1]


def random_walk(units: Units, seconds: float, longest: int, rng: np.random.Generator) -> list[UnitRun]:
    """Runs of at most `longest` units that last `seconds` or a little more.

    The length of each run and the unit that follows it are drawn together. A pair is the likelier, the better
    the follower fits, the less its own next jump will cost, the longer ago it was played, and the shorter the
    clip then sounds as it is; following the clip's own course after a detour is unlikely, too.
    """
    lengths = np.diff(units.grid.bounds)
    last = len(units) - 2  # the last unit has no successor to compare
    cheapest = np.where(np.isfinite(units.costs[:, 0]), units.costs[:, 0], 1e3)
    ahead = np.array([cheapest[k : min(k + longest, last + 1)].min(initial=1e3) for k in range(len(units))])
    played_at = np.full(len(units), -np.inf)
    memory = max(1.0, MEMORY * len(units))
    at, played, runs, courses = _start(units, ahead, rng), 0.0, [], []
    count = 0
    matching = np.zeros(len(units), np.int16)  # how many units match the clip up to each of its units
    while played < seconds:
        most = min(longest, last - at + 1)
        ends = at + np.arange(min(SHORTEST_RUN, most), most + 1)  # bounds at which a jump may be
        sizes = ends - at
        followers, costs = units.followers[ends - 1], units.costs[ends - 1]
        age = (count + sizes[:, None] - played_at[followers]) / memory
        costs = costs + JOIN + AHEAD * ahead[followers] + REPETITION * np.maximum(0, 1 - age)
        after = _matching_after(units, matching, at, most)
        continued = _continued(units, after[sizes], followers)
        costs = costs + CONTINUATION * np.maximum(0, continued / longest - 1)
        course = followers - (count + sizes)[:, None]
        costs = costs + SAME_COURSE * np.isin(course, [at - count, *courses[-COURSES:]])
        costs = np.where(followers <= last, costs, np.inf) / sizes[:, None]
        run, choice = _drawn(costs, rng)
        length = int(sizes[run])
        matching = after[length]
        courses.append(at - count)
        played_at[at : at + length] = count + np.arange(length)
        runs.append(UnitRun(at, length))
        played += lengths[at : at + length].sum()
        count += length
        at = int(followers[run, choice])
    return runs


def _matching_after(units: Units, matching: np.ndarray, at: int, most: int) -> np.ndarray:
    """`matching` after 0 to `most` units from `at` on are played, [most + 1, units]."""
    rows = [matching]
    for unit in range(at, at + most):
        before = np.append(0, rows[-1][:-1])
        rows.append(np.where(units.alike[unit] > 0, before + 1, 0).astype(np.int16))
    return np.array(rows)


def _continued(units: Units, matching: np.ndarray, followers: np.ndarray) -> np.ndarray:
    """For how many units [ends, choices] the output would match the clip if each follower came next.

    matching: [ends, units], of the output up to each end.
    """
    coming = units.alike[followers][:, :, 1:]
    return np.where(coming > 0, matching[:, None, :-1] + coming, 0).max(axis=2, initial=0)


def _start(units: Units, ahead: np.ndarray, rng: np.random.Generator) -> int:
    """The first unit of a bar that other units can follow."""
    firsts = np.flatnonzero(units.grid.places[:-2] == 0)
    good = firsts[ahead[firsts] < 1e3]
    return int(rng.choice(good if len(good) else [0]))


def _drawn(costs: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    weights = np.exp(-(costs - costs.min()) / TEMPERATURE)
    chosen = rng.choice(weights.size, p=(weights / weights.sum()).ravel())
    return np.unravel_index(chosen, costs.shape)


def variation(units: Units, longest: int, rng: np.random.Generator) -> list[UnitRun]:
    """A substitute for each unit of the clip, in runs of at most `longest`.

    Every unit is replaced by another one of the same metrical place with much the same pitch classes, onsets
    and length, preferably not by its double. Joins cost what they cost in `random_walk`, and `rng` decides
    between units that are alike. Viterbi's algorithm finds the best sequence; its states are a candidate and
    the length of its run so far.
    """
    options, target_costs = _options(units, rng)
    count, choices = options.shape
    cost = np.full((choices, longest), np.inf)
    cost[:, 0] = target_costs[0]
    came = np.zeros((count, choices, longest), np.int32)  # candidate * longest + run before
    for unit in range(1, count):
        before, here = options[unit - 1], options[unit]
        flat = cost.min(axis=1)
        run_of = cost.argmin(axis=1)
        join = flat[:, None] + JOIN / 2 + _join_costs(units, before, here)
        join += CONTINUATION * units.alike[np.minimum(before + 1, count - 1)][:, here] / longest
        join[before[:, None] + 1 == here] += NO_JUMP
        source = join.argmin(axis=0)
        new = np.full_like(cost, np.inf)
        new[:, 0] = join[source, np.arange(choices)]
        came[unit, :, 0] = source * longest + run_of[source]
        previous, candidate = np.nonzero(before[:, None] + 1 == here)
        new[candidate, 1:] = cost[previous, :-1]
        came[unit, candidate, 1:] = previous[:, None] * longest + np.arange(longest - 1)
        cost = new + target_costs[unit][:, None]
    state = int(cost.argmin())
    sequence = []
    for unit in range(count - 1, -1, -1):
        candidate, run = divmod(state, longest)
        sequence.append((int(options[unit, candidate]), run))
        state = int(came[unit, candidate, run])
    runs: list[UnitRun] = []
    for source, run in reversed(sequence):
        if run and runs:
            runs[-1] = UnitRun(runs[-1].first, runs[-1].count + 1)
        else:
            runs.append(UnitRun(source, 1))
    return runs


def _options(units: Units, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Candidates [units, choices] for each unit, and the target cost of each."""
    places, lengths = units.grid.places, np.diff(units.grid.bounds)
    groups = [units.chroma, units.rhythm, units.timbre]
    measures = scales(groups, places) / np.sqrt([HARMONY, RHYTHM, TIMBRE])
    choices = min(CANDIDATES, len(units) - 1)
    options = np.zeros((len(units), choices), int)
    costs = np.zeros((len(units), choices))
    for first in range(0, len(units), UNITS_AT_ONCE):
        here = np.arange(first, min(first + UNITS_AT_ONCE, len(units)))
        apart = distances([group[here] for group in groups], groups, measures)
        apart += DOUBLE * (units.alike[here] > 0)
        ratio = np.abs(np.log(lengths / lengths[here][:, None])) / np.log1p(LENGTHS)
        apart += LENGTH_COST * ratio**2
        apart += OTHER_PLACE * (places[here][:, None] != places)
        apart[np.arange(len(here)), here] = np.inf
        apart += PREFERENCE * rng.standard_normal(apart.shape)
        best = np.argsort(apart, axis=1, kind="stable")[:, :choices]
        options[here], costs[here] = best, np.take_along_axis(apart, best, axis=1)
    return options, costs


def _join_costs(units: Units, before: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Cost [before, here] of one unit following another; units that are no listed followers cost most."""
    listed = units.followers[before][:, :, None] == here
    costs = np.where(listed, units.costs[before][:, :, None], np.inf).min(axis=1)
    return np.where(np.isfinite(costs), costs, 3.0)
