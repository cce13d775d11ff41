"""Exact tests on stimuli: relabel the clips, not the answers.

Under the null hypothesis a clip's value does not depend on its label (original or generated, its epoch
count), so every relabelling was as likely as the one at hand. That stays true with one listener, with few
clips and with ties, which is why these tests stand beside the mixed models. All functions are pure, seeded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from math import factorial, prod

import numpy as np
from scipy import stats

EXACT_LIMIT = 100_000  # arrangements enumerated; beyond it as many are drawn
EXACT_CLIPS = 200  # above it the normal approximation of the rank sum is exact enough
SCANNED = 4000  # shifts x clips that are all tried
MOST_LEVELS = 7  # whose orders are all enumerated
SLACK = 1e-9


@dataclass(frozen=True)
class Shift:
    """One group against another: the typical difference with its interval, and the exact p."""

    estimate: float
    low: float
    high: float
    p: float


def rank_test(a, b) -> float:
    """Exact test that two groups of clips come from one population (Wilcoxon-Mann-Whitney with midranks).

    Parameters
    ----------
    a, b : array_like
        One finite value per clip.

    Returns
    -------
    float
        The two-sided p: the share of relabellings whose rank sum lies at least as far from its mean.

    Raises
    ------
    ValueError
        Where a group is empty or holds a value that is not finite.

    Notes
    -----
    The permutation distribution of the rank sum, ties and all, by the shift algorithm of Streitberg and
    Roehmel (1986), Statistical Software Newsletter 12:10-17. Above `EXACT_CLIPS` clips by the normal
    approximation.

    Examples
    --------
    >>> round(rank_test([1, 2, 3, 4], [5, 6, 7, 8]), 4)
    0.0286
    """
    a, b = sorted((_finite(a), _finite(b)), key=len)
    if len(a) + len(b) > EXACT_CLIPS:
        return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    scores = np.rint(2 * stats.rankdata(np.concatenate([a, b]))).astype(int)  # midranks doubled are whole
    chances = rank_sums(scores, len(a))
    centre = len(a) * scores.sum() / len(scores)
    distance = np.abs(np.arange(len(chances)) - centre)
    observed = abs(scores[: len(a)].sum() - centre)
    p = min(1.0, chances[distance >= observed - SLACK].sum())
    return float(f"{p:.12g}")  # .05 is .05, not a rounding below it


def smallest_rank_p(a, b) -> float:
    """The smallest p `rank_test` could have given with these values, however they were labelled."""
    values = np.sort(np.concatenate([_finite(a), _finite(b)]))
    lowest, highest = values[: len(a)], values[len(values) - len(a) :]
    return min(rank_test(lowest, values[len(a) :]), rank_test(highest, values[: len(values) - len(a)]))


def shift(one, two, confidence: float = 0.95) -> Shift:
    """The median of all differences between two groups, with the interval and the p of `rank_test`.

    Parameters
    ----------
    one, two : array_like
        One finite value per clip.
    confidence : float
        Of the interval.

    Returns
    -------
    Shift
        The interval goes from the first to the last shift that the test does not reject, so it excludes 0
        exactly where p < 1 - confidence. It is infinite where few clips reject no shift, and NaN where for
        ties they reject all.

    Raises
    ------
    ValueError
        Where a group is empty or holds a value that is not finite.

    Notes
    -----
    Hodges and Lehmann (1963), Annals of Mathematical Statistics 34:598-611. Where 0 is rejected, so is all
    that lies beyond it: an end of the interval, or an estimate, at 0 is moved by 1e-6.

    Examples
    --------
    >>> result = shift([6, 7, 8, 9, 9], [2, 3, 3, 4])
    >>> result.estimate, result.low, result.high, round(result.p, 4)
    (5.0, 3.0, 6.0, 0.0159)
    """
    one, two, level = _finite(one).round(9), _finite(two).round(9), round(1 - confidence, 12)
    differences = np.subtract.outer(one, two).round(9)
    gaps = np.unique(differences)  # p is constant between two of them, and another where values tie
    edges = np.concatenate([[gaps[0] - 1], gaps, [gaps[-1] + 1]])
    points = np.sort(np.concatenate([gaps, (edges[1:] + edges[:-1]) / 2]))
    at_zero = 2 * int(np.searchsorted(gaps, 0)) + int(0 in gaps)  # its place among the points
    p, estimate = rank_test(one, two), float(np.median(differences))

    def accepted(place: int) -> bool:
        shifted = (one - points[place]).round(9)
        return (p if place == at_zero else rank_test(shifted, two)) >= level

    first, last = _range(accepted, len(points), 2 * int(np.searchsorted(gaps, estimate)), len(one) + len(two))
    if p < level and first <= at_zero <= last:
        above = np.sign(np.subtract.outer(one, two)).sum() > 0
        first, last = (at_zero + 1, last) if above else (first, at_zero - 1)
    if first > last:
        return Shift(estimate, np.nan, np.nan, p)
    around = np.concatenate([[-np.inf], gaps, [np.inf]])
    low, high = float(around[(first + 1) // 2]), float(around[last // 2 + 1])
    if p < level:
        low, high = (low or 1e-6, high) if first > at_zero else (low, high or -1e-6)
    return Shift(float(np.clip(estimate, low, high)), low, high, p)


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

    Parameters
    ----------
    levels : array_like
        One ordered level per clip, as its epochs.
    values : array_like
        One value per clip.
    seed : int
        Of the arrangements that are drawn where there are too many to enumerate.

    Returns
    -------
    Trend
        `smallest_p` is the least p that any arrangement of these values can have: above .05 the test cannot
        speak and should not be reported.

    Raises
    ------
    ValueError
        Where there are no clips, or a level or value is not finite.

    Notes
    -----
    The statistic counts pairs of clips of different levels in which the higher level has the higher value,
    ties half (Jonckheere 1954, Biometrika 41:133-145). All arrangements are enumerated up to `EXACT_LIMIT`;
    beyond it as many are drawn, and p = (1 + extreme) / (1 + drawn).

    Examples
    --------
    >>> result = trend([1, 1, 2, 2, 3, 3], [1, 2, 3, 4, 5, 6])
    >>> result.statistic, round(result.p, 4), result.exact
    (12.0, 0.0222, True)
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
class PageTest:
    """Does the value rise with the level within blocks? `statistic` is Page's L, `p` two-sided."""

    statistic: float
    p: float
    smallest_p: float
    exact: bool


def page(blocks, *, seed: int = 0) -> PageTest:
    """Page's test of ordered levels on complete blocks, two-sided, by permutation within each block.

    Parameters
    ----------
    blocks : array_like
        Shape [blocks, levels]: one value per block and level, levels in order.
    seed : int
        Of the arrangements that are drawn above `MOST_LEVELS` levels.

    Returns
    -------
    PageTest

    Raises
    ------
    ValueError
        Where the table is empty, or holds a value that is not finite.

    Notes
    -----
    L is the sum over levels of the level's number times its sum of ranks (midranks) within blocks (Page 1963,
    JASA 58:216-230). Its whole distribution, ties and all, is the convolution of the blocks' own.

    Examples
    --------
    >>> result = page([[1, 2, 3], [1, 3, 2], [1, 2, 3], [1, 2, 3]])
    >>> result.statistic, round(result.p, 4)
    (55.0, 0.0139)
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
    return PageTest(observed / 2, beyond(abs(observed - centre)), beyond(farthest), exact)


@dataclass(frozen=True)
class Matched:
    """Do clips score higher under their own label than chance would have it? `p` is two-sided."""

    estimate: float
    p: float
    smallest_p: float
    exact: bool


def matched(scores, labels, *, seed: int = 0) -> Matched:
    """Test the scores of clips under their own labels, by permutation of the labels over the clips.

    Parameters
    ----------
    scores : array_like
        Shape [clips, labels]: how well each clip goes with each label.
    labels : array_like
        The label of each clip, a column of `scores`; each label is that of one clip at least.
    seed : int
        Of the arrangements that are drawn where there are too many to enumerate.

    Returns
    -------
    Matched
        The estimate is the mean over labels of the mean score of a label's clips under it, less what it is on
        average over all arrangements. `smallest_p` is the least p that any arrangement of these scores has.

    Raises
    ------
    ValueError
        Where a score is not finite, or a label has no clip.

    Notes
    -----
    Which labels are popular, and which clips are liked whatever their label, is the same in every
    arrangement, so neither moves p. All arrangements are enumerated up to `EXACT_LIMIT`; beyond it as many
    are drawn, and p = (1 + extreme) / (1 + drawn).

    Examples
    --------
    >>> scores = [[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    >>> result = matched(scores, [0, 0, 0, 0, 1, 1, 1, 1])
    >>> result.estimate, round(result.p, 4), result.exact
    (0.5, 0.0286, True)
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ValueError("scores must be a full table of finite numbers, one row per clip")
    sizes = [int(np.sum(labels == column)) for column in range(scores.shape[1])]
    if sum(sizes) != len(scores) or not all(sizes):
        raise ValueError(f"labels {labels.tolist()} must name each of {len(sizes)} columns, and no other")
    count = factorial(len(scores)) // prod(factorial(size) for size in sizes)
    exact, clips = count <= EXACT_LIMIT, np.arange(len(scores))
    orders = (
        _arrangements(clips, sizes)
        if exact
        else np.random.default_rng(seed).permuted(np.tile(clips, (EXACT_LIMIT, 1)), axis=1)
    )
    column = np.repeat(np.arange(len(sizes)), sizes)  # of each place of an order
    weight = 1 / (len(sizes) * np.repeat(sizes, sizes))
    off = scores - scores.mean(axis=0)  # so that the mean over all arrangements is 0
    own = np.argsort(labels, kind="stable")
    observed = float((off[own, column] * weight).sum())
    distance = np.abs((off[orders, column] * weight).sum(axis=1))
    extra = 0 if exact else 1

    def beyond(least: float) -> float:
        return float((extra + (distance >= least - SLACK).sum()) / (extra + len(distance)))

    return Matched(observed, beyond(abs(observed)), beyond(distance.max()), exact)


def _range(accepted, count: int, inside: int, clips: int) -> tuple[int, int]:
    """The first and the last place of `count` that are kept; (1, 0) where none is.

    With many clips, by halving outwards from `inside`: there, what is kept has no gaps worth a scan.
    """
    if count * clips <= SCANNED:
        places = [place for place in range(count) if accepted(place)]
        return (places[0], places[-1]) if places else (1, 0)
    if not accepted(inside):
        return 1, 0
    first = bisect_left(range(inside), True, key=accepted)
    return first, inside + bisect_left(range(inside + 1, count), True, key=lambda place: not accepted(place))


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


def rank_sums(scores: np.ndarray, size: int) -> np.ndarray:
    """Probability of each sum when `size` of the whole-number scores are drawn without replacement."""
    chances = np.zeros((size + 1, int(np.sort(scores)[-size:].sum()) + 1))
    chances[0, 0], held = 1.0, np.arange(1, size + 1)[:, None]
    for seen, score in enumerate(scores, 1):  # k of the `seen` scores hold this one with chance k / seen
        with_it = chances[:-1, : chances.shape[1] - score] * (held / seen)
        chances[1:] *= 1 - np.minimum(held / seen, 1)
        chances[1:, score:] += with_it
    return chances[size]


def _finite(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{values.tolist()} must be one or more finite numbers")
    return values
