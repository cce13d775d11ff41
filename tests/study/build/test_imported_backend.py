"""Clips made elsewhere: what is said of files that can hardly be what a study wants."""

import shutil

import numpy as np
import pytest

from caw import audio
from study import backends
from study.backends import Cell, Task
from study.build import build

TABLE = '[[imported]]\nfile = "{file}"\nname = "{name}"\nbackend = "jukebox"\nmode = "UMG"\n'


def test_an_original_that_is_imported_as_a_fake_is_noted(new_study, clip, tmp_path, run):
    shutil.copy(clip, tmp_path / "copy.wav")
    audio.write(tmp_path / "made.wav", audio.read(clip)[0][::-1], 22050)
    files = {"own": clip, "copy": tmp_path / "copy.wav", "made": tmp_path / "made.wav"}
    files["again"] = files["made"]
    more = "".join(TABLE.format(file=file, name=name) for name, file in files.items())
    folder = new_study(sets="[set.UMG]\nfakes = 4\nimported = 4\n", more=more)
    code, out, _ = run("build", folder.path, "--pool-only")
    assert code == 0
    notes = [line for line in out.splitlines() if "imported" in line and line.startswith("note")]
    assert notes == [
        "note: imported own is the file of source riff: is it what jukebox made?",
        "note: imported copy is the file of source riff: is it what jukebox made?",
        "note: imported again is the same file as made: is it what jukebox made?",
    ]


def test_a_file_that_was_shortened_since_the_plan(tmp_path):
    audio.write(tmp_path / "j.wav", 0.1 * np.resize([1, -1], 8000).astype(np.float32), 8000)
    cell = Cell("riff", tmp_path / "j.wav", 0.0, 3.0, "UMG", None, "jukebox")
    task = Task(cell, ["j"], 1.2, 7, tmp_path / "models")
    with pytest.raises(audio.AudioError, match="is 1.00 s long, 1.20 s are needed; import a longer"):
        next(backends.get("imported").make(task, lambda *_: None))


def test_a_silent_import_costs_no_other_clip(new_study, clip, tmp_path):
    audio.write(tmp_path / "mute.wav", np.zeros(22050 * 3, np.float32), 22050)
    more = TABLE.format(file=tmp_path / "mute.wav", name="mute") + TABLE.format(file=clip, name="fine")
    folder = new_study(sets="[set.UMG]\nfakes = 3\nimported = 2\n", more=more)
    with pytest.raises(ValueError, match="mute: .*is silent .*; give a clip with sound; then `study build"):
        build.build(folder, pool_only=True)
    assert (folder.pool / "fine.wav").exists()
    assert not (folder.pool / "mute.wav").exists()
