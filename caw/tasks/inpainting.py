"""Fill holes in a clip with what the rest of it suggests; nothing outside the holes changes.

Music repeats itself. So each hole is filled with pieces of the clip whose surroundings sound like the hole's
own: one piece that leads in and one that leads out, joined inside the hole where both sound alike (Perraudin
et al. 2018 do so for long gaps). The edges are continued a little way into the hole by linear prediction, and
cross-faded there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, ndimage, signal

from caw import audio
from caw.problems import ProblemError

SHORTEST_HOLE = 0.0005  # seconds
LEAST_MATERIAL = 1.0  # seconds of sound in one piece, left outside the holes
ANALYSIS_RATE = 16000  # Hz, at most
HOP = 0.002  # seconds between spectra
WINDOW = 0.064
BLOCK = 4096  # spectra computed at a time
BANDS = 32
LOWEST = 60.0  # Hz
CONTEXT = 0.15  # seconds beside a hole with which a piece's surroundings are compared
LEAST_CONTEXT = 0.05
CHOICES = 40  # places considered for either side
APART = 0.01  # seconds between two of them
JOIN = 0.03  # seconds over which two pieces are compared where they join
JUMP_COST = 2.0  # dB that a join between two places costs in addition to their mismatch
FADE = 0.02  # seconds of every fade
ALIGN = 0.006  # seconds by which a place may move to bring waveforms into step
PREDICTION_ORDER = 256
MOST_GAIN_DB = 6.0
CONSENSUS = 60  # best fillings, whose mean level a filling is brought towards
AGREEMENT = 0.7  # share of the way to that mean
MOST_LEVELLED_DB = 9.0
TEMPERATURE = 0.7  # dB: how much worse a drawn filling may fit than the best


class InpaintingError(ProblemError):
    """A hole that cannot be filled, or a clip that cannot be used."""


@dataclass(frozen=True)
class Filling:
    """Which pieces fill a hole. Times in analysis frames; a lag is piece minus hole."""

    cost: float  # dB: mean difference of the spectra where things meet
    lead_in: int  # lag of the piece that begins the hole
    lead_out: int  # lag of the piece that ends it
    join: int  # frame of the hole where the second takes over


def inpaint(
    samples: np.ndarray, rate: int, holes: Sequence[tuple[float, float]], *, seed: int = 0
) -> np.ndarray:
    """Fill holes in a clip with pieces of the rest of it.

    Parameters
    ----------
    samples : array [n] or [channels, n]
        The clip. What the holes hold is ignored.
    rate : int
        Sampling rate in Hz.
    holes : sequence of (float, float)
        Start and end in seconds, in any order. Holes that overlap or touch become one.
    seed : int
        0 gives the filling that fits best; others are drawn from the fitting ones.

    Returns
    -------
    array
        Of the shape of `samples`, float32. Every sample outside the holes is bit-identical.

    Raises
    ------
    InpaintingError
        For holes outside the clip, at its very start or end, or that leave too little of it.

    Notes
    -----
    The search follows Perraudin, Holighaus, Majdak and Balazs (2018), "Inpainting of long audio segments with
    similarity graphs".

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(16000) / 8000
    >>> tone = 0.5 * np.sin(2 * np.pi * 200 * time).astype(np.float32)
    >>> broken = tone.copy()
    >>> broken[8000:8400] = 0.0
    >>> filled = inpaint(broken, 8000, [(1.0, 1.05)])
    >>> bool(np.abs(filled - tone).max() < 0.05)
    True
    """
    return next(inpaintings(samples, rate, holes, [seed]))


def inpaintings(
    samples: np.ndarray, rate: int, holes: Sequence[tuple[float, float]], seeds: Iterable[int]
) -> Iterator[np.ndarray]:
    """`inpaint` for several seeds; the clip is searched once."""
    samples = np.asarray(samples, dtype=np.float32)
    spans = hole_spans(samples, rate, holes)
    known = np.ones(samples.shape[-1], bool)
    for start, end in spans:
        known[start:end] = False
    clip = np.where(known, np.atleast_2d(samples), 0).astype(np.float64)
    spectra, known_frames, hop = _spectra(clip.mean(axis=0), known, rate)
    fillings = [_fillings(spectra, known_frames, round(s / hop), round(e / hop)) for s, e in spans]
    for seed in seeds:
        if seed < 0:
            raise InpaintingError(f"seed is {seed!r}", "use a whole number of 0 or more")
        rng = np.random.default_rng(seed)
        result = np.atleast_2d(samples).copy()
        for (start, end), choices in zip(spans, fillings, strict=True):
            filling = choices[0] if seed == 0 else _drawn(choices, rng)
            sound = _assembled(clip, known, start, end, filling, hop, rate)
            frames = np.arange(round(start / hop), round(end / hop))
            gains = _towards_consensus(spectra, frames, filling, choices)
            sound = _with_gains(sound, gains, hop, rate)
            result[:, start:end] = _with_edges(sound, clip, known, start, end, rate)
        yield result.reshape(samples.shape)


def hole_spans(samples: np.ndarray, rate: int, holes: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """The holes as ascending, separate ranges of samples [start, end).

    Raises InpaintingError for a hole that cannot be filled.
    """
    if samples.ndim not in (1, 2) or not samples.size:
        raise InpaintingError(f"samples have shape {samples.shape}", "give [n] or [channels, n]")
    if not np.isfinite(samples).all():
        raise InpaintingError("the clip holds NaN or infinite samples", "export it again")
    if not holes:
        raise InpaintingError("there is no hole", "give one as START:END in seconds, such as 3.0:3.75")
    count = samples.shape[-1]
    spans: list[tuple[int, int]] = []
    for start, end in sorted(holes):
        hole = f"hole {start:g}:{end:g}"
        if not (np.isfinite([start, end]).all() and start >= 0 and end - start >= SHORTEST_HOLE):
            fix = "give START:END in seconds, START before END"
            raise InpaintingError(f"{hole} is no stretch of time", fix)
        if round(end * rate) > count:
            raise InpaintingError(f"{hole} ends after the clip ({count / rate:.2f} s)", "end it earlier")
        if spans and round(start * rate) <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], round(end * rate)))
        else:
            spans.append((round(start * rate), round(end * rate)))
    edge = round(LEAST_CONTEXT * rate)
    if spans[0][0] < edge or spans[-1][1] > count - edge:
        side = "start" if spans[0][0] < edge else "end"
        what = f"a hole needs {LEAST_CONTEXT:g} s of sound on either side"
        raise InpaintingError(what, f"cut the clip's {side} off instead")
    between = zip([0] + [end for _, end in spans], [start for start, _ in spans] + [count], strict=True)
    longest = max(end - start for start, end in between)
    if longest < LEAST_MATERIAL * rate:
        what = f"the holes leave {longest / rate:.2f} s in one piece"
        raise InpaintingError(what, f"{LEAST_MATERIAL:g} s or more are needed")
    return spans


def _spectra(mono: np.ndarray, known: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Levels of 32 bands in dB [frames, bands], which frames touch no hole, and samples per frame."""
    low_rate = min(rate, ANALYSIS_RATE)
    low = audio.resample(mono, rate, low_rate).astype(np.float64)
    step, size = max(1, round(HOP * low_rate)), round(WINDOW * low_rate)
    places = np.arange(0, len(low), step)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(low, size // 2), size)
    blocks = np.array_split(places, len(places) // BLOCK + 1)  # so that a long clip's memory stays bounded
    level = np.concatenate([_band_levels(frames[block], low_rate) for block in blocks])
    hop = step * rate / low_rate
    reach = 0.25 * WINDOW * rate  # beyond it a Hann window weighs little
    holes = np.concatenate([[0], np.cumsum(~known)])
    at = np.arange(len(places)) * hop
    low_end, high_end = (np.clip(at + sign * reach, 0, len(known)).astype(int) for sign in (-1, 1))
    decibels = 10 * np.log10(level + 1e-7 * level.max() + 1e-20)
    return decibels.astype(np.float32), holes[high_end] == holes[low_end], hop


def _band_levels(frames: np.ndarray, rate: int) -> np.ndarray:
    """Mean power in each band of windows [frames, n]: [frames, bands]."""
    size = frames.shape[1]
    power = np.abs(np.fft.rfft(frames * signal.get_window("hann", size))) ** 2
    edges = np.geomspace(LOWEST, rate / 2, BANDS + 1) * size / rate
    first = np.minimum(edges[:-1].astype(int), power.shape[1] - 1)
    last = np.clip(edges[1:].astype(int), first + 1, power.shape[1])
    total = np.pad(np.cumsum(power, axis=1), ((0, 0), (1, 0)))
    return (total[:, last] - total[:, first]) / (last - first)


def _fillings(spectra: np.ndarray, known: np.ndarray, start: int, end: int) -> list[Filling]:
    """Ways to fill frames [start, end), the best first."""
    guard = round(0.25 * WINDOW / HOP)  # the spectra beside a hole hold some of it
    before = _context(known, start - guard, -1)
    after = _context(known, end + guard, 1)
    length = end - start
    lags = np.arange(-start, len(spectra) - end)
    leading = _mismatch(spectra, known, before, lags)
    trailing = _mismatch(spectra, known, after, lags)
    within = np.concatenate([[0], np.cumsum(~known)])
    half = length // 2
    usable = lambda a, b: within[b] - within[a] == 0  # noqa: E731
    first_half, last_half = usable(start + lags, start + half + lags), usable(start + half + lags, end + lags)
    fillings = []
    whole = np.where(first_half & last_half, (leading + trailing) / 2, np.inf)
    for index in _lowest(whole, CHOICES):
        fillings.append(Filling(whole[index], lags[index], lags[index], start + half))
    ins = _lowest(np.where(first_half, leading, np.inf), CHOICES)
    outs = _lowest(np.where(last_half, trailing, np.inf), CHOICES)
    for i in ins:
        for o in outs:
            if i == o:
                continue
            join, fit = _best_join(spectra, within, start, end, lags[i], lags[o])
            cost = (leading[i] + trailing[o] + fit) / 3 + JUMP_COST
            if np.isfinite(cost):
                fillings.append(Filling(cost, lags[i], lags[o], join))
    if not fillings:
        what = f"no stretch of the clip is long enough to fill a hole of {length * HOP:.2f} s"
        raise InpaintingError(what, "make it shorter")
    return sorted(fillings, key=lambda filling: filling.cost)


def _context(known: np.ndarray, at: int, direction: int) -> np.ndarray:
    """Frames from `at` outwards, at most CONTEXT, up to the next hole or the clip's end."""
    frames = at + direction * np.arange(round(CONTEXT / HOP))
    frames = frames[(frames >= 0) & (frames < len(known))][::2]
    whole = np.cumprod(known[frames]).astype(bool)
    return frames[whole] if whole.any() else frames[:1]


def _mismatch(spectra: np.ndarray, known: np.ndarray, frames: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Mean difference in dB between `frames` and those a lag later; inf where these touch a hole.

    lags: ascending, one after another.
    """
    total, count = np.zeros(len(lags)), np.zeros(len(lags))
    for frame in frames:
        low, high = max(0, -frame - lags[0]), min(len(lags), len(spectra) - frame - lags[0])
        at = slice(frame + lags[0] + low, frame + lags[0] + high)
        total[low:high] += np.abs(spectra[at] - spectra[frame]).mean(axis=1) * known[at]
        count[low:high] += known[at]
    enough = count >= np.maximum(1, 0.6 * len(frames))
    return np.where(enough, total / np.maximum(count, 1), np.inf)


def _lowest(cost: np.ndarray, count: int) -> list[int]:
    """Indices of the lowest finite local minima, APART from each other."""
    near = ndimage.minimum_filter1d(cost, 2 * round(APART / HOP) + 1, mode="nearest")
    minima = np.nonzero((cost == near) & np.isfinite(cost))[0]
    return minima[np.argsort(cost[minima])][:count].tolist()


def _best_join(
    spectra: np.ndarray, within: np.ndarray, start: int, end: int, lead_in: int, lead_out: int
) -> tuple[int, float]:
    """Frame of the hole where the piece at one lag goes over best into the other, and how they differ."""
    ours = np.arange(start, end)
    apart = np.abs(spectra[ours + lead_in] - spectra[ours + lead_out]).mean(axis=1) if len(ours) else None
    if apart is None or not len(apart):
        return start, np.inf
    apart = ndimage.uniform_filter1d(apart, max(1, round(JOIN / HOP)), mode="nearest")
    holes_in = within[ours + lead_in] - within[start + lead_in]
    holes_out = within[end + lead_out] - within[ours + lead_out]
    apart = np.where((holes_in == 0) & (holes_out == 0), apart, np.inf)
    best = int(apart.argmin())
    return start + best, float(apart[best])


def _drawn(choices: list[Filling], rng: np.random.Generator) -> Filling:
    """One of the fillings, drawn with higher probability the better it fits."""
    return choices[rng.choice(len(choices), p=_weights(choices))]


def _weights(choices: list[Filling]) -> np.ndarray:
    cost = np.array([choice.cost for choice in choices])
    weight = np.exp((cost[0] - cost) / TEMPERATURE)
    return weight / weight.sum()


def _assembled(
    clip: np.ndarray, known: np.ndarray, start: int, end: int, filling: Filling, hop: float, rate: int
) -> np.ndarray:
    """The hole's samples [channels, end - start]."""
    length, fade, reach = end - start, round(FADE * rate), round(ALIGN * rate)
    mono = clip.mean(axis=0)
    lead_in = _aligned(mono, known, start - fade, start, round(filling.lead_in * hop), reach)
    lead_out = _aligned(mono, known, end, end + fade, round(filling.lead_out * hop), reach)
    first, last = (_piece(clip, start, end, lag) for lag in (lead_in, lead_out))
    fade = max(1, min(fade, length // 3))
    join = int(np.clip(round(filling.join * hop) - start, fade, length - fade))
    rise = np.zeros(length)
    rise[join - fade // 2 :] = 1
    rise[join - fade // 2 : join - fade // 2 + fade] = _ramp(fade)
    sound = _gained(clip, known, start, lead_in, -1, rate) * first * (1 - rise)
    sound += _gained(clip, known, end, lead_out, 1, rate) * last * rise
    return sound


def _levels(spectra: np.ndarray, frames: np.ndarray, filling: Filling) -> np.ndarray:
    """A filling's levels in the hole's frames, dB [frames, bands]."""
    at = frames + np.where(frames < filling.join, filling.lead_in, filling.lead_out)
    return spectra[np.clip(at, 0, len(spectra) - 1)]


def _towards_consensus(
    spectra: np.ndarray, frames: np.ndarray, filling: Filling, choices: list[Filling]
) -> np.ndarray:
    """Gains in dB [frames, bands] that bring a filling nearer to the mean of the best, by their fit."""
    best = choices[:CONSENSUS]
    weights = _weights(best)
    mean = sum(w * _levels(spectra, frames, choice) for w, choice in zip(weights, best, strict=True))
    lack = AGREEMENT * (mean - _levels(spectra, frames, filling))
    return np.clip(lack, -MOST_LEVELLED_DB, MOST_LEVELLED_DB)


def _with_gains(sound: np.ndarray, gains: np.ndarray, hop: float, rate: int) -> np.ndarray:
    """The sound [channels, n] with gains in dB [frames, bands] of `_spectra`'s bands."""
    if not len(gains):
        return sound
    size = round(WINDOW * rate)
    step = size // 8
    frequencies, times, spectrum = signal.stft(
        np.pad(sound, ((0, 0), (size, size))), rate, "hann", size, size - step
    )
    edges = np.geomspace(LOWEST, min(rate, ANALYSIS_RATE) / 2, BANDS + 1)
    centres = np.sqrt(edges[:-1] * edges[1:])
    at = np.clip((times * rate - size) / hop, 0, len(gains) - 1).astype(int)
    decibels = np.stack([np.interp(frequencies, centres, gains[frame]) for frame in at], axis=1)
    waves = signal.istft(spectrum * 10 ** (decibels / 20), rate, "hann", size, size - step)[1]
    return waves[:, size : size + sound.shape[1]]


def _with_edges(
    sound: np.ndarray, clip: np.ndarray, known: np.ndarray, start: int, end: int, rate: int
) -> np.ndarray:
    """The hole's samples, cross-faded with what lies beside it, continued by linear prediction."""
    fade = max(1, min(round(FADE * rate), (end - start) // 3))
    ramp = _ramp(fade)
    for channel, wave in enumerate(sound):
        ahead = _predicted(clip[channel], known, start, fade, 1)
        behind = _predicted(clip[channel], known, end - 1, fade, -1)[::-1]
        wave[:fade] = ahead * (1 - ramp) + wave[:fade] * ramp
        wave[-fade:] = wave[-fade:] * ramp[::-1] + behind * (1 - ramp[::-1])
    return np.clip(sound, -1, 1)


def _ramp(count: int) -> np.ndarray:
    return np.sin(np.pi / 2 * (np.arange(count) + 0.5) / count) ** 2


def _aligned(mono: np.ndarray, known: np.ndarray, first: int, last: int, lag: int, reach: int) -> int:
    """The lag near `lag` at which the waveform beside the hole fits best (normalised cross-correlation)."""
    first, last = max(0, first), min(len(mono), last)
    low, high = max(0, first + lag - reach), min(len(mono), last + lag + reach)
    if not known[first:last].all() or not known[low:high].all() or high - low <= last - first:
        return lag
    edge, around = mono[first:last], mono[low:high]
    fit = np.correlate(around, edge, "valid")
    energy = np.convolve(around**2, np.ones(len(edge)), "valid")
    return low - first + int(np.argmax(fit / np.sqrt(energy + 1e-9)))


def _piece(clip: np.ndarray, start: int, end: int, lag: int) -> np.ndarray:
    """Samples [start, end) moved by `lag`; zeros outside the clip."""
    at = np.arange(start, end) + lag
    fits = (at >= 0) & (at < clip.shape[1])
    return np.where(fits, clip[:, np.clip(at, 0, clip.shape[1] - 1)], 0.0)


def _gained(clip: np.ndarray, known: np.ndarray, edge: int, lag: int, side: int, rate: int) -> float:
    """Gain that brings a piece to the level beside the hole, at most 6 dB either way."""
    at = edge + side * np.arange(1, round(0.05 * rate))
    at = at[(at >= 0) & (at < clip.shape[1]) & (at + lag >= 0) & (at + lag < clip.shape[1])]
    at = at[known[at] & known[at + lag]]
    here, there = (np.sqrt(np.mean(clip[:, i] ** 2) + 1e-12) if len(i) else 1.0 for i in (at, at + lag))
    return float(np.clip(here / there, 10 ** (-MOST_GAIN_DB / 20), 10 ** (MOST_GAIN_DB / 20)))


def _predicted(wave: np.ndarray, known: np.ndarray, edge: int, count: int, direction: int) -> np.ndarray:
    """`count` samples that continue the sound from the hole's edge into it, by linear prediction."""
    past = wave[:edge] if direction == 1 else wave[edge + 1 :][::-1]  # the sample at the edge comes last
    there = known[:edge] if direction == 1 else known[edge + 1 :][::-1]
    gap = np.nonzero(~there[::-1])[0]
    nearest = past[len(past) - (gap[0] if len(gap) else len(past)) :][-8 * PREDICTION_ORDER :]
    order = min(PREDICTION_ORDER, len(nearest) // 4)
    if order < 2:
        return np.zeros(count)
    correlation = np.correlate(nearest, nearest, "full")[len(nearest) - 1 :][: order + 1]
    correlation[0] = correlation[0] * (1 + 1e-6) + 1e-9
    taps = linalg.solve_toeplitz(correlation[:order], correlation[1:])
    state = signal.lfiltic([1.0], np.concatenate([[1.0], -taps]), nearest[::-1][:order])
    return signal.lfilter([1.0], np.concatenate([[1.0], -taps]), np.zeros(count), zi=state)[0]
