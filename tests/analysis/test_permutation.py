"""Exact tests against brute force, scipy, and the invariances that make them exact."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.tests import holm, permutation

ratings = st.lists(st.integers(0, 10), min_size=1, max_size=6)
levels = st.lists(
    st.tuples(st.sampled_from([100, 1500, 2000, 3500]), st.integers(0, 10)), min_size=3, max_size=7
)


def brute_force(a, b) -> float:
    ranks = stats.rankdata([*a, *b])
    centre = len(a) * ranks.mean()
    sums = [ranks[list(chosen)].sum() for chosen in combinations(range(len(ranks)), len(a))]
    return float(np.mean(np.abs(np.array(sums) - centre) >= abs(ranks[: len(a)].sum() - centre) - 1e-9))


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.6, 0.02, 0.9, 0.02, 0.0, 1.0, 0.3]])
def test_holms_correction_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


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


clips = st.lists(st.integers(0, 10), min_size=2, max_size=9)


@settings(max_examples=40)
@given(clips, clips, st.sampled_from([0.8, 0.95]))
def test_the_interval_of_a_shift_is_what_the_test_does_not_reject(a, b, confidence):
    found, level = permutation.shift(a, b, confidence), 1 - confidence
    assert found.p == permutation.rank_test(a, b)
    assert (found.low > 0 or found.high < 0) == (found.p < round(level, 12))
    assert found.low <= found.estimate <= found.high
    shifts = np.arange(-11, 11.25, 0.25)
    kept = np.array([permutation.rank_test(np.array(a) - d, b) > level - 1e-12 for d in shifts])
    outside = (shifts < found.low - 1e-5) | (shifts > found.high + 1e-5)
    far = shifts * found.estimate <= 0 if found.p < level else np.zeros(len(shifts), bool)
    assert not (kept & outside & ~far).any()
    assert all(kept[np.abs(shifts - end) <= 0.5].any() for end in (found.low, found.high) if abs(end) < 10)


@settings(max_examples=40)
@given(clips, clips, st.integers(-3, 3))
def test_a_shift_moves_with_its_group_and_turns_with_the_order(a, b, by):
    one, moved = permutation.shift(a, b), permutation.shift(np.array(a) + by, b)
    other = permutation.shift(b, a)
    close = pytest.approx((one.low + by, one.estimate + by, one.high + by), abs=1e-5)
    assert (other.low, other.estimate, other.high) == pytest.approx((-one.high, -one.estimate, -one.low))
    if one.p >= 0.05 and moved.p >= 0.05:
        assert (moved.low, moved.estimate, moved.high) == close


def test_without_ties_the_interval_is_moses():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=8), rng.normal(size=10)
    differences, found = np.sort(np.subtract.outer(a, b).ravel()), permutation.shift(a, b)
    below = [stats.mannwhitneyu(a - d + 1e-9, b, method="exact").pvalue < 0.05 for d in differences]
    kept = differences[~np.array(below)]
    assert (found.low, found.high) == pytest.approx((kept[0], kept[-1]), abs=0.3)
    assert found.estimate == pytest.approx(np.median(differences))


def test_many_clips_are_searched_as_few_are_scanned(monkeypatch):
    rng = np.random.default_rng(5)
    a, b = rng.integers(2, 11, size=16), rng.integers(0, 9, size=10)
    scanned = permutation.shift(a, b)
    monkeypatch.setattr(permutation, "SCANNED", 0)
    assert permutation.shift(a, b) == scanned


def test_a_few_clips_give_an_infinite_interval_and_ties_that_fit_no_shift_none():
    few = permutation.shift([1, 2], [3, 4])
    assert (few.low, few.high) == (-np.inf, np.inf)
    tied = permutation.shift([0] * 20 + [1] * 8, [0] * 40)
    assert tied.p < 0.05
    assert np.isnan([tied.low, tied.high]).all()


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
