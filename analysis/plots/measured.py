"""Charts that set what clips measured against how they were judged."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import measured
from analysis.results.measured import COPYING, LIKENESS, ClipMeasures

PANELS = {LIKENESS: "Frechet distance, 0.13 s (log scale)", COPYING: "share of windows copied"}
TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
LEAST = 0.01  # of a distance, on its logarithmic axis
ROW = 28  # px a group takes
NAMES = {True: (110, 300), False: (90, 140)}  # is it wide: bounds of the px for the names of the groups
LABEL = 0.2  # of the axis: the room that an anchor's name takes
SHAPES = ["circle", "square", "triangle-up", "cross", "diamond"]


def verdicts(measures: ClipMeasures, *, one: bool, width: int = WIDE) -> alt.TopLevelMixin:
    """Likeness and copying of every machine-made clip against the share of listeners who judged it real.

    one: there is one listener, so that a clip is judged real or not. Dashed lines are the anchors.
    """
    parts = []
    for name in PANELS:
        points = _apart(
            measures.clips.assign(x=_shown(measures.clips[name], name)).dropna(subset=["x"]), name
        )
        values = [0, 1] if one else [0, 0.25, 0.5, 0.75, 1]
        label = "datum.value > 0.5 ? 'judged real' : 'judged fake'" if one else "format(datum.value, '.0%')"
        options = {
            "labelExpr": label,
            "title": None if one else "judged real",
            "ticks": False,
            "domain": False,
        }
        if width > theme.NARROW and name != LIKENESS:
            options = {"labels": False, "ticks": False, "domain": False, "title": None}
        axis = alt.Axis(values=values, labelPadding=8, minExtent=0, **options)
        mark = (
            alt.Chart(points)
            .mark_point(size=75, filled=True, opacity=0.85, stroke=theme.INK, strokeWidth=0.6)
            .encode(
                x=_axis(measures, name),
                y=alt.Y("y:Q", scale=alt.Scale(domain=[-0.12, 1.12], nice=False), axis=axis),
                **_made(measures),
            )
        )
        parts.append(alt.layer(*_anchors(measures, name), mark).properties(width=_inner(width), height=190))
    title = "Measured, and how it was judged"
    return theme.finish(_beside(parts, width), title, width)


def groups(measures: ClipMeasures, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Likeness and copying of every machine-made clip by all that they differ in, with the median (bar)."""
    table = measured.groups(measures)
    plain = {"ticks": False, "domain": False, "labelPadding": 10}
    wide = width > theme.NARROW
    names, axis = theme.names_axis(table["group"], *NAMES[wide], size=theme.letters(width), **plain)
    parts = []
    for name in PANELS:
        rows, kinds = [], list(dict.fromkeys(table["kind"]))
        named = not wide or name == LIKENESS
        for kind in kinds:
            part = table[table["kind"] == kind].assign(x=lambda part, name=name: _shown(part[name], name))
            part = _laned(part.dropna(subset=["x"]))
            medians = part.groupby("group", sort=False)["x"].median().reset_index()
            y = alt.Y(
                "group:N", sort=list(dict.fromkeys(part["group"])), title=None, axis=axis if named else None
            )
            x = _axis(measures, name, silent=kind != kinds[-1])
            lane = alt.YOffset("lane:Q", scale=alt.Scale(domain=[-4, 4]))
            dots = alt.Chart(part).mark_circle(
                size=42, opacity=0.6, color=theme.SKY, stroke=theme.BLUE, strokeWidth=1
            )
            ticks = alt.Chart(medians).mark_tick(
                thickness=3, size=ROW - 6, color=theme.INK, orient="vertical"
            )
            layers = [
                *_anchors(measures, name, named=kind == kinds[0]),
                dots.encode(x=x, y=y, yOffset=lane),
                ticks.encode(x="x:Q", y=y),
            ]
            size = {"width": _inner(width, names), "height": ROW * part["group"].nunique()}
            rows.append(alt.layer(*layers).properties(**size))
        parts.append(alt.vconcat(*rows, spacing=10))
    return theme.finish(_beside(parts, width), "Measured, by backend, mode and epochs", width)


def _beside(parts: list, width: int) -> alt.TopLevelMixin:
    if width > theme.NARROW:
        return alt.hconcat(*parts, spacing=24)
    return alt.vconcat(*parts, spacing=24)


def _inner(width: int, names: int = 90) -> int:
    """Px for the axis of x in each of the two panels; beside each other they share the axis at the left."""
    return (width - names - 56) // 2 if width > theme.NARROW else width - names - 40


def _shown(values: pd.Series, name: str) -> pd.Series:
    return values.clip(lower=LEAST) if name == LIKENESS else values


def _axis(measures: ClipMeasures, name: str, *, silent: bool = False) -> alt.X:
    low, high = _domain(measures, name)
    if name == LIKENESS:
        scale = alt.Scale(type="log", domain=[low, high], nice=False)
        ticks = {"values": [tick for tick in TICKS if low <= tick <= high], "format": "~g"}
    else:
        scale = alt.Scale(domain=[low, high], nice=False)
        ticks = {"values": [0, 0.25, 0.5, 0.75, 1], "format": "%"}
    silence = {"labels": False, "ticks": False, "domain": False, "title": None}
    return alt.X(
        "x:Q", scale=scale, axis=alt.Axis(**ticks, **(silence if silent else {"title": PANELS[name]}))
    )


def _made(measures: ClipMeasures) -> dict:
    """Colour by mode, and shape by backend where there are several."""
    encodings = {"color": alt.Color("mode:N", scale=theme.MODE_COLOURS, title=None)}
    backends = sorted(measures.clips["backend"].unique())
    if len(backends) > 1:
        scale = alt.Scale(
            domain=backends, range=[SHAPES[place % len(SHAPES)] for place in range(len(backends))]
        )
        encodings["shape"] = alt.Shape("backend:N", scale=scale, title=None)
    return encodings


def _anchors(measures: ClipMeasures, name: str, *, named: bool = True) -> list[alt.Chart]:
    """A dashed line per anchor and source, with its name above."""
    lines = measures.anchors[["anchor", name]].dropna().rename(columns={name: "x"})
    if lines.empty:
        return []
    lines["x"] = _shown(lines["x"], name)
    rules = alt.Chart(lines).mark_rule(strokeDash=[5, 4], color=theme.INK, opacity=0.7).encode(x="x:Q")
    labels = _labels(measures, lines, name)
    text = alt.Chart(labels).mark_text(baseline="bottom")
    return [rules, text.encode(x="x:Q", y=alt.value(-4), text="anchor:N")] if named else [rules]


def _labels(measures: ClipMeasures, lines: pd.DataFrame, name: str) -> pd.DataFrame:
    """The names of the lines and their places; lines whose names would overlap share one."""
    low, high = _domain(measures, name)
    low, high = (math.log(low), math.log(high)) if name == LIKENESS else (low, high)
    place = (lines["x"].map(math.log) if name == LIKENESS else lines["x"]).sub(low) / (high - low)
    together = (place.sort_values().diff() > LABEL).cumsum()
    rows = []
    for _, members in lines.groupby(together):
        middle = low + place[members.index].mean() * (high - low)
        rows.append(
            {
                "anchor": ", ".join(dict.fromkeys(members["anchor"])),
                "x": math.exp(middle) if name == LIKENESS else middle,
            }
        )
    return pd.DataFrame(rows)


def _domain(measures: ClipMeasures, name: str) -> tuple[float, float]:
    """Ends of the axis of a measure."""
    if name != LIKENESS:
        return -0.04, 1.04
    values = _shown(pd.concat([measures.clips[name], measures.anchors[name]]).dropna(), name)
    return (float(values.min()) / 1.5, float(values.max()) * 1.5) if len(values) else (LEAST, TICKS[-1])


def _apart(points: pd.DataFrame, name: str) -> pd.DataFrame:
    """The points with a `y` that sets apart those which would cover each other."""
    near = points["x"].round(2) if name == COPYING else points["x"].map(lambda x: f"{x:.1g}")
    place = points.groupby([near, points["judged_real"].round(2)]).cumcount()
    lane = ((place + 1) // 2) * (1 - 2 * (place % 2))
    return points.assign(y=points["judged_real"] + 0.035 * lane.clip(-3, 3))


def _laned(part: pd.DataFrame) -> pd.DataFrame:
    place = part.groupby(["group", part["x"].round(2)]).cumcount()
    return part.assign(lane=(((place + 1) // 2) * (1 - 2 * (place % 2))).clip(-4, 4))
