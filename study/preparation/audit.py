"""The leak audit: does anything but the music tell real from fake?

Properties of the files must be the same for all stimuli: any difference is a leak, and fails. Properties of
the sound differ from clip to clip; they are tested, and a separation is told with its p-value. With 2 real
clips of 10 even a perfect separation has p = 2/45 = .044, and none after Holm's correction: the audit says
so instead of calling it safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from caw import atomic
from study.preparation import separation
from study.preparation.properties import ORDER, contents_for, formats_for, measure_content, measure_format

ALPHA = 0.05
HINT = 0.1  # a perfect separation with a p above it says nothing, as of one real clip among ten
_COLUMNS = ("set", "property", "kind", "real", "fake", "auc", "p", "p_holm", "verdict", "mend")


class LeakError(ValueError):
    """A property of the files tells real from fake: such sets must not be heard."""

    exit_code = 1


@dataclass(frozen=True)
class Heard:
    """One stimulus as the audit sees it."""

    file: Path
    real: bool


@dataclass(frozen=True)
class Finding:
    """One property in one set. `verdict`: same, leak, separates, hint or unclear."""

    set: str
    property: str
    kind: str  # format or content
    real: str  # value or range among the real clips
    fake: str
    auc: float | None
    p: float | None
    p_holm: float | None
    verdict: str
    mend: str


@dataclass(frozen=True)
class Classification:
    """The classifier on all properties of the sound of one set; None where there are too few clips."""

    set: str
    accuracy: float | None  # balanced, left one out
    p: float | None
    smallest_p: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """All findings of a build."""

    findings: list[Finding]
    classifications: list[Classification]

    @property
    def leaks(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict == "leak"]

    @property
    def separations(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict in ("separates", "hint")]

    def require_no_leak(self) -> None:
        """Raises: LeakError with the first leak and its mend."""
        if leaks := self.leaks:
            first, more = leaks[0], f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
            told = (
                f"leak: {first.property} differs in {first.set}: {first.real} real, {first.fake} fake{more}"
            )
            raise LeakError(f"{told}; {first.mend}")

    def notes(self) -> list[str]:
        """What the researcher should read, a line each."""
        lines = []
        for found in self.separations:
            told = f"{found.set}: {found.property} is {found.real} real, {found.fake} fake"
            surely = f"p = {found.p:.3f}, {found.p_holm:.3f} after Holm"
            weight = (
                "tells them apart" if found.verdict == "separates" else "separates them, perhaps by chance"
            )
            lines.append(f"{told}: {weight} ({surely}); {found.mend}")
        for entry in self.classifications:
            lines += [f"{entry.set}: {note}" for note in entry.notes]
        return lines


def run(sets: Mapping[str, Sequence[Heard]], practice: Sequence[Heard] = ()) -> Audit:
    """Audit the finished files of each set; practice clips must share the format of all the others."""
    everyone = [heard for clips in sets.values() for heard in clips] + list(practice)
    findings = _formats("all sets", everyone)
    classifications = []
    for name, clips in sets.items():
        found, classification = _contents(name, sorted(clips, key=lambda heard: heard.file.stem))
        findings += found
        classifications.append(classification)
    return Audit(findings, classifications)


def _formats(where: str, clips: Sequence[Heard]) -> list[Finding]:
    files = [heard.file for heard in clips]
    facts = [measure_format(file) for file in files]
    findings = []
    for wanted in formats_for(files):
        values = [fact[wanted.name] for fact in facts]
        real = _range([value for value, heard in zip(values, clips, strict=True) if heard.real])
        fake = _range([value for value, heard in zip(values, clips, strict=True) if not heard.real])
        same = len(set(values)) <= 1 and not (wanted.name == "chunks" and values and values[0])
        verdict, mend = ("same", "") if same else ("leak", wanted.mend)
        findings.append(Finding(where, str(wanted), "format", real, fake, None, None, None, verdict, mend))
    return findings


def _contents(name: str, clips: Sequence[Heard]) -> tuple[list[Finding], Classification]:
    real = np.array([heard.real for heard in clips], bool)
    wanted = contents_for([heard.file for heard in clips])
    facts = [
        measure_content(heard.file) | {"order of names": float(place)} for place, heard in enumerate(clips)
    ]
    values = {entry.name: np.array([fact[entry.name] for fact in facts]) for entry in wanted}
    if real.all() or not real.any():
        kind = "real" if real.all() else "fake"
        note = f"all clips are {kind}: there is nothing to tell apart"
        return [], Classification(name, None, None, 1.0, (note,))
    p_values = [separation.area_p(values[entry.name], real) for entry in wanted]
    adjusted = separation.holm(p_values)
    findings = []
    for entry, p, p_holm in zip(wanted, p_values, adjusted, strict=True):
        numbers = values[entry.name]
        auc = separation.area(numbers, real)
        verdict = "same" if np.ptp(numbers) == 0 else "unclear"
        if p_holm <= ALPHA:
            verdict = "separates"
        elif auc in (0.0, 1.0) and p <= HINT and entry is not ORDER:
            verdict = "hint"
        mend = entry.mend if verdict in ("separates", "hint") else ""
        shown = _range(numbers[real]), _range(numbers[~real])
        findings.append(Finding(name, str(entry), "content", *shown, auc, p, p_holm, verdict, mend))
    return findings, _classified(name, np.column_stack(list(values.values())), real)


def _classified(name: str, features: np.ndarray, real: np.ndarray) -> Classification:
    least, notes = separation.smallest_p(real, sides=2), []
    if least * features.shape[1] > ALPHA:
        told = f"with {real.sum()} real of {len(real)} clips no property can be significant after correction"
        notes.append(f"{told} (smallest p {least:.3f}): read the areas")
    accuracy = p = None
    if real.sum() >= 2 and (~real).sum() >= 2:
        accuracy = separation.classifier_accuracy(features, real)
        p = separation.classifier_p(features, real)
        if p <= ALPHA:
            told = "a classifier tells real from fake by these properties alone"
            mend = "see in private/audit/audit.csv which properties lie apart, and mend those"
            notes.append(f"{told}: {accuracy:.0%} right, p = {p:.3f}; {mend}")
    return Classification(name, accuracy, p, separation.smallest_p(real, sides=1), tuple(notes))


def _range(values: Sequence) -> str:
    """One value, or the least and the greatest."""
    if len(values) == 0:
        return "none"
    least, most = min(values), max(values)
    shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in (least, most)]
    return (shown[0] or "none") if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def as_table(audit: Audit) -> Table:
    """The findings for a terminal, a row per property; audit.csv has the values too.

    Each cell is the area under the ROC curve and its p before correction; "!" stands behind what tells real
    from fake, "?" behind what separates them perfectly but may do so by chance.
    """
    sets = list(dict.fromkeys(entry.set for entry in audit.classifications))
    table = Table(title="Leak audit", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("property")
    for name in sets:
        table.add_column(f"{name}: AUC, p", justify="right")
    formats = [found for found in audit.findings if found.kind == "format"]
    leaking = ", ".join(found.property for found in audit.leaks)
    verdict = f"LEAK: {leaking}" if leaking else "same"
    table.add_row(f"{len(formats)} properties of the files", *[verdict] * len(sets))
    cells: dict[str, dict[str, str]] = {}
    for found in audit.findings:
        if found.kind == "content":
            text = "same" if found.verdict == "same" else f"{found.auc:.2f}, {found.p:.2f}"
            mark = {"separates": " !", "hint": " ?"}.get(found.verdict, "")
            cells.setdefault(found.property, {})[found.set] = text + mark
    for name, row in cells.items():
        table.add_row(name, *[row.get(column, "") for column in sets])
    classes = {entry.set: entry for entry in audit.classifications}
    told = [(classes[name].accuracy, classes[name].p) for name in sets]
    accuracies = ["" if accuracy is None else f"{accuracy:.2f}, {p:.2f}" for accuracy, p in told]
    table.add_row("classifier on all: accuracy, p", *accuracies)
    return table


def write(audit: Audit, folder: Path) -> None:
    """Write audit.json and audit.csv into a private folder: they tell real from fake."""
    rows = [asdict(finding) for finding in audit.findings]
    classes = [asdict(entry) for entry in audit.classifications]
    content = json.dumps({"findings": rows, "classifier": classes}, indent=1)
    atomic.write(folder / "audit.json", content + "\n", mode=0o600)
    atomic.write_csv(folder / "audit.csv", _COLUMNS, rows, mode=0o600)
