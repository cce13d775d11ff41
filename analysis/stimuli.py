"""The unit of inference: one row per clip, the answers to it averaged over listeners.

Stimuli are crossed with listeners, so the answers to one clip are not independent, and neither are the
answers of one listener. Tests therefore see one value per clip; with one listener it is the answer itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis import responses
from analysis.detection import Interval

INSPIRED = {"yes": 1.0, "maybe": 1.0, "no": 0.0}  # "other" is quoted, never counted
MIN_CLIPS = 5  # in a group, for its mean to be reported as inference
LEAST_CLIPS = 4  # in a group, for a test or an interval
LEAST_ORIGINALS = 8  # in all: below it the tests err too often where kinds of clips vary differently
LEAST_EQUIVALENCE = 10  # originals, to show that machine-made clips are like them
LEAST_LEVELS = 3  # epoch counts, for a trend
LEAST_SOURCES = 3  # of each backend or mode, where they come from different sources
LEAST_TRAININGS = 3  # of each backend, for how trainings differ to be in its interval


@dataclass(frozen=True)
class Panel:
    """Who listened, and so what a clip's value stands for."""

    listeners: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Panel:
        return cls(len(responses.listeners(frame)))

    @property
    def one(self) -> bool:
        return self.listeners == 1

    @property
    def unit(self) -> str:
        return "clip, this listener only" if self.one else f"clip, mean over {self.listeners} listeners"

    @property
    def reach(self) -> str:
        """What an interval over clips speaks of."""
        if self.one:
            return "says nothing of other listeners"
        return "over clips, for this panel: other listeners add variance that is not in it"


def by_stimulus(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per clip of each set, in the order first heard; repeats are left out.

    Columns: set, name, truth, backend, mode, epochs; answers (how many listeners judged it); judged_real
    (share in [0, 1]); musicality (mean of those who rated, 0-10, NaN if none) and rated (how many); inspired
    (share of yes or maybe among yes, maybe and no, NaN if none); label (its name, after its set's where two
    sets share the name).
    """
    first = frame[~frame["repeat"]] if "repeat" in frame else frame
    first = first.assign(
        judged_real=(first["verdict"] == "real").astype(float),
        inspired=first["inspiring"].map(INSPIRED).astype(float),
    )
    keys = ["set", "name"]
    clips = first.drop_duplicates(keys)[[*keys, *responses.DESCRIPTION]].set_index(keys)
    by_clip = first.groupby(keys, sort=False)
    means = by_clip[["judged_real", "musicality", "inspired"]].mean()
    counts = pd.DataFrame({"answers": by_clip.size(), "rated": by_clip["musicality"].count()})
    clips = clips.join(means).join(counts).reset_index()
    twice = clips["name"].duplicated(keep=False)
    clips["label"] = clips["name"].mask(twice, clips["set"] + " " + clips["name"])
    return clips


def listener_means(frame: pd.DataFrame, by: str, value: str = "musicality") -> pd.DataFrame:
    """Mean of `value` for each listener and level of `by`: columns listener, `by`, `value`."""
    kept = frame[~frame["repeat"]].dropna(subset=[by, value])
    return kept.groupby(["listener", by], sort=True)[value].mean().reset_index()


def mean_interval(values, *, bounds: tuple[float, float], level: float = 0.95) -> Interval | None:
    """t interval of the mean of one value per clip, cut at `bounds`; None where it is undefined."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return None
    half = stats.t.isf((1 - level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(max(bounds[0], float(values.mean() - half)), min(bounds[1], float(values.mean() + half)))


@dataclass(frozen=True)
class Difference:
    """Mean of a minus mean of b, its interval, the p and the degrees of freedom of Student's t-test."""

    estimate: float
    low: float
    high: float
    p: float
    df: int


def t_test(a, b, level: float = 0.95) -> Difference | None:
    """Student's t-test on one value per clip. None where it is undefined.

    With equal variances assumed: simulated at 24 listeners and 16 + 4 clips its type-I error at .05 stays at
    .04 to .06, that of Welch's test reaches .08, as 4 clips give no usable variance of their own.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if min(len(a), len(b)) < 2 or max(np.ptp(a), np.ptp(b)) < 1e-12:
        return None
    df = len(a) + len(b) - 2
    pooled = (a.var(ddof=1) * (len(a) - 1) + b.var(ddof=1) * (len(b) - 1)) / df
    error = np.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    estimate, half = a.mean() - b.mean(), stats.t.isf((1 - level) / 2, df) * error
    p = 2 * stats.t.sf(abs(estimate) / error, df)
    return Difference(float(estimate), float(estimate - half), float(estimate + half), float(p), df)
