"""How large must a study be? Power and precision by simulation, for the tests that the report uses.

Listeners and clips are both samples. More listeners even out listeners and single answers, but never the
differences between clips; so power has a ceiling that only more clips, or a better balance of the groups, can
lift (Westfall, Kenny and Judd 2014, "Statistical power and optimal design in experiments in which samples of
participants respond to samples of stimuli", J. Exp. Psychol. Gen. 143).

A panel's test, of ratings as of answers of 0 and 1, is the contrast of the linear mixed model with crossed
listeners and clips, each listener being their own control (`analysis.results.estimation`). Where every
listener judges every clip it is an analysis of variance in closed form (`anova`), so of ratings only sums of
squares are drawn; other answers are drawn one by one. One listener's tests are the exact ones of
`analysis.tests.exact` and `analysis.tests.permutation`, for this listener only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import scipy.special
from scipy import stats

from analysis.results.comparisons import LEAST_EQUIVALENCE
from analysis.results.stimuli import LEAST_CLIPS
from analysis.tests import exact, permutation
from caw.problems import ProblemError

MUSICALITY, VERDICTS, INSPIRING = "musicality", "verdicts", "inspiring"
SAME, DIFFERENT = "same", "different"
LEVEL = 0.05  # of the two-sided tests
TARGET = 0.8  # power that a plan aims at
CEILING = math.inf  # listeners
MOST_LISTENERS, MOST_CLIPS, MOST_STUDIES = 2000, 500, 100_000
COLUMNS = ["outcome", "listeners", "clips", "machine_made", "originals", "sources"]
COLUMNS += ["power", "monte_carlo_error", "half_width", "equivalence"]
_AT_ONCE = 4_000_000  # answers held in memory
_DEARER = 5  # times fewer studies of answers that are drawn one by one
_NO_SPREAD = 1e-15


class PlanningError(ProblemError):
    """A study that cannot be planned as asked."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations. Of musicality, in points: of listeners' levels, of clips, of single answers, of
    how much each listener prefers one group, and of sources (where two backends are compared).

    Of verdicts and of inspiring, in units of a single answer's noise: of listeners' leanings towards an
    answer, of how well they tell the groups apart, and of how clips of one group seem. Sources differ in the
    same proportion to clips as they do in musicality.
    """

    listener: float = 1.0
    clip: float = 1.0
    answer: float = 1.5
    preference: float = 1.0
    leaning: float = 0.4
    skill: float = 0.5
    guise: float = 0.4
    source: float = 0.7

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise PlanningError(f"the standard deviation of {name} is {value:g}", "it must be 0 or more")
        if self.clip == 0 or self.answer == 0:
            name = "clip" if self.clip == 0 else "answer"
            raise PlanningError(f"the standard deviation of {name} is 0", "clips and answers always differ")


@dataclass(frozen=True)
class ClipDesign:
    """Clips of one group (machine-made, or of one backend) and of the other.

    sources: 0, or how many each backend was trained on, the same ones where `crossed`.
    """

    one: int
    other: int
    sources: int = 0
    crossed: bool = False

    @property
    def clips(self) -> int:
        return self.one + self.other

    @property
    def k(self) -> float:
        """Variance of the difference of the groups' means, in variances of a clip."""
        return 1 / self.one + 1 / self.other

    @property
    def free(self) -> tuple[int, int]:
        """Degrees of freedom of clips within sources, and of sources."""
        between = 0 if not self.sources else self.sources - 1 if self.crossed else 2 * self.sources - 2
        return self.clips - 2 - between, between

    @property
    def weight(self) -> float:
        """Clips of a source."""
        return (self.clips if self.crossed else self.one) / self.sources


@dataclass(frozen=True)
class PowerPlan:
    """Which studies to compare. Each takes one of `listeners`, of `clips`, and of `originals` among them.

    What to find, None where it is not planned for: effect, a difference of musicality, in points; accuracy,
    balanced accuracy of verdicts, .5 for guessing; inspiring, a difference of the shares of answers yes or
    maybe. accuracy_bound: balanced accuracy within .5 +- this passes as real; musicality_bound: points.
    backends: None, or SAME or DIFFERENT: two backends are compared, with half of the clips each, on the same
    or on different `sources` (of each); then judged_real takes the place of accuracy, a difference of shares.
    studies: simulated, each (of answers drawn one by one a fifth).
    """

    listeners: Sequence[int] = (8, 10, 15, 20, 30, 40, 60, 80, 100)
    clips: Sequence[int] = (20,)
    originals: Sequence[int] = (4, 6, 8, 10)
    effect: float | None = 1.5
    accuracy: float | None = None
    inspiring: float | None = None
    judged_real: float | None = None
    accuracy_bound: float | None = None
    musicality_bound: float | None = None
    backends: str | None = None
    sources: Sequence[int] = (5, 10)
    spread: Spread = Spread()
    studies: int = 10_000
    seed: int = 1

    def __post_init__(self) -> None:
        limits = {
            "listeners": (self.listeners, 1, MOST_LISTENERS),
            "clips": (self.clips, 2 * LEAST_CLIPS, MOST_CLIPS),
            "originals": (self.originals, LEAST_CLIPS, MOST_CLIPS),
            "sources": (self.sources, 3 if self.backends == SAME else 2, MOST_CLIPS),
            "studies": ([self.studies], 100, MOST_STUDIES),
        }
        for name, (values, least, most) in limits.items():
            if not values:
                raise PlanningError(f"no number of {name} is given", "name one or more")
            for value in values:
                if not least <= value <= most:
                    raise PlanningError(f"{value} {name}", f"a plan needs from {least} to {most}")
        if self.backends not in (None, SAME, DIFFERENT):
            raise PlanningError(f"backends of {self.backends} sources", f"write {SAME} or {DIFFERENT}")
        ranges = {
            "effect": ("the effect", -10, 10),
            "accuracy": ("the balanced accuracy", 0, 1),
            "inspiring": ("the difference of inspiring", -1, 1),
            "judged_real": ("the difference judged real", -1, 1),
            "accuracy_bound": ("the bound of balanced accuracy", 0, 0.5),
            "musicality_bound": ("the bound of musicality", 0, 10),
        }
        for field, (name, low, high) in ranges.items():
            value = getattr(self, field)
            if value is not None and not low < value < high:
                raise PlanningError(f"{name} is {value:g}", f"it must lie between {low:g} and {high:g}")
        odd = ("accuracy", "accuracy_bound", "musicality_bound") if self.backends else ("judged_real",)
        if any(getattr(self, field) is not None for field in odd):
            if self.backends:
                raise PlanningError(
                    "with backends, ask for musicality, inspiring or judged real, without bounds"
                )
            raise PlanningError("judged real is of backends", "ask for accuracy")
        if not self.effects():
            raise PlanningError("no effect is given", "name one of musicality, of verdicts or of inspiring")
        if not self.designs() and self.backends:
            half, few = max(self.clips) // 2, min(self.sources)
            raise PlanningError(f"{half} clips of a backend cannot come of {few} sources, as many of each")
        if not self.designs():
            message = f"{min(self.originals)} originals do not fit into {max(self.clips)} clips"
            raise PlanningError(message, f"{LEAST_CLIPS} of each kind are needed at least")

    def effects(self) -> dict[str, float]:
        """What is asked about, and the difference of the groups' means to find."""
        judged = self.judged_real if self.accuracy is None else 2 * self.accuracy - 1
        effects = {MUSICALITY: self.effect, VERDICTS: judged, INSPIRING: self.inspiring}
        return {outcome: effect for outcome, effect in effects.items() if effect is not None}

    def bound(self, outcome: str) -> float | None:
        """The bound of the difference of means within which the groups count as alike."""
        if outcome == VERDICTS and self.accuracy_bound is not None:
            return 2 * self.accuracy_bound
        return self.musicality_bound if outcome == MUSICALITY else None

    def studies_of(self, outcome: str) -> int:
        """How many are simulated."""
        return self.studies if outcome == MUSICALITY else max(100, self.studies // _DEARER)

    def designs(self) -> list[ClipDesign]:
        """What goes together: enough of each kind for the report to test them."""
        if self.backends is None:
            pairs = [(clips, originals) for clips in self.clips for originals in self.originals]
            return [ClipDesign(n - others, others) for n, others in pairs if n - others >= LEAST_CLIPS]
        pairs = [(clips // 2, sources) for clips in self.clips for sources in self.sources]
        crossed = self.backends == SAME
        return [ClipDesign(half, half, sources, crossed) for half, sources in pairs if half % sources == 0]


def power(plan: PowerPlan) -> pd.DataFrame:
    """Simulate every study of a plan: its power and its precision.

    Parameters
    ----------
    plan : PowerPlan

    Returns
    -------
    pandas.DataFrame
        A row per study, with the columns `COLUMNS`. listeners: infinite for the ceiling. originals, sources:
        0 where the plan has none. power: the share of simulated studies with p < .05. monte_carlo_error: its
        standard error, at most that of equivalence, too. half_width: expected half of the 95 % interval, of
        balanced accuracy for verdicts against originals, else of the difference. equivalence: the share of
        studies without any difference that show it to lie within the bound; NaN without a bound or with fewer
        than `LEAST_EQUIVALENCE` originals.

    Notes
    -----
    Studies with the same clips share their random numbers, so that curves over listeners are smooth. See the
    head of this module for the models.

    Examples
    --------
    >>> table = power(PowerPlan(listeners=(8, 24), originals=(4,), studies=1000))
    >>> table["power"].round(1).tolist()
    [0.5, 0.6, 0.7]
    """
    listeners, rows = [*sorted(set(plan.listeners)), CEILING], []
    for outcome, effect in plan.effects().items():
        simulate, studies = _rated if outcome == MUSICALITY else _judged, plan.studies_of(outcome)
        scale = 0.5 if outcome == VERDICTS and plan.backends is None else 1.0
        for design in plan.designs():
            bound = plan.bound(outcome) if design.other >= LEAST_EQUIVALENCE else None
            estimates = simulate(plan, listeners, design, effect, None)
            alike = [(0, 0, math.nan)] * len(estimates)
            if bound is not None:
                alike = simulate(plan, listeners, design, 0.0, bound)
            kinds = (0, 0) if plan.backends is None else (design.other, -design.other)
            sizes = (design.clips, design.one + kinds[0], design.other + kinds[1], design.sources)
            rows += [
                (outcome, count, *sizes, share, error(share, studies), scale * half, within)
                for count, (share, half, _), (*_, within) in zip(listeners, estimates, alike, strict=True)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def kind_of(table: pd.DataFrame) -> str:
    """What the studies of a table differ in beside listeners and clips: "originals" or "sources"."""
    return "sources" if table["sources"].any() else "originals"


def error(share: float, studies: int) -> float:
    """Monte Carlo standard error of a share; of none or all, as if one study in the row were otherwise."""
    inner = min(max(share, 1 / studies), 1 - 1 / studies)
    return math.sqrt(inner * (1 - inner) / studies)


def right_to_beat_chance(clips: int, level: float = LEVEL) -> int | None:
    """The fewest right answers of one listener with P(as many or more by tossing a coin) <= level.

    None where not even all right would do.
    """
    least = int(stats.binom.isf(level, clips, 0.5)) + 1
    return least if least <= clips else None


def fewest_originals(clips: int, outcome: str) -> int | None:
    """The fewest originals among the clips with which one listener's p can be under .05; None: no number."""
    for count in range(1, clips // 2 + 1):
        tables = math.comb(clips, count)
        least = 2 / tables if outcome == MUSICALITY else exact.p_values(clips - count, count).min()
        if least < LEVEL:
            return count
    return None


def advice(table: pd.DataFrame, outcome: str, column: str = "power") -> str:
    """One sentence: what to change so that a study of this table reaches the power that plans aim at.

    column: "power", or "equivalence". "" where no study of the outcome has one.
    """
    rows = table[table["outcome"] == outcome].dropna(subset=[column])
    if rows.empty:
        return ""
    kind = kind_of(table)
    ceilings = rows[np.isinf(rows["listeners"])].set_index(["clips", kind])[column]
    reached = rows[np.isfinite(rows["listeners"]) & (rows[column] >= TARGET)]
    fewest = min(ceilings.index)  # the fewest clips, of these the fewest originals
    least, aim = ceilings[fewest], _share(TARGET)
    start = f"With {fewest[1]} {kind} among {fewest[0]} clips"
    if reached.empty:
        clips, count = ceilings.idxmax()
        best = f"{count} {kind} among {clips} clips"
        if ceilings.max() < TARGET:
            sentence = f"No study of this plan reaches a power of {aim}: even with {best} and any number of"
            more = "sources" if kind == "sources" else "clips of both kinds"
            return f"{sentence} listeners it stays at {_share(ceilings.max())}, so add {more}."
        sentence = f"No study of this plan reaches a power of {aim}, but {best} would with more listeners"
        return f"{sentence} (ceiling {_share(ceilings.max())}), so add listeners."
    answers = reached["listeners"] * reached["clips"]
    cheapest = reached.loc[answers[answers == answers.min()].index].sort_values(column).iloc[-1]
    count = int(cheapest["listeners"])
    way, verb = ("1 listener", "reaches") if count == 1 else (f"{count} listeners", "reach")
    if (cheapest["clips"], cheapest[kind]) == fewest:
        return f"{start} a power of {aim} needs {way} ({_share(cheapest[column])})."
    added = kind if cheapest["clips"] == fewest[0] else "clips"
    way += f" with {cheapest[kind]} {kind} among {cheapest['clips']}"
    if least < TARGET:
        sentence = f"{start} no number of listeners reaches a power of {aim} (ceiling {_share(least)})"
        return f"{sentence}: add {added}, not listeners; {way} {verb} {_share(cheapest[column])}."
    return f"Fewest answers for a power of {aim}: {way} {verb} {_share(cheapest[column])}."


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def anova(within, between, slopes, rest, *, listeners: float, design: ClipDesign):
    """Variance of the groups' difference, and its degrees of freedom, in the mixed model of a complete table.

    Mean squares, all [studies]: `within`, of clip means within sources (within groups, if none); `between`,
    of sources' means, times the clips of one; `slopes`, variance of listeners' own differences; `rest`, of
    what is left of the answers. Degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2:110-114).
    A variance that would be negative, of sources or of slopes, is 0, as by REML.
    """
    of_within, of_between = design.free
    clips, of_clips = within, of_within
    if of_between:
        pooled = (within * of_within + between * of_between) / (of_within + of_between)
        differ = between > within
        mine, of_mine = (within, of_within) if design.crossed else (between, of_between)
        clips, of_clips = np.where(differ, mine, pooled), np.where(differ, of_mine, of_within + of_between)
    if math.isinf(listeners) or listeners == 1:
        listeners, slopes, rest = 2, np.zeros_like(within), np.zeros_like(within)
    of_rest = (design.clips - 2) * (listeners - 1)
    one, two, three = design.k * clips, slopes / listeners, design.k * rest / listeners
    sloped = two > three
    variance = one + np.where(sloped, two - three, 0)
    spread = one**2 / of_clips + np.where(sloped, two**2 / (listeners - 1) + three**2 / of_rest, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance, variance**2 / spread


def p_value(difference, variance, df, design: ClipDesign) -> np.ndarray:
    """Two-sided p. Where the groups explain every answer: the rank permutation of clips, as in the report."""
    constant = variance < _NO_SPREAD
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(difference) / np.sqrt(variance), df)
    apart = 2 / math.comb(design.clips, design.one)
    return np.where(constant, np.where(np.abs(difference) > 1e-9, min(apart, 1.0), 1.0), p)


def _concluded(
    difference, variance, df, design: ClipDesign, bound: float | None
) -> tuple[float, float, float]:
    """Power, expected half-width, and how often the difference is shown to lie within the bound."""
    significant = float((p_value(difference, variance, df, design) < LEVEL).mean())
    spread, df = np.sqrt(variance), np.nan_to_num(df, nan=np.inf)
    half = float((stats.t.isf(LEVEL / 2, df) * spread).mean())
    if bound is None:
        return significant, half, math.nan
    inside = np.abs(difference) + stats.t.isf(LEVEL, df) * spread < bound
    return significant, half, float((inside & (variance >= _NO_SPREAD)).mean())


def _rated(
    plan: PowerPlan, listeners: Sequence[float], design: ClipDesign, effect: float, bound: float | None
):
    """What `_concluded` says for each number of listeners: mean squares are drawn, not answers."""
    rng, s, k = np.random.default_rng([plan.seed, design.one, design.other]), plan.spread, design.k
    (of_within, of_between), concluded, size = design.free, [], plan.studies
    z, of_clips, of_sources = rng.standard_normal(size), np.zeros(size), np.zeros(size)
    if of_within:
        of_clips = rng.chisquare(of_within, size) / of_within
    if of_between:
        of_sources = rng.chisquare(of_between, size) / of_between
    sources = s.source**2 * design.weight if of_between else 0.0
    for count in listeners:
        if count == 1:
            concluded.append(_one_rated(plan, design, effect, bound))
            continue
        clips = s.clip**2 + s.answer**2 / count
        sd = math.sqrt(k * (clips + (0 if design.crossed else sources)) + s.preference**2 / count)
        slopes = rest = np.zeros(size)
        if math.isfinite(count):
            of_rest = (design.clips - 2) * (count - 1)
            slopes = _chi_squares(count - 1, size, plan.seed) / (count - 1)
            slopes = slopes * (s.preference**2 + k * s.answer**2)
            rest = s.answer**2 * rng.chisquare(of_rest, size) / of_rest
        squares = clips * of_clips, (clips + sources) * of_sources, slopes, rest
        tested = anova(*squares, listeners=count, design=design)
        concluded.append(_concluded(sd * z + effect, *tested, design, bound))
    return concluded


@lru_cache(64)
def _chi_squares(df: int, studies: int, seed: int) -> np.ndarray:
    """Draws for each df that rise together: quantiles of the same uniform numbers."""
    return stats.chi2.ppf(np.random.default_rng(seed).random(studies), df)


def _seeming(rng, size: int, design: ClipDesign, clip: float, source: float) -> np.ndarray:
    """How clips seem [size, clips], the first group first, each group's clips source by source."""
    values = clip * rng.standard_normal((size, design.clips))
    if design.sources:
        drawn = source * rng.standard_normal((size, 2, design.sources))
        drawn[:, 1] = drawn[:, 0] if design.crossed else drawn[:, 1]
        values += np.repeat(drawn.reshape(size, -1), design.one // design.sources, axis=1)
    return values


def _one_rated(
    plan: PowerPlan, design: ClipDesign, effect: float, bound: float | None
) -> tuple[float, float, float]:
    """One listener's exact rank permutation of ratings without ties, and the interval that it inverts."""
    one, other, s = design.one, design.other, plan.spread
    pairs, rng = one * other, np.random.default_rng([plan.seed, one, other, 1])
    if design.clips > permutation.EXACT_CLIPS:
        sd = math.sqrt(pairs * (design.clips + 1) / 12)
        tail = stats.norm.cdf((np.arange(pairs + 1) + 0.5 - pairs / 2) / sd)
    else:
        sums = permutation.rank_sums(np.arange(1, design.clips + 1), one)
        tail = np.cumsum(sums[one * (one + 1) // 2 :])
    cuts = [int(np.searchsorted(tail, share)) for share in (LEVEL / 2, LEVEL)]  # of .95 and .90 intervals
    parts, left = [], plan.studies
    while left:
        part = min(left, max(1, _AT_ONCE // pairs))
        left -= part
        ratings = _seeming(rng, part, design, math.hypot(s.clip, s.answer), s.source)
        ratings[:, :one] += effect + s.preference * rng.standard_normal((part, 1))
        gaps = np.sort((ratings[:, :one, None] - ratings[:, None, one:]).reshape(part, -1), axis=1)
        below, endless = (gaps < 0).sum(axis=1), np.full(part, np.inf)
        (low, high), (lower, upper) = (
            (gaps[:, cut - 1], gaps[:, -cut]) if cut else (-endless, endless) for cut in cuts
        )
        significant = np.minimum(below, pairs - below) < cuts[0]
        within = np.full(part, np.nan) if bound is None else (lower > -bound) & (upper < bound)
        parts.append(np.stack([significant, (high - low) / 2, within]))
    return tuple(np.concatenate(parts, axis=1).mean(axis=1))


def _judged(
    plan: PowerPlan, listeners: Sequence[float], design: ClipDesign, effect: float, bound: float | None
):
    """The same of answers of 0 and 1: of one panel's, of which each number of listeners takes the first."""
    rng, s = np.random.default_rng([plan.seed, design.one, design.other]), plan.spread
    side = np.repeat([0.5, -0.5], [design.one, design.other])
    source = s.source * s.guise / s.clip if design.sources else 0.0
    apart = math.sqrt(1 + s.leaning**2 + (s.skill / 2) ** 2)  # of listeners
    latent = 2 * math.hypot(apart, s.guise, source) * scipy.special.ndtri((1 + effect) / 2)
    panel = max(int(count) for count in listeners if math.isfinite(count))
    drawn, left = [[] for _ in listeners], plan.studies_of(VERDICTS)
    while left:
        part = min(left, max(1, _AT_ONCE // (panel * design.clips)))
        left -= part
        clip = _seeming(rng, part, design, s.guise, source) + latent * side
        who = s.leaning * rng.standard_normal((part, panel, 1))
        who = (who + s.skill * rng.standard_normal((part, panel, 1)) * side).astype(np.float32)
        noise = rng.standard_normal((part, panel, design.clips), dtype=np.float32)
        judged_real = clip.astype(np.float32)[:, None] + who + noise > 0
        endless = scipy.special.ndtr(clip / apart)  # share of all listeners there could be
        for place, count in enumerate(listeners):
            answers = judged_real[:, : int(count)] if math.isfinite(count) else endless[:, None]
            if count == 1:
                drawn[place].append(np.add.reduceat(answers[:, 0], [0, design.one], axis=1, dtype=int).T)
            else:
                drawn[place].append(np.stack(mean_squares(answers, design)))
    concluded = []
    for count, parts in zip(listeners, drawn, strict=True):
        if count == 1:
            concluded.append(_one_judged(design, np.concatenate(parts, axis=1), effect, bound))
            continue
        difference, *squares = np.concatenate(parts, axis=1)
        tested = anova(*squares, listeners=count, design=design)
        concluded.append(_concluded(difference, *tested, design, bound))
    return concluded


def _one_judged(design: ClipDesign, answers: np.ndarray, effect: float, bound: float | None):
    """One listener's exact test of two shares; the half-width is that of the answers to be expected."""
    counts = tuple(answers)
    p = exact.p_values(design.one, design.other)[counts]
    expected = [round(n * (1 + way * effect) / 2) for n, way in ((design.one, 1), (design.other, -1))]
    interval = exact.difference(expected[0], design.one, expected[1], design.other)
    within = math.nan
    if bound is not None:
        within = float((exact.p_values(design.one, design.other, bound)[counts] < LEVEL).mean())
    return float((p < LEVEL).mean()), (interval.high - interval.low) / 2, within


def mean_squares(answers: np.ndarray, design: ClipDesign) -> tuple[np.ndarray, ...]:
    """The difference and what `anova` takes, of complete tables of answers [studies, listeners, clips].

    Clips stand as in `ClipDesign`: the first group's first, each group's source by source.
    """
    studies, listeners, clips = answers.shape
    groups = [answers[..., : design.one].astype(float), answers[..., design.one :].astype(float)]
    difference, own, total, rest, of_sources = 0.0, 0.0, 0.0, 0.0, []
    for sign, group in zip((1, -1), groups, strict=True):
        count, of_listener, of_clip = group.shape[2], group.mean(axis=2), group.mean(axis=1)
        mean = of_clip.mean(axis=1)
        difference, own = difference + sign * mean, own + sign * of_listener
        total = total + ((of_clip - mean[:, None]) ** 2).sum(axis=1)
        rest = rest + (group**2).sum(axis=(1, 2)) - count * (of_listener**2).sum(axis=1)
        rest = rest - listeners * (of_clip**2).sum(axis=1) + listeners * count * mean**2
        if design.sources:
            of_sources.append(of_clip.reshape(studies, design.sources, -1).mean(axis=2) - mean[:, None])
    (of_within, of_between), between = design.free, np.zeros(studies)
    if of_between:
        squares = np.mean(of_sources, axis=0) ** 2 if design.crossed else np.add(*np.square(of_sources))
        between = design.weight * squares.sum(axis=1)
    within = np.maximum(total - between, 0) / max(of_within, 1)
    between = between / max(of_between, 1)
    if listeners == 1:
        return difference, within, between, np.zeros(studies), np.zeros(studies)
    free = (clips - 2) * (listeners - 1)
    return difference, within, between, own.var(axis=1, ddof=1), np.maximum(rest, 0) / free
