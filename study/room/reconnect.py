"""Keeps an eye on the connection: a banner while it is lost, one run of the page when it is back."""

from __future__ import annotations

from study.languages import Words
from study.room.component import component, ignore

_watch = component("reconnect")


def watch_connection(say: Words) -> None:
    data = {"lost": say("trouble.connection")}
    _watch(key="reconnect", data=data, default={"back": None}, on_back_change=ignore)
