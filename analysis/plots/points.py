"""Points with their intervals, in parts one above the other: the form that several charts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE

ROW = 30  # px a point takes
NAMES, ASIDE = {True: (170, 300), False: (110, 130)}, {True: 100, False: 74}  # px, by whether it is wide
COLUMNS = ["part", "group", "value", "low", "high", "text"]


@dataclass(frozen=True)
class Scale:
    """The axis of a part, from `low` to `high`; shares are written in per cent."""

    title: str
    low: float = 0.0
    high: float = 1.0
    share: bool = True


def stacked(
    table: pd.DataFrame,
    scales: Mapping[str, Scale],
    title: str,
    *,
    colours: Mapping[str, str] | None = None,
    width: int = WIDE,
) -> alt.TopLevelMixin:
    """Draw a part for each value of `part`, under its name, with a point for each group.

    table: with `COLUMNS`; low and high may be missing, as of a mean without an interval. scales: of each
    part; those that follow each other with the same one share the axis below the last. colours: of groups,
    blue where none is named.
    """
    wide, size = width > theme.NARROW, theme.letters(width)
    room, axis = theme.names_axis(
        table["group"], *NAMES[wide], size=size, ticks=False, domain=False, labelPadding=10
    )
    groups = list(dict.fromkeys(table["group"]))
    shown = [(colours or {}).get(group, theme.BLUE) for group in groups]
    colour = alt.Color("group:N", legend=None, scale=alt.Scale(domain=groups, range=shown))
    inner, names = width - room - ASIDE[wide] - 30, list(dict.fromkeys(table["part"]))
    heads = theme.shortened(names, lambda form: theme.text_width(form, size + 1) <= width - 20)
    parts = []
    for name, after in zip(names, [*names[1:], None], strict=True):
        part, scale = table[table["part"] == name], scales[name]
        y = alt.Y("group:N", sort=list(dict.fromkeys(part["group"])), title=None, axis=axis)
        last = after is None or scales[after] != scale
        ends = alt.Scale(domain=[scale.low, scale.high], nice=False)
        x = alt.X("low:Q", scale=ends, axis=_axis(scale, last))
        base = alt.Chart(part).encode(y=y, color=colour)
        layers = [
            base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
            base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", scale=ends)),
            alt.Chart(part)
            .mark_text(align="left", color=theme.INK)
            .encode(y=y, x=alt.value(inner + 8), text="text:N"),
        ]
        sized = alt.layer(*layers).properties(width=inner, height=ROW * part["group"].nunique())
        parts.append(sized.properties(title=theme.heading(heads[name], width)))
    return theme.finish(alt.vconcat(*parts, spacing=14), title, width)


def _axis(scale: Scale, last: bool) -> alt.Axis:
    if not last:
        return alt.Axis(labels=False, ticks=False, title=None, domain=False, tickCount=5)
    return alt.Axis(tickCount=5, title=scale.title, **({"format": "%"} if scale.share else {}))
