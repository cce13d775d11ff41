"""What a study's own questions brought: who listened, what was said of clips, and who told clips apart.

Answers before and after the clips are one for each listener and are counted. Answers on clips are crossed as
all others are, so means and shares of groups come from the models of `analysis.results.estimation`. A scale
and a number are taken as they are; of a choice with few options each option is a share of its own. Each has
one test, of machine-made clips less originals; together they are one family, corrected by Holm, and never
primary.

How well listeners with one answer told clips apart is described for these clips, without a test: the groups
were not drawn by lot, and there are as many such tables as questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis import formats as f
from analysis.results import comparisons, estimation, ratings
from analysis.results.outcomes import Outcome
from analysis.results.result import MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, Question, Result
from analysis.results.stimuli import Panel

LISTENERS = "own questions, listeners"
CLIPS = "own questions, clips"
ACCURACY = "own questions, accuracy"
GIVEN, MIDDLE, WORDS = "answer given", "median of answers", "answered in words"
MEAN, SHARE, DIFFERENCE = "own question, mean", "own question, share", "own question, difference"
BALANCED, RANKS = "balanced accuracy of listeners", "rank correlation with balanced accuracy"
DESCRIBED = (MEAN, SHARE)
EXPLORATORY = "exploratory: described for these clips, not tested"
FEW_OPTIONS = 4  # of a choice on clips; of more, shares would be many and small
LEAST_LISTENERS = 3  # of a group, for an interval of its mean
LEAST_RANKED = 8  # listeners, for a rank correlation
LISTED = "; "  # between several options in one cell

Asked = Mapping[str, Any]  # a table [[question]] of study.toml, as its settings have it


def column(question: Asked) -> str:
    """The column of the answers to a question."""
    return f"{question['ask']}_{question['name']}"


def there(frame: pd.DataFrame, questions: Sequence[Asked], ask: str) -> list[Asked]:
    """The questions of one page that the table has answers to."""
    mine = [one for one in questions if one["ask"] == ask and column(one) in frame]
    return [one for one in mine if frame[column(one)].notna().any()]


def records(first: pd.DataFrame, panel: Panel, questions: Sequence[Asked]) -> list[Result]:
    """Every figure on own questions. first: answers as of `stimuli.distinct`."""
    people = _people(first)
    results = of_listeners(first, questions)
    for question in there(first, questions, "clip"):
        for label, outcome in outcomes(first, question):
            results += _on_clips(first, label, outcome, panel)
    asked_before = there(first, questions, "before")
    balanced = balanced_accuracy(first) if asked_before else pd.Series(dtype=float)
    for question in asked_before:
        results += _accuracy(people[column(question)], balanced, question)
    return results


def of_listeners(frame: pd.DataFrame, questions: Sequence[Asked]) -> list[Result]:
    """What listeners answered before and at the end, counted. frame: answers to clips or to pairs."""
    people = _people(frame)
    return [
        result
        for ask in ("before", "end")
        for question in there(frame, questions, ask)
        for result in _counted(people[column(question)], question)
    ]


def _people(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per listener."""
    return frame.drop_duplicates("listener").set_index("listener")


def outcomes(first: pd.DataFrame, question: Asked) -> list[tuple[str, Outcome]]:
    """What a question on clips is estimated by: its scale or number, or each option of a few; () of words."""
    kind, name, where = question["kind"], question["name"], column(question)
    if kind == "scale":
        return [(name, Outcome(MEAN, where, low=float(question["low"]), high=float(question["high"])))]
    if kind == "number":
        ends = [question.get("min"), question.get("max")]
        low = -np.inf if ends[0] is None else float(ends[0])
        high = np.inf if ends[1] is None else float(ends[1])
        return [(name, Outcome(MEAN, where, low=low, high=high))]
    options = question["options"] if kind in ("choice", "choices") else []
    if len(options) > FEW_OPTIONS:
        return []
    if kind == "choice" and len(options) == 2:
        options = options[:1]  # the other one's share is what is left
    several = kind == "choices"
    return [(f"{name}: {option}", Outcome(SHARE, where, _names(option, several))) for option in options]


def _names(option: str, several: bool) -> Callable[[object], float | None]:
    """Whether a cell names an option: 1 or 0; nothing where nothing was answered."""

    def names(cell: object) -> float | None:
        if not isinstance(cell, str):
            return None
        return float(option in cell.split(LISTED) if several else option == cell)

    return names


def _counted(answers: pd.Series, question: Asked) -> list[Result]:
    """How many listeners gave each answer, or the median and quartiles of a number or a scale."""
    given, where = answers.dropna(), column(question)
    about = {"n": len(given), "notes": _unanswered(answers)}
    if question["kind"] in ("number", "scale"):
        values = pd.to_numeric(given, errors="coerce").dropna()
        if values.empty:
            return []
        quartiles = values.quantile(0.25), values.quantile(0.75)
        asked = Question(LISTENERS, MIDDLE, where, "listener", "median and quartiles")
        return [asked.result(values.median(), quartiles, **about)]
    if question["kind"] == "text":
        return [Question(LISTENERS, WORDS, where, "listener", "count").result(float(len(given)), **about)]
    results = []
    for option in question["options"]:
        named = _names(option, question["kind"] == "choices")
        count = int(sum(named(cell) or 0 for cell in given))
        asked = Question(LISTENERS, GIVEN, f"{where}: {option}", "listener", "share of listeners")
        results.append(asked.result(count / len(given), of=(count, len(given)), **about))
    return results


def _unanswered(answers: pd.Series) -> tuple[str, ...]:
    missing = int(answers.isna().sum())
    return (f"{f.plural(missing, 'listener')} gave no answer",) if missing else ()


def _on_clips(first: pd.DataFrame, label: str, outcome: Outcome, panel: Panel) -> list[Result]:
    """The mean or share of every group, and the difference of machine-made clips and originals."""
    labels = first["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    results = []
    for kind in comparisons.kinds(first):
        names = [*kind.names, *([ORIGINALS] if kind.family == comparisons.TRUTH else [])]
        for name in names:
            part = first[kind.labels == name]
            if kind.family in (comparisons.TRUTH, comparisons.BACKENDS, comparisons.MODES) and len(part):
                question = Question(CLIPS, outcome.name, f"{label} | {name}", panel.unit)
                results.append(ratings.mean(part, outcome, question, panel))
    question = Question(CLIPS, DIFFERENCE, f"{label}: {MACHINE_LESS_ORIGINALS}", panel.unit)
    if few := comparisons.too_few_clips(first, labels, outcome, panel):
        return [*results, question.refuse("; ".join(few.values()))]
    estimate = estimation.contrasts(first, outcome, labels, [(MACHINE, ORIGINALS)])[0]
    few = comparisons.few_originals(first, (MACHINE, ORIGINALS))
    return [*results, ratings.as_result(question, estimate, panel, few)]


def balanced_accuracy(first: pd.DataFrame) -> pd.Series:
    """Of each listener: the mean of the shares of machine-made clips and of originals judged right.

    Whoever says "fake" of everything scores one half. NaN of a listener who did not judge both kinds.
    """
    right = (first["verdict"] == first["truth"]).groupby([first["listener"], first["truth"]]).mean()
    shares = right.unstack("truth").reindex(columns=["fake", "real"])
    return shares.mean(axis=1, skipna=False)


def _accuracy(answers: pd.Series, balanced: pd.Series, question: Asked) -> list[Result]:
    """How well listeners told clips apart, by what they had answered before."""
    where, accuracy = column(question), balanced.reindex(answers.index)
    if question["kind"] == "text" or not len(answers):
        return []
    if question["kind"] in ("number", "scale"):
        return [_ranked(pd.to_numeric(answers, errors="coerce"), accuracy, where)]
    results = []
    for option in question["options"]:
        named = _names(option, question["kind"] == "choices")
        chosen = [named(cell) == 1 for cell in answers]
        values = accuracy[chosen].dropna()
        asked = Question(
            ACCURACY, BALANCED, f"{where}: {option}", "listener, these clips", "mean, t interval"
        )
        if len(values):
            low, high, notes = _t_interval(values)
            results.append(
                asked.result(values.mean(), (low, high), n=len(values), notes=(*notes, EXPLORATORY))
            )
    return results


def _t_interval(values: pd.Series) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Of the mean of listeners, within 0 and 1; none of too few or of equal ones."""
    if len(values) < LEAST_LISTENERS:
        return None, None, (f"no interval: fewer than {LEAST_LISTENERS} listeners",)
    reach = stats.t.ppf(0.975, len(values) - 1) * values.sem()
    if reach == 0:
        return None, None, ("no interval: all are the same",)
    return max(0.0, values.mean() - reach), min(1.0, values.mean() + reach), ()


def _ranked(values: pd.Series, accuracy: pd.Series, where: str) -> Result:
    """Spearman's rank correlation, with the interval of Bonett and Wright (2000), Psychometrika 65:23-28."""
    asked = Question(
        ACCURACY, RANKS, where, "listener, these clips", "Spearman's rho, Bonett-Wright interval"
    )
    both = pd.DataFrame({"value": values, "accuracy": accuracy}).astype(float).dropna()
    if len(both) < LEAST_RANKED:
        return asked.refuse(f"{f.plural(len(both), 'listener')}; at least {LEAST_RANKED} are needed")
    if (both.nunique() < 2).any():
        return asked.refuse("all listeners are alike in one of the two")
    rho = both["value"].rank().corr(both["accuracy"].rank())
    if abs(rho) > 1 - 1e-12:
        return asked.result(rho, n=len(both), notes=("no interval: the ranks agree wholly", EXPLORATORY))
    reach = stats.norm.isf(0.025) * np.sqrt((1 + rho**2 / 2) / (len(both) - 3))
    ends = np.tanh(np.arctanh(rho) + np.array([-reach, reach]))
    return asked.result(rho, (ends[0], ends[1]), n=len(both), notes=(EXPLORATORY,))
