"""Exact tests against brute force, scipy, and the invariances that make them exact."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import permutation

ratings = st.lists(st.integers(0, 10), min_size=1, max_size=6)
levels = st.lists(
    st.tuples(st.sampled_from([100, 1500, 2000, 3500]), st.integers(0, 10)), min_size=3, max_size=7
)


def brute_force(a, b) -> float:
    ranks = stats.rankdata([*a, *b])
    centre = len(a) * ranks.mean()
    sums = [ranks[list(chosen)].sum() for chosen in combinations(range(len(ranks)), len(a))]
    return float(np.mean(np.abs(np.array(sums) - centre) >= abs(ranks[: len(a)].sum() - centre) - 1e-9))


@given(ratings, ratings)
def test_rank_test_is_the_share_of_all_relabellings(a, b):
    assert permutation.rank_test(a, b) == pytest.approx(brute_force(a, b))


def test_rank_test_without_ties_is_scipys_exact_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=9), rng.normal(size=14)
    assert permutation.rank_test(a, b) == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)


@given(ratings, ratings, st.randoms(use_true_random=False))
def test_rank_test_knows_neither_order_nor_side_nor_monotone_scale(a, b, random):
    p = permutation.rank_test(a, b)
    shuffled = random.sample(a, len(a))
    assert permutation.rank_test(shuffled, b) == pytest.approx(p)
    assert permutation.rank_test(b, a) == pytest.approx(p)
    assert permutation.rank_test([x**3 for x in a], [x**3 for x in b]) == pytest.approx(p)
    assert p >= permutation.smallest_rank_p(a, b) - 1e-12


def test_rank_test_holds_its_level_under_the_null():
    rng = np.random.default_rng(0)
    p = [permutation.rank_test(x[:4], x[4:]) for x in rng.integers(0, 11, size=(500, 20))]
    assert np.mean(np.array(p) <= 0.05) <= 0.07


@given(ratings.filter(lambda x: len(x) > 2), ratings.filter(lambda x: len(x) > 2), st.integers(-3, 3))
def test_hodges_lehmann_moves_with_a_shift(a, b, shift):
    one, moved = permutation.hodges_lehmann(a, b), permutation.hodges_lehmann(np.array(a) + shift, b)
    assert moved.estimate == pytest.approx(one.estimate + shift)
    assert one.low <= one.estimate <= one.high


def test_hodges_lehmann_covers_at_its_level():
    rng = np.random.default_rng(2)
    shifts = [permutation.hodges_lehmann(x[:8], x[8:]) for x in rng.normal(size=(400, 18))]
    assert np.mean([shift.low <= 0 <= shift.high for shift in shifts]) >= 0.93


def test_a_few_clips_give_an_infinite_interval_not_a_wrong_one():
    shift = permutation.hodges_lehmann([1, 2], [3, 4])
    assert (shift.low, shift.high) == (-np.inf, np.inf)


@given(levels, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_trend_knows_no_order_of_clips_and_is_never_below_what_it_can_reach(pairs, random):
    fit = permutation.trend(*zip(*pairs, strict=True))
    shuffled = permutation.trend(*zip(*random.sample(pairs, len(pairs)), strict=True))
    assert shuffled.p == pytest.approx(fit.p)
    assert fit.smallest_p - 1e-12 <= fit.p <= 1
    assert -1 <= fit.rho <= 1


def test_jonckheere_is_the_permutation_test_of_kendalls_numerator():
    level, value = [1, 1, 2, 2, 3, 3], [2, 1, 4, 3, 6, 5]
    fit = permutation.trend(level, value)
    assert fit.statistic == 12  # every pair of clips of different levels is in order
    assert fit.exact
    assert fit.p == pytest.approx(2 / 90)  # of 6! / (2! 2! 2!) arrangements, this one and its mirror


def test_a_large_trend_is_drawn_and_repeats_itself():
    rng = np.random.default_rng(3)
    level, value = np.repeat([1, 2, 3, 4], 6), rng.normal(size=24)
    one, two = (permutation.trend(level, value, seed=5) for _ in range(2))
    assert not one.exact
    assert one == two
    assert one.p == pytest.approx(stats.kendalltau(level, value).pvalue, abs=0.03)


def test_constant_values_can_never_show_a_trend():
    assert permutation.trend([1, 2, 3], [4, 4, 4]).smallest_p == 1


def test_a_rank_test_of_many_clips_is_quick_and_near_the_exact_one():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=110), rng.normal(0.2, size=110)
    assert permutation.rank_test(a, b) == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
