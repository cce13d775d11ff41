"""The chart of a plan: power against listeners, a line per number of originals or of sources, its ceiling."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis import planning
from analysis.plots import theme
from analysis.plots.theme import WIDE

PURPLE = "#CC79A7"  # the last of Okabe and Ito's
COLOURS = (theme.VERMILION, theme.ORANGE, theme.GREEN, theme.SKY, theme.BLUE, PURPLE, theme.INK)
MARKS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right")
MOST_LINES = len(COLOURS)
HEIGHT = 280  # px
ASIDE = 40  # px for the ceilings' values at the right
APART = 0.052  # of power: closer, two values at the right would overlap


def power(table: pd.DataFrame, outcome: str, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Power against listeners for each number of clips (a panel each) and of originals (a line each), or of
    sources where backends are compared.

    `table`: as of `planning.power`. Dashed lines at the right end are the ceilings at endless listeners,
    with their values; the dotted line is the power that plans aim at. At most `MOST_LINES` numbers of
    originals are drawn: the first and the last, and others evenly between.
    """
    rows, kind = table[table["outcome"] == outcome], planning.kind_of(table)
    drawn = sorted(rows[kind].unique())
    if len(drawn) > MOST_LINES:
        drawn = [drawn[i] for i in np.linspace(0, len(drawn) - 1, MOST_LINES).round().astype(int)]
    rows = rows[rows[kind].isin(drawn)].assign(line=rows[kind].astype(str))
    sizes = sorted(rows["clips"].unique())
    columns = 1 if width < WIDE or len(sizes) == 1 else 2
    each = width // columns - 60 - ASIDE
    charts = [_panel(rows[rows["clips"] == size], kind, drawn, each, titled=len(sizes) > 1) for size in sizes]
    chart = charts[0] if len(charts) == 1 else alt.concat(*charts, columns=columns, spacing=18)
    return theme.finish(chart, f"Power for {outcome}: add listeners, or {kind}?", width)


def _panel(rows: pd.DataFrame, kind: str, drawn: list[int], width: int, *, titled: bool) -> alt.LayerChart:
    finite, ceilings = rows[np.isfinite(rows["listeners"])], rows[np.isinf(rows["listeners"])]
    ceilings = ceilings.drop(columns="listeners").assign(label=_apart(ceilings["power"]))
    names = [str(count) for count in drawn]
    colour = alt.Color(
        "line:N",
        scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])),
        legend=alt.Legend(title=kind),
    )
    shape = alt.Shape(
        "line:N",
        scale=alt.Scale(domain=names, range=list(MARKS[: len(names)])),
        legend=alt.Legend(title=kind),
    )
    counts = sorted({int(count) for count in finite["listeners"]})
    spacing = "log" if counts[-1] > 3 * counts[0] else "linear"
    scale = alt.Scale(type=spacing, domain=[counts[0] * 0.93, counts[-1] * 1.05], nice=False)
    axis = alt.Axis(
        values=counts, title="listeners", labelOverlap="greedy", labelSeparation=5, format="d", grid=False
    )
    x = alt.X("listeners:Q", scale=scale, axis=axis)
    y_axis = alt.Axis(format=".1f", values=[i / 5 for i in range(6)], title="power")
    y = alt.Y("power:Q", scale=alt.Scale(domain=[0, 1]), axis=y_axis)
    base = alt.Chart(finite).encode(x=x, y=y, color=colour)
    level = alt.Chart(ceilings).encode(color=colour)
    aim = alt.Chart(pd.DataFrame({"aim": [planning.TARGET]}))
    layers = [
        aim.mark_rule(color=theme.INK, strokeDash=[1, 3]).encode(y="aim:Q"),
        level.mark_rule(strokeDash=[6, 4], strokeWidth=1.2, opacity=0.75).encode(y="power:Q"),
        base.mark_line(strokeWidth=2),
        base.mark_point(filled=True, size=55, opacity=1).encode(shape=shape),
        level.mark_text(align="left", dx=5).encode(
            x=alt.value(width), y="label:Q", text=alt.Text("power:Q", format=".2f")
        ),
    ]
    clips = int(rows["clips"].iloc[0])
    title = {"title": theme.heading(f"{clips} clips", width)} if titled else {}
    return alt.layer(*layers).properties(width=width, height=HEIGHT, **title)


def _apart(values: pd.Series) -> pd.Series:
    """Heights for the values as text, which keep their order and do not overlap."""
    order = values.sort_values().index
    places = values[order].to_numpy(float).copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + APART)
    top = 1.0
    for i in range(len(places) - 1, -1, -1):
        places[i] = top = min(places[i], top)
        top -= APART
    return pd.Series(places, index=order)
