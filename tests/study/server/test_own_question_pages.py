"""The study's own questions on the pages: before the study, of each clip, and with the last questions."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from test_question_pages import Ann
from tiny_study import make_tiny_study

from study.server.server import PAGES
from study.store import own_answers
from study.store.protocol import Page

QUESTIONS = """
[[question]]
name = "plays"
ask = "before"
kind = "choice"
text = "Do you play an instrument?"
options = ["Yes", "No"]

[[question]]
name = "years"
ask = "before"
kind = "number"
text = "For how long?"
unit = "years"
min = 0
max = 80
when = { plays = "Yes" }

[[question]]
name = "which"
ask = "before"
kind = "choices"
text = "Which ones?"
options = ["Guitar", "A *bass* with $5 or 6 strings", "Drums"]
required = false

[[question]]
name = "words"
ask = "before"
kind = "text"
text = "In your own words?"

[[question]]
name = "feel"
ask = "clip"
kind = "scale"
text = "How does it feel?"
low = 1
high = 5
low_label = "stiff"
high_label = "loose"

[[question]]
name = "again"
ask = "end"
kind = "choice"
text = "Would you take part again?"
options = ["Yes", "Perhaps, if it is shorter", "No"]
"""


@pytest.fixture
def study(tmp_path, serve):
    return serve(make_tiny_study(tmp_path / "study", listening=QUESTIONS))


class Asked(Ann):
    def typed(self, key: str, text: str) -> None:
        self.page.session_state[key] = {"text": text}
        self.page.run()

    def saved(self, place: str) -> dict:
        return own_answers.saved(self.store.engine, self.person.id, place)


@pytest.fixture
def ann(study, monkeypatch):
    return Asked(study, monkeypatch)


def test_the_page_before_the_study_saves_as_one_goes_and_says_what_is_owed(ann, study):
    assert ann.step.page is Page.BEFORE
    assert ann.page.title[0].value == "A few questions first"
    at = f"before-{ann.person.id}-before"
    assert not ann.page.number_input, "years depend on playing"
    ann.press("before-next")
    assert "\u201cDo you play an instrument?\u201d." in ann.said()
    assert ann.page.session_state["before-next-focus"].startswith("ask-before_plays@")
    ann.page.segmented_control(key=f"{at}_plays").set_value("Yes").run()
    assert ann.step.page is Page.BEFORE, "the press that came too early does nothing later on"
    assert "\u201cFor how long?\u201d." in ann.said()
    assert ann.page.number_input[0].label == "For how long? (years, 0–80)"
    ann.page.number_input[0].set_value(12).run()
    ann.page.pills[0].set_value(["Drums", "Guitar"]).run()
    ann.typed(f"{at}_words", " since school\x07 ")
    assert ann.saved("before") == {
        "plays": "Yes",
        "years": 12,
        "which": ["Guitar", "Drums"],
        "words": "since school",
    }
    again = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert (again.number_input[0].value, again.segmented_control[0].value) == (12, "Yes")
    assert again.pills[0].value == ["Guitar", "Drums"]
    ann.page = again
    ann.press("before-next", "2")
    assert ann.step.page is Page.PRACTICE


def test_options_are_no_markdown(ann):
    assert ann.page.pills[0].options[1] == "A \\*bass\\* with \\$5 or 6 strings"
    assert ann.page.pills[0].label == "Which ones? (optional, several answers possible)"


def test_an_answer_that_is_taken_back_is_gone(ann):
    at = f"before-{ann.person.id}-before"
    ann.page.segmented_control(key=f"{at}_plays").set_value("Yes").run()
    ann.page.number_input[0].set_value(12).run()
    ann.page.segmented_control(key=f"{at}_plays").set_value("No").run()
    assert ann.saved("before") == {"plays": "No"}
    ann.page.pills[0].set_value(["Drums"]).run()
    ann.page.pills[0].set_value([]).run()
    assert ann.saved("before") == {"plays": "No"}


def test_a_clip_asks_them_too_in_practice_and_when_it_counts(ann):
    _leave(ann)
    while ann.step.page in (Page.PRACTICE, Page.PAUSE, Page.CLIP):
        if ann.step.page is Page.PAUSE:
            ann.press(f"begin-{ann.step.part}")
            continue
        slot = ann.step.slot
        assert ann.page.segmented_control[-1].disabled
        ann.hear()
        ann.choose(verdict="real", musicality=7, inspiring="no")
        assert "1 = stiff" in ann.said()
        if slot == 0:
            ann.next("early")
            assert "\u201cHow does it feel?\u201d." in ann.said()
            assert ann.page.session_state[f"next-{slot}-focus"].startswith("ask-clip_feel@")
        ann.page.segmented_control[-1].set_value(4).run()
        assert ann.draft.further == {"feel": 4}
        ann.next("go on")
    assert ann.step.page is Page.FINAL
    assert {row["clip_feel"] for row in ann.store.answers()} == {4}
    ann.press("finish")
    assert ann.step.page is Page.FINAL
    assert "\u201cWould you take part again?\u201d." in ann.said()
    ann.page.pills[0].set_value("Perhaps, if it is shorter").run()
    assert ann.step.page is Page.FINAL
    ann.press("finish", "2")
    assert ann.step.page is Page.DONE
    assert {row["end_again"] for row in ann.store.answers()} == {"Perhaps, if it is shorter"}


def test_an_answer_that_screens_out_ends_the_study_with_thanks(tmp_path, serve, monkeypatch):
    screening = QUESTIONS.replace(
        'options = ["Yes", "No"]', 'options = ["Yes", "No"]\nscreen_out = ["No"]', 1
    )
    ann = Asked(serve(make_tiny_study(tmp_path / "study", listening=screening)), monkeypatch)
    ann.page.segmented_control(key=f"before-{ann.person.id}-before_plays").set_value("No").run()
    assert ann.step.page is Page.BEFORE, "only Continue sends the answer for good"
    ann.press("before-next")
    assert ann.step.page is Page.SCREENED_OUT
    assert ann.saved("before") == {"plays": "No"}


def test_a_draft_whose_option_was_worded_anew_is_asked_again(ann):
    own_answers.save(
        ann.store.engine,
        ann.person.id,
        tab=ann.person.tab,
        place="before",
        questions=[one.model_copy(update={"options": ("Oui", "Non")}) for one in _before(ann)[:1]],
        changes={"plays": "Oui"},
    )
    ann.page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert not ann.page.exception
    assert ann.page.segmented_control[0].value is None


def _before(ann):
    from study.server.served import served

    return [one for one in served().design.own_questions if one.ask == "before"]


def _leave(ann) -> None:
    at = f"before-{ann.person.id}-before"
    ann.page.segmented_control(key=f"{at}_plays").set_value("No").run()
    ann.press("before-next")
    assert ann.step.page is Page.PRACTICE
