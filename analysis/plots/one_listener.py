"""Charts that show single answers, for a study with one listener."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import discrimination
from analysis.results.ratings import REAL as JUDGED_REAL
from analysis.results.results import MACHINE, ORIGINALS, Result, find

UNRATED = -0.9  # where unrated clips stand on the axis of musicality
STEP = 25  # px a clip takes
NAMES = {True: (120, 380), False: (90, 150)}  # is it wide: bounds of the px for the names of the clips
MISTAKES = {("fake", "real"): "fooled", ("real", "fake"): "doubted"}
OUTCOMES = {  # one legend for truth and verdict: the four things that can happen to a clip
    ("fake", "fake"): ("machine-made, found out", "circle", theme.VERMILION),
    ("fake", "real"): ("machine-made, taken for real", "circle", theme.BLUE),
    ("real", "fake"): ("original, doubted", "diamond", theme.VERMILION),
    ("real", "real"): ("original, recognised", "diamond", theme.BLUE),
}


def scorecard(frame: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """One mark per clip and set: musicality, truth (shape), verdict (colour); a hollow mark is unrated.

    `frame`: answers of one listener without repeats.
    """
    pairs = list(zip(frame["truth"], frame["verdict"], strict=True))
    table = pd.DataFrame(
        {
            "set": frame["set"],
            "clip": frame["name"],
            "musicality": frame["musicality"].fillna(UNRATED),
            "rated": frame["musicality"].notna(),
            "outcome": [OUTCOMES[pair][0] for pair in pairs],
            "mistake": [MISTAKES.get(pair, "") for pair in pairs],
        }
    )
    names, rows = theme.names_axis(
        table["clip"], *NAMES[width > theme.NARROW], size=theme.letters(width), grid=True
    )
    axis = alt.Axis(
        values=[UNRATED, *range(0, 11, 2)],
        labelExpr="datum.value < 0 ? 'unrated' : datum.label",
        title="musicality (0-10)",
    )
    x = alt.X("musicality:Q", scale=alt.Scale(domain=[UNRATED - 0.6, 10.4], nice=False), axis=axis)
    legend = alt.Legend(columns=4 if width > theme.NARROW else 1, offset=14)
    parts = []
    for name in dict.fromkeys(table["set"]):
        part = table[table["set"] == name].sort_values("musicality", ascending=False, kind="stable")
        base = alt.Chart(part).encode(x=x, y=alt.Y("clip:N", sort=list(part["clip"]), title=None, axis=rows))
        marks = [
            base.transform_filter(alt.datum.rated == rated)
            .mark_point(size=130, strokeWidth=2, opacity=1, filled=rated)
            .encode(
                shape=alt.Shape("outcome:N", scale=_outcomes(1), title=None, legend=legend),
                color=alt.Color("outcome:N", scale=_outcomes(2), title=None, legend=legend),
            )
            for rated in (True, False)
        ]
        right, left = alt.datum.musicality <= 6, alt.datum.musicality > 6
        text = [
            base.transform_filter(side).mark_text(align=align, dx=dx).encode(text="mistake:N")
            for side, align, dx in ((right, "left", 11), (left, "right", -11))
        ]
        chart = alt.layer(*marks, *text).properties(
            width=width - names - 30, height=STEP * len(part), title=theme.heading(f"Set {name}", width)
        )
        parts.append(chart)
    return theme.finish(
        alt.vconcat(*parts, spacing=18), "Every clip: its rating, and the verdict on it", width
    )


def _outcomes(property: int) -> alt.Scale:
    """Scale from outcomes to their shapes (1) or colours (2)."""
    known = list(OUTCOMES.values())
    return alt.Scale(domain=[outcome[0] for outcome in known], range=[outcome[property] for outcome in known])


def counts(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """The 2 x 2 table as tiles, and beside it the share judged real of either class with its interval."""
    results = list(results)
    hits, misses, alarms, rejections = (
        find(results, discrimination.FAMILY, name).count for name in discrimination.COUNTS
    )
    rows = [MACHINE, ORIGINALS]
    tiles = pd.DataFrame(
        [
            (MACHINE, "machine", hits, True),
            (MACHINE, "real", misses, False),
            (ORIGINALS, "machine", alarms, False),
            (ORIGINALS, "real", rejections, True),
        ],
        columns=["truth", "said", "count", "right"],
    )
    rates = [find(results, "truth", JUDGED_REAL, group) for group in rows]
    bars = pd.DataFrame(
        [(r.group, r.estimate, r.low, r.high, f"{r.count}/{r.total}") for r in rates if r and not r.refused],
        columns=["truth", "rate", "low", "high", "text"],
    )
    tile = (150, 80) if width > theme.NARROW else (58, 52)
    bare = alt.Axis(ticks=False, domain=False, labelAngle=0)
    y = alt.Y("truth:N", sort=rows, scale=alt.Scale(domain=rows), title=None, axis=bare)
    top = alt.Axis(orient="top", ticks=False, domain=False, labelAngle=0)
    x = alt.X("said:N", sort=["machine", "real"], title="judged", axis=top)
    colour = alt.condition("datum.right", alt.value(theme.GREEN), alt.value(theme.ORANGE))
    table = alt.Chart(tiles).encode(x=x, y=y)
    left = alt.layer(
        table.mark_rect(stroke="white", strokeWidth=3).encode(color=colour),
        table.mark_text(fontSize=20, fontWeight=600, color="black").encode(text="count:Q"),
    ).properties(width=2 * tile[0], height=2 * tile[1])
    scale = alt.Scale(domain=[0, 1])
    share = alt.Axis(format="%", tickCount=3, orient="top", title="judged real")
    bar = alt.Chart(bars).encode(
        y=alt.Y("truth:N", sort=rows, scale=alt.Scale(domain=rows), title=None, axis=None)
    )
    right = alt.layer(
        bar.mark_rule(strokeWidth=2, color=theme.BLUE).encode(
            x=alt.X("low:Q", scale=scale, axis=share), x2="high:Q"
        ),
        bar.mark_point(filled=True, size=100, opacity=1, color=theme.BLUE).encode(x="rate:Q"),
        bar.mark_text(dy=-14).encode(x="rate:Q", text="text:N"),
    ).properties(width=width - 2 * tile[0] - 150, height=2 * tile[1])
    return theme.finish(alt.hconcat(left, right, spacing=20), "What the clips were, and what was said", width)
