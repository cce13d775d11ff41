import subprocess
import sys

import numpy as np
import pytest

from caw import audio
from caw.samplernn import cli, runs
from caw.samplernn.config import Odds
from tests.caw.conftest import RATE, tune


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs `samplernn ARGUMENTS`; returns (exit code, stdout, stderr)."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["samplernn", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.mark.slow
def test_a_folder_is_learned_and_drawn_from(run, tmp_path):
    songs = tmp_path / "songs"
    audio.write(songs / "b.wav", tune(2.5, seed=1), RATE)
    audio.write(songs / "a.flac", tune(2.0, seed=2), RATE)
    (songs / "notes.txt").write_text("no sound")
    out = tmp_path / "run"
    train = ["train", songs, "--out", out, "--epochs", 2, "--snapshot", 1, "--dim", 8, "--rate", 2000]
    code, said, wrong = run(*train, "--held-out", 0.2, "--device", "cpu")
    assert (code, said) == (0, f"trained 4.5 s at 2000 Hz, 2 epochs: {out}\n")
    warning = f"samplernn: warning: {songs}: left out as no sound: notes.txt"
    assert wrong.splitlines() == [warning, "Training 2 clips, 2 epochs"]
    code, said, _ = run("info", out)
    assert code == 0
    assert "clip 1       a.flac, 2.00 s" in said
    assert "epochs kept  1, 2" in said
    assert "bits per sample: train" in said
    drawn = ["--n", 2, "--seconds", 0.3, "--seed", 5]
    code, said, error = run("generate", out, "--out", tmp_path / "new", *drawn)
    assert (code, error) == (0, "Making 2 clips (UMG, 2 epochs)\n")
    assert said.split() == [str(tmp_path / "new" / f"umg-{seed}.wav") for seed in (5, 6)]
    code, said, _ = run("vary", out, "--out", tmp_path / "new", "--clip", 2, "--candidates", 2)
    samples, rate = audio.read(said.strip())
    assert (code, rate, len(samples)) == (0, 2000, 5000)
    first, _ = audio.read(tmp_path / "new" / "umg-5.wav")
    code, _, _ = run("generate", out, "--out", tmp_path / "old", "--seconds", 0.3, "--seed", 5, "--epochs", 1)
    assert not np.array_equal(audio.read(tmp_path / "old" / "umg-5.wav")[0], first)


def test_odds_are_drawn_by_as_asked(run, tmp_path, trained, monkeypatch):
    heard = []
    for name in ("generate", "vary"):
        monkeypatch.setattr(
            runs.SampleRNNRun, name, lambda *_, odds, **how: heard.append(odds) or np.zeros((1, 9))
        )
        given = ["--temperature", 0.9, "--top-p", 0.8, "--eta", 0.01]
        assert run(name, trained.folder, "--out", tmp_path, *given)[0] == 0
        assert run(name, trained.folder, "--out", tmp_path)[0] == 0
    assert heard == 2 * [Odds(temperature=0.9, top_p=0.8, eta=0.01), Odds()]


def test_a_users_mistake_is_one_line(run, tmp_path, trained):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "new"
    for arguments, said in [
        (["train", empty, "--out", out], f"{empty}: holds no file of WAV, FLAC"),
        (["train", tmp_path / "no.wav", "--out", out], "no such file; check the name"),
        (["train", empty, "--out", out, "--dim", "7"], "dim is 7; use a multiple of 8"),
        (["generate", empty, "--out", out], "is no run folder: it has no config.json; make one with"),
        (["generate", trained.folder, "--out", out, "--format", "mp3"], "--format is 'mp3'; use wav or flac"),
        (["generate", trained.folder, "--out", out, "--temperature", "9"], "temperature is 9.0; use a"),
        (
            ["vary", trained.folder, "--out", out, "--clip", "2"],
            "--clip is 2; use 1 to 1, see samplernn info",
        ),
        (["vary", trained.folder], "Missing option '--out'; see samplernn vary --help"),
    ]:
        code, printed, wrong = run(*arguments)
        assert (code, printed) == (2, "")
        assert wrong.startswith("samplernn: ")
        assert said in wrong
        assert wrong.count("\n") == 1
        assert not out.exists()


def test_the_command_and_the_backend_start_without_what_is_heavy():
    code = "import sys, caw.samplernn.cli, caw.samplernn.config, caw.samplernn.data\n"
    code += "from study import backends; backends.get('samplernn').validate({}, None)\n"
    code += "sys.exit(' '.join({'torch', 'numba', 'librosa', 'scipy'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "") or told.stderr == "\n"
