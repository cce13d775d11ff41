import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from study.audit import separation

REAL = np.array([True, True] + [False] * 8)


def test_area_is_the_mann_whitney_statistic():
    dice = np.random.default_rng(0)
    values = dice.integers(0, 5, 20).astype(float)
    real = np.arange(20) < 7
    oracle = mannwhitneyu(values[real], values[~real]).statistic / (7 * 13)
    assert separation.area(values, real) == pytest.approx(oracle)


def test_exact_p_agrees_with_scipy_without_ties():
    dice = np.random.default_rng(1)
    for _ in range(20):
        values = dice.standard_normal(12)
        real = np.arange(12) < 4
        oracle = mannwhitneyu(values[real], values[~real], method="exact").pvalue
        assert separation.area_p(values, real) == pytest.approx(oracle)


def test_two_of_ten_cannot_go_below_two_in_45():
    assert separation.area_p(np.arange(10.0), REAL) == pytest.approx(2 / 45)
    assert separation.smallest_p(REAL, sides=2) == pytest.approx(2 / 45)
    assert separation.smallest_p(REAL, sides=1) == pytest.approx(1 / 45)


def test_values_that_are_all_the_same_say_nothing():
    assert separation.area(np.ones(10), REAL) == 0.5
    assert separation.area_p(np.ones(10), REAL) == 1.0


def test_holm():
    assert separation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert separation.holm([0.6, 0.9]) == [1.0, 1.0]


def test_the_classifier_finds_what_tells_apart():
    dice = np.random.default_rng(2)
    features = dice.standard_normal((20, 8)) * np.logspace(-3, 3, 8)
    real = np.arange(20) < 8
    features[real, 3] += 8 * features[:, 3].std()
    assert separation.classifier_accuracy(features, real) == 1.0
    assert separation.classifier_p(features, real) < 0.01


def test_the_classifiers_false_alarms_stay_at_the_nominal_level():
    dice = np.random.default_rng(3)
    found = [separation.classifier_p(dice.standard_normal((10, 6)), REAL) <= 0.05 for _ in range(400)]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_drawn_labelings_keep_the_numbers_and_hold_the_observed_one():
    real = np.arange(40) < 15
    labels = separation.labelings(real)
    assert np.array_equal(labels[0], real)
    assert set(labels.sum(axis=1)) == {15}
    assert len(separation.labelings(REAL)) == 45
