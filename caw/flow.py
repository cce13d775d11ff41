"""A scale of the `fast` preset: a flow-matching network that draws a signal, given the scale below.

The signal is whitened by linear prediction, so that all its frequencies weigh the same, and folded:
`fold` neighbouring samples are the channels of one frame. A draw starts from white noise and follows
the learned velocity from time 1 to time 0 (Lipman et al. 2023) by Heun's method.

The first scale draws, beside its own low-rate signal, the loudness of the bands above it (`bands`),
so that drums and cymbals are composed where the rhythm is; the finer scales follow them. What a finer
scale is given is mixed with some noise while it trains, so that a drawn input serves it as well as
the real one (conditioning augmentation, Ho et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg
import scipy.signal
import torch
from torch import Tensor, nn
from torch.nn import functional

from caw.config import FlowSettings
from caw.pyramid import Signal, resample

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
    """Velocity of the flow, on frames: noisy [B, C, F], given [B, G, F], time [B], level [B] -> [B, C, F].

    Every output frame depends on `receptive_field` input frames.
    """

    def __init__(self, channels: int, kernel: int, layers: int, *, signal: int, given: int) -> None:
        super().__init__()
        dilations = [2**i for i in range(layers)]
        self.receptive_field = sum(dilations) * (kernel - 1) + 3
        self.enter = nn.Conv1d(signal + given, channels, 3, padding=1)
        self.layers = nn.ModuleList(Layer(channels, kernel, d) for d in dilations)
        self.leave = nn.Conv1d(channels, signal, 1)
        nn.init.zeros_(self.leave.weight)
        self.tell = nn.Sequential(
            nn.Linear(4 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
        )
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), FREQUENCIES)))

    def forward(self, noisy: Tensor, given: Tensor, time: Tensor, level: Tensor) -> Tensor:
        angles = torch.cat([time[:, None] * self.frequencies, level[:, None] * self.frequencies], 1)
        told = self.tell(torch.cat([angles.sin(), angles.cos()], 1))
        h = self.enter(torch.cat([noisy, given], 1))
        for layer in self.layers:
            h = layer(h, told)
        return self.leave(h)


@dataclass
class FlowScale:
    """One trained scale. Signals are at the level of the peak-normalised clip."""

    rate: int
    lower_rate: int | None
    network: Velocity
    whitening: Whitening
    settings: FlowSettings

    @property
    def first(self) -> bool:
        return self.lower_rate is None

    @property
    def fold(self) -> int:
        """Samples per frame."""
        return fold_of(self.settings, self.rate, first=self.first)

    def frames(self, wave: Tensor) -> Tensor:
        """Whitened and folded: [n] -> [fold, ceil(n / fold)]."""
        white = self.whitening.apply(wave)
        return functional.pad(white, (0, -len(white) % self.fold)).view(-1, self.fold).T

    def given(self, lower: Signal | None, frames: int) -> Tensor:
        """What the network is told of the scale below, [G, frames]; G is 0 at the first scale."""
        if self.first:
            return torch.zeros(0, frames, device=next(self.network.parameters()).device)
        wave = resample(lower.wave, self.lower_rate, self.rate, frames * self.fold)
        bands = functional.interpolate(lower.bands[None], size=frames, mode="linear")[0]
        return torch.cat([self.frames(wave), bands])

    def shifted(self, frames: Tensor, by: int) -> Tensor:
        """Frames [C, F] that begin `by` samples (fewer than `fold`) later; the bands keep pace."""
        fold = self.fold
        if by == 0 or not len(frames):
            return frames
        wave = frames[:fold].T.reshape(-1)
        wave = functional.pad(wave[by:], (0, by)).view(-1, fold).T
        bands = frames[fold:]
        later = torch.cat([bands[:, 1:], bands[:, -1:]], 1)
        return torch.cat([wave, torch.lerp(bands, later, by / fold)])

    def draw(self, lower: Signal | None, samples: int, generator: torch.Generator) -> Signal:
        """A fresh signal of `samples` samples that goes with `lower`."""
        frames = -(-samples // self.fold)
        given = self.given(lower, frames)
        level = 0.0 if self.first else self.settings.draw_noise
        given = given + level * given_noise(self, 1, frames, generator)[0].to(given.device)
        noise = torch.randn(self._width, frames, generator=generator).to(given.device)
        return self._signal(self._integrate(noise, given, level, 1.0, 0.0), samples, lower)

    def vary(self, original: Signal, generator: torch.Generator, strength: float | None = None) -> Signal:
        """First scale only: the clip's own for `strength` 0, as published, or varied.

        A varied one has the clip's loudness in every band with a new signal under it: the signal is taken
        back towards noise by `strength`, at most 1, and drawn anew, while the bands are held to the
        clip's at every step (replacement, as in Song et al. 2021, appendix I.2).
        """
        strength = self.settings.variation if strength is None else strength
        if strength == 0:
            return original
        clean = self.state(original)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        start = (1 - strength) * clean + strength * noise
        given = self.given(None, clean.shape[-1])

        def hold(state: Tensor, time: float) -> Tensor:
            kept = (1 - time) * clean[self.fold :] + time * noise[self.fold :]
            return torch.cat([state[:, : self.fold], kept[None]], 1)

        state = self._integrate(start, given, 0.0, strength, 0.0, hold)
        return self._signal(state, len(original.wave), None)

    def reconstruct(self, original: Signal, lower: Signal | None) -> Signal:
        """`original` encoded to its noise and drawn from it again, given the lower reconstruction."""
        clean = self.state(original)
        given = self.given(lower, clean.shape[-1])
        code = self._integrate(clean, given, 0.0, 0.0, 1.0)
        return self._signal(self._integrate(code, given, 0.0, 1.0, 0.0), len(original.wave), lower)

    def state(self, signal: Signal) -> Tensor:
        """What the flow draws: the folded signal and, at the first scale, the bands above it. [C, F]"""
        frames = self.frames(signal.wave)
        if not self.first:
            return frames
        return torch.cat([frames, functional.interpolate(signal.bands[None], size=frames.shape[-1])[0]])

    @property
    def _width(self) -> int:
        return self.network.leave.out_channels

    def _signal(self, state: Tensor, samples: int, lower: Signal | None) -> Signal:
        wave = self.whitening.undo(state[: self.fold].T.reshape(-1))[:samples]
        return Signal(wave, state[self.fold :] if self.first else lower.bands)

    @torch.inference_mode()
    def _integrate(
        self,
        start: Tensor,
        given: Tensor,
        level: float,
        time: float,
        end: float,
        hold: Callable[[Tensor, float], Tensor] = lambda state, time: state,
    ) -> Tensor:
        """Follow the velocity from `time` to `end`; `hold` puts back what is known of the state at a time."""
        steps = self.settings.draw_steps if self.first else self.settings.finer_draw_steps
        times = np.linspace(time, end, max(1, math.ceil(steps * abs(time - end))) + 1)
        levels = torch.tensor([level], device=start.device, dtype=torch.float32)

        def velocity(x: Tensor, t: float) -> Tensor:
            return self.network(
                x, given[None], torch.tensor([t], device=x.device, dtype=torch.float32), levels
            )

        x = start[None]
        for now, then in zip(times[:-1], times[1:], strict=True):
            slope = velocity(x, now)
            ahead = x + (then - now) * slope
            # Heun's method; the last step to time 0 is Euler's, which is exact at a clean signal.
            x = ahead if then == 0.0 else x + (then - now) * (slope + velocity(ahead, then)) / 2
            x = hold(x, then)
        return x[0]


def given_noise(scale: FlowScale, batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Unit noise of the kind of `given`: below the lower Nyquist frequency in the signal, white in the bands.

    [batch, G, frames]
    """
    if scale.first:
        return torch.zeros(batch, 0, frames)
    sections = _below(scale.lower_rate, scale.rate)
    white = torch.randn(batch, frames * scale.fold, generator=generator).numpy()
    low = torch.from_numpy(scipy.signal.sosfilt(sections, white, axis=-1).astype(np.float32))
    bands = torch.randn(batch, scale.settings.bands, frames, generator=generator)
    return torch.cat([low.view(batch, frames, scale.fold).transpose(1, 2), bands], 1)


@lru_cache
def _below(lower_rate: int, rate: int) -> np.ndarray:
    """Second-order sections of the low-pass at the lower scale's Nyquist frequency."""
    return scipy.signal.butter(6, 0.95 * lower_rate / rate, output="sos")


def fold_of(settings: FlowSettings, rate: int, *, first: bool) -> int:
    """Samples per frame of a scale of `rate` Hz."""
    return max(1, round(rate / (settings.frames if first else settings.finer_frames)))


def network_for(settings: FlowSettings, rate: int, *, first: bool) -> Velocity:
    """An untrained network for a scale of `rate` Hz."""
    fold = fold_of(settings, rate, first=first)
    layers = settings.layers if first else settings.finer_layers
    signal, given = (fold + settings.bands, 0) if first else (fold, fold + settings.bands)
    return Velocity(settings.channels, settings.kernel, layers, signal=signal, given=given)


def with_bands(waves: list[Tensor], rates: tuple[int, ...], settings: FlowSettings) -> list[Signal]:
    """The pyramid with the clip's bands: log energy above half the first rate, each of mean 0 and variance 1.

    The bands are triangles spaced evenly in log frequency up to the Nyquist frequency, measured in
    16 ms windows, one at each of the first scale's frames.
    """
    wave, rate = waves[-1].cpu().double().numpy(), rates[-1]
    fold = fold_of(settings, rates[0], first=True)
    frames = -(-len(waves[0]) // fold)
    size = max(32, round(0.016 * rate))
    starts = np.round(np.arange(frames) * fold / rates[0] * rate).astype(int)
    padded = np.pad(wave, (size // 2, size + int(starts[-1]) + size - len(wave)))
    pieces = padded[starts[:, None] + np.arange(size)] * np.hanning(size + 1)[:-1]
    power = np.abs(np.fft.rfft(pieces)) ** 2
    lowest = min(rates[0] / 2, rate / 4)
    edges = np.geomspace(lowest, rate / 2 * 1.1, settings.bands + 2)
    frequency = np.fft.rfftfreq(size, 1 / rate)
    rise = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.clip(np.minimum(rise, fall), 0, None)
    energy = power @ filters.T
    level = np.log(energy + 1e-7 * energy.max() + 1e-20).T
    level = (level - level.mean(1, keepdims=True)) / np.maximum(level.std(1, keepdims=True), 1e-3)
    bands = torch.from_numpy(level).float().to(waves[-1].device)
    return [Signal(w, bands) for w in waves]
