"""A scale of the `fast` preset: a flow-matching network that draws a signal, given the scale below.

The signal is whitened by linear prediction, so that all bands weigh the same, and folded: `fold`
neighbouring samples are the channels of one frame. A draw starts from white noise and follows the
learned velocity from time 1 to time 0 (Lipman et al. 2023) by Heun's method. The scale below is
an input, with some noise mixed in while training, so that an imperfect drawn one serves as well as
the real one it was trained on (conditioning augmentation, Ho et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.signal
import torch
from torch import Tensor, nn
from torch.nn import functional

from caw.config import FlowSettings
from caw.pyramid import resample

FREQUENCIES = 16  # of the sinusoidal embedding of time and of noise level
EMBEDDING = 64


class Whitening:
    """Linear prediction of order `order` as a filter: `apply` flattens the spectrum, `undo` restores it."""

    def __init__(self, coefficients: np.ndarray, deviation: float) -> None:
        self.coefficients = coefficients
        self.deviation = deviation

    @classmethod
    def of(cls, signal: np.ndarray, order: int) -> Whitening:
        """Autocorrelation method (so `undo` is stable), with -60 dB of white noise added."""
        x = signal.astype(np.float64)
        order = min(order, len(x) // 4)
        spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
        correlation = np.fft.irfft(spectrum)[: order + 1]
        correlation[0] = correlation[0] * (1 + 1e-6) + 1e-12
        taps = scipy.linalg.solve_toeplitz(correlation[:order], correlation[1:]) if order else np.zeros(0)
        coefficients = np.concatenate([[1.0], -taps])
        white = scipy.signal.lfilter(coefficients, [1.0], x)
        return cls(coefficients, float(max(white.std(), 1e-9)))

    def apply(self, signal: Tensor) -> Tensor:
        """[..., n] -> [..., n] of variance about 1."""
        white = scipy.signal.lfilter(self.coefficients, [1.0], signal.cpu().double().numpy())
        return torch.from_numpy(white / self.deviation).float().to(signal.device)

    def undo(self, white: Tensor) -> Tensor:
        """The inverse of `apply`."""
        signal = scipy.signal.lfilter([1.0], self.coefficients, white.cpu().double().numpy() * self.deviation)
        return torch.from_numpy(signal).float().to(white.device)


class Layer(nn.Module):
    """Residual gated convolution, told time and noise level by a bias (van den Oord et al. 2016)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.scale = nn.Parameter(torch.ones(1, channels, 1))
        self.conv = nn.Conv1d(channels, 2 * channels, kernel, padding=kernel // 2)
        self.told = nn.Linear(EMBEDDING, 2 * channels)
        self.mix = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        batch, channels, frames = x.shape
        d = self.dilation
        h = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4) * self.scale
        # A dilated convolution as an undilated one of d interleaved signals: faster on a CPU.
        h = functional.pad(h, (0, -frames % d)).view(batch, channels, -1, d)
        h = self.conv(h.permute(0, 3, 1, 2).reshape(batch * d, channels, -1))
        h = (
            h.view(batch, d, 2 * channels, -1)
            .permute(0, 2, 3, 1)
            .reshape(batch, 2 * channels, -1)[..., :frames]
        )
        content, gate = (h + self.told(told)[:, :, None]).chunk(2, 1)
        return x + self.mix(torch.tanh(content) * torch.sigmoid(gate))


class Velocity(nn.Module):
    """Velocity of the flow: noisy [B, 1, N], lower [B, 1, N] or None, time [B], level [B] -> [B, 1, N].

    N is a multiple of `fold`. Every output sample depends on `receptive_field` input samples.
    """

    def __init__(self, channels: int, kernel: int, layers: int, fold: int, *, conditioned: bool) -> None:
        super().__init__()
        self.fold = fold
        self.conditioned = conditioned
        dilations = [2**i for i in range(layers)]
        self.receptive_field = fold * (sum(dilations) * (kernel - 1) + 3)
        self.enter = nn.Conv1d(fold * (2 if conditioned else 1), channels, 3, padding=1)
        self.layers = nn.ModuleList(Layer(channels, kernel, d) for d in dilations)
        self.leave = nn.Conv1d(channels, fold, 1)
        nn.init.zeros_(self.leave.weight)
        self.tell = nn.Sequential(
            nn.Linear(4 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
        )
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), FREQUENCIES)))

    def forward(self, noisy: Tensor, lower: Tensor | None, time: Tensor, level: Tensor) -> Tensor:
        batch, _, samples = noisy.shape
        signals = [noisy, lower] if self.conditioned else [noisy]
        frames = [s.reshape(batch, samples // self.fold, self.fold).transpose(1, 2) for s in signals]
        angles = torch.cat([time[:, None] * self.frequencies, level[:, None] * self.frequencies], 1)
        told = self.tell(torch.cat([angles.sin(), angles.cos()], 1))
        h = self.enter(torch.cat(frames, 1))
        for layer in self.layers:
            h = layer(h, told)
        return self.leave(h).transpose(1, 2).reshape(batch, 1, samples)


@dataclass
class FlowScale:
    """One trained scale. Signals are [n] at `rate` Hz, at the level of the peak-normalised clip."""

    rate: int
    lower_rate: int | None
    network: Velocity
    whitening: Whitening
    settings: FlowSettings

    @property
    def first(self) -> bool:
        return self.lower_rate is None

    def lift(self, lower: Tensor, samples: int) -> Tensor:
        """The lower scale's signal, whitened at this scale's rate: [m] -> [samples]."""
        return self.whitening.apply(resample(lower, self.lower_rate, self.rate, samples))

    def draw(self, lower: Tensor | None, samples: int, generator: torch.Generator) -> Tensor:
        """A fresh signal of `samples` samples that goes with `lower`."""
        padded = -(-samples // self.network.fold) * self.network.fold
        noise = _noise(padded, generator, self.network)
        condition = self._condition(lower, padded, generator)
        return self.whitening.undo(self._integrate(noise, condition, 1.0, 0.0))[:samples]

    def vary(self, original: Tensor, generator: torch.Generator, strength: float | None = None) -> Tensor:
        """First scale only: `original` taken back towards noise by `strength` in (0, 1] and drawn anew."""
        strength = self.settings.variation if strength is None else strength
        fold = self.network.fold
        white = functional.pad(self.whitening.apply(original), (0, -len(original) % fold))
        noise = _noise(len(white), generator, self.network)
        start = (1 - strength) * white + strength * noise
        return self.whitening.undo(self._integrate(start, None, strength, 0.0))[: len(original)]

    def reconstruct(self, original: Tensor, lower: Tensor | None) -> Tensor:
        """`original` encoded to its noise and drawn from it again, given the lower reconstruction."""
        fold = self.network.fold
        white = functional.pad(self.whitening.apply(original), (0, -len(original) % fold))
        condition = None if self.first else (self.lift(lower, len(white)), 0.0)
        code = self._integrate(white, condition, 0.0, 1.0)
        return self.whitening.undo(self._integrate(code, condition, 1.0, 0.0))[: len(original)]

    def _condition(self, lower: Tensor | None, samples: int, generator: torch.Generator):
        if self.first:
            return None
        level = self.settings.draw_noise
        noise = low_band_noise((samples,), self.lower_rate, self.rate, generator).to(lower.device)
        return self.lift(lower, samples) + level * noise, level

    @torch.inference_mode()
    def _integrate(self, start: Tensor, condition, time: float, end: float) -> Tensor:
        lower, level = condition if condition else (None, 0.0)
        steps = self.settings.draw_steps if self.first else self.settings.finer_draw_steps
        times = np.linspace(time, end, max(1, math.ceil(steps * abs(time - end))) + 1)
        levels = torch.tensor([level], device=start.device, dtype=torch.float32)
        lower = None if lower is None else lower[None, None]

        def velocity(x: Tensor, t: float) -> Tensor:
            return self.network(x, lower, torch.tensor([t], device=x.device, dtype=torch.float32), levels)

        x = start[None, None]
        for now, then in zip(times[:-1], times[1:], strict=True):
            slope = velocity(x, now)
            ahead = x + (then - now) * slope
            # Heun's method; the last step to time 0 is Euler's, which is exact at a clean signal.
            x = ahead if then == 0.0 else x + (then - now) * (slope + velocity(ahead, then)) / 2
        return x[0, 0]


def low_band_noise(shape: tuple[int, ...], lower_rate: int, rate: int, generator: torch.Generator) -> Tensor:
    """White noise of unit variance per whitened band, cut off above the lower scale's Nyquist frequency."""
    sections = scipy.signal.butter(6, 0.95 * lower_rate / rate, output="sos")
    white = torch.randn(shape, generator=generator).numpy()
    return torch.from_numpy(scipy.signal.sosfilt(sections, white, axis=-1).astype(np.float32))


def network_for(settings: FlowSettings, rate: int, *, first: bool) -> Velocity:
    """An untrained network for a scale of `rate` Hz."""
    frames = settings.frames if first else settings.finer_frames
    layers = settings.layers if first else settings.finer_layers
    fold = max(1, round(rate / frames))
    return Velocity(settings.channels, settings.kernel, layers, fold, conditioned=not first)


def _noise(samples: int, generator: torch.Generator, network: Velocity) -> Tensor:
    return torch.randn(samples, generator=generator).to(next(network.parameters()).device)
