"""Models of pairs, listeners and both clips random, against R's lme4 and lmerTest (r_reference/pairs.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.models import paired
from tests.analysis.r_reference.make_pairs import COLUMNS, study

FOLDER = Path(__file__).with_name("r_reference")
REFERENCE = json.loads((FOLDER / "pairs.json").read_text())


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "pairs.csv", keep_default_na=False)


def fit(name: str, d: pd.DataFrame) -> paired.PairedFit:
    """The model of that name in pairs.R."""
    kind = name.split()[0].rstrip(",")
    d = d[d["question"] == ("real" if kind == "right" else "inspiring")]
    if kind != "right":
        columns = {g: (d["group_first"] == g) * 1.0 - (d["group_second"] == g) for g in ("b", "c")}
        groups = columns if name.endswith("groups") else {}
        model = paired.shares if kind == "shares" else paired.worths
        return model(d["chosen"], groups, d["listener"], d["first"], d["second"])
    first = d["first"].str.startswith("r")
    real, fake = d["first"].where(first, d["second"]), d["second"].where(first, d["first"])
    group = None if name == "right" else d["group_second"].where(first, d["group_first"])
    right, order = d["chosen"].where(first, 1 - d["chosen"]), np.where(first, 0.5, -0.5)
    return paired.right(right, order, d["listener"], real, fake, group)


@pytest.mark.parametrize("name", REFERENCE)
def test_agrees_with_r(name, data):
    found, r = fit(name, data), REFERENCE[name]
    weights = [{one: 1.0} for one in found.names]
    if name == "right, differences":
        weights = [{"a": 1.0, "b": -1.0}, {"b": 1.0, "c": -1.0}]
    made = [found.contrast(one) for one in weights]
    np.testing.assert_allclose([c.estimate for c in made], r["estimate"], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose([c.se for c in made], r["se"], rtol=1e-3)
    if r["df"]:
        np.testing.assert_allclose([c.df for c in made], r["df"], rtol=2e-3)
    if r["spread"]:  # as variances: near 0 the likelihood is flat in a standard deviation
        theirs = np.square(r["spread"])
        np.testing.assert_allclose(np.square(list(found.spread.values())), theirs, rtol=3e-3, atol=1e-5)


def test_the_data_are_those_that_r_was_given(data):
    again = pd.DataFrame(study(), columns=COLUMNS)
    pd.testing.assert_frame_equal(again, data)
