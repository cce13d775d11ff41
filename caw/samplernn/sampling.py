"""Drawing from a trained network: new music (UMG) and variations (VAR), many clips at once.

Variations follow the sound of a clip with a waveform that is drawn anew. Many candidates are drawn side by
side; every BLOCK seconds those whose spectrum is farthest from the clip's at that moment give way to copies
of the nearest (the particle filter of Gordon, Salmond and Smith 1993, with the distance to the clip in place
of a likelihood). The network's input does not include the clip: it is steered by selection alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from caw.run_folder import RunError
from caw.samplernn.config import CANDIDATES, ODDS, Odds, SampleRNNSettings
from caw.samplernn.data import LEVELS, SILENCE, decode, frame_values
from caw.samplernn.network import SampleRNN

WARM_UP = 1.0  # seconds that are drawn from the learnt start and discarded
PIECE = 0.25  # seconds drawn between two reports of progress
BLOCK = 0.032  # seconds between two selections of candidates
SURVIVORS = 4  # one in so many candidates survives a selection
_LOWEST = 60.0  # Hz of the lowest band
_BANDS_PER_OCTAVE = 12  # so that the notes of chords are resolved
_PARTS = 4  # of a block, whose levels in wide bands locate the beginnings of notes
_FLOOR_DB = 60.0  # below the clip's loudest band; anything fainter counts as silence


@dataclass(frozen=True)
class PackedWeights:
    """A network's weights in one array for the compiled steps, and where in it each part begins.

    Row i of `at`: tier i's expand (weights [frame, dim], bias), upsample ([dim, ratio * dim], bias), then for
    each layer those of its input and of its own state ([dim, gates * dim], bias). Last row: the sample tier's
    table [context, 256, dim], hidden and logits, each with bias.
    """

    pool: np.ndarray  # float32 [all]
    at: np.ndarray  # int64 [tiers + 1, parts]
    sizes: np.ndarray  # int64 [tiers]
    shape: np.ndarray  # int64: layers, dim, context, LSTM?, skip?


@torch.no_grad()
def weights_of(network: SampleRNN) -> PackedWeights:
    """The network's weights, normalised and packed for the compiled steps."""
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
            inputs, own, bias, own_bias = (
                getattr(tier.recurrent, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            biases = (bias + own_bias, torch.zeros_like(own_bias)) if lstm else (bias, own_bias)
            row += place(inputs.T, biases[0], own.T, biases[1])
        rows.append(row)
    layers = (network.hidden, network.logits)
    rows.append(place(network.table(), *(part for layer in layers for part in (layer.weight.T, layer.bias))))
    at = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for index, row in enumerate(rows):
        at[index, : len(row)] = row
    shape = [settings.layers, dim, settings.context, lstm, settings.skip]
    return PackedWeights(np.concatenate(parts), at, np.array(settings.frame_sizes), np.array(shape, np.int64))


class Voices:
    """Clips that are drawn side by side: the network's states after the samples that each has so far."""

    def __init__(
        self, weights: PackedWeights, start: np.ndarray, clips: int, settings: SampleRNNSettings
    ) -> None:
        """start: the learnt states before the first sample, float32 [tiers, parts, layers, dim]."""
        self.weights, self.settings = weights, settings
        states = np.repeat(start[:, :, :, None], clips, 3)  # [tiers, parts, layers, clips, dim]
        self.hidden = np.ascontiguousarray(states[:, 0])
        self.cells = np.ascontiguousarray(states[:, -1])
        self.history = np.full((clips, settings.frame_sizes[0]), SILENCE, np.uint8)

    def draw(self, uniforms: np.ndarray, odds: Odds) -> np.ndarray:
        """The next levels of every clip, uint8 [clips, n]; uniforms: float32 [clips, n] from 0 to below 1."""
        return self._run(uniforms, np.full(uniforms.shape, -1, np.int16), odds)[0]

    def read(self, levels: np.ndarray) -> None:
        """Read levels, uint8 [clips, n], as the next samples of the clips."""
        self._run(np.zeros(levels.shape, np.float32), levels.astype(np.int16))

    def logits(self, levels: np.ndarray) -> np.ndarray:
        """Read levels, and return the network's logits of each sample: float32 [clips, n, 256]."""
        return self._run(np.zeros(levels.shape, np.float32), levels.astype(np.int16), with_logits=True)[1]

    def take(self, chosen: np.ndarray) -> None:
        """Continue with these clips, by index; one may be chosen more than once."""
        self.hidden = np.ascontiguousarray(self.hidden[:, :, chosen])
        self.cells = np.ascontiguousarray(self.cells[:, :, chosen])
        self.history = np.ascontiguousarray(self.history[chosen])

    def _run(
        self, uniforms: np.ndarray, forced: np.ndarray, odds: Odds = ODDS, with_logits: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        from caw.samplernn.fused_step import run_steps  # loads in a second, and compiles in several

        clips, count = uniforms.shape
        out = np.empty((clips, count), np.uint8)
        logits = np.empty((clips, count if with_logits else 0, LEVELS), np.float32)
        values = frame_values()
        weights = self.weights
        numbers = [np.float32(number) for number in (odds.temperature, odds.top_p, odds.eta)]

        def part(rows: slice) -> None:
            hidden, cells = (np.ascontiguousarray(a[:, :, rows]) for a in (self.hidden, self.cells))
            run_steps(
                weights.pool, weights.at, weights.sizes, weights.shape, values, hidden, cells,
                self.history[rows], np.ascontiguousarray(uniforms[rows], np.float32),
                np.ascontiguousarray(forced[rows]), *numbers, out[rows], logits[rows],
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
    """`clips` voices before their first sample."""
    start = torch.stack([tier.start for tier in network.tiers]).detach().cpu().numpy()
    return Voices(weights_of(network), start, clips, network.settings)


def generate(
    network: SampleRNN,
    samples: int,
    rate: int,
    *,
    seeds: Sequence[int],
    odds: Odds,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Music from the learnt start, after WARM_UP: float32 [len(seeds), samples], from -1 to 1.

    Clip i depends on seeds[i] and on no other clip. progress: called with the share that is done. Raises
    RunError for a seed out of range.
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
        if progress:
            progress(min(1.0, (begin + piece) / whole))
    levels = np.concatenate(pieces, 1)[:, warm_up : warm_up + samples]
    return decode(levels, settings.quantisation)


def check(seeds: Sequence[int]) -> None:
    """Raise RunError for a seed out of range."""
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise RunError(f"seed is {seed!r}", "use a whole number from 0 to 2^63 - 1")


def _whole(samples: float, frame: int) -> int:
    """The next whole number of frames, in samples."""
    return -(-round(samples) // frame) * frame


def vary(
    network: SampleRNN,
    clip: np.ndarray,
    rate: int,
    *,
    seeds: Sequence[int],
    candidates: int = CANDIDATES,
    odds: Odds,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Variations of `clip`, float32 [n] as it was trained on: float32 [len(seeds), n], from -1 to 1.

    candidates: how many are drawn side by side for each variation; more follow the clip more closely. Clip i
    depends on seeds[i] and on no other clip. progress and errors are as for `generate`.
    """
    check(seeds)
    settings, clips = network.settings, len(seeds)
    frame = settings.frame_sizes[0]
    block = max(1, round(BLOCK * rate / frame)) * frame
    blocks = -(-len(clip) // block)
    target = _BlockSpectra(np.pad(clip, (block, blocks * block - len(clip))), block, rate)
    dice = [np.random.default_rng(seed) for seed in seeds]
    drawn = voices(network, clips * candidates)
    last = np.zeros((clips * candidates, block), np.float32)
    levels = np.empty((blocks, clips, candidates, block), np.uint8)
    parents = np.empty((blocks, clips, candidates), np.int64)
    survivors = max(1, candidates // SURVIVORS)
    for index in range(blocks):
        uniforms = np.concatenate([one.random((candidates, block), np.float32) for one in dice])
        new = drawn.draw(uniforms, odds)
        sound = decode(new, settings.quantisation)
        distances = target.distance(np.concatenate([last, sound], 1), index).reshape(clips, candidates)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :survivors]
        levels[index] = new.reshape(clips, candidates, block)
        for one in range(clips):
            parents[index, one] = np.resize(nearest[one], candidates)
        chosen = (parents[index] + np.arange(clips)[:, None] * candidates).ravel()
        drawn.take(chosen)
        last = sound[chosen]
        if progress:
            progress((index + 1) / blocks)
    return decode(_traced(levels, parents), settings.quantisation)[:, : len(clip)]


def _traced(levels: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """The levels of each clip's nearest candidate and of its ancestors, uint8 [clips, n]."""
    blocks, clips = levels.shape[:2]
    path = np.empty((clips, blocks, levels.shape[3]), np.uint8)
    for one in range(clips):
        candidate = 0
        for index in range(blocks - 1, -1, -1):
            candidate = parents[index, one, candidate]
            path[one, index] = levels[index, one, candidate]
    return path.reshape(clips, -1)


class _BlockSpectra:
    """The spectra of a clip's blocks: levels of notes, and of wide bands in the parts of each block."""

    def __init__(self, clip: np.ndarray, block: int, rate: int) -> None:
        """clip: [block + n], with a block of silence before it."""
        self.block, self.part = block, block // _PARTS
        top = rate / 2
        octaves = np.log2(top / _LOWEST)
        edges = _LOWEST * 2 ** np.linspace(0, octaves, round(octaves * _BANDS_PER_OCTAVE) + 1)
        self.notes = _bands(edges, 2 * block, rate)
        self.wide = _bands(_LOWEST * 2 ** np.arange(1, octaves + 1), 2 * self.part, rate)
        count = len(clip) // block - 1
        windows = np.stack([clip[i * block : (i + 2) * block] for i in range(count)])
        self.floor = 1e-12
        notes, wide = self._powers(windows)
        self.floor = 10 ** (-_FLOOR_DB / 10) * max(notes.max(), 1e-9)
        self.targets = [self._decibels(powers) for powers in (notes, wide)]

    def distance(self, sound: np.ndarray, index: int) -> np.ndarray:
        """Mean squared difference in dB [candidates] of block `index` from sound [candidates, 2 * block].

        The sound is a block and the one before it.
        """
        distances = np.zeros(len(sound))
        for powers, targets in zip(self._powers(sound), self.targets, strict=True):
            distances += ((self._decibels(powers) - targets[index]) ** 2).mean(axis=1)
        return distances

    def _powers(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        notes = _power(windows) @ self.notes
        hops = range(self.block - self.part, 2 * self.block - 2 * self.part + 1, self.part)
        parts = np.stack([windows[:, hop : hop + 2 * self.part] for hop in hops], 1)
        wide = _power(parts) @ self.wide
        return notes, (wide * _PARTS**2).reshape(len(windows), -1)

    def _decibels(self, powers: np.ndarray) -> np.ndarray:
        return 10 * np.log10(powers + self.floor)


def _power(windows: np.ndarray) -> np.ndarray:
    """Power spectra of the last axis, Hann window."""
    return np.abs(np.fft.rfft(windows * np.hanning(windows.shape[-1]))) ** 2


def _bands(edges: np.ndarray, size: int, rate: int) -> np.ndarray:
    """Mean over the bins of an FFT of `size` samples in each band, [bins, bands]; none is empty."""
    hertz = np.fft.rfftfreq(size, 1 / rate)
    bands = []
    for low, high in zip(edges, edges[1:], strict=False):
        inside = (hertz >= low) & (hertz < high)
        if inside.any():
            bands.append(inside / inside.sum())
    return np.stack(bands, 1).astype(np.float32)
