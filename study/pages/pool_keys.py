"""One-key picks on the researcher's page "Pool": the keys, and what was pressed since the last run.

A press is state and not an event: the browser sends every pick again until a run of the page has confirmed
it, so that neither fast fingers nor an interrupted run loses one. What it sends says what shall be so ("clip
A into set UMG"), and doing it twice changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from study.pages.component import component, ignore

KEY = "pool-keys"  # of the component, and of what it holds in the session state
_DONE = "pool-keys-done"  # in the session state: which page load's presses are done, and up to which

_keys = component("pool_keys")


@dataclass(frozen=True)
class Press:
    """A pick by key, or where `clip` is "" a page to turn to."""

    clip: str
    pick: str  # a set's name, curation.OUT, or "" for the build to choose
    page: int = 0


def pressed() -> Iterator[Press]:
    """What was pressed and not handled yet, in its order; each press once. Ask before widgets are drawn."""
    sent = (st.session_state.get(KEY) or {}).get("sent")
    if not isinstance(sent, dict) or not isinstance(sent.get("presses"), list):
        return
    load, done = st.session_state.get(_DONE, ("", 0))
    done = done if load == sent.get("load") else 0
    for press in sent["presses"]:
        number, clip, pick, page = (press.get(name) for name in ("number", "clip", "pick", "page"))
        if isinstance(number, int) and number > done and isinstance(clip, str) and isinstance(pick, str):
            done = number
            st.session_state[_DONE] = (sent["load"], number)
            yield Press(clip, pick, page if isinstance(page, int) else 0)


def keys(clips: Sequence[Mapping[str, Any]], *, page: int, pages: int, leave_out: str) -> None:
    """Shows the list of keys and listens to them.

    clips: those on this page, each with its `name`, its `pick` and the `sets` it may be picked into, or
    `fixed` where it can be picked no more. leave_out: the pick that keeps a clip out of every set.
    """
    load, done = st.session_state.get(_DONE, ("", 0))
    data = {
        "clips": list(clips),
        "page": page,
        "pages": pages,
        "out": leave_out,
        "done": {"load": load, "number": done},
        "run": time.monotonic(),  # new at every run, so that the browser hears of each
    }
    _keys(key=KEY, data=data, default={"sent": None}, on_sent_change=ignore)
