import shutil
import sys

import numpy as np
import pytest

from caw import audio
from study import answerable_questions, design
from study.build import plan, sources
from study.cli import build as building
from study.cli import commands
from study.folder import FolderError, StudyFolder
from study.store.store import Store


def test_the_demo_has_the_case_studys_shape(tmp_path):
    folder = StudyFolder(tmp_path / "demo")
    building.prepare_demo(folder, None)
    made = design.load(folder.path)
    todo = plan.make(made, folder)
    assert {name: len(picks) for name, picks in todo.picks.items()} == {"UMG": 11, "VAR": 11, "practice": 2}
    assert made.sources[0].epochs == building.EPOCHS
    assert len(building.EPOCHS) == 3
    assert made.stimuli.seconds == 20.0
    unanswered = [one.text for one in answerable_questions.questions(made) if one.why_not]
    assert not [asked for asked in unanswered if "differ" in asked or "better" in asked or "rate" in asked]
    for mode in ("UMG", "VAR"):  # the control stands beside all epoch counts
        made_by = [name.split("-")[1] for name in todo.picks[mode] if "original" not in name]
        assert made_by.count("mosaic") == 2


def test_an_own_clip_that_is_short_shrinks_the_stimuli_and_says_so(tmp_path, clip):
    folder = StudyFolder(tmp_path / "demo")
    short, twice = building.prepare_demo(folder, clip)
    assert "stimuli last 3.6 s instead of 20 s: riff.wav has 8.0 s" in short
    assert "listeners will hear passages twice" in twice
    assert plan.make(design.load(folder.path), folder).picks


def test_the_song_has_room_for_all_originals_beside_what_models_learn(tmp_path):
    folder = StudyFolder(tmp_path / "demo")
    building.prepare_demo(folder, None)
    made = design.load(folder.path)
    (passage,) = {one.source: one for one in sources.passages(made, folder).values()}.values()
    assert (passage.start, passage.seconds) == (building.START, 25.0)
    assert not made.stimuli.accept
    originals = plan.make(made, folder).picks
    assert [sum("original" in name for name in names) for names in originals.values()] == [3, 3, 1]


@pytest.mark.parametrize("length", [2.0, 2.3, 5.0])
def test_the_shortest_clips_still_give_a_study(tmp_path, length):
    audio.write(
        tmp_path / "short.wav", 0.1 * np.resize([1, -1], round(length * 8000)).astype(np.float32), 8000
    )
    folder = StudyFolder(tmp_path / "demo")
    building.prepare_demo(folder, tmp_path / "short.wav")
    assert len(plan.make(design.load(folder.path), folder).picks["UMG"]) == 11


def test_a_clip_that_is_too_short_is_refused(tmp_path):
    audio.write(tmp_path / "short.wav", 0.1 * np.resize([1, -1], 8000).astype(np.float32), 8000)
    with pytest.raises(audio.AudioError, match=r"is 1\.00 s long; give a clip of at least 2 s"):
        building.prepare_demo(StudyFolder(tmp_path / "demo"), tmp_path / "short.wav")
    assert not (tmp_path / "demo").exists()


def test_a_second_run_reuses_the_folder_and_never_mixes_clips(tmp_path, clip):
    folder = StudyFolder(tmp_path / "demo")
    building.prepare_demo(folder, clip)
    before = folder.toml.read_text()
    building.prepare_demo(folder, clip)
    building.prepare_demo(folder, None)
    assert folder.toml.read_text() == before
    audio.write(tmp_path / "other.wav", 0.1 * np.resize([1, -1], 40000).astype(np.float32), 8000)
    with pytest.raises(
        FolderError, match="holds the study of another clip than other.wav; choose another folder"
    ):
        building.prepare_demo(folder, tmp_path / "other.wav")


def test_a_second_time_names_the_clip_once(tmp_path):
    folder = StudyFolder(tmp_path / "demo")
    building.prepare_demo(folder, None)
    assert building.prepare_demo(folder, None) == [
        f"{folder.path} holds the study of song already; what it lacks is built"
    ]


@pytest.mark.parametrize("found", [None, "/somewhere/study"])
def test_the_commands_it_names_can_be_typed(capfd, new_study, monkeypatch, found):
    """`make demo` starts it from .venv/bin, where no terminal looks."""
    folder = new_study()
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    monkeypatch.setattr(building, "prepare_demo", lambda *_: [])
    monkeypatch.setattr(building, "make_all", lambda *_: None)
    monkeypatch.setattr(Store, "invite", lambda *_: "token")
    monkeypatch.setattr(shutil, "which", lambda _: found)
    monkeypatch.setattr(sys, "argv", [".venv/bin/study", "demo", "--dir", str(folder.path), "--no-serve"])
    with pytest.raises(SystemExit):
        commands.main()
    called = "study" if found else ".venv/bin/study"
    assert f" {called} invite {folder.path} NAME..." in capfd.readouterr().out
