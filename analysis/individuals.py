"""Results listener by listener and clip by clip."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis import conditional_modes, detection, mixed, stimuli
from analysis.discrimination import (
    BALANCED,
    CRITERION,
    D_PRIME,
    FALSE_ALARM,
    LOG_LINEAR,
    MIN_PER_CLASS_D_PRIME,
    listener_fits,
)
from analysis.ratings import MEAN
from analysis.results import Result, number
from analysis.stimuli import Panel
from analysis.verdicts import JUDGED_REAL, WILSON

LISTENERS = "listeners"
CLIPS = "clips"
MODES = "conditional modes"
OF_LISTENER, OF_CLIP = "musicality, listener", "musicality, clip"
HIT_RATE = "hit rate"
MIN_LISTENERS_MODES = 3


def per_listener(frame: pd.DataFrame) -> list[Result]:
    """Hit and false alarm rate, balanced accuracy, d' and c of each listener: described, never tested.

    With them what each listener and each clip adds to the ratings, as of `modes`.
    """
    found = modes(frame)
    for listener, counts, fit in listener_fits(frame):
        place = {
            "family": LISTENERS,
            "group": listener,
            "n": counts.fakes + counts.originals,
            "unit": "clip, this listener only",
        }
        rates = ((HIT_RATE, counts.hits, counts.fakes), (FALSE_ALARM, counts.false_alarms, counts.originals))
        found += [
            Result(**place, name=name, estimate=k / n, method="share", count=k, total=n)
            for name, k, n in rates
            if n
        ]
        if counts.fakes and counts.originals:
            balanced = 0.5 + detection.youden(counts)[0] / 2
            found.append(Result(**place, name=BALANCED, estimate=balanced, method="share"))
        few = (
            f"{counts.fakes} machine-made clips and {counts.originals} originals; at least "
            f"{MIN_PER_CLASS_D_PRIME} of each are needed"
        )
        for name, value in ((D_PRIME, fit and fit.d_prime), (CRITERION, fit and fit.criterion)):
            found.append(
                Result(**place, name=name, estimate=value, method=LOG_LINEAR, note="" if fit else few)
            )
    return found


def modes(frame: pd.DataFrame) -> list[Result]:
    """How much higher each listener rates, and each clip is rated, than the rest: points of musicality.

    Conditional modes of the linear mixed model with crossed listeners and clips and, where there are both
    kinds, truth as its fixed effect: a clip is compared with its kind. Few answers draw a mode to 0.
    """
    rated, method = frame.dropna(subset=["musicality"]), "conditional mode of the LMM by REML"
    truth = np.where(rated["truth"] == "fake", 0.5, -0.5)
    fixed = {"1": np.ones(len(rated))} | ({"truth": truth} if len(set(truth)) > 1 else {})
    labels = stimuli.by_stimulus(frame).set_index(["set", "name"])["label"]
    clips = labels.reindex(pd.MultiIndex.from_frame(rated[["set", "name"]])).to_numpy()
    who, why_not = rated["listener"].to_numpy(), ""
    if rated["listener"].nunique() < MIN_LISTENERS_MODES:
        why_not = f"fewer than {MIN_LISTENERS_MODES} listeners rated"
    try:
        if not why_not:
            fit = mixed.linear(rated["musicality"], fixed, who, clips)
            both = conditional_modes.linear(fit, rated["musicality"], fixed, who, clips)
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        why_not = f"not fitted: {error}"
    if why_not:
        return [Result(MODES, name, method=method, note=why_not) for name in (OF_LISTENER, OF_CLIP)]
    reach, found = stats.norm.isf(0.025), []
    for name, effects, unit in zip((OF_LISTENER, OF_CLIP), both, ("listener", "clip"), strict=True):
        for label, mode, sd in zip(effects.labels, effects.mode, effects.sd, strict=True):
            low, high = float(mode - reach * sd), float(mode + reach * sd)
            values = {"estimate": float(mode), "low": low, "high": high, "unit": unit, "method": method}
            found.append(Result(MODES, name, label, **values, note="shrunken to the mean"))
    return found


def per_clip(clips: pd.DataFrame, panel: Panel) -> list[Result]:
    """Each clip's mean musicality and, for a panel, the share of listeners who took it for real.

    `clips`: as of `stimuli.by_stimulus`. For one clip the listeners are independent, so Wilson's interval
    holds; it speaks of other listeners and this clip.
    """
    found = []
    for clip in clips.itertuples():
        place = {"family": CLIPS, "group": clip.label}
        place["unit"] = "one answer" if panel.one else "listener, this clip only"
        if not panel.one:
            count = round(clip.judged_real * clip.answers)
            low, high = detection.wilson(count, clip.answers)
            found.append(
                Result(
                    **place,
                    name=JUDGED_REAL,
                    estimate=clip.judged_real,
                    low=low,
                    high=high,
                    n=clip.answers,
                    method=WILSON,
                    note="says nothing of other clips",
                    count=count,
                    total=clip.answers,
                )
            )
        found.append(
            Result(
                **place,
                name=MEAN,
                estimate=number(clip.musicality),
                n=clip.rated,
                method="rating" if panel.one else "mean of ratings",
                note="" if clip.rated else "not rated",
            )
        )
    return found
