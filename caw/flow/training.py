"""One optimiser step of one scale of the flow-matching presets.

A scale learns from the real scale below with noise mixed in. It needs nothing that a trained scale draws, so
that all scales can be trained at the same time.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from caw.cascade import Signal, resample
from caw.compose.guide import GROUPS, PHASE, SHIFT, Guide
from caw.compose.timeline import Timeline
from caw.config import FlowSettings
from caw.flow import scales
from caw.flow.network import Velocity
from caw.flow.score import RATE, Bands

WARM_UP = 50  # steps over which the learning rate rises
MOST_SEMITONES = 6  # of a transposed crop: any key is within reach
FINAL_RATE = 0.02  # share of the learning rate at the end of the cosine


def flow_matching(
    velocity: Callable[[Tensor, Tensor], Tensor], clean: Tensor, noise: Tensor, time: Tensor
) -> Tensor:
    """Squared error of the velocity on the straight path from clean (time 0) to noise (time 1).

    clean, noise: [B, C, N]; time: [B] in (0, 1). Lipman et al. 2023, equation 23.
    """
    t = time[:, None, None]
    return (velocity((1 - t) * clean + t * noise, time) - (noise - clean)).square().mean()


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with its state and defaults, in single precision where there is no GPU.

    torch's own makes the matrices of each step orthogonal in bfloat16, a format for which many processors
    have no instructions: on one with AVX2 alone a step of the score's network took 2.9 s that way, and takes
    0.32 s in single precision.

    Parameters
    ----------
    stacked : iterable of Tensor
        Those of the matrices that are two, one above the other. Off a GPU each half is made orthogonal by
        itself, which takes a quarter off a step of the score's network; on a GPU they are taken as one.
    """

    def __init__(
        self, matrices: Iterable[Tensor], rate: float, *, weight_decay: float, stacked: Iterable[Tensor] = ()
    ) -> None:
        super().__init__(matrices, rate, weight_decay=weight_decay)
        self.stacked = {id(parameter) for parameter in stacked}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; returns the closure's loss, where there is a closure."""
        if any(p.is_cuda for group in self.param_groups for p in group["params"]):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])  # Nesterov's
        parts = ahead.chunk(2) if id(parameter) in self.stacked else (ahead,)
        options = (group["ns_coefficients"], group["ns_steps"], group["eps"])
        direction = torch.cat([orthogonal(part, *options) for part in parts])
        rows, columns = parts[0].shape
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """A matrix [m, n] with its singular values brought near 1, by Newton and Schulz's iteration.

    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    tall = len(matrix) > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=eps)
    a, b, c = coefficients
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def rate_share(settings: FlowSettings, epoch: int) -> float:
    """The share of the full learning rate that a step takes, counted from 0.

    The schedule `root` falls with one over the root of the steps taken, wherever the training will end.
    """
    rise = min(1.0, (epoch + 1) / WARM_UP)
    if settings.schedule == "root":
        return rise * min(1.0, math.sqrt(settings.steady / (epoch + 1)))
    fall = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
    return rise * (FINAL_RATE + (1 - FINAL_RATE) * fall)


def averaging(settings: FlowSettings, epoch: int) -> float:
    """Decay of the weights' moving average at a step, counted from 0.

    With the schedule `root` its memory grows with the training (Karras et al. 2024, section 3.1): the average
    is always about a `settings.recent`th of the steps old, as if the rate had fallen towards this very step.
    """
    growing = (1 + epoch) / (settings.recent + epoch)
    return growing if settings.schedule == "root" else min(settings.averaging, growing)


class FlowTrainer(ABC):
    """What the trainers of score and waveforms have in common: optimisers, average, random state.

    The matrices between hidden channels are trained by Muon (Jordan et al. 2024), the rest by Adam.

    Parameters
    ----------
    clips : int
        How many clips the trainer learns from.
    own : int, optional
        How many of them the run is about. The others are an album, which the first `album_epochs` learn from
        as well.
    """

    def __init__(
        self,
        network: Velocity,
        scale: scales.ScoreScale | scales.FlowScale,
        index: int,
        settings: FlowSettings,
        device: torch.device,
        matrix_rate: float,
        clips: int,
        own: int | None = None,
    ) -> None:
        self.clip_count = self.clips_in_use = clips
        self.own = clips if own is None else own
        self.settings = settings
        self.device = device
        self.generator = torch.Generator().manual_seed(settings.seed * 1000 + index)
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network)
        self.scale = scale
        scale.network = self.average
        matrices = self.network.matrices()
        by_muon = {id(p) for p in matrices}
        # Unfinished runs of versions without guides go on with the steps that these versions took.
        stacked = self.network.gated_matrices() if settings.guide else []
        rest = [p for p in self.network.parameters() if id(p) not in by_muon]
        self.optimizers = [
            torch.optim.Adam(rest, settings.learning_rate, betas=(0.9, 0.99), fused=device.type == "cuda"),
            Muon(matrices, matrix_rate, weight_decay=settings.decay, stacked=stacked),
        ]

    steps_per_epoch = 1

    @abstractmethod
    def crops(self) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
        """Clean state, lower state or None, conditioning or None, and noise level [B]."""

    def dropout(self, hidden: Tensor) -> Tensor:
        """Dropout by the trainer's own random numbers; here none."""
        return hidden

    def step(self, epoch: int) -> dict[str, float]:
        """Take one optimiser step; returns the loss by name."""
        settings, generator = self.settings, self.generator
        self._choose_clips(epoch)
        share = rate_share(settings, epoch)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group.setdefault("full_rate", group["lr"])

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            clean, lower, conditioning, level = self.crops()
            time = torch.sigmoid(torch.randn(len(clean), generator=generator)).to(self.device)
            noise = torch.randn(clean.shape, generator=generator).to(self.device)
            loss = flow_matching(
                lambda x, t: self.network(x, lower, conditioning, t, level, self.dropout), clean, noise, time
            )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self._update_average(averaging(settings, epoch))
        return {"flow": loss.item()}

    def finish(self):
        """The scale with averaged weights."""
        self.average.eval()
        return self.scale

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimisers and random state."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.generator.set_state(state["generator"])

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    def _choose_clips(self, step: int) -> None:
        """The first steps learn from an album as well, those after them from the run's own clips alone."""
        early = step < self.settings.album_epochs * self.steps_per_epoch
        self.clips_in_use = self.clip_count if early else self.own

    def _places(self, starts: Sequence[int], count: int) -> list[tuple[int, int]]:
        """A clip and a start for each crop, all as likely. starts: how many each clip has."""
        ends = torch.tensor(starts).cumsum(0)
        chosen = torch.randint(0, int(ends[-1]), (count,), generator=self.generator)
        clips = torch.searchsorted(ends, chosen, right=True).tolist()
        return [(c, int(s) - (int(ends[c]) - starts[c])) for c, s in zip(clips, chosen.tolist(), strict=True)]


class ScoreTrainer(FlowTrainer):
    """Trains the score, in crops of some seconds, conditioned by the guide where there is one."""

    def __init__(
        self,
        scores: list[Tensor],
        bands: Bands,
        settings: FlowSettings,
        rates: tuple[float, ...],
        timelines: list[Timeline] | None = None,
        own: int | None = None,
    ) -> None:
        device = scores[0].device
        network = _seeded_network(settings, rates, 0, len(bands.mean), 1)
        guide = Guide.of(timelines[:own]) if timelines else None
        scale = scales.ScoreScale(network, bands, settings, guide=guide)
        super().__init__(network, scale, 0, settings, device, settings.score_rate, len(scores), own)
        self.steps_per_epoch = settings.score_steps
        self.scores = scores
        self.crop = min(round(settings.score_crop * RATE), *(s.shape[-1] for s in scores))
        self.rows, self.steps = [], []
        for timeline, score in zip(timelines or [], scores, strict=bool(timelines)):
            self.rows.append(torch.from_numpy(guide.rows(timeline, score.shape[-1], RATE)))
            self.steps.append(torch.from_numpy(guide.steps(timeline, score.shape[-1], RATE)))

    def step(self, epoch: int) -> dict[str, float]:
        """Take `settings.score_steps` optimiser steps; the loss is that of the last."""
        count = self.steps_per_epoch
        return [super(ScoreTrainer, self).step(epoch * count + i) for i in range(count)][-1]

    def finish(self) -> scales.ScoreScale:
        """The scale with averaged weights, calibrated to the clips."""
        scale = super().finish()
        scale.calibrate(self.scores[: self.own], torch.Generator().manual_seed(self.settings.seed))
        return scale

    def dropout(self, hidden: Tensor) -> Tensor:
        share = self.settings.score_dropout
        mask = torch.rand(hidden.shape, generator=self.generator).to(self.device) >= share
        return hidden * mask / (1 - share)

    def crops(self) -> tuple[Tensor, None, Tensor | None, Tensor]:
        starts = [s.shape[-1] - self.crop + 1 for s in self.scores[: self.clips_in_use]]
        places = self._places(starts, self.settings.score_batch)
        clean = [self.scores[c][:, s : s + self.crop] for c, s in places]
        shifts = [self._shift() for _ in places] if self.rows else []
        for index, shift in enumerate(shifts):
            if shift:
                clean[index] = self.scale.bands.transposed(clean[index], shift)
        conditioning = self._conditioning(places, shifts)
        return torch.stack(clean), None, conditioning, torch.zeros(len(clean), device=self.device)

    def _shift(self) -> int:
        """By how many semitones a crop is transposed: 0 for most."""
        share, place = torch.rand(2, generator=self.generator).tolist()
        if share >= self.settings.transposed:
            return 0
        choices = (*range(-MOST_SEMITONES, 0), *range(1, MOST_SEMITONES + 1))
        return choices[int(place * len(choices))]

    def _conditioning(self, places: list[tuple[int, int]], shifts: list[int]) -> Tensor | None:
        """The conditioning by the guide under each crop, with noise and some parts of it left out."""
        if not self.rows:
            return None
        crops = []
        for (clip, start), shift in zip(places, shifts, strict=True):
            rows = self.rows[clip][:, start : start + self.crop].clone()
            if shift:
                self.scale.guide.transpose(rows.numpy(), shift)
            steps = self.steps[clip][start : start + self.crop]
            values = SHIFT.start - PHASE.stop
            noise = torch.randn(values, int(steps[-1] - steps[0]) + 1, generator=self.generator)
            rows[PHASE.stop : SHIFT.start] += self.settings.guide_noise * noise[:, steps - steps[0]]
            left_out = torch.rand(len(GROUPS), generator=self.generator) < self.settings.guide_dropout
            for group, out in zip(GROUPS, left_out.tolist(), strict=True):
                if out:
                    rows[group] = 0
            crops.append(rows)
        return self.network.read(torch.stack(crops).to(self.device))


class WaveTrainer(FlowTrainer):
    """Trains a waveform, given the score and the waveform below.

    Crops begin at any sample and have either polarity.
    """

    def __init__(
        self,
        pyramids: list[list[Signal]],
        rates: tuple[float, ...],
        index: int,
        bands: Bands,
        settings: FlowSettings,
        own: int | None = None,
    ) -> None:
        waves = [p[index].wave for p in pyramids]
        channels = waves[0].shape[0]
        rate, lower_rate = rates[index], rates[index - 1] if index > 1 else None
        network = _seeded_network(settings, rates, index, len(bands.mean), channels)
        whitening = scales.Whitening.of([w.cpu().numpy() for w in waves[:own]], settings.prediction_order)
        scale = scales.FlowScale(rate, lower_rate, network, whitening, bands, channels, settings)
        device = waves[0].device
        super().__init__(network, scale, index, settings, device, settings.matrix_rate, len(waves), own)
        self.clean = [whitening.apply(w) for w in waves]
        self.lower = None
        if index > 1:
            lifted = [
                resample(p[index - 1].wave, lower_rate, rate, w.shape[-1])
                for p, w in zip(pyramids, waves, strict=True)
            ]
            self.lower = [whitening.apply(w) for w in lifted]
        self.scores = [p[index].score for p in pyramids]
        seconds = settings.finer_crop if index > 1 else settings.crop
        self.crop = min(round(seconds * rate), *(w.shape[-1] for w in waves)) // scale.fold

    def crops(self) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        settings, scale, device = self.settings, self.scale, self.device
        fold, samples = scale.fold, self.crop * scale.fold
        starts = [w.shape[-1] - samples + 1 for w in self.clean[: self.clips_in_use]]
        places = self._places(starts, settings.batch)
        signs = (2 * torch.randint(0, 2, (settings.batch,), generator=self.generator) - 1).tolist()

        def cut(waves: list[Tensor]) -> Tensor:
            pieces = [sign * waves[c][:, s : s + samples] for (c, s), sign in zip(places, signs, strict=True)]
            return torch.stack([scales.folded(piece, fold) for piece in pieces])

        level = torch.rand(settings.batch, generator=self.generator).to(device) * settings.lower_noise
        lower = None
        if self.lower is not None:
            mixed = scale.noise(settings.batch, self.crop, self.generator).to(device)
            lower = cut(self.lower) + level[:, None, None] * mixed
        return cut(self.clean), lower, self._conditioning(places, level), level

    def _conditioning(self, places: list[tuple[int, int]], level: Tensor) -> Tensor:
        """The conditioning by the score under each crop, with noise of a level [B] mixed in."""
        rate, fold = self.scale.rate, self.scale.fold
        width = math.ceil(self.crop * fold / rate * RATE) + 3
        pieces, offsets = [], []
        for clip, start in places:
            score = self.scores[clip]
            first = min(int(start / rate * RATE), score.shape[-1] - 1)
            piece = score[:, first : first + width]
            pieces.append(functional.pad(piece[None], (0, width - piece.shape[-1]), mode="replicate")[0])
            offsets.append(start / rate * RATE - first)
        score = torch.stack(pieces)
        noise = torch.randn(score.shape, generator=self.generator).to(self.device)
        frames = (torch.arange(self.crop, device=self.device) + 0.5) * (RATE * fold / rate)
        where = torch.tensor(offsets, device=self.device)[:, None] + frames
        return self.network.condition(score + level[:, None, None] * noise, where)


def _seeded_network(settings: FlowSettings, rates: tuple[float, ...], index: int, bands: int, channels: int):
    torch.manual_seed(settings.seed * 1000 + index)  # the weights' initial values
    return scales.untrained_network(settings, rates, index, bands, channels)
