import numpy as np
import pytest
import torch

from caw.config import FlowSettings
from caw.flow import FlowScale, Velocity, Whitening, given_noise, network_for, with_bands


def flatness(x: np.ndarray) -> float:
    """Spectral flatness: geometric over arithmetic mean of a smoothed power spectrum."""
    power = np.abs(np.fft.rfft(x)) ** 2
    power = np.convolve(power, np.ones(31) / 31, "valid")
    return float(np.exp(np.log(power).mean()) / power.mean())


def test_whitening_flattens_and_undoes_itself(clip):
    whitening = Whitening.of(clip, 32)
    signal = torch.from_numpy(clip)
    white = whitening.apply(signal)
    assert white.std().item() == pytest.approx(1.0, abs=0.01)
    assert flatness(white.numpy()) > 4 * flatness(clip)
    torch.testing.assert_close(whitening.undo(white), signal, atol=1e-5, rtol=0)


def test_whitening_of_a_pure_tone_stays_bounded():
    tone = np.sin(2 * np.pi * 100 * np.arange(8000) / 4000).astype(np.float32)
    whitening = Whitening.of(tone, 32)
    ringing = whitening.undo(torch.randn(8000))
    assert torch.isfinite(ringing).all()
    assert np.all(np.abs(np.roots(whitening.coefficients)) < 1)


@pytest.mark.parametrize("given", [0, 5])
def test_velocity_sees_its_receptive_field(given):
    torch.manual_seed(0)
    net = Velocity(6, 5, 3, signal=2, given=given)
    torch.nn.init.normal_(net.leave.weight)
    for layer in net.layers:
        torch.nn.init.normal_(layer.mix.weight)
    noisy = torch.randn(1, 2, 100, requires_grad=True)
    out = net(noisy, torch.randn(1, given, 100), torch.tensor([0.5]), torch.tensor([0.0]))
    assert out.shape == (1, 2, 100)
    out[0, 0, 50].backward()
    touched = noisy.grad[0].abs().sum(0).nonzero().flatten()
    assert touched.max() - touched.min() + 1 == net.receptive_field


def scale_of(rate, lower_rate):
    settings = FlowSettings()
    network = network_for(settings, rate, first=lower_rate is None)
    return FlowScale(rate, lower_rate, network, Whitening(np.ones(1), 1.0), settings)


def test_folding_keeps_the_order_of_samples():
    scale = scale_of(1000, None)
    frames = scale.frames(torch.arange(10.0))
    assert frames.shape == (4, 3)
    assert frames[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("by", [0, 1, 3])
def test_frames_may_begin_at_any_sample(by):
    scale = scale_of(1000, None)
    frames = torch.cat([scale.frames(torch.arange(40.0)), torch.arange(10.0)[None]])
    later = scale.shifted(frames, by)
    assert later.shape == frames.shape
    torch.testing.assert_close(later[:4, :-1], scale.frames(torch.arange(40.0)[by:])[:, :9])
    torch.testing.assert_close(later[4, :-1], torch.arange(9.0) + by / 4)


def test_noise_in_the_lower_signal_stays_below_its_nyquist_frequency():
    scale = scale_of(4000, 1000)
    noise = given_noise(scale, 1, 8000, torch.Generator().manual_seed(0))
    assert noise.shape == (1, 4 + scale.settings.bands, 8000)
    wave = noise[0, :4].T.reshape(-1).numpy()
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / 4000)
    assert power[frequency > 1000].mean() < 1e-3 * power[frequency < 400].mean()
    assert noise[0, 4:].std().item() == pytest.approx(1, abs=0.05)


def test_bands_follow_the_loudness_of_what_lies_above_the_first_scale():
    rate, seconds = 8000, 2
    time = np.arange(rate * seconds) / rate
    hiss = np.random.default_rng(0).standard_normal(len(time)) * (np.sin(2 * np.pi * time) > 0)
    bass = 0.1 * np.sin(2 * np.pi * 80 * time)
    waves = [torch.from_numpy((hiss + bass).astype(np.float32)[::step].copy()) for step in (8, 1)]
    settings = FlowSettings(bands=6)
    signals = with_bands(waves, (1000, 8000), settings)
    bands = signals[0].bands.numpy()
    assert bands.shape == (6, 500)  # 250 a second
    np.testing.assert_allclose(bands.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(bands.std(1), 1, atol=1e-3)
    on = np.sin(2 * np.pi * np.arange(500) / 250) > 0
    assert all(np.corrcoef(band, on)[0, 1] > 0.8 for band in bands)
