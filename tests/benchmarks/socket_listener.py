"""A listener without a browser: takes a study over the server's real websocket, and notes what it was told.

It does what a browser does: the personal link becomes a cookie, every message carries the state of all
widgets on the page, and after a lost connection it comes back with the same state. It answers whatever
questions a page shows, so it needs no knowledge of their order, and now and then changes its mind at the very
moment of Next. A change counts as acknowledged when the server's next page says that it is saved (the mark
below Next, the mark of a text box, or the next clip).
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from analysis import questionnaire

OPTIONS = {field.name: field.levels for field in questionnaire.FIELDS if field.levels}
LOST = (OSError, WebSocketException, EOFError, asyncio.TimeoutError, httpx.HTTPError)
_SAVED = re.compile(r'class="saved"[^>]*>\s*[^<\s]')
_KEY = re.compile(r"\$\$ID-[0-9a-f]+-(.+)")


class Stuck(RuntimeError):
    """A page that leads nowhere: it asks for something this listener does not know, or says "Not saved"."""


@dataclass
class Shown:
    """What one run of the page showed. Widgets by the key that the page gave them."""

    ids: dict[str, str] = field(default_factory=dict)
    components: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # key -> (name, data)
    choices: dict[str, tuple[list[str], bool]] = field(default_factory=dict)  # key -> (options, enabled)
    ticks: set[str] = field(default_factory=set)
    lines: dict[str, str] = field(default_factory=dict)  # text field -> what it starts with
    title: str = ""
    texts: list[str] = field(default_factory=list)
    saved_after: float | None = None  # seconds from the message to the mark "Saved"

    def component(self, name: str) -> str | None:
        return next((key for key, (kind, _) in self.components.items() if kind == name), None)


@dataclass
class Notes:
    """What all listeners of one benchmark measured and were promised."""

    reruns: list[float] = field(default_factory=list)  # s, from the message to the end of its run
    saves: list[float] = field(default_factory=list)  # s, from a changed answer to the mark that says saved
    connected: list[float] = field(default_factory=list)  # s, first run of a fresh connection
    acknowledged: dict[tuple[str, int, str], Any] = field(default_factory=dict)  # (token, slot, field)
    finals: set[tuple[str, int]] = field(default_factory=set)  # (token, slot) whose Next led on
    finished: set[str] = field(default_factory=set)
    reconnects: Counter = field(default_factory=Counter)  # by token
    lost: Counter = field(default_factory=Counter)  # by what the listener was told
    clips: int = 0
    frames: int = 0


class SocketListener:
    """One listener at `base`, with a mean think time in seconds. run() returns when the study is finished."""

    def __init__(self, base: str, token: str, notes: Notes, *, think: float, seed: int) -> None:
        self.base, self.token, self.notes, self.think = base, token, notes, think
        self.dice = random.Random(seed)
        self.states: dict[str, tuple[str, Any]] = {}  # widget key -> (field of WidgetState, value)
        self.shown = Shown()
        self.session = ""
        self.cookie = ""
        self.puzzled = 0
        self.http: httpx.AsyncClient | None = None
        self.given: dict[str, Any] = {}  # widget key -> its answer, should it be asked for again
        self.chosen: dict[str, set[int]] = {}  # widget key -> the options chosen so far
        self.pressed: tuple[str, dict[str, Any]] | None = None  # Next, and the answers shown when pressed

    async def run(self) -> None:
        """Takes the study to its end, through lost connections. Raises Stuck."""
        await asyncio.sleep(self.dice.uniform(0, 1.5 * self.think))
        # Certificates, which nobody needs here, take a client so long that two hundred would keep each other
        # from sending their requests' heads in time.
        async with httpx.AsyncClient(base_url=self.base, timeout=60, verify=False) as self.http:
            while True:
                try:
                    await self.enter()
                    async with await self.dial() as socket:
                        await self.take(socket)
                    return
                except LOST as error:
                    self.notes.reconnects[self.token] += 1
                    self.notes.lost[f"{type(error).__name__}: {error}"[:200]] += 1
                    await asyncio.sleep(self.dice.uniform(0.1, 0.5))

    async def enter(self) -> None:
        """The personal link, once; then the cookie is enough."""
        if not self.cookie:
            answer = await self.http.get("/", params={"p": self.token})
            if answer.status_code != 303:
                raise httpx.HTTPError(f"the personal link was answered with {answer.status_code}")
            self.cookie = answer.headers["set-cookie"].split(";")[0]

    async def dial(self) -> ClientConnection:
        headers = {"Cookie": self.cookie, "Origin": self.base}
        known = ["streamlit", "none"] + ([self.session] if self.session else [])
        return await connect(
            self.base.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=known,
            additional_headers=headers,
            max_size=None,
            open_timeout=60,
            ping_interval=None,
        )

    async def take(self, socket: ClientConnection) -> None:
        await self.send(socket)
        self.notes.connected.append(self.notes.reruns[-1])
        for _ in range(10_000):
            if not await self.act(socket):
                self.notes.finished.add(self.token)
                return

    async def act(self, socket: ClientConnection) -> bool:
        """Does the next thing that the page asks for; False where it asks for nothing more."""
        shown = self.shown
        button = shown.component("next_button")
        if button is None:
            if any("are saved" in text for text in shown.texts):
                return False
            return await self.look_again(socket, f"nothing to do on {shown.title!r}: {shown.texts}")
        player = shown.component("player")
        if player and player not in self.states:
            await self.listen(player)
            await self.send(socket)
            return True
        for key in sorted(shown.ticks - set(self.states)):
            self.states[key] = ("bool_value", True)
            await self.send(socket)
            return True
        for key, (options, enabled) in shown.choices.items():
            if enabled and key not in self.states:
                last = len(options) - key.startswith("inspiring-")  # never "other", which asks for words
                index = self.given.setdefault(key, self.dice.randrange(last))
                self.chosen.setdefault(key, set()).add(index)
                await self.change(socket, key, "string_array_value", [options[index]])
                return True
        for key in sorted(shown.components):
            kind, data = shown.components[key]
            if kind != "saved_text" or data["disabled"]:
                continue
            text = self.given.setdefault(key, f"{key} {secrets.token_hex(4)}")
            if data["saved"] != text:  # as a browser, which keeps what is typed until the server has it
                await self.change(socket, key, "json_value", {"text": text})
                return True
        if shown.components[button][1]["disabled"]:
            return await self.look_again(socket, f"Next is closed on {shown.title!r}")
        await self.press(socket, button)
        self.puzzled = 0
        return True

    async def look_again(self, socket: ClientConnection, why: str) -> bool:
        """After a lost connection the first page may be one from before it; the next one is not."""
        self.puzzled += 1
        if self.puzzled > 3:
            raise Stuck(f"{self.token}: {why}")
        await self.send(socket)
        return True

    async def listen(self, player: str) -> None:
        """Fetches the clip as a player does, reports it heard, and keeps that as the player's state."""
        data = self.shown.components[player][1]
        sound = await self.http.get(data["src"], headers={"Cookie": self.cookie})
        sound.raise_for_status()
        self.notes.clips += 1
        status = {"clip": data["clip"], "why": "ended", "plays": 1, "played": 1.2, "heard": 1.2}
        status |= {"spans": [[0, 1.2]], "position": 1.2, "unlocked": True}
        if data["beacon"]:
            await self.http.post(data["beacon"], json=status, headers={"Cookie": self.cookie})
        self.states[player] = ("json_value", {"status": status})

    async def change(self, socket: ClientConnection, key: str, kind: str, value: Any) -> None:
        """Sets one answer and sends it."""
        self.states[key] = (kind, value)
        await self.send(socket, changed=True)

    def change_mind(self) -> None:
        """Picks another option of one question, none that was picked before, and does not send it yet."""
        for key, (options, enabled) in self.shown.choices.items():
            if not enabled or key not in self.chosen or key.startswith("verdict-"):
                continue
            last = len(options) - key.startswith("inspiring-")
            left = sorted(set(range(last)) - self.chosen[key])
            if left:
                self.given[key] = index = self.dice.choice(left)
                self.chosen[key].add(index)
                self.states[key] = ("string_array_value", [options[index]])
                return

    def acknowledge(self, shown: Shown) -> None:
        """Takes note of all that the server, with this page, says it has saved of what it was sent."""
        for key in shown.ids.keys() & self.given.keys() & self.states.keys():
            name, _, slot = key.rpartition("-")
            value = self.given[key]
            if not slot.isdigit():
                continue
            if name in OPTIONS:
                saved, value = shown.saved_after is not None, OPTIONS[name][value]
            else:
                saved = shown.components[key][1].get("saved") == value
            if saved:
                self.notes.acknowledged[self.token, int(slot), name] = value

    async def press(self, socket: ClientConnection, button: str) -> None:
        before, answering = self.shown, button.startswith("next-")
        if answering:
            if self.dice.random() < 0.5:
                self.change_mind()
            self.pressed = button, {key: self.given[key] for key in before.choices if key in self.given}
        self.states[button] = ("json_value", {"press": f"press-{secrets.token_hex(6)}"})
        await self.send(socket, changed=answering)
        if answering and button in self.shown.components:
            await self.look_again(socket, f"{before.title!r} did not lead on: {self.shown.texts}")

    def take_note_of_final(self) -> None:
        """Where Next led on, be it after a lost connection, all that was shown then is final."""
        if self.pressed is None or self.pressed[0] in self.shown.components:
            return
        button, answers = self.pressed
        self.pressed = None
        slot = int(button.rpartition("-")[2])
        self.notes.finals.add((self.token, slot))
        for key, index in answers.items():
            name = key.rpartition("-")[0]
            self.notes.acknowledged[self.token, slot, name] = OPTIONS[name][index]

    async def send(self, socket: ClientConnection, *, changed: bool = False) -> None:
        """One message with the state of all widgets; returns at the end of the run that it causes."""
        await asyncio.sleep(self.think * self.dice.uniform(0.5, 1.5))
        message = BackMsg()
        message.rerun_script.query_string = ""
        for key, (kind, value) in self.states.items():
            if key not in self.shown.ids:
                continue
            widget = message.rerun_script.widget_states.widgets.add()
            widget.id = self.shown.ids[key]
            if kind == "json_value":
                widget.json_value = json.dumps(value)
            elif kind == "string_array_value":
                widget.string_array_value.data.extend(value)
            else:
                setattr(widget, kind, value)
        began = time.perf_counter()
        await socket.send(message.SerializeToString())
        shown, ours = Shown(), False
        while True:
            data = await asyncio.wait_for(socket.recv(), 60)
            self.notes.frames += 1
            forward = ForwardMsg.FromString(data)
            kind = forward.WhichOneof("type")
            if kind == "new_session":
                shown, ours = Shown(), True
                self.session = forward.new_session.initialize.session_id or self.session
            elif kind == "delta" and forward.delta.WhichOneof("type") == "new_element":
                _see(shown, forward.delta.new_element, time.perf_counter() - began)
            elif kind == "script_finished":
                whole = forward.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                if whole and ours:  # else it was for a rerun, or the rest of a run that was cut short
                    break
        took = time.perf_counter() - began
        self.notes.reruns.append(took)
        if changed:
            self.notes.saves.append(shown.saved_after if shown.saved_after is not None else took)
        self.acknowledge(shown)
        self.shown = shown
        self.states = {key: state for key, state in self.states.items() if key in shown.ids}
        for key, text in shown.lines.items():  # browsers send it back, though nobody has touched it
            self.states.setdefault(key, ("string_value", text))
        if any("Not saved" in text or "went wrong" in text for text in shown.texts):
            raise ConnectionError("not saved; try again")  # a browser keeps the state and sends it again
        self.take_note_of_final()


def _see(shown: Shown, element: Any, after: float) -> None:
    kind = element.WhichOneof("type")
    if kind == "heading":
        shown.title = element.heading.body if element.heading.tag == "h1" else shown.title
    elif kind in ("html", "markdown", "alert"):
        body = getattr(element, kind).body
        if "<style" not in body:
            shown.texts.append(body)
        if _SAVED.search(body) and shown.saved_after is None:
            shown.saved_after = after
    elif kind in ("bidi_component", "button_group", "checkbox", "text_input"):
        widget = getattr(element, kind)
        key = _KEY.fullmatch(widget.id).group(1)
        shown.ids[key] = widget.id
        if kind == "bidi_component":
            shown.components[key] = (
                widget.component_name.rpartition(".")[2],
                json.loads(widget.json or "{}"),
            )
        elif kind == "checkbox":
            shown.ticks.add(key)
        elif kind == "text_input":
            shown.lines[key] = widget.default
        else:
            shown.choices[key] = ([option.content for option in widget.options], not widget.disabled)
