import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.build.excerpts import fitting, longest_overlap, rest, side_by_side, spread, without


@given(
    length=st.floats(0.5, 20),
    first=st.floats(0, 100),
    seconds=st.floats(0.5, 200),
    gap=st.floats(0.5, 30),
    seed=st.integers(0, 99),
)
def test_as_many_as_fit_lie_side_by_side_inside_the_stretches(length, first, seconds, gap, seed):
    stretches = [(first, first + seconds), (first + seconds + gap, first + 2 * seconds + gap)]
    starts = side_by_side(stretches, length, np.random.default_rng(seed))
    assert len(starts) == sum(fitting(stretch, length) for stretch in stretches)
    ordered = np.sort(starts)
    assert np.all(np.diff(ordered) >= length - 1e-9)
    assert all(any(a - 1e-9 <= at <= b - length + 1e-9 for a, b in stretches) for at in starts)
    assert all(0 <= rest(stretch, length) < length + 0.01 for stretch in stretches)


def test_lengths_that_floating_point_cannot_hold_fit_all_the_same():
    assert fitting((25.0, 25.0 + 5 * 10.4), 10.4) == 5
    assert fitting((0.0, 3 * 1.1), 1.1) == 3
    assert fitting((0.0, 3.299), 1.1) == 2


def test_places_follow_the_seed():
    drawn = [side_by_side([(0.0, 20.0)], 3.0, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_taken_is_cut_out():
    assert without([(0.0, 10.0)], [(2.0, 4.0), (8.0, 12.0), (20.0, 30.0)]) == [(0.0, 2.0), (4.0, 8.0)]
    assert without([(0.0, 10.0)], [(-5.0, 20.0)]) == []
    assert without([(0.0, 10.0)], []) == [(0.0, 10.0)]


def test_too_many_are_spread_evenly_and_neighbours_in_the_list_lie_apart():
    starts = spread((0.0, 25.0), 10.4, 5)
    assert sorted(starts) == [0.0, 3.65, 7.3, 10.95, 14.6]
    assert longest_overlap(starts[:2], 10.4) == 0
    assert longest_overlap(starts[2:4], 10.4) == 0
    assert longest_overlap(starts, 10.4) == 6.75
