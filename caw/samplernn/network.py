"""The network of Mehri et al. 2017, section 2: recurrent tiers over frames of samples, and a sample tier.

Each tier conditions the next finer one. Levels are whole numbers from 0 to 255 (`data.encode`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy, embedding_bag
from torch.nn.utils.parametrizations import weight_norm

from caw.samplernn.config import SampleRNNSettings
from caw.samplernn.data import LEVELS, frame_values


class Tier(nn.Module):
    """One recurrent tier (section 2.1): from frames and conditioning to the conditioning of the tier below.

    ratio: steps of the tier below in one of this tier's frames; each step has a vector of conditioning.
    """

    def __init__(self, frame: int, ratio: int, settings: SampleRNNSettings) -> None:
        super().__init__()
        self.frame, self.ratio, self.skip = frame, ratio, settings.skip
        dim = settings.dim
        self.expand = _linear(frame, dim, settings)
        recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}[settings.cell]
        self.recurrent = recurrent(dim, dim, settings.layers, batch_first=True)
        self.upsample = _linear(dim, ratio * dim, settings)
        parts = 1 if settings.cell == "gru" else 2
        self.start = nn.Parameter(torch.zeros(parts, settings.layers, dim))  # the learnt first state
        for name, weights in self.recurrent.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weights.data.split(dim):
                    nn.init.orthogonal_(gate)
            elif name.startswith("bias"):
                nn.init.zeros_(weights)

    def forward(
        self, values: torch.Tensor, conditioning: torch.Tensor | None, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Conditioning of the tier below, [batch, steps * ratio, dim], and the new state.

        values: [batch, steps * frame], of the samples before each step. conditioning: [batch, steps, dim], by
        the tier above. state: [parts, layers, batch, dim], hidden (and for an LSTM also cell).
        """
        inputs = self.expand(values.unflatten(1, (-1, self.frame)))
        if conditioning is not None:
            inputs = inputs + conditioning
        if isinstance(self.recurrent, nn.LSTM):
            output, parts = self.recurrent(inputs, (state[0].contiguous(), state[1].contiguous()))
            state = torch.stack(parts)
        else:
            output, last = self.recurrent(inputs, state[0].contiguous())
            state = last[None]
        if self.skip:
            output = output + inputs
        return self.upsample(output).unflatten(2, (self.ratio, -1)).flatten(1, 2), state


class SampleRNN(nn.Module):
    """Logits of the level of each sample, conditioned on all samples before it."""

    def __init__(self, settings: SampleRNNSettings) -> None:
        super().__init__()
        self.settings = settings
        sizes, dim = settings.frame_sizes, settings.dim
        ratios = [a // b for a, b in zip(sizes, (*sizes[1:], 1), strict=True)]
        self.tiers = nn.ModuleList(Tier(n, ratio, settings) for n, ratio in zip(sizes, ratios, strict=True))
        self.embedding = nn.Embedding(LEVELS, settings.embedding)
        self.gather = _linear(settings.context * settings.embedding, dim, settings, bias=False)
        self.hidden = _linear(dim, dim, settings)
        self.logits = _linear(dim, LEVELS, settings, scale=0.1)  # all levels about as likely at first
        self.register_buffer("values", torch.from_numpy(frame_values()), persistent=False)

    def start(self, batch: int) -> torch.Tensor:
        """The learnt states before the first sample, [tiers, parts, layers, batch, dim]."""
        starts = torch.stack([tier.start for tier in self.tiers])
        return starts[:, :, :, None].expand(-1, -1, -1, batch, -1)

    def forward(self, levels: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of n samples, [batch, n, 256], and the states after them.

        levels: int64 [batch, frame_sizes[0] + n], of the largest frame before the samples and of the samples.
        """
        sizes = self.settings.frame_sizes
        before, count = sizes[0], levels.shape[1] - sizes[0]
        values, conditioning, after = self.values[levels], None, []
        for index, tier in enumerate(self.tiers):
            past = values[:, before - tier.frame : before - tier.frame + count]
            conditioning, state = tier(past, conditioning, states[index])
            after.append(state)
        width = self.settings.context
        seen = levels[:, before - width : -1].unfold(1, width, 1)  # [batch, n, width]
        rows = seen + LEVELS * torch.arange(width, device=levels.device)
        embedded = embedding_bag(rows.flatten(0, 1), self.table().flatten(0, 1), mode="sum")
        hidden = torch.relu(conditioning + embedded.view_as(conditioning))
        hidden = torch.relu(self.hidden(hidden))
        return self.logits(hidden), torch.stack(after)

    def table(self) -> torch.Tensor:
        """Input of the sample tier by each level at each place before a sample, [context, 256, dim].

        It is `gather` of the embeddings, computed for the levels, of which there are fewer than samples.
        """
        width = self.settings.context
        return torch.einsum(
            "le,dke->kld", self.embedding.weight, self.gather.weight.unflatten(1, (width, -1))
        )

    def bits(self, levels: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean negative log-likelihood of the n samples in bits per sample, and the states after them."""
        logits, states = self(levels, states)
        targets = levels[:, self.settings.frame_sizes[0] :]
        return cross_entropy(logits.flatten(0, 1), targets.flatten()) / 0.6931471805599453, states


def _linear(
    inputs: int, outputs: int, settings: SampleRNNSettings, *, bias: bool = True, scale: float = 1.0
) -> nn.Module:
    """A linear layer initialised by He et al. 2015, as published, with weight normalisation if it is set."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu" if bias else "linear")
    layer.weight.data *= scale
    if bias:
        nn.init.zeros_(layer.bias)
    return weight_norm(layer) if settings.weight_norm else layer
