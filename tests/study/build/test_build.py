import io
import os
import pickle
import re
import stat

import numpy as np
import pytest
import soundfile
from rich.console import Console

from caw import audio
from caw.files import atomic, spreadsheet
from study import blinding
from study.audit import file_properties
from study.audit.audit import LeakError
from study.build import blinded_sets, build
from study.build.build import BuildError
from study.build.curation import CurationError
from study.build.grid import CellsFailed
from study.build.progress import BuildProgress
from study.build.stimuli import StimulusError
from study.design import DesignError
from study.folder import StudyFolder
from study.pool import PoolError
from study.store.store import Store


def built(folder: StudyFolder) -> tuple[build.BuildResult, str]:
    """Build quietly; also returns what was said."""
    text = io.StringIO()
    return build.build(folder, BuildProgress(Console(file=text, width=200))), text.getvalue()


def key_of(folder: StudyFolder) -> list[dict[str, str]]:
    return spreadsheet.records(folder.key)


def check_whole(folder: StudyFolder) -> None:
    """All that a finished build promises."""
    rows = key_of(folder)
    files = sorted(file.relative_to(folder.sets) for file in folder.sets.rglob("*") if file.is_file())
    assert [str(file) for file in files] == sorted(f"{row['set']}/{row['stimulus_id']}.wav" for row in rows)
    for row in rows:
        assert atomic.sha256(folder.stimulus(row["set"], row["stimulus_id"])) == row["sha256"]
        assert row["truth"] == ("real" if row["backend"] == "original" else "fake")
        assert row["name"] in {entry["name"] for entry in spreadsheet.records(folder.pool_table)}
    store = Store.for_folder(folder)
    record = store.build()
    store.close()
    assert record.key_sha256 == blinding.seal(folder)
    assert {name: sorted(ids) for name, ids in record.stimuli.items()} == {
        name: sorted(row["stimulus_id"] for row in rows if row["set"] == name) for name in ("UMG", "VAR")
    }
    left_over = [file for file in folder.path.rglob(".*")]
    assert left_over == []


@pytest.fixture
def answered(monkeypatch):
    """Pretend that listeners have answered."""
    return lambda: monkeypatch.setattr(Store, "has_answers", lambda store: True)


def test_a_build_makes_the_sets_and_seals_them(new_study):
    folder = new_study()
    made, output = built(folder)
    check_whole(folder)
    assert {name: len(ids) for name, ids in made.stimuli.items()} == {"UMG": 5, "VAR": 4}
    assert len(made.practice) == 2
    assert made.clips_made == 8 + 6  # four originals, and what the clip has room for besides
    assert "highest true peak" in output
    assert not made.audit.leaks


def test_every_stimulus_has_one_form_and_loudness(built_study):
    folder = built_study
    files = [folder.stimulus(row["set"], row["stimulus_id"]) for row in key_of(folder)]
    formats = [file_properties.measure_format(file) for file in files]
    assert all(facts == formats[0] for facts in formats)
    assert formats[0]["samples"] == 16000
    assert (formats[0]["container"], formats[0]["bit depth"]) == ("WAV", "PCM_16")
    assert formats[0]["chunks"] == ""
    loud = [audio.loudness(*audio.read(file)) for file in files]
    assert np.ptp(loud) <= 0.5
    assert np.mean(loud) == pytest.approx(-26.0, abs=0.1)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_all_that_tells_truth_is_for_its_owner_alone_whatever_the_umask(new_study, umask):
    folder, before = new_study(), os.umask(umask)
    try:
        built(folder)
    finally:
        os.umask(before)
    open_still = [path for path in folder.path.rglob("*") if path.lstat().st_mode & 0o077]
    assert [path.name for path in open_still] == ["study.toml"]
    assert stat.S_IMODE(folder.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.private.stat().st_mode) == 0o700


def test_flac_sets_and_what_the_store_is_told(new_study):
    form = '[stimuli]\nseconds = 1.0\ntrim = 0.1\nformat = "flac"\nrepeats = 1\n'
    folder = new_study(stimuli=form, listening='[listening]\npractice = 1\norder = "fixed"\n')
    built(folder)
    assert {file.suffix for file in folder.sets.rglob("*.*")} == {".flac"}
    store = Store.for_folder(folder)
    build_row = store.build()
    store.close()
    assert (build_row.file_format, build_row.repeats, len(build_row.practice), build_row.seed) == (
        "flac",
        1,
        1,
        7,
    )


def test_ids_are_drawn_and_do_not_follow_from_the_seed(new_study, built_study):
    one, two = built_study, new_study("two")
    built(two)
    ids = [{row["stimulus_id"] for row in key_of(folder)} for folder in (one, two)]
    assert not ids[0] & ids[1]
    names = [sorted(row["name"] for row in key_of(folder)) for folder in (one, two)]
    assert names[0] == names[1]


def test_a_second_build_does_nothing(built_study, tiny):
    folder = built_study
    before = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*") if file.is_file()}
    tiny.made.clear()
    made, _ = built(folder)
    assert (made.clips_made, made.audit, tiny.made) == (0, None, [])
    after = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*") if file.is_file()}
    moving = ("responses.sqlite", "build.lock")
    assert {file: when for file, when in before.items() if not file.name.startswith(moving)} == {
        file: when for file, when in after.items() if not file.name.startswith(moving)
    }


def test_only_what_is_missing_is_made(built_study, tiny):
    folder = built_study
    tiny.made.clear()
    gone = folder.pool / "riff-tiny-UMG-100-2.wav"
    bytes_before = gone.read_bytes()
    gone.unlink()
    built(folder)
    assert tiny.made == ["riff-tiny-UMG-100-2"]
    assert gone.read_bytes() == bytes_before
    check_whole(folder)


def test_a_changed_design_remakes_what_it_touches(built_study, tiny):
    folder = built_study
    first = {row["stimulus_id"] for row in key_of(folder)}
    tiny.made.clear()
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("seconds = 1.0", "seconds = 1.1"))
    made, _ = built(folder)
    assert len(tiny.made) == 8
    assert made.clips_made == 8 + 6
    check_whole(folder)
    assert not first & {row["stimulus_id"] for row in key_of(folder)}
    tiny.made.clear()
    folder.toml.write_text(
        text.replace("seconds = 1.0", "seconds = 1.1").replace('title = "Test"', 'title = "New"')
    )
    made, _ = built(folder)
    assert (made.clips_made, made.audit) == (0, None)
    check_whole(folder)


def test_a_stimulus_that_was_tampered_with_is_made_again(built_study):
    folder = built_study
    row = key_of(folder)[0]
    file = folder.stimulus(row["set"], row["stimulus_id"])
    file.write_bytes(file.read_bytes()[:-2])
    built(folder)
    check_whole(folder)


def test_after_answers_nothing_that_is_heard_may_change(built_study, answered):
    folder = built_study
    answered()
    before = folder.key.read_bytes()
    made, _ = built(folder)
    assert made.clips_made == 0
    text = folder.toml.read_text()
    for old, new in (("trim = 0.1", "trim = 0.2"), ("seed = 7", "seed = 8"), ("fakes = 3", "fakes = 2")):
        folder.toml.write_text(text.replace(old, new))
        with pytest.raises(BuildError, match="listeners have answered, and study.toml or its files are not"):
            built(folder)
        assert folder.key.read_bytes() == before
    folder.toml.write_text(text.replace('title = "Test"', 'title = "Better words"'))
    built(folder)
    check_whole(folder)


def test_answers_in_the_store_freeze_the_sets(built_study, answer):
    folder = built_study
    answer(folder, "Ada", 2)  # practice does not count
    built(folder)
    answer(folder, "Ada", 1)
    folder.toml.write_text(folder.toml.read_text().replace("trim = 0.1", "trim = 0.2"))
    with pytest.raises(BuildError, match="listeners have answered"):
        built(folder)


def test_an_answer_given_while_a_build_works_keeps_its_sets_and_key(built_study, answer, monkeypatch):
    folder = built_study
    before, prepare = folder.key.read_bytes(), blinded_sets.prepare

    def answered_meanwhile(*args):
        prepared = prepare(*args)
        answer(folder, "Ada", 3)
        return prepared

    monkeypatch.setattr(blinded_sets, "prepare", answered_meanwhile)
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("trim = 0.1", "trim = 0.2"))
    with pytest.raises(BuildError, match="listeners have answered"):
        built(folder)
    assert folder.key.read_bytes() == before
    folder.toml.write_text(text)
    built(folder)
    check_whole(folder)


def test_imports_and_originals_bring_their_facts_into_the_key(new_study, clip):
    table = (
        f'[[imported]]\nfile = "{clip}"\nname = "J1"\nbackend = "jukebox"\nmode = "VAR"\nremark = "wild"\n'
    )
    folder = new_study(sets="[set.UMG]\nfakes = 3\n[set.VAR]\nfakes = 3\nimported = 1\n", more=table)
    built(folder)
    rows = {row["name"]: row for row in key_of(folder)}
    assert (rows["J1"]["truth"], rows["J1"]["backend"], rows["J1"]["seed"]) == ("fake", "jukebox", "")
    real = next(row for row in rows.values() if row["truth"] == "real")
    assert (real["backend"], real["source"], real["epochs"], real["run"]) == ("original", "riff", "", "")
    fake = next(row for row in rows.values() if row["backend"] == "tiny")
    assert fake["run"] == f"riff-{fake['epochs']}"
    assert int(fake["seed"]) > 0
    assert {row["name"]: row["remark"] for row in spreadsheet.records(folder.pool_table)}["J1"] == "wild"


def test_the_poorest_rate_bounds_the_band_of_all(new_study):
    folder = new_study(backend="[backend.tiny]\nrate = 8000\n")
    _, output = built(folder)
    assert "up to 3600 Hz" in output


def test_lowering_all_for_one_peak_is_said_loudly(new_study):
    folder = new_study(stimuli="[stimuli]\nseconds = 1.0\ntrim = 0.1\nloudness = -12\n")
    _, output = built(folder)
    assert "loudness lowered for ALL clips from -12 to -" in output
    levels = [
        audio.true_peak(audio.read(folder.stimulus(r["set"], r["stimulus_id"]))[0]) for r in key_of(folder)
    ]
    assert -1.2 < max(levels) <= -1.0


def test_a_clip_above_full_scale_is_noted(new_study):
    _, output = built(new_study(backend="[backend.tiny]\nlevel = 3.0\n"))
    assert "exceeded full scale: -" in output


def test_an_original_above_full_scale_is_noted(new_study, clip, tmp_path):
    samples, rate = audio.read(clip)
    soundfile.write(tmp_path / "hot.wav", 2 * samples, rate, subtype="FLOAT")  # peaks at 1.4
    source = '[[source]]\nfile = "../hot.wav"\nepochs = [100, 200]\nclips = 2\nbackend = "tiny"\n'
    _, output = built(new_study(source=source))
    assert re.search(r"note: hot-original-[\d.]+ exceeded full scale: -", output)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("stops_after = 1", "made no riff-tiny-UMG-100-2"),
        ("level = 0.0", "gave silence"),
        ("level = nan", "gave NaN"),
    ],
)
def test_a_backend_is_held_to_its_promise(new_study, options, message):
    folder = new_study(backend=f"[backend.tiny]\n{options}\n")
    with pytest.raises(CellsFailed, match=message):
        built(folder)
    assert not folder.sets.exists()


def test_a_leak_stops_the_build_before_anything_is_heard(new_study, monkeypatch):
    folder = new_study()
    monkeypatch.setattr(blinded_sets.blinding, "even_out_times", lambda file: None)
    with pytest.raises(LeakError, match="leak: changed"):
        built(folder)
    assert not folder.sets.exists()
    assert not folder.key.exists()
    assert (folder.audit / "audit.csv").exists()
    store = Store.for_folder(folder)
    assert store.build() is None
    store.close()


def test_a_disk_that_fills_up_while_sets_are_written_leaves_none_of_them(built_study, monkeypatch):
    folder = built_study
    before = folder.key.read_bytes()
    folder.toml.write_text(folder.toml.read_text().replace("trim = 0.1", "trim = 0.15"))
    write = audio.write

    def full(path, *rest, **more):
        if ".sets-staging" in str(path) and len(list(path.parent.glob("*.wav"))) == 2:
            raise OSError(28, "No space left on device", str(path))
        write(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(blinded_sets.audio, "write", full)
        with pytest.raises(OSError, match="No space left"):
            built(folder)
    assert folder.key.read_bytes() == before
    assert not list(folder.path.rglob(".*"))
    built(folder)
    check_whole(folder)


def test_a_broken_design_builds_nothing(new_study):
    folder = new_study(listening="[listening]\npractise = 2\n")
    with pytest.raises(DesignError, match="did you mean `practice`"):
        built(folder)
    assert [file.name for file in folder.path.iterdir()] == ["study.toml"]


def test_two_builds_at_once_are_one_too_many(new_study):
    folder = new_study()
    with build._locked(folder), pytest.raises(BuildError, match="is being built already"):
        built(folder)


def test_warnings_about_sound_are_said_once(new_study, tmp_path):
    loud = np.clip(2 * np.sin(np.arange(8 * 16000) / 7), -1, 1).astype(np.float32)
    audio.write(tmp_path / "hot.wav", loud, 16000)
    source = '[[source]]\nfile = "../hot.wav"\nepochs = [100]\nclips = 6\nbackend = "tiny"\n'
    _, output = built(new_study(source=source))
    assert output.count("warning: ") == output.count("clipped")
    assert output.count("hot.wav: clipped") == 1


@pytest.mark.parametrize(
    "kind", [BuildError, CellsFailed, LeakError, CurationError, PoolError, StimulusError]
)
def test_errors_keep_both_halves_between_processes(kind):
    error = pickle.loads(pickle.dumps(kind("riff.wav: is silent", "take another passage")))
    assert (type(error), str(error)) == (kind, "riff.wav: is silent; take another passage")
    assert (error.problem.what, error.problem.fix) == ("riff.wav: is silent", "take another passage")
