"""The follow-up in a real browser: three listeners, one on a phone, and a recording that goes its own way."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from driving import Server, Visit, browser, until
from followed import finished
from test_accessibility import Checked
from tiny_study import make_tiny_study

from study.server.links import personal_link
from study.store import follow_up
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes

MORE = "[follow_up]\ndays = 0\nrecording = true\nmegabytes = 1\n"
OUTCOMES = ("Nothing", "An idea", "A part of a song", "A finished song")
RULE = follow_up.Rule(days=0, recording=True, megabytes=1)
SIZES = [{"width": 1280, "height": 900}, {"width": 390, "height": 800}, {"width": 1280, "height": 900}]


@pytest.fixture
def take(tmp_path):
    file = tmp_path / "my take.wav"
    moments = np.arange(16_000) / 16_000
    content = io.BytesIO()
    soundfile.write(content, 0.1 * np.sin(2 * np.pi * 220 * moments), 16_000, format="WAV")
    file.write_bytes(content.getvalue())
    return file


def test_three_listeners_say_what_came_of_their_clips(tmp_path, chromium, port, take):
    study = make_tiny_study(tmp_path / "study", listening=MORE)
    store = Store.for_folder(study)
    names = ("Ann", "Bo", "Cy")
    people = {name: finished(store, name, keep=None) for name in names}
    shots = tmp_path / "shots"
    with Server(study.path, port) as server, browser(chromium) as context:
        checked = None
        for name, size in zip(names, SIZES, strict=True):
            page = context.new_page()
            page.set_viewport_size(size)
            visit = Visit(page).open(personal_link(server.base, store.invite(name)))
            checked = Checked(visit, ("phone",), ("light",))
            visit.at("What came of your clips?")
            page.screenshot(path=shots / f"{name}-1.png")
            visit.press("Start")
            for number, outcome in enumerate(
                ("Nothing", "An idea", "A part of a song", "A finished song"), 1
            ):
                visit.at(f"Kept clip {number} of 4")
                visit.loaded().play()
                visit.choose(outcome)
                if number == 1 and name == "Ann":
                    checked.look("clip of which nothing came")
                    page.set_viewport_size(size)
                if number == 4:
                    visit.write("For which song?", "Rain")
                    visit.write("In your own words", "The groove.")
                    page.locator("input[type=file]").set_input_files(take)
                    page.get_by_text("\u2713 Saved: my take.wav").wait_for()
                    visit.settle()
                    if name == "Ann":
                        checked.look("clip with a recording")
                        page.set_viewport_size(size)
                    until(page, "(width) => document.documentElement.scrollWidth <= width", size["width"])
                    page.screenshot(path=shots / f"{name}-2.png")
                if number == 2 and name == "Bo":
                    server.kill()
                    server.start()
                    visit.settle()
                visit.press("Next")
            visit.at("Your answers")
            page.get_by_text("Clip 4: A finished song, for \u201cRain\u201d, with a recording").wait_for()
            if name == "Ann":
                checked.look("answers")
                page.set_viewport_size(size)
            page.screenshot(path=shots / f"{name}-3.png")
            if name == "Cy":
                visit.choose("4")
                visit.at("Kept clip 4 of 4")
                page.get_by_role("button", name="Withdraw the recording").click()
                page.get_by_text("No recording yet.").wait_for()
                visit.settle().press("Next")
                visit.at("Your answers")
            visit.press("Send").at("Thank you")
            page.get_by_text("What came of your clips is saved as well").wait_for()
            assert checked.found == []
    rows = follow_up.answers(store.engine, RULE)
    assert [row["outcome"] for row in rows] == ["nothing", "idea", "part", "song"] * 3
    assert [row["song"] for row in rows] == [None, None, None, "Rain"] * 3
    assert {row["final"] for row in rows} == {True}
    sent = follow_up.recordings(store.engine)
    assert [row["listener"] for row in sent] == ["Ann", "Bo"]
    kept = {file.name: file.read_bytes() for file in study.recordings.iterdir()}
    assert kept == {row["recording"]: take.read_bytes() for row in sent}
    assert len(people) == 3
