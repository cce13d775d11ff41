"""The band of the bundled song: a score of bars and notes, and how its parts are played, amplified and mixed.

Playing is uneven as hands are: moments and forces are drawn once, from the score's seed. Each note sounds by
a generator of its own, and every filter looks back alone, so that the beginning of a song can be rendered
by itself.
"""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass

import numpy as np
from scipy import signal

from study.data import instruments
from study.data.instruments import RATE

LOOSE = {
    "left": 0.004, "right": 0.007, "crunch": 0.006, "clean": 0.006, "lead": 0.010, "second": 0.014,
    "organ": 0.008, "bass": 0.006, "drums": 0.004,
}  # fmt: skip
# seconds from string to string
STRUM = {"left": 0.004, "right": 0.006, "crunch": 0.005, "clean": 0.009, "organ": 0.003}
# part: gain into the mix, share sent to the room
MIX = {
    "left": (0.145, 0.10), "right": (0.145, 0.14), "crunch": (0.13, 0.16), "clean": (0.70, 0.30),
    "lead": (0.26, 0.30), "second": (0.20, 0.34), "organ": (0.34, 0.25), "bass": (0.52, 0.02),
}  # fmt: skip
DRUM_MIX = {  # the same of each drum's microphone
    "kick": (0.70, 0.03), "snare": (1.15, 0.22), "rim": (1.30, 0.25), "high": (0.65, 0.20),
    "middle": (0.65, 0.20), "floor": (0.50, 0.20), "hat": (0.50, 0.06), "open": (0.40, 0.08),
    "ride": (0.22, 0.08), "bell": (0.20, 0.08), "crash": (0.50, 0.15), "china": (0.45, 0.15),
}  # fmt: skip
DRIVE, LEVEL = 1.0, 0.72  # of the soft saturation of the whole mix, as on a tape machine
OUT = RATE // 2  # Hz of the finished song
DEPTH = 2.0**-10  # its steps: 11 bits


@dataclass(frozen=True)
class SongBar:
    section: str
    step: int  # in sixteenths from the song's beginning
    steps: int
    start: float  # s
    tempo: float  # quarter notes a minute


@dataclass(frozen=True)
class Note:
    """Strings (or a drum) struck together."""

    part: str
    start: float  # s
    seconds: float
    pitches: tuple  # MIDI numbers, from the lowest; or one drum's name
    force: float  # 0 to 1
    muted: bool
    slide: float  # semitones that a lead note comes from
    seed: int


class Score:
    """Bars and notes, played by hands that are drawn from a seed."""

    def __init__(self, seed: int):
        self.bars: list[SongBar] = []
        self.notes: list[Note] = []
        self.dice = random.Random(seed)
        self._seed = seed

    @property
    def seconds(self) -> float:
        """Where the last bar ends."""
        return self._at(self.bars[-1].step + self.bars[-1].steps)

    def bar(self, section: str, steps: int, tempo: float) -> int:
        """Add a bar; tempo is swayed a little. Returns the step that it begins at."""
        before = self.bars[-1] if self.bars else None
        step = before.step + before.steps if before else 0
        start = self.seconds if before else 0.0
        self.bars.append(SongBar(section, step, steps, start, tempo * (1 + self.dice.gauss(0, 0.004))))
        return step

    def play(self, part: str, step: float, length: float, pitches, force: float, *, muted=False, slide=0.0):
        """Strike at a step (in sixteenths from the song's beginning), held for length steps."""
        start = max(0.0, self._at(step) + self.dice.gauss(0, LOOSE[part]))
        force = min(1.0, max(0.08, force * (1 + self.dice.gauss(0, 0.07))))
        held = max(0.05, self._at(step + length) - self._at(step) + self.dice.gauss(0, 0.006))
        seed = self._seed * 100_000 + len(self.notes)
        self.notes.append(Note(part, start, held, tuple(pitches), force, muted, slide, seed))

    def _at(self, step: float) -> float:
        bar = self.bars[max(0, bisect.bisect_right(self.bars, step, key=lambda bar: bar.step) - 1)]
        return bar.start + (step - bar.step) * 15 / bar.tempo


def render(score: Score, seconds: float | None = None) -> np.ndarray:
    """The song, or its first seconds: float64 at OUT."""
    count = round((score.seconds if seconds is None else seconds) * RATE)
    wet = instruments.room(0.9, 5200, 5)
    mix, send = np.zeros(count), np.zeros(count)
    for part, (gain, share) in MIX.items():
        sound = _amplified(part, _played(score, part, count))
        mix += gain * sound
        send += gain * share * sound
    kit = np.zeros(count)
    for name, (gain, share) in DRUM_MIX.items():
        sound = _played(score, "drums", count, name)
        kit += gain * sound
        send += gain * share * sound
    mix += 0.6 * kit + 0.4 * instruments.levelled(kit, 0.10, 3.0) + signal.oaconvolve(send, wet)[:count] * 0.8
    ends = np.vstack([instruments.highpass(32, 2), instruments.lowpass(7200, 8)])
    mix = instruments.levelled(signal.sosfilt(ends, mix), 0.2, 1.5)
    return signal.resample_poly(LEVEL * np.tanh(DRIVE * mix), 1, 2)


def stepped(sound: np.ndarray) -> np.ndarray:
    """The sound in whole steps of DEPTH, which keeps its file small."""
    return np.round(sound / DEPTH) * DEPTH


def _played(score: Score, part: str, count: int, drum: str | None = None) -> np.ndarray:
    """All notes of a part, or all blows on a drum, before any amplifier."""
    dry = np.zeros(count)
    for note in score.notes:
        if note.part != part or note.start * RATE >= count or (drum and note.pitches[0] != drum):
            continue
        dice = np.random.default_rng(note.seed)
        for place, pitch in enumerate(note.pitches):
            late = place * STRUM.get(part, 0.0) * dice.uniform(0.6, 1.4)
            sound, first = _sound(note, pitch, dice), round((note.start + late) * RATE)
            end = min(count, first + len(sound))
            dry[first:end] += note.force * sound[: max(0, end - first)]
    return dry


def _sound(note: Note, pitch, dice: np.random.Generator) -> np.ndarray:
    if note.part == "drums":
        return instruments.drum(pitch, note.force, dice)
    if note.part == "organ":
        return instruments.organ(pitch, note.seconds, note.force, dice)
    if note.part in ("lead", "second"):
        path = instruments.bowed(pitch - note.slide, pitch, note.seconds, dice)
        return instruments.sung(path, note.force, dice, roll=1.1)
    sustain, bright = {"bass": (5.0, 2400.0), "clean": (3.2, 5200.0)}.get(note.part, (5.5, 4600.0))
    if note.muted:
        sustain, bright = (0.5, 1400.0) if note.part == "bass" else (0.17, 2000.0)
    tuned = pitch + {"left": -0.02, "right": 0.03}.get(note.part, 0.0) + dice.normal(0, 0.015)
    frequency = instruments.hertz(tuned)
    return instruments.string(frequency, note.seconds, note.force, dice, sustain=sustain, bright=bright)


def _amplified(part: str, dry: np.ndarray) -> np.ndarray:
    if part in ("left", "right"):
        high, bite = (4300, 4.0) if part == "left" else (4900, 2.5)
        return instruments.amplified(dry, 9.0 if part == "left" else 7.0, low=85, high=high, bite=bite)
    if part == "crunch":
        return instruments.amplified(dry, 3.0, low=95, high=4600, bite=2.0)
    if part in ("lead", "second"):
        sung = instruments.amplified(dry, 2.0, low=160, high=4800, bite=3.0)
        echo = np.zeros_like(sung)
        for number, late in enumerate((0.33, 0.66), start=1):
            echo[round(late * RATE) :] += 0.24**number * sung[: len(sung) - round(late * RATE)]
        return sung + echo
    if part == "clean":
        clear = instruments.amplified(dry, 0.7, low=120, high=5600, bite=3.0)
        return instruments.doubled(clear, 0.013, 0.16, 0.7)
    if part == "bass":
        low = signal.sosfilt(instruments.lowpass(260, 2), dry)
        return 0.8 * low + 0.35 * instruments.amplified(dry, 2.5, low=60, high=2200, bite=2.0)
    return signal.sosfilt(instruments.highpass(140, 2), dry)
