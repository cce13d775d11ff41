"""What came of kept clips: bars of nothing, ideas, parts and songs, by what the clips are."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.questionnaire import CAME_OF_IT
from analysis.results import follow_up
from analysis.results.result import Result

ROW = 34  # px a group takes
NAMES, ASIDE = {True: (130, 300), False: (100, 130)}, {True: 150, False: 56}  # px, by whether it is wide
SAID = dict(zip(CAME_OF_IT, ("nothing", "an idea", "a part", "a finished song"), strict=True))
UNKNOWN = "not answered"
COLOURS = alt.Scale(
    domain=[*SAID.values(), UNKNOWN],
    range=[theme.VERMILION, theme.YELLOW, theme.SKY, theme.GREEN, "#D8DBE0"],
)


def outcomes(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Kept clips by what came of them, a bar for each group; the Eureka rate in text beside it."""
    table = _table(list(results))
    wide, size = width > theme.NARROW, theme.letters(width)
    groups = list(dict.fromkeys(table["group"]))
    room, axis = theme.names_axis(groups, *NAMES[wide], size=size, ticks=False, domain=False, labelPadding=10)
    inner, parts = width - room - ASIDE[wide] - 30, []
    kinds, most = (
        list(dict.fromkeys(table["kind"])),
        int(table.groupby(["kind", "group"])["clips"].sum().max()),
    )
    for kind in kinds:
        part = table[table["kind"] == kind]
        names = list(dict.fromkeys(part["group"]))
        y = alt.Y("group:N", sort=names, title=None, axis=axis)
        last = kind == kinds[-1]
        step = {"tickMinStep": 1, "tickCount": 5, "format": "d"}
        shown = (
            alt.Axis(title="kept clips", **step)
            if last
            else alt.Axis(labels=False, ticks=False, title=None, **step)
        )
        bars = (
            alt.Chart(part)
            .mark_bar(height=ROW * 0.62)
            .encode(
                y=y,
                x=alt.X("clips:Q", stack="zero", scale=alt.Scale(domain=[0, most]), axis=shown),
                color=alt.Color("came:N", scale=COLOURS, title=None, sort=list(COLOURS.domain)),
                order="rank:O",
            )
        )
        text = (
            alt.Chart(part.drop_duplicates("group"))
            .mark_text(align="left", color=theme.INK)
            .encode(y=y, x=alt.value(inner + 8), text="text:N" if wide else "short:N")
        )
        title = theme.heading(kind, width)
        parts.append(alt.layer(bars, text).properties(width=inner, height=ROW * len(names), title=title))
    return theme.finish(alt.vconcat(*parts, spacing=14), "What came of kept clips", width)


def _table(results: list[Result]) -> pd.DataFrame:
    """A row per group and outcome: kind, group, came, rank, clips, and the rate in text."""
    rows = []
    for r in results:
        if not r.family.startswith(follow_up.FAMILY) or r.name != follow_up.EUREKA.mean or r.refused:
            continue
        counts = follow_up.levels_of(results, r.family, r.group)
        kind = r.family.partition(", ")[2] or "all kept clips"
        text = {"text": f"Eureka {r.count}/{r.total}", "short": f"{r.count}/{r.total}"}
        for rank, (level, said) in enumerate(SAID.items()):
            rows.append(
                {"kind": kind, "group": r.group, "came": said, "rank": rank, "clips": counts[level], **text}
            )
        unknown = counts[follow_up.UNANSWERED]
        rows.append({"kind": kind, "group": r.group, "came": UNKNOWN, "rank": 9, "clips": unknown, **text})
    return pd.DataFrame(rows)
