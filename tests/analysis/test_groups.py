"""Groups of listeners: what is compared, on which answers, and when it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis import responses
from analysis.results import groups, own_questions, statistics, stimuli
from analysis.results.result import find
from tests.analysis.panels import panel

POINTS = "musicality, difference, all clips"


def grouped(difference: float, *, listeners: int = 24, seed: int = 1, apart: bool = False):
    """A panel whose odd listeners are of group B, and rate so many points higher."""
    frame = panel(listeners=listeners, seed=seed, missing=0)
    odd = frame["listener"].str[1:].astype(int) % 2 == 1
    frame["group"] = np.where(odd, "B", "A")
    frame["musicality"] = np.clip(frame["musicality"] + difference * odd, 0, 10)
    if apart:  # A hears one half of the clips, B the other
        first_half = frame["stimulus_id"].isin(sorted(frame["stimulus_id"].unique())[::2])
        frame = frame[odd == first_half]
    return responses.load(frame)


def test_a_difference_of_two_groups_is_that_of_their_listeners():
    frame = grouped(2.0)
    result = find(statistics.evaluate(frame), groups.FAMILY, POINTS, "B - A")
    means = frame.groupby(["group", "listener"])["musicality"].mean().groupby("group").mean()
    assert result.estimate == pytest.approx(means["B"] - means["A"], abs=0.02)
    assert result.low < result.estimate < result.high
    assert result.p < 0.01
    assert (result.n, result.unit) == (24, "listener")
    assert result.p_holm is not None


def test_listeners_are_the_sample_so_that_few_of_them_say_little():
    few = find(groups.records(stimuli.distinct(grouped(2.0, listeners=6))), groups.FAMILY, POINTS, "B - A")
    many = find(groups.records(stimuli.distinct(grouped(2.0, listeners=48))), groups.FAMILY, POINTS, "B - A")
    assert few.high - few.low > 2 * (many.high - many.low)


def test_groups_that_heard_other_clips_are_compared_over_clips_too():
    result = find(groups.records(stimuli.distinct(grouped(2.0, apart=True))), groups.FAMILY, POINTS, "B - A")
    assert result.method == groups.APART
    assert "different clips" in result.note
    shared = find(groups.records(stimuli.distinct(grouped(2.0))), groups.FAMILY, POINTS, "B - A")
    assert result.high - result.low > shared.high - shared.low


def test_accuracies_are_compared_over_listeners_and_clips():
    """The variance is the sum of Welch's over listeners and, of the clips' differences, over clips."""
    frame = stimuli.distinct(grouped(0.0))
    found = find(groups.records(frame), groups.FAMILY, groups.ACCURACY, "B - A")
    own = own_questions.balanced_accuracy(frame)
    sides = [own[[int(name[1:]) % 2 == odd for name in own.index]] for odd in (1, 0)]
    listeners = stats.ttest_ind(*sides, equal_var=False)
    real = (frame["verdict"] == "real").groupby([frame["truth"], frame["clip"], frame["group"]]).mean()
    apart = real.unstack("group").eval("B - A") / 2
    clips = stats.ttest_ind(apart["real"], apart["fake"], equal_var=False)
    assert found.estimate == pytest.approx(sides[0].mean() - sides[1].mean())
    assert found.estimate == pytest.approx(apart["real"].mean() - apart["fake"].mean())
    errors = [found.estimate / test.statistic for test in (listeners, clips)]
    assert (found.high - found.low) / 2 > 1.96 * np.hypot(*errors)
    assert found.p > max(listeners.pvalue, clips.pvalue)
    other = groups.records(stimuli.distinct(grouped(0.0, apart=True)))
    assert "that both groups heard" in find(other, groups.FAMILY, groups.ACCURACY, "B - A").note


def test_a_group_that_always_says_fake_tells_nothing_apart_better():
    frame = grouped(0.0)
    frame.loc[frame["group"] == "B", "verdict"] = "fake"
    results = groups.records(stimuli.distinct(frame))
    judged = find(results, groups.FAMILY, "judged real, difference, machine-made clips", "B - A")
    assert judged.p < 0.05
    accuracy = find(results, groups.FAMILY, groups.ACCURACY, "B - A")
    assert accuracy.low < 0 < accuracy.high
    assert accuracy.p > 0.05


def test_too_few_listeners_are_refused_and_one_group_is_none():
    small = grouped(0.0, listeners=4)
    result = find(groups.records(stimuli.distinct(small)), groups.FAMILY, POINTS, "B - A")
    assert result.refused
    assert result.note == "2 listeners in the group B, fewer than 3"
    assert groups.records(stimuli.distinct(small[small["group"] == "A"])) == []
    assert groups.records(stimuli.distinct(small.drop(columns="group"))) == []
