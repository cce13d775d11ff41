"""Timelines of a clip or of music to be made: beats, bars, pitch classes, loudness and accents over time.

A timeline is divided into units: half beats, or notes where no beat is clear.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from caw import beats, features
from caw.compose.chords import parse
from caw.compose.plan import Plan, beats_in
from caw.features import HOP, Frames
from caw.mosaic import USUAL_BAR, selection

C_FROM_A = -3  # the pitch classes of `caw.mosaic` begin with A, those of timelines with C
ACCENT_BANDS = (0.0, 200.0, 2000.0, np.inf)  # Hz: kick and bass, voices and snares, cymbals
SLOTS = 2  # moments in a unit that have accents: on quarters of a beat
ACCENTS = SLOTS * (len(ACCENT_BANDS) - 1)
STRONGEST = 4.0  # deviations; stronger onsets are clipped
REACH = 0.03  # seconds around a moment within which an onset is its accent
DENSITY_SECONDS = 1.0  # over which accents are counted
VALUES = ("chroma", "loudness", "density", "accents", "sound", "shift")  # of each unit
PHRASE_SECONDS = 2.0  # approximate length of a phrase where there is no beat


@dataclass(frozen=True)
class Timeline:
    """Times, positions and features of units. Positions count from 0 at the first bar line."""

    bounds: np.ndarray  # [units + 1] seconds, ascending: unit k lasts from bounds[k] to bounds[k + 1]
    beat: np.ndarray  # [units + 1] position in quarter notes; [0] without a beat
    bar: np.ndarray  # [units + 1] position in bars; [0] without bars
    phrases: np.ndarray  # int, ascending: the first units of bars (or phrases)
    chroma: np.ndarray  # [units, 12] pitch classes from C up, of length 1 in the squares
    loudness: np.ndarray  # [units] dB about the clip's mean
    density: np.ndarray  # [units] accents in the surroundings; 1 is the clip's mean
    accents: np.ndarray  # [units, ACCENTS] onsets of each band at each slot, 0 to STRONGEST
    sound: np.ndarray  # [units, bands] level in dB
    shift: np.ndarray  # [units] semitones of transposition

    @property
    def units(self) -> int:
        return len(self.bounds) - 1

    @property
    def has_beat(self) -> bool:
        return len(self.beat) > 0

    @property
    def seconds(self) -> float:
        """The end of the last unit."""
        return float(self.bounds[-1])

    def select(
        self, rows: np.ndarray, bounds: np.ndarray, beat: np.ndarray, bar: np.ndarray, phrases: np.ndarray
    ):
        """The features of units `rows` of this timeline, at new times and positions."""
        return Timeline(bounds, beat, bar, phrases, **{name: getattr(self, name)[rows] for name in VALUES})

    def changed(self, **values: np.ndarray) -> Timeline:
        """The timeline with some fields replaced."""
        return dataclasses.replace(self, **values)

    @staticmethod
    def joined(parts: list[Timeline]) -> Timeline:
        """The units of several timelines in a row, with the times and positions of the first."""
        values = {name: np.concatenate([getattr(part, name) for part in parts]) for name in VALUES}
        return dataclasses.replace(parts[0], **values)

    def tensors(self) -> dict[str, np.ndarray]:
        """The fields by name, as `Timeline(**tensors)` takes them."""
        return dataclasses.asdict(self)


def analyse(samples: np.ndarray, rate: int, plan: Plan | None = None) -> Timeline:
    """The timeline of a clip [n] or [channels, n] at `rate` Hz.

    plan: a plan of this clip, whose beats, metre and chords take the place of estimates.
    """
    mono = np.atleast_2d(samples).mean(axis=0, dtype=np.float32)
    frames = features.analyse(mono, rate)
    if plan is not None and plan.beats is not None:
        bounds, beat, bar, phrases = _grid_of_plan(plan, len(mono) / rate)
    else:
        bounds, beat, bar, phrases = _tracked_grid(frames, plan)
    rows = frames.row(bounds)
    sound = selection.means(frames.mel, rows)
    level = 10 * np.log10(np.maximum(selection.means(10 ** (frames.mel / 10), rows).sum(axis=1), 1e-6))
    accents = _accents(frames, bounds, rate)
    chroma = np.roll(selection.pitch_classes(frames, rows), C_FROM_A, axis=1)
    if plan is not None:
        chroma = _with_chords(chroma, phrases, plan)
    return Timeline(
        bounds, beat, bar, phrases, chroma, level - level.mean(), _density(accents, bounds), accents, sound,
        np.zeros(len(chroma)),
    )  # fmt: skip


def _with_chords(chroma: np.ndarray, phrases: np.ndarray, plan: Plan) -> np.ndarray:
    """Pitch classes [units, 12] with those of the chords in the clip's plan raised, bar by bar."""
    raised = chroma.copy()
    for first, last, bar in zip(phrases, [*phrases[1:], len(chroma)], plan.bars(), strict=False):
        if bar.chords:
            templates = np.array([parse(name).template() for name in bar.chords])
            raised[first:last] *= 1 + templates[np.arange(last - first) * len(templates) // (last - first)]
    return raised / np.maximum(np.linalg.norm(raised, axis=1, keepdims=True), 1e-9)


def phase(position: np.ndarray, cycles: float) -> np.ndarray:
    """Sine and cosine [2, n] of a phase that makes `cycles` turns for each whole of `position` [n]."""
    angle = 2 * np.pi * cycles * position
    return np.stack([np.sin(angle), np.cos(angle)])


def _tracked_grid(frames: Frames, plan: Plan | None):
    """Bounds, beats, bars and first units of bars by `caw.beats`."""
    tempo = None if plan is None else plan.bpm
    grid = beats.beat_grid(frames, tempo=tempo)
    bounds = grid.bounds.astype(float)
    nothing = np.zeros(0)
    if grid.kind == "onsets":
        length = np.diff(bounds)
        group = np.floor(np.cumsum(np.append(0, length[:-1])) / PHRASE_SECONDS).astype(int)
        return bounds, nothing, nothing, np.flatnonzero(np.diff(group, prepend=-1))
    firsts = np.flatnonzero(grid.places == 0)
    beat = np.arange(len(bounds)) / grid.per_beat
    if grid.per_bar is None:
        start = int(firsts[0]) if len(firsts) else 0
        length = round(USUAL_BAR * grid.per_beat)
        return bounds, beat - beat[start], nothing, np.arange(start % length, grid.units, length)
    return (
        bounds,
        beat - beat[firsts[0]],
        _bar_positions(firsts, len(bounds), grid.per_bar * grid.per_beat),
        firsts,
    )


def _bar_positions(firsts: np.ndarray, count: int, usual: float) -> np.ndarray:
    """Position in bars of each bound, from the bars' first units. usual: units of the bars at both ends."""
    lines = np.concatenate([[firsts[0] - usual], firsts, [max(firsts[-1] + usual, count - 1)]])
    return np.interp(np.arange(count), lines, np.arange(len(lines)) - 1.0)


def _grid_of_plan(plan: Plan, seconds: float):
    """Bounds, beats, bars and first units of bars by a plan of the clip."""
    times = np.asarray(plan.beats, dtype=float)
    step = np.median(np.diff(times)) if len(times) > 1 else 0.5
    early = times[0] - step * np.arange(int(times[0] / step), 0, -1)
    late = times[-1] + step * np.arange(1, int(max(0.0, seconds - times[-1]) / step) + 1)
    whole = np.concatenate([early, times, late])
    whole = whole[(whole >= 0) & (whole <= seconds)]
    halves = np.arange(2 * len(whole) - 1) / 2
    bounds = np.interp(halves, np.arange(len(whole)), whole)
    beat = halves - (plan.first_bar + np.sum(early >= 0))
    usual = beats_in(plan.metre or "4/4")
    lines = [0.0]
    for bar in plan.bars():
        lines.append(lines[-1] + (beats_in(bar.metre) if bar.metre else usual))
    while lines[-1] < beat[-1]:
        lines.append(lines[-1] + usual)
    count = int(np.ceil(max(0.0, -beat[0]) / usual))
    lines = np.concatenate([lines[0] - usual * np.arange(count, 0, -1), lines])
    bar = np.interp(beat, lines, np.arange(len(lines)) - float(count))
    phrases = np.flatnonzero(np.isin(np.round(2 * beat[:-1]), np.round(2 * lines)))
    return bounds, beat, bar, phrases if len(phrases) else np.array([0])


def _accents(frames: Frames, bounds: np.ndarray, rate: int) -> np.ndarray:
    """The strongest onset of each band within REACH of each slot [units, ACCENTS]."""
    middle = features.mel_frequencies(
        features.BANDS + 2, features.LOWEST, min(rate, features.ANALYSIS_RATE) / 2
    )[1:-1]
    length = np.diff(bounds)[:, None]
    rows = frames.row(bounds[:-1, None] + length * np.arange(SLOTS) / SLOTS)
    columns = []
    for low, high in zip(ACCENT_BANDS, ACCENT_BANDS[1:], strict=False):
        inside = (middle >= low) & (middle < high)
        onsets = features.onsets(frames.mel[:, inside]) if inside.any() else np.zeros(len(frames))
        wide = ndimage.maximum_filter1d(onsets, 2 * round(REACH / HOP) + 1)
        columns.append(np.minimum(wide[rows], STRONGEST))
    return np.concatenate(columns, axis=1)


def _density(accents: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Accents around each unit, over DENSITY_SECONDS, as a multiple of their mean."""
    count = np.minimum(accents, 1.5).mean(axis=1) / np.maximum(np.diff(bounds), 1e-3)
    reach = max(1, round(DENSITY_SECONDS / float(np.median(np.diff(bounds)))))
    smooth = ndimage.uniform_filter1d(count, reach, mode="nearest")
    return smooth / max(float(smooth.mean()), 1e-9)
