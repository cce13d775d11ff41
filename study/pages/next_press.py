"""Next on a page that saves as it goes: its presses, what the session remembers of them, and the mark below.

A press is state, as all that a browser holds: it comes with every message until the next one, and a page must
deal with each once. One that came too early leads the eye to what is still to answer, and does nothing later.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from study.languages import Words
from study.pages.components import next_button
from study.store.answering import Saved


class Next:
    """The button, drawn where the page makes it, with the place for its mark below.

    key: the button's, another one for each trial and page.
    """

    def __init__(self, label: str, *, key: str, disabled: bool = False) -> None:
        self._key = key
        focus = st.session_state.get(f"{key}-focus")
        self.press = next_button(label, key=key, disabled=disabled, focus=focus)
        with st.container(key="mark"):
            self._place = st.empty()

    @property
    def new(self) -> str | None:
        """The press that the page has not dealt with yet; None where there is none."""
        return self.press if self.press != st.session_state.get(f"{self._key}-dealt") else None

    @property
    def came_too_early(self) -> bool:
        """Whether there was a press that could not go on."""
        return f"{self._key}-focus" in st.session_state

    def deal(self, saved: Saved, owed: Sequence[str]) -> None:
        """After a save: goes on where the answer is final, and else to what a press has found missing.

        owed: columns or fields still to answer, in the order of the page.
        """
        st.session_state[f"{self._key}-dealt"] = self.press
        if saved.final:
            st.rerun()
        if saved.pressed:
            self.lead_to(owed[0])

    def lead_to(self, question: str) -> None:
        """Runs the page once more and leads the eye to a question, after a press that came too early."""
        st.session_state[f"{self._key}-dealt"] = self.press
        st.session_state[f"{self._key}-focus"] = f"ask-{question}@{self.press}"
        st.rerun()

    def mark(self, say: Words, *, owed: str, saved: bool = False) -> None:
        """Below the button: what is still to answer, in words, after a press that came too early; or "Saved".

        owed: "" where nothing is.
        """
        if owed and self.came_too_early:
            self._place.html(f'<div class="owed"><b>{escape(say("owed.text"))}</b> {escape(owed)}.</div>')
        else:
            said = escape(say("clip.saved")) if saved else ""
            self._place.html(f'<div class="saved">{said}</div>')


def forget(key: str) -> None:
    """Begin anew with a button whose page is met once more."""
    st.session_state.pop(f"{key}-focus", None)
