"""Colours, fonts and files of all charts. Colours are Okabe and Ito's, safe for colour-blind readers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import altair as alt
import vl_convert

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, GREY, INK = "#0072B2", "#D55E00", "#8A8F98", "#24292F"

WIDE, NARROW = 620, 320  # px: the page of a desktop or a paper, the page of a phone
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"  # alike in their metrics, one of them everywhere
PNG_SCALE = 2
LETTER = 0.52  # width of a usual letter, of its size

# The words of the charts. Shapes and colours never share a word, or their legends would merge.
KIND = {"fake": "machine-made", "real": "original"}
JUDGED = {"fake": "judged machine-made", "real": "judged real"}
SHAPES = alt.Scale(domain=list(KIND.values()), range=["circle", "diamond"])
KIND_COLOURS = alt.Scale(domain=list(KIND.values()), range=[VERMILION, BLUE])
JUDGED_COLOURS = alt.Scale(domain=list(JUDGED.values()), range=[VERMILION, BLUE])
MODE_COLOURS = alt.Scale(domain=["UMG", "VAR"], range=[ORANGE, SKY])


CONFIG = alt.Config(
    font=FONT,
    background="white",
    padding=8,
    axis=alt.AxisConfig(
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
        labelColor=INK,
        titleColor=INK,
        gridColor="#EDEFF2",
        domainColor=GREY,
        tickColor=GREY,
    ),
    title=alt.TitleConfig(color=INK, fontWeight=600),
    legend=alt.LegendConfig(
        orient="bottom", direction="horizontal", labelFontSize=12, titleFontSize=12, symbolSize=110
    ),
    view=alt.ViewConfig(stroke=None),
)


def finish(chart: alt.TopLevelMixin, title: str, width: int) -> alt.TopLevelMixin:
    """The chart with its title and the look that all charts share."""
    size = 15 if width > NARROW else 13
    return chart.properties(
        title=alt.TitleParams(title, anchor="start", fontSize=size, offset=12), config=CONFIG
    )


def room(names: Iterable[str], least: int, most: int, *, size: int = 12) -> int:
    """Px for names of `size` px letters beside an axis: what the longest takes, within bounds.

    Names are long: a clip's tells source, backend, mode, epochs and number, and what is cut off is what tells
    it from its neighbours.
    """
    return round(min(max(LETTER * size * max(map(len, names), default=0) + 18, least), most))


def heading(text: str) -> alt.TitleParams:
    """The title of a part of a chart."""
    return alt.TitleParams(text, anchor="start", fontSize=13)


def render(chart: alt.TopLevelMixin) -> str:
    """The chart as the text of an SVG file."""
    with alt.data_transformers.enable("default", max_rows=None):
        specification = chart.to_dict()
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return vl_convert.vegalite_to_svg(specification, vl_version=version)


def save(svg: str, stem: Path) -> list[Path]:
    """Write the drawing `svg` as `stem`.png (at twice the size) and `stem`.svg; returns both paths."""
    image, vector = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg"))
    image.write_bytes(png(svg))
    vector.write_text(svg, encoding="utf-8")
    return [image, vector]


def png(svg: str) -> bytes:
    """The drawing `svg` as a PNG file, at twice the size."""
    return vl_convert.svg_to_png(svg, scale=PNG_SCALE)


def inline(svg: str, prefix: str) -> str:
    """The drawing as an element to stand inside a page, its ids prefixed: two drawings share none.

    What it says of single marks to screen readers is left out: the page names the picture as a whole.
    """
    element = re.sub(r' (?:aria-[a-z]+="[^"]*"|role="graphics-[a-z]+")', "", svg)
    element = re.sub(r'\bid="', f'id="{prefix}-', element)
    element = element.replace("url(#", f"url(#{prefix}-")
    return element.replace('href="#', f'href="#{prefix}-')
