"""Estimators against scipy, the literature's worked examples, and their own properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.tests import detection
from analysis.tests.detection import Counts, DetectionError

counts = st.tuples(*[st.integers(0, 40)] * 4).map(lambda four: Counts(*four))
full = counts.filter(lambda c: c.fakes and c.originals)
share = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("k", "n", "wilson", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_of_a_proportion_are_the_published_ones(k, n, wilson, exact):
    """Newcombe (1998), Statistics in Medicine 17:857-872, table I."""
    assert detection.wilson(k, n) == pytest.approx(wilson, abs=5e-5)
    assert detection.clopper_pearson(k, n) == pytest.approx(exact, abs=5e-5)


@given(share)
def test_intervals_of_a_proportion_hold_it_and_score_intervals_are_wilsons(kn):
    k, n = kn
    for low, high in (detection.wilson(k, n), detection.clopper_pearson(k, n)):
        assert 0 <= low <= k / n <= high <= 1
    by_share = detection.score_interval(k / n, n, stats.norm.isf(0.025))
    assert detection.wilson(k, n) == pytest.approx(by_share, abs=1e-9)


def test_a_score_interval_takes_answers_that_are_not_whole_and_widens_with_the_quantile():
    low, high = detection.score_interval(0.25, 20.0, stats.norm.isf(0.025))
    assert (low, high) == pytest.approx(detection.wilson(5, 20))
    fewer = detection.score_interval(0.25, 12.5, stats.norm.isf(0.025))
    wider = detection.score_interval(0.25, 20.0, stats.t.isf(0.025, 6))
    assert all(0 <= one.low < low and high < one.high <= 1 for one in (fewer, wider))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=5).filter(sum))
def test_goodman_holds_the_shares_and_is_wider_than_wilson(observed):
    total = sum(observed)
    for k, (low, high) in zip(observed, detection.goodman(observed), strict=True):
        alone = detection.wilson(k, total)
        assert low <= alone.low + 1e-12
        assert high >= alone.high - 1e-12


def test_goodman_is_wilson_at_the_level_that_the_categories_share():
    alone = [detection.wilson(k, 23, 1 - 0.05 / 3) for k in (5, 11, 7)]
    assert np.array(detection.goodman([5, 11, 7])) == pytest.approx(np.array(alone), abs=1e-12)


@given(full)
def test_sensitivity_is_finite_shrunken_and_antisymmetric(c):
    fit = detection.sensitivity(c)
    assert np.isfinite([fit.d_prime, fit.criterion]).all()
    assert fit.d_prime_se > 0
    assert fit.criterion_se == pytest.approx(fit.d_prime_se / 2)
    swapped = detection.sensitivity(Counts(c.false_alarms, c.correct_rejections, c.hits, c.misses))
    assert swapped.d_prime == pytest.approx(-fit.d_prime, abs=1e-9)
    if 0 < c.hits < c.fakes and c.fakes == c.originals and c.false_alarms == c.misses:
        raw = 2 * stats.norm.ppf(c.hits / c.fakes)
        assert abs(fit.d_prime) <= abs(raw) + 1e-12


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=15), st.lists(st.integers(0, 3), min_size=2, max_size=15)
)
def test_auc_is_the_mann_whitney_statistic(fakes, originals):
    area = detection.auc(fakes, originals)
    u = stats.mannwhitneyu(fakes, originals).statistic
    assert area == pytest.approx(u / (len(fakes) * len(originals)))
    assert area == pytest.approx(1 - detection.auc(originals, fakes))
    same, (low, high) = detection.delong(fakes, originals)
    assert same == area
    assert 0 <= low <= area <= high <= 1


def test_delong_of_untied_scores_is_his_variance_by_hand():
    fakes, originals = [3.0, 5.0, 6.0], [1.0, 4.0]
    # Placements: fakes beat 1, 2, 2 of two originals; originals lose to 3, 2 of three fakes.
    by_fake, by_original = np.array([0.5, 1, 1]), np.array([1, 2 / 3])
    variance = by_fake.var(ddof=1) / 3 + by_original.var(ddof=1) / 2
    area, interval = detection.delong(fakes, originals)
    assert area == pytest.approx(5 / 6)
    assert interval.low == pytest.approx(5 / 6 - 1.959964 * np.sqrt(variance), abs=1e-6)


def test_fakeness_scores_a_missing_difficulty_in_the_middle():
    said = ["real", "fake", "fake", "fake", "fake", "real"]
    ease = [None, "difficult", "dont_know", None, "easy", "difficult"]
    assert detection.fakeness(said, ease).tolist() == [0, 1, 2, 2, 3, 0]


def test_impossible_counts_are_refused():
    with pytest.raises(DetectionError, match="hits is -1"):
        Counts(-1, 0, 0, 0)
    with pytest.raises(DetectionError, match="0 originals"):
        detection.youden(Counts(1, 1, 0, 0))
    with pytest.raises(DetectionError, match="5 of 4"):
        detection.wilson(5, 4)
