import time
import tracemalloc

import numpy as np
import pytest

from caw import audio, mosaic
from caw.measures import artefacts, copying, rhythm, spectra
from caw.mosaic import selection
from caw.mosaic.concatenation import Segment, concatenate
from tests.caw.band import RATE, band, plucks
from tests.caw.test_cli import caw

SECONDS = 16.0


@pytest.fixture(scope="module")
def clip():
    return band(120, 4, SECONDS, offbeat=0.5)[0]


@pytest.fixture(scope="module")
def cut(clip):
    return mosaic.cut(clip, RATE)


@pytest.fixture(scope="module")
def runs(cut):
    return selection.random_walk(cut.units, 30.0, cut.longest, np.random.default_rng(3))


@pytest.mark.parametrize("seconds", [0.5, 7.3, 40.0])
def test_new_music_of_any_length(cut, seconds):
    new = cut.generate(seconds, seed=1)
    assert new.shape == (1, round(seconds * RATE))
    assert np.isfinite(new).all()
    assert spectra.rms(new[0]) > 0.03


def test_a_seed_gives_the_same_bytes_and_another_seed_other_music(clip, cut):
    first, again = (mosaic.generate(clip, RATE, 10.0, seed=5) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.shape == (10 * RATE,)
    assert cut.vary(seed=2).tobytes() == mosaic.vary(clip, RATE, seed=2).tobytes()
    runs = [[(p.start, p.stop) for p in cut.plan(10.0, seed=seed)] for seed in range(6)]
    assert len({tuple(run) for run in runs}) == 6


def test_places_in_the_bar_go_on_across_joins(cut, runs):
    places = cut.grid.places
    bar = round(cut.grid.per_bar * cut.grid.per_beat)
    sequence = np.concatenate([places[run.first : run.first + run.count] for run in runs])
    assert np.array_equal(sequence, np.arange(len(sequence)) % bar)


def test_no_run_is_longer_than_asked_and_nothing_is_played_on(clip, cut, runs):
    assert max(run.count for run in runs) <= cut.longest
    for before, after in zip(runs, runs[1:], strict=False):
        assert after.first != before.first + before.count
    short = mosaic.cut(clip, RATE, run=1)
    assert max(p.length for p in short.plan(20.0)) < 0.6 * RATE  # a beat is 0.5 s


def test_all_of_the_clip_is_used_not_a_loop_of_it(cut, runs):
    used = {unit for run in runs for unit in range(run.first, run.first + run.count)}
    assert len(used) > 0.6 * cut.grid.units


@pytest.fixture(scope="module")
def loops():
    """Four bars of 2 s, each three times in a row, to the sample."""
    bars = band(120, 4, 8.0, offbeat=0.5)[0].reshape(4, -1)
    return np.repeat(bars, 3, axis=0).ravel()


def test_a_loop_is_not_heard_on_across_joins(loops):
    """The longest stretch of the clip that is heard as it is, from whichever of the repeats it comes."""
    cut = mosaic.cut(loops, RATE)
    middles = cut.grid.bounds[:-1] + 0.125
    sounds = [(int(middle / 6.0), place) for middle, place in zip(middles, cut.grid.places, strict=True)]
    longest = []
    for seed in range(6):
        runs = selection.random_walk(cut.units, 24.0, cut.longest, np.random.default_rng(seed))
        heard = np.zeros(len(sounds) + 1, int)  # units up to each of the clip that the walk went along with
        longest.append(0)
        for unit in [unit for run in runs for unit in range(run.first, run.first + run.count)]:
            alike = np.array([sound == sounds[unit] for sound in sounds])
            heard[1:] = np.where(alike, heard[:-1] + 1, 0)
            longest[-1] = max(longest[-1], heard.max())
    assert np.median(longest) <= 10  # a bar has 8
    assert max(longest) <= 16


def test_a_variation_of_a_loop_is_not_the_loop_itself(loops):
    cut, window = mosaic.cut(loops, RATE), 2000
    for seed in range(3):
        pairs = zip(loops.reshape(-1, window), cut.vary(seed=seed)[0].reshape(-1, window), strict=True)
        same = [abs(np.corrcoef(a, b)[0, 1]) > 0.9 for a, b in pairs]
        assert np.mean(same) < 0.3


def test_how_long_places_sound_alike_is_told_to_a_limit(loops):
    alike = mosaic.cut(loops, RATE, run=2, beats_per_bar=4, tempo=120).units.alike
    assert alike.dtype == np.uint8
    assert alike.max() == 4  # half beats in a run of 2 beats
    assert (np.diag(alike)[:-3] == 4).all()
    bar = 8
    same, other = alike[2 : bar + 2, bar + 2 : 2 * bar + 2], alike[2 : bar + 2, 4 * bar + 2 : 5 * bar + 2]
    assert np.diag(same).mean() > 3
    assert np.diag(other).mean() < 1


def test_silence_is_not_given_for_music(clip):
    mostly = mosaic.cut(np.concatenate([clip[: 2 * RATE], np.zeros(30 * RATE, np.float32)]), RATE)
    with pytest.raises(mosaic.MosaicError, match="silence came out; cut it to where it sounds"):
        [mostly.generate(2.0, seed=seed) for seed in range(20)]


def test_tempo_and_metre_stay(clip, cut):
    new = cut.generate(20.0, seed=4)[0]
    assert rhythm.tempo_error(clip, new, RATE) < 1
    assert rhythm.onset_distance(clip, new, RATE) < 0.5 * rhythm.onset_distance(
        clip, pasted(clip, 20.0), RATE
    )
    grid = mosaic.cut(new, RATE).grid
    assert grid.per_bar == 4
    assert np.abs(np.diff(grid.bounds) - 0.25).max() < 0.02


def pasted(clip, seconds, seed=0):
    """The naive rival: a second from anywhere, one after another."""
    dice = np.random.default_rng(seed)
    starts = dice.integers(0, len(clip) - RATE, int(seconds))
    return np.concatenate([clip[start : start + RATE] for start in starts])


def test_a_variation_keeps_onsets_and_harmony_with_other_pieces(clip, cut):
    varied, plan = cut.vary(seed=1), cut.plan(None, seed=1)
    assert varied.shape == (1, len(clip))
    assert all(piece.start != piece.at for piece in plan)
    assert max(piece.length for piece in plan) < 2.1 * RATE  # a bar
    assert all(a.stop != b.start for a, b in zip(plan, plan[1:], strict=False))
    ours, theirs = (mosaic.features.analyse(x, RATE) for x in (varied[0], clip))
    assert np.corrcoef(ours.onsets, theirs.onsets)[0, 1] > 0.8
    bars = np.arange(4, 28) * 0.5 + 0.25  # middle of beats
    rows = theirs.row(bars)
    likeness = np.sum(unit(ours.chroma[rows]) * unit(theirs.chroma[rows]), axis=1)
    shuffled = np.sum(unit(ours.chroma[rows]) * unit(theirs.chroma[np.roll(rows, 4)]), axis=1)
    assert np.median(likeness) > 0.9 > np.median(shuffled)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_a_fade_is_long_only_where_nothing_is_struck_on_either_side():
    cut = mosaic.cut(band(120, 4, SECONDS, offbeat=0.0)[0], RATE)
    struck = cut.units.rhythm[:, 0] >= mosaic.ATTACK
    unit = {int(at): k for k, at in enumerate(np.rint(cut.grid.bounds * RATE))}
    plan = cut.plan(20.0, seed=1)
    for before, piece in zip(plan, plan[1:], strict=False):
        went_on = min(unit[before.stop], cut.grid.units - 1)
        assert piece.soft == (not struck[went_on] and not struck[unit[piece.start]])
    assert {piece.soft for piece in plan} == {True, False}


def test_joins_neither_click_nor_dip(clip, cut):
    new, joins = cut.joined(cut.plan(60.0, seed=2), 60 * RATE)
    assert len(joins) > 20
    assert artefacts.clicks(new[0], RATE) <= artefacts.clicks(clip, RATE)
    usual = np.abs(np.diff(clip, 2)).max()
    for join in joins:
        around = new[0, join.at - 50 : join.at + join.length + 50]
        assert np.abs(np.diff(around, 2)).max() <= usual


@pytest.mark.parametrize("shift", [0, 37, 90])
def test_a_join_brings_a_tone_into_phase(shift):
    time_ = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 200 * time_)[None].astype(np.float32)
    plan = [Segment(0, RATE // 2, 0, RATE // 2), Segment(RATE + shift, 2 * RATE, RATE // 2, RATE - shift)]
    joined, (join,) = concatenate(tone, RATE, plan, RATE)
    assert join.correlation > 0.99
    assert np.abs(np.diff(joined[0])).max() < 1.05 * np.abs(np.diff(tone[0])).max()
    middle = joined[0, join.at : join.at + join.length]
    assert np.abs(middle).max() == pytest.approx(1, abs=0.02)


def test_a_join_of_noise_keeps_its_power():
    noise = np.random.default_rng(0).standard_normal((1, 40 * RATE)).astype(np.float32)
    starts = RATE * np.arange(0, 40, 2)
    plan = [Segment(s, s + RATE, k * RATE, RATE) for k, s in enumerate(starts)]
    joined, joins = concatenate(noise, RATE, plan, 20 * RATE)
    power = np.mean([np.mean(joined[0, j.at : j.at + j.length] ** 2) for j in joins])
    assert 10 * np.log10(power) == pytest.approx(0, abs=0.7)


def test_a_piece_is_stretched_to_its_place():
    clip, _ = band(120, 4, 8.0)
    plan = [Segment(0, 2 * RATE, 0, 2 * RATE), Segment(2 * RATE, 4 * RATE, 2 * RATE, round(2.1 * RATE))]
    plan.append(Segment(RATE, 2 * RATE, round(4.1 * RATE), RATE))
    joined, _ = concatenate(clip[None], RATE, plan, 5 * RATE)
    assert joined.shape == (1, 5 * RATE)
    onsets = mosaic.features.analyse(joined[0], RATE).onsets
    assert (
        onsets[round((4.1 + 0.13) / 0.005) + np.arange(-3, 4)].max() > 2
    )  # the third begins where it should
    assert artefacts.clicks(joined[0], RATE) == 0


def test_music_without_a_beat_is_made_anew_too():
    clip = plucks()
    cut = mosaic.cut(clip, RATE)
    assert cut.grid.kind == "onsets"
    new, varied = cut.generate(12.0, seed=1)[0], cut.vary(seed=1)[0]
    assert artefacts.clicks(new, RATE) == 0
    assert len(varied) == len(clip)
    assert copying.copying(clip, new, RATE)["longest_run"] < 5


def test_channels_are_cut_together(clip):
    stereo = np.stack([clip, 0.5 * clip])
    new = mosaic.generate(stereo, RATE, 5.0)
    assert new.shape == (2, 5 * RATE)
    np.testing.assert_allclose(new[1], 0.5 * new[0], atol=1e-6)
    assert mosaic.vary(stereo, RATE).shape == stereo.shape


def test_short_clips_work_from_two_seconds(clip):
    for seconds in (2.0, 3.1):
        for samples in (clip, plucks(4.0)):
            short = mosaic.cut(samples[: round(seconds * RATE)], RATE, tempo=36, beats_per_bar=7)
            assert short.generate(4.0).shape == (1, 4 * RATE)
            short = mosaic.cut(samples[: round(seconds * RATE)], RATE)
            assert short.generate(4.0).shape == (1, 4 * RATE)
            assert short.vary().shape == short.samples.shape


def test_ten_minutes_take_seconds_and_little_memory(cut):
    began = time.process_time()
    plan = cut.plan(600.0)
    tracemalloc.start()
    new, joins = cut.joined(plan, round(600 * RATE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 20
    assert peak < 1.5 * new.nbytes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": np.zeros(RATE)}, "1.00 s long; give at least 2 s"),
        ({"samples": np.zeros(4 * RATE)}, "silent"),
        (
            {"samples": np.outer([0.1, -0.1], np.sin(np.arange(4 * RATE)))},
            "channels cancel when they are mixed",
        ),
        ({"samples": np.full(4 * RATE, np.nan)}, "NaN"),
        ({"samples": np.full(4 * RATE, 1e20)}, "the clip reaches 1e.20; export it with a full scale of 1"),
        ({"samples": np.ones((2, 2, 4 * RATE))}, "shape"),
        ({"run": 0}, "run is 0; use a whole number"),
        ({"run": 1.5}, "run is 1.5"),
        ({"run": 257}, "run is 257; use a whole number of beats from 1 to 256"),
        ({"seconds": np.nan}, "seconds is nan; use 0.5 to 3600"),
        ({"beats_per_bar": 40}, "beats_per_bar is 40; use a whole number from 2 to 16"),
        ({"tempo": 5}, "tempo is 5; use 30 to 300"),
        ({"seconds": 0.1}, "seconds is 0.1; use 0.5 to 3600"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_cut_is_told(clip, change, words):
    with pytest.raises(mosaic.MosaicError, match=words):
        mosaic.generate(**({"samples": clip[: 4 * RATE], "rate": RATE, "seconds": 2.0} | change))


def test_the_command_writes_new_music_and_variations(clip, tmp_path):
    audio.write(tmp_path / "song.wav", clip, RATE)
    done = caw(
        "mosaic", tmp_path / "song.wav", "--out", tmp_path / "a", "--n", 2, "--seconds", 5, "--seed", 3
    )
    assert done.returncode == 0, done.stderr
    assert "120.0 beats a minute, 4 beats a bar" in done.stderr
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == [
        "mosaic-umg-3.wav",
        "mosaic-umg-4.wav",
    ]
    done = caw(
        "mosaic", tmp_path / "song.wav", "--out", tmp_path / "b", "--vary", "--start", 2, "--length", 6
    )
    assert done.returncode == 0, done.stderr
    info = audio.inspect(tmp_path / "b" / "mosaic-var-0.wav")
    assert (info.seconds, info.rate) == (6.0, RATE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--length", 1], "give at least 2 s"),
        (["--vary", "--seconds", 5], "leave --seconds out"),
        (["--run", 10**9], "run is 1000000000; use a whole number of beats from 1 to 256"),
        (["--seconds", "inf"], "seconds is inf; use 0.5 to 3600"),
        (["--format", "mp3"], "use wav or flac"),
        (["--start", 30], "nothing is left"),
    ],
)
def test_a_users_mistake_is_one_line(clip, tmp_path, arguments, words):
    audio.write(tmp_path / "song.wav", clip, RATE)
    done = caw("mosaic", tmp_path / "song.wav", "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
