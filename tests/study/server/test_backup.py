"""A backup is one whole moment of the database, and a lost database is noticed."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres import both
from scripted_listener import answer_all, ready

from study.store import backup as backups
from study.store import database, schema
from study.store.store import Store, StoreError


def _all_rows(store: Store) -> dict[str, list]:
    with database.reading(store.engine) as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in schema.metadata.sorted_tables
        }


@both
def test_a_backup_is_the_database_row_by_row_and_goes_on_as_one(store, tmp_path):
    listener = ready(store, passes=2, repeats=1)
    answer_all(store, "Ann")
    store.save_final(listener, tab="T", questions=["q"], texts={1: "\u201cna\u00efve\u201d\n"}, finish=True)
    ready(store, "Bo", passes=2, repeats=1)
    answer_all(store, "Bo", stop=5)
    store.log_event("Ida", "looked")
    with store.engine.begin() as connection:  # as an older version left it: unblinded and open
        row = {"at": schema.clock(connection), "who": "Ida", "reason": "report", "key_sha256": "ab" * 32}
        connection.execute(schema.unblinding.insert().values(**row))
    file = tmp_path / "copy.sqlite"
    store.backup(file)
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.sqlite"], (
        "one file, nothing beside"
    )
    assert file.stat().st_mode & 0o077 == 0
    copy = Store(f"sqlite:///{file}")
    assert _all_rows(copy) == _all_rows(store)
    assert copy.answers() == store.answers()
    assert copy.listeners() == store.listeners()
    answer_all(copy, "Bo")
    assert len(copy.answers()) == 16
    with pytest.raises(StoreError, match="is unblinded, so Cy is not invited"):
        copy.invite("Cy")
    copy.close()


@both
def test_a_backup_overwrites_nothing_and_leaves_nothing_half(store, tmp_path, monkeypatch):
    ready(store)
    file = tmp_path / "copy.sqlite"
    file.write_text("precious")
    with pytest.raises(StoreError, match="is there already"):
        store.backup(file)
    assert file.read_text() == "precious"
    with pytest.raises(StoreError, match="No such file or directory; name a file in a folder"):
        store.backup(tmp_path / "nowhere" / "copy.sqlite")
    monkeypatch.setattr(backups, "_check", _fail)
    with pytest.raises(OSError, match="disk full"):
        store.backup(tmp_path / "other.sqlite")
    assert not list(tmp_path.glob("*other*"))


def test_a_database_that_was_taken_away_is_not_backed_up_as_an_empty_one(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'responses.sqlite'}")
    assert store.build() is None
    (tmp_path / "responses.sqlite").rename(tmp_path / "elsewhere.sqlite")
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        store.backup(tmp_path / "copy.sqlite")
    assert not list(tmp_path.glob("*copy*"))
    assert not (tmp_path / "responses.sqlite").exists()
    store.close()


def _fail(part: Path) -> None:
    assert part.stat().st_size
    raise OSError("disk full")


def test_a_damaged_copy_is_not_called_a_backup(tmp_path):
    file = tmp_path / "damaged.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE answer (id INTEGER PRIMARY KEY, text TEXT)")
        raw.executemany("INSERT INTO answer (text) VALUES (?)", [("x" * 100,)] * 1000)
    content = bytearray(file.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    file.write_bytes(content)
    with pytest.raises((StoreError, sqlite3.DatabaseError)):
        backups._check(file)


@both
def test_backups_while_listeners_answer_hold_all_that_was_acknowledged_before(store, tmp_path):
    names = [f"L{number}" for number in range(3)]
    for name in names:
        ready(store, name, repeats=1)
    running = [threading.Thread(target=answer_all, args=(store, name)) for name in names]
    for thread in running:
        thread.start()
    before, after, copies = [], [], []
    for number in range(4):
        before.append(len(store.answers()))
        copies.append(tmp_path / f"copy{number}.sqlite")
        store.backup(copies[-1])
        after.append(len(store.answers()))
    for thread in running:
        thread.join()
    assert len(store.answers()) == 3 * 8, "no listener was kept from answering"
    for least, most, file in zip(before, after, copies, strict=True):
        with sqlite3.connect(file) as raw:
            final = raw.execute(
                "SELECT count(*) FROM answer JOIN trial USING (listener_id, slot) "
                "WHERE answered_at IS NOT NULL AND part > 0"
            ).fetchone()[0]
            torn = raw.execute(
                "SELECT count(*) FROM answer WHERE revision <> (SELECT count(*) FROM revision "
                "WHERE revision.listener_id = answer.listener_id AND revision.slot = answer.slot)"
            ).fetchone()[0]
        assert least <= final <= most
        assert torn == 0, "an answer without its history is half a transaction"


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_what_is_saved_while_tables_are_copied_is_in_none_of_them(store, tmp_path, monkeypatch):
    listener = ready(store)
    store.show(listener, 0)
    store.save(listener, 0, tab="T", changes={"comment": "before"})

    class SavedBetween:
        create_all = schema.metadata.create_all

        @property
        def sorted_tables(self):
            for table in schema.metadata.sorted_tables:
                yield table
                if table is schema.answer:
                    store.save(listener, 0, tab="T", changes={"comment": "meanwhile"})

    monkeypatch.setattr(backups, "metadata", SavedBetween())
    store.backup(tmp_path / "copy.sqlite")
    with sqlite3.connect(tmp_path / "copy.sqlite") as raw:
        assert raw.execute("SELECT comment FROM answer").fetchall() == [("before",)]
        assert raw.execute("SELECT count(*) FROM revision").fetchone() == (1,)
    assert store.show(listener, 0).fields["comment"] == "meanwhile"


# a lost database


def test_a_lost_database_is_named_before_an_empty_one_takes_its_place(tiny_study, tmp_path, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    store = Store.for_folder(tiny_study)
    link = store.invite("Ann")
    copy = tmp_path / "copy.sqlite"
    store.backup(copy)
    store.close()
    for file in tiny_study.path.glob("responses.sqlite*"):
        file.unlink()
    with pytest.raises(
        StoreError, match="not the database of this study's listeners.*study backup"
    ) as caught:
        Store.for_folder(tiny_study)
    assert "\n" not in str(caught.value)
    assert str(tiny_study.database_record) in str(caught.value)
    assert not tiny_study.database.exists()
    tiny_study.database.write_bytes(copy.read_bytes())  # the way back
    store = Store.for_folder(tiny_study)
    assert store.invite("Ann") == link
    store.close()


def test_another_database_in_its_place_is_refused_and_beginning_anew_is_possible(tiny_study, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    Store.for_folder(tiny_study).close()
    assert not tiny_study.database_record.exists(), "before the first invitation nothing can be lost"
    store = Store.for_folder(tiny_study)
    store.invite("Ann")
    store.close()
    record = json.loads(tiny_study.database_record.read_text())
    assert "listeners_since" in record
    tiny_study.database.write_bytes(b"")
    for beside in ("-wal", "-shm"):
        tiny_study.database.with_name(f"responses.sqlite{beside}").unlink(missing_ok=True)
    with pytest.raises(StoreError, match="is not the database"):
        Store.for_folder(tiny_study)
    tiny_study.database_record.unlink()
    store = Store.for_folder(tiny_study)
    assert store.listeners() == []
    store.close()


def test_a_study_with_listeners_from_before_is_recorded_on_opening(tiny_study, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    store = Store(tiny_study.database_url())
    store.invite("Ann")
    store.close()
    Store.for_folder(tiny_study).close()
    assert tiny_study.database_record.exists()
    tiny_study.database_record.write_text("{")
    with pytest.raises(StoreError, match="database.json cannot be read"):
        Store.for_folder(tiny_study)
