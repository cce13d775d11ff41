"""What a follow-up can show: the simulation has the rates it is asked for, and odd plans are refused."""

from __future__ import annotations

import math

import pytest
from typer.testing import CliRunner

from analysis import planning_follow_up
from analysis.planning import PlanningError
from analysis.planning_follow_up import FollowUpPlan
from caw.files import spreadsheet
from study.cli import commands


def test_simulated_answers_have_the_rates_that_were_asked_for():
    plan = FollowUpPlan((400,), kept=6, clips=200, rate=0.2, studies=3)
    frames = list(planning_follow_up.simulated(plan, 400, 0.3))
    assert [len(frame) for frame in frames] == [2400] * 3
    for frame in frames:
        assert not frame.duplicated(["listener", "clip"]).any()
        came = (frame["came_of_it"] == "part").groupby(frame["kind"]).mean()
        assert came["one kind"] == pytest.approx(0.2, abs=0.08)
        assert came["another kind"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"listeners": (1,)}, "fewer than 2 listeners"),
        ({"kept": 0}, "0 of 20 clips kept"),
        ({"kept": 21}, "21 of 20 clips kept"),
        ({"rate": 0.0}, "a Eureka rate of 0"),
        ({"clips": 6}, "6 clips are too few"),
        ({"listener_sd": math.nan}, "a spread that is no number"),
        ({"studies": 1}, "1 studies"),
    ],
)
def test_plans_that_make_no_sense_are_refused(settings, problem):
    with pytest.raises(PlanningError, match=problem):
        FollowUpPlan(**{"listeners": (8,), **settings})


def test_too_few_answers_find_nothing():
    assert planning_follow_up.power(FollowUpPlan((2,), kept=2, clips=8, studies=5), 2, 0.6) == 0.0


def test_a_rate_is_told_from_none_where_any_eureka_is_seen():
    """Of listeners and clips that are all alike: 1 - (1 - rate) ** answers."""
    alike = FollowUpPlan((8,), kept=2, listener_sd=0.0, clip_sd=0.0)
    rate, seen = planning_follow_up.least_rate(alike, 8)
    assert rate == 0.1  # .815; of .09 it is .779
    assert seen == pytest.approx(1 - 0.9**16, abs=0.025)
    apart = FollowUpPlan((8,), kept=2, listener_sd=1.0, clip_sd=1.0)
    assert planning_follow_up.least_rate(apart, 8)[0] > rate
    assert planning_follow_up.least_rate(alike, 100)[0] == 0.01


def test_a_difference_is_found_from_no_more_studies_than_decide_it(monkeypatch):
    plan = FollowUpPlan((8,), studies=10)
    for hits, needed, found in (
        ("1" * 10, 8, True),
        ("000", 3, False),
        ("0110111111", 10, True),
        ("01101110", 8, False),
    ):
        left = iter(hits)
        monkeypatch.setattr(planning_follow_up, "_tested", lambda *_, left=left: (one == "1" for one in left))
        assert planning_follow_up._finds(plan, 8, 0.3) == found
        assert len(list(left)) == len(hits) - needed


@pytest.mark.slow
def test_the_command_prints_and_writes_the_table(tmp_path):
    arguments = ["plan", "--kept", "4", "--listeners", "8", "--studies", "4", "--out", str(tmp_path)]
    printed = CliRunner().invoke(commands.app, arguments, catch_exceptions=False).output
    assert "nothing here shows what would have come without the clips" in printed
    rows = spreadsheet.records(tmp_path / "follow_up_power.csv")
    assert [(row["listeners"], row["answers"]) for row in rows] == [("8", "32")]
    assert 0 < float(rows[0]["width"]) < 1
    assert "…" not in printed, "no head and no figure is cut at 80 columns"
