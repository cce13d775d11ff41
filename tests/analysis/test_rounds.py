"""Next rounds in the analysis: the first round alone is the study, and the rule is tested within rounds."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import plots, responses
from analysis.report import further_rounds
from analysis.results import rounds, statistics
from analysis.results.result import find


def table(listeners=1, *, gain=0.0, seed=1) -> pd.DataFrame:
    """Answers to a first round of 12 clips and two next rounds of 10, 8 of them machine-made."""
    dice = np.random.default_rng(seed)
    rows = []
    for number in range(listeners):
        for of_round, made, real in ((1, 8, 4), (2, 8, 2), (3, 8, 2)):
            for clip in range(made + real):
                fake = clip < made
                drawn = None if of_round == 1 or not fake else "fresh" if clip < 2 else "sampled"
                liked = dice.random() < 0.3 + gain * (drawn == "sampled")
                name = f"clip-{of_round}-{'' if of_round == 1 else number}-{clip}"
                rows.append(
                    {
                        "listener": f"L{number}",
                        "set": "UMG",
                        "position": clip + 1,
                        "stimulus_id": f"{number}{of_round}{clip:02d}"
                        if of_round > 1
                        else f"first{clip:02d}",
                        "name": name,
                        "truth": "fake" if fake else "real",
                        "backend": "caw" if fake else "original",
                        "mode": "UMG",
                        "epochs": 100 if fake else None,
                        "verdict": "fake" if dice.random() < 0.6 else "real",
                        "difficulty": None,
                        "musicality": int(dice.integers(0, 7)) + 3 * liked,
                        "inspiring": "yes" if liked else "no",
                        "kept": bool(liked),
                        "round": of_round,
                        "drawn": drawn,
                    }
                )
    return responses.load(pd.DataFrame(rows))


def test_all_else_is_of_the_first_round_alone():
    frame = table(3)
    whole = statistics.evaluate(frame)
    alone = statistics.evaluate(
        frame[frame["round"] == 1].drop(columns=["round", "drawn"]).reset_index(drop=True)
    )
    others = [result for result in whole if result.family not in (rounds.RULE, rounds.ROUNDS)]
    assert others == alone
    study = analysis.open(frame)
    assert len(study.answers) == len(frame)
    assert "36 clips" not in repr(study)
    assert repr(study).startswith("3 listeners · 12 clips")


@pytest.mark.parametrize("listeners", [1, 4])
def test_the_rule_is_tested_within_rounds_with_an_interval(listeners):
    results = statistics.evaluate(table(listeners, gain=0.5))
    gained = find(results, rounds.RULE, "inspiring, yes or maybe, difference", rounds.SAMPLED_LESS_FRESH)
    assert gained.low < gained.estimate < gained.high
    assert rounds.POOLED in gained.notes
    after = find(results, rounds.ROUNDS, "kept, difference", "round 3 less round 1")
    assert rounds.ADAPTIVE in after.notes
    (line,) = further_rounds.sentences(results)
    assert line.startswith("In next rounds ")
    assert "regression to the mean" in further_rounds.methods(results)[0]


def test_one_listeners_difference_by_hand():
    """12 sampled clips of which 9 are liked, 4 fresh ones of which 1 is: .75 - .25."""
    frame = table(1)
    later = frame["round"] > 1
    for way, liked in (("sampled", 9), ("fresh", 1)):
        places = frame.index[later & (frame["drawn"] == way)]
        frame.loc[places, "kept"] = [number < liked for number in range(len(places))]
    gained = find(statistics.evaluate(frame), rounds.RULE, "kept, difference", rounds.SAMPLED_LESS_FRESH)
    assert gained.estimate == pytest.approx(0.5)
    assert "exact" in gained.method


def test_the_chart_shows_how_clips_were_drawn_before_the_rounds():
    results = rounds.records(table(1, gain=0.5))
    for width in (plots.WIDE, plots.NARROW):
        chart = plots.rounds.means(results, width=width)
        assert [part["title"]["text"] for part in chart.to_dict()["vconcat"]] == [
            "inspiring, yes or maybe",
            "kept",
            "musicality",
        ]
        drawn = [row for rows in chart.to_dict()["datasets"].values() for row in rows]
        assert [row["group"] for row in drawn if row["part"] == "kept"] == [
            *plots.rounds.NAMED.values(),
            "round 1",
            "round 2",
            "round 3",
        ]
        assert "drawn evenly" in plots.render(chart)


def test_without_rounds_nothing_is_said():
    frame = analysis.founding()
    assert rounds.first(frame) is frame
    assert rounds.records(frame) == []
    assert further_rounds.tables(frame) == []
    assert further_rounds.methods(statistics.evaluate(frame)) == []


def test_few_clips_are_refused_for_a_panel():
    frame = table(2)
    frame = frame[~((frame["round"] > 1) & (frame["drawn"] == "fresh") & (frame["position"] > 1))]
    frame = frame[(frame["round"] < 3)].reset_index(drop=True)
    gained = find(statistics.evaluate(frame), rounds.RULE, "kept, difference", rounds.SAMPLED_LESS_FRESH)
    assert gained.estimate is None
    assert "at least 4 are needed" in gained.note


def test_the_report_has_the_clips_of_next_rounds(tmp_path):
    frame = table(1, gain=0.4)
    page = analysis.open(frame).report(tmp_path / "report").read_text()
    assert "In next rounds" in page
    assert 'id="plot-next_rounds"' in page
    assert page.index('id="rounds"') < page.index('id="plot-next_rounds"') < page.index('id="statistics"')
    listed = pd.read_csv(tmp_path / "report" / "tables" / "next_rounds.csv")
    assert len(listed) == 20
    assert set(listed["drawn"].dropna()) == {"sampled", "fresh"}
    again = analysis.open(tmp_path / "report")
    assert len(again.answers) == len(frame)
