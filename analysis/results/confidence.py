"""Did listeners know when they knew? Results about the confidence they gave with their verdicts, 1 to 5.

Described, never tested: how sure one is differs between people as much as what one hears. A mean over
listeners takes each listener's own mean first, so that nobody counts for having answered more.
"""

from __future__ import annotations

import pandas as pd

from analysis import questionnaire
from analysis.results.estimation import WILSON
from analysis.results.result import Question, Result
from analysis.results.stimuli import Panel
from analysis.tests import detection

FAMILY = "confidence"
LEVELS = questionnaire.CONFIDENCE.levels
WHEN_RIGHT = "confidence when right"
WHEN_WRONG = "confidence when wrong"
RIGHT_AT = "right at confidence"  # followed by the level
TYPE_TWO = "area under the type-2 ROC"
DESCRIBES = "describes; no interval"
MIN_EITHER = 2  # right and wrong answers of a listener, for the area


def records(frame: pd.DataFrame, panel: Panel) -> list[Result]:
    """Mean confidence when right and when wrong, the share right at each level, and the type-2 area.

    `frame`: loaded answers without repeats. Empty where nobody was asked for confidence. The area is the
    chance that a right answer came with more confidence than a wrong one, ties half: 1/2 is no insight
    (Galvin, Podd, Drga & Whitmore 2003, Psychonomic Bulletin & Review 10:843-876).
    """
    if "confidence" not in frame or frame["confidence"].isna().all():
        return []
    answers = frame.dropna(subset=["confidence"])
    answers = answers.assign(
        sure=answers["confidence"].astype(float), right=(answers["truth"] == answers["verdict"]).astype(bool)
    )
    return [
        _mean(answers, True, panel),
        _mean(answers, False, panel),
        *_levels(answers, panel),
        _area(answers, panel),
    ]


def _unit(panel: Panel) -> str:
    return panel.unit if panel.single_listener else "listener"


def _mean(answers: pd.DataFrame, right: bool, panel: Panel) -> Result:
    part, name = answers[answers["right"] == right], WHEN_RIGHT if right else WHEN_WRONG
    of = "answers" if panel.single_listener else "listeners' means"
    question = Question(FAMILY, name, unit=_unit(panel), method=f"mean of {of}, 1 a guess to 5 certain")
    if part.empty:
        return question.refuse(f"no answer with a confidence was {'right' if right else 'wrong'}")
    means = part["sure"] if panel.single_listener else part.groupby("listener")["sure"].mean()
    return question.result(means.mean(), n=len(means), of=(len(part), len(answers)), notes=(DESCRIBES,))


def _levels(answers: pd.DataFrame, panel: Panel) -> list[Result]:
    results = []
    for level in LEVELS:
        right = answers.loc[answers["sure"] == level, "right"]
        method = "share of answers" + (f", {WILSON}" if panel.single_listener else "")
        question = Question(FAMILY, f"{RIGHT_AT} {level}", unit="answer", method=method)
        if right.empty:
            results.append(question.refuse("nobody was that confident"))
            continue
        count, total = int(right.sum()), len(right)
        limits = detection.wilson(count, total) if panel.single_listener else None
        note = panel.reach if panel.single_listener else "answers are not independent: no interval"
        results.append(question.result(count / total, limits, n=total, of=(count, total), notes=(note,)))
    return results


def _area(answers: pd.DataFrame, panel: Panel) -> Result:
    areas = []
    for _, own in answers.groupby("listener", sort=False):
        right, wrong = own.loc[own["right"], "sure"], own.loc[~own["right"], "sure"]
        if min(len(right), len(wrong)) >= MIN_EITHER:
            areas.append(detection.auc(right, wrong))
    method = "Mann-Whitney on confidence, right against wrong" + (
        "" if panel.single_listener else "; mean over listeners"
    )
    question = Question(FAMILY, TYPE_TWO, unit=_unit(panel), method=method)
    if not areas:
        return question.refuse(f"needs {MIN_EITHER} right and {MIN_EITHER} wrong answers of a listener")
    return question.result(sum(areas) / len(areas), n=len(areas), notes=("1/2 is chance", DESCRIBES))
