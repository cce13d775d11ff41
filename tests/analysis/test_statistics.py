"""What a study's results are: the founding figures, refusals with their reasons, the inference unit."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis import responses, results, statistics
from analysis.plan import AnalysisPlan
from analysis.results import Result, find
from tests.analysis import panels


def only(found, family, name, group="all") -> Result:
    result = find(found, family, name, group)
    assert result is not None, (family, name, group)
    return result


@pytest.mark.parametrize(
    ("family", "name", "group", "estimate"),
    [
        ("detection", "hits", "all", 15),
        ("detection", "misses", "all", 1),
        ("detection", "false alarms", "all", 1),
        ("detection", "correct rejections", "all", 3),
        ("detection", "fooling rate", "machine-made", 0.0625),
        ("detection", "false alarm rate", "originals", 0.25),
        ("detection", "accuracy", "all", 0.9),
        ("detection", "balanced accuracy", "all", 0.84375),
        ("detection", "Youden's J", "all", 0.6875),
        ("detection", "HYPE error", "all", 0.15625),
        ("detection", "d'", "all", 1.876),
        ("detection", "criterion c", "all", -0.414),
        ("truth", "musicality, mean", "machine-made", 3.786),
        ("truth", "musicality, SD", "machine-made", 2.860),
        ("truth", "musicality, median", "machine-made", 4),
        ("truth", "musicality, mean", "originals", 4.5),
        ("backends", "judged real", "caw", 1 / 14),
        ("backends", "judged real", "jukebox", 0),
        ("ratings", "inspiring, yes or maybe", "all", 11 / 18),
        ("missing answers", "musicality missing", "machine-made", 2),
    ],
)
def test_the_founding_figures_come_out(founding_results, family, name, group, estimate):
    assert only(founding_results, family, name, group).estimate == pytest.approx(estimate, abs=5e-4)


def test_the_founding_intervals_tests_and_counts_come_out(founding_results):
    fooling = only(founding_results, "detection", "fooling rate", "machine-made")
    assert (fooling.low, fooling.high) == pytest.approx((0.0111, 0.2833), abs=5e-5)
    assert (fooling.count, fooling.total) == (1, 16)
    assert only(founding_results, "detection", "any detection").p == pytest.approx(0.0134, abs=5e-5)
    assert only(founding_results, "truth", "musicality, mean", "machine-made").n == 14
    assert only(founding_results, "truth", "musicality, mean", "originals").n == 2
    inspiring = [only(founding_results, "ratings", f"inspiring {level}") for level in ("yes", "maybe", "no")]
    assert [r.count for r in inspiring] == [0, 11, 7]
    assert inspiring[0].note == "2 missing"


def test_the_founding_area_has_no_interval(founding_results):
    area = only(founding_results, "detection", "area under the ROC")
    # Scores: 15 fakes at 3 and one (judged real) at 0; originals at 2, 0, 0, 0.
    assert area.estimate == pytest.approx((15 * 4 + 0 * 1 + 3 * 0.5) / 64)
    assert area.low is None
    assert "4 clips in the smaller class" in area.note


@pytest.mark.parametrize(
    ("family", "name", "group", "reason"),
    [
        ("detection", "accuracy against chance", "all", "16 of 20 clips are machine-made"),
        (
            "ratings",
            "musicality, difference",
            "machine-made - originals",
            "14 (machine-made) and 2 (originals)",
        ),
        ("backends", "fooling rate, difference", "caw - jukebox", "smallest attainable p 0.12"),
        ("backends", "musicality, difference", "caw - jukebox", "13 (caw) and 1 (jukebox)"),
        ("epochs", "trend over epochs: musicality", "caw UMG", "2 of 4 epoch counts rest on at least 2"),
        ("epochs", "trend over epochs: musicality", "caw VAR", "epochs are not stated for 3 of 5 clips"),
        ("epochs", "trend over epochs: fooling", "caw UMG", "a trend needs 3"),
        ("agreement", "agreement on the verdict", "all", "undefined for one listener"),
        ("agreement", "agreement on musicality", "all", "undefined for one listener"),
        ("mixed models", "hierarchical d'", "all", "no variance between listeners"),
        ("order", "learning, log odds per ten clips", "all", "cannot be told apart"),
        (
            "equivalence",
            "musicality, equivalence with originals",
            "machine-made - originals",
            "one listener",
        ),
    ],
)
def test_what_the_founding_data_cannot_carry_is_refused_with_its_reason(
    founding_results, family, name, group, reason
):
    result = only(founding_results, family, name, group)
    assert result.refused
    assert (result.low, result.high, result.p) == (None, None, None)
    assert reason in result.note


def test_the_bounds_hold_whatever_the_missing_ratings_were(founding, founding_results):
    rng = np.random.default_rng(0)
    bounds = only(founding_results, "missing answers", "musicality, bounds of the mean", "machine-made")
    assert (bounds.low, bounds.high) == (53 / 16, 73 / 16)
    difference = only(
        founding_results,
        "missing answers",
        "musicality, bounds of the difference",
        "machine-made - originals",
    )
    for _ in range(50):
        full = founding["musicality"].fillna(pd.Series(rng.integers(0, 11, 20)))
        means = full.groupby(founding["truth"]).mean()
        assert bounds.low <= means["fake"] <= bounds.high
        assert difference.low <= means["fake"] - means["real"] <= difference.high


def test_one_listeners_results_say_so(founding_results):
    tested = [r for r in founding_results if r.p is not None or r.low is not None]
    said = [r for r in tested if r.family not in ("missing answers", "data quality")]
    assert said
    assert all("this listener only" in r.unit for r in said)


def test_a_panel_is_tested_on_clip_means_and_nothing_is_pooled(panel, panel_results):
    fakes, originals = (panel[panel["truth"] == truth] for truth in ("fake", "real"))
    detected = only(panel_results, "detection", "any detection")
    by_clip = [
        part.groupby("name")["verdict"].apply(lambda v: (v == "fake").mean()) for part in (fakes, originals)
    ]
    reference = stats.ttest_ind(*by_clip)
    assert detected.p == pytest.approx(reference.pvalue)
    assert (detected.low, detected.high) == pytest.approx(tuple(reference.confidence_interval()))
    rated = only(panel_results, "ratings", "musicality, difference", "machine-made - originals")
    means = [part.groupby("name")["musicality"].mean() for part in (fakes, originals)]
    assert rated.p == pytest.approx(stats.ttest_ind(*means).pvalue)
    assert rated.estimate < 0
    assert only(panel_results, "detection", "any detection, pooled Fisher").refused
    assert "not independent" in only(panel_results, "detection", "any detection, pooled Fisher").note
    assert all(r.p is None for r in panel_results if r.family in ("listeners", "clips"))


def test_a_panel_describes_each_listener_and_each_clip(panel, panel_results):
    d_primes = [r.estimate for r in panel_results if (r.family, r.name) == ("listeners", "d'")]
    assert len(d_primes) == 24
    mean = only(panel_results, "detection", "d'")
    assert mean.estimate == pytest.approx(np.mean(d_primes))
    assert (mean.low, mean.p) == (None, None)
    shares = [r for r in panel_results if (r.family, r.name) == ("clips", "judged real")]
    assert len(shares) == 22
    assert all(r.unit == "listener, this clip only" and r.total == 24 for r in shares)


def test_a_panels_mixed_models_lead(panel, panel_results):
    d_prime = only(panel_results, "mixed models", "hierarchical d'")
    assert d_prime.low < d_prime.estimate < d_prime.high
    assert d_prime.p < 0.05
    assert only(panel_results, "mixed models", "hierarchical criterion c").p is None
    group = "machine-made - originals"
    model = only(panel_results, "mixed models", "musicality, difference", group)
    rated = panel.dropna(subset=["musicality"])
    means = rated.groupby(["truth", "name"])["musicality"].mean().groupby("truth").mean()
    assert model.estimate == pytest.approx(means["fake"] - means["real"], abs=0.3)
    ordinal = only(panel_results, "mixed models", "musicality as ordered answers (check)", group)
    assert np.sign(ordinal.estimate) == np.sign(model.estimate)
    shares = [r.estimate for r in panel_results if r.name.startswith("intraclass correlation")]
    assert len(shares) == 2
    assert all(0 < share < 1 for share in shares)
    assert only(panel_results, "order", "learning, log odds per ten clips").p > 0.01
    assert only(panel_results, "order", "log response time per ten clips").p is not None


def test_models_say_why_they_were_not_fitted():
    few = statistics.evaluate(responses.load(panels.panel(listeners=4)))
    assert only(few, "mixed models", "hierarchical d'").note == "4 listeners, fewer than 8"
    lacking = statistics.evaluate(responses.load(panels.panel(originals=2)))
    assert "2 clips of originals" in only(lacking, "mixed models", "hierarchical d'").note
    fixed = panels.panel(listeners=8).sort_values(["listener", "name"])
    fixed["position"] = fixed.groupby(["listener", "set"]).cumcount() + 1
    found = statistics.evaluate(responses.load(fixed))
    assert "the order was fixed" in only(found, "order", "learning, log odds per ten clips").note


def test_equivalence_needs_a_bound_set_before_and_ten_originals():
    name, group = "musicality, equivalence with originals", "machine-made - originals"
    frame = responses.load(panels.panel(originals=12, effect=0.0))
    assert "bound" in only(statistics.evaluate(frame), "equivalence", name, group).note
    broad, slim = AnalysisPlan(musicality_bound=4.0), AnalysisPlan(musicality_bound=0.1)
    wide, narrow = (
        only(statistics.evaluate(frame, plan=plan), "equivalence", name, group) for plan in (broad, slim)
    )
    assert wide.p < 0.05
    assert "is inside the bound" in wide.note
    assert narrow.p > 0.05
    assert "not inside" in narrow.note
    small = responses.load(panels.panel(originals=4))
    assert "4 originals" in only(statistics.evaluate(small, plan=broad), "equivalence", name, group).note


def test_two_listeners_have_no_agreement_and_three_do():
    two, three = (statistics.evaluate(responses.load(panels.panel(listeners=n))) for n in (2, 3))
    assert "undefined for 2 listeners" in only(two, "agreement", "agreement on the verdict").note
    assert only(three, "agreement", "agreement on the verdict").estimate is not None


def test_four_originals_are_too_few_to_compare_ratings():
    found = statistics.evaluate(responses.load(panels.panel(originals=4)))
    result = only(found, "ratings", "musicality, difference", "machine-made - originals")
    assert result.refused
    assert "16 (machine-made) and 4 (originals)" in result.note


def test_results_do_not_depend_on_the_order_of_rows_or_the_names_of_listeners(panel, panel_results):
    shuffled = panel.sample(frac=1, random_state=1)
    shuffled["listener"] = "other " + shuffled["listener"]
    again = statistics.evaluate(responses.load(shuffled))
    named = ("listeners", "conditional modes")  # by listener
    before = {(r.family, r.name, r.group): r for r in panel_results if r.family not in named}
    after = {(r.family, r.name, r.group): r for r in again if r.family not in named}
    assert before.keys() == after.keys()
    for key, result in before.items():
        # A search that ends is as exact as its last step: fitted models agree less closely.
        close = 1e-4 if key[0].startswith(("mixed", "order", "equivalence")) else 1e-9
        for name in ("estimate", "low", "high", "p", "p_holm"):
            value = getattr(result, name)
            expected = None if value is None else pytest.approx(value, rel=close, abs=1e-9)
            assert getattr(after[key], name) == expected, key


def test_hidden_repeats_count_for_consistency_only():
    frame = panels.panel(listeners=4).assign(repetition=0)
    again = frame.groupby("listener").head(2).assign(repetition=1)
    again.loc[again.index[0], "verdict"] = {"real": "fake", "fake": "real"}[again["verdict"].iloc[0]]
    once = statistics.evaluate(responses.load(frame))
    twice = statistics.evaluate(responses.load(pd.concat([frame, again], ignore_index=True)))
    steady = only(twice, "data quality", "hidden repeats judged as before")
    assert (steady.count, steady.total) == (7, 8)
    others = [r for r in twice if r.family != "data quality"]
    assert others == [r for r in once if r.family != "data quality"]


@pytest.mark.parametrize("truth", ["fake", "real"])
@pytest.mark.parametrize("listeners", [1, 5])
def test_a_study_of_one_kind_of_clip_is_evaluated_as_far_as_it_goes(truth, listeners):
    frame = panels.panel(listeners=listeners)
    found = statistics.evaluate(responses.load(frame[frame["truth"] == truth]))
    assert only(found, "detection", "balanced accuracy").refused
    assert only(found, "detection", "any detection").refused


def test_a_study_without_any_rating_is_evaluated():
    frame = panels.panel(listeners=3).assign(musicality=None, inspiring=None, difficulty=None)
    found = statistics.evaluate(responses.load(frame))
    assert only(found, "truth", "musicality, mean", "machine-made").note == "no clip was rated"
    assert only(found, "truth", "inspiring, yes or maybe", "machine-made").refused


def test_other_is_quoted_and_not_counted(founding):
    frame = founding.copy()
    frame.loc[0, "inspiring"] = "other"
    found = statistics.evaluate(responses.load(frame))
    inspired = only(found, "ratings", "inspiring, yes or maybe")
    assert (inspired.count, inspired.total) == (11, 17)
    assert "1 answered other: quoted, not counted" in inspired.note


def test_a_trend_that_is_there_is_found_and_named_by_backend_and_mode():
    frame = panels.panel(listeners=24, caw=40, seed=3)
    steep = frame["epochs"].fillna(3000).rank(method="dense") * 2
    frame["musicality"] = np.clip(steep, 0, 10)
    found = statistics.evaluate(responses.load(frame))
    trend = only(found, "epochs", "trend over epochs: musicality", "caw UMG")
    assert trend.p < 0.001
    assert trend.estimate == pytest.approx(1)


def test_holm_is_statsmodels_holm_within_each_family_without_checks():
    found = [Result("a", f"t{i}", p=p) for i, p in enumerate([0.01, 0.04, 0.03, 0.5])]
    found += [Result("a", "t" + results.CHECK, p=0.001), Result("b", "alone", p=0.2), Result("b", "none")]
    corrected = results.holm(found)
    reference = multipletests([0.01, 0.04, 0.03, 0.5], method="holm")[1]
    assert [r.p_holm for r in corrected[:4]] == pytest.approx(list(reference))
    assert [r.p_holm for r in corrected[4:]] == [None, 0.2, None]


@pytest.mark.parametrize("study", ["founding_results", "panel_results"])
def test_the_record_is_json_and_every_refusal_has_a_reason(study, request):
    found = request.getfixturevalue(study)
    records = json.loads(results.to_json(found))
    assert [record["name"] for record in records] == [r.name for r in found]
    assert set(records[0]) == {f.name for f in fields(Result)}
    assert all(r.note for r in found if r.refused)
    assert all(r.low <= r.estimate <= r.high for r in found if None not in (r.low, r.estimate, r.high))
    keys = [(r.family, r.name, r.group) for r in found]
    assert len(keys) == len(set(keys))
