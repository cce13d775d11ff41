"""Which kinds of clips a round holds, and how chords give way to others."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from caw.compose import chords as chord_names
from caw.compose.plan import Plan
from study.languages import words
from study.muse import kinds, rounds
from study.muse.folder import KEPT, NOT_KEPT, Choice
from tests.study.muse.tiny_muse import HEARD

ALL = list(kinds.KINDS)


def test_the_first_round_begins_with_sketches_and_repeats_no_kind():
    made = rounds.first(ALL, 6, seed=1, sketches=True)
    whys = [clip.why for clip in made.clips]
    assert whys == [rounds.EARLY] * 3 + [rounds.FIRST] * 6
    assert len({clip.kind for clip in made.clips}) == 9
    assert len({clip.name for clip in made.clips}) == len({clip.seed for clip in made.clips}) == 9
    assert {clip.why for clip in rounds.first(ALL, 6, seed=1, sketches=False).clips} == {rounds.FIRST}


def test_no_round_asks_for_a_beat_where_none_is_heard():
    possible = kinds.possible(Plan())
    assert {kinds.KINDS[name].form for name in ALL} - {kind.form for kind in possible.values()} == {
        "chords",
        "tempo",
    }
    made = rounds.first(possible, 24, seed=1, sketches=True)
    assert {clip.kind for clip in made.clips} == set(possible)


def test_more_follows_what_was_kept_and_always_holds_something_else():
    """Bridges were kept and all else was not: most of the next are bridges, and a quarter is drawn evenly."""
    first = rounds.first(ALL, 24, seed=1, sketches=False)
    choices = {
        clip.name: Choice(KEPT if kinds.KINDS[clip.kind].form == "bridge" else NOT_KEPT)
        for clip in first.clips
    }
    drawn = [rounds.following(ALL, [first], choices, 12, seed) for seed in range(40)]
    whys = Counter(clip.why for each in drawn for clip in each.clips)
    assert whys == {"sampled": 9 * 40, "fresh": 3 * 40}
    forms = Counter(
        (clip.why, kinds.KINDS[clip.kind].form == "bridge") for each in drawn for clip in each.clips
    )
    assert forms["sampled", True] > forms["sampled", False]
    assert forms["fresh", False] > 3 * forms["fresh", True]
    followed = [clip for each in drawn for clip in each.clips if clip.like]
    assert {clip.why for clip in followed} == {"sampled"}
    assert {kinds.KINDS[clip.kind].form for clip in followed} == {"bridge"}
    bold = {clip.like for clip in followed if clip.kind == "bridge-bold"}
    assert bold == {[clip.name for clip in first.clips if clip.kind == "bridge-bold"][-1]}


def test_the_same_answers_lead_to_the_same_round_and_the_record_says_how():
    first = rounds.first(ALL, 6, seed=1, sketches=False)
    choices = {"1-1": Choice(KEPT), "1-2": Choice(NOT_KEPT), "1-3": Choice("", (), "only a note")}
    one, other = (rounds.following(ALL, [first], choices, 6, 7, press) for press in ("a", "b"))
    assert one.clips == other.clips
    assert sum(row["answers"] for row in one.record["arms"]) == 2, "a note says nothing for the rule"
    assert {clip.name for clip in one.clips} == {f"2-{place}" for place in range(1, 7)}
    assert not {clip.seed for clip in one.clips} & {clip.seed for clip in first.clips}


@pytest.mark.parametrize("seed", range(5))
def test_other_chords_are_others_and_can_be_read(seed):
    bars = [bar.chords for bar in HEARD.bars()]
    chart = kinds.new_chords(bars, np.random.default_rng(seed))
    assert len(chart) == len(bars)
    assert chart != bars
    assert all(chord_names.parse(name) for names in chart for name in names)
    assert kinds.new_chords([("E",)] * 4, np.random.default_rng(seed)) != [("E",)] * 4
    drone = [("Em",), ("Em",), ("A", "Em"), ("Em",), ("Em",), ("Em",)]
    others = kinds.new_chords(drone, np.random.default_rng(seed))
    assert sum(one != other for one, other in zip(drone, others, strict=True)) >= len(drone) / 2


def test_a_clip_lasts_eight_bars_of_the_song_at_its_own_tempo():
    assert kinds.length(HEARD) == pytest.approx(16.0)
    assert kinds.length(HEARD, bpm=240.0) == pytest.approx(8.0)
    assert kinds.length(Plan()) == kinds.USUAL_SECONDS


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_kind_and_every_reason_has_words(language):
    say = words(language)
    assert set(say.group("muse_kind")) == set(kinds.KINDS)
    assert set(say.group("muse_why")) == {rounds.EARLY, rounds.FIRST, "fresh", "like", "open"}
