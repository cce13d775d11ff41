"""What a follow-up can show, before it is made: the precision of a Eureka rate and the differences it finds.

Studies are simulated and go through the very estimates that a report makes of them, so what those cannot do
with few answers is in the numbers. Whether something came of a kept clip is a threshold on a normal score to
which listeners and clips add their own deviations, in units of an answer's noise.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from analysis.planning import PlanningError
from analysis.results import estimation, follow_up
from caw.process import environment_variables

LEVEL, POWER = 0.05, 0.8
_STEP = 0.05  # between the differences that are tried
_RATE_STEP = 0.01  # between the rates that are tried
_SEEN_STUDIES = 4000  # simulated for these: no model is fitted to them
_ONE, _OTHER = "one kind", "another kind"


@dataclass(frozen=True)
class FollowUpPlan:
    """What is simulated.

    listeners: how many are asked, one study design for each number. kept: clips that each keeps and answers
    about. clips: those of the study, half of them of each of two kinds. rate: the share of kept clips of
    which a part or a song comes. listener_sd, clip_sd: how listeners and clips differ. studies: simulated for
    each number.
    """

    listeners: tuple[int, ...]
    kept: int = 4
    clips: int = 20
    rate: float = 0.2
    listener_sd: float = 0.5
    clip_sd: float = 0.4
    studies: int = 60
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.listeners or min(self.listeners) < 2:
            raise PlanningError("fewer than 2 listeners", "one listener's rate has an exact interval; plan 2")
        if not 1 <= self.kept <= self.clips:
            raise PlanningError(f"{self.kept} of {self.clips} clips kept", f"keep 1 to {self.clips}")
        if not 0 < self.rate < 1:
            raise PlanningError(f"a Eureka rate of {self.rate:g}", "give a share between 0 and 1, as 0.2")
        if self.clips < 2 * follow_up.LEAST_CLIPS:
            fix = f"give at least {2 * follow_up.LEAST_CLIPS}"
            raise PlanningError(f"{self.clips} clips are too few for two kinds", fix)
        if not (0 <= self.listener_sd < math.inf and 0 <= self.clip_sd < math.inf):
            raise PlanningError("a spread that is no number of 0 or more", "give 0.5, for example")
        if self.studies < 2:
            raise PlanningError(f"{self.studies} studies", "simulate at least 2")


def table(plan: FollowUpPlan) -> pd.DataFrame:
    """One row per number of listeners; they are worked out side by side on as many cores as there are.

    Columns: listeners, answers; width (of the rate's 95 % interval, mean), coverage (how often it holds the
    rate), none (how often nothing at all is seen); least_rate and least_power, as of `least_rate`; difference
    (from the rate, of another kind of clips: the smallest that is found with a power of .8; NaN where none up
    to a rate of .95 is), and studies.
    """
    workers = min(len(plan.listeners), os.cpu_count() or 1)
    if workers == 1:
        return pd.DataFrame([_row(plan, count) for count in plan.listeners])
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    one_thread = environment_variables(dict.fromkeys(names, "1"))  # read by numpy as a new process loads it
    with one_thread, ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return pd.DataFrame(list(pool.map(partial(_row, plan), plan.listeners)))


def _row(plan: FollowUpPlan, listeners: int) -> dict[str, float]:
    widths, covered, none, known = [], 0, 0, 0
    for frame in simulated(plan, listeners, 0.0):
        rate = estimation.mean(frame, follow_up.EUREKA)
        none += not rate.of[0]
        if rate.low is not None and rate.high is not None:
            widths.append(rate.high - rate.low)
            covered += rate.low <= plan.rate <= rate.high
            known += 1
    least, seen = least_rate(plan, listeners)
    return {
        "listeners": listeners,
        "answers": listeners * plan.kept,
        "width": float(np.mean(widths)) if known else math.nan,
        "coverage": covered / known if known else math.nan,
        "none": none / plan.studies,
        "least_rate": least,
        "least_power": seen,
        "difference": _smallest(plan, listeners),
        "studies": plan.studies,
    }


def _smallest(plan: FollowUpPlan, listeners: int) -> float:
    """The smallest of the differences that are tried with a power of .8, which grows with the difference."""
    tried = [round(step * _STEP, 2) for step in range(1, math.floor((0.951 - plan.rate) / _STEP) + 1)]
    low, high = 0, len(tried)  # tried[high] is found, tried[low - 1] is not
    while low < high:
        middle = (low + high) // 2
        if _finds(plan, listeners, tried[middle]):
            high = middle
        else:
            low = middle + 1
    return tried[high] if high < len(tried) else math.nan


def power(plan: FollowUpPlan, listeners: int, difference: float) -> float:
    """How often a difference of two kinds of clips is found at .05; 0: how often one that is not there."""
    return sum(_tested(plan, listeners, difference)) / plan.studies


def _finds(plan: FollowUpPlan, listeners: int, difference: float) -> bool:
    """Whether a difference is found with a power of .8, from no more studies than decide it."""
    needed, found = math.ceil(POWER * plan.studies - 1e-9), 0
    for done, hit in enumerate(_tested(plan, listeners, difference), 1):
        found += hit
        if found >= needed or found + plan.studies - done < needed:
            break
    return found >= needed


def _tested(plan: FollowUpPlan, listeners: int, difference: float) -> Iterator[bool]:
    """Whether each simulated study finds the difference."""
    for frame in simulated(plan, listeners, difference):
        if follow_up.pair_too_few(frame, frame["kind"], (_OTHER, _ONE)):
            yield False
            continue
        test = estimation.contrasts(frame, follow_up.EUREKA, frame["kind"], [(_OTHER, _ONE)])[0]
        yield test.p is not None and test.p < LEVEL


def least_rate(plan: FollowUpPlan, listeners: int) -> tuple[float, float]:
    """Find the smallest Eureka rate that a follow-up shows not to be 0, and with which power.

    Parameters
    ----------
    plan : FollowUpPlan
        Its rate and its number of studies play no part.
    listeners : int

    Returns
    -------
    tuple of float
        The rate, in steps of .01, and the share of simulated studies in which anything came of any kept clip.

    Notes
    -----
    Where nothing ever comes of a clip no Eureka is reported, so a single one, if it is true, shows that the
    rate is not 0, and just then the interval of the rate leaves out 0. The rate is the smallest at which that
    happens in .8 of the studies.

    Examples
    --------
    >>> least_rate(FollowUpPlan((8,), kept=1, listener_sd=0.0, clip_sd=0.0), 8)[0]
    0.19
    """
    dice, furthest = np.random.default_rng((plan.seed, listeners)), []
    for _ in range(_SEEN_STUDIES):
        chosen = dice.random((listeners, plan.clips)).argsort(axis=1)[:, : plan.kept]
        scores = dice.normal(0, plan.listener_sd, (listeners, 1)) + dice.normal(size=(listeners, plan.kept))
        furthest.append((scores + dice.normal(0, plan.clip_sd, plan.clips)[chosen]).max())
    needed = stats.norm.sf(np.array(furthest) / _spread(plan))  # the least rate at which each study sees one
    steps = math.ceil(float(np.quantile(needed, POWER)) / _RATE_STEP - 1e-9)
    rate = round(min(steps * _RATE_STEP, 1.0), 2)
    return rate, float(np.mean(needed <= rate))


def _spread(plan: FollowUpPlan) -> float:
    """The standard deviation of an answer's score over listeners, clips and answers."""
    return math.sqrt(1 + plan.listener_sd**2 + plan.clip_sd**2)


def simulated(plan: FollowUpPlan, listeners: int, difference: float) -> Iterator[pd.DataFrame]:
    """The answers of each simulated study, a row per listener and kept clip."""
    dice = np.random.default_rng((plan.seed, listeners, round(1000 * difference)))
    second = np.arange(plan.clips) % 2 == 1
    means = np.where(second, plan.rate + difference, plan.rate)
    thresholds = stats.norm.ppf(means) * _spread(plan)
    for _ in range(plan.studies):
        person = dice.normal(0, plan.listener_sd, listeners)
        clip = dice.normal(0, plan.clip_sd, plan.clips)
        who = np.repeat(np.arange(listeners), plan.kept)
        chosen = np.concatenate([dice.choice(plan.clips, plan.kept, replace=False) for _ in range(listeners)])
        came = thresholds[chosen] + person[who] + clip[chosen] + dice.normal(size=len(who)) > 0
        yield pd.DataFrame(
            {
                "listener": [f"L{number}" for number in who],
                "clip": [f"C{number}" for number in chosen],
                "set": "S",
                "name": [f"C{number}" for number in chosen],
                "truth": "fake",
                "backend": "caw",
                "mode": "UMG",
                "epochs": None,
                "kind": np.where(second[chosen], _OTHER, _ONE),
                follow_up.CAME: np.where(came, "part", "nothing"),
            }
        )


def sentences(plan: FollowUpPlan, rows: pd.DataFrame) -> list[str]:
    """What the table rests on, and what it does not say."""
    worst = 1.96 * math.sqrt(0.25 / plan.studies)
    return [
        f"Simulated: {plan.studies} studies for each number, {plan.kept} kept and answered of {plan.clips} "
        f"clips, a Eureka rate of {plan.rate:g}, SD of listeners {plan.listener_sd:g} and of clips "
        f"{plan.clip_sd:g} in units of an answer's noise. Shares are known to {worst:.2f} or better.",
        "Width and coverage: of the interval of the rate, and in how many studies it holds the rate. No "
        "Eureka: in how many studies none is reported.",
        f"Smallest rate, in steps of {_RATE_STEP:g}: the one at which {POWER:g} of the studies or more (in "
        "brackets: how many) report a Eureka, which shows that the rate is not 0, as far as listeners' words "
        "are true.",
        f"Smallest difference, in steps of {_STEP:g}: of the rates of two kinds, found with a power of "
        f"{POWER:g}; none: not even a rate of 0.95 is.",
        "Listeners who keep other clips than by chance, who do not answer, or who hope for a Eureka are not "
        "in these numbers, and nothing here shows what would have come without the clips.",
    ]
