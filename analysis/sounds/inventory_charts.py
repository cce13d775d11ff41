"""The chart of an inventory: how long the recordings are."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from analysis.plots import theme
from analysis.plots.theme import WIDE

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)  # seconds a bar may span
BARS = 24  # at most, about
FEW = 5  # files up to which each has its tick: left to itself the axis counts halves of so few
COLOURS = {"training": theme.BLUE, "testing": theme.ORANGE, "validation": theme.GREEN, "-": theme.GREY}


def durations(files: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Histogram of the files' seconds, stacked by split. files: rows with seconds (float) and split."""
    table, step = histogram(files)
    there = [split for split in COLOURS if split in set(table["split"])]
    scale = alt.Scale(domain=there, range=[COLOURS[split] for split in there])
    legend = alt.Legend(title="split") if there != ["-"] else None
    unit, by = ("minutes", 60) if step >= 60 else ("seconds", 1)
    shown = table.assign(low=table["low"] / by, high=table["high"] / by)
    ends = alt.Scale(domain=[float(shown["low"].min()), float(shown["high"].max())], nice=False)
    most = int(table["above"].max())
    whole = {"values": list(range(most + 1))} if most <= FEW else {"tickMinStep": 1}
    bars = (
        alt.Chart(shown)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("low:Q", scale=ends, axis=alt.Axis(title=f"length ({unit})", grid=False, tickCount=8)),
            x2="high:Q",
            y=alt.Y("below:Q", axis=alt.Axis(title="files", format="d", **whole)),
            y2="above:Q",
            color=alt.Color("split:N", scale=scale, legend=legend),
        )
        .properties(width=width - 80, height=200)
    )
    return theme.finish(bars, "How long the recordings are", width)


def histogram(files: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Files by length and split: (low, high in seconds, split, files, below, above; seconds a bar spans).

    below, above: where a split's part of the bar begins and ends, in files.
    """
    seconds = files["seconds"].astype(float)
    reach = max(float(seconds.max() - seconds.min()), STEPS[0])
    step = next((step for step in STEPS if reach / step <= BARS), 3600 * math.ceil(reach / 3600 / BARS))
    low = (seconds // step) * step
    counts = files.assign(low=low).groupby(["low", "split"]).size().rename("files").reset_index()
    place = counts["split"].map({split: place for place, split in enumerate(COLOURS)})
    counts = counts.assign(high=counts["low"] + step, place=place).sort_values(["low", "place"])
    above = counts.groupby("low")["files"].cumsum()
    return counts.assign(below=above - counts["files"], above=above).drop(columns="place"), step
