"""Transcription of a clip into a plan: tempo, metre, bars, chords, loudness and density, with certainties.

Chords are recognised in chroma from an approximate transcription of notes (Mauch and Dixon 2010, "Approximate
note transcription for the improved identification of difficult chords", ISMIR), which partials and drums
disturb little: a spectrum in thirds of semitones, tuned and whitened, is explained by notes with their
partials, by non-negative least squares, and the notes are summed by pitch class. librosa's chroma contains
the partials, so that every note looks like a major chord.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import ndimage, optimize, signal

from caw import audio, beats, features
from caw.beats import BeatGrid
from caw.compose import chords as chord_names
from caw.compose.plan import DENSITY, LETTERS, LOUDNESS, Bar, Certainty, Plan, Section, beats_in
from caw.features import Frames
from caw.mosaic import USUAL_BAR

STAY_IN_BAR, STAY_AT_LINE = 0.9, 0.6  # probability that a chord lasts within a bar, and over a bar line
CLEAR_BY = 0.15  # autocorrelation above the least of a beat at which it is certain by 63 %
END = 0.75  # share of a unit at the clip's end that counts as one
LEAST_CHANGES, AT_ONE_BEAT = 4, 0.7  # changes of chord, and their share at one beat, that make it the first
FLAT_DB, FLAT_DENSITY = 1.0, 0.2  # deviations between bars below which nothing is said of them
EARLY = 0.03  # seconds; an onset that little before a bar line is the bar's
GROUPS = (8, 4, 2)  # bars that a section may have where it comes back
MOST_NEW = 2 / 3  # largest share of groups of bars that are new, where there are sections
ALIKE = 0.6  # correlation of the pitch classes of bars that are the same section
CHROMA_RATE = 11025  # Hz
WINDOW = 4096  # samples: 0.37 s
HOP = 512  # samples
THIRDS = 3  # bins a semitone
LOWEST, HIGHEST = 28, 100  # MIDI numbers of the spectrum, E1 to E7
NOTES = range(28, 89)  # MIDI numbers of the notes that are looked for
PARTIALS, DECAY = 16, 0.7  # of a note; each partial's amplitude to the one before
WHITENED = 12 * THIRDS  # bins to either side over which the spectrum is whitened
WHITENING = 0.7  # power of the local deviation that is divided by
BASS = (40.0, 55.0)  # MIDI numbers: notes below the first are bass, notes above the second are not
BASS_WEIGHT = 0.3  # beside the other notes


def transcribe(
    samples: np.ndarray, rate: int, *, bpm: float | None = None, metre: str | None = None, source: str = ""
) -> Plan:
    """Estimate the plan of a clip.

    Parameters
    ----------
    samples : array [n] or [channels, n]
        The clip.
    rate : int
        Its sampling rate in Hz.
    bpm : float, optional
        Quarter notes a minute, where they are known.
    metre : str, optional
        Such as "7/8", where it is known.
    source : str, optional
        The file's name, for the reader of the plan.

    Returns
    -------
    Plan
        The clip's whole bars; sound before the first bar line and after the last is left out, though `beats`
        covers it. A bar with two chords has them in its halves. `heard` holds certainties. If no beat is
        clear, the plan is empty but for a remark.

    Raises
    ------
    PlanError
        For a metre that cannot be read.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(5 * 8000)
    >>> transcribe(noise, 8000).heard.remarks[0][:13]
    'no clear beat'
    """
    samples = np.asarray(samples, np.float32)
    mono = samples if samples.ndim == 1 else samples.mean(axis=0)
    frames = features.analyse(mono, rate)
    per_bar = None if metre is None else beats_in(metre)
    grid = beats.beat_grid(frames, tempo=bpm, beats_per_bar=per_bar)
    if grid.kind == "onsets":
        remark = f"no clear beat (clarity {grid.clarity:.2f}): tempo, metre and chords are left open"
        return Plan(heard=Certainty(source, 0.0, 0.0, (), (remark,)))
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
    heard = Certainty(
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


def _bar_lines(grid: BeatGrid) -> tuple[np.ndarray, tuple[str, ...]]:
    """The units at which bars begin, with the end of the last whole bar, and remarks."""
    if grid.per_bar is None:
        first = int(np.argmax(grid.places == 0))
        remark = f"bars could not be told; {USUAL_BAR} beats each from the first beat are assumed"
        return np.arange(first, grid.units + 1, USUAL_BAR * grid.per_beat), (remark,)
    lines, usual = np.flatnonzero(grid.places == 0), round(grid.per_bar * grid.per_beat)
    if grid.units - lines[-1] >= usual:
        lines = np.append(lines, lines[-1] + usual)
    return lines, ()


def _to_the_end(grid: BeatGrid, end: float) -> BeatGrid:
    """The grid with one more unit if the clip lasts almost to its end, as one that is cut at a bar line."""
    unit = grid.bounds[-1] - grid.bounds[-2]
    if end - grid.bounds[-1] < END * unit:
        return grid
    bar = round((grid.per_bar or 1) * grid.per_beat)
    place = (grid.places[-1] + 1) % bar
    return replace(
        grid, bounds=np.append(grid.bounds, grid.bounds[-1] + unit), places=np.append(grid.places, place)
    )


def _metre(length: float) -> str:
    """The metre of a bar of `length` quarter notes."""
    return f"{length:.0f}/4" if length == round(length) else f"{2 * length:.0f}/8"


def _charts(mono, rate: int, bounds: np.ndarray, units: np.ndarray):
    """Chords and certainty of each bar, and its pitch classes [bars, 2, 12] by halves."""
    middles = units.mean(axis=1).round().astype(int) if len(units) else np.zeros(0, int)
    edges = np.concatenate([np.stack([units[:, 0], middles], axis=1).ravel(), units[-1:, 1]]).astype(int)
    if len(edges) < 2:
        return [], [], np.zeros((0, 2, 12))
    halves = chroma(mono, rate, bounds[edges])
    stay = np.where(np.arange(len(halves) - 1) % 2 == 0, STAY_IN_BAR, STAY_AT_LINE)
    chords, certainties = chord_names.recognise(halves, stay=stay)
    chords = chord_names.spelled(chords)
    charts, certainty = [], []
    for index in range(0, len(chords), 2):
        pair = dict.fromkeys(chord.label for chord in chords[index : index + 2])
        charts.append(tuple(name for name in pair if len(pair) == 1 or name != chord_names.NO_CHORD))
        certainty.append(certainties[index : index + 2].mean())
    return charts, certainty, halves.reshape(-1, 2, 12)


def _loudness(mono, rate: int, grid: BeatGrid, units: np.ndarray) -> list[float | None]:
    """Level of every bar in dB over the clip's mean; None throughout where it hardly changes."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    at = np.clip(np.rint(grid.bounds[units] * rate).astype(int), 0, len(mono)).reshape(-1, 2)
    power = np.diff(energy[at], axis=1)[:, 0] / np.maximum(np.diff(at, axis=1)[:, 0], 1)
    level = 10 * np.log10(np.maximum(power * len(mono) / max(energy[-1], 1e-12), 1e-12))
    return _unless_flat(level, FLAT_DB, LOUDNESS, 1)


def _density(frames: Frames, grid: BeatGrid, units: np.ndarray) -> list[float | None]:
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


def _beat_certainty(frames: Frames, grid: BeatGrid) -> float:
    """Certainty of the beat: 0 for the least autocorrelation that makes a beat, to 1."""
    count = len(frames) * features.HOP * grid.tempo / 60
    needed = max(beats.CLEAR, beats.BY_CHANCE / math.sqrt(count))
    return 1 - math.exp(-max(grid.clarity - needed, 0) / CLEAR_BY)


def _changes(mono, rate: int, grid: BeatGrid, first: int) -> np.ndarray:
    """The units at which the chord changes, of those a whole number of beats from `first`."""
    at = np.arange(first % grid.per_beat, grid.units + 1, grid.per_beat)
    chords, _ = chord_names.recognise(chroma(mono, rate, grid.bounds[at]))
    roots = [chord.root for chord in chords]
    changed = [
        k for k, (a, b) in enumerate(zip(roots, roots[1:], strict=False), 1) if None not in (a, b) and a != b
    ]
    return at[changed]


def _moved(lines: np.ndarray, changes: np.ndarray, grid: BeatGrid) -> np.ndarray:
    """The bar lines, moved to the beat at which chords change if that is nearly always the same one."""
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


def _line_certainty(lines: np.ndarray, changes: np.ndarray, grid: BeatGrid) -> float:
    """The share of the changes of chord at bar lines, above chance; lower where there are few changes."""
    by_chance = (len(lines) - 1) * grid.per_beat / max(lines[-1] - lines[0], 1)
    within = changes[(changes >= lines[0]) & (changes <= lines[-1])]
    share = np.isin(within, lines).mean() if len(within) else 0.0
    return float(np.clip((share - by_chance) / (1 - by_chance), 0, 1) * len(within) / (len(within) + 2))


def _form(bars: list[Bar], chroma: np.ndarray) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """Sections and form from groups of bars: those with the same chart that sound alike are one section.

    All bars are one section if no group recurs.
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
        if whole >= 2 and new <= MOST_NEW * whole and len(kinds) <= len(LETTERS):
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
    """The bars of a section that recurs, with loudness and density averaged over its occurrences."""
    mean_bars = []
    for place in range(kind[0][1] - kind[0][0]):
        times = [bars[first + place] for first, _ in kind]
        means = {}
        for key, digits in (("loudness", 1), ("density", 2)):
            values = [getattr(bar, key) for bar in times]
            if values[0] is not None:
                means[key] = round(float(np.mean(values)), digits)
        mean_bars.append(replace(times[0], **means))
    return tuple(mean_bars)


def chroma(samples: np.ndarray, rate: int, bounds: np.ndarray) -> np.ndarray:
    """Pitch classes [n, 12] from C up of the n stretches of samples [m] between bounds [n + 1] in seconds.

    Low notes weigh more, since the bass often decides a chord. Silence gives zeros.
    """
    pitches = np.array(NOTES)
    weights = 1 + BASS_WEIGHT * np.clip((BASS[1] - pitches) / (BASS[1] - BASS[0]), 0, 1)
    return (_note_strengths(samples, rate, bounds) * weights) @ np.eye(12)[pitches % 12]


def _note_strengths(samples: np.ndarray, rate: int, bounds: np.ndarray) -> np.ndarray:
    """Strength of each of NOTES in each stretch."""
    low = (
        audio.resample(np.asarray(samples, np.float32), rate, CHROMA_RATE) if rate != CHROMA_RATE else samples
    )
    spectra = _whitened(_tuned(_thirds(low)))
    rows = np.clip(np.rint(np.asarray(bounds) * CHROMA_RATE / HOP).astype(int), 0, len(spectra))
    notes = np.zeros((len(rows) - 1, len(NOTES)))
    for index, (first, last) in enumerate(zip(rows, rows[1:], strict=False)):
        mean = spectra[min(first, len(spectra) - 1) : max(last, first + 1)].mean(axis=0)
        if mean.any():
            notes[index] = optimize.nnls(_dictionary(), mean)[0]
    return notes


def _thirds(samples: np.ndarray) -> np.ndarray:
    """Amplitudes [frames, bins] in thirds of semitones; row k is at sample k * HOP."""
    _, _, spectra = signal.stft(
        samples,
        CHROMA_RATE,
        "hann",
        WINDOW,
        WINDOW - HOP,
        boundary="zeros",
        padded=True,
        return_onesided=True,
    )
    return np.abs(spectra.T) @ _mapping()


@functools.cache
def _mapping() -> np.ndarray:
    """Weights [WINDOW / 2 + 1, bins] from linear to logarithmic frequency."""
    numbers = np.arange(THIRDS * (HIGHEST - LOWEST) + 1) / THIRDS + LOWEST
    centres = 440 * 2 ** ((numbers - 69) / 12) * WINDOW / CHROMA_RATE  # in bins of the spectrum
    width = np.maximum(np.gradient(centres), 1.0)
    apart = np.abs(np.arange(WINDOW // 2 + 1)[:, None] - centres) / width
    weights = np.maximum(1 - apart, 0)
    return weights / weights.sum(axis=0)


@functools.cache
def _dictionary() -> np.ndarray:
    """Spectra [bins, notes] of one note each, of norm 1."""
    time, shape = np.arange(WINDOW) / CHROMA_RATE, signal.get_window("hann", WINDOW)
    columns = []
    for number in NOTES:
        hz = 440 * 2 ** ((number - 69) / 12) * np.arange(1, PARTIALS + 1)
        hz = hz[hz < CHROMA_RATE / 2.2]
        parts = np.abs(np.fft.rfft(np.cos(2 * np.pi * hz[:, None] * time) * shape, axis=1)) / WINDOW
        columns.append(DECAY ** np.arange(len(hz)) @ parts @ _mapping())
    notes = np.array(columns)
    return (notes / np.linalg.norm(notes, axis=1, keepdims=True)).T


def _tuned(spectra: np.ndarray) -> np.ndarray:
    """Spectra shifted by up to half a semitone, so that notes lie on their bins."""
    bins = spectra.shape[1]
    turn = np.exp(-2j * np.pi * np.arange(bins) / THIRDS)
    off = -np.angle(np.sum(spectra.sum(axis=0) * turn)) / (2 * np.pi) * THIRDS  # bins by which all is sharp
    return ndimage.shift(spectra, (0, -off), order=1, mode="nearest")


def _whitened(spectra: np.ndarray) -> np.ndarray:
    """Amplitudes above the local mean, over the local deviation, so that soft regions count as well."""
    size = 2 * WHITENED + 1
    mean = ndimage.uniform_filter1d(spectra, size, axis=1)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter1d(spectra**2, size, axis=1) - mean**2, 0))
    floor = max(1e-3 * float(spectra.max(initial=0)), 1e-9)
    return np.maximum(spectra - mean, 0) / np.maximum(deviation, floor) ** WHITENING
