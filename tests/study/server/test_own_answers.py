"""Answers to a study's own questions in the database: saved with the rest, checked, exported."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from scripted_listener import ANSWER, WHOLE, answer_all, ready

from study.design.own_questions import OwnQuestion
from study.store import own_answers, schema
from study.store.answering import OtherTab
from study.store.protocol import AnswerError, Page, Stations

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
FEEL = OwnQuestion(name="feel", ask="clip", kind="scale", text="How does it feel?", low=1, high=7)
USES = OwnQuestion(name="uses", ask="clip", kind="choices", text="For what?", options=("Riff", "Fill"))
NOTE = OwnQuestion(name="note", ask="clip", kind="text", text="Why?", when={"feel": [6, 7]})
CLIP = (FEEL, USES, NOTE)
PLAYS = OwnQuestion(name="plays", ask="before", kind="choice", text="Do you play?", options=("Yes", "No"))
YEARS = OwnQuestion(name="years", ask="before", kind="number", text="Years?", when={"plays": "Yes"}, min=0)
BEFORE = (PLAYS, YEARS)
WISH = OwnQuestion(name="wish", ask="end", kind="text", text="A wish?")


def save(store, person, slot, press=None, **further):
    changes = ANSWER if press else {}
    return store.save(
        person, slot, tab="T", changes=changes, listening=WHOLE, press=press, further=further, questions=CLIP
    )


@BOTH
def test_an_answer_is_final_only_with_what_the_study_itself_asks(store):
    person = ready(store, practice=[])
    store.begin_part(person, 1)
    store.show(person, 0)
    assert save(store, person, 0, "1").missing == ("clip_feel", "clip_uses")
    assert save(store, person, 0, feel=7, uses=["Fill", "Riff"], note=" so\x00 good ").revision == 2
    assert store.show(person, 0).further == {"feel": 7, "uses": ["Riff", "Fill"], "note": "so good"}
    assert save(store, person, 0, feel=3).missing == (), "a note is asked of 6 and 7 alone, and is optional"
    assert store.show(person, 0).further == {"feel": 3, "uses": ["Riff", "Fill"]}
    assert save(store, person, 0, "2").final
    with store.engine.connect() as connection:
        revisions = connection.execute(sa.select(schema.revision.c.changes)).scalars().all()
    assert revisions[0] == ANSWER
    assert revisions[1] == {"further": {"feel": 7, "uses": ["Riff", "Fill"], "note": "so good"}}
    assert revisions[2:] == [{"further": {"feel": 3, "note": None}}, {}]


def test_what_a_page_does_not_offer_is_refused_and_nothing_of_it_kept(store):
    person = ready(store, practice=[])
    store.show(person, 0)
    for further in ({"feel": 8}, {"other": 1}, {"uses": "Riff"}):
        with pytest.raises(AnswerError):
            save(store, person, 0, **further)
    assert store.show(person, 0).further == {}
    assert store.show(person, 0).revision == 0


def test_two_passes_ask_each_question_in_its_own(store):
    first = FEEL.model_copy(update={"phase": "verdict"})
    person = ready(store, practice=[], passes=2, stimuli={"UMG": ["aaaaaaaa", "bbbbbbbb"]})
    store.begin_part(person, 1)
    for slot in range(4):
        phase = store.show(person, slot).phase
        rated = {"musicality": 5, "inspiring": "no"}
        changes, further = ({"verdict": "real"}, {"feel": slot + 1}) if phase == "verdict" else (rated, {})
        further = further or {"uses": ["Riff"]}
        saved = store.save(
            person, slot, tab="T", changes=changes, listening=WHOLE, press=f"{slot}", further=further,
            questions=(first, USES),
        )  # fmt: skip
        assert saved.final, saved.missing
        if slot == 1:
            assert [row["clip_feel"] for row in store.answers()] == [1, 2]
            store.begin_part(person, 2)
    assert [(row["clip_feel"], row["clip_uses"]) for row in store.answers()] == [(1, "Riff"), (2, "Riff")]


@BOTH
def test_the_page_before_the_study_is_left_when_it_is_complete(store):
    person = ready(store)
    store.served_stations = Stations(before=True)
    token = store.invite("Ann")
    assert store.find(token).step.page is Page.BEFORE
    assert store.find(token).step.stage == "questions before the study"
    own_answers.save(
        store.engine, person, tab="T", place="before", questions=BEFORE, changes={"plays": "Yes"}
    )
    assert not own_answers.leave(store.engine, person, tab="T", questions=BEFORE)
    assert store.find(token).step.page is Page.BEFORE
    own_answers.save(store.engine, person, tab="T", place="before", questions=BEFORE, changes={"years": 12})
    assert own_answers.saved(store.engine, person, "before") == {"plays": "Yes", "years": 12}
    own_answers.save(store.engine, person, tab="T", place="before", questions=BEFORE, changes={"plays": "No"})
    assert own_answers.saved(store.engine, person, "before") == {"plays": "No"}, "years are asked no more"
    with pytest.raises(OtherTab):
        own_answers.leave(store.engine, person, tab="another", questions=BEFORE)
    assert own_answers.leave(store.engine, person, tab="T", questions=BEFORE)
    assert store.find(token).step.page is Page.PRACTICE
    own_answers.save(
        store.engine, person, tab="T", place="before", questions=BEFORE, changes={"plays": "Yes"}
    )
    assert own_answers.saved(store.engine, person, "before") == {"plays": "No"}, "what was sent stays"


@BOTH
def test_the_export_repeats_them_beside_each_answer(store):
    person = ready(store)
    own_answers.save(
        store.engine, person, tab="T", place="before", questions=BEFORE, changes={"plays": "Yes", "years": 2}
    )
    own_answers.save(
        store.engine, person, tab="T", place="end", questions=(WISH,), changes={"wish": "more \u266b"}
    )
    answer_all(store, "Ann", 2)
    assert [row["listener"] for row in store.answers()] == []
    store.show(person, 1)
    save(store, person, 1, "first", feel=6, uses=["Fill", "Riff"])
    answer_all(store, "Ann", 1)
    ready(store, "Bo")
    answer_all(store, "Bo")
    rows = store.answers()
    assert list(rows[0])[-5:] == ["before_plays", "before_years", "end_wish", "clip_feel", "clip_uses"]
    assert [list(row.values())[-5:] for row in rows[:2]] == [
        ["Yes", 2, "more \u266b", 6, "Riff; Fill"],
        ["Yes", 2, "more \u266b", None, None],
    ]
    assert {tuple(list(row.values())[-5:]) for row in rows[2:]} == {(None,) * 5}, "nobody else's"


def test_without_own_questions_there_is_no_column_more(store):
    ready(store)
    answer_all(store, "Ann")
    assert not [name for name in store.answers()[0] if name.startswith(("before_", "clip_", "end_"))]
