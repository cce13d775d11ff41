"""Power that agrees with theory, fitted models and the founding plan; its chart, its page and its advice."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import mixed, plan_page, planning, plots
from analysis.planning import CEILING, MUSICALITY, VERDICTS, Plan, PlanningError, Spread
from analysis.stimuli import t_test

ERRORS = 4.0  # Monte Carlo errors that a simulated power may lie off


def of(table: pd.DataFrame, listeners: float, originals: int, outcome: str = MUSICALITY) -> pd.Series:
    found = table[(table["listeners"] == listeners) & (table["originals"] == originals)]
    return found[found["outcome"] == outcome].iloc[0]


def theory(listeners: float, fakes: int, originals: int, effect: float, clip=1.0, answer=1.5) -> float:
    """Power of the t-test on clip means, by the noncentral t distribution."""
    df = fakes + originals - 2
    away = effect / math.sqrt((clip**2 + answer**2 / listeners) * (1 / fakes + 1 / originals))
    least = stats.t.isf(0.025, df)
    return float(stats.nct.sf(least, df, away) + stats.nct.cdf(-least, df, away))


def ratings(seed: int, listeners: int, fakes: int, originals: int, preference: float) -> tuple:
    """A complete table of ratings [listeners, clips], and the truth of the clips."""
    rng, truth = np.random.default_rng(seed), np.repeat([0.5, -0.5], [fakes, originals])
    table = rng.normal(0, 1, (listeners, 1)) + (rng.normal(0, preference, (listeners, 1)) - 1) * truth
    return table + rng.normal(0, 1, truth.shape) + rng.normal(0, 1.5, table.shape), truth


def fit(table: np.ndarray, truth: np.ndarray, *, sloped: bool) -> mixed.Fit:
    listener, clip = (index.ravel() for index in np.indices(table.shape))
    fixed = {"1": np.ones(table.size), "truth": truth[clip]}
    return mixed.linear(table.ravel(), fixed, listener, clip, slope=truth[clip] if sloped else None)


def test_the_planning_fact_of_the_design_comes_out():
    table = planning.power(Plan(listeners=(24, 200), originals=(4, 10), studies=20_000))
    expected = {(24, 4): 0.64, (200, 4): 0.71, (CEILING, 4): 0.72, (24, 10): 0.81}
    for (listeners, originals), power in expected.items():
        found = of(table, listeners, originals)
        assert found["power"] == pytest.approx(power, abs=0.005 + 3 * found["monte_carlo_error"])
    assert planning.right_to_beat_chance(20) == 15


@pytest.mark.parametrize(("fakes", "originals"), [(16, 4), (10, 10), (24, 6)])
def test_without_preferences_power_is_the_noncentral_t(fakes, originals):
    clips, spread = fakes + originals, Spread(preference=0.0)
    asked = Plan(listeners=(8, 24, 100), clips=(clips,), originals=(originals,), spread=spread)
    for row in planning.power(asked).itertuples():
        exact = theory(row.listeners, fakes, originals, asked.effect)
        assert row.power == pytest.approx(exact, abs=ERRORS * row.monte_carlo_error + 0.01)


@pytest.mark.parametrize("seed", range(4))
def test_the_linear_mixed_model_of_a_complete_table_is_the_t_test_on_clip_means(seed):
    table, truth = ratings(seed, 12, 9, 5, preference=0.0)
    model, means = fit(table, truth, sloped=False), table.mean(axis=0)
    test = t_test(means[truth > 0], means[truth < 0])
    assert model.of("truth") == pytest.approx(test.estimate, abs=1e-6)
    assert model.df[1] == pytest.approx(test.df, rel=1e-2)
    assert model.p("truth") == pytest.approx(test.p, rel=1e-2, abs=1e-6)
    np.testing.assert_allclose(model.interval("truth"), (test.low, test.high), atol=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_with_slopes_it_is_the_analysis_of_variance(seed):
    fakes, originals, listeners = 9, 5, 12
    table, truth = ratings(seed, listeners, fakes, originals, preference=2.0)
    squares = planning.mean_squares(table[None], fakes)
    t, df = planning.anova(*squares, listeners=listeners, fakes=fakes, originals=originals)
    model = fit(table, truth, sloped=True)
    assert not model.singular
    assert model.of("truth") / model.se[1] == pytest.approx(t[0], rel=1e-3)
    assert model.df[1] == pytest.approx(df[0], rel=1e-2)


def test_fitted_models_have_the_power_that_is_promised():
    asked = Plan(listeners=(12,), clips=(12,), originals=(4,), effect=1.5)
    share, error = planning.fitted(asked, MUSICALITY, 12, 12, 4, studies=60)
    promised = of(planning.power(asked), 12, 4)
    assert share == pytest.approx(promised["power"], abs=3 * error)


few = {"studies": 1000}
sizes = st.integers(2, 60)


@settings(max_examples=25)
@given(
    listeners=st.lists(sizes, min_size=2, max_size=4, unique=True),
    clips=st.integers(12, 40),
    effect=st.floats(0, 4),
    seed=st.integers(0, 1000),
)
def test_more_listeners_never_cost_power(listeners, clips, effect, seed):
    table = planning.power(
        Plan(listeners=listeners, clips=(clips,), originals=(4,), effect=effect, seed=seed, **few)
    )
    powers, errors = table["power"].to_numpy(), table["monte_carlo_error"].to_numpy()
    assert list(table["listeners"]) == [*sorted(listeners), CEILING]
    assert ((powers >= 0) & (powers <= 1)).all()
    assert (np.diff(powers) >= -ERRORS * math.sqrt(2) * np.maximum(errors[1:], errors[:-1])).all()


@settings(max_examples=15)
@given(clips=st.integers(16, 60), listeners=sizes, effect=st.floats(0, 3), seed=st.integers(0, 1000))
def test_more_originals_up_to_half_never_cost_power(clips, listeners, effect, seed):
    originals = sorted({4, clips // 3, clips // 2})
    asked = Plan(listeners=(listeners,), clips=(clips,), originals=originals, effect=effect, seed=seed, **few)
    table = planning.power(asked)
    for _, part in table.groupby("listeners"):
        powers, errors = part["power"].to_numpy(), part["monte_carlo_error"].to_numpy()
        assert (np.diff(powers) >= -ERRORS * math.sqrt(2) * np.maximum(errors[1:], errors[:-1])).all()


@settings(max_examples=15)
@given(
    effects=st.lists(st.floats(0, 4), min_size=2, max_size=4),
    verdicts=st.booleans(),
    originals=st.integers(4, 10),
    seed=st.integers(0, 1000),
)
def test_a_larger_effect_is_found_more_often(effects, verdicts, originals, seed):
    powers = []
    for effect in sorted(effects):
        asked = {"effect": None, "d_prime": effect} if verdicts else {"effect": effect}
        plan = Plan(listeners=(10,), originals=(originals,), seed=seed, **asked, **few)
        powers.append(planning.power(plan)[["power", "monte_carlo_error"]].to_numpy())
    for less, more in zip(powers, powers[1:], strict=False):
        assert (more[:, 0] >= less[:, 0] - ERRORS * math.sqrt(2) * np.maximum(less[:, 1], more[:, 1])).all()


@pytest.mark.parametrize("asked", [{"effect": 0.0}, {"effect": None, "d_prime": 0.0}])
@pytest.mark.parametrize("originals", [4, 10])
def test_with_no_effect_power_is_the_level(asked, originals):
    table = planning.power(Plan(listeners=(10, 24), originals=(originals,), studies=10_000, **asked))
    tolerance = ERRORS * table["monte_carlo_error"] + 0.01  # slopes left out where they seem to be none
    assert ((table["power"] - 0.05).abs() <= tolerance).all()


def test_an_effect_in_the_other_direction_is_found_as_often():
    one, other = (
        planning.power(Plan(listeners=(24,), originals=(4,), effect=effect)) for effect in (1.5, -1.5)
    )
    spread = ERRORS * math.sqrt(2) * one["monte_carlo_error"]
    assert ((one["power"] - other["power"]).abs() <= spread).all()


def test_the_same_seed_gives_the_same_table():
    asked = {"listeners": (8, 24), "originals": (4,), "d_prime": 1.0, "studies": 500}
    pd.testing.assert_frame_equal(planning.power(Plan(**asked)), planning.power(Plan(**asked)))
    again = planning.power(Plan(**asked, seed=2))
    assert not again["power"].equals(planning.power(Plan(**asked))["power"])


@pytest.mark.parametrize("clips", [5, 10, 20, 60])
def test_right_answers_that_beat_chance_are_the_fewest_that_do(clips):
    right = planning.right_to_beat_chance(clips)
    assert stats.binomtest(right, clips, 0.5, alternative="greater").pvalue <= 0.05
    assert stats.binomtest(right - 1, clips, 0.5, alternative="greater").pvalue > 0.05
    assert planning.right_to_beat_chance(4) is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"effect": 1.5}, "add originals, not listeners; "),
        ({"effect": 4.0, "originals": (4,)}, "a power of .80 needs 8 listeners"),
        ({"effect": 0.5}, "so add clips of both kinds"),
        ({"effect": 1.5, "originals": (10,), "listeners": (8,)}, "so add listeners"),
        ({"effect": 1.5, "originals": (4,), "clips": (20, 100)}, "add clips, not listeners; "),
    ],
)
def test_advice_says_what_the_numbers_say(asked, told):
    assert told in planning.advice(planning.power(Plan(**asked)), MUSICALITY)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"listeners": (1,)}, "1 listeners; a plan needs from 2"),
        ({"listeners": ()}, "no number of listeners"),
        ({"originals": (3,)}, "3 originals; a plan needs from 4"),
        ({"originals": (18,)}, "18 originals do not fit into 20 clips"),
        ({"studies": 5}, "5 studies"),
        ({"effect": None}, "no effect is given"),
        ({"effect": math.nan}, "the effect is nan"),
    ],
)
def test_refuses_plans_that_are_none(asked, told):
    with pytest.raises(PlanningError, match=told):
        Plan(**asked)


@pytest.mark.parametrize(("asked", "told"), [({"clip": 0}, "of clip is 0"), ({"listener": -1}, "is -1")])
def test_refuses_spreads_that_are_none(asked, told):
    with pytest.raises(PlanningError, match=told):
        Spread(**asked)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(listeners=(8, 24), clips=(20, 30), originals=(4, 10), d_prime=1.0, studies=500)


@pytest.fixture(scope="module")
def table(plan) -> pd.DataFrame:
    return planning.power(plan)


def test_the_chart_has_a_line_per_number_of_originals_and_its_ceilings(table):
    drawn = plots.planning.power(table, VERDICTS).to_dict()
    rows = [row for part in drawn["datasets"].values() for row in part]
    assert {row["line"] for row in rows if "listeners" in row} == {"4", "10"}
    ceilings = {(row["clips"], row["line"]): row["power"] for row in rows if "label" in row}
    endless = table[np.isinf(table["listeners"]) & (table["outcome"] == VERDICTS)]
    assert ceilings == {(row.clips, str(row.originals)): row.power for row in endless.itertuples()}
    narrow = plots.render(plots.planning.power(table, MUSICALITY, width=plots.NARROW))
    assert float(ElementTree.fromstring(narrow).get("width")) <= plots.NARROW + 20


def test_many_numbers_of_originals_are_thinned_to_the_colours_there_are():
    asked = Plan(listeners=(8, 24), clips=(40,), originals=range(4, 20), studies=100)
    drawn = plots.planning.power(planning.power(asked), MUSICALITY).to_dict()
    lines = {row["line"] for part in drawn["datasets"].values() for row in part if "line" in row}
    assert len(lines) == plots.planning.MOST_LINES
    assert {"4", "19"} <= lines


def test_the_page_and_its_files(plan, table, tmp_path):
    paths = plan_page.write(plan, table, tmp_path)
    assert [path.name for path in paths] == [
        *("power.csv", "power_musicality.png", "power_musicality.svg"),
        *("power_verdicts.png", "power_verdicts.svg", "index.html"),
    ]
    kept = pd.read_csv(tmp_path / "power.csv")
    assert list(kept.columns) == planning.COLUMNS
    assert (kept["listeners"] == "endless").sum() == np.isinf(table["listeners"]).sum()
    page = (tmp_path / "index.html").read_text()
    assert all(sentence.split(" (")[0].replace("'", "&#39;") in page for sentence in plan_page.basis(plan))
    assert page.count("<table") == 4
    assert "15 of 20" in page
