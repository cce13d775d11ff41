"""The network of a flow-matching scale, and the way along its velocity from noise to a signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from caw import threads
from caw.flow.score import at

FREQUENCIES = 16  # of the sinusoidal embedding of time and of noise level
EMBEDDING = 64
BLOCK = 4096  # frames worked on at a time, at most: smaller ones keep Python busier than torch

Drop = Callable[[Tensor], Tensor]
Hold = Callable[[Tensor, float], Tensor]


def kept(state: Tensor, time: float) -> Tensor:
    """A state of which nothing is known beforehand."""
    return state


class Layer(nn.Module):
    """Residual gated convolution, told time and noise level by a bias.

    What is gated is a plain sum (Dauphin et al. 2017) or, `bounded`, its tanh (van den Oord et al. 2016).
    """

    def __init__(self, channels: int, kernel: int, dilation: int, *, bounded: bool = False) -> None:
        super().__init__()
        self.kernel, self.dilation, self.bounded = kernel, dilation, bounded
        self.scale = nn.Parameter(torch.ones(1, channels, 1))
        spread = 1 / math.sqrt(channels * kernel)
        self.weight = nn.Parameter(torch.empty(2 * channels, channels * kernel).uniform_(-spread, spread))
        self.told = nn.Linear(EMBEDDING, 2 * channels)
        self.mix = nn.Parameter(torch.zeros(channels, channels))

    def forward(self, x: Tensor, told: Tensor, drop: Drop = lambda h: h) -> Tensor:
        batch, channels, frames = x.shape
        d = self.dilation
        h = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4) * self.scale
        # A dilated convolution as an undilated one of d interleaved signals: faster on a CPU.
        h = functional.pad(h, (0, -frames % d)).view(batch, channels, -1, d)
        h = h.permute(0, 3, 1, 2).reshape(batch * d, channels, -1)
        h = functional.conv1d(h, self.weight.view(-1, channels, self.kernel), padding=self.kernel // 2)
        h = h.view(batch, d, 2 * channels, -1).permute(0, 2, 3, 1)
        h = h.reshape(batch, 2 * channels, -1)[..., :frames]
        content, gate = (h + self.told(told)[:, :, None]).chunk(2, 1)
        h = drop((torch.tanh(content) if self.bounded else content) * torch.sigmoid(gate))
        return x + functional.conv1d(h, self.mix[:, :, None])


class Velocity(nn.Module):
    """Velocity of the flow, on frames: noisy [B, C, F], lower [B, G, F], score [B, D, S] -> [B, C, F].

    Every output frame depends on `receptive_field` frames of `noisy` and `lower`.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        layers: int,
        *,
        signal: int,
        lower: int = 0,
        bands: int = 0,
        bounded: bool = False,
    ) -> None:
        super().__init__()
        dilations = [2**i for i in range(layers)]
        self.receptive_field = sum(dilations) * (kernel - 1) + 3
        self.enter = nn.Conv1d(signal + lower, channels, 3, padding=1)
        self.read = nn.Conv1d(bands, channels, 3, padding=1) if bands else None
        self.layers = nn.ModuleList(Layer(channels, kernel, d, bounded=bounded) for d in dilations)
        self.leave = nn.Conv1d(channels, signal, 1)
        nn.init.zeros_(self.leave.weight)
        self.tell = nn.Sequential(
            nn.Linear(4 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
        )
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), FREQUENCIES)))

    def matrices(self) -> list[nn.Parameter]:
        """The weights between hidden channels, which an optimiser may treat as matrices."""
        return [p for layer in self.layers for p in (layer.weight, layer.mix)]

    def gated_matrices(self) -> list[nn.Parameter]:
        """Those of them that hold the weights of what is gated over those of the gate."""
        return [layer.weight for layer in self.layers]

    def told(self, score: Tensor, places: Tensor) -> Tensor:
        """The score [B, D, S] as the network reads it at `places` [B, F], in frames of the score."""
        return at(self.read(score), places)

    def forward(
        self,
        noisy: Tensor,
        lower: Tensor | None,
        told: Tensor | None,
        time: Tensor,
        level: Tensor,
        drop: Drop = lambda h: h,
    ) -> Tensor:
        """told: from the method of that name, [B, channels, F]; time and noise level: [B].

        drop: what is done to each layer's output while training.
        """
        angles = torch.cat([time[:, None] * self.frequencies, level[:, None] * self.frequencies], 1)
        bias = self.tell(torch.cat([angles.sin(), angles.cos()], 1))
        h = self.enter(noisy if lower is None else torch.cat([noisy, lower], 1))
        if told is not None:
            h = h + told
        for layer in self.layers:
            h = layer(h, bias, drop)
        return self.leave(h)


@torch.inference_mode()
def integrate(
    network: Velocity,
    start: Tensor,
    lower: Tensor | None,
    told: Callable[[int, int], Tensor | None],
    level: float,
    *,
    steps: int,
    time: float = 1.0,
    end: float = 0.0,
    hold: Hold = kept,
) -> Tensor:
    """Follow the velocity of `network` from `start` [C, F] at `time` to `end`, by Adams and Bashforth's
    method of second order: one evaluation a step.

    lower: [G, F]. told: gives what the network is told of the score at frames a to b, [1, channels, b - a].
    level: of the noise in what is given. steps: for the whole way from 1 to 0. hold: puts back what is known
    of the state [C, F] at a time. Frames are worked on in blocks with enough around them, so the result does
    not depend on the blocks.
    """
    frames, halo = start.shape[-1], network.receptive_field // 2
    pairs = math.ceil(frames / (2 * BLOCK)) if frames > BLOCK // 2 else 0.5
    block = math.ceil(frames / (2 * pairs))  # as many for each of two threads
    count = max(1, math.ceil(steps * abs(time - end)))
    times = torch.linspace(time, end, count + 1, dtype=torch.float64).tolist()
    levels = torch.tensor([level], device=start.device, dtype=torch.float32)

    def velocity(x: Tensor, t: float) -> Tensor:
        now = torch.tensor([t], device=x.device, dtype=torch.float32)
        found = torch.empty_like(x)

        def work(first: int) -> None:
            last = min(frames, first + block)
            a, b = max(0, first - halo), min(frames, last + halo)
            below = None if lower is None else lower[None, :, a:b]
            piece = network(x[None, :, a:b], below, told(a, b), now, levels)
            found[:, first:last] = piece[0, :, first - a : last - a]

        threads.each(work, range(0, frames, block), x.device)
        return found

    x, before = start, None
    for now, then in zip(times[:-1], times[1:], strict=True):
        slope = velocity(x, now)
        x = hold(x + (then - now) * (slope if before is None else 1.5 * slope - 0.5 * before), then)
        before = slope
    return x
