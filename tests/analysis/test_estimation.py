"""The one engine of means and comparisons: what holds of every outcome, for one listener and for several."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import responses
from analysis.models import mixed
from analysis.results import estimation, stimuli
from analysis.results.estimation import contrasts, mean
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, KEPT, MUSICALITY
from analysis.tests import detection, exact, permutation
from tests.analysis import panels

PAIR = ("machine", "original")


def frame(values, kinds, *, sources=None, who=None) -> pd.DataFrame:
    """Answers [listeners, clips], NaN where there is none, as ratings and as verdicts (above .5 is real).

    kinds: the label of each clip; "original" is real, any other fake. sources: of each clip. who: names.
    """
    values = np.asarray(values, float)
    rows = []
    for listener, own in enumerate(values):
        for clip, (kind, value) in enumerate(zip(kinds, own, strict=True)):
            rows.append((who[listener] if who else f"L{listener:02d}", f"clip {clip:02d}", kind, value))
    table = pd.DataFrame(rows, columns=["listener", "clip", "backend", "musicality"])
    table["truth"] = np.where(table["backend"] == "original", "real", "fake")
    table["verdict"] = np.where(table["musicality"] > 0.5, "real", "fake")
    table["inspiring"] = np.where(table["musicality"] > 0.5, "maybe", "no")
    if sources is not None:
        table["source"] = np.tile(np.asarray(sources, object), len(values))
    table = table.assign(set="one", name=table["clip"], mode="UMG", epochs=pd.NA)
    return table[table["musicality"].notna()].reset_index(drop=True)


def kinds(machine: int, originals: int) -> list[str]:
    return ["machine"] * machine + ["original"] * originals


def ratings(seed: int, listeners: int, clips: int, effect=()) -> np.ndarray:
    """Whole points; listeners, their taste for the first clips and clips differ."""
    dice = np.random.default_rng(seed)
    points = (
        5
        + dice.normal(0, 1, (listeners, 1))
        + dice.normal(0, 1, clips)
        + dice.normal(0, 1.5, (listeners, clips))
    )
    points[:, : len(effect)] += effect
    return np.clip(np.rint(points), 0, 10)


def compare(table, outcome=MUSICALITY, pair=PAIR, confidence=0.95):
    return contrasts(table, outcome, table["backend"], [pair], confidence)[0]


def numbers(estimate) -> list[float]:
    return [estimate.estimate, estimate.low, estimate.high, estimate.p]


# One listener


def test_one_listeners_shares_are_compared_by_the_exact_test_and_its_interval():
    table = frame([[0] * 15 + [1] + [0, 1, 1, 1]], kinds(16, 4))
    found, test = compare(table, JUDGED_REAL), exact.difference(1, 16, 3, 4)
    assert numbers(found) == [test.estimate, test.low, test.high, test.p]
    assert found.p < 0.05
    assert found.high < 0
    assert (found.clips, found.listeners, found.of) == (20, 1, (4.0, 20))
    share = mean(table[table["backend"] == "machine"], JUDGED_REAL)
    assert (share.low, share.high) == pytest.approx(detection.wilson(1, 16))


def test_one_listeners_ratings_are_compared_by_permutation_and_their_mean_has_no_interval():
    table = frame([[1, 2, 2, 3, 4, 4, 7, 8, 9, 9]], kinds(6, 4))
    found, test = compare(table), permutation.shift([1, 2, 2, 3, 4, 4], [7, 8, 9, 9])
    assert numbers(found) == [test.estimate, test.low, test.high, test.p]
    assert found.p == pytest.approx(2 / math.comb(10, 4))
    about = mean(table, MUSICALITY)
    assert (about.estimate, about.low, about.high) == (4.9, None, None)
    assert about.notes == ("describes; no interval",)


def test_where_no_answers_of_one_listener_could_reach_a_test_there_is_none_and_the_least_p_is_said():
    for outcome in (JUDGED_REAL, MUSICALITY):
        found = compare(frame([[0, 0, 1, 1]], kinds(2, 2)), outcome)
        assert found.p is None
        assert found.estimate == -1
        assert "no answers to 2 and 2 clips could reach p < .05" in found.notes[0]


@pytest.mark.parametrize("listeners", [1, 3])
def test_equivalence_says_what_its_interval_of_90_percent_says(listeners):
    dice = np.random.default_rng(2)
    table = frame(dice.integers(0, 2, (listeners, 60)), kinds(30, 30))
    for bound in (0.1, 0.3, 0.5):
        found = compare(table, JUDGED_REAL, confidence=0.9)
        p = estimation.p_within(table, JUDGED_REAL, table["backend"], PAIR, found, bound)
        inside = -bound < found.low and found.high < bound
        assert found.level == 0.9
        if listeners > 1:
            assert (p < 0.05) == inside
        else:  # one-sided exact tests, which the two-sided interval is no wider than in two tails
            assert p == exact.equivalence(*_counts(table), bound)
    assert p < 0.05


def _counts(table: pd.DataFrame) -> tuple[int, int, int, int]:
    real = (table["verdict"] == "real").groupby(table["backend"]).agg(["sum", "size"])
    return tuple(int(n) for kind in PAIR for n in real.loc[kind])


def test_one_listeners_ratings_have_no_test_of_equivalence():
    table = frame(ratings(1, 1, 20), kinds(10, 10))
    found = compare(table, confidence=0.9)
    assert estimation.p_within(table, MUSICALITY, table["backend"], PAIR, found, 2.0) is None


# Several listeners


def test_two_listeners_are_a_panel():
    table = frame(ratings(4, 2, 12, [-3] * 8), kinds(8, 4))
    found = compare(table)
    means = table.groupby("backend")["musicality"].mean()
    assert found.estimate == pytest.approx(means["machine"] - means["original"])
    assert found.low < found.estimate < found.high
    assert found.method.startswith("contrast of a linear mixed model by REML, listeners and clips random")
    assert (found.clips, found.listeners) == (12, 2)
    about = mean(table, MUSICALITY)
    assert about.low < about.estimate < about.high


PERFECT = np.tile([0] * 16 + [1] * 4, (24, 1))


@pytest.mark.parametrize(("listeners", "high"), [(2, 0.0), (3, 0.0), (24, -0.3634)])
def test_listeners_who_are_always_right_have_told_the_two_apart(listeners, high):
    """Nothing varies that a variance could be estimated from: the clips are permuted, one way of C(20, 4).

    The interval knows how few listeners they are, but ends at 0 at the latest, as 0 is rejected.
    """
    found = compare(frame(PERFECT[:listeners], kinds(16, 4)), JUDGED_REAL)
    assert found.estimate == -1
    assert found.p == pytest.approx(1 / math.comb(20, 4))
    assert (found.low, found.high) == (-1, pytest.approx(high, abs=1e-4))
    assert found.notes == (estimation.EXPLAINED,)


@pytest.mark.parametrize("listeners", [1, 2, 24])
@pytest.mark.parametrize("says", [0, 1])
def test_listeners_who_always_say_the_same_have_detected_nothing(listeners, says):
    found = compare(frame(np.full((listeners, 20), says), kinds(16, 4)), JUDGED_REAL)
    assert found.estimate == 0
    assert found.p == pytest.approx(1)
    assert found.low < 0 < found.high


def test_ratings_that_are_all_the_same_have_no_interval_and_no_difference():
    table = frame(np.full((5, 12), 7.0), kinds(8, 4))
    about, found = mean(table, MUSICALITY), compare(table)
    assert (about.estimate, about.low, about.high) == (7.0, None, None)
    assert about.notes == ("no interval: every answer is the same",)
    assert numbers(found) == [0.0, None, None, 1.0]
    assert found.notes == (estimation.CONSTANT,)


def test_a_mean_needs_an_answer_and_an_interval_two_clips():
    one = frame(ratings(1, 5, 1), ["machine"])
    assert mean(one, MUSICALITY).notes == ("no interval: one clip",)
    assert mean(one, MUSICALITY).estimate == one["musicality"].mean()
    assert mean(one[:0], MUSICALITY).refused == "no clip has such an answer"
    assert mean(one, KEPT).refused == "no clip has such an answer"


def test_listeners_who_differ_in_what_they_like_widen_the_interval():
    values = ratings(4, 10, 14)
    taste = np.random.default_rng(1).permutation(np.linspace(-4, 4, 10))
    level = compare(frame(values, kinds(8, 6)))
    differing = compare(frame(values + taste[:, None] * ([1] * 8 + [0] * 6), kinds(8, 6)))
    assert differing.high - differing.low > 1.1 * (level.high - level.low)
    assert differing.fit.level_sd > level.fit.level_sd


def test_groups_that_no_listener_judged_both_of_are_compared_only_by_way_of_a_third():
    values = ratings(3, 6, 15)
    split = values.copy()
    split[:3, 5:10] = np.nan
    split[3:, :5] = np.nan
    labels = ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    joined = frame(split, labels)
    assert compare(joined, pair=("a", "b")).p is not None
    apart = frame(split[:, :10], labels[:10])
    found = compare(apart, pair=("a", "b"))
    assert found.refused == "no listener judged clips of both groups"
    assert numbers(found) == [None] * 4


def test_a_group_without_an_answer_is_named():
    table = frame(ratings(3, 4, 10), kinds(6, 4))
    table.loc[table["backend"] == "original", "musicality"] = np.nan
    assert compare(table).refused == "no answer on original has this outcome"
    one = table[table["listener"] == "L00"]
    assert compare(one).refused == "no answer on original has this outcome"


def test_all_pairs_of_three_groups_are_contrasts_of_one_model():
    table = frame(ratings(5, 6, 18, [2] * 6), ["a"] * 6 + ["b"] * 6 + ["original"] * 6)
    pairs = [("a", "original"), ("b", "original"), ("a", "b")]
    found = contrasts(table, MUSICALITY, table["backend"], pairs)
    assert found[0].fit is found[1].fit is found[2].fit
    assert found[0].estimate - found[1].estimate == pytest.approx(found[2].estimate)
    fit = mixed.levels(table["musicality"], table["backend"], table["listener"], table["clip"])
    for (one, other), estimate in zip(pairs, found, strict=True):
        contrast = fit.contrast({one: 1.0, other: -1.0})
        low, high = contrast.interval()
        assert numbers(estimate) == pytest.approx([contrast.estimate, low, high, contrast.p])
    alone = compare(table[table["backend"] != "b"], pair=pairs[0])
    assert alone.estimate == pytest.approx(found[0].estimate)
    assert alone.df < found[0].df  # the third group's clips say how much clips differ


def test_labels_that_are_none_are_left_out():
    table = frame(ratings(5, 4, 16), ["a"] * 6 + ["b"] * 6 + ["original"] * 4)
    labels = table["backend"].where(table["backend"] != "b", None)
    found = contrasts(table, MUSICALITY, labels, [("a", "original")])[0]
    kept = table[table["backend"] != "b"]
    assert numbers(found) == pytest.approx(numbers(compare(kept, pair=("a", "original"))))


def test_backends_of_different_sources_have_a_wider_interval_than_of_the_same_sources():
    """The same answers; only which clips are of which source differs."""
    dice = np.random.default_rng(8)
    sources = np.repeat([f"song {n}" for n in range(6)], 4)
    level = np.repeat([-3, -2, -1, 1, 2, 3], 4)
    values = 5 + dice.normal(0, 1, (8, 1)) + level + dice.normal(0, 0.5, 24) + dice.normal(0, 1, (8, 24))
    apart, same = np.array(["a", "b"])[np.arange(24) // 4 % 2], np.array(["a", "b"])[np.arange(24) % 2]
    found = {}
    for name, made_by in (("apart", apart), ("same", same)):
        found[name] = compare(frame(values, made_by, sources=sources), pair=("a", "b"))
        assert "sources" in found[name].method
        assert "6 sources" in found[name].notes
    width = {name: estimate.high - estimate.low for name, estimate in found.items()}
    assert width["apart"] > 2 * width["same"]
    assert found["apart"].df < 6


def test_two_sources_are_too_few_to_be_random_and_it_is_said_where_it_matters():
    values, sources = ratings(2, 4, 16), ["one"] * 8 + ["two"] * 8
    apart = compare(frame(values, ["a"] * 8 + ["b"] * 8, sources=sources), pair=("a", "b"))
    assert "2 sources, fewer than 3" in apart.notes[0]
    assert "sources" not in apart.method
    same = compare(frame(values, ["a", "b"] * 8, sources=sources), pair=("a", "b"))
    assert not any("sources" in note for note in same.notes)


# Whatever the answers are

TABLES = st.tuples(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.05, 0.3, 0.7, 0.97]))


def verdicts(seed: int, listeners: int, share: float) -> pd.DataFrame:
    """Verdicts on 5 + 4 clips of which some are missing; a share of about `share` says real."""
    dice = np.random.default_rng(seed)
    values = (dice.random((listeners, 9)) < share).astype(float)
    values[dice.random(values.shape) < 0.1] = np.nan
    return frame(values, kinds(5, 4))


@settings(max_examples=25)
@given(TABLES)
def test_every_number_is_finite_and_within_the_scale_and_the_interval_says_what_p_says(made):
    table = verdicts(*made)
    found = [(compare(table, JUDGED_REAL), -1.0)]
    parts = [table[table["backend"] == kind] for kind in PAIR]
    found += [(mean(part, JUDGED_REAL), 0.0) for part in (table, *parts)]
    for estimate, lowest in found:
        for number in numbers(estimate):
            assert number is None or np.isfinite(number)
        if estimate.refused:
            assert numbers(estimate) == [None] * 4
            continue
        assert lowest - 1e-9 <= estimate.estimate <= 1 + 1e-9
        if estimate.low is not None:
            assert lowest <= estimate.low <= estimate.estimate + 1e-9
            assert estimate.estimate - 1e-9 <= estimate.high <= 1
        if estimate.p is not None and estimate.low is not None:
            assert (estimate.p < 0.05) == (estimate.low >= 0 or estimate.high <= 0)


@settings(max_examples=8)
@given(TABLES)
def test_turned_round_a_difference_changes_its_sign_alone(made):
    table = verdicts(*made)
    for outcome in (JUDGED_REAL, MUSICALITY):
        one, other = compare(table, outcome), compare(table, outcome, pair=PAIR[::-1])
        assert one.refused == other.refused
        if one.estimate is None:
            continue
        assert other.estimate == pytest.approx(-one.estimate, abs=1e-6)
        assert (one.p is None) == (other.p is None)
        if one.p is not None:
            assert other.p == pytest.approx(one.p, rel=1e-3)
        if one.low is not None:
            assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-4)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), listeners=st.integers(1, 4))
def test_the_order_of_rows_and_the_names_of_listeners_do_not_count(seed, listeners):
    values = ratings(seed, listeners, 10)
    plain = frame(values, kinds(6, 4))
    names = np.random.default_rng(seed).permutation([f"{letter}." for letter in "zyxw"])[:listeners]
    turned = frame(values, kinds(6, 4), who=list(names)).sample(frac=1, random_state=seed)
    for what in (compare, lambda table: mean(table, MUSICALITY)):
        here, there = what(plain), what(turned)
        for one, other in zip(numbers(here), numbers(there), strict=True):
            assert other == (None if one is None else pytest.approx(one, rel=1e-3, abs=1e-4))


def test_one_stimulus_of_two_sets_is_one_stimulus():
    """Counted once: the same p as without the copy; by their names they would be two."""
    made = panels.panel(listeners=5, caw=8, jukebox=0, originals=5, seed=2, effect=1.0)
    copied = made[made["name"] == made["name"].iloc[0]]
    copied = copied.assign(set="third", name="the same again", position=1)
    both = pd.concat([made, copied], ignore_index=True)

    def truth(table: pd.DataFrame):
        first = stimuli.distinct(responses.load(table))
        return contrasts(first, MUSICALITY, first["truth"], [("fake", "real")])[0]

    once, twice = truth(made), truth(both)
    assert twice.clips == once.clips == 13
    assert numbers(twice) == pytest.approx(numbers(once), rel=1e-9)
    assert truth(both.drop(columns="stimulus_id")).clips == 14


# Outcomes


def test_outcomes_are_numbers_within_their_scale_and_what_cannot_be_counted_is_missing():
    table = pd.DataFrame(
        {
            "verdict": ["real", "fake", "real", "fake"],
            "musicality": [0, 10, None, 5],
            "inspiring": ["yes", "maybe", "no", "other"],
            "kept": [True, False, None, True],
        }
    )
    nan = float("nan")
    for outcome, expected in (
        (JUDGED_REAL, [1, 0, 1, 0]),
        (MUSICALITY, [0, 10, nan, 5]),
        (INSPIRED, [1, 1, 0, nan]),
        (KEPT, [1, 0, nan, 1]),
    ):
        np.testing.assert_array_equal(outcome.values(table), expected)
        assert outcome.values(table.drop(columns=outcome.column)).isna().all()
    assert MUSICALITY.mean == "musicality, mean"
    assert INSPIRED.difference == "inspiring, yes or maybe, difference"
    assert JUDGED_REAL.mean == "judged real"
