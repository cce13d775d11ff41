import numpy as np
import pytest

from caw.tasks.denoising import DenoisingError, denoise

RATE = 8000


def melody(seconds: float = 6.0) -> np.ndarray:
    """Decaying tones with gaps between them. [n]"""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for beat, pitch in zip(np.arange(0.2, seconds, 0.8), (220, 330, 440, 550) * 4, strict=False):
        age = np.clip(time - beat, 0, None)
        sound += (time >= beat) * np.exp(-8 * age) * np.sin(2 * np.pi * pitch * age)
    return 0.5 * sound / np.abs(sound).max()


def with_noise(clean: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    return clean + noise * np.sqrt(np.mean(clean**2) / np.mean(noise**2)) * 10 ** (-decibels / 20)


def snr(clean: np.ndarray, estimate: np.ndarray) -> float:
    return 10 * np.log10(np.sum(clean**2) / np.sum((estimate - clean) ** 2))


@pytest.mark.parametrize("decibels", [10, 20])
def test_noise_is_lowered_and_the_music_kept(decibels):
    clean = melody()
    noisy = with_noise(clean, decibels)
    cleaned = denoise(noisy, RATE)
    assert cleaned.shape == noisy.shape
    assert snr(clean, cleaned) > decibels + 3
    gap = slice(int(0.05 * RATE), int(0.15 * RATE))  # before the first note
    assert np.std(cleaned[gap]) < 0.25 * np.std(noisy[gap])
    loud = slice(int(0.2 * RATE), int(0.4 * RATE))
    assert np.std(cleaned[loud]) == pytest.approx(np.std(clean[loud]), rel=0.05)


def test_a_named_passage_of_noise_serves_where_the_music_never_pauses():
    time = np.arange(6 * RATE) / RATE
    clean = 0.1 * sum(np.sin(2 * np.pi * f * time) for f in (200, 410, 1240)) * (time > 1)
    noisy = with_noise(clean, 15)
    assert snr(clean, denoise(noisy, RATE, noise=(0.1, 0.9))) > 15 + 6


def test_music_without_noise_hardly_changes():
    rng = np.random.default_rng(1)
    dense = np.cumsum(rng.standard_normal(4 * RATE)) * np.repeat(rng.uniform(0.1, 1, 64), 4 * RATE // 64)
    dense = 0.5 * dense / np.abs(dense).max()
    assert snr(dense, denoise(dense, RATE)) > 15


def test_strength_goes_from_nothing_to_twice():
    noisy = with_noise(melody(), 15)
    np.testing.assert_array_equal(denoise(noisy, RATE, strength=0), noisy.astype(np.float32))
    gap = slice(int(0.05 * RATE), int(0.15 * RATE))
    levels = [np.std(denoise(noisy, RATE, strength=s)[gap]) for s in (0, 0.5, 1, 2)]
    assert levels == sorted(levels, reverse=True)


def test_channels_keep_their_places():
    left = with_noise(melody(), 20)
    stereo = np.stack([left, 0.5 * left])
    cleaned = denoise(stereo, RATE)
    assert cleaned.shape == stereo.shape
    np.testing.assert_allclose(cleaned[1], 0.5 * cleaned[0], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strength": 3}, "strength is 3"),
        ({"strength": float("nan")}, "0 to 2"),
        ({"noise": (5, 9)}, "5:9"),
        ({"noise": (1, 1.01)}, "0.1 s or more"),
        ({"samples": np.zeros((2, 2, 9000))}, "shape"),
        ({"samples": np.full(9000, np.nan)}, "NaN"),
        ({"samples": np.ones(100)}, "0.01 s long"),
    ],
)
def test_what_cannot_be_denoised_is_refused(changes, words):
    with pytest.raises(DenoisingError, match=words):
        denoise(**{"samples": melody(1.0), "rate": RATE, **changes})
