"""Somebody comes by the open link, takes a study under a prefix of a proxy's addresses, and sees the code."""

from __future__ import annotations

import os

import pytest
from driving import Server, Visit, browser
from playwright.sync_api import expect
from prefix_proxy import proxy
from test_accessibility import Checked
from tiny_study import make_tiny_study

from study import design
from study.server import open_link
from study.store import recruits
from study.store.store import Store
from tests.free_ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]
TABLE = '\n[open_link]\nids = ["who"]\ncompleted = { code = "C0MPLETE", url = "https://a.org/?w={who}" }\n'
IDS = {"who": "5a9d64f5"}


@pytest.mark.parametrize("takes_off", [True, False], ids=["taken off", "passed on"])
def test_from_the_link_to_the_code(tmp_path, chromium, port, monkeypatch, takes_off):
    study = make_tiny_study(tmp_path / "study")
    with study.toml.open("a") as toml:
        toml.write(TABLE)
    monkeypatch.setenv("STUDY_BASE_PATH", "/lab/study")
    settings = design.load(study.path).open_link
    store = Store.for_folder(study)
    with (
        Server(study.path, port) as server,
        proxy(free_port(), port, "/lab/study", takes_off=takes_off) as base,
        browser(chromium) as context,
    ):
        monkeypatch.delenv("STUDY_BASE_PATH")
        page = context.pages[0]
        page.goto(open_link.personal(base, study, settings, {"who": ""}))
        expect(page.locator("h1")).to_have_text("This address is incomplete")
        visit = Visit(page).open(open_link.personal(base, study, settings, IDS))
        assert page.url.startswith(f"{base}/?me=")
        visit.welcome()
        for _ in range(20):
            button = page.locator("[class*=st-key-next] button, [class*=st-key-begin] button").first
            if not button.count():
                break
            if page.get_by_role("button", name="Play the clip").count():
                visit.play().until_heard().choose("Real", "7", "Yes")
            button.click()
            visit.settle()
        visit.press("Send and finish")
        expect(page.locator("code")).to_have_text("C0MPLETE")
        back = page.get_by_role("link", name="Go back to where you signed up")
        expect(back).to_have_attribute("href", "https://a.org/?w=5a9d64f5")
        visit.reach("Copy the code").page.keyboard.press("Enter")
        expect(page.get_by_text("Copied.")).to_be_visible()
        if takes_off:
            checked = Checked(visit)
            checked.look("code")
            assert checked.found == []
        if folder := os.environ.get("SCREENSHOTS"):
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 800})
                page.screenshot(path=f"{folder}/code-{width}.png")
        assert server.process.poll() is None
    assert recruits.counts(store.engine) == {"completed": 1}
