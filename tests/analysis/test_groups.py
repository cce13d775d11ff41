"""Groups of listeners: what is compared, on which answers, and when it is refused."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import responses
from analysis.results import groups, statistics, stimuli
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


def test_too_few_listeners_are_refused_and_one_group_is_none():
    small = grouped(0.0, listeners=4)
    result = find(groups.records(stimuli.distinct(small)), groups.FAMILY, POINTS, "B - A")
    assert result.refused
    assert result.note == "2 listeners in the group B, fewer than 3"
    assert groups.records(stimuli.distinct(small[small["group"] == "A"])) == []
    assert groups.records(stimuli.distinct(small.drop(columns="group"))) == []
