"""The part of the audit that judges numbers: each property of sound and order, then the classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from study.audit import leak_test, properties, separation
from study.audit.findings import HINT, Classification, Finding, shown_range
from study.audit.leak_test import ALL_SETS, TOGETHER, Clips, Outcome
from study.audit.properties import Property


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
        areas.append(float(np.average([separation.area(*part) for part in parts], weights=weights)))
        varies.append(any(np.ptp(part) > 0 for part, _ in parts))
    p_values = list(p_by_name.values())
    adjusted = separation.holm(p_values)
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
    labels = separation.labelings_within([clips.real for clips in sets.values()])
    least, notes = (2 / len(labels) if len(labels) > 1 else 1.0), []
    varying = [entry for entry in listed if np.ptp(np.concatenate(_settled(entry, sets))) > 0]
    if name != ALL_SETS and least * max(1, len(varying)) > alpha:
        told = f"with {real.sum()} real of {len(real)} clips no property can be significant after correction"
        notes.append(f"{told} (smallest p {min(1.0, least):.3f}): read the areas")
    accuracy = p = None
    if varying and min(real.sum(), (~real).sum()) >= 2:
        features = np.column_stack([np.concatenate(_settled(entry, sets, freed=True)) for entry in varying])
        reached = separation.classifier_accuracies(features, np.vstack([real[None], labels]))
        accuracy, p = float(reached[0]), float(np.mean(reached[1:] >= reached[0] - 1e-9))
        if p <= alpha:
            told = f"a classifier tells real from fake by all properties together: {accuracy:.0%} right"
            notes.append(f"{told}, p = {p:.3f}; the table says which lie apart, and which of them are music")
    return Classification(name, accuracy, p, 1 / len(labels), tuple(notes))


def _settled(entry: Property, sets: Mapping[str, Clips], *, freed: bool = False) -> list[np.ndarray]:
    parts = list(leak_test.settled(entry.name, sets).values())
    return [leak_test.standardised(part) for part in parts] if freed else parts
