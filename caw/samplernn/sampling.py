"""Drawing from a trained network: many clips at once, each by dice of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from caw.run_folder import RunError
from caw.samplernn import quantisation
from caw.samplernn.config import ODDS, Odds, Settings
from caw.samplernn.network import SampleRNN

WARM_UP = 1.0  # seconds that are drawn from the learnt start and thrown away
PIECE = 0.25  # seconds drawn between two words of progress


@dataclass(frozen=True)
class Weights:
    """A network's weights as the compiled step reads them: one array, and where in it each part begins.

    Row i of `at`: tier i's expand (weights [frame, dim], bias), upsample ([dim, ratio * dim], bias), then for
    each layer those of what it is given and of its own state ([dim, gates * dim], bias). Last row: the sample
    tier's table [context, 256, dim], hidden and logits, each with bias.
    """

    pool: np.ndarray  # float32 [all]
    at: np.ndarray  # int64 [tiers + 1, parts]
    sizes: np.ndarray  # int64 [tiers]
    shape: np.ndarray  # int64: layers, dim, context, LSTM?, skip?


@torch.no_grad()
def weights_of(network: SampleRNN) -> Weights:
    """The network's weights, normalised and laid out for the compiled step."""
    settings, dim = network.settings, network.settings.dim
    lstm = settings.cell == "lstm"
    rows, parts, length = [], [], 0

    def place(*tensors: torch.Tensor) -> list[int]:
        nonlocal length
        begins = []
        for tensor in tensors:
            parts.append(tensor.detach().cpu().float().contiguous().numpy().ravel())
            begins.append(length)
            length += parts[-1].size
        return begins

    for tier in network.tiers:
        row = place(tier.expand.weight.T, tier.expand.bias, tier.upsample.weight.T, tier.upsample.bias)
        for layer in range(settings.layers):
            given, own, bias, own_bias = (
                getattr(tier.recurrent, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            biases = (bias + own_bias, torch.zeros_like(own_bias)) if lstm else (bias, own_bias)
            row += place(given.T, biases[0], own.T, biases[1])
        rows.append(row)
    layers = (network.hidden, network.logits)
    rows.append(place(network.table(), *(part for layer in layers for part in (layer.weight.T, layer.bias))))
    at = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for index, row in enumerate(rows):
        at[index, : len(row)] = row
    shape = [settings.layers, dim, settings.context, lstm, settings.skip]
    return Weights(np.concatenate(parts), at, np.array(settings.frame_sizes), np.array(shape, np.int64))


class Voices:
    """Clips that are drawn side by side: the network's states after what each has sounded so far."""

    def __init__(self, weights: Weights, start: np.ndarray, clips: int, settings: Settings) -> None:
        """start: the learnt states before the first sample, float32 [tiers, parts, layers, dim]."""
        self.weights, self.settings = weights, settings
        states = np.repeat(start[:, :, :, None], clips, 3)  # [tiers, parts, layers, clips, dim]
        self.hidden = np.ascontiguousarray(states[:, 0])
        self.cells = np.ascontiguousarray(states[:, -1])
        self.history = np.full((clips, settings.frame_sizes[0]), quantisation.SILENCE, np.uint8)

    def draw(self, uniforms: np.ndarray, odds: Odds) -> np.ndarray:
        """The next levels of every clip, uint8 [clips, n]; uniforms: float32 [clips, n] from 0 to below 1."""
        return self._walk(uniforms, np.full(uniforms.shape, -1, np.int16), odds)[0]

    def hear(self, levels: np.ndarray) -> None:
        """Take levels, uint8 [clips, n], for what the clips sounded."""
        self._walk(np.zeros(levels.shape, np.float32), levels.astype(np.int16))

    def logits(self, levels: np.ndarray) -> np.ndarray:
        """The same, and what the network expected of each sample: float32 [clips, n, 256]."""
        return self._walk(np.zeros(levels.shape, np.float32), levels.astype(np.int16), told=True)[1]

    def take(self, chosen: np.ndarray) -> None:
        """Go on with these clips, by index; one may be chosen more than once."""
        self.hidden = np.ascontiguousarray(self.hidden[:, :, chosen])
        self.cells = np.ascontiguousarray(self.cells[:, :, chosen])
        self.history = np.ascontiguousarray(self.history[chosen])

    def _walk(
        self, uniforms: np.ndarray, forced: np.ndarray, odds: Odds = ODDS, told: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        from caw.samplernn.fused_step import walk  # takes a second to load, and some to compile

        clips, count = uniforms.shape
        out = np.empty((clips, count), np.uint8)
        logits = np.empty((clips, count if told else 0, quantisation.LEVELS), np.float32)
        values = quantisation.frame_values()
        weights = self.weights
        how = [np.float32(number) for number in (odds.temperature, odds.top_p, odds.eta)]

        def part(rows: slice) -> None:
            hidden, cells = (np.ascontiguousarray(a[:, :, rows]) for a in (self.hidden, self.cells))
            walk(
                weights.pool, weights.at, weights.sizes, weights.shape, values, hidden, cells,
                self.history[rows], np.ascontiguousarray(uniforms[rows], np.float32),
                np.ascontiguousarray(forced[rows]), *how, out[rows], logits[rows],
            )  # fmt: skip
            self.hidden[:, :, rows], self.cells[:, :, rows] = hidden, cells

        threads = min(clips, torch.get_num_threads())
        bounds = [clips * i // threads for i in range(threads + 1)]
        rows = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
        if threads == 1:
            part(rows[0])
        else:
            with ThreadPoolExecutor(threads, "samplernn-draw") as pool:
                list(pool.map(part, rows))
        return out, logits


def voices(network: SampleRNN, clips: int) -> Voices:
    """As many clips, before their first sample."""
    start = torch.stack([tier.start for tier in network.tiers]).detach().cpu().numpy()
    return Voices(weights_of(network), start, clips, network.settings)


def generate(
    network: SampleRNN,
    samples: int,
    rate: int,
    *,
    seeds: Sequence[int],
    odds: Odds,
    told: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Music from the learnt start, after WARM_UP: float32 [len(seeds), samples], from -1 to 1.

    Clip i depends on seeds[i] and on no other clip. told: hears the share that is done.
    Raises: RunError for a seed that cannot be.
    """
    check(seeds)
    settings = network.settings
    drawn, dice = voices(network, len(seeds)), [np.random.default_rng(seed) for seed in seeds]
    frame = settings.frame_sizes[0]
    warm_up, piece = _whole(WARM_UP * rate, frame), _whole(PIECE * rate, frame)
    pieces, whole = [], warm_up + samples
    for begin in range(0, whole, piece):
        uniforms = np.stack([one.random(piece, np.float32) for one in dice])
        pieces.append(drawn.draw(uniforms, odds))
        if told:
            told(min(1.0, (begin + piece) / whole))
    levels = np.concatenate(pieces, 1)[:, warm_up : warm_up + samples]
    return quantisation.decode(levels, settings.quantisation)


def check(seeds: Sequence[int]) -> None:
    """Raises: RunError for a seed that cannot be."""
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise RunError(f"seed is {seed!r}; use a whole number from 0 to 2^63 - 1")


def _whole(samples: float, frame: int) -> int:
    """The next whole number of frames, in samples."""
    return -(-round(samples) // frame) * frame
