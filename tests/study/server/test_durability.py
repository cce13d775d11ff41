"""What the database withstands: several writers, kill -9, addresses and files that are wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from postgres import both
from scripted_listener import ANSWER, WHOLE, answer_all, ready

from study.store import database
from study.store.store import Store, StoreError


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.sqlite", "nonsense", "oracle7://x"])
def test_a_database_that_cannot_be_opened_says_so_in_one_line(url):
    with pytest.raises(StoreError, match="cannot open the database .*; check the study") as caught:
        Store(url)
    assert "\n" not in str(caught.value)


def test_passwords_stay_out_of_messages():
    with pytest.raises(StoreError) as caught:
        Store("postgresql://ida:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_a_newer_schema_is_refused(tmp_path):
    file = tmp_path / "responses.sqlite"
    Store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    with pytest.raises(StoreError, match="99"):
        Store(f"sqlite:///{file}")


def test_the_log_is_ahead_and_flushed_at_each_commit(store):
    with database.reading(store.engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@both
def test_twelve_listeners_at_once_lose_nothing(store):
    names = [f"L{index}" for index in range(12)]
    for name in names:
        ready(store, name)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda name: answer_all(store, name), names))
    rows = store.answers()
    assert len(rows) == 12 * 6
    assert len({(row["listener"], row["stimulus_id"]) for row in rows}) == 12 * 6


@both
def test_twenty_saves_of_one_answer_at_once_make_one(store):
    listener = ready(store)
    store.show(listener, 0)

    def save(number: int) -> bool:
        return store.save(
            listener, 0, tab="T", changes=ANSWER, listening=WHOLE, press=f"press {number % 2}"
        ).final

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(save, range(20)))
    assert store.show(listener, 0).revision == 1
    assert len(store.answers(practice=True)) == 1


_WRITER = """
    import sys
    from study.store.store import Store
    from study.store.answering import Listening
    store = Store(sys.argv[1])
    person = store.find(store.invite("Ann"))
    for number in range(int(sys.argv[2]), 1_000_000):
        store.save(person.id, 0, tab="T", changes={"musicality": number % 11, "comment": str(number)})
        print(number, flush=True)
"""


def test_kill_9_loses_no_acknowledged_answer(tmp_path):
    url = f"sqlite:///{tmp_path / 'responses.sqlite'}"
    store = Store(url)
    listener = ready(store)
    store.show(listener, 0)
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(_WRITER))
    acknowledged = 0
    for _ in range(3):
        log = tmp_path / "acknowledged.txt"
        with log.open("w") as out:
            writer = subprocess.Popen(
                [sys.executable, script, url, str(acknowledged + 1)],
                stdout=out,
                cwd=Path(__file__).parents[3],
            )
            deadline = time.monotonic() + 90
            while len(log.read_text().split()) < 20 and time.monotonic() < deadline:
                time.sleep(0.02)
            writer.kill()
            writer.wait()
        acknowledged = int(log.read_text().split()[-1])
        saved = store.show(listener, 0)
        assert int(saved.fields["comment"]) in (acknowledged, acknowledged + 1)
        assert saved.fields["musicality"] == int(saved.fields["comment"]) % 11, (
            "a revision is whole or absent"
        )
        acknowledged = int(saved.fields["comment"])
    store.close()
    with sqlite3.connect(tmp_path / "responses.sqlite") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows, newest = raw.execute("SELECT count(*), max(revision) FROM revision").fetchone()
        assert rows == newest == saved.revision
