"""Do listeners agree? Krippendorff's alpha for verdicts (nominal) and musicality (ordinal)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.result import Question, Result, number
from analysis.results.stimuli import Panel

FAMILY = "agreement"
MIN_LISTENERS = 3


def alpha(table: np.ndarray, *, ordinal: bool) -> float:
    """Krippendorff's alpha: 1 is agreement, 0 is chance; NaN where no unit has two raters or nothing varies.

    `table` [raters, units], NaN where missing. Krippendorff (2019), Content Analysis, 4th ed., chapter 12:
    observed over expected disagreement from the coincidence matrix, with the nominal or the ordinal metric.
    """
    table = np.asarray(table, dtype=float)
    values = np.unique(table[np.isfinite(table)])
    counts = np.stack([(table == value).sum(axis=0) for value in values]) if len(values) else np.zeros((0, 0))
    counts = counts[:, counts.sum(axis=0) >= 2] if counts.size else counts
    if not counts.size:
        return float("nan")
    weights = 1 / (counts.sum(axis=0) - 1)
    coincidences = (counts * weights) @ counts.T - np.diag((counts * weights).sum(axis=1))
    totals = coincidences.sum(axis=1)
    if ordinal:
        middle = np.cumsum(totals) - totals / 2  # the square of the ranks between two values
        distance = (middle[:, None] - middle[None, :]) ** 2
    else:
        distance = 1.0 - np.eye(len(values))
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return float("nan") if expected == 0 else float(1 - (coincidences * distance).sum() / expected)


def records(frame: pd.DataFrame, panel: Panel) -> list[Result]:
    """Alpha of verdicts and of musicality, or why there is none. `frame`: as of `stimuli.distinct`."""
    results = []
    coded = frame.assign(judged=(frame["verdict"] == "fake").astype(float))
    for column, name, ordinal in (
        ("judged", "agreement on the verdict", False),
        ("musicality", "agreement on musicality", True),
    ):
        method = f"Krippendorff's alpha, {'ordinal' if ordinal else 'nominal'}"
        question = Question(FAMILY, name, unit="pair of listeners on a clip", method=method)
        if panel.listeners < MIN_LISTENERS:
            who = "one listener" if panel.single_listener else f"{panel.listeners} listeners"
            results.append(question.refuse(f"undefined for {who}; at least {MIN_LISTENERS} are needed"))
            continue
        table = coded.pivot(index="listener", columns="clip", values=column)
        value = number(alpha(table.to_numpy(dtype=float), ordinal=ordinal))
        if value is None:
            results.append(question.refuse("undefined: the answers do not vary"))
            continue
        note = "0 is chance, 1 is full agreement"
        results.append(question.result(value, n=table.shape[1], notes=(note,)))
    return results
