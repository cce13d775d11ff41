"""All scales together: the coarse-to-fine walk that generate, vary and reconstruct share."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from caw.pyramid import length


class Scale(Protocol):
    """What the walk needs of a scale (`caw.flow.FlowScale`, `caw.adversarial.AdversarialScale`)."""

    rate: int
    lower_rate: int | None

    def draw(self, lower: Tensor | None, samples: int, generator: torch.Generator) -> Tensor: ...

    def vary(self, original: Tensor, generator: torch.Generator, strength: float | None = None) -> Tensor: ...

    def reconstruct(self, original: Tensor, lower: Tensor | None) -> Tensor: ...


def generate(scales: list[Scale], seconds: float, generator: torch.Generator) -> Tensor:
    """UMG: a new signal of round(rate * seconds) samples, composed at the first scale."""
    return climb(scales, 0, None, seconds, generator)


def vary(
    scales: list[Scale], pyramid: list[Tensor], generator: torch.Generator, strength: float | None = None
) -> Tensor:
    """VAR: the clip's own first scale, varied, and everything above it drawn anew."""
    first = scales[0].vary(pyramid[0], generator, strength)
    return climb(scales, 1, first, len(pyramid[-1]) / scales[-1].rate, generator)


def climb(
    scales: list[Scale], start: int, signal: Tensor | None, seconds: float, generator: torch.Generator
) -> Tensor:
    """Draw the scales from `start` up, each from the one below; `signal` is that of scale `start` - 1."""
    for scale in scales[start:]:
        signal = scale.draw(signal, length(scale.rate, seconds), generator)
    return signal


def reconstruct(scales: list[Scale], pyramid: list[Tensor]) -> list[Tensor]:
    """The clip as the model knows it, at every scale so far."""
    signals: list[Tensor] = []
    for scale, original in zip(scales, pyramid, strict=False):
        signals.append(scale.reconstruct(original, signals[-1] if signals else None))
    return signals
