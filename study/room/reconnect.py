"""Keeps an eye on the connection: a banner while it is lost, one run of the page when it is back."""

from __future__ import annotations

from study.room.component import component, ignore

_watch = component("reconnect")


def watch_connection() -> None:
    _watch(key="reconnect", data={}, default={"back": None}, on_back_change=ignore)
