"""A value that cannot be costs itself, not the report; and stamps are of one clock, which never goes back."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3

import pandas as pd
import pytest
from postgres import both
from scripted_listener import ANSWER, WHOLE, answer_all, finished, ready
from test_study_cli import refused

from study import reporting
from study.store import answering, database, schema
from study.store.answering import Listening
from study.store.store import Store

FUTURE = "datetime('now', '+1 hour')"
ODD = {  # what is written by hand -> the column that is left empty
    "answered_at = datetime(unlocked_at, '-70 seconds') || '.000000'": "response_seconds",
    f"answered_at = {FUTURE}": "answered_at response_seconds",
    "answered_at = 'yesterday'": "answered_at response_seconds",
    "answered_at = 20260101": "response_seconds",
    "unlocked_at = 'nonsense'": "response_seconds",
    f"unlocked_at = {FUTURE}": "response_seconds",
    "unlocked_at = '9999-12-31 23:59:59.999999'": "response_seconds",
    f"unlocked_at = NULL, shown_at = {FUTURE}": "response_seconds",
    "unlocked_at = NULL, shown_at = ''": "response_seconds",
    "first_play_at = x'00ff'": "first_play_at",
    f"first_play_at = {FUTURE}": "first_play_at",
    "musicality = 11": "musicality",
    "musicality = -1": "musicality",
    "musicality = 3.7": "musicality",
    "musicality = 'much'": "musicality",
    "confidence = 2.5": "confidence",
    "confidence = 99": "confidence",
    "inspiring = 'perhaps'": "inspiring",
    "difficulty = 'hard'": "difficulty",
    "plays = 'often'": "plays",
    "plays = -1": "plays",
    "plays = 1.5": "plays",
    "plays = 0, seconds_played = 9": "plays",
    "seconds_heard = 9e999": "seconds_heard",
    "seconds_heard = -0.5": "seconds_heard",
    "seconds_heard = 'long'": "seconds_heard",
    "seconds_heard = 90": "seconds_heard",
    "seconds_played = x'00'": "seconds_played",
    "spans = 'no JSON'": "",
}


@pytest.fixture
def study(serving):
    """A study in which Ann and Ben have finished; its store is closed."""
    finished(serving, "Ann", "Ben")
    serving.store.close()
    return serving.folder


def by_hand(folder, change: str, where: str = "slot = 2 AND listener_id = 1") -> None:
    raw = sqlite3.connect(folder.database)
    raw.execute("PRAGMA ignore_check_constraints=ON")
    assert raw.execute(f"UPDATE answer SET {change} WHERE {where}").rowcount
    raw.commit()
    raw.close()


def opened(folder) -> tuple[int, bool]:
    """How many unblindings are logged, and whether the study is closed."""
    store = Store.for_folder(folder)
    found = len(store.unblindings()), store.closed_at() is not None
    store.close()
    return found


@pytest.fixture
def handed(monkeypatch):
    """What the report is written of, in place of its drawings."""
    import analysis.report.report

    calls = []
    monkeypatch.setattr(
        analysis.report.report,
        "write",
        lambda frame, out, *, facts: calls.append((frame, facts)) or out / "x",
    )
    return calls


@pytest.mark.parametrize("change", ODD)
def test_an_odd_value_is_left_empty_and_named(study, tmp_path, change):
    by_hand(study, change)
    store = Store.for_folder(study)
    rows = store.answers()
    assert len(rows) == 8
    odd = [row for row in rows if row["left_empty"]]
    assert [row["left_empty"] for row in odd] == ([ODD[change]] if ODD[change] else [])
    for row in odd:
        assert all(row[name] is None for name in row["left_empty"].split())
        assert row["verdict"] == "fake"
    assert len(store.listeners()) == 2
    assert store.final_forms()
    store.close()
    for name in ("answers.csv", "answers.parquet"):
        assert reporting.export(study, tmp_path / name) == 8
    assert int(pd.read_parquet(tmp_path / "answers.parquet")["left_empty"].notna().sum()) == len(odd)


def test_all_odd_values_at_once_cost_no_report_and_are_counted(study, handed):
    by_hand(study, "answered_at = datetime(unlocked_at, '-70 seconds')")
    by_hand(study, "musicality = 3.7, seconds_heard = 9e999, plays = 'often'", "slot = 3")
    reporting.report(study, who="qa", reason="test")
    ((frame, facts),) = handed
    (odd,) = [one for one in facts.results if one.name == "answers with a value that cannot be, left empty"]
    assert (odd.count, odd.total) == (3, 8)
    assert odd.note == "response seconds of 1, musicality of 2, plays of 2, seconds heard of 2"
    assert frame["response_seconds"].isna().sum() == 1
    assert frame["musicality"].isna().sum() == 2
    assert opened(study)[0] == 1


@pytest.mark.parametrize("change", ["verdict = 'perhaps'", "verdict = NULL", "verdict = 1"])
def test_what_means_nothing_is_refused_before_the_key_is_opened(study, run, change):
    by_hand(study, change)
    error = refused(run("report", study.path, "--unfinished"))
    assert "Ann's answer to" in error
    assert "study restore-backup" in error
    assert opened(study) == (0, False)


def test_every_refusal_comes_before_the_key_is_opened(study, run, tmp_path, monkeypatch):
    """Each in a study with somebody unfinished, so that closing it would show as well."""
    store = Store.for_folder(study)
    store.invite("Cy")
    store.close()
    report = ["report", study.path, "--unfinished"]
    (tmp_path / "file").write_text("x")
    (study.path / "report").mkdir()
    (study.path / "report" / ".DS_Store").write_text("x")
    assert "no part of a report" in refused(run(*report))
    (study.path / "report" / ".DS_Store").unlink()
    assert "is a file" in refused(run(*report, "--out", tmp_path / "file"))
    assert "cannot write to" in refused(run(*report, "--out", tmp_path / "file" / "report"))
    clip = next((study.sets / "UMG").iterdir())
    clip.rename(clip.with_suffix(".gone"))
    assert "has no file" in refused(run(*report))
    clip.with_suffix(".gone").rename(clip)
    study.picks.write_text("no,table\n1,2\n")
    code, _, error = run(*report)
    assert code == 2, error
    study.picks.unlink()
    assert opened(study) == (0, False)


def test_after_a_rendering_that_failed_the_next_report_is_written(study, run, monkeypatch, handed):
    import analysis.report.report

    written = analysis.report.report.write

    def full(*_given, **_facts):
        raise analysis.report.report.ReportError("cannot write the report: No space left on device")

    store = Store.for_folder(study)
    store.invite("Cy")
    store.close()
    monkeypatch.setattr(analysis.report.report, "write", full)
    assert "No space left" in refused(run("report", study.path, "--unfinished"))
    assert opened(study) == (1, True)
    monkeypatch.setattr(analysis.report.report, "write", written)
    assert run("report", study.path)[0] == 0
    assert opened(study) == (2, True)
    assert len(handed) == 1


def test_answers_that_came_while_the_checks_ran_are_in_the_report(study, handed, monkeypatch):
    import analysis.report.report

    store = Store.for_folder(study)
    study.store = store
    rehearse = analysis.report.report.rehearse

    def meanwhile(*given, **facts):
        answer_all(store, "Cy", stop=3)
        return rehearse(*given, **facts)

    person = store.find(store.invite("Cy"))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    monkeypatch.setattr(analysis.report.report, "rehearse", meanwhile)
    reporting.report(study, unfinished=True)
    ((frame, facts),) = handed
    assert len(frame) == 9
    counted = next(one for one in facts.results if (one.family, one.name) == ("data quality", "answers"))
    assert counted.count == 9, "those of fewer answers do not count"
    store.close()


# stamps


@both
def test_stamps_are_the_databases_and_no_servers(store, monkeypatch):
    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr(schema.dt, "datetime", Wrong)
    listener = ready(store)
    answer_all(store, "Ann")
    store.save_final(listener, tab="T", questions=["q"], texts={1: "x"}, finish=True)
    store.log_event("Ida", "looked")
    store.close_study("Ida")
    store.log_unblinding("Ida", "why", "ab" * 32)
    monkeypatch.undo()
    with database.reading(store.engine) as connection:
        right = schema.clock(connection)
        for table in schema.metadata.sorted_tables:
            for column in table.c:
                if isinstance(column.type, schema.UtcTime):
                    stamps = [row[0] for row in connection.execute(schema.sa.select(column)) if row[0]]
                    assert all(right - dt.timedelta(minutes=10) < stamp <= right for stamp in stamps), column
    assert store.closed_at().year > 2001


@both
def test_a_clock_that_steps_back_within_a_trial_leaves_stamps_in_order(store, monkeypatch):
    listener = ready(store)
    store.show(listener, 0)
    store.save(listener, 0, tab="T", listening=WHOLE)
    real = schema.clock
    monkeypatch.setattr(answering, "clock", lambda connection: real(connection) - dt.timedelta(seconds=70))
    store.save(listener, 0, tab="T", changes=ANSWER)
    store.save(listener, 0, tab="T", listening=Listening(plays=2), press="1")
    with database.reading(store.engine) as connection:
        row = connection.execute(schema.sa.select(schema.answer)).mappings().one()
        changes = connection.execute(schema.sa.select(schema.revision.c.at)).scalars().all()
    stamps = [row["shown_at"], row["first_play_at"], row["unlocked_at"], *changes]
    assert stamps == sorted(stamps)
    assert row["answered_at"] == changes[-1] > row["unlocked_at"]
    (answer,) = store.answers(practice=True)
    assert (answer["response_seconds"], answer["left_empty"]) == (None, "response_seconds")
    assert store.listeners()[0].seconds_active == 0


def test_what_an_answer_measures_is_unchanged_where_nothing_is_odd(study, tmp_path):
    store = Store.for_folder(study)
    rows = store.answers()
    store.close()
    assert {row["left_empty"] for row in rows} == {None}
    assert all(row["response_seconds"] >= 0 and row["plays"] == 1 for row in rows)
    assert list(rows[0])[-1] == "left_empty"
    assert json.dumps([row["seconds_heard"] for row in rows]) == json.dumps([1.2] * 8)
