"""The score of a clip: how loud it is in every band of frequency, every 16 ms.

It is a log-power spectrogram with Hann windows of 64 ms. Its bands are triangles, one bin (15.6 Hz) apart
below 600 Hz, where single tones must be distinguished, and evenly spaced in log frequency above. It holds
what a listener follows (chords, rhythm, drums) and no waveform.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from caw.config import PRESETS
from caw.parallel import map_blocks

FRAME = 0.016  # seconds from one frame to the next
WINDOW = 0.064
RATE = 1 / FRAME  # frames per second
FINE = 600.0  # Hz below which every bin is a band
FLOOR = 1e-5  # -50 dB under white noise of the clip's level: fainter is as good as silent
REACH = 0.93  # share of a scale's Nyquist frequency up to which it can carry a band
STRONGEST = 3.5  # natural log of the largest change of amplitude at a time: 30 dB
FAINTEST = 0.3  # natural log of power: the least deviation that a band is taken to have (1.3 dB)
SHAPED = 6  # times that noise is brought to the loudness of a clip
TONAL = (1500.0, 3000.0)  # Hz: below, tones are moved by a transposition; above, nothing is
BLOCK = 512  # frames worked on at a time, so that ten minutes fit in memory


@dataclass(frozen=True)
class Bands:
    """The bands of one training and how loud its clips are in them."""

    edges: Tensor  # [bands + 2] Hz, ascending: band i rises from edge i to i + 1 and falls to i + 2
    rate: int  # Hz, of the finest scale
    level: float  # mean square of the clips
    mean: Tensor  # [bands, 1] natural log of power over `level`
    deviation: Tensor  # [bands, 1]

    @classmethod
    def of(cls, waves: list[Tensor], rate: int, count: int) -> Bands:
        """The bands of the training clips [channels, n] at `rate` Hz."""
        level = float(torch.cat([w.reshape(-1) for w in waves]).square().mean())
        edges = torch.from_numpy(_edges(rate, count))
        plain = cls(edges, rate, level, torch.zeros(len(edges) - 2, 1), torch.ones(len(edges) - 2, 1))
        scores = torch.cat([plain.measure(w.cpu()) for w in waves], 1)
        mean = scores.mean(1, keepdim=True)
        deviation = scores.std(1, keepdim=True).clamp(min=FAINTEST)
        return cls(edges, rate, level, mean, deviation)

    def measure(self, wave: Tensor) -> Tensor:
        """[channels, n] at the finest rate -> [bands, frames], of mean 0 and variance 1 in the clips."""
        size, hop = _sizes(self.rate)
        powers = []
        padded = functional.pad(wave, (size // 2, size))
        frames = wave.shape[-1] // hop + 1
        for first in range(0, frames, BLOCK):
            count = min(BLOCK, frames - first)
            spectra = _spectra(padded[:, first * hop : (first + count - 1) * hop + size], size, hop)
            powers.append(self._power(spectra, self.rate))
        log = torch.log(torch.cat(powers, 1) + FLOOR)
        score = (log - self.mean.to(wave.device)) / self.deviation.to(wave.device)
        times = torch.arange(round(wave.shape[-1] / self.rate * RATE) or 1, device=wave.device) * FRAME
        return interpolate(score[None], times[None] * (self.rate / hop))[0]

    def impose(self, wave: Tensor, rate: int, score: Tensor, times: int = 1, begin: float = 0.0) -> Tensor:
        """Bring a wave [channels, n] to the loudness of `score` in every band that `rate` Hz can carry.

        The bands' amplitudes are multiplied by smooth gains, the same for all channels. As neighbouring
        windows share samples, this is repeated `times` times. begin: the second of the score at which the
        wave begins.
        """
        size, hop = _sizes(rate)
        frames = wave.shape[-1] // hop + 1
        _, shares, carried = self._filters(rate)
        window = _window(size).to(wave.device)
        log = (score * self.deviation.to(score.device) + self.mean.to(score.device))[None]
        when = (torch.arange(frames, device=wave.device) * (hop / rate * RATE) + begin * RATE)[None]
        target = (torch.exp(interpolate(log, when)[0]) - 0.9 * FLOOR).clamp(min=1e-7)
        shares, carried = shares.to(wave.device), carried.to(wave.device)
        length = (frames - 1) * hop + size
        weight = _weight(window, hop, frames)[:length].clamp(min=1e-3)
        samples = wave.shape[-1]
        for _ in range(times):
            padded = functional.pad(wave, (size // 2, size))

            def shaped(first: int, padded: Tensor = padded) -> tuple[int, Tensor]:
                count = min(BLOCK, frames - first)
                spectra = _spectra(padded[:, first * hop : (first + count - 1) * hop + size], size, hop)
                power = self._power(spectra, rate).clamp(min=1e-9)
                gain = 0.5 * torch.log(target[:, first : first + count] / power)
                gain = gain.clamp(-STRONGEST, STRONGEST) * carried
                pieces = torch.fft.irfft(spectra * torch.exp(gain.T @ shares), size) * window
                return first * hop, _overlap(pieces, hop)

            summed = torch.zeros(len(wave), length, device=wave.device)
            for place, piece in map_blocks(shaped, range(0, frames, BLOCK), wave.device):
                summed[:, place : place + piece.shape[-1]] += piece
            summed = functional.pad(summed / weight, (0, max(0, size // 2 + samples - length)))
            wave = summed[:, size // 2 : size // 2 + samples]
        return wave

    def transposed(self, score: Tensor, semitones: float) -> Tensor:
        """A score [bands, frames] with its tones moved by so many semitones.

        Below 1.5 kHz a band takes the level of the bands from which its frequency comes. From 3 kHz on, where
        cymbals lie, it keeps its own.
        """
        level = score * self.deviation.to(score.device) + self.mean.to(score.device)
        level = _transposition(tuple(self.edges.tolist()), semitones).to(score.device) @ level
        return (level - self.mean.to(score.device)) / self.deviation.to(score.device)

    def to(self, device: torch.device) -> Bands:
        """The same on another device."""
        return dataclasses.replace(self, mean=self.mean.to(device), deviation=self.deviation.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """The bands as named tensors, from which `from_tensors` restores them."""
        level = torch.tensor([self.level, self.rate], dtype=torch.float64)
        return {"edges": self.edges, "level": level, "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Bands:
        """The bands whose `tensors` these are."""
        level, rate = tensors["level"].tolist()
        return cls(tensors["edges"], int(rate), level, tensors["mean"], tensors["deviation"])

    def _power(self, spectra: Tensor, rate: int) -> Tensor:
        """[channels, frames, bins] -> [bands, frames]: power over the clip's level, alike at any rate."""
        size, _ = _sizes(rate)
        filters = self._filters(rate)[0].to(spectra.device)
        density = self.rate / rate / float(_window(size).square().sum()) / max(self.level, 1e-12)
        power = torch.view_as_real(spectra).square().sum(-1).mean(0)
        return filters @ power.T * density

    def _filters(self, rate: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weights and shares of the bands [bands, bins], and which of them the rate can carry [bands, 1]."""
        return _filters(tuple(self.edges.tolist()), rate)


def interpolate(values: Tensor, places: Tensor) -> Tensor:
    """Linear interpolation: [batch, rows, frames] at `places` [batch, n], in frames -> [batch, rows, n]."""
    frames = values.shape[-1]
    across = 2 * places.to(values.dtype) / max(1, frames - 1) - 1
    grid = torch.stack([across, torch.zeros_like(across)], -1)[:, None]
    values = functional.grid_sample(values[:, :, None], grid, padding_mode="border", align_corners=True)
    return values[:, :, 0]


def _edges(rate: int, count: int) -> np.ndarray:
    step = 1 / WINDOW
    fine = np.arange(-1, int(min(FINE, rate / 4) / step)) * step
    above = np.geomspace(fine[-1] + step, rate / 2 * 1.03, max(2, count - len(fine) + 2))
    return np.concatenate([fine, above])


def _sizes(rate: int) -> tuple[int, int]:
    """Samples of a window and of a step."""
    return round(WINDOW * rate), max(1, round(FRAME * rate))


@lru_cache
def _window(size: int) -> Tensor:
    return torch.hann_window(size, periodic=True)


def _spectra(piece: Tensor, size: int, hop: int) -> Tensor:
    """[channels, n] -> [channels, frames, bins]."""
    return torch.fft.rfft(piece.unfold(-1, size, hop) * _window(size).to(piece.device))


def _overlap(pieces: Tensor, hop: int) -> Tensor:
    """[channels, frames, size] added up `hop` samples apart -> [channels, (frames - 1) * hop + size]."""
    _, frames, size = pieces.shape
    length = (frames - 1) * hop + size
    summed = functional.fold(pieces.transpose(1, 2), (1, length), (1, size), stride=(1, hop))
    return summed[:, 0, 0]


def _weight(window: Tensor, hop: int, frames: int) -> Tensor:
    """The sum of squared windows of `frames` frames, [>= (frames - 1) * hop + size]."""
    pieces = functional.pad(window**2, (0, -len(window) % hop)).view(-1, hop)
    summed = pieces.cumsum(0)
    place = torch.arange(frames + len(pieces) - 1, device=window.device)
    ended = summed[(place - frames).clamp(0, len(pieces) - 1)] * (place >= frames)[:, None]
    return (summed[place.clamp(max=len(pieces) - 1)] - ended).reshape(-1)


@lru_cache
def _transposition(edges: tuple[float, ...], semitones: float) -> Tensor:
    """Weights [bands, bands] that move what lies below TONAL[0] Hz, and less and less up to TONAL[1]."""
    centres = np.array(edges)[1:-1]
    places = np.interp(centres / 2 ** (semitones / 12), centres, np.arange(len(centres)))
    below = np.minimum(places.astype(int), len(centres) - 2)
    rows, moved = np.arange(len(centres)), np.zeros((len(centres), len(centres)))
    moved[rows, below] = 1 - (places - below)
    moved[rows, below + 1] = places - below
    low, high = np.log(TONAL)
    share = np.clip((high - np.log(np.maximum(centres, 1.0))) / (high - low), 0, 1)[:, None]
    return torch.from_numpy((share * moved + (1 - share) * np.eye(len(centres))).astype(np.float32))


@lru_cache
def _filters(edges: tuple[float, ...], rate: int) -> tuple[Tensor, Tensor, Tensor]:
    size, _ = _sizes(rate)
    edge = np.array(edges)
    frequency = np.fft.rfftfreq(size, 1 / rate)
    rise = (frequency - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    fall = (edge[2:, None] - frequency) / (edge[2:] - edge[1:-1])[:, None]
    weights = np.clip(np.minimum(rise, fall), 0, None)
    finest = edge[-1] <= 1.04 * rate / 2
    carried = ((edge[2:, None] <= REACH * rate / 2) | finest) & (weights.sum(1, keepdims=True) > 0)
    share = weights / np.maximum(weights.sum(0), 1e-9) * carried
    weights = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
    return tuple(torch.from_numpy(a.astype(np.float32)) for a in (weights, share, carried))


def shaped_noise(samples: np.ndarray, rate: int, *, seed: int = 0) -> np.ndarray:
    """White noise [n] with the loudness of a clip [n] in every band and frame, and nothing else of it.

    No model takes part in it. A measure that takes it for the clip only compares loudness, and does not
    distinguish music from noise. The bands are those of the preset `fast`; the noise is brought to the clip's
    loudness as many times as that still changes it.
    """
    settings = PRESETS["fast"]
    wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None]
    bands = Bands.of([wave], int(rate), settings.bands)
    noise = np.random.default_rng(seed).standard_normal(wave.shape[-1]) * np.sqrt(bands.level)
    noise = torch.from_numpy(noise.astype(np.float32))[None]
    return bands.impose(noise, int(rate), bands.measure(wave), SHAPED)[0].numpy()
