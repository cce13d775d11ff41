"""Beats and bars of a clip, or its onsets where no beat is clear.

The beat's period is the lag at which onsets recur, beats are tracked by dynamic programming (Ellis 2007), and
bars are found from the likeness of beats at the bar's lag. librosa tracks beats, too, and has no bars; on 22
pieces whose beats are known (`tests/benchmarks/beats.py`, table in `docs/mosaic.md`) its AMLt is .79
where this module's is .88.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from caw.features import HOP, Frames

TEMPI = (45.0, 220.0)  # beats per minute that are looked for
USUAL_PERIOD, PERIOD_SPREAD = 0.5, 0.8  # seconds; octaves: the preference among metric levels
HINT_SPREAD = 0.08  # octaves around a tempo that was given
MULTIPLES = {1: 1.0, 2: 0.5, 3: 0.4, 4: 0.3}  # weights of the autocorrelation at so many beats
DIVISIONS, DIVISION_WEIGHT = (2, 3, 4), 0.3  # of a beat, the clearest of which counts as well
TIGHTNESS = 400.0  # of beats to the tempo (Ellis 2007: 100); offbeats must not bend the grid
CLEAR = 0.1  # autocorrelation that a beat needs
BY_CHANCE = 1.05  # what notes at random reach at most (of 64 tries), times the root of the number of beats
LEAST_ONSETS = 0.2  # onsets a beat; sound that swells has none
LEAST_BEATS = 3  # in a clip
SHORTEST_UNIT = 0.2  # seconds; beats of twice that and more are halved
SNAP = 0.03  # seconds by which a beat moves to the onset beside it
METRES = {2: 0.75, 3: 0.95, 4: 1.0, 5: 0.9, 6: 0.75, 7: 0.85}  # beats per bar, and how usual
HALF_METRES = {5: 0.75, 7: 0.8, 9: 0.7}  # bars counted in half beats, such as 7/8
LEAST_BARS = 3  # with fewer, bars are unknown
GROUPS = 4  # of features, each of deviation 1
OTHER_BAR = 3.0  # what a bar of another length costs, in deviations of the accents
ONSET_APART = 0.2  # seconds
LONGEST_UNIT = 0.8  # seconds between onsets; more is divided


@dataclass(frozen=True)
class BeatGrid:
    """A clip divided into units: beats or half beats, or notes where no beat is clear.

    Unit k lasts from bounds[k] to bounds[k + 1].
    """

    kind: str  # "beats", or "onsets" where no beat is clear
    bounds: np.ndarray  # seconds, ascending
    places: np.ndarray  # int [units]: position in the bar, in units; 0 throughout where bars are unknown
    tempo: float | None  # beats per minute
    per_beat: int  # units in a beat
    per_bar: float | None  # beats in most bars; None where bars are unknown
    clarity: float  # autocorrelation of the onsets at the beat, 0 to 1

    @property
    def units(self) -> int:
        return len(self.places)

    def description(self) -> str:
        """Tempo and metre in words."""
        if self.kind == "onsets":
            length = np.diff(self.bounds).mean()
            return f"no clear beat: cut at {self.units} onsets, {length:.2f} s apart on average"
        bars = f"{self.per_bar:g} beats a bar" if self.per_bar else "bars unknown"
        return f"{self.tempo:.1f} beats a minute, {bars}, cut by {'half ' * (self.per_beat == 2)}beats"


def beat_grid(frames: Frames, *, tempo: float | None = None, beats_per_bar: float | None = None) -> BeatGrid:
    """Track the beats and bars of a clip.

    Parameters
    ----------
    frames : Frames
        The clip's features, from `caw.features.analyse`.
    tempo : float, optional
        Beats per minute to look near.
    beats_per_bar : float, optional
        Quarter notes in a bar, where they are known: 3.5 for 7/8. If this or the tempo is given, beats are
        tracked even where none is clear, as long as the clip holds LEAST_BEATS of them.

    Returns
    -------
    BeatGrid
        Beats, halved where they last 0.4 s or more, with positions in bars; or onsets.

    Notes
    -----
    Periods and beats follow Ellis 2007, "Beat tracking by dynamic programming". A metre that changes costs
    OTHER_BAR, so that one odd bar does not turn all that follow.

    Examples
    --------
    >>> import numpy as np
    >>> from caw import features
    >>> clicks = np.zeros(10 * 8000, np.float32)
    >>> for beat in range(20):  # two a second
    ...     clicks[beat * 4000 : beat * 4000 + 40] = 1.0
    >>> grid = beat_grid(features.analyse(clicks, 8000))
    >>> grid.kind, round(grid.tempo)
    ('beats', 120)
    """
    period, clarity = beat_period(frames.onsets, tempo)
    needed = max(CLEAR, BY_CHANCE / np.sqrt(len(frames) / period))
    begins = signal.find_peaks(frames.onsets, height=1.0)[0].size * period / len(frames)
    unclear = (clarity < needed or begins < LEAST_ONSETS) and tempo is None and beats_per_bar is None
    if unclear or len(frames) < LEAST_BEATS * period:
        bounds = onset_bounds(frames)
        return BeatGrid("onsets", bounds, np.zeros(len(bounds) - 1, int), None, 1, None, clarity)
    beats = snapped(track(frames.onsets, period), frames.onsets)
    per_beat = 2 if period * HOP >= 2 * SHORTEST_UNIT else 1
    bounds = _extended(beats, period * HOP, per_beat, len(frames) * HOP)
    rows = frames.row(bounds)
    bar, places = bars(frames, rows, per_beat, beats_per_bar)
    speed = 60 / float(np.median(np.diff(beats))) if len(beats) > 2 else 60 / (period * HOP)
    per_bar = bar / per_beat if bar else None
    return BeatGrid("beats", bounds, places, speed, per_beat, per_bar, clarity)


def beat_period(onsets: np.ndarray, tempo: float | None = None) -> tuple[float, float]:
    """The beat's period in frames, and how clear it is (autocorrelation, 0 to 1).

    It is the period at whose multiples onsets recur, weighted by a log-normal preference (Ellis 2007, "Beat
    tracking by dynamic programming", equation 6).
    """
    wave = onsets - onsets.mean()
    wave = ndimage.gaussian_filter1d(wave, 2.0)
    size = len(wave)
    spectrum = np.abs(np.fft.rfft(wave, 2 * size)) ** 2
    back = np.fft.irfft(spectrum)[:size]
    back = back / max(back[0], 1e-12) * size / np.maximum(size - np.arange(size), size / 2)
    shortest, longest = 60 / TEMPI[1] / HOP, min(60 / TEMPI[0] / HOP, size / 2)
    usual, spread = (USUAL_PERIOD / HOP, PERIOD_SPREAD) if tempo is None else (60 / tempo / HOP, HINT_SPREAD)
    if tempo is not None:
        shortest, longest = usual / 1.2, usual * 1.2
    periods = np.arange(shortest, max(longest, shortest + 1), 0.1)
    strength = np.zeros(len(periods))
    for number, weight in MULTIPLES.items():
        # a metre that changes sets some multiples off the beat, which must not count against a period
        strength += weight * np.maximum(np.interp(number * periods, np.arange(size), back, right=0), 0)
    parts = [np.interp(periods / number, np.arange(size), back) for number in DIVISIONS]
    strength += DIVISION_WEIGHT * np.max(parts, axis=0)
    preference = np.exp(-0.5 * (np.log2(periods / usual) / spread) ** 2)
    period = float(periods[np.argmax(np.maximum(strength, 1e-9) * preference)])
    near = np.interp(period + np.arange(-2, 3), np.arange(size), back, right=0)
    return period, float(np.clip(near.max(), 0, 1))


def track(onsets: np.ndarray, period: float) -> np.ndarray:
    """Beats in seconds: strong onsets a period apart, by dynamic programming (Ellis 2007, section 3)."""
    strength = ndimage.gaussian_filter1d(onsets, max(1.0, period / 32))
    strength = strength / max(float(strength.std()), 1e-9)
    near, far = max(1, round(period / 2)), max(2, round(2 * period))
    steps = np.arange(far, near - 1, -1)
    cost = TIGHTNESS * np.log(steps / period) ** 2
    total, before = np.zeros(len(strength)), np.full(len(strength), -1)
    for first in range(0, len(strength), near):  # what lies nearer than half a beat is never looked at
        here = np.arange(first, min(first + near, len(strength)))
        origins = here[:, None] - steps
        past = np.where(origins >= 0, total[np.maximum(origins, 0)] - cost, -cost)
        best = past.argmax(axis=1)
        rows = np.arange(len(here))
        total[here] = strength[here] + past[rows, best]
        before[here] = np.where(origins[rows, best] >= 0, origins[rows, best], -1)
    last = max(0, len(total) - max(1, round(period)))
    at, beats = last + int(np.argmax(total[last:])), []
    while at >= 0:
        beats.append(at)
        at = before[at]
    return np.array(beats[::-1]) * HOP


def snapped(beats: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Beats in seconds, moved to the strongest onset within SNAP where there is one, by a fitted parabola."""
    reach, moved = round(SNAP / HOP), beats.copy()
    for index, beat in enumerate(np.rint(beats / HOP).astype(int)):
        first, last = max(1, beat - reach), min(len(onsets) - 1, beat + reach + 1)
        if last - first < 3 or onsets[first:last].max() < 1.0:
            continue
        peak = first + int(np.argmax(onsets[first:last]))
        if 1 <= peak < len(onsets) - 1:
            a, b, c = onsets[peak - 1 : peak + 2]
            bend = a - 2 * b + c
            moved[index] = (peak + (np.clip(0.5 * (a - c) / bend, -0.5, 0.5) if bend < 0 else 0)) * HOP
    return moved if np.all(np.diff(moved) > HOP) else beats


def _extended(beats: np.ndarray, period: float, per_beat: int, end: float) -> np.ndarray:
    """Bounds of units over the whole clip: the beats, continued to both ends, and their halves."""
    if len(beats) == 0:
        beats = np.array([0.0])
    early = beats[0] - period * np.arange(int((beats[0] + 1e-9) / period), 0, -1)
    late = beats[-1] + period * np.arange(1, int((end - beats[-1]) / period + 1e-6) + 1)
    whole = np.concatenate([early[early >= 0], beats, late[late <= end]])
    steps = np.arange(len(whole) * per_beat - per_beat + 1) / per_beat
    bounds = np.interp(steps, np.arange(len(whole)), whole)
    if per_beat == 2 and whole[0] >= period / 2:
        bounds = np.insert(bounds, 0, whole[0] - period / 2)
    if per_beat == 2 and end - whole[-1] >= period / 2:
        bounds = np.append(bounds, whole[-1] + period / 2)
    return bounds


def bars(
    frames: Frames, rows: np.ndarray, per_beat: int, beats_per_bar: float | None
) -> tuple[int | None, np.ndarray]:
    """Units per bar (None where bars are unknown), and each unit's position in its bar.

    The bar is the lag at whose multiples units sound most alike. Bar lines are found by dynamic programming
    over accents (onsets, low onsets, changes of pitch classes). Bars of another length may occur, at a cost,
    so that a change of metre does not shift the bar lines of all that follows.
    """
    units = len(rows) - 1
    if beats_per_bar is not None:
        bar: int | None = max(1, round(beats_per_bar * per_beat))
    else:
        bar = _bar_length(_unit_features(frames, rows), _accents(frames, rows), per_beat)
    if bar is None or units < LEAST_BARS * bar:
        return None, (np.arange(units) - _first_beat(frames, rows, per_beat)) % per_beat
    return bar, _places(_accents(frames, rows), bar, free=beats_per_bar is None)


def _first_beat(frames: Frames, rows: np.ndarray, per_beat: int) -> int:
    strength = [frames.onsets[rows[k:-1:per_beat]].mean() for k in range(min(per_beat, len(rows) - 1))]
    return int(np.argmax(strength))


def _unit_features(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Features [units, d]: spectrum, onsets and pitch classes, each group of equal weight."""
    starts = np.minimum(rows[:-1], len(frames) - 1)
    length = np.maximum(np.diff(np.append(starts, max(rows[-1], starts[-1] + 1))), 1)[:, None]
    mel = np.add.reduceat(frames.mel, starts) / length
    chroma = np.add.reduceat(frames.chroma, starts)
    chroma = np.sqrt(chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9))
    onsets, bass = (ndimage.maximum_filter1d(x, 7)[starts] for x in (frames.onsets, frames.bass))
    groups = [mel, chroma, onsets[:, None], bass[:, None]]
    out = []
    for group in groups:
        group = group - group.mean(axis=0)
        out.append(group / max(float(np.sqrt((group**2).sum(axis=1).mean())), 1e-9))
    return np.concatenate(out, axis=1)


def _bar_length(features: np.ndarray, accents: np.ndarray, per_beat: int) -> int | None:
    """Units per bar: the lag at whose multiples units and accents are more alike than at other lags."""
    units = len(features)
    longest = min(units * 2 // 3, 64)
    alike = np.zeros(longest + 1)
    for lag in range(1, longest + 1):
        alike[lag] = np.sum(features[lag:] * features[:-lag]) / (units - lag) / GROUPS
        alike[lag] += 0.5 * np.mean(accents[lag:] * accents[:-lag])
    alike[0] = np.nan
    candidates = {beats * per_beat: usual for beats, usual in METRES.items()}
    if per_beat == 2:
        candidates |= {bar: usual for bar, usual in HALF_METRES.items() if bar not in candidates}
    scores = {}
    for bar, usual in candidates.items():
        lags = np.arange(bar, longest + 1, bar)[:4]
        if units < LEAST_BARS * bar or not len(lags):
            continue
        others = [lag for lag in range(per_beat, lags[-1]) if lag % bar]
        at_bars, elsewhere = alike[lags].mean(), np.mean(alike[others]) if others else 0.0
        scores[bar] = usual * max(at_bars - elsewhere, 1e-6)
    return max(scores, key=scores.__getitem__) if scores else None


def _accents(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """How much each unit sounds like the first of a bar, with a standard deviation of 1."""
    starts = rows[:-1]
    reach = round(SNAP / HOP) * 2 + 1
    onsets, bass = (ndimage.maximum_filter1d(x, reach)[starts] for x in (frames.onsets, frames.bass))
    features = np.stack([onsets, bass, _harmonic_change(frames, rows)])
    features = features - features.mean(axis=1, keepdims=True)
    features /= np.maximum(features.std(axis=1, keepdims=True), 1e-9)
    accent = features.sum(axis=0)
    return accent / max(float(accent.std()), 1e-9)


def _harmonic_change(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Distance of the pitch classes in the two units after each bound from those in the two before it."""
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(frames.chroma, axis=0, dtype=np.float64)])
    index = np.arange(len(rows) - 1)
    before, after = np.maximum(index - 2, 0), np.minimum(index + 2, len(rows) - 1)
    past, coming = (total[rows[b]] - total[rows[a]] for a, b in ((before, index), (index, after)))
    past, coming = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (past, coming))
    return np.where(index > 0, 1 - np.sum(past * coming, axis=1), 0)


def _places(accents: np.ndarray, bar: int, *, free: bool) -> np.ndarray:
    """Each unit's position in its bar, from the best sequence of first units."""
    lengths = [bar] + ([bar + k for k in (-2, -1, 1, 2) if bar + k > 1] if free and bar > 3 else [])
    total, before = np.array(accents, dtype=float), np.full(len(accents), -1)
    for unit in range(len(accents)):
        if unit >= bar:
            total[unit] = -np.inf  # the first bar's start lies in the first bar
        for length in lengths:
            if unit - length >= 0:
                gain = total[unit - length] + accents[unit] - (OTHER_BAR if length != bar else 0)
                if gain > total[unit]:
                    total[unit], before[unit] = gain, unit - length
    last = max(0, len(total) - bar)
    at, firsts = last + int(np.argmax(total[last:])), []
    while at >= 0:
        firsts.append(at)
        at = before[at]
    places = np.zeros(len(accents), int)
    firsts = firsts[::-1]
    for first, following in zip(firsts, [*firsts[1:], len(accents)], strict=True):
        places[first:following] = np.arange(following - first)
    places[: firsts[0]] = (np.arange(firsts[0]) - firsts[0]) % bar
    return places


def onset_bounds(frames: Frames) -> np.ndarray:
    """Bounds in seconds at the onsets, at least ONSET_APART from each other, with long notes divided."""
    peaks, _ = signal.find_peaks(frames.onsets, height=1.0, distance=round(ONSET_APART / HOP))
    end = (len(frames) - 1) * HOP
    times = [time for time in peaks * HOP if ONSET_APART <= time <= end - ONSET_APART]
    bounds = [0.0]
    for time in [*times, end]:
        parts = max(1, int(np.ceil((time - bounds[-1]) / LONGEST_UNIT)))
        bounds += list(np.linspace(bounds[-1], time, parts + 1)[1:])
    return np.array(bounds)
