"""A database whose file is taken away under a server: nothing more is acknowledged, and nothing is lost."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_listener import ANSWER, WHOLE, brought
from sqlalchemy.exc import DBAPIError

from study.store import database
from study.store.database_file import DatabaseFile
from study.store.store import Store, StoreError


@pytest.fixture
def served(tiny_study, monkeypatch):
    """An open store, in which Ann is at her first clip; and her id."""
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    store = Store.for_folder(tiny_study)
    tiny_study.store = store
    brought(tiny_study, "Ann")
    listener = store.find(store.invite("Ann")).id
    store.show(listener, 0)
    save(store, listener, "before")
    yield store, listener
    store.close()


def save(store: Store, listener: int, comment: str) -> None:
    store.save(listener, 0, tab="T", changes={"comment": comment})


def by_another_process(code: str) -> None:
    subprocess.run([sys.executable, "-c", f"import os, shutil; {code}"], check=True, timeout=60)


def saved_in(file: Path) -> str:
    raw = sqlite3.connect(file)
    (comment,) = raw.execute("SELECT comment FROM answer").fetchone()
    raw.close()
    return comment


@pytest.mark.parametrize("how", ["moved", "folder moved", "replaced for a while"])
def test_nothing_is_acknowledged_while_the_file_is_away_and_all_goes_on_when_it_is_back(
    served, tiny_study, capfd, how
):
    store, listener = served
    file, away = tiny_study.database, tiny_study.path / "away"
    there, back = f"os.replace({str(file)!r}, {str(away)!r})", f"os.replace({str(away)!r}, {str(file)!r})"
    if how == "folder moved":
        other = tiny_study.path.with_name("elsewhere")
        there = f"os.replace({str(tiny_study.path)!r}, {str(other)!r})"
        back = f"os.replace({str(other)!r}, {str(tiny_study.path)!r})"
    if how == "replaced for a while":
        there += f"; shutil.copy({str(away)!r}, {str(file)!r})"
    by_another_process(there)
    for comment in ("one", "two"):
        with pytest.raises(DBAPIError, match="was moved, deleted or replaced"):
            save(store, listener, comment)
    with pytest.raises(DBAPIError):
        database.require(store.engine)
    told = capfd.readouterr().err
    assert told.count("DATABASE LOST") == 1, "one line, not one for each refusal"
    assert str(file) in told
    assert "study restore-backup" in told
    by_another_process(back)
    database.require(store.engine)
    save(store, listener, "three")
    assert "is back" in capfd.readouterr().err
    assert store.show(listener, 0).fields["comment"] == "three"
    store.close()
    assert saved_in(file) == "three"


@pytest.mark.parametrize("how", ["deleted", "replaced by a copy", "replaced by another"])
def test_a_file_that_does_not_come_back_is_rescued_from_the_open_one(served, tiny_study, capfd, how):
    store, listener = served
    file = tiny_study.database
    store.backup(tiny_study.path / "copy")
    save(store, listener, "newest")
    if how == "deleted":
        by_another_process(f"os.unlink({str(file)!r})")
    else:
        if how == "replaced by another":
            (tiny_study.path / "copy").write_bytes(b"")
        by_another_process(f"os.replace({str(tiny_study.path / 'copy')!r}, {str(file)!r})")
    for _ in range(2):
        with pytest.raises(DBAPIError, match="was moved, deleted or replaced"):
            save(store, listener, "lost")
    rescued = tiny_study.path / "responses.rescued.sqlite"
    assert f"All that was saved until now is in {rescued}" in capfd.readouterr().err
    assert saved_in(rescued) == "newest"
    assert rescued.stat().st_mode & 0o077 == 0
    with pytest.raises(DBAPIError):
        database.require(store.engine)


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_log_that_is_deleted_stops_the_server_and_costs_nothing(served, tiny_study, capfd, end):
    store, listener = served
    by_another_process(f"os.unlink({str(tiny_study.database) + end!r})")
    with pytest.raises(DBAPIError, match="until the server is stopped and started again"):
        save(store, listener, "refused")
    assert "DATABASE LOST" in capfd.readouterr().err
    copy = tiny_study.path / "as a killed server leaves it"
    shutil.copy(tiny_study.database, copy)
    assert saved_in(copy) == "before"
    store.close()
    store = Store.for_folder(tiny_study)
    save(store, listener, "after")
    store.close()
    assert saved_in(tiny_study.database) == "after"


def test_a_file_taken_away_between_the_first_word_and_the_commit_counts_for_nothing(
    served, tiny_study, monkeypatch
):
    store, listener = served
    away = tiny_study.path / "away"
    take = store.engine.dialect.do_commit

    def commit(raw) -> None:
        os.replace(tiny_study.database, away)
        take(raw)

    with monkeypatch.context() as patched:
        patched.setattr(store.engine.dialect, "do_commit", commit)
        with pytest.raises(DBAPIError, match="was moved, deleted or replaced"):
            store.save(listener, 0, tab="T", changes=ANSWER, listening=WHOLE, press="1")
    os.replace(away, tiny_study.database)
    saved = store.save(listener, 0, tab="T", changes=ANSWER, listening=WHOLE, press="1")
    assert saved.final
    assert saved.revision == 2, "sent again, it is the same answer"


def test_no_new_connection_opens_another_file_nor_makes_one(served, tiny_study):
    store, _listener = served
    tiny_study.database.rename(tiny_study.path / "away")
    with (
        store.engine.connect(),  # the only connection of the pool
        pytest.raises(DBAPIError, match="was moved"),
    ):
        store.engine.connect()
    assert not tiny_study.database.exists()


def test_a_connection_that_is_dropped_without_a_close_is_not_taken_for_open(tiny_study):
    Store.for_folder(tiny_study).find("nobody")
    gc.collect()
    assert not DatabaseFile.at(tiny_study.database).connections
    Store.for_folder(tiny_study).close()


def test_a_log_without_its_database_is_refused_before_sqlite_deletes_it(tmp_path):
    log = tmp_path / "responses.sqlite-wal"
    log.write_bytes(b"answers of a killed server")
    with pytest.raises(StoreError, match="is not the log of"):
        Store(f"sqlite:///{tmp_path / 'responses.sqlite'}")
    assert log.read_bytes() == b"answers of a killed server"
