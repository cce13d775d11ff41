import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.preparation.excerpts import longest_overlap, place_excerpts


@given(
    count=st.integers(1, 6),
    length=st.floats(0.5, 20),
    extra=st.floats(0, 30),
    first=st.floats(0, 100),
    seed=st.integers(0, 99),
)
def test_excerpts_that_fit_lie_side_by_side_inside_the_passage(count, length, extra, first, seed):
    last = first + count * length + extra
    starts, overlap = place_excerpts(count, length, first, last, [], np.random.default_rng(seed))
    assert overlap == 0
    ordered = np.sort(starts)
    assert ordered[0] >= first - 1e-6
    assert ordered[-1] + length <= last + 1e-6
    assert np.all(np.diff(ordered) >= length - 1e-6)


def test_too_many_are_spread_evenly_and_told():
    starts, overlap = place_excerpts(3, 10.0, 5.0, 25.0, [], np.random.default_rng(0))
    assert sorted(starts) == [5.0, 10.0, 15.0]
    assert overlap == 5.0


def test_taken_excerpts_are_kept_clear_of():
    dice = np.random.default_rng(0)
    starts, _ = place_excerpts(1, 10.0, 0.0, 40.0, [15.0], dice)
    assert longest_overlap(starts, [15.0], 10.0) == 0


def test_places_follow_the_seed():
    drawn = [place_excerpts(2, 3.0, 0.0, 20.0, [], np.random.default_rng(seed))[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
