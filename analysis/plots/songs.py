"""How often each song was named among those that could use a clip, by what the clips were made for."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import songs
from analysis.results.result import Result

ROW = 30  # px a group takes
NAMES, ASIDE = {True: (170, 300), False: (110, 130)}, {True: 100, False: 74}  # px, by whether it is wide
_COLOURS = {
    songs.FOR_IT: theme.GREEN,
    songs.FOR_ANOTHER: theme.ORANGE,
    songs.FOR_NONE: theme.GREY,
    songs.ORIGINALS: theme.BLUE,
}


def chosen(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """The share of answers that name each song, with its interval, by what clips were made for.

    results: of the family `songs.FAMILY`.
    """
    rows = []
    for r in results:
        if (r.family, r.name) == (songs.FAMILY, songs.CHOSEN) and not r.refused:
            song, kind = r.group.split(": ", 1)
            counted = f"{r.count}/{r.total}"
            rows.append((song, kind, r.estimate, r.low, r.high, counted))
    table = pd.DataFrame(rows, columns=["song", "clips", "value", "low", "high", "text"])
    wide, size = width > theme.NARROW, theme.letters(width)
    room, axis = theme.names_axis(
        table["clips"], *NAMES[wide], size=size, ticks=False, domain=False, labelPadding=10
    )
    kinds = [kind for kind in songs.MADE_FOR if kind in set(table["clips"])]
    colour = alt.Color(
        "clips:N", legend=None, scale=alt.Scale(domain=kinds, range=[_COLOURS[kind] for kind in kinds])
    )
    inner, parts = width - room - ASIDE[wide] - 30, []
    names = list(dict.fromkeys(table["song"]))
    for song in names:
        part = table[table["song"] == song]
        y = alt.Y("clips:N", sort=kinds, title=None, axis=axis)
        shown = alt.Axis(format="%", tickCount=5, title="of the answers name the song")
        silent = alt.Axis(labels=False, ticks=False, title=None, domain=False, tickCount=5)
        base = alt.Chart(part).encode(y=y, color=colour)
        x = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=shown if song == names[-1] else silent)
        layers = [
            base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
            base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q"),
            alt.Chart(part)
            .mark_text(align="left", color=theme.INK)
            .encode(y=y, x=alt.value(inner + 8), text="text:N"),
        ]
        parts.append(
            alt.layer(*layers).properties(
                width=inner, height=ROW * len(part), title=theme.heading(song, width)
            )
        )
    return theme.finish(alt.vconcat(*parts, spacing=14), "Which songs could use the clips", width)
