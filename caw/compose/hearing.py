"""What a plan says, heard in a clip: tempo, metre, bars, chords, loudness and density, and how certain."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import signal

from caw import beats, features
from caw.beats import Grid
from caw.compose import chords as chord_names
from caw.compose import pitch
from caw.compose.plan import DENSITY, LETTERS, LOUDNESS, Bar, Heard, Plan, Section, beats_in
from caw.features import Frames
from caw.mosaic import USUAL_BAR

STAY_IN_BAR, STAY_AT_LINE = 0.9, 0.6  # how likely a chord goes on within a bar, and over a bar line
CLEARLY = 0.15  # autocorrelation over what a beat needs at which it is certain by 63 %
END = 0.75  # share of a unit at the clip's end that counts as one
LEAST_CHANGES, AT_ONE_BEAT = 4, 0.7  # changes of chord, and their share at one beat, that make it the first
FLAT_DB, FLAT_DENSITY = 1.0, 0.2  # deviations between bars below which nothing is said of them
EARLY = 0.03  # seconds; an onset that little before a bar line is the bar's
GROUPS = (8, 4, 2)  # bars that a section may have where it comes back
OFTEN = 2 / 3  # of the groups of bars, at most so many are new ones where sections are told apart
ALIKE = 0.6  # correlation of the pitch classes of bars that are the same section


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
        remark = f"no clear beat (clarity {grid.clarity:.2f}): tempo, metre and chords are left open"
        return Plan(heard=Heard(source, 0.0, 0.0, (), (remark,)))
    grid = _to_the_end(grid, len(mono) / rate)
    lines, remarks = _bar_lines(grid)
    changes = _changes(mono, rate, grid, lines[0])
    if metre is None and grid.per_bar:
        lines = _moved(lines, changes, grid)
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
    sections, form = _form(bars, chroma)
    first = lines[0] % grid.per_beat
    heard = Heard(
        source,
        _rounded(_beat_certainty(frames, grid)),
        _rounded(_line_certainty(lines, changes, grid) if grid.per_bar else 0.0),
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
        remark = f"bars could not be told; {USUAL_BAR} beats each from the first beat are assumed"
        return np.arange(first, grid.units + 1, USUAL_BAR * grid.per_beat), (remark,)
    lines, usual = np.flatnonzero(grid.places == 0), round(grid.per_bar * grid.per_beat)
    if grid.units - lines[-1] >= usual:
        lines = np.append(lines, lines[-1] + usual)
    return lines, ()


def _to_the_end(grid: Grid, end: float) -> Grid:
    """The same, with one more unit where the clip ends just before it, as one cut at a bar line."""
    unit = grid.bounds[-1] - grid.bounds[-2]
    if end - grid.bounds[-1] < END * unit:
        return grid
    bar = round((grid.per_bar or 1) * grid.per_beat)
    place = (grid.places[-1] + 1) % bar
    return replace(
        grid, bounds=np.append(grid.bounds, grid.bounds[-1] + unit), places=np.append(grid.places, place)
    )


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
    found = chord_names.spelled(found)
    charts, certainty = [], []
    for index in range(0, len(found), 2):
        pair = dict.fromkeys(chord.label for chord in found[index : index + 2])
        charts.append(tuple(name for name in pair if len(pair) == 1 or name != chord_names.NO_CHORD))
        certainty.append(sure[index : index + 2].mean())
    return charts, certainty, halves.reshape(-1, 2, 12)


def _loudness(mono, rate: int, grid: Grid, units: np.ndarray) -> list[float | None]:
    """Level of every bar in dB over the clip's mean; None throughout where it hardly changes."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    at = np.clip(np.rint(grid.bounds[units] * rate).astype(int), 0, len(mono)).reshape(-1, 2)
    power = np.diff(energy[at], axis=1)[:, 0] / np.maximum(np.diff(at, axis=1)[:, 0], 1)
    level = 10 * np.log10(np.maximum(power * len(mono) / max(energy[-1], 1e-12), 1e-12))
    return _unless_flat(level, FLAT_DB, LOUDNESS, 1)


def _density(frames: Frames, grid: Grid, units: np.ndarray) -> list[float | None]:
    """Onsets of every bar, times the clip's mean; None throughout where it hardly changes."""
    peaks = signal.find_peaks(frames.onsets, height=1.0)[0] * features.HOP
    times = grid.bounds[units].reshape(-1, 2)
    counts = np.diff(np.searchsorted(peaks, times - EARLY), axis=1)[:, 0]
    mean = len(peaks) / (len(frames) * features.HOP)
    return _unless_flat(counts / np.diff(times, axis=1)[:, 0] / max(mean, 1e-9), FLAT_DENSITY, DENSITY, 2)


def _unless_flat(
    values: np.ndarray, flat: float, bounds: tuple[float, float], digits: int
) -> list[float | None]:
    if not len(values) or values.std() < flat:
        return [None] * len(values)
    return [round(float(value), digits) for value in np.clip(values, *bounds)]


def _beat_certainty(frames: Frames, grid: Grid) -> float:
    """From what a beat needs (0) to the clearest (1)."""
    count = len(frames) * features.HOP * grid.tempo / 60
    needed = max(beats.CLEAR, beats.BY_CHANCE / math.sqrt(count))
    return 1 - math.exp(-max(grid.clarity - needed, 0) / CLEARLY)


def _changes(mono, rate: int, grid: Grid, first: int) -> np.ndarray:
    """The units at which a chord gives way to another, of those a whole number of beats from `first`."""
    at = np.arange(first % grid.per_beat, grid.units + 1, grid.per_beat)
    found, _ = chord_names.recognise(pitch.chroma(mono, rate, grid.bounds[at]))
    roots = [chord.root for chord in found]
    there = [
        k for k, (a, b) in enumerate(zip(roots, roots[1:], strict=False), 1) if None not in (a, b) and a != b
    ]
    return at[there]


def _moved(lines: np.ndarray, changes: np.ndarray, grid: Grid) -> np.ndarray:
    """The bar lines, moved to the beat of the bar at which chords change, where they do so at one alone."""
    lengths = np.diff(lines)
    if len(changes) < LEAST_CHANGES or len(set(lengths)) != 1:
        return lines
    bar = int(lengths[0])
    places = (changes - lines[0]) % bar
    shares = np.bincount(places, minlength=bar) / len(changes)
    best = int(shares.argmax())
    if shares[best] < AT_ONE_BEAT or shares[0] > 1 - AT_ONE_BEAT:
        return lines
    return np.arange((lines[0] + best) % bar, grid.units + 1, bar)


def _line_certainty(lines: np.ndarray, changes: np.ndarray, grid: Grid) -> float:
    """How much more of the chords' changes than by chance are at bar lines; less where there are few."""
    by_chance = (len(lines) - 1) * grid.per_beat / max(lines[-1] - lines[0], 1)
    within = changes[(changes >= lines[0]) & (changes <= lines[-1])]
    share = np.isin(within, lines).mean() if len(within) else 0.0
    return float(np.clip((share - by_chance) / (1 - by_chance), 0, 1) * len(within) / (len(within) + 2))


def _form(bars: list[Bar], chroma: np.ndarray) -> tuple[tuple[Section, ...], tuple[str, ...]]:
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
        whole = len(bars) // size
        new = sum(kind[0][1] - kind[0][0] == size for kind in kinds)
        if whole >= 2 and new <= OFTEN * whole and len(kinds) <= len(LETTERS):
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
                means[key] = round(float(np.mean(values)), digits)
        out.append(replace(times[0], **means))
    return tuple(out)
