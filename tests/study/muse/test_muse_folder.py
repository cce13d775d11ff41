"""The folder of `study muse`: made from a song, gone on with, refused; and what it keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caw import audio
from caw.compose.plan import Plan
from caw.problems import ProblemError
from study.cli import commands
from study.muse import beginning, kinds, worker
from study.muse.folder import KEPT, NOT_KEPT, Choice, MuseError, MuseFolder
from tests.free_ports import free_port
from tests.study.muse.tiny_muse import HEARD, RATE, made_folder, new_folder, riff

ROOT = Path(__file__).parents[3]


def test_a_song_makes_a_folder_beside_it_that_holds_its_passage(tmp_path):
    song = riff(tmp_path / "riff.wav", seconds=40.0)
    folder, lines = beginning.prepare(song)
    assert folder.path == tmp_path / "riff-muse"
    settings = folder.settings()
    assert (settings.start, settings.seconds) == (5.0, 25.0), "at a third of what is left"
    assert audio.inspect(folder.passage).seconds == 25.0
    assert lines[0].startswith("Learns from 0:05 to 0:30 of riff.wav")


def test_the_same_song_goes_on_with_what_is_asked_anew(tmp_path):
    folder = new_folder(tmp_path)
    before = folder.settings()
    again, lines = beginning.prepare(tmp_path / "riff.wav", clips=5, language="de")
    assert again.settings() == before.model_copy(update={"clips": 5, "language": "de"})
    assert lines[1] == f"Going on in {folder.path}."
    assert again.settings().model == before.model


def _silent(path: Path) -> Path:
    audio.write(path, np.zeros(16000, np.float32), 8000)
    return path


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("none.wav", {}, "no such file"),
        ("short.wav", {}, "--seconds is 1.5; give 2 or more"),
        ("silent.wav", {}, "silent"),
        ("broken.mp3", {}, "broken.mp3"),
        ("riff.wav", {"start": 8.5}, "--start 8.5 lies behind the end of riff.wav; it has 8.0 s"),
        ("riff.wav", {"start": 7.0}, "--seconds is 1.0; give 2 or more"),
        ("riff.wav", {"language": "fr"}, "--language is 'fr'; use 'en' or 'de'"),
    ],
)
def test_a_song_that_cannot_be_used_leaves_nothing(tmp_path, name, asked, message):
    riff(tmp_path / "riff.wav")
    riff(tmp_path / "short.wav", seconds=1.5)
    _silent(tmp_path / "silent.wav")
    (tmp_path / "broken.mp3").write_bytes(b"ID3" + bytes(2000))
    with pytest.raises(ProblemError, match="(?i)" + message.replace("(", r"\(")):
        beginning.prepare(tmp_path / name, tmp_path / "new", **asked)
    assert not (tmp_path / "new").exists()


def test_other_folders_are_left_alone(tmp_path):
    song = riff(tmp_path / "riff.wav")
    study, other, file = tmp_path / "study", tmp_path / "other", tmp_path / "file"
    for place, entry in ((study, "study.toml"), (other, "notes.txt")):
        place.mkdir()
        (place / entry).write_text("")
    file.write_text("")
    for place, what in ((study, "holds a study"), (other, "such as notes.txt"), (file, "is a file")):
        with pytest.raises(MuseError, match=what):
            beginning.prepare(song, place)
    new_folder(tmp_path)
    loud = riff(tmp_path / "loud.wav", seconds=9.0)
    with pytest.raises(MuseError, match=r"was made from another song \(riff.wav\)"):
        beginning.prepare(loud, tmp_path / "riff-muse")
    with pytest.raises(MuseError, match="--start 3: .* was made with 0"):
        beginning.prepare(song, start=3.0)


def test_a_beginning_that_was_cut_short_begins_again(tmp_path):
    folder = new_folder(tmp_path)
    folder.toml.unlink()
    (folder.path / ".muse.toml.99.tmp").write_text("half")
    assert beginning.prepare(tmp_path / "riff.wav")[0].settings().epochs == beginning.EPOCHS


def test_an_edited_file_is_refused_in_one_line(tmp_path):
    folder = new_folder(tmp_path)
    good = folder.toml.read_text()
    for text, message in (
        (good.replace("epochs = 4", "epochs = 0"), "epochs is 0"),
        (good.replace("epochs", "epoch"), "epoch"),
        ("epochs = ", "is no TOML"),
    ):
        folder.toml.write_text(text)
        with pytest.raises(MuseError, match=message):
            folder.settings()


def test_what_is_said_of_clips_is_kept_one_by_one(tmp_path):
    folder = made_folder(tmp_path)
    folder.choose("1-1", Choice(KEPT, ("groove",), "the \u201cfill\u201d"))
    folder.choose("1-2", Choice(NOT_KEPT))
    folder.choose("1-3", Choice(KEPT))
    folder.choose("1-3", Choice())
    again = MuseFolder(folder.path)
    assert again.choices()["1-1"] == Choice(KEPT, ("groove",), "the \u201cfill\u201d")
    assert again.kept() == ["1-1"]


def test_choices_that_come_at_once_are_all_kept(tmp_path):
    folder = made_folder(tmp_path)
    names = [f"1-{place}" for place in range(1, 25)]
    threads = [threading.Thread(target=folder.choose, args=(name, Choice(KEPT))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.choices()) == sorted(names)


def test_a_killed_write_loses_nothing_that_was_kept(tmp_path):
    """A process that keeps choosing is killed again and again; what it said was kept is readable."""
    folder = made_folder(tmp_path)
    code = """
import sys
from study.muse.folder import KEPT, Choice, MuseFolder
folder = MuseFolder(sys.argv[1])
for number in range(10_000):
    folder.choose(f"1-{number % 3 + 1}", Choice(KEPT, (), str(number)))
    print(number, flush=True)
"""
    for lines in (1, 7, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(folder.path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for _ in range(lines):
            last = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].split()
        last = int(rest[-1]) if rest else last
        kept = max(int(choice.note) for choice in folder.choices().values())
        assert kept in (last, last + 1)
        folder.remove_leftovers()
        assert not list(folder.path.glob(".*.tmp"))


def test_the_command_refuses_a_taken_port_and_a_second_one(tmp_path, monkeypatch, capsys):
    folder = made_folder(tmp_path)
    song, port = tmp_path / "riff.wav", free_port()

    def called(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["study", "muse", str(song), "--no-browser", *options])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    with folder.opened():
        assert "is open in another `study muse`; go on in its page" in called("--port", str(port))
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert f"port {port} of 127.0.0.1 is in use" in called("--port", str(port), "--dir", "elsewhere")
    assert not Path("elsewhere").exists()


def test_a_clip_without_a_clear_beat_is_followed_at_the_tempo_it_was_made_at():
    noise = 0.1 * np.random.default_rng(1).standard_normal(8 * RATE).astype(np.float32)
    drawn = kinds.Drawn(noise, RATE, 0.0, 8.0)
    assert worker.what_plays(drawn, Plan(), "x.wav").bpm is None
    assert worker.what_plays(drawn, HEARD, "x.wav").bpm == pytest.approx(120, rel=0.06)
    slower = replace(drawn, asked_bpm=90.0)
    assert worker.what_plays(slower, HEARD, "x.wav").bpm == pytest.approx(90, rel=0.06)
