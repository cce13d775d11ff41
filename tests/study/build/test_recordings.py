"""Recordings: files with the same sound, and the places in them that excerpts can be cut from."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from caw import audio
from study.build import recordings
from study.build.recordings import fitting, longest_overlap, remainder, side_by_side, spread, without
from tests.study.conftest import song


@pytest.fixture(scope="module")
def take():
    return song(40.0, 16000, seed=3)


def written(folder, name: str, samples, rate: int = 16000):
    soundfile.write(folder / name, samples, rate)
    return folder / name


@pytest.mark.parametrize("name", ["copy.flac", "copy.ogg", "copy.mp3"])
def test_a_copy_in_another_format_is_the_same_recording(tmp_path, take, name):
    first = written(tmp_path, "take.wav", take)
    assert recordings.find_offset(first, written(tmp_path, name, 0.5 * take)) == pytest.approx(0.0, abs=0.1)


def test_a_copy_at_another_rate_and_upside_down(tmp_path, take):
    first = written(tmp_path, "take.wav", take)
    other = written(tmp_path, "other.wav", -audio.resample(take, 16000, 22050), 22050)
    assert recordings.find_offset(first, other) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("begin", "end"), [(7, 25), (30, 40), (0, 40)])
def test_a_clip_cut_out_of_a_song_is_found_where_it_lies(tmp_path, take, begin, end):
    whole, part = (
        written(tmp_path, "take.wav", take),
        written(tmp_path, "p.wav", take[begin * 16000 : end * 16000]),
    )
    assert recordings.find_offset(whole, part) == pytest.approx(begin, abs=0.01)
    assert recordings.find_offset(part, whole) == pytest.approx(-begin, abs=0.01)


def test_two_clips_that_share_a_part(tmp_path, take):
    first, second = take[: 25 * 16000], take[18 * 16000 :]
    files = written(tmp_path, "first.wav", first), written(tmp_path, "second.wav", second)
    assert recordings.find_offset(*files) == pytest.approx(18, abs=0.01)


def test_other_music_in_the_same_tempo_and_notes_is_not_the_same(tmp_path, take):
    """Two takes of one beat: every onset at the same time, every pitch the same, only the hands differ."""

    def played(seed):
        dice, time = np.random.default_rng(seed), np.arange(16000) / 16000
        sound = 0.01 * dice.standard_normal(21 * 16000)
        for beat in range(40):
            pluck = sum(np.sin(2 * np.pi * 110 * k * time + dice.uniform(0, 6)) / k for k in range(1, 8))
            sound[beat * 8000 :][:16000] += pluck * np.exp(-6 * time)
        return 0.1 * sound

    files = [written(tmp_path, f"{seed}.wav", played(seed)) for seed in (1, 2)]
    assert recordings.find_offset(*files) is None
    assert recordings.find_offset(files[0], written(tmp_path, "take.wav", take)) is None
    assert recordings.find_offset(files[0], written(tmp_path, "noise.wav", 0.1 * np.ones(80000))) is None


def test_silence_is_at_the_ends_and_where_it_lasts(tmp_path, take):
    samples = take[: 20 * 16000].copy()
    samples[: 16000 // 2] = 0
    samples[5 * 16000 : 7 * 16000] = 0
    samples[10 * 16000 : round(10.5 * 16000)] = 0
    found = recordings.silences(written(tmp_path, "gaps.wav", samples))
    assert np.array(found) == pytest.approx(np.array([(0, 0.5), (5, 7)]), abs=0.1)


@given(
    length=st.floats(0.5, 20),
    first=st.floats(0, 100),
    seconds=st.floats(0.5, 200),
    gap=st.floats(0.5, 30),
    seed=st.integers(0, 99),
)
def test_as_many_as_fit_lie_side_by_side_inside_the_stretches(length, first, seconds, gap, seed):
    stretches = [(first, first + seconds), (first + seconds + gap, first + 2 * seconds + gap)]
    starts = side_by_side(stretches, length, np.random.default_rng(seed))
    assert len(starts) == sum(fitting(stretch, length) for stretch in stretches)
    ordered = np.sort(starts)
    assert np.all(np.diff(ordered) >= length - 1e-9)
    assert all(any(a - 1e-9 <= at <= b - length + 1e-9 for a, b in stretches) for at in starts)
    assert all(0 <= remainder(stretch, length) < length + 0.01 for stretch in stretches)


def test_lengths_that_floating_point_cannot_hold_fit_all_the_same():
    assert fitting((25.0, 25.0 + 5 * 10.4), 10.4) == 5
    assert fitting((0.0, 3 * 1.1), 1.1) == 3
    assert fitting((0.0, 3.299), 1.1) == 2


def test_places_follow_the_seed():
    drawn = [side_by_side([(0.0, 20.0)], 3.0, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_taken_is_cut_out():
    assert without([(0.0, 10.0)], [(2.0, 4.0), (8.0, 12.0), (20.0, 30.0)]) == [(0.0, 2.0), (4.0, 8.0)]
    assert without([(0.0, 10.0)], [(-5.0, 20.0)]) == []
    assert without([(0.0, 10.0)], []) == [(0.0, 10.0)]


def test_too_many_are_spread_evenly_and_neighbours_in_the_list_lie_apart():
    starts = spread((0.0, 25.0), 10.4, 5)
    assert sorted(starts) == [0.0, 3.65, 7.3, 10.95, 14.6]
    assert longest_overlap(starts[:2], 10.4) == 0
    assert longest_overlap(starts[2:4], 10.4) == 0
    assert longest_overlap(starts, 10.4) == 6.75
