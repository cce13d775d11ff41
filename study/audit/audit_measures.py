"""What a study's machine-made clips measured, as a part of its audit's page: medians by set and anchors."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from html import escape
from typing import Any

from caw.measures import catalogue, display

CAPTION = "Medians of the machine-made clips of each set, and of their originals' anchors"


def rows(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The columns' heads and the rows' cells, from what `measuring.read` gives; ([], []) where that is {}.

    A value of `imposed` that reaches the aim, for the originals' medians, bears display.PASSED.
    """
    clips = [clip for clip in record.get("clips", []) if clip.get("measures")]
    if not clips:
        return [], []
    sets = {
        name: [c["measures"] for c in clips if c["set"] == name]
        for name in dict.fromkeys(c["set"] for c in clips)
    }
    taken = record.get("anchors", {}).values()
    anchors = {name: [one[name] for one in taken if one.get(name)] for name in display.ANCHORS}
    columns = {name: _medians(values) for name, values in (sets | anchors).items() if values}
    passed = catalogue.passed_by_noise({name: columns[name] for name in anchors if name in columns})
    known = [
        name
        for name in _in_order(columns)
        if any(values.get(name) is not None for values in columns.values())
    ]
    cells = []
    for name in known:
        one = catalogue.measure(name)
        values = display.of_anchors(columns, name, passed)
        cells.append([name + (f" ({one.unit})" if one.unit else ""), one.better, *values, one.meaning])
    return ["measure", "better", *columns, "meaning"], cells


def section(record: Mapping[str, Any], table) -> str:
    """The part of the page; "" where nothing was measured. table: as `audit_page` makes its tables."""
    heads, cells = rows(record)
    if not cells:
        return ""
    lines = [
        f"<tr><th scope=row>{escape(first)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in cells
    ]
    reading = f'<p class="soft">{escape(" ".join(display.READING))}</p>'
    shown = table([escape(head) for head in heads], lines, CAPTION)
    return f"<h2>What the machine-made clips measured</h2>{shown}{reading}"


def _medians(values: list[Mapping[str, float | None]]) -> dict[str, float | None]:
    found = {}
    for name in dict.fromkeys(name for one in values for name in one if name != "recipe"):
        known = [one[name] for one in values if one.get(name) is not None]
        found[name] = statistics.median(known) if known else None
    return found


def _in_order(columns: Mapping[str, Mapping]) -> list[str]:
    given = set().union(*columns.values())
    edges = [float(name.partition("_")[2]) for name in given if name.partition("_")[0] == catalogue.EDGE.name]
    return [one.name for one in catalogue.measures(sorted(edges)) if one.name in given]
