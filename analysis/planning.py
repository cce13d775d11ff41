"""How large must a study be? Power by simulation for listeners x clips x originals, and its ceiling.

Listeners and clips are both samples. More listeners even out listeners and single answers, but never the
differences between clips; so power has a ceiling that only more clips, or a better balance of originals and
machine-made clips, can lift (Westfall, Kenny and Judd 2014, "Statistical power and optimal design in
experiments in which samples of participants respond to samples of stimuli", J. Exp. Psychol. Gen. 143).

Musicality is tested by the linear mixed model with crossed listeners and clips (`analysis.mixed.linear`) and
listeners' slopes of truth, which are left out where their variance is estimated as 0. Where every listener
rates every clip, that is an analysis of variance in closed form (`anova`; without slopes it is the t-test on
clip means), and so its sums of squares are drawn, in place of answers; `fitted` fits the model itself to
simulated answers. Verdicts are drawn one by one; the same analysis of variance, of answers as 0 and 1, stands
in for the probit mixed model, and is more cautious: its power at 12 listeners, 8 + 4 clips and d' 1 is .67,
of 60 fitted models .80 (Monte Carlo error .05).
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

from analysis import mixed
from analysis.stimuli import LEAST_CLIPS as CLIPS_PER_GROUP

MUSICALITY, VERDICTS = "musicality", "verdicts"
LEVEL = 0.05  # of the two-sided tests
TARGET = 0.8  # power that a plan aims at
CEILING = math.inf  # listeners
MOST_LISTENERS, MOST_CLIPS, MOST_STUDIES = 2000, 500, 100_000
COLUMNS = ["outcome", "listeners", "clips", "machine_made", "originals", "power", "monte_carlo_error"]
_AT_ONCE = 4_000_000  # answers held in memory
_DEARER = 5  # times fewer studies of verdicts: their answers are drawn one by one


class PlanningError(ValueError):
    """A study that cannot be planned as asked."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations. Of musicality, in points: of listeners' levels, of clips, of single answers, and
    of how much each listener prefers originals to machine-made clips.

    Of verdicts, in units of d' (a single answer's noise is 1): of listeners' leanings towards an answer, of
    their d', and of how machine-made clips of one kind seem.
    """

    listener: float = 1.0
    clip: float = 1.0
    answer: float = 1.5
    preference: float = 1.0
    leaning: float = 0.4
    skill: float = 0.5
    guise: float = 0.4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise PlanningError(f"the standard deviation of {name} is {value:g}; it must be 0 or more")
        if self.clip == 0 or self.answer == 0:
            name = "clip" if self.clip == 0 else "answer"
            raise PlanningError(f"the standard deviation of {name} is 0; clips and answers always differ")


@dataclass(frozen=True)
class Plan:
    """Which studies to compare. Each takes one of `listeners`, of `clips`, and of `originals` among them.

    effect: difference of musicality between originals and machine-made clips, in points; d_prime: of
    listeners in telling them apart; None: not planned for. studies: simulated, each (of verdicts a fifth).
    """

    listeners: Sequence[int] = (8, 10, 15, 20, 30, 40, 60, 80, 100)
    clips: Sequence[int] = (20,)
    originals: Sequence[int] = (4, 6, 8, 10)
    effect: float | None = 1.5
    d_prime: float | None = None
    spread: Spread = Spread()
    studies: int = 10_000
    seed: int = 1

    def __post_init__(self) -> None:
        limits = {
            "listeners": (self.listeners, 2, MOST_LISTENERS),
            "clips": (self.clips, 2 * CLIPS_PER_GROUP, MOST_CLIPS),
            "originals": (self.originals, CLIPS_PER_GROUP, MOST_CLIPS),
            "studies": ([self.studies], 100, MOST_STUDIES),
        }
        for name, (values, least, most) in limits.items():
            if not values:
                raise PlanningError(f"no number of {name} is given; name one or more")
            for value in values:
                if not least <= value <= most:
                    raise PlanningError(f"{value} {name}; a plan needs from {least} to {most}")
        if self.effect is None and self.d_prime is None:
            raise PlanningError("no effect is given; name one of musicality or a d'")
        for name, value in (("the effect", self.effect), ("d'", self.d_prime)):
            if value is not None and not (math.isfinite(value) and abs(value) <= 10):
                raise PlanningError(f"{name} is {value:g}; it must lie between -10 and 10")
        if not self.designs():
            told = f"{min(self.originals)} originals do not fit into {max(self.clips)} clips"
            raise PlanningError(f"{told}; {CLIPS_PER_GROUP} of each kind are needed at least")

    def studies_of(self, outcome: str) -> int:
        """How many are simulated."""
        return self.studies if outcome == MUSICALITY else max(100, self.studies // _DEARER)

    def designs(self) -> list[tuple[int, int]]:
        """Clips and originals that go together: enough of each kind for the report to test them."""
        pairs = [(clips, originals) for clips in self.clips for originals in self.originals]
        return [(clips, originals) for clips, originals in pairs if clips - originals >= CLIPS_PER_GROUP]


def power(plan: Plan) -> pd.DataFrame:
    """Power of every study of the plan: one row each, columns `COLUMNS`.

    outcome: MUSICALITY or VERDICTS; listeners: infinite for the ceiling; power: share of the simulated
    studies with p < .05; monte_carlo_error: its standard error. Studies with the same clips share their
    random numbers, so that curves over listeners are smooth.
    """
    listeners, rows = [*sorted(set(plan.listeners)), CEILING], []
    for outcome, effect in ((MUSICALITY, plan.effect), (VERDICTS, plan.d_prime)):
        if effect is None:
            continue
        simulate = _rated if outcome == MUSICALITY else _judged
        studies = plan.studies_of(outcome)
        for clips, originals in plan.designs():
            shares = simulate(plan, listeners, clips - originals, originals)
            rows += [
                (outcome, count, clips, clips - originals, originals, share, error(share, studies))
                for count, share in zip(listeners, shares, strict=True)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


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


def fitted(plan: Plan, outcome: str, listeners: int, clips: int, originals: int, studies: int):
    """Power, and its Monte Carlo error, by fitting the mixed models themselves to simulated answers."""
    rng = np.random.default_rng([plan.seed, listeners, clips, originals])
    truth = _truth(clips - originals, originals)
    listener, clip = (index.ravel() for index in np.indices((listeners, clips)))
    side, found, s = truth[clip], [], plan.spread
    fixed = {"1": np.ones(len(clip)), "truth": side}
    for _ in range(studies):
        if outcome == MUSICALITY:
            difference = rng.normal(0, s.preference, listeners)[listener] - plan.effect
            ratings = difference * side + rng.normal(0, s.listener, listeners)[listener]
            ratings += rng.normal(0, s.clip, clips)[clip] + rng.normal(0, s.answer, len(clip))
            model = mixed.linear(ratings, fixed, listener, clip, slope=side)
            if model.singular_listeners:
                model = mixed.linear(ratings, fixed, listener, clip)
        else:
            d_prime = plan.d_prime + rng.normal(0, s.skill, listeners)[listener]
            seems = d_prime * side + rng.normal(0, s.leaning, listeners)[listener]
            seems += rng.normal(0, s.guise, clips)[clip] + rng.normal(0, 1, len(clip))
            says = (seems > 0).astype(float)
            model = mixed.binary(says, fixed, listener, clip, slope=side)
            if model.singular_listeners:
                model = mixed.binary(says, fixed, listener, clip)
        found.append(model.p("truth") < LEVEL)
    share = float(np.mean(found))
    return share, error(share, studies)


def advice(table: pd.DataFrame, outcome: str) -> str:
    """One sentence: what to change so that a study of this table reaches the power that plans aim at."""
    rows = table[table["outcome"] == outcome]
    ceilings = rows[np.isinf(rows["listeners"])].set_index(["clips", "originals"])["power"]
    reached = rows[np.isfinite(rows["listeners"]) & (rows["power"] >= TARGET)]
    fewest = min(ceilings.index)  # the fewest clips, of these the fewest originals
    least, aim = ceilings[fewest], _share(TARGET)
    start = f"With {fewest[1]} originals among {fewest[0]} clips"
    if reached.empty:
        clips, originals = ceilings.idxmax()
        best = f"{originals} originals among {clips} clips"
        if ceilings.max() < TARGET:
            told = f"No study of this plan reaches a power of {aim}: even with {best} and any number of"
            return f"{told} listeners it stays at {_share(ceilings.max())}, so add clips of both kinds."
        told = f"No study of this plan reaches a power of {aim}, but {best} would with more listeners"
        return f"{told} (ceiling {_share(ceilings.max())}), so add listeners."
    answers = reached["listeners"] * reached["clips"]
    cheapest = reached.loc[answers[answers == answers.min()].index].sort_values("power").iloc[-1]
    way = f"{cheapest['listeners']:.0f} listeners"
    if (cheapest["clips"], cheapest["originals"]) == fewest:
        return f"{start} a power of {aim} needs {way} ({_share(cheapest['power'])})."
    kind = "originals" if cheapest["clips"] == fewest[0] else "clips"
    way += f" with {cheapest['originals']} originals among {cheapest['clips']}"
    if least < TARGET:
        told = f"{start} no number of listeners reaches a power of {aim} (ceiling {_share(least)})"
        return f"{told}: add {kind}, not listeners; {way} reach {_share(cheapest['power'])}."
    return f"Fewest answers for a power of {aim}: {way} reach {_share(cheapest['power'])}."


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _truth(fakes: int, originals: int) -> np.ndarray:
    return np.repeat([0.5, -0.5], [fakes, originals])


def anova(difference, clips, slopes, rest, *, listeners: float, fakes: int, originals: int):
    """t and its degrees of freedom of truth in the linear mixed model of a complete table of ratings.

    difference: of the groups' means. Mean squares: `clips`, variance of clip means within the groups;
    `slopes`, variance of listeners' own differences; `rest`, of what is left of ratings. All [studies].
    Degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2:110-114). Where the slopes' variance
    would be negative they are left out, and the t-test on clip means remains.
    """
    k, of_clips = 1 / fakes + 1 / originals, fakes + originals - 2
    if math.isinf(listeners):
        listeners, slopes, rest = 2, np.zeros_like(clips), np.zeros_like(clips)
    of_rest = of_clips * (listeners - 1)
    one, two, three = k * clips, slopes / listeners, k * rest / listeners
    sloped = two > three
    variance = one + np.where(sloped, two - three, 0)
    spread = one**2 / of_clips + np.where(sloped, two**2 / (listeners - 1) + three**2 / of_rest, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # answers that do not vary have no test: NaN
        return np.where(variance > 1e-15, difference / np.sqrt(variance), np.nan), variance**2 / spread


def _rated(plan: Plan, listeners: Sequence[float], fakes: int, originals: int) -> list[float]:
    """Power for each number of listeners: means and mean squares are drawn, not answers."""
    rng, s = np.random.default_rng([plan.seed, fakes, originals]), plan.spread
    k, of_clips, shares = 1 / fakes + 1 / originals, fakes + originals - 2, []
    z, square = rng.standard_normal(plan.studies), rng.chisquare(of_clips, plan.studies) / of_clips
    for count in listeners:
        clips = (s.clip**2 + s.answer**2 / count) * square
        sd = math.sqrt(k * s.clip**2 + (s.preference**2 + k * s.answer**2) / count)
        slopes = rest = np.zeros(plan.studies)
        if math.isfinite(count):
            of_rest = of_clips * (count - 1)
            own = _chi_squares(count - 1, plan.studies, plan.seed) / (count - 1)
            slopes = (s.preference**2 + k * s.answer**2) * own
            rest = s.answer**2 * rng.chisquare(of_rest, plan.studies) / of_rest
        sizes = {"listeners": count, "fakes": fakes, "originals": originals}
        t, df = anova(sd * z - plan.effect, clips, slopes, rest, **sizes)
        shares.append(float((p_value(t, df) < LEVEL).mean()))
    return shares


@lru_cache(64)
def _chi_squares(df: int, studies: int, seed: int) -> np.ndarray:
    """Draws for each df that rise together: quantiles of the same uniform numbers."""
    return stats.chi2.ppf(np.random.default_rng(seed).random(studies), df)


def _judged(plan: Plan, listeners: Sequence[float], fakes: int, originals: int) -> list[float]:
    """Power for each number of listeners: of one panel's answers, 1 for "machine-made", the first so many."""
    rng = np.random.default_rng([plan.seed, fakes, originals])
    s, truth = plan.spread, _truth(fakes, originals)
    size, clips = max(int(count) for count in listeners if math.isfinite(count)), fakes + originals
    sizes = {"fakes": fakes, "originals": originals}
    found = [[] for _ in listeners]
    left = plan.studies_of(VERDICTS)
    while left:
        part = min(left, max(1, _AT_ONCE // (size * clips)))
        left -= part
        clip = s.guise * rng.standard_normal((part, clips)) + plan.d_prime * truth
        who = s.leaning * rng.standard_normal((part, size, 1))
        who = (who + s.skill * rng.standard_normal((part, size, 1)) * truth).astype(np.float32)
        noise = rng.standard_normal((part, size, clips), dtype=np.float32)
        says = clip.astype(np.float32)[:, None] + who + noise > 0
        apart = math.sqrt(1 + s.leaning**2 + (s.skill / 2) ** 2)
        endless = scipy.special.ndtr(clip / apart)  # share of all listeners there could be
        for place, count in enumerate(listeners):
            squares = mean_squares(says[:, : int(count)] if math.isfinite(count) else endless[:, None], fakes)
            found[place].append(p_value(*anova(*squares, listeners=count, **sizes)) < LEVEL)
    return [float(np.concatenate(rejected).mean()) for rejected in found]


def mean_squares(answers: np.ndarray, fakes: int) -> tuple[np.ndarray, ...]:
    """What `anova` takes, of complete tables of answers [studies, listeners, clips], machine-made first."""
    listeners, clips = answers.shape[1:]
    groups = [answers[..., :fakes].astype(float), answers[..., fakes:].astype(float)]
    difference, own, within, rest = 0.0, 0.0, 0.0, 0.0
    for sign, group in zip((1, -1), groups, strict=True):
        count, of_listener, of_clip = group.shape[2], group.mean(axis=2), group.mean(axis=1)
        mean = of_clip.mean(axis=1)
        difference, own = difference + sign * mean, own + sign * of_listener
        within = within + ((of_clip - mean[:, None]) ** 2).sum(axis=1)
        rest = rest + (group**2).sum(axis=(1, 2)) - count * (of_listener**2).sum(axis=1)
        rest = rest - listeners * (of_clip**2).sum(axis=1) + listeners * count * mean**2
    if listeners == 1:
        return difference, within / (clips - 2), np.zeros(len(answers)), np.zeros(len(answers))
    free = (clips - 2) * (listeners - 1)
    return difference, within / (clips - 2), own.var(axis=1, ddof=1), np.maximum(rest, 0) / free


def p_value(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided p of Student's t; 1 where nothing varies."""
    return np.nan_to_num(2 * stats.t.sf(np.abs(t), df), nan=1.0)
