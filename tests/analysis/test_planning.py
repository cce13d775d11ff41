"""Power that agrees with theory, fitted models and the founding plan; its chart, its page and its advice."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import planning, plots, power_page
from analysis.models import mixed
from analysis.planning import (
    CEILING,
    DIFFERENT,
    MUSICALITY,
    SAME,
    VERDICTS,
    ClipDesign,
    PlanningError,
    PowerPlan,
    Spread,
)
from analysis.tests import exact, permutation

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


def table_of(
    rng, listeners: int, design: ClipDesign, *, preference=1.0, source=0.0, says=False
) -> np.ndarray:
    """A complete table of ratings, or of answers of 0 and 1, [listeners, clips]; the first group's first."""
    side = np.repeat([0.5, -0.5], [design.one, design.other])
    table = rng.normal(0, 1, (listeners, 1)) + (rng.normal(0, preference, (listeners, 1)) + 1) * side
    table = table + rng.normal(0, 1, design.clips) + rng.normal(0, 1.5, table.shape)
    if design.sources:
        table = table + source_effects(rng, design, source)
    return (table > 0).astype(float) if says else table


def source_effects(rng, design: ClipDesign, sd: float) -> np.ndarray:
    first, second = rng.normal(0, sd, (2, design.sources))
    drawn = [first, first if design.crossed else second]
    return np.repeat(np.concatenate(drawn), design.one // design.sources)


def sources_of(design: ClipDesign) -> np.ndarray:
    """The source of each clip."""
    one = np.repeat(np.arange(design.sources), design.one // design.sources)
    return np.concatenate([one, one if design.crossed else one + design.sources])


def fitted(table: np.ndarray, design: ClipDesign, *, sources: bool = False):
    """The report's contrast of the groups, of its model: difference, variance, degrees of freedom, p."""
    listener, clip = (index.ravel() for index in np.indices(table.shape))
    level = np.repeat(["one", "other"], [design.one, design.other])
    nests = (sources_of(design)[clip],) if sources else ()
    contrast = mixed.levels(table.ravel(), level[clip], listener, clip, nests=nests).contrast(
        {"one": 1.0, "other": -1.0}
    )
    return contrast.estimate, contrast.se**2, contrast.df, contrast.p


def test_the_planning_fact_of_the_design_comes_out():
    table = planning.power(PowerPlan(listeners=(24, 200), originals=(4, 10), studies=20_000))
    expected = {(24, 4): 0.64, (200, 4): 0.71, (CEILING, 4): 0.72, (24, 10): 0.81}
    for (listeners, originals), power in expected.items():
        found = of(table, listeners, originals)
        assert found["power"] == pytest.approx(power, abs=0.005 + 3 * found["monte_carlo_error"])
    assert planning.right_to_beat_chance(20) == 15


@pytest.mark.parametrize(("fakes", "originals"), [(16, 4), (10, 10), (24, 6)])
def test_without_preferences_power_is_the_noncentral_t(fakes, originals):
    clips, spread = fakes + originals, Spread(preference=0.0)
    asked = PowerPlan(listeners=(8, 24, 100), clips=(clips,), originals=(originals,), spread=spread)
    for row in planning.power(asked).itertuples():
        exact = theory(row.listeners, fakes, originals, asked.effect)
        assert row.power == pytest.approx(exact, abs=ERRORS * row.monte_carlo_error + 0.01)


def closed(table: np.ndarray, design: ClipDesign):
    difference, *squares = planning.mean_squares(table[None], design)
    variance, df = planning.anova(*squares, listeners=len(table), design=design)
    return difference[0], variance[0], df[0], planning.p_value(difference, variance, df, design)[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("says", [False, True])
@pytest.mark.parametrize("preference", [0.0, 2.0])
def test_the_reports_model_of_a_complete_table_is_the_closed_form(seed, says, preference):
    design, rng = ClipDesign(9, 5), np.random.default_rng(seed)
    table = table_of(rng, 12, design, preference=preference, says=says)
    assert closed(table, design) == pytest.approx(fitted(table, design), rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("source", [0.0, 3.0])
def test_with_sources_too(seed, crossed, source):
    design, rng = ClipDesign(12, 12, sources=4, crossed=crossed), np.random.default_rng(seed)
    table = table_of(rng, 6, design, source=source)
    assert closed(table, design) == pytest.approx(fitted(table, design, sources=True), rel=2e-2, abs=1e-4)


def test_drawn_mean_squares_are_those_of_answers():
    asked = PowerPlan(
        listeners=(6,), clips=(24,), backends=DIFFERENT, sources=(4,), spread=Spread(source=1.0)
    )
    rng, design = np.random.default_rng(7), asked.designs()[0]
    found = []
    for _ in range(1500):
        table = rng.normal(0, 1, (6, 24)) * 1.5 + rng.normal(0, 1, 24) + source_effects(rng, design, 1.0)
        table += (rng.normal(0, 1, (6, 1)) + 1.5) * np.repeat([0.5, -0.5], 12)
        found.append(closed(table, design)[3] < 0.05)
    promised = planning.power(asked)["power"].iloc[0]
    assert np.mean(found) == pytest.approx(promised, abs=ERRORS * planning.error(promised, 1500))


def test_groups_that_explain_every_answer_are_told_apart():
    design = ClipDesign(16, 4)
    perfect = np.repeat([1.0, 0.0], [16, 4])[None, None].repeat(3, axis=1)
    assert closed(perfect[0], design)[3] == pytest.approx(2 / math.comb(20, 4))
    assert closed(np.ones((3, 20)), design)[3] == 1


def test_one_listeners_power_of_ratings_is_that_of_the_rank_permutation():
    asked = {"listeners": (1,), "clips": (16,), "originals": (6,), "studies": 20_000}
    rated = of(planning.power(PowerPlan(**asked)), 1, 6)
    ratings = np.random.default_rng(3).normal(0, math.hypot(1, 1.5), (200, 16))
    ratings[:, :10] += 1.5 + np.random.default_rng(4).normal(0, 1, (200, 1))
    p = np.array([permutation.rank_test(row[:10], row[10:]) for row in ratings])
    assert (p < 0.05).mean() == pytest.approx(rated["power"], abs=ERRORS * planning.error(0.4, 200))
    found = [permutation.shift(row[:10], row[10:]) for row in ratings[:30]]
    halves = np.array([(shift.high - shift.low) / 2 for shift in found])
    assert halves.mean() == pytest.approx(rated["half_width"], abs=4 * halves.std() / math.sqrt(30))
    nothing = PowerPlan(**asked, effect=0.0, spread=Spread(preference=0.0))
    sums = np.cumsum(permutation.rank_sums(np.arange(1, 17), 6))
    size = max(2 * share for share in sums if 2 * share < 0.05)  # of the exact test
    assert of(planning.power(nothing), 1, 6)["power"] == pytest.approx(size, abs=0.005)


@pytest.mark.parametrize(("accuracy", "bound"), [(0.75, 0.2), (0.9, 0.3)])
def test_one_listeners_power_of_verdicts_is_that_of_the_exact_test_of_shares(accuracy, bound):
    asked = {"listeners": (1,), "originals": (10,), "accuracy": accuracy, "accuracy_bound": bound}
    alike = Spread(leaning=0.0, skill=0.0, guise=0.0)
    found = of(planning.power(PowerPlan(**asked, effect=None, spread=alike, studies=20_000)), 1, 10, VERDICTS)
    counts = np.arange(11)
    one, other, half = (stats.binom.pmf(counts, 10, share) for share in (accuracy, 1 - accuracy, 0.5))
    power = one @ (exact.p_values(10, 10) < 0.05) @ other
    within = [[exact.equivalence(i, 10, j, 10, 2 * bound) < 0.05 for j in counts] for i in counts]
    assert found["power"] == pytest.approx(power, abs=ERRORS * found["monte_carlo_error"])
    assert found["equivalence"] == pytest.approx(half @ np.array(within) @ half, abs=ERRORS * 0.5 / 4000**0.5)


def test_the_fewest_originals_are_those_that_can_reach_significance():
    for clips in (8, 20):
        count = planning.fewest_originals(clips, MUSICALITY)
        assert permutation.smallest_rank_p(range(count), range(100, 100 + clips - count)) < 0.05
        assert permutation.smallest_rank_p(range(count - 1), range(100, 101 + clips - count)) >= 0.05
    assert planning.fewest_originals(5, MUSICALITY) is None
    count = planning.fewest_originals(8, VERDICTS)
    assert exact.p_values(8 - count, count).min() < 0.05


def test_precision_and_equivalence_follow_from_the_same_studies():
    asked = PowerPlan(
        listeners=(6, 24, 96),
        clips=(20, 60),
        originals=(4, 10, 30),
        accuracy=0.7,
        accuracy_bound=0.1,
        musicality_bound=0.6,
        studies=2000,
    )
    table = planning.power(asked)
    for _, part in table.groupby(["outcome", "clips", "originals"]):
        assert (np.diff(part["half_width"]) < 0).all()  # more listeners, a narrower interval
        if part["originals"].iloc[0] < planning.LEAST_EQUIVALENCE:
            assert part["equivalence"].isna().all()
        else:
            assert (np.diff(part["equivalence"]) > -0.05).all()
    row = of(table[table["clips"] == 60], CEILING, 30)
    sd = asked.spread.clip * math.sqrt(2 / 30)
    assert row["half_width"] == pytest.approx(stats.t.isf(0.025, 58) * sd, rel=0.02)
    z = (0.6 - stats.t.isf(0.05, 58) * sd) / sd
    assert row["equivalence"] == pytest.approx(2 * stats.norm.cdf(z) - 1, abs=0.04)


def test_backends_of_the_same_sources_are_compared_better_than_of_different_ones():
    asked = {"listeners": (24,), "clips": (20,), "sources": (5,), "judged_real": 0.3, "studies": 4000}
    same, different = (planning.power(PowerPlan(**asked, backends=kind)) for kind in (SAME, DIFFERENT))
    assert (same["power"] > different["power"] + 0.05).all()
    assert (same["half_width"] < different["half_width"]).all()
    assert set(same["originals"]) == {0}
    nothing = PowerPlan(**asked | {"judged_real": None}, backends=DIFFERENT, effect=0.0)
    share = planning.power(nothing)["power"].iloc[0]
    assert share == pytest.approx(0.05, abs=ERRORS * planning.error(share, 4000) + 0.01)


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
        PowerPlan(listeners=listeners, clips=(clips,), originals=(4,), effect=effect, seed=seed, **few)
    )
    powers, errors = table["power"].to_numpy(), table["monte_carlo_error"].to_numpy()
    assert list(table["listeners"]) == [*sorted(listeners), CEILING]
    assert ((powers >= 0) & (powers <= 1)).all()
    assert (np.diff(powers) >= -ERRORS * math.sqrt(2) * np.maximum(errors[1:], errors[:-1])).all()


@settings(max_examples=15)
@given(clips=st.integers(16, 60), listeners=sizes, effect=st.floats(0, 3), seed=st.integers(0, 1000))
def test_more_originals_up_to_half_never_cost_power(clips, listeners, effect, seed):
    originals = sorted({4, clips // 3, clips // 2})
    asked = PowerPlan(
        listeners=(listeners,), clips=(clips,), originals=originals, effect=effect, seed=seed, **few
    )
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
        asked = {"effect": None, "accuracy": 0.5 + effect / 10} if verdicts else {"effect": effect}
        plan = PowerPlan(listeners=(10,), originals=(originals,), seed=seed, **asked, **few)
        powers.append(planning.power(plan)[["power", "monte_carlo_error"]].to_numpy())
    for less, more in zip(powers, powers[1:], strict=False):
        assert (more[:, 0] >= less[:, 0] - ERRORS * math.sqrt(2) * np.maximum(less[:, 1], more[:, 1])).all()


@pytest.mark.parametrize("asked", [{"effect": 0.0}, {"effect": None, "accuracy": 0.5, "inspiring": 0.0}])
@pytest.mark.parametrize("originals", [4, 10])
def test_with_no_effect_power_is_the_level(asked, originals):
    table = planning.power(PowerPlan(listeners=(10, 24), originals=(originals,), studies=10_000, **asked))
    tolerance = ERRORS * table["monte_carlo_error"] + 0.01  # slopes left out where they seem to be none
    assert ((table["power"] - 0.05).abs() <= tolerance).all()


def test_an_effect_in_the_other_direction_is_found_as_often():
    one, other = (
        planning.power(PowerPlan(listeners=(24,), originals=(4,), effect=effect)) for effect in (1.5, -1.5)
    )
    spread = ERRORS * math.sqrt(2) * one["monte_carlo_error"]
    assert ((one["power"] - other["power"]).abs() <= spread).all()


def test_the_same_seed_gives_the_same_table():
    asked = {"listeners": (8, 24), "originals": (4,), "accuracy": 0.7, "studies": 500}
    pd.testing.assert_frame_equal(planning.power(PowerPlan(**asked)), planning.power(PowerPlan(**asked)))
    again = planning.power(PowerPlan(**asked, seed=2))
    assert not again["power"].equals(planning.power(PowerPlan(**asked))["power"])


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
    assert told in planning.advice(planning.power(PowerPlan(**asked)), MUSICALITY)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"listeners": (0,)}, "0 listeners; a plan needs from 1"),
        ({"listeners": ()}, "no number of listeners"),
        ({"originals": (3,)}, "3 originals; a plan needs from 4"),
        ({"originals": (18,)}, "18 originals do not fit into 20 clips"),
        ({"studies": 5}, "5 studies"),
        ({"effect": None}, "no effect is given"),
        ({"effect": math.nan}, "the effect is nan"),
        ({"accuracy": 1.0}, "the balanced accuracy is 1; it must lie between 0 and 1"),
        ({"accuracy_bound": 0.5}, "the bound of balanced accuracy is 0.5"),
        ({"judged_real": 0.2}, "judged real is of backends; ask for accuracy"),
        ({"backends": SAME, "accuracy": 0.7}, "with backends, ask for"),
        ({"backends": "some"}, "backends of some sources; write same or different"),
        ({"backends": SAME, "sources": (2,)}, "2 sources; a plan needs from 3"),
        ({"backends": DIFFERENT, "sources": (3,)}, "10 clips of a backend cannot come of 3 sources"),
    ],
)
def test_refuses_plans_that_are_none(asked, told):
    with pytest.raises(PlanningError, match=told):
        PowerPlan(**asked)


@pytest.mark.parametrize(("asked", "told"), [({"clip": 0}, "of clip is 0"), ({"listener": -1}, "is -1")])
def test_refuses_spreads_that_are_none(asked, told):
    with pytest.raises(PlanningError, match=told):
        Spread(**asked)


@pytest.fixture(scope="module")
def plan() -> PowerPlan:
    return PowerPlan(listeners=(8, 24), clips=(20, 30), originals=(4, 10), accuracy=0.7, studies=500)


@pytest.fixture(scope="module")
def table(plan) -> pd.DataFrame:
    return planning.power(plan)


def test_the_chart_has_a_line_per_number_of_originals_and_its_ceilings(table):
    drawn = plots.power.power(table, VERDICTS).to_dict()
    rows = [row for part in drawn["datasets"].values() for row in part]
    assert {row["line"] for row in rows if "listeners" in row} == {"4", "10"}
    ceilings = {(row["clips"], row["line"]): row["power"] for row in rows if "label" in row}
    endless = table[np.isinf(table["listeners"]) & (table["outcome"] == VERDICTS)]
    assert ceilings == {(row.clips, str(row.originals)): row.power for row in endless.itertuples()}
    narrow = plots.render(plots.power.power(table, MUSICALITY, width=plots.NARROW))
    assert float(ElementTree.fromstring(narrow).get("width")) <= plots.NARROW + 20


def test_many_numbers_of_originals_are_thinned_to_the_colours_there_are():
    asked = PowerPlan(listeners=(8, 24), clips=(40,), originals=range(4, 20), studies=100)
    drawn = plots.power.power(planning.power(asked), MUSICALITY).to_dict()
    lines = {row["line"] for part in drawn["datasets"].values() for row in part if "line" in row}
    assert len(lines) == plots.power.MOST_LINES
    assert {"4", "19"} <= lines


def test_the_page_and_its_files(plan, table, tmp_path):
    paths = power_page.write(plan, table, tmp_path)
    assert [path.name for path in paths] == [
        *("power.csv", "power_musicality.png", "power_musicality.svg"),
        *("power_verdicts.png", "power_verdicts.svg", "index.html"),
    ]
    kept = pd.read_csv(tmp_path / "power.csv")
    assert list(kept.columns) == planning.COLUMNS
    assert (kept["listeners"] == "endless").sum() == np.isinf(table["listeners"]).sum()
    page = (tmp_path / "index.html").read_text()
    assert all(sentence.split(" (")[0].replace("'", "&#39;") in page for sentence in power_page.basis(plan))
    assert page.count("<table") == 8
    assert "15 of 20" in page
