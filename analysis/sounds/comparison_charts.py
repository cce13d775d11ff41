"""Pictures of clips side by side: one chart per clip and kind, all of a kind on the same axes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from markupsafe import Markup

from analysis.plots import theme
from analysis.sounds import pictures
from analysis.sounds.comparison import Comparison, Sound
from analysis.sounds.pictures import Heatmap
from caw import features

WIDTH, HEIGHT = 330, 120  # px of a picture within its axes
HEAD = 34  # letters of a clip's name above its pictures
NAMES = 44  # px for the numbers at the left, the same for all, so that pictures stand under each other
DYNAMIC = 70.0  # dB from the brightest to the darkest of a spectrogram
SPECTRUM_RANGE = 80.0  # dB shown of a long-term spectrum
MEL_TICKS = (100, 500, 1000, 2000, 4000, 8000, 16000)
TEMPO_TICKS = (40, 60, 80, 120, 160, 240)
OCTAVE_TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
REFERENCE = "#9AA3AD"  # the original behind a generated clip


def waveform(sound: Sound, comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Lowest and highest sample over time."""
    top = max(float(np.abs(one.samples).max()) for one in comparison.sounds)
    y = _y("low:Q", "amplitude", [-top, top], values=[-round(top, 1), 0, round(top, 1)])
    data = alt.Chart(sound.waveform).mark_area(color=_colour(sound), line=False, interpolate="step")
    return _sized(data.encode(x=_time(comparison), y=y, y2="high:Q"), width)


def spectrum(sound: Sound, comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Long-term average spectrum; behind a generated clip the original's, in grey."""
    tables = [one.spectrum for one in comparison.sounds]
    top = max(table["level"].max() for table in tables) + 3
    low, high = float(tables[0]["frequency"].min()), float(tables[0]["frequency"].max())
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    label = "datum.value < 1000 ? datum.value : datum.value / 1000 + 'k'"
    values = [tick for tick in OCTAVE_TICKS if low <= tick <= high]
    axis = alt.Axis(values=values, labelExpr=label, title="frequency (Hz)", labelFlush=False)
    x = alt.X("frequency:Q", scale=scale, axis=axis)
    bottom = top - SPECTRUM_RANGE
    y = _y("level:Q", "level (dB)", [bottom, top], tickCount=4)
    layers = []
    if not sound.original:
        layers.append(_line(comparison.original.spectrum, "level", bottom, REFERENCE, 3).encode(x=x, y=y))
    layers.append(_line(sound.spectrum, "level", bottom, _colour(sound), 2).encode(x=x, y=y))
    return _sized(alt.layer(*layers), width)


def mel(sound: Sound, comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Mel spectrogram: level in dB by colour, the same colours for all clips."""
    top = max(float(one.mel.values.max()) for one in comparison.sounds)
    rows = sound.mel.rows
    mels = features.hz_to_mel(rows)
    step = mels[1] - mels[0]
    ticks = [tick for tick in MEL_TICKS if tick <= rows[-1]]
    names = [f"{tick}" if tick < 1000 else f"{tick // 1000}k" for tick in ticks]
    return _image(
        sound.mel,
        comparison,
        width,
        levels=(top - DYNAMIC, top),
        edges=(float(mels[0] - step / 2), float(mels[-1] + step / 2)),
        ticks=dict(zip(map(float, features.hz_to_mel(ticks)), names, strict=True)),
        title="frequency (Hz)",
    )


def onsets(sound: Sound, comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Onset envelope: how fast the bands become louder."""
    top = max(float(one.onsets["rise"].max()) for one in comparison.sounds)
    y = _y("rise:Q", "rise (dB per frame)", [0, top], tickCount=3)
    data = alt.Chart(sound.onsets).mark_line(color=_colour(sound), strokeWidth=1.1)
    return _sized(data.encode(x=_time(comparison), y=y), width)


def tempogram(sound: Sound, comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Which tempo the onsets come back in, over time, by colour."""
    tempi = np.log2(sound.tempogram.rows)
    return _image(
        sound.tempogram,
        comparison,
        width,
        levels=(0.0, max(float(np.quantile(one.tempogram.values, 0.998)) for one in comparison.sounds)),
        edges=(float(tempi[0]), float(tempi[-1])),
        ticks={math.log2(tick): str(tick) for tick in TEMPO_TICKS},
        title="tempo (BPM)",
    )


KINDS: dict[str, tuple[str, str, Callable[..., alt.TopLevelMixin]]] = {
    "waveform": ("Waveform", "Lowest and highest sample over time, full scale is 1.", waveform),
    "spectrum": (
        "Long-term average spectrum",
        "Mean power in sixths of an octave, in dB relative to full scale. Grey: the original.",
        spectrum,
    ),
    "mel": (
        "Mel spectrogram",
        f"Level in mel bands over time, the top {DYNAMIC:.0f} dB; one colour is one level in all clips.",
        mel,
    ),
    "onsets": (
        "Onset envelope",
        "How much louder the mel bands become within 16 ms, on average over the bands: attacks stand out.",
        onsets,
    ),
    "tempogram": (
        "Tempogram",
        f"How regularly attacks come back at each tempo, in windows of {pictures.TEMPO_WINDOW:g} s. "
        "A bright line is a steady beat; half its tempo is bright as well.",
        tempogram,
    ),
}


def sheet(comparison: Comparison, *, width: int = WIDTH) -> alt.TopLevelMixin:
    """Everything in one chart: a row for each kind of picture, a column for each clip."""
    labels = theme.shortened([sound.label for sound in comparison.sounds], lambda label: len(label) <= HEAD)
    rows = []
    for place, (title, _, draw) in enumerate(KINDS.values()):
        parts = []
        for sound in comparison.sounds:
            head = f"{labels[sound.label]}: {title[0].lower()}{title[1:]}" if place == 0 else title
            text = alt.TitleParams(head, anchor="start", fontSize=12, fontWeight=600, offset=4)
            parts.append(draw(sound, comparison, width=width).properties(title=text))
        # flush: what sticks out at an axis moves no column
        rows.append(alt.hconcat(*parts, spacing=NAMES + 44, bounds="flush"))
    chart = alt.vconcat(*rows, spacing=14)
    level = f"{comparison.rate} Hz and {comparison.loudness:.1f} LUFS"
    heading = f"{comparison.original.label} and what was made from it, at {level}"
    return theme.finish(chart, heading.replace("-", "\N{MINUS SIGN}"), theme.NARROW)


def sheet_files(comparison: Comparison) -> tuple[str, bytes]:
    """The sheet as the text of an SVG file and the bytes of a PNG file."""
    svg = theme.render(sheet(comparison))
    return svg, vl_convert.svg_to_png(svg, scale=theme.PNG_SCALE)


def sections(comparison: Comparison) -> list[dict[str, Any]]:
    """The pictures for a page, kind by kind: name, title, caption, timed, and a panel for each clip.

    A panel has clip (its place), svg, alt, and the picture within its axes as left, top, width and height in
    per cent of the drawing, for a cursor over it.
    """
    made = []
    for name, (title, caption, draw) in KINDS.items():
        panels = []
        for place, sound in enumerate(comparison.sounds):
            svg = theme.render(draw(sound, comparison).properties(config=theme.look(WIDTH)))
            panels.append(
                {
                    "clip": place,
                    "label": sound.label,
                    "svg": Markup(theme.inline(svg, f"{name}-{place}")),
                    "alt": f"{title} of {sound.label}",
                }
                | within_axes(svg, WIDTH, HEIGHT)
            )
        made.append(
            {"name": name, "title": title, "caption": caption, "timed": name != "spectrum", "panels": panels}
        )
    return made


def within_axes(svg: str, width: float, height: float) -> dict[str, float]:
    """Where the picture of width x height px lies in a drawing: left, top, width, height in per cent."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    place = re.search(r'transform="translate\(([\d.]+),\s*([\d.]+)\)"', svg)
    whole = [float(value) for value in box.groups()]
    corner = [float(value) for value in place.groups()]
    return {
        "left": round(100 * corner[0] / whole[0], 3),
        "top": round(100 * corner[1] / whole[1], 3),
        "width": round(100 * width / whole[0], 3),
        "height": round(100 * height / whole[1], 3),
    }


def _image(
    heatmap: Heatmap,
    comparison: Comparison,
    width: int,
    *,
    levels: tuple[float, float],
    edges: tuple[float, float],
    ticks: dict[float, str],
    title: str,
) -> alt.TopLevelMixin:
    """A picture of a grid on the axis of time; edges, ticks: of its rows, on their own even scale."""
    share = heatmap.seconds / comparison.seconds
    row = {"x": 0.0, "y": edges[1], "url": pictures.data_url(heatmap.values, *levels)}
    labels = ", ".join(f"abs(datum.value - {value!r}) < 1e-6 ? '{text}'" for value, text in ticks.items())
    axis = _axis(title, values=list(ticks), labelExpr=labels.replace(", ", " : ") + " : ''", grid=False)
    data = alt.Chart(pd.DataFrame([row])).mark_image(
        width=width * share, height=HEIGHT, aspect=False, align="left", baseline="top"
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=list(edges), nice=False, zero=False), axis=axis)
    return _sized(data.encode(x=_time(comparison, "x:Q"), y=y, url="url:N"), width)


def _sized(chart: alt.TopLevelMixin, width: int) -> alt.TopLevelMixin:
    return chart.properties(width=width, height=HEIGHT)


def _time(comparison: Comparison, field: str = "time:Q") -> alt.X:
    scale = alt.Scale(domain=[0, comparison.seconds], nice=False)
    return alt.X(
        field, scale=scale, axis=alt.Axis(title="seconds", tickCount=6, grid=False, labelFlush=False)
    )


def _y(field: str, title: str, domain: list[float], **axis) -> alt.Y:
    return alt.Y(field, scale=alt.Scale(domain=domain, nice=False, clamp=True), axis=_axis(title, **axis))


def _axis(title: str, **options) -> alt.Axis:
    return alt.Axis(title=title, minExtent=NAMES, maxExtent=NAMES, titlePadding=4, **options)


def _line(table: pd.DataFrame, column: str, low: float, colour: str, width: float) -> alt.Chart:
    shown = table.assign(**{column: table[column].clip(lower=low)})
    return alt.Chart(shown).mark_line(color=colour, strokeWidth=width)


def _colour(sound: Sound) -> str:
    return theme.BLUE if sound.original else theme.VERMILION
