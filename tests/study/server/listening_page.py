"""A listener at the pages as Streamlit runs them, without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from study.pages import listener
from study.server.server import PAGES

REPORT = {"why": "ended", "plays": 1, "heard": 1.2, "played": 1.2, "unlocked": True}  # a player's


class ListeningPage:
    """Ann, past the sound check, and the page that she sees. `welcome`: what its first page said."""

    def __init__(self, study, monkeypatch) -> None:
        self.store = study.store
        self.token = study.store.invite("Ann")
        monkeypatch.setattr(listener, "token", lambda: self.token)
        self.page = AppTest.from_file(str(PAGES), default_timeout=120).run()
        self.welcome = self.said()
        study.store.consent(self.person.id, "v")
        study.store.sound_check(self.person.id, "headphones")
        self.page.run()

    @property
    def person(self):
        return self.store.find(self.token)

    @property
    def step(self):
        return self.person.step

    def press(self, key: str, press: str = "1") -> None:
        self.page.session_state[key] = {"press": press}
        self.page.run()
        assert not self.page.exception

    def next(self, press: str = "1") -> None:
        self.press(f"next-{self.step.slot}", press)

    def said(self) -> str:
        """All text of the page that is no widget's."""
        bodies = [one.value for one in self.page.markdown] + [one.proto.body for one in self.page.get("html")]
        return " ".join(bodies)
