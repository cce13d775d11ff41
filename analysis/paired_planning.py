"""How large must a study of pairs be? Its power from the variances of its models, by a noncentral t.

The share of right answers, or of choices of one group over another, varies with listeners, with the clips of
either kind and with single answers; each part of its variance shrinks with the number of its own kind alone
(Westfall, Kenny and Judd 2014, J. Exp. Psychol. Gen. 143). Spreads are stated on the scale of an answer's
noise, as those of verdicts in `analysis.planning`, and brought to shares at the share to find; degrees of
freedom are Satterthwaite's. Checked against simulated studies in tests/benchmarks/paired_task.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from caw.problems import ProblemError

REAL, INSPIRING = "real", "inspiring"
LEVEL = 0.05
CEILING = math.inf  # listeners
COLUMNS = ["question", "share", "listeners", "clips", "pairs", "power", "half_width"]
LEAST_CLIPS = 8  # of a kind or group: with fewer the approximation is too hopeful, with 4 by a half


class PairedPlanningError(ProblemError):
    """A study of pairs that cannot be planned as asked."""


@dataclass(frozen=True)
class PairedSpread:
    """Standard deviations in units of one answer's noise: of listeners' leaning to the first clip, of their
    skill, or their taste in each group, and of clips of one kind."""

    leaning: float = 0.4
    skill: float = 0.5
    clip: float = 0.4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value) or value < 0 or (name == "clip" and value == 0):
                what = f"the standard deviation of {name} is {value:g}"
                raise PairedPlanningError(what, "it must be 0 or more, and clips always differ")


@dataclass(frozen=True)
class PairedPlan:
    """Which studies to compare. Each takes one of `listeners`, of `clips` and of `pairs`.

    question: "real" or "inspiring". share: to find, of right answers, or of choices of one of two groups over
    the other; a half is none. clips: of either kind, or of either group. pairs: that a listener hears.
    """

    question: str = REAL
    share: float = 0.622
    listeners: Sequence[int] = (8, 16, 24, 50, 100)
    clips: Sequence[int] = (8, 16)
    pairs: Sequence[int] = (8,)
    spread: PairedSpread = PairedSpread()

    def __post_init__(self) -> None:
        if self.question not in (REAL, INSPIRING):
            raise PairedPlanningError(f"question {self.question!r}", f"it must be {REAL} or {INSPIRING}")
        if not 0 < self.share < 1 or self.share == 0.5:
            what = f"a share of {self.share:g} to find"
            raise PairedPlanningError(
                what, "it must lie between 0 and 1, and not be a half, which is guessing"
            )
        for name, least in (("listeners", 2), ("clips", LEAST_CLIPS), ("pairs", 1)):
            for value in getattr(self, name):
                if not least <= value <= 10_000:
                    raise PairedPlanningError(f"{value} {name}", f"a plan needs from {least} to 10000")


def power(plan: PairedPlan) -> pd.DataFrame:
    """The power and the precision of every study of a plan.

    Parameters
    ----------
    plan : PairedPlan

    Returns
    -------
    pandas.DataFrame
        A row per study, with the columns `COLUMNS`. listeners: infinite for the ceiling that no number of
        listeners lifts. power: of the two-sided test at .05. half_width: expected half of the 95 % interval.

    Examples
    --------
    >>> table = power(PairedPlan(listeners=(24,), clips=(8,)))
    >>> [round(value, 2) for value in table["power"]]
    [0.33, 0.48]
    """
    rows = []
    for clips in plan.clips:
        for pairs in plan.pairs:
            for listeners in (*plan.listeners, CEILING):
                error, free = error_of(plan, listeners, clips, pairs)
                reach = stats.t.ppf(1 - LEVEL / 2, free)
                away = abs(plan.share - 0.5) / error
                if plan.question == REAL:  # its p is that of a score test, whose error is that of a half
                    away *= 2 * math.sqrt(plan.share * (1 - plan.share))
                missed = stats.nct.cdf(reach, free, away) - stats.nct.cdf(-reach, free, away)
                rows.append(
                    (plan.question, plan.share, listeners, clips, pairs, float(1 - missed), reach * error)
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def error_of(plan: PairedPlan, listeners: float, clips: int, pairs: int) -> tuple[float, float]:
    """The standard error of the share, and its degrees of freedom.

    Each part of the variance is known from a mean square that holds single answers as well. So the degrees of
    freedom are Satterthwaite's of these mean squares: those of the parts alone would be too many.
    """
    spread, tastes = plan.spread, 1 if plan.question == REAL else 2
    own = tastes * spread.skill**2
    whole = 1 + spread.leaning**2 + own + 2 * spread.clip**2
    slope = stats.norm.pdf(stats.norm.ppf(plan.share)) / math.sqrt(whole)  # shares per unit of the noise
    of_listeners, of_clips = slope**2 * own, slope**2 * spread.clip**2
    rest = plan.share * (1 - plan.share) - of_listeners - 2 * of_clips
    parts = np.array([of_listeners / listeners, of_clips / clips, of_clips / clips])
    answers = listeners * pairs
    single, free = rest / answers, np.array([listeners - 1, clips - 1, clips - 1])
    variance = parts.sum() + single
    below = ((parts + single) ** 2 / free).sum()
    below += (2 * single) ** 2 / max(1, answers - listeners - 2 * clips + 2) if answers < math.inf else 0.0
    return math.sqrt(variance), float(variance**2 / below)
