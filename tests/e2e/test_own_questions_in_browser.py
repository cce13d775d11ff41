"""The study's own questions and the checks in a browser: by keyboard, on a phone, and under axe-core."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from driving import Server, Visit, browser
from playwright.sync_api import expect
from test_accessibility import SIZES, Checked
from tiny_study import make_tiny_study

from study.server import headphone_check
from study.server.links import personal_link, researcher_key
from study.store import check_results, own_answers
from study.store.protocol import Page
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]

SHOTS = os.environ.get("STUDY_SHOTS")  # a folder for pictures of the pages, to be looked at
HOSTILE = "<img src=x onerror=window.owned=1> \u202e\u05d0 \U0001f3b8 $x$ *b*"
QUESTIONS = f"""
[checks]
headphones = "huggins"
attention = 1

[[question]]
name = "plays"
ask = "before"
kind = "choice"
text = "Do you play an instrument?"
options = ["Yes", "A little", "No"]

[[question]]
name = "which"
ask = "before"
kind = "choices"
text = "Which instruments do you play or have you played in a band?"
options = ["Guitar", "Bass", "Drums or percussion", "Keys", "Voice", "{HOSTILE}", "None"]
when = {{ plays = ["Yes", "A little"] }}

[[question]]
name = "years"
ask = "before"
kind = "number"
text = "For how many years?"
unit = "years"
min = 0
max = 90

[[question]]
name = "age"
ask = "before"
kind = "choice"
text = "How old are you?"
options = ["18 to 29", "30 to 44", "45 to 59", "60 or older", "I would rather not say"]

[[question]]
name = "words"
ask = "before"
kind = "text"
text = "Anything about your hearing?"

[[question]]
name = "feel"
ask = "clip"
kind = "scale"
text = "How does the groove feel?"
low = 0
high = 10
low_label = "stiff"
high_label = "loose"

[[question]]
name = "again"
ask = "end"
kind = "choice"
text = "Would you take part again?"
options = ["Yes", "No"]
"""


def shoot(visit: Visit, name: str) -> None:
    """Pictures of the page as it stands, wide and narrow, where somebody wants to look at them."""
    if SHOTS:
        for width, height in ((1280, 1400), (390, 1500)):
            visit.page.set_viewport_size({"width": width, "height": height})
            visit.page.wait_for_timeout(300)
            visit.page.screenshot(path=Path(SHOTS) / f"{name}-{width}.png")
        visit.page.set_viewport_size(SIZES["desktop"])


def test_questions_and_checks_by_keyboard_and_under_axe(tmp_path, chromium, port):
    study = make_tiny_study(tmp_path / "study", listening=QUESTIONS)
    store, secret = Store.for_folder(study), researcher_key(study)
    token = store.invite("Ann")
    who = store.find(token).id
    with Server(study.path, port) as server, browser(chromium) as context:
        visit = Visit(context.pages[0]).open(personal_link(server.base, token))
        checked = Checked(visit)
        visit.reach("I have read this and I agree to take part.").keys("Space").reach("Start").keys("Enter")
        visit.at("A few questions first")
        checked.look("before")
        visit.reach("Continue").keys("Enter")
        visit.page.get_by_text("Still to answer:").wait_for()
        assert visit.comes(lambda: visit.focused() == "Yes"), visit.focused()
        visit.keys("ArrowRight", "Space")
        assert visit.comes(lambda: visit.chosen() == ["A little"])
        visit.reach("Guitar").keys("ArrowRight", "Space", "ArrowRight", "Space")
        hostile = visit.page.get_by_role("button", name=HOSTILE)
        expect(hostile).to_have_count(1)
        visit.reach("For how many years? (years, 0–90)")
        visit.page.keyboard.type("12")
        visit.reach("18 to 29").keys("ArrowRight", "Space")
        visit.reach("Anything about your hearing? (optional)")
        visit.page.keyboard.type(HOSTILE)
        saved = {"plays": "A little", "which": ["Bass", "Drums or percussion"], "years": 12}
        saved |= {"age": "30 to 44", "words": HOSTILE}
        assert visit.comes(lambda: own_answers.saved(store.engine, who, "before") == saved)
        visit.settle()
        shoot(visit, "before")
        checked.look("before, answered")
        visit.page.reload()
        visit.settle()
        assert visit.comes(lambda: visit.chosen() == ["A little", "30 to 44"])
        assert visit.page.get_by_label("For how many years? (years, 0–90)").input_value() == "12"
        assert visit.page.evaluate("window.owned") is None
        visit.reach("Continue").keys("Enter")

        visit.at("Sound check").play("Play the tone").until_heard()
        visit.reach("Headphones").keys("Space").reach("I can hear it well").keys("Enter")
        for trial in range(1, 7):
            visit.at(f"Headphone check \u2013 {trial} of 6")
            assert visit.comes(lambda: visit.focused() == "Play the three sounds")
            if trial == 1:
                checked.look("headphone check, closed")
            visit.keys("Enter").until_heard()
            if trial == 1:
                shoot(visit, "headphones")
                checked.look("headphone check, open")
            right = str(headphone_check.answer(secret, who, 1, trial))
            visit.reach("1").keys(*["ArrowRight"] * (int(right) - 1), "Space")
            assert visit.comes(lambda right=right: visit.chosen() == [right])
            visit.reach("Next").keys("Enter")
        assert visit.comes(lambda: store.find(token).step.page is not Page.HEADPHONES)
        assert [one["passed"] for one in check_results.of(store.engine, "headphones", who)] == [True]

        visit.settle()
        met = 0
        while visit.title != "Last questions":
            title = visit.title
            if title == "A short check":
                met += 1
                shoot(visit, "attention")
                checked.look("attention")
                wanted = visit.page.locator("[class*=st-key-ask-attention] p").first.inner_text().split()[2]
                visit.page.get_by_role("radio", name=wanted, exact=True).click()
                visit.settle().press("Next")
            elif title.startswith(("Part", "Practice")) and "Clip" in title:
                visit.play().until_heard().choose("Real")
                for name in ("musicality", "inspiring", "clip_feel"):
                    visit.page.locator(f".st-key-ask-{name} [role=radio]").nth(2).click()
                    visit.settle()
                if title.startswith("Practice"):
                    shoot(visit, "clip")
                    checked.look("clip with an own question")
                last = visit.page.get_by_role("button", name="Finish this part", exact=True).count()
                visit.press("Finish this part" if last else "Next")
            else:
                first = visit.page.get_by_role("button", name="Begin", exact=True).count()
                visit.press("Begin" if first else "Continue")
            assert visit.comes(lambda title=title: visit.title != title)
            visit.settle()
        assert met == 1
        visit.press("Send and finish")
        visit.page.get_by_text("Still to answer:").wait_for()
        shoot(visit, "last")
        checked.look("last questions")
        visit.choose("No").press("Send and finish").at("Thank you")
    rows = store.answers()
    assert {(row["end_again"], row["clip_feel"], row["before_words"]) for row in rows} == {("No", 2, HOSTILE)}
    assert {(row["check_headphones"], row["check_attention"]) for row in rows} == {(True, True)}
    assert checked.found == []
