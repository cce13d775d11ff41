"""Results about the ratings: musicality 0-10 and inspiring, by group and group against group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import detection, permutation, stimuli, trainings
from analysis.results import CHECK, MACHINE, ORIGINALS, Result, number
from analysis.stimuli import MIN_CLIPS, Panel
from analysis.verdicts import ON_MEANS, WILSON

FAMILY = "ratings"
MISSING = "missing answers"
MEAN = "musicality, mean"
SD = "musicality, SD"
MEDIAN = "musicality, median"
DIFFERENCE = "musicality, difference"
OF_TRAININGS = "musicality, difference of trainings" + CHECK
_UNITS = "units are trainings, and clips of none by themselves"
INSPIRED = "inspiring, yes or maybe"
INSPIRING = "inspiring"  # followed by the level: "inspiring yes"
KEPT = "kept"  # share of answers with "Keep this one"
BOUNDS = "musicality, bounds of the mean"
BOUNDS_DIFFERENCE = "musicality, bounds of the difference"
LOWEST, HIGHEST = 0.0, 10.0
LEVELS = ("yes", "maybe", "no")
OTHER = f"{INSPIRING} other"  # counted apart: no degree of inspiring


def describe(frame: pd.DataFrame, clips: pd.DataFrame, family: str, group: str, panel: Panel) -> list[Result]:
    """Mean, SD and median of musicality, the answers on inspiring, and what was kept, of one group.

    `frame`: its answers; `clips`: the same as of `stimuli.by_stimulus`.
    """
    return [
        *_musicality(frame, clips, family, group, panel),
        *_inspiring(frame, clips, family, group, panel),
        *_kept(frame, family, group, panel),
    ]


def _kept(frame: pd.DataFrame, family: str, group: str, panel: Panel) -> list[Result]:
    """The share of answers in which the clip was kept; nothing where the table does not say."""
    said = frame["kept"].dropna() if "kept" in frame else []
    if not len(said):
        return []
    count, total = int(said.sum()), len(said)
    place = {"family": family, "group": group, "unit": "answer", "n": total, "count": count, "total": total}
    if panel.one:
        low, high = detection.wilson(count, total)
        limits = {"low": low, "high": high, "method": WILSON, "note": panel.reach}
    else:
        limits = {"method": "share of answers", "note": "answers are not independent: no interval"}
    return [Result(name=KEPT, estimate=count / total, **place, **limits)]


def _musicality(frame, clips, family, group, panel: Panel) -> list[Result]:
    values = clips["musicality"].dropna()
    count, total = int(frame["musicality"].notna().sum()), len(frame)
    place = {
        "family": family,
        "group": group,
        "n": len(values),
        "unit": panel.unit,
        "count": count,
        "total": total,
    }
    of = "ratings" if panel.one else "clip means"
    if values.empty:
        return [Result(**place, name=MEAN, note="no clip was rated")]
    spread = (
        Result(**place, name=SD, note="one rated clip has no spread")
        if len(values) < 2
        else Result(**place, name=SD, estimate=float(values.std(ddof=1)), method=f"SD of {of} (n - 1)")
    )
    interval = None
    if not panel.one and len(values) >= MIN_CLIPS:
        interval = stimuli.mean_interval(values, bounds=(LOWEST, HIGHEST))
    low, high = interval or (None, None)
    note = panel.reach if interval else "describes; no interval"
    method = f"mean of {of}" + (", t interval over clips" if interval else "")
    return [
        Result(
            **place, name=MEAN, estimate=float(values.mean()), low=low, high=high, method=method, note=note
        ),
        spread,
        Result(**place, name=MEDIAN, estimate=float(values.median()), method=f"median of {of}"),
    ]


def _inspiring(frame, clips, family, group, panel: Panel) -> list[Result]:
    answers = frame["inspiring"]
    counts = {level: int((answers == level).sum()) for level in LEVELS}
    asked = sum(counts.values())
    other, missing = int((answers == "other").sum()), int(answers.isna().sum())
    note = ", ".join(
        [
            *([f"{other} answered other: quoted, not counted"] if other else []),
            *([f"{missing} missing"] if missing else []),
        ]
    )
    place = {"family": family, "group": group, "unit": panel.unit, "total": asked}
    apart = [
        Result(
            family,
            OTHER,
            group,
            estimate=other / len(answers),
            n=len(clips),
            unit="answer",
            method="share of all answers",
            note="quoted, not counted among yes, maybe and no",
            count=other,
            total=len(answers),
        )
    ]
    apart = apart if other else []
    if not asked:
        return [Result(**place, name=INSPIRED, note=note or "nobody was asked"), *apart]
    shares = clips["inspired"].dropna()
    if panel.one:
        limits = detection.goodman(counts.values())
        found = [
            Result(
                **place,
                name=f"{INSPIRING} {level}",
                estimate=counts[level] / asked,
                low=low,
                high=high,
                n=len(shares),
                count=counts[level],
                method="Goodman simultaneous interval",
                note=note,
            )
            for level, (low, high) in zip(LEVELS, limits, strict=True)
        ]
    else:
        found = [
            Result(
                **place,
                name=f"{INSPIRING} {level}",
                estimate=counts[level] / asked,
                n=len(shares),
                count=counts[level],
                method="share of answers",
                note=note,
            )
            for level in LEVELS
        ]
    inspired = counts["yes"] + counts["maybe"]
    place |= {"name": INSPIRED, "n": len(shares), "count": inspired}
    if panel.one:
        low, high = detection.wilson(inspired, asked)
        return [
            *found,
            Result(**place, estimate=inspired / asked, low=low, high=high, method=WILSON, note=note),
            *apart,
        ]
    interval = stimuli.mean_interval(shares, bounds=(0.0, 1.0)) if len(shares) >= MIN_CLIPS else None
    low, high = interval or (None, None)
    method = "mean of clip means" + (", t interval over clips" if interval else "")
    return [
        *found,
        Result(**place, estimate=float(shares.mean()), low=low, high=high, method=method, note=note),
        *apart,
    ]


def compare(clips: pd.DataFrame, family: str, labels: tuple[str, str], panel: Panel) -> list[Result]:
    """Musicality of one group of clips against another's (`clips["group"]` holds the labels)."""
    rated = clips.dropna(subset=["musicality"])
    one, two = (rated.loc[rated["group"] == label, "musicality"].to_numpy() for label in labels)
    place = {"family": family, "name": DIFFERENCE, "group": " - ".join(labels), "unit": panel.unit}
    method = "exact permutation of the clips' rank sum; Hodges-Lehmann shift" if panel.one else ON_MEANS
    if min(len(one), len(two)) < MIN_CLIPS:
        note = (
            f"{len(one)} ({labels[0]}) and {len(two)} ({labels[1]}) clips were rated; at least {MIN_CLIPS} "
            "in each group are needed"
        )
        return [Result(**place, method=method, note=note)]
    if panel.one:
        least = permutation.smallest_rank_p(one, two)
        if least >= 0.05:
            note = f"no labelling of these ratings could reach p < .05 (smallest attainable p {least:.2g})"
            return [Result(**place, method=method, note=note)]
        shift = permutation.shift(one, two)
        return [
            Result(
                **place,
                estimate=shift.estimate,
                low=number(shift.low),
                high=number(shift.high),
                p=shift.p,
                n=len(one) + len(two),
                method=method,
                note=panel.reach,
            )
        ]
    test = stimuli.t_test(one, two)
    if test is None:
        return [Result(**place, method=method, note="the clip means do not vary")]
    check = Result(
        **place | {"name": DIFFERENCE + CHECK},
        estimate=float(np.median(one) - np.median(two)),
        p=permutation.rank_test(one, two),
        n=len(one) + len(two),
        method="exact permutation of the clips' rank sum; estimate is the difference of medians",
        note="second look at the same question",
    )
    return [
        Result(
            **place,
            estimate=test.estimate,
            low=test.low,
            high=test.high,
            p=test.p,
            n=test.df + 2,
            method=f"{method}, {test.df} df",
            note=panel.reach,
        ),
        check,
    ]


def compare_trainings(frame: pd.DataFrame, family: str, labels: tuple[str, str], panel: Panel) -> Result:
    """Musicality of one backend's trainings against another's: a mean each, so that clips may be alike.

    frame: answers to machine-made clips. A clip of no training counts by itself. With one listener this is
    the only test that knows the trainings.
    """
    rated = frame.dropna(subset=["musicality"])
    clip = rated["set"] + "/" + rated["name"]
    rated = rated.assign(clip=clip, training=trainings.labels(rated).fillna(clip))
    means = rated.groupby(["backend", "training", "clip"])["musicality"].mean().groupby(level=[0, 1]).mean()
    one, two = (means[means.index.get_level_values(0) == label].to_numpy() for label in labels)
    unit = "training, this listener only" if panel.one else f"training, mean over {panel.listeners} listeners"
    place = {"family": family, "name": OF_TRAININGS, "group": " - ".join(labels), "unit": unit}
    place["method"] = "exact permutation of the trainings' rank sum; Hodges-Lehmann shift"
    counts = f"{len(one)} ({labels[0]}) and {len(two)} ({labels[1]})"
    if not len(one) or not len(two) or (least := permutation.smallest_rank_p(one, two)) >= 0.05:
        told = (
            "one group was not rated"
            if not len(one) or not len(two)
            else f"smallest attainable p {least:.2g}"
        )
        return Result(**place, note=f"{counts} cannot reach p < .05 ({told}); {_UNITS}")
    shift = permutation.shift(one, two)
    low, high = number(shift.low), number(shift.high)
    place["note"] = f"{counts}; {_UNITS}"
    return Result(**place, estimate=shift.estimate, low=low, high=high, p=shift.p, n=len(one) + len(two))


def missing(frame: pd.DataFrame, panel: Panel) -> list[Result]:
    """What was not answered, by truth, and how far it could have moved the means of musicality."""
    found, means = [], {}
    for truth, group in (("fake", MACHINE), ("real", ORIGINALS)):
        part = frame[frame["truth"] == truth]
        if part.empty:
            continue
        asked = {"musicality": part, "inspiring": part, "difficulty": part[part["verdict"] == "fake"]}
        for column, rows in asked.items():
            gone, total = int(rows[column].isna().sum()), len(rows)
            of = "answers fake" if column == "difficulty" else "answers"
            found.append(
                Result(
                    MISSING,
                    f"{column} missing",
                    group,
                    estimate=float(gone),
                    n=total,
                    unit="answer",
                    method="count",
                    count=gone,
                    total=total,
                    note=f"of {total} {of}",
                )
            )
        means[truth] = low, high = _bounds(part)
        observed = stimuli.by_stimulus(part)["musicality"].mean()
        found.append(
            Result(
                MISSING,
                BOUNDS,
                group,
                number(observed),
                low,
                high,
                n=part["name"].nunique(),
                unit=panel.unit,
                method="Manski bounds: missing ratings all 0, all 10",
                note="" if part["musicality"].isna().any() else "none missing",
            )
        )
    if len(means) == 2:
        low, high = means["fake"][0] - means["real"][1], means["fake"][1] - means["real"][0]
        clips = stimuli.by_stimulus(frame).groupby("truth")["musicality"].mean()
        found.append(
            Result(
                MISSING,
                BOUNDS_DIFFERENCE,
                f"{MACHINE} - {ORIGINALS}",
                number(clips["fake"] - clips["real"]),
                low,
                high,
                unit=panel.unit,
                method="Manski bounds: missing ratings all 0, all 10",
            )
        )
    return found


def _bounds(part: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest mean of clip means the missing ratings allow. Manski (1990), AER 80:319-323."""
    low, high = (
        stimuli.by_stimulus(part.assign(musicality=part["musicality"].fillna(value)))["musicality"].mean()
        for value in (LOWEST, HIGHEST)
    )
    return float(low), float(high)
