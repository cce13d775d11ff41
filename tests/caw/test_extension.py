import numpy as np
import pytest

from caw import audio
from caw.tasks.extension import Excitation, ExtensionError, FrequencyAxis, extend, learn

RATE, LOW_RATE = 8000, 2000


def voice(seed: int, seconds: float = 8.0) -> np.ndarray:
    """Notes whose upper harmonics and breath come and go with the lower ones. [n]"""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for beat in np.arange(0, seconds, 0.4):
        age = np.clip(time - beat, 0, None)
        pitch = rng.choice([150, 200, 250])
        note = sum(np.sin(2 * np.pi * pitch * k * age) / k for k in range(1, int(3800 / pitch)))
        breath = np.convolve(rng.standard_normal(len(time)), [1, -0.9], "same")
        sound += (time >= beat) * np.exp(-9 * age) * (note + 0.1 * breath)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.fixture(scope="module")
def material():
    return voice(0)


@pytest.fixture(scope="module")
def learnt(material):
    return learn(material, RATE, LOW_RATE, steps=150)


def spectrum(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """Log power above `low` Hz, in frames and bands of 250 Hz."""
    power = np.abs(np.lib.stride_tricks.sliding_window_view(samples, 256)[::128] * np.hanning(256))
    power = np.abs(np.fft.rfft(power, axis=1)) ** 2
    edges = np.arange(low, high, 250) * 256 // RATE
    return np.log(np.add.reduceat(power, edges.astype(int), axis=1) + 1e-6)


def snr(truth: np.ndarray, estimate: np.ndarray) -> float:
    return 10 * np.log10(np.sum(truth**2) / np.sum((estimate - truth) ** 2))


def test_the_upper_band_of_the_source_comes_back(learnt):
    truth = voice(1, 4.0)
    low = audio.resample(truth, RATE, LOW_RATE)
    extended, plain = learnt.apply(low), audio.resample(low, LOW_RATE, RATE)
    assert extended.shape == truth.shape
    assert extended.dtype == np.float32
    sought = spectrum(truth, 1250, 3750)
    assert (
        np.abs(spectrum(extended, 1250, 3750) - sought).mean()
        < 0.5 * np.abs(spectrum(plain, 1250, 3750) - sought).mean()
    )
    above = [spectrum(x, 1250, 3750).mean(axis=1) for x in (truth, extended)]
    assert np.corrcoef(*above)[0, 1] > 0.9  # it comes and goes when it should
    assert snr(truth, extended) > snr(truth, plain) - 3


def test_overtones_come_back_in_step():
    """A buzz's upper harmonics are told by its lower ones; a noise's upper band is not."""
    rng = np.random.default_rng(0)
    time = np.arange(8 * RATE) / RATE
    phase = np.cumsum(180 + 30 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    buzz = sum(np.cos(2 * np.pi * k * phase) for k in range(1, 18)).astype(np.float64)
    hiss = rng.standard_normal(len(time))
    bands = FrequencyAxis(RATE, LOW_RATE)
    groups = np.zeros(len(bands.frequencies), int)
    groups[bands.frequencies > 1000] = 1
    groups[bands.frequencies > 1800] = 2
    tonal, noisy = (Excitation.learn(x, bands.spectra, groups, RATE, bands.seen) for x in (buzz, hiss))
    assert tonal.noise[1] < 0.75
    assert noisy.noise[1] > 0.97


def test_the_low_band_is_kept(learnt):
    truth = voice(1, 4.0)
    low = audio.resample(truth, RATE, LOW_RATE)
    again = audio.resample(learnt.apply(low), RATE, LOW_RATE)
    below = np.abs(np.fft.rfftfreq(len(low), 1 / LOW_RATE)) < 700
    kept, given = (np.fft.irfft(np.fft.rfft(x) * below) for x in (again, low))
    assert snr(given, kept) > 40


@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_the_upper_band_follows_the_recordings_level(learnt, gain):
    low = audio.resample(voice(1, 4.0), RATE, LOW_RATE)
    np.testing.assert_allclose(learnt.apply(gain * low), gain * learnt.apply(low), atol=1e-3 * gain)


def test_a_roll_off_below_the_nyquist_frequency_is_mended(learnt):
    from scipy import signal

    truth = voice(1, 4.0)
    dull = signal.sosfilt(signal.cheby2(6, 30, 980, fs=RATE, output="sos"), truth)
    low = audio.resample(dull, RATE, LOW_RATE)
    band = slice(850, 930)
    level = [
        np.abs(np.fft.rfft(x))[band.start * 4 : band.stop * 4].mean() for x in (truth, learnt.apply(low))
    ]
    assert level[1] == pytest.approx(level[0], rel=0.5)
    assert np.abs(np.fft.rfft(dull))[band.start * 4 : band.stop * 4].mean() < 0.4 * level[0]


def test_the_same_seed_gives_the_same(material, learnt):
    low = audio.resample(voice(1, 2.0), RATE, LOW_RATE)
    once = extend(material, RATE, low, LOW_RATE, seed=3, steps=5)
    np.testing.assert_array_equal(once, extend(material, RATE, low, LOW_RATE, seed=3, steps=5))
    assert not np.array_equal(learnt.apply(low, seed=0), learnt.apply(low, seed=1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low_rate": RATE}, "give material at a higher rate"),
        ({"low_rate": 500}, "1000 Hz or more"),
        ({"material": np.zeros(RATE, np.float32)}, "1.00 s long"),
        ({"material": np.zeros((2, 8 * RATE), np.float32)}, "one channel"),
        ({"material": np.full(8 * RATE, np.nan, np.float32)}, "NaN"),
    ],
)
def test_what_cannot_serve_is_refused(material, changes, words):
    with pytest.raises(ExtensionError, match=words):
        learn(**{"material": material, "rate": RATE, "low_rate": LOW_RATE, **changes})
