"""Answers that may not be meant, and how the main conclusions change when they are left out.

Three rules, one answer being what one listener said of one clip:

- hasty: given within 2 s of the clip's end, in either pass of a study in two passes;
- unplayed: given without playing the clip, in either pass;
- constant: all answers of a listener who gave every clip the same verdict, or every clip the same rating.

None of them shows that an answer is not meant: a listener whom every clip convinces is constant, too. So the
plan says before the data which of them the main analysis leaves out, and each is tried beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import formats as f
from analysis.plan import EXCLUSIONS, AnalysisPlan
from analysis.results import comparisons, quality, ratings
from analysis.results.estimation import Estimate
from analysis.results.outcomes import Outcome
from analysis.results.result import CHECK, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, Panel

FAMILY = "sensitivity"
EXCLUDED = "answers left out as planned"
MAIN = "main analysis"
EMPTY = "no answer is left"
TOGETHER = "without hasty, unplayed and constant answers"
RULES = {
    "hasty": f"within {quality.HASTY_SECONDS:g} s of the clip's end",
    "unplayed": "without playing the clip",
    "constant": "of listeners who gave every clip the same verdict or rating",
}
_KNOWN_BY = {"hasty": "response_seconds", "unplayed": "plays"}


def left_out(frame: pd.DataFrame, exclusion: str) -> pd.Series:
    """Whether each answer of `frame` falls under the rule `exclusion`, of `plan.EXCLUSIONS`: bool [n].

    An answer whose time or plays the table does not hold falls under none.
    """
    if exclusion == "constant":
        answers = frame.groupby("listener")
        rated = answers["musicality"]
        one = (answers["verdict"].nunique() == 1) & (answers.size() >= LEAST_CLIPS)
        one |= (rated.nunique() == 1) & (rated.count() >= LEAST_CLIPS)
        return frame["listener"].map(one).astype(bool)
    flagged = pd.Series(False, index=frame.index)
    for column in (_KNOWN_BY[exclusion], f"rating_{_KNOWN_BY[exclusion]}"):
        if column in frame:
            value = frame[column].astype(float)
            flagged |= value < quality.HASTY_SECONDS if exclusion == "hasty" else value == 0
    return flagged


def apply(frame: pd.DataFrame, plan: AnalysisPlan | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The answers that the main analysis is of, and what each exclusion of the plan left out, in words.

    frame: loaded answers. An exclusion after which no answer would be left is not made; the words say so.
    """
    retained, notes = frame, []
    for exclusion in plan.exclude if plan is not None else ():
        rule, gone = f"{exclusion} answers ({RULES[exclusion]})", left_out(frame, exclusion)
        if why := _unknown(frame, exclusion):
            notes.append(f"{rule} could not be left out as planned: {why}")
        elif gone[retained.index].all():
            notes.append(f"{rule} were not left out as planned: no answer would be left")
        else:
            retained = retained[~gone[retained.index]]
            notes.append(f"{gone.sum()} of {len(frame)} answers left out as planned: {rule}")
    return retained, tuple(notes)


def excluded(every: pd.DataFrame, retained: pd.DataFrame, notes: Sequence[str]) -> list[Result]:
    """How many answers the plan left out, with the words of `apply`; [] where it excludes none."""
    count = len(every) - len(retained)
    question = Question(quality.FAMILY, EXCLUDED, method="count")
    of = (count, len(every))
    return [question.result(float(count), n=len(every), of=of, notes=notes)] if notes else []


def records(every: pd.DataFrame, plan: AnalysisPlan | None, main: Mapping[Outcome, Estimate]) -> list[Result]:
    """Machine-made clips less originals, for each outcome, by the main analysis and by other exclusions.

    every: answers as of `stimuli.distinct`, before any were left out. main: `comparisons.against_originals`
    of what `apply` leaves of them. What the plan leaves out is taken back in, what it does not is left out,
    each rule alone and all together. `count` of `total` answers are left out. All are checks of the main
    analysis, so their p are not corrected.
    """
    gone = {rule: left_out(every, rule) for rule in EXCLUSIONS}
    used, planned = apply(every, plan)[0], plan.exclude if plan is not None else ()
    variants = {f"{'with' if e in planned else 'without'} {e} answers": {*planned} ^ {e} for e in EXCLUSIONS}
    variants[TOGETHER] = {*EXCLUSIONS}
    results = []
    for outcome, estimate in main.items():
        base = _as_result(estimate, used, every, outcome, MAIN)
        results.append(base)
        if base.refused and not planned:
            continue
        for label, exclude in variants.items():
            unknown = [_unknown(every, rule) for rule in EXCLUSIONS if (rule in exclude) != (rule in planned)]
            if unknown and all(unknown):
                results.append(Question(FAMILY, outcome.difference + CHECK, label).refuse(unknown[0]))
                continue
            retained = every[~np.logical_or.reduce([gone[rule] & (rule in exclude) for rule in EXCLUSIONS])]
            if retained.index.equals(used.index):
                results.append(replace(base, group=label).noting("leaves out the same answers"))
                continue
            again = (
                comparisons.against_originals(retained, outcome) if len(retained) else Estimate(refused=EMPTY)
            )
            result = _as_result(again, retained, every, outcome, label)
            results.append(result.noting(_change(base, result)))
    return results


def _as_result(
    estimate: Estimate, retained: pd.DataFrame, every: pd.DataFrame, outcome: Outcome, label: str
) -> Result:
    question = Question(FAMILY, outcome.difference + CHECK, label)
    result = ratings.as_result(question, estimate, Panel.of(every))
    return replace(result, count=len(every) - len(retained), total=len(every))


def _change(base: Result, result: Result) -> str:
    """Whether a result says otherwise than the main analysis, at .05."""
    if base.p is None or result.p is None:
        return ""
    signs = [math.copysign(r.p < 0.05, r.estimate) for r in (base, result)]
    if signs[0] == signs[1]:
        return "the same conclusion as by the main analysis"
    return f"another conclusion than by the main analysis, where p is {f.p_value(base.p)}"


def _unknown(frame: pd.DataFrame, exclusion: str) -> str:
    """Why the table cannot tell which answers fall under a rule; "" where it can."""
    column = _KNOWN_BY.get(exclusion)
    if column is None or (column in frame and frame[column].notna().any()):
        return ""
    return f"the table has no {column.replace('_', ' ')}"
