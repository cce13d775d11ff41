"""Whether the models of the main comparison, machine-made clips less originals, fit the answers.

Residuals and the modes of listeners and clips against the normal distribution, answers without variation,
proportional odds of ordered answers, and how far one listener or one clip carries the result. Nothing here
decides anything: a note says in words whether to worry, and beside what to read the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from analysis import formats as f
from analysis.models.crossed import Crossed, Linear
from analysis.models.mixed import Fit
from analysis.results import comparisons, estimation, stimuli, trainings
from analysis.results.estimation import Estimate
from analysis.results.outcomes import INSPIRING, JUDGED_REAL, Outcome
from analysis.results.result import MACHINE_LESS_ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, Panel

FAMILY = "model checks"
SKEWED = 1.0  # skewness of residuals above which to worry
STRAIGHT = 0.95  # correlation with normal quantiles below which to worry
FAR = 4.0  # standard deviations: farther is an outlier
ORDERED = (("inspiring", {name: k for k, name in enumerate(INSPIRING)}), ("musicality", None))
FINE = "nothing to worry about"
_MOST = 10  # names in a note


def records(first: pd.DataFrame, main: Mapping[Outcome, Estimate]) -> list[Result]:
    """Every check. first: answers as of `stimuli.distinct`; main: their `comparisons.against_originals`."""
    results = [*_constant(first), *(_odds(first, *ordered) for ordered in ORDERED)]
    for outcome, estimate in main.items():
        if estimate.refused:
            question = Question(FAMILY, f"{outcome.name}, model", MACHINE_LESS_ORIGINALS)
            results.append(question.refuse(estimate.refused))
            continue
        answered = first[outcome.values(first).notna()]
        if estimate.fit is not None:
            results += (
                [_outside(answered, outcome, estimate.fit)]
                if outcome.share
                else _residuals(outcome, estimate.fit)
            )
        results += _without_one(answered, outcome, estimate)
    return results


def normal_quantiles(estimate: Estimate) -> pd.DataFrame:
    """Residuals and modes of a comparison's linear model against the normal distribution, for its chart.

    Returns columns part ("answers", "clips" or "listeners"), expected (standard normal quantile) and observed
    (in standard deviations); no rows where no model was fitted.
    """
    parts = []
    for part, values in _parts(estimate.fit) if estimate.fit is not None else ():
        expected, observed = stats.probplot(values / values.std(), fit=False)
        parts.append(pd.DataFrame({"part": part, "expected": expected, "observed": observed}))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["part", "expected", "observed"])


def _parts(fit: Fit) -> Iterator[tuple[str, np.ndarray]]:
    """Residuals, and the modes of clips and of listeners' differences, where they vary."""
    listeners, clips, _ = fit.modes
    own = listeners[:, 0] - listeners[:, -1] if fit.level_sd else listeners[:, 0]
    for part, values in (("answers", fit.residuals), ("clips", clips[: fit.stimuli]), ("listeners", own)):
        if len(values) >= LEAST_CLIPS and values.std() > estimation.NONE:
            yield part, np.asarray(values)


def _residuals(outcome: Outcome, fit: Fit) -> list[Result]:
    results = []
    for part, values in _parts(fit):
        skew, scaled = float(stats.skew(values)), np.abs(values - values.mean()) / values.std()
        straight = float(stats.probplot(values)[1][2])
        worries = [
            f"skewed ({f.number(skew)})" if abs(skew) > SKEWED else "",
            f"not normal (correlation {f.number(straight)})" if straight < STRAIGHT else "",
            f"{(scaled > FAR).sum()} farther than {FAR:g} SD" if (scaled > FAR).any() else "",
        ]
        worry = ", ".join(filter(None, worries))
        advice = f"{worry}: read the ordinal model beside the linear one" if worry else FINE
        name = f"{outcome.name}, correlation with normal quantiles"
        question = Question(
            FAMILY, name, part, method="normal quantile plot of residuals and conditional modes"
        )
        skewness = f"skewness {f.number(skew)}, largest {f.number(scaled.max(), 1)} SD"
        results.append(question.result(straight, n=len(values), notes=(advice, skewness)))
    return results


def _outside(answered: pd.DataFrame, outcome: Outcome, fit: Fit) -> Result:
    """How many fitted shares of a linear model of 0 and 1 are none."""
    fitted = outcome.values(answered).to_numpy() - fit.residuals
    count = int(((fitted < 0) | (fitted > 1)).sum())
    method = "linear model of 0 and 1: the difference is sound where many fitted shares lie in 0 to 1"
    question = Question(FAMILY, f"{outcome.name}, fitted shares outside 0 to 1", "answers", method=method)
    advice = FINE if count <= 0.1 * len(fitted) else "many: read the probit model beside the linear one"
    return question.result(count / len(fitted), n=len(fitted), of=(count, len(fitted)), notes=(advice,))


def _constant(first: pd.DataFrame) -> list[Result]:
    """Who, and which group of clips, got one verdict only (separation)."""
    groups = {kind.family: kind.labels for kind in comparisons.kinds(first)}
    results = []
    for family, labels in {"listeners": first["listener"], **groups}.items():
        shares = JUDGED_REAL.values(first).groupby(labels).agg(["mean", "size"])
        shares = shares[shares["size"] >= LEAST_CLIPS]
        one = shares.loc[shares["mean"].isin((0.0, 1.0)), "mean"]
        names = [f"{name} ({'real' if mean else 'fake'})" for name, mean in one.items()]
        note = f"always the same: {', '.join(names[:_MOST])}"
        if family != "listeners":
            note += "; an odds ratio or d' has no finite estimate there, a difference of shares has"
        question = Question(FAMILY, "one verdict only (separation)", family, method="count")
        of = (len(one), len(shares))
        results.append(question.result(len(one), n=len(shares), of=of, notes=(note if names else FINE,)))
    return results


def _odds(first: pd.DataFrame, column: str, codes: dict | None) -> Result:
    """Proportional odds: whether the difference is one at every cut of an ordered answer.

    The log odds ratios of two cuts are compared; the standard error is a jackknife over listeners and over
    clips, their variances added less that over answers (Cameron, Gelbach and Miller 2011, J. Business and
    Economic Statistics 29:238-249).
    """
    method = "marginal log odds ratios of the lowest and highest cut, two-way jackknife"
    name = f"{column}, difference of log odds between cuts"
    question = Question(FAMILY, name, MACHINE_LESS_ORIGINALS, _unit(first, "answer"), method)
    coded = first[column].map(codes) if codes else first[column]
    answered = first[coded.notna()]
    y, fake = coded[answered.index].to_numpy(float), (answered["truth"] == "fake").to_numpy()
    cuts = [np.quantile(y, q, method="lower") if len(y) else 0.0 for q in (0.25, 0.75)]
    cuts = [min(cuts[0], cuts[1] - 1), cuts[1] - (cuts[1] == y.max(initial=0))]
    if min(fake.sum(), (~fake).sum()) < LEAST_CLIPS or len(np.unique(y)) < 3 or cuts[0] == cuts[1]:
        return question.refuse("fewer than three levels were used, or too few answers to one kind of clip")
    above = np.stack([np.ones(len(y)), *(y > cut for cut in cuts)], 1)
    sums = np.hstack(
        [above * fake[:, None], above * ~fake[:, None]]
    )  # [n, 6]: answers, and those above each cut

    def between(left: np.ndarray) -> np.ndarray:
        """Of sums [r, 6]: the log odds ratio of the higher cut less that of the lower one."""
        yes, no = left[:, [1, 2, 4, 5]], left[:, [0, 0, 3, 3]]
        low, high, real_low, real_high = np.log((yes + 0.5) / (no - yes + 0.5)).T
        return (high - real_high) - (low - real_low)

    def variance(units: np.ndarray) -> float:
        """Jackknife over units [n], numbered from 0."""
        of_unit = np.stack([np.bincount(units, column) for column in sums.T], 1)
        left = between(sums.sum(axis=0) - of_unit)
        return (len(left) - 1) * left.var()

    ways = [variance(pd.factorize(column)[0]) for column in stimuli.who(answered) if column.nunique() > 1]
    error = np.sqrt(max(*ways, sum(ways) - variance(np.arange(len(y)))) if len(ways) == 2 else sum(ways))
    value = float(between(sums.sum(axis=0, keepdims=True))[0])
    if error < estimation.NONE:
        return question.refuse("the odds do not vary between listeners or clips")
    p = float(2 * stats.norm.sf(abs(value / error)))
    reach = 1.96 * error
    advice = (
        FINE if p >= 0.05 else "the difference is another at low than at high answers: read the cuts apart"
    )
    cut = " and ".join(f"above {INSPIRING[int(c)] if codes else f'{c:g}'}" for c in cuts)
    return question.result(value, (value - reach, value + reach), p, n=len(y), notes=(advice, f"cuts: {cut}"))


def _without_one(answered: pd.DataFrame, outcome: Outcome, estimate: Estimate) -> list[Result]:
    """The main difference without each listener and each clip in turn; variances stay as estimated."""
    y, side = outcome.values(answered).to_numpy(), (answered["truth"] == "fake").to_numpy()
    who, clip = (pd.factorize(column)[0] for column in stimuli.who(answered))
    nests = [pd.factorize(groups)[0] for groups in trainings.nests(answered, side).groups]
    fit = estimate.fit

    def without(gone: np.ndarray) -> float:
        here = ~gone
        mine = side[here]
        if mine.all() or not mine.any():
            return np.nan
        if fit is None:  # one listener
            one, other = y[here][mine], y[here][~mine]
            shift = one.mean() - other.mean() if outcome.share else np.median(np.subtract.outer(one, other))
            return float(shift)
        numbers = np.unique(clip[here], return_inverse=True)[1]
        crossed = Crossed(who[here], numbers, mine.astype(int), [of[here] for of in nests], apart=True)
        theta = np.array([fit.level_sd, fit.stimulus_sd, *fit.nest_sd]) / fit.residual_sd
        columns = np.column_stack([mine, ~mine]).astype(float)
        beta = Linear(y[here] - y.mean(), columns, crossed).solve(theta)[1]
        return float(beta[0] - beta[1])

    results = []
    for kind, numbers, column in (("listener", who, "listener"), ("clip", clip, "name")):
        names = answered.drop_duplicates(kind)[column]
        if len(names) < LEAST_CLIPS:
            continue
        values = pd.Series([without(numbers == unit) for unit in range(len(names))], names).dropna()
        turned = int((values * estimate.estimate < 0).sum())
        ends = f"lowest without {values.idxmin()}, highest without {values.idxmax()}"
        advice = "the sign stays" if estimate.estimate else "the difference is 0, so it has no sign to lose"
        if turned:
            advice = f"the sign turns where one of {f.plural(turned, kind)} is left out"
        name = f"{outcome.difference}, without one {kind}"
        method = "lowest and highest, not an interval"
        question = Question(FAMILY, name, MACHINE_LESS_ORIGINALS, _unit(answered, kind), method)
        ranged = min(values.min(), estimate.estimate), max(values.max(), estimate.estimate)
        results.append(question.result(estimate.estimate, ranged, n=len(values), notes=(advice, ends)))
    return results


def _unit(first: pd.DataFrame, unit: str) -> str:
    panel = Panel.of(first)
    return panel.unit if panel.single_listener else unit
