"""In which order each listener hears the clips. Pure and seeded: the same listener number, the same order.

Within a set the orders follow a Williams design (E. J. Williams, "Experimental designs balanced for the
estimation of residual effects of treatments", 1949): over a block of listeners every clip stands in every
position equally often and follows every other clip equally often. A block is n listeners for an even number n
of clips and 2 n for an odd one. Each block is relabelled and shuffled anew, so no listener's place in a block
says anything. The order of the sets takes turns in the same way.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def set_order(sets: Sequence[str], *, number: int, ordering: str) -> list[str]:
    """The order of the sets for listener `number` (0, 1, 2, ...): with two sets, AB and BA take turns."""
    if ordering == "fixed" or len(sets) < 2:
        return list(sets)
    rows = williams(len(sets))
    return [sets[index] for index in rows[number % len(rows)]]


def clip_order(clips: Sequence[str], *, number: int, ordering: str, seed: int, name: str) -> list[str]:
    """The order of one set's clips for listener `number`; `name` is the set's, so that sets differ.

    With ordering "fixed" all listeners hear one and the same seeded order.
    """
    if ordering == "fixed" or len(clips) < 2:
        return _shuffled(clips, seed, name)
    rows = williams(len(clips))
    block, row = divmod(number, len(rows))
    labels = _shuffled(clips, seed, name, "labels", block)
    rows = _shuffled(rows, seed, name, "rows", block)
    return [labels[index] for index in rows[row]]


def with_repeats(clips: Sequence[str], repeats: int, *, number: int, seed: int, name: str) -> list[str]:
    """The order with some clips heard again later, to see how consistent a listener is.

    The repeated clips are drawn from the first half and come back, in another order, in the second half, with
    at least one other clip between.

    Returns the longer order; a clip's second occurrence is the repeat. At most half of the clips repeat.
    """
    half = len(clips) // 2
    again = _shuffled(clips[:half], seed, name, "repeats", number)[:repeats]
    order = list(clips)
    dice = random.Random(f"{seed}/{name}/places/{number}")
    for clip in again:
        order.insert(dice.randint(min(len(order), half + 1), len(order)), clip)
    return order


def williams(n: int) -> list[list[int]]:
    """Rows of a Williams design for n treatments: n rows for an even n, 2 n for an odd one."""
    first = [0]
    low, high = 1, n - 1
    while low <= high:
        first.append(low)
        if low != high:
            first.append(high)
        low, high = low + 1, high - 1
    rows = [[(index + shift) % n for index in first] for shift in range(n)]
    if n % 2:
        rows += [row[::-1] for row in rows]
    return rows


def _shuffled(items: Sequence, *seeds: object) -> list:
    mixed = list(items)
    random.Random("/".join(str(seed) for seed in seeds)).shuffle(mixed)
    return mixed
