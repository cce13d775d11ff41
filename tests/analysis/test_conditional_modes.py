"""Conditional modes against lme4 (r_reference/modes.R), and what must hold of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import conditional_modes, individuals, mixed, responses, statistics
from analysis.results import groups
from tests.analysis import panels

FOLDER = Path(__file__).with_name("r_reference")
REFERENCE = json.loads((FOLDER / "modes.json").read_text())


def modes(d: pd.DataFrame):
    fixed = {"1": np.ones(len(d)), "truth": d["truth"]}
    fit = mixed.linear(d["musicality"], fixed, d["listener"], d["stimulus"])
    return conditional_modes.linear(fit, d["musicality"], fixed, d["listener"], d["stimulus"])


@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_modes_agree_with_lme4(name):
    data = pd.read_csv(FOLDER / f"{name}.csv").dropna(subset=["musicality"])
    for kind, found in zip(("listener", "stimulus"), modes(data), strict=True):
        theirs = REFERENCE[f"{name} {kind}"]
        place = [found.labels.index(label) for label in theirs["labels"]]
        np.testing.assert_allclose(found.mode[place], theirs["mode"], atol=1e-4)
        np.testing.assert_allclose(found.sd[place], theirs["sd"], rtol=1e-3)


def test_modes_do_not_depend_on_the_order_of_the_answers():
    data = pd.read_csv(FOLDER / "balanced.csv")
    for here, there in zip(modes(data), modes(data.sample(frac=1, random_state=1)), strict=True):
        again = dict(zip(there.labels, there.mode, strict=True))
        np.testing.assert_allclose(here.mode, [again[label] for label in here.labels], atol=1e-5)


def test_no_variance_has_no_modes():
    data = pd.read_csv(FOLDER / "near_singular.csv").dropna(subset=["musicality"])
    fixed = {"1": np.ones(len(data))}
    fit = mixed.linear(data["musicality"], fixed, data["listener"], data["stimulus"], slope=data["truth"])
    with pytest.raises(mixed.MixedModelError, match="without slopes"):
        conditional_modes.linear(fit, data["musicality"], fixed, data["listener"], data["stimulus"])
    flat = responses.load(panels.panel(listeners=6).assign(musicality=5))
    refused = individuals.modes(flat)
    assert len(refused) == 2
    assert all(result.refused and "not fitted" in result.note for result in refused)


@pytest.mark.parametrize("same", [{"musicality": 5}, {"verdict": "fake", "difficulty": "easy"}])
def test_answers_that_are_all_the_same_are_told_and_give_no_numbers_that_are_none(same):
    flat = responses.load(panels.panel(listeners=8).assign(**same))
    for result in statistics.evaluate(flat):
        numbers = [result.estimate, result.low, result.high, result.p]
        assert all(number is None or np.isfinite(number) for number in numbers), result


def test_every_listener_and_clip_of_a_panel_has_a_mode(panel, panel_results):
    assert len(groups(panel_results, individuals.MODES, individuals.OF_LISTENER)) == 24
    assert len(groups(panel_results, individuals.MODES, individuals.OF_CLIP)) == 22
    generous = panel.groupby("listener")["musicality"].mean()
    found = {r.group: r for r in panel_results if r.name == individuals.OF_LISTENER}
    assert found[generous.idxmax()].estimate == max(r.estimate for r in found.values())
    assert all(r.low < r.estimate < r.high and r.p is None for r in found.values())
