"""The cascade of scales: one signal at each scale's rate, drawn from coarse to fine.

Every preset is a list of scales. The first composes at a low rate; each of the others draws a signal at a
higher rate that goes with the one below. Drawing, varying and reconstructing share this walk.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torchaudio.functional import resample as sinc_resample

from caw.compose.timeline import Timeline
from caw.parallel import drawing

# Windowed sinc with 64 zero crossings: flat to 0.95 of the lower Nyquist frequency.
SINC_WIDTH = 64
SINC_ROLLOFF = 0.97


class Signal(NamedTuple):
    """What one scale hands to the next: a waveform, a score, or both."""

    wave: Tensor | None  # [channels, n] at the scale's rate; None where only the score is drawn
    score: Tensor | None = None  # [bands, frames], see `caw.flow.score`; None in preset paper


class Scale(Protocol):
    """One trained scale, as `caw.flow.scales` and `caw.paper.scale` implement it."""

    rate: float  # Hz, or frames per second of a score
    lower_rate: int | None

    def draw(self, lower: Signal | None, samples: int, generator: torch.Generator) -> Signal: ...

    def vary(self, original: Signal, generator: torch.Generator, strength: float | None = None) -> Signal: ...

    def reconstruct(self, original: Signal, lower: Signal | None) -> Signal: ...


def resample(signal: Tensor, from_rate: int, to_rate: int, samples: int) -> Tensor:
    """[..., n] at `from_rate` Hz -> [..., samples] at `to_rate` Hz, zero-padded or cut to length."""
    if from_rate != to_rate:
        signal = sinc_resample(
            signal, from_rate, to_rate, lowpass_filter_width=SINC_WIDTH, rolloff=SINC_ROLLOFF
        )
    return torch.nn.functional.pad(signal, (0, max(0, samples - signal.shape[-1])))[..., :samples]


def length(rate: float, seconds: float) -> int:
    """Samples of a signal: round(rate * seconds), at least 1."""
    return max(1, round(rate * seconds))


def waves(clip: Tensor, rate: int, rates: tuple[int, ...]) -> list[Tensor]:
    """A clip [..., n] at `rate` Hz, resampled to each of `rates`."""
    seconds = clip.shape[-1] / rate
    return [resample(clip, rate, r, length(r, seconds)) for r in rates]


def pyramid(clip: Tensor, rates: tuple[float, ...], score: Tensor | None) -> list[Signal]:
    """A training clip as every scale sees it.

    Parameters
    ----------
    clip : Tensor [channels, n], at the last of `rates`
    rates : of the scales, ascending
    score : Tensor [bands, frames] or None
        The clip's score where the first scale draws one.
    """
    if score is None:
        return [Signal(wave) for wave in waves(clip, rates[-1], rates)]
    return [Signal(None, score)] + [Signal(wave, score) for wave in waves(clip, rates[-1], rates[1:])]


def generate(
    scales: list[Scale], seconds: float, generator: torch.Generator, timeline: Timeline | None = None
) -> Signal:
    """Draw new music (UMG): a signal of round(rate * seconds) samples, composed at the first scale.

    timeline: what the score follows (`caw.compose`); only for a first scale with a guide.
    """
    if timeline is None:
        return climb(scales, 0, None, seconds, generator)
    with drawing():
        first = scales[0].draw(None, length(scales[0].rate, seconds), generator, timeline)
    return climb(scales, 1, first, seconds, generator)


def vary(
    scales: list[Scale],
    originals: list[Signal],
    generator: torch.Generator,
    strength: float | None = None,
    timeline: Timeline | None = None,
) -> Signal:
    """Vary a clip (VAR): its score is varied as far as `strength` says, its waveforms are drawn anew.

    Without a guide the score is kept, and the lowest waveform is varied; for strength 0 both are kept, as
    published. originals: the clip's `pyramid`. timeline: what a varied score follows.
    """
    seconds = originals[-1].wave.shape[-1] / scales[-1].rate
    with drawing():
        if timeline is not None and strength != 0:
            varied = scales[0].vary(originals[0], generator, strength, timeline)
            start = 1
        else:
            start = 2 if originals[0].wave is None else 1
            varied = scales[start - 1].vary(originals[start - 1], generator, strength)
    return climb(scales, start, varied, seconds, generator)


def climb(
    scales: list[Scale], start: int, signal: Signal | None, seconds: float, generator: torch.Generator
) -> Signal:
    """Draw the scales from `start` up, each from the one below; `signal` is that of scale `start` - 1."""
    with drawing():
        for scale in scales[start:]:
            signal = scale.draw(signal, length(scale.rate, seconds), generator)
    return signal


def reconstruct(
    scales: list[Scale], originals: list[Signal], timeline: Timeline | None = None
) -> list[Signal]:
    """The clip as the model redraws it at each of `scales`. timeline: the clip's own, for a guided score."""
    signals: list[Signal] = []
    for scale, original in zip(scales, originals, strict=False):
        options = {"timeline": timeline} if timeline is not None and not signals else {}
        signals.append(scale.reconstruct(original, signals[-1] if signals else None, **options))
    return signals
