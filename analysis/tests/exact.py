"""Two independent shares of one listener's answers: exact tests, and the interval that agrees with them.

The test is unconditional: the statistic is Miettinen and Nurminen's (1985, Statistics in Medicine
4:213-226), the difference of the shares over its standard error at the hypothesis; p is its exact tail, the
largest over all pairs of true shares that the hypothesis allows (Barnard 1947; Chan 1998, Statistics in
Medicine 17:1403-1413). The interval is of all differences that the two-sided test does not reject (Agresti
& Min 2001, Biometrics 57:963-971). Nothing is approximate, with 4 clips as with 100. All functions are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

EXACT_CLIPS = 200  # above it the normal approximation is exact enough
SLACK = 1e-7  # statistics closer than this are tied
_AT_ONCE = 2_000_000  # probabilities held in memory


@dataclass(frozen=True)
class Difference:
    """Share of one minus share of the other, in [-1, 1], with its interval and p."""

    estimate: float
    low: float
    high: float
    p: float


@lru_cache(4096)
def difference(k1: int, n1: int, k2: int, n2: int, confidence: float = 0.95) -> Difference:
    """The difference of two independent shares, with its exact interval and the exact p that it is 0.

    Parameters
    ----------
    k1, n1, k2, n2 : int
        Counts and totals: the shares are k1 / n1 and k2 / n2.
    confidence : float
        Of the interval.

    Returns
    -------
    Difference
        The interval excludes 0 exactly where p < 1 - confidence: where 0 is rejected, so is all that lies
        beyond it.

    Raises
    ------
    ValueError
        Where a count is not from 0 to its total, a total is below 1, or `confidence` does not lie between 0
        and 1.

    Notes
    -----
    See the head of this module: Miettinen and Nurminen (1985), Chan (1998), Agresti and Min (2001).

    Examples
    --------
    >>> result = difference(4, 16, 3, 4)
    >>> result.estimate, round(result.low, 2), round(result.high, 2), round(result.p, 3)
    (-0.5, -0.8, 0.11, 0.09)
    """
    _check(k1, n1, k2, n2)
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence is {confidence:g}; it must lie between 0 and 1")
    estimate, table, level = k1 / n1 - k2 / n2, (k1, n1, k2, n2), round(1 - confidence, 12)
    scanned = np.union1d(np.arange(-50, 51) / 50, estimate)
    tails = _tails(table, scanned)
    p = float(tails[scanned == 0][0])
    accepted = scanned[(tails >= level) & ((p >= level) | (scanned * estimate > 0))]
    limits = (-1, 1) if p >= level else (0, 1) if estimate > 0 else (-1, 0)
    reach = 0.02 + min(0.15, 1 / min(n1, n2))  # in which more may lie, after a gap
    ends = []
    for end, way in ((accepted[0], -1), (accepted[-1], 1)):
        fine = np.unique(np.clip(end + way * np.arange(0, reach, 1 / 800), *limits))[::way]
        last = np.flatnonzero(_tails(table, fine) >= level)[-1]
        edge = _edge(table, fine[last], fine[last + 1], level) if last + 1 < len(fine) else fine[last]
        ends.append(float(edge))
    return Difference(estimate, *ends, p)


def equivalence(k1: int, n1: int, k2: int, n2: int, bound: float) -> float:
    """The p that two true shares differ by `bound` or more: the larger of two exact one-sided tests.

    Parameters
    ----------
    k1, n1, k2, n2 : int
        Counts and totals: the shares are k1 / n1 and k2 / n2.
    bound : float
        Above 0 and below 1, set before the data.

    Returns
    -------
    float
        Below .05 it shows that the difference lies within the bound.

    Raises
    ------
    ValueError
        For counts as in `difference`, and for a bound out of range.

    Notes
    -----
    Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657-680.

    Examples
    --------
    >>> round(equivalence(9, 20, 10, 20, 0.5), 4)
    0.0017
    """
    _check(k1, n1, k2, n2)
    if not 0 < bound < 1:
        raise ValueError(f"the bound is {bound:g}; it must lie between 0 and 1")
    return float(max(_larger(n1, n2, -bound)[k1, k2], _larger(n2, n1, -bound)[k2, k1]))


@lru_cache(64)
def p_values(n1: int, n2: int, bound: float | None = None) -> np.ndarray:
    """The two-sided p that the shares are the same for every table [n1 + 1, n2 + 1] of counts.

    With a `bound`: that of `equivalence`.
    """
    _check(0, n1, 0, n2)
    if bound is not None:
        return np.maximum(_larger(n1, n2, -bound), _larger(n2, n1, -bound).T)
    return _all_tails(n1, n2, 0.0, np.abs(_statistics(n1, n2, np.zeros(1))[0]), 2)


@lru_cache(64)
def _larger(n1: int, n2: int, hypothesis: float) -> np.ndarray:
    """p of every table that the difference is `hypothesis`, against a larger one."""
    return _all_tails(n1, n2, hypothesis, _statistics(n1, n2, np.array([hypothesis]))[0], 1)


def _all_tails(n1: int, n2: int, hypothesis: float, size: np.ndarray, sides: int) -> np.ndarray:
    """P(a table at least as extreme, by `size`) of each table [n1 + 1, n2 + 1]."""
    if n1 + n2 > EXACT_CLIPS:
        return sides * special.ndtr(-size)
    low, high = max(0.0, -hypothesis), min(1.0, 1 - hypothesis)  # of the second share
    second = low + (high - low) * _angles(2 * (n1 + n2) + 200)
    chances = _chances(n1, np.clip(second + hypothesis, 0, 1))[:, :, None] * _chances(n2, second)[:, None, :]
    order = np.argsort(-size, axis=None, kind="stable")
    tails = np.cumsum(chances.reshape(len(second), -1)[:, order], axis=1).max(axis=0)
    last = np.searchsorted(-size.ravel()[order], -size.ravel() + SLACK, side="right") - 1  # of the tied
    return np.minimum(tails[last], 1.0).reshape(size.shape)


def _edge(table, accepted: float, rejected: float, level: float) -> float:
    """The last difference that is not rejected between one that is not and one that is."""
    while abs(rejected - accepted) > 1e-6:
        points = np.linspace(accepted, rejected, 12)
        last = min(np.flatnonzero(_tails(table, points) >= level)[-1], len(points) - 2)
        accepted, rejected = points[last], points[last + 1]
    return accepted


def _tails(table, differences: np.ndarray) -> np.ndarray:
    """Two-sided p of the table under each hypothesis."""
    k1, n1, k2, n2 = table
    size, p_values = n1 + n2 + 60, []
    part = max(1, _AT_ONCE // (size * (max(n1, n2) + 1)))
    for some in np.array_split(differences, -(-len(differences) // part)):
        observed = np.abs(_statistics(n1, n2, some, [k1], [k2]))
        if n1 + n2 > EXACT_CLIPS:
            p_values.append(2 * special.ndtr(-observed.ravel()))
            continue
        extreme = (np.abs(_statistics(n1, n2, some)) >= observed - SLACK).astype(float)
        low, high = np.maximum(0, -some), np.minimum(1, 1 - some)  # of the second share
        where, tail, rows = np.broadcast_to(_angles(size), (len(some), size)), 0.0, np.arange(len(some))
        for _ in range(2):  # all shares there can be, then those next to the worst of them
            shares = low[:, None] + (high - low)[:, None] * where
            first = _chances(n1, np.clip(shares + some[:, None], 0, 1))
            tails = ((first @ extreme) * _chances(n2, shares)).sum(axis=2)
            worst = tails.argmax(axis=1)
            ends = [where[rows, np.clip(worst + step, 0, where.shape[1] - 1)] for step in (-1, 1)]
            where, tail = np.linspace(*ends, 24, axis=1), np.maximum(tail, tails.max(axis=1))
        p_values.append(np.minimum(tail, 1.0))
    return np.concatenate(p_values)


def _statistics(n1: int, n2: int, differences: np.ndarray, first=None, second=None) -> np.ndarray:
    """Score statistics [hypotheses, first, second] of tables of these counts, of all there are by default.

    The shares at the hypothesis are the likeliest ones: the root of a cubic (Farrington & Manning 1990,
    Statistics in Medicine 9:1447-1454).
    """
    p1 = np.asarray(first or range(n1 + 1))[:, None] / n1
    p2 = np.asarray(second or range(n2 + 1))[None, :] / n2
    s, ratio = differences[:, None, None], n2 / n1
    a = 1 + ratio
    b = -(a + p1 + ratio * p2 + s * (ratio + 2)) / (3 * a)
    c = (s**2 + s * (2 * p1 + a) + p1 + ratio * p2) / (3 * a)
    v = b**3 - 1.5 * b * c - p1 * s * (1 + s) / (2 * a)
    u = np.where(v < 0, -1, 1) * np.sqrt(np.maximum(b**2 - c, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = (np.pi + np.arccos(np.clip(np.nan_to_num(v / u**3), -1, 1))) / 3
    one = np.clip(2 * u * np.cos(angle) - b, np.maximum(0, s), np.minimum(1, 1 + s))
    two = np.clip(one - s, 0, 1)
    off = p1 - p2 - s
    off = np.where(np.abs(off) < 1e-12, 0, off)
    return off / np.sqrt(np.maximum(one * (1 - one) / n1 + two * (1 - two) / n2, 1e-30))


def _chances(n: int, shares: np.ndarray) -> np.ndarray:
    """Binomial probabilities [..., n + 1] of 0 to n at true shares."""
    k, share = np.arange(n + 1), np.clip(shares[..., None], 1e-300, 1 - 1e-16)
    ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.exp(ways + k * np.log(share) + (n - k) * np.log1p(-share))


def _angles(count: int) -> np.ndarray:
    """Shares from 0 to 1, denser at the ends, where the probabilities change fast."""
    return np.sin(np.linspace(0, np.pi / 2, count)) ** 2


def _check(k1: int, n1: int, k2: int, n2: int) -> None:
    for k, n in ((k1, n1), (k2, n2)):
        if n < 1 or not 0 <= k <= n:
            raise ValueError(f"{k} of {n} is not a share of one or more clips")
