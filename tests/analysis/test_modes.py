"""Conditional modes of listeners and clips, against lme4's ranef (r_reference/modes.R), and as results."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import responses
from analysis.models import mixed
from analysis.results import individuals, stimuli
from analysis.results.result import groups
from tests.analysis import panels

FOLDER = Path(__file__).with_name("r_reference")
REFERENCE = json.loads((FOLDER / "modes.json").read_text())


def modes(d: pd.DataFrame) -> dict[str, dict[str, tuple[float, float]]]:
    """Mode and standard deviation by label, of listeners and of stimuli."""
    fixed = {"1": np.ones(len(d)), "truth": d["truth"]}
    fit = mixed.linear(d["musicality"], fixed, d["listener"], d["stimulus"])
    *both, spread = fit.modes
    return {
        kind: {
            label: (float(one), fit.residual_sd * float(sd))
            for label, one, sd in zip(sorted(set(d[kind])), np.ravel(mode), np.ravel(sds), strict=True)
        }
        for kind, mode, sds in zip(("listener", "stimulus"), both, spread(), strict=True)
    }


@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_modes_agree_with_lme4(name):
    data = pd.read_csv(FOLDER / f"{name}.csv").dropna(subset=["musicality"])
    for kind, found in modes(data).items():
        theirs = REFERENCE[f"{name} {kind}"]
        mode, sd = np.array([found[label] for label in theirs["labels"]]).T
        np.testing.assert_allclose(mode, theirs["mode"], atol=1e-4)
        np.testing.assert_allclose(sd, theirs["sd"], rtol=1e-3)


def test_modes_do_not_depend_on_the_order_of_the_answers():
    data = pd.read_csv(FOLDER / "balanced.csv")
    here, there = modes(data), modes(data.sample(frac=1, random_state=1))
    for kind in here:
        assert there[kind].keys() == here[kind].keys()
        np.testing.assert_allclose(list(there[kind].values()), list(here[kind].values()), atol=1e-5)


def test_answers_are_what_a_model_says_and_its_residuals():
    """Fixed effects, modes of listeners' levels and of clips, and residuals add up to the answers."""
    d = pd.read_csv(FOLDER / "differing.csv")
    side = np.where(d["truth"] > 0, "fake", "real")
    fit = mixed.levels(d["musicality"], side, d["listener"], d["stimulus"])
    mine, theirs, _ = fit.modes
    places = [np.unique(column, return_inverse=True)[1] for column in (d["listener"], d["stimulus"], side)]
    said = fit.estimate[places[2]] + mine[places[0], places[2]] + theirs[places[1]]
    np.testing.assert_allclose(said + fit.residuals, d["musicality"], atol=1e-8)


def records(frame: pd.DataFrame):
    return individuals.modes(stimuli.distinct(responses.load(frame)))


def test_no_variance_has_no_modes():
    """Where every rating is the same, and where fewer than three listeners rated."""
    for frame, why in (
        (panels.panel(listeners=6).assign(musicality=5), "not fitted: all answers are the same"),
        (panels.panel(listeners=2), "fewer than 3 listeners rated"),
    ):
        refused = records(frame)
        assert [(result.refused, result.note) for result in refused] == [(True, why)] * 2


def test_one_kind_of_clip_has_modes_too():
    frame = panels.panel(listeners=6, originals=0)
    found = records(frame)
    assert groups(found, individuals.MODES, individuals.OF_LISTENER) == sorted(set(frame["listener"]))
    assert len(groups(found, individuals.MODES, individuals.OF_CLIP)) == 16


def test_a_mode_is_of_the_clip_it_is_named_after():
    """The clip that all rate highest has the highest mode, under the label that tables show."""
    frame = panels.panel(listeners=6, seed=1)
    best = frame["name"].unique()[3]
    frame.loc[frame["name"] == best, "musicality"] = 10
    clips = [result for result in records(frame) if result.name == individuals.OF_CLIP]
    assert max(clips, key=lambda result: result.estimate).group == best
    assert all(result.low < result.estimate < result.high for result in clips)
