"""Mixed models of clips nested in trainings, against R's lme4, lmerTest and ordinal (nested.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.models import mixed
from tests.analysis.r_reference.agreement import agrees, contrasts_agree
from tests.analysis.r_reference.make_nested import COLUMNS, study

FOLDER = Path(__file__).with_name("r_reference")
REFERENCE = json.loads((FOLDER / "nested.json").read_text())


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "nested.csv").astype({"training": object, "model": object})


def fixed(d: pd.DataFrame, column: str) -> dict:
    return {"(Intercept)": np.ones(len(d)), column: d[column]}


def fit(name: str, d: pd.DataFrame) -> mixed.Fit:
    """The model of that name in nested.R."""
    d = d if "truth" in name else d[d["truth"] > 0]
    labels = d[["training", "model"]].astype(object).where(d[["training", "model"]].notna(), None)
    nests = [labels["training"], labels["model"]] if "models" in name else [labels["training"]]
    who, column = (d["listener"], d["stimulus"]), "truth" if "truth" in name else "doublings"
    if name.startswith("linear"):
        return mixed.linear(d["musicality"], fixed(d, column), *who, nests=nests)
    if name.startswith("probit"):
        return mixed.binary(d["fake"], fixed(d, column), *who, nests=nests)
    return mixed.ordinal(d["musicality"], {column: d[column]}, *who, nests=nests)


@pytest.mark.parametrize("name", [name for name in REFERENCE if not name.startswith("levels")])
def test_agrees_with_r(name, data):
    agrees(fit(name, data), REFERENCE[name])


def test_levels_with_clips_nested_in_trainings_agree_with_r(data):
    training = data["training"].where(data["training"].notna(), None)
    level = np.where(data["truth"] > 0, "fake", "real")
    found = mixed.levels(data["musicality"], level, data["listener"], data["stimulus"], nests=[training])
    contrasts_agree(found, REFERENCE["levels truth"], ["fake"], "real")


def test_the_data_are_those_that_r_was_given(data):
    again = pd.DataFrame(study(), columns=COLUMNS).replace("", np.nan).infer_objects()
    pd.testing.assert_frame_equal(again.astype(data.dtypes), data)


def test_groups_of_one_clip_each_change_nothing_but_who_bears_the_variance(data):
    """Then a group and its clip cannot be told apart: the fit is the one without groups."""
    d = data[data["truth"] > 0]
    args = d["musicality"], fixed(d, "doublings"), d["listener"], d["stimulus"]
    plain, nested = mixed.linear(*args), mixed.linear(*args, nests=[d["stimulus"]])
    np.testing.assert_allclose(nested.estimate, plain.estimate, rtol=1e-6)
    np.testing.assert_allclose(nested.se, plain.se, rtol=1e-4)
    assert nested.deviance == pytest.approx(plain.deviance)
    assert np.hypot(nested.stimulus_sd, *nested.nest_sd) == pytest.approx(plain.stimulus_sd, rel=1e-3)


def test_trainings_that_differ_widen_what_is_said_of_machine_made_clips(data):
    d = data[data["truth"] > 0]
    args = d["musicality"], fixed(d, "doublings"), d["listener"], d["stimulus"]
    plain, nested = mixed.linear(*args), mixed.linear(*args, nests=[d["training"]])
    assert nested.se[0] > 1.2 * plain.se[0]
    assert nested.df[0] < plain.df[0]
    assert nested.se[1] < plain.se[1]  # within trainings their levels cancel


def test_degrees_of_freedom_of_verdicts_are_those_of_the_trainings(data):
    """Truth lies between 8 trainings and 6 originals, less intercept and truth; epochs lie within trainings:
    between 32 clips, or between 16 models where these are random, too."""
    assert fit("probit truth", data).df[1] == 8 + 6 - 2
    assert fit("probit truth, models", data).df[1] == 8 + 6 - 2  # of the widest kind, not of 16 models
    assert fit("ordinal epochs", data).df[0] == 32 - 2
    assert fit("ordinal epochs, models", data).df[0] == 16 - 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.assign(training=np.where(d["listener"] == "L00", "T0", d["training"])), "in two groups"),
        (lambda d: d.assign(training="T0"), "at least two groups"),
    ],
)
def test_refuses_groups_that_are_none(change, told, data):
    with pytest.raises(mixed.MixedModelError, match=told):
        fit("linear epochs", change(data[data["truth"] > 0]))
