"""Results about telling machine-made clips from originals, over all clips of a study."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis import confidence, detection, permutation, stimuli, verdicts
from analysis.detection import Counts
from analysis.results import CHECK, MACHINE, ORIGINALS, Result
from analysis.stimuli import Panel

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

MIN_PER_CLASS_D_PRIME = 4
MIN_PER_CLASS_AREA = 10
LOG_LINEAR = "log-linear correction (Hautus 1995); Gourevitch-Galanter standard error"
SHRUNKEN = "shrunken towards 0 by the correction"
NEEDS_BOTH = "needs machine-made clips and originals"


def records(frame: pd.DataFrame) -> list[Result]:
    """Every result about detection and the confidence in it, for one listener or a panel.

    `frame`: loaded answers without repeats.
    """
    panel, clips = Panel.of(frame), stimuli.by_stimulus(frame)
    counts = Counts.of(frame["truth"], frame["verdict"])
    found = [
        Result(
            FAMILY,
            name,
            estimate=float(count),
            n=len(clips),
            unit=panel.unit,
            method="count",
            count=count,
            total=len(frame),
        )
        for name, count in zip(
            COUNTS, (counts.hits, counts.misses, counts.false_alarms, counts.correct_rejections), strict=True
        )
    ]
    fakes, originals = clips[clips["truth"] == "fake"], clips[clips["truth"] == "real"]
    found += [
        verdicts.judged_real(fakes, FAMILY, MACHINE, panel, name=FOOLING),
        verdicts.judged_real(originals, FAMILY, ORIGINALS, panel, name=FALSE_ALARM, as_fake=True),
    ]
    if panel.one:
        found += _exact_rates(counts, panel)
    found += [
        *_accuracy(frame, clips, counts, panel),
        *_balanced(fakes, originals, counts, panel),
        *_any_detection(fakes, originals, counts, panel),
        *_sensitivity(frame, counts, panel),
        _area(frame, panel),
        *confidence.records(frame, panel),
    ]
    return found


def _exact_rates(counts: Counts, panel: Panel) -> list[Result]:
    found = []
    for name, group, k, n in (
        (FOOLING, MACHINE, counts.misses, counts.fakes),
        (FALSE_ALARM, ORIGINALS, counts.false_alarms, counts.originals),
    ):
        if n:
            low, high = detection.clopper_pearson(k, n)
            found.append(
                Result(
                    FAMILY,
                    name + EXACT,
                    group,
                    k / n,
                    low,
                    high,
                    n=n,
                    unit=panel.unit,
                    method="Clopper-Pearson interval",
                    note=panel.reach,
                    count=k,
                    total=n,
                )
            )
    return found


def _accuracy(frame, clips, counts: Counts, panel: Panel) -> list[Result]:
    right = counts.hits + counts.correct_rejections
    rate = clips["judged_real"].where(clips["truth"] == "real", 1 - clips["judged_real"])
    share = {
        "estimate": float(rate.mean()),
        "n": len(clips),
        "unit": panel.unit,
        "count": right,
        "total": len(frame),
    }
    fakes = int((clips["truth"] == "fake").sum())
    always = max(fakes, len(clips) - fakes) / len(clips)
    caution = f"answering always the same would score {always:.0%}"
    if panel.one:
        low, high = detection.wilson(right, len(frame))
        found = [Result(FAMILY, ACCURACY, low=low, high=high, method=verdicts.WILSON, note=caution, **share)]
    else:
        found = [Result(FAMILY, ACCURACY, method="mean of clip means", note=caution, **share)]
    place = {"family": FAMILY, "name": CHANCE, "unit": panel.unit}
    if 2 * fakes != len(clips):
        note = (
            f"{fakes} of {len(clips)} clips are machine-made, so one half is not chance here: "
            f"{caution}; balanced accuracy and d' take its place"
        )
        return [*found, Result(**place, method="binomial test", note=note)]
    if panel.one:
        p = float(stats.binomtest(right, len(frame)).pvalue)
        return [
            *found,
            Result(**place, p=p, n=len(frame), method="exact binomial test against 1/2", note=panel.reach),
        ]
    return [
        *found,
        Result(
            **place,
            method="binomial test",
            note=f"answers of {panel.listeners} listeners to the same clips are not independent",
        ),
    ]


def _balanced(fakes, originals, counts: Counts, panel: Panel) -> list[Result]:
    names = (YOUDEN, BALANCED, HYPE)
    if fakes.empty or originals.empty:
        return [Result(FAMILY, name, unit=panel.unit, note=NEEDS_BOTH) for name in names]
    if panel.one:
        index, (low, high) = detection.youden(counts)
        method, note = "Newcombe hybrid score interval", panel.reach
    else:
        test = stimuli.t_test(1 - fakes["judged_real"], 1 - originals["judged_real"])
        index = float((1 - fakes["judged_real"]).mean() - (1 - originals["judged_real"]).mean())
        low, high = (test.low, test.high) if test else (None, None)
        low, high = (max(-1.0, low), min(1.0, high)) if test else (None, None)
        method = "difference of clip means" + (", t interval over clips" if test else "")
        note = panel.reach if test else "no interval: the clip means do not vary, or there are too few clips"
    common = {"n": len(fakes) + len(originals), "unit": panel.unit, "method": method, "note": note}
    half = [None if limit is None else limit / 2 for limit in (low, high)]
    return [
        Result(FAMILY, YOUDEN, estimate=index, low=low, high=high, **common),
        Result(FAMILY, BALANCED, estimate=0.5 + index / 2, low=_plus(half[0]), high=_plus(half[1]), **common),
        Result(FAMILY, HYPE, estimate=0.5 - index / 2, low=_minus(half[1]), high=_minus(half[0]), **common),
    ]


def _plus(half: float | None) -> float | None:
    return None if half is None else 0.5 + half


def _minus(half: float | None) -> float | None:
    return None if half is None else 0.5 - half


def _any_detection(fakes, originals, counts: Counts, panel: Panel) -> list[Result]:
    place = {"family": FAMILY, "name": ANY, "unit": panel.unit}
    if fakes.empty or originals.empty:
        return [Result(**place, note=NEEDS_BOTH)]
    if panel.one:
        p = detection.fisher(counts.hits, counts.fakes, counts.false_alarms, counts.originals)
        return [
            Result(
                **place,
                estimate=detection.youden(counts)[0],
                p=p,
                n=counts.fakes + counts.originals,
                method="Fisher's exact test, two-sided; estimate is Youden's J",
                note=panel.reach,
            )
        ]
    one, two = 1 - fakes["judged_real"], 1 - originals["judged_real"]
    check = Result(
        FAMILY,
        ANY + CHECK,
        unit=panel.unit,
        n=len(one) + len(two),
        p=permutation.rank_test(one, two),
        estimate=float(one.mean() - two.mean()),
        method="exact permutation of the clips' rank sum",
        note="second look at the same question",
    )
    pooled = Result(
        FAMILY,
        "any detection, pooled Fisher",
        unit=panel.unit,
        method="Fisher's exact test",
        note=f"{counts.fakes + counts.originals} answers of {panel.listeners} listeners are not "
        "independent; simulated type-I error .28 at nominal .05",
    )
    return [verdicts.on_means(place, one, two, panel), check, pooled]


def _sensitivity(frame, counts: Counts, panel: Panel) -> list[Result]:
    if panel.one:
        if min(counts.fakes, counts.originals) < MIN_PER_CLASS_D_PRIME:
            note = (
                f"{counts.fakes} machine-made clips and {counts.originals} originals; at least "
                f"{MIN_PER_CLASS_D_PRIME} of each are needed"
            )
            return [Result(FAMILY, name, unit=panel.unit, note=note) for name in (D_PRIME, CRITERION)]
        fit, z = detection.sensitivity(counts), stats.norm.isf(0.025)
        note = f"{SHRUNKEN}; {panel.reach}"
        return [
            Result(
                FAMILY,
                name,
                estimate=value,
                low=value - z * error,
                high=value + z * error,
                method=LOG_LINEAR,
                n=counts.fakes + counts.originals,
                unit=panel.unit,
                note=note,
            )
            for name, value, error in (
                (D_PRIME, fit.d_prime, fit.d_prime_se),
                (CRITERION, fit.criterion, fit.criterion_se),
            )
        ]
    fits = [fit for _, _, fit in listener_fits(frame) if fit]
    if not fits:
        return [
            Result(FAMILY, name, unit="listener", note="no listener judged enough clips of both classes")
            for name in (D_PRIME, CRITERION)
        ]
    note = f"describes these listeners; no test (per-listener t-tests err at .31 here); {SHRUNKEN}"
    return [
        Result(
            FAMILY,
            name,
            estimate=float(np.mean([getattr(fit, field) for fit in fits])),
            n=len(fits),
            unit="listener",
            method="mean over listeners, log-linear correction",
            note=note,
        )
        for name, field in ((D_PRIME, "d_prime"), (CRITERION, "criterion"))
    ]


def listener_fits(frame) -> list[tuple[str, Counts, detection.Sensitivity | None]]:
    """Each listener's counts and d', c (None with too few clips of a class), in order of appearance."""
    fits = []
    for listener, answers in frame.groupby("listener", sort=False):
        counts = Counts.of(answers["truth"], answers["verdict"])
        enough = min(counts.fakes, counts.originals) >= MIN_PER_CLASS_D_PRIME
        fits.append((listener, counts, detection.sensitivity(counts) if enough else None))
    return fits


def _area(frame, panel: Panel) -> Result:
    areas, least = [], None
    for _, answers in frame.groupby("listener", sort=False):
        score = detection.fakeness(answers["verdict"], answers["difficulty"])
        fake = (answers["truth"] == "fake").to_numpy()
        if fake.any() and not fake.all():
            areas.append((score[fake], score[~fake]))
            least = min(fake.sum(), (~fake).sum())
    common = {
        "family": FAMILY,
        "name": AREA,
        "method": "Mann-Whitney on real 0, fake-difficult 1, fake-don't know 2, fake-easy 3",
    }
    if not areas:
        return Result(**common, unit=panel.unit, note=NEEDS_BOTH)
    if not panel.one:
        return Result(
            **common,
            estimate=float(np.mean([detection.auc(*area) for area in areas])),
            n=len(areas),
            unit="listener",
            note="mean over listeners; no interval: DeLong's holds for one listener only",
        )
    common |= {"n": len(frame), "unit": panel.unit}
    if least < MIN_PER_CLASS_AREA:
        return Result(
            **common,
            estimate=detection.auc(*areas[0]),
            note=f"no interval: {least} clips in the smaller class, fewer than {MIN_PER_CLASS_AREA}",
        )
    area, (low, high) = detection.delong(*areas[0])
    return Result(
        **common | {"method": common["method"] + "; DeLong interval"},
        estimate=area,
        low=low,
        high=high,
        note=panel.reach,
    )
