"""Further rounds in the database: on SQLite and PostgreSQL alike."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from study.store.answering import StoreError
from study.store.protocol import Page, Slot, State, next_step
from tests.study.server.postgres import both

FIRST = {"UMG": ["aaaaaaa2", "bbbbbbb2"], "VAR": ["ccccccc2", "ddddddd2"]}
SECOND = {"UMG": ["eeeeeee2", "fffffff2"]}
ANSWER = {"verdict": "real", "musicality": 5, "inspiring": "maybe"}


def register(store, **other):
    settings = {"stimuli": FIRST, "practice": [], "key_sha256": "ab" * 32, "design_digest": "cd" * 32}
    store.register_build(**settings | {"file_format": "wav", "seed": 7} | other)


def take(store, name, *, finish=True):
    """All clips of the round that the listener is in, and its end."""
    person = store.find(store.invite(name))
    store.claim(person.id, "tab")
    store.consent(person.id, "1")
    store.sound_check(person.id, "headphones")
    while (step := store.find(store.invite(name)).step).page in (Page.PAUSE, Page.CLIP):
        if step.page is Page.PAUSE:
            store.begin_part(person.id, step.begins)
            continue
        store.show(person.id, step.slot)
        changes = {key: value for key, value in ANSWER.items() if step.phase != "verdict" or key == "verdict"}
        changes = {key: value for key, value in changes.items() if step.phase != "rating" or key != "verdict"}
        press = f"p{step.slot}"
        assert store.save(
            person.id, step.slot, tab="tab", changes=changes, press=press, require_heard=False
        ).final
    if finish and step.round == 1:
        store.save_final(person.id, tab="tab", questions=["a"], texts={1: "x"}, finish=True)
    elif finish:
        store.save_round(person.id, tab="tab", words="more of it", finish=True)
    return person.id


def more(store, name="Ann", number=2, stimuli=SECOND):
    folder = f"rounds/{number}-{name}"
    store.register_round(name, number=number, stimuli=stimuli, key_sha256="ef" * 32, folder=folder)


@both
def test_of_rounds_that_are_registered_at_once_one_is(store):
    register(store)
    take(store, "Ann")

    def once(_) -> str:
        try:
            more(store)
        except StoreError as error:
            return error.problem.what
        return "registered"

    with ThreadPoolExecutor(6) as threads:
        said = Counter(threads.map(once, range(6)))
    assert said == {"registered": 1, "Ann has not finished round 2": 5}


@both
def test_the_same_link_opens_once_more_and_ends_again(store):
    register(store)
    token = store.invite("Ann")
    ann = take(store, "Ann")
    finished = store.listeners()[0].finished_at
    assert store.find(token).step.page is Page.DONE
    assert store.next_round("Ann") == (ann, 2)
    more(store)
    step = store.find(token).step
    assert (step.page, step.stage, step.begins, step.total) == (
        Page.PAUSE,
        "round 2: before part 1 of 1",
        3,
        2,
    )
    assert store.listeners()[0].awaited
    take(store, "Ann")
    assert store.find(token).step.stage == "finished, 2 rounds"
    assert store.find(token).step.answered == 6
    assert not store.listeners()[0].awaited
    assert store.listeners()[0].finished_at == finished
    (only,) = store.rounds(ann)
    assert (only.number, only.words, only.listener, only.stimuli) == (2, "more of it", "Ann", SECOND)
    assert only.finished_at > finished


@both
def test_answers_say_which_round_they_are_of_once_there_is_one(store):
    register(store)
    take(store, "Ann")
    assert "round" not in store.answers()[0]
    more(store)
    take(store, "Ann")
    rows = store.answers()
    assert [row["round"] for row in rows] == [1, 1, 1, 1, 2, 2]
    assert [(row["set_position"], row["position"]) for row in rows[4:]] == [(1, 1), (1, 2)]
    assert {row["stimulus_id"] for row in rows[4:]} == set(SECOND["UMG"])


@both
def test_two_passes_go_through_a_round_twice(store):
    register(store, passes=2)
    take(store, "Ann")
    more(store, stimuli={"UMG": SECOND["UMG"], "VAR": ["ggggggg2"]})
    assert store.find(store.invite("Ann")).step.parts == 4
    take(store, "Ann")
    rows = [row for row in store.answers() if row["round"] == 2]
    assert sorted(row["set_position"] for row in rows) in ([1, 1, 2], [1, 2, 2])
    assert sorted(row["rating_set_position"] for row in rows) in ([1, 1, 2], [1, 2, 2])
    assert {row["musicality"] for row in rows} == {5}


@both
def test_a_round_is_for_one_listener(store):
    register(store)
    take(store, "Ann")
    take(store, "Ben")
    more(store)
    assert store.find(store.invite("Ben")).step.page is Page.DONE
    assert store.next_round("Ben")[1] == 2


@both
def test_nobody_gets_a_round_who_is_not_ready(store):
    register(store)
    store.invite("Ann")
    with pytest.raises(StoreError, match="nobody named 'Zoe'"):
        store.next_round("Zoe")
    with pytest.raises(StoreError, match="Ann has not finished yet"):
        store.next_round("Ann")
    take(store, "Ann")
    more(store)
    with pytest.raises(StoreError, match="Ann has not finished round 2; a next round is chosen"):
        more(store, number=3)
    take(store, "Ann")
    with pytest.raises(StoreError, match="heard before"):
        more(store, number=3)
    with pytest.raises(StoreError, match="comes to round 3, not 2"):
        more(store, stimuli={"UMG": ["hhhhhhh2"]})
    store.close_study("me")
    with pytest.raises(StoreError, match="closed"):
        more(store, number=3, stimuli={"UMG": ["hhhhhhh2"]})


@both
def test_a_refused_round_leaves_nothing(store):
    register(store)
    take(store, "Ann")
    with pytest.raises(StoreError):
        more(store, stimuli={"UMG": []})
    assert store.rounds() == []
    assert store.find(store.invite("Ann")).step.page is Page.DONE


@both
def test_clips_of_an_open_round_are_not_served_once_the_study_is_closed(store):
    register(store)
    token = store.invite("Ann")
    ann = take(store, "Ann")
    more(store)
    step = store.find(token).step
    store.begin_part(ann, step.begins)
    key = store.show(ann, step.slot).play_key
    assert store.clip(key, token).set_name == "UMG"
    store.close_study("me")
    assert store.clip(key, token) is None
    assert store.find(token).step.page is Page.CLOSED


@both
def test_sets_that_only_pilots_answered_take_their_rounds_with_them(store):
    register(store)
    store.invite("Pia", pilot=True)
    token = store.invite("Pia", pilot=True)
    person = store.find(token)
    store.claim(person.id, "tab")
    store.consent(person.id, "1")
    store.sound_check(person.id, "headphones")
    while (step := store.find(token).step).page is not Page.FINAL:
        if step.page is Page.PAUSE:
            store.begin_part(person.id, step.begins)
            continue
        store.show(person.id, step.slot)
        store.save(person.id, step.slot, tab="tab", changes=ANSWER, press=f"{step.slot}", require_heard=False)
    store.save_final(person.id, tab="tab", questions=[], texts={}, finish=True)
    more(store, name="Pia")
    register(store, key_sha256="12" * 32, stimuli={"UMG": ["kkkkkkk2"]})
    assert store.rounds() == []


def test_steps_of_a_round_are_counted_within_it():
    first = tuple(Slot(n, n, 1, True) for n in (1, 2))
    state = State((*first, Slot(3, 3, 1, False, round=2)), True, True, 3, round=2)
    step = next_step(state)
    assert (step.page, step.part, step.parts, step.total, step.answered) == (Page.CLIP, 1, 1, 1, 0)
