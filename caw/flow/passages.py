"""New sound beside passages that stay as they are, to the last sample.

On the way from noise to signal the frames of a passage are, at every moment, what they would be at that
moment: (1 - t) times the passage and t times the noise that the way began with (Lugmayr et al. 2022,
"RePaint", does the same for diffusion). So what is drawn beside them is drawn to go with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from caw.cascade import Scale, Signal, length, resample
from caw.compose.timeline import Timeline
from caw.flow.score import RATE, WINDOW, Bands, interpolate
from caw.parallel import drawing

ATTEMPTS = 12  # scores drawn beside passages, at most
INAUDIBLE = 0.6  # of the changes within the passages: a seam that changes less is good enough
SEAM = 0.01  # seconds of the new part over which it is brought to the passage
BESIDE = 0.2  # seconds before and after a seam that are compared
QUANTILE = 0.9  # of the changes at the passages' own half beats
UNCERTAIN = 16  # samples beside a seam that resampling has not got right
ATTACK = 6  # frames after the beginning of a last chord, from which on it is held
MEASURED = 25  # frames over which the held chord is measured
FALL = (8.0, 20.0)  # dB a second by which a held chord falls, at the lowest and at the highest band


@dataclass(frozen=True)
class Passages:
    """Passages in their places within a longer signal.

    parts: pairs of a first sample and a wave [channels, n] at `rate` Hz.
    """

    parts: tuple[tuple[int, Tensor], ...]
    rate: int
    total: int  # samples of the longer signal

    def at_rate(self, rate: int) -> Passages:
        """The same passages at a lower rate, of which their places must be whole samples."""
        parts = tuple(
            (first * rate // self.rate, resample(wave, self.rate, rate, wave.shape[-1] * rate // self.rate))
            for first, wave in self.parts
        )
        return Passages(parts, rate, self.total * rate // self.rate)

    def score(self, bands: Bands, frames: int) -> tuple[Tensor, Tensor]:
        """The passages' score [bands, frames], and 1 for the frames that it is known at, else 0 [frames].

        A frame is known where all of its window lies in a passage. The others are interpolated between the
        known ones before and after them, so that filters over time meet no edge.
        """
        score, known = torch.zeros(len(bands.mean), frames), torch.zeros(frames)
        score, known = score.to(bands.mean.device), known.to(bands.mean.device)
        for first, wave in self.parts:
            begin, end = first / self.rate, (first + wave.shape[-1]) / self.rate
            margins = WINDOW / 2 if first else 0.0, WINDOW / 2 if end < self.total / self.rate else 0.0
            a = math.ceil((begin + margins[0]) * RATE - 1e-6)
            b = min(frames, math.floor((end - margins[1]) * RATE + 1e-6) + 1)
            if b > a:
                places = torch.arange(a, b, device=score.device) - begin * RATE
                score[:, a:b] = interpolate(bands.measure(wave)[None], places[None])[0]
                known[a:b] = 1
        indices = torch.nonzero(known)[:, 0]
        if 0 < len(indices) < frames:
            place = torch.arange(frames, device=score.device)
            right = torch.searchsorted(indices, place).clamp(max=len(indices) - 1)
            left = (torch.searchsorted(indices, place, right=True) - 1).clamp(min=0)
            before, after = indices[left], indices[right]
            share = ((place - before) / (after - before).clamp(min=1)).clamp(0, 1)
            score = (1 - share) * score[:, before] + share * score[:, after]
        return score, known

    def frames(self, to_frames: Callable[[Tensor], Tensor], fold: int, count: int) -> tuple[Tensor, Tensor]:
        """The passages in `count` frames of `fold` samples, and 1 for the frames that are known, else 0.

        to_frames: makes frames [channels * fold, n] of a wave that begins at the first sample of a frame.
        """
        frames = known = None
        for first, wave in self.parts:
            skipped = -first % fold if first else 0
            own = to_frames(wave[:, skipped:])
            if frames is None:
                frames = torch.zeros(len(own), count, device=own.device)
                known = torch.zeros(count, device=own.device)
            a = (first + skipped) // fold
            b = min(count, a + own.shape[-1])
            frames[:, a:b] = own[:, : b - a]
            uncertain = -(-UNCERTAIN // fold)
            known[a + (uncertain if first else 0) : b - (uncertain if b < count else 0)] = 1
        return frames, known

    def put_into(self, wave: Tensor) -> Tensor:
        """`wave` [channels, total] with the passages in their places and its own samples brought to them.

        By how much the drawn samples within a passage miss it is mirrored at the seam, and fades out beside
        it over `SEAM` seconds.
        """
        out, fade = wave.clone(), max(1, round(SEAM * self.rate))
        fall = 0.5 + 0.5 * torch.cos(math.pi * (torch.arange(fade, device=wave.device) + 0.5) / fade)
        for first, passage in self.parts:
            end = min(first + passage.shape[-1], wave.shape[-1])
            error = passage[:, : end - first] - wave[:, first:end]
            reach = min(fade, end - first)
            if end < wave.shape[-1]:
                ahead = min(reach, wave.shape[-1] - end)
                out[:, end : end + ahead] += error.flip(1)[:, :ahead] * fall[:ahead]
            if first:
                behind = min(reach, first)
                out[:, first - behind : first] += (error[:, :behind] * fall[:behind]).flip(1)
        for first, passage in self.parts:
            out[:, first : first + passage.shape[-1]] = passage[:, : wave.shape[-1] - first]
        return out


def constraint(clean: Tensor, noise: Tensor, known: Tensor) -> Callable[[Tensor, float], Tensor]:
    """For `caw.flow.network.integrate`: puts what is known back into a state [C, F]; known: 0 to 1 [F]."""
    return lambda state, time: state + known * ((1 - time) * clean + time * noise - state)


def draw_beside(
    scales: list[Scale],
    passages: Passages,
    generator: torch.Generator,
    new_timeline: Callable[[], Timeline],
    last_chord: float | None,
) -> Signal:
    """New sound between, after or before passages, which are in the result as they are.

    Parameters
    ----------
    new_timeline : callable
        Gives what the score follows, another walk at each call. Of at most `ATTEMPTS` scores the first whose
        seams change little enough is taken, or else the one whose seams change least.
    last_chord : float or None
        The second at which a last chord begins that is held and dies away.
    """
    seconds, best, least = passages.total / passages.rate, None, math.inf
    with drawing():
        for _ in range(ATTEMPTS):
            timeline = new_timeline()
            signal = scales[0].draw(None, length(scales[0].rate, seconds), generator, timeline, passages)
            change = seam_change(signal.score, passages, timeline.bounds, scales[0].bands.deviation)
            if change < least:
                best, least = signal, change
            if change <= INAUDIBLE:
                break
        signal = best
        if last_chord is not None:
            signal = Signal(None, let_ring(signal.score, last_chord, scales[0].bands))
        for scale in scales[1:]:
            signal = scale.draw(signal, length(scale.rate, seconds), generator, passages.at_rate(scale.rate))
    return signal


def seam_change(score: Tensor, passages: Passages, bounds: np.ndarray, deviation: Tensor) -> float:
    """How far a score [bands, frames] changes at the seams, relative to its changes within the passages.

    A change is the mean over the bands of the difference between the `BESIDE` seconds after and before. The
    result is the largest of the seams over the `QUANTILE` quantile of the passages' half beats.

    Parameters
    ----------
    bounds : array [n]
        Seconds of the half beats.
    deviation : Tensor [bands, 1]
        Of the bands, which turns the score into loudness.
    """
    seams, inner = [], []
    for first, wave in passages.parts:
        begin, end = first / passages.rate, (first + wave.shape[-1]) / passages.rate
        seams += [begin] * (first > 0) + [end] * (first + wave.shape[-1] < passages.total)
        inner += [second for second in bounds if begin + BESIDE < second < end - BESIDE]
    reach, level = round(BESIDE * RATE), score * deviation.to(score.device)

    def change(second: float) -> float:
        place = round(second * RATE)
        after, before = level[:, place : place + reach], level[:, max(0, place - reach) : place]
        return float((after.mean(1) - before.mean(1)).abs().mean())

    usual = np.quantile([change(second) for second in inner], QUANTILE) if inner else 1.0
    return max(change(second) for second in seams) / max(float(usual), 1e-9)


def let_ring(score: Tensor, begin: float, bands: Bands) -> Tensor:
    """A score [bands, frames] whose last chord, at second `begin`, is held and dies away.

    What sounds shortly after the chord's beginning stays. Every band falls steadily, high ones faster, as the
    bands of strings and cymbals do.
    """
    first = round(begin * RATE) + ATTACK
    count = score.shape[-1] - first
    if count <= 1:
        return score
    level = score[:, first : first + MEASURED].mean(1, keepdim=True)
    low, high = (math.log(10) / 10 * fall / RATE for fall in FALL)
    rate = torch.linspace(low, high, len(score), device=score.device)[:, None]
    falling = level - rate * torch.arange(count, device=score.device) / bands.deviation.to(score.device)
    turn = (torch.arange(count, device=score.device) / ATTACK).clamp(max=1)
    return torch.cat([score[:, :first], (1 - turn) * score[:, first:] + turn * falling], 1)
