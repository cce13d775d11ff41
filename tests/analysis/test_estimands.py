"""The table of estimands says what was really computed."""

from __future__ import annotations

import pytest

from analysis import responses
from analysis.plan import AnalysisPlan
from analysis.report import estimands
from analysis.results import statistics
from analysis.results.result import Question

TRUTH, MODES = estimands.QUESTIONS["truth"], estimands.QUESTIONS["modes"]


def made(name: str, group: str, family: str = "truth", p: float | None = 0.1):
    method = "contrast of a linear mixed model by REML, listeners, clips and sources random"
    return Question(family, name, group, "clip", method).result(0.1, p=p)


def test_one_row_for_each_outcome_of_a_family_with_what_it_was_corrected_for():
    results = [
        made("judged real, difference", "machine-made - originals"),
        made("musicality, difference", "machine-made - originals"),
        *(made("musicality, difference", f"{one} - originals", "modes") for one in ("UMG", "VAR")),
        made("judged real", "machine-made"),
        made("musicality, SD", "UMG", "modes"),
    ]
    table = estimands.table(results, AnalysisPlan(exclude=("hasty",))).frame
    assert list(table["question"]) == [TRUTH, TRUTH, MODES]
    first, second, third = table.to_dict("records")
    assert first["correction"] == "none: the primary test, chosen before the data"
    assert first["population"] == "listeners, clips and sources like these"
    assert first["measure"] == "difference of shares"
    assert first["answers"] == "every verdict; without hasty answers, as planned"
    assert second["correction"] == "none: one test"
    assert second["measure"] == "difference of means, points"
    assert third["contrasts"] == "UMG - originals, VAR - originals"
    assert third["correction"] == "Holm, of 2 tests"
    plain = estimands.table(results).frame
    assert plain["correction"][0] == "none: one test"
    assert plain["answers"][0] == "every verdict"


def test_what_was_not_computed_has_its_reason_and_no_method():
    name = "musicality, difference"
    refused = Question("epochs", name, "100 - originals").refuse("2 clips of 100")
    (row,) = estimands.table([refused]).frame.to_dict("records")
    assert row["method"] == "not computed: 2 clips of 100"
    assert row["population"] == row["correction"] == ""
    many = [made(name, f"{n} - originals", "epochs", p=None) for n in range(5)]
    (row,) = estimands.table([refused, *many]).frame.to_dict("records")
    assert row["contrasts"] == "0 - originals, 1 - originals, 2 - originals and 2 more"
    assert row["correction"] == "not tested"


@pytest.mark.slow
@pytest.mark.parametrize("plan", [None, AnalysisPlan("inspiring")])
def test_the_founding_case_speaks_of_one_listener(plan):
    table = estimands.table(statistics.evaluate(responses.founding(), plan=plan), plan).frame
    asked = table[table["question"] == TRUTH]
    assert list(asked["outcome"]) == [
        "verdict: real (1) or fake (0)",
        "musicality, 0 to 10",
        "inspiring: yes or maybe (1), no (0)",
    ]
    assert set(asked["population"]) == {"clips like these, for this listener only"}
    primary = asked["correction"] == "none: the primary test, chosen before the data"
    assert list(primary) == [False, False, plan is not None]
    equal = table[table["question"] == estimands.QUESTIONS["equivalence"]]
    assert equal["method"].str.startswith("not computed: ").all()
