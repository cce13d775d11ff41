"""A scale of the `paper` preset: a generator that adds its band to the signal of the scale below."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from caw.cascade import Signal, resample
from caw.config import AdversarialSettings
from caw.paper.networks import Generator


@dataclass
class AdversarialScale:
    """One trained scale. Signals are mono, [1, n] at `rate` Hz, at the level of the peak-normalised clip."""

    rate: int
    lower_rate: int | None
    network: Generator
    amplitude: float  # standard deviation of the noise at the input
    code: Tensor | None = None  # z*: the fixed noise [n] whose output is the clip (first scale only)
    critic_state: dict[str, Tensor] | None = None  # while training: where the next scale's critic starts

    @property
    def first(self) -> bool:
        return self.lower_rate is None

    def lift(self, lower: Signal | None, samples: int) -> Tensor:
        """The lower scale's signal at this scale's rate, [samples]; silence below the first scale."""
        if self.first:
            return torch.zeros(samples, device=self.device)
        return resample(lower.wave[0], self.lower_rate, self.rate, samples)

    def draw(self, lower: Signal | None, samples: int, generator: torch.Generator) -> Signal:
        """A new signal of `samples` samples that goes with `lower`."""
        noise = torch.randn(samples, generator=generator).to(self.device)
        return self._add(self.lift(lower, samples), self.amplitude * noise)

    def vary(self, original: Signal, generator: torch.Generator, strength: float | None = None) -> Signal:
        """The first scale of a variation (VAR) is the clip's own; the scales above it vary."""
        if strength is not None:
            raise ValueError("strength is a setting of preset fast: paper always keeps its first scale")
        return original

    def reconstruct(self, original: Signal, lower: Signal | None) -> Signal:
        """The output for z* at the first scale and for no noise at the others."""
        samples = original.wave.shape[-1]
        noise = self.code if self.first else torch.zeros(samples, device=self.device)
        return self._add(self.lift(lower, samples), noise)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @torch.inference_mode()
    def _add(self, lifted: Tensor, noise: Tensor) -> Signal:
        return Signal(add_band(self.network, lifted[None, None], noise[None, None])[0])


def add_band(network: Generator, lifted: Tensor, noise: Tensor) -> Tensor:
    """lifted + G(lifted + noise), all [B, 1, N]; zeros surround the signal, as published."""
    return lifted + network(functional.pad(lifted + noise, (network.reach, network.reach)))


def untrained_network(settings: AdversarialSettings, *, first: bool) -> Generator:
    """An untrained generator: narrow at the first scale, wide above it."""
    channels = settings.first_channels if first else settings.channels
    return Generator(channels, settings.dilations, kernel=settings.kernel)
