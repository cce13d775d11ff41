"""Next rounds in a report: a table of their clips, a sentence on what their rule gained, and the methods."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis import conditions
from analysis import formats as f
from analysis.results import rounds
from analysis.results.outcomes import INSPIRED, KEPT
from analysis.results.result import Result, find
from analysis.table import ReportTable

_SHOWN = ("listener", "round", "set", "name", "truth", "drawn", "backend", "mode", "epochs")
_SAID = ("verdict", "musicality", "inspiring", "kept", "comment")


def tables(answers: pd.DataFrame) -> list[ReportTable]:
    """The clips of next rounds and what was said of them; [] where there is none. answers: of all rounds."""
    if not rounds.later(answers):
        return []
    shown = [*_SHOWN, *conditions.COLUMNS.values(), *_SAID]
    part = answers.loc[answers["round"] > 1, [column for column in shown if column in answers]]
    part = part.sort_values(["listener", "round"], kind="stable").rename(columns={"name": "clip"})
    return [ReportTable("next_rounds", "Clips of next rounds", part.reset_index(drop=True))]


def sentences(results: Iterable[Result]) -> list[str]:
    """What the rule of next rounds gained, where there was one."""
    results = list(results)
    for outcome in (INSPIRED, KEPT):
        means = [find(results, rounds.RULE, outcome.mean, group) for group in (rounds.SAMPLED, rounds.FRESH)]
        if None in means or any(mean.estimate is None for mean in means):
            continue
        gained = find(results, rounds.RULE, outcome.difference, rounds.SAMPLED_LESS_FRESH)
        said = "inspired (yes or maybe)" if outcome is INSPIRED else "were kept"
        shares = [f"{f.number(100 * mean.estimate, 0)} %" for mean in means]
        line = f"In next rounds {shares[0]} of the clips chosen by earlier answers {said}, "
        line += f"and {shares[1]} of those drawn evenly"
        if gained is None or gained.low is None:
            return [f"{line}: too few to tell a difference."]
        ends = [f"{f.number(100 * end, 0)}" for end in (gained.low, gained.high)]
        line += f": a difference of {ends[0]} to {ends[1]} points (95 % interval)"
        return [f"{line}, which chance may explain." if gained.low <= 0 <= gained.high else f"{line}."]
    return []


def methods(results: Iterable[Result]) -> list[str]:
    """How next rounds were chosen and what that does to inference; [] where there was none."""
    if not any(result.family == rounds.RULE for result in results):
        return []
    return [
        "Listeners who had finished got next rounds, whose clips were chosen by what they had kept and "
        "called inspiring: Thompson sampling over the settings that clips were made with, beside a share of "
        "clips whose settings were drawn evenly, whatever was answered. All results but those on next rounds "
        "are of the first round alone, as clips that are chosen by answers are no sample like it: settings "
        "that were liked by chance come again, and are then liked less (regression to the mean), so neither "
        "next rounds by themselves nor their difference from the first show what the rule does. That is "
        "shown by sampled clips less fresh ones within the next rounds, which were heard by the same "
        "listeners at the same time. It speaks of these listeners' own rounds: each had other clips."
    ]
