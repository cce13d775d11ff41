"""Which clips of a set stand side by side in the paired task. Made by the build, which holds the key.

A *hand* is what one listener hears of a set under one question: pairs of ids, in the order in which they
stand. Some hands are made and registered; listeners take turns with them (`study.store.pairs` deals), every
second time with first and second exchanged. Hands say which ids stand together and nothing else.

Within a hand every clip is heard as rarely as possible. Of a real and a machine-made clip both come equally
often: else a clip that comes again would be known for one of those of which there are few. Over all hands
clips and pairs come up equally often. Real and machine-made clips of one source stand together where the set
has them; of two machine-made ones rather those that were made in different ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from study.backends import seed_for
from study.design import Design
from study.design.pairs import INSPIRING, REAL
from study.folder import PRACTICE

HANDS = 24  # of each set and question; listeners beyond them begin anew
Pair = list[str]  # [first id, second id]
WAYS = ("backend", "epochs", "run", "plan", "strength")  # in which clips can be made differently


def hands(design: Design, rows: Sequence[Mapping[str, str]]) -> list[dict] | None:
    """Every hand of a study; None where its task is another one.

    Parameters
    ----------
    design : Design
        The study's settings.
    rows : sequence of mapping
        Those of the key.

    Returns
    -------
    list of dict or None
        With set, question and hands (a list of hands), in the order in which questions are asked.
    """
    if design.listening.task != "paired":
        return None
    dealt = []
    for question, count in ((REAL, design.pairs.real), (INSPIRING, design.pairs.inspiring)):
        for name in design.sets:
            clips = sorted((row for row in rows if row["set"] == name), key=lambda row: row["stimulus_id"])
            if count:
                dice = np.random.default_rng(seed_for(design.study.seed, "pairs", f"{name}/{question}"))
                dealt.append(
                    {"set": name, "question": question, "hands": of_set(clips, question, count, dice)}
                )
    trying = [row for row in rows if row["set"] == PRACTICE]
    asked = list(dict.fromkeys(one["question"] for one in dealt))
    for question in asked:
        if pairs := _practice(trying, question, asked):
            dealt.append({"set": PRACTICE, "question": question, "hands": [pairs]})
    return dealt


def of_set(
    clips: Sequence[Mapping[str, str]], question: str, count: int, dice: np.random.Generator
) -> list[list[Pair]]:
    """Some hands of `count` pairs of one set."""
    real = [row for row in clips if row["truth"] == "real"]
    fake = [row for row in clips if row["truth"] == "fake"]
    left, right = (real, fake) if question == REAL else (fake, fake)
    apart = _apart(left, right, question)
    of_pair = np.zeros((len(left), len(right)))  # how often, over all hands
    result = []
    for _ in range(HANDS):
        chosen = _hand(apart, of_pair, question, count, dice)
        swapped = _sides(chosen, question, dice)
        hand = [
            [left[a]["stimulus_id"], right[b]["stimulus_id"]][:: -1 if turned else 1]
            for (a, b), turned in zip(chosen, swapped, strict=True)
        ]
        result.append(hand)
    return result


def _apart(
    left: Sequence[Mapping[str, str]], right: Sequence[Mapping[str, str]], question: str
) -> np.ndarray:
    """How little each two clips fit together: 0 is best; infinite for a clip and itself."""
    cost = np.zeros((len(left), len(right)))
    for a, one in enumerate(left):
        for b, other in enumerate(right):
            strange = one["source"] != other["source"]
            if question == REAL:
                cost[a, b] = strange
            elif b <= a:
                cost[a, b] = np.inf
            else:
                alike = all((one.get(way) or "") == (other.get(way) or "") for way in WAYS)
                cost[a, b] = 2 * alike + strange
    return cost


def _hand(
    apart: np.ndarray, of_pair: np.ndarray, question: str, count: int, dice: np.random.Generator
) -> list[tuple[int, int]]:
    """Pairs of one hand, as places in the two lists; `of_pair` counts them."""
    rows, columns = np.zeros(apart.shape[0]), np.zeros(apart.shape[1])  # how often in this hand
    free = np.isfinite(apart)
    chosen: list[tuple[int, int]] = []
    for _ in range(count):
        one, other = rows[:, None], columns[None, :]
        if question == REAL:
            over_all = of_pair.sum(1)[:, None] + of_pair.sum(0)[None, :]
        else:
            of_clip = of_pair.sum(0) + of_pair.sum(1)
            over_all = of_clip[:, None] + of_clip[None, :]
        costs = [
            np.maximum(one, other) + abs(one - other) * (question == REAL),
            one + other,
            apart,
            of_pair,
            over_all,
            dice.random(apart.shape),
        ]
        places = np.flatnonzero(free)
        for cost in costs:
            values = np.broadcast_to(cost, apart.shape).ravel()[places]
            places = places[values == values.min()]
        a, b = divmod(int(places[0]), apart.shape[1])
        chosen.append((a, b))
        free[a, b] = False
        of_pair[a, b] += 1
        if question == REAL:
            rows[a] += 1
            columns[b] += 1
        else:
            for place in (a, b):
                rows[place] += 1
                columns[place] += 1
    return chosen


def _sides(chosen: Sequence[tuple[int, int]], question: str, dice: np.random.Generator) -> list[bool]:
    """Which pairs are turned round: half of them, or one less or more, so that no side is the real one's.

    Of two machine-made clips one that has stood first the less often stands first.
    """
    if question == REAL:
        turned = np.arange(len(chosen)) % 2 == dice.integers(2)
        return dice.permutation(turned).tolist()
    firsts: dict[int, int] = {}
    sides = []
    for a, b in chosen:
        lead = firsts.get(a, 0) - firsts.get(b, 0)
        turn = bool(dice.integers(2)) if lead == 0 else lead > 0
        head, tail = (b, a) if turn else (a, b)
        firsts[head], firsts[tail] = firsts.get(head, 0) + 1, firsts.get(tail, 0) - 1
        sides.append(turn)
    return sides


def _practice(rows: Sequence[Mapping[str, str]], question: str, asked: Sequence[str]) -> list[Pair]:
    """One pair to practise a question with: a real and a machine-made clip where there are both."""
    ids = [row["stimulus_id"] for row in sorted(rows, key=lambda row: (row["truth"], row["stimulus_id"]))]
    if len(ids) < 2:
        return []
    fakes = sum(row["truth"] == "fake" for row in rows)
    pair = [ids[0], ids[-1]] if question == REAL or fakes < 2 else ids[:2]
    return [sorted(pair)]
