import numpy as np
import pytest
from scipy import signal

from caw import audio
from study.build import stimuli
from study.build.stimuli import StimulusError
from study.design import Stimuli

FORM = Stimuli(seconds=1.0, trim=0.1, rate=16000)


def noise(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def tone(frequency: float, seconds: float, rate: int, level: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("where", [0.0, 0.37, 1.0])
def test_every_clip_gets_the_same_length_without_offset(rate, where):
    made = stimuli.cut(noise(1.7, rate) + 0.2, rate, FORM, bandwidth=3600, where=where)
    assert made.shape == (16000,)
    assert abs(made.mean()) < 1e-12
    assert abs(made[0]) < 0.01 * np.abs(made).max()
    assert abs(made[-1]) < 0.01 * np.abs(made).max()


def test_a_clip_of_just_the_needed_length_passes_and_a_shorter_one_does_not():
    stimuli.cut(noise(1.2, 22050), 22050, FORM, bandwidth=7200, where=0.5)
    with pytest.raises(StimulusError, match=r"lasts 1\.15 s, 1\.2 s are needed; take a longer clip"):
        stimuli.cut(noise(1.15, 22050), 22050, FORM, bandwidth=7200, where=0.5)


def test_the_ends_are_trimmed():
    clip = noise(1.2, 16000)
    clip[:1600] = 1.0
    clip[-1600:] = -1.0
    made = stimuli.cut(clip, 16000, FORM, bandwidth=8000, where=0.5)
    assert np.abs(made).max() < 0.6


@pytest.mark.parametrize("rate", [12000, 16000, 44100])
def test_nothing_is_left_above_the_common_band_and_all_below_it(rate):
    bandwidth = stimuli.common_bandwidth(FORM, {"a": rate, "b": 12000})
    assert bandwidth == 5400
    made = stimuli.cut(noise(1.2, rate), rate, FORM, bandwidth=bandwidth, where=0.5)
    frequencies, power = signal.welch(made, 16000, nperseg=1024, window="blackmanharris")
    level = 10 * np.log10(power / np.median(power[(frequencies > 200) & (frequencies < 4500)]))
    assert level[frequencies > 5450].max() < -75
    assert level[(frequencies > 200) & (frequencies < 4900)].min() > -8  # noise itself scatters


def test_the_low_pass_neither_delays_nor_changes_what_it_keeps():
    sound = tone(1000, 1.0, 16000)
    assert np.allclose(stimuli.low_pass(sound, 16000, 4000)[500:-500], sound[500:-500], atol=1e-3)


def test_a_band_that_the_poorest_clip_lacks_is_refused():
    form = FORM.model_copy(update={"bandwidth": 7000.0})
    with pytest.raises(StimulusError, match="old has a rate of 12000 Hz; lower it to 5400"):
        stimuli.common_bandwidth(form, {"new": 48000, "old": 12000})


def test_loudness_is_that_of_the_recommendation():
    # BS.1770-5, annex 1: a 997 Hz sine at 0 dBFS in one front channel reads -3.01 LKFS
    assert audio.loudness(tone(997, 3, 48000), 48000) == pytest.approx(-3.01, abs=0.1)


def test_true_peak_finds_what_lies_between_the_samples():
    between = np.sin(2 * np.pi * 4000 * np.arange(16000) / 16000 + np.pi / 4)
    assert 20 * np.log10(np.abs(between).max()) == pytest.approx(-3.01, abs=0.01)
    assert audio.true_peak(between) == pytest.approx(0.0, abs=0.2)


def test_gains_make_all_equally_loud_and_leave_the_target_where_it_fits():
    factors, target, _ = stimuli.gains({"a": (-20.0, -6.0), "b": (-30.0, -12.0)}, -26.0)
    assert target == -26.0
    assert 20 * np.log10(factors["a"]) == pytest.approx(-6.0)
    assert 20 * np.log10(factors["b"]) == pytest.approx(4.0)


def test_one_peak_lowers_all_together():
    factors, target, highest = stimuli.gains({"a": (-20.0, -6.0), "peaky": (-40.0, -5.0)}, -26.0)
    assert highest == "peaky"
    assert target == pytest.approx(-26.0 - 10.0 - 0.05)  # -5 + 14 = 9 dBTP, 10 too many, and the margin
    assert 20 * np.log10(factors["a"] / factors["peaky"]) == pytest.approx(-20.0)


def test_silence_has_no_loudness():
    with pytest.raises(StimulusError, match="quiet: is silent"):
        stimuli.gains({"quiet": (-np.inf, -np.inf)}, -26.0)


def test_quantised_samples_are_16_bit_steps_and_follow_the_seed():
    sound = 0.3 * noise(0.5, 16000)
    made = stimuli.quantise(sound, 5)
    steps = made * 2**15
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(made - sound).max() <= 1.5 * 2**-15 + 1e-9
    assert np.array_equal(made, stimuli.quantise(sound, 5))
    assert not np.array_equal(made, stimuli.quantise(sound, 6))


def test_lowest_bits_look_alike_whether_a_clip_had_16_bits_before_or_not():
    """A clip that came in 16 bits, at a gain of 1, would otherwise keep its own lowest bits."""
    coarse = np.rint(0.2 * noise(4, 16000) * 2**11) / 2**11  # has only 12 bits
    fine = 0.2 * noise(4, 16000, seed=1)
    shares = [np.mean(np.rint(stimuli.quantise(clip, 3) * 2**15) % 16 == 0) for clip in (coarse, fine)]
    assert shares[0] > 0.3  # without the gain of levelling even dither leaves the old grid
    gained = [
        np.mean(np.rint(stimuli.quantise(clip * 0.6713, 3) * 2**15) % 16 == 0) for clip in (coarse, fine)
    ]
    assert gained == pytest.approx([1 / 16, 1 / 16], abs=0.006)


def test_dither_has_the_triangular_distribution():
    error = (stimuli.quantise(np.zeros(200_000), 1)) * 2**15
    assert set(np.unique(error)) <= {-1.0, 0.0, 1.0}
    assert np.mean(error) == pytest.approx(0.0, abs=0.01)
    assert np.mean(error**2) == pytest.approx(0.25, abs=0.01)  # 1/4 step^2 (TPDF of +-1 step, rounded)


def test_files_that_differ_in_loudness_or_peak_are_refused(tmp_path):
    for name, level in (("a", 0.1), ("b", 0.12), ("hot", 0.95)):
        audio.write(tmp_path / f"{name}.wav", tone(997, 1, 16000, level), 16000, subtype="PCM_16")
    with pytest.raises(StimulusError, match=r"spreads by 1\.5\d LU"):
        stimuli.check_levels([tmp_path / "a.wav", tmp_path / "b.wav"])
    with pytest.raises(StimulusError, match="true peak of -0.4"):
        stimuli.check_levels([tmp_path / "hot.wav"])


def test_what_lies_below_the_lowest_frequency_is_taken_out_of_every_clip():
    time = np.arange(16000 * 4) / 16000
    bass, rumble = np.sin(2 * np.pi * 55 * time), 0.5 * np.sin(2 * np.pi * 12 * time)
    assert np.abs(stimuli.high_pass(bass + rumble, 16000, 30) - bass)[4000:-4000].max() < 0.01
    assert stimuli.high_pass(bass, 16000, 0) is bass
