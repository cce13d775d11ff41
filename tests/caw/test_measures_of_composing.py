"""Measures of beat, harmony, held tones and variation, on signals whose answer is known."""

import numpy as np
import pytest
from scipy import signal

from caw.measures import catalogue, copying, harmony, partials, rhythm, spectra
from tests.caw.test_distances import white

RATE = 16000
TRIADS = {"C": (0, 4, 7), "Am": (9, 0, 4), "F": (5, 9, 0), "G": (7, 11, 2), "Ebm": (3, 6, 10)}


def clicks(period, seconds=12.0, loose=0.0, seed=0):
    """Bursts of noise `period` seconds apart, each moved by up to `loose` of it."""
    random, sound = np.random.default_rng(seed), 1e-3 * white(seconds)
    burst = np.exp(-np.arange(400) / 60)
    for beat in np.arange(0.1, seconds - 0.2, period):
        first = round((beat + period * random.uniform(-loose, loose)) * RATE)
        sound[max(first, 0) :][: burst.size] += burst * random.standard_normal(burst.size)
    return sound


def tone(hertz, seconds=4.0, depth=0.0, speed=30.0):
    """A sine in faint noise, its amplitude moved at `speed` Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (1 + depth * np.sin(2 * np.pi * speed * time)) * np.sin(2 * np.pi * hertz * time) + 1e-4 * white(
        seconds
    )


def chart(names, beat=0.5, struck=True):
    """Each chord for one beat of `beat` seconds: three notes with harmonics, struck."""
    time = np.arange(round(beat * RATE)) / RATE
    fall = np.exp(-4 * time) if struck else 1.0
    parts = []
    for name in names:
        notes = [220 * 2 ** ((step - 9) % 12 / 12) for step in TRIADS[name]]
        parts.append(fall * sum(np.sin(2 * np.pi * hz * k * time) / k**2 for hz in notes for k in (1, 2, 3)))
    return np.concatenate(parts) + 1e-3 * white(len(names) * beat)


def template(name):
    return np.isin(np.arange(12), TRIADS[name]).astype(float)


def test_a_steady_beat_has_a_pulse_and_loose_clicks_and_noise_have_less():
    steady, loose = clicks(0.5), clicks(0.5, loose=0.4)
    assert rhythm.pulse(steady, RATE) > 0.9
    assert rhythm.pulse(white(12.0), RATE) < 0.25
    assert rhythm.pulse(loose, RATE) < 0.6
    assert rhythm.pulse(steady, RATE) == pytest.approx(rhythm.pulse(0.01 * steady, RATE), abs=0.02)


def test_bars_come_back_at_their_own_lag_alone():
    """A random pattern of 4 s, again and again: no pulse, and bars."""
    bar = clicks(0.2, seconds=4.0, loose=0.45, seed=3)
    sound = np.tile(bar, 4)
    assert rhythm.bar_autocorrelation(sound, RATE) > 0.8
    assert rhythm.bar_autocorrelation(sound, RATE) > rhythm.pulse(sound, RATE) + 0.2


def test_bands_that_strike_together_are_in_sync():
    together = clicks(0.4)
    bands = [(60, 400), (400, 1500), (1500, 7000)]
    apart = sum(
        signal.sosfilt(signal.butter(4, band, "band", fs=RATE, output="sos"), clicks(0.37, loose=0.3, seed=n))
        for n, band in enumerate(bands)
    )
    assert rhythm.sync(together, RATE) > 0.7
    assert rhythm.sync(apart, RATE) < 0.5
    assert abs(rhythm.sync(white(8.0), RATE)) < 0.05


def test_an_attack_is_as_high_as_the_level_rises():
    click = clicks(0.5)
    noise = 10 ** (-10 / 20) * np.abs(click).max() * white(12.0) / 0.1
    sharp, dull = rhythm.attack(click, RATE), rhythm.attack(click + 0.1 * noise, RATE)
    assert sharp > dull + 5
    with pytest.raises(spectra.TooShortError, match="8000 Hz holds too little above 4000 Hz"):
        rhythm.attack(click[::2], 8000)


def test_partials_are_as_long_as_the_tones():
    """Tones of 0.4 s one after the other: tracks of 0.4 s, but for the window; noise has short ones."""
    notes = np.concatenate([tone(hz, 0.4) for hz in (700, 950, 1200, 800, 1500) * 3])
    found = partials.tracks(notes, RATE)
    assert 350 < partials.length(found, partials.MIDDLE) < 480
    assert partials.length(partials.tracks(white(6.0), RATE), partials.MIDDLE) < 80
    assert partials.length(partials.tracks(tone(3000, 3.0), RATE), partials.HIGH) == pytest.approx(
        3000, abs=50
    )
    with pytest.raises(spectra.TooShortError, match="no partials between 2000 and 6000 Hz"):
        partials.length(found, partials.HIGH)


def test_a_partial_that_moves_stays_one_and_one_that_jumps_is_two():
    time = np.arange(2 * RATE) / RATE
    glide = np.sin(2 * np.pi * np.cumsum(600 * 2 ** (time / 4)) / RATE)
    assert partials.length(partials.tracks(glide, RATE), partials.MIDDLE) > 1800
    jump = np.concatenate([tone(700, 1.0), tone(1000, 1.0)])
    assert partials.length(partials.tracks(jump, RATE), partials.MIDDLE) < 1150


def test_jitter_is_the_second_difference_of_the_level():
    """A level that swings by 1 dB at 12.5 Hz: its second difference has a median that can be reckoned."""
    steady = partials.jitter(partials.tracks(tone(300), RATE))
    flickering = partials.jitter(partials.tracks(tone(300, depth=0.12, speed=12.5), RATE))
    assert steady < 0.05
    assert 0.3 < flickering < 1.2
    with pytest.raises(spectra.TooShortError, match="too few held partials|no partials"):
        partials.jitter(partials.tracks(white(4.0), RATE))


def test_flutter_is_rough_and_swell_is_not():
    assert partials.roughness(tone(1000, 8.0, depth=0.5, speed=30), RATE) > 15
    assert partials.roughness(tone(1000, 8.0, depth=0.5, speed=3), RATE) < -15
    assert partials.roughness(white(8.0), RATE) == pytest.approx(8, abs=1.5)


def test_chords_are_named():
    names = ["C", "Am", "F", "G", "Ebm", "C"]
    sound = chart([name for name in names for _ in range(4)])
    labels = harmony.chord_labels(sound, RATE, np.arange(0, 12.01, 0.5))
    expected = {"C": 0, "Am": 21, "F": 5, "G": 7, "Ebm": 15}
    assert labels.tolist() == [expected[name] for name in names for _ in range(4)]
    noise = harmony.chord_labels(white(8.0), RATE, np.arange(0, 8.1, 0.5))
    assert np.mean(noise == harmony.NO_CHORD) > 0.8


def test_transitions_tell_another_order_of_the_same_chords():
    there = chart(["C", "Am", "F", "G"] * 3)
    again = chart(["F", "G", "C", "Am"] * 3)
    backwards = chart(["G", "F", "Am", "C"] * 3)
    assert harmony.chord_transitions(there, there, RATE) == 0
    assert harmony.chord_transitions(there, again, RATE) < 0.3
    assert harmony.chord_transitions(there, backwards, RATE) > 0.7
    with pytest.raises(spectra.TooShortError, match="fake has [0-9] beats; give 8 or more"):
        harmony.chord_transitions(there, there[: 2 * RATE], RATE)


def test_beats_keep_the_real_clips_level():
    """A clip of beats at 0.6 s, and one of beats twice as near: both are counted at 0.6 s."""
    slow, fast = clicks(0.6), clicks(0.3)
    times = harmony.beat_times(slow, RATE)
    assert np.median(np.diff(times)) == pytest.approx(0.6, abs=0.02)
    assert np.median(np.diff(harmony.beat_times(fast, RATE, like=times))) == pytest.approx(0.6, abs=0.02)
    without = harmony.beat_times(tone(300), RATE)
    assert np.allclose(np.diff(without), harmony.STEP)
    assert np.allclose(np.diff(harmony.beat_times(fast, RATE, like=without)), harmony.STEP)


def test_chords_that_were_asked_for_are_followed():
    names = ["C", "Am", "F", "G"] * 4
    sound, times = chart(names), np.arange(0, 8.01, 0.5)
    asked = [template(name) for name in names]
    assert harmony.chord_follow(sound, RATE, asked, times) == 1
    assert harmony.chord_follow(sound, RATE, names, times) == 1
    shifted = asked[1:] + asked[:1]
    assert harmony.chord_follow(sound, RATE, shifted, times) == 0
    half = [template(name) for name in names[:8]] + shifted[8:]
    assert harmony.chord_follow(sound, RATE, half, times) == pytest.approx(0.5)
    asked[0] = np.zeros(12)  # no chord asked for: not counted
    assert harmony.chord_follow(sound, RATE, asked, times) == 1
    with pytest.raises(spectra.MeasureError, match="16 chords and 16 times; give a chord for each beat"):
        harmony.chord_follow(sound, RATE, asked, times[1:])


def test_correlation_finds_copies_wherever_they_are():
    real = chart(["C", "Am", "F", "G", "Am", "Ebm", "F", "C"] * 2, struck=False) * np.tile(
        1 + 0.5 * np.sin(2 * np.pi * 1.7 * np.arange(RATE // 2) / RATE), 16
    )
    turned = np.roll(real, 3 * RATE)
    assert copying.correlation(real, turned, RATE, seconds=1.0) > 0.9
    assert copying.same_mel(real, turned, RATE) < 0.5
    assert copying.correlation(real, white(8.0), RATE, seconds=1.0) < 0.2
    assert copying.correlation(real, 0.1 * real, RATE, seconds=4.0) == pytest.approx(1, abs=0.01)
    with pytest.raises(spectra.TooShortError, match="fake is too short for stretches of 4 s"):
        copying.correlation(real, real[: 3 * RATE], RATE, seconds=4.0)


def test_correlation_is_what_plain_sliding_gives():
    random = np.random.default_rng(0)
    real, fake = (spectra.AnalysedClip(random.standard_normal(RATE), RATE) for _ in range(2))
    a, b = (x.log_mel - x.log_mel.mean(axis=1, keepdims=True) for x in (real, fake))
    frames = round(0.25 * spectra.frames_per_second(RATE))
    best = [
        max(np.corrcoef(a[:, k : k + frames].ravel(), b[:, s : s + frames].ravel())[0, 1]
            for k in range(a.shape[1] - frames + 1))
        for s in range(0, b.shape[1] - frames + 1, frames // copying.HOPS)
    ]  # fmt: skip
    assert copying.correlation(real, fake, RATE, seconds=0.25) == pytest.approx(np.mean(best), abs=1e-5)


@pytest.mark.parametrize("measure", [copying.same_mel, rhythm.same_onsets, harmony.same_chord])
def test_the_same_moment_is_in_clips_of_one_length(measure):
    sound = chart(["C", "Am", "F", "G"] * 4)
    assert measure(sound, 0.5 * sound, RATE) == pytest.approx(1, abs=0.01)
    assert measure(sound, chart(["G", "Ebm", "C", "F"] * 6, beat=0.37)[: sound.size], RATE) < 0.5
    with pytest.raises(spectra.TooShortError, match=r"real has 8.00 s, fake 7.00 s"):
        measure(sound, sound[:-RATE], RATE)


@pytest.mark.parametrize(
    ("name", "value", "real", "halves", "expected"),
    [
        ("pulse", 0.43, 0.5, 0.45, True),
        ("pulse", 0.42, 0.5, 0.45, False),
        ("pulse", 0.31, 0.5, 0.3, True),  # the halves have no more
        ("pulse", 0.5, 0.2, 0.3, None),  # the real clip has no beat
        ("rough_mid", -8.1, -10.0, -9.5, True),
        ("rough_mid", -12.1, -10.0, -9.5, False),
        ("jitter_lo", 0.9, 0.7, 1.0, True),
        ("frechet_0.13", 0.2, None, 0.2, True),
        ("frechet_0.13", 0.21, None, 0.2, False),
        ("onset_distance", 0.065, None, 0.05, True),
        ("tempo_error", 0.9, None, 0.1, True),
        ("tempo_error", 1.1, None, 30.0, False),  # halves whose tempo differs excuse nothing
        ("tempo_error", 0.9, None, None, True),
        ("coverage_0.5", 0.9, None, 0.91, False),
        ("correlation_1", 0.54, None, 0.5, True),
        ("correlation_1", 0.56, None, 0.5, False),
        ("copied_share", 0.0, None, 0.0, None),  # no aim
        ("clicks", 0.0, 0.0, 0.0, None),
        ("frechet_0.13", None, None, 0.2, None),
        ("frechet_0.13", 0.1, None, None, None),
    ],
)
def test_an_aim_is_reached_by_its_own_rule(name, value, real, halves, expected):
    anchors = {"real": {name: real}, "halves": {name: halves}}
    assert catalogue.reached(catalogue.measure(name), value, anchors) is expected


def test_what_shaped_noise_passes_is_said_from_the_clips_own_anchors():
    anchors = {
        "real": {"pulse": 0.5, "partial_mid": 150.0},
        "halves": {"frechet_0.13": 0.1, "pulse": 0.5, "partial_mid": 140.0},
        "imposed": {"frechet_0.13": 0.01, "pulse": 0.49, "partial_mid": 90.0, "clicks": 0.0},
    }
    assert catalogue.passed_by_noise(anchors) == ["frechet_0.13", "pulse"]
    anchors["imposed"]["frechet_0.13"] = 0.2
    assert catalogue.passed_by_noise(anchors) == ["pulse"]
    assert catalogue.passed_by_noise({**anchors, "imposed": {}}) == []
