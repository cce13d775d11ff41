"""Makes the room's small browser components from the files beside this one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import streamlit as st


def component(name: str, parts: tuple[str, ...] = ()) -> Callable[..., Any]:
    """The component whose files are NAME.js, NAME.css and NAME.html; the last two where there are such.

    parts: NAME_PART.js each, put before NAME.js in one script, as a component loads no further files.
    """
    folder = files("study.browser")

    def text(file_name: str) -> str | None:
        file = folder.joinpath(file_name)
        return file.read_text("utf-8") if file.is_file() else None

    script = "\n".join(text(f"{piece}.js") or "" for piece in [*(f"{name}_{part}" for part in parts), name])
    return st.components.v2.component(name, js=script, css=text(f"{name}.css"), html=text(f"{name}.html"))


def ignore() -> None:
    """What to do when a component's state changes: nothing, as pages read the state when they run."""
