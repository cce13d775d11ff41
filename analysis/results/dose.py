"""Does it get better with training? Results over epoch counts, within one backend and mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis import conditions
from analysis.results import stimuli, trainings
from analysis.results.result import CHECK, Question, Result
from analysis.results.stimuli import LEAST_LEVELS, Panel
from analysis.tests import permutation

FAMILY = "epochs"
TREND = "trend over epochs"  # followed by the outcome
WITHIN = "trend within sources"  # followed by the outcome
WITHIN_TRAININGS = "trend within trainings"  # in its place where cells have several trainings
MIN_BLOCKS = 2
MIN_ANSWERS_PER_LEVEL = 2
OUTCOMES = (("musicality", "musicality", "rated"), ("fooling", "judged_real", "answers"))
PAGE = "Page's test on clip means, permutation within {}, two-sided"
UNREACHABLE = "no order of these values could reach p < .05"
OVER_CLIPS = "speaks of more clips of this kind, heard by the same listeners"
METHOD = "Jonckheere-Terpstra on clip means, permutation of clips, two-sided"


def records(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Trend of musicality and of the fooling rate over epochs by permutation; the reason where there is none.

    Within a backend and mode only: unconditional generation and variation are two tasks, and an epoch of one
    system is not an epoch of another. A level that rests on a single answer is left out: one answer to one
    clip says nothing of its epoch count. With several listeners these are checks of `panel_models`. `first`:
    as of `stimuli.distinct`.
    """
    clips = conditions.with_epochs(stimuli.by_stimulus(first))
    check = "" if panel.single_listener else CHECK
    if clips.empty:
        return [
            Question(FAMILY, f"{TREND}: {outcome}{check}", unit=panel.unit, method=METHOD).refuse(
                "no machine-made clip has a stated epoch count"
            )
            for outcome, *_ in OUTCOMES
        ]
    results = []
    for (backend, mode), part in clips.groupby(["backend", "mode"], sort=True):
        answers = first[(first["backend"] == backend) & (first["mode"] == mode)]
        apart, group = sources_apart(answers), f"{backend} {mode}"
        for outcome in OUTCOMES:
            question = Question(FAMILY, f"{TREND}: {outcome[0]}{check}", group, panel.unit, METHOD)
            result = _trend(part, question, outcome, panel)
            results.append(result if result.refused else result.noting(apart))
        results += [_within(part, _blocks(answers), group, outcome, panel) for outcome in OUTCOMES]
    return results


def _blocks(frame: pd.DataFrame) -> pd.Series:
    """What each clip was made from, by set and name; empty where the table does not say.

    Its training where cells have several of them that go through epoch counts, else its source.
    """
    if trainings.repeated(frame):
        known = frame.assign(training=trainings.labels(frame)).dropna(subset=["training"])
        if (known.groupby("training")["epochs"].nunique() > 1).any():
            return known.groupby(["set", "name"])["training"].first()
    if "source" not in frame:
        return pd.Series(dtype=object, name="source")
    return frame.dropna(subset=["source"]).groupby(["set", "name"])["source"].first()


def _within(
    part: pd.DataFrame, made_from: pd.Series, group: str, outcome: tuple[str, str, str], panel: Panel
) -> Result:
    """Page's test with sources or trainings as blocks: only those with a clip of every epoch count.

    Listeners are no blocks: they heard the same clips, and those may differ in more than their epochs.
    """
    name, column, _ = outcome
    test_name = WITHIN_TRAININGS if made_from.name == "training" else WITHIN
    kind = test_name.rpartition(" ")[2]
    question = Question(FAMILY, f"{test_name}: {name}{CHECK}", group, panel.unit, PAGE.format(kind))
    if made_from.empty:
        return question.refuse("the table does not say what the clips were made from")
    block = made_from.reindex(pd.MultiIndex.from_frame(part[["set", "name"]])).to_numpy()
    stated = part.assign(block=block).dropna(subset=["block", "epochs", column])
    table = stated.pivot_table(index="block", columns="epochs", values=column, aggfunc="mean")
    blocks = table.dropna()
    if table.shape[1] < LEAST_LEVELS or len(blocks) < MIN_BLOCKS:
        return question.refuse(
            f"{len(blocks)} of {len(table)} {kind} have a clip of every epoch count ({table.shape[1]}); "
            f"the test needs {MIN_BLOCKS} complete ones and {LEAST_LEVELS} epoch counts"
        )
    test = permutation.page(blocks.to_numpy(dtype=float))
    if test.smallest_p >= 0.05:
        return question.refuse(f"{UNREACHABLE} (smallest attainable p {test.smallest_p:.2g})")
    columns, rows = blocks.columns.astype(float), blocks.to_numpy(float)
    rho = [stats.spearmanr(columns, row).statistic if np.ptp(row) else 0.0 for row in rows]
    method = f"estimate: mean of Spearman's rho; p: {question.method} (L = {test.statistic:g})"
    question = replace(question, method=method)
    return question.result(float(np.mean(rho)), None, test.p, n=blocks.size, notes=(OVER_CLIPS,))


def _trend(part: pd.DataFrame, question: Question, outcome: tuple[str, str, str], panel: Panel) -> Result:
    _, column, answers = outcome
    stated = part.dropna(subset=["epochs", column])
    sizes = stated.groupby("epochs")[answers].sum()
    enough = stated[stated["epochs"].isin(sizes.index[sizes >= MIN_ANSWERS_PER_LEVEL])]
    levels, unstated = enough["epochs"].nunique(), int(part["epochs"].isna().sum())
    aside = f"epochs are not stated for {unstated} of {len(part)} clips" if unstated else ""
    if levels < LEAST_LEVELS:
        why = (
            f"{levels} of {len(sizes)} epoch count{'s' * (len(sizes) != 1)} rest{'s' * (len(sizes) == 1)} "
            f"on at least {MIN_ANSWERS_PER_LEVEL} answers; a trend needs {LEAST_LEVELS}"
        )
        return question.refuse("; ".join(filter(None, (why, aside))))
    test = permutation.trend(enough["epochs"].astype(float), enough[column])
    if test.smallest_p >= 0.05:
        why = f"{UNREACHABLE} (smallest attainable p {test.smallest_p:.2g})"
        return question.refuse("; ".join(filter(None, (why, aside))))
    how = "all arrangements" if test.exact else f"{permutation.EXACT_LIMIT} drawn arrangements"
    method = f"estimate: Spearman's rho; p: {METHOD}, {how} (J = {test.statistic:g})"
    question = replace(question, method=method)
    reach = panel.reach if panel.single_listener else OVER_CLIPS
    return question.result(test.rho, None, test.p, n=len(enough), notes=(reach, aside))


def sources_apart(table: pd.DataFrame) -> str:
    """A warning where not every source has clips of every epoch count: a trend may then be of the sources.

    table: answers of one backend and mode. Empty where each has, and where the table names no sources.
    """
    if "source" not in table:
        return ""
    stated = table.dropna(subset=["epochs", "source"])
    made_from = stated.groupby("epochs")["source"].agg(lambda names: tuple(sorted(set(names))))
    if made_from.nunique() < 2:
        return ""
    text = "; ".join(f"{int(epochs)}: {', '.join(names)}" for epochs, names in made_from.items())
    return f"epoch counts are of different sources ({text}), so the trend may be theirs"
