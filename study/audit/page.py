"""An audit as one HTML page that needs no other file: light and dark, printable, every plot an inline SVG."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from caw.measures import catalogue, display
from study.audit.findings import Audit, Finding, Strip

_CAPTION = "Medians of the machine-made clips of each set, and of their originals' anchors"
_WIDTH, _HEIGHT, _EDGE = 240, 44, 6  # px of a strip plot
_WORDS = {
    "leak": "leak",
    "accepted": "accepted",
    "separates": "tells apart",
    "hint": "perhaps by chance",
    "unclear": "no",
    "same": "same",
}
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2126; --soft: #5a636e; --line: #d5dae0;
  --accent: var(--real); --real: #0b62a8; --fake: #b04a00; --bad: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e6e9ec; --soft: #a3acb6;
  --line: #3a4149; --real: #7db8ee; --fake: #f0a35e; --bad: #ff8a80; --good: #7fd39b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 44rem; margin: .4rem 0; } .soft { color: var(--soft); }
.verdict { border-left: 4px solid var(--good); padding: .3rem .8rem; font-weight: 600; }
.verdict.bad { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; } td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.leak { color: var(--bad); font-weight: 600; } .separates, .accepted { font-weight: 600; }
svg { display: block; } svg text { font: 10px system-ui, sans-serif; fill: var(--soft); }
.real { fill: var(--real); } .fake { fill: var(--fake); } line { stroke: var(--line); }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --real: #0b62a8;
  --fake: #b04a00; --bad: #b3261e; --good: #1b6e3c; } body { max-width: none; padding: 0; font-size: 11px; }
  tr { break-inside: avoid; } }
"""


def render(audit: Audit, *, title: str, verdict: str, measures: Mapping[str, Any] | None = None) -> str:
    """The whole page. It shows how real and fake clips differ as groups, and names clips that share sound.

    measures: of the machine-made clips, from `measuring.read`, where they were taken.
    """
    formats = [finding for finding in audit.findings if finding.kind == "format"]
    others = [finding for finding in audit.findings if finding.kind != "format"]
    sets = list(dict.fromkeys(finding.set for finding in others))
    notes = "".join(f"<li>{escape(note)}</li>" for note in audit.notes())
    fixes = "".join(
        f"<li><b>{escape(finding.property)}</b> in {escape(finding.set)}: {escape(finding.fix)}</li>"
        for finding in audit.leaks
    )
    strips = {(strip.set, strip.property): strip for strip in audit.strips}
    parts = [
        f"<h1>{escape(title)}</h1>",
        '<p class="soft">For the researcher: it shows how real and fake clips differ as groups. It names no '
        "clip but those that share sound, and these where they tell no truth. Who has read it should not "
        "listen.</p>",
        f'<p class="verdict{" bad" if audit.leaks else ""}">{escape(verdict)}</p>',
        f"<h2>What to do</h2><ul>{fixes}</ul>" if fixes else "",
        f"<h2>Notes</h2><ul>{notes}</ul>" if notes else "",
        _repeats(audit),
        "<h2>Format: must be the same</h2>",
        _formats(formats),
        *[_contents(name, [finding for finding in others if finding.set == name], strips) for name in sets],
        _classifiers(audit),
        '<p class="soft">AUC is the share of pairs in which the real clip measures more; .5 says nothing, 0 '
        "or 1 tells all. p is of a permutation test; Holm corrects it over the properties of a set, and the "
        "last p over the whole audit, that is over form and order, or over all traces: it alone decides, on "
        "form and order. Music and traces are reported and never fail. What a listener notices can be heard, "
        "or comes of the order of the clips; what only a program notices takes somebody who saves the clips "
        "and reads their numbers.</p>",
        _measures_section(measures or {}),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}'
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</title><style>{_STYLE}{_tables()}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _tables() -> str:
    """The style of tables on every page of this project: they show that they scroll."""
    return (files("analysis") / "templates" / "tables.css").read_text("utf-8")


def _formats(findings: list[Finding]) -> str:
    rows = [
        f"<tr><th scope=row>{escape(finding.property)}</th><td>{escape(finding.real)}</td>"
        f"<td>{escape(finding.fake)}</td><td>{finding.noticed_by}</td>{_verdict(finding)}</tr>"
        for finding in findings
    ]
    return _table(
        ["property", "real", "fake", "noticed by", "differs"], rows, "The files as they lie on the disk"
    )


def _contents(name: str, findings: list[Finding], strips: dict[tuple[str, str], Strip]) -> str:
    rows = []
    for finding in findings:
        strip = strips.get((name, finding.property))
        plot = _strip(strip) if strip and finding.verdict != "same" else ""
        numbers = [
            "" if value is None else f"{value:.3f}"
            for value in (finding.auc, finding.p, finding.p_holm, finding.p_audit)
        ]
        cells = [escape(finding.kind), finding.noticed_by, escape(finding.real), escape(finding.fake), plot]
        rows.append(
            f"<tr><th scope=row>{escape(finding.property)}</th>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "".join(f'<td class="number">{number}</td>' for number in numbers)
            + f"{_verdict(finding)}</tr>"
        )
    heads = [
        "property",
        "kind",
        "noticed by",
        "real",
        "fake",
        "each clip",
        "AUC",
        "p",
        "Holm",
        "whole audit",
        "tells",
    ]
    return f"<h2>{escape(name)}</h2>" + _table(heads, rows, "Real and fake clips as groups")


def _repeats(audit: Audit) -> str:
    rows = [
        f"<tr><td>{escape(pair.first.stem)}</td><td>{escape(pair.second.stem)}</td>"
        f'<td class="number">{pair.seconds:.1f}</td></tr>'
        for pair in audit.named_repeats
    ]
    caption = "Pairs of clips with the same sound, in the order of their names; whatever they are"
    heads = ["clip", "clip", "s in one piece"]
    return "<h2>Shared stretches</h2>" + _table(heads, rows, caption) if rows else ""


def _classifiers(audit: Audit) -> str:
    rows = []
    for entry in audit.classifications:
        numbers = ["", ""] if entry.accuracy is None else [f"{entry.accuracy:.0%}", f"{entry.p:.3f}"]
        cells = "".join(f'<td class="number">{cell}</td>' for cell in [*numbers, f"{entry.smallest_p:.3f}"])
        rows.append(f"<tr><th scope=row>{escape(entry.set)}</th>{cells}</tr>")
    caption = "Linear discriminant analysis, one clip left out at a time; half right is chance"
    heads = ["set", "balanced accuracy", "p", "smallest p there is"]
    return "<h2>A classifier on all properties</h2>" + _table(heads, rows, caption)


def _table(heads: list[str], rows: list[str], caption: str) -> str:
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _verdict(finding: Finding) -> str:
    return f'<td class="{finding.verdict}">{_WORDS[finding.verdict]}</td>'


def _strip(strip: Strip) -> str:
    """Both kinds' values on one scale, real above fake, without clips that do not show the property."""
    kinds = {name: [value for value in getattr(strip, name) if value == value] for name in ("real", "fake")}
    shown = [value for values in kinds.values() for value in values]
    if not shown:
        return ""
    least, most = min(shown), max(shown)
    scale = (_WIDTH - 40 - 2 * _EDGE) / ((most - least) or 1.0)
    marks = []
    for row, (kind, values) in enumerate(kinds.items()):
        y = 12 + 20 * row
        marks.append(f'<line x1="34" x2="{_WIDTH}" y1="{y}" y2="{y}"/><text x="0" y="{y + 3}">{kind}</text>')
        for value in values:
            x = 34 + _EDGE + (value - least) * scale
            shape = f'<circle cx="{x:.1f}" cy="{y}" r="4"' if row == 0 else f'<path d="{_diamond(x, y)}"'
            marks.append(f'{shape} class="{kind}" fill-opacity=".65"/>')
    label = f"{strip.property}: {len(kinds['real'])} real and {len(kinds['fake'])} fake clips"
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(marks)}</svg>'


def _diamond(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 5}l5 5-5 5-5-5z"


def measures_rows(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The heads of the columns and the cells of the rows, from `measuring.read`; ([], []) where that is {}.

    A value of `imposed` that reaches the aim, for the originals' medians, is marked with display.PASSED.
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


def _measures_section(record: Mapping[str, Any]) -> str:
    """The part of the page on measures; "" where nothing was measured."""
    heads, cells = measures_rows(record)
    if not cells:
        return ""
    lines = [
        f"<tr><th scope=row>{escape(first)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in cells
    ]
    reading = f'<p class="soft">{escape(" ".join(display.READING))}</p>'
    shown = _table([escape(head) for head in heads], lines, _CAPTION)
    return f"<h2>What the machine-made clips measured</h2>{shown}{reading}"


def _medians(values: list[Mapping[str, float | None]]) -> dict[str, float | None]:
    medians = {}
    for name in dict.fromkeys(name for one in values for name in one if name != "recipe"):
        known = [one[name] for one in values if one.get(name) is not None]
        medians[name] = statistics.median(known) if known else None
    return medians


def _in_order(columns: Mapping[str, Mapping]) -> list[str]:
    names = set().union(*columns.values())
    edges = [float(name.partition("_")[2]) for name in names if name.partition("_")[0] == catalogue.EDGE.name]
    return [one.name for one in catalogue.measures(sorted(edges)) if one.name in names]
