"""A listener takes a whole study in Chromium; the server is killed, the page reloaded, the net watched."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest
from driving import Server, Traffic, Visit, browser, until
from playwright.sync_api import expect
from tiny_study import make_tiny_study

from study import browser as browser_files
from study.server.links import personal_link, researcher_key, researcher_link
from study.store.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes


@pytest.fixture
def study(tmp_path):
    return make_tiny_study(tmp_path / "swampgroove study")


def test_a_whole_study_with_a_killed_server_loses_and_leaks_nothing(study, chromium, port, tmp_path):
    secrets = _secrets(study)
    shutil.move(study.key, tmp_path / "key.csv")  # the server gets by without the truth: it has none to tell
    store = Store.for_folder(study)
    ann = store.invite("Ann Example")
    with (
        Server(study.path, port) as server,
        browser(chromium, viewport={"width": 1280, "height": 900}) as context,
    ):
        traffic = Traffic(context)
        visit = Visit(context.pages[0]).open(personal_link(server.base, ann))
        assert ann not in visit.page.url
        visit.at("Riffs in doubt")
        visit.welcome()

        visit.at("Practice \u2013 Clip 1 of 1")
        _seeking_opens_nothing(visit)
        _nothing_moves_when_the_fake_is_called(visit)
        visit.choose("Real", "10", "No").press("Finish this part")
        visit.press("Begin")
        traffic.drain()

        # Clip 1: the server dies at the very moment of a choice, and a text is typed while it is away.
        visit.at("Part 1 of 2 \u2013 Clip 1 of 2")
        visit.play().until_heard().choose("Fake")
        visit.page.get_by_role("radio", name="7", exact=True).click()
        server.kill()
        visit.page.get_by_text("The connection is lost").wait_for()
        visit.write("Anything you want", "typed while the server was away")
        server.start()
        visit.settle()
        visit.page.get_by_text("The connection is lost").wait_for(state="hidden")
        kept = {"verdict": "fake", "musicality": 7, "comment": "typed while the server was away"}
        assert visit.comes(lambda: kept.items() <= store.show(store.find(ann).id, 1).fields.items())
        visit.settle().press("Next")
        owed = "Still to answer: how easy it was to tell and whether it is inspiring."
        expect(visit.page.locator(".owed")).to_have_text(owed)
        until(visit.page, "document.activeElement.closest('.st-key-ask-difficulty') !== null")
        visit.choose("Difficult", "Other").write("If other", "for a <script>dance</script>")
        said = {"difficulty": "difficult", "inspiring_text": "for a <script>dance</script>"}
        assert visit.comes(lambda: said.items() <= store.show(store.find(ann).id, 1).fields.items())
        visit.settle().press("Next")

        # Clip 2: a reload, and the Back button, lead to the same place with everything kept.
        visit.at("Part 1 of 2 \u2013 Clip 2 of 2")
        visit.play().until_heard().choose("Real", "0")
        kept = {"verdict": "real", "musicality": 0}
        assert visit.comes(lambda: kept.items() <= store.show(store.find(ann).id, 2).fields.items())
        traffic.drain()
        visit.page.reload()
        visit.settle()
        assert visit.comes(lambda: visit.chosen() == ["Real", "0"])
        assert visit.comes(visit.is_open), "heard is heard, before a reload too"
        visit.page.go_back()
        visit.page.goto(server.base)
        visit.settle()
        visit.at("Part 1 of 2 \u2013 Clip 2 of 2")
        next_button = visit.choose("Maybe").page.get_by_role("button", name="Finish this part", exact=True)
        next_button.dblclick()
        visit.settle()

        # Part 2: by keyboard alone.
        visit.at("Part 2 of 2")
        visit.press("Continue")
        traffic.drain()
        _answer_by_keyboard(visit)
        visit.at("Part 2 of 2 \u2013 Clip 2 of 2")
        visit.play().until_heard().choose("Fake", "Easy", "3", "Yes").press("Next")

        visit.at("Last questions")
        visit.write("Can clips like these", "The fills might.")
        visit.page.get_by_text("\u2713 Saved").wait_for()
        visit.press("Send and finish")
        visit.at("Thank you")
        visit.page.reload()
        visit.settle()
        visit.at("Thank you")
        traffic.drain()
        left = visit.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        traffic.told.append(("storage", left.encode()))

    rows = store.answers()
    assert [(row["verdict"], row["difficulty"], row["musicality"], row["inspiring"]) for row in rows] == [
        ("fake", "difficult", 7, "other"),
        ("real", None, 0, "maybe"),
        ("fake", "easy", 5, "yes"),
        ("fake", "easy", 3, "yes"),
    ]
    assert rows[0]["inspiring_text"] == "for a <script>dance</script>"
    assert all(row["plays"] >= 1 and row["seconds_heard"] == pytest.approx(1.2, abs=0.3) for row in rows)
    assert [form["text"] for form in store.final_forms()] == ["The fills might.", "", ""]
    _assert_clean(traffic, secrets, server.base)


@pytest.mark.slow
def test_on_a_phone(study, chromium, port):
    store = Store.for_folder(study)
    ann = store.invite("Ann")
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": "dark"}
    with Server(study.path, port) as server, browser(chromium, **phone) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, ann)).welcome()
        visit.play().until_heard()
        page = visit.page
        assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 360, "nothing sticks out"
        until(page, "document.fonts.status === 'loaded'")
        scale = [page.get_by_role("radio", name=str(step), exact=True).bounding_box() for step in range(11)]
        assert len({round(box["y"]) for box in scale}) == 1, "eleven steps in one row"
        assert all(box["height"] >= 44 and box["width"] >= 24 for box in scale)
        for name in ("Real", "Fake", "Easy", "Maybe"):
            box = page.get_by_role("radio", name=name, exact=True).bounding_box()
            assert box["height"] >= 44
            assert box["width"] >= 64
        assert page.get_by_role("button", name="Finish this part").bounding_box()["width"] >= 320
        visit.choose("Fake", "Easy", "4", "No").press("Finish this part")
        visit.at("Part 1 of 2")

        # On another tab, then back on this one.
        second = Visit(context.new_page()).open(server.base).press("Begin")
        visit.settle()
        page.reload()
        visit.settle()
        visit.at("Part 1 of 2 \u2013 Clip 1 of 2")
        second.play()
        second.page.get_by_text("goes on in another tab").wait_for()
        second.press("Continue here")
        second.at("Part 1 of 2 \u2013 Clip 1 of 2")

        # The researcher sees it live.
        context.clear_cookies()
        desk = Visit(context.new_page()).open(researcher_link(server.base, researcher_key(study)))
        desk.at("Overview")
        assert "key=" not in desk.page.url
        metrics = desk.page.get_by_test_id("stMetricValue")
        assert desk.comes(lambda: metrics.all_inner_texts() == ["1", "1", "0", "0"])


def _seeking_opens_nothing(visit: Visit) -> None:
    """Jumping to 85 % and letting the clip end is not hearing it."""
    visit.loaded()
    visit.page.get_by_label("Position in the clip").evaluate(
        "bar => { bar.value = 850; bar.dispatchEvent(new Event('input', {bubbles: true}));"
        "bar.dispatchEvent(new Event('change', {bubbles: true})); }"
    )
    visit.play().until_ended().settle()
    assert not visit.is_open()
    visit.page.get_by_role("button", name="Play from the start").click()
    visit.until_heard()
    assert visit.comes(visit.is_open)


def _nothing_moves_when_the_fake_is_called(visit: Visit) -> None:
    names = ("0", "Maybe", "Finish this part")
    find = [
        visit.page.get_by_role("radio" if name != names[-1] else "button", name=name, exact=True)
        for name in names
    ]
    until(visit.page, "document.fonts.status === 'loaded'")
    before = [one.bounding_box() for one in find]
    visit.choose("Fake", "Easy", "Other")
    assert [one.bounding_box() for one in find] == before


def _answer_by_keyboard(visit: Visit) -> None:
    """Space plays; Tab walks from question to question, arrows and Space choose, Enter leads on."""
    visit.at_player().keys("Space").until_heard()
    for first, moves in (("Real", 1), ("Easy", 0), ("0", 5), ("Yes", 0)):
        visit.reach(first).keys(*["ArrowRight"] * moves, "Space")
    visit.reach("Next").keys("Enter")


def _secrets(study) -> dict[str, re.Pattern[bytes]]:
    """What must never reach a browser, from the key itself: value -> pattern (whole words)."""
    with study.key.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("stimulus_id", "name", "backend", "epochs", "source", "seed", "run", "sha256")
    words = {row[column] for row in rows for column in columns} - {""}
    words |= {"UMG", "VAR", "swampgroove", "truth", "epochs", "backend"}
    words |= {study.path.name, str(Path(browser_files.__file__).parent)}  # nor may folders of this machine
    return {
        word: re.compile(rb"(?<![A-Za-z0-9])" + re.escape(word.encode()) + rb"(?![A-Za-z0-9])")
        for word in words
    }


def _assert_clean(traffic: Traffic, secrets: dict[str, re.Pattern[bytes]], base: str) -> None:
    outside = [
        address
        for address in traffic.addresses
        if not address.startswith((base, base.replace("http", "ws"), "data:", "blob:"))
    ]
    assert outside == []
    assert traffic.frames > 100
    assert any(b"Is this clip real or fake?" in told for _, told in traffic.told), "frames can be read"
    assert any("/clip/" in place for place, _ in traffic.told)
    assert any("/heard/" in address for address in traffic.addresses)
    found = {
        (word, place) for place, told in traffic.told for word, what in secrets.items() if what.search(told)
    }
    assert found == set()
