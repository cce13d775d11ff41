"""Confidence, what was kept, and moments pinned in comments: counted, laid out, and in the report."""

import numpy as np
import pandas as pd
import pytest

from analysis import responses
from analysis.report import comments, figures, report, tables
from analysis.results import confidence, statistics
from analysis.results.result import find
from analysis.results.stimuli import Panel
from analysis.tests import detection
from tests.analysis import panels


@pytest.fixture(scope="module")
def frame():
    """A small panel: sure when right; every third answer keeps the clip; one comment has two pins."""
    made = panels.panel(listeners=4, seed=3)
    right = made["truth"] == made["verdict"]
    made["confidence"] = np.where(right, 4.0, 2.0)
    made.loc[made.index[:3], "confidence"] = [5, 1, np.nan]
    made["kept"] = [i % 3 == 0 for i in range(len(made))]
    made["comment"] = None
    made.loc[made.index[0], "comment"] = "Fine. [0:07] the snare [0:02] a crack"
    return responses.load(made)


@pytest.mark.parametrize(
    ("comment", "before", "found"),
    [
        ("all fine", "all fine", []),
        ("[0:07] the snare", "", [(7, "the snare")]),
        ("ok\n[1:02] b\n[0:03] a", "ok", [(3, "a"), (62, "b")]),
        ("[0:05]", "", [(5, "")]),
        ("[0:75] no time, [a:b] neither", "[0:75] no time, [a:b] neither", []),
    ],
)
def test_pins_are_split_from_the_words(comment, before, found):
    words, moments = comments.split(comment)
    assert words == before
    assert [tuple(pin) for pin in moments] == found


def test_confidence_is_described_when_right_and_when_wrong(frame):
    results = confidence.records(frame, Panel.of(frame))
    right, wrong = (
        find(results, confidence.FAMILY, name) for name in (confidence.WHEN_RIGHT, confidence.WHEN_WRONG)
    )
    said = frame.dropna(subset=["confidence"])
    own = said[said["truth"] == said["verdict"]].groupby("listener")["confidence"].mean()
    assert right.estimate == pytest.approx(float(own.mean()))
    assert right.estimate > wrong.estimate
    assert right.count + wrong.count == right.total == len(frame) - 1
    levels = [find(results, confidence.FAMILY, f"{confidence.RIGHT_AT} {level}") for level in (1, 2, 3, 4, 5)]
    assert levels[2].refused
    assert sum(r.total for r in levels if not r.refused) == len(said)
    assert all(r.p is None for r in results)


def test_the_type_two_area_is_a_mean_over_listeners(frame):
    area = find(confidence.records(frame, Panel.of(frame)), confidence.FAMILY, confidence.TYPE_TWO)
    own = []
    for _, part in frame.dropna(subset=["confidence"]).groupby("listener"):
        right = part["truth"] == part["verdict"]
        own.append(detection.auc(part.loc[right, "confidence"], part.loc[~right, "confidence"]))
    assert area.estimate == pytest.approx(np.mean(own))
    assert area.estimate > 0.9


@pytest.mark.slow
def test_a_study_that_did_not_ask_says_nothing_of_it(founding, founding_results):
    assert confidence.records(founding, Panel.of(founding)) == []
    assert tables.certainty(founding_results).frame.empty
    assert find(founding_results, "truth", "kept", "machine-made") is None


@pytest.mark.slow
def test_one_listener_has_intervals_over_clips(frame):
    one = responses.load(frame[frame["listener"] == "L01"].drop(columns="repeat"))
    results = statistics.evaluate(one)
    known = find(results, confidence.FAMILY, f"{confidence.RIGHT_AT} 4")
    assert known.low < known.estimate <= known.high
    kept = find(results, "truth", "kept", "machine-made")
    assert kept.low <= kept.estimate <= kept.high
    table = tables.answers(one, "UMG").frame
    assert {"confidence", "kept"} <= set(table)


@pytest.mark.slow
def test_the_report_shows_confidence_kept_and_pins(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "everything", lambda *of: [])
    page = report.write(frame, tmp_path / "report").read_text(encoding="utf-8")
    assert "<h3>Confidence</h3>" in page
    assert "said of moments" in page
    assert "0:07</span> the snare (L01)" in page
    assert page.index("</span> a crack") < page.index("</span> the snare")
    by_truth = pd.read_csv(tmp_path / "report" / "tables" / "by_truth.csv")
    assert (by_truth["kept of"] == by_truth["of"]).all()
    assert by_truth["kept"].sum() == frame["kept"].sum()
    assert (tmp_path / "report" / "tables" / "confidence.tex").exists()
