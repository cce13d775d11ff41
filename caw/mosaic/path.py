"""Which pieces follow each other: a walk for new music, a search for a variation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caw.mosaic import pieces as pieces_module
from caw.mosaic.pieces import Pieces

JOIN = 1.0  # what a join costs in itself, in median distances: longer runs have fewer
TEMPERATURE = 0.08  # of the draw, in costs per unit
AHEAD = 0.5  # weight of what the next jump will cost at least
AGAIN = 1.5  # what it costs to return to a unit that was just played; less with time
MEMORY = 0.75  # of the clip's units, until a unit may come again for nothing
SAME_COURSE = 3.0  # what it costs to go on as the clip itself does, after a detour
COURSES = 6  # runs back for which that holds
HEARD_ON = 4.0  # what it costs, by the longest run, that the clip is heard on as it is in spite of a jump
SHORTEST_RUN = 2  # units
DOUBLE = 0.6  # what it costs in a variation to be replaced by what sounds the same
TASTE = 0.35  # deviation of what each candidate of a variation is liked by, drawn anew for each seed
HARMONY, RHYTHM, TIMBRE = 2.0, 1.0, 0.5  # weights of what a variation keeps
NO_JUMP = 1e3  # what it costs to call it a jump where the clip only goes on
CANDIDATES = 24  # for each unit of a variation
LENGTHS = 0.25  # a unit's length may differ by this share, with a cost that grows to LENGTH_COST there
LENGTH_COST = 1.0


@dataclass(frozen=True)
class Run:
    """Units of the clip, played as they follow each other there."""

    first: int
    count: int


def walk(pieces: Pieces, seconds: float, longest: int, rng: np.random.Generator) -> list[Run]:
    """Runs of at most `longest` units that last `seconds` or a little more.

    From where it stands, each pair of a run's length and a follower is drawn by its cost: how ill they fit,
    what the next jump will cost, whether that place was just heard, whether it goes on as the clip itself,
    and how long the clip is then heard as it is: in loops the same follows in many places.
    """
    lengths = np.diff(pieces.grid.bounds)
    last = pieces.units - 2  # the last unit has no successor to compare
    cheapest = np.where(np.isfinite(pieces.costs[:, 0]), pieces.costs[:, 0], 1e3)
    ahead = np.array([cheapest[k : min(k + longest, last + 1)].min(initial=1e3) for k in range(pieces.units)])
    heard = np.full(pieces.units, -np.inf)
    memory = max(1.0, MEMORY * pieces.units)
    at, played, runs, courses = _start(pieces, ahead, rng), 0.0, [], []
    count = 0
    sounded = np.zeros(pieces.units, np.int16)  # for how many units all has been as the clip up to each unit
    while played < seconds:
        most = min(longest, last - at + 1)
        ends = at + np.arange(min(SHORTEST_RUN, most), most + 1)  # bounds at which a jump may be
        units = ends - at
        followers, costs = pieces.followers[ends - 1], pieces.costs[ends - 1]
        age = (count + units[:, None] - heard[followers]) / memory
        costs = costs + JOIN + AHEAD * ahead[followers] + AGAIN * np.maximum(0, 1 - age)
        sounding = _sounding(pieces, sounded, at, most)
        heard_on = _heard_on(pieces, sounding[units], followers)
        costs = costs + HEARD_ON * np.maximum(0, heard_on / longest - 1)
        course = followers - (count + units)[:, None]
        costs = costs + SAME_COURSE * np.isin(course, [at - count, *courses[-COURSES:]])
        costs = np.where(followers <= last, costs, np.inf) / units[:, None]
        run, choice = _drawn(costs, rng)
        length = int(units[run])
        sounded = sounding[length]
        courses.append(at - count)
        heard[at : at + length] = count + np.arange(length)
        runs.append(Run(at, length))
        played += lengths[at : at + length].sum()
        count += length
        at = int(followers[run, choice])
    return runs


def _sounding(pieces: Pieces, sounded: np.ndarray, at: int, most: int) -> np.ndarray:
    """What `sounded` becomes, [most + 1, units], as up to `most` units from `at` on are played."""
    rows = [sounded]
    for unit in range(at, at + most):
        before = np.append(0, rows[-1][:-1])
        rows.append(np.where(pieces.alike[unit] > 0, before + 1, 0).astype(np.int16))
    return np.array(rows)


def _heard_on(pieces: Pieces, sounded: np.ndarray, followers: np.ndarray) -> np.ndarray:
    """Units [ends, choices] that the clip would be heard for as it is, if each follower came after what has
    `sounded` [ends, units]."""
    coming = pieces.alike[followers][:, :, 1:]
    return np.where(coming > 0, sounded[:, None, :-1] + coming, 0).max(axis=2, initial=0)


def _start(pieces: Pieces, ahead: np.ndarray, rng: np.random.Generator) -> int:
    """A bar's first unit, with something to follow it."""
    firsts = np.flatnonzero(pieces.grid.places[:-2] == 0)
    good = firsts[ahead[firsts] < 1e3]
    return int(rng.choice(good if len(good) else [0]))


def _drawn(costs: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    weights = np.exp(-(costs - costs.min()) / TEMPERATURE)
    chosen = rng.choice(weights.size, p=(weights / weights.sum()).ravel())
    return np.unravel_index(chosen, costs.shape)


def variation(pieces: Pieces, longest: int, rng: np.random.Generator) -> list[Run]:
    """One unit for each unit of the clip, in runs of at most `longest`.

    The best sequence by Viterbi's algorithm: every unit is replaced by another one of the same place with
    much the same pitch classes, onsets and length, rather not by its double; joins cost what they cost in
    `walk`, and a draw of `rng` decides between what is alike. States are a candidate and how long its run has
    been.
    """
    options, liked = _options(pieces, rng)
    units, choices = options.shape
    cost = np.full((choices, longest), np.inf)
    cost[:, 0] = liked[0]
    came = np.zeros((units, choices, longest), np.int32)  # candidate * longest + run before
    for unit in range(1, units):
        before, here = options[unit - 1], options[unit]
        flat = cost.min(axis=1)
        run_of = cost.argmin(axis=1)
        join = flat[:, None] + JOIN / 2 + _join_costs(pieces, before, here)
        join += HEARD_ON * pieces.alike[np.minimum(before + 1, units - 1)][:, here] / longest
        join[before[:, None] + 1 == here] += NO_JUMP
        source = join.argmin(axis=0)
        new = np.full_like(cost, np.inf)
        new[:, 0] = join[source, np.arange(choices)]
        came[unit, :, 0] = source * longest + run_of[source]
        previous, candidate = np.nonzero(before[:, None] + 1 == here)
        new[candidate, 1:] = cost[previous, :-1]
        came[unit, candidate, 1:] = previous[:, None] * longest + np.arange(longest - 1)
        cost = new + liked[unit][:, None]
    state = int(cost.argmin())
    sequence = []
    for unit in range(units - 1, -1, -1):
        candidate, run = divmod(state, longest)
        sequence.append((int(options[unit, candidate]), run))
        state = int(came[unit, candidate, run])
    runs: list[Run] = []
    for source, run in reversed(sequence):
        if run and runs:
            runs[-1] = Run(runs[-1].first, runs[-1].count + 1)
        else:
            runs.append(Run(source, 1))
    return runs


def _options(pieces: Pieces, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Candidates [units, choices] for each unit, and what each costs."""
    places, lengths = pieces.grid.places, np.diff(pieces.grid.bounds)
    groups = [pieces.chroma, pieces.rhythm, pieces.timbre]
    measures = pieces_module.scales(groups, places) / np.sqrt([HARMONY, RHYTHM, TIMBRE])
    choices = min(CANDIDATES, pieces.units - 1)
    options = np.zeros((pieces.units, choices), int)
    liked = np.zeros((pieces.units, choices))
    for first in range(0, pieces.units, pieces_module.AT_ONCE):
        here = np.arange(first, min(first + pieces_module.AT_ONCE, pieces.units))
        apart = pieces_module.distances([group[here] for group in groups], groups, measures)
        apart += DOUBLE * (pieces.alike[here] > 0)
        ratio = np.abs(np.log(lengths / lengths[here][:, None])) / np.log1p(LENGTHS)
        apart += LENGTH_COST * ratio**2
        apart += pieces_module.OTHER_PLACE * (places[here][:, None] != places)
        apart[np.arange(len(here)), here] = np.inf
        apart += TASTE * rng.standard_normal(apart.shape)
        best = np.argsort(apart, axis=1, kind="stable")[:, :choices]
        options[here], liked[here] = best, np.take_along_axis(apart, best, axis=1)
    return options, liked


def _join_costs(pieces: Pieces, before: np.ndarray, here: np.ndarray) -> np.ndarray:
    """What it costs [before, here] that one unit follows another; what is no listed follower costs most."""
    listed = pieces.followers[before][:, :, None] == here
    costs = np.where(listed, pieces.costs[before][:, :, None], np.inf).min(axis=1)
    return np.where(np.isfinite(costs), costs, 3.0)
