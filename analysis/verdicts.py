"""Results about the verdicts of groups of clips: how many were taken for real, and group against group."""

from __future__ import annotations

import pandas as pd

from analysis import detection, stimuli
from analysis.results import Result
from analysis.stimuli import MIN_CLIPS, Panel

JUDGED_REAL = "judged real"  # share of clips (or of answers to them) taken for real
FOOLING_DIFFERENCE = "fooling rate, difference"
WILSON = "Wilson score interval"
ON_MEANS = "Student's t-test on clip means"


def judged_real(
    clips: pd.DataFrame,
    family: str,
    group: str,
    panel: Panel,
    *,
    name: str = JUDGED_REAL,
    as_fake: bool = False,
) -> Result:
    """Share of clips taken for real (or, `as_fake`, for fake), with its interval where one can be given."""
    if clips.empty:
        return Result(family, name, group, unit=panel.unit, note="no such clip was judged")
    rates = 1 - clips["judged_real"] if as_fake else clips["judged_real"]
    count, total = round(float((rates * clips["answers"]).sum())), int(clips["answers"].sum())
    found = {
        "estimate": float(rates.mean()),
        "n": len(clips),
        "unit": panel.unit,
        "count": count,
        "total": total,
    }
    if panel.one:
        low, high = detection.wilson(count, total)
        return Result(family, name, group, low=low, high=high, method=WILSON, note=panel.reach, **found)
    interval = stimuli.mean_interval(rates, bounds=(0.0, 1.0)) if len(clips) >= MIN_CLIPS else None
    if interval is None:
        why = (
            f"{len(clips)} clips, fewer than {MIN_CLIPS}"
            if len(clips) < MIN_CLIPS
            else "every clip has the same rate"
        )
        return Result(family, name, group, method="mean of clip means", note=f"no interval: {why}", **found)
    return Result(
        family,
        name,
        group,
        low=interval.low,
        high=interval.high,
        method="mean of clip means, t interval over clips",
        note=panel.reach,
        **found,
    )


def compare(clips: pd.DataFrame, family: str, labels: tuple[str, str], panel: Panel) -> Result:
    """Fooling rate of one group of machine-made clips against another's; `clips["group"]` holds labels."""
    one, two = (clips[clips["group"] == label] for label in labels)
    place = {"family": family, "name": FOOLING_DIFFERENCE, "group": " - ".join(labels), "unit": panel.unit}
    if panel.one:
        k1, k2 = int(one["judged_real"].sum()), int(two["judged_real"].sum())
        least = detection.fisher_attainable(len(one), len(two), k1 + k2)
        if least >= 0.05:
            return Result(
                **place,
                method="Fisher's exact test",
                note=f"{k1} of {len(one)} against {k2} of {len(two)}: no answers with these totals "
                f"could reach p < .05 (smallest attainable p {least:.2g})",
            )
        low, high = detection.newcombe(k1, len(one), k2, len(two))
        return Result(
            **place,
            estimate=k1 / len(one) - k2 / len(two),
            low=low,
            high=high,
            n=len(one) + len(two),
            p=detection.fisher(k1, len(one), k2, len(two)),
            note=panel.reach,
            method="Fisher's exact test; Newcombe interval",
        )
    if min(len(one), len(two)) < MIN_CLIPS:
        return Result(
            **place,
            method=ON_MEANS,
            note=f"{len(one)} and {len(two)} clips; at least {MIN_CLIPS} in each group are needed",
        )
    return on_means(place, one["judged_real"], two["judged_real"], panel)


def on_means(place: dict, one, two, panel: Panel) -> Result:
    """Student's t-test on one rate per clip; `place` holds the result's family, name, group and unit."""
    test = stimuli.t_test(one, two)
    if test is None:
        return Result(**place, method=ON_MEANS, note="the clip means do not vary, or there are too few clips")
    return Result(
        **place,
        estimate=test.estimate,
        low=test.low,
        high=test.high,
        p=test.p,
        n=test.df + 2,
        method=f"{ON_MEANS}, {test.df} df",
        note=panel.reach,
    )
