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
