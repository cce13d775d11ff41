"""The simulation of type-I errors: its studies have no effect, its table counts what it says."""

import numpy as np
import pytest

from tests.benchmarks import type_one_error as simulated

DESIGN = (8, 16, 4)


def test_a_null_study_has_no_effect_and_an_answer_in_every_cell():
    differences = []
    for seed in range(200):
        truth, ratings, says = simulated.study(DESIGN, (seed,))
        assert ratings.shape == says.shape == (8, 20)
        assert set(np.unique(says)) <= {0.0, 1.0}
        assert 0 <= ratings.min() <= ratings.max() <= 10
        differences.append(ratings[:, truth > 0].mean() - ratings[:, truth < 0].mean())
    assert abs(np.mean(differences)) < 4 * np.std(differences) / np.sqrt(200)


def test_every_quick_test_has_a_p_and_clip_means_agree_with_the_model():
    found = simulated.p_values((8, 6, 4), (3,), slow=False)
    assert all(0 <= p <= 1 for p in found.values())
    assert found[simulated.LMM] == pytest.approx(found[simulated.MEANS.format("musicality")], rel=1e-3)


def test_the_table_counts_rejections():
    rows = [
        {"design": design, simulated.LMM: p} for design in simulated.DESIGNS for p in (0.01, 0.2, 0.3, 0.04)
    ]
    lines = list(simulated.table(rows))
    assert lines[-1] == f"| {simulated.LMM} | 0.500 | 0.500 | 0.500 | 0.250 | 4 |"
    assert len(lines) == 3
