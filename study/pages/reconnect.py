"""Keeps an eye on the connection: a banner while it is lost, one run of the page when it is back."""

from __future__ import annotations

import time

from study.languages import Words
from study.pages.component import component, ignore

_watch = component("reconnect")


def watch_connection(say: Words) -> None:
    data = {"lost": say("trouble.connection")}
    _watch(key="reconnect", data=data, default={"back": None}, on_back_change=ignore)


def run_again(seconds: float) -> None:
    """Has the browser ask for this page once more after a while, as where the database was away."""
    data = {"again": seconds, "run": time.monotonic()}  # new data at each run: the browser counts anew
    _watch(key="run-again", data=data, default={"back": None}, on_back_change=ignore)
