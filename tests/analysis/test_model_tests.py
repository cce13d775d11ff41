"""Mixed models of verdicts and ordered answers: what they are referred to, and when there is no result."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import responses
from analysis.models import mixed
from analysis.results import panel_models, result, stimuli, trainings
from analysis.results.stimuli import Panel
from tests.analysis import panels
from tests.analysis.test_mixed import data, fixed


@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_effects_between_clips_are_tested_on_the_clips_degrees_of_freedom(name):
    d = data(name)
    between = d["stimulus"].nunique() - 2
    position = d.groupby("listener").cumcount().astype(float)
    columns = {**fixed(d), "position": position - position.mean()}
    found = mixed.binary(d["fake"], columns, d["listener"], d["stimulus"])
    if name == "balanced":  # every listener in one order: position is the clip's
        np.testing.assert_array_equal(found.df, between - 1)
    else:
        np.testing.assert_array_equal(found.df, [between, between, np.inf])
    found = mixed.ordinal(d["musicality"], {"truth": d["truth"]}, d["listener"], d["stimulus"])
    np.testing.assert_array_equal(found.df, [between])
    t = abs(found.estimate[0] / found.se[0])
    assert found.p("truth") == pytest.approx(2 * stats.t.sf(t, between))
    assert found.p("truth") > 2 * stats.norm.sf(t)


def d_prime(frame: pd.DataFrame) -> result.Result:
    first = stimuli.distinct(responses.load(frame))
    found = panel_models._detection(first, Panel.of(first))
    return result.find(found, panel_models.MIXED, panel_models.DETECTION)


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return panels.panel(listeners=8, caw=5, jukebox=0, originals=4, effect=1.0, missing=0.0)


def test_d_prime_is_the_probit_slope_with_an_interval_and_no_test(small):
    """The test of detection is of the linear model: a probit slope fails where listeners are good."""
    found = d_prime(small)
    truth = np.where(small["truth"] == "fake", 0.5, -0.5)
    fit = mixed.binary(
        small["verdict"] == "fake",
        {"1": np.ones(len(small)), "truth": truth},
        small["listener"],
        small["name"],
        level=small["truth"],
    )
    assert found.estimate == pytest.approx(fit.of("truth"), rel=1e-3)
    assert (found.low, found.high) == pytest.approx(fit.interval("truth"), rel=1e-2)
    assert found.p is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d[d["listener"] < "L05"], "4 listeners, fewer than 8"),
        (lambda d: d[d["truth"] == "fake"], "needs machine-made clips and originals"),
        (lambda d: d[~d["name"].str.startswith("original_UMG")], "2 clips of originals with an answer"),
        (lambda d: d.assign(verdict=d["truth"], difficulty=None), "every answer on machine-made was fake"),
        (
            lambda d: d.assign(verdict=d["verdict"].where(d["truth"] == "fake", "real"), difficulty=None),
            "every answer on originals was real: d\N{PRIME} has no upper limit",
        ),
    ],
)
def test_d_prime_says_why_it_has_no_value(small, change, why):
    found = d_prime(change(small))
    assert found.refused
    assert why in found.note


@pytest.mark.parametrize(
    ("se", "why"),
    [
        (0.0, "no maximum that could be reached"),
        (np.nan, "no maximum that could be reached"),
        (5.1, "error of 5.1 says"),
    ],
)
def test_a_fit_without_a_maximum_is_no_result(se, why):
    fit = mixed.binary([0, 1, 1, 0, 1, 0, 0, 1], {"1": np.ones(8)}, list("aabbccdd"), list("xyxyxyxy"))
    fit = dataclasses.replace(fit, covariance=np.array([[se**2]]))
    question = result.Question(panel_models.MIXED, panel_models.DETECTION)
    found = panel_models._result(question, fit, {"1": 1.0}, trainings.Nests())
    assert found.refused
    assert why in found.note
