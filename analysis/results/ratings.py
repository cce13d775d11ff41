"""How a group of clips was judged and rated, and what the ratings that are missing could have changed."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from analysis.results import estimation, trainings
from analysis.results.estimation import Estimate
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, KEPT, MUSICALITY, WOULD_USE, Outcome
from analysis.results.result import CHECK, MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, Panel
from analysis.tests import detection, permutation

FAMILY = "ratings"
DESCRIBED = (JUDGED_REAL, INSPIRED, KEPT, WOULD_USE, MUSICALITY)
ONLY_WHERE_ASKED = (KEPT, WOULD_USE)  # by some studies alone
MISSING = "missing answers"
REAL, MEAN = JUDGED_REAL.mean, MUSICALITY.mean
SD = "musicality, SD"
MEDIAN = "musicality, median"
OF_TRAININGS = "musicality, difference of trainings" + CHECK
_UNITS = "units are trainings, and clips of none by themselves"
INSPIRING = "inspiring"  # followed by the level: "inspiring yes"
BOUNDS = "musicality, bounds of the mean"
BOUNDS_DIFFERENCE = "musicality, bounds of the difference"
MANSKI = "Manski bounds: missing ratings all 0, all 10"  # Manski (1990), AER 80:319-323
LEVELS = ("yes", "maybe", "no")
OTHER = f"{INSPIRING} other"  # counted apart: no degree of inspiring


def describe(part: pd.DataFrame, family: str, group: str, panel: Panel) -> list[Result]:
    """Means of every outcome, SD and median of musicality, and what was answered on inspiring, of one group.

    part: the group's answers, as of `stimuli.distinct`. What nobody was asked is left out.
    """
    if part.empty:
        return []
    results = []
    for outcome in DESCRIBED:
        question = Question(family, outcome.mean, group, panel.unit)
        if outcome in ONLY_WHERE_ASKED and outcome.values(part).isna().all():
            continue
        results.append(mean(part, outcome, question, panel))
    return [*results, *_spread(part, family, group, panel), *_levels(part, family, group, panel)]


def mean(part: pd.DataFrame, outcome: Outcome, question: Question, panel: Panel) -> Result:
    """The mean of an outcome in one group, with its interval where there are clips enough."""
    estimate = estimation.mean(part, outcome)
    result = as_result(question, estimate, panel)
    if (
        not panel.single_listener
        and not result.refused
        and estimate.clips < LEAST_CLIPS
        and result.low is not None
    ):
        few = f"no interval: {estimate.clips} clips, fewer than {LEAST_CLIPS}"
        return question.result(result.estimate, notes=(few,), of=_counted(estimate), n=estimate.clips)
    return result


def as_result(question: Question, estimate: Estimate, panel: Panel, *notes: str) -> Result:
    """An estimate as the answer to a question."""
    method = estimate.method or question.method
    question = Question(question.family, question.name, question.group, question.unit or panel.unit, method)
    if estimate.refused:
        return question.refuse(estimate.refused)
    reach = panel.reach if estimate.low is not None else ""
    return question.result(
        estimate.estimate,
        (estimate.low, estimate.high),
        estimate.p,
        notes=(*estimate.notes, reach, *notes),
        of=_counted(estimate),
        n=estimate.clips,
        level=estimate.level,
    )


def _counted(estimate: Estimate) -> tuple[int, int]:
    return round(estimate.of[0]), estimate.of[1]


def _spread(part: pd.DataFrame, family: str, group: str, panel: Panel) -> list[Result]:
    values = part["musicality"].groupby(part["clip"]).mean().dropna()
    about = {"n": len(values), "of": (int(part["musicality"].notna().sum()), len(part))}
    kind = "ratings" if panel.single_listener else "clip means"
    spread = Question(family, SD, group, panel.unit, f"SD of {kind} (n - 1)")
    middle = Question(family, MEDIAN, group, panel.unit, f"median of {kind}")
    if values.empty:
        return [question.refuse("no clip was rated") for question in (spread, middle)]
    alone = spread.refuse("one rated clip has no spread")
    return [
        spread.result(values.std(ddof=1), **about) if len(values) > 1 else alone,
        middle.result(values.median(), **about),
    ]


def _levels(part: pd.DataFrame, family: str, group: str, panel: Panel) -> list[Result]:
    """How many answers were yes, maybe, no and other."""
    answers, clips = part["inspiring"], int(part.loc[INSPIRED.values(part).notna(), "clip"].nunique())
    counts = {level: int((answers == level).sum()) for level in LEVELS}
    answered, other, missing = (
        sum(counts.values()),
        int((answers == "other").sum()),
        int(answers.isna().sum()),
    )
    notes = (
        f"{other} answered other: quoted, not counted" if other else "",
        f"{missing} missing" if missing else "",
    )
    results = []
    if answered:
        limits = detection.goodman(counts.values()) if panel.single_listener else [None] * len(LEVELS)
        method = "Goodman simultaneous interval" if panel.single_listener else "share of answers"
        for level, interval in zip(LEVELS, limits, strict=True):
            question = Question(family, f"{INSPIRING} {level}", group, panel.unit, method)
            about = {"of": (counts[level], answered), "n": clips, "notes": notes}
            results.append(question.result(counts[level] / answered, interval, **about))
    if other:
        question = Question(family, OTHER, group, "answer", "share of all answers")
        note = "quoted, not counted among yes, maybe and no"
        about = {"of": (other, len(answers)), "n": part["clip"].nunique(), "notes": (note,)}
        results.append(question.result(other / len(answers), **about))
    return results


def compare_trainings(first: pd.DataFrame, family: str, panel: Panel) -> list[Result]:
    """Musicality of each backend's trainings against another's: a mean each, as their clips may be alike.

    A clip of no training counts by itself. With one listener this is the only test that knows trainings.
    """
    rated = first[first["truth"] == "fake"].dropna(subset=["musicality"])
    rated = rated.assign(training=trainings.labels(rated).fillna(rated["clip"]))
    means = rated.groupby(["backend", "training", "clip"])["musicality"].mean().groupby(level=[0, 1]).mean()
    method = "exact permutation of the trainings' rank sum; Hodges-Lehmann shift"
    results = []
    for pair in combinations(sorted(set(means.index.get_level_values(0))), 2):
        one, two = (means[means.index.get_level_values(0) == label].to_numpy() for label in pair)
        unit = f"training{panel.unit.removeprefix('clip')}"
        question = Question(family, OF_TRAININGS, " - ".join(pair), unit, method)
        counts = f"{len(one)} ({pair[0]}) and {len(two)} ({pair[1]})"
        least = permutation.smallest_rank_p(one, two)
        if least >= 0.05:
            why = f"{counts} cannot reach p < .05 (smallest attainable p {least:.2g}); {_UNITS}"
            results.append(question.refuse(why))
            continue
        shift = permutation.shift(one, two)
        about = {"notes": (counts, _UNITS), "n": len(one) + len(two)}
        results.append(question.result(shift.estimate, (shift.low, shift.high), shift.p, **about))
    return results


def missing(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """What was not answered, by truth, and how far it could have moved the means of musicality."""
    results, bounds, means = [], {}, {}
    for truth, group in (("fake", MACHINE), ("real", ORIGINALS)):
        part = first[first["truth"] == truth]
        if part.empty:
            continue
        questions = {"musicality": part, "inspiring": part, "difficulty": part[part["verdict"] == "fake"]}
        for column, rows in questions.items():
            gone, total = int(rows[column].isna().sum()), len(rows)
            note = f"of {total} answers{' fake' * (column == 'difficulty')}"
            question = Question(MISSING, f"{column} missing", group, "answer", "count")
            results.append(question.result(float(gone), n=total, of=(gone, total), notes=(note,)))
        bounds[truth] = tuple(_clip_mean(part, value) for value in (MUSICALITY.low, MUSICALITY.high))
        means[truth] = _clip_mean(part)
        question = Question(MISSING, BOUNDS, group, panel.unit, MANSKI)
        note = "" if part["musicality"].isna().any() else "none missing"
        results.append(question.result(means[truth], bounds[truth], n=part["clip"].nunique(), notes=(note,)))
    if len(bounds) == 2:
        (low, high), (lowest, highest) = bounds["fake"], bounds["real"]
        question = Question(MISSING, BOUNDS_DIFFERENCE, MACHINE_LESS_ORIGINALS, panel.unit, MANSKI)
        results.append(question.result(means["fake"] - means["real"], (low - highest, high - lowest)))
    return results


def _clip_mean(part: pd.DataFrame, instead: float | None = None) -> float:
    """The mean of clip means, with ratings that are missing left out or all taken as one value."""
    rated = part["musicality"] if instead is None else part["musicality"].fillna(instead)
    return float(rated.groupby(part["clip"]).mean().mean())
