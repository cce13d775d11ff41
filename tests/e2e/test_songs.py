"""Songs on the page of a clip in a real browser: by keyboard, on a phone, under axe-core."""

from __future__ import annotations

import pytest
from driving import Server, Visit, browser, until
from playwright.sync_api import expect
from scripted_listener import ANSWER, WHOLE
from test_accessibility import Checked
from tiny_study import make_tiny_study, write_clip

from analysis.questionnaire import asked_in
from study.folder import StudyFolder
from study.server.links import personal_link
from study.store.protocol import Page
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]

SONGS = """
passes = 2
in_place = true
[questions]
songs = true
[[song]]
name = "dune"
title = "Dune at night"
file = "dune.wav"
lacks = "bridge"
before = [0, 8]
after = [12, 20]
[[song]]
name = "moss"
file = "moss.wav"
lacks = "ending"
before = [0, 8]
"""
PHONE = {"width": 390, "height": 844}


def at_the_second_pass(study: StudyFolder, name: str = "Ann") -> str:
    """Brings a listener through practice and all verdicts; returns the secret of the personal link."""
    store = Store.for_folder(study)
    token = store.invite(name)
    person = store.find(token)
    store.claim(person.id, "T")
    store.consent(person.id, "v")
    store.sound_check(person.id, "headphones")
    while (step := store.find(token).step).phase != "rating" or step.page is Page.PAUSE:
        if step.page is Page.PAUSE:
            store.begin_part(person.id, step.part)
            continue
        fields = {field.name for field in asked_in(store.show(person.id, step.slot).phase)}
        changes = {field: value for field, value in ANSWER.items() if field in fields}
        press = f"press {step.slot}"
        store.save(person.id, step.slot, tab="T", changes=changes, listening=WHOLE, press=press)
    store.close()
    return token


def of_songs(folder, language: str = "en") -> StudyFolder:
    study = make_tiny_study(folder, listening=SONGS, language=language)
    for place, pitch in (("dune-before", 300), ("dune-after", 330), ("moss-before", 350)):
        write_clip(study.places / f"{place}.wav", 2.0, pitch)
    return study


def test_a_clip_is_heard_in_a_song_and_given_to_it_by_keyboard_on_a_phone(tmp_path, chromium, port):
    study = of_songs(tmp_path / "study")
    token = at_the_second_pass(study)
    store = Store.for_folder(study)
    with Server(study.path, port) as server, browser(chromium, viewport=PHONE) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, token))
        visit.at("Part 3 of 4 \u2013 Clip 1 of 2").at_player().keys("k").until_heard().until_ended()
        page, step = visit.page, store.find(token).step
        own = page.locator("[class*=st-key-player] .time, .player:not(.aside) .time").first

        # In place: the player beside the clip's own opens, sounds, and leaves the clip's own as it was.
        before, listening = own.inner_text(), store.show(1, step.slot).listening
        visit.reach("Dune at night").keys("Space")
        visit.reach("Play the clip in Dune at night").keys("Space")
        page.get_by_text("Heard in Dune at night.").wait_for()
        assert own.inner_text() == before
        visit.keys("k")
        expect(page.locator(".player:not(.aside) .play")).not_to_have_class("play on")
        assert store.show(1, step.slot).listening == listening

        # The questions, and the moment from the clip's own player.
        visit.reach("0").keys(*["ArrowRight"] * 6, "Space")
        visit.reach("Yes").keys("Space")
        visit.reach("Dune at night").keys("ArrowRight", "Space")
        visit.reach("Intro").keys("ArrowRight", "Space")
        visit.reach("Groove").keys("Space")
        visit.reach("At which moment? In seconds (optional)")
        page.keyboard.type("99")
        page.keyboard.press("Tab")
        page.get_by_text("Please name a second between 0 and 1.2.").wait_for()
        visit.settle().reach("This moment (0:01)").keys("Enter")
        kept = {"use_in": ["moss"], "use_as": ["verse"], "take": ["groove"], "moment": 1.2}
        assert visit.comes(lambda: store.show(1, step.slot).further == kept), store.show(1, step.slot).further
        visit.reach("Next").keys("Enter").at("Part 3 of 4 \u2013 Clip 2 of 2")
    store.close()


@pytest.mark.parametrize("language", ["en", "de"])
def test_axe_finds_nothing_and_the_phone_is_wide_enough(tmp_path, chromium, port, language):
    study = of_songs(tmp_path / "study", language)
    token = at_the_second_pass(study)
    with Server(study.path, port) as server, browser(chromium, viewport=PHONE) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, token))
        sizes, grounds = (
            (("phone",), ("light",)) if language == "de" else (("phone", "desktop"), ("light", "dark"))
        )
        checked = Checked(visit, sizes, grounds)
        checked.look("closed")
        visit.loaded().page.locator(".play").first.click()
        visit.until_heard()
        visit.page.locator(".st-key-several-place button").first.click()
        visit.page.locator(".player.aside").wait_for()
        visit.settle()
        visit.page.locator(".st-key-ask-use_in button").first.click()
        visit.settle()
        checked.look("open")
        until(visit.page, "() => document.documentElement.scrollWidth <= innerWidth")
    assert "\n".join(checked.found) == ""
