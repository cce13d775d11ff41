"""The questions as study.toml orders them: two passes, confidence, the blocks' order, keeping a clip."""

from __future__ import annotations

import pytest
from listening_page import REPORT, ListeningPage
from streamlit.testing.v1 import AppTest
from test_take_home import WHOLE
from tiny_study import make_tiny_study

from study.server.server import PAGES
from study.store.protocol import Page


class Ann(ListeningPage):
    """A listener of a study with these settings, past the sound check, and her browser."""

    @property
    def draft(self):
        return self.store.show(self.person.id, self.step.slot)

    def hear(self) -> None:
        slot, clip = self.step.slot, self.draft.play_key[:8]
        self.page.session_state[f"player-{slot}"] = {"status": REPORT | {"clip": clip}}
        self.page.run()

    def asked(self) -> list[str]:
        return [one.key.split("-")[0] for one in self.page.segmented_control]

    def choose(self, **values) -> None:
        for name, value in values.items():
            self.page.segmented_control(key=f"{name}-{self.step.slot}").set_value(value).run()


@pytest.fixture
def ann(tmp_path, serve, monkeypatch):
    def enter(listening: str) -> Ann:
        return Ann(serve(make_tiny_study(tmp_path / "study", listening=listening)), monkeypatch)

    return enter


def test_confidence_is_asked_and_owed_where_the_design_says_so(ann):
    ann = ann("[questions]\nconfidence = true")
    ann.hear()
    assert ann.asked() == ["verdict", "difficulty", "confidence", "musicality", "inspiring"]
    assert "1 = guessing" in ann.said()
    ann.choose(verdict="real", musicality=7, inspiring="no")
    ann.next()
    assert "how sure you are." in ann.said()
    ann.choose(confidence=5)
    ann.next("2")
    assert ann.step.page is Page.PAUSE


def test_blocks_come_in_the_order_of_the_design_and_so_does_what_is_owed(ann):
    ann = ann('[questions]\norder = ["inspiring", "comment", "musicality", "verdict"]')
    ann.hear()
    assert ann.asked() == ["inspiring", "musicality", "verdict", "difficulty"]
    ann.next()
    assert "whether it is inspiring, the musicality and real or fake." in ann.said()
    assert ann.page.session_state[f"next-{ann.step.slot}-focus"].startswith("ask-inspiring@")


def test_two_passes_ask_for_all_verdicts_first_and_for_the_music_later(ann):
    ann = ann("passes = 2")
    _practice(ann)
    seen = []
    for _ in range(99):
        step = ann.step
        if step.page is Page.PAUSE:
            seen.append(ann.page.title[0].value)
            if step.part == 1:
                assert "one thing to say of each clip" in ann.said()
            elif step.part == 3:
                assert "The second round begins" in ann.said()
                assert "is real" not in ann.said(), "the base rate is for verdicts"
            ann.press(f"begin-{step.part}")
        elif step.page is Page.CLIP:
            ann.hear()
            if step.phase == "verdict":
                assert ann.asked() == ["verdict", "difficulty"]
                assert not ann.page.toggle
                ann.choose(verdict="real")
            else:
                assert ann.asked() == ["musicality", "inspiring"]
                ann.choose(musicality=4, inspiring="maybe")
                ann.page.toggle[0].set_value(True).run()
            ann.next()
        else:
            break
    assert seen == [f"Part {part} of 4" for part in (1, 2, 3, 4)]
    assert ann.step.page is Page.FINAL
    rows = ann.store.answers()
    assert [(row["verdict"], row["musicality"], row["kept"]) for row in rows] == [("real", 4, True)] * 4


def _practice(ann: Ann) -> None:
    while ann.step.page is Page.PRACTICE:
        ann.hear()
        given = {"verdict": "real", "musicality": 4, "inspiring": "no"}
        ann.choose(**{name: value for name, value in given.items() if name in ann.asked()})
        ann.next()


def test_keeping_is_saved_at_once_and_comes_back(ann):
    ann = ann("take_home = true")
    ann.hear()
    assert not ann.page.toggle, "a clip for practice cannot be kept"
    _practice(ann)
    ann.press("begin-1")
    ann.hear()
    assert "take kept clips home" in ann.said()
    ann.page.toggle[0].set_value(True).run()
    assert ann.draft.fields["kept"] is True
    again = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert again.toggle[0].value is True
    again.toggle[0].set_value(False).run()
    assert ann.draft.fields["kept"] is False


def test_the_thank_you_page_offers_kept_clips_where_allowed(ann):
    ann = ann("take_home = true")
    _finish(ann, keep=True)
    assert "You kept 4 clips." in ann.said()
    assert 'href="/kept.zip"' in ann.said()


def test_without_leave_it_offers_none(ann):
    ann = ann("")
    _finish(ann, keep=True)
    assert "kept.zip" not in ann.said()


def _finish(ann: Ann, *, keep: bool) -> None:
    """To the end, through the store."""
    tab = ann.person.tab
    given = {"verdict": "real", "musicality": 1, "inspiring": "no"}
    for count in range(99):
        step = ann.step
        if step.page is Page.PAUSE:
            ann.store.begin_part(ann.person.id, step.part)
        elif step.slot is None:
            break
        else:
            ann.store.show(ann.person.id, step.slot)
            changes = given | ({"kept": keep} if step.part else {})
            ann.store.save(
                ann.person.id, step.slot, tab=tab, changes=changes, listening=WHOLE, press=f"p{count}"
            )
    ann.store.save_final(ann.person.id, tab=tab, questions=["Q?"], texts={}, finish=True)
    ann.page.run()
