"""Colours, fonts and files of all charts. Colours are Okabe and Ito's, safe for colour-blind readers."""

from __future__ import annotations

import io
import re
from pathlib import Path

import altair as alt

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, GREY, INK = "#0072B2", "#D55E00", "#8A8F98", "#24292F"

WIDE, NARROW = 620, 320  # px: the page of a desktop or a paper, the page of a phone
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"  # alike in their metrics, one of them everywhere
PNG_SCALE = 2

# The words of the charts. Shapes and colours never share a word, or their legends would merge.
KIND = {"fake": "machine-made", "real": "original"}
JUDGED = {"fake": "judged machine-made", "real": "judged real"}
SHAPES = alt.Scale(domain=list(KIND.values()), range=["circle", "diamond"])
KIND_COLOURS = alt.Scale(domain=list(KIND.values()), range=[VERMILION, BLUE])
JUDGED_COLOURS = alt.Scale(domain=list(JUDGED.values()), range=[VERMILION, BLUE])
MODE_COLOURS = alt.Scale(domain=["UMG", "VAR"], range=[ORANGE, SKY])


def finish(chart: alt.TopLevelMixin, title: str, width: int) -> alt.TopLevelMixin:
    """The chart with its title and the look that all charts share."""
    heading = alt.TitleParams(title, anchor="start", fontSize=15 if width > NARROW else 13, offset=12)
    return (
        chart.properties(title=heading)
        .configure(font=FONT, background="white", padding=8)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor="#EDEFF2",
            domainColor=GREY,
            tickColor=GREY,
        )
        .configure_title(color=INK, fontWeight=600)
        .configure_legend(
            orient="bottom", labelFontSize=12, titleFontSize=12, symbolSize=110, direction="horizontal"
        )
        .configure_view(stroke=None)
    )


def heading(text: str) -> alt.TitleParams:
    """The title of a part of a chart."""
    return alt.TitleParams(text, anchor="start", fontSize=13)


def save(chart: alt.TopLevelMixin, stem: Path) -> list[Path]:
    """Write `stem`.png (at twice the size) and `stem`.svg; returns both paths."""
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg")]
    with alt.data_transformers.enable("default", max_rows=None):
        chart.save(paths[0], format="png", scale_factor=PNG_SCALE)
        chart.save(paths[1], format="svg")
    return paths


def svg(chart: alt.TopLevelMixin, prefix: str) -> str:
    """The chart as an SVG element to stand inside a page, its ids prefixed: two charts share none."""
    text = io.StringIO()
    with alt.data_transformers.enable("default", max_rows=None):
        chart.save(text, format="svg")
    element = re.sub(r'\bid="', f'id="{prefix}-', text.getvalue())
    element = element.replace("url(#", f"url(#{prefix}-")
    return re.sub(r'(xlink:)?href="#', f'href="#{prefix}-', element)
