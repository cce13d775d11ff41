"""A study of pairs in a browser: by keyboard alone, under axe-core, and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from driving import Server, Visit, browser, until
from playwright.sync_api import expect
from tiny_study import make_tiny_study

from study.server.links import personal_link
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]

PAIRED = 'task = "paired"\n[pairs]\nreal = 1\ninspiring = 1\n'
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def heard(visit: Visit, count: int) -> None:
    """Waits until so many of the two clips were heard to their ends."""
    expect(visit.page.get_by_text("Heard. Replay it as often as you like.")).to_have_count(count)
    visit.settle()


def look(visit: Visit) -> list[str]:
    """What axe-core finds on the page, at a phone's and a desktop's size."""
    found = []
    for size in (PHONE, DESKTOP):
        visit.page.set_viewport_size(size)
        until(visit.page, "(width) => document.documentElement.scrollWidth <= width", size["width"])
        visit.settle()
        found += [one["id"] for one in Axe().run(visit.page).response["violations"]]
    return found


def test_pairs_by_keyboard_alone_are_accessible_and_fit_a_phone(tmp_path, chromium, port):
    sizes = {"fakes": 2, "originals": 1, "practice": 2}
    study = make_tiny_study(tmp_path / "study", listening=PAIRED, **sizes)
    store = Store.for_folder(study)
    ann = store.invite("Ann")
    with Server(study.path, port) as server, browser(chromium, viewport=DESKTOP) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, ann))
        page = visit.page
        visit.reach("I have read this and I agree to take part.").keys("Space")
        visit.reach("Start").keys("Enter")
        visit.reach("Play the tone").keys("Space").until_heard()
        visit.reach("Headphones").keys("Space").reach("I can hear it well").keys("Enter")

        visit.at("Practice – Pair 1 of 2")
        assert visit.comes(lambda: visit.focused() == "Play clip A")
        assert look(visit) == []
        choice = page.get_by_role("radio", name="A", exact=True)
        assert not choice.is_enabled()
        visit.keys("2")
        assert visit.chosen() == []
        page.keyboard.press("a")
        heard(visit, 1)
        assert not choice.is_enabled()
        page.keyboard.press("b")
        heard(visit, 2)
        visit.keys("?")
        page.get_by_text("Choose clip A, clip B").filter(visible=True).wait_for()
        assert page.get_by_role("dialog").count() == 1, "one of two players opens its list"
        visit.keys("?")
        visit.keys("2")
        assert visit.comes(lambda: visit.chosen() == ["B"])
        visit.keys("1")
        assert visit.comes(lambda: visit.chosen() == ["A"])
        assert look(visit) == []
        page.keyboard.press("b")
        page.keyboard.press("k")  # of the one that sounded last
        expect(page.locator(".play.on")).to_have_count(0)
        visit.reach("Next").keys("Enter")

        visit.at("Practice – Pair 2 of 2")
        for number in range(5):
            page.keyboard.press("a")
            heard(visit, 1)
            page.keyboard.press("b")
            heard(visit, 2)
            visit.keys("2")
            assert visit.comes(lambda: visit.chosen() == ["B"])
            if number == 1:
                visit.reach("Anything you want to say about this pair (optional)")
                page.keyboard.type("a 1 b 2 in a text")
                assert visit.comes(lambda: visit.chosen() == ["B"]), "letters in a text are letters"
                visit.settle()
                server.kill()
                server.start()
                page.wait_for_selector("[data-test-connection-state=CONNECTED]")
                visit.settle()
            last = page.locator("[class*=st-key-next] button")
            last.focus()
            visit.keys("Enter")
            if number in (0, 1, 2, 3) and page.locator("[class*=st-key-begin] button").count():
                page.locator("[class*=st-key-begin] button").focus()
                visit.keys("Enter")
        visit.at("Last questions")
    rows = store.answers()
    assert [row["choice"] for row in rows] == ["second"] * 4
    assert rows[0]["comment"] == "a 1 b 2 in a text"
    assert all(row["first_plays"] >= 1 <= row["second_plays"] for row in rows)
