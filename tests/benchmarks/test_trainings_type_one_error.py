"""The simulation of trainings: its studies have no effect, and it asks for what the report asks for."""

import numpy as np
import pytest

from tests.benchmarks import trainings_type_one_error as simulated

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("design", simulated.DESIGNS, ids=lambda design: design.title)
def test_a_null_study_has_no_effect(design):
    slopes = []
    for seed in range(200):
        _, _, side, quality = zip(*simulated.clips(design, np.random.default_rng(seed)), strict=True)
        slopes.append(np.polyfit(side, quality, 1)[0])
    assert abs(np.mean(slopes)) < 4 * np.std(slopes) / np.sqrt(200)


def test_every_clip_has_its_training_and_originals_have_none():
    made = simulated.clips(simulated.Design("originals", 3, 4), np.random.default_rng(0))
    assert [training for training, *_ in made] == ["t0"] * 4 + ["t1"] * 4 + ["t2"] * 4 + [None] * 8
    through = simulated.clips(simulated.Design("through", 3, 2), np.random.default_rng(0))
    assert len({training for training, *_ in through}) == 3
    assert len({model for _, model, *_ in through}) == 9


def test_models_are_asked_for_only_where_trainings_have_several():
    found = simulated.p_values(simulated.DESIGNS[2], 4, 0)
    assert set(found) == {simulated.NONE, simulated.TRAININGS, simulated.BOTH}
    assert all(0 <= p <= 1 for p in found.values())
    assert simulated.BOTH not in simulated.p_values(simulated.DESIGNS[0], 4, 0)


def test_shares_count_what_is_there():
    assert simulated.share([0.01, 0.2, None, 0.04, 0.5]) == "0.500"
    assert simulated.share([None]) == ""
