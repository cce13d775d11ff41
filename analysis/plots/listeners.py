"""Charts of who answered what: one listener's answers one by one, and a panel's listeners and clips."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.results import discrimination, individuals
from analysis.results.discrimination import BALANCED, FALSE_ALARM
from analysis.results.ratings import REAL as JUDGED_REAL
from analysis.results.result import MACHINE, ORIGINALS, Result, find, of_family

UNRATED = -0.9  # where unrated clips stand on the axis of musicality
SCORECARD_ROW = 25  # px a clip takes
SCORECARD_NAMES = {True: (120, 380), False: (90, 150)}  # is it wide: bounds of the px for names of clips
MISTAKES = {("fake", "real"): "fooled", ("real", "fake"): "doubted"}
OUTCOMES = {  # one legend for truth and verdict: the four things that can happen to a clip
    ("fake", "fake"): ("machine-made, found out", "circle", theme.VERMILION),
    ("fake", "real"): ("machine-made, taken for real", "circle", theme.BLUE),
    ("real", "fake"): ("original, doubted", "diamond", theme.VERMILION),
    ("real", "real"): ("original, recognised", "diamond", theme.BLUE),
}
NAMED = 60  # listeners whose names still fit beside a heat map
ISO = (0, 1, 2, 3)  # d' of the curves
STEP = {True: 24, False: 20}  # is it wide: px a clip takes
COLUMN = 1.1  # of the letters' size: what the name of a clip takes, on its side
CLIP_NAMES = {True: (150, 380), False: (100, 200)}  # is it wide: bounds of the px for names of clips
PERCENT = {"format": "%", "tickCount": 5}


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
        table["clip"], *SCORECARD_NAMES[width > theme.NARROW], size=theme.letters(width), grid=True
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
            width=width - names - 30,
            height=SCORECARD_ROW * len(part),
            title=theme.heading(f"Set {name}", width),
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


def clips(results: Iterable[Result], clips: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Every clip with the share of listeners who judged it real and Wilson's interval over listeners.

    `clips`: as of `stimuli.by_stimulus`.
    """
    shares = of_family(results, individuals.CLIPS)
    pairs = [(shares[JUDGED_REAL, clip.label], clip) for clip in clips.itertuples()]
    table = pd.DataFrame(
        [(clip.label, theme.KIND[clip.truth], r.estimate, r.low, r.high) for r, clip in pairs],
        columns=["clip", "kind", "rate", "low", "high"],
    ).sort_values("rate", ascending=False, kind="stable")
    names, rows = _clip_names(table["clip"], width, grid=True)
    base = alt.Chart(table).encode(
        y=alt.Y("clip:N", sort=list(table["clip"]), title=None, axis=rows),
        color=alt.Color("kind:N", scale=theme.KIND_COLOURS, title=None),
    )
    scale = alt.Scale(domain=[0, 1])
    low = alt.X("low:Q", scale=scale, axis=alt.Axis(title="listeners who judged it real", **PERCENT))
    shape = alt.Shape("kind:N", scale=theme.SHAPES, title=None)
    chart = alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=low, x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x="rate:Q", shape=shape),
    ).properties(width=width - names - 30, height=STEP[width > theme.NARROW] * len(table))
    return theme.finish(chart, "Every clip: how many took it for real", width)


def modes(results: Iterable[Result], clips: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Caterpillar plot: how far each listener and each clip lies from the mean rating, with 95% intervals.

    `clips`: as of `stimuli.by_stimulus`.
    """
    results, parts = list(results), []
    kinds = dict(zip(clips["label"], clips["truth"].map(theme.KIND), strict=True))
    rows_of = {
        name: [r for r in results if (r.family, r.name) == (individuals.MODES, name)]
        for name in (individuals.OF_LISTENER, individuals.OF_CLIP)
    }
    everyone = [r.group for members in rows_of.values() for r in members]
    for (name, members), title in zip(rows_of.items(), ("Listeners", "Clips"), strict=True):
        table = pd.DataFrame(
            [(r.group, kinds.get(r.group), r.estimate, r.low, r.high) for r in members],
            columns=["label", "kind", "mode", "low", "high"],
        ).sort_values("mode", ascending=False, kind="stable")
        few = len(table) <= NAMED
        people = name == individuals.OF_LISTENER
        colour = alt.value(theme.INK) if people else alt.Color("kind:N", scale=theme.KIND_COLOURS, title=None)
        shape = alt.value("circle") if people else alt.Shape("kind:N", scale=theme.SHAPES, title=None)
        names, rows = _clip_names(everyone, width, labels=few, ticks=False)
        base = alt.Chart(table).encode(y=alt.Y("label:N", sort=list(table["label"]), title=None, axis=rows))
        reach = max(abs(table[["low", "high"]].to_numpy()).max(), 0.5) if len(table) else 1
        signed = "datum.value == 0 ? '0' : format(datum.value, '+~g')"
        axis = alt.Axis(title="points above or below the mean", tickCount=5, labelExpr=signed)
        x = alt.X("low:Q", scale=alt.Scale(domain=[-reach, reach]), axis=axis)
        zero = alt.Chart(pd.DataFrame({"mode": [0.0]})).mark_rule(strokeDash=[5, 4], color=theme.INK)
        chart = alt.layer(
            zero.encode(x="mode:Q"),
            base.mark_rule(strokeWidth=2 if few else 1).encode(x=x, x2="high:Q", color=colour),
            base.mark_point(filled=True, size=60 if few else 20, opacity=1).encode(
                x="mode:Q", color=colour, shape=shape
            ),
        )
        height = (theme.letters(width) + 4 if few else max(2, 900 / len(table))) * len(table)
        parts.append(
            chart.properties(width=width - names - 30, height=height, title=theme.heading(title, width))
        )
    return theme.finish(alt.vconcat(*parts, spacing=16), "Who rates high, and what is rated high", width)


def roc(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Each listener's hit and false alarm rate, over curves of equal d'. A bigger dot: several listeners."""
    by_name = of_family(results, individuals.LISTENERS)
    rates = [
        (by_name[FALSE_ALARM, listener].estimate, result.estimate)
        for (name, listener), result in by_name.items()
        if name == individuals.HIT_RATE and (FALSE_ALARM, listener) in by_name
    ]
    table = pd.DataFrame(rates, columns=["alarm", "hit"]).value_counts().rename("listeners").reset_index()
    alarms = np.concatenate([[0], stats.norm.cdf(np.linspace(-4, 4, 81)), [1]])
    curves = pd.DataFrame(
        [(d, alarm, float(stats.norm.cdf(stats.norm.ppf(alarm) + d))) for d in ISO for alarm in alarms],
        columns=["d", "alarm", "hit"],
    )
    names = pd.DataFrame(
        [(f"d' = {d}", float(stats.norm.cdf(-d / 2)), float(stats.norm.cdf(d / 2))) for d in ISO],
        columns=["text", "alarm", "hit"],
    )
    unit = alt.Scale(domain=[0, 1])
    x = alt.X("alarm:Q", scale=unit, axis=alt.Axis(title="originals judged machine-made", **PERCENT))
    y = alt.Y("hit:Q", scale=unit, axis=alt.Axis(title="machine-made clips judged machine-made", **PERCENT))
    most = max(1, int(table["listeners"].max())) if len(table) else 1
    size = alt.Size(
        "listeners:Q",
        scale=alt.Scale(domain=[1, max(2, most)], range=[60, 60 * max(2, most)]),
        legend=alt.Legend(values=sorted({1, (most + 1) // 2, most}), format="d"),
    )
    chart = alt.layer(
        alt.Chart(curves)
        .mark_line(color=theme.GREY, strokeWidth=1)
        .encode(x=x, y=y, detail="d:N", order="alarm:Q"),
        alt.Chart(names).mark_text(align="left", dx=4, dy=8).encode(x=x, y=y, text="text:N"),
        alt.Chart(table)
        .mark_circle(color=theme.BLUE, opacity=0.75, stroke="white", clip=False)
        .encode(x=x, y=y, size=size),
    )
    side = min(width - 80, 440)
    return theme.finish(chart.properties(width=side, height=side), "Listeners in ROC space", width)


def verdicts(
    frame: pd.DataFrame, results: Iterable[Result], clips: pd.DataFrame, *, width: int = WIDE
) -> alt.TopLevelMixin:
    """Who took which clip for what: clips by share judged real, listeners by balanced accuracy.

    `frame`: answers without repeats; `clips`: as of `stimuli.by_stimulus`.
    """
    by_name = of_family(results, individuals.LISTENERS)
    skill = {listener: r.estimate for (name, listener), r in by_name.items() if name == BALANCED}
    listeners = sorted(dict.fromkeys(frame["listener"]), key=lambda listener: -skill.get(listener, 0))
    clips = clips.sort_values("judged_real", ascending=False, kind="stable")
    labels = dict(zip(zip(clips["set"], clips["name"], strict=True), clips["label"], strict=True))
    table = pd.DataFrame(
        {
            "listener": frame["listener"],
            "clip": [labels[pair] for pair in zip(frame["set"], frame["name"], strict=True)],
            "kind": frame["truth"].map(theme.KIND),
            "verdict": frame["verdict"].map(theme.JUDGED),
        }
    )
    few = len(listeners) <= NAMED
    size = theme.letters(width)
    left, rows = theme.names_axis(listeners if few else [], 60, 160, size=size, labels=few, ticks=False)
    inner = width - left - 40
    named = inner / len(clips) >= COLUMN * size  # else names would run into each other
    _, columns = theme.names_axis(
        clips["label"] if named else [], 0, 260, size=size, labels=named, labelAngle=-90, ticks=False
    )
    parts = []
    for kind in theme.KIND.values():
        part = table[table["kind"] == kind]
        shown = [clip for clip in clips["label"] if clip in set(part["clip"])]
        if not shown:
            continue
        y = alt.Y("listener:N", sort=listeners, title=None, axis=None if parts else rows)
        chart = alt.Chart(part).mark_rect(stroke="white", strokeWidth=0.5 if few else 0)
        chart = chart.encode(
            x=alt.X("clip:N", sort=shown, title=None, axis=columns),
            y=y,
            color=alt.Color("verdict:N", scale=theme.JUDGED_COLOURS, title=None),
        )
        share = len(shown) / len(clips)
        height = max(200, min((size + 3) * len(listeners), 1100))
        title = alt.TitleParams(kind, fontSize=size, fontWeight="normal")
        parts.append(chart.properties(width=round(inner * share), height=height, title=title))
    return theme.finish(alt.hconcat(*parts, spacing=8), "Who took which clip for what", width)


def quantiles(table: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Residuals and modes against the normal distribution, as of `checks.normal_quantiles`: a normal one lies
    on the line.
    """
    reach = float(np.ceil(table[["expected", "observed"]].abs().to_numpy().max(initial=1.0)))
    ends = alt.Chart(pd.DataFrame({"expected": [-reach, reach], "observed": [-reach, reach]}))
    size = (width - 180) // 3 if width > theme.NARROW else width - 60
    scale, parts = alt.Scale(domain=[-reach, reach], nice=False), []
    for name, part in table.groupby("part", sort=False):
        x = alt.X("expected:Q", scale=scale, title="normal quantile", axis=alt.Axis(tickCount=5))
        first = not parts or width <= theme.NARROW
        y = alt.Y("observed:Q", scale=scale, title="standard deviations" if first else None)
        dots = alt.Chart(part).mark_circle(size=22, color=theme.BLUE, opacity=0.6).encode(x=x, y=y)
        line = ends.mark_line(color=theme.GREY, strokeDash=[5, 4]).encode(x=x, y=y)
        title = alt.TitleParams(name, fontSize=theme.letters(width), fontWeight="normal")
        parts.append(alt.layer(line, dots).properties(width=size, height=min(size, 220), title=title))
    joined = alt.hconcat if width > theme.NARROW else alt.vconcat
    return theme.finish(joined(*parts, spacing=14), "Musicality: are residuals normal?", width)


def _clip_names(clips: Iterable[str], width: int, **axis) -> tuple[int, alt.Axis]:
    return theme.names_axis(clips, *CLIP_NAMES[width > theme.NARROW], size=theme.letters(width), **axis)
