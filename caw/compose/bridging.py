"""Timelines of bridges, endings and intros: new bars between, after or before passages that do not change.

Beats and bars continue through both seams, and the tempo changes gradually from one side to the other. The
new bars are modelled on a random walk that leads from the last bar of the one passage to the first of the
other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caw.compose import timeline as timelines
from caw.compose.arranging import UNITS, Material, arrange, usual_bar
from caw.compose.plan import BPM, Bar, Plan, Section
from caw.compose.timeline import SLOTS, STRONGEST, Timeline

ANALYSED = 30.0  # seconds of a passage, next to its seam, in which beats and bars are tracked
LEAD = 8.0  # seconds of a passage that the new bars are generated beside
ON_BEAT = 0.15  # quarter notes: a passage that ends so near to a beat is taken to end at a bar line
OTHER_TEMPO = 1.2  # ratio of tempi from which a passage is analysed again, near the run's tempo
LOCAL = 16  # units beside a seam over which a passage's tempo is measured
TRIES = 32  # walks, of which the one that fits both sides best is used
PHRASE = 2.0  # seconds that count as a bar where there is no beat
SLOWEST, CURVE = 0.7, 3.0  # tempo at the end of a final ritardando and its shape (Friberg and Sundberg 1999)
SLOWING = 2  # bars it takes, with the last chord's
CLOSING_DB, CLOSING_DENSITY = -6.0, 0.4  # change of an ending's loudness and density up to its last chord
OPENING_DB, OPENING_DENSITY = -4.0, 0.5  # change of an intro's loudness and density at its beginning


@dataclass(frozen=True)
class AnalysedPassage:
    """A stretch of given sound beside a seam. Second 0 of its timeline is its first sample."""

    timeline: Timeline
    seconds: float


@dataclass(frozen=True)
class Bridge:
    """New bars and their surroundings. Second 0 begins the last `LEAD` seconds of the first passage."""

    timeline: Timeline
    first: float  # seconds: the beginning of the new sound
    last: float  # seconds: its end
    close: float | None = None  # seconds: the beginning of an ending's last chord


@dataclass(frozen=True)
class _Side:
    """A passage as seen from its seam. Positions are 0 at the bar line at or before the seam."""

    bounds: np.ndarray  # seconds about the seam
    beat: np.ndarray  # quarter notes
    here: float  # position of the seam, in quarter notes
    on_line: bool  # whether the seam is taken for a bar line
    period: float  # length of a quarter note in seconds


def analyse_passage(samples: np.ndarray, rate: int, material: Material) -> AnalysedPassage:
    """A passage [channels, n] analysed at the metric level of the run's own clips."""
    timeline = timelines.analyse(samples, rate)
    if material.has_beat:
        usual = material.period
        ratio = _period(timeline, slice(None)) / usual if timeline.has_beat else np.inf
        if not 1 / OTHER_TEMPO <= ratio <= OTHER_TEMPO:
            timeline = timelines.analyse(samples, rate, Plan(bpm=float(np.clip(60 / usual, *BPM))))
    return AnalysedPassage(timeline, samples.shape[-1] / rate)


def compose_bridge(
    before: AnalysedPassage | None,
    after: AnalysedPassage | None,
    material: Material,
    bars: int,
    rng: np.random.Generator,
    *,
    plan: Plan | None = None,
    close: str | None = None,
    bar: float | None = None,
    places: tuple[float | None, float | None] = (None, None),
) -> Bridge:
    """`bars` new bars between two passages, after one (`after` is None) or before one.

    plan: chords, loudness, density and novelty of the new bars; a shorter plan is repeated. close: the chord
    of the last bar, which makes the bars an ending. If a passage ends in the middle of a bar, the bar is
    completed; if two bar lines do not meet, the new part is up to half a bar longer or shorter.

    bar, places: quarter notes in a bar, and those from a bar line to the first seam and to the second, where
    they are known. With both places, `bars` counts whole bars between the first bar line and the last.
    """
    plan = plan or Plan()
    passages = [passage.timeline for passage in (before, after) if passage is not None]
    if not material.has_beat or not all(passage.has_beat for passage in passages):
        return _without_beat(before, after, material, bars, rng, plan)
    length = bar or _bar_length(passages, material)
    left = None if before is None else _side(before, length, at_end=True, known=places[0])
    right = None if after is None else _side(after, length, at_end=False, known=places[1])
    start = left.here if left else 0.0
    entry = right.here if right else 0.0
    if left and right and None not in places:
        count = bars if left.on_line else bars + 1
    elif right:
        count = max(1, round(bars + (start - entry) / length))
    else:
        count = bars if left is None or left.on_line else bars + 1
    stop = count * length + entry  # quarter notes: the second seam
    first = float(min(before.seconds, LEAD)) if before else 0.0
    seconds_at = _tempo(left, right, start, stop, length if close is not None else 0.0)
    last = first + float(seconds_at(np.array([stop]))[0])

    begin = left.beat[-1] if left else start
    end = right.beat[0] + count * length if right else stop
    beat = np.linspace(begin, end, max(1, round(UNITS * (end - begin))) + 1)
    bounds = first + seconds_at(beat)
    whole = 0 if left is None or left.on_line else 1
    new = _modelled(beat, length, plan, material, passages, rng, whole, close)
    closing = None
    if close is not None:
        closing = first + float(seconds_at(np.array([stop - length]))[0])
        new = _closed(new, beat, stop, length)
    elif before is None:
        new = _opened(new)
    parts, all_bounds, all_beats = [new], [bounds], [beat]
    if left:
        parts.insert(0, _rows(before.timeline, len(left.bounds) - 1, at_end=True))
        all_bounds.insert(0, first + left.bounds[:-1])
        all_beats.insert(0, left.beat[:-1])
        all_bounds[1][0] = first + left.bounds[-1]
    if right:
        parts.append(_rows(after.timeline, len(right.bounds) - 1, at_end=False))
        all_bounds = [*all_bounds[:-1], all_bounds[-1][:-1], last + right.bounds]
        all_beats = [*all_beats[:-1], all_beats[-1][:-1], right.beat + count * length]
    beats = np.concatenate(all_beats)
    joined = Timeline.joined(parts).changed(
        bounds=_ascending(np.concatenate(all_bounds)), beat=beats, bar=beats / length, phrases=np.array([0])
    )
    return Bridge(joined, first, last, closing)


def _side(passage: AnalysedPassage, length: float, *, at_end: bool, known: float | None = None) -> _Side:
    """The part of a passage within `LEAD` of its seam, which is its end or its beginning.

    known: quarter notes from a bar line to the seam.
    """
    timeline, seam = passage.timeline, passage.seconds if at_end else 0.0
    rows, edge = (slice(-LOCAL, None), -1) if at_end else (slice(None, LOCAL), 0)
    period = _period(timeline, rows)
    here = timeline.beat[edge] + (seam - timeline.bounds[edge]) / period
    place = here - timeline.beat[timeline.phrases[edge]]
    grid = 1.0 if length == round(length) else 1 / UNITS
    off = place - grid * np.round(place / grid)
    on_line = bool(abs(off) <= ON_BEAT)
    place = float(off if on_line else place % length)
    if known is not None:
        place, on_line = known, known == 0
    about = timeline.bounds - seam
    tolerated = 0.5 * ON_BEAT * period
    inside = (about >= -LEAD) & (about <= tolerated) if at_end else (about <= LEAD) & (about >= -tolerated)
    return _Side(about[inside], timeline.beat[inside] - here + place, place, on_line, period)


def _period(timeline: Timeline, rows: slice) -> float:
    """Length of a quarter note in seconds."""
    return float(np.median((np.diff(timeline.bounds) / np.diff(timeline.beat))[rows]))


def _bar_length(passages: list[Timeline], material: Material) -> float:
    """Quarter notes in a bar: those of two passages that agree, otherwise those of the run's clips.

    One passage alone is too short to be sure.
    """
    lengths = [
        float(np.round(2 * np.median(np.diff(passage.beat) / np.diff(passage.bar))) / 2)
        for passage in passages
        if len(passage.bar)
    ]
    if len(lengths) == 2 and lengths[0] == lengths[1]:
        return lengths[0]
    return max(0.5, round(2 * usual_bar(Plan(), material)) / 2)


def _tempo(left, right, start: float, stop: float, closing: float):
    """A function from positions in quarter notes to seconds after the first seam.

    closing: quarter notes of an ending's last bar, otherwise 0.
    """
    first = (left or right).period if left or right else 0.5
    last = (right or left).period if left or right else 0.5
    fine = np.linspace(start, stop, max(2, int(64 * (stop - start))))
    period = np.interp(fine, [start, stop], [first, last])
    if closing:
        slow = min(SLOWING * closing, stop - start)
        share = np.clip((fine - (stop - slow)) / slow, 0, 1)
        period = period / (1 + (SLOWEST**CURVE - 1) * share) ** (1 / CURVE)
    times = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (period[1:] + period[:-1]) / 2)])

    def seconds_at(beat: np.ndarray) -> np.ndarray:
        inside = np.interp(beat, fine, times)
        return inside + np.minimum(beat - start, 0) * period[0] + np.maximum(beat - stop, 0) * period[-1]

    return seconds_at


def _modelled(beat, length, plan, material, passages, rng, whole: int, close: str | None) -> Timeline:
    """The new units, modelled on the best of several walks over the run's clips and the passages."""
    middle = (beat[:-1] + beat[1:]) / 2
    number = np.floor(middle / length + 1e-6).astype(int)
    base = int(number[0])
    planned = plan.bars() or [Bar()]
    bars = [
        replace(planned[(k - whole) % len(planned)] if k >= whole else Bar(), metre=f"{round(2 * length)}/8")
        for k in range(base, int(number[-1]) + 1)
    ]
    if close is not None:
        bars[-1] = replace(bars[-1], chords=(close,))
    together = Material.of([*material.clips, *passages])
    models = _best_walk(together, len(passages), bars, plan.novelty, rng)
    one_section = Plan(sections=(Section("A", tuple(bars)),), novelty=plan.novelty)
    grid = arrange(one_section, together, rng, models={"A": models})
    row = (number - base) * round(UNITS * length) + np.floor(
        UNITS * (middle - number * length) + 1e-6
    ).astype(int)
    nothing = np.zeros(0)
    return grid.select(np.clip(row, 0, grid.units - 1), nothing, nothing, nothing, np.array([0]))


def _best_walk(material: Material, passages: int, bars: list[Bar], novelty: float, rng) -> list[int]:
    """The walk of TRIES whose ends fit best to the passages, which are the last clips of the material."""
    walk = material.walk
    wanted = material.wanted_chroma(bars)
    of_clip = [
        [k for k, bar in enumerate(walk.bars) if bar[0] == clip] for clip in range(len(material.clips))
    ]
    ends = of_clip[len(material.clips) - passages :] if passages else []
    last = ends[0][-1] if ends and ends[0] else None
    first = ends[-1][0] if ends and ends[-1] else None
    best, least = [], np.inf
    for _ in range(TRIES):
        models = walk.draw(len(bars), novelty, rng, wanted)
        cost = 0.0
        if last is not None:
            cost += walk.distances[last, max(models[0] - 1, 0)]
        if first is not None:
            cost += walk.distances[first, min(models[-1] + 1, len(walk) - 1)]
        if cost < least:
            best, least = models, cost
    return best


def _closed(new: Timeline, beat: np.ndarray, stop: float, length: float) -> Timeline:
    """New units as an ending: softer and sparser over the second half, with a held chord in the last bar."""
    middle = (beat[:-1] + beat[1:]) / 2
    fall = np.clip((middle - (beat[0] + stop) / 2) / max((stop - beat[0]) / 2 - length, 0.5), 0, 1)
    held = middle > stop - length
    accents = new.accents.copy()
    accents[held] = 0.0
    accents.reshape(len(middle), -1, SLOTS)[np.argmax(held), :, 0] = STRONGEST / 2
    return new.changed(
        accents=accents,
        loudness=new.loudness + CLOSING_DB * fall,
        density=np.where(held, 0.0, new.density * (1 + (CLOSING_DENSITY - 1) * fall)),
    )


def _opened(new: Timeline) -> Timeline:
    """New units as an intro: softer and sparser at its beginning."""
    left = np.linspace(1, 0, len(new.chroma))
    return new.changed(
        loudness=new.loudness + OPENING_DB * left, density=new.density * (1 + (OPENING_DENSITY - 1) * left)
    )


def _without_beat(before, after, material, bars: int, rng, plan: Plan) -> Bridge:
    """New bars where the run or a passage has no beat: a phrase of `PHRASE` seconds for each bar."""
    first = float(min(before.seconds, LEAD)) if before else 0.0
    last = first + PHRASE * bars
    new = arrange(replace(plan, bpm=None, beats=None), material, rng, PHRASE * bars)
    inside = new.bounds[:-1] < PHRASE * bars
    parts, bounds = [new.select(np.flatnonzero(inside), *[new.bounds] * 4)], [first + new.bounds[:-1][inside]]
    if before is not None:
        timeline, start = before.timeline, before.seconds - first
        begins = timeline.bounds[:-1]
        rows = np.flatnonzero((begins >= start - 1e-9) & (begins < before.seconds - 0.05))
        parts.insert(0, timeline.select(rows, *[timeline.bounds] * 4))
        bounds.insert(0, timeline.bounds[rows] - start)
    if after is not None:
        timeline = after.timeline
        rows = np.flatnonzero(timeline.bounds[:-1] < LEAD)
        parts.append(timeline.select(rows, *[timeline.bounds] * 4))
        bounds.append(last + timeline.bounds[rows])
    times = np.concatenate(bounds)
    times = _ascending(
        np.append(times, max(times[-1] + 0.1, last + (min(after.seconds, LEAD) if after else 0)))
    )
    nothing = np.zeros(0)
    return Bridge(
        Timeline.joined(parts).changed(bounds=times, beat=nothing, bar=nothing, phrases=np.array([0])),
        first, last,
    )  # fmt: skip


def _rows(timeline: Timeline, count: int, *, at_end: bool) -> Timeline:
    """The last or first `count` units, at times that are set afterwards."""
    rows = np.arange(timeline.units)
    return timeline.select(rows[-count:] if at_end else rows[:count], *[timeline.bounds] * 4)


def _ascending(bounds: np.ndarray) -> np.ndarray:
    """Bounds that ascend by at least a hundredth of a second, even where two grids meet."""
    return np.maximum.accumulate(bounds - 0.01 * np.arange(len(bounds))) + 0.01 * np.arange(len(bounds))
