from __future__ import annotations

from collections import Counter

import pytest

from study.room.orders import clip_order, set_order, williams, with_repeats

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
    order = with_repeats(CLIPS, 2, number=number, seed=1, name="UMG")
    assert len(order) == 12
    twice = [clip for clip, count in Counter(order).items() if count == 2]
    assert len(twice) == 2
    for clip in twice:
        first, second = (place for place, heard in enumerate(order) if heard == clip)
        assert first < 5 <= second
        assert second - first > 1


def _order(number, *, ordering="counterbalanced", seed=1, name="UMG"):
    return clip_order(CLIPS, number=number, ordering=ordering, seed=seed, name=name)
