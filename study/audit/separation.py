"""How well numbers tell two groups apart, with permutation p-values. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb, prod

import numpy as np
from scipy.stats import rankdata

_EXACT = 5000  # labelings up to which all are gone through
_DRAWN = 1999
_RIDGE = 0.1  # added to each standardised feature's variance within the groups


def area(values: np.ndarray, real: np.ndarray) -> float:
    """P(a real value > a fake one) + half of ties: the area under the ROC curve (Mann-Whitney U / n m).

    values: [n]; real: bool [n], both kinds present.
    """
    return float(_areas(rankdata(values), real[None])[0])


def area_p(values: np.ndarray, real: np.ndarray, seed: int = 0) -> float:
    """Two-sided permutation p of the area: the share of labelings at least as far from one half.

    Exact where there are at most 5000 labelings, otherwise from 1999 drawn ones (the observed one counted).
    """
    ranks = rankdata(values)
    distance = np.abs(_areas(ranks, labelings(real, seed)) - 0.5)
    return float(np.mean(distance >= abs(_areas(ranks, real[None])[0] - 0.5) - 1e-9))


def labelings(real: np.ndarray, seed: int = 0) -> np.ndarray:
    """Bool [k, n]: all ways to call as many clips real as are, or the observed one and 1999 drawn ones."""
    n, m = len(real), int(real.sum())
    if comb(n, m) <= _EXACT:
        made = np.zeros((comb(n, m), n), bool)
        for row, chosen in enumerate(combinations(range(n), m)):
            made[row, list(chosen)] = True
        return made
    dice = np.random.default_rng(seed)
    return np.array([real, *(dice.permutation(real) for _ in range(_DRAWN))])


def labelings_within(sets: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """Bool [k, sum of n]: relabelings of several sets at once, each keeping its own number of real clips.

    sets: bool [n] each. All of them where there are at most 5000, otherwise the observed one and 1999 drawn.
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


def smallest_p(real: np.ndarray, *, sides: int) -> float:
    """The smallest p that so many real and fake clips can give: 1 / C(n, m) one-sided."""
    n, m = len(real), int(real.sum())
    return min(1.0, sides / comb(n, m)) if comb(n, m) <= _EXACT else 1 / (_DRAWN + 1)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment (1979) of p-values, in their order."""
    order = np.argsort(p_values)
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def classifier_accuracy(features: np.ndarray, real: np.ndarray) -> float:
    """Balanced accuracy, one clip left out at a time, of linear discriminant analysis with a ridge.

    features: [n, f], in any units. real: bool [n], at least two of each kind.
    """
    return float(_accuracies(_standardised(features), real[None])[0])


def classifier_p(features: np.ndarray, real: np.ndarray, seed: int = 0) -> float:
    """One-sided permutation p of that accuracy: the share of labelings with at least as much."""
    scaled = _standardised(features)
    reached = _accuracies(scaled, labelings(real, seed))
    return float(np.mean(reached >= _accuracies(scaled, real[None])[0] - 1e-9))


def classifier_accuracies(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same balanced accuracy for every labeling: features [n, f], labels bool [k, n]; returns [k]."""
    return _accuracies(_standardised(features), labels)


def _areas(ranks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    reals = labels.sum(axis=1)
    sums = labels @ ranks
    return (sums - reals * (reals + 1) / 2) / (reals * (labels.shape[1] - reals))


def _standardised(features: np.ndarray) -> np.ndarray:
    spread = features.std(axis=0)
    varying = spread > 1e-9
    return (features[:, varying] - features[:, varying].mean(axis=0)) / spread[varying]


def _accuracies(scaled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[k] balanced accuracies for bool labels [k, n]."""
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
