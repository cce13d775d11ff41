"""Bridges, endings and intros: new bars laid between, after or before passages that stay as they are.

Beats and bars run on through both seams, the tempo goes from that of the one side to that of the other, and
what the new bars ask for is a walk that leaves the last bar of the one passage and leads to the first of the
other. No sound is made here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caw.compose import timeline as timelines
from caw.compose.arranging import UNITS, Material, arrange, usual_bar
from caw.compose.plan import BPM, Bar, Plan, Section
from caw.compose.timeline import SLOTS, STRONGEST, Timeline

HEARD = 30.0  # seconds of a passage, next to its seam, in which beats and bars are sought
LEAD = 8.0  # seconds of a passage that the new bars are drawn beside
ON_BEAT = 0.15  # quarter notes: a passage cut so near to a beat is taken to be cut at a bar line
OTHER_TEMPO = 1.2  # a tempo that differs by more from the run's is heard again, near the run's
LOCAL = 16  # units beside a seam over which a passage's tempo is taken
TRIES = 32  # walks, of which the one is laid that fits both sides best
PHRASE = 2.0  # seconds that count as a bar where there is no beat
SLOWEST, CURVE = 0.7, 3.0  # tempo at the end of a final ritardando and its shape (Friberg and Sundberg 1999)
SLOWING = 2  # bars it takes, with the last chord's
CLOSING_DB, CLOSING_DENSITY = (
    -6.0,
    0.4,
)  # where an ending's loudness and density have come to at its last chord
OPENING_DB, OPENING_DENSITY = -4.0, 0.5  # where those of an intro begin


@dataclass(frozen=True)
class Passage:
    """A stretch of known sound beside a seam. Second 0 of its timeline is its first sample."""

    timeline: Timeline
    seconds: float


@dataclass(frozen=True)
class Laid:
    """New bars and what they lie beside. Second 0 is where the first passage's last `LEAD` seconds begin."""

    timeline: Timeline
    first: float  # seconds: where the new sound begins
    last: float  # where it ends
    close: float | None = None  # where the last chord of an ending begins


@dataclass(frozen=True)
class _Side:
    """A passage as seen from its seam. Units of a half beat; positions 0 at the bar line that counts."""

    bounds: np.ndarray  # seconds about the seam
    beat: np.ndarray  # quarter notes
    here: float  # position of the seam itself, in quarter notes after that bar line
    on_line: bool  # whether the seam is taken for a bar line
    period: float  # seconds of a quarter note


def hear(samples: np.ndarray, rate: int, material: Material) -> Passage:
    """A passage [channels, n] heard at the tempo that the run's own clips were heard at, or near it."""
    heard = timelines.of(samples, rate)
    if material.has_beat:
        usual = material.period
        ratio = _period(heard, slice(None)) / usual if heard.has_beat else np.inf
        if not 1 / OTHER_TEMPO <= ratio <= OTHER_TEMPO:
            heard = timelines.of(samples, rate, Plan(bpm=float(np.clip(60 / usual, *BPM))))
    return Passage(heard, samples.shape[-1] / rate)


def lay(
    before: Passage | None,
    after: Passage | None,
    material: Material,
    bars: int,
    rng: np.random.Generator,
    *,
    plan: Plan | None = None,
    close: str | None = None,
) -> Laid:
    """`bars` new bars between two passages, after one (`after` is None) or before one.

    plan: chords, loudness, density and novelty of the new bars; shorter ones come round. close: the
    last bar's chord: the bars become an ending. A passage that is cut in the middle of a bar has that bar
    completed; where two bar lines do not meet, the new part is up to half a bar longer or shorter.
    """
    plan = plan or Plan()
    known = [passage.timeline for passage in (before, after) if passage is not None]
    if not material.has_beat or not all(heard.has_beat for heard in known):
        return _without_beat(before, after, material, bars, rng, plan)
    length = _bar(known, material)
    left = None if before is None else _side(before, length, at_end=True)
    right = None if after is None else _side(after, length, at_end=False)
    start = left.here if left else 0.0
    entry = right.here if right else 0.0
    if right:
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
    new = _modelled(beat, length, plan, material, known, rng, whole, close)
    ends = None
    if close is not None:
        ends = first + float(seconds_at(np.array([stop - length]))[0])
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
    return Laid(joined, first, last, ends)


def _side(passage: Passage, length: float, *, at_end: bool) -> _Side:
    """What of a passage lies within `LEAD` of its seam, which is its end or its beginning."""
    heard, seam = passage.timeline, passage.seconds if at_end else 0.0
    rows, edge = (slice(-LOCAL, None), -1) if at_end else (slice(None, LOCAL), 0)
    period = _period(heard, rows)
    here = heard.beat[edge] + (seam - heard.bounds[edge]) / period
    place = here - heard.beat[heard.phrases[edge]]
    grid = 1.0 if length == round(length) else 1 / UNITS
    off = place - grid * np.round(place / grid)
    on_line = bool(abs(off) <= ON_BEAT)
    place = float(off if on_line else place % length)
    about = heard.bounds - seam
    tolerated = 0.5 * ON_BEAT * period
    inside = (about >= -LEAD) & (about <= tolerated) if at_end else (about <= LEAD) & (about >= -tolerated)
    return _Side(about[inside], heard.beat[inside] - here + place, place, on_line, period)


def _period(heard: Timeline, rows: slice) -> float:
    """Seconds of a quarter note."""
    return float(np.median((np.diff(heard.bounds) / np.diff(heard.beat))[rows]))


def _bar(known: list[Timeline], material: Material) -> float:
    """Quarter notes in a bar: as two passages agree on, or as the run's clips have them.

    One passage alone is too short to be sure.
    """
    heard = [
        float(np.round(2 * np.median(np.diff(one.beat) / np.diff(one.bar))) / 2)
        for one in known
        if len(one.bar)
    ]
    if len(heard) == 2 and heard[0] == heard[1]:
        return heard[0]
    return max(0.5, round(2 * usual_bar(Plan(), material)) / 2)


def _tempo(left, right, start: float, stop: float, closing: float):
    """Seconds after the first seam at positions in quarter notes. closing: quarter notes of the last bar."""
    one = (left or right).period if left or right else 0.5
    other = (right or left).period if left or right else 0.5
    fine = np.linspace(start, stop, max(2, int(64 * (stop - start))))
    period = np.interp(fine, [start, stop], [one, other])
    if closing:
        slow = min(SLOWING * closing, stop - start)
        share = np.clip((fine - (stop - slow)) / slow, 0, 1)
        period = period / (1 + (SLOWEST**CURVE - 1) * share) ** (1 / CURVE)
    times = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (period[1:] + period[:-1]) / 2)])

    def seconds_at(beat: np.ndarray) -> np.ndarray:
        inside = np.interp(beat, fine, times)
        return inside + np.minimum(beat - start, 0) * period[0] + np.maximum(beat - stop, 0) * period[-1]

    return seconds_at


def _modelled(beat, length, plan, material, known, rng, whole: int, close: str | None) -> Timeline:
    """What the new units ask for, from the best of several walks over the run's clips and the passages."""
    middle = (beat[:-1] + beat[1:]) / 2
    number = np.floor(middle / length + 1e-6).astype(int)
    base = int(number[0])
    asked = plan.bars() or [Bar()]
    bars = [
        replace(asked[(k - whole) % len(asked)] if k >= whole else Bar(), metre=f"{round(2 * length)}/8")
        for k in range(base, int(number[-1]) + 1)
    ]
    if close is not None:
        bars[-1] = replace(bars[-1], chords=(close,))
    together = Material.of([*material.clips, *known])
    models = _fitting(together, len(known), bars, plan.novelty, rng)
    laid = Plan(sections=(Section("A", tuple(bars)),), novelty=plan.novelty)
    grid = arrange(laid, together, rng, models={"A": models})
    row = (number - base) * round(UNITS * length) + np.floor(
        UNITS * (middle - number * length) + 1e-6
    ).astype(int)
    nothing = np.zeros(0)
    return grid.taken(np.clip(row, 0, grid.units - 1), nothing, nothing, nothing, np.array([0]))


def _fitting(material: Material, known: int, bars: list[Bar], novelty: float, rng) -> list[int]:
    """The walk of several whose ends go best with the passages, which are the last `known` clips."""
    walk = material.walk
    wanted = material.wanted_chroma(bars)
    of_clip = [
        [k for k, bar in enumerate(walk.bars) if bar[0] == clip] for clip in range(len(material.clips))
    ]
    ends = of_clip[len(material.clips) - known :] if known else []
    last = ends[0][-1] if ends and ends[0] else None
    first = ends[-1][0] if ends and ends[-1] else None
    best, least = [], np.inf
    for _ in range(TRIES):
        models = walk.draw(len(bars), novelty, rng, wanted)
        cost = 0.0
        if last is not None:
            cost += walk.alike[last, max(models[0] - 1, 0)]
        if first is not None:
            cost += walk.alike[first, min(models[-1] + 1, len(walk) - 1)]
        if cost < least:
            best, least = models, cost
    return best


def _closed(new: Timeline, beat: np.ndarray, stop: float, length: float) -> Timeline:
    """New units as an ending: softer and sparser over its second half, and one held chord in its last bar."""
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


def _without_beat(before, after, material, bars: int, rng, plan: Plan) -> Laid:
    """Phrases of `PHRASE` seconds, one for each bar, where the run or a passage has no beat."""
    first = float(min(before.seconds, LEAD)) if before else 0.0
    last = first + PHRASE * bars
    new = arrange(replace(plan, bpm=None, beats=None), material, rng, PHRASE * bars)
    inside = new.bounds[:-1] < PHRASE * bars
    parts, bounds = [new.taken(np.flatnonzero(inside), *[new.bounds] * 4)], [first + new.bounds[:-1][inside]]
    if before is not None:
        heard, start = before.timeline, before.seconds - first
        rows = np.flatnonzero(
            (heard.bounds[:-1] >= start - 1e-9) & (heard.bounds[:-1] < before.seconds - 0.05)
        )
        parts.insert(0, heard.taken(rows, *[heard.bounds] * 4))
        bounds.insert(0, heard.bounds[rows] - start)
    if after is not None:
        heard = after.timeline
        rows = np.flatnonzero(heard.bounds[:-1] < LEAD)
        parts.append(heard.taken(rows, *[heard.bounds] * 4))
        bounds.append(last + heard.bounds[rows])
    times = np.concatenate(bounds)
    times = _ascending(
        np.append(times, max(times[-1] + 0.1, last + (min(after.seconds, LEAD) if after else 0)))
    )
    nothing = np.zeros(0)
    return Laid(
        Timeline.joined(parts).changed(bounds=times, beat=nothing, bar=nothing, phrases=np.array([0])),
        first, last,
    )  # fmt: skip


def _rows(heard: Timeline, count: int, *, at_end: bool) -> Timeline:
    """The last or first `count` units, at times that are set afterwards."""
    rows = np.arange(heard.units)
    return heard.taken(rows[-count:] if at_end else rows[:count], *[heard.bounds] * 4)


def _ascending(bounds: np.ndarray) -> np.ndarray:
    """Bounds that ascend by a hundredth of a second at least, as where two grids meet."""
    return np.maximum.accumulate(bounds - 0.01 * np.arange(len(bounds))) + 0.01 * np.arange(len(bounds))
