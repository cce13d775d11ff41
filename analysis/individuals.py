"""Results listener by listener and clip by clip."""

from __future__ import annotations

import pandas as pd

from analysis import detection
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
HIT_RATE = "hit rate"


def per_listener(frame: pd.DataFrame) -> list[Result]:
    """Hit and false alarm rate, balanced accuracy, d' and c of each listener: described, never tested."""
    found = []
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
