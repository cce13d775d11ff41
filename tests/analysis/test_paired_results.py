"""The paired task's frame, models and results; models against R are in test_paired_models.py."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import analysis
from analysis import pairs
from analysis.cells import ResponsesError
from analysis.models import paired
from analysis.models.mixed import MixedModelError, NoSpreadError
from analysis.report import paired as report
from analysis.report.report import ReportFacts
from analysis.results import own_questions
from analysis.results import pairs as results
from analysis.results.result import find
from tests.analysis.pair_answers import row, study


def differences(seed=5, many=12, clips=8, n=192):
    dice = np.random.default_rng(seed)
    who = np.repeat(np.arange(many), n // many)
    first = dice.integers(0, clips, n)
    second = (first + dice.integers(1, clips, n)) % clips
    group = np.arange(clips) % 3
    columns = {str(g): (group[first] == g).astype(float) - (group[second] == g) for g in (1, 2)}
    worth = dice.normal(0, 0.5, clips) + 0.4 * (group == 2)
    taste = dice.normal(0, 0.3, (many, 3))
    latent = dice.normal(0, 0.2, many)[who] + worth[first] - worth[second]
    latent += taste[who, group[first]] - taste[who, group[second]]
    chosen = (dice.logistic(size=n) < 2 * latent).astype(float)
    return chosen, columns, who, first, second, group


def test_worths_without_random_effects_are_those_of_a_logistic_model():
    dice = np.random.default_rng(8)
    n = 400
    first, second = dice.integers(0, 40, n), dice.integers(40, 80, n)
    swap = dice.random(n) < 0.5
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    column = (first < 40).astype(float) - (second < 40)
    chosen = (dice.random(n) < 1 / (1 + np.exp(-0.8 * column - 0.3))).astype(float)
    fit = paired.worths(chosen, {"one": column}, np.arange(n) % 20, first, second)
    plain = sm.Logit(chosen, np.column_stack([np.ones(n), column])).fit(disp=0)
    assert max(fit.spread.values()) < 0.35
    assert fit.estimate == pytest.approx(plain.params, abs=0.05)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(plain.bse, rel=0.15)


def test_which_clip_is_called_first_and_which_group_is_left_out_changes_nothing():
    chosen, columns, who, first, second, group = differences()
    one = paired.shares(chosen, columns, who, first, second).contrast({"1": 1.0, "2": -1.0})
    back = {name: -column for name, column in columns.items()}
    other = paired.shares(1 - chosen, back, who, second, first).contrast({"1": 1.0, "2": -1.0})
    zero = {str(g): (group[first] == g).astype(float) - (group[second] == g) for g in (0, 2)}
    third = paired.shares(chosen, zero, who, first, second).contrast({"2": -1.0})
    for same in (other, third):
        assert (same.estimate, same.se) == pytest.approx((one.estimate, one.se), abs=1e-4)


def test_models_refuse_what_they_cannot_be_fitted_to():
    ones, who = np.ones(8), np.repeat([0, 1], 4)
    clips = np.arange(8) % 4
    with pytest.raises(NoSpreadError):
        paired.right(ones, np.tile([0.5, -0.5], 4), who, clips, clips)
    with pytest.raises(MixedModelError, match="two listeners"):
        paired.right(np.arange(8) % 2, np.tile([0.5, -0.5], 4), np.zeros(8), clips, clips)
    with pytest.raises(MixedModelError, match="do not connect"):
        paired.shares(np.arange(8) % 2, {"one": np.zeros(8)}, who, clips, clips + 4)


def test_one_listener_is_described_exactly_and_alone():
    rows = [row("Ann", "real", f"r{n}", f"f{n}", "first" if n < 7 else "second") for n in range(8)]
    found = results.evaluate(pairs.load(pd.DataFrame(rows)))
    right = find(found, results.WHICH, results.RIGHT)
    assert (right.count, right.total, right.unit) == (7, 8, "pair, this listener only")
    assert (right.low, right.high) == pytest.approx((0.4735, 0.9968), abs=1e-4)
    assert right.p == pytest.approx(2 * 9 / 256)
    d = find(found, results.WHICH, results.D_PRIME)
    assert d.estimate == pytest.approx(math.sqrt(2) * 1.1503, abs=1e-3)
    assert find(found, results.WHICH, results.TAKEN).estimate == pytest.approx(1 / 8)
    few = results.evaluate(pairs.load(pd.DataFrame(rows[:5])))
    assert find(few, results.WHICH, results.RIGHT).p is None


def test_one_listeners_choices_between_two_groups():
    rows = [row("Ann", "inspiring", f"f{2 * n}", f"f{2 * n + 1}", "first") for n in range(7)]
    rows += [row("Ann", "inspiring", "f15", "f14", "first")]
    found = results.evaluate(pairs.load(pd.DataFrame(rows)))
    share = find(found, "which inspires more, by epochs", results.SHARE, "750 over 3000")
    assert (share.count, share.total) == (1, 8)
    assert share.p == pytest.approx(2 * 9 / 256)
    assert find(found, results.MORE, results.FIRST).estimate == 1.0


def test_who_always_takes_the_first_guesses_and_leans():
    found = results.evaluate(pairs.load(study(8, always="first")))
    right = find(found, results.WHICH, results.RIGHT)
    assert right.estimate == pytest.approx(0.5)
    assert right.p is None
    assert "which clip stood first explains every answer" in right.note
    first = find(found, results.WHICH, results.FIRST)
    assert first.estimate == 1.0
    share = find(found, "which inspires more, by epochs", results.SHARE, "750 over 3000")
    assert share.refused or share.estimate == pytest.approx(0.5)


def test_a_panel_that_hears_it_and_prefers_one_group():
    found = results.evaluate(pairs.load(study(24, effect=1.2)))
    right = find(found, results.WHICH, results.RIGHT)
    assert right.estimate > 0.7
    assert right.p < 0.01
    assert (right.low > 0.5) == (right.p < 0.05)
    share = find(found, "which inspires more, by epochs", results.SHARE, "750 over 3000")
    assert share.estimate < 0.3
    assert share.p < 0.05
    worth = find(found, "which inspires more, by epochs", results.WORTH, "750 over 3000")
    assert worth.high < 0
    assert worth.p is None, "the test is of the shares"


def test_all_right_answers_have_an_interval_that_counts_units_and_no_d_prime():
    rows = [row(f"L{k}", "real", f"r{n}", f"f{n}", "first") for k in range(6) for n in range(5)]
    found = results.evaluate(pairs.load(pd.DataFrame(rows)))
    right = find(found, results.WHICH, results.RIGHT)
    assert (right.estimate, right.high) == (1.0, 1.0)
    assert right.low == pytest.approx(0.4782, abs=1e-4), "of five clips"
    assert find(found, results.WHICH, results.D_PRIME).refused


def test_groups_that_no_pair_leads_between_are_refused():
    rows = [
        row(f"L{k}", "inspiring", f"f{2 * n}", f"f{2 * n + 2}", "first") for k in range(4) for n in range(4)
    ]
    rows += [
        row(f"L{k}", "inspiring", f"f{2 * n + 1}", f"f{2 * n + 3}", "second")
        for k in range(4)
        for n in range(4)
    ]
    found = results.evaluate(pairs.load(pd.DataFrame(rows)))
    share = find(found, "which inspires more, by epochs", results.SHARE, "750 over 3000")
    assert share.refused
    assert "no pairs lead" in share.note


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"choice": "third"}, "choice"),
        ({"choice": None}, "choice"),
        ({"question": "inspiring"}, "question"),
        ({"second_truth": "real"}, "question"),
        ({"second_name": "r0"}, "second_name"),
        ({"first_epochs": "many"}, "first_epochs"),
    ],
)
def test_a_table_that_is_none_of_pairs_is_refused_by_row_and_column(change, column):
    rows = [row("Ann", "real", "r0", "f0", "first"), row("Ann", "real", "r0", "f1", "second") | change]
    with pytest.raises(ResponsesError) as caught:
        pairs.load(pd.DataFrame(rows))
    assert (caught.value.row, caught.value.column) == (2, column)


def test_the_report_and_the_notebook_say_the_same(tmp_path):
    frame = study(6, effect=0.8).assign(comment=["<b>the hum</b>"] + [None] * 71)
    opened = analysis.open(frame)
    page = opened.report(tmp_path / "report", title="Pairs & more")
    text = page.read_text()
    assert "Pairs &amp; more" in text
    assert "<b>the hum" not in text
    assert "37.8%" in text
    assert "which inspires more" in text
    again = analysis.open(tmp_path / "report")
    assert repr(again) == repr(opened) == "6 listeners · 72 answers to pairs of 16 clips"
    assert again.plots == ["right_answers", "preferences"]
    assert "$schema" in again.plot("preferences").to_dict()
    assert len(again.pairs) == 72
    known = {
        (one["family"], one["name"]) for one in json.loads((page.parent / "statistics.json").read_text())
    }
    assert {(results.WHICH, results.RIGHT), ("which inspires more, by epochs", results.WORTH)} <= known
    assert sorted(file.name for file in (page.parent / "plots").iterdir())[0] == "preferences.png"


def test_the_report_counts_what_listeners_were_asked_besides(tmp_path):
    asked = [
        {
            "name": "plays",
            "ask": "before",
            "kind": "choice",
            "text": "Do you <play>?",
            "options": ["Yes", "No"],
        },
        {"name": "years", "ask": "end", "kind": "number", "text": "For how long?"},
    ]
    frame = study(1, clips=4).assign(before_plays="Yes", end_years="12")
    settings = ReportFacts(settings={"question": asked})
    page = report.write(pairs.load(frame), tmp_path / "report", facts=settings).read_text()
    assert "Do you &lt;play&gt;?" in page
    assert "1/1 (100%)" in page
    assert "listeners were also asked" in page
    counted = find(
        results.evaluate(pairs.load(frame), asked), own_questions.LISTENERS, own_questions.MIDDLE, "end_years"
    )
    assert counted.estimate == 12


def test_the_report_of_one_listener_claims_no_other():
    frame = pairs.load(study(1))
    sentences = " ".join(report.summary(frame, results.evaluate(frame)))
    assert sentences.startswith("The listener picked the real one")
    assert "this listener only" in " ".join(report.methods(frame))
