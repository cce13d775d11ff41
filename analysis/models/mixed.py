"""Mixed models with crossed listeners and stimuli: linear, binary and ordinal answers.

All three have random effects of listeners (an intercept and, where asked for, a slope), of stimuli (an
intercept) and, where stimuli are nested in groups as clips are in the trainings that made them, of those
(an intercept for each kind of group), and no other. They are written with spherical random effects u ~ N(0,
I) and relative factors T (listeners, lower triangular) and s (stimuli, and each kind of group), as in
Bates, Maechler, Bolker and Walker 2015, "Fitting linear mixed-effects models using lme4", J. Stat. Softw.
67(1).

`linear` is fitted by REML; its degrees of freedom are Satterthwaite's (Kuznetsova, Brockhoff and Christensen
2017, "lmerTest package", J. Stat. Softw. 82(13)). `binary` (probit or logit) and `ordinal` (cumulative link;
Christensen 2018, "Cumulative link models for ordinal regression") are fitted by Laplace's approximation. The
tests compare all of them with R's lme4, lmerTest and ordinal.

Wald statistics of `binary` and `ordinal` are referred to t where an effect lies between stimuli, as truth
does: z takes the stimuli's variance as known, and with few stimuli it rejects too often (simulated
at 16 + 4 clips: .07 to .09 at .05). Degrees of freedom are the stimuli less the effects between them, or
the groups (with the stimuli in none) less the effects between those, whichever an effect lies between
("between-within": Li and Redden 2015, "Comparing denominator degrees of freedom approximations for the
generalized linear mixed model", BMC Med. Res. Methodol. 15:38).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats

from analysis.models.crossed import Crossed, Density, Laplace, Linear
from analysis.models.minimise import SINGULAR, covariance, minimum
from caw.problems import ProblemError


class MixedModelError(ProblemError):
    """Data that a mixed model cannot be fitted to."""


class NoSpreadError(MixedModelError):
    """Answers that vary in nothing that could be a sample, so that no variance can be estimated."""


@dataclass(frozen=True)
class Fit:
    """A fitted model. Arrays run over `names`, the fixed effects; covariance is theirs.

    degrees: contrast -> degrees of freedom: Satterthwaite's; of `binary` and `ordinal` models those between
    stimuli, and infinite (Wald's z) for effects that vary within a stimulus. listener_sd: of listeners'
    means, None where they are constants; level_sd: of their levels' deviations, None without levels.
    residuals: [n], and modes, as of `Linear.modes`: of linear models. deviance: REML criterion or -2 log
    likelihood. thresholds: of an ordinal model. singular: the variance of listeners, levels or stimuli is
    estimated as 0. nest_sd: of each kind of group that stimuli are nested in; nests: how many groups there
    are of each.
    """

    names: tuple[str, ...]
    estimate: np.ndarray
    covariance: np.ndarray
    degrees: Callable[[np.ndarray], float]
    listener_sd: float | None
    level_sd: float | None
    stimulus_sd: float
    residual_sd: float | None
    deviance: float
    singular: bool
    observations: int
    listeners: int
    stimuli: int
    thresholds: np.ndarray | None = None
    nest_sd: tuple[float, ...] = ()
    nests: tuple[int, ...] = ()
    residuals: np.ndarray | None = None
    modes: tuple[np.ndarray, np.ndarray, Callable] | None = None

    @property
    def se(self) -> np.ndarray:
        """Standard error of each fixed effect."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def df(self) -> np.ndarray:
        """Degrees of freedom of each fixed effect."""
        return np.array([self.degrees(unit) for unit in np.eye(len(self.names))])

    def contrast(self, weights: Mapping[str, float]) -> Contrast:
        """A weighted sum of fixed effects, by name."""
        c = np.array([weights.get(name, 0.0) for name in self.names])
        error = math.sqrt(max(c @ self.covariance @ c, 0.0))
        return Contrast(float(c @ self.estimate), error, float(self.degrees(c)))

    def p(self, name: str) -> float:
        """Two-sided p of a fixed effect against 0."""
        return self.contrast({name: 1.0}).p

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Two-sided interval of a fixed effect."""
        return self.contrast({name: 1.0}).interval(level)

    def of(self, name: str) -> float:
        """Estimate of a fixed effect."""
        return float(self.estimate[self.names.index(name)])


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of fixed effects, its standard error and its degrees of freedom."""

    estimate: float
    se: float
    df: float

    @property
    def p(self) -> float:
        """Two-sided p against 0."""
        return float(2 * scipy.stats.t.sf(abs(self.estimate / self.se), self.df))

    def p_within(self, bound: float) -> float:
        """p of the two one-sided tests that the sum lies between -bound and bound."""
        ends = (self.estimate + bound) / self.se, (bound - self.estimate) / self.se
        return float(scipy.stats.t.sf(min(ends), self.df))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided interval."""
        reach = scipy.stats.t.ppf(0.5 + level / 2, self.df) * self.se
        return float(self.estimate - reach), float(self.estimate + reach)


def linear(y, fixed: dict[str, Sequence[float]], listener, stimulus, *, nests=()) -> Fit:
    """Fit y = fixed + listener + stimulus + error by REML.

    Parameters
    ----------
    y : array_like
        The answers, shape [n].
    fixed : dict
        The columns of the fixed effects by name, [n] each; an intercept is a column of ones.
    listener, stimulus : array_like
        Labels of any kind, [n] each.
    nests : sequence of array_like
        Of each kind of group that stimuli are nested in, labels [n], None for a stimulus in none.

    Returns
    -------
    Fit
        With Satterthwaite's degrees of freedom.

    Raises
    ------
    MixedModelError
        For fewer than two listeners or stimuli, or groups of a kind; for a stimulus in two groups of a kind;
        and for fixed effects that depend on each other or leave no answer over.
    NoSpreadError
        Where all answers are the same, or the fixed effects explain every one.

    Notes
    -----
    Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), equations 39 to 42; degrees of freedom
    by Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> listener, clip = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
    >>> fake = (clip < 4).astype(float)
    >>> rating = 5 + fake + rng.normal(size=6)[listener] + rng.normal(size=8)[clip] + rng.normal(size=48)
    >>> fit = linear(rating, {"1": np.ones(48), "fake": fake}, listener, clip)
    >>> round(fit.of("fake"), 2)
    1.47
    """
    y, x, crossed = _taken(y, fixed, listener, stimulus, None, nests)
    return _reml(y, x, fixed, crossed, x)


def levels(y, level, listener, stimulus, *, nests=()) -> Fit:
    """Fit the means of levels, each listener being their own control, by REML.

    The model is y = level + listener + listener's level + stimulus + error.

    Parameters
    ----------
    y, listener, stimulus, nests
        As for `linear`.
    level : array_like
        Labels [n], by which the effects are named.

    Returns
    -------
    Fit
        Listeners' means are unknown constants, so only contrasts whose weights sum to 0 mean anything.
        Listeners' deviations from a level's mean are random, and so are stimuli.

    Raises
    ------
    MixedModelError
        As for `linear`, and where there is one level only.

    Notes
    -----
    On a complete table a contrast is tested as in the analysis of variance with both listeners and stimuli
    random (Clark 1973, J. Verbal Learning and Verbal Behavior 12:335-359).
    """
    names, numbers = np.unique(np.asarray(level, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise MixedModelError("there is one level, so nothing to compare")
    fixed = {str(name): (numbers == place).astype(float) for place, name in enumerate(names)}
    y, x, crossed = _taken(y, fixed, listener, stimulus, numbers, nests, apart=True)
    return _reml(y, x, fixed, crossed, np.column_stack([x, np.eye(crossed.listeners)[crossed.i]]))


def _reml(y: np.ndarray, x: np.ndarray, fixed, crossed: Crossed, constants: np.ndarray) -> Fit:
    """constants: [n, c], all columns that are no sample, which must leave a spread to test by."""
    n, p = x.shape
    if np.ptp(y) == 0:
        raise NoSpreadError("all answers are the same")
    if n <= p + 2 + (crossed.listeners - 1 if crossed.apart else 0):
        raise MixedModelError(f"{n} answers cannot carry {p} fixed effects and two random ones")
    intercept = np.linalg.lstsq(x, np.ones(n), rcond=None)[0]
    shift = y.mean() if np.allclose(x @ intercept, 1.0) else 0.0  # the intercept takes it up again
    rest = y - constants @ np.linalg.lstsq(constants, y, rcond=None)[0]
    if np.abs(rest).max() < 1e-9 * np.abs(y).max():
        raise NoSpreadError(f"{' and '.join(fixed)} explain every answer: no spread is left to test by")
    system = Linear(y - shift, x, crossed)
    theta, _ = minimum(lambda theta: system.criterion(theta), crossed.start, crossed.bounds)
    _, beta, weighted, _ = system.solve(theta)
    mine, theirs, spread_of_modes = system.modes(theta, beta)
    beta = beta + shift * intercept
    sigma = math.sqrt(weighted / system.free)
    covariance, slopes, spread = system.variance(theta, sigma)

    def degrees(c: np.ndarray) -> float:
        g = np.einsum("a,qab,b->q", c, slopes, c)
        return float(2 * (c @ covariance @ c) ** 2 / (g @ spread @ g))

    effects = (crossed.z * mine[crossed.i]).sum(axis=1)
    effects = effects + (theirs if crossed.spread is None else crossed.spread @ theirs)[crossed.j]
    fit = _fit(fixed, crossed, theta, beta, covariance, degrees, sigma, system.criterion(theta))
    return replace(fit, residuals=y - x @ beta - effects, modes=(mine, theirs, spread_of_modes))


def binary(
    y, fixed: dict[str, Sequence[float]], listener, stimulus, *, link="probit", level=None, nests=()
) -> Fit:
    """Fit P(y = 1) = link^-1(fixed + listener + stimulus) by Laplace's approximation.

    Parameters
    ----------
    y : array_like
        Answers of 0 and 1, shape [n].
    fixed, listener, stimulus, nests
        As for `linear`.
    link : {"probit", "logit"}
    level : array_like, optional
        Labels [n] of levels in which listeners deviate from their means.

    Returns
    -------
    Fit
        With degrees of freedom between stimuli, see the head of this module.

    Raises
    ------
    MixedModelError
        As for `linear`, and where the answers are not 0 and 1 or all the same.

    Notes
    -----
    As lme4's `glmer`; Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> listener, clip = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
    >>> fake = (clip < 4).astype(float)
    >>> rating = 5 + fake + rng.normal(size=6)[listener] + rng.normal(size=8)[clip] + rng.normal(size=48)
    >>> fit = binary(rating > 5, {"1": np.ones(48), "fake": fake}, listener, clip)
    >>> round(fit.of("fake"))
    1
    """
    y, x, crossed = _taken(y, fixed, listener, stimulus, level, nests)
    if not np.isin(y, (0, 1)).all() or len(set(y)) < 2:
        raise MixedModelError("the answers must be 0 and 1, and both must occur")
    density = _PROBIT_OR_LOGIT[link]
    start = plain_binary(y, x, density)
    laplace = Laplace(crossed)
    count = len(crossed.start)

    def deviance(parameters: np.ndarray) -> float:
        offset = x @ parameters[count:]
        return laplace.deviance(parameters[:count], offset, lambda eta: density(y, eta))

    bounds = crossed.bounds + [(None, None)] * x.shape[1]
    best, curvature = minimum(deviance, np.concatenate([crossed.start, start]), bounds)
    spread = covariance(deviance, best, bounds, curvature)[count:, count:]
    degrees = _between_stimuli(x, crossed)
    return _fit(fixed, crossed, best[:count], best[count:], spread, degrees, None, deviance(best))


def ordinal(
    y, fixed: dict[str, Sequence[float]], listener, stimulus, *, link="logit", level=None, nests=()
) -> Fit:
    """Fit P(y <= k) = link^-1(threshold k - fixed - listener - stimulus) by Laplace's approximation.

    Parameters
    ----------
    y : array_like
        Ordered levels, shape [n]; those that occur count.
    fixed : dict
        As for `linear`, without an intercept: the thresholds are it.
    listener, stimulus, nests
        As for `linear`.
    link : {"logit", "probit"}
    level : array_like, optional
        As for `binary`.

    Returns
    -------
    Fit
        With the thresholds between the levels.

    Raises
    ------
    MixedModelError
        As for `linear`, and for fewer than three levels.

    Notes
    -----
    Christensen (2018), "Cumulative link models for ordinal regression with the R package ordinal".

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> listener, clip = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
    >>> fake = (clip < 4).astype(float)
    >>> rating = 5 + fake + rng.normal(size=6)[listener] + rng.normal(size=8)[clip] + rng.normal(size=48)
    >>> fit = ordinal(np.clip(rating.round(), 4, 7), {"fake": fake}, listener, clip)
    >>> len(fit.thresholds)
    3
    """
    y, x, crossed = _taken(y, fixed, listener, stimulus, level, nests)
    used, y = np.unique(y, return_inverse=True)
    if len(used) < 3:
        raise MixedModelError(f"{len(used)} levels were used", "ordered answers need three")
    cut = len(used) - 1
    shares = np.cumsum(np.bincount(y))[:-1] / len(y)
    first = _QUANTILE[link](shares)
    start = np.concatenate([crossed.start, first[:1], np.log(np.diff(first)), np.zeros(x.shape[1])])
    count, laplace = len(crossed.start), Laplace(crossed)

    def thresholds(parameters: np.ndarray) -> np.ndarray:
        gaps = np.exp(parameters[count + 1 : count + cut])
        return parameters[count] + np.concatenate([[0.0], gaps.cumsum()])

    def deviance(parameters: np.ndarray) -> float:
        ends = np.concatenate([[-np.inf], thresholds(parameters), [np.inf]])
        offset = x @ parameters[count + cut :]
        density = _between(ends[y], ends[y + 1], link)
        return laplace.deviance(parameters[:count], offset, density)

    bounds = crossed.bounds + [(None, None)] * (cut + x.shape[1])
    best, curvature = minimum(deviance, start, bounds)
    spread = covariance(deviance, best, bounds, curvature)[count + cut :, count + cut :]
    degrees = _between_stimuli(x, crossed, intercept=1)  # the thresholds are one
    ends, beta = thresholds(best), best[count + cut :]
    return _fit(fixed, crossed, best[:count], beta, spread, degrees, None, deviance(best), ends)


def _probit(y: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, ...]:
    """A Density for answers y; the weight is the expected information, as in lme4."""
    sign = 2 * y - 1
    log_density = -(eta**2) / 2 - math.log(math.sqrt(2 * math.pi))
    one, other = scipy.special.log_ndtr(sign * eta), scipy.special.log_ndtr(-sign * eta)
    ratio = np.exp(log_density - one)
    curvature = np.maximum(ratio * (ratio + sign * eta), 1e-12)
    return one, sign * ratio, np.exp(2 * log_density - one - other), curvature


def logit_density(y: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, ...]:
    """A Density for answers y; expected and observed information are the same."""
    share = scipy.special.expit(eta)
    weight = share * (1 - share)
    return -np.logaddexp(0, -(2 * y - 1) * eta), y - share, weight, np.maximum(weight, 1e-12)


_PROBIT_OR_LOGIT = {"probit": _probit, "logit": logit_density}
_QUANTILE = {"probit": scipy.stats.norm.ppf, "logit": scipy.special.logit}


def _between(low: np.ndarray, high: np.ndarray, link: str) -> Density:
    """log P(low < latent <= high) as a Density with the observed information; low and high: [n]."""

    def normal(x):
        f = np.exp(-(np.clip(x, -1e9, 1e9) ** 2) / 2) / math.sqrt(2 * math.pi)
        return scipy.special.ndtr(x), f, -np.where(np.isinf(x), 0.0, x) * f

    def logistic(x):
        share = scipy.special.expit(x)
        f = share * (1 - share)
        return share, f, f * (1 - 2 * share)

    curve = normal if link == "probit" else logistic

    def density(eta):
        flip = low - eta > 0  # the upper tail is as exact as the lower one
        a, b = np.where(flip, eta - high, low - eta), np.where(flip, eta - low, high - eta)
        (share_a, f_a, slope_a), (share_b, f_b, slope_b) = curve(a), curve(b)
        mass = np.maximum(share_b - share_a, 1e-300)
        ratio = (f_b - f_a) / mass
        slope = np.where(flip, ratio, -ratio)
        curvature = np.maximum(ratio**2 - (slope_b - slope_a) / mass, 1e-12)
        return np.log(mass), slope, curvature, curvature

    return density


def plain_binary(y: np.ndarray, x: np.ndarray, density) -> np.ndarray:
    """Fixed effects without random ones, by a few steps of Fisher scoring: where the search starts."""
    beta = np.zeros(x.shape[1])
    for _ in range(8):
        _, slope, weight, _ = density(y, x @ beta)
        beta = beta + np.linalg.solve(x.T @ (weight[:, None] * x) + 1e-3 * np.eye(len(beta)), x.T @ slope)
        beta = np.clip(beta, -4, 4)
    return beta


def _between_stimuli(x: np.ndarray, crossed: Crossed, intercept: int = 0) -> Callable[[np.ndarray], float]:
    """Degrees of freedom of contrasts of columns [n, p]: the fewest of those columns that they weigh.

    Of a column between stimuli they are the units less the columns between them; of one that varies within a
    stimulus infinite. Where stimuli are nested, units are those of the widest kind of group that a column is
    constant within; stimuli in no group are their own. intercept: how many more columns there are in effect.
    """
    degrees = np.full(x.shape[1], np.inf)
    for unit in _units(crossed):
        first = x[np.unique(unit, return_index=True)[1]]
        between = np.abs(x - first[unit]).max(axis=0) < 1e-9
        degrees = np.where(between, max(1.0, len(first) - between.sum() - intercept), degrees)
    return lambda c: float(degrees[c != 0].min())


def _units(crossed: Crossed) -> Iterator[np.ndarray]:
    """The unit of each answer [n], numbered from 0: its stimulus, then its group of each kind, wider ones
    later."""
    yield crossed.j
    for groups in sorted(crossed.nests, key=lambda groups: -groups.max()):
        alone = groups.max() + 1 + np.arange(crossed.stimuli)
        yield np.unique(np.where(groups < 0, alone, groups)[crossed.j], return_inverse=True)[1]


def _taken(y, fixed, listener, stimulus, level, nests, *, apart=False):
    y = np.asarray(y, float)
    x = np.column_stack([np.asarray(column, float) for column in fixed.values()])
    i, j = (np.unique(np.asarray(labels), return_inverse=True)[1] for labels in (listener, stimulus))
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise MixedModelError(
            "answers and fixed effects must be finite", "drop rows with missing values first"
        )
    if min(i.max(initial=0), j.max(initial=0)) < 1:
        raise MixedModelError("crossed random effects need at least two listeners and two stimuli")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise MixedModelError(f"the fixed effects {', '.join(fixed)} depend on each other", "leave one out")
    level = None if level is None else np.unique(np.asarray(level), return_inverse=True)[1]
    return y, x, Crossed(i, j, level, [_numbered(labels, j) for labels in nests], apart=apart)


def _numbered(labels, j: np.ndarray) -> np.ndarray:
    """Labels [n] as numbers from 0, -1 for None."""
    numbers = pd.factorize(np.asarray(labels, dtype=object), sort=True)[0]
    if numbers.max() < 1:
        raise MixedModelError("stimuli nested in groups need at least two groups")
    if (numbers != numbers[np.unique(j, return_index=True)[1]][j]).any():
        raise MixedModelError("a stimulus is in two groups of one kind", "give every stimulus one")
    return numbers


def _fit(fixed, crossed, theta, beta, covariance, degrees, sigma, deviance, thresholds=None) -> Fit:
    groups, scale = 1 + len(crossed.nests), 1.0 if sigma is None else sigma
    theta = np.where(theta < SINGULAR, 0.0, theta)  # where a search near 0 ends is chance
    listeners, (stimulus, *nests) = scale * theta[:-groups], scale * theta[-groups:]
    mine = list(listeners) if not crossed.apart else [None, *listeners]
    return Fit(
        names=tuple(fixed),
        estimate=beta,
        covariance=covariance,
        degrees=degrees,
        listener_sd=None if mine[0] is None else float(mine[0]),
        level_sd=float(mine[1]) if len(mine) > 1 else None,
        stimulus_sd=float(stimulus),
        residual_sd=sigma,
        deviance=deviance,
        singular=bool(theta[: len(listeners) + 1].min() == 0),
        observations=len(crossed.i),
        listeners=int(crossed.listeners),
        stimuli=int(crossed.stimuli),
        thresholds=thresholds,
        nest_sd=tuple(map(float, nests)),
        nests=tuple(int(groups.max()) + 1 for groups in crossed.nests),
    )
