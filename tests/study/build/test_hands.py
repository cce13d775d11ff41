"""Which clips stand side by side: how often each is heard, which stands first, and what hands give away."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from study.build import pairs


def rows(real: int, fake: int, sources: int = 1) -> list[dict[str, str]]:
    kinds = [("real", n) for n in range(real)] + [("fake", n) for n in range(fake)]
    return [
        {
            "stimulus_id": f"{truth[0]}{n}",
            "truth": truth,
            "source": f"song {n % sources}",
            "backend": "original" if truth == "real" else "caw",
            "epochs": "" if truth == "real" else str(750 * (1 + n % 2)),
            "run": "",
        }
        for truth, n in kinds
    ]


def hands(clips, question, count, seed=1):
    return pairs.of_set(clips, question, count, np.random.default_rng(seed))


@pytest.mark.parametrize(("real", "fake", "count"), [(3, 8, 3), (8, 8, 8), (3, 8, 7), (2, 3, 6), (1, 1, 1)])
def test_a_pair_of_one_real_clip_and_real_ones_come_again_no_oftener_than_fakes(real, fake, count):
    for hand in hands(rows(real, fake), "real", count):
        assert len({frozenset(pair) for pair in hand}) == count
        assert all({clip[0] for clip in pair} == {"r", "f"} for pair in hand)
        heard = Counter(clip for pair in hand for clip in pair)
        kinds = [[times for clip, times in heard.items() if clip[0] == kind] for kind in "rf"]
        assert max(kinds[0]) - max(kinds[1]) in (-1, 0, 1)
        if count <= min(real, fake):
            assert set(heard.values()) == {1}, "a clip that comes again would be known again"


def test_the_real_clip_stands_first_in_half_of_a_hand():
    for hand in hands(rows(8, 8), "real", 8):
        assert sum(first[0] == "r" for first, _ in hand) == 4
    odd = [sum(first[0] == "r" for first, _ in hand) for hand in hands(rows(5, 5), "real", 5)]
    assert set(odd) == {2, 3}


def test_over_all_hands_every_clip_is_heard_as_often_as_any_other_of_its_kind():
    heard = Counter(clip for hand in hands(rows(3, 8), "real", 3) for pair in hand for clip in pair)
    assert {heard[f"r{n}"] for n in range(3)} == {24}
    assert {heard[f"f{n}"] for n in range(8)} == {9}
    heard = Counter(clip for hand in hands(rows(0, 8), "inspiring", 4) for pair in hand for clip in pair)
    assert set(heard.values()) == {24}


def test_clips_of_one_source_stand_together():
    for hand in hands(rows(4, 8, sources=2), "real", 4):
        assert all(int(one[1:]) % 2 == int(other[1:]) % 2 for one, other in hand)


def test_two_machine_made_clips_are_rather_of_different_epochs():
    for hand in hands(rows(0, 8), "inspiring", 4):
        assert all(int(one[1:]) % 2 != int(other[1:]) % 2 for one, other in hand)
        assert len({clip for pair in hand for clip in pair}) == 8


def test_the_same_seed_gives_the_same_hands():
    clips = rows(3, 8)
    assert hands(clips, "real", 3) == hands(clips, "real", 3) != hands(clips, "real", 3, seed=2)
