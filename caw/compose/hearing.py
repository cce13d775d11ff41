"""What a plan says, heard in a clip: tempo, metre, bars, chords, loudness and density, and how certain."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import signal

from caw.compose import chords as chord_names
from caw.compose import pitch
from caw.compose.plan import DENSITY, LETTERS, LOUDNESS, Bar, Heard, Plan, Section, beats_in
from caw.mosaic import beats, features
from caw.mosaic.beats import Grid
from caw.mosaic.features import Frames

STAY_IN_BAR, STAY_AT_LINE = 0.9, 0.6  # how likely a chord goes on within a bar, and over a bar line
USUAL_BAR = 4  # beats, where bars cannot be told
CLEARLY = 0.15  # autocorrelation over what a beat needs at which it is certain by 63 %
STANDING_OUT = (
    2.0,
    6.0,
)  # deviations by which bar lines stand out: where certainty begins, and where it is full
FLAT_DB, FLAT_DENSITY = 1.5, 0.25  # deviations below which nothing is said of them
GROUPS = (8, 4, 2)  # bars that a section may have where it comes back
ALIKE = 0.6  # correlation of the pitch classes and loudness of bars that are the same section


def hear(
    samples: np.ndarray, rate: int, *, bpm: float | None = None, metre: str | None = None, source: str = ""
) -> Plan:
    """The plan of a clip as it is, with certainties in `heard`.

    samples: [n] or [channels, n] at `rate` Hz. bpm, metre: where they are known beforehand. source: the
    file's name, for the reader. Without a clear beat nothing but a remark says so. The piece's bars are the
    clip's whole ones: what comes before the first bar line and after the last is left out, though `beats`
    covers it. A bar that holds two chords has them in its halves.
    Raises: PlanError for a metre that is none.
    """
    samples = np.asarray(samples, np.float32)
    mono = samples if samples.ndim == 1 else samples.mean(axis=0)
    frames = features.analyse(mono, rate)
    per_bar = None if metre is None else beats_in(metre)
    grid = beats.grid(frames, tempo=bpm, beats_per_bar=per_bar)
    if grid.kind == "onsets":
        told = f"no clear beat (clarity {grid.clarity:.2f}): tempo, metre and chords are left open"
        return Plan(heard=Heard(source, 0.0, 0.0, (), (told,)))
    lines, remarks = _bar_lines(grid)
    if per_bar is not None and (per_bar * grid.per_beat) % 1:
        remarks += (f"bars of {metre} do not fit beats of {60 / grid.tempo:.2f} s; name the tempo as well",)
        metre = None
    units = np.array(list(zip(lines, lines[1:], strict=False)))
    metres = [metre or _metre((last - first) / grid.per_beat) for first, last in units]
    usual = Counter(metres).most_common(1)[0][0] if metres else metre
    charts, certainty, chroma = _charts(mono, rate, grid.bounds, units)
    loudness, density = _loudness(mono, rate, grid, units), _density(frames, grid, units)
    bars = [
        Bar(None if each == usual else each, chart, loud, dense)
        for each, chart, loud, dense in zip(metres, charts, loudness, density, strict=True)
    ]
    sections, form = _form(bars, chroma, loudness)
    first = lines[0] % grid.per_beat
    heard = Heard(
        source,
        _rounded(_beat_certainty(frames, grid)),
        _rounded(_line_certainty(frames, grid, lines) if grid.per_bar else 0.0),
        tuple(_rounded(value) for value in certainty),
        remarks,
    )
    return Plan(
        sections, form, round(grid.tempo, 2),
        tuple(round(float(time), 4) for time in grid.bounds[first :: grid.per_beat]),
        int(lines[0] // grid.per_beat), usual, heard=heard,
    )  # fmt: skip


def _rounded(value: float) -> float:
    return round(float(value), 3)


def _bar_lines(grid: Grid) -> tuple[np.ndarray, tuple[str, ...]]:
    """The units that begin bars, with the end of the last whole one, and what there is to remark."""
    if grid.per_bar is None:
        first = int(np.argmax(grid.places == 0))
        told = f"bars could not be told; {USUAL_BAR} beats each from the first beat are assumed"
        return np.arange(first, grid.units + 1, USUAL_BAR * grid.per_beat), (told,)
    lines, usual = np.flatnonzero(grid.places == 0), round(grid.per_bar * grid.per_beat)
    if grid.units - lines[-1] >= usual:
        lines = np.append(lines, lines[-1] + usual)
    return lines, ()


def _metre(length: float) -> str:
    """A bar of so many quarter notes."""
    return f"{length:.0f}/4" if length == round(length) else f"{2 * length:.0f}/8"


def _charts(mono, rate: int, bounds: np.ndarray, units: np.ndarray):
    """Chords and certainty of each bar, and its pitch classes [bars, 2, 12] by halves."""
    middles = units.mean(axis=1).round().astype(int) if len(units) else np.zeros(0, int)
    edges = np.concatenate([np.stack([units[:, 0], middles], axis=1).ravel(), units[-1:, 1]]).astype(int)
    if len(edges) < 2:
        return [], [], np.zeros((0, 2, 12))
    halves = pitch.chroma(mono, rate, bounds[edges])
    stay = np.where(np.arange(len(halves) - 1) % 2 == 0, STAY_IN_BAR, STAY_AT_LINE)
    found, sure = chord_names.recognise(halves, stay=stay)
    charts, certainty = [], []
    for index in range(0, len(found), 2):
        pair = dict.fromkeys(chord.label for chord in found[index : index + 2])
        charts.append(tuple(name for name in pair if len(pair) == 1 or name != chord_names.NO_CHORD))
        certainty.append(sure[index : index + 2].mean())
    return charts, certainty, halves.reshape(-1, 2, 12)


def _beats_of(units: np.ndarray, per_beat: int) -> list[np.ndarray]:
    """The bounds of each bar's beats, in units; a bar of 7/8 ends with half a beat."""
    return [np.append(np.arange(first, last, per_beat), last) for first, last in units]


def _loudness(mono, rate: int, grid: Grid, units: np.ndarray) -> list[tuple[float, ...] | None]:
    """Level of every beat in dB over the clip's mean; None throughout where it hardly changes."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    mean = max(energy[-1] / max(len(mono), 1), 1e-12)
    found = []
    for edges in _beats_of(units, grid.per_beat):
        at = np.clip(np.rint(grid.bounds[edges] * rate).astype(int), 0, len(mono))
        power = np.diff(energy[at]) / np.maximum(np.diff(at), 1) / mean
        found.append(10 * np.log10(np.maximum(power, 1e-12)))
    return _told(found, FLAT_DB, LOUDNESS, 1)


def _density(frames: Frames, grid: Grid, units: np.ndarray) -> list[tuple[float, ...] | None]:
    """Onsets of every beat, times the clip's mean; None throughout where it hardly changes."""
    peaks = signal.find_peaks(frames.onsets, height=1.0)[0] * features.HOP + features.HOP / 2
    mean = max(len(peaks) / max(len(frames) * features.HOP, 1e-9), 1e-9)
    early = 0.03  # an onset a little before its beat is the beat's
    found = []
    for edges in _beats_of(units, grid.per_beat):
        times = grid.bounds[edges]
        counts = np.diff(np.searchsorted(peaks, times - early))
        found.append(counts / np.diff(times) / mean)
    return _told(found, FLAT_DENSITY, DENSITY, 2)


def _told(found: list[np.ndarray], flat: float, bounds: tuple[float, float], digits: int):
    if not found or np.concatenate(found).std() < flat:
        return [None] * len(found)
    return [tuple(round(float(value), digits) for value in np.clip(each, *bounds)) for each in found]


def _beat_certainty(frames: Frames, grid: Grid) -> float:
    """From what a beat needs (0) to the clearest (1)."""
    count = len(frames) * features.HOP * grid.tempo / 60
    needed = max(beats.CLEAR, beats.BY_CHANCE / math.sqrt(count))
    return 1 - math.exp(-max(grid.clarity - needed, 0) / CLEARLY)


def _line_certainty(frames: Frames, grid: Grid, lines: np.ndarray) -> float:
    """How far bar lines stand out of the other beats, by onsets, low onsets and changes of pitch classes."""
    rows = frames.row(grid.bounds)
    start = lines[0] % grid.per_beat
    at = np.arange(start, grid.units, grid.per_beat)
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(frames.chroma, axis=0, dtype=float)])
    before, after = (total[rows[at]] - total[rows[np.maximum(at - 2, 0)]],
                     total[rows[np.minimum(at + 2, grid.units)]] - total[rows[at]])  # fmt: skip
    sizes = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = np.where(sizes > 0, 1 - (before * after).sum(axis=1) / np.maximum(sizes, 1e-12), 0)
    accents = 0.0
    for values in (frames.onsets, frames.bass):
        near = np.array([values[max(rows[k] - 6, 0) : rows[k] + 7].max(initial=0) for k in at])
        accents = accents + (near - near.mean()) / max(near.std(), 1e-9)
    accents = accents + (change - change.mean()) / max(change.std(), 1e-9)
    first = np.isin(at, lines)
    if not 2 <= first.sum() < len(at) - 1:
        return 0.0
    ours, others = accents[first], accents[~first]
    error = math.sqrt(ours.var(ddof=1) / len(ours) + others.var(ddof=1) / len(others))
    low, high = STANDING_OUT
    return float(np.clip(((ours.mean() - others.mean()) / max(error, 1e-9) - low) / (high - low), 0, 1))


def _form(bars: list[Bar], chroma: np.ndarray, loudness: list) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """Groups of bars as sections: those with one chart that also sound alike are one that comes back.

    All bars are one section where no group comes back.
    """
    if not bars:
        return (), ()
    for size in GROUPS:
        groups = [(first, min(first + size, len(bars))) for first in range(0, len(bars), size)]
        kinds: list[list[tuple[int, int]]] = []
        for group in groups:
            same = next((kind for kind in kinds if _alike(kind[0], group, bars, chroma)), None)
            same.append(group) if same else kinds.append([group])
        if len(kinds) < len(groups) and len(kinds) <= len(LETTERS):
            sections = tuple(
                Section(name, _mean(kind, bars)) for name, kind in zip(LETTERS, kinds, strict=False)
            )
            names = {group: name for name, kind in zip(LETTERS, kinds, strict=False) for group in kind}
            return sections, tuple(names[group] for group in groups)
    return (Section(LETTERS[0], tuple(bars)),), ()


def _alike(one: tuple[int, int], other: tuple[int, int], bars: list[Bar], chroma: np.ndarray) -> bool:
    """Whether two groups of bars have the same metres and chords, and pitch classes that go together."""
    a, b = bars[slice(*one)], bars[slice(*other)]
    if [(bar.metre, bar.chords) for bar in a] != [(bar.metre, bar.chords) for bar in b]:
        return False
    x, y = chroma[slice(*one)].ravel(), chroma[slice(*other)].ravel()
    return bool(x.std() and y.std() and np.corrcoef(x, y)[0, 1] >= ALIKE)


def _mean(kind: list[tuple[int, int]], bars: list[Bar]) -> tuple[Bar, ...]:
    """The bars of a section that comes back, loudness and density averaged over its times."""
    out = []
    for place in range(kind[0][1] - kind[0][0]):
        times = [bars[first + place] for first, _ in kind]
        means = {}
        for key, digits in (("loudness", 1), ("density", 2)):
            values = [getattr(bar, key) for bar in times]
            if values[0] is not None:
                means[key] = tuple(round(float(value), digits) for value in np.mean(values, axis=0))
        out.append(replace(times[0], **means))
    return tuple(out)
