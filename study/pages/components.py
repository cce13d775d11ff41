"""The browser components of the pages: player, Next, saved texts, keys of the pool, watch on the connection.

Each is made of the files of its name in study/browser. What a component holds is state and not an event: the
browser sends it with every message, so that an interrupted run or a restarted server loses nothing, and a
page must not do again what it has done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import streamlit as st

from study.languages import Words
from study.server.address import own
from study.store.answering import Listening
from study.store.protocol import MAX_TEXT, Page, Step

_TEXT_WORDS = ("saving", "saved", "pin", "pin_title")  # of the catalogue's [clip]
POOL_KEYS = "pool-keys"  # the key of the component, and of what it holds in the session state
_PRESSES_DONE = "pool-keys-done"  # in the session state: which page load's presses are done, and up to which


def _component(name: str, parts: tuple[str, ...] = (), *, field: bool = False) -> Callable[..., Any]:
    """The component whose files are NAME.js, NAME.css and NAME.html; the last two where there are such.

    parts: NAME_PART.js each, put before NAME.js in one script, as a component loads no further files.
    field: whether it looks as the fields of the pages do, by field.css.
    """
    folder = files("study.browser")

    def text(file_name: str) -> str | None:
        file = folder.joinpath(file_name)
        return file.read_text("utf-8") if file.is_file() else None

    script = "\n".join(text(f"{piece}.js") or "" for piece in [*(f"{name}_{part}" for part in parts), name])
    styles = "\n".join(filter(None, [text("field.css") if field else None, text(f"{name}.css")]))
    return st.components.v2.component(name, js=script, css=styles or None, html=text(f"{name}.html"))


def _ignore() -> None:
    """What to do when a component's state changes: nothing, as pages read the state when they run."""


_next_button = _component("next_button")
_saved_text = _component("saved_text", field=True)
_moment = _component("moment", field=True)
_player = _component("player", parts=("wave", "loop", "keys"))
_pool_keys = _component("pool_keys")
_recording = _component("recording", field=True)
_reconnect = _component("reconnect")
_completion_code = _component("completion_code", field=True)


def next_button(label: str, *, key: str, disabled: bool = False, focus: str | None = None) -> str | None:
    """Shows the button; returns the id of its last press, None before the first.

    The same id comes back at every run until the next press: what the page did with an id it must not do
    again. `focus` names the container (its key, "@" and anything that changes from press to press) to lead
    the eye to when a press could not go on.
    """
    data = {"label": label, "disabled": disabled, "focus": focus, "run": time.monotonic()}
    press = _next_button(key=key, data=data, default={"press": None}, on_press_change=_ignore).press
    return press if isinstance(press, str) else None


def trial_heading(say: Words, step: Step, kind: str) -> None:
    """Which clip or pair of the part this is, and how far the listener has come. kind: "clip" or "pair"."""
    place = {"part": step.part, "parts": step.parts, kind: step.clip, f"{kind}s": step.clips}
    if step.page is Page.PRACTICE:
        st.title(say(f"{kind}.practice_title", **place), anchor=False)
        st.html(f'<div class="note">{escape(say(f"{kind}.practice_note"))}</div>')
        return
    st.title(say(f"{kind}.part_title" if step.parts > 1 else f"{kind}.title", **place), anchor=False)
    share = 100 * step.answered / step.total
    st.html(
        f'<div class="way" role="progressbar" aria-label="{escape(say(f"{kind}.progress"))}" '
        f'aria-valuemin="0" aria-valuemax="{step.total}" aria-valuenow="{step.answered}">'
        f'<i style="width:{share:.1f}%"></i></div>'
    )


def completion_code(say: Words, code: str) -> None:
    """Shows a code with a button that copies it."""
    data = {"code": code, "words": {name: say(f"open_link.{name}") for name in ("code", "copy", "copied")}}
    _completion_code(key="completion-code", data=data)


def saved_text(
    say: Words,
    label: str,
    *,
    key: str,
    box: str,
    saved: str | None,
    rows: int = 3,
    disabled: bool = False,
    pin: bool = False,
) -> str | None:
    """Shows the box; returns its text, None before anything was typed on this page.

    `saved` is what the database holds now: the box starts with it, and from then on the mark says "Saved"
    when it equals what is typed. `box` names the box in the browser's storage.
    `pin` adds a button that puts the player's position into the text.
    """
    data = {
        "label": label,
        "box": box,
        "saved": saved or "",
        "rows": rows,
        "longest": MAX_TEXT,
        "disabled": disabled,
        "pin": pin,
        "words": {name: text for name, text in say.group("clip").items() if name in _TEXT_WORDS},
    }
    text = _saved_text(key=key, data=data, default={"text": None}, on_text_change=_ignore).text
    return text if isinstance(text, str) else None


def player(
    say: Words,
    *,
    key: str,
    src: str,
    clip: str,
    loudness: float,
    beacon: str | None = None,
    following: str | None = None,
    resume: Listening | None = None,
    focus: bool = False,
    texts: dict[str, str] | None = None,
    keys: Sequence[str] = (),
    among: bool = False,
    aside: bool = False,
    pair: str = "",
    flat: bool = False,
) -> Listening | None:
    """Shows the player and returns what was heard so far, None before anything was.

    `key` must differ from clip to clip, else the browser shows one clip's state on the next; `clip` is any
    word that does the same inside the report. `src`, `following` (to load ahead) and `beacon` (where reports
    go) are addresses. `loudness` is that of all clips, in LUFS, for the picture.
    `resume` is what was heard before, of an earlier visit: give the same one at every run.
    `texts` replaces words of the catalogue's [player]; `keys` names the questions that keys may answer
    ("verdict", "musicality", "choice"). `among` says that the page has several players: keys then go to the
    one in focus, and the page stays where it is scrolled to. `aside` says so of one that stands beside the
    page's player: texts and moments are pinned to the other one. `flat` leaves the picture of the sound out.
    `pair` is the letter of one of two players side by side, and the key that plays it; other keys then go to
    the one that sounded last.
    """
    data: dict[str, Any] = {
        "src": own(src),
        "clip": clip,
        "level": 10 ** (loudness / 20),
        "beacon": own(beacon) if beacon else None,
        "next": own(following) if following else None,
        "focus": focus,
        "words": say.group("player") | (texts or {}),
        "shortcuts": say.group("shortcuts"),
        "keys": list(keys),
        "resume": None,
    }
    if among or aside:
        data["among"] = True
    if aside:
        data["aside"] = True
    if pair:
        data["pair"] = pair
        data["shortcuts"] |= {name: say(f"pair.{name}") for name in ("key_play", "key_choose")}
    if flat:
        data["flat"] = True
    if resume is not None:
        data["resume"] = {
            "plays": resume.plays,
            "played": resume.seconds_played,
            "spans": [list(span) for span in resume.spans],
            "unlocked": resume.unlocked,
        }
    status = _player(key=key, data=data, default={"status": None}, on_status_change=_ignore).status
    if not isinstance(status, dict) or status.get("clip") != clip:
        return None
    return Listening.from_report(status)


def recording(
    say: Words,
    *,
    key: str,
    address: str,
    saved: str | None,
    megabytes: int,
    disabled: bool = False,
) -> str | None:
    """Shows the place to send a recording; returns a word that is new whenever the server has taken one or
    given it back. `saved` is what the database says the listener's file is called; `address` where it goes.
    """
    data = {
        "label": say("recording.label", megabytes=megabytes),
        "address": address,
        "saved": saved,
        "most": megabytes * 1_000_000,
        "disabled": disabled,
        "words": say.group("recording"),
    }
    changed = _recording(key=key, data=data, default={"changed": None}, on_changed_change=_ignore).changed
    return changed if isinstance(changed, str) else None


def moment_field(
    say: Words, label: str, *, key: str, saved: float | None, longest: float, disabled: bool = False
) -> float | None:
    """Shows the field of a moment of the clip and returns it in seconds, None for none.

    It can be typed, and a button takes it from where the player is. `saved` is what the database holds now;
    `longest` is the clip's length in seconds.
    """
    data = {
        "label": label,
        "saved": saved,
        "longest": longest,
        "disabled": disabled,
        "words": say.group("moment"),
    }
    moment = _moment(key=key, data=data, default={"moment": None}, on_moment_change=_ignore).moment
    if not isinstance(moment, dict):  # nothing was touched on this page
        return saved
    at = moment.get("at")
    known = isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at <= longest
    return round(float(at), 1) if known else None


@dataclass(frozen=True)
class PoolPress:
    """A pick by key, or where `clip` is "" a page to turn to. Doing it twice changes nothing."""

    clip: str
    pick: str  # a set's name, curation.OUT, or "" for the build to choose
    page: int = 0


def pool_presses() -> Iterator[PoolPress]:
    """What was pressed and not handled yet, in its order; each press once. Ask before widgets are drawn."""
    sent = (st.session_state.get(POOL_KEYS) or {}).get("sent")
    if not isinstance(sent, dict) or not isinstance(sent.get("presses"), list):
        return
    load, done = st.session_state.get(_PRESSES_DONE, ("", 0))
    done = done if load == sent.get("load") else 0
    for press in sent["presses"]:
        number, clip, pick, page = (press.get(name) for name in ("number", "clip", "pick", "page"))
        if isinstance(number, int) and number > done and isinstance(clip, str) and isinstance(pick, str):
            done = number
            st.session_state[_PRESSES_DONE] = (sent["load"], number)
            yield PoolPress(clip, pick, page if isinstance(page, int) else 0)


def pool_keys(clips: Sequence[Mapping[str, Any]], *, page: int, pages: int, leave_out: str) -> None:
    """Shows the list of keys and listens to them.

    clips: those on this page, each with its `name`, its `pick` and the `sets` it may be picked into, or
    `fixed` where it can be picked no more. leave_out: the pick that keeps a clip out of every set.
    """
    load, done = st.session_state.get(_PRESSES_DONE, ("", 0))
    data = {
        "clips": list(clips),
        "page": page,
        "pages": pages,
        "out": leave_out,
        "done": {"load": load, "number": done},
        "run": time.monotonic(),  # new at every run, so that the browser hears of each
    }
    _pool_keys(key=POOL_KEYS, data=data, default={"sent": None}, on_sent_change=_ignore)


def watch_connection(say: Words) -> None:
    """Shows a banner while the connection is lost, and runs the page once when it is back."""
    data = {"lost": say("trouble.connection")}
    _reconnect(key="reconnect", data=data, default={"back": None}, on_back_change=_ignore)


def run_again(seconds: float) -> None:
    """Has the browser ask for this page once more after a while, as where the database was away."""
    data = {"again": seconds, "run": time.monotonic()}  # new data at each run: the browser counts anew
    _reconnect(key="run-again", data=data, default={"back": None}, on_back_change=_ignore)
