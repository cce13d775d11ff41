"""A backup holds the recordings that its database names, and putting it back brings both."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from followed import RULE, built, finished
from postgres import both
from test_study_cli import refused

from study.folder import StudyFolder
from study.store import backup as backups
from study.store import backup_recordings, follow_up
from study.store.answering import StoreError
from study.store.follow_up import Recording
from study.store.store import Store

DUE = RULE.__class__(days=0, recording=True)


def sends(store: Store, folder: StudyFolder, who: int, place: int, name: str, content: bytes) -> str:
    """A listener's recording of their kept clip number `place`, as the server takes it. Returns its name."""
    slot = follow_up.show(store.engine, DUE, who)[place].slot
    folder.recordings.mkdir(exist_ok=True)
    (folder.recordings / name).write_bytes(content)
    kept = Recording(name, len(content), hashlib.sha256(content).hexdigest(), "my take.wav")
    if old := follow_up.put_recording(store.engine, DUE, who, slot, kept):
        (folder.recordings / old).unlink()
    return name


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.is_dir() else {}


def with_recordings(store: Store, folder: StudyFolder) -> int:
    """Ann has sent a recording of each of her two kept clips."""
    who = finished(store, "Ann", keep=None)
    follow_up.begin(store.engine, DUE, who, tab="tab")
    sends(store, folder, who, 0, "aaaaaaaa.wav", b"one")
    sends(store, folder, who, 1, "bbbbbbbb.flac", b"two")
    return who


@pytest.fixture
def study(tiny_study, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    tiny_study.store = Store.for_folder(tiny_study)
    tiny_study.ann = with_recordings(tiny_study.store, tiny_study)
    yield tiny_study
    tiny_study.store.close()


@both
def test_the_recordings_that_a_backup_names_are_beside_it(store, tmp_path):
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    built(store)
    with_recordings(store, folder)
    (folder.recordings / "cccccccc.wav.part").write_bytes(b"on its way")
    file = tmp_path / "copy.sqlite"
    assert backups.backup(store.engine, file, folder.recordings) == []
    beside = tmp_path / "copy.sqlite.recordings"
    assert contents(beside) == {"aaaaaaaa.wav": b"one", "bbbbbbbb.flac": b"two"}
    assert beside.stat().st_mode & 0o077 == 0
    assert {one.stat().st_mode & 0o077 for one in beside.iterdir()} == {0}
    assert {one.file for one in backup_recordings.named_in(file)} == set(contents(beside))
    file.unlink()
    with pytest.raises(StoreError, match="copy.sqlite.recordings is there already"):
        backups.backup(store.engine, file, folder.recordings)
    assert len(contents(beside)) == 2


@both
def test_a_recording_that_is_replaced_meanwhile_is_in_the_backup_as_the_database_has_it(
    store, tmp_path, monkeypatch
):
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    built(store)
    who, copy, taken = with_recordings(store, folder), backup_recordings.copy, []

    def after_another_take(*given):
        if not taken:
            taken.append(sends(store, folder, who, 0, "dddddddd.wav", b"another"))
        return copy(*given)

    monkeypatch.setattr(backup_recordings, "copy", after_another_take)
    file = tmp_path / "copy.sqlite"
    assert backups.backup(store.engine, file, folder.recordings) == []
    assert contents(backup_recordings.beside(file)) == {"bbbbbbbb.flac": b"two", "dddddddd.wav": b"another"}
    assert {one.file for one in backup_recordings.named_in(file)} == {"bbbbbbbb.flac", "dddddddd.wav"}


def test_where_takes_are_replaced_without_end_nothing_is_left_half(study, tmp_path, monkeypatch):
    copy, count = backup_recordings.copy, iter(range(100))

    def after_another_take(*given):
        sends(study.store, study, study.ann, 0, f"eeeeee{next(count):02d}.wav", b"another")
        return copy(*given)

    monkeypatch.setattr(backup_recordings, "copy", after_another_take)
    with pytest.raises(StoreError, match="faster than they can be copied; try again"):
        study.store.backup(tmp_path / "copy.sqlite")
    assert not list(tmp_path.glob("*copy*"))


def test_a_backup_without_recordings_is_one_file(run, serving, tmp_path):
    assert run("backup", serving.folder.path, tmp_path / "copy.sqlite")[0] == 0
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.sqlite"]


def test_a_recording_that_is_gone_or_damaged_is_named_in_a_line(run, study, tmp_path):
    (study.recordings / "aaaaaaaa.wav").unlink()
    (study.recordings / "bbbbbbbb.flac").write_bytes(b"tw0")
    code, out, _ = run("backup", study.path, tmp_path / "copy.sqlite")
    assert code == 0
    for name in ("aaaaaaaa.wav", "bbbbbbbb.flac"):
        line = f"note: {study.recordings / name}, a recording of Ann, is not there as it was taken"
        assert line in out.splitlines()
    assert contents(tmp_path / "copy.sqlite.recordings") == {"bbbbbbbb.flac": b"tw0"}, "what there is"


def test_recordings_come_back_with_the_backup_and_later_ones_are_kept(run, study, tmp_path):
    file = tmp_path / "copy.sqlite"
    assert run("backup", study.path, file)[0] == 0
    sends(study.store, study, study.ann, 0, "dddddddd.wav", b"later")
    (study.recordings / "bbbbbbbb.flac").write_bytes(b"tw0")
    study.store.close()
    code, out, _ = run("restore-backup", study.path, file)
    assert (code, "is not there as it was taken" in out) == (0, False)
    assert contents(study.recordings) == {"aaaaaaaa.wav": b"one", "bbbbbbbb.flac": b"two"}
    aside = study.path / "responses.replaced.sqlite"
    assert contents(backup_recordings.beside(aside)) == {"dddddddd.wav": b"later"}
    assert f"Recordings that it does not name are kept in {backup_recordings.beside(aside)}" in out
    assert run("restore-backup", study.path, aside)[0] == 0, "and back"
    assert contents(study.recordings) == {"bbbbbbbb.flac": b"two", "dddddddd.wav": b"later"}
    assert contents(study.path / "responses.replaced-2.sqlite.recordings") == {"aaaaaaaa.wav": b"one"}


def test_a_study_that_is_lost_altogether_comes_back_with_its_recordings(run, study, tmp_path):
    file = tmp_path / "copy.sqlite"
    assert run("backup", study.path, file)[0] == 0
    study.store.close()
    for lost in (*study.path.glob("responses.sqlite*"), *study.recordings.iterdir()):
        lost.unlink()
    assert run("restore-backup", study.path, file)[0] == 0
    assert contents(study.recordings) == {"aaaaaaaa.wav": b"one", "bbbbbbbb.flac": b"two"}


def test_a_backup_from_before_is_put_back_and_what_it_lacks_is_named(run, study, tmp_path):
    file = tmp_path / "copy.sqlite"
    assert run("backup", study.path, file)[0] == 0
    shutil.rmtree(backup_recordings.beside(file))
    (study.recordings / "aaaaaaaa.wav").unlink()
    study.store.close()
    code, out, _ = run("restore-backup", study.path, file)
    assert (code, out.count("is not there as it was taken")) == (0, 1)
    assert f"note: {study.recordings / 'aaaaaaaa.wav'}, a recording of Ann" in out
    assert contents(study.recordings) == {"bbbbbbbb.flac": b"two"}


def test_a_failed_restore_leaves_recordings_and_answers_as_they_were(run, study, tmp_path, monkeypatch):
    file = tmp_path / "copy.sqlite"
    assert run("backup", study.path, file)[0] == 0
    sends(study.store, study, study.ann, 0, "dddddddd.wav", b"later")
    study.store.close()

    def full(*_given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_record", full)
    assert "No space left on device" in refused(run("restore-backup", study.path, file))
    assert contents(study.recordings)["dddddddd.wav"] == b"later"
    assert not list(study.path.glob("*replaced*.recordings"))
    assert {one.file for one in backup_recordings.named_in(study.database)} == {
        "bbbbbbbb.flac",
        "dddddddd.wav",
    }


def test_a_backup_that_names_a_file_elsewhere_takes_none(study, tmp_path):
    odd = backup_recordings.Named("../study.toml", study.toml.stat().st_size, "0" * 64, "Ann")
    odd = odd.__class__(odd.file, odd.size, hashlib.sha256(study.toml.read_bytes()).hexdigest(), "Ann")
    assert backup_recordings.copy([odd], study.recordings, tmp_path / "target") == [odd]
    assert contents(tmp_path / "target") == {}


def test_where_the_answers_are_in_postgresql_the_way_of_the_recordings_is_said(
    run, study, tmp_path, monkeypatch
):
    file = tmp_path / "copy.sqlite"
    assert run("backup", study.path, file)[0] == 0
    monkeypatch.setenv("STUDY_DATABASE_URL", "postgresql://ida:hunter2@127.0.0.1:1/none")
    error = refused(run("restore-backup", study.path, file))
    assert f"copy what is in {file}.recordings to {study.recordings}" in error
