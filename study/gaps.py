"""The gap in a song: where new music leaves the passage before it, and where it leads.

Beats are heard in both passages. A stimulus is seldom a whole number of bars long, so a bridge begins with an
upbeat: it takes the place of the last beats of the passage before, as many as let it reach the first bar line
of the passage after within the stimulus.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from caw import audio
from caw.compose import timeline as timelines
from caw.compose.plan import Plan, beats_in
from caw.compose.timeline import Timeline

EARLY = 0.02  # s before a beat at which sound is cut, so that the attack stays with its beat
BEFORE, AFTER = "before", "after"
_RATE = 16000  # Hz
_HEARD = 30.0  # s of a passage, next to the gap, in which beats are heard
_AROUND, _LONGEST = 20.0, 90.0  # s beside the passages in which their tempo is heard, and in all
_ON_BEAT = 0.2  # of a beat, by which a passage may end after one, or begin before one
_USUAL_BAR = 4.0  # quarter notes


@dataclass(frozen=True)
class Gap:
    """What clips that are made for a song are to be, and the passages around them, in s of its file."""

    lacks: str
    before: tuple[float, float] | None
    after: tuple[float, float] | None
    passage: tuple[float, float] | None  # that is reworked; a stimulus begins with it
    seconds: float  # of a stimulus
    trim: float  # s that are cut off both ends of a clip
    bpm: float | None = None  # what is known of the song's tempo and metre
    metre: str | None = None

    @property
    def learnt(self) -> tuple[tuple[float, float], ...]:
        """What models learn from."""
        return tuple(one for one in (self.before, self.after, self.passage) if one is not None)

    @property
    def facts(self) -> list:
        """What decides its clips, as JSON; tempo and metre stand in their plan."""
        return [self.lacks, self.before, self.after, self.passage, self.seconds, self.trim]


@dataclass(frozen=True)
class Seams:
    """Where the new music of a gap begins and ends, in s of the file."""

    leave: float | None  # the end of what is heard before it
    enter: float | None  # the beginning of what is heard after it
    resume: float | None = None  # from where on a bridge is drawn beside what follows, a beat after `enter`
    bars: int = 0  # whole bars that a bridge has between the bar lines of both sides; 0: no beat is clear
    bar: float | None = None  # quarter notes in a bar, where they are known
    upbeat: float = 0.0  # quarter notes of a bridge before its first bar line
    beat: float | None = None  # s


def seams(file: Path, gap: Gap) -> Seams:
    """Where new music joins the passages of a song. Raises AudioError for a file that cannot be read."""
    if gap.passage is not None:
        return _of_rework(_heard(file, gap, *gap.passage), gap)
    left = right = None
    if gap.before is not None:
        begin = max(gap.before[0], gap.before[1] - _HEARD)
        left = _heard(file, gap, begin, gap.before[1])
    if gap.after is not None:
        end = min(gap.after[1], gap.after[0] + _HEARD)
        right = _heard(file, gap, gap.after[0], end)
    lines = [one for one in (left, right) if one is not None]
    leave, enter = gap.before and gap.before[1], gap.after and gap.after[0]
    if not all(line.has_beat for line in lines):
        return Seams(leave, enter)
    if left is not None:
        beats = _beats(left) + begin
        last = beats[beats <= leave + _ON_BEAT * _period(left)]
        leave = _cut(last[-1], leave)
    if right is not None:
        beats = _beats(right) + gap.after[0]
        first = beats[beats >= enter - _ON_BEAT * _period(right)]
        enter = max(0.0, _cut(first[0], enter))
    period = float(np.mean([_period(line) for line in lines]))
    bar = _bar(lines, gap.metre)
    if left is None or right is None:
        return Seams(leave, enter, bar=bar, beat=period)
    bar = bar or _USUAL_BAR
    wanted = int((gap.seconds - 2 * EARLY) / period)  # whole beats in a stimulus
    bars = int(wanted / bar + 1e-6)
    upbeat = float(int(wanted - bars * bar + 1e-6))
    earlier = _beats_before(_beats(left) + begin, leave, upbeat)
    if bars == 0 or earlier is None:
        return Seams(leave, enter, bars=max(1, bars), bar=bar, beat=period)
    return Seams(earlier, enter, enter + _period(right), bars, bar, upbeat, period)


def _beats_before(beats: np.ndarray, leave: float, count: float) -> float | None:
    """The cut so many beats before another one; None where the passage is too short for that."""
    index = int(np.argmin(np.abs(beats - EARLY - leave))) - int(count)
    return leave if not count else float(beats[index]) - EARLY if index > 0 else None


def _of_rework(line: Timeline, gap: Gap) -> Seams:
    """Where a variation of a passage is entered and left: at the first and last beats of a stimulus."""
    begin = gap.passage[0] + gap.trim
    end = begin + gap.seconds
    beats = _beats(line) + gap.passage[0] if line.has_beat else np.zeros(0)
    inside = beats[(beats - EARLY >= begin - 1e-6) & (beats <= end)]
    if len(inside) < 2:
        return Seams(begin, end)
    return Seams(float(inside[0]) - EARLY, float(inside[-1]) - EARLY, beat=_period(line))


def tempo(file: Path, gap: Gap) -> float | None:
    """Beats a minute of a song: as stated, or as heard around its passages; None where no beat is clear.

    A passage alone is often too short for its beat to be clear.
    """
    if gap.bpm is not None:
        return gap.bpm
    stamp = (file.stat().st_size, file.stat().st_mtime_ns)
    begin = max(0.0, min(first for first, _ in gap.learnt) - _AROUND)
    end = min(audio.inspect(file).seconds, max(last for _, last in gap.learnt) + _AROUND)
    line = _analysed(file, stamp, begin, min(end, begin + _LONGEST), None)
    return 60 / _period(line) if line.has_beat else None


def _heard(file: Path, gap: Gap, begin: float, end: float) -> Timeline:
    """The beats of a stretch, near the song's tempo where the stretch alone has no clear one."""
    stamp = (file.stat().st_size, file.stat().st_mtime_ns)
    line = _analysed(file, stamp, begin, end, gap.bpm)
    if line.has_beat or (bpm := tempo(file, gap)) is None:
        return line
    return _analysed(file, stamp, begin, end, bpm)


@lru_cache(64)
def _analysed(file: Path, stamp: tuple[int, int], begin: float, end: float, bpm: float | None) -> Timeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of levels the build speaks where it reads for good
        samples, rate = audio.read(file, start=begin, seconds=end - begin, rate=_RATE)
    return timelines.analyse(samples, rate, None if bpm is None else Plan(bpm=bpm))


def _beats(line: Timeline) -> np.ndarray:
    """Seconds of all quarter notes, those at the ends included."""
    whole = np.abs(line.beat - np.round(line.beat)) < 0.25
    times = line.bounds[whole]
    period = _period(line)
    return np.concatenate([[times[0] - period], times, [times[-1] + period]])


def _period(line: Timeline) -> float:
    """Seconds of a quarter note."""
    return float(np.median(np.diff(line.bounds) / np.diff(line.beat)))


def _bar(lines: list[Timeline], metre: str | None) -> float | None:
    """Quarter notes in a bar: as the metre says, or where all sides agree."""
    if metre is not None:
        return beats_in(metre)
    lengths = {
        float(np.round(2 * np.median(np.diff(line.beat) / np.diff(line.bar))) / 2) if len(line.bar) else None
        for line in lines
    }
    return lengths.pop() if len(lengths) == 1 else None


def _cut(beat: float, stated: float) -> float:
    """The cut at a beat. What is stated counts where it lies just before the beat already."""
    return stated if 0 <= beat - stated <= 2 * EARLY else beat - EARLY
