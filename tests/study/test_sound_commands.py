"""`study compare` and `study inventory` at the command line."""

import numpy as np
import pytest
import soundfile

RATE = 8000


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    dice = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, 0.1 * dice.standard_normal(RATE), RATE)
    return folder


def test_a_comparison_at_the_command_line(run, clips, tmp_path):
    out = tmp_path / "out"
    code, said, _ = run("compare", clips / "a.wav", clips / "b.wav", "--out", out, "--label", "CAW")
    assert code == 0
    assert f"The comparison is {out / 'index.html'}" in said
    assert "CAW" in (out / "index.html").read_text()


def test_an_inventory_at_the_command_line(run, clips, tmp_path):
    (clips / "bad.wav").write_bytes(b"bad")
    out = tmp_path / "out"
    code, said, _ = run("inventory", clips, "--out", out, "--workers", "1")
    assert code == 0
    assert "2 files of 2 songs" in said
    assert "note: bad.wav: is not sound" in said
    assert "training" in (out / "splits.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "nothing.wav", "b.wav", "--out", "out"], "nothing.wav: no such file"),
        (["compare", "a.wav", "b.wav", "--out", "a.wav"], "a.wav is a file"),
        (
            ["compare", "a.wav", "b.wav", "--out", "out", "--label", "x", "--label", "y", "--label", "z"],
            "3 labels",
        ),
        (["inventory", "nowhere", "--out", "out"], "nowhere: no such folder"),
        (["inventory", ".", "--out", "a.wav"], "a.wav is a file"),
        (["inventory", "empty", "--out", "out"], "empty: holds no audio file"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(run, clips, monkeypatch, arguments, told):
    monkeypatch.chdir(clips)
    (clips / "empty").mkdir()
    code, _, error = run(*arguments)
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
    assert not (clips / "out").exists()
