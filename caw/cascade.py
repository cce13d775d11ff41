"""All scales together: the coarse-to-fine walk that generate, vary and reconstruct share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from caw import threads
from caw.compose.timeline import Timeline
from caw.flow.score import Bands
from caw.holding import Known, let_ring, showing
from caw.pyramid import Signal, build, length

TRIES = 12  # scores drawn beside passages
HIDDEN = 0.6  # of what changes in the passages themselves: a seam that changes less is good enough


class Scale(Protocol):
    """What the walk needs of a scale (`caw.flow.FlowScale`, `caw.paper.scale.AdversarialScale`)."""

    rate: float
    lower_rate: int | None

    def draw(self, lower: Signal | None, samples: int, generator: torch.Generator) -> Signal: ...

    def vary(self, original: Signal, generator: torch.Generator, strength: float | None = None) -> Signal: ...

    def reconstruct(self, original: Signal, lower: Signal | None) -> Signal: ...


def generate(
    scales: list[Scale], seconds: float, generator: torch.Generator, timeline: Timeline | None = None
) -> Signal:
    """UMG: a new signal of round(rate * seconds) samples, composed at the first scale.

    timeline: what the score is to follow (`caw.compose`); only for a first scale with a guide.
    """
    if timeline is None:
        return climb(scales, 0, None, seconds, generator)
    with threads.drawing():
        first = scales[0].draw(None, length(scales[0].rate, seconds), generator, timeline)
    return climb(scales, 1, first, seconds, generator)


def vary(
    scales: list[Scale],
    pyramid: list[Signal],
    generator: torch.Generator,
    strength: float | None = None,
    timeline: Timeline | None = None,
) -> Signal:
    """VAR: the clip's score, varied as far as `strength` says, and the waveforms under it drawn anew.

    Where there is no guide the score is kept, and the lowest waveform is varied; for a strength of 0 both are
    kept, as published. timeline: what a varied score follows.
    """
    seconds = pyramid[-1].wave.shape[-1] / scales[-1].rate
    with threads.drawing():
        if timeline is not None and strength != 0:
            first = scales[0].vary(pyramid[0], generator, strength, timeline)
            kept = 1
        else:
            kept = 2 if pyramid[0].wave is None else 1
            first = scales[kept - 1].vary(pyramid[kept - 1], generator, strength)
    return climb(scales, kept, first, seconds, generator)


def beside(
    scales: list[Scale],
    known: Known,
    generator: torch.Generator,
    lay: Callable[[], Timeline],
    close: float | None,
) -> Signal:
    """New sound between, after or before passages, which are in the result as they are (`caw.holding`).

    lay: gives what the score is to follow, another walk each time: of `TRIES` scores at most the first whose
    seams hide is taken, or the one whose seams show least. close: the second at which a last chord begins
    that is held and dies away.
    """
    seconds, best = known.total / known.rate, (math.inf, None)
    with threads.drawing():
        for _ in range(TRIES):
            timeline = lay()
            signal = scales[0].draw(None, length(scales[0].rate, seconds), generator, timeline, known)
            shown = showing(signal.score, known, timeline.bounds, scales[0].bands.deviation)
            if shown < best[0]:
                best = shown, signal
            if shown <= HIDDEN:
                break
        signal = best[1]
        if close is not None:
            signal = Signal(None, let_ring(signal.score, close, scales[0].bands))
        for scale in scales[1:]:
            signal = scale.draw(signal, length(scale.rate, seconds), generator, known.at(scale.rate))
    return signal


def climb(
    scales: list[Scale], start: int, signal: Signal | None, seconds: float, generator: torch.Generator
) -> Signal:
    """Draw the scales from `start` up, each from the one below; `signal` is that of scale `start` - 1."""
    with threads.drawing():
        for scale in scales[start:]:
            signal = scale.draw(signal, length(scale.rate, seconds), generator)
    return signal


def reconstruct(scales: list[Scale], pyramid: list[Signal], timeline: Timeline | None = None) -> list[Signal]:
    """The clip as the model knows it, at every scale so far. timeline: the clip's own, for a guided score."""
    signals: list[Signal] = []
    for scale, original in zip(scales, pyramid, strict=False):
        lower, more = signals[-1] if signals else None, {}
        if timeline is not None and not signals:
            more = {"timeline": timeline}
        signals.append(scale.reconstruct(original, lower, **more))
    return signals


def pyramid_of(clip: Tensor, rates: tuple[float, ...], bands: Bands | None) -> list[Signal]:
    """A training clip [channels, n], at the last of `rates`, as every scale sees it."""
    if bands is None:
        return [Signal(w) for w in build(clip, rates[-1], rates)]
    score = bands.measure(clip)
    return [Signal(None, score)] + [Signal(w, score) for w in build(clip, rates[-1], rates[1:])]
