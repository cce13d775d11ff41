"""What each comparison of a report estimates: a table of estimands, made of the results themselves.

An estimand says of whom, of what, in which contrast and by which summary a number speaks (Lundberg, Johnson
and Stewart 2021, American Sociological Review 86:532-565).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from analysis import formats as f
from analysis.plan import EXCLUSIONS, AnalysisPlan
from analysis.results import comparisons, panel_models, sensitivity
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY, WOULD_USE, Outcome
from analysis.results.result import Result
from analysis.table import ReportTable

QUESTIONS = {
    comparisons.TRUTH: "do machine-made clips differ from originals?",
    comparisons.BACKENDS: "do backends differ from originals and each other?",
    comparisons.MODES: "do modes differ from originals and each other?",
    comparisons.EPOCHS: "do epoch counts differ from originals and each other?",
    comparisons.EQUIVALENCE: "are machine-made clips equivalent to originals?",
    panel_models.MIXED: "how large is the difference from originals?",
}
_ASKED = {
    JUDGED_REAL: ("verdict: real (1) or fake (0)", "every verdict"),
    MUSICALITY: ("musicality, 0 to 10", "answers with a rating; bounds for the missing ones beside"),
    INSPIRED: ("inspiring: yes or maybe (1), no (0)", "answers of yes, maybe or no; other words are quoted"),
    WOULD_USE: ("would use it in any song of the study (1), in none (0)", "every answer on songs"),
}
_POPULATION = re.compile(r", ([a-z, ]+) random")
_MOST = 3  # contrasts that are named


def _difference(outcome: Outcome) -> str:
    return "difference of shares" if outcome.share else "difference of means, points"


_MEASURES = {
    **{outcome.difference: (outcome, _difference(outcome)) for outcome in _ASKED},
    **{
        panel_models.TREND.format(outcome.name): (outcome, f"{_difference(outcome)} per doubling")
        for outcome in _ASKED
    },
    comparisons.PASSES: (JUDGED_REAL, "balanced accuracy, within the bound about 1/2"),
    comparisons.SIMILAR: (MUSICALITY, "difference of means, within the bound of points"),
    panel_models.DETECTION: (JUDGED_REAL, "sensitivity d\N{PRIME}"),
    panel_models.INSPIRING_ODDS: (INSPIRED, "odds ratio of a stronger answer: no, maybe, yes"),
}


def table(results: Iterable[Result], plan: AnalysisPlan | None = None) -> ReportTable:
    """One row per outcome that a family of results compares, what was not computed with the reason.

    results: as of `statistics.evaluate`, with the same plan. Columns: question, outcome, contrasts, measure,
    population, answers, method, correction.
    """
    by_outcome: dict[tuple[str, str], list[Result]] = {}
    for r in results:
        if r.family in QUESTIONS and r.name in _MEASURES:
            by_outcome.setdefault((r.family, r.name), []).append(r)
    rows = [_row(family, name, rows, plan) for (family, name), rows in by_outcome.items()]
    columns = ["question", "outcome", "contrasts", "measure", "population", "answers", "method", "correction"]
    return ReportTable("estimands", "What is estimated", pd.DataFrame(rows, columns=columns))


def _row(family: str, name: str, rows: list[Result], plan: AnalysisPlan | None) -> tuple[str, ...]:
    (outcome, measure), done = _MEASURES[name], [r for r in rows if not r.refused]
    description, answers = _ASKED[outcome]
    excluded = plan.exclude if plan else ()
    names = " and ".join(sensitivity.NAMES[rule] for rule in excluded)
    if set(excluded) <= set(EXCLUSIONS):
        names = f"{' and '.join(excluded)} answers"
    left_out = f"; without {names}, as planned" if excluded else ""
    contrasts = [r.group for r in done or rows]
    more = len(contrasts) - _MOST
    named = ", ".join(contrasts[:_MOST]) + (f" and {more} more" if more > 0 else "")
    if not done:
        return (QUESTIONS[family], description, named, measure, "", "", f"not computed: {rows[0].note}", "")
    population = _POPULATION.search(done[0].method)
    of_all = f"{population[1]} like these" if population else "clips like these, for this listener only"
    corrected = _correction(family, outcome, [r for r in done if r.p is not None], plan)
    return (
        QUESTIONS[family],
        description,
        named,
        measure,
        of_all,
        answers + left_out,
        done[0].method,
        corrected,
    )


def _correction(family: str, outcome: Outcome, tested: list[Result], plan: AnalysisPlan | None) -> str:
    if not tested:
        return "not tested"
    if (family, outcome.difference) == (comparisons.primary(plan) or ())[:2]:
        return "none: the primary test, chosen before the data"
    return "none: one test" if len(tested) == 1 else f"Holm, of {f.plural(len(tested), 'test')}"
