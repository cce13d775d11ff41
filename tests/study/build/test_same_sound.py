import numpy as np
import pytest
import soundfile

from caw import audio
from study.build import same_sound
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
    assert same_sound.offset(first, written(tmp_path, name, 0.5 * take)) == pytest.approx(0.0, abs=0.1)


def test_a_copy_at_another_rate_and_upside_down(tmp_path, take):
    first = written(tmp_path, "take.wav", take)
    other = written(tmp_path, "other.wav", -audio.resample(take, 16000, 22050), 22050)
    assert same_sound.offset(first, other) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("begin", "end"), [(7, 25), (30, 40), (0, 40)])
def test_a_clip_cut_out_of_a_song_is_found_where_it_lies(tmp_path, take, begin, end):
    whole, part = (
        written(tmp_path, "take.wav", take),
        written(tmp_path, "p.wav", take[begin * 16000 : end * 16000]),
    )
    assert same_sound.offset(whole, part) == pytest.approx(begin, abs=0.01)
    assert same_sound.offset(part, whole) == pytest.approx(-begin, abs=0.01)


def test_two_clips_that_share_a_part(tmp_path, take):
    first, second = take[: 25 * 16000], take[18 * 16000 :]
    files = written(tmp_path, "first.wav", first), written(tmp_path, "second.wav", second)
    assert same_sound.offset(*files) == pytest.approx(18, abs=0.01)


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
    assert same_sound.offset(*files) is None
    assert same_sound.offset(files[0], written(tmp_path, "take.wav", take)) is None
    assert same_sound.offset(files[0], written(tmp_path, "noise.wav", 0.1 * np.ones(80000))) is None


def test_silence_is_at_the_ends_and_where_it_lasts(tmp_path, take):
    samples = take[: 20 * 16000].copy()
    samples[: 16000 // 2] = 0
    samples[5 * 16000 : 7 * 16000] = 0
    samples[10 * 16000 : round(10.5 * 16000)] = 0
    found = same_sound.silences(written(tmp_path, "gaps.wav", samples))
    assert np.array(found) == pytest.approx(np.array([(0, 0.5), (5, 7)]), abs=0.1)
