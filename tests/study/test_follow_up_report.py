"""The follow-up meets the truth in the report, which is written again when more is known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import analysis.report.report
from study import reporting
from study.store import follow_up
from study.store.store import Store

sys.path.append(str(Path(__file__).parent / "server"))
from followed import finished
from tiny_study import make_tiny_study


@pytest.fixture
def written(monkeypatch):
    """In place of the report, which is drawn for seconds: the facts that it was handed."""
    calls = []

    def write(frame, out, *, facts=None):
        calls.append(facts)
        return out / "index.html"

    monkeypatch.setattr(analysis.report.report, "write", write)
    return calls


def test_a_report_is_written_again_after_the_follow_up(tmp_path, monkeypatch, written):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    study = make_tiny_study(tmp_path / "study", listening="[follow_up]\ndays = 0\n")
    store, rule = Store.for_folder(study), follow_up.Rule(days=0)
    ann, bo = (finished(store, name, keep=None) for name in ("Ann", "Bo"))
    clips = follow_up.show(store.engine, rule, ann)

    def say(number: int, outcome: str) -> None:
        changes, press = {"outcome": outcome, "song": "Rain"}, f"{number}"
        slot = clips[number].slot
        assert follow_up.save(store.engine, rule, ann, slot, tab="tab", changes=changes, press=press).final

    say(0, "song")
    reporting.report(study)
    first = list(written[-1].follow_up)
    assert [(row["outcome"], row["unblinded"]) for row in first[:2]] == [("song", False), (None, False)]
    assert {row["truth"] for row in first} == {"real", "fake"}
    assert {row["backend"] for row in first} >= {"original", "jukebox"}
    assert len(first) == 8
    say(1, "idea")
    follow_up.begin(store.engine, rule, bo, tab="tab")
    reporting.report(study)
    assert [(row["outcome"], row["unblinded"]) for row in written[-1].follow_up[:2]] == [
        ("song", False),
        ("idea", True),
    ]
    assert len(store.unblindings()) == 2
    store.close()
