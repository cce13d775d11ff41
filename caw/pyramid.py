"""One signal at every scale's rate, and the way from one scale to the next."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchaudio.functional import resample as sinc_resample

from caw.config import AdversarialSettings, Settings
from caw.flow.score import RATE

# Windowed sinc with 64 zero crossings: flat to 0.95 of the lower Nyquist frequency.
SINC_WIDTH = 64
SINC_ROLLOFF = 0.97


class Signal(NamedTuple):
    """What one scale hands to the next."""

    wave: Tensor | None  # [channels, n] at the scale's rate; none where only the score is drawn
    score: Tensor | None = (
        None  # [bands, frames]: loudness in time and frequency (`caw.flow.score`; not in paper)
    )


def resample(signal: Tensor, from_rate: int, to_rate: int, samples: int) -> Tensor:
    """[..., n] at `from_rate` Hz -> [..., samples] at `to_rate` Hz, zero-padded or cut to length."""
    if from_rate != to_rate:
        signal = sinc_resample(
            signal, from_rate, to_rate, lowpass_filter_width=SINC_WIDTH, rolloff=SINC_ROLLOFF
        )
    return torch.nn.functional.pad(signal, (0, max(0, samples - signal.shape[-1])))[..., :samples]


def length(rate: float, seconds: float) -> int:
    """Samples of a scale: round(rate * seconds)."""
    return max(1, round(rate * seconds))


def scale_rates(signal: Tensor, rate: int, settings: Settings) -> tuple[float, ...]:
    """The scales' rates in Hz for this clip [channels, n], ascending, the clip's own rate last.

    Flow matching begins with the score, so its first rate is that of the score's frames.
    For the published recipe the first is the lowest rate at which the mean square of the
    peak-normalised clip reaches `first_energy` (Greshler et al. 2021, supplementary A).
    """
    rates = tuple(r for r in settings.scales if r < rate) + (rate,)
    if not isinstance(settings, AdversarialSettings):
        return (RATE, *rates)
    seconds = signal.shape[-1] / rate
    for index, candidate in enumerate(rates):
        low = resample(signal, rate, candidate, length(candidate, seconds))
        if low.square().mean() >= settings.first_energy:
            return rates[index:]
    return tuple(r for r in rates if r >= settings.fallback_scale) or rates[-1:]


def build(signal: Tensor, rate: int, rates: tuple[int, ...]) -> list[Tensor]:
    """The clip [..., n] at each of `rates`, each [..., round(rate_k * seconds)]."""
    seconds = signal.shape[-1] / rate
    return [resample(signal, rate, r, length(r, seconds)) for r in rates]
