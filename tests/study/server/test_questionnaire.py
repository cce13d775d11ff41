"""The questionnaire is defined once: what follows from it, and what a new question touches."""

from __future__ import annotations

from typing import get_args

from next_release import NextRelease
from scripted_listener import answer_all
from tiny_study import make_tiny_study

from analysis import questionnaire, responses
from study import design
from study.store import schema
from study.store.store import Store


def test_fields_stand_in_blocks_of_the_design_and_in_columns_of_the_analysis():
    blocks = {field.block for field in questionnaire.FIELDS if field.block}
    assert blocks == set(get_args(design.Block))
    assert set(questionnaire.NAMES) <= {*responses.REQUIRED, *responses.OPTIONAL}
    assert set(questionnaire.NAMES) <= set(schema.answer.c.keys())
    for field in questionnaire.FIELDS:
        assert field.condition is None or questionnaire.BY_NAME[field.condition[0]].allows(field.condition[1])
        assert set(field.ranked) <= set(field.levels)


ASK = """
import os
import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

from analysis import responses
from study import folder
from study.pages import listener
from study.server.served import VARIABLE
from study.store.answering import Listening
from study.store.protocol import AnswerError
from study.store.store import Store

study = folder.StudyFolder(Path(sys.argv[1]))
os.environ[VARIABLE] = str(study.path)
store = Store.for_folder(study)
assert {row["novelty"] for row in store.answers()} == {None}, "answers of before have none"
token = store.invite("Bo")
listener.token = lambda: token
person = store.find(token)
store.consent(person.id, "v")
store.sound_check(person.id, "headphones")
store.claim(person.id, "T")
slot = store.find(token).step.slot
heard = Listening(plays=1, seconds_heard=1.2, seconds_played=1.2, spans=((0.0, 1.2),), unlocked=True)
store.show(person.id, slot)
answer = {"verdict": "real", "musicality": 5, "inspiring": "no"}
saved = store.save(person.id, slot, tab="T", changes=answer, listening=heard, press="early")
assert saved.missing == ("novelty",), saved
page = AppTest.from_file(str(Path(listener.__file__).with_name("router.py")), default_timeout=120).run()
tab = store.find(token).tab
page.session_state[f"next-{slot}"] = {"press": "on the page"}
page.run()
assert not page.exception
assert any("the novelty" in one.body for one in page.get("html")), "what is owed is said"
names = [one.key.split("-")[0] for one in page.segmented_control]
assert names == ["verdict", "difficulty", "musicality", "novelty", "inspiring"], names
try:
    store.save(person.id, slot, tab=tab, changes={"novelty": 6})
    raise SystemExit("a level off the scale was taken")
except AnswerError as error:
    assert "1, 2, 3, 4, 5" in str(error)
page.segmented_control(key=f"novelty-{slot}").set_value(4).run()
assert store.show(person.id, slot).fields["novelty"] == 4
page.session_state[f"next-{slot}"] = {"press": "again"}
page.run()
rows = store.answers(practice=True)
assert [row["novelty"] for row in rows if row["listener"] == "Bo"] == [4]
frame = responses.founding().assign(novelty=3)
assert responses.load(frame.drop(columns="repeat"))["novelty"].dtype == "Int64"
try:
    responses.load(frame.drop(columns="repeat").assign(novelty=9))
    raise SystemExit("a table with a level off the scale was taken")
except responses.ResponsesError as error:
    assert error.column == "novelty"
"""


def test_a_new_question_takes_a_field_its_words_and_a_migration(tmp_path):
    """On a copy of the program, with a study that is under way in this one."""
    study = make_tiny_study(tmp_path / "study")
    store = Store.for_folder(study)
    person = store.find(store.invite("Ann"))
    store.claim(person.id, "T")
    store.consent(person.id, "v")
    store.sound_check(person.id, "headphones")
    answer_all(store, "Ann")
    assert store.answers()
    store.close()
    release = NextRelease(tmp_path / "release")
    done = release.run(ASK, study.path)
    assert done.returncode == 0, done.stderr.decode()
