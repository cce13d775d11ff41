"""The report in a browser: contents, folded parts, pins that play, paper, and axe-core at both widths."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from axe_playwright_python.sync_playwright import Axe
from driving import browser, until
from playwright.sync_api import BrowserContext, Page

from analysis import responses
from analysis.report import report
from analysis.report.report import ReportFacts
from tests.analysis import panels

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(600)]

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
TALLEST = {"phone": 14_500, "desktop": 11_000}  # px of the page as it opens, with the clips that inspired


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of a panel with sound, and moments pinned by two listeners."""
    folder = tmp_path_factory.mktemp("report")
    soundfile.write(folder / "clip.flac", np.zeros(600 * 8000, dtype="int16"), 8000)  # longer than any test
    frame = responses.load(panels.panel(listeners=6, caw=6, jukebox=2, originals=4))
    frame.loc[frame["listener"] == "L02", "comment"] = "Nice. [0:02] the snare [0:05] its end"
    sounds = {name: folder / "clip.flac" for name in frame["name"]}
    return report.write(frame, folder / "report", facts=ReportFacts(stimuli=sounds))


@pytest.fixture
def context(chromium):
    with browser(chromium) as opened:
        yield opened


def opened(context: BrowserContext, path, size: str = "desktop") -> Page:
    page = context.new_page()
    page.set_viewport_size(SIZES[size])
    page.goto(f"file://{path}")
    return page


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_short_and_its_contents_stay_in_sight(context, written, size):
    page = opened(context, written, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert page.evaluate("document.documentElement.scrollHeight") < TALLEST[size]
    page.locator("nav a[href='#statistics']").click()
    until(page, "Math.abs(document.querySelector('nav').getBoundingClientRect().top) < 1")
    until(page, "document.fonts.status === 'loaded'")
    head = page.locator("#statistics h2").bounding_box()
    assert page.locator("nav").bounding_box()["height"] < head["y"] < SIZES[size]["height"] / 2


@pytest.mark.slow
def test_a_pin_plays_its_clip_from_there_and_stops_the_other(context, written):
    page = opened(context, written)
    fold = page.locator("#words details")
    fold.locator("summary").click()
    pins = fold.locator("a.pin")
    first, other = pins.nth(0), pins.nth(3)
    playing = (
        "[...document.querySelectorAll('audio')].filter((sound) => !sound.paused).map((sound) => sound.id)"
    )
    first.click()
    until(page, f"{playing}.length === 1 && {playing}[0] === '{first.get_attribute('href')[1:]}'")
    other.press("Enter")
    target = other.get_attribute("href")[1:]
    until(page, f"{playing}.length === 1 && {playing}[0] === '{target}'")
    assert other.get_attribute("data-seconds") == "5"
    assert page.evaluate(f"document.getElementById('{target}').currentTime") >= 5
    assert page.evaluate(f"document.getElementById('{target}').checkVisibility()")


@pytest.mark.parametrize("script", [True, False])
def test_paper_has_every_part(chromium, written, tmp_path, script):
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine; install the package `poppler-utils` to run this")
    with browser(chromium, java_script_enabled=script) as context:
        page = opened(context, written)
        page.pdf(path=tmp_path / "report.pdf", format="A4")
    told = subprocess.run(
        ["pdftotext", tmp_path / "report.pdf", "-"], capture_output=True, check=True, text=True
    )
    for part in ("linear mixed model", "Hautus, M. J.", "answers given without playing", "caw_UMG_00"):
        assert part in told.stdout


@pytest.mark.slow
def test_axe_finds_nothing(context, written):
    page = opened(context, written)
    page.get_by_role("button", name="Open all parts").click()
    found = []
    for size, viewport in SIZES.items():
        for scheme in ("light", "dark"):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            for one in Axe().run(page).response["violations"]:
                where = {" ".join(map(str, node["target"])) for node in one["nodes"]}
                found.append(f"{size}, {scheme}: {one['id']}: {one['help']}: {list(where)[:4]}")
    assert found == []
