"""Results listener by listener and clip by clip."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.models import mixed
from analysis.results import stimuli
from analysis.results.discrimination import (
    BALANCED,
    CRITERION,
    D_PRIME,
    FALSE_ALARM,
    LOG_LINEAR,
    listener_fits,
    too_few,
)
from analysis.results.estimation import WILSON
from analysis.results.outcomes import JUDGED_REAL
from analysis.results.ratings import MEAN
from analysis.results.result import Question, Result
from analysis.results.stimuli import Panel
from analysis.tests import detection

LISTENERS = "listeners"
CLIPS = "clips"
MODES = "conditional modes"
OF_LISTENER, OF_CLIP = "musicality, listener", "musicality, clip"
HIT_RATE = "hit rate"
MIN_LISTENERS_MODES = 3


def per_listener(first: pd.DataFrame) -> list[Result]:
    """Hit and false alarm rate, balanced accuracy, d' and c of each listener: described, never tested.

    With them what each listener and each clip adds to the ratings, as of `modes`.
    """
    results = modes(first)
    for listener, counts, fit in listener_fits(first):
        n = counts.fakes + counts.originals
        rates = ((HIT_RATE, counts.hits, counts.fakes), (FALSE_ALARM, counts.false_alarms, counts.originals))
        unit = "clip, this listener only"
        for name, k, total in rates:
            if total:
                question = Question(LISTENERS, name, listener, unit, "share")
                results.append(question.result(k / total, n=n, of=(k, total)))
        if counts.fakes and counts.originals:
            balanced = 0.5 + detection.youden(counts) / 2
            results.append(Question(LISTENERS, BALANCED, listener, unit, "share").result(balanced, n=n))
        for name, value in ((D_PRIME, fit and fit.d_prime), (CRITERION, fit and fit.criterion)):
            question = Question(LISTENERS, name, listener, unit, LOG_LINEAR)
            results.append(question.result(value, n=n) if fit else question.refuse(too_few(counts)))
    return results


def modes(first: pd.DataFrame) -> list[Result]:
    """How much higher each listener rates, and each clip is rated, than the rest: points of musicality.

    Conditional modes of the linear mixed model with crossed listeners and clips and, where there are both
    kinds, truth as its fixed effect: a clip is compared with its kind. Few answers draw a mode to 0.
    """
    rated, method = first.dropna(subset=["musicality"]), "conditional mode of the linear mixed model by REML"
    truth = np.where(rated["truth"] == "fake", 0.5, -0.5)
    fixed = {"1": np.ones(len(rated))} | ({"truth": truth} if len(set(truth)) > 1 else {})
    questions = [
        Question(MODES, name, unit=u, method=method)
        for name, u in ((OF_LISTENER, "listener"), (OF_CLIP, "clip"))
    ]
    why_not = ""
    if rated["listener"].nunique() < MIN_LISTENERS_MODES:
        why_not = f"fewer than {MIN_LISTENERS_MODES} listeners rated"
    try:
        fit = None if why_not else mixed.linear(rated["musicality"], fixed, *stimuli.who(rated))
        if fit and fit.singular:
            why_not = "not fitted: a random effect's variance is estimated as 0, so its modes are all 0"
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        why_not = f"not fitted: {error}"
    if why_not:
        return [question.refuse(why_not) for question in questions]
    labels = stimuli.by_stimulus(first).set_index(["set", "name"])["label"]
    clips = rated.drop_duplicates("clip").set_index("clip").sort_index()
    names = (
        sorted(set(rated["listener"])),
        labels.reindex(pd.MultiIndex.from_frame(clips[["set", "name"]])).to_list(),
    )
    reach, results = stats.norm.isf(0.025), []
    sds = fit.modes[2]()
    for question, of, mode, sd in zip(questions, names, fit.modes, sds, strict=False):
        for label, value, error in zip(of, np.ravel(mode), fit.residual_sd * np.ravel(sd), strict=True):
            one = Question(MODES, question.name, label, question.unit, method)
            interval = value - reach * error, value + reach * error
            results.append(one.result(value, interval, notes=("shrunken to the mean",)))
    return results


def per_clip(clips: pd.DataFrame, panel: Panel) -> list[Result]:
    """Each clip's mean musicality and, for a panel, the share of listeners who took it for real.

    `clips`: as of `stimuli.by_stimulus`. For one clip the listeners are independent, so Wilson's interval
    holds; it speaks of other listeners and this clip.
    """
    results, unit = [], "one answer" if panel.single_listener else "listener, this clip only"
    for clip in clips.itertuples():
        if not panel.single_listener:
            count = round(clip.judged_real * clip.answers)
            question = Question(CLIPS, JUDGED_REAL.mean, clip.label, unit, WILSON)
            about = {
                "n": clip.answers,
                "of": (count, clip.answers),
                "notes": ("says nothing of other clips",),
            }
            results.append(question.result(clip.judged_real, detection.wilson(count, clip.answers), **about))
        question = Question(
            CLIPS, MEAN, clip.label, unit, "rating" if panel.single_listener else "mean of ratings"
        )
        note = "" if clip.rated else "not rated"
        results.append(question.result(clip.musicality, n=clip.rated, notes=(note,)))
    return results
