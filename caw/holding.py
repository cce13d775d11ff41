"""What is held while new sound is drawn beside it: passages that stay as they are, to the last sample.

On the way from noise to signal the frames of a passage are, at every moment, what they would be at that
moment: (1 - t) times the passage and t times the noise that the way began with (as in Lugmayr et al. 2022,
"RePaint", for diffusion). So what is drawn beside them is drawn to go with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from caw.flow.score import RATE, WINDOW, Bands, at
from caw.pyramid import resample

SEAM = 0.01  # seconds of the new part over which it is brought to what is known
BESIDE, SHARE = 0.2, 0.9  # seconds beside a seam; quantile of the passages' own half beats
UNSURE = 16  # samples beside a seam that resampling has not got right
LENGTH = 6  # frames after the beginning of a last chord, from which on it is held
MEASURED = 25  # frames over which what is held is measured
FALL = (8.0, 20.0)  # dB a second by which a held chord falls, at the lowest and at the highest band


@dataclass(frozen=True)
class Known:
    """Passages in their places: pairs of a first sample and of a wave [channels, n], at `rate` Hz."""

    parts: tuple[tuple[int, Tensor], ...]
    rate: int
    total: int  # samples of the whole

    def at(self, rate: int) -> Known:
        """The same at a lower rate; places are whole samples of it."""
        parts = tuple(
            (first * rate // self.rate, resample(wave, self.rate, rate, wave.shape[-1] * rate // self.rate))
            for first, wave in self.parts
        )
        return Known(parts, rate, self.total * rate // self.rate)

    def score(self, bands: Bands, frames: int) -> tuple[Tensor, Tensor]:
        """The score [bands, frames] of what is known, and how far each frame is, 0 or 1 [frames].

        A frame is known where all of its window is. The others go evenly from the known one before them to
        the one after, so that filters over time meet no edge.
        """
        held, known = torch.zeros(len(bands.mean), frames), torch.zeros(frames)
        held, known = held.to(bands.mean.device), known.to(bands.mean.device)
        for first, wave in self.parts:
            begin, end = first / self.rate, (first + wave.shape[-1]) / self.rate
            inner = WINDOW / 2 if first else 0.0, WINDOW / 2 if end < self.total / self.rate else 0.0
            a = math.ceil((begin + inner[0]) * RATE - 1e-6)
            b = min(frames, math.floor((end - inner[1]) * RATE + 1e-6) + 1)
            if b > a:
                places = torch.arange(a, b, device=held.device) - begin * RATE
                held[:, a:b] = at(bands.measure(wave)[None], places[None])[0]
                known[a:b] = 1
        there = torch.nonzero(known)[:, 0]
        if 0 < len(there) < frames:
            place = torch.arange(frames, device=held.device)
            right = torch.searchsorted(there, place).clamp(max=len(there) - 1)
            left = (torch.searchsorted(there, place, right=True) - 1).clamp(min=0)
            before, after = there[left], there[right]
            share = ((place - before) / (after - before).clamp(min=1)).clamp(0, 1)
            held = (1 - share) * held[:, before] + share * held[:, after]
        return held, known

    def frames(self, framed: Callable[[Tensor], Tensor], fold: int, count: int) -> tuple[Tensor, Tensor]:
        """What is known in frames of `fold` samples: [channels * fold, count] and 0 or 1 [count].

        framed: makes frames of a wave that begins at the first sample of one.
        """
        held = known = None
        for first, wave in self.parts:
            early = -first % fold if first else 0
            made = framed(wave[:, early:])
            if held is None:
                held = torch.zeros(len(made), count, device=made.device)
                known = torch.zeros(count, device=made.device)
            a = (first + early) // fold
            b = min(count, a + made.shape[-1])
            held[:, a:b] = made[:, : b - a]
            unsure = -(-UNSURE // fold)
            known[a + (unsure if first else 0) : b - (unsure if b < count else 0)] = 1
        return held, known

    def put(self, wave: Tensor) -> Tensor:
        """`wave` [channels, total] with the passages in their places, and what lies beside brought to them.

        By how much a drawn sample beside a seam misses the known one, mirrored, fades out over `SEAM`.
        """
        out, fade = wave.clone(), max(1, round(SEAM * self.rate))
        fall = 0.5 + 0.5 * torch.cos(math.pi * (torch.arange(fade, device=wave.device) + 0.5) / fade)
        for first, passage in self.parts:
            end = min(first + passage.shape[-1], wave.shape[-1])
            missed = passage[:, : end - first] - wave[:, first:end]
            reach = min(fade, end - first)
            if end < wave.shape[-1]:
                ahead = min(reach, wave.shape[-1] - end)
                out[:, end : end + ahead] += missed.flip(1)[:, :ahead] * fall[:ahead]
            if first:
                behind = min(reach, first)
                out[:, first - behind : first] += (missed[:, :behind] * fall[:behind]).flip(1)
        for first, passage in self.parts:
            out[:, first : first + passage.shape[-1]] = passage[:, : wave.shape[-1] - first]
        return out


def holding(clean: Tensor, noise: Tensor, known: Tensor) -> Callable[[Tensor, float], Tensor]:
    """For `caw.flow.velocity.integrate`: puts back what is known of a state [C, F]; known: 0 to 1 [F]."""
    return lambda state, time: state + known * ((1 - time) * clean + time * noise - state)


def showing(score: Tensor, known: Known, bounds: np.ndarray, deviation: Tensor) -> float:
    """How far a score [bands, frames] changes at the seams, over what it does within the passages.

    bounds: seconds of the half beats. deviation: of the bands [bands, 1], which turns the score into
    loudness. A change is the mean over the bands of the difference between the `BESIDE` seconds after and
    before; the largest of the seams over the `SHARE` quantile of the half beats.
    """
    seams, inner = [], []
    for first, wave in known.parts:
        begin, end = first / known.rate, (first + wave.shape[-1]) / known.rate
        seams += [begin] * (first > 0) + [end] * (first + wave.shape[-1] < known.total)
        inner += [second for second in bounds if begin + BESIDE < second < end - BESIDE]
    reach, level = round(BESIDE * RATE), score * deviation.to(score.device)

    def change(second: float) -> float:
        place = round(second * RATE)
        after, before = level[:, place : place + reach], level[:, max(0, place - reach) : place]
        return float((after.mean(1) - before.mean(1)).abs().mean())

    usual = np.quantile([change(second) for second in inner], SHARE) if inner else 1.0
    return max(change(second) for second in seams) / max(float(usual), 1e-9)


def let_ring(score: Tensor, begin: float, bands: Bands) -> Tensor:
    """A score [bands, frames] whose last chord, at second `begin`, is held and dies away.

    What sounds shortly after the chord's beginning stays, every band falling steadily, high ones faster, as
    those of strings and cymbals do.
    """
    first = round(begin * RATE) + LENGTH
    count = score.shape[-1] - first
    if count <= 1:
        return score
    held = score[:, first : first + MEASURED].mean(1, keepdim=True)
    low, high = (math.log(10) / 10 * fall / RATE for fall in FALL)
    rate = torch.linspace(low, high, len(score), device=score.device)[:, None]
    falling = held - rate * torch.arange(count, device=score.device) / bands.deviation.to(score.device)
    turn = (torch.arange(count, device=score.device) / LENGTH).clamp(max=1)
    return torch.cat([score[:, :first], (1 - turn) * score[:, first:] + turn * falling], 1)
