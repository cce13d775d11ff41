"""Levels, streams and scored pieces."""

import json

import numpy as np
import pytest

from caw.samplernn.data import SILENCE, Streams, decode, encode, inverted, scored_pieces, split
from tests.caw.samplernn.conftest import tiny

RAMP = (np.arange(3000) // 12).astype(np.uint8)  # a level tells where it is from


def test_windows_follow_each_other_until_a_stream_begins_anew():
    streams = Streams([RAMP], 2000, tiny(flip=False))
    levels, fresh = streams.next()
    assert fresh.all()
    assert (levels[:, :8] == SILENCE).all()  # the learnt start hears nothing before
    began = np.zeros(4, int)
    for _ in range(60):
        before = levels
        levels, fresh = streams.next()
        assert levels.shape == (4, 8 + 64)
        for stream in range(4):
            if fresh[stream]:
                assert (levels[stream, :8] == SILENCE).all()
            else:
                assert (levels[stream, :8] == before[stream, -8:]).all()
            assert (np.diff(levels[stream, 8:]) >= 0).all()
        began += fresh
    assert (began >= 60 * 64 / 1000 - 1).all()  # a stretch lasts 0.5 s of 2000 Hz


def test_half_of_the_streams_hear_the_other_polarity():
    streams = Streams([RAMP], 2000, tiny(streams=64))
    levels, _ = streams.next()
    falling = (np.diff(levels[:, 8:], axis=1) <= 0).all(1)
    assert 16 < falling.sum() < 48


def test_longer_clips_are_heard_more():
    clips = [np.full(200, 1, np.uint8), np.full(2000, 2, np.uint8)]
    levels, _ = Streams(clips, 2000, tiny(streams=400, flip=False)).next()
    assert set(levels[:, -1]) == {1, 2}
    assert 0.85 < (levels[:, -1] == 2).mean() < 0.99


def test_streams_go_on_from_what_was_saved():
    one, other = (Streams([RAMP], 2000, tiny()) for _ in range(2))
    for _ in range(20):
        one.next()
    other.restore(json.loads(json.dumps(one.state())))
    for _ in range(20):
        for a, b in zip(one.next(), other.next(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_held_out_is_never_heard():
    settings = tiny(held_out=0.25, flip=False)
    learned, held_out = split([RAMP], settings)
    streams = Streams(learned, 2000, settings)
    assert max(streams.next()[0].max() for _ in range(200)) <= held_out[0].min()
    np.testing.assert_array_equal(np.concatenate([*learned, *held_out]), RAMP)
    pieces = scored_pieces(held_out, settings)
    assert pieces.min() >= held_out[0].min()
    assert (pieces.shape[1] - 8) % 64 == 0
    assert split([RAMP], tiny())[1] == []


@pytest.mark.parametrize("kind", ["mu-law", "linear"])
def test_levels_are_the_nearest_and_come_back(kind):
    levels = np.arange(256, dtype=np.uint8)
    assert (encode(decode(levels, kind), kind) == levels).all()
    assert (np.diff(decode(levels, kind)) > 0).all()
    np.testing.assert_array_equal(decode(inverted(levels), kind), -decode(levels, kind))
    assert encode(np.zeros(1), kind)[0] == SILENCE
    assert list(encode(np.array([-2.0, -1.0, 1.0, 2.0]), kind)) == [0, 0, 255, 255]


@pytest.mark.parametrize(
    ("gain", "mu_law", "linear"), [(0.9, (33, 42), (46, 51)), (0.02, (28, 42), (12, 18))]
)
def test_mu_law_keeps_soft_sound_where_linear_drowns_it(gain, mu_law, linear):
    sound = gain * np.sin(np.arange(20000) * 0.05)

    def ratio(kind: str) -> float:  # dB of sound over error
        error = decode(encode(sound, kind), kind) - sound
        return 10 * np.log10((sound**2).mean() / (error**2).mean())

    assert mu_law[0] < ratio("mu-law") < mu_law[1]
    assert linear[0] < ratio("linear") < linear[1]
