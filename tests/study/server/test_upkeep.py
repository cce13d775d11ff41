"""The commands of a study that runs: who may answer, closing, backups, pilots, and a key that was changed."""

from __future__ import annotations

import csv
import io
import os

import pandas as pd
import pytest
from test_study_cli import refused

from study import blinding
from study.build.build import build
from study.server import served as room
from study.store.store import Store


@pytest.fixture
def built(new_study, capfd):
    """A study that `study build` made: it can be built again."""
    folder = new_study()
    build(folder)
    capfd.readouterr()
    return folder


@pytest.fixture
def study(tiny_study, monkeypatch):
    """Two sets of two clips, written by hand: quick, and enough for all but building."""
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    return tiny_study


def opened(folder) -> Store:
    return Store.for_folder(folder)


def test_withdrawing_closing_and_their_way_back(run, study, answer):
    answer(study, "Ada", 3)
    assert run("revoke", study.path, "Ada")[1] == "Ada: the link is withdrawn\n"
    assert run("revoke", study.path, "Ada")[1] == "Ada: the link was withdrawn before\n"
    assert "withdrawn" in run("status", study.path)[1]
    assert "nobody named 'Ben' is invited; there are: Ada" in refused(run("revoke", study.path, "Ben"))
    assert run("restore", study.path, "Ada")[1] == "Ada: the link works again\n"
    code, out, _ = run("close", study.path)
    assert (code, out.startswith("The study is closed since ")) == (0, True)
    assert "closed on" in run("status", study.path)[1]
    assert "study reopen" in refused(run("invite", study.path, "Ben"))
    assert run("reopen", study.path)[1] == "The study is open again\n"
    assert run("reopen", study.path)[1] == "The study was not closed\n"
    store = opened(study)
    assert [row["what"] for row in store.events()] == ["revoked", "restored", "closed", "reopened"]
    assert all(row["who"] for row in store.events())
    store.close()


def test_no_way_back_is_named_once_the_key_was_opened(run, study):
    store = opened(study)
    store.log_unblinding("Ida", "all have finished", store.build().key_sha256)
    store.close()
    assert run("close", study.path)[1].endswith("UTC. It is unblinded and stays closed.\n")
    assert "nobody can answer; it is unblinded and stays closed" in run("status", study.path)[1]
    assert "so Ben is not invited; make a new study folder" in refused(run("invite", study.path, "Ben"))
    assert "it stays closed" in refused(run("reopen", study.path))


def test_pilots_are_exported_apart_and_hold_up_no_report(run, study, answer, tmp_path):
    assert run("invite", study.path, "Pia", "--pilot")[0] == 0
    out = tmp_path / "answers.csv"
    assert "no answers of pilots yet" in refused(run("export", study.path, "--pilot", "--out", out))
    answer_as_pilot(study, answer)
    answer(study, "Ada")
    assert run("export", study.path, "--out", out)[1].startswith("4 answers")
    assert {row["listener"] for row in csv.DictReader(io.StringIO(out.read_text()))} == {"Ada"}
    assert run("export", study.path, "--pilot", "--out", out)[1].startswith("2 answers")
    assert {row["listener"] for row in csv.DictReader(io.StringIO(out.read_text()))} == {"Pia"}
    assert "pilots, who count nowhere" in run("status", study.path)[1]


def answer_as_pilot(study, answer) -> None:
    with pytest.MonkeyPatch.context() as patched:
        invite = Store.invite
        patched.setattr(Store, "invite", lambda self, name: invite(self, name, pilot=True))
        answer(study, "Pia", 3)


def test_parquet_keeps_numbers_times_and_truth_values(run, study, answer, tmp_path):
    answer(study, "Ada", comment="=1+1")
    out = tmp_path / "answers.parquet"
    assert run("export", study.path, "--out", out)[0] == 0
    frame = pd.read_parquet(out)
    assert len(frame) == 4
    assert set(frame["comment"]) == {"=1+1"}
    assert frame["musicality"].dtype == "Int64"
    assert frame["kept"].dtype == "boolean"
    assert str(frame["answered_at"].dtype).endswith("UTC]")


@pytest.mark.slow
def test_a_backup_takes_the_place_of_a_lost_database(run, built, answer, tmp_path, monkeypatch):
    answer(built, "Ada")
    copy = tmp_path / "copy.sqlite"
    assert run("backup", built.path, copy)[0] == 0
    assert "overwrites nothing" in refused(run("backup", built.path, copy))
    for file in built.path.glob("responses.sqlite*"):
        file.unlink()
    for command in (["status"], ["invite"], ["export"], ["serve"], ["build"], ["report"]):
        more = {"invite": ["Ada"], "export": ["--out", tmp_path / "x.csv"]}.get(command[0], [])
        error = refused(run(*command, built.path, *more))
        assert "study backup" in error
        assert "database.json" in error
        assert not built.database.exists()
    monkeypatch.setenv("STUDY_DATABASE_URL", f"sqlite:///{copy}")
    assert run("export", built.path, "--out", tmp_path / "x.csv")[1].startswith("9 answers")


def test_reporting_the_unfinished_closes_the_study_first(run, study, answer, monkeypatch):
    import analysis.report.report

    closed = []

    def write(frame, out, *, facts):
        closed.append(opened(study).closed_at())
        return out / "index.html"

    monkeypatch.setattr(analysis.report.report, "write", write)
    answer(study, "Ada")
    answer(study, "Ben", 3)
    assert "(Ben)" in refused(run("report", study.path))
    assert run("report", study.path, "--unfinished", "--who", "Ida")[0] == 0
    assert closed[0] is not None
    store = opened(study)
    assert [(row["who"], row["what"]) for row in store.events()] == [("Ida", "closed")]
    assert store.unblindings()[0]["at"] >= closed[0]
    store.close()
    assert "unblinded" in refused(run("reopen", study.path))
    assert run("report", study.path)[0] == 0, "in a closed study nobody is waited for"


def test_whoever_was_withdrawn_holds_up_no_report(run, study, answer, monkeypatch):
    import analysis.report.report

    monkeypatch.setattr(analysis.report.report, "write", lambda frame, out, *, facts: out / "index.html")
    answer(study, "Ada")
    answer(study, "Ben", 3)
    run("revoke", study.path, "Ben")
    assert run("report", study.path)[0] == 0


def test_a_changed_key_opens_builds_and_serves_nothing(run, built, answer, monkeypatch):
    answer(built, "Ada")
    text = built.key.read_text()
    built.key.write_text(text.replace(",real,", ",fake,", 1))
    assert "is not the key that was sealed at build" in refused(run("report", built.path))
    assert "is not the key that was sealed at build" in refused(run("serve", built.path))
    assert "not what was built" in refused(run("build", built.path))
    record = built.build_record.read_text()
    old, new = (blinding_sha(content) for content in (text, built.key.read_text()))
    built.build_record.write_text(record.replace(old, new))
    assert old in record
    assert "key_sha256 may not change" in refused(run("build", built.path))
    built.build_record.write_text(record)
    built.key.write_text(text)
    monkeypatch.setenv(room.VARIABLE, str(built.path))
    room.served.cache_clear()
    room.served().store.close()
    room.served.cache_clear()
    os.unlink(built.key)  # a server needs none
    room.served().store.close()
    room.served.cache_clear()
    with pytest.raises(blinding.BlindingError, match="there is no key"):
        blinding.require_sealed(built, old)


def blinding_sha(content: str) -> str:
    import hashlib

    return hashlib.sha256(content.encode()).hexdigest()
