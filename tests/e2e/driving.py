"""Drives a study in a real browser: the server as a process, Chromium, and all that passes between."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, Response, WebSocket, expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

READY = "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
PATIENCE = 90.0  # s to wait for whatever comes at once on a machine that has nothing else to do
_AFTER_A_PRESS = 120  # ms of the page's own time within which it asks for the run that a press or key wants
_FOCUS = (
    "let at = document.activeElement;while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
)
_OPEN = "[...document.querySelectorAll('[class*=st-key-ask-] [role=radio]')].some((one) => !one.disabled)"
expect.set_options(timeout=1000 * PATIENCE)
_ARGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_STUDY = "from study.cli.commands import main; main()"


class Server:
    """The study's server, to be started, killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.base = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> float:
        """Starts it, where it does not run already, and returns the seconds until it answered."""
        began = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            return 0.0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _STUDY, "serve", str(self.folder), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
                cwd=self.folder,
            )
        while time.monotonic() - began < PATIENCE:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.base}/_stcore/health", timeout=10).read()
                return time.monotonic() - began
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """As with `kill -9`: no goodbye."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@contextlib.contextmanager
def browser(executable: str, *args: str, **settings: Any) -> Iterator[BrowserContext]:
    """A fresh Chromium without sandbox (tests may run as root) that knows nothing from before."""
    short = "/tmp" if Path("/tmp").is_dir() else None  # its sockets may have 107 characters
    profile = tempfile.mkdtemp(prefix="study-e2e-", dir=short)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            headless=True,
            chromium_sandbox=False,
            args=[*_ARGS, *args],
            env=os.environ | ({"TMPDIR": short} if short else {}),
            **settings,
        )
        context.set_default_timeout(1000 * PATIENCE)
        try:
            yield context
        finally:
            context.close()
            shutil.rmtree(profile, ignore_errors=True)


def until(page: Page, condition: str, given: Any = None) -> None:
    """Waits until a JavaScript expression, or a function of what is given, is true in the page.

    It is asked for again and again from outside: `page.wait_for_function` evaluates it inside the page
    from the second time on, which a page with a policy of its own (`script-src`) forbids.
    """
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(condition, given):
        assert time.monotonic() < deadline, f"{condition} of {given}"
        page.wait_for_timeout(50)


class Traffic:
    """All that the browser gets and sends: addresses, headers, bodies, socket frames."""

    def __init__(self, context: BrowserContext) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.addresses: list[str] = []
        self.frames = 0
        self._responses: list[Response] = []
        self._ended: set[Request] = set()
        context.on("request", lambda request: self.addresses.append(request.url))
        context.on("response", lambda response: self._responses.append(response))
        for end in ("requestfinished", "requestfailed"):
            context.on(end, lambda request: self._ended.add(request))
        context.on("page", self._page)
        for page in context.pages:
            self._page(page)

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self._frame("received", payload))
        socket.on("framesent", lambda payload: self._frame("sent", payload))

    def _frame(self, way: str, payload: str | bytes) -> None:
        self.frames += 1
        self.told.append((f"frame {way}", payload if isinstance(payload, bytes) else payload.encode()))

    def drain(self) -> None:
        """Takes in what came since the last time; bodies are gone once the page has moved on.

        What has not ended yet waits for the next time: Playwright would wait for its end without end.
        """
        ready = [response for response in self._responses if response.request in self._ended]
        self._responses = [response for response in self._responses if response not in ready]
        for response in ready:
            with contextlib.suppress(Exception):  # a request that was cut off has neither headers nor body
                headers = f"{response.url} {response.request.all_headers()} {response.all_headers()}"
                self.told.append((response.url, headers.encode()))
                if "/static/" not in response.url:
                    self.told.append((response.url, response.body()))


class Visit:
    """One page of the browser, spoken to in the words of the study."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._forget()
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self.line = socket
        self._forget()
        socket.on("close", self._closed)
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _closed(self, socket: WebSocket) -> None:
        if socket is self.line:  # a page without a line is not at rest
            self._forget()

    def _forget(self) -> None:
        """Counts anew which runs of its script were asked for, begun and done, over its present line."""
        self.runs_asked = self.runs_begun = self.runs_done = 0

    def _sent(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            self.runs_asked += BackMsg.FromString(payload).WhichOneof("type") == "rerun_script"

    def _received(self, payload: str | bytes) -> None:
        told = ForwardMsg.FromString(payload) if isinstance(payload, bytes) else ForwardMsg()
        kind = told.WhichOneof("type")
        if kind == "new_session":
            self.runs_begun = self.runs_asked
        elif kind == "script_finished" and told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.runs_done = self.runs_begun

    def comes(self, true: Callable[[], bool]) -> bool:
        """Whether something is so at last; meanwhile the page goes on."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline:
                return False
            self.page.wait_for_timeout(50)
        return True

    def open(self, address: str) -> Visit:
        self.page.goto(address)
        return self.settle()

    def settle(self) -> Visit:
        """Waits until the page has run as often as it asked for, and stays at rest."""
        self.page.wait_for_selector("h1")  # of a fresh page: READY holds before its first run
        assert self.comes(self._rests), (self.runs_asked, self.runs_done)
        return self

    def _rests(self) -> bool:
        self.page.wait_for_selector(READY)
        asked = self.runs_asked
        # The page's own clock: a page too busy to send what a press asks for is too busy for this as well.
        self.page.evaluate(f"new Promise((done) => setTimeout(done, {_AFTER_A_PRESS}))")
        self.page.wait_for_selector(READY)
        return 0 < asked == self.runs_asked == self.runs_done

    @property
    def title(self) -> str:
        return self.page.locator("h1").inner_text()

    def at(self, title: str) -> Visit:
        """Fails unless the page comes to have this title: on a busy machine a click takes its time."""
        # A list, as for a moment there may be the headings of two pages: the one gives way to the other.
        expect(self.page.locator("h1")).to_have_text([title])
        return self.settle()

    def press(self, label: str) -> Visit:
        self.page.get_by_role("button", name=label, exact=True).click()
        return self.settle()

    def choose(self, *labels: str) -> Visit:
        for label in labels:
            choice = self.page.get_by_role("radio", name=label, exact=True)
            choice.click()
            expect(choice).to_be_checked()
            self.settle()
        return self

    def chosen(self) -> list[str]:
        return self.page.locator("[role=radio][aria-checked=true]").all_inner_texts()

    def write(self, label: str, text: str) -> Visit:
        self.page.get_by_label(label).fill(text)
        return self

    def loaded(self) -> Visit:
        """Waits until the player knows how long its clip is; before, neither jumps nor loops do anything."""
        expect(self.page.locator(".time")).not_to_have_text(re.compile("/ 0:00$"))
        return self

    def play(self, label: str = "Play the clip") -> Visit:
        self.page.get_by_role("button", name=label).click()
        return self

    def until_heard(self) -> Visit:
        """Waits until the clip, or all but its last moment, was heard, and its questions are open."""
        self.page.get_by_text(re.compile(r"^(Heard|Geh\u00f6rt)\.")).wait_for()
        until(self.page, _OPEN)
        return self.settle()

    def until_ended(self) -> Visit:
        """Waits until the clip is at its end and silent: its questions open a moment before."""
        expect(self.page.locator(".seek")).to_have_value("1000")
        expect(self.page.locator(".play")).not_to_have_class(re.compile(r"\bon\b"))
        return self

    def reach(self, name: str) -> Visit:
        """Walks on by Tab until the focus is on what is called so: by its text, label or description."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:  # more than once round: what it looks for may open a moment later
            for _ in range(60):
                self.page.keyboard.press("Tab")
                if self.focused() == name:
                    until(self.page, f"() => {{ {_FOCUS} return at?.ariaDisabled !== 'true'; }}")
                    return self
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{name} cannot be reached by Tab; the focus is on {self.focused()!r}")

    def at_player(self) -> Visit:
        """Each clip begins with the focus on its player; from then on it hears the keys."""
        assert self.comes(lambda: self.focused() == "Play the clip"), self.focused()
        return self.loaded()

    def focused(self) -> str:
        """What the focus is on, in the words that a listener would use; "" for the page itself."""
        return self.page.evaluate(
            f"() => {{ {_FOCUS}"
            "return (at?.ariaLabel || at?.labels?.[0]?.innerText || at?.innerText || '').trim(); }"
        )

    def keys(self, *keys: str) -> Visit:
        """Presses keys, one after the other, and lets the page settle after each."""
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()
        return self

    def is_open(self) -> bool:
        """Whether the questions are open."""
        return self.page.get_by_role("radio", name="Real", exact=True).is_enabled()

    def welcome(self) -> Visit:
        """From the welcome page through the sound check."""
        self.page.get_by_text("I agree to take part").click()
        self.settle().press("Start")
        self.choose("Headphones").play("Play the tone").until_heard()
        return self.press("I can hear it well")
