"""The paired task from the build to the export: who hears which pairs, and what is saved."""

from __future__ import annotations

from collections import Counter

import pytest
from postgres import both
from scripted_listener import WHOLE
from tiny_study import make_tiny_study

from study.folder import StudyFolder
from study.store import pairs
from study.store.answering import Listening, OtherTab, StoreError
from study.store.protocol import AnswerError, Page
from study.store.store import Store

PAIRED = 'task = "paired"\n[pairs]\nreal = 2\ninspiring = 1\n'
HANDS = [
    {"set": "UMG", "question": "real", "hands": [[["aa", "bb"], ["cc", "dd"]], [["aa", "dd"], ["cc", "bb"]]]},
    {"set": "VAR", "question": "real", "hands": [[["ee", "ff"]]]},
    {"set": "UMG", "question": "inspiring", "hands": [[["bb", "dd"]]]},
    {"set": "practice", "question": "real", "hands": [[["gg", "hh"]]]},
]
BUILD = {
    "stimuli": {"UMG": ["aa", "bb", "cc", "dd"], "VAR": ["ee", "ff"]},
    "practice": ["gg", "hh"],
    "key_sha256": "ab" * 32,
    "design_digest": "cd" * 32,
    "file_format": "wav",
    "pairs": HANDS,
}
BOTH = {"first": WHOLE, "second": WHOLE}


def ready(store: Store, name: str = "Ann", *, pilot: bool = False) -> int:
    """A listener past the sound check, who writes from tab "T"."""
    store.register_build(**BUILD)
    person = store.find(store.invite(name, pilot=pilot))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    return person.id


def answer_all(
    store: Store, name: str, choice: str = "first", stop: int = 100, *, pilot: bool = False
) -> None:
    token = store.invite(name, pilot=pilot)
    for count in range(stop):
        person = store.find(token)
        if person.step.page is Page.PAUSE:
            store.begin_part(person.id, person.step.part)
        elif person.step.slot is None:
            return
        else:
            slot = person.step.slot
            pairs.show(store.engine, person.id, slot)
            pairs.save(
                store.engine,
                person.id,
                slot,
                tab="T",
                changes={"choice": choice},
                listening=BOTH,
                press=f"press {count}",
            )


@both
def test_listeners_take_turns_with_hands_and_then_hear_first_what_was_second(store):
    for number in range(4):
        ready(store, f"L{number}")
        answer_all(store, f"L{number}")
    heard = {}
    for row in store.answers():
        if (row["set"], row["question"]) == ("UMG", "real"):
            heard.setdefault(row["listener"], set()).add((row["first_id"], row["second_id"]))
    assert heard == {
        "L0": {("aa", "bb"), ("cc", "dd")},
        "L1": {("aa", "dd"), ("cc", "bb")},
        "L2": {("bb", "aa"), ("dd", "cc")},
        "L3": {("dd", "aa"), ("bb", "cc")},
    }


@both
def test_all_of_a_question_is_asked_before_the_next_begins(store):
    ready(store)
    stages = []
    token = store.invite("Ann")
    for _ in range(20):
        step = store.find(token).step
        stages.append((step.stage, step.question))
        answer_all(store, "Ann", stop=1)
        if step.page is Page.FINAL:
            break
    assert stages == [
        ("practice 1 of 1", "real"),
        ("before part 1 of 3", "real"),
        ("part 1 of 3, pair 1 of 2", "real"),
        ("part 1 of 3, pair 2 of 2", "real"),
        ("before part 2 of 3", "real"),
        ("part 2 of 3, pair 1 of 1", "real"),
        ("before part 3 of 3", "inspiring"),
        ("part 3 of 3, pair 1 of 1", "inspiring"),
        ("final questions", ""),
    ]
    assert store.save_final(store.find(token).id, tab="T", questions=["a"], texts={1: "b"}, finish=True)
    assert store.find(token).step.page is Page.DONE
    [row] = store.listeners()
    assert (row.answered, row.total, row.stage) == (4, 4, "finished")


@both
def test_an_answer_grows_and_is_final_once(store):
    ann, engine = ready(store), store.engine
    draft = pairs.show(engine, ann, 0)
    assert (draft.question, draft.fields, draft.heard) == ("real", {"choice": None, "comment": None}, False)
    one = {"first": WHOLE}
    saved = pairs.save(engine, ann, 0, tab="T", changes={"choice": "second"}, listening=one, press="1")
    assert (saved.final, saved.missing, saved.pressed) == (False, ("both",), True)
    assert not pairs.save(engine, ann, 0, tab="T", listening={"second": WHOLE}, press="1").final, (
        "pressed once"
    )
    assert pairs.show(engine, ann, 0).heard
    with pytest.raises(OtherTab):
        pairs.save(engine, ann, 0, tab="other", changes={"choice": "first"})
    for changes in ({"choice": "third"}, {"verdict": "real"}):
        with pytest.raises(AnswerError):
            pairs.save(engine, ann, 0, tab="T", changes=changes)
    changes = {"choice": "first", "comment": " the hum\x00 "}
    assert pairs.save(engine, ann, 0, tab="T", changes=changes, press="2").final
    assert pairs.save(engine, ann, 0, tab="T", changes={"choice": "second"}).final
    assert pairs.show(engine, ann, 0).fields == {"choice": "first", "comment": "the hum"}
    with pytest.raises(StoreError, match="not shown"):
        pairs.save(engine, ann, 1, tab="T", changes={"choice": "first"})
    pairs.show(engine, ann, 2)
    with pytest.raises(StoreError, match="not the next"):
        pairs.save(engine, ann, 2, tab="T", changes={"choice": "first"})


@both
def test_each_clip_of_a_pair_has_a_key_of_its_own_and_reports_of_its_own(store):
    ann = ready(store)
    token, bo = store.invite("Ann"), store.invite("Bo")
    draft = pairs.show(store.engine, ann, 0)
    clips = [store.clip(key, token) for key in draft.keys]
    assert {clip.stimulus_id for clip in clips} == {"gg", "hh"}
    assert [clip.side for clip in clips] == ["first", "second"]
    assert store.clip(draft.keys[0], bo) is None
    part = Listening(plays=1, seconds_heard=0.7, seconds_played=0.9, spans=((0.0, 0.7),), unlocked=True)
    assert store.log_play(clips[1], "unlocked", listening=part, position_seconds=0.7)
    first, second = pairs.show(store.engine, ann, 0).listening
    assert (first.seconds_heard, second.seconds_heard, second.unlocked) == (0.0, 0.7, False)


@both
def test_pilots_and_practice_count_nowhere_and_answers_fix_the_pairs(store):
    ready(store, "Pip", pilot=True)
    answer_all(store, "Pip", pilot=True)
    ready(store)
    answer_all(store, "Ann", stop=1)  # practice alone
    assert store.answers() == []
    assert not store.has_answers()
    other = [HANDS[0] | {"hands": [[["aa", "bb"]]]}, *HANDS[1:]]
    store.register_build(**BUILD | {"pairs": other})
    assert store.answers(pilot=True) == [], "they went with the pairs they were given to"
    answer_all(store, "Ann", choice="second")
    rows = store.answers()
    assert {row["choice"] for row in rows} == {"second"}
    assert rows[0]["first_seconds_heard"] == 1.2
    assert rows[0]["response_seconds"] >= 0
    for pairs_now in (HANDS, None):
        with pytest.raises(StoreError, match="so pairs may not change"):
            store.register_build(**BUILD | {"pairs": pairs_now})
    store.register_build(**BUILD | {"pairs": other, "design_digest": "ef" * 32})


def test_pairs_of_other_clips_are_refused(store):
    for pairs_now in (
        [HANDS[0] | {"hands": [[["aa", "ee"]]]}],
        [],
        [HANDS[3]],
        [HANDS[0] | {"question": "x"}],
    ):
        with pytest.raises(StoreError):
            store.register_build(**BUILD | {"pairs": pairs_now})
    assert store.build() is None


def test_a_backup_holds_pairs_and_their_answers(store, tmp_path):
    ready(store)
    answer_all(store, "Ann")
    store.backup(tmp_path / "copy.sqlite")
    copy = Store(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    assert copy.answers() == store.answers() != []
    copy.close()


def test_a_built_study_deals_from_its_sets(tmp_path):
    study = make_tiny_study(tmp_path / "study", fakes=3, originals=2, practice=2, listening=PAIRED)
    store = Store.for_folder(study)
    person = store.find(store.invite("Ann"))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    answer_all(store, "Ann")
    rows = store.answers(practice=True)
    assert Counter((row["set"], row["question"]) for row in rows) == {
        ("practice", "real"): 1,
        ("practice", "inspiring"): 1,
        ("UMG", "real"): 2,
        ("VAR", "real"): 2,
        ("UMG", "inspiring"): 1,
        ("VAR", "inspiring"): 1,
    }
    truth = _truth(study)
    for row in rows:
        kinds = {truth[row["first_id"]], truth[row["second_id"]]}
        if row["set"] != "practice":
            assert kinds == ({"real", "fake"} if row["question"] == "real" else {"fake"})
    store.close()


def _truth(study: StudyFolder) -> dict[str, str]:
    from study import blinding

    return {row["stimulus_id"]: row["truth"] for row in blinding.rows(study)}
