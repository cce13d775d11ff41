"""Exact tests on stimuli: relabel the clips, not the answers.

Under the null hypothesis a clip's value does not depend on its label (original or generated, its epoch
count), so every relabelling was as likely as the one at hand. That stays true with one listener, with few
clips and with ties, which is why these tests stand beside the mixed models. All functions are pure, seeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from math import factorial, prod

import numpy as np
from scipy import stats

EXACT_LIMIT = 100_000  # arrangements enumerated; beyond it as many are drawn
EXACT_CLIPS = 200  # above it the normal approximation of the rank sum is exact enough
MOST_LEVELS = 7  # whose orders are all enumerated
SLACK = 1e-9


@dataclass(frozen=True)
class Shift:
    """Group a against group b: the typical difference a - b with its interval, and the exact p."""

    estimate: float
    low: float
    high: float
    p: float


def rank_test(a, b) -> float:
    """Exact two-sided p that a and b come from one population (Wilcoxon-Mann-Whitney with midranks).

    The whole permutation distribution of the rank sum given the ties, by the shift algorithm of Streitberg &
    Roehmel (1986), Statistical Software Newsletter 12:10-17. p is the share of relabellings whose rank sum
    lies at least as far from its mean. Above `EXACT_CLIPS` clips: the normal approximation.
    """
    a, b = sorted((_finite(a), _finite(b)), key=len)
    if len(a) + len(b) > EXACT_CLIPS:
        return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    scores = np.rint(2 * stats.rankdata(np.concatenate([a, b]))).astype(int)  # midranks doubled are whole
    chances = _subset_sums(scores, len(a))
    centre = len(a) * scores.sum() / len(scores)
    distance = np.abs(np.arange(len(chances)) - centre)
    observed = abs(scores[: len(a)].sum() - centre)
    return float(min(1.0, chances[distance >= observed - SLACK].sum()))


def smallest_rank_p(a, b) -> float:
    """The smallest p `rank_test` could have given with these values, however they were labelled."""
    values = np.sort(np.concatenate([_finite(a), _finite(b)]))
    lowest, highest = values[: len(a)], values[len(values) - len(a) :]
    return min(rank_test(lowest, values[len(a) :]), rank_test(highest, values[: len(values) - len(a)]))


def hodges_lehmann(a, b, level: float = 0.95) -> Shift:
    """The median of all differences a_i - b_j, with Moses' interval and the exact rank-sum p.

    Hodges & Lehmann (1963), Annals of Mathematical Statistics 34:598-611. The interval inverts the untied
    rank-sum distribution; with ties it is conservative, with very few clips it is infinite.
    """
    a, b = _finite(a), _finite(b)
    differences = np.sort((a[:, None] - b[None, :]).ravel())
    cut = _outer_differences(len(a), len(b), (1 - level) / 2)
    low, high = (differences[cut - 1], differences[len(differences) - cut]) if cut else (-np.inf, np.inf)
    return Shift(float(np.median(differences)), float(low), float(high), rank_test(a, b))


@dataclass(frozen=True)
class Trend:
    """Does the value rise with the level? `p` of Jonckheere-Terpstra; rho is Spearman's, in [-1, 1]."""

    rho: float
    statistic: float
    p: float
    smallest_p: float
    exact: bool


def trend(levels, values, *, seed: int = 0) -> Trend:
    """Jonckheere-Terpstra test of ordered levels, two-sided, by permutation of the values over the clips.

    `levels`: one ordered level per clip (epochs); `values`: one value per clip. The statistic counts pairs of
    clips of different levels in which the higher level has the higher value, ties half (Jonckheere 1954,
    Biometrika 41:133-145). All arrangements are enumerated up to `EXACT_LIMIT`, else as many are drawn with
    `seed` and p = (1 + extreme) / (1 + drawn). `smallest_p` is the least p that any arrangement of these
    values can have: above .05, the test cannot speak and should not be reported.
    """
    levels, values = _finite(levels), _finite(values)
    order = np.argsort(levels, kind="stable")
    levels, values = levels[order], values[order]
    sizes = [int(size) for size in np.unique(levels, return_counts=True)[1]]
    count = factorial(len(values)) // prod(factorial(size) for size in sizes)
    exact = count <= EXACT_LIMIT
    arrangements = (
        _arrangements(values, sizes)
        if exact
        else np.random.default_rng(seed).permuted(np.tile(values, (EXACT_LIMIT, 1)), axis=1)
    )
    observed = float(_jonckheere(values[None, :], sizes)[0])
    ordered = np.sort(values)
    centre = (len(values) ** 2 - sum(size * size for size in sizes)) / 4
    distance = np.abs(_jonckheere(arrangements, sizes) - centre)
    extra = 0 if exact else 1
    p = (extra + int((distance >= abs(observed - centre) - SLACK).sum())) / (extra + len(distance))
    farthest = np.abs(_jonckheere(np.stack([ordered, ordered[::-1]]), sizes) - centre).max()
    smallest = (extra + int((distance >= farthest - SLACK).sum())) / (extra + len(distance))
    constant = np.ptp(values) == 0 or np.ptp(levels) == 0
    rho = 0.0 if constant else float(stats.spearmanr(levels, values).statistic)
    return Trend(rho, observed, float(p), float(smallest), exact)


@dataclass(frozen=True)
class Page:
    """Does the value rise with the level within blocks? `statistic` is Page's L, `p` two-sided."""

    statistic: float
    p: float
    smallest_p: float
    exact: bool


def page(blocks, *, seed: int = 0) -> Page:
    """Page's test of ordered levels on complete blocks, by permutation within each block.

    `blocks` [blocks, levels]: one value per block and level, levels in order. L is the sum over levels of
    level number times the sum of ranks (midranks) within blocks (Page 1963, JASA 58:216-230). Its whole
    distribution given the ties is the convolution of the blocks' own, up to `MOST_LEVELS` levels; above it
    arrangements are drawn with `seed`.
    """
    blocks = np.asarray(blocks, dtype=float)
    if blocks.ndim != 2 or not blocks.size or not np.isfinite(blocks).all():
        raise ValueError("blocks must be a full table of finite numbers, one row per block")
    levels = np.arange(1, blocks.shape[1] + 1)
    doubled = np.rint(2 * stats.rankdata(blocks, axis=1)).astype(int)  # midranks doubled are whole
    observed = int((doubled @ levels).sum())
    centre = doubled.sum() * levels.mean()
    exact = blocks.shape[1] <= MOST_LEVELS
    if exact:
        orders, low, chances = np.array(list(permutations(levels))), 0, np.ones(1)
        for row in doubled:
            sums = orders @ row
            own = np.bincount(sums - sums.min()) / len(sums)
            low, chances = low + int(sums.min()), np.convolve(chances, own)
        distance = np.abs(low + np.arange(len(chances)) - centre)
    else:
        drawn = np.tile(doubled, (EXACT_LIMIT // 10, 1, 1))
        drawn = np.random.default_rng(seed).permuted(drawn, axis=2)
        distance = np.abs((drawn @ levels).sum(axis=1) - centre)
        chances = np.full(len(distance), 1 / len(distance))
    extra = 0.0 if exact else 1 / len(distance)

    def beyond(least: float) -> float:
        return float(min(1.0, chances[distance >= least - SLACK].sum() + extra))

    farthest = (np.sort(doubled, axis=1) @ levels).sum() - centre
    return Page(observed / 2, beyond(abs(observed - centre)), beyond(farthest), exact)


def _outer_differences(a: int, b: int, tail: float) -> int:
    """How many of the a * b ordered differences lie beyond each limit of Moses' interval."""
    if a + b > EXACT_CLIPS:
        half = stats.norm.isf(tail) * np.sqrt(a * b * (a + b + 1) / 12)
        return max(0, int(a * b / 2 - half))
    small = min(a, b)
    doubled_ranks = 2 * np.arange(1, a + b + 1)
    below = np.cumsum(
        _subset_sums(doubled_ranks, small)[small * (small + 1) :: 2]
    )  # P(U <= u), u = 0, 1, ...
    return int(np.searchsorted(below, tail + SLACK))


def _jonckheere(rows: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Statistic of each row [clips], whose clips stand in blocks of `sizes`, lowest level first."""
    total = np.zeros(len(rows))
    edges = np.cumsum([0, *sizes])
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        for lower in range(start, stop):
            total += (np.sign(rows[:, stop:] - rows[:, lower : lower + 1]) + 1).sum(axis=1) / 2
    return total


def _arrangements(values: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Every way to deal the values into blocks of `sizes`, one a row."""

    def deal(left: tuple[int, ...], sizes: list[int]) -> Iterator[tuple[int, ...]]:
        if len(sizes) == 1:
            yield left
            return
        for block in combinations(left, sizes[0]):
            taken = set(block)
            for rest in deal(tuple(i for i in left if i not in taken), sizes[1:]):
                yield block + rest

    return values[np.array(list(deal(tuple(range(len(values))), sizes)))]


def _subset_sums(scores: np.ndarray, size: int) -> np.ndarray:
    """Probability of each sum when `size` of the whole-number scores are drawn without replacement."""
    chances = np.zeros((size + 1, int(np.sort(scores)[-size:].sum()) + 1))
    chances[0, 0] = 1.0
    for seen, score in enumerate(scores, 1):
        for k in range(min(size, seen), 0, -1):  # a random k of the `seen` scores holds this one in k / seen
            chances[k] *= 1 - k / seen
            chances[k, score:] += chances[k - 1, : chances.shape[1] - score] * (k / seen)
    return chances[size]


def _finite(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{values.tolist()} must be one or more finite numbers")
    return values


shift = hodges_lehmann
