"""Does the form of the clips tell real from fake? One test over a whole study, at one false-alarm rate.

The hypothesis: within each set, truth has nothing to do with any property of form or order. Under it every
relabeling that keeps each set's number of real clips is as likely as the true one, whatever the properties'
distributions and however they depend on one another. So the test is a permutation test, of the smallest p in
a family of statistics (Westfall and Young, Resampling-Based Multiple Testing, 1993, "single-step minP"):

- each property over all sets together: stratified rank sums, as listeners hear all sets;
- each property in each set, as a leak may be in one only, or turn round from set to set;
- a cross-validated classifier on all properties, over all sets, for what only shows jointly.

A member's adjusted p is the share of relabelings whose smallest p, over all members, is at most its own. It
is at most alpha for any member with probability at most alpha in a study without leaks: the false-alarm
rate holds for the whole audit, not for each property. Unlike Holm's correction it wastes nothing on
properties that go together or that do not vary, which matters with as few real clips as studies have: one
set of 2 real clips among 10 has 45 relabelings, so one property that tells them perfectly has p = 2/45 = .044
and, if others vary too, seldom less than .05 after adjustment, and only the classifier, which is one-sided,
can come down to 1/45 = .022; two such sets have 2025, and the same leak in both has p = .001.

At a rate of .05 only 2 of 45 relabelings may be called leaking, so every further property costs much power
there. Those marked `needs_many` are therefore tested from 200 relabelings on; whether there are so many does
not depend on which clips are real. Traces, which never fail a build, are a family of their own: they cost
the others nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.audit import separation
from study.audit.properties import BY_NAME

ALL_SETS = "all sets"
TOGETHER = "all of form together"
MANY = 200  # relabelings from which on properties that need many are tested


@dataclass(frozen=True)
class Clips:
    """One set for the test.

    values: [n] for each property, NaN where a clip does not show it. real: bool [n].
    """

    values: Mapping[str, np.ndarray]
    real: np.ndarray

    @property
    def both(self) -> bool:
        """Whether there are real and fake clips, that could be told apart."""
        return bool(self.real.any() and not self.real.all())


@dataclass(frozen=True)
class Outcome:
    """p: of each member, by (set or ALL_SETS, property or TOGETHER); adjusted: over its family.

    overall: the p of the whole test of form and order, without traces.
    smallest: the smallest adjusted p that any labeling of these clips could have given.
    accuracy: balanced, of the classifier over all sets; None where there are too few clips.
    untested: properties that vary and that MANY left out.
    """

    p: dict[tuple[str, str], float]
    adjusted: dict[tuple[str, str], float]
    overall: float
    smallest: float
    labelings: int
    accuracy: float | None
    untested: tuple[str, ...] = ()


def settled(name: str, sets: Mapping[str, Clips]) -> dict[str, np.ndarray]:
    """A property's values in each set, without what does not count: [n] each, no NaN.

    Where no set's clips differ by more than the property's `matters`, all are the same. A clip that does not
    show the property gets the set's median. Neither depends on which clips are real.
    """
    shown = {key: np.asarray(clips.values[name], float) for key, clips in sets.items()}
    least = BY_NAME[name].matters if name in BY_NAME else 0.0
    seen = [values[np.isfinite(values)] for values in shown.values()]
    if max((np.ptp(values) for values in seen if values.size), default=0.0) <= least:
        return {key: np.zeros(len(values)) for key, values in shown.items()}
    return {key: _filled(values) for key, values in shown.items()}


def run(sets: Mapping[str, Clips], names: Sequence[str], *, seed: int = 0) -> Outcome:
    """Test the named properties over all sets that hold both kinds of clips."""
    sets = {key: clips for key, clips in sets.items() if clips.both}
    if not sets or not names:
        return Outcome({}, {}, 1.0, 1.0, 1, None)
    labels = separation.labelings_within([clips.real for clips in sets.values()], seed)
    truth = np.concatenate([clips.real for clips in sets.values()])
    observed = int(np.flatnonzero((labels == truth).all(axis=1))[0])
    traces = [name for name in names if _is(name, "kind", "trace")]
    others = [name for name in names if name not in traces]
    untested = [name for name in others if len(labels) < MANY and _is(name, "needs_many", True)]
    others = [name for name in others if name not in untested]
    family, features = _members(sets, others, labels)
    accuracy = None
    if features and min(truth.sum(), (~truth).sum()) >= 2:
        reached = separation.classifier_accuracies(np.column_stack(features), labels)
        accuracy = float(reached[observed])
        family[ALL_SETS, TOGETHER] = separation.permutation_p(reached)
    found, adjusted, smallest = _adjusted(family, observed)
    of_traces, traces_adjusted, _ = _adjusted(_members(sets, traces, labels)[0], observed)
    overall = min(adjusted.values(), default=1.0)
    untested = [name for name in untested if any(map(np.ptp, settled(name, sets).values()))]
    return Outcome(
        found | of_traces,
        adjusted | traces_adjusted,
        overall,
        smallest,
        len(labels),
        accuracy,
        tuple(untested),
    )


def _is(name: str, field: str, value: object) -> bool:
    return name in BY_NAME and getattr(BY_NAME[name], field) == value


def _members(
    sets: Mapping[str, Clips], names: Sequence[str], labels: np.ndarray
) -> tuple[dict[tuple[str, str], np.ndarray], list[np.ndarray]]:
    """Each labeling's p [k] for every property that varies, in each set and over all; and its values [n]."""
    ends = np.cumsum([len(clips.real) for clips in sets.values()])
    places = {
        key: np.arange(end - len(clips.real), end)
        for (key, clips), end in zip(sets.items(), ends, strict=True)
    }
    p_values: dict[tuple[str, str], np.ndarray] = {}
    features = []
    for name in names:
        values = np.concatenate(list(settled(name, sets).values()))
        varying = [key for key, at in places.items() if np.ptp(values[at]) > 0]
        for key in varying if len(sets) > 1 else []:
            shift = separation.rank_shift(values, labels, [places[key]])
            p_values[key, name] = separation.permutation_p(np.abs(shift))
        if varying:
            shift = separation.rank_shift(values, labels, list(places.values()))
            p_values[ALL_SETS, name] = separation.permutation_p(np.abs(shift))
            features.append(_within(values, list(places.values())))
    return p_values, features


def _adjusted(
    family: Mapping[tuple[str, str], np.ndarray], observed: int
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float], float]:
    """Each member's p and its p over the family, and the smallest that any labeling could have given."""
    if not family:
        return {}, {}, 1.0
    ordered = np.sort(np.min(list(family.values()), axis=0))
    found = {member: float(values[observed]) for member, values in family.items()}
    return found, {member: _share(ordered, p) for member, p in found.items()}, _share(ordered, ordered[0])


def separate_p(sets: Mapping[str, Clips], names: list[str], *, seed: int = 0) -> dict[str, float]:
    """Two-sided permutation p of each property over the given sets together, before any correction.

    sets: those that hold both kinds of clips. A property that does not vary has p = 1.
    """
    labels = separation.labelings_within([clips.real for clips in sets.values()], seed)
    truth = np.concatenate([clips.real for clips in sets.values()])
    ends = np.cumsum([len(clips.real) for clips in sets.values()])
    places = [np.arange(end - len(clips.real), end) for clips, end in zip(sets.values(), ends, strict=True)]
    found = {}
    for name in names:
        values = np.concatenate(list(settled(name, sets).values()))
        reached = np.abs(separation.rank_shift(values, np.vstack([truth[None], labels]), places))
        found[name] = float(np.mean(reached[1:] >= reached[0] - 1e-9))
    return found


def _share(ordered: np.ndarray, p: float) -> float:
    return float(np.searchsorted(ordered, p + 1e-12, side="right") / len(ordered))


def _within(values: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
    """Values freed of their sets' levels and spreads: sets may differ, only truth within them counts."""
    freed = np.zeros(len(values))
    for places in members:
        freed[places] = standardised(values[places])
    return freed


def standardised(values: np.ndarray) -> np.ndarray:
    """Values [n] with mean 0 and deviation 1; 0 where they do not vary."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def _filled(values: np.ndarray) -> np.ndarray:
    seen = np.isfinite(values)
    return np.where(seen, values, np.median(values[seen])) if seen.any() else np.zeros(len(values))
