"""`study muse` as a songwriter meets it: a song, two rounds, kills in between, on a phone and by keyboard."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from driving import PATIENCE, Visit, browser
from playwright.sync_api import expect
from test_accessibility import Checked

from study.muse.folder import KEPT, Choice, MuseFolder
from study.muse.keeper import PATIENCE as WORKERS_PATIENCE
from tests.study.muse.tiny_muse import made_folder, new_folder

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
ROOT = Path(__file__).parents[2]
_STUDY = "from study.cli.commands import main; main()"


class Muse:
    """The command, to be killed and started again."""

    def __init__(self, folder: MuseFolder, port: int) -> None:
        self.folder, self.port = folder, port
        self.link = f"http://127.0.0.1:{port}/?key={folder.secret()}"
        self.log = folder.path.parent / "muse.log"

    def start(self) -> Muse:
        song = self.folder.path.parent / "riff.wav"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _STUDY, "muse", str(song), "--port", str(self.port), "--no-browser"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            try:
                urllib.request.urlopen(self.link, timeout=10).read()
            except urllib.error.HTTPError:  # it answers, if not to a client without cookies
                return self
            except OSError:
                time.sleep(0.05)
            if self.process.poll() is not None:
                break
        self.process.kill()
        raise AssertionError(self.log.read_text())

    def worker(self) -> int | None:
        """The process of the worker that the command has started."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for child in " ".join(file.read_text() for file in children).split():
            with contextlib.suppress(OSError):
                if b"study.muse.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return None

    def __enter__(self) -> Muse:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with self.folder.worked_on():  # the worker has ended, too
            pass


def _until(visit: Visit, true) -> None:
    """Waits for what takes a training; the test's own time limit ends it."""
    while not true():
        visit.page.wait_for_timeout(100)


def _card(visit: Visit, clip: str):
    return visit.page.locator(f".st-key-clip-{clip}")


def test_a_song_goes_through_two_rounds_over_kills(tmp_path, chromium, port):
    folder = new_folder(tmp_path, epochs=90)
    with Muse(folder, port) as muse, browser(chromium, viewport={"width": 390, "height": 844}) as context:
        page = context.pages[0]
        visit = Visit(page)
        page.goto(muse.link)
        visit.at("riff")
        _until(visit, muse.worker)
        os.kill(muse.worker(), signal.SIGKILL)  # another one goes on
        _until(visit, lambda: folder.clip("1-1"))
        expect(page.locator(".card h3").first).to_have_text(re.compile("^1-1 New music, bold$"))
        expect(_card(visit, "1-1").locator(".play")).to_be_visible()
        expect(_card(visit, "1-1").get_by_text("An early sketch")).to_be_visible()

        # Kept while the training goes on; then the server is killed, and the open page goes on by itself.
        _card(visit, "1-1").get_by_role("radio", name="Keep").click()
        _card(visit, "1-1").get_by_label("A note (optional)").fill("that turn")
        _card(visit, "1-1").get_by_text("groove").click()
        wanted = {"1-1": Choice(KEPT, ("groove",), "that turn")}
        assert visit.comes(lambda: folder.choices() == wanted)
        muse.process.kill()
        muse.process.wait()
        page.locator(".st-key-reconnect .lost").wait_for(state="visible")
        muse.start()
        page.locator(".st-key-reconnect .lost").wait_for(state="hidden")
        _until(visit, lambda: all(map(folder.clip, folder.planned())))
        more = page.get_by_role("button", name="More like these")
        expect(more).to_have_attribute("aria-disabled", "false")
        assert folder.choices() == wanted

        # The next round, by keyboard; a second press while it is made asks for nothing.
        visit.reach("More like these")
        page.keyboard.press("Enter")
        expect(page.locator(".card h3 span").first).to_have_text("2-1")
        expect(more).to_have_attribute("aria-disabled", "true")
        _until(visit, lambda: all(map(folder.clip, folder.planned())))
        expect(more).to_have_attribute("aria-disabled", "false")
        assert len(folder.rounds()) == 2
        page.reload()
        visit.at("riff")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert _card(visit, "1-1").get_by_label("A note (optional)").input_value() == "that turn"
        with page.expect_download() as taken:
            page.get_by_role("link", name="Download them, with chords and tempo").click()
        with zipfile.ZipFile(io.BytesIO(Path(taken.value.path()).read_bytes())) as pack:
            assert pack.read("riff 1-1.wav") == folder.sound("1-1").read_bytes()

        # Ctrl-C ends everything.
        worker = muse.worker()
        os.killpg(muse.process.pid, signal.SIGINT)
        assert muse.process.wait(PATIENCE + WORKERS_PATIENCE) == 0
        assert not Path(f"/proc/{worker}").exists()


def test_keys_go_to_the_player_in_focus_and_others_fall_silent(tmp_path, chromium, port):
    folder = made_folder(tmp_path)
    with Muse(folder, port) as muse, browser(chromium) as context:
        page = context.pages[0]
        visit = Visit(page)
        page.goto(muse.link)
        visit.at("riff")
        on = re.compile(r"\bon\b")
        first, second = (_card(visit, f"1-{place}").locator(".play") for place in (1, 2))
        expect(_card(visit, "1-2").locator(".time")).to_have_text("0:00 / 0:01")
        page.keyboard.press("k")
        expect(first).not_to_have_class(on)
        _card(visit, "1-2").locator(".loop").focus()
        page.keyboard.press("l")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("l")  # it goes round and round
        page.keyboard.press("k")
        expect(second).to_have_class(on)
        expect(first).not_to_have_class(on)
        first.click()
        expect(second).not_to_have_class(on)


@pytest.mark.parametrize("language", ["en", "de"])
def test_axe_finds_nothing(tmp_path, chromium, port, language):
    folder = made_folder(tmp_path, language=language)
    folder.choose("1-1", Choice(KEPT, ("form",), "the end"))
    with Muse(folder, port) as muse, browser(chromium) as context:
        visit = Visit(context.pages[0])
        context.pages[0].goto(muse.link)
        visit.at("riff")
        checked = Checked(visit) if language == "en" else Checked(visit, ("phone",), ("light",))
        checked.look("muse")
    assert checked.found == []
