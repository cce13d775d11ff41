import os
import stat

import pytest

from study.folder import FolderError, StudyFolder


def test_paths(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path)
    assert folder.pool_table == tmp_path / "pool" / "pool.csv"
    assert folder.key == tmp_path / "private" / "key.csv"
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    assert folder.database_url() == f"sqlite:///{tmp_path.resolve()}/responses.sqlite"
    monkeypatch.setenv("STUDY_DATABASE_URL", "postgresql:///study")
    assert folder.database_url() == "postgresql:///study"


@pytest.mark.parametrize("bad", ["../../etc", "abcdefg", "abcdefg1", "abcdefgH", "abcdefghi", ""])
def test_an_id_that_is_none_reaches_no_file(tmp_path, bad):
    with pytest.raises(FolderError):
        StudyFolder(tmp_path).stimulus("UMG", bad)
    with pytest.raises(FolderError):
        StudyFolder(tmp_path).stimulus(f"../{bad}", "abcdefgh")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_stimulus_is_found_in_either_format(tmp_path, suffix):
    file = tmp_path / "sets" / "UMG" / f"abcdefgh.{suffix}"
    file.parent.mkdir(parents=True)
    file.touch()
    assert StudyFolder(tmp_path).stimulus("UMG", "abcdefgh") == file


def test_private_is_closed_even_if_it_was_open(tmp_path):
    (tmp_path / "private").mkdir(mode=0o755)
    private = StudyFolder(tmp_path).make_private()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_a_folder_without_study_says_what_to_do(tmp_path):
    with pytest.raises(FolderError, match="study init"):
        StudyFolder(tmp_path / "none").require()
    with pytest.raises(FolderError, match="holds no study.toml"):
        StudyFolder(tmp_path).require()


def open_to_others(folder) -> list[str]:
    """What below a study's folder other accounts may read, but for its toml."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.lstat().st_mode & 0o077)


def test_what_an_older_version_left_open_is_shut(tmp_path):
    study = StudyFolder(tmp_path)
    for name in (
        "pool/a.wav",
        "sets/UMG/abcdefgh.wav",
        "models/riff-2/model.pt",
        "report/tables/answers.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("responses.sqlite", "responses.sqlite-wal", "responses.sqlite.before-4", "monday.sqlite"):
        (tmp_path / name).touch()
    for path in tmp_path.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    assert study.shut() == []
    assert open_to_others(tmp_path) == []
    assert stat.S_IMODE((tmp_path / "pool" / "a.wav").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sets" / "UMG").stat().st_mode) == 0o700


def test_a_pool_behind_a_link_is_named_and_not_changed(tmp_path):
    study, elsewhere = StudyFolder(tmp_path / "study"), tmp_path / "disk"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    study.path.mkdir()
    study.pool.symlink_to(elsewhere)
    (line,) = study.shut()
    assert str(elsewhere) in line
    assert "chmod -R go=" in line
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_makes_in_a_folder_of_another_account_becomes_its_own(tmp_path):
    study = StudyFolder(tmp_path)
    os.chown(tmp_path, 1234, 1234)
    study.pool.mkdir()
    (study.pool / "a.wav").touch()
    study.shut()
    assert [(study.pool / name).stat().st_uid for name in ("", "a.wav")] == [1234, 1234]
