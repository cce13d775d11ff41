from __future__ import annotations

import pickle
import sqlite3

import pytest

from study.store.database_file import DatabaseInUse
from study.store.protocol import (
    MAX_TEXT,
    AnswerError,
    Page,
    Slot,
    State,
    clean,
    missing,
    next_step,
    settle,
)


def _state(done: int = 0, **changes) -> State:
    """One practice clip and two parts of two clips, the first `done` of them answered."""
    parts = [0, 1, 1, 2, 2]
    places = [1, 1, 2, 1, 2]
    slots = tuple(
        Slot(slot, part, place, slot < done)
        for slot, (part, place) in enumerate(zip(parts, places, strict=True))
    )
    return State(slots, **{"consented": True, "sound_checked": True, **changes})


def test_the_whole_way_in_order():
    way = [
        (_state(consented=False, sound_checked=False), Page.WELCOME, "welcome"),
        (_state(sound_checked=False), Page.SOUND_CHECK, "sound check"),
        (_state(), Page.PRACTICE, "practice 1 of 1"),
        (_state(1), Page.PAUSE, "before part 1 of 2"),
        (_state(1, part_begun=1), Page.CLIP, "part 1 of 2, clip 1 of 2"),
        (_state(2, part_begun=1), Page.CLIP, "part 1 of 2, clip 2 of 2"),
        (_state(3, part_begun=1), Page.PAUSE, "before part 2 of 2"),
        (_state(3, part_begun=2), Page.CLIP, "part 2 of 2, clip 1 of 2"),
        (_state(5, part_begun=2), Page.FINAL, "final questions"),
        (_state(5, part_begun=2, finished=True), Page.DONE, "finished"),
    ]
    for state, page, stage in way:
        step = next_step(state)
        assert (step.page, step.stage) == (page, stage)
    assert [next_step(_state(done)).answered for done in range(6)] == [0, 0, 1, 2, 3, 4]


def test_practice_is_not_counted_and_may_be_absent():
    state = State(tuple(slot for slot in _state().slots if slot.part), consented=True, sound_checked=True)
    assert next_step(_state()).total == next_step(state).total == 4
    assert next_step(state).page is Page.PAUSE


def test_a_withdrawn_link_leads_nowhere_but_a_finished_listener_stays_finished():
    assert next_step(_state(2, closed=True)).page is Page.CLOSED
    assert next_step(State(())).page is Page.CLOSED
    assert next_step(_state(5, closed=True, finished=True)).page is Page.DONE


def test_missing_fields_depend_on_the_answer():
    assert missing({}, heard=False) == ["heard", "verdict", "musicality", "inspiring"]
    real = {"verdict": "real", "musicality": 0, "inspiring": "no"}
    assert missing(real, heard=True) == []
    assert missing(real | {"verdict": "fake"}, heard=True) == ["difficulty"]
    other = real | {"inspiring": "other", "inspiring_text": "  "}
    assert missing(other, heard=True) == ["inspiring_text"]
    assert missing(other | {"inspiring_text": "the bass"}, heard=True) == []


def test_missing_fields_are_those_of_the_phase():
    assert missing({}, heard=True, phase="verdict") == ["verdict"]
    assert missing({"verdict": "fake"}, heard=True, phase="verdict") == ["difficulty"]
    assert missing({"verdict": "real"}, heard=True, phase="verdict") == []
    assert missing({}, heard=False, phase="rating", confidence=True) == ["heard", "musicality", "inspiring"]
    asked = missing({}, heard=True, confidence=True)
    assert asked == ["verdict", "confidence", "musicality", "inspiring"]
    assert missing({"verdict": "real", "confidence": 1}, heard=True, phase="verdict", confidence=True) == []


def test_a_phase_refuses_the_fields_of_the_other():
    assert settle({"verdict": "real"}, phase="verdict") == {"verdict": "real", "difficulty": None}
    assert settle({"kept": True, "comment": " x "}, phase="rating") == {"kept": True, "comment": "x"}
    for phase, field in (("verdict", "kept"), ("verdict", "comment"), ("rating", "confidence")):
        with pytest.raises(AnswerError, match=field):
            settle({field: True}, phase=phase)


def test_two_passes_go_on_from_part_to_part():
    """Two sets make four parts, the second half of them with the other questions."""
    places = [(0, 1, "all"), (1, 1, "verdict"), (2, 1, "verdict"), (3, 1, "rating"), (4, 1, "rating")]
    met = []
    for done in range(5):
        slots = tuple(
            Slot(slot, part, place, slot < done, phase) for slot, (part, place, phase) in enumerate(places)
        )
        step = next_step(State(slots, consented=True, sound_checked=True, part_begun=done))
        met.append((step.page, step.phase, step.stage))
    assert met == [
        (Page.PRACTICE, "all", "practice 1 of 1"),
        (Page.CLIP, "verdict", "part 1 of 4, clip 1 of 1"),
        (Page.CLIP, "verdict", "part 2 of 4, clip 1 of 1"),
        (Page.CLIP, "rating", "part 3 of 4, clip 1 of 1"),
        (Page.CLIP, "rating", "part 4 of 4, clip 1 of 1"),
    ]
    paused = next_step(State(slots, consented=True, sound_checked=True, part_begun=3))
    assert (paused.page, paused.phase, paused.stage) == (Page.PAUSE, "rating", "before part 4 of 4")


def test_settling_keeps_fields_in_agreement():
    assert settle({"verdict": "real", "difficulty": "easy"}) == {"verdict": "real", "difficulty": None}
    assert settle({"inspiring": "yes"}) == {"inspiring": "yes", "inspiring_text": None}
    assert settle({"verdict": None})["difficulty"] is None
    assert settle({"comment": " good\x00 "}) == {"comment": "good"}


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "maybe"},
        {"musicality": 11},
        {"musicality": -1},
        {"musicality": True},
        {"musicality": "5"},
        {"musicality": 2.5},
        {"inspiring": "YES"},
        {"truth": "real"},
        {"confidence": 0},
        {"confidence": 6},
        {"confidence": True},
        {"kept": "yes"},
        {"kept": None},
    ],
)
def test_impossible_answers_are_refused_by_value(changes):
    with pytest.raises(AnswerError, match=str(next(iter(changes.values())))[:3] + "|truth"):
        settle(changes)


def test_a_refusal_says_what_may_be_answered_and_survives_a_process():
    with pytest.raises(AnswerError) as caught:
        settle({"difficulty": "hard"})
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.problem.what == "difficulty = 'hard'"
    assert error.problem.fix == "it must be one of easy, dont_know, difficult"
    in_use = pickle.loads(pickle.dumps(DatabaseInUse("x is in use", "stop it")))
    assert isinstance(in_use, sqlite3.OperationalError)
    assert str(in_use) == "x is in use; stop it"


def test_texts_keep_what_people_write():
    assert (
        clean("na\u00efve \U0001f469\u200d\U0001f3a4 \u05d0")
        == "na\u00efve \U0001f469\u200d\U0001f3a4 \u05d0"
    )
    assert clean("two\nlines") == "two\nlines"
    assert clean(" \x07\ud800 ") is None
    assert len(clean("x" * 2 * MAX_TEXT)) == MAX_TEXT
