import os
import warnings

import numpy as np
import pytest

from caw import audio
from caw.files import file_names
from study import design
from study.build import new_study, plan
from study.design import DesignError
from study.folder import FolderError, StudyFolder


def test_what_init_writes_builds_as_it_stands(tmp_path, recording):
    folder = StudyFolder(tmp_path / "study")
    (note,) = new_study.create(folder, [recording], title='Songs of "us"')
    assert note.startswith("models learn from the first 25 s of song.wav")
    made = design.load(folder.path)
    assert made.study.title == 'Songs of "us"'
    assert {name: len(picks) for name, picks in plan.make(made, folder).picks.items()} == {
        "UMG": 11,
        "VAR": 11,
        "practice": 2,
    }


def test_the_comments_show_the_defaults(tmp_path):
    """Every key of the template that is set has the default, but for what init fills in."""
    folder = StudyFolder(tmp_path / "study")
    new_study.create(folder, [], title="T", seed=1)
    made = design.load(folder.path)
    plain = design.parse({"study": {"title": "T", "seed": 1}})
    assert made.sets == plain.sets
    assert made.stimuli == plain.stimuli.model_copy(update={"lowest": 30.0})  # studies before it had none
    assert (made.listening, made.questions) == (plain.listening, plain.questions)


def test_every_key_is_explained(tmp_path):
    text = new_study.template().template
    tables = (
        design.Source,
        design.Imported,
        design.Set,
        design.Stimuli,
        design.ListeningSettings,
        design.Questions,
    )
    for model in tables:
        for key in model.model_fields:
            assert key in text, f"{model.__name__}.{key}"


def test_clips_are_copied_and_never_mixed_up(tmp_path, clip):
    other = tmp_path / "other" / clip.name
    audio.write(other, 0.1 * np.tile([1, -1], 3 * 4000).astype(np.float32), 8000)
    folder = StudyFolder(tmp_path / "study")
    third = tmp_path / "other" / "riff.flac"
    audio.write(third, 0.2 * np.tile([1, -1], 3 * 4000).astype(np.float32), 8000)
    new_study.create(folder, [clip, other, clip, third])
    names = [source.file for source in design.load(folder.path).sources]
    assert names == ["sources/riff.wav", "sources/riff-2.wav", "sources/riff-3.flac"]
    assert (folder.path / names[1]).read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("length", "seconds"),
    [(60.0, 20.0), (40.8, 20.0), (30.0, 14.6), (25.0, 12.1), (20.0, 9.6), (8.0, 3.6), (2.0, 0.6)],
)
def test_stimuli_shrink_so_that_two_originals_fit(length, seconds):
    assert new_study.stimulus_seconds([50.0, length]) == seconds


def test_too_little_material_is_said_with_the_seconds_that_are_missing(tmp_path, recording):
    samples, rate = audio.read(recording, seconds=60)
    audio.write(tmp_path / "minute.wav", samples, rate)
    folder = StudyFolder(tmp_path / "study")
    _, note = new_study.create(folder, [tmp_path / "minute.wav"])
    assert note.startswith(
        "`study build` will refuse this study: 7 originals of 20.4 s (3 for UMG, 3 for VAR, "
    )
    assert (
        "minute.wav has 35.0 s that no model learns from, room for 1; 107.8 s more of minute.wav are" in note
    )
    with pytest.raises(DesignError, match="107.8 s more of minute.wav are needed"):
        plan.make(design.load(folder.path), folder)
    folder.toml.write_text(folder.toml.read_text().replace("accept = []", 'accept = ["repetition"]'))
    made = plan.make(design.load(folder.path), folder)
    assert [len(names) for names in made.picks.values()] == [11, 11, 2]
    assert "originals from minute.wav share up to" in " ".join(made.notes)


def test_stimuli_are_shorter_where_that_makes_room_for_all_originals(tmp_path, recording):
    samples, rate = audio.read(recording, seconds=115)
    audio.write(tmp_path / "song.wav", samples, rate)
    folder = StudyFolder(tmp_path / "study")
    _, note = new_study.create(folder, [tmp_path / "song.wav"])
    assert note == "stimuli last 12 s instead of 20 s, so that the originals find room"
    assert design.load(folder.path).stimuli.seconds == 12.0
    assert len(plan.make(design.load(folder.path), folder).picks["UMG"]) == 11


def test_shrinking_is_said(tmp_path, clip):
    note, _ = new_study.create(StudyFolder(tmp_path / "study"), [clip])
    assert note.startswith("stimuli last 3.6 s instead of 20 s: riff.wav has 8.0 s")


def test_of_a_whole_song_the_passage_is_named_and_nothing_else_is_judged(tmp_path):
    song = 0.1 * np.sin(np.arange(50 * 8000) / 5).astype(np.float32)
    song[27 * 8000 : 35 * 8000] = 0  # a long silence that no model hears
    audio.write(tmp_path / "song.wav", song, 8000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note, narrow, _ = new_study.create(StudyFolder(tmp_path / "study"), [tmp_path / "song.wav"])
    assert narrow.startswith("no clip of the study goes above 3600 Hz: song.wav has a rate of 8000 Hz; give")
    assert note.startswith("models learn from the first 25 s of song.wav; `start` and `seconds`")


def test_bad_clips_leave_nothing_behind(tmp_path, clip):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    audio.write(tmp_path / "short.wav", 0.1 * np.resize([1, -1], 8000).astype(np.float32), 8000)
    for bad, said in (
        ("bad.wav", "is not sound"),
        ("short.wav", "is 1.00 s long; give a clip of at least 2 s"),
    ):
        with pytest.raises(audio.AudioError, match=said):
            new_study.create(StudyFolder(tmp_path / "study"), [clip, tmp_path / bad])
    assert not (tmp_path / "study").exists()


def test_a_study_is_never_overwritten(tmp_path):
    folder = StudyFolder(tmp_path / "study")
    new_study.create(folder, [])
    before = folder.toml.read_text()
    with pytest.raises(FolderError, match="there is a study already"):
        new_study.create(folder, [])
    assert folder.toml.read_text() == before


LONG = "Band_live_rehearsal_room_2024-05-17_evening_session_mixdown_take_of_verse"


@pytest.mark.parametrize(
    "names",
    [
        (f"{LONG}_01.wav", f"{LONG}_02.wav", f"{LONG}_03.wav"),
        ("Take.wav", "take.wav"),
        ("\u00e9.wav", "e\u0301.wav"),
        ("caf\udce9.wav", "caf\udcea.wav"),
        ("-rf.wav", "line\nbreak.wav", "\u202egnp.wav", "\U0001f3b8.wav", "\u00e9" * 120 + ".wav"),
    ],
)
def test_clips_of_any_name_make_a_study_that_can_be_planned(tmp_path, names):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 3 * 8000).astype(np.float32)
    audio.write(tmp_path / "a.wav", noise, 8000)
    clips = []
    for name in names:
        os.link(tmp_path / "a.wav", tmp_path / name)
        clips.append(tmp_path / name)
    folder = StudyFolder(tmp_path / "study")
    new_study.create(folder, clips)
    made = design.load(folder.path)
    assert len({file_names.same(source.name) for source in made.sources}) == len(names)
    files = sorted(entry.name for entry in (folder.path / "sources").iterdir())
    assert len({file_names.same(file) for file in files}) == len(names)
    for file in files:
        assert file.encode().decode() == file
