import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from study.audit import leak_test
from study.audit.leak_test import ALL_SETS, TOGETHER, MeasuredSet
from tests.benchmarks import audit_false_alarms


def clips(dice, reals=2, fakes=8, shift=0.0, names=("bandwidth", "order of names", "offset")):
    real = dice.permutation(np.arange(reals + fakes) < reals)
    values = {name: dice.normal(0, 5000, len(real)) for name in names}
    values[names[0]] = values[names[0]] + shift * real
    return MeasuredSet(values, real)


def test_a_single_property_has_the_mann_whitney_p():
    dice = np.random.default_rng(0)
    for _ in range(10):
        one = clips(dice, 4, 8)
        values = one.values["bandwidth"]
        oracle = mannwhitneyu(values[one.real], values[~one.real], method="exact").pvalue
        assert leak_test.separate_p({"UMG": one}, ["bandwidth"])["bandwidth"] == pytest.approx(oracle)


def test_labelings_of_several_sets_are_all_products_or_drawn():
    small = np.arange(10) < 2
    exact = leak_test.labelings_within([small, small])
    assert exact.shape == (2025, 20)
    assert len(np.unique(exact, axis=0)) == 2025
    assert set(exact[:, :10].sum(axis=1)) == set(exact[:, 10:].sum(axis=1)) == {2}
    drawn = leak_test.labelings_within([small] * 3)
    assert drawn.shape == (2000, 30)
    assert np.array_equal(drawn[0], np.tile(small, 3))


def test_the_adjusted_p_is_never_below_the_plain_one_and_the_smallest_is_the_overall_one():
    dice = np.random.default_rng(1)
    sets = {"UMG": clips(dice), "VAR": clips(dice)}
    outcome = leak_test.run(sets, ["bandwidth", "order of names", "offset"])
    assert set(outcome.p) == {
        (where, name)
        for where in ("UMG", "VAR", ALL_SETS)
        for name in ("bandwidth", "order of names", "offset")
    } | {(ALL_SETS, TOGETHER)}
    assert all(outcome.adjusted[member] >= p - 1e-12 for member, p in outcome.p.items())
    assert outcome.overall == min(outcome.adjusted.values()) >= outcome.smallest
    assert outcome.labelings == 2025


def test_perfect_separation_shows_in_two_sets_and_not_in_one():
    dice = np.random.default_rng(2)
    names = ["bandwidth", "order of names", "offset"]
    one = leak_test.run({"UMG": clips(dice, shift=1e6)}, names)
    assert one.p[ALL_SETS, "bandwidth"] == pytest.approx(2 / 45)
    assert one.adjusted[ALL_SETS, "bandwidth"] > 0.05
    assert one.smallest >= 1 / 45 - 1e-12
    two = leak_test.run({"UMG": clips(dice, shift=1e6), "VAR": clips(dice, shift=1e6)}, names)
    assert two.p[ALL_SETS, "bandwidth"] == pytest.approx(2 / 2025)
    assert two.adjusted[ALL_SETS, "bandwidth"] < 0.02


def test_a_leak_that_turns_round_from_set_to_set_is_found():
    dice = np.random.default_rng(3)
    sets = {"UMG": clips(dice, 5, 8, 1e6), "VAR": clips(dice, 5, 8, -1e6)}
    outcome = leak_test.run(sets, ["bandwidth", "order of names", "offset"])
    assert outcome.adjusted["UMG", "bandwidth"] <= 0.05
    assert outcome.p[ALL_SETS, "bandwidth"] > 0.05


def test_sets_may_differ_from_each_other():
    dice = np.random.default_rng(4)
    far = clips(dice)
    far = MeasuredSet({name: values + 1e9 for name, values in far.values.items()}, far.real)
    near = clips(dice)
    names = list(far.values)
    moved = MeasuredSet({name: values - 1e9 for name, values in far.values.items()}, far.real)
    first = leak_test.run({"UMG": far, "VAR": near}, names)
    assert first.p == pytest.approx(leak_test.run({"UMG": moved, "VAR": near}, names).p)


def test_what_does_not_matter_and_what_is_missing_say_nothing():
    real = np.arange(10) < 2
    near = {"UMG": MeasuredSet({"noise floor": np.where(real, -60.0, -55.0)}, real)}
    assert not np.ptp(leak_test.settled("noise floor", near)["UMG"])
    assert leak_test.run(near, ["noise floor"]).overall == 1.0
    missing = {"UMG": MeasuredSet({"bandwidth": np.array([np.nan, np.nan, *range(1000, 9000, 1000)])}, real)}
    settled = leak_test.settled("bandwidth", missing)["UMG"]
    assert settled[:2].tolist() == [4500, 4500]
    nowhere = {"UMG": MeasuredSet({"bandwidth": np.full(10, np.nan)}, real)}
    assert leak_test.run(nowhere, ["bandwidth"]).overall == 1.0


def test_one_kind_of_clips_is_nothing_to_test():
    real = np.ones(4, bool)
    assert leak_test.run({"UMG": MeasuredSet({"offset": np.arange(4.0)}, real)}, ["offset"]).overall == 1.0


def test_traces_take_no_power_from_form_and_do_not_fail():
    dice = np.random.default_rng(5)
    form, traces = ["bandwidth", "offset"], ["waveform skew", "phase coherence"]
    sets = {name: clips(dice, 4, 8, 1e6, names=(*traces, *form)) for name in ("UMG", "VAR")}
    alone, both = leak_test.run(sets, form), leak_test.run(sets, [*form, *traces])
    assert both.overall == alone.overall > 0.05
    assert both.adjusted[ALL_SETS, "waveform skew"] < 0.01
    assert {member: p for member, p in both.adjusted.items() if member[1] not in traces} == alone.adjusted


def test_properties_that_need_many_relabelings_are_tested_from_there_on():
    dice = np.random.default_rng(6)
    names = ["sub-bass", "bandwidth"]
    few = leak_test.run({"UMG": clips(dice, 2, 8, 1e6, names=names)}, names)
    assert few.untested == ("sub-bass",)
    assert not [member for member in few.p if member[1] == "sub-bass"]
    many = leak_test.run({"UMG": clips(dice, 3, 9, 1e6, names=names)}, names)  # 220 relabelings
    assert many.untested == ()
    assert many.adjusted[ALL_SETS, "sub-bass"] <= 0.05


def test_false_alarms_of_the_whole_rule_stay_at_the_nominal_level():
    """tests/benchmarks/audit_false_alarms.py has the larger simulation, and its table."""
    assert audit_false_alarms.alarms(((2, 8), (2, 8)), studies=60, seed=5) <= 0.12  # P(more) = .006 at .05


def test_planted_leaks_are_found_by_the_rule():
    assert audit_false_alarms.found(((2, 8), (2, 8)), "bandwidth", studies=20, seed=6) >= 0.6


REAL = np.array([True, True] + [False] * 8)


def p_of(values, real) -> float:
    """The two-sided p of one property in one set."""
    return leak_test.separate_p({"UMG": MeasuredSet({"x": values}, real)}, ["x"])["x"]


def classifier_p(features, real) -> float:
    """The one-sided p of the classifier."""
    labels = leak_test.labelings(real)
    observed = int(np.flatnonzero((labels == real).all(axis=1))[0])
    return leak_test.permutation_p(leak_test.classifier_accuracies(features, labels))[observed]


def test_area_is_the_mann_whitney_statistic():
    dice = np.random.default_rng(0)
    values = dice.integers(0, 5, 20).astype(float)
    real = np.arange(20) < 7
    oracle = mannwhitneyu(values[real], values[~real]).statistic / (7 * 13)
    assert leak_test.area(values, real) == pytest.approx(oracle)


def test_exact_p_agrees_with_scipy_without_ties():
    dice = np.random.default_rng(1)
    for _ in range(20):
        values = dice.standard_normal(12)
        real = np.arange(12) < 4
        oracle = mannwhitneyu(values[real], values[~real], method="exact").pvalue
        assert p_of(values, real) == pytest.approx(oracle)


def test_two_of_ten_cannot_go_below_two_in_45():
    assert p_of(np.arange(10.0), REAL) == pytest.approx(2 / 45)


def test_values_that_are_all_the_same_say_nothing():
    assert leak_test.area(np.ones(10), REAL) == 0.5
    assert p_of(np.ones(10), REAL) == 1.0


def test_the_classifier_finds_what_tells_apart():
    dice = np.random.default_rng(2)
    features = dice.standard_normal((20, 8)) * np.logspace(-3, 3, 8)
    real = np.arange(20) < 8
    features[real, 3] += 8 * features[:, 3].std()
    assert leak_test.classifier_accuracies(features, real[None]) == 1.0
    assert classifier_p(features, real) < 0.01


def test_the_classifiers_false_alarms_stay_at_the_nominal_level():
    dice = np.random.default_rng(3)
    alarms = [classifier_p(dice.standard_normal((10, 6)), REAL) <= 0.05 for _ in range(400)]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_drawn_labelings_keep_the_numbers_and_hold_the_observed_one():
    real = np.arange(40) < 15
    labels = leak_test.labelings(real)
    assert np.array_equal(labels[0], real)
    assert set(labels.sum(axis=1)) == {15}
    assert len(leak_test.labelings(REAL)) == 45
