"""Makes the room's small browser components from the files beside this one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import streamlit as st


def component(name: str) -> Callable[..., Any]:
    """The component whose files are NAME.js, NAME.css and NAME.html; the last two where there are such."""
    folder = files("study.room")

    def text(suffix: str) -> str | None:
        file = folder.joinpath(f"{name}.{suffix}")
        return file.read_text("utf-8") if file.is_file() else None

    return st.components.v2.component(name, js=text("js"), css=text("css"), html=text("html"))


def ignore() -> None:
    """What to do when a component's state changes: nothing, as pages read the state when they run."""
