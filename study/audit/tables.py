"""An audit as a table for the terminal, and as files in a private folder."""

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
from study.audit.findings import Audit, Finding
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
    """The findings as a table for the terminal, one row for each property; audit.csv has values and units.

    Each cell holds the area under the ROC curve, its p before correction, and a mark for the verdict (MARKS).
    """
    sets = list(dict.fromkeys(entry.set for entry in audit.classifications))
    table = Table(title="Leak audit", title_justify="left", box=SIMPLE, pad_edge=False, caption=LEGEND)
    table.caption_justify = "left"
    table.add_column("property", no_wrap=True)
    table.add_column("kind")
    table.add_column("noticed by")
    for name in sets:
        table.add_column(f"{name}: AUC, p", justify="right")
    formats = [finding for finding in audit.findings if finding.kind == "format"]
    leaking = ", ".join(finding.property for finding in formats if finding.verdict == "leak")
    verdict = f"LEAK: {leaking}" if leaking else "no difference tells"
    if all(finding.verdict == "same" for finding in formats):
        verdict = "same"
    noticed = ", ".join(dict.fromkeys(finding.noticed_by for finding in formats if finding.verdict == "leak"))
    table.add_row(f"{len(formats)} properties of files", "format", noticed, *[verdict] * len(sets))
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for finding in audit.findings:
        if finding.kind != "format":
            text = "same" if finding.verdict == "same" else f"{finding.auc:.2f}, {_p(finding.p)}"
            row = cells.setdefault((finding.property, finding.kind, finding.noticed_by), {})
            row[finding.set] = text + MARKS.get(finding.verdict, "")
    for (name, *who), row in cells.items():
        table.add_row(name.split(" (")[0], *who, *[row.get(column, "") for column in sets])
    classes = {entry.set: entry for entry in audit.classifications}
    reached = [(classes[name].accuracy, classes[name].p) for name in sets]
    accuracies = ["" if accuracy is None else f"{accuracy:.2f}, {_p(p)}" for accuracy, p in reached]
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
    """Write audit.json, audit.csv and index.html into a private folder, as they show truth by groups.

    measures: as of `page.render`.
    """
    rows = [_row(finding) for finding in audit.findings]
    test = {
        "alpha": audit.alpha,
        "p": audit.outcome.overall,
        "smallest_p": audit.outcome.smallest,
        "labelings": audit.outcome.labelings,
        "leaks": [finding.property for finding in audit.leaks],
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


def _row(finding: Finding) -> dict[str, Any]:
    """A finding with the names that the columns have in the files."""
    return {"mend" if name == "fix" else name: value for name, value in asdict(finding).items()}


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.01 else f"{value:.2f}"
