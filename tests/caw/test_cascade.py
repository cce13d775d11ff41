import numpy as np
import pytest
import torch

from caw.cascade import length, resample, waves
from caw.config import PAPER_SCALES, preset
from caw.training import scale_rates


def sine(hertz, rate, seconds=3.0, amplitude=0.5):
    return torch.from_numpy(amplitude * np.sin(2 * np.pi * hertz * np.arange(rate * seconds) / rate)).float()


def test_lengths_are_rounded_rate_times_seconds():
    signals = waves(torch.randn(44100 * 2 + 17), 44100, (320, 1000, 44100))
    seconds = (44100 * 2 + 17) / 44100
    assert [len(s) for s in signals] == [length(r, seconds) for r in (320, 1000, 44100)]


@pytest.mark.parametrize(("low", "high"), [(1000, 4000), (4000, 16000), (14400, 16000), (320, 400)])
def test_a_band_passes_up_and_leaves_no_images(low, high):
    tone = sine(0.35 * low, low)
    up = resample(tone, low, high, 3 * high)[high // 2 : -high // 2]
    expected = sine(0.35 * low, high)[high // 2 : -high // 2]
    error = (up - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert 20 * torch.log10(error) < -60


def test_a_clip_of_several_channels_keeps_them():
    both = torch.stack([sine(60, 4000), sine(90, 4000)])
    low, same = waves(both, 4000, (1000, 4000))
    assert low.shape == (2, 3000)
    torch.testing.assert_close(same, both)


def test_paper_starts_where_the_energy_is():
    paper = preset("paper")
    bass, treble = sine(60, 16000), sine(1100, 16000)
    assert scale_rates(bass, 16000, paper)[0] == 320
    assert scale_rates(treble, 16000, paper)[0] == 2500
    faint = sine(60, 16000, amplitude=0.001)
    assert scale_rates(faint, 16000, paper)[0] == 500


def test_the_clips_own_rate_is_the_last_scale():
    assert scale_rates(sine(60, 11025), 11025, preset("paper"))[-2:] == (10000, 11025)
    assert scale_rates(sine(60, 16000), 16000, preset("paper")) == PAPER_SCALES
    assert scale_rates(sine(60, 8000), 8000, preset("fast")) == (62.5, 1000, 4000, 8000)
