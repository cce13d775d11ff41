"""Each page as Streamlit runs it, without a browser: components are driven by the state they would hold."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy.exc import OperationalError
from streamlit.testing.v1 import AppTest
from tiny_study import TITLE, make_tiny_study

from study.languages import wording
from study.pages import listener
from study.server.server import PAGES
from study.store.protocol import Page


@pytest.fixture
def ann(serving, monkeypatch):
    """Ann's browser, before it has opened anything."""
    token = serving.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    return AppTest.from_file(str(PAGES), default_timeout=120)


def _press(page: AppTest, key: str, press: str = "1") -> AppTest:
    page.session_state[key] = {"press": press}
    return page.run()


def _hear(page: AppTest, key: str, clip: str, *, unlocked: bool = True) -> AppTest:
    page.session_state[key] = {
        "status": {
            "clip": clip,
            "why": "ended",
            "plays": 1,
            "heard": 1.2,
            "played": 1.2,
            "unlocked": unlocked,
        }
    }
    return page.run()


def _person(serving):
    return serving.store.find(serving.store.invite("Ann"))


def _clip(serving) -> tuple[int, str]:
    """The slot Ann is at, and the word her player reports under."""
    person = _person(serving)
    return person.step.slot, serving.store.show(person.id, person.step.slot).play_key[:8]


def _title(page: AppTest) -> str:
    assert not page.exception
    return page.title[0].value


def _said(page: AppTest) -> str:
    return " ".join([one.value for one in page.markdown] + [one.proto.body for one in page.get("html")])


def _to_practice(page: AppTest, serving) -> AppTest:
    page.run()
    person = _person(serving)
    serving.store.consent(person.id, "v")
    serving.store.sound_check(person.id, "headphones")
    return page.run()


def _answer(page: AppTest, serving, verdict: str = "real") -> AppTest:
    slot, clip = _clip(serving)
    _hear(page, f"player-{slot}", clip)
    page.segmented_control(key=f"verdict-{slot}").set_value(verdict).run()
    if verdict == "fake":
        page.segmented_control(key=f"difficulty-{slot}").set_value("easy").run()
    page.segmented_control(key=f"musicality-{slot}").set_value(7).run()
    page.segmented_control(key=f"inspiring-{slot}").set_value("maybe").run()
    return _press(page, f"next-{slot}")


def test_a_stranger_is_asked_for_the_personal_link(serving, monkeypatch):
    monkeypatch.setattr(listener, "token", lambda: None)
    page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert _title(page) == "Please open your personal link"


def test_welcome_says_what_how_long_and_what_is_kept(ann, serving):
    ann.run()
    assert _title(ann) == TITLE
    said = _said(ann)
    for words in (
        "4 short clips",
        "1.2 seconds",
        "2 parts",
        "1 of the 2 clips is real",
        "minutes",
        "Ask Ida",
    ):
        assert words in said
    _press(ann, "start")
    assert _person(serving).step.page is Page.WELCOME, "no consent, no start"
    ann.checkbox[0].check()
    _press(ann, "start", "2")
    assert _person(serving).step.page is Page.SOUND_CHECK
    assert _title(ann) == "Sound check"


def test_the_base_rate_is_told_only_where_the_design_says_so(tmp_path, serve, monkeypatch):
    study = serve(make_tiny_study(tmp_path / "silent", listening="tell_base_rate = false"))
    token = study.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert "is real" not in _said(page)
    assert "4 short clips" in _said(page)


def test_the_sound_check_needs_the_tone_heard_and_what_one_listens_on(ann, serving):
    ann.run()
    serving.store.consent(_person(serving).id, "v")
    ann.run()
    _press(ann, "sound-next")
    _hear(ann, "tone", "tone")
    assert _person(serving).step.page is Page.SOUND_CHECK
    ann.segmented_control(key="playback").set_value("loudspeakers")
    _press(ann, "sound-next", "2")
    person = _person(serving)
    assert (person.step.page, person.playback) == (Page.PRACTICE, "loudspeakers")
    assert _title(ann) == "Practice \u2013 Clip 1 of 1"
    assert "does not count" in _said(ann)


def test_questions_open_when_the_clip_was_heard(ann, serving):
    _to_practice(ann, serving)
    assert all(one.disabled for one in ann.segmented_control)
    slot, clip = _clip(serving)
    _hear(ann, f"player-{slot}", clip, unlocked=False)
    assert all(one.disabled for one in ann.segmented_control)
    _hear(ann, f"player-{slot}", "of another clip")
    assert all(one.disabled for one in ann.segmented_control)
    _hear(ann, f"player-{slot}", clip)
    closed = [one.key for one in ann.segmented_control if one.disabled]
    assert closed == [f"difficulty-{slot}"], "how easy it was to tell is asked of fakes only"
    assert ann.segmented_control(key=f"musicality-{slot}").value is None
    assert ann.segmented_control(key=f"musicality-{slot}").options == [str(step) for step in range(11)]


def test_each_choice_is_saved_when_made_and_comes_back_after_a_reload(ann, serving):
    _to_practice(ann, serving)
    slot, clip = _clip(serving)
    _hear(ann, f"player-{slot}", clip)
    ann.segmented_control(key=f"verdict-{slot}").set_value("fake").run()
    ann.segmented_control(key=f"difficulty-{slot}").set_value("difficult").run()
    ann.segmented_control(key=f"musicality-{slot}").set_value(0).run()
    ann.session_state[f"comment-{slot}"] = {"text": "odd <b>snare</b>"}
    ann.run()
    fields = serving.store.show(_person(serving).id, slot).fields
    assert fields["verdict"] == "fake"
    assert fields["difficulty"] == "difficult"
    assert fields["musicality"] == 0
    assert fields["comment"] == "odd <b>snare</b>"
    assert "Saved" in _said(ann)
    again = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert again.segmented_control(key=f"difficulty-{slot}").value == "difficult"
    assert again.segmented_control(key=f"musicality-{slot}").value == 0
    assert not again.segmented_control(key=f"verdict-{slot}").disabled
    again.segmented_control(key=f"verdict-{slot}").set_value("real").run()
    assert serving.store.show(_person(serving).id, slot).fields["difficulty"] is None


def test_an_answer_that_the_database_refuses_is_called_not_saved_and_kept(ann, serving, monkeypatch):
    _to_practice(ann, serving)
    slot, clip = _clip(serving)
    _hear(ann, f"player-{slot}", clip)

    def full(*_, **__):
        raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(type(serving.store), "save", full)
        ann.segmented_control(key=f"verdict-{slot}").set_value("real").run()
        assert "Not saved" in ann.error[0].value
        assert "\u2713 Saved" not in _said(ann)
    ann.segmented_control(key=f"musicality-{slot}").set_value(7).run()
    assert not ann.error
    fields = serving.store.show(_person(serving).id, slot).fields
    assert (fields["verdict"], fields["musicality"]) == ("real", 7)


def test_texts_with_control_characters_settle(ann, serving):
    _to_practice(ann, serving)
    slot, clip = _clip(serving)
    _hear(ann, f"player-{slot}", clip)
    ann.session_state[f"comment-{slot}"] = {"text": " a\x0bb\x00 "}
    assert not ann.run().exception
    assert serving.store.show(_person(serving).id, slot).fields["comment"] == "ab"
    assert serving.store.show(_person(serving).id, slot).revision == 1


def test_next_names_what_is_still_to_answer(ann, serving):
    _to_practice(ann, serving)
    slot, clip = _clip(serving)
    _hear(ann, f"player-{slot}", clip)
    ann.segmented_control(key=f"verdict-{slot}").set_value("fake").run()
    _press(ann, f"next-{slot}")
    said = _said(ann)
    assert "Still to answer:" in said
    assert "how easy it was to tell, the musicality and whether it is inspiring" in said
    ann.segmented_control(key=f"difficulty-{slot}").set_value("easy").run()
    ann.segmented_control(key=f"musicality-{slot}").set_value(5).run()
    assert "<b>Still to answer:</b> whether it is inspiring." in _said(ann)
    ann.segmented_control(key=f"inspiring-{slot}").set_value("other").run()
    assert "what you mean by other" in _said(ann)
    ann.session_state[f"inspiring_text-{slot}"] = {"text": "for a dance"}
    ann.run()
    assert _person(serving).step.slot == slot, "the early press closes nothing later"
    _press(ann, f"next-{slot}", "2")
    assert _person(serving).step.page is Page.PAUSE


def test_from_practice_to_thank_you(ann, serving):
    _to_practice(ann, serving)
    _answer(ann, serving)
    assert _title(ann) == "Part 1 of 2"
    _press(ann, "begin-1")
    assert _title(ann) == "Part 1 of 2 \u2013 Clip 1 of 2"
    _answer(ann, serving, "fake")
    assert _title(ann) == "Part 1 of 2 \u2013 Clip 2 of 2"
    _answer(ann, serving)
    assert _title(ann) == "Part 2 of 2"
    _press(ann, "begin-2")
    _answer(ann, serving, "fake")
    _answer(ann, serving)
    assert _title(ann) == "Last questions"
    ann.session_state["final-1"] = {"text": "the\x00 fills "}
    ann.run()
    assert serving.store.final_texts(_person(serving).id) == {1: "the fills"}
    _press(ann, "finish")
    assert _title(ann) == "Thank you"
    assert "All your 4 answers are saved" in _said(ann)
    rows = serving.store.answers()
    assert [row["verdict"] for row in rows] == ["fake", "real", "fake", "real"]
    assert {row["musicality"] for row in rows} == {7}
    assert [row["text"] for row in serving.store.final_forms()] == ["the fills", "", ""]


def test_a_second_tab_takes_over_and_the_first_one_says_so(ann, serving):
    _to_practice(ann, serving)
    second = AppTest.from_file(str(PAGES), default_timeout=120).run()
    ann.run()
    assert "another tab" in _said(ann)
    assert not ann.segmented_control
    slot, clip = _clip(serving)
    _hear(second, f"player-{slot}", clip)
    second.segmented_control(key=f"musicality-{slot}").set_value(9).run()
    person = _person(serving)
    page = person.tab.partition(".")[0]
    # The second page loses its session and comes back: a press that the first one shows holds all the same.
    serving.store.claim(person.id, f"{page}.anew")
    _press(ann, f"here-{page}")
    assert ann.segmented_control(key=f"musicality-{slot}").value == 9
    second.run()
    assert "another tab" in _said(second)


def test_the_debrief_waits_for_the_unblinding(tmp_path, serve, monkeypatch):
    study = serve(make_tiny_study(tmp_path / "told", listening="debrief = true"))
    token = study.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    page = _to_practice(AppTest.from_file(str(PAGES), default_timeout=120), study)
    _answer(page, study)
    for part in (1, 2):
        _press(page, f"begin-{part}")
        _answer(page, study, "real")
        _answer(page, study, "real")
    _press(page, "finish")
    assert "of 4** clips" not in _said(page), "before the unblinding it says only when the score will come"
    study.store.log_unblinding("Ida", "report", study.store.build().key_sha256)
    page.run()
    assert [one.value for one in page.header] == ["How you did"]
    assert "**2 of 4** clips" in _said(page)
    assert "2 of the clips made by a machine passed as real" in _said(page)
    study.folder.key.write_text(study.folder.key.read_text().replace("fake", "real"))
    page.run()
    assert not page.header, "a key that is not the sealed one tells nothing"


# words


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5, "just now"), (300, "5 min ago"), (3 * 3600, "3 h ago"), (3 * 86400, "3 days ago")],
)
def test_times_read_as_people_say_them(seconds, told):
    now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    assert wording.ago(now - dt.timedelta(seconds=seconds), now) == told
    assert wording.ago(None, now) == "never"
