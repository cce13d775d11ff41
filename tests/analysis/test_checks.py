"""Model checks: they find what is wrong, and leave alone what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import plots, responses
from analysis.results import checks, comparisons, stimuli
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY
from analysis.results.result import Result
from tests.analysis import panels


def panel(listeners: int = 8, **counts) -> pd.DataFrame:
    counts = {"seed": 4, "caw": 8, "jukebox": 0, "originals": 5, "missing": 0.0, "effect": 1.0} | counts
    return stimuli.distinct(responses.load(panels.panel(listeners=listeners, **counts)))


def records(first: pd.DataFrame, *outcomes) -> dict[tuple[str, str], Result]:
    main = {outcome: comparisons.against_originals(first, outcome) for outcome in outcomes}
    return {(r.name, r.group): r for r in checks.records(first, main)}


def of(found: dict[tuple[str, str], Result], name: str, group: str = "machine-made - originals") -> Result:
    return found[name, group]


def test_normal_answers_are_nothing_to_worry_about_and_skewed_ones_are():
    first = panel(12)
    rng = np.random.default_rng(5)
    normal = first.assign(musicality=5 + rng.normal(0, 1, len(first)))
    skewed = first.assign(musicality=rng.exponential(1.0, len(first)) ** 2)
    name = "musicality, correlation with normal quantiles"
    assert of(records(normal, MUSICALITY), name, "answers").notes[0] == checks.FINE
    worried = of(records(skewed, MUSICALITY), name, "answers")
    assert worried.notes[0].startswith("skewed (")
    assert worried.notes[0].endswith("read the ordinal model beside the linear one")
    assert worried.estimate < 0.9


def test_one_answer_far_off_is_counted():
    first = panel(12)
    rng = np.random.default_rng(6)
    values = 5 + rng.normal(0, 0.3, len(first))
    values[7] = 10.0
    found = of(
        records(first.assign(musicality=values), MUSICALITY),
        "musicality, correlation with normal quantiles",
        "answers",
    )
    assert "1 farther than 4 SD" in found.notes[0]


def test_shares_that_the_linear_model_fits_outside_its_range_are_counted():
    first = panel(12)
    found = of(records(first, JUDGED_REAL), "judged real, fitted shares outside 0 to 1", "answers")
    fit = comparisons.against_originals(first, JUDGED_REAL).fit
    fitted = (first["verdict"] == "real").to_numpy() - fit.residuals
    assert found.count == ((fitted < 0) | (fitted > 1)).sum()
    assert found.total == len(first)


def test_who_always_says_the_same_is_named():
    first = panel()
    first.loc[first["listener"] == "L03", "verdict"] = "fake"
    first.loc[first["backend"] == "original", "verdict"] = "real"
    found = records(first)
    name = "one verdict only (separation)"
    assert (of(found, name, "listeners").count, of(found, name, "listeners").total) == (0, 8)
    assert (
        of(found, name, "truth").notes[0].startswith("always the same: originals (real); an odds ratio or d'")
    )
    first.loc[first["listener"] == "L03", "verdict"] = "fake"
    assert of(records(first), name, "listeners").notes == ("always the same: L03 (fake)",)


def odds(y: np.ndarray, fake: np.ndarray, cuts: tuple[float, float]) -> float:
    """Difference of log odds ratios, one cut after the other."""
    ratios = []
    for cut in cuts:
        logit = [np.log(((y[s] > cut).sum() + 0.5) / ((y[s] <= cut).sum() + 0.5)) for s in (fake, ~fake)]
        ratios.append(logit[0] - logit[1])
    return ratios[1] - ratios[0]


def test_proportional_odds_are_those_of_the_cuts_with_a_jackknife_of_listeners_and_clips():
    first = panel(10)
    found = of(records(first), "inspiring, difference of log odds between cuts")
    y = first["inspiring"].map({"no": 0, "maybe": 1, "yes": 2}).to_numpy()
    fake = (first["truth"] == "fake").to_numpy()
    assert found.notes[1] == "cuts: above no and above maybe"
    assert found.estimate == pytest.approx(odds(y, fake, (0, 1)))

    def variance(units: np.ndarray) -> float:
        left = np.array([odds(y[units != u], fake[units != u], (0, 1)) for u in np.unique(units)])
        return (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()

    by = [variance(u) for u in (first["listener"].to_numpy(), first["clip"].to_numpy(), np.arange(len(y)))]
    error = np.sqrt(max(by[0], by[1], by[0] + by[1] - by[2]))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error)


def test_a_difference_at_one_cut_alone_is_found():
    first = panel(24)
    rng = np.random.default_rng(7)
    answers = rng.choice(["no", "maybe", "yes"], len(first), p=[0.34, 0.33, 0.33])
    real = (first["truth"] == "real").to_numpy()
    answers[real] = rng.choice(["no", "maybe", "yes"], real.sum(), p=[0.34, 0.06, 0.6])
    name = "inspiring, difference of log odds between cuts"
    found = of(records(first.assign(inspiring=answers)), name)
    assert found.p < 0.05
    assert found.notes[0].startswith("the difference is another at low than at high answers")
    same = of(records(first.assign(inspiring=rng.choice(["no", "maybe", "yes"], len(first)))), name)
    assert same.p > 0.05
    assert same.notes[0] == checks.FINE


def test_two_levels_have_no_odds_to_compare():
    first = panel().assign(inspiring="maybe")
    assert (
        "fewer than three levels" in of(records(first), "inspiring, difference of log odds between cuts").note
    )


@pytest.mark.parametrize("kind", ["listener", "clip"])
def test_without_one_is_the_difference_of_the_rest(kind):
    """On a complete table the model's difference is that of the means, whatever the variances are."""
    first = panel()
    found = of(records(first, JUDGED_REAL), f"judged real, difference, without one {kind}")
    judged = (first["verdict"] == "real").astype(float)
    rest = {}
    for unit in first[kind].unique():
        kept = first[kind] != unit
        means = judged[kept].groupby(first.loc[kept, "truth"]).mean()
        rest[unit] = means["fake"] - means["real"]
    assert (found.low, found.high) == pytest.approx((min(rest.values()), max(rest.values())))
    assert found.n == len(rest)


def test_a_clip_that_carries_the_difference_is_named():
    first = panel(effect=0.0)
    first["musicality"] = 5.0 + np.random.default_rng(8).normal(0, 0.2, len(first))
    star = first.loc[first["truth"] == "real", "clip"].iloc[0]
    first.loc[first["truth"] == "real", "musicality"] += 0.3
    first.loc[first["clip"] == star, "musicality"] = 1.0
    found = of(records(first, MUSICALITY), "musicality, difference, without one clip")
    name = first.loc[first["clip"] == star, "name"].iloc[0]
    assert found.notes[0] == "the sign turns where one of 1 clip is left out"
    assert name in found.notes[1]


def test_one_listener_has_the_checks_that_need_no_model(founding):
    found = records(stimuli.distinct(founding), *comparisons.COMPARED)
    assert {name for name, _ in found if "without one" in name} == {
        f"{outcome.difference}, without one clip" for outcome in (JUDGED_REAL, MUSICALITY, INSPIRED)
    }
    assert not [name for name, _ in found if "quantiles" in name or "fitted shares" in name]
    assert of(found, "judged real, difference, without one clip").estimate == pytest.approx(-0.6875)


def test_a_comparison_that_was_not_made_is_not_checked():
    first = panel(originals=2)
    found = records(first, MUSICALITY)
    assert "at least 4 are needed" in of(found, "musicality, model").note


@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
def test_the_chart_of_normal_quantiles_has_a_part_for_answers_and_one_for_clips(width):
    table = checks.normal_quantiles(comparisons.against_originals(panel(12), MUSICALITY))
    assert list(table) == ["part", "expected", "observed"]
    parts = list(dict.fromkeys(table["part"]))
    assert parts[:2] == ["answers", "clips"]
    for _, part in table.groupby("part"):
        assert part["observed"].is_monotonic_increasing
        assert part["expected"].mean() == pytest.approx(0, abs=1e-9)
    chart = plots.quantiles(table, width=width).to_dict()
    drawn = chart["hconcat" if width == plots.WIDE else "vconcat"]
    assert [part["title"]["text"] for part in drawn] == parts
    assert checks.normal_quantiles(comparisons.against_originals(panel(1), MUSICALITY)).empty
