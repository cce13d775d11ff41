"""Distances and copying on signals whose answer is known."""

import warnings

import numpy as np
import pytest
from scipy import linalg, signal

from caw import measures
from caw.measures import copying, distributions, rhythm, spectra
from caw.measures.distributions import frechet

RATE = 16000


def music(seconds=12.0, seed=0, rate=RATE, tempo=150, notes=(110, 131, 147, 165, 196)):
    """Plucked notes of random pitch on a steady beat, with harmonics and a click of noise each."""
    random, beat = np.random.default_rng(seed), 60 / tempo
    sound = np.zeros(round(seconds * rate))
    for count in range(int(seconds / beat)):
        time = np.arange(round(beat * rate)) / rate
        hz = random.choice(notes) * (1 + 0.01 * random.standard_normal())
        note = sum(np.sin(2 * np.pi * k * hz * time + random.uniform(0, 6)) / k for k in range(1, 9))
        note = note * np.exp(-5 * time) + random.standard_normal(time.size) * np.exp(-60 * time)
        first = round(count * beat * rate)
        sound[first : first + time.size] += note[: sound.size - first]
    return (0.2 * sound / np.abs(sound).max()).astype(np.float32)


def white(seconds=12.0, seed=1, rate=RATE):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


REAL = music()


def evaluate(real, fake):
    """The measures that are tested here, without those that take longer."""
    found = {f"frechet_{s:g}": frechet(real, fake, RATE, patch_seconds=s) for s in (0.13, 0.5)}
    copied = copying.copying(real, fake, RATE)
    found |= {"copied_share": copied["share"], "longest_run": copied["longest_run"]}
    return found | {"onset_distance": rhythm.onset_distance(real, fake, RATE)}


def test_a_clip_has_no_distance_to_itself():
    found = evaluate(REAL, REAL)
    assert found["frechet_0.13"] == pytest.approx(0, abs=1e-6)
    assert found["frechet_0.5"] == pytest.approx(0, abs=1e-6)
    assert found["onset_distance"] == 0
    assert found["copied_share"] == 1
    assert found["longest_run"] == pytest.approx(12, abs=0.1)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("gain", [0.01, 5.0])
def test_level_does_not_count(gain):
    fake = music(seed=3)
    expected = evaluate(REAL, fake)
    assert evaluate(REAL, gain * fake) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("patch_seconds", [0.13, 0.5])
def test_distances_order_clips_as_ears_do(patch_seconds):
    """Other notes by the same player < the clip in a faint hiss < dull as through a wall < white noise."""
    wall = signal.sosfilt(signal.butter(8, 500, fs=RATE, output="sos"), REAL)
    clips = [music(seed=2), REAL + 0.01 * white(), wall, white()]
    distances = [frechet(REAL, clip, RATE, patch_seconds=patch_seconds) for clip in clips]
    assert distances == sorted(distances)
    assert distances[-1] > 20 * distances[0]


def test_distance_grows_with_the_share_of_noise():
    distances = [frechet(REAL, REAL + part * white(), RATE) for part in (0.003, 0.03, 0.1, 0.3, 1)]
    assert distances == sorted(distances)


@pytest.mark.parametrize("rate", [500, 2000, 8000, 44100])
def test_every_rate_is_measured(rate):
    real, fake = music(rate=rate, seconds=4), music(rate=rate, seconds=4, seed=5)
    assert frechet(real, white(4, rate=rate), rate) > 3 * frechet(real, fake, rate)
    assert np.isfinite(spectra.log_mel(real, rate)).all()


def test_gaussian_distance_is_the_published_formula():
    random = np.random.default_rng(0)
    a = random.standard_normal((500, 6)) @ random.standard_normal((6, 6))
    b = random.standard_normal((400, 6)) + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert distributions._gaussian_distance(a, b) == pytest.approx(expected)


def test_principal_axes_are_those_of_the_singular_value_decomposition():
    random = np.random.default_rng(0)
    for shape in ((200, 30), (30, 200)):
        rows = random.standard_normal(shape) * np.linspace(1, 3, shape[1])
        rows -= rows.mean(axis=0)
        axes = distributions.principal_axes(rows, 5)
        expected = np.linalg.svd(rows)[2][:5][::-1].T
        np.testing.assert_allclose(np.abs(np.sum(axes * expected, axis=0)), 1, atol=1e-6)


def test_log_mel_of_white_noise_is_flat_and_of_a_tone_is_a_line():
    flat = spectra.log_mel(white(), RATE)
    assert flat.shape == (64, 12 / 0.016 + 1)
    np.testing.assert_allclose((10 ** (flat / 10)).mean(axis=1), 1, atol=0.15)
    line = spectra.log_mel(np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE).mean(axis=1)
    middles = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 66)[1:-1] / 2595) - 1)
    assert abs(middles[line.argmax()] - 1000) < 40
    assert np.sort(line)[-4] < line.max() - 20


def test_pasted_pieces_are_found_with_their_length():
    """White noise with three pieces of the clip in it: 1 s, 0.5 s (upside down) and 0.3 s."""
    fake = white(10, seed=9)
    fake[RATE : 2 * RATE] = REAL[50000 : 50000 + RATE]
    fake[4 * RATE : 4 * RATE + 8000] = -REAL[70000:78000]
    fake[6 * RATE : 6 * RATE + 4800] = REAL[20000:24800]
    found = copying.copying(REAL, fake, RATE)
    assert found["longest_run"] == pytest.approx(1, abs=0.13)
    assert found["share"] == pytest.approx(1.8 / 10, abs=0.05)


def test_a_shuffled_clip_is_a_copy_of_short_pieces():
    pieces = REAL[: 12 * RATE].reshape(-1, RATE // 2)
    shuffled = pieces[np.random.default_rng(0).permutation(len(pieces))].ravel()
    found = copying.copying(REAL, shuffled, RATE)
    assert found["share"] > 0.7
    assert 0.3 < found["longest_run"] < 1.1


def test_a_pause_does_not_break_a_copy():
    real = np.concatenate([REAL[: 4 * RATE], np.zeros(RATE, np.float32), REAL[4 * RATE :]])
    assert copying.copying(real, real, RATE) == {"share": 1.0, "longest_run": pytest.approx(13, abs=0.1)}


def test_noise_and_another_performance_are_no_copies():
    assert copying.copying(REAL, white(), RATE) == {"share": 0.0, "longest_run": 0.0}
    assert copying.copying(REAL, music(seed=8), RATE)["longest_run"] < 0.4


def test_best_matches_are_those_of_plain_sliding():
    random = np.random.default_rng(0)
    real, windows = random.standard_normal(5000).astype(np.float32), random.standard_normal((3, 200))
    energy, scale = np.linalg.norm(windows, axis=1), copying._inverse_energy(real, 200)
    places, peaks = copying._best_matches(real, windows, energy, scale)
    slid = np.lib.stride_tricks.sliding_window_view(real, 200)
    expected = np.abs(windows @ slid.T) / energy[:, None] / np.linalg.norm(slid, axis=1)
    np.testing.assert_array_equal(places, expected.argmax(axis=1))
    np.testing.assert_allclose(peaks, expected.max(axis=1), atol=1e-5)


def test_diversity_is_what_clips_do_not_share():
    assert copying.diversities([REAL, REAL], RATE) == [0, 0]
    assert copying.diversities([white(seed=1), white(seed=2), white(seed=3)], RATE) == [1, 1, 1]


def test_rhythm_tells_tempo_apart():
    same = rhythm.onset_distance(REAL, music(seed=4), RATE)
    other = rhythm.onset_distance(REAL, music(seed=4, tempo=110), RATE)
    none = rhythm.onset_distance(REAL, white(), RATE)
    assert same < 0.3 * other
    assert same < 0.3 * none


@pytest.mark.parametrize(
    ("fake", "rate", "expected"),
    [
        (np.zeros((2, RATE)), RATE, r"fake has shape \(2, 16000\)"),
        (np.ones(1000), RATE, "fake is 0.06 s long"),
        (np.zeros(RATE), RATE, "fake is silent"),
        (np.full(RATE, np.nan), RATE, "fake holds NaN"),
        (white(), 0, "rate is 0"),
    ],
)
def test_refuses_what_it_cannot_measure(fake, rate, expected):
    with pytest.raises(spectra.MeasureError, match=expected.replace("fake", "(fake|x|real)")):
        measures.evaluate(REAL, fake, rate)
    with pytest.raises(spectra.MeasureError, match="patches of 5 s; give a clip of at least 10 s"):
        frechet(REAL[: 8 * RATE], REAL, RATE, patch_seconds=5)
