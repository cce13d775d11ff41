"""Every page under axe-core, at phone and desktop size, in light and dark; and a study by keyboard alone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from driving import READY, Server, Visit, browser, until
from playwright.sync_api import Page, expect
from tiny_study import make_tiny_study

from study.server.links import personal_link
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes

SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 800}}
GROUNDS = {"light": "rgb(251, 250, 247)", "dark": "rgb(22, 24, 27)"}
EVERYTHING = "take_home = true\n[questions]\nconfidence = true"
# The page has this ground; nothing on it fades, neither by a transition nor because a run draws it anew.
AT_REST = """(ground) => {
  const shown = document.querySelector('.stApp') || document.body;
  const shadows = [...document.querySelectorAll('*')].map((one) => one.shadowRoot).filter(Boolean);
  const fading = [document, ...shadows].flatMap((root) => root.getAnimations())
    .some((one) => one instanceof CSSTransition && one.playState === 'running');
  return getComputedStyle(shown).backgroundColor === ground && !fading
    && !document.querySelector('[data-stale=true]') && document.fonts.status === 'loaded';
}"""


class Checked:
    """Runs axe-core on a page as it stands, at the given sizes and grounds, and collects what it finds."""

    def __init__(
        self, visit: Visit, sizes: tuple[str, ...] = tuple(SIZES), grounds: tuple[str, ...] = tuple(GROUNDS)
    ) -> None:
        self.visit = visit
        self.sizes, self.grounds = sizes, grounds
        self.pages: list[str] = []
        self.found: list[str] = []

    def look(self, name: str) -> None:
        page = self.visit.page
        self.pages.append(name)
        for size in self.sizes:
            for scheme in self.grounds:
                viewport, ground = SIZES[size], GROUNDS[scheme]
                page.set_viewport_size(viewport)
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                until(page, "(width) => document.documentElement.scrollWidth <= width", viewport["width"])
                for one in self._violations(ground):
                    where = {" ".join(map(str, node["target"])) for node in one["nodes"]}
                    self.found.append(f"{name}, {size}, {scheme}: {one['id']}: {one['help']}: {where}")

    def _violations(self, ground: str) -> list[dict]:
        """What axe-core finds; looked at again where the page was drawn anew meanwhile, which fades it."""
        for _ in range(5):
            until(self.visit.page, AT_REST, ground)
            self.visit.page.wait_for_timeout(150)
            until(self.visit.page, AT_REST, ground)
            asked = self.visit.runs_asked
            found = Axe().run(self.visit.page).response["violations"]
            if not found or self.visit.runs_asked == asked:
                break
        return found


# Another language changes how long words are, which counts on a phone, and no colour.
@pytest.mark.parametrize(
    ("language", "sizes", "grounds"), [("en", tuple(SIZES), tuple(GROUNDS)), ("de", ("phone",), ("light",))]
)
def test_axe_finds_nothing_on_any_page(tmp_path, chromium, port, language, sizes, grounds):
    study = make_tiny_study(tmp_path / "study", listening=EVERYTHING, language=language)
    store = Store.for_folder(study)
    ann = store.invite("Ann")
    with Server(study.path, port) as server, browser(chromium) as context:
        page = context.pages[0]
        visit = Visit(page)
        checked = Checked(visit, sizes, grounds)
        page.goto(server.base)
        checked.look("door")
        visit.open(personal_link(server.base, ann))
        assert visit.comes(lambda: page.evaluate("document.documentElement.lang") == language)
        assert visit.comes(lambda: page.title() == "Riffs in doubt")
        checked.look("welcome")
        page.get_by_role("checkbox").focus()
        visit.keys("Space").page.locator("[class*=st-key-start] button").click()
        visit.settle()
        checked.look("sound check")
        _planted_fault_is_found(page)
        _play(visit)
        _choose(visit, "playback", 0)
        _next(visit)
        checked.look("practice, closed")
        _play(visit)
        visit.keys("f", "7")
        checked.look("practice, half answered")
        page.keyboard.press("?")
        checked.look("keyboard shortcuts")
        page.keyboard.press("Escape")
        _next(visit)
        checked.look("practice, something owed")
        _choose(visit, "difficulty", 0)
        _answer(visit)
        checked.look("pause")
        _next(visit)
        for _ in range(2):
            _play(visit)
            visit.keys("r", "5")
            _answer(visit)
        _next(visit)
        _play(visit)
        visit.keys("r", "5").page.get_by_role("switch").or_(page.get_by_role("checkbox")).focus()
        visit.keys("Space")
        checked.look("clip, kept")
        server.kill()
        page.locator(".lost").wait_for(state="visible")
        checked.look("connection lost")
        server.start()
        page.wait_for_selector(READY)
        visit.settle()
        _answer(visit)
        _play(visit)
        visit.keys("r", "5")
        _answer(visit)
        checked.look("last questions")
        Visit(context.new_page()).open(server.base).page.close()
        _next(visit)
        checked.look("another tab")
        _next(visit)
        _next(visit)
        page.locator(".take-home").wait_for()
        checked.look("thanks")
    assert len(checked.pages) == 13
    assert checked.found == []


def _planted_fault_is_found(page: Page) -> None:
    """axe-core sees into our components: a button of the player that loses its name is a violation."""
    expect(page.locator(".time")).to_have_text("0:00 / 0:04")  # from now on nothing gives the name back
    button = page.locator(".play")
    name = button.get_attribute("aria-label")
    button.evaluate("one => one.removeAttribute('aria-label')")
    assert "button-name" in {one["id"] for one in Axe().run(page).response["violations"]}
    button.evaluate("(one, name) => one.setAttribute('aria-label', name)", name)


def _play(visit: Visit) -> None:
    visit.loaded().page.locator(".play").click()
    visit.until_heard()


def _next(visit: Visit) -> None:
    """Presses the page's own button, whatever it is called, and waits for what that leads to."""
    page = visit.page
    told = "[...document.querySelectorAll('h1, .owed')].map((one) => one.innerText).join()"
    before = page.evaluate(told)
    page.locator("[class*=st-key-] button[aria-disabled=false]:not([role])").last.click()
    until(page, f"(before) => {told} !== before", before)
    visit.settle()


def _choose(visit: Visit, question: str, number: int) -> None:
    choice = visit.page.locator(f".st-key-ask-{question} [role=radio]").nth(number)
    choice.click()
    expect(choice).to_be_checked()
    visit.settle()


def _answer(visit: Visit) -> None:
    """Fills in what keys do not reach and is asked of every clip, and goes on."""
    _choose(visit, "confidence", 3)
    _choose(visit, "inspiring", 0)
    _next(visit)


def test_a_whole_study_by_keyboard_alone(tmp_path, chromium, port):
    study = make_tiny_study(tmp_path / "study", listening=EVERYTHING)
    store = Store.for_folder(study)
    ann = store.invite("Ann")
    with Server(study.path, port) as server, browser(chromium, viewport=SIZES["desktop"]) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, ann))
        visit.reach("I have read this and I agree to take part.").keys("Space")
        visit.reach("Start").keys("Enter")
        visit.reach("Play the tone").keys("Space").until_heard()
        visit.reach("Headphones").keys("Space").reach("I can hear it well").keys("Enter")

        # Practice: walking by Tab, choosing by arrows and Space.
        visit.at("Practice \u2013 Clip 1 of 1")
        visit.at_player().keys("Space").until_heard()
        for first, moves in (("Real", 1), ("Easy", 2), ("1", 3), ("0", 10), ("Yes", 1)):
            visit.reach(first).keys(*["ArrowRight"] * moves, "Space")
        assert visit.comes(lambda: visit.chosen() == ["Fake", "Difficult", "4", "10", "No"])
        visit.reach("Finish this part").keys("Enter")
        visit.reach("Begin").keys("Enter")

        # A clip by the shortcuts, with a loop, the volume and the list of keys.
        visit.at("Part 1 of 2 \u2013 Clip 1 of 2")
        visit.at_player().keys("k").until_heard().until_ended()
        visit.keys("r", "x", "ArrowDown", "ArrowDown", "ArrowLeft", "l")
        assert visit.comes(lambda: visit.chosen() == ["Real", "10"])
        visit.page.get_by_text("Loop from 0:00").wait_for()
        visit.keys("ArrowRight", "l")
        visit.page.get_by_text("Loop 0:00\u20130:01").wait_for()
        visit.keys("l")
        until(visit.page, "sessionStorage.getItem('volume') === '0.8'")
        visit.keys("?")
        visit.page.get_by_role("dialog").wait_for(state="visible")
        visit.keys("?")
        visit.page.get_by_role("dialog").wait_for(state="hidden")
        visit.keys("f", "3")
        assert visit.comes(lambda: visit.chosen() == ["Fake", "3"])
        visit.reach("Easy").keys("Space").reach("1").keys("ArrowRight", "Space").reach("Yes").keys("Space")
        visit.reach("Anything you want to say about this clip (optional)")
        visit.page.keyboard.type("r f 5 l k? fills ")
        visit.reach("Pin 0:01").keys("Enter")
        visit.page.keyboard.type("a slip")
        typed = "r f 5 l k? fills [0:01] a slip"
        assert visit.comes(lambda: store.show(store.find(ann).id, 1).fields["comment"] == typed)
        visit.settle().reach("Keep this one").keys("Space")
        chosen = ["Fake", "Easy", "2", "3", "Yes"]
        assert visit.comes(lambda: visit.chosen() == chosen), "letters in a text are letters"
        visit.reach("Next").keys("Enter")

        # The next clip is as loud; shortcuts can be turned off.
        visit.at("Part 1 of 2 \u2013 Clip 2 of 2")
        assert visit.comes(lambda: visit.page.get_by_label("Volume").input_value() == "80")
        visit.at_player().keys("k").until_heard().keys("?", "Space", "Escape", "5")
        assert visit.chosen() == []
        visit.reach("Keyboard shortcuts").keys("Enter", "Space", "Escape", "5", "r")
        assert visit.comes(lambda: visit.chosen() == ["Real", "5"])
        visit.reach("1").keys("Space").reach("Yes").keys("Space").reach("Finish this part").keys("Enter")
        visit.reach("Continue").keys("Enter")
        for label in ("Next", "Next"):
            visit.at_player().keys("k").until_heard().keys("r", "5").reach("1").keys("Space")
            visit.reach("Yes").keys("Space").reach(label).keys("Enter")

        visit.reach("Can clips like these help you to finish songs?")
        visit.page.keyboard.type("The fills might.")
        visit.reach("Send and finish").keys("Enter")
        visit.at("Thank you")
        visit.reach("Download the kept clips")
        with visit.page.expect_download() as taken:
            visit.page.keyboard.press("Enter")
        assert taken.value.suggested_filename == "kept-clips.zip"
    rows = store.answers()
    assert [(row["verdict"], row["musicality"], row["kept"]) for row in rows] == [
        ("fake", 3, True),
        ("real", 5, False),
        ("real", 5, False),
        ("real", 5, False),
    ]
    assert rows[0]["comment"] == "r f 5 l k? fills [0:01] a slip"
    assert store.final_forms()[0]["text"] == "The fills might."
