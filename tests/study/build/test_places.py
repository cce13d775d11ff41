"""A clip in place: joined on beats, at one loudness, whatever it is."""

import numpy as np
import pytest

from caw import audio
from study.build.places import FADE, in_place

RATE = 16000


def pulses(seconds: float, period: float = 0.5, start: float = 0.0, level: float = 0.5) -> np.ndarray:
    """Decaying clicks, one a beat, with an accent of lower pitch on every fourth."""
    sound = 0.001 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    tail = np.arange(round(0.2 * RATE)) / RATE
    for number, onset in enumerate(np.arange(start, seconds - 1e-6, period)):
        pitch = 220 if number % 4 == 0 else 880
        hit = level * np.sin(2 * np.pi * pitch * tail) * np.exp(-30 * tail)
        begin = round(onset * RATE)
        sound[begin : begin + len(hit)] += hit[: len(sound) - begin]
    return sound.astype(np.float32)


def onsets(sound: np.ndarray) -> np.ndarray:
    """Times in s at which the level rises, at least a quarter of a second apart."""
    hop = RATE // 200
    level = np.abs(sound[: len(sound) // hop * hop]).reshape(-1, hop).max(axis=1)
    rises = np.flatnonzero((level[1:] > 0.1 * level.max()) & (level[:-1] < 0.05 * level.max())) + 1
    return rises[np.diff(rises, prepend=-100) > 50] * hop / RATE


@pytest.mark.parametrize("start", [0.0, FADE, 0.2, 0.4])
def test_the_beat_goes_on_through_both_seams(start):
    before, after = pulses(4.0)[: round(4.0 * RATE)], pulses(4.0, start=FADE)
    joined = in_place(pulses(6.2, start=start), before, after, RATE)
    assert np.diff(onsets(joined)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("start", [0.0, 0.1, 0.3])
def test_where_off_beats_are_louder_the_songs_own_beat_decides(start):
    def music(length: float, start: float = 0.0) -> np.ndarray:
        """Bass on the beat, and a louder, higher stroke between two beats."""
        times = np.arange(round(length * RATE)) / RATE
        bass = 0.2 * np.sin(2 * np.pi * 70 * times) * np.exp(-12 * ((times - start) % 0.5))
        stroke = np.sin(2 * np.pi * 2000 * times) * np.exp(-30 * ((times - start - 0.25) % 0.5))
        return (bass + 0.5 * stroke).astype(np.float32)

    joined = in_place(music(6.2, start), music(4.0), music(4.0, FADE), RATE, beat=0.5)
    carrier = np.exp(2j * np.pi * 2000 * np.arange(len(joined)) / RATE)
    strokes = onsets(np.abs(np.convolve(joined * carrier, np.ones(160) / 160, "same")))
    assert np.diff(strokes) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("early", "seconds"), [(0.06, 6.2), (0.0, 5.94)])
def test_no_hole_stands_where_a_beat_lies_just_beyond_the_clips_ends(early, seconds):
    def music(length: float, start: float = 0.0) -> np.ndarray:
        hum = 0.1 * np.sin(2 * np.pi * 150 * np.arange(round(length * RATE)) / RATE)
        return pulses(length, start=start) + hum.astype(np.float32)

    clip = music(8.0)[round(early * RATE) :][: round(seconds * RATE)]
    joined = in_place(clip, music(4.0), music(4.0, start=FADE), RATE)
    levels = np.sqrt(np.mean(joined[: len(joined) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
    assert levels[5:-5].min() > 0.3 * np.median(levels)


def test_a_clip_at_half_the_tempo_is_entered_and_left_on_beats_of_the_song():
    """It holds eleven beats of the song, of which it plays every second one."""
    joined = in_place(pulses(5.6, period=1.0), pulses(4.0), pulses(4.0, start=FADE), RATE, beat=0.5)
    assert len(joined) / RATE == pytest.approx(4.0 + 5.5 + 4.0, abs=0.05)
    assert np.abs(np.diff(onsets(joined)) / 0.5 - np.rint(np.diff(onsets(joined)) / 0.5)).max() < 0.05


def test_the_music_around_gets_the_clips_loudness_and_keeps_its_own_dynamics():
    clip = pulses(6.0, level=0.2)
    before, after = pulses(4.0, level=0.8), pulses(4.0, start=FADE, level=0.4)
    joined = in_place(clip, before, after, RATE)
    first, last = (np.abs(part).max() for part in (joined[: RATE * 3], joined[-RATE * 3 :]))
    assert first / last == pytest.approx(2.0, rel=0.05)
    around = np.concatenate([joined[: RATE * 3], joined[-RATE * 3 :]])
    assert audio.loudness(around, RATE) == pytest.approx(audio.loudness(clip, RATE), abs=1.0)


def test_a_seam_makes_no_click():
    tone = (0.3 * np.sin(2 * np.pi * 200 * np.arange(RATE * 4) / RATE)).astype(np.float32)
    joined = in_place(tone, tone, tone, RATE)
    assert np.abs(np.diff(joined)).max() < 1.5 * np.abs(np.diff(tone)).max()


def test_one_side_may_be_missing():
    clip, before = pulses(6.0), pulses(4.0)
    assert np.array_equal(in_place(clip, None, None, RATE), clip)
    ended = in_place(clip, before, None, RATE)
    assert len(ended) == pytest.approx(len(clip) + len(before), abs=0.1 * RATE)
    assert np.allclose(ended[-RATE:], clip[-RATE:])
    begun = in_place(clip, None, before, RATE)
    assert np.allclose(begun[:RATE], clip[:RATE])


def test_it_never_exceeds_full_scale():
    before = pulses(4.0, level=0.05)
    before[RATE] = 0.9
    assert np.abs(in_place(pulses(6.0, level=0.9), before, None, RATE)).max() <= 0.98 + 1e-6
