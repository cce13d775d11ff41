"""What the report of commit dda9d1b concluded from a study: for `conclusions --before`, with its `analysis`.

Its `statistics.evaluate` takes too long for thousands of studies, so what it called for these conclusions is
called here in the same way, on arrays: `detection` for one listener, `stimuli.t_test` and `mean_interval` on
clip means for more, `mixed.linear` (in closed form where it has one) and `mixed.binary` as `panel_models`
fitted them. Where a mixed model gave
a result, the report's sentences spoke of that, else of the test on clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from analysis.models import mixed
from analysis.results import panel_models, stimuli
from analysis.results.ratings import HIGHEST, LOWEST
from analysis.results.result import number
from analysis.tests import detection, permutation
from tests.benchmarks import conclusions
from tests.benchmarks.conclusions import BACKENDS, Judgement, Study

Values = np.ndarray  # [listeners, clips]
SHARE, POINTS = (0.0, 1.0), (LOWEST, HIGHEST)
SLACK = 1e-3  # closer to a variance of 0 the model itself is fitted


def judge(study: Study, measures: Sequence[str]) -> dict[str, Judgement | None]:
    """p and interval of each measure as the report had them; None where it had neither."""
    original = (study.clips["truth"] == "real").to_numpy()
    one, two = (study.clips["backend"].eq(name).to_numpy() for name in BACKENDS)
    fake, rated, inspired = study.fake.astype(float), study.rated, study.inspired.astype(float)
    with_model = _probit(fake, original) if conclusions.PROBIT in measures else None
    ways = {
        conclusions.TOLD_APART: lambda: with_model or _any_detection(fake, original),
        conclusions.ANY: lambda: _any_detection(fake, original),
        conclusions.PROBIT: lambda: with_model,
        conclusions.BALANCED: lambda: _balanced(fake, original),
        conclusions.FOOLING: lambda: _share(1 - fake[:, ~original]),
        conclusions.INSPIRED: lambda: _share(inspired[:, ~original]),
        conclusions.RATED: lambda: _rated(rated[:, ~original]),
        conclusions.PREFERRED: lambda: _points(rated, ~original, original),
        conclusions.BACKENDS_FOOL: lambda: _shares(1 - fake[:, one], 1 - fake[:, two]),
        conclusions.BACKENDS_RATED: lambda: _points(rated, one, two),
        conclusions.BACKEND_FOOLS: lambda: _share(1 - fake[:, one]),
        conclusions.BACKEND_RATED: lambda: _rated(rated[:, one]),
    }  # inspiring was not compared
    return {measure: ways[measure]() for measure in measures if measure in ways}


def _any_detection(fake: Values, original: np.ndarray) -> Judgement | None:
    """`discrimination._any_detection`."""
    if len(fake) == 1:
        alarms, hits = fake[0, original], fake[0, ~original]
        return detection.fisher(int(hits.sum()), len(hits), int(alarms.sum()), len(alarms)), None, None
    test = stimuli.t_test(fake[:, ~original].mean(axis=0), fake[:, original].mean(axis=0))
    return test and (test.p, None, None)


def _probit(fake: Values, original: np.ndarray) -> Judgement | None:
    """`panel_models._detection`; its interval is in units of d'."""
    few = len(fake) < panel_models.LEAST[panel_models.DETECTION]
    if few or min(original.sum(), (~original).sum()) < panel_models.CLIPS_PER_GROUP:
        return None
    who, clip = (index.ravel() for index in np.indices(fake.shape))
    side = np.where(original, -0.5, 0.5)[clip]
    fixed = {"1": np.ones(len(side)), "truth": side}
    try:
        model = mixed.binary(fake.ravel(), fixed, who, clip, slope=side)
        if model.singular_listeners:
            model = mixed.binary(fake.ravel(), fixed, who, clip)
    except (mixed.MixedModelError, np.linalg.LinAlgError):
        return None
    return model.p("truth"), None, None


def _balanced(fake: Values, original: np.ndarray) -> Judgement | None:
    """`discrimination._balanced`."""
    if len(fake) == 1:
        said = ["fake" if one else "real" for one in fake[0]]
        truth = ["real" if one else "fake" for one in original]
        low, high = detection.youden(detection.Counts.of(truth, said))[1]
    else:
        test = stimuli.t_test(fake[:, ~original].mean(axis=0), fake[:, original].mean(axis=0))
        if test is None:
            return None
        low, high = max(-1.0, test.low), min(1.0, test.high)
    return None, 0.5 + low / 2, 0.5 + high / 2


def _share(values: Values) -> Judgement | None:
    """`verdicts.judged_real`, and `ratings._inspiring`."""
    if len(values) == 1:
        return None, *detection.wilson(int(values.sum()), values.size)
    return _mean(values, SHARE)


def _rated(values: Values) -> Judgement | None:
    """`ratings._musicality`: with one listener, no interval."""
    return None if len(values) == 1 else _mean(values, POINTS)


def _mean(values: Values, bounds: tuple[float, float]) -> Judgement | None:
    if values.shape[1] < stimuli.MIN_CLIPS:
        return None
    interval = stimuli.mean_interval(values.mean(axis=0), bounds=bounds)
    return interval and (None, *interval)


def _shares(one: Values, two: Values) -> Judgement | None:
    """`verdicts.compare`."""
    if len(one) == 1:
        counts = int(one.sum()), one.size, int(two.sum()), two.size
        if detection.fisher_attainable(counts[1], counts[3], counts[0] + counts[2]) >= conclusions.LEVEL:
            return None
        return detection.fisher(*counts), *detection.newcombe(*counts)
    return _clips_compared(one.mean(axis=0), two.mean(axis=0))


def _points(rated: Values, one: np.ndarray, two: np.ndarray) -> Judgement | None:
    """`panel_models._by_group`, or where it was refused, `ratings.compare`."""
    enough = min(one.sum(), two.sum()) >= panel_models.CLIPS_PER_GROUP
    if len(rated) >= panel_models.LEAST[panel_models.MUSICALITY] and enough:
        a, b = rated[:, one], rated[:, two]
        if found := _closed_form(a, b) or _model(a, b):
            return found
    if len(rated) > 1:
        return _clips_compared(rated[:, one].mean(axis=0), rated[:, two].mean(axis=0))
    a, b = rated[0, one], rated[0, two]
    few = min(len(a), len(b)) < stimuli.MIN_CLIPS
    if few or permutation.smallest_rank_p(a, b) >= conclusions.LEVEL:
        return None
    shift = permutation.hodges_lehmann(a, b)
    return shift.p, number(shift.low), number(shift.high)


def _model(one: Values, two: Values) -> Judgement | None:
    """`panel_models._sloped`."""
    values = np.hstack([one, two])
    who, clip = (index.ravel() for index in np.indices(values.shape))
    side = np.where(clip < one.shape[1], 0.5, -0.5)
    fixed = {"1": np.ones(len(side)), "group": side}
    try:
        model = mixed.linear(values.ravel(), fixed, who, clip, slope=side)
        if model.singular_listeners:
            model = mixed.linear(values.ravel(), fixed, who, clip)
    except (mixed.MixedModelError, np.linalg.LinAlgError):
        return None
    return model.p("group"), *model.interval("group")


def _closed_form(one: Values, two: Values) -> Judgement | None:
    """What `_model` gives, a thousand times quicker; None where a variance of the model is estimated as 0.

    On a complete table REML's estimates are those of the analysis of variance while these are positive.
    """
    listeners, sizes = len(one), np.array([one.shape[1], two.shape[1]])
    own = np.stack([one.mean(axis=1), two.mean(axis=1)])  # [groups, listeners]
    means, within = own.mean(axis=1), sizes.sum() - 2
    pairs = list(zip((one, two), own, means, strict=True))
    of_clips = sum(((group.mean(axis=0) - mean) ** 2).sum() for group, _, mean in pairs) / within
    left = sum(((group - of[:, None] - group.mean(axis=0) + mean) ** 2).sum() for group, of, mean in pairs)
    rest, k = left / (within * (listeners - 1)), (1 / sizes).sum()
    if listeners * of_clips <= rest * (1 + SLACK) or rest < SLACK:
        return None
    spread = np.cov(own) - rest * np.diag(1 / sizes)  # of listeners' levels in both groups
    slopes, clips = float(np.var(own[0] - own[1], ddof=1)), k * of_clips
    if np.linalg.eigvalsh(spread).min() > SLACK:
        three = k * rest / listeners
        variance = clips + slopes / listeners - three
        parts = clips**2 / within + (slopes / listeners) ** 2 / (listeners - 1)
        df = variance**2 / (parts + three**2 / (within * (listeners - 1)))
    else:  # without slopes
        everyone = np.hstack([one, two]).mean(axis=1).var(ddof=1) * sizes.sum()
        rest = (left + (listeners - 1) * slopes / k) / ((within + 1) * (listeners - 1))
        if min(listeners * of_clips, everyone) <= rest * (1 + SLACK):
            return None
        variance, df = clips, within
    estimate, half = means[0] - means[1], stats.t.isf((1 - 0.95) / 2, df) * np.sqrt(variance)
    p = 2 * stats.t.sf(abs(estimate) / np.sqrt(variance), df)
    return float(p), float(estimate - half), float(estimate + half)


def _clips_compared(one: np.ndarray, two: np.ndarray) -> Judgement | None:
    test = stimuli.t_test(one, two) if min(len(one), len(two)) >= stimuli.MIN_CLIPS else None
    return test and (test.p, test.low, test.high)
