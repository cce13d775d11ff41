"""Results about telling machine-made clips from originals, over all clips of a study."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results import comparisons, confidence
from analysis.results.estimation import WILSON
from analysis.results.outcomes import JUDGED_REAL
from analysis.results.result import CHECK, MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, Question, Result, find
from analysis.results.stimuli import LEAST_CLIPS, Panel
from analysis.tests import detection
from analysis.tests.detection import Counts

FAMILY = "detection"
FOOLING = "fooling rate"
FALSE_ALARM = "false alarm rate"
ACCURACY = "accuracy"
CHANCE = "accuracy against chance"
YOUDEN = "Youden's J"
BALANCED = "balanced accuracy"
HYPE = "HYPE error"
ANY = "any detection"
D_PRIME = "d'"
CRITERION = "criterion c"
AREA = "area under the ROC"
COUNTS = ("hits", "misses", "false alarms", "correct rejections")
EXACT = ", exact interval"

MIN_PER_CLASS_AREA = 10
LOG_LINEAR = "log-linear correction (Hautus 1995); Gourevitch-Galanter standard error"
SHRUNKEN = "shrunken towards 0 by the correction"
NEEDS_BOTH = "needs machine-made clips and originals"


def records(first: pd.DataFrame, panel: Panel, described: list[Result]) -> list[Result]:
    """Every result about detection and the confidence in it, for one listener or a panel.

    first: answers as of `stimuli.distinct`. described: `comparisons.records` of the same, of whose
    comparison of truth detection is another form.
    """
    counts, clips = Counts.of(first["truth"], first["verdict"]), first["clip"].nunique()
    results = [
        Question(FAMILY, name, unit=panel.unit, method="count").result(
            float(count), n=clips, of=(count, len(first))
        )
        for name, count in zip(
            COUNTS, (counts.hits, counts.misses, counts.false_alarms, counts.correct_rejections), strict=True
        )
    ]
    results += [_rate(described, MACHINE, FOOLING, panel), _rate(described, ORIGINALS, FALSE_ALARM, panel)]
    return [
        *results,
        *(_exact_rates(counts, panel) if panel.single_listener else []),
        *_accuracy(first, clips, counts, panel),
        *_balanced(described, counts, panel),
        *_sensitivity(first, counts, panel),
        _area(first, panel),
        *confidence.records(first, panel),
    ]


def _rate(described: list[Result], group: str, name: str, panel: Panel) -> Result:
    """Share of one kind of clips judged wrongly, out of that judged real."""
    real = find(described, comparisons.TRUTH, JUDGED_REAL.mean, group)
    if real is None or real.refused:
        return Question(FAMILY, name, group, panel.unit).refuse("no such clip was judged")
    question = Question(FAMILY, name, group, real.unit, real.method)
    about = {"notes": real.notes, "n": real.n}
    if group == MACHINE:
        return question.result(real.estimate, (real.low, real.high), of=(real.count, real.total), **about)
    ends = None if real.low is None else (1 - real.high, 1 - real.low)
    return question.result(1 - real.estimate, ends, of=(real.total - real.count, real.total), **about)


def _exact_rates(counts: Counts, panel: Panel) -> list[Result]:
    rates = (
        (FOOLING, MACHINE, counts.misses, counts.fakes),
        (FALSE_ALARM, ORIGINALS, counts.false_alarms, counts.originals),
    )
    return [
        Question(FAMILY, name + EXACT, group, panel.unit, "Clopper-Pearson interval").result(
            k / n, detection.clopper_pearson(k, n), n=n, of=(k, n), notes=(panel.reach,)
        )
        for name, group, k, n in rates
        if n
    ]


def _accuracy(first: pd.DataFrame, clips: int, counts: Counts, panel: Panel) -> list[Result]:
    right = counts.hits + counts.correct_rejections
    rate = (first["truth"] == first["verdict"]).groupby(first["clip"]).mean()
    fakes = first.loc[first["truth"] == "fake", "clip"].nunique()
    caution = f"answering always the same would score {max(fakes, clips - fakes) / clips:.0%}"
    method = WILSON if panel.single_listener else "mean of clip means"
    interval = detection.wilson(right, len(first)) if panel.single_listener else None
    about = {"n": clips, "of": (right, len(first)), "notes": (caution,)}
    results = [
        Question(FAMILY, ACCURACY, unit=panel.unit, method=method).result(rate.mean(), interval, **about)
    ]
    chance = Question(FAMILY, CHANCE, unit=panel.unit, method="exact binomial test against 1/2")
    if 2 * fakes != clips:
        results.append(
            chance.refuse(
                f"{fakes} of {clips} clips are machine-made, so one half is not chance here: {caution}; "
                "balanced accuracy and d' take its place"
            )
        )
    elif panel.single_listener:
        p = float(stats.binomtest(right, len(first)).pvalue)
        results.append(chance.result(p=p, n=len(first), notes=(panel.reach,)))
    else:
        why = f"answers of {panel.listeners} listeners to the same clips are not independent"
        results.append(chance.refuse(f"{why}; balanced accuracy takes its place"))
    return results


def _balanced(described: list[Result], counts: Counts, panel: Panel) -> list[Result]:
    """Whether there is any detection: the comparison of shares judged real, in three other forms.

    Their interval and the p of any detection are of that one test.
    """
    difference = find(described, comparisons.TRUTH, JUDGED_REAL.difference, MACHINE_LESS_ORIGINALS)
    forms = ((ANY, 0.0, -1.0), (YOUDEN, 0.0, -1.0), (BALANCED, 0.5, -0.5), (HYPE, 0.5, 0.5))
    if difference is None:
        return [Question(FAMILY, name, unit=panel.unit).refuse(NEEDS_BOTH) for name, *_ in forms]
    value, ends = difference.estimate, (difference.low, difference.high)
    refusal = difference.note if difference.refused else ""
    if refusal and counts.fakes and counts.originals:  # described, where it cannot be tested
        value, ends = -detection.youden(counts), (None, None)
    results = []
    for name, base, factor in forms:
        question = Question(FAMILY, name, unit=panel.unit, method=difference.method)
        if refusal and (name == ANY or value is None):
            results.append(question.refuse(refusal))
            continue
        interval = None if None in ends else sorted(base + factor * end for end in ends)
        notes = (f"no interval: {refusal}",) if refusal else difference.notes
        p = difference.p if name == ANY else None
        results.append(question.result(base + factor * value, interval, p, n=difference.n, notes=notes))
    if panel.single_listener and counts.fakes and counts.originals:
        question = Question(FAMILY, ANY + CHECK, unit=panel.unit, method="Fisher's exact test, two-sided")
        p = detection.fisher(counts.hits, counts.fakes, counts.false_alarms, counts.originals)
        note = "second look at the same question"
        results.append(question.result(-value, None, p, n=counts.fakes + counts.originals, notes=(note,)))
    return results


def _sensitivity(first: pd.DataFrame, counts: Counts, panel: Panel) -> list[Result]:
    names = ((D_PRIME, "d_prime"), (CRITERION, "criterion"))
    if panel.single_listener:
        questions = [Question(FAMILY, name, unit=panel.unit, method=LOG_LINEAR) for name, _ in names]
        if few := too_few(counts):
            return [question.refuse(few) for question in questions]
        fit, z = detection.sensitivity(counts), stats.norm.isf(0.025)
        results = []
        for question, (_, field) in zip(questions, names, strict=True):
            value, reach = getattr(fit, field), z * getattr(fit, f"{field}_se")
            about = {"n": counts.fakes + counts.originals, "notes": (SHRUNKEN, panel.reach)}
            results.append(question.result(value, (value - reach, value + reach), **about))
        return results
    fits = [fit for _, _, fit in listener_fits(first) if fit]
    results = []
    for name, field in names:
        method = "mean over listeners, log-linear correction"
        question = Question(FAMILY, name, unit="listener", method=method)
        if not fits:
            results.append(question.refuse("no listener judged enough clips of both classes"))
            continue
        value = float(np.mean([getattr(fit, field) for fit in fits]))
        notes = ("describes these listeners", SHRUNKEN)
        results.append(question.result(value, n=len(fits), notes=notes))
    return results


def too_few(counts: Counts) -> str:
    """Why d' is not computed; "" where there are clips enough of both classes."""
    if min(counts.fakes, counts.originals) >= LEAST_CLIPS:
        return ""
    made = f"{counts.fakes} machine-made clips and {counts.originals} originals"
    return f"{made}; at least {LEAST_CLIPS} of each are needed"


def listener_fits(first) -> list[tuple[str, Counts, detection.Sensitivity | None]]:
    """Each listener's counts and d', c (None with too few clips of a class), in order of appearance."""
    fits = []
    for listener, answers in first.groupby("listener", sort=False):
        counts = Counts.of(answers["truth"], answers["verdict"])
        fits.append((listener, counts, None if too_few(counts) else detection.sensitivity(counts)))
    return fits


def _area(first: pd.DataFrame, panel: Panel) -> Result:
    areas, least = [], 0
    for _, answers in first.groupby("listener", sort=False):
        score = detection.fakeness(answers["verdict"], answers["difficulty"])
        fake = (answers["truth"] == "fake").to_numpy()
        if fake.any() and not fake.all():
            areas.append((score[fake], score[~fake]))
            least = min(fake.sum(), (~fake).sum())
    method = "Mann-Whitney on real 0, fake-difficult 1, fake-don't know 2, fake-easy 3"
    if not areas:
        return Question(FAMILY, AREA, unit=panel.unit, method=method).refuse(NEEDS_BOTH)
    if not panel.single_listener:
        mean = float(np.mean([detection.auc(*area) for area in areas]))
        note = "mean over listeners; no interval: DeLong's holds for one listener only"
        return Question(FAMILY, AREA, unit="listener", method=method).result(
            mean, n=len(areas), notes=(note,)
        )
    if least < MIN_PER_CLASS_AREA:
        note = f"no interval: {least} clips in the smaller class, fewer than {MIN_PER_CLASS_AREA}"
        question = Question(FAMILY, AREA, unit=panel.unit, method=method)
        return question.result(detection.auc(*areas[0]), n=len(first), notes=(note,))
    area, interval = detection.delong(*areas[0])
    question = Question(FAMILY, AREA, unit=panel.unit, method=f"{method}; DeLong interval")
    return question.result(area, interval, n=len(first), notes=(panel.reach,))
