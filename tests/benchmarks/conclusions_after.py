"""What the report of this tree concludes from a study: for `conclusions`.

Every conclusion of the report on verdicts, ratings and inspiring is made of `estimation.contrasts` and
`estimation.mean`, for one listener and for many. Where every listener judged every clip and there are no
sources, their model has a closed form, a hundred times quicker, which is taken instead; test_conclusions.py
compares the two. A panel's report leaves out comparisons and intervals of fewer than LEAST_CLIPS clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results import estimation, stimuli
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY, Outcome
from analysis.results.result import MACHINE, ORIGINALS
from analysis.tests import detection
from tests.benchmarks import conclusions
from tests.benchmarks.conclusions import BACKENDS, Judgement, Study

BY_TRUTH = {
    conclusions.TOLD_APART: JUDGED_REAL,
    conclusions.BALANCED: JUDGED_REAL,
    conclusions.PREFERRED: MUSICALITY,
    conclusions.INSPIRES_MORE: INSPIRED,
}
BY_BACKEND = {conclusions.BACKENDS_FOOL: JUDGED_REAL, conclusions.BACKENDS_RATED: MUSICALITY}
MACHINE_MADE = {
    conclusions.FOOLING: JUDGED_REAL,
    conclusions.RATED: MUSICALITY,
    conclusions.INSPIRED: INSPIRED,
}
OF_BACKEND = {conclusions.BACKEND_FOOLS: JUDGED_REAL, conclusions.BACKEND_RATED: MUSICALITY}
CERTAIN = 1e-9  # a variance that counts as none
ALIKE = 1e-4  # mean squares whose ratio differs so little from 1


def judge(study: Study, measures: Sequence[str], *, quick: bool = True) -> dict[str, Judgement | None]:
    """p and interval of each measure as the report has them; None where it has neither.

    quick: take closed forms.
    """
    known: dict[tuple, Judgement] = {}
    found = {}
    for measure in measures:
        by_truth, of_truth = BY_TRUTH.get(measure), MACHINE_MADE.get(measure)
        outcome = by_truth or of_truth or BY_BACKEND.get(measure) or OF_BACKEND.get(measure)
        if outcome is None:
            continue  # what only the code before had
        pair = (MACHINE, ORIGINALS) if by_truth or of_truth else BACKENDS
        compared = bool(by_truth) or measure in BY_BACKEND
        asked = (pair, compared, outcome.name)
        if asked not in known:
            known[asked] = _judged(study, outcome, pair, compared, quick)
        p, low, high = known[asked]
        if measure == conclusions.TOLD_APART:
            low = high = None
        if measure == conclusions.BALANCED and low is not None:
            p, low, high = None, 0.5 - high / 2, 0.5 - low / 2
        found[measure] = None if p is None and low is None else (p, low, high)
    return found


def _judged(study: Study, outcome: Outcome, pair, compared: bool, quick: bool) -> Judgement:
    """One outcome: the difference of a pair of groups, or the mean of its first."""
    if pair == BACKENDS:
        groups = study.clips["backend"]
    else:
        groups = study.clips["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    one, other = ((groups == name).to_numpy() for name in pair)
    least = min(one.sum(), other.sum()) if compared else one.sum()
    if len(study.fake) > 1 and least < stimuli.LEAST_CLIPS:
        return None, None, None
    if quick and len(study.fake) > 1 and "source" not in study.clips:
        values = {JUDGED_REAL: ~study.fake, MUSICALITY: study.rated, INSPIRED: study.inspired}[outcome]
        values = values.astype(float)
        sides = (values[:, one], values[:, other])
        if found := contrast(*sides, outcome) if compared else mean(sides[0], outcome):
            return found
    answers = study.answers  # none is a repeat
    labels = pd.Series(np.tile(groups.to_numpy(), len(study.fake)), index=answers.index)
    if compared:
        found = estimation.contrasts(answers, outcome, labels, [pair])[0]
    else:
        found = estimation.mean(answers[labels == pair[0]], outcome)
    return found.p, found.low, found.high


def contrast(one: np.ndarray, other: np.ndarray, outcome: Outcome) -> Judgement | None:
    """One group's mean less another's, of complete tables [listeners, clips]; None without a closed form."""
    listeners, sizes = len(one), (one.shape[1], other.shape[1])
    sides = [(side - side.mean(axis=1, keepdims=True), side) for side in (one, other)]
    of_clips = sum(((side.mean(axis=0) - side.mean()) ** 2).sum() for _, side in sides) * listeners
    rest = sum(((centred - side.mean(axis=0) + side.mean()) ** 2).sum() for centred, side in sides)
    own, k = one.mean(axis=1) - other.mean(axis=1), 1 / sizes[0] + 1 / sizes[1]
    within = sum(sizes) - 2
    squares = ((own - own.mean()) ** 2).sum() / k, of_clips, rest
    degrees = listeners - 1, within, within * (listeners - 1)
    if np.ptp(one) == 0 and np.ptp(other) == 0:
        return None
    return _tested(own.mean(), squares, degrees, k / listeners, outcome.high - outcome.low)


def mean(values: np.ndarray, outcome: Outcome) -> Judgement | None:
    """The mean of a complete table [listeners, clips]; None without a closed form."""
    listeners, clips = values.shape
    rows, columns, whole = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = ((values - rows[:, None] - columns + whole) ** 2).sum()
    squares = clips * ((rows - whole) ** 2).sum(), listeners * ((columns - whole) ** 2).sum(), rest
    degrees = listeners - 1, clips - 1, (listeners - 1) * (clips - 1)
    if min(squares[2], np.ptp(values)) < CERTAIN:
        return None
    variance, df = _variance(squares, degrees, 1 / values.size)
    if not df:
        return None
    quantile = stats.t.ppf(0.975, df)
    if outcome.share:
        answers = min(whole * (1 - whole) / variance, values.size)
        return None, *detection.score_interval(whole, answers, quantile)
    reach = quantile * np.sqrt(variance)
    return None, max(whole - reach, outcome.low), min(whole + reach, outcome.high)


def _tested(estimate: float, squares, degrees, scale: float, most: float) -> Judgement | None:
    if squares[2] < CERTAIN:
        return None
    variance, df = _variance(squares, degrees, scale)
    if not df:
        return None
    reach, t = stats.t.ppf(0.975, df) * np.sqrt(variance), abs(estimate) / np.sqrt(variance)
    return float(2 * stats.t.sf(t, df)), max(estimate - reach, -most), min(estimate + reach, most)


def _variance(squares, degrees, scale: float) -> tuple[float, float]:
    """Variance of an estimate, scale * (listeners + clips - rest), and Satterthwaite's degrees of freedom.

    squares: sums of squares of listeners, clips and the rest. A mean square below that of the rest is pooled
    with it, the least first, as REML does where a variance would be negative (Thompson 1962, Annals of
    Mathematical Statistics 33:273-289). 0 degrees where they are alike, so that either may be taken.
    """
    *branches, (total, free) = zip(squares, degrees, strict=True)
    factor, parts = -1, []
    for square, df in sorted(branches, key=lambda branch: branch[0] / branch[1]):
        if abs(square / df - total / free) < ALIKE * total / free:
            return 0.0, 0.0
        if square / df < total / free:
            total, free, factor = total + square, free + df, factor + 1
        else:
            parts.append((scale * square / df, df))
    parts.append((factor * scale * total / free, free))
    variance = sum(part for part, _ in parts)
    return variance, variance**2 / sum(part**2 / df for part, df in parts)
