"""What an audit finds: its records, and how measured numbers become findings.

No record names a clip, except for clips that share a stretch of sound, and these only where that tells no
truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from study.audit import leak_test, properties
from study.audit.leak_test import ALL_SETS, MANY, TOGETHER, Clips, Outcome
from study.audit.properties import LISTENER, PROGRAM, Property
from study.audit.repetition import Repeat

ALPHA = 0.05
_MENDS_TOLD = 3  # in one line
_PAIRS_SHOWN = 8
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
    kind: str  # format, form, order, trace or music
    real: str  # value or range among the real clips; "" for orders, which would name clips
    fake: str
    auc: float | None
    p: float | None
    p_holm: float | None  # over all properties of this set
    p_audit: float | None  # over all of form and order, or over all traces; not of format and music
    verdict: str
    mend: str
    noticed_by: str = LISTENER  # or PROGRAM: no ear hears it


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
    repeats: list[Repeat] = field(default_factory=list)  # pairs of clips, the longest shared stretch first
    left_out: list[str] = field(default_factory=list)  # files that were not looked at, a line a folder

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
        if first.noticed_by == PROGRAM:
            told += "; no listener hears it, a program that reads the files sees it"
        mends = [first.mend, *(f"{name}: {mend}" for name, mend in others.items())]
        raise LeakError(f"{told}; {'; '.join(mends[:_MENDS_TOLD])}")

    def leaks_noticed_by(self, who: str) -> list[str]:
        """The names of the leaks that a listener can notice, or of those that only a program sees."""
        return list(dict.fromkeys(leak.property for leak in self.leaks if leak.noticed_by == who))

    @property
    def named_repeats(self) -> list[Repeat]:
        """The pairs that share sound; none in a study that is heard although repetition tells its truth."""
        verdicts = {found.verdict for found in self.findings if found.property.startswith("repetition")}
        return [] if verdicts & {"accepted", "hint", "separates"} and "leak" not in verdicts else self.repeats

    def _of_repeats(self) -> list[str]:
        named = self.named_repeats
        if self.repeats and not named:
            longest = f"{self.repeats[0].seconds:.1f} s"
            counted = f"{len(self.repeats)} pair{'s' * (len(self.repeats) > 1)} of clips"
            return [f"repetition: {counted} share up to {longest}; their names would tell real from fake"]
        lines = [
            f"repetition: {pair.first.stem} and {pair.second.stem} share {pair.seconds:.1f} s of sound"
            for pair in named[:_PAIRS_SHOWN]
        ]
        if len(named) > _PAIRS_SHOWN:
            lines.append(f"repetition: {len(named) - _PAIRS_SHOWN} more pairs; the tables list all")
        return lines

    def notes(self) -> list[str]:
        """What the researcher should read, a line each."""
        lines = [*self.left_out, *self._of_repeats()]
        everywhere = {
            found.property for found in self.separations if found.set == ALL_SETS and found.verdict != "hint"
        }
        for found in self.separations:
            if found.set != ALL_SETS and found.verdict == "hint" and found.property in everywhere:
                continue  # said once, of all sets
            shown = f" is {found.real} real, {found.fake} fake" if found.real or found.fake else ""
            weight = "tells them apart"
            if found.noticed_by == PROGRAM:
                weight += " for a program that reads the files, not for a listener"
            if found.verdict == "hint":
                weight = "separates them, perhaps by chance"
            elif found.verdict == "accepted":
                weight += ", and stimuli.accept allows it"
            surely = f"p = {found.p:.3f}, {found.p_holm:.3f} after Holm"
            lines.append(f"{found.set}: {found.property}{shown}: {weight} ({surely}); {found.mend}")
        for entry in self.classifications:
            lines += [f"{entry.set}: {note}" for note in entry.notes]
        if self.outcome.untested:
            reason = f"{self.outcome.labelings} relabelings, {MANY} are needed"
            names = ", ".join(self.outcome.untested)
            lines.append(f"not tested in so few clips ({reason}): {names}; read the areas")
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


def judged(
    name: str,
    sets: Mapping[str, Clips],
    listed: Sequence[Property],
    outcome: Outcome,
    alpha: float,
    accept: set[str],
) -> list[Finding]:
    """A finding per property, in one set or, for ALL_SETS, in all of them together."""
    chosen = sets if name == ALL_SETS else {name: sets[name]}
    real = np.concatenate([clips.real for clips in chosen.values()])
    p_by_name = leak_test.separate_p(chosen, [entry.name for entry in listed])
    areas, varies = [], []
    for entry in listed:
        values = leak_test.settled(entry.name, chosen)
        parts = [(values[key], clips.real) for key, clips in chosen.items()]
        weights = [clips.sum() * (~clips).sum() for _, clips in parts]
        areas.append(float(np.average([leak_test.area(*part) for part in parts], weights=weights)))
        varies.append(any(np.ptp(part) > 0 for part, _ in parts))
    p_values = list(p_by_name.values())
    adjusted = leak_test.holm(p_values)
    findings = []
    for entry, auc, p, p_holm, varying in zip(listed, areas, p_values, adjusted, varies, strict=True):
        member = (ALL_SETS if len(sets) == 1 else name, entry.name)
        p_audit = outcome.adjusted.get(member)
        numbers = np.concatenate([clips.values[entry.name] for clips in chosen.values()])
        differs = _matters(entry, chosen)
        surely = p_holm <= alpha
        verdict = "unclear" if varying else "same"
        if p_audit is not None and p_audit <= alpha and differs:
            verdict = "separates" if entry.kind == "trace" else "leak"
        elif surely and differs:
            verdict = "accepted" if entry.name in accept else "separates"
        elif auc in (0.0, 1.0) and p <= HINT and entry.kind != "order" and differs:
            verdict = "accepted" if entry.name in accept else "hint"
        sides = numbers[real], numbers[~real]
        mend = properties.mend(entry, *sides) if verdict not in ("same", "unclear") else ""
        shown = ("", "") if entry.kind == "order" else tuple(shown_range(side, digits=4) for side in sides)
        facts = (auc, p, p_holm, p_audit, verdict, mend, entry.noticed_by)
        findings.append(Finding(name, str(entry), entry.kind, *shown, *facts))
    return findings


def _matters(entry: Property, sets: Mapping[str, Clips]) -> bool:
    """Whether real and fake differ, on average in some set, by more than what matters."""
    gaps = []
    for clips in sets.values():
        values = np.asarray(clips.values[entry.name], float)
        sides = [side[np.isfinite(side)] for side in (values[clips.real], values[~clips.real])]
        if all(side.size for side in sides):
            gaps.append(abs(sides[0].mean() - sides[1].mean()))
    return max(gaps, default=0.0) > entry.matters


def jointly(
    listed: Sequence[Property],
    sets: Mapping[str, Clips],
    outcome: Outcome,
) -> list[Finding]:
    """The leak that only the classifier on form shows, with the mends of what lies farthest apart."""
    apart = [
        entry
        for entry in listed
        if entry.kind != "trace" and (ALL_SETS, entry.name) in outcome.p and _matters(entry, sets)
    ]
    if not apart:
        return []
    apart.sort(key=lambda entry: outcome.p.get((ALL_SETS, entry.name), 1.0))
    mends = []
    for entry in apart[:2]:
        sides = [
            np.concatenate([clips.values[entry.name][clips.real == kind] for clips in sets.values()])
            for kind in (True, False)
        ]
        mends.append(f"{entry.name}: {properties.mend(entry, *sides)}")
    key = (ALL_SETS, TOGETHER)
    p, p_audit = outcome.p[key], outcome.adjusted[key]
    facts = (outcome.accuracy, p, p, p_audit, "leak", "; ".join(mends), properties.PROGRAM)
    return [Finding(ALL_SETS, TOGETHER, "form", "", "", *facts)]


def classified(
    name: str, sets: Mapping[str, Clips], listed: Sequence[Property], alpha: float
) -> Classification:
    """The classifier on all properties of sound and order, in one set or, for ALL_SETS, over all together."""
    clips = next(iter(sets.values()))
    if name != ALL_SETS and not clips.both:
        kind = "real" if clips.real.all() else "fake"
        return Classification(
            name, None, None, 1.0, (f"all clips are {kind}: there is nothing to tell apart",)
        )
    real = np.concatenate([clips.real for clips in sets.values()])
    labels = leak_test.labelings_within([clips.real for clips in sets.values()])
    least, notes = (2 / len(labels) if len(labels) > 1 else 1.0), []
    varying = [entry for entry in listed if np.ptp(np.concatenate(_settled(entry, sets))) > 0]
    if name != ALL_SETS and least * max(1, len(varying)) > alpha:
        told = f"with {real.sum()} real of {len(real)} clips no property can be significant after correction"
        notes.append(f"{told} (smallest p {min(1.0, least):.3f}): read the areas")
    accuracy = p = None
    if varying and min(real.sum(), (~real).sum()) >= 2:
        features = np.column_stack([np.concatenate(_settled(entry, sets, freed=True)) for entry in varying])
        reached = leak_test.classifier_accuracies(features, np.vstack([real[None], labels]))
        accuracy, p = float(reached[0]), float(np.mean(reached[1:] >= reached[0] - 1e-9))
        if p <= alpha:
            told = f"a classifier tells real from fake by all properties together: {accuracy:.0%} right"
            notes.append(f"{told}, p = {p:.3f}; the table says which lie apart, and which of them are music")
    return Classification(name, accuracy, p, 1 / len(labels), tuple(notes))


def _settled(entry: Property, sets: Mapping[str, Clips], *, freed: bool = False) -> list[np.ndarray]:
    parts = list(leak_test.settled(entry.name, sets).values())
    return [leak_test.standardised(part) for part in parts] if freed else parts
