"""Colours, fonts and files of all charts. Colours are Okabe and Ito's, safe for colour-blind readers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from os.path import commonprefix
from pathlib import Path

import altair as alt
import vl_convert

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, GREY, INK = "#0072B2", "#D55E00", "#8A8F98", "#24292F"

WIDE, NARROW = 1010, 340  # px: the text width of the page on a desktop or on paper, and on a phone
# The page's font as well: alike in their metrics, so that what is laid out in one of them fits in the others.
FONT = 'Helvetica, Arial, "Liberation Sans", Roboto, sans-serif'
PNG_SCALE = 2
SLIM, BROAD = set("!'()*,-./:;I[]fijlrt|` "), set("@MWm%\u2026")  # letters of Arial and its like
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

# The words of the charts. Shapes and colours never share a word, or their legends would merge.
KIND = {"fake": "machine-made", "real": "original"}
JUDGED = {"fake": "judged machine-made", "real": "judged real"}
SHAPES = alt.Scale(domain=list(KIND.values()), range=["circle", "diamond"])
KIND_COLOURS = alt.Scale(domain=list(KIND.values()), range=[VERMILION, BLUE])
JUDGED_COLOURS = alt.Scale(domain=list(JUDGED.values()), range=[VERMILION, BLUE])
MODE_COLOURS = alt.Scale(domain=["UMG", "VAR"], range=[ORANGE, SKY])


def letters(width: int) -> int:
    """Size in px of the letters of a chart of `width` px."""
    return 14 if width > NARROW else 12


def look(width: int) -> alt.Config:
    """The look that all charts of this width share."""
    size = letters(width)
    return alt.Config(
        font=FONT,
        background="white",
        padding=4,
        axis=alt.AxisConfig(
            labelFontSize=size,
            titleFontSize=size,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor="#EDEFF2",
            domainColor=GREY,
            tickColor=GREY,
        ),
        title=alt.TitleConfig(color=INK, fontWeight=600),
        legend=alt.LegendConfig(
            orient="bottom",
            direction="horizontal",
            labelFontSize=size,
            titleFontSize=size,
            symbolSize=110,
            columnPadding=18,
            labelLimit=0,
        ),
        text=alt.MarkConfig(fontSize=size, color=INK),
        view=alt.ViewConfig(stroke=None),
    )


def finish(chart: alt.TopLevelMixin, title: str, width: int) -> alt.TopLevelMixin:
    """The chart with its title and the look that all charts share."""
    size = letters(width) + 2
    return chart.properties(
        title=alt.TitleParams(title, anchor="start", fontSize=size, offset=12), config=look(width)
    )


def text_width(text: str, size: float) -> float:
    """Px that a text takes at most in letters of `size` px of Arial or a font like it."""
    ems = sum(
        0.34 if letter in SLIM else 0.95 if letter in BROAD else 0.72 if letter.isupper() else 0.56
        for letter in text
    )
    return size * (ems + 0.45 * sum(ord(letter) > 0x2E80 for letter in text))


def shortened(names: Iterable[str], fits: Callable[[str], bool]) -> dict[str, str]:
    """Every name with a form of it that fits, cut in its middle where need be; no two forms are alike.

    fits: whether a form is short enough. As much is kept of the beginning as of the end, or more of one of
    them where that tells the names apart; where no such cut does, what lies between the beginning and the end
    that all share, or a number after the ellipsis.
    """
    names = list(dict.fromkeys(names))
    for share in (0.5, 0.3, 0.7, 0.15, 0.85, 0.0):
        forms = {name: name if fits(name) else _cut(name, share, fits) for name in names}
        if len(set(forms.values())) == len(names):
            return forms
    long = [name for name in names if not fits(name)]
    first, last = (len(commonprefix([name[::step] for name in long])) for step in (1, -1))
    forms |= {name: f"{ELLIPSIS}{name[first : len(name) - last]}{ELLIPSIS}" for name in long}
    if all(map(fits, forms.values())) and len(set(forms.values())) == len(names):
        return forms
    taken, number = set(names) - set(long), 0
    for name in long:
        number += 1
        while (form := _cut(name, 1.0, fits, str(number))) in taken:
            number += 1
        taken.add(form)
        forms[name] = form
    return forms


def _cut(name: str, share: float, fits: Callable[[str], bool], after: str = "") -> str:
    """The longest form of `name` that fits, with `share` of its letters before the ellipsis, and `after`."""
    for length in range(len(name) - 1, 0, -1):
        first = round(length * share)
        end = name[len(name) - length + first :]
        if fits(form := f"{name[:first]}{ELLIPSIS}{end}{after}"):
            return form
    return ELLIPSIS + after


def names_axis(names: Iterable[str], least: int, most: int, *, size: int, **options) -> tuple[int, alt.Axis]:
    """An axis of names that are never cut to ambiguity, and its px: what the longest takes, within bounds."""
    names = list(names)
    longest = max((text_width(name, size) for name in names), default=0)
    room = round(min(max(longest + 18, least), most))
    forms = shortened(names, lambda form: text_width(form, size) <= room - 10)
    axis = {"labelLimit": 0, "minExtent": room, "maxExtent": room, "labelFontSize": size}
    return room, alt.Axis(**axis | written(forms) | options)


def written(forms: dict[str, str]) -> dict[str, str]:
    """What makes an axis or a legend show names in their shortened forms; nothing where none is shorter."""
    if all(name == form for name, form in forms.items()):
        return {}
    return {"labelExpr": f"({json.dumps(forms)})[datum.label]"}


def heading(text: str, width: int) -> alt.TitleParams:
    """The title of a part of a chart."""
    return alt.TitleParams(text, anchor="start", fontSize=letters(width) + 1)


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
