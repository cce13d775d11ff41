"""Measurements as text: a table for the terminal, and records for files."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from caw.measures import catalogue
from caw.measures.catalogue import Measure

AT_A_TIME = 2  # generated clips in one table: with the anchors it stays within 80 characters
NAME, UNIT, BETTER, COLUMN = 16, 5, 7, 7  # characters
WIDTH = 80
ANCHORS = {
    "real": "the real clip itself",
    "halves": "its second half against its first",
    "imposed": "white noise with the loudness of the real clip in every band, without any model",
    "mosaic": "the real clip's own pieces in another order",
    "noise": "white noise",
}
PASSED = "*"  # behind a value of `imposed` that reaches the aim
NO_TARGET = f"{PASSED} no target: shaped noise passes it (caw measure --explain)"
READING = (
    "Read each beside its anchors. " + "; ".join(f"{name}: {what}" for name, what in ANCHORS.items()) + ".",
    "aim: what new music should reach, or else what the halves read. Where imposed reaches it (marked "
    f"{PASSED}), loudness alone is enough: for this clip the measure is no target. It passed frechet_ on "
    "every clip tried. It passes those of rhythm because it copies the real clip's score, which shows in "
    "correlation_1 and correlation_4.",
    "Judge them jointly. A copy wins every distance and shows in copied_share to correlation_4; a click track"
    " wins pulse and bar_acf and loses the rest. same_ is for variations: 1 keeps everything.",
)


def tables(records: Sequence[Mapping]) -> str:
    """The measurements of one real clip's fakes: a row for each measure, columns for clips and anchors.

    records: as `caw.cli.measuring.measurements` returns them. Columns are headed by the clips' numbers from
    1.
    """
    parts = [
        _table(records[first : first + AT_A_TIME], first + 1) for first in range(0, len(records), AT_A_TIME)
    ]
    return "\n\n".join([*parts, NO_TARGET] if records[0]["passed_by_noise"] else parts)


def explanation() -> str:
    """The meaning of every measure, and how to read them."""
    edge = replace(catalogue.EDGE, name=f"{catalogue.EDGE.name}_HZ")
    lines = [f"{'measure':<{NAME}}{'unit':<{UNIT}}{'better':<{BETTER}}  meaning [aim]"]
    for measure in [*catalogue.measures(), edge]:
        start = f"{measure.name:<{NAME}}{measure.unit:<{UNIT}}{_better(measure):<{BETTER}}  "
        meaning = f"{measure.meaning} [{measure.aim}]" if measure.aim else measure.meaning
        lines += textwrap.wrap(meaning, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
    for paragraph in READING:
        lines += ["", *textwrap.wrap(paragraph, WIDTH)]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three figures, as a table shows them; a dash for what was not measured."""
    if value is None:
        return "-"
    places = next((places for limit, places in ((1, 3), (10, 2), (100, 1)) if abs(value) < limit), 0)
    text = f"{value:.{places}f}"
    return "0" if float(text) == 0 else text


def of_anchors(anchors: Mapping[str, Mapping], name: str, passed: Collection[str]) -> list[str]:
    """A measure's value for every anchor as text; that of `imposed` is marked if the name is in `passed`."""
    return [
        number(values.get(name)) + (PASSED if anchor == "imposed" and name in passed else "")
        for anchor, values in anchors.items()
    ]


def flat(record: Mapping) -> dict:
    """A record as one flat row: facts, measures by name, and those of anchors as halves_NAME and so on."""
    row = {key: value for key, value in record.items() if not isinstance(value, Mapping | list)}
    row |= record["measures"]
    for anchor, values in record["anchors"].items():
        row |= {f"{anchor}_{name}": value for name, value in values.items()}
    return row | {"passed_by_noise": " ".join(record["passed_by_noise"])}


def _table(records: Sequence[Mapping], first: int) -> str:
    anchors = {name: values for name, values in records[0]["anchors"].items() if values}
    heads = [*(str(first + place) for place in range(len(records))), *anchors]
    lines = [_line("", "", "better", heads)]
    for name in records[0]["measures"]:
        measure = catalogue.measure(name)
        cells = [number(record["measures"][name]) for record in records]
        cells += of_anchors(anchors, name, records[0]["passed_by_noise"])
        lines.append(_line(name, measure.unit, _better(measure), cells))
    return "\n".join(lines)


def _better(measure: Measure) -> str:
    return measure.better.removeprefix("as ")


def _line(name: str, unit: str, better: str, cells: Sequence[str]) -> str:
    """A row of a table; marks stand in the gap that every number leaves before the next."""
    start = f"{name:<{NAME}}{unit:<{UNIT}}{better:<{BETTER}}"
    padded = [
        f"{cell.removesuffix(PASSED):>{COLUMN - 1}}{PASSED if PASSED in cell else ' '}" for cell in cells
    ]
    return (start + "".join(padded)).rstrip()
