"""How often each song was named among those that could use a clip, by what the clips were made for."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis.plots import points, theme
from analysis.plots.theme import WIDE
from analysis.results import songs
from analysis.results.result import Result

_COLOURS = {
    songs.FOR_IT: theme.GREEN,
    songs.FOR_ANOTHER: theme.ORANGE,
    songs.FOR_NONE: theme.GREY,
    songs.ORIGINALS: theme.BLUE,
}


def chosen(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Draw the share of answers that name each song, with its interval, by what clips were made for.

    Parameters
    ----------
    results : iterable of Result
        Of a report, among them those of the family `songs.FAMILY`.
    width : int
        In pixels.
    """
    rows = []
    for r in results:
        if (r.family, r.name) == (songs.FAMILY, songs.CHOSEN) and not r.refused:
            song, kind = r.group.split(": ", 1)
            counted = f"{r.count}/{r.total}"
            rows.append((song, kind, r.estimate, r.low, r.high, counted))
    table = pd.DataFrame(rows, columns=points.COLUMNS)
    scales = dict.fromkeys(table["part"], points.Scale("of the answers name the song"))
    return points.stacked(table, scales, "Which songs could use the clips", colours=_COLOURS, width=width)
