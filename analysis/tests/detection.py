"""Signal detection for a yes/no listening task: counts in, estimates and intervals out.

Convention, as in every table and plot: the *signal* is a machine-made clip. A hit is "fake" said of a fake, a
miss "real" said of a fake (the listener was fooled), a false alarm "fake" said of an original, a correct
rejection "real" said of an original. Rates and areas are proportions in [0, 1]; d' and c are in standard
deviations of the internal noise. Intervals are two-sided at `level`. All functions are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats import proportion

from caw.problems import ProblemError

# Score of a trial for the ROC: how fake the clip seemed (statistics of the founding study).
FAKENESS = {"difficult": 1, "dont_know": 2, "other": 2, None: 2, "easy": 3}


class DetectionError(ProblemError):
    """Counts that cannot be counts, or a class of clips that is empty."""


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Counts:
    """The 2 x 2 table of one listener (or of any set of trials)."""

    hits: int
    misses: int
    false_alarms: int
    correct_rejections: int

    def __post_init__(self):
        for name, count in vars(self).items():
            if count < 0 or count != int(count):
                raise DetectionError(f"{name} is {count}", "a count is a whole number, 0 or more")

    @property
    def fakes(self) -> int:
        return self.hits + self.misses

    @property
    def originals(self) -> int:
        return self.false_alarms + self.correct_rejections

    @classmethod
    def of(cls, truth, verdict) -> Counts:
        """Counts from two equally long sequences of "real" and "fake"."""
        truth, verdict = np.asarray(truth, dtype=object), np.asarray(verdict, dtype=object)
        fake, judged = truth == "fake", verdict == "fake"
        return cls(
            int((fake & judged).sum()),
            int((fake & ~judged).sum()),
            int((~fake & judged).sum()),
            int((~fake & ~judged).sum()),
        )


def score_interval(share: float, answers: float, quantile: float) -> Interval:
    """Wilson's interval of a share of so many answers, which need not be whole. quantile: of normal or t."""
    square = quantile**2 / answers
    centre = (share + square / 2) / (1 + square)
    half = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def wilson(k: float, n: int, level: float = 0.95) -> Interval:
    """The score interval of a proportion.

    Parameters
    ----------
    k : float
        How many.
    n : int
        Of how many.
    level : float
        Of the interval.

    Returns
    -------
    Interval

    Raises
    ------
    DetectionError
        Where `n` is below 1 or `k` is not from 0 to `n`.

    Notes
    -----
    Wilson (1927), JASA 22:209-212.

    Examples
    --------
    >>> low, high = wilson(5, 20)
    >>> round(low, 3), round(high, 3)
    (0.112, 0.469)
    """
    _check_proportion(k, n)
    low, high = map(float, proportion.proportion_confint(k, n, 1 - level, method="wilson"))
    return Interval(0.0 if k == 0 else low, 1.0 if k == n else high)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a proportion, which is never too narrow.

    Parameters, Returns and Raises as for `wilson`.

    Notes
    -----
    Clopper and Pearson (1934), Biometrika 26:404-413.

    Examples
    --------
    >>> low, high = clopper_pearson(5, 20)
    >>> round(low, 3), round(high, 3)
    (0.087, 0.491)
    """
    _check_proportion(k, n)
    return Interval(*stats.binomtest(k, n).proportion_ci(level))


def goodman(counts, level: float = 0.95) -> list[Interval]:
    """Simultaneous intervals of multinomial shares.

    Parameters
    ----------
    counts : iterable of int
        One per category.
    level : float
        Of all intervals together.

    Returns
    -------
    list of Interval
        One per category.

    Notes
    -----
    Goodman (1965), Technometrics 7:247-254: score intervals at level 1 - alpha / categories.

    Examples
    --------
    >>> low, high = goodman([5, 11, 7])[0]
    >>> round(low, 3), round(high, 3)
    (0.081, 0.466)
    """
    intervals = proportion.multinomial_proportions_confint(list(counts), 1 - level, method="goodman")
    return [Interval(max(0.0, float(low)), min(1.0, float(high))) for low, high in intervals]


def youden(counts: Counts) -> float:
    """Youden's J = P("fake" | fake) - P("fake" | original).

    Parameters
    ----------
    counts : Counts

    Returns
    -------
    float
        In [-1, 1]. Balanced accuracy is (1 + J) / 2 and the HYPE error (1 - J) / 2.

    Raises
    ------
    DetectionError
        Where there are no machine-made clips, or no originals.

    Examples
    --------
    >>> youden(Counts(hits=12, misses=4, false_alarms=1, correct_rejections=3))
    0.5
    """
    _check_classes(counts)
    return counts.hits / counts.fakes - counts.false_alarms / counts.originals


@dataclass(frozen=True)
class Sensitivity:
    """d' and criterion c of one listener, each with its standard error."""

    d_prime: float
    d_prime_se: float
    criterion: float
    criterion_se: float


def sensitivity(counts: Counts) -> Sensitivity:
    """Sensitivity d' = z(H) - z(F) and criterion c = -(z(H) + z(F)) / 2, with the log-linear correction.

    Parameters
    ----------
    counts : Counts

    Returns
    -------
    Sensitivity
        A positive c says that the listener leans to "real".

    Raises
    ------
    DetectionError
        Where there are no machine-made clips, or no originals.

    Notes
    -----
    Each count gets 0.5 and each class 1, always, so that d' is finite and comparable between listeners; it is
    shrunken towards 0 (Hautus 1995, Behavior Research Methods 27:46-51). Standard errors by Gourevitch and
    Galanter (1967), Psychometrika 32:25-33, at the corrected rates.

    Examples
    --------
    >>> result = sensitivity(Counts(hits=12, misses=4, false_alarms=1, correct_rejections=3))
    >>> round(result.d_prime, 2), round(result.criterion, 2)
    (1.15, -0.05)
    """
    _check_classes(counts)
    hit = (counts.hits + 0.5) / (counts.fakes + 1)
    alarm = (counts.false_alarms + 0.5) / (counts.originals + 1)
    z_hit, z_alarm = stats.norm.ppf([hit, alarm])
    variance = hit * (1 - hit) / (counts.fakes * stats.norm.pdf(z_hit) ** 2) + alarm * (1 - alarm) / (
        counts.originals * stats.norm.pdf(z_alarm) ** 2
    )
    error = float(np.sqrt(variance))
    return Sensitivity(float(z_hit - z_alarm), error, float(-(z_hit + z_alarm) / 2), error / 2)


def fakeness(verdict, difficulty) -> np.ndarray:
    """Confidence score of each trial: real 0, fake-difficult 1, fake-don't know or missing 2, fake-easy 3."""
    pairs = zip(verdict, difficulty, strict=True)
    return np.array([0 if judged == "real" else FAKENESS.get(ease, 2) for judged, ease in pairs])


def auc(fakes, originals) -> float:
    """The Mann-Whitney area under the ROC: P(score of a fake > score of an original), ties half.

    Parameters
    ----------
    fakes, originals : array_like
        Scores of the clips of either class, as of `fakeness`.

    Returns
    -------
    float
        1/2 is chance.

    Raises
    ------
    DetectionError
        Where there are no machine-made clips, or no originals.

    Notes
    -----
    Hanley and McNeil (1982), Radiology 143:29-36.

    Examples
    --------
    >>> auc([1, 2, 3, 3], [0, 0, 1, 2])
    0.875
    """
    return float(_placements(fakes, originals).mean())


def delong(fakes, originals, level: float = 0.95) -> tuple[float, Interval]:
    """The area under the ROC with its interval, for independent trials of one listener.

    Parameters
    ----------
    fakes, originals : array_like
        Scores of the clips of either class, as of `fakeness`.
    level : float
        Of the interval.

    Returns
    -------
    area : float
    interval : Interval
        Cut at 0 and 1.

    Raises
    ------
    DetectionError
        Below 2 trials per class.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845.

    Examples
    --------
    >>> area, interval = delong([1, 2, 3, 3], [0, 0, 1, 2])
    >>> area, round(float(interval.low), 2), interval.high
    (0.875, 0.63, 1.0)
    """
    wins = _placements(fakes, originals)
    if min(wins.shape) < 2:
        raise DetectionError(
            f"{len(fakes)} fakes, {len(originals)} originals", "at least 2 of each are needed"
        )
    by_fake, by_original = wins.mean(axis=1), wins.mean(axis=0)
    variance = by_fake.var(ddof=1) / len(by_fake) + by_original.var(ddof=1) / len(by_original)
    half = stats.norm.isf((1 - level) / 2) * np.sqrt(variance)
    area = float(wins.mean())
    return area, Interval(max(0.0, area - half), min(1.0, area + half))


def fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p of Fisher's exact test that two proportions, k1 / n1 and k2 / n2, are one.

    Notes
    -----
    Fisher (1935), JRSS 98:39-82.

    Examples
    --------
    >>> round(fisher(12, 16, 1, 4), 3)
    0.101
    """
    _check_proportion(k1, n1)
    _check_proportion(k2, n2)
    return float(stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue)


def _placements(fakes, originals) -> np.ndarray:
    """Kernel [fakes, originals]: 1 where the fake scores higher, 0.5 at ties."""
    fakes, originals = np.asarray(fakes, dtype=float), np.asarray(originals, dtype=float)
    if not len(fakes) or not len(originals):
        raise DetectionError(f"{len(fakes)} fakes and {len(originals)} originals", "both classes are needed")
    return (np.sign(fakes[:, None] - originals[None, :]) + 1) / 2


def _check_proportion(k: float, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise DetectionError(f"{k} of {n} is not a proportion")


def _check_classes(counts: Counts) -> None:
    if not counts.fakes or not counts.originals:
        raise DetectionError(f"{counts.fakes} fakes, {counts.originals} originals", "both classes are needed")
