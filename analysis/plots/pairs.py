"""Charts of the paired task: right answers by group, and how often groups are chosen over each other."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import pairs
from analysis.results.result import ALL, Result

ROW = 34  # px a row takes
NAMES = {True: (130, 320), False: (100, 150)}  # is it wide: bounds of the px for the names of the rows
ASIDE = {True: 70, False: 56}  # is it wide: px for the text at the right
PAPER = 1 - 0.378  # right answers in the paired test of the published model


def rows_of(results: Iterable[Result], family: str, name: str) -> pd.DataFrame:
    """A row for each result of a name in a family, or in one that is that family by groups.

    Columns: label, value, low, high, text.
    """
    rows = [
        (
            "all pairs" if r.group == ALL else f"{r.group} ({r.family.rpartition('by ')[2]})",
            r.estimate,
            r.estimate if r.low is None else r.low,
            r.estimate if r.high is None else r.high,
            f"{r.count}/{r.total}" if r.total else "",
        )
        for r in results
        if r.name == name and r.family.startswith(family) and r.estimate is not None
    ]
    return pd.DataFrame(rows, columns=["label", "value", "low", "high", "text"])


def right(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """The share of right answers in all pairs and by groups; the dashed line is guessing, the dotted one the
    published model's test."""
    table = rows_of(results, pairs.WHICH, pairs.RIGHT)
    lines = [_line(0.5, [5, 4]), _line(PAPER, [1, 3])]
    return _shares(table, lines, "right answers", "Which of the two is real?", width)


def preferred(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """How often clips of each group are chosen over those of each other one; the dashed line is no
    preference."""
    table = rows_of(results, pairs.MORE, pairs.SHARE)
    return _shares(table, [_line(0.5, [5, 4])], "share of choices", "Which of the two inspires more?", width)


def _line(at: float, dash: list[int]) -> alt.Chart:
    mark = alt.Chart(pd.DataFrame({"value": [at]})).mark_rule(strokeDash=dash, color=theme.INK)
    return mark.encode(x="value:Q")


def _shares(
    table: pd.DataFrame, lines: list[alt.Chart], measure: str, title: str, width: int
) -> alt.TopLevelMixin:
    """A point with its interval in each row."""
    wide = width > theme.NARROW
    plain = {"ticks": False, "domain": False, "labelPadding": 10}
    names, axis = theme.names_axis(table["label"], *NAMES[wide], size=theme.letters(width), **plain)
    inner = width - names - ASIDE[wide] - 30
    x = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5, title=measure))
    base = alt.Chart(table).encode(
        y=alt.Y("label:N", sort=list(dict.fromkeys(table["label"])), title=None, axis=axis)
    )
    layers = [
        *lines,
        base.mark_rule(strokeWidth=2, color=theme.BLUE).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1, color=theme.BLUE).encode(x="value:Q"),
        base.mark_text(align="left").encode(x=alt.value(inner + 8), text="text:N"),
    ]
    chart = alt.layer(*layers).properties(width=inner, height=ROW * table["label"].nunique())
    return theme.finish(chart, title, width)
