"""In which order each listener hears the clips. Pure and seeded: the same listener number, the same order.

Within a set the orders follow a Williams design (E. J. Williams, "Experimental designs balanced for the
estimation of residual effects of treatments", 1949): over a block of listeners every clip stands in every
position equally often and follows every other clip equally often. A block is n listeners for an even number n
of clips and 2 n for an odd one. Each block is relabelled and shuffled anew, so no listener's place in a block
says anything. The order of the sets takes turns in the same way. A second pass has orders of its own, drawn
in the same way.

Listener numbers fill the rows of the blocks from the first on. Which number a new listener gets is said in
study.store.listeners: that of the least-filled row, so that whoever is withdrawn unbegun leaves no gap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def set_order(sets: Sequence[str], *, number: int, ordering: str, again: bool = False) -> list[str]:
    """The order of the sets for listener `number` (0, 1, 2, ...): with two sets, AB and BA take turns.

    again: in the second of two passes. Over n x n listeners, n being the rows of the design, each order of
    the first pass meets each of the second equally often.
    """
    if ordering == "fixed" or len(sets) < 2:
        return list(sets)
    rows = williams(len(sets))
    shift = number // len(rows) if again else 0
    return [sets[index] for index in rows[(number + shift) % len(rows)]]


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


def repeated(clips: Sequence[str], repeats: int, *, number: int, seed: int, name: str) -> list[str]:
    """Which clips of an order a listener hears again: `repeats` of its first half, or all that it has."""
    return _shuffled(clips[: len(clips) // 2], seed, name, "repeats", number)[:repeats]


def with_repeats(
    clips: Sequence[str], again: Sequence[str], *, number: int, seed: int, name: str
) -> list[str]:
    """The order with the clips `again` heard twice, to see how consistent a listener is.

    A clip of the first half comes back in the second half. A clip of the second half, as there may be in a
    second pass, which repeats the clips of the first, is heard in the first half already. At least one other
    clip is between.

    Returns the longer order; a clip's second occurrence is the repeat.
    """
    half = len(clips) // 2
    order = list(clips)
    dice = random.Random(f"{seed}/{name}/places/{number}")
    for clip in again:
        if clips.index(clip) < half:
            first = max(half + 1, order.index(clip) + 2)
            order.insert(dice.randint(min(len(order), first), len(order)), clip)
        else:
            order.insert(dice.randrange(half), clip)
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
