"""How loud sound is, in one place: against the recommendation, and however long or short it is."""

import numpy as np
import pytest
from scipy import signal

from caw import audio

RATE = 16000


def tone(frequency: float, seconds: float, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE + phase)


def test_true_peak_finds_what_lies_between_the_samples_of_any_channel():
    between = tone(4000, 1, np.pi / 4)
    assert audio.true_peak(between) == pytest.approx(0.0, abs=0.2)
    assert audio.true_peak(np.stack([0.1 * between, between])) == audio.true_peak(between)


def test_true_peak_of_stimuli_is_to_the_bit_what_studies_were_levelled_by():
    """Another oversampling would move the gain of clips that listeners have heard."""
    sound = np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    before = np.abs(signal.resample_poly(sound.astype(np.float64), 4, 1)).max()
    assert audio.true_peak(sound) == float(20 * np.log10(max(before, np.abs(sound).max())))


def test_true_peak_piece_by_piece_is_that_of_the_whole(monkeypatch):
    noise = np.random.default_rng(1).standard_normal(10_000).astype(np.float32)
    swell = np.hanning(10_000)  # a cut through it would ring
    sounds = {audio.true_peak(sound): sound for sound in (noise, swell)}
    for piece in (64, 1000, 9_999):
        monkeypatch.setattr(audio, "_PIECE", piece)
        for whole, sound in sounds.items():
            assert audio.true_peak(sound) == pytest.approx(whole, abs=1e-9)


def test_silence_has_neither():
    assert audio.true_peak(np.zeros(100)) == -np.inf
    assert audio.loudness(np.zeros(RATE), RATE) == -np.inf


def test_a_clip_shorter_than_a_block_is_as_loud_as_its_repetition():
    short = 0.1 * tone(1000, 0.1)
    assert audio.loudness(short, RATE) == pytest.approx(audio.loudness(0.1 * tone(1000, 2), RATE), abs=0.1)


def test_the_silent_share_is_told_in_frames_against_the_sounds_own_peak():
    half = np.concatenate([0.01 * tone(440, 1), np.zeros(RATE)])
    assert audio.silent_share(half, RATE) == 0.5
    assert audio.silent_share(np.stack([half, half[::-1]]), RATE) == 0.0
    assert audio.silent_share(np.zeros(RATE), RATE) == 1.0
