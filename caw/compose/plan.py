"""A plan: what is asked of a piece, in tempo, metre, form, chords, loudness and density."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from caw.compose import chords as chord_names

BPM = (30.0, 300.0)  # quarter notes a minute
NOTES = (1, 2, 4, 8, 16, 32)  # what a metre may count
LONGEST_BAR = 16.0  # quarter notes
LOUDNESS = (-60.0, 20.0)  # dB
DENSITY = (0.0, 10.0)  # times the clip's
NAME = re.compile(r"[^\W_][\w '-]{0,39}")  # a section's


class PlanError(ValueError):
    """A plan that cannot be; says what is wrong and how to put it right."""


def beats_in(metre: str) -> float:
    """The length of a bar in quarter notes: "7/8" is 3.5. Raises PlanError for what is no metre."""
    parts = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(\d{1,2})\s*", metre) if isinstance(metre, str) else None
    if parts is None or int(parts[2]) not in NOTES:
        raise PlanError(f"metre {metre!r} cannot be read; write it as 4/4, 7/8 or 5/4")
    length = 4 * int(parts[1]) / int(parts[2])
    if not 0.5 <= length <= LONGEST_BAR:
        raise PlanError(f"metre {metre!r} is no bar; use half a quarter note to {LONGEST_BAR:g} of them")
    return length


@dataclass(frozen=True)
class Bar:
    """What is asked of one bar; what is left out is as in the clip."""

    metre: str | None = None  # None: the plan's
    chords: tuple[str, ...] = ()  # names, in equal parts of the bar; none: those of the walk over the clip
    loudness: float | tuple[float, ...] | None = None  # dB over the clip's mean; of the bar or of each beat
    density: float | tuple[float, ...] | None = None  # onsets, times the clip's mean; of the bar or each beat


@dataclass(frozen=True)
class Section:
    """A named stretch of bars, such as A or chorus."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Heard:
    """How certain what was heard in a clip is; for the reader, drawing takes no notice.

    Certainties go from 0 (a guess) to 1.
    """

    source: str = ""  # the clip's file
    tempo: float | None = None  # certainty of the beat
    metre: float | None = None  # certainty of the bar lines
    chords: tuple[float, ...] = ()  # certainty of each bar's chords, in the order of the form
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a piece is to be. Where one is made all is checked: PlanError or ChordError says what is wrong."""

    sections: tuple[Section, ...] = ()  # each named once
    form: tuple[str, ...] = ()  # names of sections in order; none: every section once
    bpm: float | None = None  # quarter notes a minute; None: the clip's
    beats: tuple[float, ...] | None = None  # seconds of every quarter note, a clip's own curve; before bpm
    first_bar: int = 0  # which of `beats` begins the first bar
    metre: str | None = None  # None: the clip's
    novelty: float = 0.5  # 0 to 1: how readily the walk over the clip's bars jumps
    heard: Heard | None = None

    def __post_init__(self) -> None:
        if self.bpm is not None:
            _within("bpm", self.bpm, *BPM)
        _within("novelty", self.novelty, 0.0, 1.0)
        if self.metre is not None:
            beats_in(self.metre)
        if self.beats is not None:
            _check_beats(self.beats, self.first_bar)
        names = [section.name for section in self.sections]
        for section in self.sections:
            if names.count(section.name) > 1:
                raise PlanError(f"section {section.name} is there twice; give each section a name of its own")
            if not section.bars:
                raise PlanError(f"section {section.name} has no bars; write its chords or its metre")
            for number, bar in enumerate(section.bars, start=1):
                _check_bar(bar, self.metre, f"section {section.name}, bar {number}")
        for name in self.form:
            if name not in names:
                known = ", ".join(names) or "none is there"
                raise PlanError(f"form names section {name}, which is not defined; sections: {known}")

    def bars(self) -> list[Bar]:
        """Every bar of the piece in order, with its metre where the plan says one."""
        there = {section.name: section.bars for section in self.sections}
        return [replace(bar, metre=bar.metre or self.metre) for name in self._order() for bar in there[name]]

    def section_of_bar(self) -> list[str]:
        """The section's name of every bar of the piece."""
        there = {section.name: len(section.bars) for section in self.sections}
        return [name for name in self._order() for _ in range(there[name])]

    def _order(self) -> Iterable[str]:
        return self.form or [section.name for section in self.sections]


def _within(key: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high:
        raise PlanError(f"{key} is {value!r}; use a number from {low:g} to {high:g}")


def _check_beats(beats: tuple[float, ...], first_bar: int) -> None:
    if len(beats) < 2 or not all(isinstance(b, int | float) and math.isfinite(b) for b in beats):
        raise PlanError("beats must be two or more times in seconds")
    for number, (beat, following) in enumerate(zip(beats, beats[1:], strict=False), start=2):
        if following <= beat:
            raise PlanError(f"beats must ascend; number {number} is {following:g}, after {beat:g}")
    if not isinstance(first_bar, int) or not 0 <= first_bar < len(beats):
        raise PlanError(f"first_bar is {first_bar!r}; use a whole number from 0 to {len(beats) - 1}")


def _check_bar(bar: Bar, metre: str | None, place: str) -> None:
    try:
        length = beats_in(bar.metre or metre) if bar.metre or metre else None
        for name in bar.chords:
            chord_names.parse(name)
        for key, bounds in (("loudness", LOUDNESS), ("density", DENSITY)):
            values = getattr(bar, key)
            if isinstance(values, tuple) and length is not None and len(values) != math.ceil(length):
                of = f"{bar.metre or metre} has {math.ceil(length)} beats"
                raise PlanError(f"{key} has {len(values)} values; a bar of {of}")
            for value in values if isinstance(values, tuple) else () if values is None else (values,):
                _within(key, value, *bounds)
    except (PlanError, chord_names.ChordError) as error:
        raise type(error)(f"{place}: {error}") from None
