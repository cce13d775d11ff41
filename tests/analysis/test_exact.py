"""Exact tests of two shares against scipy, the founding data and what an interval promises."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.tests import exact

DESIGNS = [(16, 4), (6, 6), (8, 2)]  # 10 + 10 holds as well and takes 20 s
counts = st.tuples(st.integers(1, 16), st.integers(1, 12)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


def intervals(n1: int, n2: int) -> list[np.ndarray]:
    """Lower ends, upper ends and p [n1 + 1, n2 + 1] of all tables."""
    found = [[exact.difference(i, n1, j, n2) for j in range(n2 + 1)] for i in range(n1 + 1)]
    return [np.array([[getattr(one, name) for one in row] for row in found]) for name in ("low", "high", "p")]


def binomial(n: int, shares: np.ndarray) -> np.ndarray:
    return stats.binom.pmf(np.arange(n + 1), n, shares[:, None])


def test_the_founding_listener():
    found = exact.difference(15, 16, 1, 4)
    assert found.estimate == 0.6875
    assert (found.low, found.high) == pytest.approx((0.0942, 0.9396), abs=1e-4)
    assert found.p == pytest.approx(0.00417, abs=1e-5)


def barnard(k1: int, n1: int, k2: int, n2: int) -> float:
    """The largest tail of the pooled score statistic; fractions see every tie, scipy's rounding does not."""

    def squared(i: int, j: int) -> Fraction:
        pooled, off = Fraction(i + j, n1 + n2), Fraction(i, n1) - Fraction(j, n2)
        return off**2 / (pooled * (1 - pooled)) if off else Fraction(0)

    extreme = [[squared(i, j) >= squared(k1, k2) for j in range(n2 + 1)] for i in range(n1 + 1)]
    shares = np.linspace(0, 1, 1001)
    return float(((binomial(n1, shares) @ np.array(extreme)) * binomial(n2, shares)).sum(axis=1).max())


@settings(max_examples=40)
@given(counts)
def test_p_is_barnards(table):
    k1, n1, k2, n2 = table
    p = exact.difference(*table).p
    assert p == pytest.approx(barnard(*table), rel=2e-3)
    assert exact.p_values(n1, n2)[k1, k2] == pytest.approx(p, rel=1e-3)


@pytest.mark.parametrize("table", [(15, 16, 1, 4), (7, 9, 2, 8), (12, 20, 4, 15)])
def test_scipy_gives_the_same_p(table):
    k1, n1, k2, n2 = table
    given = stats.barnard_exact([[k1, k2], [n1 - k1, n2 - k2]], n=64).pvalue
    assert exact.difference(*table).p == pytest.approx(given, rel=2e-3)


@settings(max_examples=30)
@given(counts, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_interval_agrees_with_the_test(table, confidence):
    k1, n1, k2, n2 = table
    found = exact.difference(*table, confidence)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert (found.low > 0 or found.high < 0) == (found.p < 1 - confidence)
    other, errors = exact.difference(k2, n2, k1, n1, confidence), exact.difference(n1 - k1, n1, n2 - k2, n2)
    assert (other.low, other.high, other.p) == pytest.approx((-found.high, -found.low, found.p), abs=2e-3)
    assert errors.p == pytest.approx(found.p, rel=1e-3)


@pytest.mark.parametrize(("n1", "n2"), DESIGNS)
def test_intervals_cover_and_tests_keep_their_level_whatever_the_true_shares(n1, n2):
    low, high, p = intervals(n1, n2)
    assert (((low > 0) | (high < 0)) == (p < 0.05)).all()
    shares = np.linspace(0.002, 0.998, 84)
    first, second = binomial(n1, shares), binomial(n2, shares)
    differences = np.round(shares[:, None] - shares[None, :], 12)
    covers = (low <= differences[..., None, None] + 1e-6) & (differences[..., None, None] - 1e-6 <= high)
    assert np.einsum("ai,abij,bj->ab", first, covers, second).min() >= 0.95
    assert ((first @ (p < 0.05)) * second).sum(axis=1).max() <= 0.05


@pytest.mark.parametrize(("n1", "n2"), DESIGNS)
@pytest.mark.parametrize("bound", [0.2, 0.5])
def test_equivalence_keeps_its_level_at_either_bound(n1, n2, bound):
    shows = np.array(
        [[exact.equivalence(i, n1, j, n2, bound) < 0.05 for j in range(n2 + 1)] for i in range(n1 + 1)]
    )
    shares = np.linspace(0, 1 - bound, 60)
    for one, two in ((shares, shares + bound), (shares + bound, shares)):
        assert ((binomial(n1, one) @ shows) * binomial(n2, two)).sum(axis=1).max() <= 0.05


def test_equivalence_is_shown_by_many_alike_clips_and_by_nothing_else():
    assert exact.equivalence(50, 100, 50, 100, 0.2) < 0.05 < exact.equivalence(5, 10, 5, 10, 0.2)
    assert exact.equivalence(15, 16, 1, 4, 0.5) > 0.5
    assert exact.equivalence(50, 100, 50, 100, 0.2) == exact.equivalence(50, 100, 50, 100, 0.2)
    assert exact.equivalence(30, 100, 40, 100, 0.3) == pytest.approx(
        exact.equivalence(40, 100, 30, 100, 0.3), rel=1e-3
    )


def test_many_clips_go_over_into_the_normal_approximation():
    inside, beyond = exact.difference(60, 100, 45, 100), exact.difference(60, 100, 45, 101)
    assert beyond.p == pytest.approx(inside.p, rel=0.25)
    assert (beyond.low, beyond.high) == pytest.approx((inside.low, inside.high), abs=0.01)
    assert beyond.low > 0 > beyond.low - 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact.difference(5, 4, 1, 4), "5 of 4 is not a share"),
        (lambda: exact.difference(1, 4, 0, 0), "0 of 0 is not a share"),
        (lambda: exact.difference(1, 4, 1, 4, 95), "the confidence is 95"),
        (lambda: exact.equivalence(1, 4, 1, 4, 0), "the bound is 0"),
    ],
)
def test_refuses_what_is_no_table(call, message):
    with pytest.raises(ValueError, match=message):
        call()
