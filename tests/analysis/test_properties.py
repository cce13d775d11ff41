"""What must hold of the estimators whatever the answers are: order does not matter, bounds, monotonicity."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.results import agreement, ratings
from analysis.results.result import find
from analysis.results.stimuli import Panel
from analysis.tests import detection, permutation
from analysis.tests.detection import Counts

COUNT = st.integers(0, 60)
COUNTS = st.builds(Counts, COUNT, COUNT, COUNT, COUNT).filter(lambda c: c.fakes and c.originals)
SCORES = st.lists(st.integers(0, 3), min_size=2, max_size=25)
RATING = st.one_of(st.none(), st.integers(0, 10))


def shuffled(values, seed: int) -> list:
    return list(np.random.default_rng(seed).permutation(np.array(values, dtype=object)))


@given(st.lists(st.tuples(st.sampled_from(["real", "fake"]), st.sampled_from(["real", "fake"]))), COUNT)
def test_counts_do_not_depend_on_the_order_of_trials(trials, seed):
    again = [trials[i] for i in np.random.default_rng(seed).permutation(len(trials))]
    assert Counts.of(*_columns(trials)) == Counts.of(*_columns(again))


def _columns(trials) -> tuple[list, list]:
    return [truth for truth, _ in trials], [verdict for _, verdict in trials]


@given(COUNTS)
def test_sensitivity_is_finite_and_turns_with_the_answers(counts):
    found = detection.sensitivity(counts)
    assert np.isfinite([found.d_prime, found.criterion]).all()
    assert found.d_prime_se > 0
    turned = detection.sensitivity(
        Counts(counts.misses, counts.hits, counts.correct_rejections, counts.false_alarms)
    )
    assert turned.d_prime == pytest.approx(-found.d_prime, abs=1e-9)
    assert turned.criterion == pytest.approx(-found.criterion, abs=1e-9)


@given(COUNTS)
def test_more_hits_raise_d_prime_and_more_alarms_lower_it_and_both_lower_c(counts):
    here = detection.sensitivity(counts)
    if counts.misses:
        more = Counts(counts.hits + 1, counts.misses - 1, counts.false_alarms, counts.correct_rejections)
        assert detection.sensitivity(more).d_prime > here.d_prime
        assert detection.sensitivity(more).criterion < here.criterion
        assert detection.youden(more) > detection.youden(counts)
    if counts.correct_rejections:
        more = Counts(counts.hits, counts.misses, counts.false_alarms + 1, counts.correct_rejections - 1)
        assert detection.sensitivity(more).d_prime < here.d_prime
        assert detection.sensitivity(more).criterion < here.criterion
        assert detection.youden(more) < detection.youden(counts)


@given(COUNTS)
def test_youden_lies_within_its_bounds(counts):
    index = detection.youden(counts)
    assert -1 <= index <= 1
    assert 0 <= 0.5 + index / 2 <= 1  # balanced accuracy


@pytest.mark.parametrize("interval", [detection.wilson, detection.clopper_pearson])
@given(n=st.integers(1, 200), data=st.data())
def test_intervals_hold_the_share_narrow_with_n_and_widen_with_the_level(interval, n, data):
    k = data.draw(st.integers(0, n))
    low, high = interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    wide, wider = interval(k, n, 0.99)
    assert wide <= low + 1e-12
    assert wider >= high - 1e-12
    less, more = interval(10 * k, 10 * n)
    assert more - less < high - low
    turned = interval(n - k, n)
    assert turned == pytest.approx((1 - high, 1 - low), abs=1e-9)
    if k < n:
        after = interval(k + 1, n)
        assert after[0] >= low
        assert after[1] >= high


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5).filter(sum))
def test_goodman_is_wider_than_wilson(counts):
    for count, (low, high) in zip(counts, detection.goodman(counts), strict=True):
        alone = detection.wilson(count, sum(counts))
        assert low <= alone.low + 1e-12
        assert high >= alone.high - 1e-12


@given(SCORES, SCORES, COUNT)
def test_the_area_is_a_share_that_only_order_decides(fakes, originals, seed):
    area = detection.auc(fakes, originals)
    assert 0 <= area <= 1
    assert detection.auc(shuffled(fakes, seed), shuffled(originals, seed)) == pytest.approx(area)
    assert detection.auc(originals, fakes) == pytest.approx(1 - area)
    stretched = detection.auc(np.exp(fakes), np.exp(originals))  # any rising function of the scores
    assert stretched == pytest.approx(area)
    assert detection.auc([score + 1 for score in fakes], originals) >= area
    estimate, (low, high) = detection.delong(fakes, originals)
    assert estimate == pytest.approx(area)
    assert 0 <= low <= area + 1e-12
    assert area - 1e-12 <= high <= 1


TABLES = st.integers(2, 6).flatmap(
    lambda units: st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=units, max_size=units),
        min_size=2,
        max_size=5,
    )
)


@given(TABLES, COUNT, st.booleans())
def test_alpha_does_not_depend_on_the_order_of_listeners_and_clips(rows, seed, ordinal):
    table = np.array(rows, dtype=float)
    value = agreement.alpha(table, ordinal=ordinal)
    rng = np.random.default_rng(seed)
    again = table[rng.permutation(len(table))][:, rng.permutation(table.shape[1])]
    np.testing.assert_allclose(agreement.alpha(again, ordinal=ordinal), value, atol=1e-9)
    assert np.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9
    renamed = np.where(np.isnan(table), np.nan, 3 * table + 1)  # values count as names, or by their order
    np.testing.assert_allclose(agreement.alpha(renamed, ordinal=ordinal), value, atol=1e-9)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=8), st.integers(2, 5), st.booleans())
def test_alpha_is_one_where_all_agree(values, listeners, ordinal):
    assume(len(set(values)) > 1)
    assert agreement.alpha(np.tile(values, (listeners, 1)), ordinal=ordinal) == pytest.approx(1)


DOSED = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10)), min_size=4, max_size=7)


@given(DOSED, COUNT)
def test_jonckheere_counts_order_alone(pairs, seed):
    levels, values = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    assume(len(set(levels)) > 1)
    found = permutation.trend(levels, values)
    assert 0 < found.smallest_p <= found.p <= 1
    assert -1 <= found.rho <= 1
    place = np.random.default_rng(seed).permutation(len(levels))
    again = permutation.trend(levels[place], values[place])
    stretched = permutation.trend(np.exp(levels), values**3)
    for other in (again, stretched):
        assert other.statistic == pytest.approx(found.statistic)
        assert other.p == pytest.approx(found.p)
    assert permutation.trend(levels, -values).p == pytest.approx(found.p)  # two-sided
    raised = permutation.trend(levels, values + (levels == levels.max()))
    assert raised.statistic >= found.statistic


BLOCKS = st.integers(3, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 5), min_size=k, max_size=k), min_size=2, max_size=5)
)


@given(BLOCKS, COUNT)
def test_page_sees_ranks_within_blocks_alone(rows, seed):
    blocks = np.array(rows, dtype=float)
    found = permutation.page(blocks)
    assert 0 < found.smallest_p <= found.p <= 1
    shift = np.random.default_rng(seed).normal(0, 9, (len(blocks), 1))
    again = permutation.page(blocks[::-1] * 3 + shift)  # a block's own level and scale do not count
    assert (again.statistic, again.p) == (found.statistic, pytest.approx(found.p))
    assert permutation.page(-blocks).p == pytest.approx(found.p)
    assert permutation.page(np.sort(blocks, axis=1)).p == pytest.approx(found.smallest_p)


def test_page_gives_the_published_probabilities():
    """Exact upper tail of L: 3 levels and 2 blocks, L = 28 in 1 of 36 arrangements (Page 1963, table 2)."""
    found = permutation.page([[1, 2, 3], [4, 5, 6]])
    assert found.statistic == 28
    assert found.p == pytest.approx(2 / 36)
    drawn = permutation.page(np.tile(np.arange(9.0), (3, 1)))
    assert not drawn.exact
    assert drawn.p < 0.001


def test_page_agrees_with_scipy_where_there_are_no_ties():
    from scipy import stats

    rng = np.random.default_rng(5)
    for _ in range(5):
        blocks = rng.normal(0, 1, (4, 4)) + 0.3 * np.arange(4)
        theirs = stats.page_trend_test(blocks, method="exact")
        found = permutation.page(blocks)
        assert found.statistic == theirs.statistic
        one_sided = min(theirs.pvalue, stats.page_trend_test(-blocks, method="exact").pvalue)
        assert found.p == pytest.approx(min(1, 2 * one_sided))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), RATING), min_size=1, max_size=20))
def test_manski_bounds_hold_whatever_the_missing_ratings_were(pairs):
    frame = pd.DataFrame(
        {
            "clip": [name for name, _ in pairs],
            "truth": "fake",
            "verdict": "fake",
            "inspiring": None,
            "difficulty": None,
            "musicality": pd.array([rating for _, rating in pairs], dtype="Float64").astype("float64"),
        }
    )
    found = find(ratings.missing(frame, Panel(2)), ratings.MISSING, ratings.BOUNDS, "machine-made")
    low, high = found.low, found.high
    assert 0 <= low <= high <= 10
    rng = np.random.default_rng(0)
    for _ in range(3):
        guess = frame["musicality"].fillna(pd.Series(rng.integers(0, 11, len(frame)), dtype=float))
        mean = guess.groupby(frame["clip"]).mean().mean()
        assert low - 1e-9 <= mean <= high + 1e-9
    if frame["musicality"].notna().all():
        assert low == pytest.approx(high)
