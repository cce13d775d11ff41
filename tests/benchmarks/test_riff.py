"""The riff of the benchmarks: what its makers promise of it, and that its score adds up."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from caw import audio
from tests.benchmarks import compose_riff

pytestmark = pytest.mark.slow

CLIP = Path(__file__).with_name("riff.flac")


def test_the_clip_is_25_seconds_of_full_sound():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no clipping, no long silence
        samples, rate = audio.read(CLIP)
    assert samples.size == 25 * rate
    assert audio.peak_db(samples) == pytest.approx(-1, abs=0.05)
    seconds = [10 * np.log10(np.mean(second**2)) for second in samples.reshape(25, rate)]
    assert min(seconds) > -18, "full to its end"
    assert CLIP.stat().st_size < 2_000_000


def test_its_metre_is_not_plain_four_four():
    eighths = [count for _, count in compose_riff.compose().metres]
    assert sum(eighths) * 30 / compose_riff.TEMPO == compose_riff.SECONDS
    assert eighths.count(7) == 10
    assert 10 in eighths


def test_its_midi_file_is_well_formed():
    midi = compose_riff.compose().midi()
    assert midi[:8] == b"MThd\0\0\0\x06"
    assert struct.unpack(">HHH", midi[8:14]) == (0, 1, 480)
    assert struct.unpack(">I", midi[18:22])[0] == len(midi) - 22
    assert midi == compose_riff.compose().midi(), "same seed, same hands"


def test_every_note_is_let_go():
    sounding = {}
    for _, _, message in sorted(compose_riff.compose().events, key=lambda event: event[:2]):
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind in (0x80, 0x90):
            key = (channel, message[1])
            sounding[key] = sounding.get(key, 0) + (1 if kind == 0x90 else -1)
    assert sounding
    assert not any(sounding.values())


@pytest.mark.parametrize(
    ("value", "expected"), [(0, "00"), (127, "7f"), (128, "8100"), (2**28 - 1, "ffffff7f")]
)
def test_variable_length_numbers(value, expected):
    """The examples of the standard MIDI file specification."""
    assert compose_riff._variable_length(value).hex() == expected


def test_the_beat_is_in_the_sound():
    """The level of the clip repeats every bar of 7/8 more than every sixteenth off it."""
    samples, rate = audio.read(CLIP, seconds=11.6)
    peaks = np.abs(samples[: samples.size // 441 * 441]).reshape(-1, 441).max(axis=1)
    rise = np.maximum(0, np.diff(np.log(peaks + 1e-3)))
    rise -= rise.mean()
    step = 60 / compose_riff.TEMPO / 4 / 0.01

    def likeness(steps):
        lag = round(steps * step)
        return max(float(rise[:-k] @ rise[k:]) for k in (lag - 1, lag, lag + 1))

    assert likeness(14) > 2 * max(likeness(13), likeness(15), 0)
