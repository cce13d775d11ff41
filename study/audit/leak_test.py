"""Does the form of the clips tell real from fake? One test over a whole study, at one false-alarm rate.

The hypothesis is that within each set truth has nothing to do with any property of form or order. Under it,
every relabeling that keeps each set's number of real clips is as likely as the true one, whatever the
distributions of the properties and however they depend on one another. So the test is a permutation test of
the smallest p in a family of statistics (Westfall and Young, Resampling-Based Multiple Testing, 1993,
"single-step minP"):

- each property over all sets together: stratified rank sums, because listeners hear all sets;
- each property in each set, because a leak may be in one set only, or turn round from set to set;
- a cross-validated classifier on all properties, over all sets, for what only shows jointly.

A member's adjusted p is the share of relabelings whose smallest p, over all members, is at most its own. It
is at most alpha for any member with probability at most alpha in a study without leaks, so the false-alarm
rate holds for the whole audit, not for each property. Unlike Holm's correction it wastes nothing on
properties that vary together or not at all, which matters with as few real clips as studies have: one
set of 2 real clips among 10 has 45 relabelings, so one property that tells them perfectly has p = 2/45 = .044
and, if others vary too, seldom less than .05 after adjustment, and only the classifier, which is one-sided,
can come down to 1/45 = .022; two such sets have 2025, and the same leak in both has p = .001.

At a rate of .05 only 2 of 45 relabelings may be called leaking, so every further property costs much power
there. Those marked `needs_many` are therefore tested from 200 relabelings on; whether there are so many does
not depend on which clips are real. Traces, which never fail a build, are a family of their own, so
they cost the others nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod

import numpy as np
from scipy.stats import rankdata

from study.audit.properties import BY_NAME

ALL_SETS = "all sets"
TOGETHER = "all of form together"
_EXACT = 5000  # labelings up to which all are gone through
_DRAWN = 1999
_RIDGE = 0.1  # added to each standardised feature's variance within the groups
MANY = 200  # relabelings from which on properties that need many are tested


@dataclass(frozen=True)
class MeasuredSet:
    """What the clips of one set measure.

    values: [n] for each property, NaN where a clip does not show it. real: bool [n].
    """

    values: Mapping[str, np.ndarray]
    real: np.ndarray

    @property
    def both(self) -> bool:
        """Whether there are real and fake clips that could be told apart."""
        return bool(self.real.any() and not self.real.all())


@dataclass(frozen=True)
class LeakTestResult:
    """The result of the test.

    Attributes
    ----------
    p, adjusted : dict of (str, str) to float
        The p of each member by itself and over its family, by (set or ALL_SETS, property or TOGETHER).
    overall : float
        The p of the whole test of form and order, without traces.
    smallest : float
        The smallest adjusted p that any labeling of these clips could have given.
    labelings : int
        How many labelings were compared.
    accuracy : float or None
        The balanced accuracy of the classifier over all sets. None where there are too few clips.
    untested : tuple of str
        Properties that vary but need more labelings (MANY).
    """

    p: dict[tuple[str, str], float]
    adjusted: dict[tuple[str, str], float]
    overall: float
    smallest: float
    labelings: int
    accuracy: float | None
    untested: tuple[str, ...] = ()


def settled(name: str, sets: Mapping[str, MeasuredSet]) -> dict[str, np.ndarray]:
    """A property's values in each set, [n] each, without NaN and without differences that do not count.

    Where no set's clips differ by more than the property's `matters`, all are 0. A clip that does not show
    the property gets the set's median. Neither depends on which clips are real.
    """
    shown = {key: np.asarray(one.values[name], float) for key, one in sets.items()}
    least = BY_NAME[name].matters if name in BY_NAME else 0.0
    seen = [values[np.isfinite(values)] for values in shown.values()]
    if max((np.ptp(values) for values in seen if values.size), default=0.0) <= least:
        return {key: np.zeros(len(values)) for key, values in shown.items()}
    return {key: _filled(values) for key, values in shown.items()}


def run(sets: Mapping[str, MeasuredSet], names: Sequence[str], *, seed: int = 0) -> LeakTestResult:
    """Test the named properties over all sets that contain both kinds of clips.

    Parameters
    ----------
    sets : mapping of str to MeasuredSet
        What the clips of each set measure.
    names : sequence of str
        The properties to test.
    seed : int
        Of the relabelings, where there are too many to go through all.

    Returns
    -------
    LeakTestResult
        With p = 1 where there is nothing to tell apart.
    """
    sets = {key: measured for key, measured in sets.items() if measured.both}
    if not sets or not names:
        return LeakTestResult({}, {}, 1.0, 1.0, 1, None)
    labels = labelings_within([measured.real for measured in sets.values()], seed)
    truth = np.concatenate([measured.real for measured in sets.values()])
    observed = int(np.flatnonzero((labels == truth).all(axis=1))[0])
    traces = [name for name in names if _is(name, "kind", "trace")]
    others = [name for name in names if name not in traces]
    untested = [name for name in others if len(labels) < MANY and _is(name, "needs_many", True)]
    others = [name for name in others if name not in untested]
    family, features = _members(sets, others, labels)
    accuracy = None
    if features and min(truth.sum(), (~truth).sum()) >= 2:
        reached = classifier_accuracies(np.column_stack(features), labels)
        accuracy = float(reached[observed])
        family[ALL_SETS, TOGETHER] = permutation_p(reached)
    p_values, adjusted, smallest = _adjusted(family, observed)
    of_traces, traces_adjusted, _ = _adjusted(_members(sets, traces, labels)[0], observed)
    overall = min(adjusted.values(), default=1.0)
    untested = [name for name in untested if any(map(np.ptp, settled(name, sets).values()))]
    return LeakTestResult(
        p_values | of_traces,
        adjusted | traces_adjusted,
        overall,
        smallest,
        len(labels),
        accuracy,
        tuple(untested),
    )


def _is(name: str, field: str, value: object) -> bool:
    return name in BY_NAME and getattr(BY_NAME[name], field) == value


def _members(
    sets: Mapping[str, MeasuredSet], names: Sequence[str], labels: np.ndarray
) -> tuple[dict[tuple[str, str], np.ndarray], list[np.ndarray]]:
    """For every property that varies, each labeling's p [k], in each set and over all; and its values [n]."""
    places = _places(sets)
    p_values: dict[tuple[str, str], np.ndarray] = {}
    features = []
    for name in names:
        values = np.concatenate(list(settled(name, sets).values()))
        varying = [key for key, at in places.items() if np.ptp(values[at]) > 0]
        for key in varying if len(sets) > 1 else []:
            shift = rank_shift(values, labels, [places[key]])
            p_values[key, name] = permutation_p(np.abs(shift))
        if varying:
            shift = rank_shift(values, labels, list(places.values()))
            p_values[ALL_SETS, name] = permutation_p(np.abs(shift))
            features.append(np.concatenate([standardised(values[at]) for at in places.values()]))
    return p_values, features


def _places(sets: Mapping[str, MeasuredSet]) -> dict[str, np.ndarray]:
    """The places of each set's clips among the clips of all sets."""
    ends = np.cumsum([len(measured.real) for measured in sets.values()])
    return {
        name: np.arange(end - len(measured.real), end)
        for (name, measured), end in zip(sets.items(), ends, strict=True)
    }


def _adjusted(
    family: Mapping[tuple[str, str], np.ndarray], observed: int
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float], float]:
    """Each member's p and its p over the family, and the smallest that any labeling could have given."""
    if not family:
        return {}, {}, 1.0
    ordered = np.sort(np.min(list(family.values()), axis=0))
    own = {member: float(values[observed]) for member, values in family.items()}
    return own, {member: _share(ordered, p) for member, p in own.items()}, _share(ordered, ordered[0])


def separate_p(sets: Mapping[str, MeasuredSet], names: list[str], *, seed: int = 0) -> dict[str, float]:
    """The two-sided permutation p of each property over these sets together, before any correction.

    sets: those that contain both kinds of clips. A property that does not vary has p = 1.
    """
    labels = labelings_within([measured.real for measured in sets.values()], seed)
    truth = np.concatenate([measured.real for measured in sets.values()])
    places = list(_places(sets).values())
    result = {}
    for name in names:
        values = np.concatenate(list(settled(name, sets).values()))
        reached = np.abs(rank_shift(values, np.vstack([truth[None], labels]), places))
        result[name] = float(np.mean(reached[1:] >= reached[0] - 1e-9))
    return result


def _share(ordered: np.ndarray, p: float) -> float:
    return float(np.searchsorted(ordered, p + 1e-12, side="right") / len(ordered))


def standardised(values: np.ndarray) -> np.ndarray:
    """Values [n] with mean 0 and deviation 1; 0 where they do not vary.

    Sets may differ in level and spread, so values are standardised within each set: only truth counts.
    """
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def _filled(values: np.ndarray) -> np.ndarray:
    seen = np.isfinite(values)
    return np.where(seen, values, np.median(values[seen])) if seen.any() else np.zeros(len(values))


def area(values: np.ndarray, real: np.ndarray) -> float:
    """P(a real value > a fake one) + half of ties: the area under the ROC curve (Mann-Whitney U / n m).

    values: [n]; real: bool [n], both kinds present.
    """
    reals, fakes = real.sum(), (~real).sum()
    return float((rankdata(values)[real].sum() - reals * (reals + 1) / 2) / (reals * fakes))


def labelings(real: np.ndarray, seed: int = 0) -> np.ndarray:
    """All ways to call as many clips real as there are, or the observed one and 1999 random ones: [k, n]."""
    n, m = len(real), int(real.sum())
    if comb(n, m) <= _EXACT:
        made = np.zeros((comb(n, m), n), bool)
        for row, chosen in enumerate(combinations(range(n), m)):
            made[row, list(chosen)] = True
        return made
    dice = np.random.default_rng(seed)
    return np.array([real, *(dice.permutation(real) for _ in range(_DRAWN))])


def labelings_within(sets: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """Relabelings of several sets at once, each keeping its own number of real clips: bool [k, sum of n].

    sets: bool [n] each. All relabelings where there are at most 5000, or the observed one and 1999 random
    ones.
    """
    if prod(comb(len(real), int(real.sum())) for real in sets) <= _EXACT:
        parts = [labelings(real) for real in sets]
        places = np.indices([len(part) for part in parts]).reshape(len(parts), -1)
        return np.hstack([part[place] for part, place in zip(parts, places, strict=True)])
    dice = np.random.default_rng(seed)
    drawn = [np.concatenate([dice.permutation(real) for real in sets]) for _ in range(_DRAWN)]
    return np.array([np.concatenate(list(sets)), *drawn])


def permutation_p(statistics: np.ndarray) -> np.ndarray:
    """For statistics [k] of k labelings, each labeling's p: the share of all with at least as much."""
    ordered = np.sort(statistics)
    return 1 - np.searchsorted(ordered, statistics - 1e-9, side="left") / len(ordered)


def rank_shift(values: np.ndarray, labels: np.ndarray, members: Sequence[np.ndarray]) -> np.ndarray:
    """How far real clips' ranks lie from their expectation, [k], summed over sets (van Elteren 1960).

    values: [n]. labels: bool [k, n]. members: the places of each set's clips in `values`.
    """
    shift = np.zeros(len(labels))
    for places in members:
        ranks = rankdata(values[places]) / (len(places) + 1)
        shift += labels[:, places] @ (ranks - ranks.mean())
    return shift


def classifier_accuracies(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The balanced accuracy of linear discriminant analysis for every labeling, one clip left out at a time.

    features: [n, f], in any units. labels: bool [k, n], at least two of each kind. Returns [k].
    """
    spread = features.std(axis=0)
    varying = spread > 1e-9
    scaled = (features[:, varying] - features[:, varying].mean(axis=0)) / spread[varying]
    count, width = scaled.shape
    if width == 0:
        return np.full(len(labels), 0.5)
    right = np.zeros(labels.shape)
    for out in range(count):
        rest, called = np.delete(scaled, out, axis=0), np.delete(labels, out, axis=1).astype(float)
        reals = called.sum(axis=1, keepdims=True)
        real_mean, fake_mean = called @ rest / reals, (1 - called) @ rest / (count - 1 - reals)
        # The covariance within the kinds is that of all less a multiple of the outer product of the means'
        # difference; by Sherman and Morrison the axis is the same up to a positive factor for any labels.
        spread = np.cov(rest, rowvar=False, bias=True).reshape(width, width) + _RIDGE * np.eye(width)
        axis = np.linalg.solve(spread, (real_mean - fake_mean).T).T
        score = np.sum((scaled[out] - (real_mean + fake_mean) / 2) * axis, axis=1)
        right[:, out] = np.where(labels[:, out], score > 0, score < 0) + 0.5 * (score == 0)
    of_real = np.sum(right * labels, axis=1) / labels.sum(axis=1)
    of_fake = np.sum(right * ~labels, axis=1) / (~labels).sum(axis=1)
    return (of_real + of_fake) / 2
