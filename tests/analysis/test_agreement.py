import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results import agreement

N = np.nan
# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": four observers, twelve units.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)


def test_alpha_gives_the_published_values():
    assert agreement.alpha(PUBLISHED, ordinal=False) == pytest.approx(0.743, abs=5e-4)
    assert agreement.alpha(PUBLISHED, ordinal=True) == pytest.approx(0.815, abs=5e-4)


@given(st.permutations(range(4)), st.permutations(range(12)))
def test_alpha_knows_no_order_of_raters_or_units(raters, units):
    shuffled = PUBLISHED[list(raters)][:, list(units)]
    assert agreement.alpha(shuffled, ordinal=True) == pytest.approx(agreement.alpha(PUBLISHED, ordinal=True))


def test_full_agreement_is_one_and_constancy_undefined():
    same = np.array([[0, 1, 1, 0]] * 3, dtype=float)
    assert agreement.alpha(same, ordinal=False) == 1
    assert np.isnan(agreement.alpha(np.ones((3, 4)), ordinal=False))
    assert np.isnan(agreement.alpha(np.array([[1.0, N], [N, 2.0]]), ordinal=True))


def test_independent_answers_agree_by_chance():
    table = np.random.default_rng(0).integers(0, 2, size=(30, 200)).astype(float)
    assert agreement.alpha(table, ordinal=False) == pytest.approx(0, abs=0.02)
