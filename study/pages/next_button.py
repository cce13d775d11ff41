"""The button that leads on. It holds its last press as state, so that no press is lost."""

from __future__ import annotations

import time

from study.pages.component import component, ignore

_button = component("next_button")


def next_button(label: str, *, key: str, disabled: bool = False, focus: str | None = None) -> str | None:
    """Shows the button; returns the id of its last press, None before the first.

    The same id comes back at every run until the next press: what the page did with an id it must not do
    again. `focus` names the container (its key, "@" and anything that changes from press to press) to lead
    the eye to when a press could not go on.
    """
    data = {"label": label, "disabled": disabled, "focus": focus, "run": time.monotonic()}
    press = _button(key=key, data=data, default={"press": None}, on_press_change=ignore).press
    return press if isinstance(press, str) else None
