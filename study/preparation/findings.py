"""What an audit finds, as records of properties, classifiers and values. None of them names a clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from study.preparation.leak_test import ALL_SETS, Outcome

ALPHA = 0.05
_MENDS_TOLD = 3  # in one line
HINT = 0.1  # a perfect separation with a p above it says nothing, as of one real clip among ten


class LeakError(ValueError):
    """A property of the files or of the form tells real from fake: such sets must not be heard."""

    exit_code = 1


@dataclass(frozen=True)
class Heard:
    """One stimulus as the audit sees it.

    as_sealed: whether its bytes are those of the key. presented: where it comes in the listeners' orders, 0
    first to 1 last, on average; times: how often each listener gets it; None where nobody is invited yet.
    """

    file: Path
    real: bool
    as_sealed: bool = True
    presented: float | None = None
    times: float | None = None


@dataclass(frozen=True)
class Finding:
    """One property in one set. `verdict`: same, leak, accepted, separates, hint or unclear."""

    set: str
    property: str
    kind: str  # format, form, order or music
    real: str  # value or range among the real clips; "" for orders, which would name clips
    fake: str
    auc: float | None
    p: float | None
    p_holm: float | None  # over all properties of this set
    p_audit: float | None  # over the whole audit; of form and order only
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
class Strip:
    """The values of one property in one set, each kind sorted: no value belongs to a clip."""

    set: str
    property: str
    real: tuple[float, ...]
    fake: tuple[float, ...]


@dataclass(frozen=True)
class Audit:
    """All findings of a build. `outcome`: of the test that decides about form."""

    findings: list[Finding]
    classifications: list[Classification]
    outcome: Outcome
    alpha: float = ALPHA
    strips: list[Strip] = field(default_factory=list)

    @property
    def leaks(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict == "leak"]

    @property
    def separations(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict in ("separates", "hint", "accepted")]

    def require_no_leak(self) -> None:
        """Raises: LeakError with the first leak, the names of the others, and mends."""
        if not (leaks := self.leaks):
            return
        first, others = leaks[0], {leak.property: leak.mend for leak in leaks if leak.mend != leaks[0].mend}
        names = dict.fromkeys(leak.property for leak in leaks if leak.property != first.property)
        more = f" (and {', '.join(names)})" if names else ""
        shown = f": {first.real} real, {first.fake} fake" if first.real or first.fake else ""
        if first.kind == "format":
            told = f"leak: {first.property} differs in {first.set}{shown}{more}"
        else:
            surely = f" (p = {first.p_audit:.4f} over the whole audit)"
            told = f"leak: {first.property} tells real from fake in {first.set}{shown}{surely}{more}"
        mends = [first.mend, *(f"{name}: {mend}" for name, mend in others.items())]
        raise LeakError(f"{told}; {'; '.join(mends[:_MENDS_TOLD])}")

    def notes(self) -> list[str]:
        """What the researcher should read, a line each."""
        lines = []
        everywhere = {
            found.property for found in self.separations if found.set == ALL_SETS and found.verdict != "hint"
        }
        for found in self.separations:
            if found.set != ALL_SETS and found.verdict == "hint" and found.property in everywhere:
                continue  # said once, of all sets
            shown = f" is {found.real} real, {found.fake} fake" if found.real or found.fake else ""
            weight = "tells them apart"
            if found.verdict == "hint":
                weight = "separates them, perhaps by chance"
            elif found.verdict == "accepted":
                weight = "tells them apart, and stimuli.accept allows it"
            surely = f"p = {found.p:.3f}, {found.p_holm:.3f} after Holm"
            lines.append(f"{found.set}: {found.property}{shown}: {weight} ({surely}); {found.mend}")
        for entry in self.classifications:
            lines += [f"{entry.set}: {note}" for note in entry.notes]
        if self.outcome.p and self.outcome.smallest > self.alpha:
            told = f"the smallest p that these clips could give is {self.outcome.smallest:.3f}"
            lines.append(f"no difference of form could be told from chance in so few clips ({told})")
        return lines


def shown_range(values: Iterable, *, digits: int = 15) -> str:
    """One value, or the least and the greatest; "none" where there is none. NaN is left out."""
    kept = [value for value in values if value == value]
    if not kept:
        return "none"
    ends = [
        f"{value:.{digits}g}" if isinstance(value, float) else str(value) for value in (min(kept), max(kept))
    ]
    return (ends[0] or "none") if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
