import functools

import numpy as np
import pytest
import soundfile

from caw import audio
from tests.caw.conftest import RATE, tune
from tests.caw.test_cli import caw


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    stereo = np.stack([tune(6.0), 0.7 * tune(6.0)])
    audio.write(folder / "song.wav", stereo, RATE, subtype="PCM_16")
    audio.write(folder / "song.flac", stereo[0], RATE)
    audio.write(folder / "low.wav", audio.resample(stereo[0], RATE, RATE // 2), RATE // 2)
    return folder


@pytest.mark.parametrize(("name", "subtype"), [("song.wav", "PCM_16"), ("song.flac", "PCM_24")])
def test_inpaint_writes_the_samples_outside_the_holes_as_they_are(folder, tmp_path, name, subtype):
    done = caw("inpaint", folder / name, "--hole", "2:2.5", "--hole", "4:4.2", "--n", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.iterdir())
    assert [path.stem for path in files] == ["inpaint-0", "inpaint-1"]
    before, _ = soundfile.read(folder / name, dtype="int32")
    for path in files:
        assert soundfile.info(path).subtype == subtype
        after, rate = soundfile.read(path, dtype="int32")
        assert (after.shape, rate) == (before.shape, RATE)
        changed = np.nonzero((before != after).reshape(len(before), -1).any(axis=1))[0] / RATE
        assert np.all(((changed >= 2) & (changed < 2.5)) | ((changed >= 4) & (changed < 4.2)))


def test_denoise_keeps_length_rate_and_channels(folder, tmp_path):
    done = caw("denoise", folder / "song.wav", "--out", tmp_path / "clean.wav", "--strength", 0.5)
    assert done.returncode == 0, done.stderr
    before, after = soundfile.info(folder / "song.wav"), soundfile.info(tmp_path / "clean.wav")
    for what in ("frames", "samplerate", "channels", "subtype"):
        assert getattr(before, what) == getattr(after, what)


@pytest.mark.slow
def test_extend_from_a_run_and_from_a_file(folder, tmp_path, tiny, monkeypatch):
    from caw.tasks import extension
    from caw.training import train

    monkeypatch.setattr(
        extension, "learn", functools.partial(extension.learn, steps=20)
    )  # how well: its tests
    train(tune(6.0), RATE, tmp_path / "run", settings=tiny)
    for material in (tmp_path / "run", folder / "song.wav"):
        out = tmp_path / f"{material.stem}.wav"
        done = caw("extend", material, folder / "low.wav", "--out", out)
        assert done.returncode == 0, done.stderr
        assert done.stderr == f"Learning the upper band of {material.stem}\n", "one line where no terminal is"
        assert (soundfile.info(out).samplerate, soundfile.info(out).frames) == (RATE, 6 * RATE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inpaint", "song.wav", "--hole", "3-4", "--out", "new"], "give START:END in seconds"),
        (["inpaint", "song.wav", "--hole", "4:3", "--out", "new"], "START before END"),
        (["inpaint", "song.wav", "--hole", "0:1", "--out", "new"], "cut the clip's start off"),
        (["inpaint", "song.wav", "--out", "new"], "--hole"),
        (["inpaint", "song.wav", "--hole", "3:4", "--out", "song.wav"], "is a file"),
        (["inpaint", "nothing.wav", "--hole", "3:4", "--out", "new"], "no such file"),
        (["extend", "song.wav", "song.flac", "--out", "new.wav"], "give material at a higher rate"),
        (["extend", "nothing", "low.wav", "--out", "new.wav"], "nothing: no such file"),
        (["extend", ".", "low.wav", "--out", "new.wav"], "no run folder"),
        (["extend", "song.wav", "low.wav", "--out", "new.mp3"], "use .wav or .flac"),
        (["denoise", "song.wav", "--out", "new.wav", "--strength", 3], "strength is 3"),
        (["denoise", "song.wav", "--out", "new.wav", "--noise", "a:b"], "--noise is 'a:b'"),
        (["denoise", "song.wav", "--out", "new.wav", "--noise", "9:10"], "within the clip's 6.00 s"),
    ],
)
def test_a_users_mistake_is_one_line(folder, arguments, words):
    done = caw(*arguments, cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert not list(folder.glob("new*"))
