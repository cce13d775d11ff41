import contextlib
import errno
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from caw import audio, runs
from caw.cli import command_line, commands
from caw.files import atomic
from tests.caw.conftest import RATE, same_weights, tune


def caw(*arguments, cwd=None):
    """Run the command as a user does, but in this process: torch takes seconds to load."""
    out, err = io.StringIO(), io.StringIO()
    command = ["caw", *map(str, arguments)]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        patch.chdir(cwd or Path.cwd())
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            commands.main()
    return subprocess.CompletedProcess(command, ended.value.code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    audio.write(folder / "song.wav", tune(4.0), RATE)
    done = caw(
        "train", folder / "song.wav", "--out", folder / "run", "--epochs", 2, "--rate", 1000, "--seed", 3
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "Training song, 2 epochs per scale\n", "one line where no terminal is"
    return folder


@pytest.fixture(scope="module")
def band(tmp_path_factory):
    """A run of two stereo files of different rates."""
    folder = tmp_path_factory.mktemp("band")
    for name, rate, seed in (("one.wav", 4000, 1), ("two.wav", 8000, 2)):
        both = np.stack([tune(2.5, rate, seed), 0.5 * tune(2.5, rate, seed + 10)])
        audio.write(folder / name, both, rate)
    audio.write(folder / "mono.wav", tune(2.5), RATE)
    soundfile.write(folder / "five.wav", np.stack([tune(2.5)] * 5, axis=1), RATE)
    done = caw(
        "train", folder / "one.wav", folder / "two.wav", "--out", folder / "run", "--stereo", "--epochs", 1
    )
    assert done.returncode == 0, done.stderr
    assert "trained 2 clips at 4000 Hz" in done.stdout
    return folder


def test_every_verb(folder, tmp_path):
    out = tmp_path / "out"
    done = caw("generate", folder / "run", "--n", 2, "--seconds", 1.5, "--seed", 7, "--out", out)
    assert done.returncode == 0, done.stderr
    assert (
        caw("vary", folder / "run", "--n", 1, "--seed", 7, "--out", out, "--format", "flac").returncode == 0
    )
    assert caw("reconstruct", folder / "run", "--out", out / "again.wav").returncode == 0
    files = {p.name: soundfile.info(p) for p in out.iterdir()}
    assert sorted(files) == ["again.wav", "umg-7.wav", "umg-8.wav", "var-7.flac"]
    assert files["umg-7.wav"].frames == 1500
    assert files["var-7.flac"].frames == files["again.wav"].frames == 4000
    assert {i.subtype for i in files.values()} == {"PCM_24"}
    output = caw("info", folder / "run").stdout
    assert "song.wav, 4.00 s" in output
    assert "1 (mono)" in output
    assert "2 per scale" in output
    assert "score at 62.5 frames per second, waveforms at 1000 Hz" in output
    assert "trained" in output


@pytest.mark.slow
def test_a_band_is_drawn_in_stereo_and_clip_by_clip(band, tmp_path):
    output = caw("info", band / "run").stdout
    assert "clip 1     one.wav, 2.50 s" in output
    assert "clip 2     two.wav, 2.50 s" in output
    assert "2 (stereo)" in output
    assert "waveforms at 1000, 4000 Hz" in output
    done = caw("vary", band / "run", "--clip", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert caw("reconstruct", band / "run", "--clip", 2, "--out", tmp_path / "two.wav").returncode == 0
    again, rate = audio.read(tmp_path / "two.wav", mono=False)
    original, _ = audio.read(band / "two.wav", rate=4000, mono=False)
    assert rate == 4000
    assert np.corrcoef(again.flatten(), original.flatten())[0, 1] > 0.8
    info = soundfile.info(tmp_path / "var-clip2-0.wav")
    assert (info.channels, info.samplerate, info.frames) == (2, 4000, 10000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "one.wav", "mono.wav", "--out", "new", "--stereo"], "mono.wav: has one channel; --stereo"),
        (["train", "five.wav", "--out", "new", "--stereo"], "five.wav: has 5 channels; --stereo takes two"),
        (["train", "one.wav", "two.wav", "--out", "new", "--start", 1], "--start and --seconds cut one clip"),
        (["train", "one.wav", "two.wav", "--out", "new", "--seconds", 2], "cut the files first"),
        (["train", "one.wav", "two.wav", "--out", "new", "--preset", "paper"], "one mono clip"),
        (["train", "one.wav", "nine.wav", "--out", "new"], "nine.wav"),
        (["vary", "run", "--out", "new", "--clip", 3], "--clip is 3; use 1 to 2"),
        (["vary", "run", "--out", "new", "--clip", 0], "--clip"),
        (["reconstruct", "run", "--out", "new.wav", "--clip", 3], "--clip is 3; use 1 to 2"),
    ],
)
def test_a_mistake_with_several_clips_is_one_line(band, arguments, words):
    done = caw(*arguments, cwd=band)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert not (band / "new").exists()
    assert not (band / "new.wav").exists()


def test_the_same_seed_writes_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        assert (
            caw("generate", folder / "run", "--seconds", 1, "--seed", 5, "--out", tmp_path / name).returncode
            == 0
        )
    assert (tmp_path / "a/umg-5.wav").read_bytes() == (tmp_path / "b/umg-5.wav").read_bytes()


@pytest.mark.slow
def test_another_process_draws_the_same_from_a_run(folder, tmp_path):
    arguments = ["generate", folder / "run", "--seconds", 1, "--out"]
    command = [sys.executable, "-m", "caw.cli.commands", *map(str, arguments), tmp_path / "a"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert caw(*arguments, tmp_path / "b").stdout == done.stdout.replace("/a/", "/b/")
    assert (tmp_path / "a/umg-0.wav").read_bytes() == (tmp_path / "b/umg-0.wav").read_bytes()


def test_the_run_records_where_it_came_from(folder):
    config = json.loads((folder / "run/config.json").read_text())
    assert config["settings"]["epochs"] == 2
    assert config["settings"]["seed"] == 3
    assert config["clips"][0]["source"]["file"] == "song.wav"
    assert config["clips"][0]["source"]["sha256"] == atomic.sha256(folder / "song.wav")
    assert {"torch", "python", "eureka-study"} <= config["versions"].keys()


BAD_CLIPS = {
    "empty.wav": lambda path: path.write_bytes(b""),
    "one-sample.wav": lambda path: soundfile.write(path, np.zeros(1), RATE),
    "silent.wav": lambda path: soundfile.write(path, np.zeros(4 * RATE), RATE),
    "nan.wav": lambda path: soundfile.write(path, np.full(4 * RATE, np.nan), RATE, subtype="FLOAT"),
    "text.wav": lambda path: path.write_text("not sound at all"),
    "short.wav": lambda path: soundfile.write(path, tune(1.0), RATE),
    "missing.wav": lambda path: None,
}


@pytest.mark.slow
def test_several_counts_give_a_run_each(folder, tmp_path):
    command = [
        "train",
        folder / "song.wav",
        "--out",
        tmp_path,
        "--rate",
        1000,
        "--seed",
        3,
        "--epochs",
        "3,2",
    ]
    done = caw(*command)
    assert done.returncode == 0, done.stderr
    assert [line.split(", ")[1] for line in done.stdout.splitlines()] == [
        f"{n} epochs per scale: {tmp_path / n}" for n in ("2", "3")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]
    assert same_weights(runs.load(tmp_path / "2"), runs.load(folder / "run"))
    assert "begun      where a run of 2 epochs ended, from trunk.pt" in caw("info", tmp_path / "3").stdout
    assert caw(*command, "--resume").returncode == 0


@pytest.mark.parametrize("name", BAD_CLIPS)
def test_a_bad_clip_is_one_line_and_leaves_nothing(name, tmp_path):
    BAD_CLIPS[name](tmp_path / name)
    done = caw("train", tmp_path / name, "--out", tmp_path / "run", "--epochs", 1)
    assert done.returncode == 2
    complaint = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert len(complaint) == 1
    assert complaint[0].startswith("caw: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "song.wav", "--out", "run", "--epochs", 2, "--rate", 1000], "--resume"),
        (["train", "song.wav", "--out", "new", "--epochs", 0], "epochs"),
        (["train", "song.wav", "--out", "new", "--epochs", "2,0"], "epochs is 0"),
        (["train", "song.wav", "--out", "new", "--epochs", "few"], "as 100,500,1000"),
        (["train", "song.wav", "--out", "song.wav", "--epochs", "1,2"], "song.wav"),
        (["train", "song.wav", "--out", "new", "--preset", "quick"], "use one of fast"),
        (["train", "song.wav", "--out", "new", "--start", 3, "--seconds", 9], "song.wav"),
        (["train", "song.wav", "--out", "song.wav"], "is a file"),
        (["train", "song.wav", "--out", "new", "--device", "tpu"], "auto, cpu or cuda"),
        (["train", "song.wav"], "--out"),
        (["generate", "nothing", "--out", "new"], "caw train"),
        (["generate", "run", "--out", "song.wav"], "is a file"),
        (["generate", "run", "--out", "new", "--seconds", -1], "seconds is -1"),
        (["generate", "run", "--out", "new", "--format", "mp3"], "wav or flac"),
        (["generate", "run", "--out", "new", "--n", 0], "--n"),
        (["vary", "run", "--out", "new", "--strength", 3], "strength is 3"),
        (["reconstruct", "run", "--out", "again.mp3"], "again.mp3"),
        (["info", "song.wav"], "no run folder"),
        (["sing"], "sing"),
    ],
)
def test_a_users_mistake_is_one_line(folder, arguments, words):
    done = caw(*arguments, cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "new").exists()


@pytest.mark.slow
def test_odd_formats_train(tmp_path):
    five = np.stack([tune(2.5, 8000)] * 5, axis=1)
    soundfile.write(tmp_path / "five.wav", five, 8000, subtype="PCM_U8")
    done = caw("train", tmp_path / "five.wav", "--out", tmp_path / "run", "--epochs", 1, "--rate", 1000)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_told_with_how_to_go_on(capsys, monkeypatch):
    def no_room():
        raise OSError(errno.ENOSPC, "No space left on device", "run/clips.safetensors")

    app = typer.Typer()
    app.command()(no_room)
    monkeypatch.setattr(sys, "argv", ["caw"])
    with pytest.raises(SystemExit, match="2"):
        command_line.run(app, "caw", goes_on="a training goes on with --resume")
    assert capsys.readouterr().err == (
        "caw: run/clips.safetensors: No space left on device; "
        "free some space and run the command again; a training goes on with --resume\n"
    )


def test_a_rate_above_the_clips_own_is_told(tmp_path):
    audio.write(tmp_path / "short.wav", tune(1.0), RATE)  # refused, but for that not to be trained
    for rate, warned in ((RATE + 1, True), (RATE, False)):
        done = caw("train", tmp_path / "short.wav", "--out", tmp_path / "run", "--rate", rate)
        warning = f"--rate is {rate}, more than the clip has: it is learned at its own {RATE} Hz"
        assert done.returncode == 2
        assert (f"caw: warning: {warning}" in done.stderr) == warned


def test_help_waits_for_nothing_heavy():
    code = "import sys, caw.cli.commands\n"
    code += "sys.exit(' '.join({'torch', 'numba', 'librosa', 'scipy'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
