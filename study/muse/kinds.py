"""The kinds of clips that `study muse` makes, and how one of each is drawn from a trained run.

A kind is a form (new music, a bridge, a variation and so on) and how far it goes from the song. Both together
are a setting that `study.rounds.rule` chooses by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from caw.compose import chords as chord_names
from caw.compose.chords import NOTE_NAMES
from caw.compose.plan import BPM, Bar, Plan, Section
from study.rounds.rule import Arm

if TYPE_CHECKING:
    from caw.runs import Run

BARS = 8  # of new music
USUAL_SECONDS = 16.0  # of it, where no beat is heard
SHORTEST, LONGEST = 8.0, 40.0  # s of it
LEAD = 4.0  # s of the song before and after new bars, so that they are heard in place
TEMPI = {"slower": 0.85, "faster": 1.15}  # times the song's
CLOSE, HALFWAY, BOLD = (
    0.2,
    0.5,
    0.9,
)  # how far from the song, 0 to 1: a plan's novelty, a variation's strength


@dataclass(frozen=True)
class Kind:
    """A kind of clip. `daring`: how far it goes from the song, 0 to 1."""

    form: str  # new | bridge | continuation | ending | variation | chords | tempo
    daring: float
    turn: str = ""  # slower | faster
    needs_beat: bool = False

    @property
    def arm(self) -> Arm:
        return Arm(mode=self.form, plan=self.turn, strength=self.daring)


KINDS = {
    "new-close": Kind("new", CLOSE),
    "new-bold": Kind("new", BOLD),
    "bridge-close": Kind("bridge", CLOSE),
    "bridge-bold": Kind("bridge", BOLD),
    "continuation-close": Kind("continuation", CLOSE),
    "continuation-bold": Kind("continuation", BOLD),
    "ending": Kind("ending", HALFWAY),
    "variation-close": Kind("variation", CLOSE),
    "variation-halfway": Kind("variation", HALFWAY),
    "variation-bold": Kind("variation", BOLD),
    "chords": Kind("chords", BOLD, needs_beat=True),
    "tempo-slower": Kind("tempo", HALFWAY, "slower", needs_beat=True),
    "tempo-faster": Kind("tempo", HALFWAY, "faster", needs_beat=True),
}
NAMES = {kind.arm: name for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Drawn:
    """A clip as it was drawn, float32 [n]; the new music lies from `first` to `last`, in s."""

    samples: np.ndarray
    rate: int  # Hz
    first: float
    last: float
    asked: str = ""  # chords that were asked for
    asked_bpm: float | None = None

    @property
    def new(self) -> np.ndarray:
        """The new music alone."""
        return self.samples[round(self.first * self.rate) : round(self.last * self.rate)]


def possible(heard: Plan) -> dict[str, Kind]:
    """The kinds that a passage allows: where no beat is heard, none that needs one."""
    beat = heard.beats is not None and bool(heard.sections)
    chords = beat and any(bar.chords for bar in heard.bars())
    return {
        name: kind
        for name, kind in KINDS.items()
        if not kind.needs_beat or (chords or name != "chords") and beat
    }


def draw(name: str, run: Run, passage: np.ndarray, rate: int, heard: Plan, seed: int) -> Drawn:
    """Draw one clip of a kind. passage: float32 [n] at `rate` Hz. Raises RunError as the run does."""
    kind = KINDS[name]
    if kind.form in ("bridge", "continuation", "ending"):
        after = passage if kind.form == "bridge" else None
        bars = run.beside(
            passage, after, rate, bars=BARS, seed=seed, plan=Plan(novelty=kind.daring),
            ending=kind.form == "ending",
        )  # fmt: skip
        return _in_place(bars.samples, bars.rate, bars.first, bars.last)
    if kind.form == "variation":
        return _whole(run.vary(seed=seed, strength=kind.daring), run.rate)
    if kind.form == "chords":
        chart = new_chords([bar.chords for bar in heard.bars()], np.random.default_rng(seed))
        plan = Plan((Section("A", tuple(Bar(chords=names) for names in chart)),))
        made = _whole(run.vary(seed=seed, plan=plan, keep="rhythm"), run.rate)
        return replace(made, asked=" ".join(",".join(names) for names in chart))
    plan, bpm = Plan(novelty=kind.daring), None
    if kind.turn and heard.bpm:
        bpm = round(float(np.clip(heard.bpm * TEMPI[kind.turn], *BPM)), 1)
        plan = Plan(novelty=kind.daring, bpm=bpm)
    made = _whole(run.generate(length(heard, bpm), seed=seed, plan=plan), run.rate)
    return replace(made, asked_bpm=bpm)


def length(heard: Plan, bpm: float | None = None) -> float:
    """Seconds of a clip of new music: BARS bars of the song, or of them at another tempo."""
    seconds = None
    if heard.bpm and heard.metre:
        one = replace(heard, sections=(Section("A", (Bar(),) * BARS),), form=(), heard=None)
        seconds = one.seconds() * (1.0 if bpm is None else heard.bpm / bpm)
    return float(np.clip(seconds or USUAL_SECONDS, SHORTEST, LONGEST))


def new_chords(bars: Sequence[Sequence[str]], dice: np.random.Generator) -> list[tuple[str, ...]]:
    """Other chords for the same bars, near to those that are there.

    Each chord gives way, with even odds, to its relative (C to Am and back); then the bars change their
    order. Where that leaves most bars as they were, as in a song of one chord, each chord gives way.
    """
    bars = [tuple(names) or (chord_names.NO_CHORD,) for names in bars]
    changed = {name: relative(name) if dice.random() < 0.5 else name for each in bars for name in each}
    order = dice.permutation(len(bars))
    chart = [tuple(changed[name] for name in bars[place]) for place in order]
    alike = sum(one == other for one, other in zip(chart, bars, strict=True))
    return chart if 2 * alike <= len(bars) else [tuple(map(relative, names)) for names in bars]


def relative(name: str) -> str:
    """The relative of a chord: the minor triad a minor third below a major one, and the other way round.

    Examples
    --------
    >>> relative("C"), relative("Em7"), relative("N")
    ('Am', 'G', 'N')
    """
    chord = chord_names.parse(name)
    if chord.root is None:
        return name
    third = {(degree - chord.root) % 12 for degree in chord.pitch_classes}
    if 3 in third and 4 not in third:
        return NOTE_NAMES[(chord.root + 3) % 12]
    return f"{NOTE_NAMES[(chord.root + 9) % 12]}m"


def _whole(samples: np.ndarray, rate: int) -> Drawn:
    return Drawn(samples, rate, 0.0, len(samples) / rate)


def _in_place(samples: np.ndarray, rate: int, first: int, last: int) -> Drawn:
    """New bars with a little of the song before and after them."""
    begin = max(0, first - round(LEAD * rate))
    end = min(len(samples), last + round(LEAD * rate))
    return Drawn(samples[begin:end], rate, (first - begin) / rate, (last - begin) / rate)
