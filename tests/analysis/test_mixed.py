"""Mixed models against R's lme4, lmerTest and ordinal (r_reference/), and what must hold of any fit."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.models import mixed
from tests.analysis import panels
from tests.analysis.r_reference.agreement import agrees, contrasts_agree
from tests.analysis.r_reference.make_data import STUDIES, study

FOLDER = Path(__file__).with_name("r_reference")
REFERENCE = json.loads((FOLDER / "reference.json").read_text())
COLUMNS = ["listener", "stimulus", "truth", "musicality", "fake"]


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def fixed(d: pd.DataFrame) -> dict:
    return {"(Intercept)": np.ones(len(d)), "truth": d["truth"]}


def fit(model: str, d: pd.DataFrame) -> mixed.Fit:
    who = d["listener"], d["stimulus"]
    if model == "linear":
        return mixed.linear(d["musicality"], fixed(d), *who)
    if model in ("probit", "logit"):
        return mixed.binary(d["fake"], fixed(d), *who, link=model)
    if model == "probit-level":
        return mixed.binary(d["fake"], fixed(d), *who, level=d["truth"])
    if model == "ordinal-level":
        return mixed.ordinal(d["musicality"], {"truth": d["truth"]}, *who, level=d["truth"])
    return mixed.ordinal(d["musicality"], {"truth": d["truth"]}, *who, link=model.removeprefix("ordinal-"))


def level(d: pd.DataFrame, count: int) -> np.ndarray:
    """Two levels, or three: then every other machine-made clip is of a level of its own."""
    odd = d["stimulus"].str[1:].astype(int) % 2 == 1
    return np.where(d["truth"] < 0, "real", np.where(odd & (count == 3), "odd", "fake"))


@pytest.mark.parametrize("found", [key for key in REFERENCE if "levels" not in key])
def test_agrees_with_r(found):
    name, model = found.split()
    agrees(fit(model, data(name)), REFERENCE[found], named=not model.startswith("ordinal"))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", STUDIES)
def test_levels_agree_with_listeners_means_as_constants(name, count):
    d = data(name)
    found = mixed.levels(d["musicality"], level(d, count), d["listener"], d["stimulus"])
    others = ["fake", "odd"][: count - 1]
    contrasts_agree(found, REFERENCE[f"{name} levels-{count}"], others, "real")


def test_r_fitted_every_kind_of_model_in_every_study_that_it_can_be_fitted_to():
    """The ordinal one with levels is refused by R's own formula where one of its variances is none."""
    assert {key.split()[0] for key in REFERENCE} == set(STUDIES)
    kinds = {"linear", "probit", "logit", "probit-level", "ordinal-probit", "ordinal-logit"}
    for name in STUDIES:
        there = {key.split()[1] for key in REFERENCE if key.startswith(f"{name} ")}
        assert there - {"ordinal-level"} == kinds | {"levels-2", "levels-3"}
    assert any(key.endswith("ordinal-level") for key in REFERENCE)


def test_the_data_are_those_that_r_was_given():
    for name, made in STUDIES.items():
        again = pd.DataFrame(study(**made), columns=COLUMNS)
        pd.testing.assert_frame_equal(again, data(name))


def test_says_when_a_variance_is_none():
    assert fit("linear", data("near_singular")).singular
    assert not fit("linear", data("unbalanced")).singular


def test_a_balanced_linear_fit_is_the_analysis_of_variance():
    d = data("balanced")
    means = d.groupby("truth")["musicality"].mean()
    assert fit("linear", d).of("truth") == pytest.approx(means[0.5] - means[-0.5])


def table(seed: int, listeners: int, clips: tuple[int, int]) -> np.ndarray:
    """A complete table of answers [listeners, clips of one level, then of the other]."""
    dice, total = np.random.default_rng(seed), sum(clips)
    own = np.repeat(dice.normal(0, 1, (listeners, 2)), clips, axis=1)
    return (
        dice.normal(0, 1, (listeners, 1))
        + dice.normal(0, 1, total)
        + own
        + dice.normal(0, 1, (listeners, total))
    )


@pytest.mark.parametrize("listeners", [2, 3, 8, 24])
@pytest.mark.parametrize(("clips", "seed"), [((16, 4), 1), ((10, 10), 2), ((5, 3), 3)])
def test_a_complete_table_is_the_analysis_of_variance_with_both_random(listeners, clips, seed):
    """Mean squares of clips within levels, of listeners by level and of the rest; Satterthwaite's df."""
    y = table(seed, listeners, clips)
    parts = np.split(y, [clips[0]], axis=1)
    within = sum(((part.mean(axis=0) - part.mean()) ** 2).sum() for part in parts)
    rest = sum(
        ((part - part.mean(axis=0) - part.mean(axis=1)[:, None] + part.mean()) ** 2).sum() for part in parts
    )
    between = np.subtract(*(part.mean(axis=1) for part in parts))
    h, count = 1 / clips[0] + 1 / clips[1], sum(clips) - 2
    of_clips, own = listeners * within / count, between.var(ddof=1) / h
    error = rest / ((listeners - 1) * count)
    assert min(of_clips, own) > 1.3 * error  # else a variance is 0 and REML is another estimate than this one
    squares = np.array([of_clips, own, -error])
    sizes = np.array([count, listeners - 1, (listeners - 1) * count])
    df = squares.sum() ** 2 / (squares**2 / sizes).sum()

    who, what = np.indices(y.shape)
    level = np.where(what < clips[0], "a", "b")
    found = mixed.levels(y.ravel(), level.ravel(), who.ravel(), what.ravel()).contrast({"a": 1.0, "b": -1.0})
    assert found.estimate == pytest.approx(between.mean(), abs=1e-6)
    assert found.se == pytest.approx(np.sqrt(h * squares.sum() / listeners), rel=2e-3)
    assert found.df == pytest.approx(df, rel=2e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), model=st.sampled_from(["linear", "probit", "ordinal-logit"]))
def test_order_and_names_of_rows_make_no_difference(seed, model):
    d = pd.DataFrame(study(seed, 8, 6, 5), columns=COLUMNS)
    mixed_up = d.sample(frac=1, random_state=seed)
    mixed_up = mixed_up.assign(
        listener=mixed_up["listener"].map(lambda name: f"{(7 * int(name[1:]) + seed) % 13}-{name}")
    )
    one, other = fit(model, d), fit(model, mixed_up)
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one.se, other.se, rtol=1e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_a_linear_fit_moves_with_the_scale(seed):
    d = pd.DataFrame(study(seed, 8, 6, 5), columns=COLUMNS)
    plain = mixed.linear(d["musicality"], fixed(d), d["listener"], d["stimulus"])
    moved = mixed.linear(3 * d["musicality"] + 7, fixed(d), d["listener"], d["stimulus"])
    np.testing.assert_allclose(moved.estimate, 3 * plain.estimate + [7, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moved.se, 3 * plain.se, rtol=1e-3)
    assert moved.p("truth") == pytest.approx(plain.p("truth"), rel=1e-2)


def test_more_effect_more_estimate():
    found = []
    for effect in (0.0, 1.0, 2.0):
        d = pd.DataFrame(study(4, 12, 8, 6, effect=effect), columns=COLUMNS)
        found.append(fit("linear", d).of("truth"))
    assert found[0] > found[1] > found[2]


def test_interval_and_p_say_the_same():
    found = fit("linear", data("unbalanced"))
    low, high = found.interval("truth")
    assert (found.p("truth") < 0.05) == (low > 0 or high < 0)
    assert low < found.of("truth") < high


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.assign(listener="L0"), "two listeners"),
        (lambda d: d[:0], "two listeners"),
        (lambda d: d.assign(musicality=np.nan), "finite"),
        (lambda d: d.assign(truth=1.0), "depend on each other"),
    ],
)
def test_refuses_what_cannot_be_fitted(change, told):
    with pytest.raises(mixed.MixedModelError, match=told):
        fit("linear", change(data("balanced")))


def test_refuses_answers_that_are_all_alike():
    d = data("balanced")
    with pytest.raises(mixed.MixedModelError, match="both must occur"):
        fit("probit", d.assign(fake=1))
    with pytest.raises(mixed.MixedModelError, match="three"):
        fit("ordinal-logit", d.assign(musicality=d["fake"]))


def test_refuses_answers_that_truth_explains_to_the_last():
    """Every original 8, everything else 2: an error of 0 would give an interval that is no number."""
    d = data("unbalanced").assign(musicality=lambda d: 5 - 6 * d["truth"])
    with pytest.raises(mixed.NoSpreadError, match="truth explain every answer"):
        fit("linear", d)
    own = d["listener"].str[1:].astype(float)  # and listeners' means are no spread either
    with pytest.raises(mixed.NoSpreadError, match="fake and real explain every answer"):
        mixed.levels(d["musicality"] + own, level(d, 2), d["listener"], d["stimulus"])


def test_one_level_has_nothing_to_be_compared_with():
    d = data("unbalanced")
    with pytest.raises(mixed.MixedModelError, match="one level"):
        mixed.levels(d["musicality"], ["a"] * len(d), d["listener"], d["stimulus"])


def test_levels_do_not_see_how_high_each_listener_rates():
    d = data("unbalanced")
    raised = d["musicality"] + d["listener"].str[1:].astype(float)
    found = [
        mixed.levels(y, level(d, 3), d["listener"], d["stimulus"]).contrast({"fake": 1.0, "real": -1.0})
        for y in (d["musicality"], raised)
    ]
    assert found[1].estimate == pytest.approx(found[0].estimate, abs=1e-3)
    assert found[1].se == pytest.approx(found[0].se, rel=1e-3)
    assert found[1].df == pytest.approx(found[0].df, rel=1e-2)


def test_an_effect_within_a_bound_has_a_p_that_agrees_with_its_interval():
    found = fit("linear", data("balanced")).contrast({"truth": 1.0})
    low, high = found.interval(0.9)
    reach = max(-low, high)
    assert found.p_within(reach) == pytest.approx(0.05)
    assert found.p_within(1.1 * reach) < 0.05 < found.p_within(0.9 * reach)
    assert found.p_within(0.1) > 0.5  # the estimate lies outside


@pytest.mark.parametrize("seed", range(4))
def test_a_spread_that_is_none_is_0_whatever_the_order_of_the_rows(seed):
    answers = panels.panel(listeners=8, caw=4, jukebox=0, effect=1.0).dropna(subset=["musicality"])
    answers = answers.sample(frac=1, random_state=seed)
    fit = mixed.levels(answers["musicality"], answers["truth"], answers["listener"], answers["name"])
    assert fit.level_sd == 0
    assert fit.singular
