from __future__ import annotations

from collections import Counter

import pytest

from study.store.builds import Build, parts
from study.store.orders import clip_order, repeated, set_order, williams, with_repeats

CLIPS = [f"clip{index}" for index in range(10)]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 11])
def test_williams_rows_balance_positions_and_neighbours(n):
    rows = williams(n)
    assert len(rows) == (n if n % 2 == 0 else 2 * n)
    places = Counter((place, item) for row in rows for place, item in enumerate(row))
    neighbours = Counter(pair for row in rows for pair in zip(row, row[1:], strict=False))
    assert len(places) == n * n
    assert len(set(places.values())) == 1
    assert len(neighbours) == n * (n - 1)
    assert len(set(neighbours.values())) == 1


@pytest.mark.parametrize("block", [0, 3])
def test_each_block_of_listeners_hears_every_clip_in_every_position_once(block):
    orders = [_order(number) for number in range(10 * block, 10 * block + 10)]
    places = Counter((place, clip) for order in orders for place, clip in enumerate(order))
    assert set(places.values()) == {1}
    assert len(places) == 100


def test_orders_follow_from_the_seed_and_the_listener_alone():
    assert _order(4) == _order(4)
    assert _order(4) != _order(5)
    assert _order(4) != _order(4, seed=2)
    assert _order(4) != _order(4, name="VAR")
    assert _order(4) != _order(14), "blocks are drawn anew"


def test_a_fixed_order_is_one_for_all_and_not_the_order_of_ids():
    orders = {tuple(_order(number, ordering="fixed")) for number in range(5)}
    assert len(orders) == 1
    assert orders != {tuple(CLIPS)}


def test_two_sets_take_turns():
    orders = [set_order(["UMG", "VAR"], number=number, ordering="counterbalanced") for number in range(4)]
    assert orders == [["UMG", "VAR"], ["VAR", "UMG"]] * 2
    assert set_order(["UMG", "VAR"], number=1, ordering="fixed") == ["UMG", "VAR"]


@pytest.mark.parametrize("number", range(6))
def test_repeats_come_back_later_and_never_at_once(number):
    again = repeated(CLIPS, 2, number=number, seed=1, name="UMG")
    order = with_repeats(CLIPS, again, number=number, seed=1, name="UMG")
    assert len(order) == 12
    twice = [clip for clip, count in Counter(order).items() if count == 2]
    assert len(twice) == 2
    for clip in twice:
        first, second = (place for place, heard in enumerate(order) if heard == clip)
        assert first < 5 <= second
        assert second - first > 1


@pytest.mark.parametrize("size", [2, 3, 4, 5, 10])
def test_any_clips_can_repeat_in_an_order_that_is_not_the_one_they_were_drawn_from(size):
    for number in range(40):
        first = _order(number)[:size]
        second = sorted(first, key=_order(number, name="other").index)
        again = repeated(first, size, number=number, seed=1, name="UMG")
        order = with_repeats(second, again, number=number, seed=1, name="UMG/rating")
        counts = Counter(order)
        assert {clip for clip, count in counts.items() if count == 2} == set(again)
        assert len(again) == size // 2
        assert [clip for clip in dict.fromkeys(order) if clip not in again] == [
            clip for clip in second if clip not in again
        ]
        for clip in again:
            here, there = (place for place, heard in enumerate(order) if heard == clip)
            assert there - here > 1


def test_a_second_pass_is_balanced_by_itself_and_against_the_first():
    sets = {"UMG": CLIPS, "VAR": [f"{clip}v" for clip in CLIPS]}
    build = Build(sets, ["p"], "", "", "wav", "counterbalanced", 7, 0, 2)
    told = [parts(build, number) for number in range(20)]
    assert [phase for phase, _, _ in told[0]] == ["all", "verdict", "verdict", "rating", "rating"]
    ways = Counter(tuple(name for _, name, _ in one[1:]) for one in told)
    assert len(ways) == 4, "each order of the sets in the first pass meets each in the second"
    assert set(ways.values()) == {5}
    for block in (told[:10], told[10:]):
        for phase in ("verdict", "rating"):
            orders = [order for one in block for this, name, order in one if (this, name) == (phase, "UMG")]
            assert set(Counter(place for order in orders for place in enumerate(order)).values()) == {1}
    for one in told:
        passes = {(phase, name): order for phase, name, order in one}
        assert passes["verdict", "UMG"] != passes["rating", "UMG"]
        assert sorted(passes["verdict", "UMG"]) == sorted(passes["rating", "UMG"])


def test_the_same_clips_repeat_in_both_passes():
    build = Build({"UMG": CLIPS}, [], "", "", "wav", "counterbalanced", 7, 3, 2)
    for number in range(20):
        (_, _, first), (_, _, second) = parts(build, number)[1:]
        twice = [{clip for clip, count in Counter(order).items() if count == 2} for order in (first, second)]
        assert twice[0] == twice[1]
        assert len(twice[0]) == 3


def _order(number, *, ordering="counterbalanced", seed=1, name="UMG"):
    return clip_order(CLIPS, number=number, ordering=ordering, seed=seed, name=name)
