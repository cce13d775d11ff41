"""What the report of this tree concludes from a study: for `conclusions`.

Called are `estimation.contrasts` and `estimation.mean`, from which every conclusion of the report on
verdicts, ratings and inspiring is made, for one listener and for many.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY

from analysis import estimation
from analysis.results import MACHINE, ORIGINALS
from tests.benchmarks import conclusions
from tests.benchmarks.conclusions import BACKENDS, Judgement, Study

BY_TRUTH = {
    conclusions.TOLD_APART: JUDGED_REAL,
    conclusions.BALANCED: JUDGED_REAL,
    conclusions.PREFERRED: MUSICALITY,
    conclusions.INSPIRES_MORE: INSPIRED,
}
VERDICTS = conclusions.TOLD_APART, conclusions.BALANCED
BY_BACKEND = {conclusions.BACKENDS_FOOL: JUDGED_REAL, conclusions.BACKENDS_RATED: MUSICALITY}
MACHINE_MADE = {
    conclusions.FOOLING: JUDGED_REAL,
    conclusions.RATED: MUSICALITY,
    conclusions.INSPIRED: INSPIRED,
}
OF_BACKEND = {conclusions.BACKEND_FOOLS: JUDGED_REAL, conclusions.BACKEND_RATED: MUSICALITY}


def judge(study: Study, measures: Sequence[str]) -> dict[str, Judgement | None]:
    """p and interval of each measure as the report has them; None where it has neither."""
    answers = study.answers
    labels = answers["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    apart, found = None, {}
    for measure in measures:
        if outcome := BY_TRUTH.get(measure):
            if measure in VERDICTS and apart:
                one = apart
            else:
                one = estimation.contrasts(answers, outcome, labels, [(MACHINE, ORIGINALS)])[0]
                apart = one if measure in VERDICTS else apart
        elif outcome := BY_BACKEND.get(measure):
            one = estimation.contrasts(answers, outcome, answers["backend"], [BACKENDS])[0]
        elif outcome := MACHINE_MADE.get(measure):
            one = estimation.mean(answers[labels == MACHINE], outcome)
        elif outcome := OF_BACKEND.get(measure):
            one = estimation.mean(answers[answers["backend"] == BACKENDS[0]], outcome)
        else:
            continue  # what only the code before had
        found[measure] = _judgement(measure, one)
    return found


def _judgement(measure: str, one: estimation.Estimate) -> Judgement | None:
    if measure == conclusions.BALANCED and one.low is not None:
        return None, 0.5 - one.high / 2, 0.5 - one.low / 2
    if measure == conclusions.TOLD_APART and one.p is not None:
        return one.p, None, None
    return None if one.p is None and one.low is None else (one.p, one.low, one.high)
