"""Files that change or go while a build runs, and what killed builds leave in the folders of runs."""

import shutil

import pytest

from study.build import plan as planning
from study.build.grid import CellsFailed
from study.folder import FolderError, StudyFolder
from tests.study.build.test_build import built, check_whole

SOURCE = '[[source]]\nfile = "riff.wav"\nepochs = [100, 200]\nclips = 2\nbackend = "tiny"\n'


@pytest.fixture
def folder(new_study, clip):
    """A study that holds its source itself."""
    study = new_study(source=SOURCE)
    shutil.copy(clip, study.path / "riff.wav")
    return study


def change(file):
    file.write_bytes(file.read_bytes()[:-40_000] + bytes(range(200)) * 200)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_source_that_is_replaced_in_mid_build_gives_no_clips_under_its_old_name(
    folder, tiny, monkeypatch, moment
):
    make, source = type(tiny).make, folder.path / "riff.wav"
    whole = source.read_bytes()

    def made(self, task, tell):
        if task.cell.epochs == 200 and moment == "before" and source.read_bytes() == whole:
            change(source)
        for clip in make(self, task, tell):
            if task.cell.epochs == 200 and source.read_bytes() == whole:
                change(source)
            yield clip

    monkeypatch.setattr(type(tiny), "make", made)
    with pytest.raises(CellsFailed, match=r"riff.wav: was changed while the build ran; build again"):
        built(folder)
    assert not [file for file in folder.pool.glob("*-200-*")]
    assert len(list(folder.pool.glob("*.wav"))) > 0
    source.write_bytes(whole)
    tiny.made.clear()
    monkeypatch.setattr(type(tiny), "make", make)
    built(folder)
    check_whole(folder)
    assert any("-200-" in name for name in tiny.made)
    assert not any("-100-" in name for name in tiny.made)


def test_a_source_that_is_replaced_before_its_originals_are_cut_gives_none(folder, monkeypatch):
    make = planning.make

    def planned(*arguments):
        todo = make(*arguments)
        change(folder.path / "riff.wav")
        return todo

    monkeypatch.setattr(planning, "make", planned)
    with pytest.raises(ValueError, match=r"riff.wav: was changed while the build ran"):
        built(folder)
    assert not list(folder.pool.glob("*.wav"))


def test_what_a_killed_training_was_writing_is_swept_from_its_run(folder):
    run = folder.models / "riff-100"
    run.mkdir(parents=True)
    (run / ".scale-02.safetensors.424.tmp").write_bytes(b"half")
    (run / "kept").write_bytes(b"whole")
    built(folder)
    check_whole(folder)
    assert (run / "kept").exists()


def test_a_study_that_is_moved_in_mid_build_is_not_begun_again_at_its_old_place(folder, tiny, monkeypatch):
    make, moved = type(tiny).make, folder.path.with_name("moved")

    def made(self, task, tell):
        for clip in make(self, task, tell):
            if folder.path.exists():
                folder.path.rename(moved)
                task.cell.file.parent.mkdir()
                shutil.copy(moved / "riff.wav", task.cell.file)  # else the cell fails before
            yield clip

    monkeypatch.setattr(type(tiny), "make", made)
    with pytest.raises(FolderError, match=r"study: holds no study.toml"):
        built(folder)
    assert not folder.pool.exists()
    monkeypatch.setattr(type(tiny), "make", make)
    study = StudyFolder(moved)
    built(study)
    check_whole(study)
