"""Measurements as text: a table for the terminal, and records for files."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from caw.measures import catalogue

AT_A_TIME = 4  # generated clips in one table: with the anchors it stays within 80 characters
NAME, UNIT, BETTER, COLUMN = 16, 5, 9, 8  # characters
WIDTH = 80
ANCHORS = ("halves", "noise")
READING = (
    "Read each beside its anchors. halves: the real clip's second half against its first; noise: white "
    "noise. Judge them jointly: a copy wins every distance and shows in copied_share to match_4; noise "
    "passes those and loses every distance."
)


def tables(records: Sequence[Mapping]) -> str:
    """The measurements of one real clip's fakes: one row a measure, one column a clip, then the anchors.

    records: as `measuring.measurements` gives them; columns bear the clips' numbers, counted from 1.
    """
    parts = [
        _table(records[first : first + AT_A_TIME], first + 1) for first in range(0, len(records), AT_A_TIME)
    ]
    return "\n\n".join(parts)


def explanation() -> str:
    """What every measure means, and how to read them."""
    edge = replace(catalogue.EDGE, name=f"{catalogue.EDGE.name}_HZ")
    listed = [catalogue.Measure("measure", "unit", "better", "meaning"), *catalogue.measures(), edge]
    lines = []
    for one in listed:
        start = f"{one.name:<{NAME}}{one.unit:<{UNIT}}{one.better:<{BETTER}}  "
        lines += textwrap.wrap(one.meaning, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
    return "\n".join([*lines, "", *textwrap.wrap(READING, WIDTH)])


def number(value: float | None) -> str:
    """Three figures, as a table shows them; a dash for what was not measured."""
    if value is None:
        return "-"
    places = next((places for limit, places in ((1, 3), (10, 2), (100, 1)) if abs(value) < limit), 0)
    text = f"{value:.{places}f}"
    return "0" if float(text) == 0 else text


def flat(record: Mapping) -> dict:
    """A record as one row: its facts, its measures by name, its anchors' as halves_NAME and noise_NAME."""
    row = {key: value for key, value in record.items() if key not in ("measures", "anchors")}
    row |= record["measures"]
    for anchor in ANCHORS:
        row |= {f"{anchor}_{name}": value for name, value in record["anchors"][anchor].items()}
    return row


def _table(records: Sequence[Mapping], first: int) -> str:
    anchors = records[0]["anchors"]
    heads = [*(str(first + place) for place in range(len(records))), *ANCHORS]
    lines = [_line("", "", "better", heads)]
    for name in records[0]["measures"]:
        one = catalogue.measure(name)
        values = [record["measures"][name] for record in records]
        values += [anchors[anchor].get(name) for anchor in ANCHORS]
        lines.append(_line(name, one.unit, one.better, [number(value) for value in values]))
    return "\n".join(lines)


def _line(name: str, unit: str, better: str, cells: Sequence[str]) -> str:
    start = f"{name:<{NAME}}{unit:<{UNIT}}{better:<{BETTER}}"
    return start + "".join(f"{cell:>{COLUMN}}" for cell in cells)
