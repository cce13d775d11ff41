"""The network of a flow-matching scale, and the way along its velocity from noise to a signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from caw.flow.score import interpolate
from caw.parallel import map_blocks

FREQUENCIES = 16  # of the sinusoidal embedding of time and of noise level
EMBEDDING = 64
BLOCK = 4096  # frames worked on at a time, at most: smaller blocks keep Python busier than torch

Dropout = Callable[[Tensor], Tensor]
Constraint = Callable[[Tensor, float], Tensor]  # (state, time) -> state


def unchanged(state: Tensor) -> Tensor:
    """No dropout."""
    return state


def unconstrained(state: Tensor, time: float) -> Tensor:
    """No constraint: nothing of the state is known beforehand."""
    return state


class Layer(nn.Module):
    """Residual gated convolution, to which time and noise level are added as a bias.

    What is gated is a plain sum (Dauphin et al. 2017) or, where `bounded`, its tanh (van den Oord et al.
    2016). Names of submodules are keys of the saved weights.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, *, bounded: bool = False) -> None:
        super().__init__()
        self.kernel, self.dilation, self.bounded = kernel, dilation, bounded
        self.scale = nn.Parameter(torch.ones(1, channels, 1))
        spread = 1 / math.sqrt(channels * kernel)
        self.weight = nn.Parameter(torch.empty(2 * channels, channels * kernel).uniform_(-spread, spread))
        self.told = nn.Linear(EMBEDDING, 2 * channels)  # of the embedded time and noise level
        self.mix = nn.Parameter(torch.zeros(channels, channels))

    def forward(self, x: Tensor, embedding: Tensor, dropout: Dropout = unchanged) -> Tensor:
        batch, channels, frames = x.shape
        d = self.dilation
        h = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4) * self.scale
        # A dilated convolution as an undilated one of d interleaved signals: faster on a CPU.
        h = functional.pad(h, (0, -frames % d)).view(batch, channels, -1, d)
        h = h.permute(0, 3, 1, 2).reshape(batch * d, channels, -1)
        h = functional.conv1d(h, self.weight.view(-1, channels, self.kernel), padding=self.kernel // 2)
        h = h.view(batch, d, 2 * channels, -1).permute(0, 2, 3, 1)
        h = h.reshape(batch, 2 * channels, -1)[..., :frames]
        content, gate = (h + self.told(embedding)[:, :, None]).chunk(2, 1)
        h = dropout((torch.tanh(content) if self.bounded else content) * torch.sigmoid(gate))
        return x + functional.conv1d(h, self.mix[:, :, None])


class Velocity(nn.Module):
    """Velocity of the flow, on frames: noisy [B, C, F], lower [B, G, F], score [B, D, S] -> [B, C, F].

    Every output frame depends on `receptive_field` frames of `noisy` and `lower`. Names of submodules are
    keys of the saved weights.

    Parameters
    ----------
    signal, lower : channels C and G of what is drawn and of the scale below
    bands : rows D of the score, or of the guide that a score follows; 0 for none
    bounded : see `Layer`
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
        self.read = nn.Conv1d(bands, channels, 3, padding=1) if bands else None  # the score, or the guide
        self.layers = nn.ModuleList(Layer(channels, kernel, d, bounded=bounded) for d in dilations)
        self.leave = nn.Conv1d(channels, signal, 1)
        nn.init.zeros_(self.leave.weight)
        self.tell = nn.Sequential(  # embeds time and noise level
            nn.Linear(4 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
        )
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), FREQUENCIES)))

    def matrices(self) -> list[nn.Parameter]:
        """The weights between hidden channels, which an optimiser may treat as matrices."""
        return [p for layer in self.layers for p in (layer.weight, layer.mix)]

    def gated_matrices(self) -> list[nn.Parameter]:
        """Those matrices that hold the weights of what is gated above the weights of the gate."""
        return [layer.weight for layer in self.layers]

    def condition(self, score: Tensor, places: Tensor) -> Tensor:
        """The conditioning [B, channels, F] by a score [B, D, S] at `places` [B, F], in its frames."""
        return interpolate(self.read(score), places)

    def forward(
        self,
        noisy: Tensor,
        lower: Tensor | None,
        conditioning: Tensor | None,
        time: Tensor,
        level: Tensor,
        dropout: Dropout = unchanged,
    ) -> Tensor:
        """The velocity at a time [B], given the noise level of what is given [B].

        conditioning: as from `condition`. dropout: applied to each layer's output while training.
        """
        angles = torch.cat([time[:, None] * self.frequencies, level[:, None] * self.frequencies], 1)
        embedding = self.tell(torch.cat([angles.sin(), angles.cos()], 1))
        h = self.enter(noisy if lower is None else torch.cat([noisy, lower], 1))
        if conditioning is not None:
            h = h + conditioning
        for layer in self.layers:
            h = layer(h, embedding, dropout)
        return self.leave(h)


@torch.inference_mode()
def integrate(
    network: Velocity,
    start: Tensor,
    lower: Tensor | None,
    conditioning: Callable[[int, int], Tensor | None],
    level: float,
    *,
    steps: int,
    time: float = 1.0,
    end: float = 0.0,
    constrain: Constraint = unconstrained,
) -> Tensor:
    """Follow the velocity of `network` from a state [C, F] at `time` to its state at `end`.

    By the method of Adams and Bashforth of second order, with one evaluation a step. Frames are worked on in
    blocks with enough around them, so that the result does not depend on the blocks.

    Parameters
    ----------
    start : Tensor [C, F]
    lower : Tensor [G, F] or None
    conditioning : callable
        Gives the conditioning of frames a to b, [1, channels, b - a] or None.
    level : float
        Of the noise in what is given.
    steps : int
        For the whole way from 1 to 0.
    constrain : callable
        Puts back what is known of the state at a time.
    """
    frames, halo = start.shape[-1], network.receptive_field // 2
    pairs = math.ceil(frames / (2 * BLOCK)) if frames > BLOCK // 2 else 0.5
    block = math.ceil(frames / (2 * pairs))  # as many for each of two threads
    count = max(1, math.ceil(steps * abs(time - end)))
    times = torch.linspace(time, end, count + 1, dtype=torch.float64).tolist()
    levels = torch.tensor([level], device=start.device, dtype=torch.float32)

    def velocity(x: Tensor, t: float) -> Tensor:
        now = torch.tensor([t], device=x.device, dtype=torch.float32)
        result = torch.empty_like(x)

        def evaluate(first: int) -> None:
            last = min(frames, first + block)
            a, b = max(0, first - halo), min(frames, last + halo)
            below = None if lower is None else lower[None, :, a:b]
            piece = network(x[None, :, a:b], below, conditioning(a, b), now, levels)
            result[:, first:last] = piece[0, :, first - a : last - a]

        map_blocks(evaluate, range(0, frames, block), x.device)
        return result

    x, before = start, None
    for now, then in zip(times[:-1], times[1:], strict=True):
        slope = velocity(x, now)
        x = constrain(x + (then - now) * (slope if before is None else 1.5 * slope - 0.5 * before), then)
        before = slope
    return x
