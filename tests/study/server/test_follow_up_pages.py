"""The pages of the follow-up as Streamlit runs them, without a browser."""

from __future__ import annotations

import pytest
from followed import days_ago, finished
from streamlit.testing.v1 import AppTest
from tiny_study import make_tiny_study

from study.languages import wording
from study.pages import listener
from study.server.server import PAGES
from study.store import follow_up

MORE = "take_home = true\n[follow_up]\n"


@pytest.fixture
def opened(tmp_path, serve, monkeypatch):
    """Serves a study with these settings and opens it as Ann, who keeps all her clips."""

    def start(more: str, days: float = 0, keep=None, language: str = "en"):
        folder = make_tiny_study(tmp_path / "study", listening=MORE + more, language=language)
        study = serve(folder)
        who = finished(study.store, keep=keep)
        days_ago(study.store, who, days)
        token = study.store.invite("Ann")
        monkeypatch.setattr(listener, "token", lambda: token)
        return study, AppTest.from_file(str(PAGES), default_timeout=120).run()

    return start


def press(page: AppTest, key: str, word: str = "1") -> AppTest:
    page.session_state[key] = {"press": word}
    return page.run()


def title(page: AppTest) -> str:
    assert not page.exception
    return page.title[0].value


def said(page: AppTest) -> str:
    return " ".join([one.value for one in page.markdown] + [one.proto.body for one in page.get("html")])


def rows(study):
    return follow_up.answers(study.store.engine, study.design.follow_up)


def test_the_thanks_say_when_the_link_opens_again(opened):
    study, page = opened("days = 14\n")
    when = study.store.find(study.store.invite("Ann")).step.follow_up.opens_at
    assert title(page) == "Thank you"
    assert f"From {when:%Y-%m-%d} on this link opens once more" in said(page)


def test_who_keeps_nothing_is_asked_nothing(opened):
    _, page = opened("days = 0\n", keep=())
    assert title(page) == "Thank you"
    assert "opens once more" not in said(page)


def test_a_follow_up_to_its_end(opened):
    study, page = opened("days = 14\ncloses = 30\n", days=20)
    assert title(page) == "What came of your clips?"
    assert "you kept 4 clips" in said(page)
    assert "kept-clips.zip" in said(page), "what the thanks page offers is still offered"
    press(page, "follow-up-start")
    asked = study.store.find(study.store.invite("Ann")).step.follow_up.slots
    for number, slot in enumerate(asked, start=1):
        assert title(page) == f"Kept clip {number} of 4"
        if number == 1:
            press(page, f"kept-next-{slot}", "too early")
            assert "Still to answer:</b> what came of this clip." in said(page)
            assert page.number_input(key=f"kept-days-{slot}").disabled
        page.segmented_control(key=f"kept-outcome-{slot}").set_value("part").run()
        assert rows(study)[number - 1]["outcome"] == "part", "saved at once"
        page.number_input(key=f"kept-days-{slot}").set_value(3).run()
        page.session_state[f"kept-song-{slot}"] = {"text": "Rain"}
        page.run()
        assert (rows(study)[number - 1]["song"], rows(study)[number - 1]["days"]) == ("Rain", 3)
        press(page, f"kept-next-{slot}", "on")
    assert title(page) == "Your answers"
    assert "Clip 2: A part of a song, for \u201cRain\u201d" in said(page)
    page.segmented_control(key="kept-again-0").set_value(2).run()
    assert title(page) == "Kept clip 2 of 4"
    page.segmented_control(key=f"kept-outcome-{asked[1]}").set_value("nothing").run()
    press(page, f"kept-next-{asked[1]}", "again")
    assert title(page) == "Your answers"
    press(page, "follow-up-send")
    assert title(page) == "Thank you"
    assert "What came of your clips is saved as well" in said(page)
    assert [row["outcome"] for row in rows(study)] == ["part", "nothing", "part", "part"]
    assert rows(study)[1]["song"] is None
    assert page.run().title[0].value == "Thank you"


def test_where_it_is_left_it_goes_on(opened):
    study, page = opened('question = "Und, was wurde daraus?"\n', days=15)
    press(page, "follow-up-start")
    slot = study.store.find(study.store.invite("Ann")).step.follow_up.slots[0]
    page.segmented_control(key=f"kept-outcome-{slot}").set_value("idea").run()
    again = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert title(again) == "Kept clip 1 of 4"
    chosen = again.segmented_control(key=f"kept-outcome-{slot}")
    assert (chosen.label, chosen.value) == ("Und, was wurde daraus?", "idea")
    page.run()
    assert "another tab" in said(page)
    assert study.store.unblindings() == []


def test_a_closed_door_shows_the_thanks(opened):
    _, page = opened("closes = 1\n", days=16)
    assert title(page) == "Thank you"
    assert "opens once more" not in said(page)


def test_consent_names_what_is_asked_later_and_only_then(serving, tmp_path):
    assert "once more" not in wording.stored(serving.design)
    from study import design

    more = design.load(make_tiny_study(tmp_path / "more", listening="[follow_up]\n").path)
    assert "your link opens once more later" in wording.stored(more)
    assert wording.consent_version(more) != wording.consent_version(serving.design)


def test_german_pages_speak_german(opened):
    study, page = opened("recording = true\n", days=15, language="de")
    assert title(page) == "Was wurde aus Ihren Clips?"
    press(page, "follow-up-start")
    assert title(page) == "Behaltener Clip 1 von 4"
    slot = study.store.find(study.store.invite("Ann")).step.follow_up.slots[0]
    chosen = page.segmented_control(key=f"kept-outcome-{slot}")
    assert chosen.options == ["Nichts", "Eine Idee", "Ein Teil eines Songs", "Ein fertiger Song"]


SONG = '[[song]]\nname = "rain"\ntitle = "Rain Song"\nfile = "rain.wav"\n'
SONG += 'lacks = "ending"\nbefore = [0.0, 8.0]\n'


def test_the_studys_own_songs_are_offered_by_name(opened):
    study, page = opened(SONG, days=15)
    press(page, "follow-up-start")
    first, second, *_ = study.store.find(study.store.invite("Ann")).step.follow_up.slots
    page.segmented_control(key=f"kept-outcome-{first}").set_value("song").run()
    offered = page.pills(key=f"kept-which-{first}")
    assert offered.options == ["Rain Song", "Another song"]
    offered.set_value("rain").run()
    assert rows(study)[0]["song"] == "rain"
    press(page, f"kept-next-{first}", "on")
    page.segmented_control(key=f"kept-outcome-{second}").set_value("idea").run()
    page.pills(key=f"kept-which-{second}").set_value("").run()
    page.session_state[f"kept-song-{second}"] = {"text": "Night Train"}
    page.run()
    assert rows(study)[1]["song"] == "Night Train"
    again = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert again.pills(key=f"kept-which-{second}").value == ""


def test_a_song_reads_as_its_title_is_written(opened):
    song = '[[song]]\ntitle = "*Dune* :fire: $x$"\nfile = "dune.wav"\nlacks = "ending"\nbefore = [0, 8]\n'
    study, page = opened("days = 0\n" + song)
    press(page, "follow-up-start")
    slot = study.store.find(study.store.invite("Ann")).step.follow_up.slot
    (which,) = [one for one in page.get("button_group") if one.key == f"kept-which-{slot}"]
    assert which.options[0] == r"\*Dune\* \:fire\: \$x\$"
