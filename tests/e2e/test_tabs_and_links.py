"""Several personal links in one browser, and the one voice that tells of a lost connection."""

from __future__ import annotations

import pytest
from driving import Server, Visit, browser
from playwright.sync_api import expect
from test_changed_answers import brought_to_the_clips
from tiny_study import make_tiny_study

from study.server.links import personal_link
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
PINGS = 8  # after six in vain Streamlit's own dialog would come up


@pytest.fixture
def study(tmp_path):
    return make_tiny_study(tmp_path / "study")


def test_two_links_in_one_browser_lead_to_two_listeners(study, chromium, port):
    store = Store.for_folder(study)
    ann, bo = brought_to_the_clips(store, "Ann"), brought_to_the_clips(store, "Bo")
    refused = []
    with Server(study.path, port) as server, browser(chromium) as context:
        context.on("response", lambda answer: answer.status >= 400 and refused.append(answer.url))
        first = Visit(context.pages[0]).open(personal_link(server.base, ann))
        first.play().until_heard().choose("Real", "7", "Yes")
        second = Visit(context.new_page()).open(personal_link(server.base, bo))
        second.at("Part 1 of 2 \u2013 Clip 1 of 2")
        press_while_typing(first, "Anything you want", "typed last", "Next")
        first.at("Part 1 of 2 \u2013 Clip 2 of 2")
        first.play().until_heard().choose("Fake", "Easy", "2", "No")
        first.page.reload()
        first.settle().at("Part 1 of 2 \u2013 Clip 2 of 2")
        assert first.comes(lambda: first.chosen() == ["Fake", "Easy", "2", "No"])
        server.kill()
        server.start()
        first.settle().press("Finish this part").at("Part 2 of 2")
        second.settle()
        second.play().until_heard().choose("Real", "0", "Maybe").press("Next")
        second.at("Part 1 of 2 \u2013 Clip 2 of 2")
        stray = Visit(context.new_page())
        stray.page.goto(server.base)
        expect(stray.page.locator("h1")).to_have_text("Please open your personal link once more")
    told = {(row["listener"], row["musicality"]) for row in store.answers()}
    assert told == {("Ann", 7), ("Ann", 2), ("Bo", 0)}
    assert {row["comment"] for row in store.answers()} == {"typed last", None}
    assert [url for url in refused if "/clip/" in url or "/heard/" in url] == []


@pytest.mark.slow
def test_one_voice_tells_of_a_lost_connection(study, chromium, port):
    store = Store.for_folder(study)
    token = brought_to_the_clips(store)
    with Server(study.path, port) as server, browser(chromium) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, token))
        visit.at("Part 1 of 2 \u2013 Clip 1 of 2")
        failed = []
        visit.page.on("requestfailed", lambda one: "/_stcore/health" in one.url and failed.append(one.url))
        server.kill()
        visit.page.get_by_text("The connection is lost").wait_for()
        assert visit.comes(lambda: len(failed) >= PINGS)
        assert visit.page.get_by_role("dialog").count() == 0
        expect(visit.page.get_by_text("The connection is lost")).to_be_visible()
        server.start()
        visit.page.get_by_text("The connection is lost").wait_for(state="hidden")
        visit.play().until_heard()


def press_while_typing(visit: Visit, label: str, text: str, button: str) -> None:
    """As a script or a screen reader does: the box is typed into and not left before the press."""
    places = [visit.page.get_by_label(label), visit.page.get_by_role("button", name=button, exact=True)]
    visit.page.evaluate(
        "([box, button, text]) => {"
        "box.value = text; box.dispatchEvent(new Event('input', {bubbles: true})); button.click(); }",
        [*(place.element_handle() for place in places), text],
    )
