"""`study restore-backup` puts a backup in place whole or not at all, and keeps what it replaces."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_listener import answer_all, brought
from test_study_cli import refused

from study.store import backup as backups
from study.store import database_file
from study.store.answering import StoreError
from study.store.store import Store

SERVER = """
import os, sys
from study.folder import StudyFolder
from study.store.store import Store
store = Store.for_folder(StudyFolder(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from scripted_listener import answer_all
answer_all(store, "Ann")
print("answered", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


class Serving:
    """Another process that has the study open, as a server has, and has finished Ann's answers."""

    def __init__(self, folder):
        command = [sys.executable, "-c", SERVER, str(folder.path), str(Path(__file__).parent)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
        )
        assert self.process.stdout.readline() == "answered\n"

    def kill(self) -> None:
        self.process.communicate("now\n")
        assert self.process.returncode == -signal.SIGKILL


@pytest.fixture
def study(tiny_study, monkeypatch):
    """A study whose listener Ann has given one answer, in practice left out."""
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    store = Store.for_folder(tiny_study)
    tiny_study.store = store
    brought(tiny_study, "Ann")
    answer_all(store, "Ann", stop=3)
    store.close()
    return tiny_study


@pytest.fixture
def copy(study, tmp_path) -> Path:
    """A backup of it."""
    store = Store.for_folder(study)
    store.backup(tmp_path / "copy.sqlite")
    store.close()
    return tmp_path / "copy.sqlite"


def answers(folder) -> int:
    store = Store.for_folder(folder)
    count = len(store.answers())
    store.close()
    return count


def answers_or_refusal(folder) -> int | str:
    try:
        return answers(folder)
    except StoreError as error:
        return "restore-backup" if "study restore-backup" in str(error) else str(error)


def in_file(file: Path) -> int:
    """Final answers that count, as SQLite alone reads them."""
    raw = sqlite3.connect(file)
    query = "SELECT count(*) FROM answer JOIN trial USING (listener_id, slot)"
    (count,) = raw.execute(f"{query} WHERE answered_at IS NOT NULL AND part > 0").fetchone()
    raw.close()
    return count


def beside(folder) -> set[str]:
    return {path.name for path in folder.path.iterdir() if path.name.startswith((".responses", "responses"))}


def test_a_backup_comes_back_and_what_it_replaces_is_kept(run, study, copy):
    store = Store.for_folder(study)
    answer_all(store, "Ann")
    store.close()
    code, out, _ = run("restore-backup", study.path, copy)
    assert code == 0
    assert f"{copy} is the study's database again: 1 listeners, 1 answers." in out
    assert "responses.replaced.sqlite" in out
    assert (answers(study), in_file(study.path / "responses.replaced.sqlite")) == (1, 4)
    assert (study.path / "responses.replaced.sqlite").stat().st_mode & 0o077 == 0
    store = Store.for_folder(study)
    assert [row["what"] for row in store.events()] == ["backup restored"]
    assert "copy.sqlite" in store.events()[0]["detail"]
    answer_all(store, "Ann")
    assert len(store.answers()) == 4, "the study goes on from there"
    store.close()
    assert run("restore-backup", study.path, study.path / "responses.replaced.sqlite")[0] == 0, "and back"
    assert answers(study) == 4
    assert in_file(copy) == 1, "a backup stays as it is"
    assert not list(copy.parent.glob("copy.sqlite-*"))


def test_after_kill_9_a_copied_file_is_refused_and_a_restored_one_is_right(run, study, copy):
    server = Serving(study)
    server.kill()
    log = study.database.with_name("responses.sqlite-wal")
    assert log.stat().st_size
    shutil.copy(copy, study.database)
    before = study.database.read_bytes(), log.read_bytes()
    for command in (["status"], ["invite"], ["export"], ["serve"], ["report"], ["backup"]):
        more = {"invite": ["Ada"], "export": ["--out", "x.csv"], "backup": ["x.sqlite"]}.get(command[0], [])
        error = refused(run(*command, study.path, *more))
        assert "is not the log of" in error
        assert "study restore-backup" in error
    assert (study.database.read_bytes(), log.read_bytes()) == before, "nothing was replayed"
    assert run("restore-backup", study.path, copy)[0] == 0
    assert answers(study) == 1
    assert {"responses.replaced.sqlite", "responses.replaced.sqlite-wal"} <= beside(study), "both are kept"
    assert answers(study) == 1


def test_after_kill_9_the_log_of_a_sound_database_is_part_of_what_is_kept(run, study, copy):
    Serving(study).kill()
    assert run("restore-backup", study.path, copy)[0] == 0
    assert (answers(study), in_file(study.path / "responses.replaced.sqlite")) == (1, 4)


def test_a_file_that_was_copied_with_a_log_of_its_own_is_noticed_by_its_damage(study):
    """Not a backup of ours: the bare file of a served study, copied over a later one with its log."""
    store = Store.for_folder(study)
    early = study.path / "early"
    shutil.copy(study.database, early)
    for number in range(40):
        store.log_event("Ida", "looked", "x" * 3000 + str(number))
    with sqlite3.connect(study.database) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    store.close()
    Serving(study).kill()
    shutil.copy(early, study.database)
    with pytest.raises(StoreError, match="is not the log of"):
        Store.for_folder(study)


def test_nothing_is_restored_under_a_running_server(run, study, copy):
    server = Serving(study)
    error = refused(run("restore-backup", study.path, copy))
    assert "in use by another process; stop `study serve`" in error
    study.database.rename(study.path / "away")
    assert "in use by another process" in refused(run("restore-backup", study.path, copy))
    (study.path / "away").rename(study.database)
    assert not [name for name in beside(study) if "replaced" in name or "restored" in name]
    server.kill()
    assert answers(study) == 4


@pytest.mark.parametrize("how", ["gone", "empty", "noise", "damaged"])
def test_whatever_is_in_its_place_a_backup_comes_back(run, study, copy, how):
    if how == "gone":
        study.database.unlink()
    elif how == "empty":
        study.database.write_bytes(b"")
    elif how == "noise":
        study.database.write_bytes(b"noise " * 5000)
    else:
        content = bytearray(study.database.read_bytes())
        content[8192:20480] = b"\xff" * 12288
        study.database.write_bytes(content)
    kept = study.database.read_bytes() if study.database.exists() else None
    assert run("restore-backup", study.path, copy)[0] == 0
    assert answers(study) == 1
    aside = study.path / "responses.replaced.sqlite"
    assert aside.exists() == (kept is not None)
    if kept is not None:
        assert aside.read_bytes()[4096:] == kept[4096:]  # SQLite may have noted on the first page: no log


def test_what_is_no_backup_of_this_study_changes_nothing(run, study, copy, tmp_path):
    before = study.database.read_bytes()
    other = tmp_path / "other.sqlite"
    raw = sqlite3.connect(other)
    raw.execute("CREATE TABLE song (name TEXT)")
    raw.close()
    noise, damaged, newer = (tmp_path / name for name in ("noise", "damaged.sqlite", "newer.sqlite"))
    noise.write_bytes(b"no database " * 1000)
    content = bytearray(copy.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    damaged.write_bytes(content)
    shutil.copy(copy, newer)
    raw = sqlite3.connect(newer)
    raw.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    raw.commit()
    raw.close()
    for file, reason in {
        tmp_path / "nowhere": "no such file",
        tmp_path: "no such file",
        study.database: "the study's database itself",
        other: "is no database of a study",
        noise: "is damaged or no database",
        damaged: "is damaged or no database",
        newer: "use the version that wrote it",
    }.items():
        error = refused(run("restore-backup", study.path, file))
        assert reason in error, file
        assert str(file) in error
    assert study.database.read_bytes() == before
    assert not [name for name in beside(study) if "replaced" in name or "restored" in name]


def test_where_the_answers_are_in_postgresql_what_applies_is_said(run, study, copy, monkeypatch):
    monkeypatch.setenv("STUDY_DATABASE_URL", "postgresql://ida:hunter2@127.0.0.1:1/none")
    error = refused(run("restore-backup", study.path, copy))
    assert "pg_restore" in error
    assert f"STUDY_DATABASE_URL=sqlite:///{copy}" in error
    assert "hunter2" not in error


def test_an_unblinding_is_not_undone_by_an_older_backup(run, study, copy):
    store = Store.for_folder(study)
    store.log_unblinding("Ida", "the end", store.build().key_sha256)
    opened = store.unblindings()
    store.close()
    assert run("restore-backup", study.path, copy)[0] == 0
    store = Store.for_folder(study)
    assert store.unblindings() == opened
    assert store.closed_at() is not None
    store.close()
    assert "it stays closed" in refused(run("reopen", study.path))


# kill -9


def killed_at_line(folder, file: Path, line: int) -> bool:
    """Restores in a process that is killed at its `line`-th line of what changes the study's files; False
    where it has fewer.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def trace(frame, event, _arg):
            nonlocal count
            if frame.f_code in (backups.restore.__code__, backups._set_aside.__code__) and event == "line":
                count += 1
                if count == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            backups.restore(folder, file, "Ida")
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("state", ["sound", "copied over"])
def test_kill_9_at_any_line_leaves_the_old_answers_or_the_new(study, copy, tmp_path, state):
    Serving(study).kill()
    if state == "copied over":
        shutil.copy(copy, study.database)
    whole = tmp_path / "whole"
    shutil.copytree(study.path, whole)
    seen, line = set(), 0
    while killed_at_line(study, copy, line := line + 2):
        kept = [path for path in study.path.glob("responses*.sqlite") if path != study.database]
        assert study.database.exists() or kept
        seen.add(answers_or_refusal(study))
        backups.restore(study, copy, "Ida")
        assert answers(study) == 1
        if state == "sound":
            kept = [path for path in study.path.glob("responses*.sqlite") if path != study.database]
            assert 4 in {in_file(path) for path in kept}, "what was replaced is kept"
        shutil.rmtree(study.path)
        shutil.copytree(whole, study.path)
    assert line > 20, "the trace reached the module"
    assert seen == ({4, 1} if state == "sound" else {"restore-backup", 1})


HALFWAY = """
import os, sqlite3, sys
from pathlib import Path
from study.folder import StudyFolder
from study.store import backup

class Killed(sqlite3.Connection):
    def backup(self, target, **_options):
        def progress(_status, remaining, _total):
            if remaining < 5:
                os.kill(os.getpid(), 9)
        super().backup(target, pages=1, progress=progress)

connect = sqlite3.connect
def restored(place, *rest, **more):
    more |= {"factory": Killed} if str(place).endswith(".restored") and backup._halfway else {}
    return connect(place, *rest, **more)

backup._halfway = False
record = backup._record
def then(*given):
    record(*given)
    backup._halfway = True
backup._record = then
sqlite3.connect = restored
backup.restore(StudyFolder(sys.argv[1]), Path(sys.argv[2]), "Ida")
"""


def test_kill_9_while_pages_are_written_leaves_the_old_answers(study, copy):
    Serving(study).kill()
    command = [sys.executable, "-c", HALFWAY, str(study.path), str(copy)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[3], timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert study.database.with_name("responses.sqlite-journal").stat().st_size, "it was in the midst"
    assert answers(study) == 4
    backups.restore(study, copy, "Ida")
    assert answers(study) == 1


def test_a_full_disk_changes_nothing(run, study, copy, monkeypatch):
    before = study.database.read_bytes()

    def full(*_given):
        raise OSError(28, "No space left on device")

    for name in ("_flush", "_record", "_bring_up"):
        with monkeypatch.context() as patched:
            patched.setattr(backups, name, full)
            error = refused(run("restore-backup", study.path, copy))
        assert "No space left on device" in error
        assert in_file(study.database) == 1
    with monkeypatch.context() as patched:
        patched.setattr(database_file, "copy_whole", full)
        assert "No space left" in refused(run("restore-backup", study.path, copy))
    assert len(before) == study.database.stat().st_size
    assert answers(study) == 1
