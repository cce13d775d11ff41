"""Concatenation of segments of a clip, with cross-fades at quiet places where both sides are in phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

FADE = 0.02  # seconds of a cross-fade
EARLIEST, LATEST = -0.025, -0.012  # seconds from a bound to the middle of its fade, before the attack
SOFT_FADE = 0.06  # seconds, where nothing is struck
SOFT_EARLIEST, SOFT_LATEST = -0.06, 0.03
STEP = 0.004  # seconds between places that are tried
SHIFT = 0.008  # seconds by which a segment may come early or late, to be in phase
QUIET = 0.05  # worth, in correlation, of a place that is quieter by 1 dB
LEAST_STRETCH = 0.006  # seconds; a segment whose length is off by less is left alone
ATTACK = 0.05  # seconds at a segment's start that are never stretched
GRAIN = 0.04  # seconds of a stretched segment's grains
SEARCH = 0.01  # seconds in which a grain is brought into phase
END_FADE = 0.01  # seconds, at both ends of the whole


@dataclass(frozen=True)
class Segment:
    """Samples [start, stop) of the clip, placed at [at, at + length) of the output."""

    start: int
    stop: int
    at: int
    length: int
    soft: bool = False  # whether it begins without an attack


@dataclass(frozen=True)
class Join:
    """A cross-fade between two segments."""

    at: int  # sample of the output where the fade begins
    length: int  # samples of the fade
    correlation: float  # of the two sides over the fade


def concatenate(
    samples: np.ndarray, rate: int, segments: Sequence[Segment], count: int
) -> tuple[np.ndarray, list[Join]]:
    """Segments of samples [channels, n] in their order: float32 [channels, count], and the joins.

    A segment that is longer or shorter in the output than in the clip is stretched. Every segment but the
    first begins with a fade near its bound, at the shift where both sides correlate best and are quiet. The
    fade's gain depends on that correlation, so that the power stays constant: equal gain for a correlation of
    1, equal power for 0.
    """
    out = np.zeros((len(samples), count), np.float32)
    mono = samples.mean(axis=0)
    joins = []
    source, source_mono, offset = _source(samples, mono, rate, segments[0])  # source = output + offset
    done = 0
    for segment in segments[1:]:
        new, new_mono, new_offset = _source(samples, mono, rate, segment)
        fade = max(8, round((SOFT_FADE if segment.soft else FADE) * rate))
        start, shift, correlation = _best_join(
            source_mono, offset, new_mono, new_offset, segment, rate, fade, done
        )
        if start >= count:
            break
        _copy(out, source, offset, done, start)
        _cross_fade(out, source, offset, new, new_offset - shift, start, fade, correlation)
        joins.append(Join(start, fade, correlation))
        done = start + fade
        source, source_mono, offset = new, new_mono, new_offset - shift
    _copy(out, source, offset, done, count)
    return out, joins


def _copy(out, source, offset: int, first: int, last: int) -> None:
    """out[first:last] = source at the offset, zeros beyond its ends."""
    low, high = max(first, -offset), min(last, source.shape[1] - offset, out.shape[1])
    if high > low:
        out[:, low:high] = source[:, low + offset : high + offset]


def _window(source: np.ndarray, first: int, count: int) -> np.ndarray:
    """source[..., first : first + count], zeros beyond its ends."""
    low, high = max(first, 0), min(first + count, source.shape[-1])
    out = np.zeros((*source.shape[:-1], count), source.dtype)
    if high > low:
        out[..., low - first : high - first] = source[..., low:high]
    return out


def _best_join(old, old_offset, new, new_offset, segment, rate, fade, done) -> tuple[int, int, float]:
    """First sample of the fade, samples by which the new segment comes late, and the correlation."""
    reach = round(SHIFT * rate)
    best, join = -np.inf, (max(done, segment.at - fade), 0, 0.0)
    earliest, latest = (SOFT_EARLIEST, SOFT_LATEST) if segment.soft else (EARLIEST, LATEST)
    level = float(np.sqrt(np.mean(np.square(new[:: max(1, len(new) // 65536)], dtype=np.float64)))) + 1e-9
    for middle in np.arange(earliest, latest + 1e-9, STEP):
        start = segment.at + round(middle * rate) - fade // 2
        if start < done:
            continue
        a = _window(old, start + old_offset, fade).astype(np.float64)
        b = _window(new, start + new_offset - reach, fade + 2 * reach).astype(np.float64)
        size = fft.next_fast_len(len(b) + fade, real=True)
        products = fft.irfft(fft.rfft(b, size) * np.conj(fft.rfft(a, size)), size)[: 2 * reach + 1]
        energy = np.concatenate([[0.0], np.cumsum(b**2)])
        energy = energy[fade:] - energy[:-fade]
        own = float(np.sum(a**2))
        floor = fade * (1e-3 * level) ** 2
        correlations = products / np.sqrt(np.maximum(energy, floor) * max(own, floor))
        place = int(np.argmax(correlations))
        loud = 10 * np.log10((max(own, floor) + max(energy[place], floor)) / (2 * fade * level**2))
        score = correlations[place] - QUIET * loud
        if score > best:
            # the window begins `place` samples after the earliest: the segment comes early by place - reach
            best, join = score, (start, reach - place, float(correlations[place]))
    return join


def _cross_fade(out, old, old_offset, new, new_offset, start, fade, correlation) -> None:
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    power = rise**2 + (1 - rise) ** 2 + 2 * np.clip(correlation, 0, 1) * rise * (1 - rise)
    gain = 1 / np.sqrt(power)
    a, b = _window(old, start + old_offset, fade), _window(new, start + new_offset, fade)
    mixed = (gain * ((1 - rise) * a + rise * b)).astype(np.float32)
    room = out.shape[1] - start
    out[:, start : start + fade] = mixed[:, : max(0, room)]


def _source(samples, mono, rate, segment: Segment):
    """The sound a segment is taken from, its mean over the channels, and its offset from the output.

    That is the clip itself, or a stretched copy of the segment and its surroundings.
    """
    if abs(segment.stop - segment.start - segment.length) < LEAST_STRETCH * rate:
        return samples, mono, segment.start - segment.at
    around = round(0.15 * rate)
    first, last = segment.start - around, segment.stop + around
    own, own_mono = _window(samples, first, last - first), _window(mono, first, last - first)
    steady = around + round(ATTACK * rate)
    longer = segment.length - (segment.stop - segment.start)
    places = _grain_places(own_mono, rate, steady, longer)
    sound = _overlapped(own, places, rate)
    return sound, sound.mean(axis=0), around - segment.at


def _grain_places(mono, rate, steady: int, longer: int) -> np.ndarray:
    """First samples in the source of the output's grains (WSOLA: Verhelst and Roelands 1993).

    Sound before `steady` stays as it is; the rest becomes `longer` by so many samples, shorter if negative.
    """
    hop = max(4, round(GRAIN * rate / 2))
    reach = round(SEARCH * rate)
    size = len(mono) + longer
    ends = size - round(0.15 * rate)
    places = []
    for at in range(0, size, hop):
        share = np.clip((at - steady) / max(1, ends - steady), 0, 1)
        ideal = at - round(longer * share)
        if not places or share == 0:
            places.append(ideal)
            continue
        follows = places[-1] + hop  # the source's own continuation
        low = max(ideal - reach, 0)
        high = ideal + reach
        if low <= follows <= high and share < 1:
            places.append(follows)
            continue
        wanted = _window(mono, follows, 2 * hop)
        area = _window(mono, low, high - low + 2 * hop)
        likeness = np.correlate(area, wanted, "valid")
        energy = np.concatenate([[0.0], np.cumsum(np.square(area, dtype=np.float64))])
        energy = energy[2 * hop :] - energy[: -2 * hop]
        likeness = likeness / np.sqrt(np.maximum(energy, 1e-9))
        places.append(low + int(np.argmax(likeness)))
    return np.array(places)


def _overlapped(source, places, rate) -> np.ndarray:
    """Grains of the source overlapped and added."""
    hop = max(4, round(GRAIN * rate / 2))
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(hop) + 0.5) / hop)
    out = np.zeros((len(source), (len(places) + 1) * hop), np.float32)
    out[:, :hop] = _window(source, int(places[0]), hop)
    for index, place in enumerate(places):
        after = int(places[index + 1]) if index + 1 < len(places) else int(place) + hop
        first = (index + 1) * hop
        old, new = _window(source, int(place) + hop, hop), _window(source, after, hop)
        out[:, first : first + hop] = old if after == int(place) + hop else (1 - rise) * old + rise * new
    return out
