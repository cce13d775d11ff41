"""Next rounds of a listener: what their rule gains, and how answers differ from round to round.

Clips of next rounds were chosen by the answers to earlier ones, so they are no sample like those of the first
round: all else in a report is of the first round alone. Two things are asked here, of machine-made clips. The
honest test of "more like these" is within the next rounds: sampled clips less fresh ones, as both were made
for the same listener at the same time and only the draw decided which settings were drawn evenly. The
difference from the first round is described beside it, and is no effect of the rule: what was liked once is
liked less again (regression to the mean), and listeners tire or warm to a task.
"""

from __future__ import annotations

import pandas as pd

from analysis.results import comparisons, estimation, ratings, stimuli
from analysis.results.outcomes import INSPIRED, KEPT, MUSICALITY, Outcome
from analysis.results.result import Question, Result
from analysis.results.stimuli import Panel

RULE, ROUNDS = "next rounds", "rounds"  # families
SAMPLED, FRESH = "sampled", "fresh"
SAMPLED_LESS_FRESH = f"{SAMPLED} less {FRESH}"
ASKED = (INSPIRED, KEPT, MUSICALITY)
ADAPTIVE = "no effect of the rule: what was liked once is liked less again, and listeners change"
POOLED = "all next rounds together; each has the same share of fresh clips"


def later(frame: pd.DataFrame) -> bool:
    """Whether any listener had a next round."""
    return "round" in frame and bool((frame["round"].fillna(1) > 1).any())


def first(frame: pd.DataFrame) -> pd.DataFrame:
    """The answers of first rounds, the frame itself where there are no others."""
    return frame[frame["round"].fillna(1) == 1].reset_index(drop=True) if later(frame) else frame


def records(frame: pd.DataFrame) -> list[Result]:
    """What next rounds tell; nothing where there is none. frame: all answers, as of `responses.load`."""
    if not later(frame):
        return []
    with_rounds = set(frame.loc[frame["round"] > 1, "listener"])
    mine = frame[frame["listener"].isin(with_rounds)].reset_index(drop=True)
    made = stimuli.distinct(mine)
    made = made[made["truth"] == "fake"]
    panel, numbers = Panel.of(made), made["round"].fillna(1).astype(int)
    drawn = made["drawn"].where(numbers > 1) if "drawn" in made else pd.Series(None, index=made.index)
    of_round = "round " + numbers.astype(str)
    pairs = [(f"round {number}", "round 1") for number in sorted(set(numbers)) if number > 1]
    results = []
    for outcome in ASKED:
        if not outcome.values(made).notna().any():
            continue
        for labels, family in ((drawn, RULE), (of_round, ROUNDS)):
            for group in sorted(set(labels.dropna()), key=lambda name: (len(name), name)):
                question = Question(family, outcome.mean, group, panel.unit)
                results.append(ratings.mean(made[labels == group], outcome, question, panel))
        results += _differences(made, outcome, drawn, [(SAMPLED, FRESH)], RULE, panel, POOLED)
        results += _differences(made, outcome, of_round, pairs, ROUNDS, panel, ADAPTIVE)
    return results


def _differences(
    made: pd.DataFrame,
    outcome: Outcome,
    labels: pd.Series,
    pairs: list[tuple[str, str]],
    family: str,
    panel: Panel,
    note: str,
) -> list[Result]:
    few = comparisons.too_few_clips(made, labels, outcome, panel)
    results = []
    for pair, estimate in zip(pairs, estimation.contrasts(made, outcome, labels, pairs), strict=True):
        question = Question(family, outcome.difference, " less ".join(pair), panel.unit)
        poor = [few[name] for name in pair if name in few]
        if poor:
            results.append(question.refuse("; ".join(poor)))
        else:
            results.append(ratings.as_result(question, estimate, panel, note))
    return results
