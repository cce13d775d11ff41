import numpy as np
import pytest
import torch

from caw.config import FlowSettings
from caw.flow.scales import FlowScale, ScoreScale, Whitening, folded, joined, unfolded, untrained_network
from caw.flow.scales import _deviations as deviations
from caw.flow.score import Bands


def flatness(x: np.ndarray) -> float:
    """Spectral flatness: geometric over arithmetic mean of a smoothed power spectrum."""
    power = np.abs(np.fft.rfft(x)) ** 2
    power = np.convolve(power, np.ones(31) / 31, "valid")
    return float(np.exp(np.log(power).mean()) / power.mean())


def tone(hertz, rate, seconds=2.0):
    return torch.sin(2 * np.pi * hertz * torch.arange(round(seconds * rate)) / rate)[None]


def share_above(wave, rate, hertz):
    """Of the power."""
    power = np.abs(np.fft.rfft(wave * np.hanning(wave.shape[-1]))) ** 2
    return power[..., np.fft.rfftfreq(wave.shape[-1], 1 / rate) > hertz].sum() / power.sum()


def test_whitening_flattens_and_undoes_itself(clip):
    whitening = Whitening.of([clip[None]], 32)
    signal = torch.from_numpy(clip)[None]
    white = whitening.apply(signal)
    assert white.std().item() == pytest.approx(1.0, abs=0.01)
    assert flatness(white[0].numpy()) > 4 * flatness(clip)
    torch.testing.assert_close(whitening.undo(white), signal, atol=1e-5, rtol=0)


def test_whitening_of_several_clips_fits_them_together(stereo):
    clips = [stereo, stereo[:, :9000] * 0.5]
    whitening = Whitening.of(clips, 32)
    white = torch.cat([whitening.apply(torch.from_numpy(c.copy())).flatten() for c in clips])
    assert white.std(correction=0).item() == pytest.approx(1.0, abs=1e-4)
    signal = torch.from_numpy(stereo)
    torch.testing.assert_close(whitening.undo(whitening.apply(signal)), signal, atol=1e-5, rtol=0)


def test_whitening_of_a_pure_tone_stays_bounded():
    whitening = Whitening.of([tone(100, 4000).numpy()], 32)
    ringing = whitening.undo(torch.randn(1, 8000))
    assert torch.isfinite(ringing).all()
    assert np.all(np.abs(np.roots(whitening.coefficients)) < 1)


@pytest.mark.parametrize("samples", [1, 3, 8, 40])
def test_whitening_of_hardly_anything_stays_finite(samples):
    whitening = Whitening.of([np.linspace(0.1, 1, samples, dtype=np.float32)[None]], 32)
    assert torch.isfinite(whitening.apply(torch.randn(1, 10))).all()
    signal = torch.randn(2, 1)
    torch.testing.assert_close(whitening.undo(whitening.apply(signal)), signal)


def drawing(deviation):
    """A score's scale that has measured itself on random clips, and those clips' scores."""
    settings = FlowSettings(score_channels=8, score_layers=2)
    generator = torch.Generator().manual_seed(0)
    bands = Bands.of([torch.randn(1, 32000, generator=generator)], 4000, 40)
    torch.manual_seed(0)
    network = untrained_network(settings, (62.5, 4000), 0, len(bands.mean), 1)
    torch.nn.init.normal_(network.leave.weight, std=0.02)
    scale = ScoreScale(network, bands, settings)
    scores = [deviation * torch.randn(len(bands.mean), 400, generator=generator).clamp(-2, 2)]
    scale.calibrate(scores, generator)
    return scale, scores[0]


def test_a_drawn_score_has_mean_0_and_the_clips_slow_and_fast_deviation_in_each_band():
    scale, _ = drawing(1.0)
    generator = torch.Generator().manual_seed(3)
    calm = torch.sin(torch.arange(3000) / 40).expand(40, -1) + torch.randn(40, 3000, generator=generator)
    scale.calibrate([calm], torch.Generator().manual_seed(1))
    scale.range = 100 * scale.range
    drawn = scale.draw(None, 3000, torch.Generator().manual_seed(9)).score
    torch.testing.assert_close(drawn.mean(1), torch.zeros(len(drawn)), atol=0.15, rtol=0)
    torch.testing.assert_close(deviations(drawn), deviations(calm), atol=0, rtol=0.2)


def test_evening_out_is_undone():
    scale, score = drawing(1.0)
    scale.range = 100 * scale.range
    torch.testing.assert_close(scale._calibrated(scale._uncalibrated(score)), score, atol=1e-4, rtol=0)


def test_a_scale_without_a_second_deviation_is_calibrated_out_as_before():
    scale, score = drawing(1.0)
    scale.drawn, scale.range = scale.drawn[:, :2], 100 * scale.range
    expected = (score - scale.drawn[:, :1]) / scale.drawn[:, 1:]
    torch.testing.assert_close(scale._calibrated(score), expected)


def test_a_drawn_score_stays_in_the_range_of_the_clips():
    scale, score = drawing(0.3)
    drawn = scale.draw(None, 3000, torch.Generator().manual_seed(9)).score
    assert (drawn.amax(1) == score.amax(1)).all()
    assert (drawn.amin(1) == score.amin(1)).all()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("samples", "fold"), [(12, 4), (10, 4), (3, 4), (7, 1)])
def test_folding_undoes_itself(channels, samples, fold):
    wave = torch.arange(1.0, channels * samples + 1).view(channels, samples)
    frames = folded(wave, fold)
    assert frames.shape == (channels * fold, -(-samples // fold))
    again = unfolded(frames, fold)
    torch.testing.assert_close(again[:, :samples], wave)
    assert again[:, samples:].abs().sum() == 0


def test_a_frame_holds_neighbouring_samples_of_each_channel_in_turn():
    frames = folded(torch.stack([torch.arange(12.0), 100 + torch.arange(12.0)]), 4)
    assert frames[:, 1].tolist() == [4, 5, 6, 7, 104, 105, 106, 107]


def test_joined_is_the_low_signal_below_and_the_wave_above():
    rate = 8000
    low = tone(300, rate) + tone(700, rate)
    wave = 0.5 * tone(300, rate) + tone(2500, rate) + tone(3900, rate)
    expected = low + tone(2500, rate) + tone(3900, rate)
    middle = slice(500, -500)  # sines that begin and end at once reach beyond their frequency
    result = joined(low, wave, 2000 / rate)
    torch.testing.assert_close(result[:, middle], expected[:, middle], atol=1e-2, rtol=0)
    generator = torch.Generator().manual_seed(0)
    low, wave = (torch.randn(2, 16000, generator=generator) for _ in range(2))
    result = joined(low, wave, 2000 / rate)
    assert share_above((result - wave).numpy(), rate, 1000) < 1e-4 * share_above(wave.numpy(), rate, 1000)
    assert share_above((result - low).numpy(), rate, 849) > 1 - 1e-4


def scale_of(rate, lower_rate, channels=1):
    bands = Bands.of([torch.randn(1, 2 * rate)], rate, 40)
    return FlowScale(
        rate, lower_rate, None, Whitening(np.ones(1), 1.0), bands, channels, FlowSettings(finer_frames=1000)
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_noise_in_the_lower_signal_stays_below_its_nyquist_frequency(channels):
    scale = scale_of(4000, 1000, channels)
    noise = scale.noise(2, 8000, torch.Generator().manual_seed(0))
    assert noise.shape == (2, 4 * channels, 8000)
    wave = unfolded(noise[1], 4).numpy()
    assert wave.shape == (channels, 32000)
    assert share_above(wave, 4000, 1000) < 1e-3
    assert share_above(wave, 4000, 400) > 0.1
    if channels == 2:
        assert abs(np.corrcoef(wave)[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("rate", "lower_rate", "fold"), [(1000, None, 4), (500, None, 2), (4000, 1000, 4), (11025, 4000, 11)]
)
def test_frames_of_a_scale(rate, lower_rate, fold):
    scale = scale_of(rate, lower_rate, 2)
    assert scale.fold == fold
    assert scale.frames(torch.randn(2, 10 * fold + 1)).shape == (2 * fold, 11)
