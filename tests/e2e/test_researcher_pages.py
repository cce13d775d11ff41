"""The researcher's way through a browser: log in, look at every page, invite, unblind, read, log out."""

from __future__ import annotations

import pytest
from driving import Server, Traffic, Visit, browser
from scripted_listener import answer_all
from test_accessibility import Checked
from tiny_study import EPOCHS, TITLE, make_tiny_study

from study import design, password
from study.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
PASSWORD = "four plain words here"
SECRETS = (b"jukebox", b"swampgroove", str(EPOCHS).encode())


def test_the_researchers_way(tmp_path, chromium, port):
    study = make_tiny_study(tmp_path / "study", fakes=2, originals=2)
    design.write_password(study.toml, password.hashed(PASSWORD))
    store = Store.for_folder(study)
    person = store.find(store.invite("Ann"))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    answer_all(store, "Ann")
    assert store.save_final(person.id, tab="T", questions=["a"], texts={1: "<b>bold</b>"}, finish=True)
    with Server(study.path, port) as server, browser(chromium) as context:
        page, traffic = context.pages[0], Traffic(context)
        visit = Visit(page)
        checked = Checked(visit)
        page.goto(f"{server.base}/researcher")
        checked.look("login")
        page.keyboard.press("Tab")
        page.keyboard.type("Ida")
        page.keyboard.press("Tab")
        page.keyboard.type("four wrong words here")
        page.keyboard.press("Enter")
        page.get_by_text("That is not the password").wait_for()
        checked.look("wrong password")
        page.get_by_label("Your name").fill("Ida")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        visit.at("Overview")
        page.locator("canvas").first.wait_for()
        checked.look("overview")
        for name in ("Listeners", "Data", "Results"):
            page.get_by_role("link", name=name, exact=True).click()
            page.get_by_role("heading", name=name, exact=True).wait_for()
            visit.settle()
            checked.look(name)
        with page.expect_download() as taken:
            page.evaluate("location.href = '/researcher/answers.csv'")
        assert taken.value.suggested_filename == "study-answers.csv"

        page.get_by_role("link", name="Listeners", exact=True).click()
        visit.at("Listeners")
        page.get_by_label("Names, one a line").fill("Bo\nCy")
        page.get_by_label("Names, one a line").press("Control+Enter")
        page.get_by_text("2 listeners invited").wait_for()
        assert visit.comes(lambda: [one.name for one in store.listeners()] == ["Ann", "Bo", "Cy"])
        traffic.drain()
        heard = b" ".join(content for _, content in traffic.told)
        assert not [secret for secret in SECRETS if secret in heard], "truth before the unblinding"

        page.get_by_role("link", name="Results", exact=True).click()
        visit.at("Results")
        page.get_by_label("Why").fill("All are done")
        page.get_by_label("Type the title").fill(TITLE)
        page.locator("label").filter(has_text="although listeners have not finished").click()
        visit.settle()
        page.get_by_role("button", name="Unblind the study").click()
        page.get_by_text("The report is written").wait_for(timeout=900_000)
        checked.look("results, unblinded")
        assert [row["who"] for row in store.unblindings()] == ["Ida"]
        assert store.closed_at(), "whoever knows the truth collects no more answers"
        with context.expect_page() as opened:
            page.get_by_role("link", name="Open the report").click()
        assert TITLE in opened.value.locator("h1").inner_text()
        opened.value.close()

        cookies = context.cookies()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").wait_for()
        context.add_cookies(cookies)
        assert page.goto(f"{server.base}/researcher/report/index.html").status == 403, (
            "a copied cookie is over"
        )
    store.close()
    assert not checked.found, "\n".join(checked.found)
