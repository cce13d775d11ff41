"""Which result when: the answers of a study in, every figure of its report out, as records.

The inference unit decides everything. Stimuli are crossed with listeners, so pooled tests are never offered:
with several listeners every interval and test is of a crossed mixed model; with one there is inference over
clips only, by exact tests, marked "this listener only". What the data cannot carry is returned too, without
an estimate and with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.plan import AnalysisPlan
from analysis.results import (
    agreement,
    checks,
    comparisons,
    discrimination,
    dose,
    follow_up,
    groups,
    individuals,
    own_questions,
    panel_models,
    quality,
    ratings,
    rounds,
    sensitivity,
    songs,
    stimuli,
    trainings,
)
from analysis.results.result import Result, holm
from analysis.results.stimuli import Panel

ALIKE = "takes clips of one training as independent"


def evaluate(
    frame: pd.DataFrame,
    *,
    plan: AnalysisPlan | None = None,
    own: Sequence[own_questions.Asked] = (),
    later: Sequence[Mapping[str, Any]] | None = None,
) -> list[Result]:
    """Every figure of a report on `frame` (as of `responses.load`), p corrected by Holm.

    plan: what was settled before the data; None: nothing was. What it excludes counts in the family data
    quality and for single clips alone. Its primary test is corrected for no other. own: the study's own
    questions, as its settings have them. later: what came of kept clips, as `follow_up.attached` takes it.

    Families: data quality, detection, confidence, truth, backends, modes, epochs, sets, ratings, missing
    answers, agreement, mixed models, conditional modes, order, equivalence, sensitivity, model checks, clips;
    with several listeners also listeners, with several trainings of a cell also trainings, where clips were
    asked for in several ways also plans or strengths, where listeners said which songs could use clips also
    song choices and taken from clips, where a study asked questions of its own also own questions, and where
    there were next rounds also next rounds and rounds; all others are of the first round alone. Hidden
    repeats count only for their own consistency, and a stimulus of two sets counts once.
    """
    of_rounds, frame = rounds.records(frame), rounds.first(frame)
    every = sensitivity.with_consistency(stimuli.distinct(frame), frame, plan)
    first, left_out = sensitivity.apply(every, plan)
    panel = Panel.of(first)
    compared = comparisons.records(first, panel)
    main = {outcome: comparisons.against_originals(first, outcome) for outcome in comparisons.COMPARED}
    results = [
        *quality.records(frame),
        *sensitivity.excluded(every, first, left_out),
        *discrimination.records(first, panel, compared),
        *compared,
        *dose.records(first, panel),
        *songs.records(first, panel),
        *follow_up.records(first, panel, later),
        *own_questions.records(first, panel, own),
        *ratings.missing(first, panel),
        *groups.records(first),
        *agreement.records(first, panel),
        *panel_models.records(first, panel),
        *comparisons.equivalence(
            first, panel, accuracy=plan and plan.accuracy_bound, points=plan and plan.musicality_bound
        ),
        *sensitivity.records(every, plan, main),
        *checks.records(first, main),
    ]
    if not panel.single_listener:
        results += individuals.per_listener(first)
    elif trainings.repeated(first):
        results = [_alike(result) for result in results]
    results += of_rounds
    results += individuals.per_clip(stimuli.by_stimulus(frame), panel)
    return holm(results, primary=comparisons.primary(plan))


def _alike(result: Result) -> Result:
    """What one listener's results infer takes clips for independent that are of one training."""
    inferred = result.p is not None or result.low is not None
    knows = result.name.startswith((dose.WITHIN_TRAININGS, ratings.OF_TRAININGS))
    return result.noting(ALIKE) if inferred and not knows and result.family != ratings.MISSING else result
