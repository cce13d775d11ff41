"""Answers changed while the line stalls: what the page showed when Next was pressed is what becomes final."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import Server, Visit, browser
from playwright.sync_api import expect
from scripted_listener import ANSWER, WHOLE
from stalling_line import StallingLine
from tiny_study import make_tiny_study

from study.folder import StudyFolder
from study.server.links import personal_link
from study.store.protocol import Page
from study.store.store import Store
from tests.free_ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
Passing = Callable[[StallingLine, Server, Server], None]


@pytest.fixture
def study(tmp_path) -> StudyFolder:
    return make_tiny_study(tmp_path / "study", listening="[questions]\nconfidence = true")


def killed(line: StallingLine, first: Server, _second: Server) -> None:
    """The server dies with all that it knew of the page, and is started again."""
    first.kill()
    first.start()
    line.resume(first.port)


def elsewhere(line: StallingLine, _first: Server, second: Server) -> None:
    """The browser comes back to another server, while the first one still holds its page."""
    second.start()
    line.resume(second.port)


def brought_to_the_clips(store: Store, name: str = "Ann") -> str:
    """The personal link's secret of a listener who is at the first clip that counts."""
    token = store.invite(name)
    person = store.find(token)
    store.claim(person.id, "T")
    store.consent(person.id, "v")
    store.sound_check(person.id, "headphones")
    answer(store, token)
    store.begin_part(person.id, 1)
    return token


def answer(store: Store, token: str) -> None:
    """Makes the answer of the clip that is next final, or begins the part, without a browser."""
    person = store.find(token)
    if person.step.page is Page.PAUSE:
        store.begin_part(person.id, person.step.part)
        return
    store.show(person.id, person.step.slot)
    given = ANSWER | {"confidence": 1}
    store.save(
        person.id, person.step.slot, tab=person.tab, changes=given, listening=WHOLE, press=f"{person.step}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("passing", [killed, elsewhere])
def test_the_final_answer_is_what_the_page_showed_at_next(study, chromium, passing: Passing):
    store = Store.for_folder(study)
    token = brought_to_the_clips(store)
    first, second = Server(study.path, free_port()), Server(study.path, free_port())
    with first, StallingLine(first.port) as line, browser(chromium) as context:
        try:
            visit = Visit(context.pages[0]).open(personal_link(line.base, token))
            visit.at("Part 1 of 2 \u2013 Clip 1 of 2").play().until_heard()
            pick(visit, verdict="Fake", difficulty="Easy", confidence="2", musicality="7", inspiring="Other")
            visit.write("If other", "for a dance").write("Anything you want", "first words")
            told = {"musicality": 7, "inspiring_text": "for a dance", "comment": "first words"}
            assert visit.comes(lambda: told.items() <= store.show(1, 1).fields.items())
            visit.settle()

            line.stall()
            visit.write("If other", "for a march").write("Anything you want", "second thoughts")
            expect(visit.page.locator(".st-key-mark .saved")).to_be_visible()
            pick(visit, difficulty="Difficult", confidence="4", musicality="5", stalled=True)
            expect(visit.page.locator(".st-key-mark .saved")).not_to_be_visible()
            visit.page.get_by_text("Keep this one").click()
            visit.page.get_by_role("button", name="Next", exact=True).click()
            passing(line, first, second)
            assert visit.comes(lambda: store.find(token).step.clip == 2)
            visit.at("Part 1 of 2 \u2013 Clip 2 of 2")

            visit.play().until_heard()
            pick(visit, verdict="Fake", difficulty="Easy", confidence="3", musicality="9", inspiring="Yes")
            line.stall()
            pick(visit, verdict="Real", musicality="0", inspiring="No", stalled=True)
            visit.page.get_by_role("button", name="Finish this part", exact=True).click()
            passing(line, second if passing is elsewhere else first, first)
            assert visit.comes(lambda: store.find(token).step.page is Page.PAUSE)
        finally:
            second.__exit__()
    one, two = store.answers()
    assert (
        one
        | {
            "verdict": "fake",
            "difficulty": "difficult",
            "confidence": 4,
            "musicality": 5,
            "inspiring": "other",
            "inspiring_text": "for a march",
            "comment": "second thoughts",
            "kept": True,
        }
        == one
    )
    assert (
        two
        | {
            "verdict": "real",
            "difficulty": None,
            "confidence": 3,
            "musicality": 0,
            "inspiring": "no",
            "inspiring_text": None,
            "kept": False,
        }
        == two
    )


def pick(visit: Visit, *, stalled: bool = False, **choices: str) -> None:
    """Chooses an option of each question; the page shows it at once, whether the line stalls or not."""
    for question, label in choices.items():
        place = visit.page.locator(f".st-key-ask-{question}")
        choice = place.get_by_role("radio", name=label, exact=True)
        choice.click()
        expect(choice).to_be_checked()
        if not stalled:
            visit.settle()


@pytest.mark.slow
def test_the_last_questions_keep_what_the_page_showed(study, chromium):
    store = Store.for_folder(study)
    token = brought_to_the_clips(store)
    while store.find(token).step.page is not Page.FINAL:
        answer(store, token)
    server = Server(study.path, free_port())
    with server, StallingLine(server.port) as line, browser(chromium) as context:
        visit = Visit(context.pages[0]).open(personal_link(line.base, token)).at("Last questions")
        visit.write("Can clips like these", "The fills.").write("What should the model", "Longer clips.")
        saved = {1: "The fills.", 3: "Longer clips."}
        assert visit.comes(lambda: saved.items() <= store.final_texts(1).items())
        visit.settle()
        line.stall()
        visit.write("Can clips like these", "The fills, and the hats.").write("What should the model", "")
        visit.page.get_by_role("button", name="Send and finish", exact=True).click()
        held = visit.page.locator("[class*=st-key-ask-final]")
        assert held.evaluate_all("boxes => boxes.map((box) => box.inert)") == [True] * 3
        killed(line, server, server)
        visit.at("Thank you")
    assert [form["text"] for form in store.final_forms()] == ["The fills, and the hats.", "", ""]


@pytest.mark.slow
def test_a_page_that_comes_back_does_not_undo_what_another_tab_saved(study, chromium):
    """Both pages lose their sessions; only the one that was used last goes on."""
    store = Store.for_folder(study)
    token = brought_to_the_clips(store)
    server = Server(study.path, free_port())
    with server, browser(chromium) as context:
        older = Visit(context.pages[0]).open(personal_link(server.base, token))
        older.play().until_heard().choose("Real", "7", "Yes")
        newer = Visit(context.new_page()).open(personal_link(server.base, token))
        pick(newer, verdict="Fake", difficulty="Easy", musicality="3", confidence="4")
        now = {"verdict": "fake", "musicality": 3, "inspiring": "yes"}
        assert newer.comes(lambda: now.items() <= store.show(1, 1).fields.items())
        revision, session = store.show(1, 1).revision, store.find(token).tab
        server.kill()
        server.start()
        older.page.get_by_text("goes on in another tab").wait_for()
        assert newer.comes(lambda: store.find(token).tab != session), "back, in a session of its own"
        newer.settle()
        assert newer.chosen() == ["Fake", "Easy", "4", "3", "Yes"]
        assert store.show(1, 1).revision == revision
        older.press("Continue here").at("Part 1 of 2 \u2013 Clip 1 of 2")
        assert older.comes(lambda: older.chosen() == ["Fake", "Easy", "4", "3", "Yes"])
        older.press("Next")
    assert [row["musicality"] for row in store.answers()] == [3]
