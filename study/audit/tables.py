"""An audit as a table for the terminal, and as files of a private folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from caw.files import atomic, spreadsheet
from study.audit import page
from study.audit.findings import Audit
from study.audit.properties import LISTENER, PROGRAM

COLUMNS = (
    "set",
    "property",
    "kind",
    "real",
    "fake",
    "auc",
    "p",
    "p_holm",
    "p_audit",
    "verdict",
    "mend",
    "noticed_by",
)
MARKS = {"leak": " !!", "accepted": " (!)", "separates": " !", "hint": " ?"}
LEGEND = (
    "AUC: .5 says nothing, 0 or 1 tells all. !! leak, ! tells apart (music and traces: reported, not failed),"
    " ? perhaps by chance. Noticed by: a listener can hear it, or only a program that reads the files sees it"
)


def as_table(audit: Audit) -> Table:
    """The findings for a terminal, a row per property; audit.csv has the values and units.

    Each cell is the area under the ROC curve and its p before correction, and a mark of its verdict (MARKS).
    """
    sets = list(dict.fromkeys(entry.set for entry in audit.classifications))
    table = Table(title="Leak audit", title_justify="left", box=SIMPLE, pad_edge=False, caption=LEGEND)
    table.caption_justify = "left"
    table.add_column("property", no_wrap=True)
    table.add_column("kind")
    table.add_column("noticed by")
    for name in sets:
        table.add_column(f"{name}: AUC, p", justify="right")
    formats = [found for found in audit.findings if found.kind == "format"]
    leaking = ", ".join(found.property for found in formats if found.verdict == "leak")
    verdict = f"LEAK: {leaking}" if leaking else "no difference tells"
    if all(found.verdict == "same" for found in formats):
        verdict = "same"
    noticed = ", ".join(dict.fromkeys(found.noticed_by for found in formats if found.verdict == "leak"))
    table.add_row(f"{len(formats)} properties of files", "format", noticed, *[verdict] * len(sets))
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for found in audit.findings:
        if found.kind != "format":
            text = "same" if found.verdict == "same" else f"{found.auc:.2f}, {_p(found.p)}"
            row = cells.setdefault((found.property, found.kind, found.noticed_by), {})
            row[found.set] = text + MARKS.get(found.verdict, "")
    for (name, *who), row in cells.items():
        table.add_row(name.split(" (")[0], *who, *[row.get(column, "") for column in sets])
    classes = {entry.set: entry for entry in audit.classifications}
    told = [(classes[name].accuracy, classes[name].p) for name in sets]
    accuracies = ["" if accuracy is None else f"{accuracy:.2f}, {_p(p)}" for accuracy, p in told]
    table.add_row("classifier: accuracy, p", "all", PROGRAM, *accuracies)
    return table


def verdict_line(audit: Audit) -> str:
    """The outcome in one line."""
    tested = audit.outcome
    what = f"p = {_p(tested.overall)} over the whole audit, {tested.labelings} relabelings"
    if not tested.p:
        what = "form and order do not vary, or there is one kind of clips only"
    if audit.leaks:
        heard, seen = (audit.leaks_noticed_by(who) for who in (LISTENER, PROGRAM))
        parts = [f"a listener can notice {', '.join(heard)}"] if heard else []
        parts += [f"only a program can see {', '.join(seen)}"] if seen else []
        return f"LEAK: {'; '.join(parts)} ({what})"
    return f"no leak found: format, form and order do not tell real from fake ({what})"


def write(
    audit: Audit, folder: Path, *, title: str = "Leak audit", measures: Mapping[str, Any] | None = None
) -> None:
    """Write audit.json, audit.csv and index.html into a private folder: they show truth by groups.

    measures: as of `page.render`.
    """
    rows = [asdict(finding) for finding in audit.findings]
    test = {
        "alpha": audit.alpha,
        "p": audit.outcome.overall,
        "smallest_p": audit.outcome.smallest,
        "labelings": audit.outcome.labelings,
        "leaks": [found.property for found in audit.leaks],
    }
    classes = [asdict(entry) for entry in audit.classifications]
    content = {"test": test, "findings": rows, "classifier": classes, "notes": audit.notes()}
    content["repeats"] = [
        {"first": pair.first.stem, "second": pair.second.stem, "seconds": round(pair.seconds, 2)}
        for pair in audit.named_repeats
    ]
    atomic.write(folder / "audit.json", json.dumps(content, indent=1) + "\n", mode=0o600)
    spreadsheet.write(folder / "audit.csv", COLUMNS, rows, mode=0o600)
    html = page.render(audit, title=title, verdict=verdict_line(audit), measures=measures)
    atomic.write(folder / "index.html", html, mode=0o600)


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.01 else f"{value:.2f}"
