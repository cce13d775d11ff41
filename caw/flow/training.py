"""One optimiser step of one scale of the flow-matching presets.

A scale learns from the real scale below, with noise mixed in, and needs nothing drawn: all scales can be
trained at the same time.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from caw.compose.guide import GROUPS, PHASE, SHIFT, Guide
from caw.compose.timeline import Timeline
from caw.config import FlowSettings
from caw.flow import scales
from caw.flow.muon import Muon
from caw.flow.score import RATE, Bands
from caw.flow.velocity import Velocity
from caw.losses import flow_matching
from caw.pyramid import Signal, resample

WARM_UP = 50  # steps over which the learning rate rises
MOST_SEMITONES = 6  # of a transposed crop: any key is within reach
FINAL_RATE = 0.02  # its share left at the end of the cosine


def rate_share(settings: FlowSettings, epoch: int) -> float:
    """The share of the full learning rate that a step takes, counted from 0.

    `root` falls with one over the root of the steps taken, wherever the training will end.
    """
    rise = min(1.0, (epoch + 1) / WARM_UP)
    if settings.schedule == "root":
        return rise * min(1.0, math.sqrt(settings.steady / (epoch + 1)))
    fall = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
    return rise * (FINAL_RATE + (1 - FINAL_RATE) * fall)


def averaging(settings: FlowSettings, epoch: int) -> float:
    """Decay of the weights' moving average at a step, counted from 0.

    With `root` its memory grows with the training (Karras et al. 2024, section 3.1): the average is always
    about a `settings.recent`th of the steps old, as a falling rate would have it at every possible end.
    """
    growing = (1 + epoch) / (settings.recent + epoch)
    return growing if settings.schedule == "root" else min(settings.averaging, growing)


class FlowTrainer(ABC):
    """What score and waveforms have in common: optimisers, average, random state.

    clips: how many it learns from. own: how many of them the run is about; the others are an album, which
    the first `album_epochs` learn from as well.
    The matrices between hidden channels are trained by Muon (Jordan et al. 2024), the rest by Adam.
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
        self.clip_count = self.among = clips
        self.own = clips if own is None else own
        self.settings = settings
        self.device = device
        self.generator = torch.Generator().manual_seed(settings.seed * 1000 + index)
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network)
        self.scale = scale
        scale.network = self.average
        matrices = self.network.matrices()
        known = {id(p) for p in matrices}
        stacked = self.network.gated_matrices() if settings.guide else []  # trainings of before go on as then
        rest = [p for p in self.network.parameters() if id(p) not in known]
        self.optimizers = [
            torch.optim.Adam(rest, settings.learning_rate, betas=(0.9, 0.99), fused=device.type == "cuda"),
            Muon(matrices, matrix_rate, weight_decay=settings.decay, stacked=stacked),
        ]

    steps_per_epoch = 1

    @abstractmethod
    def crops(self) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
        """Clean state, lower state or None, what is told of the score or None, and noise level [B]."""

    def drop(self, hidden: Tensor) -> Tensor:
        """Dropout, by the trainer's own random numbers; none unless a trainer says so."""
        return hidden

    def step(self, epoch: int) -> dict[str, float]:
        """One optimiser step; returns the loss by name."""
        settings, generator = self.settings, self.generator
        self._choose_clips(epoch)
        share = rate_share(settings, epoch)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group.setdefault("full_rate", group["lr"])

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            clean, lower, told, level = self.crops()
            time = torch.sigmoid(torch.randn(len(clean), generator=generator)).to(self.device)
            noise = torch.randn(clean.shape, generator=generator).to(self.device)
            loss = flow_matching(
                lambda x, t: self.network(x, lower, told, t, level, self.drop), clean, noise, time
            )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self._follow(averaging(settings, epoch))
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
    def _follow(self, decay: float) -> None:
        for kept, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(now, 1 - decay)

    def _choose_clips(self, step: int) -> None:
        """The first steps learn from an album as well, those after them from the run's own clips alone."""
        early = step < self.settings.album_epochs * self.steps_per_epoch
        self.among = self.clip_count if early else self.own

    def _places(self, rooms: Sequence[int], count: int) -> list[tuple[int, int]]:
        """A clip and a start for each crop, each start of each clip as likely; rooms: starts per clip."""
        ends = torch.tensor(rooms).cumsum(0)
        chosen = torch.randint(0, int(ends[-1]), (count,), generator=self.generator)
        clips = torch.searchsorted(ends, chosen, right=True).tolist()
        return [(c, int(s) - (int(ends[c]) - rooms[c])) for c, s in zip(clips, chosen.tolist(), strict=True)]


class ScoreTrainer(FlowTrainer):
    """The score, in crops of some seconds, with what the guide says of them."""

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
        """`settings.score_steps` optimiser steps; the loss is that of the last."""
        count = self.steps_per_epoch
        return [super(ScoreTrainer, self).step(epoch * count + i) for i in range(count)][-1]

    def finish(self) -> scales.ScoreScale:
        """The scale with averaged weights and its bands evened out."""
        scale = super().finish()
        scale.even_out(self.scores[: self.own], torch.Generator().manual_seed(self.settings.seed))
        return scale

    def drop(self, hidden: Tensor) -> Tensor:
        share = self.settings.score_dropout
        kept = torch.rand(hidden.shape, generator=self.generator).to(self.device) >= share
        return hidden * kept / (1 - share)

    def crops(self) -> tuple[Tensor, None, Tensor | None, Tensor]:
        places = self._places(
            [s.shape[-1] - self.crop + 1 for s in self.scores[: self.among]], self.settings.score_batch
        )
        clean = [self.scores[c][:, s : s + self.crop] for c, s in places]
        shifts = [self._shift() for _ in places] if self.rows else []
        for index, shift in enumerate(shifts):
            if shift:
                clean[index] = self.scale.bands.transposed(clean[index], shift)
        conditioning = self._conditioning(places, shifts)
        return torch.stack(clean), None, conditioning, torch.zeros(len(clean), device=self.device)

    def _shift(self) -> int:
        """By how many semitones a crop is transposed: 0 for most."""
        share, semitones = torch.rand(2, generator=self.generator).tolist()
        if share >= self.settings.transposed:
            return 0
        return (*range(-MOST_SEMITONES, 0), *range(1, MOST_SEMITONES + 1))[
            int(semitones * 2 * MOST_SEMITONES)
        ]

    def _conditioning(self, places: list[tuple[int, int]], shifts: list[int]) -> Tensor | None:
        """What the network reads of the guide under each crop, noise in it and some of it left out."""
        if not self.rows:
            return None
        cut = []
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
            cut.append(rows)
        return self.network.read(torch.stack(cut).to(self.device))


class WaveTrainer(FlowTrainer):
    """A waveform given the score and the waveform below; crops begin at any sample, in either polarity."""

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
        places = self._places([w.shape[-1] - samples + 1 for w in self.clean[: self.among]], settings.batch)
        signs = (2 * torch.randint(0, 2, (settings.batch,), generator=self.generator) - 1).tolist()

        def cut(waves: list[Tensor]) -> Tensor:
            pieces = [sign * waves[c][:, s : s + samples] for (c, s), sign in zip(places, signs, strict=True)]
            return torch.stack([scales.folded(piece, fold) for piece in pieces])

        level = torch.rand(settings.batch, generator=self.generator).to(device) * settings.lower_noise
        lower = None
        if self.lower is not None:
            mixed = scale.noise(settings.batch, self.crop, self.generator).to(device)
            lower = cut(self.lower) + level[:, None, None] * mixed
        return cut(self.clean), lower, self._told(places, level), level

    def _told(self, places: list[tuple[int, int]], level: Tensor) -> Tensor:
        """What the network reads of the score under each crop, with noise of its level mixed in."""
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
        return self.network.told(score + level[:, None, None] * noise, where)


def _seeded_network(settings: FlowSettings, rates: tuple[float, ...], index: int, bands: int, channels: int):
    torch.manual_seed(settings.seed * 1000 + index)  # the weights' initial values
    return scales.network_for(settings, rates, index, bands, channels)
