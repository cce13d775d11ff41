import numpy as np
import pytest
import torch

from caw.flow import score
from caw.flow.score import RATE, Bands, interpolate

HERTZ = 8000


def hiss(seconds=3.0, seed=0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, round(seconds * HERTZ), generator=generator)


def tone(hertz, seconds=3.0, rate=HERTZ):
    time = torch.arange(round(seconds * rate)) / rate
    return 0.5 * torch.sin(2 * np.pi * hertz * time)[None]


def centre(bands, band):
    return float(bands.edges[band + 1])


def level(bands, scores):
    """A score [bands, frames] as natural log of power."""
    return scores * bands.deviation + bands.mean


def test_the_clips_own_score_has_mean_0_and_variance_1():
    clips = [hiss(3.0) * torch.linspace(0.1, 1, 3 * HERTZ), hiss(2.0, seed=1)]
    bands = Bands.of(clips, HERTZ, 48)
    scores = torch.cat([bands.measure(clip) for clip in clips], 1)
    assert scores.shape == (len(bands.mean), round(3 * RATE) + round(2 * RATE))
    torch.testing.assert_close(scores.mean(1), torch.zeros(len(scores)), atol=1e-3, rtol=0)
    torch.testing.assert_close(scores.std(1), torch.ones(len(scores)), atol=2e-3, rtol=0)


@pytest.mark.parametrize("hertz", [110, 440, 1500, 3200])
def test_a_tone_is_loud_in_its_band_while_it_sounds(hertz):
    wave = tone(hertz)
    wave[:, HERTZ:] = 0
    bands = Bands.of([wave], HERTZ, 60)
    levels = level(bands, bands.measure(wave))
    loudest = levels[:, 20:40].mean(1).argmax().item()
    assert float(bands.edges[loudest]) < hertz < float(bands.edges[loudest + 2])
    sounding, silent = levels[loudest, : round(RATE) - 3], levels[loudest, round(RATE) + 4 :]
    assert sounding[3:].min() > silent.max() + 8
    torch.testing.assert_close(silent, torch.full_like(silent, np.log(score.FLOOR)), atol=0.1, rtol=0)


def test_ten_decibels_are_ten_decibels():
    wave = hiss(2.0)
    bands = Bands.of([wave], HERTZ, 48)
    difference = level(bands, bands.measure(wave)) - level(bands, bands.measure(wave / 10**0.5))
    assert difference.median().item() == pytest.approx(np.log(10), abs=0.01)  # the floor lifts the quietest


def test_two_channels_count_by_the_mean_of_their_power():
    wave = hiss(2.0)
    bands = Bands.of([wave], HERTZ, 48)
    both = torch.cat([2**0.5 * wave, torch.zeros_like(wave)])
    torch.testing.assert_close(bands.measure(both), bands.measure(wave), atol=1e-3, rtol=0)


@pytest.mark.parametrize("frames", [1, 7, 100])
def test_blocks_leave_no_seam(frames, monkeypatch):
    wave = hiss(3.0, channels=2) * torch.linspace(0.1, 1, 3 * HERTZ)
    bands = Bands.of([wave], HERTZ, 48)
    measured = bands.measure(wave)
    shaped = bands.impose(hiss(3.0, seed=1, channels=2), HERTZ, measured, 2)
    monkeypatch.setattr(score, "BLOCK", frames)
    torch.testing.assert_close(bands.measure(wave), measured, atol=1e-5, rtol=0)
    again = bands.impose(hiss(3.0, seed=1, channels=2), HERTZ, measured, 2)
    torch.testing.assert_close(again, shaped, atol=1e-5, rtol=0)


def test_more_frames_than_a_block_go_in_several():
    wave = hiss((score.BLOCK + 300) / RATE)
    bands = Bands.of([wave], HERTZ, 48)
    measured = bands.measure(wave)
    assert measured.shape[1] > score.BLOCK
    part = round((score.BLOCK - 200) / RATE * HERTZ)
    there = bands.measure(wave[:, part:])[:, 5:-5]
    offset = round(part / HERTZ * RATE)
    torch.testing.assert_close(measured[:, offset + 5 : -5], there, atol=1e-3, rtol=0)


def test_imposing_brings_flat_noise_to_a_score():
    swell = 0.05 + torch.sin(2 * np.pi * torch.arange(3 * HERTZ) / HERTZ / 1.5).square()
    clip = swell * hiss(3.0) + tone(440)
    bands = Bands.of([clip], HERTZ, 60)
    wanted = bands.measure(clip)
    noise = hiss(3.0, seed=1)
    error = []
    for times in (0, 1, 2):
        shaped = bands.impose(noise, HERTZ, wanted, times)
        assert shaped.shape == noise.shape
        error.append((level(bands, bands.measure(shaped)) - level(bands, wanted)).abs())
    plain, once, twice = (e.mean() for e in error)
    assert twice < once < 0.4 * plain
    above = bands.edges[1:-1] > score.FINE  # bands of several bins each
    assert 10 / np.log(10) * error[2][above].mean() < 1  # dB


def test_a_wave_that_has_its_score_already_is_left_alone():
    clip = hiss(3.0) * torch.linspace(0.2, 1, 3 * HERTZ) + tone(440)
    bands = Bands.of([clip], HERTZ, 60)
    shaped = bands.impose(clip, HERTZ, bands.measure(clip))
    assert (shaped - clip)[:, 500:-500].square().mean() < 1e-2 * clip.square().mean()


def test_imposing_at_a_lower_rate_follows_the_same_score():
    from caw.cascade import resample

    clip = (hiss(3.0) + tone(300)) * torch.linspace(0.1, 1, 3 * HERTZ)
    bands = Bands.of([clip], HERTZ, 60)
    low = resample(clip, HERTZ, 2000, 6000)
    shaped = bands.impose(low, 2000, bands.measure(clip))
    assert (shaped - low)[:, 200:-200].square().mean() < 0.03 * low.square().mean()


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-4])
def test_silence_stays_finite_and_quiet(level):
    clip = hiss(2.0)
    bands = Bands.of([clip], HERTZ, 48)
    silent = level * hiss(2.0, seed=1)
    assert torch.isfinite(bands.measure(silent)).all()
    shaped = bands.impose(silent, HERTZ, bands.measure(clip), 2)
    assert torch.isfinite(shaped).all()
    assert shaped.abs().max() <= 10 * silent.abs().max() * np.exp(2 * score.STRONGEST)
    quiet = bands.impose(clip, HERTZ, bands.measure(torch.zeros_like(clip)), 2)
    assert quiet.square().mean() < 1e-4 * clip.square().mean()


def test_imposing_keeps_the_balance_of_the_channels():
    clip = hiss(2.0, channels=2)
    clip[1] *= 0.25
    bands = Bands.of([clip], HERTZ, 48)
    drawn = hiss(2.0, seed=1, channels=1)
    both = torch.cat([drawn, 0.25 * drawn])
    left, right = bands.impose(both, HERTZ, bands.measure(clip), 2)
    torch.testing.assert_close(right, 0.25 * left, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("rate", [500, 700, 1001, 11025, 44100])
@pytest.mark.parametrize("samples", [1, 50, 3000])
def test_any_rate_and_length(rate, samples):
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(1, 2 * rate, generator=generator)
    bands = Bands.of([clip], rate, 48)
    assert torch.isfinite(bands.mean).all()
    assert torch.isfinite(bands.deviation).all()
    wave = clip[:, :samples]
    measured = bands.measure(wave)
    assert measured.shape == (len(bands.mean), max(1, round(wave.shape[1] / rate * RATE)))
    assert torch.isfinite(measured).all()
    shaped = bands.impose(wave, rate, measured, 1)
    assert shaped.shape == wave.shape
    assert torch.isfinite(shaped).all()


def test_places_between_frames_are_interpolated():
    values = torch.tensor([[[0.0, 10.0, 40.0], [1.0, 1.0, 5.0]]])
    values_there = interpolate(values, torch.tensor([[-1.0, 0.0, 0.25, 1.5, 2.0, 9.0]]))
    expected = torch.tensor([[[0, 0, 2.5, 25, 40, 40], [1, 1, 1, 3, 5, 5]]])
    torch.testing.assert_close(values_there, expected)
    torch.testing.assert_close(
        interpolate(values[..., :1], torch.tensor([[0.0, 3.0]])), values[..., :1].expand(1, 2, 2)
    )


def test_bands_survive_their_tensors():
    bands = Bands.of([hiss(2.0)], HERTZ, 48)
    again = Bands.from_tensors(bands.tensors())
    assert (again.rate, again.level) == (bands.rate, bands.level)
    torch.testing.assert_close(again.measure(hiss(2.0)), bands.measure(hiss(2.0)), atol=0, rtol=0)


@pytest.mark.parametrize("semitones", [-5, 2, 6])
def test_a_transposed_score_has_its_tones_moved_and_its_cymbals_where_they_were(semitones):
    rate = 16000
    time = torch.arange(2 * rate) / rate
    quiet = 0.01 * torch.randn(1, 2 * rate, generator=torch.Generator().manual_seed(0))
    wave = sum(torch.sin(2 * torch.pi * hz * time) for hz in (220.0, 440.0, 6000.0))[None] + quiet
    factor = 2 ** (semitones / 12)
    moved = (
        sum(torch.sin(2 * torch.pi * hz * time) for hz in (220 * factor, 440 * factor, 6000.0))[None] + quiet
    )
    bands = Bands.of([wave, moved], rate, 112)
    there, expected = bands.transposed(bands.measure(wave), semitones), bands.measure(moved)
    apart = ((there - expected) * bands.deviation)[:, 20:100].square().mean().sqrt()
    before = ((bands.measure(wave) - expected) * bands.deviation)[:, 20:100].square().mean().sqrt()
    assert apart < 0.5 * before
    torch.testing.assert_close(bands.transposed(expected, 0), expected, atol=1e-4, rtol=1e-4)
