"""One engine for every mean of a group and every comparison of groups, of verdicts as of ratings.

Stimuli are crossed with listeners, so neither the answers to one clip nor those of one listener are
independent. With several listeners a mean, and a contrast of groups, are of a linear mixed model in which
listeners, clips, sources and trainings are random (Clark 1973, J. Verbal Learning and Verbal Behavior
12:335-359; Baayen, Davidson and Bates 2008, J. Memory and Language 59:390-412), for answers of 0 and 1, too:
simulated in tests/benchmarks/conclusions.py. With one listener only clips are a sample, and exact tests of
clips take its place. An interval and the p beside it always come from one model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.models import mixed
from analysis.results import stimuli, trainings
from analysis.results.outcomes import Outcome
from analysis.results.stimuli import Panel
from analysis.tests import detection, exact, permutation

NONE = 1e-3  # a standard deviation, in points of musicality or as a share, that counts as none
CERTAIN = 1e-9

LMM = "linear mixed model by REML"
WILSON = "Wilson score interval"
CONSTANT = "every answer is the same"
EXPLAINED = "the groups explain every answer, so no variance can be estimated"


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of two means, in units of the outcome.

    low, high: its interval of `level`, None where there is none. p: two-sided, of a difference. df: degrees
    of freedom, None of exact methods. clips, listeners: how many it rests on. of: the sum of the outcome and
    how many answers it is of. notes: what a reader must know; refused: why there is no estimate, "" else.
    fit: the model, where one was fitted.
    """

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    df: float | None = None
    clips: int = 0
    listeners: int = 0
    of: tuple[float, int] = (0.0, 0)
    method: str = ""
    notes: tuple[str, ...] = ()
    refused: str = ""
    level: float = 0.95
    fit: mixed.Fit | None = None


def mean(frame: pd.DataFrame, outcome: Outcome, confidence: float = 0.95) -> Estimate:
    """Estimate the mean of an outcome over the answers of one group, for listeners and clips like these.

    Parameters
    ----------
    frame : pandas.DataFrame
        The group's answers, as of `responses.load` and `stimuli.distinct`.
    outcome : Outcome
    confidence : float
        Of the interval.

    Returns
    -------
    Estimate
        One listener's rating has no interval.

    Notes
    -----
    The interval of a share is Wilson's, with as many answers as would be as uncertain if they were
    independent (Franco, Little, Louis and Slud 2019, J. Survey Statistics and Methodology 7:334-364) and t
    for the normal quantile. Where all answers are the same no variance can be estimated: then it is Clopper
    and Pearson's of as many answers as there are listeners or clips, whichever are fewer.

    Examples
    --------
    >>> import analysis
    >>> from analysis.results.outcomes import JUDGED_REAL
    >>> answers = stimuli.distinct(analysis.founding())
    >>> result = mean(answers[answers["truth"] == "fake"], JUDGED_REAL)
    >>> result.of, float(result.estimate), round(result.high, 2), result.method
    ((1.0, 16), 0.0625, 0.28, 'Wilson score interval')
    """
    values, about = _answered(frame, outcome, confidence)
    if about.refused:
        return about
    share = values.mean()
    answers = len(values)
    if about.listeners == 1:
        if not outcome.share:
            return replace(about, estimate=share, method="mean of ratings", notes=("describes; no interval",))
        low, high = detection.wilson(values.sum(), answers, confidence)
        return replace(about, estimate=share, low=low, high=high, method=WILSON)
    if about.clips < 2:
        return replace(about, estimate=share, method="mean of answers", notes=("no interval: one clip",))
    part = frame.loc[values.index]
    nests = trainings.nests(part)
    try:
        fit = mixed.linear(values, {"1": np.ones(answers)}, *stimuli.who(part), nests=nests.groups)
        sum_ = fit.contrast({"1": 1.0})
        variance, center = sum_.se**2, sum_.estimate
    except mixed.MixedModelError as error:
        if np.ptp(values) > 0:
            return replace(about, estimate=share, method="mean of answers", notes=(f"no interval: {error}",))
        variance, center = 0.0, share
    if variance < CERTAIN:
        return _constant(about, share, outcome)
    about = replace(about, df=sum_.df, fit=fit, notes=notes(fit, nests), method=_named(nests))
    if not outcome.share:
        low, high = sum_.interval(confidence)
        return replace(about, estimate=center, low=max(low, outcome.low), high=min(high, outcome.high))
    center = share if not 0 < center < 1 else center
    equivalent = min(center * (1 - center) / variance, answers)
    low, high = detection.score_interval(center, equivalent, stats.t.ppf(0.5 + confidence / 2, sum_.df))
    return replace(
        about, estimate=center, low=low, high=high, method=f"{about.method}, with a {WILSON} on its variance"
    )


def contrasts(
    frame: pd.DataFrame,
    outcome: Outcome,
    labels: pd.Series,
    pairs: Sequence[tuple[str, str]],
    confidence: float = 0.95,
) -> list[Estimate]:
    """Estimate differences of groups' means, each one - other, all of one model of all groups.

    Parameters
    ----------
    frame : pandas.DataFrame
        Answers, as of `stimuli.distinct`.
    outcome : Outcome
    labels : pandas.Series
        The group of each answer, over the index of `frame`; None leaves an answer out.
    pairs : sequence of (str, str)
        The groups to compare.
    confidence : float
        Of the intervals.

    Returns
    -------
    list of Estimate
        One per pair; one that could not be computed says why.

    Notes
    -----
    With several listeners a contrast of `mixed.levels` with Satterthwaite's degrees of freedom. With one
    listener of shares the exact unconditional test, of ratings the exact permutation of the clips' rank sum,
    each with the interval of what the test does not reject.

    Examples
    --------
    >>> import analysis
    >>> from analysis.results.outcomes import JUDGED_REAL
    >>> answers = stimuli.distinct(analysis.founding())
    >>> result = contrasts(answers, JUDGED_REAL, answers["truth"], [("fake", "real")])[0]
    >>> result.estimate, round(result.p, 3)
    (-0.6875, 0.004)
    """
    labels = labels.reindex(frame.index)
    labelled = frame[labels.notna()]
    weights = [{one: 1.0, other: -1.0} for one, other in pairs]
    if Panel.of(labelled).single_listener:
        return [_exact(labelled, outcome, labels[labelled.index], pair, confidence) for pair in pairs]
    return combinations(labelled, outcome, labels[labelled.index], weights, confidence)


def combinations(
    frame: pd.DataFrame,
    outcome: Outcome,
    labels: pd.Series,
    weights: Sequence[dict[str, float]],
    confidence: float = 0.95,
) -> list[Estimate]:
    """Weighted sums of groups' means, for each of `weights` (by group, of sum 0), all of one model.

    For several listeners, as `contrasts`; a trend is such a sum.
    """
    values, about = _answered(frame, outcome, confidence)
    part, of = frame.loc[values.index], labels[values.index].astype(str)
    counts = part.groupby(of)["clip"].nunique() if len(part) else {}
    fits: dict[tuple[str, ...], mixed.Fit | Exception] = {}
    results = []
    for wanted in weights:
        poor = [label for label in wanted if label not in counts]
        if about.refused or poor:
            why = about.refused or f"no answer on {' and '.join(poor)} has this outcome"
            results.append(replace(about, refused=why))
            continue
        side = of.map(wanted).fillna(0.0).to_numpy()
        nests = trainings.nests(part, side)
        if nests.kinds not in fits:
            fits[nests.kinds] = _levels(values, of, part, nests)
        results.append(_contrast(about, outcome, values, part, of, wanted, fits[nests.kinds], nests))
    return results


def _levels(values: pd.Series, of: pd.Series, part: pd.DataFrame, nests) -> mixed.Fit | Exception:
    """The model, or why there is none."""
    try:
        return mixed.levels(values, of, *stimuli.who(part), nests=nests.groups)
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return error


def _contrast(about, outcome, values, part, of, wanted, fit, nests) -> Estimate:
    chosen = of.isin(wanted)
    clips, answered = part.loc[chosen, "clip"].nunique(), values[chosen]
    about = replace(about, clips=clips, listeners=part.loc[chosen, "listener"].nunique())
    about = replace(about, of=(float(answered.sum()), len(answered)))
    sides = [values[of == label] for label in wanted]
    if isinstance(fit, mixed.NoSpreadError) or (len(sides) == 2 and all(np.ptp(side) == 0 for side in sides)):
        return _separated(about, outcome, sides, part)
    if isinstance(fit, Exception):
        return replace(about, refused=f"not fitted: {fit}")
    if not _joined(part["listener"], of, list(wanted)):
        return replace(about, refused="no listener judged clips of both groups")
    contrast = fit.contrast(wanted)
    if not np.isfinite([contrast.se, contrast.df]).all() or contrast.se <= 0:
        return replace(about, refused="not fitted: the variances could not be estimated")
    low, high = contrast.interval(about.level)
    reach = (outcome.high - outcome.low) * sum(abs(weight) for weight in wanted.values()) / 2
    about = replace(about, p=contrast.p, df=contrast.df, fit=fit, notes=notes(fit, nests))
    about = replace(
        about, low=max(low, -reach), high=min(high, reach), method=f"contrast of a {_named(nests)}"
    )
    return replace(about, estimate=contrast.estimate)


def _joined(listener: pd.Series, of: pd.Series, wanted: list[str]) -> bool:
    """Whether listeners who judged several groups join the wanted ones, if by way of others."""
    names, groups = np.unique(of.to_numpy(dtype=str), return_inverse=True)
    people = pd.factorize(listener)[0]
    judged = np.zeros((people.max() + 1, len(names)), bool)
    judged[people, groups] = True
    reached = np.array([name == wanted[0] for name in names])
    for _ in names:
        reached = reached | judged[judged[:, reached].any(axis=1)].any(axis=0)
    return all(reached[names == name].any() for name in wanted)


def _separated(about: Estimate, outcome: Outcome, sides: list[pd.Series], part: pd.DataFrame) -> Estimate:
    """Two groups whose answers leave no spread to test by: clips are permuted exactly.

    The interval joins those of the two means (Newcombe 1998, method 10; Zou and Donner 2008, Statistics in
    Medicine 27:1693-1702).
    """
    if len(sides) != 2:
        return replace(about, refused=EXPLAINED)
    means = [side.groupby(part.loc[side.index, "clip"]).mean() for side in sides]
    ends = [
        _constant(
            replace(about, clips=len(of_clips), listeners=part.loc[side.index, "listener"].nunique()),
            side.mean(),
            outcome,
        )
        for side, of_clips in zip(sides, means, strict=True)
    ]
    one, other = ends
    estimate = one.estimate - other.estimate
    about = replace(
        about,
        estimate=estimate,
        p=permutation.rank_test(*means),
        notes=(EXPLAINED if estimate else CONSTANT,),
    )
    if one.low is None or other.low is None:
        return replace(about, method="exact permutation of the clips")
    low = estimate - math.hypot(one.estimate - one.low, other.high - other.estimate)
    high = estimate + math.hypot(one.high - one.estimate, other.estimate - other.low)
    low, high = max(-1.0, low), min(1.0, high)
    if about.p < 1 - about.level:  # where 0 is rejected, so is all that lies beyond it
        low, high = (max(low, 0.0), high) if estimate > 0 else (low, min(high, 0.0))
    method = "exact permutation of the clips; interval from Clopper and Pearson's"
    return replace(about, low=low, high=high, method=method)


def _exact(frame, outcome, labels, pair, confidence) -> Estimate:
    """One listener's difference of two groups of clips."""
    values, about = _answered(frame[labels.isin(pair)], outcome, confidence)
    one, other = (values[labels[values.index] == label].to_numpy() for label in pair)
    if about.refused or not len(one) or not len(other):
        poor = " and ".join(label for label, side in zip(pair, (one, other), strict=True) if not len(side))
        return replace(about, refused=about.refused or f"no answer on {poor} has this outcome")
    if outcome.share:
        test = exact.difference(int(one.sum()), len(one), int(other.sum()), len(other), confidence)
        least = float(exact.p_values(len(one), len(other)).min())
        method = "exact unconditional test of Miettinen and Nurminen's score, with its interval"
    else:
        test, least = permutation.shift(one, other, confidence), permutation.smallest_rank_p(one, other)
        method = "exact permutation of the clips' rank sum, with its interval; Hodges-Lehmann shift"
    if least >= 0.05:
        counts = f"{len(one)} and {len(other)} clips"
        note = f"no test: no answers to {counts} could reach p < .05 (smallest attainable p {least:.2g})"
        about = replace(about, notes=(note,))
    ends = {"low": _finite(test.low), "high": _finite(test.high), "p": test.p if least < 0.05 else None}
    return replace(about, method=method, estimate=test.estimate, **ends)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _answered(frame: pd.DataFrame, outcome: Outcome, confidence: float) -> tuple[pd.Series, Estimate]:
    """The outcome where it was answered, and the estimate before anything is computed."""
    values = outcome.values(frame).dropna()
    part = frame.loc[values.index]
    about = Estimate(
        clips=part["clip"].nunique(),
        listeners=part["listener"].nunique(),
        of=(float(values.sum()), len(values)),
        level=confidence,
        refused="" if len(values) else "no clip has such an answer",
    )
    return values, about


def _constant(about: Estimate, share: float, outcome: Outcome) -> Estimate:
    about = replace(about, estimate=float(share), method="mean of answers")
    if not outcome.share or not (share < CERTAIN or share > 1 - CERTAIN):
        return replace(about, notes=(f"no interval: {CONSTANT}",))
    units = min(about.clips, about.listeners)
    low, high = detection.clopper_pearson(round(share) * units, units, about.level)
    kind = "clips" if about.clips < about.listeners else "listeners"
    method = f"Clopper-Pearson interval of {units} {kind}, as {CONSTANT}"
    return replace(about, low=low, high=high, method=method)


def _named(nests) -> str:
    kinds = ["listeners", "clips", *nests.kinds]
    return f"{LMM}, {', '.join(kinds[:-1])} and {kinds[-1]} random"


def notes(fit: mixed.Fit, nests: trainings.Nests) -> tuple[str, ...]:
    """How many sources, trainings and models a model has, and what of them it could not estimate."""
    none = [f"variance of {kind}" for kind, sd in zip(nests.kinds, fit.nest_sd, strict=True) if sd < NONE]
    groups = (f"{n} {kind}" for n, kind in zip(fit.nests, nests.kinds, strict=True))
    lines = [", ".join(groups), f"{' and '.join(none)} estimated as 0" if none else "", nests.left_out]
    return tuple(filter(None, lines))


def p_within(
    frame: pd.DataFrame,
    outcome: Outcome,
    labels: pd.Series,
    pair: tuple[str, str],
    estimate: Estimate,
    bound: float,
) -> float | None:
    """p of the two one-sided tests that a difference lies between -bound and bound.

    estimate: of the same pair, as of `contrasts`. None where its method has no such test.
    """
    if estimate.fit is not None:
        return estimate.fit.contrast({pair[0]: 1.0, pair[1]: -1.0}).p_within(bound)
    if estimate.listeners != 1 or not outcome.share:
        return None
    sides = [outcome.values(frame[labels == label]).dropna() for label in pair]
    (k1, n1), (k2, n2) = ((int(side.sum()), len(side)) for side in sides)
    return exact.equivalence(k1, n1, k2, n2, bound)
