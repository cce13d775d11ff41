"""The page of `study muse` as Streamlit runs it."""

from __future__ import annotations

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from study.languages import languages
from study.muse.folder import KEPT, NOT_KEPT, Choice, Progress
from study.server import musing
from study.server.server import MUSE_PAGE
from tests.study.muse.tiny_muse import made_folder, make_round, new_folder


@pytest.fixture
def folder(tmp_path):
    """A folder whose first round of three clips is made, served without a worker."""
    here = musing.open_folder(made_folder(tmp_path))
    here.folder.note_progress(Progress("waiting"))
    return here.folder


def opened() -> AppTest:
    page = AppTest.from_file(str(MUSE_PAGE), default_timeout=60).run()
    assert not page.exception
    return page


def components(page: AppTest) -> list[dict]:
    return [json.loads(one.proto.json) for one in page.get("bidi_component")]


def said(page: AppTest) -> str:
    """All that the page shows, without its style."""
    texts = [re.sub(r"<style>.*?</style>", "", one.proto.body, flags=re.DOTALL) for one in page.get("html")]
    return "\n".join([*texts, *(one.value for one in page.error)])


def verdict(page: AppTest, clip: str):
    (one,) = [box for box in page.get("button_group") if box.key.startswith(f"verdict-{clip}-")]
    return one


def test_each_clip_has_its_player_and_says_what_it_is_and_why(folder):
    page = opened()
    players = [data for data in components(page) if "src" in data]
    assert [data["src"] for data in players] == [f"/clip/1-{place}.wav" for place in (1, 2, 3)]
    assert all(data["among"] and data["beacon"] is None for data in players)
    text = said(page)
    kind = "New music in the manner of your song"
    for words in ("Round 1", kind, "To begin with", "120 BPM, 4/4", "Em C G D"):
        assert words in text
    assert not [data for data in components(page) if "again" in data], (
        "nothing is done, so nothing is waited for"
    )


def test_what_is_said_of_a_clip_is_kept_and_taken_back(folder):
    page = opened()
    page = verdict(page, "1-2").set_value(KEPT).run()
    assert folder.choices() == {"1-2": Choice(KEPT)}
    (take,) = [box for box in page.get("button_group") if box.key.startswith("take-1-2")]
    page = take.set_value(["form", "groove"]).run()
    assert folder.choices()["1-2"].take == ("groove", "form")
    page.session_state["note-1-2-0"] = {"text": " the fill "}
    page = page.run()
    assert folder.choices()["1-2"] == Choice(KEPT, ("groove", "form"), "the fill")
    assert "1 kept clip" in said(page)
    page = verdict(page, "1-2").set_value(NOT_KEPT).run()
    assert folder.choices()["1-2"] == Choice(NOT_KEPT, ("groove", "form"), "the fill"), "words are not lost"
    page = verdict(page, "1-2").set_value(None).run()
    assert folder.choices()["1-2"].verdict == ""
    assert "kept clip" not in said(page)


def test_a_tab_that_is_behind_writes_nothing_back(folder):
    one, other = opened(), opened()
    verdict(one, "1-1").set_value(KEPT).run()
    assert folder.choices()["1-1"].verdict == KEPT
    other = other.run()
    assert verdict(other, "1-1").value == KEPT
    assert folder.choices()["1-1"].verdict == KEPT
    verdict(other, "1-1").set_value(NOT_KEPT).run()
    assert verdict(one.run(), "1-1").value == NOT_KEPT


def test_a_press_begins_one_round_whose_clips_come_one_by_one(folder):
    folder.choose("1-1", Choice(KEPT))
    page = opened()
    page.session_state["more"] = {"press": "p1"}
    page = page.run()
    page = page.run()
    assert [each.press for each in folder.rounds()] == ["", "p1"]
    text = said(page)
    assert text.index("Round 2") < text.index("Round 1"), "the newest one is the first"
    assert text.count("To come.") == 3
    assert [data for data in components(page) if "again" in data], "the page looks again by itself"
    (more,) = [data for data in components(page) if data.get("label") == "More like these"]
    assert more["disabled"]
    make_round(folder)
    folder.note_progress(Progress("waiting"))
    assert "To come." not in said(page.run())


def test_older_rounds_are_there_when_asked_for(folder):
    for press in ("p1", "p2"):
        assert musing.musing().ask(press)
        make_round(folder)
    page = opened()
    assert "1-1" not in said(page)
    page = page.toggle(key="open-1").set_value(True).run()
    assert "1-1" in said(page)


def test_the_page_says_how_far_the_training_is(tmp_path):
    folder = new_folder(tmp_path)
    musing.open_folder(folder)
    assert "Starting" in said(opened())
    folder.note_progress(Progress("training", early=True, share=0.25, left=130.0))
    text = said(opened())
    assert "first sketches" in text
    assert "About 2 minutes left." in text
    assert 'aria-valuenow="25"' in text
    folder.note_progress(Progress(problem="the disk is full; free some space"))
    page = opened()
    assert "the disk is full; free some space" in said(page)
    assert not [data for data in components(page) if "again" in data]


def test_a_plan_that_was_edited_into_nonsense_is_named(folder):
    folder.plan.write_text('metre = "four"')
    text = said(opened())
    assert "passage.plan.toml" in text
    assert "'four'" in text


def test_a_songs_name_and_notes_are_words_and_no_code(tmp_path):
    song = "<script>alert(1)</script>"
    folder = made_folder(tmp_path)
    folder.write_settings(folder.settings().model_copy(update={"song": f"{song}.wav"}))
    musing.open_folder(folder)
    folder.choose("1-1", Choice(KEPT, (), song))
    assert "<script>" not in said(opened())


@pytest.mark.parametrize("language", languages())
def test_the_page_speaks_the_language_asked_for(tmp_path, language):
    musing.open_folder(made_folder(tmp_path, language=language))
    text = said(opened())
    assert ("Runde 1" in text) == (language == "de")
    assert ("Round 1" in text) == (language == "en")
