"""What a study's results are: the founding figures, refusals with their reasons, the inference unit."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from analysis import responses
from analysis.models import mixed
from analysis.report import sentences
from analysis.results import agreement, comparisons, dose, panel_models, statistics, stimuli
from analysis.results import result as results
from analysis.results.result import Result, find
from analysis.tests import exact
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
        ("epochs", "judged real", "not stated", 1 / 6),
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
    check = only(founding_results, "detection", "any detection (check)")
    assert check.method == "Fisher's exact test, two-sided"
    assert check.p == pytest.approx(0.0134, abs=5e-5)
    detected = only(founding_results, "detection", "any detection")
    balanced = only(founding_results, "detection", "balanced accuracy")
    test = exact.difference(15, 16, 1, 4)
    assert (detected.estimate, detected.p) == pytest.approx((0.6875, test.p))
    assert (balanced.low, balanced.high) == pytest.approx((0.5 + test.low / 2, 0.5 + test.high / 2))
    assert detected.p < 0.05 < 0.5 < balanced.low  # the interval says what the test says
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
        ("truth", "musicality, variance of clips, originals over machine-made", "all", "2 originals and 14"),
        ("epochs", "trend over epochs: musicality", "caw UMG", "2 of 4 epoch counts rest on at least 2"),
        ("epochs", "trend over epochs: musicality", "caw VAR", "epochs are not stated for 3 of 5 clips"),
        ("epochs", "trend over epochs: fooling", "caw UMG", "a trend needs 3"),
        ("agreement", "agreement on the verdict", "all", "undefined for one listener"),
        ("agreement", "agreement on musicality", "all", "undefined for one listener"),
        ("mixed models", "hierarchical d'", "all", "no variance between listeners"),
        ("order", "learning, log odds per ten clips", "all", "cannot be told apart"),
        ("equivalence", "passes as real", "machine-made - originals", "no bound was set"),
        ("equivalence", "as musical as originals", "machine-made - originals", "no bound was set"),
    ],
)
def test_what_the_founding_data_cannot_carry_is_refused_with_its_reason(
    founding_results, family, name, group, reason
):
    result = only(founding_results, family, name, group)
    assert result.refused
    assert (result.low, result.high, result.p) == (None, None, None)
    assert reason in result.note


def test_the_founding_data_compare_what_they_can_and_say_where_no_test_could_reach_anything(founding_results):
    """An exact test needs no least number of clips: it says itself what it can reach."""
    group, pair = "machine-made - originals", "caw - jukebox"
    rated = only(founding_results, "truth", "musicality, difference", group)
    assert rated.p > 0.5
    assert rated.low < 0 < rated.high
    assert only(founding_results, "truth", "judged real, difference", group).p < 0.01
    poor = only(founding_results, "backends", "musicality, difference", pair)
    assert poor.p is None
    assert poor.estimate == -4  # the one rated clip of Jukebox, described
    assert "no answers to 13 and 1 clips could reach p < .05 (smallest attainable p 0.071)" in poor.note
    assert only(founding_results, "epochs", "musicality, difference", "1500 - 2000").p is None


def test_clips_whose_epochs_are_not_stated_are_described_and_not_compared(founding):
    """Compared as a group, they would count as if they had one epoch count, in each of several backends."""
    renamed = (founding["backend"] == "caw") & founding["epochs"].eq(2000).fillna(False)
    other = founding.assign(backend=founding["backend"].mask(renamed, "srnn"))
    for frame, group in ((founding, "not stated"), (other, "caw not stated")):
        first = stimuli.distinct(frame)
        found = [r for r in comparisons.records(first, stimuli.Panel.of(first)) if r.family == "epochs"]
        assert only(found, "epochs", "judged real", group).total == 6
        assert not any("not stated" in r.group for r in found if r.name.endswith("difference"))


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


def test_a_panel_is_tested_by_one_crossed_model_and_nothing_is_pooled(panel, panel_results):
    """Detection, Youden's J and balanced accuracy are one comparison of verdicts in other forms."""
    group = "machine-made - originals"
    verdicts = only(panel_results, "truth", "judged real, difference", group)
    level = np.where(panel["truth"] == "fake", "fake", "real")
    for outcome, name in ((panel["verdict"] == "real", "judged real"), (panel["musicality"], "musicality")):
        y = outcome.astype(float).dropna()
        part = panel.loc[y.index]
        fit = mixed.levels(y, level[y.index], part["listener"], part["name"])
        contrast = fit.contrast({"fake": 1.0, "real": -1.0})
        found = only(panel_results, "truth", f"{name}, difference", group)
        assert (found.estimate, found.p) == pytest.approx((contrast.estimate, contrast.p), rel=1e-3)
        assert (found.low, found.high) == pytest.approx(contrast.interval(), rel=1e-3)
        assert found.estimate < 0
    detected = only(panel_results, "detection", "any detection")
    assert (detected.p, detected.estimate) == (verdicts.p, -verdicts.estimate)
    balanced = only(panel_results, "detection", "balanced accuracy")
    assert (balanced.low, balanced.high) == pytest.approx((0.5 - verdicts.high / 2, 0.5 - verdicts.low / 2))
    hype = only(panel_results, "detection", "HYPE error")
    assert hype.estimate == pytest.approx(1 - balanced.estimate)
    assert find(panel_results, "detection", "any detection (check)") is None
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


def test_a_panels_other_models_stand_beside_its_comparisons(panel, panel_results):
    d_prime = only(panel_results, "mixed models", "hierarchical d'")
    assert d_prime.low < d_prime.estimate < d_prime.high
    assert d_prime.p is None  # the test of detection is of the comparison
    assert only(panel_results, "mixed models", "hierarchical criterion c").p is None
    group = "machine-made - originals"
    model = only(panel_results, "truth", "musicality, difference", group)
    rated = panel.dropna(subset=["musicality"])
    means = rated.groupby(["truth", "name"])["musicality"].mean().groupby("truth").mean()
    assert model.estimate == pytest.approx(means["fake"] - means["real"], abs=0.3)
    ordinal = only(panel_results, "mixed models", "musicality, odds ratio of a higher rating (check)", group)
    assert 0 < ordinal.low < ordinal.estimate < ordinal.high < 1
    assert ordinal.p_holm is None
    inspiring = only(panel_results, "mixed models", "inspiring, odds ratio of a stronger answer", group)
    assert inspiring.high < 1  # originals are liked better
    shares = [r.estimate for r in panel_results if r.name.startswith("intraclass correlation")]
    assert len(shares) == 2
    assert all(0 < share < 1 for share in shares)
    assert only(panel_results, "order", "learning, log odds per ten clips").p > 0.01
    assert only(panel_results, "order", "log response time per ten clips").p is not None


def test_every_group_is_compared_with_the_originals_and_with_each_other(panel_results):
    """Groups of a kind are in one model; those with too few clips are named with the reason."""
    for family, pairs, poor in (
        ("backends", ["caw - originals"], ["jukebox"]),
        ("modes", ["UMG - originals", "VAR - originals", "UMG - VAR"], []),
        ("epochs", ["100 - originals", "1500 - originals", "100 - 1500"], ["2000", "3000", "3500"]),
    ):
        for name in ("judged real", "musicality", "inspiring, yes or maybe"):
            found = [r for r in panel_results if (r.family, r.name) == (family, f"{name}, difference")]
            assert [r.group for r in found if not r.refused] == pairs
            assert {r.group: r.note for r in found if r.refused} == {
                group: f"2 clips of {group} with an answer; at least 4 are needed" for group in poor
            }
            few = ["6 originals, fewer than 8" in r.note for r in found if not r.refused]
            assert few == ["originals" in pair for pair in pairs]


def test_the_variance_ratio_is_that_of_clip_means(panel, panel_results):
    means = panel.groupby(["truth", "name"])["musicality"].mean().groupby("truth").var()
    found = only(panel_results, "truth", "musicality, variance of clips, originals over machine-made")
    assert found.estimate == pytest.approx(means["real"] / means["fake"])


def test_a_fixed_order_says_nothing_of_learning():
    fixed = panels.panel(listeners=3, caw=4, jukebox=0).sort_values(["listener", "name"])
    fixed["position"] = fixed.groupby(["listener", "set"]).cumcount() + 1
    first = stimuli.distinct(responses.load(fixed))
    found = panel_models._order(first, stimuli.Panel.of(first))
    assert "the order was fixed" in only(found, "order", "learning, log odds per ten clips").note


def equivalence(frame: pd.DataFrame, **bounds) -> list[Result]:
    first = stimuli.distinct(responses.load(frame))
    bounds = {"accuracy": None, "points": None} | bounds
    return comparisons.equivalence(first, stimuli.Panel.of(first), **bounds)


def test_equivalence_needs_a_bound_set_before_and_ten_originals():
    group, name = "machine-made - originals", "as musical as originals"
    frame = panels.panel(listeners=6, caw=10, jukebox=0, originals=10, effect=0.0)
    assert [r.note for r in equivalence(frame)] == ["no bound was set before the data"] * 2
    wide, narrow = (
        only(equivalence(frame, points=bound), "equivalence", name, group) for bound in (6.0, 0.1)
    )
    assert wide.p < 0.05 < narrow.p
    assert "lies within the bound: mean musicality within 6 points" in wide.note
    assert "lies not within the bound" in narrow.note
    assert wide.level == 0.9
    small = equivalence(panels.panel(listeners=3, originals=4), points=6.0, accuracy=0.2)
    assert [r.note for r in small] == ["4 originals; at least 10 are needed"] * 2


@pytest.mark.parametrize("listeners", [1, 6])
def test_clips_pass_as_real_where_balanced_accuracy_lies_within_its_bound(listeners):
    """In balanced accuracy, whose distance from 1/2 is half of that between the shares judged real."""
    group, name = "machine-made - originals", "passes as real"
    frame = panels.panel(listeners=listeners, caw=20, jukebox=0, originals=20, effect=0.0, seed=3)
    dice = np.random.default_rng(4)
    frame["verdict"], frame["difficulty"] = dice.choice(["real", "fake"], len(frame)), None
    asked = only(equivalence(frame, accuracy=0.4), "equivalence", name, group)
    reach = max(0.5 - asked.low, asked.high - 0.5)
    wide, narrow = (
        only(equivalence(frame, accuracy=factor * reach), "equivalence", name, group) for factor in (1.1, 0.8)
    )
    real = (frame["verdict"] == "real").groupby(frame["truth"]).mean()
    assert wide.estimate == pytest.approx(0.5 - (real["fake"] - real["real"]) / 2)
    assert 0.1 < wide.low < wide.estimate < wide.high < 0.9
    assert (wide.low, wide.high) == (narrow.low, narrow.high)
    assert wide.p < 0.05 < narrow.p
    assert "lies within the bound: balanced accuracy within 0.4 of 1/2" in asked.note
    assert "lies within the bound" in wide.note
    assert "lies not within the bound" in narrow.note
    perfect = frame.assign(verdict=frame["truth"])
    told = only(equivalence(perfect, accuracy=0.4), "equivalence", name, group)
    assert "lies not within the bound" in told.note


def test_the_primary_outcome_of_the_plan_is_corrected_with_nothing():
    found = [
        Result("truth", "musicality, difference", g, p=p) for g, p in (("a", 0.03), ("b", 0.04), ("c", 0.5))
    ]
    corrected = results.holm(found, primary=("truth", "musicality, difference", "b"))
    assert [r.p_holm for r in corrected] == [0.06, 0.04, 0.5]


def test_two_listeners_have_no_agreement_and_three_do():
    for listeners, known in ((2, False), (3, True)):
        first = stimuli.distinct(responses.load(panels.panel(listeners=listeners)))
        found = only(
            agreement.records(first, stimuli.Panel.of(first)), "agreement", "agreement on the verdict"
        )
        assert (found.estimate is not None) == known
        assert ("undefined for 2 listeners" in found.note) != known


@pytest.mark.parametrize(("originals", "compared"), [(6, False), (8, True)])
def test_four_clips_are_the_fewest_of_a_panels_group(originals, compared):
    """Two of three originals, or three, of each mode leave a mode with too few."""
    frame = panels.panel(listeners=3, caw=8, jukebox=0, originals=originals)
    first = stimuli.distinct(responses.load(frame[frame["mode"] == "VAR"]))
    kind = next(comparisons.kinds(first))
    found = comparisons.compared(first, kind, stimuli.Panel.of(first))
    assert all(r.refused != compared for r in found)
    if not compared:
        assert {r.note for r in found} == {"3 clips of originals with an answer; at least 4 are needed"}


@pytest.mark.slow
def test_results_do_not_depend_on_the_order_of_rows_or_the_names_of_listeners():
    panel = responses.load(panels.panel(listeners=8, caw=4, jukebox=0, effect=1.0))
    shuffled = panel.sample(frac=1, random_state=1)
    shuffled["listener"] = "other " + shuffled["listener"]
    again = statistics.evaluate(responses.load(shuffled))
    named = ("listeners", "conditional modes")  # by listener
    before = {(r.family, r.name, r.group): r for r in statistics.evaluate(panel) if r.family not in named}
    after = {(r.family, r.name, r.group): r for r in again if r.family not in named}
    assert before.keys() == after.keys()
    for key, result in before.items():
        # A search that ends is as exact as its last step: fitted models agree less closely.
        close = 1e-3 if result.method.find("mixed model") >= 0 else 1e-9
        for name in ("estimate", "low", "high", "p", "p_holm"):
            value = getattr(result, name)
            expected = None if value is None else pytest.approx(value, rel=close, abs=close / 10)
            assert getattr(after[key], name) == expected, key


@pytest.mark.slow
def test_hidden_repeats_count_for_consistency_only():
    frame = panels.panel(listeners=3, caw=4, jukebox=0).assign(repetition=0)
    again = frame.groupby("listener").head(2).assign(repetition=1)
    again.loc[again.index[0], "verdict"] = {"real": "fake", "fake": "real"}[again["verdict"].iloc[0]]
    once = statistics.evaluate(responses.load(frame))
    twice = statistics.evaluate(responses.load(pd.concat([frame, again], ignore_index=True)))
    steady = only(twice, "data quality", "hidden repeats judged as before")
    assert (steady.count, steady.total) == (5, 6)
    others = [r for r in twice if r.family != "data quality"]
    assert others == [r for r in once if r.family != "data quality"]


@pytest.mark.parametrize("truth", ["fake", "real"])
@pytest.mark.parametrize("listeners", [1, 3])
def test_a_study_of_one_kind_of_clip_is_evaluated_as_far_as_it_goes(truth, listeners):
    frame = panels.panel(listeners=listeners, caw=4, originals=6)
    found = statistics.evaluate(responses.load(frame[frame["truth"] == truth]))
    assert only(found, "detection", "balanced accuracy").refused
    assert only(found, "detection", "any detection").refused


def test_a_study_without_any_rating_is_evaluated():
    frame = panels.panel(listeners=3, caw=4, jukebox=0).assign(
        musicality=None, inspiring=None, difficulty=None
    )
    found = statistics.evaluate(responses.load(frame))
    assert only(found, "truth", "musicality, mean", "machine-made").note == "no clip has such an answer"
    assert only(found, "truth", "inspiring, yes or maybe", "machine-made").refused


def test_other_is_quoted_and_not_counted(founding):
    frame = founding.copy()
    frame.loc[0, "inspiring"] = "other"
    found = statistics.evaluate(responses.load(frame))
    inspired = only(found, "ratings", "inspiring, yes or maybe")
    assert (inspired.count, inspired.total) == (11, 17)
    for level in ("yes", "maybe", "no"):
        assert "1 answered other: quoted, not counted" in only(found, "ratings", f"inspiring {level}").note


def test_a_trend_that_is_there_is_found_and_named_by_backend_and_mode():
    frame = panels.panel(listeners=3, caw=40, jukebox=0, seed=3, missing=0)
    rank = frame["epochs"].fillna(3000).rank(method="dense") * 2
    frame["musicality"] = np.clip(rank + np.random.default_rng(0).integers(-1, 2, len(frame)), 0, 10)
    first = stimuli.distinct(responses.load(frame))
    panel = stimuli.Panel.of(first)
    check = only(dose.records(first, panel), "epochs", "trend over epochs: musicality (check)", "caw UMG")
    model = only(panel_models._trends(first, panel), "epochs", "musicality per doubling of epochs", "caw UMG")
    assert check.p < 0.001
    assert check.estimate > 0.9
    assert model.p < 0.001
    assert 0 < model.low < model.estimate < model.high


@pytest.mark.parametrize(("clips", "tested"), [(3, False), (5, False), (6, True)])
def test_a_trend_needs_three_clips_more_than_epoch_counts(clips, tested):
    """With one clip of each count nothing says how clips differ; with few, p < .05 in 7 to 12 % by chance."""
    frame = panels.panel(listeners=3, caw=2 * clips, jukebox=0, originals=0, missing=0)
    frame = frame[frame["mode"] == "UMG"].reset_index(drop=True)
    frame["epochs"] = 100 * 4 ** (frame["name"].str[-2:].astype(int) // 2 % 3)
    first = stimuli.distinct(responses.load(frame))
    found = panel_models._trends(first, stimuli.Panel.of(first))
    assert [r.refused for r in found] == [not tested] * 2
    if not tested:
        told = (
            f"{clips} clips of 3 epoch counts do not say how clips of one count differ; at least 6 are needed"
        )
        assert {r.note for r in found} == {told}


PERFECT = {"verdict": lambda d: d["truth"], "difficulty": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("same", "said"),
    [
        ({"musicality": 5}, ""),
        ({"verdict": "fake", "difficulty": "easy"}, "do not show that listeners like these could tell"),
        (PERFECT, "So listeners like these could tell the two apart (balanced accuracy 100%"),
    ],
    ids=["one rating", "always fake", "perfect"],
)
def test_answers_that_do_not_vary_give_no_number_that_is_none_and_the_right_sentence(same, said):
    frame = responses.load(panels.panel(listeners=8, caw=4, jukebox=0).assign(**same))
    found = statistics.evaluate(frame)
    for result in found:
        numbers = [result.estimate, result.low, result.high, result.p, result.p_holm]
        assert all(number is None or np.isfinite(number) for number in numbers), result
    assert said in sentences.summary(frame, found)[1]
    detected = only(found, "detection", "any detection")
    if said:
        d_prime = only(found, "mixed models", "hierarchical d'")
        assert d_prime.refused
        assert "every answer on machine-made was fake" in d_prime.note
        assert detected.p == pytest.approx(2 / 70 if same is PERFECT else 1.0)


@pytest.mark.slow
def test_one_stimulus_of_two_sets_counts_once(founding):
    """In every result that infers anything; its sets are described with it in each."""
    table = founding.drop(columns="repeat").assign(stimulus_id=founding["set"] + founding["name"])
    again = table.iloc[[0]].assign(set="VAR", name="the same", position=11)
    once, twice = (statistics.evaluate(responses.load(made)) for made in (table, pd.concat([table, again])))
    apart = ("sets", "clips", "data quality")
    assert [r for r in twice if r.family not in apart] == [r for r in once if r.family not in apart]


def test_holm_corrects_within_each_name_of_a_family_without_checks():
    found = [Result("a", "t", f"pair {i}", p=p) for i, p in enumerate([0.01, 0.04, 0.03, 0.5])]
    found += [Result("a", "t" + results.CHECK, p=0.001), Result("a", "other", p=0.2), Result("b", "none")]
    corrected = results.holm(found)
    assert [r.p_holm for r in corrected[:4]] == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert [r.p_holm for r in corrected[4:]] == [None, 0.2, None]


@pytest.mark.parametrize("study", ["founding_results", "panel_results"])
def test_the_record_is_json_and_every_refusal_has_a_reason(study, request):
    found = request.getfixturevalue(study)
    records = json.loads(results.to_json(found))
    assert [record["name"] for record in records] == [r.name for r in found]
    assert set(records[0]) == {"note", *(f.name for f in fields(Result))}
    assert all(r.note for r in found if r.refused)
    assert all(r.low <= r.estimate <= r.high for r in found if None not in (r.low, r.estimate, r.high))
    keys = [(r.family, r.name, r.group) for r in found]
    assert len(keys) == len(set(keys))
