"""The scales of the flow-matching presets: a score, then signals of rising rate that follow it.

The first scale draws the clip's score (`caw.flow.score`). Each of the others draws a waveform, given the
score and the waveform of the scale below. A waveform is whitened by linear prediction, so that all its
frequencies weigh the same, and folded: `fold` neighbouring samples of all channels become the channels of one
frame. A draw starts from white noise and follows the learned velocity from time 1 to time 0 (Lipman et al.
2023).

The inputs of a scale are mixed with some noise while it trains, so that a drawn input serves it as well as
a real one (conditioning augmentation, Ho et al. 2022). What a scale draws below the lower Nyquist frequency
is replaced by the lower signal itself, and its loudness is brought to the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.signal
import torch
from torch import Tensor
from torch.nn import functional

from caw.cascade import Signal, resample
from caw.compose.arranging import Material, arrange
from caw.compose.guide import ROWS, Guide
from caw.compose.plan import Plan
from caw.compose.timeline import Timeline
from caw.config import FlowSettings
from caw.flow.network import Constraint, Velocity, integrate, unconstrained
from caw.flow.passages import Passages, constraint
from caw.flow.score import RATE, Bands, interpolate

RESPONSE = 2**15  # frequencies at which a prediction filter is measured
SEGMENT = 30  # seconds drawn at a time
WHOLE = 2  # seconds after which the score's frames fall on a whole second: 125 frames
MARGIN = 2  # seconds drawn before and after a segment: more than any network sees
ACCENTUATIONS = (
    1.0,
    1.5,
    2.0,
    2.5,
)  # of the guide's accents, of which one is chosen
PULSE = (0.25, 1.5)  # seconds after which onsets may recur
FLICKER = 10.0  # Hz: changes of a band faster than that are flicker or attacks
CALIBRATED = 50.0  # seconds drawn to measure how a network's scores differ from the clips'
JOINT = (0.85, 0.95)  # shares of the lower Nyquist frequency between which two scales are cross-faded


class Whitening:
    """Linear prediction as a filter without delay: `apply` flattens a spectrum, `undo` restores it.

    Signals are mirrored at their ends, so that each is the exact inverse of the other there, too.
    """

    def __init__(self, coefficients: np.ndarray, deviation: float) -> None:
        self.coefficients = coefficients
        self.deviation = deviation

    @classmethod
    def of(cls, signals: list[np.ndarray], order: int) -> Whitening:
        """Fit signals [channels, n] of one rate, by the autocorrelation method with -60 dB of white noise."""
        correlation = 0.0
        order = min(order, min(s.shape[-1] for s in signals) // 4)
        for x in signals:
            spectrum = np.abs(np.fft.rfft(x.astype(np.float64), 2 * x.shape[-1])) ** 2
            correlation = correlation + np.fft.irfft(spectrum.sum(0))[: order + 1]
        correlation[0] = correlation[0] * (1 + 1e-6) + 1e-12
        taps = scipy.linalg.solve_toeplitz(correlation[:order], correlation[1:]) if order else np.zeros(0)
        plain = cls(np.concatenate([[1.0], -taps]), 1.0)
        white = torch.cat([plain.apply(torch.from_numpy(x).float()).reshape(-1) for x in signals])
        return cls(plain.coefficients, float(white.std(correction=0).clamp(min=1e-9)))

    def apply(self, signal: Tensor) -> Tensor:
        """[channels, n] -> [channels, n] of variance about 1."""
        return self._filtered(signal, 1.0)

    def undo(self, white: Tensor) -> Tensor:
        """The inverse of `apply`."""
        return self._filtered(white, -1.0)

    def _filtered(self, signal: Tensor, power: float) -> Tensor:
        # A cosine transform mirrors the signal at its ends, where the filter would else meet silence.
        curve = _response(tuple(self.coefficients), self.deviation, signal.shape[-1], power)
        spectrum = scipy.fft.dct(signal.cpu().numpy(), norm="ortho") * curve
        filtered = scipy.fft.idct(spectrum, norm="ortho", overwrite_x=True)
        return torch.from_numpy(filtered).to(signal.device)


@dataclass
class ScoreScale:
    """The first scale: draws the score, [bands, frames] at 62.5 frames per second.

    What the network draws varies less than the clips do, and flickers more between frames. So each band is
    brought to the clips' mean, its slow and its fast changes (`FLICKER`) to their deviation, and its values
    into their range. `calibrate` measures by how much, with a long draw at the end of the training.
    """

    network: Velocity
    bands: Bands
    settings: FlowSettings
    drawn: Tensor | None = None  # [bands, 2 or 3]: mean; what (slow, and fast) changes are divided by
    range: Tensor | None = None  # [bands, 2]: lowest and highest value of the clips' scores
    guide: Guide | None = None  # of the training clips; None: the network reads no guide
    accentuation: float = 1.0  # by which accents are multiplied for the network, which draws them too weak

    rate: float = RATE
    lower_rate = None

    @cached_property
    def material(self) -> Material | None:
        """The clips' bars, of which plans are made; None without a guide."""
        return Material.of(self.guide.clips) if self.guide else None

    def arranged(self, plan: Plan, seconds: float | None, generator: torch.Generator) -> Timeline | None:
        """A plan as a timeline of `seconds`, or as long as its bars are; None without a guide."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        return arrange(plan, self.material, np.random.default_rng(seed), seconds) if self.guide else None

    def draw(
        self,
        lower: Signal | None,
        samples: int,
        generator: torch.Generator,
        timeline: Timeline | None = None,
        passages: Passages | None = None,
    ) -> Signal:
        """A new score of `samples` frames.

        timeline: what it follows; None for a walk over the clips. passages: what it is drawn beside; within
        them it is their own score.
        """
        if timeline is None and self.guide:
            timeline = self.arranged(Plan(), samples / RATE, generator)
        noise = torch.randn(len(self.bands.mean), samples, generator=generator).to(self.bands.mean.device)
        if passages is not None:
            return Signal(None, self._beside(passages, noise, timeline))
        drawn = self._integrate(noise, 1.0, 0.0, timeline)
        return Signal(None, drawn if self.drawn is None else self._calibrated(drawn))

    def _beside(self, passages: Passages, noise: Tensor, timeline: Timeline | None) -> Tensor:
        score, known = passages.score(self.bands, noise.shape[-1])
        constrain = constraint(self._uncalibrated(score), noise, known)
        drawn = self._calibrated(self._integrate(noise, 1.0, 0.0, timeline, constrain))
        return drawn + known * (score - drawn)

    def vary(
        self,
        original: Signal,
        generator: torch.Generator,
        strength: float | None = None,
        timeline: Timeline | None = None,
    ) -> Signal:
        """Take a clip's score back towards noise and draw it again, following `timeline` (VAR).

        For strength 0, and without a guide, it stays as it is.
        """
        strength = self.settings.variation if strength is None else strength
        if not self.guide or strength == 0:
            return original
        time = 1 - (1 - strength) ** 3  # likeness to the clip then falls about evenly with the strength
        clean = self._uncalibrated(original.score)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        drawn = self._integrate((1 - time) * clean + time * noise, time, 0.0, timeline)
        return Signal(None, self._calibrated(drawn))

    def reconstruct(self, original: Signal, lower: Signal | None, timeline: Timeline | None = None) -> Signal:
        """Encode `original` to its noise and draw it again from there."""
        code = self._integrate(self._uncalibrated(original.score), 0.0, 1.0, timeline)
        return Signal(None, self._calibrated(self._integrate(code, 1.0, 0.0, timeline)))

    def calibrate(self, scores: list[Tensor], generator: torch.Generator) -> None:
        """Measure how the network's draws over the clips' own bars differ from the clips' scores.

        Sets `drawn`, `range` and `accentuation`. As draws have weaker accents than the guide, the guide's are
        multiplied by the accentuation with which onsets recur as clearly as in the clips.
        """
        whole = torch.cat(scores, 1)
        self.range = torch.stack([whole.amin(1), whole.amax(1)], 1)
        state, trials = generator.get_state(), []
        for accentuation in ACCENTUATIONS if self.guide else (self.accentuation,):
            self.accentuation = accentuation
            generator.set_state(state)
            draws = [self._calibrated(draw) for draw in self._measure(scores, generator)]
            pulses = [(self._pulse(d), self._pulse(s)) for d, s in zip(draws, scores, strict=True)]
            trials.append((sum(abs(a - b) for a, b in pulses), accentuation, self.drawn))
        _, self.accentuation, self.drawn = min(trials, key=lambda trial: trial[0])

    def _pulse(self, score: Tensor) -> float:
        """How clearly the onsets of a score recur, at the clearest of the lags in `PULSE`."""
        level = score * self.bands.deviation.to(score.device)
        rise = level.diff(dim=1).clamp(min=0).mean(0)
        rise = rise - rise.mean()
        spectrum = torch.fft.rfft(rise, 2 * len(rise)).abs() ** 2
        correlation = torch.fft.irfft(spectrum)[: len(rise)]
        low, high = (min(len(rise) - 1, round(lag * RATE)) for lag in PULSE)
        return float(correlation[low : high + 1].max() / correlation[0].clamp(min=1e-9))

    def _measure(self, scores: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """Set `drawn` by draws over each clip's own bars; gives one draw of each clip, [bands, frames]."""
        self.drawn = None
        count = max(1, round(CALIBRATED * RATE / sum(score.shape[-1] for score in scores)))
        timelines = self.guide.clips if self.guide else [None] * len(scores)
        draws = [
            [self.draw(None, score.shape[-1], generator, timeline).score for _ in range(count)]
            for timeline, score in zip(timelines, scores, strict=True)
        ]
        whole = torch.cat([draw for of_clip in draws for draw in of_clip], 1)
        self.drawn = torch.cat([whole.mean(1, keepdim=True), _deviations(whole) / _deviations(*scores)], 1)
        return [of_clip[0] for of_clip in draws]

    def _calibrated(self, drawn: Tensor) -> Tensor:
        scaled = _scaled(drawn - self.drawn[:, :1], 1 / self.drawn[:, 1:])
        return torch.minimum(torch.maximum(scaled, self.range[:, :1]), self.range[:, 1:])

    def _uncalibrated(self, score: Tensor) -> Tensor:
        """The inverse of `_calibrated`, but for the limits of the range."""
        return _scaled(score, self.drawn[:, 1:], inverse=True) + self.drawn[:, :1]

    def _integrate(
        self,
        start: Tensor,
        time: float,
        end: float,
        timeline: Timeline | None,
        constrain: Constraint = unconstrained,
    ) -> Tensor:
        steps = self.settings.score_draw_steps if end == 0.0 else 4 * self.settings.score_draw_steps
        conditioning = self._conditioning(timeline, start)
        return integrate(
            self.network, start, None, conditioning, 0.0, steps=steps, time=time, end=end, constrain=constrain
        )

    def _conditioning(self, timeline: Timeline | None, start: Tensor) -> Callable[[int, int], Tensor | None]:
        """Gives the conditioning by the guide at frames a to b; None without a guide."""
        if not self.guide:
            return lambda a, b: None
        rows = np.zeros((ROWS, start.shape[-1]), np.float32)
        if timeline is not None:
            rows = self.guide.rows(timeline, start.shape[-1], RATE, accentuation=self.accentuation)
        with torch.inference_mode():
            whole = self.network.read(torch.from_numpy(rows)[None].to(start.device))
        return lambda a, b: whole[:, :, a:b]


def _slow(frames: int, device: torch.device) -> Tensor:
    """The share of each frequency of a cosine transform of a score that counts as slow: [frames]."""
    hertz = torch.arange(frames, device=device) * (RATE / 2 / max(1, frames))
    return 1 / (1 + (hertz / FLICKER) ** 4)


def _transformed(score: Tensor, curve: Tensor) -> Tensor:
    """A score [bands, frames] whose changes are multiplied by `curve` [bands or 1, frames], by frequency."""
    spectrum = scipy.fft.dct(score.cpu().numpy(), norm="ortho") * curve.cpu().numpy()
    return torch.from_numpy(scipy.fft.idct(spectrum, norm="ortho", overwrite_x=True)).to(score.device)


def _scaled(score: Tensor, gains: Tensor, *, inverse: bool = False) -> Tensor:
    """A score with its slow and fast changes multiplied by `gains` [bands, 2], or all of them by [bands, 1].

    inverse: undo `_scaled` with 1 / gains.
    """
    if gains.shape[1] == 1:
        return score * gains
    slow = _slow(score.shape[-1], score.device)
    if inverse:
        return _transformed(score, 1 / (slow / gains[:, :1] + (1 - slow) / gains[:, 1:]))
    return _transformed(score, slow * gains[:, :1] + (1 - slow) * gains[:, 1:])


def _deviations(*scores: Tensor) -> Tensor:
    """Deviations [bands, 2] of the slow and the fast changes of scores [bands, frames]."""
    centred = [score - torch.cat(scores, 1).mean(1, keepdim=True) for score in scores]
    slow = [_transformed(score, _slow(score.shape[-1], score.device)) for score in centred]
    fast = [a - b for a, b in zip(centred, slow, strict=True)]
    parts = [torch.cat(part, 1).square().mean(1).sqrt() for part in (slow, fast)]
    return torch.stack(parts, 1).clamp(min=0.05)


@dataclass
class FlowScale:
    """A scale that draws a waveform. Signals are at the level of the peak-normalised clip."""

    rate: int
    lower_rate: int | None  # None: the lowest waveform, given the score alone
    network: Velocity
    whitening: Whitening
    bands: Bands
    channels: int  # of sound
    settings: FlowSettings

    @property
    def lowest(self) -> bool:
        return self.lower_rate is None

    @property
    def fold(self) -> int:
        """Samples per frame."""
        return fold_of(self.settings, self.rate, lowest=self.lowest)

    def frames(self, wave: Tensor) -> Tensor:
        """Whitened and folded: [channels, n] -> [channels * fold, ceil(n / fold)]."""
        return folded(self.whitening.apply(wave), self.fold)

    def draw(
        self, lower: Signal, samples: int, generator: torch.Generator, passages: Passages | None = None
    ) -> Signal:
        """A new signal of `samples` samples that goes with `lower`.

        passages: at this rate, which the signal is drawn beside and holds as they are.
        """
        frames = -(-samples // self.fold)
        noise = torch.randn(self.channels * self.fold, frames, generator=generator).to(lower.score.device)
        if passages is None:
            return self._draw(noise, lower, samples, 1.0, generator)
        known = passages.frames(self.frames, self.fold, frames)
        drawn = self._draw(noise, lower, samples, 1.0, generator, known)
        return Signal(passages.put_into(drawn.wave), lower.score)

    def vary(self, original: Signal, generator: torch.Generator, strength: float | None = None) -> Signal:
        """Vary the lowest waveform: it is taken back towards noise by `strength`, at most 1, and drawn again.

        For strength 0 it stays as it is, as published.
        """
        strength = self.settings.variation if strength is None else strength
        if strength == 0:
            return original
        clean = self.frames(original.wave)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        start = (1 - strength) * clean + strength * noise
        return self._draw(start, original, original.wave.shape[-1], strength, generator)

    def reconstruct(self, original: Signal, lower: Signal) -> Signal:
        """Encode `original` to its noise and draw it again from there, given the lower reconstruction."""
        clean = self.frames(original.wave)
        lifted = self._lift(lower, 0, clean.shape[-1])
        inputs = self._inputs(lifted, lower.score, 0, None)
        code = integrate(self.network, clean, *inputs, 0.0, steps=24, time=0.0, end=1.0)
        state = integrate(self.network, code, *inputs, 0.0, steps=24)
        return Signal(self._wave(state, lifted)[:, : original.wave.shape[-1]], lower.score)

    def _draw(
        self,
        start: Tensor,
        lower: Signal,
        samples: int,
        time: float,
        generator: torch.Generator,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Signal:
        """Draw from a state at `time`, in segments, so that the memory needed hardly grows with the length.

        known: frames of passages, and 1 for those that are known, else 0.
        """
        level, fold, frames = self.settings.draw_noise, self.fold, start.shape[-1]
        score = lower.score + level * torch.randn(lower.score.shape, generator=generator).to(start.device)
        hiss = None if self.lowest else Hiss(self.channels, self.rate, generator)
        # Seconds after which frames, whole seconds and the score's frames meet again.
        unit = math.lcm(fold // math.gcd(fold, self.rate), WHOLE)
        around = -(-MARGIN // unit) * unit
        wave = torch.zeros(self.channels, samples, device=start.device)
        for begin in range(0, math.ceil(samples / self.rate), -(-SEGMENT // unit) * unit):
            first = begin * self.rate // fold
            last = min(frames, first + -(-SEGMENT // unit) * unit * self.rate // fold)
            early = max(0, begin - around)
            a, b = early * self.rate // fold, min(frames, last + around * self.rate // fold)
            lifted = self._lift(lower, early, b - a)
            noise = None if hiss is None else level * self._below(hiss.between(a * fold, b * fold)[None])
            inputs = self._inputs(lifted, score, early, noise)
            steps = self.settings.draw_steps if self.lowest else self.settings.finer_draw_steps
            constrain = unconstrained
            if known is not None:
                constrain = constraint(known[0][:, a:b], start[:, a:b], known[1][a:b])
            state = integrate(
                self.network, start[:, a:b], *inputs, level, steps=steps, time=time, constrain=constrain
            )
            piece = self._wave(state, lifted)[:, : samples - a * fold]
            if self.settings.impositions:
                times = self.settings.impositions if self.rate == self.bands.rate else 1
                piece = self.bands.impose(piece, self.rate, lower.score, times, begin=early)
            wave[:, first * fold : last * fold] = piece[:, (first - a) * fold : (last - a) * fold]
        return Signal(wave, lower.score)

    def _inputs(
        self, lifted: Tensor | None, score: Tensor, begin: int, noise: Tensor | None
    ) -> tuple[Tensor | None, Callable[[int, int], Tensor]]:
        """From second `begin` on: the lower signal's frames; gives the conditioning at frames a to b."""
        below = None if lifted is None else self.frames(lifted)
        if noise is not None:
            below = below + noise[0].to(below.device)
        with torch.inference_mode():
            whole = self.network.read(score[None])
        per_frame = RATE * self.fold / self.rate

        def conditioning(a: int, b: int) -> Tensor:
            frames = torch.arange(a, b, device=whole.device)[None] + 0.5
            return interpolate(whole, begin * RATE + frames * per_frame)

        return below, conditioning

    def _lift(self, lower: Signal, begin: int, frames: int) -> Tensor | None:
        """The lower waveform at this scale's rate, over so many frames from second `begin` on."""
        if self.lowest:
            return None
        samples = frames * self.fold
        ends = math.ceil(samples * self.lower_rate / self.rate)
        piece = lower.wave[:, begin * self.lower_rate :][:, :ends]
        return resample(piece, self.lower_rate, self.rate, samples)

    def _wave(self, state: Tensor, lifted: Tensor | None) -> Tensor:
        wave = self.whitening.undo(unfolded(state, self.fold))
        return wave if lifted is None else joined(lifted, wave, self.lower_rate / self.rate)

    def noise(self, batch: int, frames: int, generator: torch.Generator) -> Tensor:
        """Unit noise below the lower Nyquist frequency, [batch, channels * fold, frames]."""
        return self._below(torch.randn(batch, self.channels, frames * self.fold, generator=generator))

    def _below(self, white: Tensor) -> Tensor:
        """White noise [batch, channels, n] -> its part below the lower Nyquist frequency, in frames."""
        sections = _low_pass(self.lower_rate, self.rate)
        low = torch.from_numpy(scipy.signal.sosfilt(sections, white.numpy(), axis=-1).astype(np.float32))
        return torch.stack([folded(one, self.fold) for one in low])


class Hiss:
    """White noise of any length that is never in memory as a whole: each second has its own seed."""

    def __init__(self, channels: int, rate: int, generator: torch.Generator) -> None:
        self.channels, self.rate = channels, rate
        self.seed = int(torch.randint(2**62, (1,), generator=generator))

    def between(self, first: int, last: int) -> Tensor:
        """Samples first to last, [channels, last - first]."""
        begin = first // self.rate
        seconds = range(begin, -(-last // self.rate))
        pieces = [
            torch.randn(self.channels, self.rate, generator=torch.Generator().manual_seed(self.seed + second))
            for second in seconds
        ]
        return torch.cat(pieces, 1)[:, first - begin * self.rate : last - begin * self.rate]


def folded(white: Tensor, fold: int) -> Tensor:
    """[channels, n] -> [channels * fold, ceil(n / fold)]."""
    channels, samples = white.shape
    padded = functional.pad(white, (0, -samples % fold))
    return padded.view(channels, -1, fold).transpose(1, 2).reshape(channels * fold, -1)


def unfolded(frames: Tensor, fold: int) -> Tensor:
    """The inverse of `folded`, with its padding: [channels * fold, F] -> [channels, F * fold]."""
    return frames.view(-1, fold, frames.shape[-1]).transpose(1, 2).reshape(len(frames) // fold, -1)


def joined(low: Tensor, wave: Tensor, share: float) -> Tensor:
    """`low` [channels, n] below `share` of the Nyquist frequency, `wave` above it, cross-faded just below."""
    samples = wave.shape[-1]
    size = scipy.fft.next_fast_len(samples + samples // 64 + 64, real=True)
    place = torch.linspace(0, 1, size // 2 + 1, device=wave.device) / share
    above = ((place - JOINT[0]) / (JOINT[1] - JOINT[0])).clamp(0, 1)
    difference = torch.fft.rfft(wave - low, size) * above
    return low + torch.fft.irfft(difference, size)[:, :samples]


@lru_cache(4)
def _response(coefficients: tuple[float, ...], deviation: float, samples: int, power: float) -> np.ndarray:
    """Gain of the prediction filter at the frequencies of a cosine transform, to a power: [samples]."""
    gain = np.abs(np.fft.rfft(coefficients, 2 * RESPONSE)) / deviation
    places = np.arange(samples, dtype=np.float32) / samples
    return (np.interp(places, np.linspace(0, 1, RESPONSE + 1), gain) ** power).astype(np.float32)


@lru_cache
def _low_pass(lower_rate: int, rate: int) -> np.ndarray:
    """Second-order sections of the low-pass at the lower scale's Nyquist frequency."""
    return scipy.signal.butter(6, 0.95 * lower_rate / rate, output="sos")


def fold_of(settings: FlowSettings, rate: int, *, lowest: bool) -> int:
    """Samples per frame of a scale of `rate` Hz: a divisor of the rate where one is near enough."""
    wanted = rate / (settings.frames if lowest else settings.finer_frames)
    near = range(max(1, math.ceil(0.9 * wanted)), math.floor(1.1 * wanted) + 1)
    dividing = [n for n in near if rate % n == 0]
    return min(dividing, key=lambda n: abs(n - wanted)) if dividing else max(1, round(wanted))


def untrained_network(
    settings: FlowSettings, rates: tuple[float, ...], index: int, bands: int, channels: int
):
    """An untrained network for the scale of that index; scale 0 is the score."""
    if index == 0:
        return Velocity(
            settings.score_channels, settings.kernel, settings.score_layers, signal=bands, bounded=True,
            bands=ROWS if settings.guide else 0,
        )  # fmt: skip
    lowest = index == 1
    width = channels * fold_of(settings, rates[index], lowest=lowest)
    layers = settings.layers if lowest else settings.finer_layers
    lower = 0 if lowest else width
    return Velocity(settings.channels, settings.kernel, layers, signal=width, lower=lower, bands=bands)
