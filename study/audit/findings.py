"""What an audit finds: its records, and how measured numbers become findings.

No record names a clip, except for clips that share a stretch of sound, and these only where that tells no
truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.tests import holm
from caw.problems import ProblemError
from study.audit import leak_test, properties
from study.audit.leak_test import ALL_SETS, MANY, TOGETHER, LeakTestResult, MeasuredSet
from study.audit.properties import LISTENER, PROGRAM, Property
from study.audit.repetition import Repeat

ALPHA = 0.05
HINT = 0.1  # a perfect separation with a p above it says nothing, as of one real clip among ten
_FIXES_SHOWN = 3  # in one line
_PAIRS_SHOWN = 8


class LeakError(ProblemError):
    """A property of the files or of the form tells real from fake, so nobody may listen to these sets."""

    exit_code = 1


@dataclass(frozen=True)
class AuditedFile:
    """One stimulus as the audit sees it.

    Attributes
    ----------
    file : Path
        The sound file.
    real : bool
        Whether it is a real clip.
    as_sealed : bool
        Whether its bytes are those in the key.
    presented : float or None
        Where it comes in the listeners' orders on average, from 0 for first to 1 for last. None where nobody
        is invited yet.
    times : float or None
        How often each listener gets it. None where nobody is invited yet.
    """

    file: Path
    real: bool
    as_sealed: bool = True
    presented: float | None = None
    times: float | None = None


@dataclass(frozen=True)
class Finding:
    """One property in one set. `verdict` is same, leak, accepted, separates, hint or unclear."""

    set: str
    property: str
    kind: str  # format, form, order, trace or music
    real: str  # value or range among the real clips; "" for orders, which would name clips
    fake: str
    auc: float | None
    p: float | None
    p_holm: float | None  # over all properties of this set
    p_audit: float | None  # over all of form and order, or over all traces; not of format and music
    verdict: str
    fix: str
    noticed_by: str = LISTENER  # or PROGRAM: no ear hears it


@dataclass(frozen=True)
class Classification:
    """The classifier on all properties of one set; None where there are too few clips."""

    set: str
    accuracy: float | None  # balanced, with one clip left out at a time
    p: float | None
    smallest_p: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """The values of one property in one set, sorted within each kind, so that no value belongs to a clip."""

    set: str
    property: str
    real: tuple[float, ...]
    fake: tuple[float, ...]


@dataclass(frozen=True)
class Audit:
    """All findings of an audit.

    Attributes
    ----------
    findings : list of Finding
        One for each property in each set, and over all sets.
    classifications : list of Classification
        The classifier on all properties, for each set and over all sets.
    outcome : LeakTestResult
        The test that decides about form.
    alpha : float
        The false-alarm rate of the whole audit.
    strips : list of Strip
        The values behind the findings.
    repeats : list of Repeat
        Pairs of clips that share sound, the longest shared stretch first.
    left_out : list of str
        Files that were not looked at, one line for each folder.
    """

    findings: list[Finding]
    classifications: list[Classification]
    outcome: LeakTestResult
    alpha: float = ALPHA
    strips: list[Strip] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def leaks(self) -> list[Finding]:
        """The findings for which sets may not be heard."""
        return [finding for finding in self.findings if finding.verdict == "leak"]

    @property
    def separations(self) -> list[Finding]:
        """The findings that tell real from fake, but may."""
        return [finding for finding in self.findings if finding.verdict in ("separates", "hint", "accepted")]

    def require_no_leak(self) -> None:
        """Raise LeakError with the first leak, the names of the others, and what to do about them."""
        if not (leaks := self.leaks):
            return
        first, others = leaks[0], {leak.property: leak.fix for leak in leaks if leak.fix != leaks[0].fix}
        names = dict.fromkeys(leak.property for leak in leaks if leak.property != first.property)
        more = f" (and {', '.join(names)})" if names else ""
        shown = f": {first.real} real, {first.fake} fake" if first.real or first.fake else ""
        if first.kind == "format":
            what = f"leak: {first.property} differs in {first.set}{shown}{more}"
        else:
            certainty = f" (p = {first.p_audit:.4f} over the whole audit)"
            what = f"leak: {first.property} tells real from fake in {first.set}{shown}{certainty}{more}"
        if first.noticed_by == PROGRAM:
            what += "; no listener hears it, a program that reads the files sees it"
        fixes = [first.fix, *(f"{name}: {fix}" for name, fix in others.items())]
        raise LeakError(what, "; ".join(fixes[:_FIXES_SHOWN]))

    def leaks_noticed_by(self, who: str) -> list[str]:
        """The names of the leaks that a listener can notice, or of those that only a program sees."""
        return list(dict.fromkeys(leak.property for leak in self.leaks if leak.noticed_by == who))

    @property
    def named_repeats(self) -> list[Repeat]:
        """The pairs that share sound; none where a study may be heard although repetition tells its truth."""
        verdicts = {finding.verdict for finding in self.findings if finding.property.startswith("repetition")}
        return [] if verdicts & {"accepted", "hint", "separates"} and "leak" not in verdicts else self.repeats

    def notes(self) -> list[str]:
        """What the researcher should read, one line each."""
        lines = [*self.left_out, *self._notes_on_repeats()]
        everywhere = {
            finding.property
            for finding in self.separations
            if finding.set == ALL_SETS and finding.verdict != "hint"
        }
        for finding in self.separations:
            if finding.set != ALL_SETS and finding.verdict == "hint" and finding.property in everywhere:
                continue  # reported once, of all sets
            shown = f" is {finding.real} real, {finding.fake} fake" if finding.real or finding.fake else ""
            weight = "tells them apart"
            if finding.noticed_by == PROGRAM:
                weight += " for a program that reads the files, not for a listener"
            if finding.verdict == "hint":
                weight = "separates them, perhaps by chance"
            elif finding.verdict == "accepted":
                weight += ", and stimuli.accept allows it"
            certainty = f"p = {finding.p:.3f}, {finding.p_holm:.3f} after Holm"
            lines.append(f"{finding.set}: {finding.property}{shown}: {weight} ({certainty}); {finding.fix}")
        for entry in self.classifications:
            lines += [f"{entry.set}: {note}" for note in entry.notes]
        if self.outcome.untested:
            reason = f"{self.outcome.labelings} relabelings, {MANY} are needed"
            names = ", ".join(self.outcome.untested)
            lines.append(f"not tested in so few clips ({reason}): {names}; read the areas")
        if self.outcome.p and self.outcome.smallest > self.alpha:
            smallest = f"the smallest p that these clips could give is {self.outcome.smallest:.3f}"
            lines.append(f"no difference of form could be told from chance in so few clips ({smallest})")
        return lines

    def _notes_on_repeats(self) -> list[str]:
        named = self.named_repeats
        if self.repeats and not named:
            longest = f"{self.repeats[0].seconds:.1f} s"
            count = f"{len(self.repeats)} pair{'s' * (len(self.repeats) > 1)} of clips"
            return [f"repetition: {count} share up to {longest}; their names would tell real from fake"]
        lines = [
            f"repetition: {pair.first.stem} and {pair.second.stem} share {pair.seconds:.1f} s of sound"
            for pair in named[:_PAIRS_SHOWN]
        ]
        if len(named) > _PAIRS_SHOWN:
            lines.append(f"repetition: {len(named) - _PAIRS_SHOWN} more pairs; the tables list all")
        return lines


def shown_range(values: Iterable, *, digits: int = 15) -> str:
    """One value, or the least and the greatest; "none" where there is none. NaN is left out.

    Examples
    --------
    >>> shown_range([0.5, 2.0, float("nan")]), shown_range(["PCM_16", "PCM_16"]), shown_range([])
    ('0.5 to 2', 'PCM_16', 'none')
    """
    shown = [value for value in values if value == value]
    if not shown:
        return "none"
    ends = [
        f"{value:.{digits}g}" if isinstance(value, float) else str(value)
        for value in (min(shown), max(shown))
    ]
    return (ends[0] or "none") if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def judged(
    scope: str,
    sets: Mapping[str, MeasuredSet],
    listed: Sequence[Property],
    outcome: LeakTestResult,
    alpha: float,
    accept: set[str],
) -> list[Finding]:
    """A finding for each property, in the set named `scope` or, for ALL_SETS, in all of them together."""
    chosen = sets if scope == ALL_SETS else {scope: sets[scope]}
    real = np.concatenate([measured.real for measured in chosen.values()])
    p_values = list(leak_test.separate_p(chosen, [entry.name for entry in listed]).values())
    findings = []
    for entry, p, p_holm in zip(listed, p_values, holm(p_values), strict=True):
        settled = leak_test.settled(entry.name, chosen)
        parts = [(settled[name], measured.real) for name, measured in chosen.items()]
        weights = [kinds.sum() * (~kinds).sum() for _, kinds in parts]
        auc = float(np.average([leak_test.area(*part) for part in parts], weights=weights))
        varies = any(np.ptp(values) > 0 for values, _ in parts)
        p_audit = outcome.adjusted.get((ALL_SETS if len(sets) == 1 else scope, entry.name))
        differs = _matters(entry, chosen)
        verdict = "unclear" if varies else "same"
        if p_audit is not None and p_audit <= alpha and differs:
            verdict = "separates" if entry.kind == "trace" else "leak"
        elif p_holm <= alpha and differs:
            verdict = "accepted" if entry.name in accept else "separates"
        elif auc in (0.0, 1.0) and p <= HINT and entry.kind != "order" and differs:
            verdict = "accepted" if entry.name in accept else "hint"
        numbers = np.concatenate([measured.values[entry.name] for measured in chosen.values()])
        sides = numbers[real], numbers[~real]
        fix = properties.fix_for(entry, *sides) if verdict not in ("same", "unclear") else ""
        shown = ["", ""] if entry.kind == "order" else [shown_range(side, digits=4) for side in sides]
        findings.append(
            Finding(
                set=scope,
                property=str(entry),
                kind=entry.kind,
                real=shown[0],
                fake=shown[1],
                auc=auc,
                p=p,
                p_holm=p_holm,
                p_audit=p_audit,
                verdict=verdict,
                fix=fix,
                noticed_by=entry.noticed_by,
            )
        )
    return findings


def jointly(
    listed: Sequence[Property], sets: Mapping[str, MeasuredSet], outcome: LeakTestResult
) -> list[Finding]:
    """The leak that only the classifier on form shows, with the fixes of what lies farthest apart."""
    apart = [
        entry
        for entry in listed
        if entry.kind != "trace" and (ALL_SETS, entry.name) in outcome.p and _matters(entry, sets)
    ]
    if not apart:
        return []
    apart.sort(key=lambda entry: outcome.p.get((ALL_SETS, entry.name), 1.0))
    fixes = []
    for entry in apart[:2]:
        sides = [
            np.concatenate([measured.values[entry.name][measured.real == kind] for measured in sets.values()])
            for kind in (True, False)
        ]
        fixes.append(f"{entry.name}: {properties.fix_for(entry, *sides)}")
    key = (ALL_SETS, TOGETHER)
    p, p_audit = outcome.p[key], outcome.adjusted[key]
    fix, accuracy = "; ".join(fixes), outcome.accuracy
    return [Finding(ALL_SETS, TOGETHER, "form", "", "", accuracy, p, p, p_audit, "leak", fix, PROGRAM)]


def classified(
    scope: str, sets: Mapping[str, MeasuredSet], listed: Sequence[Property], alpha: float
) -> Classification:
    """The classifier on all properties of sound and order, in one set or, for ALL_SETS, over all together."""
    first = next(iter(sets.values()))
    if scope != ALL_SETS and not first.both:
        kind = "real" if first.real.all() else "fake"
        note = f"all clips are {kind}: there is nothing to tell apart"
        return Classification(scope, None, None, 1.0, (note,))
    real = np.concatenate([measured.real for measured in sets.values()])
    labels = leak_test.labelings_within([measured.real for measured in sets.values()])
    least, notes = (2 / len(labels) if len(labels) > 1 else 1.0), []
    columns = {entry.name: list(leak_test.settled(entry.name, sets).values()) for entry in listed}
    varying = [parts for parts in columns.values() if np.ptp(np.concatenate(parts)) > 0]
    if scope != ALL_SETS and least * max(1, len(varying)) > alpha:
        note = f"with {real.sum()} real of {len(real)} clips no property can be significant after correction"
        notes.append(f"{note} (smallest p {min(1.0, least):.3f}): read the areas")
    accuracy = p = None
    if varying and min(real.sum(), (~real).sum()) >= 2:
        features = np.column_stack(
            [np.concatenate(list(map(leak_test.standardised, parts))) for parts in varying]
        )
        reached = leak_test.classifier_accuracies(features, np.vstack([real[None], labels]))
        accuracy, p = float(reached[0]), float(np.mean(reached[1:] >= reached[0] - 1e-9))
        if p <= alpha:
            note = f"a classifier tells real from fake by all properties together: {accuracy:.0%} right"
            notes.append(f"{note}, p = {p:.3f}; the table says which lie apart, and which of them are music")
    return Classification(scope, accuracy, p, 1 / len(labels), tuple(notes))


def _matters(entry: Property, sets: Mapping[str, MeasuredSet]) -> bool:
    """Whether real and fake differ, on average in some set, by more than what matters."""
    gaps = []
    for measured in sets.values():
        values = np.asarray(measured.values[entry.name], float)
        sides = [side[np.isfinite(side)] for side in (values[measured.real], values[~measured.real])]
        if all(side.size for side in sides):
            gaps.append(abs(sides[0].mean() - sides[1].mean()))
    return max(gaps, default=0.0) > entry.matters
