"""Plans of pieces, with tempo, metre, form, chords, loudness and density, and their files in TOML or JSON."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from caw.compose import chords as chord_names
from caw.compose.chords import OPEN, ChordError
from caw.files import atomic, file_names
from caw.problems import ProblemError

BPM = (30.0, 300.0)  # quarter notes a minute
NOTES = (1, 2, 4, 8, 16, 32)  # what a metre may count
LONGEST_BAR = 16.0  # quarter notes
LOUDNESS = (-60.0, 20.0)  # dB
DENSITY = (0.0, 10.0)  # times the clip's
NAME = re.compile(r"[^\W_][\w'+-]{0,39}")  # a section's
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # names of sections that have no other
BARS = 4  # of a section that is only named
MOST_BARS = 10_000  # of a piece
LARGEST_FILE = 2_000_000  # bytes
PLAN_KEYS = ("bpm", "metre", "novelty", "form", "section", "beats", "heard")
SECTION_KEYS = ("chords", "bars", "metre", "loudness", "density")
HEARD_KEYS = ("source", "tempo", "metre", "chords", "remarks")
SYNONYMS = {"tempo": "bpm", "meter": "metre", "time": "metre", "sections": "section", "volume": "loudness"}


class PlanError(ProblemError):
    """A plan that contradicts itself or cannot be read."""


def beats_in(metre: str) -> float:
    """The length of a bar in quarter notes: "7/8" is 3.5. Raises PlanError for a text that is no metre."""
    parts = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(\d{1,2})\s*", metre) if isinstance(metre, str) else None
    if parts is None or int(parts[2]) not in NOTES:
        raise PlanError(f"metre {metre!r} cannot be read", "write it as 4/4, 7/8 or 5/4")
    length = 4 * int(parts[1]) / int(parts[2])
    if not 0.5 <= length <= LONGEST_BAR:
        raise PlanError(f"metre {metre!r} is no bar", f"use half a quarter note to {LONGEST_BAR:g} of them")
    return length


@dataclass(frozen=True)
class Bar:
    """One bar of a plan; what it leaves out is as in the clip.

    Attributes
    ----------
    metre : str or None
        Such as "7/8"; None for the plan's.
    chords : tuple of str
        Names, each for an equal part of the bar; none for the chords of the clip's bars it is modelled on.
    loudness : float, tuple of float or None
        dB over the clip's mean, for the bar or for each beat.
    density : float, tuple of float or None
        Onsets as a multiple of the clip's mean, for the bar or for each beat.
    """

    metre: str | None = None
    chords: tuple[str, ...] = ()
    loudness: float | tuple[float, ...] | None = None
    density: float | tuple[float, ...] | None = None


@dataclass(frozen=True)
class Section:
    """A stretch of bars with a name, which is a word of up to 40 letters, such as A or chorus."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Certainty:
    """How certain the estimates of a transcribed plan are, from 0 (a guess) to 1. Generation ignores it."""

    source: str = ""  # the clip's file
    tempo: float | None = None  # certainty of the beat
    metre: float | None = None  # certainty of the bar lines
    chords: tuple[float, ...] = ()  # certainty of each bar's chords, in the order of the form
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The plan of a piece. What it leaves open is taken from the clip.

    Attributes
    ----------
    sections : tuple of Section
        Each of a name of its own.
    form : tuple of str
        Names of sections in order; none for every section once.
    bpm : float or None
        Quarter notes a minute, 30 to 300; None for the clip's tempo.
    beats : tuple of float or None
        Seconds of every quarter note, for a tempo that changes; takes precedence over bpm.
    first_bar : int
        Index of the beat that begins the first bar.
    metre : str or None
        Such as "4/4"; None for the clip's.
    novelty : float
        From 0, where bars follow each other as in the clip, to 1, where every bar line may be a new turn.
    heard : Certainty or None
        How certain a transcribed plan is.

    Raises
    ------
    PlanError, ChordError
        When a plan is made whose values contradict each other, are out of range or cannot be read.

    Examples
    --------
    >>> plan = Plan.from_options(chords="Em C | G D", form="A A B", bpm=100, metre="4/4")
    >>> len(plan.bars()), plan.seconds()
    (6, 14.4)
    """

    sections: tuple[Section, ...] = ()
    form: tuple[str, ...] = ()
    bpm: float | None = None
    beats: tuple[float, ...] | None = None
    first_bar: int = 0
    metre: str | None = None
    novelty: float = 0.3
    heard: Certainty | None = None

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
            if not NAME.fullmatch(section.name):
                raise PlanError(f"section {section.name!r} cannot be called so", "use a word, as A or chorus")
            if names.count(section.name) > 1:
                raise PlanError(
                    f"section {section.name} is there twice", "give each section a name of its own"
                )
            if not section.bars:
                raise PlanError(f"section {section.name} has no bars", "write its chords or its metre")
            for number, bar in enumerate(section.bars, start=1):
                _check_bar(bar, self.metre, f"section {section.name}, bar {number}")
        for name in self.form:
            if name not in names:
                defined = ", ".join(names) or "none is there"
                raise PlanError(f"form names section {name}, which is not defined", f"sections: {defined}")
        sizes = {section.name: len(section.bars) for section in self.sections}
        _check_count(sum(sizes[name] for name in self._order()))

    @classmethod
    def from_options(
        cls,
        *,
        chords: str | None = None,
        bpm: float | None = None,
        metre: str | None = None,
        form: str | None = None,
        seconds: float | None = None,
        novelty: float | None = None,
        base: Plan | None = None,
    ) -> Plan:
        """A plan from the options of a command or of a study's file; those that are None stay as in `base`.

        Raises PlanError or ChordError.

        Parameters
        ----------
        chords : str, optional
            A chart as `chords.parse_line` reads it, with "|" (or "||", if it has bar lines) between sections:
            "Em C G D | Am F". Sections are called A, B and so on, or by the words of the form in their order;
            a single chart serves all sections.
        bpm, novelty : float, optional
        metre : str, optional
            A metre, or one for each bar, repeated over the bars: "7/8 7/8 4/4".
        form : str, optional
            Names of sections in order: "A A B A". Without a chart and a base they have BARS bars each.
        seconds : float, optional
            Repeat the piece until it lasts so long. This needs a tempo and a metre; without them the piece is
            repeated when it is arranged.
        base : Plan, optional
        """
        plan, order = base or cls(), tuple((form or "").split())
        if form is not None and not order:
            raise PlanError("form names no section", "write it as A A B A")
        metres = tuple((metre or "").split())
        if metre is not None and not metres:
            raise PlanError("metre is empty", "write it as 4/4, 7/8 or 5/4")
        sections = plan.sections
        if chords is not None:
            sections = _sections(chords, order)
        elif order and not sections:
            sections = tuple(Section(name, (Bar(),) * BARS) for name in dict.fromkeys(order))
        elif len(metres) > 1 and not sections:
            sections = (Section(LETTERS[0], (Bar(),) * len(metres)),)
        if metres:
            cycle = [metres[k % len(metres)] if len(metres) > 1 else None for k in range(MOST_BARS)]
            sections = tuple(
                replace(s, bars=tuple(replace(b, metre=m) for b, m in zip(s.bars, cycle, strict=False)))
                for s in sections
            )
        changes: dict[str, Any] = {"sections": sections, "form": order or (() if chords else plan.form)}
        if metres:
            changes["metre"] = metres[0]
        if novelty is not None:
            changes["novelty"] = novelty
        if bpm is not None:
            changes |= {"bpm": bpm, "beats": None, "first_bar": 0}
        plan = replace(plan, **changes)
        return plan if seconds is None else plan.lasting(seconds)

    def bars(self) -> list[Bar]:
        """Every bar of the piece in order, with its metre where the plan has one."""
        by_name = {section.name: section.bars for section in self.sections}
        return [
            replace(bar, metre=bar.metre or self.metre) for name in self._order() for bar in by_name[name]
        ]

    def section_of_bar(self) -> list[str]:
        """The name of the section of every bar of the piece."""
        sizes = {section.name: len(section.bars) for section in self.sections}
        return [name for name in self._order() for _ in range(sizes[name])]

    def times(self) -> list[float]:
        """Seconds at which the bars begin, by `beats` (continued at their last tempo) or by bpm from 0.

        Raises PlanError where the plan has no metre, or neither beats nor a tempo.
        """
        lengths = [beats_in(bar.metre) for bar in self.bars()]
        starts = np.concatenate([[0.0], np.cumsum(lengths)])[: len(lengths)]
        if self.beats is None:
            if self.bpm is None:
                raise PlanError("neither bpm nor beats say a tempo", "write bpm = 120")
            return (starts * 60 / self.bpm).tolist()
        starts, last = starts + self.first_bar, len(self.beats) - 1
        beyond = np.maximum(starts - last, 0) * (self.beats[-1] - self.beats[-2])
        return (np.interp(starts, np.arange(last + 1), self.beats) + beyond).tolist()

    def seconds(self, *, bpm: float | None = None, metre: str | None = None) -> float | None:
        """Length of the piece by its tempo and metres, or by these where it has none; None if unknown."""
        bpm, metres = self.bpm or bpm, [bar.metre or metre for bar in self.bars()]
        if bpm is None or None in metres:
            return None
        return sum(beats_in(each) for each in metres) * 60 / bpm

    def lasting(self, seconds: float, *, bpm: float | None = None, metre: str | None = None) -> Plan:
        """The plan with its form repeated until the piece is at least so long, if its length is known.

        bpm, metre: the clip's, for a plan that has none.
        """
        once = self.seconds(bpm=bpm, metre=metre)
        if not once:
            return self
        times, count = max(1, math.ceil(seconds / once - 1e-9)), len(self.section_of_bar())
        _check_count(times * count)
        return replace(self, form=tuple(self._order()) * times)

    def _order(self) -> Iterable[str]:
        return self.form or [section.name for section in self.sections]


def _check_count(bars: int) -> None:
    if bars > MOST_BARS:
        raise PlanError(f"the piece has {bars} bars", f"use at most {MOST_BARS}")


def _within(key: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high:
        raise PlanError(f"{key} is {value!r}", f"use a number from {low:g} to {high:g}")


def _check_beats(beats: tuple[float, ...], first_bar: int) -> None:
    if len(beats) < 2 or not all(isinstance(b, int | float) and math.isfinite(b) for b in beats):
        raise PlanError("beats must be two or more times in seconds")
    for number, (beat, following) in enumerate(zip(beats, beats[1:], strict=False), start=2):
        if following <= beat:
            raise PlanError("beats must ascend", f"number {number} is {following:g}, after {beat:g}")
    if not isinstance(first_bar, int) or not 0 <= first_bar < len(beats):
        raise PlanError(f"first_bar is {first_bar!r}", f"use a whole number from 0 to {len(beats) - 1}")


def _check_bar(bar: Bar, metre: str | None, place: str) -> None:
    try:
        length = beats_in(bar.metre or metre) if bar.metre or metre else None
        for name in bar.chords:
            chord_names.parse(name)
        for key, bounds in (("loudness", LOUDNESS), ("density", DENSITY)):
            values = getattr(bar, key)
            if isinstance(values, tuple) and length is not None and len(values) != math.ceil(length):
                of = f"{bar.metre or metre} has {math.ceil(length)} beats"
                raise PlanError(f"{key} has {len(values)} values", f"a bar of {of}")
            for value in values if isinstance(values, tuple) else () if values is None else (values,):
                _within(key, value, *bounds)
    except (PlanError, ChordError) as error:
        raise type(error)(f"{place}: {error.args[0]}", *error.args[1:]) from None


def _sections(charts: str, order: Sequence[str]) -> tuple[Section, ...]:
    """Sections from a chart, named after the form's words, or A, B and so on."""
    has_bar_lines = charts.strip().startswith(chord_names.BARS)
    parts = re.split(r"\|\|", charts) if has_bar_lines else re.split(r"\|+", charts.strip().strip("|"))
    parts = [part.strip() for part in parts if part.strip(" |")]
    if not parts:
        raise ChordError("the chart has no chord", chord_names.ADVICE)
    names = list(dict.fromkeys(order))
    if set(names) <= set(LETTERS[: len(parts)]):  # also where there is no form
        names = list(LETTERS[: len(parts)])
    if len(parts) == 1:
        parts *= max(1, len(names))
    if len(names) != len(parts):
        possible = f"the form has {len(names)} ({', '.join(names)})"
        if not order:
            possible = f"at most {len(LETTERS)} can be"
        problem = f"chords have {len(parts)} sections, {possible}"
        raise PlanError(problem, "write one chart for each, or one for all")
    bars = []
    for part in parts:
        line = chord_names.parse_line(f"|{part}" if has_bar_lines and not part.startswith("|") else part)
        bars.append(tuple(Bar(chords=tuple(chord.label for chord in bar)) for bar in line))
    return tuple(Section(name, each) for name, each in zip(names, bars, strict=True))


def read(path: str | Path) -> Plan:
    """Read the plan in a file.

    Parameters
    ----------
    path : str or Path
        A JSON file if its suffix is .json, otherwise TOML.

    Returns
    -------
    Plan

    Raises
    ------
    PlanError, ChordError
        For a file that holds no plan; they name the file and the key.
    OSError
        For a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/plan.toml", Plan(bpm=120.0, metre="3/4"))
    ...     read(f"{folder}/plan.toml").metre
    '3/4'
    """
    path = Path(path)
    name = file_names.shown(path.name)
    content = path.read_bytes()[: LARGEST_FILE + 1]
    if len(content) > LARGEST_FILE:
        raise PlanError(f"{name}: is over {LARGEST_FILE} bytes", "a plan is a short text")
    try:
        text = content.decode("utf-8-sig")
        tables = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except UnicodeDecodeError:
        raise PlanError(f"{name}: is no text", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # tomllib's and json's own errors are ValueErrors
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise PlanError(f"{name}: is no {kind}: {error or 'too many brackets'}") from None
    try:
        return from_document(tables)
    except (PlanError, ChordError) as error:
        raise type(error)(f"{name}: {error.args[0]}", *error.args[1:]) from None


def write(path: str | Path, plan: Plan) -> None:
    """Write a plan to a file, which appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        Written as JSON if its suffix is .json, otherwise as TOML with comments, for editing.

    Raises
    ------
    OSError
    """
    path = Path(path)
    tables = to_document(plan)
    if path.suffix.lower() == ".json":
        atomic.write(path, json.dumps(tables, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        atomic.write(path, _toml(plan, tables))


def to_document(plan: Plan) -> dict[str, Any]:
    """A plan as tables of plain values, as in its file; what the plan leaves open is left out."""
    tables: dict[str, Any] = {"bpm": plan.bpm, "metre": plan.metre, "novelty": plan.novelty}
    tables["form"] = " ".join(plan.form) or None
    tables["section"] = {section.name: _table(section) for section in plan.sections} or None
    if plan.beats is not None:
        tables["beats"] = {"first_bar": plan.first_bar, "seconds": list(plan.beats)}
    if plan.heard is not None:
        heard = {key: getattr(plan.heard, key) for key in HEARD_KEYS}
        tables["heard"] = {
            k: list(v) if isinstance(v, tuple) else v for k, v in heard.items() if v not in ((), None, "")
        }
    return {key: value for key, value in tables.items() if value is not None}


def _table(section: Section) -> dict[str, Any]:
    """A section's table: for each bar a word of `chords` and of `metre`, and values of the other keys."""
    bars, table = section.bars, {}
    if any(bar.chords for bar in bars):
        table["chords"] = " ".join(",".join(bar.chords) or OPEN for bar in bars)
    else:
        table["bars"] = len(bars)
    metres = [bar.metre or OPEN for bar in bars]
    if set(metres) != {OPEN}:
        table["metre"] = metres[0] if len(set(metres)) == 1 else " ".join(metres)
    for key in ("loudness", "density"):
        values = [getattr(bar, key) for bar in bars]
        values = [list(v) if isinstance(v, tuple) else OPEN if v is None else v for v in values]
        if any(value != OPEN for value in values):
            alike = not isinstance(values[0], list) and all(value == values[0] for value in values)
            table[key] = values[0] if alike else values
    return table


def from_document(tables: Any) -> Plan:
    """The plan of tables as of `to_document`. Raises PlanError or ChordError, which name the key."""
    tables = _checked_table(tables, "the plan", PLAN_KEYS)
    values = {key: _number(tables, key, key) for key in ("bpm", "novelty") if key in tables}
    values["metre"] = _text(tables, "metre", "metre")
    values["form"] = tuple((_text(tables, "form", "form") or "").split())
    sections = tables.get("section", {})
    if not isinstance(sections, dict):
        raise PlanError(f"section is {sections!r}", "write each one as a table, as [section.A]")
    values["sections"] = tuple(_section(name, table) for name, table in sections.items())
    if "beats" in tables:
        beats = _checked_table(tables["beats"], "beats", ("first_bar", "seconds"))
        values["beats"] = _numbers(beats.get("seconds"), "beats.seconds")
        values["first_bar"] = beats.get("first_bar", 0)
    if "heard" in tables:
        heard = _checked_table(tables["heard"], "heard", HEARD_KEYS)
        certainties = {key: _number(heard, key, f"heard.{key}") for key in ("tempo", "metre") if key in heard}
        remarks = heard.get("remarks", [])
        if not isinstance(remarks, list) or not all(isinstance(remark, str) for remark in remarks):
            raise PlanError(f"heard.remarks is {remarks!r}", "use a list of texts, or leave it out")
        chords = _numbers(heard.get("chords", []), "heard.chords")
        source = _text(heard, "source", "heard.source") or ""
        values["heard"] = Certainty(source, **certainties, chords=chords, remarks=tuple(remarks))
    return Plan(**values)


def _section(name: str, table: Any) -> Section:
    place = f"section.{name}"
    table = _checked_table(table, place, SECTION_KEYS)
    count, chart, metre = table.get("bars"), _text(table, "chords", f"{place}.chords"), table.get("metre")
    if count is not None and (
        not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_BARS
    ):
        raise PlanError(f"{place}.bars is {count!r}", f"use a whole number from 1 to {MOST_BARS}")
    try:
        line = chord_names.parse_line(chart) if chart is not None else ((),) * (count or 0)
    except ChordError as error:
        raise ChordError(f"{place}.chords, {error.args[0]}", *error.args[1:]) from None
    if not line:
        raise PlanError(f"{place} has no bars", 'write chords = "Em C G D", a bar a word, or bars = 4')
    line = [line[k % len(line)] for k in range(count or len(line))]
    metres = (_text(table, "metre", f"{place}.metre") or OPEN).split() or [OPEN]
    if len(line) % len(metres):
        raise PlanError(f"{place}.metre is {metre!r}, {len(metres)} bars", f"the section has {len(line)}")
    columns = [_column(table.get(key), len(line), f"{place}.{key}") for key in ("loudness", "density")]
    bars = []
    for number, (chords, loudness, density) in enumerate(zip(line, *columns, strict=True)):
        each = metres[number % len(metres)]
        names = tuple(chord.label for chord in chords)
        bars.append(Bar(None if each == OPEN else each, names, loudness, density))
    return Section(name, tuple(bars))


def _column(value: Any, count: int, key: str) -> list:
    """A value for each bar, from a single value or from a list with a value or a list of beats per bar."""
    if not isinstance(value, list):
        value = [OPEN if value is None else value] * count
    if len(value) != count:
        advice = f"the section has {count} bars: write a value for each, or a list of its beats"
        raise PlanError(f"{key} has {len(value)} values", advice)
    for each in (part for bar in value for part in (bar if isinstance(bar, list) and bar else [bar])):
        if each != OPEN and (isinstance(each, bool) or not isinstance(each, int | float)):
            advice = f'use a number for each bar, or "{OPEN}" for one that is free'
            raise PlanError(f"{key} holds {each!r}", advice)
    return [None if bar == OPEN else tuple(bar) if isinstance(bar, list) else bar for bar in value]


def _checked_table(table: Any, place: str, keys: Sequence[str]) -> dict[str, Any]:
    """`table` if it is one of these keys alone. Raises PlanError."""
    if not isinstance(table, dict):
        raise PlanError(f"{place} is {table!r}", f"it is a table of {', '.join(keys)}")
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, [*keys, *SYNONYMS], 1, 0.6) or keys
            suggestions = ", ".join(SYNONYMS.get(each, each) for each in near)
            raise PlanError(f"{place} has {key!r}, which is no key", f"use {suggestions}")
    return table


def _number(table: dict[str, Any], key: str, place: str) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"{place} is {value!r}", "use a number")
    return value


def _numbers(values: Any, place: str) -> tuple[float, ...]:
    numbers = isinstance(values, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    )
    if not numbers:
        raise PlanError(f"{place} must be a list of numbers")
    return tuple(values)


def _text(table: dict[str, Any], key: str, place: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise PlanError(f"{place} is {value!r}", "use a text between quotation marks")
    return value


HEAD = """\
# A plan for new music: change what you like, leave out what should be as in the clip.
# chords: a bar a word, commas within a bar, ? for a bar that is free, N for no chord.
# metre, loudness (dB) and density (1: as in the clip) also go with a section, a value for each bar:
#   metre = "4/4 4/4 7/8 4/4"      loudness = [0, 0, -6, 3]
"""
COMMENTS = {
    "bpm": "quarter notes a minute",
    "novelty": "0: on as the clip goes; 1: new turns wherever they fit",
    "form": "sections in order; each comes back as often as it is named",
    "beats": "# Seconds of every quarter note of the clip. Without this table the tempo is bpm throughout.",
    "heard": "# How certain the above is, 0 to 1. For you: nothing is drawn by it.",
}


def _toml(plan: Plan, tables: dict[str, Any]) -> str:
    """The text of a plan's file."""
    lines = [HEAD]
    for key in ("bpm", "metre", "novelty", "form"):
        if key in tables:
            line = f"{key} = {_value(tables[key])}"
            lines.append(f"{line:<23} # {COMMENTS[key]}" if key in COMMENTS else line)
    certainty = {}
    if plan.heard and len(plan.heard.chords) == len(plan.section_of_bar()):
        for name, value in zip(plan.section_of_bar(), plan.heard.chords, strict=True):
            certainty.setdefault(name, []).append(value)
    for name, table in tables.get("section", {}).items():
        lines.append(f"\n[section.{name if re.fullmatch('[A-Za-z0-9_-]+', name) else _value(name)}]")
        for key, value in table.items():
            lines.append(f"{key} = {_value(value)}")
            if key == "chords" and name in certainty:
                lines[-1:] = _aligned(value, certainty[name])
    for name in ("beats", "heard"):
        if name in tables:
            lines += ["", COMMENTS[name], f"[{name}]"]
            lines += [f"{key} = {_value(value)}" for key, value in tables[name].items()]
    return "\n".join(lines) + "\n"


def _aligned(chart: str, certainty: Sequence[float]) -> list[str]:
    """A chart's line with its certainties below it; for a section that recurs, those of the first time."""
    words = chart.split()
    percent = [f"{round(100 * value)}%" for value in certainty[: len(words)]]
    widths = [max(len(word), len(value)) for word, value in zip(words, percent, strict=True)]
    above = " ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip()
    below = " ".join(value.ljust(width) for value, width in zip(percent, widths, strict=True)).rstrip()
    return [f'chords = "{above}"', f"# certain:{below}"]


def _value(value: Any) -> str:
    """A value as TOML writes it, with all digits of a number."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if not isinstance(value, list):
        return (
            float.__repr__(value) if isinstance(value, float) else str(value)
        )  # numpy's repr names the type
    if any(isinstance(each, list) for each in value):
        return "[\n" + "".join(f"    {_value(each)},\n" for each in value) + "]"
    rows = [", ".join(_value(each) for each in value[k : k + 10]) for k in range(0, len(value), 10)]
    return f"[{rows[0]}]" if len(rows) == 1 else "[\n" + "".join(f"    {row},\n" for row in rows) + "]"
