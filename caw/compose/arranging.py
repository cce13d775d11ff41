"""From a plan to a timeline: what a plan leaves open is modelled on the clip's own bars, by a walk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from caw.compose import chords
from caw.compose.plan import Bar, Plan, beats_in
from caw.compose.timeline import Timeline
from caw.compose.walk import Walk

UNITS = 2  # a quarter note
SECTION_SECONDS = 14.0  # about how long a section is where the plan names none
RUBATO = 0.02  # median deviation of beats from which a tempo is free (bands that were tried: .01 and less)
FADE = 0.5  # strength of a variation from which it asks for less of the clip than beats and chords
EMPHASIS = 1.5  # deviations by which a chord's pitch classes are raised
FARTHER = 0.03  # correlation that a semitone of transposition must gain
FORM = "ABACABAD"  # of a plan without one: what is heard comes back


@dataclass(frozen=True)
class Material:
    """What plans are laid over: the timelines of the clips and the ways between their bars."""

    clips: list[Timeline]
    walk: Walk
    mean: np.ndarray  # [12] of the clips' pitch classes
    deviation: np.ndarray  # [12]

    @classmethod
    def of(cls, clips: list[Timeline]) -> Material:
        chroma = np.concatenate([clip.chroma for clip in clips])
        return cls(clips, Walk(clips), chroma.mean(axis=0), chroma.std(axis=0))

    @property
    def has_beat(self) -> bool:
        return all(clip.has_beat for clip in self.clips)

    @cached_property
    def period(self) -> float:
        """Seconds of a quarter note, the median over the clips."""
        return float(np.median(self._periods))

    @cached_property
    def is_free(self) -> bool:
        """Whether the clips' tempo gives and takes, so that new music should, too."""
        return float(np.median(np.abs(self._periods / self.period - 1))) > RUBATO

    @cached_property
    def _periods(self) -> np.ndarray:
        return np.concatenate([np.diff(clip.bounds) / np.diff(clip.beat) for clip in self.clips])

    def sounding(self, chord: chords.Chord) -> tuple[np.ndarray, int]:
        """Pitch classes [12] that ask for a chord, and the shift in semitones under which the clips have it.

        Its own are raised over the clips' mean and the others lowered, in deviations. A chord that the clips
        lack is asked for as one that they have, transposed.
        """
        if chord not in self._asked:
            self._asked[chord] = self._sounding(chord)
        return self._asked[chord]

    @cached_property
    def _asked(self) -> dict[chords.Chord, tuple[np.ndarray, int]]:
        return {}

    def _sounding(self, chord: chords.Chord) -> tuple[np.ndarray, int]:
        template = np.asarray(chord.template(), dtype=float)
        if not template.any():
            return self.mean, 0
        shifts = sorted(range(-6, 7), key=lambda s: (abs(s), s))
        shift = max(shifts, key=lambda s: self.presence(np.roll(template, -s)) - FARTHER * abs(s))
        turned = np.roll(template, -shift)
        asked = self.mean + EMPHASIS * self.deviation * (turned - turned.mean()) / turned.std()
        return np.roll(asked, shift), shift

    def wanted_chroma(self, bars: list[Bar]) -> np.ndarray:
        """Pitch classes [bars, 12] of the clips' own bars to model on; zeros where a bar names no chord.

        A chord that the clips hold only transposed is turned back, since their own bars are not transposed.
        """
        wanted = np.zeros((len(bars), 12))
        for row, bar in zip(wanted, bars, strict=True):
            if bar.chords:
                sounding = [self.sounding(chords.parse(name)) for name in bar.chords]
                row[:] = np.mean([np.roll(chroma, -shift) for chroma, shift in sounding], axis=0)
        return wanted

    def presence(self, template: np.ndarray) -> float:
        """How well the clips' best bar sounds a chord: the correlation of pitch classes [12]."""
        return max(float(np.corrcoef(template, bar)[0, 1]) for bar in self.bars)

    @cached_property
    def bars(self) -> np.ndarray:
        """Pitch classes [bars, 12] of the clips, half a bar each."""
        rows = []
        for clip, first, last in self.walk.bars:
            rows += [
                part.mean(axis=0)
                for part in np.array_split(self.clips[clip].chroma[first:last], 2)
                if len(part)
            ]
        return np.array(rows)


def arrange(
    plan: Plan,
    material: Material,
    rng: np.random.Generator,
    seconds: float | None = None,
    models: dict[str, list[int]] | None = None,
) -> Timeline:
    """The plan in time, until `seconds` (repeated or cut), or as long as it is.

    Sections of one name are modelled on the same bars: those of the walk that `models` has for the name, or
    of walks that are drawn, one for harmony and one for rhythm. Beats are even, or as long as in the clips
    where their tempo is free and the plan names none. Without a beat in the clips and without a tempo in the
    plan the walk's phrases follow each other as long as each is.
    """
    if not material.has_beat and plan.bpm is None and plan.beats is None:
        return _phrases(plan, material, rng, seconds or material.clips[0].seconds)
    sections = _sections(plan, material, seconds)
    drawn = {name: list(zip(bars, bars, strict=True)) for name, bars in (models or {}).items()}
    parts, lengths = [], []
    for name, bars in sections:
        if name not in drawn:
            harmony = material.walk.draw(len(bars), plan.novelty, rng, material.wanted_chroma(bars))
            rhythm = harmony  # in the clip's own order nothing is new
            if plan.novelty:
                alike = material.walk.lengths[harmony]
                rhythm = material.walk.draw(len(bars), plan.novelty, rng, lengths=alike)
            drawn[name] = list(zip(harmony, rhythm, strict=True))
        for bar, (harmony, rhythm) in zip(bars, drawn[name], strict=True):
            part = _modelled(material, harmony, rhythm, bar)
            parts.append(_overridden(part, bar, material))
            lengths.append(part.units)
    return _placed(parts, lengths, plan, material)


def varied(
    clip: Timeline, material: Material, plan: Plan | None, keep: str | None, strength: float = 0.0
) -> Timeline:
    """A clip's own timeline with a plan's chords, loudness and density, bar by bar, over and over.

    keep: "rhythm" asks for no pitch classes but the plan's, "harmony" for no accents. strength: from FADE
    to 1 less and less is asked of loudness, density and accents, in the end nothing; where the rhythm is to
    be kept, or chords take the place of the clip's, all of it is.
    """
    bars = [] if plan is None else [bar for _, bars in _unrolled(plan) for bar in bars]
    changes = {}
    if strength > FADE and keep != "rhythm" and not bars:
        for name in ("loudness", "density", "accents"):
            values, share = getattr(clip, name), (1 - strength) / (1 - FADE)
            changes[name] = values.mean(axis=0) + share * (values - values.mean(axis=0))
    if keep == "rhythm":
        changes["chroma"] = np.full_like(clip.chroma, np.nan)
    if keep == "harmony":
        changes |= {name: np.full_like(getattr(clip, name), np.nan) for name in ("accents", "density")}
    clip = clip.changed(**changes)
    if not bars:
        return clip
    parts = []
    ends = [*clip.phrases[1:], clip.units]
    firsts = [0, *clip.phrases[1:]] if len(clip.phrases) else [0]  # a pick-up belongs to the first bar
    for number, (first, last) in enumerate(zip(firsts, ends, strict=True)):
        units = np.arange(first, last)
        part = clip.taken(units, clip.bounds, clip.beat, clip.bar, clip.phrases)
        parts.append(_overridden(part, bars[number % len(bars)], material))
    return Timeline.joined(parts)


def usual_bar(plan: Plan, material: Material) -> float:
    """Quarter notes in a bar that says nothing of its metre."""
    if plan.metre:
        return beats_in(plan.metre)
    if not material.has_beat:
        return 4.0
    return float(np.median(material.walk.lengths)) * float(np.median(np.diff(material.clips[0].beat)))


def _sections(plan: Plan, material: Material, seconds: float | None) -> list[tuple[str, list[Bar]]]:
    """The plan's sections in their order, repeated until `seconds` are covered."""
    period = 60 / plan.bpm if plan.bpm else material.period
    usual = usual_bar(plan, material)
    known = _unrolled(plan)
    if not known:
        count = max(1, round(SECTION_SECONDS / (usual * period) / 4) * 4)
        known = [(name, [Bar(metre=plan.metre)] * count) for name in FORM]
        seconds = seconds if seconds is not None else material.clips[0].seconds
    if seconds is None:
        return known
    sections, covered = [], 0.0
    while covered < seconds + period:
        for name, bars in known:
            sections.append((name, bars))
            covered += period * sum(beats_in(bar.metre) if bar.metre else usual for bar in bars)
            if covered >= seconds + period:
                break
    return sections


def _unrolled(plan: Plan) -> list[tuple[str, list[Bar]]]:
    """The plan's sections in the order of its form, each bar with its metre where the plan says one."""
    there = {
        section.name: [replace(bar, metre=bar.metre or plan.metre) for bar in section.bars]
        for section in plan.sections
    }
    return [(name, there[name]) for name in (plan.form or there)]


def _modelled(material: Material, harmony: int, rhythm: int, bar: Bar) -> Timeline:
    """A bar with the pitch classes of one bar of the walk, and the loudness and accents of another.

    So nothing is asked for that the clips hold as it is. A bar that says nothing of its metre is as long as
    that of the harmony.
    """
    walk = material.walk
    clip, units = _units(walk, harmony, beats_in(bar.metre) if bar.metre else None)
    other, struck = _units(walk, rhythm, len(units) / UNITS)
    model, grid = material.clips[other], np.arange(len(units) + 1) / UNITS
    lengths = np.full(len(struck), material.period / UNITS) if material.has_beat else np.diff(grid)
    if material.has_beat and material.is_free:
        lengths = (np.diff(model.bounds) / np.diff(model.beat))[struck] / UNITS
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    part = model.taken(struck, bounds, grid, grid, np.array([0]))
    return part.changed(chroma=material.clips[clip].chroma[units])


def _units(walk: Walk, model: int, beats: float | None) -> tuple[int, np.ndarray]:
    """The clip of a bar of the walk, and its units, one for each half quarter note of a bar of `beats`."""
    clip, first, last = walk.bars[model]
    timeline = walk.clips[clip]
    step = float(np.median(np.diff(timeline.beat))) if timeline.has_beat else 1 / UNITS
    own = (last - first) * step  # quarter notes
    count = max(1, round((own if beats is None else beats) * UNITS))
    if not timeline.has_beat:
        return clip, first + np.arange(count) * (last - first) // count
    place = np.arange(count) / UNITS % max(own, step)
    return clip, np.minimum(first + (place / step + 1e-6).astype(int), timeline.units - 1)


def _overridden(part: Timeline, bar: Bar, material: Material) -> Timeline:
    """The units of a bar with what a plan asks of it."""
    changes, count = {}, len(part.chroma)
    if bar.chords:
        chroma, shift = zip(*[material.sounding(chords.parse(name)) for name in bar.chords], strict=True)
        which = np.arange(count) * len(chroma) // count
        changes |= {"chroma": np.array(chroma)[which], "shift": np.array(shift, dtype=float)[which]}
    for name in ("loudness", "density"):
        if (value := getattr(bar, name)) is not None:
            values = np.atleast_1d(np.asarray(value, dtype=float))
            changes[name] = values[np.arange(count) * len(values) // count]
    return part.changed(**changes)


def _placed(parts: list[Timeline], lengths: list[int], plan: Plan, material: Material) -> Timeline:
    """Bars one after the other, on a steady grid or on the plan's own beats."""
    joined = Timeline.joined(parts)
    ends = np.cumsum([0, *lengths])
    bar = np.interp(np.arange(ends[-1] + 1), ends, np.arange(len(ends)))
    beat = np.arange(ends[-1] + 1) / UNITS
    bounds = np.concatenate([[0.0], np.cumsum(np.concatenate([np.diff(part.bounds) for part in parts]))])
    if plan.bpm:
        bounds = beat * (60 / plan.bpm)
    if plan.beats is not None and len(plan.beats) > plan.first_bar + 1:
        times = np.asarray(plan.beats[plan.first_bar :]) - plan.beats[plan.first_bar]
        step = (times[-1] - times[0]) / (len(times) - 1)
        more = max(0, int(np.ceil(beat[-1])) + 1 - len(times))
        times = np.concatenate([times, times[-1] + step * np.arange(1, more + 1)])
        bounds = np.interp(beat, np.arange(len(times)), times)
    return joined.changed(bounds=bounds, beat=beat, bar=bar, phrases=ends[:-1])


def _phrases(plan: Plan, material: Material, rng: np.random.Generator, seconds: float) -> Timeline:
    """Phrases of clips without a beat, as the walk leads, each as long as it is."""
    walk = material.walk
    lengths = [material.clips[c].bounds[b] - material.clips[c].bounds[a] for c, a, b in walk.bars]
    count = int(np.ceil(seconds / max(min(lengths), 0.1))) + 1
    nothing = np.zeros(0)
    parts, starts, now = [], [], 0.0
    for model in walk.draw(count, plan.novelty, rng):
        clip, first, last = walk.bars[model]
        timeline = material.clips[clip]
        bounds = timeline.bounds[first : last + 1] - timeline.bounds[first]
        parts.append(timeline.taken(np.arange(first, last), now + bounds, nothing, nothing, np.array([0])))
        starts.append(last - first)
        now += bounds[-1]
        if now >= seconds:
            break
    bounds = np.concatenate([part.bounds[:-1] for part in parts] + [parts[-1].bounds[-1:]])
    phrases = np.cumsum([0, *starts[:-1]])
    return Timeline.joined(parts).changed(bounds=bounds, beat=nothing, bar=nothing, phrases=phrases)
