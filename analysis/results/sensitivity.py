"""Answers that may not be meant, and how the main conclusions change when they are left out.

The rules, one answer being what one listener said of one clip:

- hasty: given within 2 s of the clip's end, in either pass of a study in two passes;
- unplayed: given without playing the clip, in either pass;
- constant: all answers of a listener who gave every clip the same verdict, or every clip the same rating;
- headphones, attention: all answers of a listener who did not pass that check of the study;
- inconsistent: all answers of a listener who judged fewer hidden repeats as before than the plan asks for.

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
from analysis.plan import CHECKS, EXCLUSIONS, INCONSISTENT, AnalysisPlan
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
ALL_TOGETHER = "without any of these answers"
RULES = {
    "hasty": f"within {quality.HASTY_SECONDS:g} s of the clip's end",
    "unplayed": "without playing the clip",
    "constant": "of listeners who gave every clip the same verdict or rating",
    "headphones": "of listeners who did not pass the headphone check",
    "attention": "of listeners who did not pass the checks of attention",
    INCONSISTENT: "of listeners who judged fewer hidden repeats as before than planned",
}
REPEATED = "repeats_alike"  # a column: the share of a listener's hidden repeats with the verdict of before
NAMES = {rule: f"{rule} answers" for rule in EXCLUSIONS} | {
    "headphones": "answers that failed the headphone check",
    "attention": "answers that failed a check of attention",
    INCONSISTENT: "inconsistent answers",
}
_KNOWN_BY = {
    "hasty": "response_seconds",
    "unplayed": "plays",
    "headphones": "check_headphones",
    "attention": "check_attention",
    INCONSISTENT: REPEATED,
}


def with_consistency(first: pd.DataFrame, frame: pd.DataFrame, plan: AnalysisPlan | None) -> pd.DataFrame:
    """Answers with the share of hidden repeats that their listener judged as before, if the plan asks for it.

    first: as of `stimuli.distinct`. frame: all loaded answers, repeats among them.
    """
    again = frame[frame["repeat"]]
    if again.empty or plan is None or INCONSISTENT not in plan.exclude:
        return first
    pairs = again.merge(frame[~frame["repeat"]], on=["listener", "set", "name"], suffixes=("_again", ""))
    alike = (pairs["verdict_again"] == pairs["verdict"]).groupby(pairs["listener"]).mean()
    return first.assign(**{REPEATED: first["listener"].map(alike)})


def left_out(frame: pd.DataFrame, exclusion: str, plan: AnalysisPlan | None = None) -> pd.Series:
    """Whether each answer of `frame` falls under a rule, of `plan.EXCLUSIONS` and `plan.CHECKS`: bool [n].

    An answer of which the table does not hold what the rule is about, as its time, falls under none.
    """
    if exclusion in CHECKS:
        if _unknown(frame, exclusion):
            return pd.Series(False, index=frame.index)
        known = frame[_KNOWN_BY[exclusion]].astype(float)
        return known < (plan.consistency if plan and exclusion == INCONSISTENT else 1)
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
        rule, gone = f"{NAMES[exclusion]} ({RULES[exclusion]})", left_out(frame, exclusion, plan)
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
    used, planned = apply(every, plan)[0], plan.exclude if plan is not None else ()
    rules = [*EXCLUSIONS, *(e for e in CHECKS if e in planned or _can_try(every, e))]
    gone = {rule: left_out(every, rule, plan) for rule in rules}
    variants = {f"{'with' if e in planned else 'without'} {NAMES[e]}": {*planned} ^ {e} for e in rules}
    variants[TOGETHER if len(rules) == len(EXCLUSIONS) else ALL_TOGETHER] = {*rules}
    results = []
    for outcome, estimate in main.items():
        base = _as_result(estimate, used, every, outcome, MAIN)
        results.append(base)
        if base.refused and not planned:
            continue
        for label, exclude in variants.items():
            unknown = [_unknown(every, rule) for rule in rules if (rule in exclude) != (rule in planned)]
            if unknown and all(unknown):
                results.append(Question(FAMILY, outcome.difference + CHECK, label).refuse(unknown[0]))
                continue
            retained = every[~np.logical_or.reduce([gone[rule] & (rule in exclude) for rule in rules])]
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


def _can_try(frame: pd.DataFrame, check: str) -> bool:
    """Whether a check that the plan does not name is tried: what counts as inconsistent only a plan says."""
    return check != INCONSISTENT and not _unknown(frame, check)


def _unknown(frame: pd.DataFrame, exclusion: str) -> str:
    """Why the table cannot tell which answers fall under a rule; "" where it can."""
    column = _KNOWN_BY.get(exclusion)
    if column is None or (column in frame and frame[column].notna().any()):
        return ""
    lacks = {
        "headphones": "headphone check",
        "attention": "check of attention",
        INCONSISTENT: "hidden repeats",
    }
    return f"the table has no {lacks.get(exclusion, column.replace('_', ' '))}"
