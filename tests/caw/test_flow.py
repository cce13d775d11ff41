import numpy as np
import pytest
import torch

from caw.flow import Velocity, Whitening, low_band_noise


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


@pytest.mark.parametrize("conditioned", [False, True])
def test_velocity_sees_its_receptive_field(conditioned):
    torch.manual_seed(0)
    net = Velocity(6, 5, 3, 4, conditioned=conditioned)
    torch.nn.init.normal_(net.leave.weight)
    for layer in net.layers:
        torch.nn.init.normal_(layer.mix.weight)
    noisy = torch.randn(1, 1, 400, requires_grad=True)
    lower = torch.randn(1, 1, 400) if conditioned else None
    out = net(noisy, lower, torch.tensor([0.5]), torch.tensor([0.0]))
    assert out.shape == (1, 1, 400)
    out[0, 0, 200].backward()
    touched = noisy.grad[0, 0].nonzero().flatten()
    assert touched.max() - touched.min() + 1 == net.receptive_field


def test_low_band_noise_stays_in_the_low_band():
    noise = low_band_noise((1, 1, 32000), 1000, 4000, torch.Generator().manual_seed(0))[0, 0].numpy()
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(32000, 1 / 4000)
    assert power[frequency > 1000].mean() < 1e-3 * power[frequency < 400].mean()
