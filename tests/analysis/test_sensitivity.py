"""Answers that may not be meant: which they are, and what leaving them out changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import responses
from analysis.plan import EXCLUSIONS, AnalysisPlan
from analysis.results import comparisons, sensitivity, statistics, stimuli
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY
from analysis.results.result import MACHINE_LESS_ORIGINALS, Result, find
from tests.analysis import panels

GROUPS = ["main analysis", "without hasty answers", "without unplayed answers", "without constant answers"]
GROUPS += ["without hasty, unplayed and constant answers"]


def panel(**counts) -> pd.DataFrame:
    """Eight listeners and 12 clips, a third of them originals, without any effect; no answer is hasty."""
    counts = {"listeners": 8, "seed": 3, "caw": 8, "jukebox": 0, "originals": 4, "missing": 0.0} | counts
    frame = panels.panel(**counts)
    return frame.assign(response_seconds=frame["response_seconds"].clip(lower=2.0))


def loaded(frame: pd.DataFrame) -> pd.DataFrame:
    return stimuli.distinct(responses.load(frame))


def records(frame: pd.DataFrame, plan: AnalysisPlan | None = None, outcome=JUDGED_REAL) -> dict[str, Result]:
    used = sensitivity.apply(frame, plan)[0]
    main = {outcome: comparisons.against_originals(used, outcome)}
    return {r.group: r for r in sensitivity.records(frame, plan, main)}


def test_hasty_is_what_came_within_two_seconds_in_either_pass():
    frame = loaded(panel().assign(rating_response_seconds=9.0))
    frame.loc[frame.index[:4], "response_seconds"] = [0.0, 1.99, 2.0, np.nan]
    frame.loc[frame.index[4:6], "rating_response_seconds"] = [1.0, np.nan]
    assert list(sensitivity.left_out(frame, "hasty")[:7]) == [True, True, False, False, True, False, False]
    assert sensitivity.left_out(frame, "hasty").sum() == 3


def test_unplayed_is_what_was_answered_without_playing():
    frame = loaded(panel())
    frame.loc[frame.index[:2], "plays"] = [0, pd.NA]
    assert list(np.flatnonzero(sensitivity.left_out(frame, "unplayed"))) == [0]


def test_constant_are_all_answers_of_who_says_or_rates_the_same():
    frame = panel().assign(verdict=["real", "fake"] * 48)
    frame.loc[frame["listener"] == "L01", "verdict"] = "real"
    frame.loc[frame["listener"] == "L02", "musicality"] = 5.0
    frame.loc[frame["listener"] == "L03", "musicality"] = np.nan
    found = loaded(frame)
    gone = sensitivity.left_out(found, "constant")
    assert set(found.loc[gone, "listener"]) == {"L01", "L02"}
    assert gone.sum() == 24
    few = found[found["listener"] == "L01"].head(3).assign(musicality=5.0)
    assert not sensitivity.left_out(few, "constant").any()  # three answers show nothing


def test_the_plan_says_which_answers_the_main_analysis_leaves_out():
    frame = panel()
    frame.loc[frame.index[[0, 20, 40]], "response_seconds"] = 1.0
    frame.loc[frame.index[[0, 60]], "plays"] = 0
    found = loaded(frame)
    kept, notes = sensitivity.apply(found, AnalysisPlan(exclude=("hasty", "unplayed")))
    assert len(kept) == 96 - 4
    assert notes == (
        "3 of 96 answers left out as planned: hasty answers (within 2 s of the clip's end)",
        "2 of 96 answers left out as planned: unplayed answers (without playing the clip)",
    )
    for nothing in (None, AnalysisPlan()):
        assert sensitivity.apply(found, nothing) == (found, ())


def test_an_exclusion_that_cannot_be_made_is_told():
    founding = stimuli.distinct(responses.founding())
    kept, notes = sensitivity.apply(founding, AnalysisPlan(exclude=("hasty",)))
    assert len(kept) == 20
    assert notes[0].endswith("could not be left out as planned: the table has no response seconds")
    kept, notes = sensitivity.apply(founding.assign(verdict="fake"), AnalysisPlan(exclude=("constant",)))
    assert len(kept) == 20
    assert notes[0].endswith("were not left out as planned: no answer would be left")


def test_what_hasty_answers_make_up_goes_with_them():
    """Every third answer is thrown in at once and right; the rest hear no difference."""
    frame = panel(seed=11)
    hasty = frame.index[::3]
    frame.loc[hasty, "response_seconds"] = 0.5
    frame.loc[hasty, "verdict"] = frame.loc[hasty, "truth"]
    first = loaded(frame)
    found = records(first)
    assert list(found) == GROUPS
    main, without = found["main analysis"], found["without hasty answers"]
    assert main.p < 0.05 < without.p
    assert without.notes[-1].startswith("another conclusion than by the main analysis, where p is")
    assert (without.count, without.total) == (len(hasty), 96)
    direct = comparisons.against_originals(first[first["response_seconds"] >= 2], JUDGED_REAL)
    assert (without.estimate, without.p) == (direct.estimate, direct.p)
    unplayed = found["without unplayed answers"]
    assert (unplayed.estimate, unplayed.notes[-1]) == (main.estimate, "leaves out the same answers")


def test_what_the_plan_leaves_out_is_taken_back_in():
    frame = panel(seed=11)
    frame.loc[frame.index[::3], "response_seconds"] = 0.5
    first = loaded(frame)
    planned, plain = records(first, AnalysisPlan(exclude=("hasty",))), records(first)
    assert planned["main analysis"].estimate == plain["without hasty answers"].estimate
    assert planned["with hasty answers"].estimate == plain["main analysis"].estimate
    assert planned["with hasty answers"].count == 0


def test_who_did_not_pass_a_check_is_left_out_where_the_plan_says_so():
    frame = panel().assign(check_headphones="true", check_attention=None)
    frame.loc[frame["listener"] == "L01", "check_headphones"] = "false"
    frame.loc[frame["listener"] == "L02", "check_headphones"] = None
    first = loaded(frame)
    assert set(first.loc[sensitivity.left_out(first, "headphones"), "listener"]) == {"L01"}
    kept, notes = sensitivity.apply(first, AnalysisPlan(exclude=("headphones", "attention")))
    assert len(kept) == 84
    assert notes[0].startswith(
        "12 of 96 answers left out as planned: answers that failed the headphone check (of"
    )
    assert notes[1].endswith("could not be left out as planned: the table has no check of attention")
    found = records(first)
    assert "without answers that failed the headphone check" in found, (
        "what can be tried is tried beside the plan"
    )
    assert found["without answers that failed the headphone check"].count == 12
    assert found["without any of these answers"].count >= 12
    planned = records(first, AnalysisPlan(exclude=("headphones",)))
    assert planned["with answers that failed the headphone check"].count == 0


def test_inconsistent_is_who_judges_fewer_repeats_as_before_than_planned():
    frame = panel(listeners=4)
    again = frame.groupby("listener").head(4).assign(repetition=1)
    turned = again["listener"].isin(["L01"])  # three of four otherwise than before
    turned &= again.groupby("listener").cumcount() > 0
    again.loc[turned, "verdict"] = again.loc[turned, "verdict"].map({"real": "fake", "fake": "real"})
    again["difficulty"] = None
    frame = responses.load(pd.concat([frame.assign(repetition=0), again], ignore_index=True))
    first = stimuli.distinct(frame)
    plan = AnalysisPlan(exclude=("inconsistent",), consistency=0.5)
    assert sensitivity.with_consistency(first, frame, AnalysisPlan()) is first
    known = sensitivity.with_consistency(first, frame, plan)
    kept, notes = sensitivity.apply(known, plan)
    assert set(first["listener"]) - set(kept["listener"]) == {"L01"}
    assert notes[0].startswith("12 of 48 answers left out as planned: inconsistent answers")
    assert sensitivity.apply(first, plan)[1][0].endswith("the table has no hidden repeats")


@pytest.mark.parametrize("exclude", [(), EXCLUSIONS])
def test_a_table_that_cannot_tell_says_so_and_nothing_is_made_up(exclude):
    founding = stimuli.distinct(responses.founding())
    found = records(founding, AnalysisPlan(exclude=exclude), MUSICALITY)
    word = "with" if exclude else "without"
    assert found[f"{word} hasty answers"].note == "the table has no response seconds"
    assert found[f"{word} unplayed answers"].note == "the table has no plays"
    assert found["main analysis"].estimate is not None


def test_one_constant_listener_leaves_nothing_to_compare():
    founding = stimuli.distinct(responses.founding()).assign(verdict="fake")
    assert records(founding)["without constant answers"].note == "no answer is left"


def test_the_whole_analysis_follows_the_plan():
    frame = panel(listeners=1, caw=14, originals=7)
    hasty = frame.index[::3]
    frame.loc[hasty, "response_seconds"] = 0.5
    plan = AnalysisPlan("musicality", accuracy_bound=0.2, exclude=("hasty",))
    found = statistics.evaluate(responses.load(frame), plan=plan)
    main = find(found, "truth", JUDGED_REAL.difference, MACHINE_LESS_ORIGINALS)
    assert main.total == 14
    assert main.estimate == comparisons.against_originals(loaded(frame.drop(hasty)), JUDGED_REAL).estimate
    left_out = find(found, "data quality", "answers left out as planned")
    assert (left_out.count, left_out.total) == (7, 21)
    again = find(found, "sensitivity", JUDGED_REAL.difference + " (check)", "with hasty answers")
    assert again.estimate == comparisons.against_originals(loaded(frame), JUDGED_REAL).estimate
    assert again.p_holm is None
    assert "no bound" not in find(found, "equivalence", "passes as real", MACHINE_LESS_ORIGINALS).note
    assert "no bound" in find(found, "equivalence", "as musical as originals", MACHINE_LESS_ORIGINALS).note
    assert [r for r in found if r.family == "model checks"]


def test_the_primary_test_is_not_corrected_and_corrects_no_other():
    assert comparisons.primary(AnalysisPlan("musicality")) == (
        "truth",
        MUSICALITY.difference,
        MACHINE_LESS_ORIGINALS,
    )
    assert comparisons.primary(AnalysisPlan("inspiring"))[1] == INSPIRED.difference
    for none in (None, AnalysisPlan(primary=None)):
        assert comparisons.primary(none) is None
