"""Charts of groups of clips: by truth, backend, mode, epochs, plan, strength, song."""

from __future__ import annotations

import math
from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis import conditions
from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import dose as doses
from analysis.results import ratings
from analysis.results.ratings import REAL as JUDGED_REAL
from analysis.results.result import MACHINE, ORIGINALS, Result, find, groups

KINDS = {"truth": "truth", "backends": "backend", "modes": "mode", "epochs": "epochs"}  # family -> its title
KINDS |= conditions.COLUMNS
ROW = 32  # px a group takes
NAMES = {True: (130, 320), False: (100, 130)}  # is it wide: bounds of the px for the names of the groups
ASIDE = {True: 110, False: 84}  # is it wide: px for the text at the right
INSPIRED = {"no": theme.VERMILION, "maybe": theme.YELLOW, "yes": theme.GREEN}
POINTS = alt.Scale(domain=[-0.4, 10.4], nice=False)  # musicality
EVEN = list(range(0, 11, 2))


def fooling(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Share of machine-made clips judged real, by all that they differ in, with intervals and k/n.

    The dashed line is the share of originals judged real: where a perfect imitation would stand.
    """
    results = list(results)
    families = ("backends", "modes", "epochs", *conditions.COLUMNS)
    table = _rows(results, families, JUDGED_REAL, lambda r: f"{r.count}/{r.total}")
    originals = find(results, "truth", JUDGED_REAL, ORIGINALS)
    line = [] if originals is None or originals.refused else [_dashed(originals)]
    scale = alt.Scale(domain=[0, 1])
    names, axis_of_names = _names(table, width)
    parts, inner = [], _inner(width, names)
    for part, first, last in _parts(table):
        base = alt.Chart(part).encode(y=_group(part, axis_of_names))
        axis = alt.Axis(format="%", tickCount=5, title="judged real") if last else _silent()
        layers = [
            *line,
            base.mark_rule(strokeWidth=2, color=theme.BLUE).encode(
                x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"
            ),
            base.mark_point(filled=True, size=90, opacity=1, color=theme.BLUE).encode(x="value:Q"),
            _aside(base, inner),
            *([_dashed_label(originals)] if line and first else []),
        ]
        parts.append(_sized(layers, inner, part))
    return theme.finish(alt.vconcat(*parts, spacing=10), "Machine-made clips judged real", width)


def musicality(results: Iterable[Result], clips: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Musicality of every clip (dots) and the mean (bar) by truth, backend and mode.

    `clips`: as of `stimuli.by_stimulus`.
    """
    families = ("truth", "backends", "modes", *conditions.COLUMNS)
    table = _rows(list(results), families, ratings.MEAN, lambda r: f"{r.estimate:.1f} (n {r.n})")
    rated = clips.dropna(subset=["musicality"])
    fakes = rated[rated["truth"] == "fake"]
    truth = rated["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    dots = {
        "truth": rated.assign(group=truth),
        "backend": fakes.assign(group=fakes["backend"]),
        "mode": fakes.assign(group=fakes["mode"]),
    }
    dots |= {
        column: rated.assign(group=group).dropna(subset=["group"])
        for _, column, group in conditions.differing(clips)
    }
    names, axis_of_names = _names(table, width)
    parts, inner = [], _inner(width, names)
    for part, _, last in _parts(table):
        y = _group(part, axis_of_names)
        axis = alt.Axis(values=EVEN, format="d", title="musicality (0-10)") if last else _silent(EVEN)
        x = alt.X("musicality:Q", scale=POINTS, axis=axis)
        means = alt.Chart(part).encode(y=y)
        layers = [
            alt.Chart(_laned(dots[part["kind"].iloc[0]]))
            .mark_circle(size=46, opacity=0.6, color=theme.SKY, stroke=theme.BLUE, strokeWidth=1)
            .encode(x=x, y=y, yOffset=alt.YOffset("lane:Q", scale=alt.Scale(domain=[-4, 4]))),
            means.mark_tick(thickness=3, size=ROW - 6, color=theme.INK, orient="vertical").encode(
                x=alt.X("value:Q", scale=POINTS)
            ),
            _aside(means, inner),
        ]
        parts.append(_sized(layers, inner, part))
    return theme.finish(alt.vconcat(*parts, spacing=10), "Musicality of the clips, and the mean", width)


def dose(
    results: Iterable[Result],
    clips: pd.DataFrame,
    listeners: pd.DataFrame | None = None,
    *,
    width: int = WIDE,
) -> alt.TopLevelMixin:
    """Musicality of every clip over epochs (ordinal), with the mean; faint lines are single listeners.

    `clips`: as of `stimuli.by_stimulus`; `listeners`: as of `stimuli.listener_means` by epochs, or None,
    as it must be where the groups name backends.
    """
    means = _rows(list(results), (doses.FAMILY,), ratings.MEAN, lambda r: f"n {r.n}")
    dosed = conditions.with_epochs(
        clips
    )  # as the results: clips that nobody rated have a say in the groups' names
    points = _laned(dosed.assign(group=conditions.epoch_labels(dosed)).dropna(subset=["musicality"]))
    several = conditions.several_backends(dosed)
    levels = sorted({*means["group"], *points["group"]}, key=conditions.sort_key)
    x = alt.X(
        "group:O",
        title="epochs (as each backend counts them)" if several else "epochs (optimiser steps per scale)",
        scale=alt.Scale(domain=levels),
        axis=alt.Axis(labelAngle=0, ticks=False, labelPadding=6, labelExpr="split(datum.label, ' ')"),
    )
    y = alt.Y("musicality:Q", scale=POINTS, axis=alt.Axis(values=EVEN, title="musicality (0-10)"))
    layers = []
    if listeners is not None and len(listeners):
        lines = listeners.assign(group=listeners["epochs"].astype(int).astype(str))
        mark = alt.Chart(lines).mark_line(color=theme.GREY, opacity=0.25, strokeWidth=1)
        layers.append(mark.encode(x=x, y=y, detail="listener:N"))
    mean = alt.Chart(means)
    layers += [
        alt.Chart(points)
        .mark_circle(size=75, opacity=0.9, stroke=theme.INK, strokeWidth=0.6)
        .encode(
            x=x,
            y=y,
            xOffset=alt.XOffset("lane:Q", scale=alt.Scale(domain=[-4, 4])),
            color=alt.Color("mode:N", scale=theme.MODE_COLOURS, title=None),
        ),
        mean.mark_tick(thickness=3, size=34, color=theme.INK, orient="horizontal").encode(x=x, y="value:Q"),
        mean.mark_text(baseline="bottom").encode(x=x, y=alt.value(-3), text="text:N"),
    ]
    chart = alt.layer(*layers).properties(width=width - 70, height=300 if width > theme.NARROW else 260)
    return theme.finish(chart, "Musicality over epochs, and the mean", width)


def inspiring(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Shares of no, maybe and yes by truth, backend and mode, as bars centred on maybe, with the counts."""
    results, rows = list(results), []
    for family in ("truth", "backends", "modes", *conditions.COLUMNS):
        for group in groups(results, family, f"{ratings.INSPIRING} maybe"):
            counts = {
                answer: find(results, family, f"{ratings.INSPIRING} {answer}", group) for answer in INSPIRED
            }
            edge = -counts["no"].estimate - counts["maybe"].estimate / 2
            for answer, result in counts.items():
                share, row = result.estimate, {"kind": KINDS[family], "group": group, "answer": answer}
                text = str(result.count) if share >= (0.06 if width > theme.NARROW else 0.16) else ""
                rows.append(
                    row | {"start": edge, "end": edge + share, "middle": edge + share / 2, "text": text}
                )
                edge += share
    table = pd.DataFrame(rows, columns=["kind", "group", "answer", "start", "end", "middle", "text"])
    reach = math.ceil(4 * max([0.5, *table["start"].abs(), *table["end"].abs()])) / 4
    scale = alt.Scale(domain=[-reach, reach])
    values = [-1, -0.5, 0, 0.5, 1]
    colours = alt.Scale(domain=list(INSPIRED), range=list(INSPIRED.values()))
    shown = alt.Axis(
        values=values,
        labelExpr="format(abs(datum.value), '.0%')",
        title="share of answers, centred on maybe",
    )
    names, axis_of_names = _names(table, width)
    parts, inner = [], width - names - 40
    for part, _, last in _parts(table):
        base = alt.Chart(part).encode(y=_group(part, axis_of_names))
        layers = [
            base.mark_bar(height=ROW - 9, stroke="white", strokeWidth=1).encode(
                x=alt.X("start:Q", scale=scale, axis=shown if last else _silent(values)),
                x2="end:Q",
                color=alt.Color("answer:N", title=None, scale=colours),
            ),
            base.mark_text(color="black").encode(x="middle:Q", text="text:N"),
        ]
        parts.append(_sized(layers, inner, part))
    return theme.finish(alt.vconcat(*parts, spacing=10), "Does it inspire? Answers with their counts", width)


def _rows(results: list[Result], families: Iterable[str], name: str, text) -> pd.DataFrame:
    """One row per group of the families: kind, group, value, low, high and `text` of the result."""
    rows = [
        (KINDS[family], group, result.estimate, result.low, result.high, text(result))
        for family in families
        for group in groups(results, family, name)
        if not (result := find(results, family, name, group)).refused
    ]
    return pd.DataFrame(rows, columns=["kind", "group", "value", "low", "high", "text"])


def _parts(table: pd.DataFrame) -> list[tuple[pd.DataFrame, bool, bool]]:
    """The rows of each kind, and whether it is the first and the last."""
    kinds = list(dict.fromkeys(table["kind"]))
    return [(table[table["kind"] == kind], kind == kinds[0], kind == kinds[-1]) for kind in kinds]


def _names(table: pd.DataFrame, width: int) -> tuple[int, alt.Axis]:
    plain = {"ticks": False, "domain": False, "labelPadding": 10}
    return theme.names_axis(table["group"], *NAMES[width > theme.NARROW], size=theme.letters(width), **plain)


def _group(part: pd.DataFrame, axis: alt.Axis) -> alt.Y:
    return alt.Y("group:N", sort=list(dict.fromkeys(part["group"])), title=part["kind"].iloc[0], axis=axis)


def _silent(values: list | None = None) -> alt.Axis:
    """An axis that shows its grid alone, for all parts but the last."""
    more = {"values": values} if values else {"tickCount": 5}
    return alt.Axis(labels=False, ticks=False, title=None, domain=False, **more)


def _sized(layers: list[alt.Chart], inner: int, part: pd.DataFrame) -> alt.LayerChart:
    """The rows of one kind, `inner` px wide within their axes."""
    return alt.layer(*layers).properties(width=inner, height=ROW * part["group"].nunique())


def _inner(width: int, names: int) -> int:
    return width - names - ASIDE[width > theme.NARROW] - 30


def _aside(base: alt.Chart, inner: int) -> alt.Chart:
    return base.mark_text(align="left").encode(x=alt.value(inner + 8), text="text:N")


def _dashed(originals: Result) -> alt.Chart:
    mark = alt.Chart(pd.DataFrame({"value": [originals.estimate]})).mark_rule(
        strokeDash=[5, 4], color=theme.INK
    )
    return mark.encode(x="value:Q")


def _dashed_label(originals: Result) -> alt.Chart:
    side, dx = ("right", 4) if originals.estimate > 0.5 else ("left", -4)
    text = f"originals judged real {originals.count}/{originals.total}"
    label = pd.DataFrame({"value": [originals.estimate], "text": [text]})
    mark = alt.Chart(label).mark_text(align=side, dx=dx, baseline="bottom")
    return mark.encode(x="value:Q", y=alt.value(-5), text="text:N")


def _laned(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a `lane` that puts equal ratings of a group beside each other."""
    place = table.groupby(["group", table["musicality"].round(1)]).cumcount()
    return table.assign(lane=((place + 1) // 2) * (1 - 2 * (place % 2)))
