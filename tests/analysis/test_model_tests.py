"""The tests of the mixed models: what their statistics are referred to, and when slopes are in the model."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import mixed, panel_models, responses
from analysis.stimuli import Panel
from tests.analysis.panels import panel
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


def musicality(frame: pd.DataFrame):
    first = responses.load(frame)
    first = first[~first["repeat"]].reset_index(drop=True)
    found = panel_models.records(first, Panel.of(first))
    return next(r for r in found if (r.family, r.name) == (panel_models.MIXED, panel_models.MUSICALITY))


def test_listeners_slopes_are_in_the_model_where_listeners_differ_in_them():
    frame = panel(listeners=12, seed=4, missing=0.0, caw=8, jukebox=0, originals=6)
    level = musicality(frame)
    taste = np.random.default_rng(1).permutation(np.linspace(-4, 4, 12))
    own = frame["listener"].map(dict(zip(sorted(set(frame["listener"])), taste, strict=True)))
    side = np.where(frame["truth"] == "real", 0.5, -0.5)
    differing = musicality(frame.assign(musicality=(frame["musicality"] + own * side).round().clip(0, 10)))
    assert panel_models.NO_SLOPES in level.note
    assert panel_models.NO_SLOPES not in differing.note
    assert differing.high - differing.low > 1.1 * (level.high - level.low)


def test_equivalence_says_as_the_difference_does_that_slopes_are_left_out():
    first = responses.load(panel(listeners=4, seed=4, missing=0.0, caw=8, jukebox=0, originals=10))
    found = panel_models.records(first, Panel.of(first), bound=2.0)
    names = (panel_models.MUSICALITY, panel_models.SIMILAR)
    told = {r.name: panel_models.NO_SLOPES in r.note for r in found if r.name in names}
    assert told == dict.fromkeys(names, True)
