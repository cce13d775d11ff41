"""Sound files: what comes in and goes out is exact, and every unusable file is one clear line."""

import math
import os
import re
import struct
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from caw import audio
from caw.files import atomic

RATE = 16000


def tone(seconds=2.0, rate=RATE, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def store(path, samples, rate=RATE, **kinds):
    """Put a file there with soundfile alone, so that caw.audio.read is not tested by caw.audio.write."""
    soundfile.write(path, np.asarray(samples).T, rate, **kinds)
    return path


def one_line(error) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message.rpartition("/")[2]) < 200  # however long a path leads there
    assert "; " in message, "what is wrong, then the fix"
    return message


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [("wav", 1e-4), ("flac", 1e-4), ("aiff", 1e-4), ("ogg", 0.05), ("mp3", 0.05)]
)
def test_reads_every_container(tmp_path, suffix, tolerance):
    clip = tone()
    samples, rate = audio.read(store(tmp_path / f"a.{suffix}", clip))
    assert rate == RATE
    assert samples.dtype == np.float32
    assert samples.shape == clip.shape
    middle = slice(RATE // 2, RATE)
    assert np.abs(samples[middle] - clip[middle]).max() < tolerance


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_reads_every_depth(tmp_path, subtype):
    clip = tone()
    samples, _ = audio.read(store(tmp_path / "a.wav", clip, subtype=subtype))
    assert np.abs(samples - clip).max() <= (1 / 128 if subtype == "PCM_U8" else 1e-4)
    assert audio.inspect(tmp_path / "a.wav").subtype == subtype


def test_mono_is_the_mean_of_all_channels(tmp_path):
    channels = np.stack([tone(hz=100 * k, level=0.1 * k) for k in range(1, 6)])
    path = store(tmp_path / "five.wav", channels, subtype="FLOAT")
    mono, _ = audio.read(path)
    np.testing.assert_allclose(mono, channels.mean(axis=0), atol=1e-6)
    every, _ = audio.read(path, mono=False)
    np.testing.assert_array_equal(every, channels)
    assert audio.inspect(path) == audio.AudioInfo(path, RATE, 5, 2.0, "FLOAT", "WAV")


@pytest.mark.parametrize("to_rate", [8000, 16000, 22050, 44100])
def test_resampling_keeps_pitch_level_and_length(tmp_path, to_rate):
    path = store(tmp_path / "a.wav", tone(seconds=2.0, rate=48000), rate=48000, subtype="FLOAT")
    samples, rate = audio.read(path, rate=to_rate)
    assert (rate, samples.shape) == (to_rate, (2 * to_rate,))
    middle = slice(to_rate // 4, -to_rate // 4)
    np.testing.assert_allclose(samples[middle], tone(2.0, to_rate)[middle], atol=1e-3)


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 1.0), (0.3, 1.23456), (0.76544, 1.23456), (1.99, 0.01)])
def test_a_piece_starts_and_ends_where_asked(tmp_path, start, seconds):
    clip = np.linspace(-0.9, 0.9, 2 * RATE, dtype=np.float32)
    path = store(tmp_path / "ramp.wav", clip, subtype="FLOAT")
    piece, _ = audio.read(path, start=start, seconds=seconds)
    assert piece.size == round(seconds * RATE)
    assert abs(piece[0] - clip[round(start * RATE)]) <= 1.8 / RATE
    assert audio.read(path, start=start, seconds=seconds, rate=11025)[0].size == round(seconds * 11025)


@pytest.mark.parametrize(
    ("start", "seconds", "expected"),
    [
        (0, 2.5, "is 2.00 s long, 2.5 s were asked for"),
        (1, 1.5, "1.5 s from second 1 on were asked for"),
        (3, None, "nothing is left from second 3 on"),
        (3, 1, "1 s from second 3 on were asked for"),
        (-1, None, "start is -1"),
        (math.nan, None, "start is nan"),
        (0, 0, "seconds is 0"),
        (0, math.inf, "seconds is inf"),
    ],
)
def test_refuses_a_piece_that_is_not_there(tmp_path, start, seconds, expected):
    with pytest.raises(audio.AudioError, match=re.escape(expected)) as error:
        audio.read(store(tmp_path / "a.wav", tone()), start=start, seconds=seconds)
    one_line(error)


def test_refuses_what_is_no_sound(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("not music\n" * 300)
    (tmp_path / "bytes.raw").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "folder.wav").mkdir()
    cases = {
        "empty.wav": "is empty",
        "text.mp3": "not sound",
        "bytes.raw": "not sound",
        "folder.wav": "is a folder",
        "absent.wav": "no such file",
    }
    for name, expected in cases.items():
        for action in (audio.read, audio.inspect):
            with pytest.raises(audio.AudioError, match=expected) as error:
                action(tmp_path / name)
            assert name in one_line(error)


@pytest.mark.parametrize("suffix", ["wav", "ogg", "aiff"])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_refuses_a_handful_of_samples(tmp_path, suffix, count):
    path = store(tmp_path / f"a.{suffix}", np.full(count, 0.5))
    with pytest.raises(audio.AudioError, match=f"holds {count} samples|is cut short") as error:
        audio.read(path)
    one_line(error)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
@pytest.mark.filterwarnings("ignore::caw.audio.AudioWarning")
def test_refuses_a_truncated_file(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE)
    path = store(tmp_path / f"a.{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(audio.AudioError, match="cut short") as error:
        audio.read(path)
    one_line(error)
    if suffix != "mp3":  # its header tells no length that could be trusted before decoding
        with pytest.raises(audio.AudioError, match="cut short"):
            audio.read(path, seconds=0.5)


def test_reads_a_wav_from_a_pipe(tmp_path):
    """Such files state the largest size, as their writer could not go back; nothing is missing from them."""
    path = store(tmp_path / "a.wav", tone())
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert audio.read(path)[0].size == 2 * RATE


def test_reads_a_wav_with_something_behind_its_sound(tmp_path):
    path = store(tmp_path / "a.wav", tone())
    path.write_bytes(path.read_bytes() + b"TAG behind the sound")
    assert audio.read(path)[0].size == 2 * RATE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_samples_that_are_no_numbers(tmp_path, bad):
    clip = tone()
    clip[[777, 900]] = bad
    path = store(tmp_path / "a.wav", clip, subtype="FLOAT")
    with pytest.raises(audio.AudioError, match="2 samples are NaN .* first at sample 777") as error:
        audio.read(path)
    one_line(error)
    with pytest.raises(audio.AudioError, match="nothing was written"):
        audio.write(tmp_path / "b.wav", clip, RATE)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_refuses_silence(tmp_path, level):
    with pytest.raises(audio.AudioError, match="is silent") as error:
        audio.read(store(tmp_path / "a.wav", tone(level=level), subtype="FLOAT"))
    one_line(error)


def test_refuses_channels_that_cancel(tmp_path):
    path = store(tmp_path / "a.wav", np.stack([tone(), -tone()]))
    with pytest.raises(audio.SilentError, match="its channels cancel when they are mixed") as error:
        audio.read(path)
    one_line(error)
    assert audio.read(path, mono=False)[0].shape == (2, 2 * RATE)


def test_warns_of_clipping(tmp_path):
    loud = np.clip(tone(level=1.3), -1, 1)
    path = store(tmp_path / "a.wav", loud)
    with pytest.warns(audio.AudioWarning, match=r"clipped \(\d+ samples in 1760 places"):
        audio.read(path)


def test_peaks_of_float_files_are_no_clipping(tmp_path):
    path = store(tmp_path / "a.wav", tone(level=1.8), subtype="FLOAT")
    with pytest.warns(audio.AudioWarning) as caught:
        samples, _ = audio.read(path)
    assert [str(warning.message) for warning in caught] == [
        f"{path}: peaks at +5.1 dBFS; lowered where it is written"
    ]
    assert np.abs(samples).max() == pytest.approx(1.8, abs=1e-3)
    flat = store(tmp_path / "b.wav", np.clip(tone(level=1.8), -1.4, 1.4), subtype="FLOAT")
    with pytest.warns(audio.AudioWarning) as caught:
        audio.read(flat)
    assert ["clipped" in str(warning.message) for warning in caught] == [True, False]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_constant_offset_is_no_sound(tmp_path, channels):
    path = store(tmp_path / "a.wav", np.full((channels, RATE), 0.3))
    for mono in (True, False):
        with pytest.raises(audio.SilentError, match=r"constant offset of \+0.30 and no sound") as error:
            audio.read(path, mono=mono)
        one_line(error)


def test_warns_of_a_large_offset(tmp_path):
    path = store(tmp_path / "a.wav", tone(level=0.3) - 0.1)
    with pytest.warns(audio.AudioWarning, match="has an offset of -0.100, -20 dBFS"):
        audio.read(path)


def test_warns_of_channels_that_nearly_cancel(tmp_path):
    path = store(tmp_path / "a.wav", np.stack([tone(), -0.98 * tone()]))
    with pytest.warns(audio.AudioWarning, match=r"nearly cancel when they are mixed \(40 dB"):
        audio.read(path)


@pytest.mark.parametrize(
    ("samples", "warns"),
    [
        (np.concatenate([tone(3), np.zeros(RATE), tone(3)]), True),
        (np.concatenate([tone(3), np.zeros(RATE // 2), tone(3)]), False),
        (np.tile(np.concatenate([tone(0.5), np.zeros(RATE // 4)]), 8), True),
        (tone(2, level=0.999), False),
    ],
)
def test_warns_of_long_silence_only(tmp_path, samples, warns):
    path = store(tmp_path / "a.wav", samples)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        audio.read(path)
    ours = [w for w in caught if issubclass(w.category, audio.AudioWarning)]
    assert len(ours) == warns
    assert all("long silence" in str(w.message) for w in ours)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(("subtype", "step"), [("PCM_24", 2**-23), ("PCM_16", 2**-15)])
def test_what_is_written_is_read_again(tmp_path, suffix, subtype, step):
    clip = np.stack([tone(level=1.0), tone(level=1e-2, hz=50)])
    audio.write(tmp_path / f"a.{suffix}", clip, RATE, subtype=subtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)
        again, rate = audio.read(tmp_path / f"a.{suffix}", mono=False)
    assert rate == RATE
    assert np.abs(again - clip).max() <= step
    audio.write(tmp_path / f"b.{suffix}", again, RATE, subtype=subtype)
    assert atomic.sha256(tmp_path / f"a.{suffix}") == atomic.sha256(tmp_path / f"b.{suffix}")


def test_a_written_wav_holds_a_format_and_sound_only(tmp_path):
    audio.write(tmp_path / "a.wav", tone(), RATE, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    assert len(content) == 44 + 2 * 2 * RATE
    assert (content[:4], content[8:16], content[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")


@pytest.mark.parametrize(
    ("name", "samples", "kinds", "expected"),
    [
        ("a.wav", np.full(100, 1.5), {}, "reach 1.5"),
        ("a.mp3", np.zeros(100), {}, "'.mp3'"),
        ("a", np.zeros(100), {}, "suffix ''"),
        ("a.wav", np.zeros(100), {"subtype": "FLOAT"}, "'FLOAT'"),
        ("a.wav", np.zeros(0), {}, "shape (0,)"),
        ("a.wav", np.zeros((2, 2, 2)), {}, "shape (2, 2, 2)"),
    ],
)
def test_refuses_to_write_what_it_would_have_to_change(tmp_path, name, samples, kinds, expected):
    with pytest.raises(audio.AudioError, match=re.escape(expected)) as error:
        audio.write(tmp_path / name, samples, RATE, **kinds)
    one_line(error)
    assert not list(tmp_path.iterdir())


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    audio.write(path, tone(), RATE)
    before = atomic.sha256(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(audio.AudioError, match="No space left on device") as error:
        audio.write(path, tone(hz=880), RATE)
    one_line(error)
    assert list(tmp_path.iterdir()) == [path]
    assert atomic.sha256(path) == before


def test_levels():
    assert audio.peak_db(np.array([0.5, -1.0])) == 0
    assert audio.peak_db(np.zeros(5)) == audio.peak_db(np.zeros(0)) == -math.inf


@settings(max_examples=30)
@given(count=st.integers(50, 3000), to_rate=st.integers(300, 50000), channels=st.integers(1, 3))
def test_resampled_length_is_the_rounded_one(count, to_rate, channels):
    samples = np.ones((channels, count), np.float32)
    assert audio.resample(samples, RATE, to_rate).shape == (channels, round(count * to_rate / RATE))
