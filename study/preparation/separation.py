"""How well numbers tell two groups apart, with permutation p-values. Arrays in, numbers out."""

from __future__ import annotations

from itertools import combinations
from math import comb

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
        fakes = called.shape[1] - reals
        real_mean, fake_mean = called @ rest / reals, (1 - called) @ rest / fakes
        between = reals[..., None] * _outer(real_mean) + fakes[..., None] * _outer(fake_mean)
        within = (rest.T @ rest - between) / (count - 1) + _RIDGE * np.eye(width)
        axis = np.linalg.solve(within, (real_mean - fake_mean)[..., None])[..., 0]
        score = np.sum((scaled[out] - (real_mean + fake_mean) / 2) * axis, axis=1)
        right[:, out] = np.where(labels[:, out], score > 0, score < 0) + 0.5 * (score == 0)
    of_real = np.sum(right * labels, axis=1) / labels.sum(axis=1)
    of_fake = np.sum(right * ~labels, axis=1) / (~labels).sum(axis=1)
    return (of_real + of_fake) / 2


def _outer(vectors: np.ndarray) -> np.ndarray:
    return vectors[:, :, None] * vectors[:, None, :]
