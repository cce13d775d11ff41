"""Timelines from plans: whatever a plan leaves open is modelled on bars of the clip, by a random walk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from caw.compose import chords
from caw.compose.plan import Bar, Plan, beats_in
from caw.compose.timeline import Timeline

UNITS = 2  # a quarter note
SECTION_SECONDS = 14.0  # approximate length of sections that the plan does not define
RUBATO = 0.02  # median deviation of beats from which a tempo is free (bands have .01 and less)
FADE = 0.5  # strength from which a variation follows less of the clip than beats and chords
EMPHASIS = 1.5  # deviations by which a chord's pitch classes are raised
TRANSPOSITION_COST = 0.03  # correlation that each semitone of transposition must gain
FORM = "ABACABAD"  # of a plan that has none
BAR_SLOTS = 8  # moments at which bars are compared
SHARPNESS = 0.12  # of the choice among jumps, in median distances between bars
NOVEL_SHARPNESS = 0.2  # added to it for a novelty of 1
RECENT = 4  # bars that a jump does not return to, if there are others
WRONG_LENGTH = 20.0  # cost of a bar of another length than the wanted one, in the same distances
CHORD_WEIGHT = 3.0  # weight of a bar's similarity to the wanted pitch classes, in the same distances


class RandomWalk:
    """A random walk over the bars (or phrases) of one or more clips.

    The walk continues with the next bar, or jumps to one whose predecessor sounds alike, as in Schoedl et al.
    2000 ("Video textures") and `caw.mosaic`. No sound is copied: new bars are modelled on the pitch classes,
    loudness and accents of those that the walk visits.
    """

    def __init__(self, clips: list[Timeline]) -> None:
        self.clips = clips
        self.bars: list[tuple[int, int, int]] = []  # clip, first unit, past the last
        for index, clip in enumerate(clips):
            ends = [*clip.phrases[1:], clip.units]
            self.bars += [(index, int(a), int(b)) for a, b in zip(clip.phrases, ends, strict=True)]
        usual = np.median([last - first for _, first, last in self.bars])
        whole = [bar for bar in self.bars if bar[2] - bar[1] >= 0.75 * usual]
        self.bars = whole or self.bars
        self.distances = self._distances()

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def lengths(self) -> np.ndarray:
        """Units of each bar."""
        return np.array([last - first for _, first, last in self.bars])

    def draw(
        self,
        count: int,
        novelty: float,
        rng: np.random.Generator,
        chroma: np.ndarray | None = None,
        lengths: np.ndarray | None = None,
    ) -> list[int]:
        """Visit `count` bars, given as indices of `bars`.

        novelty: from 0, where bars follow in order, to 1, where every bar line is a jump. chroma: wanted
        pitch classes [count, 12], zeros for bars that want none. lengths: wanted units of each bar, int
        [count].
        """
        fits = np.zeros((count, len(self.bars)))
        wrong_length = np.zeros((count, len(self.bars)), bool)
        if lengths is not None:
            wrong_length = self.lengths != np.asarray(lengths)[:, None]
        if chroma is not None:
            fits = CHORD_WEIGHT * np.asarray(chroma) @ self._chroma().T
        here = self._pick(fits[0] - WRONG_LENGTH * wrong_length[0], rng)
        visited = [here]
        for place in range(1, count):
            continues = here + 1 < len(self.bars) and self.bars[here + 1][0] == self.bars[here][0]
            continues = continues and not fits[place].any() and not wrong_length[place, here + 1]
            if continues and rng.random() >= novelty:
                here += 1
            else:
                scores = fits[place] - WRONG_LENGTH * wrong_length[place]
                here = self._jump(here, visited, novelty, scores, rng)
            visited.append(here)
        return visited

    def _jump(self, here: int, visited: list[int], novelty: float, fits: np.ndarray, rng) -> int:
        spread = SHARPNESS + NOVEL_SHARPNESS * novelty
        before = np.maximum(np.arange(len(self.bars)) - 1, 0)
        scores = fits - self.distances[here, before] / spread
        if here + 1 < len(self.bars):
            scores = scores - 0.5 * self.distances[here + 1] / spread
        excluded = np.zeros(len(self.bars), bool)
        excluded[[here, *visited[-RECENT:]]] = True
        if here + 1 < len(self.bars) and not (fits > 0).any():
            excluded[here + 1] = True
        if not excluded.all():
            scores = np.where(excluded, -np.inf, scores)
        return self._pick(scores, rng)

    @staticmethod
    def _pick(scores: np.ndarray, rng: np.random.Generator) -> int:
        weights = np.exp(scores - scores.max())
        return int(rng.choice(len(scores), p=weights / weights.sum()))

    def _chroma(self) -> np.ndarray:
        rows = [self.clips[clip].chroma[a:b].mean(axis=0) for clip, a, b in self.bars]
        return np.array([row / max(np.linalg.norm(row), 1e-9) for row in rows])

    def _distances(self) -> np.ndarray:
        """Distances [bars, bars] in units of their median; pitch classes, levels and accents count alike."""
        total = np.zeros((len(self.bars), len(self.bars)))
        for name in ("chroma", "sound", "accents"):
            rows = []
            for clip, first, last in self.bars:
                slots = first + np.arange(BAR_SLOTS) * (last - first) // BAR_SLOTS
                rows.append(getattr(self.clips[clip], name)[slots].ravel())
            rows = np.array(rows)
            squares = np.sum(rows**2, axis=1)
            apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))
            others = apart[~np.eye(len(rows), dtype=bool)]
            total += apart / max(float(np.median(others)) if others.size else 1.0, 1e-6)
        return total / 3


@dataclass(frozen=True)
class Material:
    """The clips that plans are arranged from: their timelines, and the walk over their bars."""

    clips: list[Timeline]
    walk: RandomWalk
    mean: np.ndarray  # [12] of the clips' pitch classes
    deviation: np.ndarray  # [12] of the clips' pitch classes

    @classmethod
    def of(cls, clips: list[Timeline]) -> Material:
        chroma = np.concatenate([clip.chroma for clip in clips])
        return cls(clips, RandomWalk(clips), chroma.mean(axis=0), chroma.std(axis=0))

    @property
    def has_beat(self) -> bool:
        return all(clip.has_beat for clip in self.clips)

    @cached_property
    def period(self) -> float:
        """Length of a quarter note in seconds, the median over the clips."""
        return float(np.median(self._periods))

    @cached_property
    def is_free(self) -> bool:
        """Whether the clips' tempo is free (rubato), so that the tempo of new music should be, too."""
        return float(np.median(np.abs(self._periods / self.period - 1))) > RUBATO

    @cached_property
    def _periods(self) -> np.ndarray:
        return np.concatenate([np.diff(clip.bounds) / np.diff(clip.beat) for clip in self.clips])

    def chord_target(self, chord: chords.Chord) -> tuple[np.ndarray, int]:
        """Target pitch classes [12] of a chord, and the transposition (semitones) at which the clips have it.

        The chord's pitch classes are raised over the clips' mean and the others lowered, in deviations. For a
        chord that the clips lack, those of a chord that they have are transposed.
        """
        if chord not in self._targets:
            self._targets[chord] = self._chord_target(chord)
        return self._targets[chord]

    @cached_property
    def _targets(self) -> dict[chords.Chord, tuple[np.ndarray, int]]:
        return {}

    def _chord_target(self, chord: chords.Chord) -> tuple[np.ndarray, int]:
        template = np.asarray(chord.template(), dtype=float)
        if not template.any():
            return self.mean, 0
        shifts = sorted(range(-6, 7), key=lambda s: (abs(s), s))
        shift = max(shifts, key=lambda s: self.presence(np.roll(template, -s)) - TRANSPOSITION_COST * abs(s))
        turned = np.roll(template, -shift)
        target = self.mean + EMPHASIS * self.deviation * (turned - turned.mean()) / turned.std()
        return np.roll(target, shift), shift

    def wanted_chroma(self, bars: list[Bar]) -> np.ndarray:
        """Pitch classes [bars, 12] of the clips' own bars to model on; zeros where a bar has no chords.

        A chord that the clips hold only transposed is turned back, since their own bars are not transposed.
        """
        wanted = np.zeros((len(bars), 12))
        for row, bar in zip(wanted, bars, strict=True):
            if bar.chords:
                targets = [self.chord_target(chords.parse(name)) for name in bar.chords]
                row[:] = np.mean([np.roll(chroma, -shift) for chroma, shift in targets], axis=0)
        return wanted

    def presence(self, template: np.ndarray) -> float:
        """How well the clips' best bar fits a chord: the correlation of pitch classes [12]."""
        return max(float(np.corrcoef(template, bar)[0, 1]) for bar in self.bars)

    @cached_property
    def bars(self) -> np.ndarray:
        """Pitch classes [half bars, 12] of the clips."""
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
    """The timeline of a plan, repeated or cut to `seconds` if they are given.

    Sections of one name are modelled on the same bars: those that `models` has for the name, or those of
    random walks, one for harmony and one for rhythm. Beats are even, or as long as in the clips if their
    tempo is free and the plan has none. If the clips have no beat and the plan no tempo, the walk's phrases
    follow each other, each at its own length.
    """
    if not material.has_beat and plan.bpm is None and plan.beats is None:
        return _phrases(plan, material, rng, seconds or material.clips[0].seconds)
    sections = _sections(plan, material, seconds)
    models_of = {name: list(zip(bars, bars, strict=True)) for name, bars in (models or {}).items()}
    parts, lengths = [], []
    for name, bars in sections:
        if name not in models_of:
            harmony = material.walk.draw(len(bars), plan.novelty, rng, material.wanted_chroma(bars))
            rhythm = harmony  # with a novelty of 0 both follow the clip
            if plan.novelty:
                lengths_of_bars = material.walk.lengths[harmony]
                rhythm = material.walk.draw(len(bars), plan.novelty, rng, lengths=lengths_of_bars)
            models_of[name] = list(zip(harmony, rhythm, strict=True))
        for bar, (harmony, rhythm) in zip(bars, models_of[name], strict=True):
            part = _modelled(material, harmony, rhythm, bar)
            parts.append(_with_plan(part, bar, material))
            lengths.append(part.units)
    return _placed(parts, lengths, plan, material)


def varied(
    clip: Timeline, material: Material, plan: Plan | None, keep: str | None, strength: float = 0.0
) -> Timeline:
    """A clip's own timeline with the chords, loudness and density of a plan, which is repeated bar by bar.

    keep: "rhythm" leaves all pitch classes open but the plan's, "harmony" leaves accents open. strength: from
    FADE to 1, loudness, density and accents fade to their means, unless the rhythm is kept or a plan is
    given.
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
        part = clip.select(units, clip.bounds, clip.beat, clip.bar, clip.phrases)
        parts.append(_with_plan(part, bars[number % len(bars)], material))
    return Timeline.joined(parts)


def usual_bar(plan: Plan, material: Material) -> float:
    """Quarter notes in a bar without a metre of its own."""
    if plan.metre:
        return beats_in(plan.metre)
    if not material.has_beat:
        return 4.0
    return float(np.median(material.walk.lengths)) * float(np.median(np.diff(material.clips[0].beat)))


def _sections(plan: Plan, material: Material, seconds: float | None) -> list[tuple[str, list[Bar]]]:
    """The plan's sections in their order, repeated to cover `seconds`."""
    period = 60 / plan.bpm if plan.bpm else material.period
    usual = usual_bar(plan, material)
    once = _unrolled(plan)
    if not once:
        count = max(1, round(SECTION_SECONDS / (usual * period) / 4) * 4)
        once = [(name, [Bar(metre=plan.metre)] * count) for name in FORM]
        seconds = seconds if seconds is not None else material.clips[0].seconds
    if seconds is None:
        return once
    sections, covered = [], 0.0
    while covered < seconds + period:
        for name, bars in once:
            sections.append((name, bars))
            covered += period * sum(beats_in(bar.metre) if bar.metre else usual for bar in bars)
            if covered >= seconds + period:
                break
    return sections


def _unrolled(plan: Plan) -> list[tuple[str, list[Bar]]]:
    """The plan's sections in the order of its form, each bar with its metre where the plan has one."""
    by_name = {
        section.name: [replace(bar, metre=bar.metre or plan.metre) for bar in section.bars]
        for section in plan.sections
    }
    return [(name, by_name[name]) for name in (plan.form or by_name)]


def _modelled(material: Material, harmony: int, rhythm: int, bar: Bar) -> Timeline:
    """A bar with the pitch classes of one bar of the walk, and the loudness and accents of another.

    Combining two bars avoids asking for a copy of one. Without a metre of its own, the bar is as long as that
    of the harmony.
    """
    walk = material.walk
    clip, units = _units(walk, harmony, beats_in(bar.metre) if bar.metre else None)
    other, rows = _units(walk, rhythm, len(units) / UNITS)
    model, grid = material.clips[other], np.arange(len(units) + 1) / UNITS
    lengths = np.full(len(rows), material.period / UNITS) if material.has_beat else np.diff(grid)
    if material.has_beat and material.is_free:
        lengths = (np.diff(model.bounds) / np.diff(model.beat))[rows] / UNITS
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    part = model.select(rows, bounds, grid, grid, np.array([0]))
    return part.changed(chroma=material.clips[clip].chroma[units])


def _units(walk: RandomWalk, model: int, beats: float | None) -> tuple[int, np.ndarray]:
    """The clip of a bar of the walk, and the bar's units, one for each eighth note of a bar of `beats`."""
    clip, first, last = walk.bars[model]
    timeline = walk.clips[clip]
    step = float(np.median(np.diff(timeline.beat))) if timeline.has_beat else 1 / UNITS
    own = (last - first) * step  # quarter notes
    count = max(1, round((own if beats is None else beats) * UNITS))
    if not timeline.has_beat:
        return clip, first + np.arange(count) * (last - first) // count
    place = np.arange(count) / UNITS % max(own, step)
    return clip, np.minimum(first + (place / step + 1e-6).astype(int), timeline.units - 1)


def _with_plan(part: Timeline, bar: Bar, material: Material) -> Timeline:
    """The units of a bar with the chords, loudness and density that the plan has for it."""
    changes, count = {}, len(part.chroma)
    if bar.chords:
        chroma, shift = zip(*[material.chord_target(chords.parse(name)) for name in bar.chords], strict=True)
        which = np.arange(count) * len(chroma) // count
        changes |= {"chroma": np.array(chroma)[which], "shift": np.array(shift, dtype=float)[which]}
    for name in ("loudness", "density"):
        if (value := getattr(bar, name)) is not None:
            values = np.atleast_1d(np.asarray(value, dtype=float))
            changes[name] = values[np.arange(count) * len(values) // count]
    return part.changed(**changes)


def _placed(parts: list[Timeline], lengths: list[int], plan: Plan, material: Material) -> Timeline:
    """Bars one after another, with the tempo or the beats of the plan if it has them."""
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
    """The phrases of a random walk over clips without a beat, each at its own length."""
    walk = material.walk
    lengths = [material.clips[c].bounds[b] - material.clips[c].bounds[a] for c, a, b in walk.bars]
    count = int(np.ceil(seconds / max(min(lengths), 0.1))) + 1
    nothing = np.zeros(0)
    parts, starts, now = [], [], 0.0
    for model in walk.draw(count, plan.novelty, rng):
        clip, first, last = walk.bars[model]
        timeline = material.clips[clip]
        bounds = timeline.bounds[first : last + 1] - timeline.bounds[first]
        parts.append(timeline.select(np.arange(first, last), now + bounds, nothing, nothing, np.array([0])))
        starts.append(last - first)
        now += bounds[-1]
        if now >= seconds:
            break
    bounds = np.concatenate([part.bounds[:-1] for part in parts] + [parts[-1].bounds[-1:]])
    phrases = np.cumsum([0, *starts[:-1]])
    return Timeline.joined(parts).changed(bounds=bounds, beat=nothing, bar=nothing, phrases=phrases)
