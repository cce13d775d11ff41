"""The page of a pair: two players, one question, what is owed, and the way through a study of pairs."""

from __future__ import annotations

import pytest
from listening_page import REPORT, ListeningPage
from streamlit.testing.v1 import AppTest
from test_pairs import PAIRED, answer_all
from tiny_study import make_tiny_study

from study.pages import researcher_data
from study.pages.pair_form import LETTERS
from study.server.server import PAGES
from study.store import pairs
from study.store.protocol import Page


class Ann(ListeningPage):
    """A listener of a study of pairs, past the sound check, and her browser."""

    def hear(self, *letters: str) -> None:
        draft = pairs.show(self.store.engine, self.person.id, self.step.slot)
        for letter, key in zip(LETTERS, draft.keys, strict=True):
            if letter in letters:
                status = {"status": REPORT | {"clip": key[:8]}}
                self.page.session_state[f"player-{letter.lower()}-{self.step.slot}"] = status
        self.page.run()
        assert not self.page.exception

    @property
    def question(self):
        return self.page.segmented_control(key=f"choice-{self.step.slot}")


@pytest.fixture
def ann(tmp_path, serve, monkeypatch):
    def enter(settings: str = PAIRED, language: str = "en") -> Ann:
        folder = tmp_path / "study"
        sizes = {"fakes": 3, "originals": 2, "practice": 2}
        return Ann(
            serve(make_tiny_study(folder, listening=settings, language=language, **sizes)), monkeypatch
        )

    return enter


def test_the_question_opens_when_both_clips_were_heard(ann):
    ann = ann()
    assert "6 pairs of short clips of music, 1.2 seconds each clip" in ann.welcome
    assert "which is real" in ann.welcome
    assert "inspires you more" in ann.welcome
    assert ann.page.title[0].value == "Practice – Pair 1 of 2"
    assert "Clip A" in ann.said()
    assert "Clip B" in ann.said()
    assert ann.question.label == "Which of the two is real?"
    assert ann.question.disabled
    ann.hear("A")
    assert ann.question.disabled
    ann.hear("A", "B")
    assert not ann.question.disabled
    assert ann.question.options == ["A", "B"]
    ann.next()
    assert "Still to answer:</b> which of the two." in ann.said()
    assert ann.page.session_state[f"next-{ann.step.slot}-focus"].startswith("ask-choice@")
    ann.question.set_value("second").run()
    assert "Saved" in ann.said()
    ann.next("2")
    assert ann.page.title[0].value == "Practice – Pair 2 of 2"
    assert ann.question.label == "Which of the two inspires you more?"


def test_a_whole_study_of_pairs(ann):
    ann, asked = ann(), []
    for count in range(40):
        step = ann.step
        if step.page is Page.PAUSE:
            asked.append(ann.said())
            ann.press(f"begin-{step.part}")
        elif step.slot is None:
            break
        else:
            ann.hear("A", "B")
            ann.question.set_value("first").run()
            ann.next(str(count))
    assert ann.step.page is Page.FINAL
    assert len(asked) == 4
    assert "one clip is **real** and the other one **fake**" in asked[0]
    assert "then the question opens" in asked[0]
    assert "inspires you more" in asked[2]
    assert len(ann.store.answers()) == 6


def test_what_was_answered_stands_there_again(ann):
    ann = ann()
    ann.hear("A", "B")
    ann.question.set_value("second").run()
    fresh = AppTest.from_file(str(PAGES), default_timeout=120).run()
    question = fresh.segmented_control(key="choice-0")
    assert question.value == "second"
    assert not question.disabled


def test_pairs_in_german_without_comments_and_without_the_gate(ann):
    ann = ann(PAIRED.replace("[pairs]", "play_to_end = false\n[pairs]\ncomment = false"), "de")
    assert ann.page.title[0].value == "Übung – Paar 1 von 2"
    assert ann.question.label == "Welcher der beiden Clips ist echt?"
    ann.question.set_value("first").run()
    ann.next()
    assert ann.step.slot == 1
    assert "comment-0" not in ann.page.session_state


def test_the_researcher_sees_who_always_takes_one_side(ann):
    ann = ann()
    answer_all_of(ann)
    table = researcher_data.quality(ann.store.answers())
    assert table.to_dict("records")[0]["look at"].endswith("one side")
    assert table["plays"].tolist() == [1.0]


def answer_all_of(ann: Ann) -> None:
    ann.store.claim(ann.person.id, "T")
    answer_all(ann.store, "Ann")
