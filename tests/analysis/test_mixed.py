"""Mixed models against R's lme4, lmerTest and ordinal (r_reference/), and what must hold of any fit."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import mixed
from tests.analysis.r_reference.agreement import agrees
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
    if model == "slopes":
        return mixed.binary(d["fake"], fixed(d), *who, slope=d["truth"])
    return mixed.ordinal(d["musicality"], {"truth": d["truth"]}, *who, link=model.removeprefix("ordinal-"))


@pytest.mark.parametrize("model", ["linear", "probit", "logit", "slopes", "ordinal-probit", "ordinal-logit"])
@pytest.mark.parametrize("name", STUDIES)
def test_agrees_with_r(name, model):
    agrees(fit(model, data(name)), REFERENCE[f"{name} {model}"], named=not model.startswith("ordinal"))


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
    with pytest.raises(mixed.MixedModelError, match="truth explain every answer"):
        fit("linear", d)
