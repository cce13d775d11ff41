"""Which result when: the answers of a study in, every figure of its report out, as records.

The inference unit decides everything. Stimuli are crossed with listeners, so pooled tests are never offered:
a panel's primary tests are crossed mixed models, the tests on clip means their check; with one listener there
is inference over clips only, marked "this listener only". What the data cannot carry is returned too, without
an estimate and with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pandas as pd

from analysis import (
    agreement,
    discrimination,
    dose,
    individuals,
    panel_models,
    quality,
    ratings,
    stimuli,
    trainings,
    verdicts,
)
from analysis.plan import AnalysisPlan
from analysis.results import ALL, MACHINE, ORIGINALS, Result, find, groups, holm, to_frame, to_json
from analysis.stimuli import Panel

TRUTH, BACKENDS, MODES, EPOCHS, SETS = "truth", "backends", "modes", dose.FAMILY, "sets"
TRAININGS = "trainings"
ALIKE = "takes clips of one training as independent"


def evaluate(frame: pd.DataFrame, *, plan: AnalysisPlan | None = None) -> list[Result]:
    """Every figure of a report on `frame` (as of `responses.load`), p corrected by Holm within its family.

    plan: what was settled before the data; None: nothing was.

    Families: data quality, detection, confidence, truth, backends, modes, epochs, sets, ratings, missing
    answers, agreement, mixed models (of truth; of backends, modes and epochs), conditional modes, order,
    equivalence, clips; with several listeners also listeners, with several trainings of a cell also
    trainings. Hidden repeats count only for their own consistency.
    """
    first = frame[~frame["repeat"]].reset_index(drop=True)
    panel = Panel.of(first)
    found = [
        *quality.records(frame),
        *discrimination.records(first),
        *_groups(first, panel),
        *dose.records(first, panel),
        *ratings.missing(first, panel),
        *agreement.records(first, panel),
        *panel_models.records(first, panel, bound=plan and plan.musicality_bound),
    ]
    if not panel.one:
        found += individuals.per_listener(first)
    if trainings.repeated(first):
        found = [_warned(result, panel) for result in found]
    return holm([*found, *individuals.per_clip(stimuli.by_stimulus(first), panel)])


def _warned(result: Result, panel: Panel) -> Result:
    """What rests on clips as the unit says that it does not know their trainings."""
    inferred = result.p is not None or result.low is not None
    if not inferred or result.unit != panel.unit or result.family in (TRAININGS, ratings.MISSING):
        return result
    if ALIKE in result.note or result.name.startswith(dose.WITHIN_TRAININGS) or _modelled(result):
        return result
    return replace(result, note="; ".join(filter(None, (result.note, ALIKE))))


def _modelled(result: Result) -> bool:
    families = panel_models.MIXED, panel_models.ORDER, panel_models.EQUIVALENCE
    return result.family.startswith(families)


def _groups(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Every group described in the same way, then the groups of a family compared."""
    fakes = first[first["truth"] == "fake"]
    truth = first["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    clips = stimuli.by_stimulus(first)
    found = ratings.describe(first, clips, ratings.FAMILY, ALL, panel)
    found += _describe(first, TRUTH, truth, panel)
    grouped = clips.assign(group=clips["truth"].map({"fake": MACHINE, "real": ORIGINALS}))
    found += ratings.compare(grouped, ratings.FAMILY, (MACHINE, ORIGINALS), panel)
    for family, column in ((BACKENDS, "backend"), (MODES, "mode")):
        found += _describe(fakes, family, fakes[column], panel)
        found += _compare(fakes, family, column, panel)
    dosed = dose.dosed(first)
    found += _describe(dosed, EPOCHS, dose.levels(dosed), panel)
    if trainings.repeated(first):
        told = trainings.labels(first)
        found += _describe(first[told.notna()], TRAININGS, told.dropna(), panel)
    return found + _describe(first, SETS, first["set"] + " " + truth, panel)


def _describe(frame: pd.DataFrame, family: str, labels: pd.Series, panel: Panel) -> list[Result]:
    found = []
    for label in sorted(labels.unique(), key=dose.in_order):
        part = frame[labels == label]
        clips = stimuli.by_stimulus(part)
        found.append(verdicts.judged_real(clips, family, label, panel))
        found += ratings.describe(part, clips, family, label, panel)
    return found


def _compare(fakes: pd.DataFrame, family: str, column: str, panel: Panel) -> list[Result]:
    labels = sorted(fakes[column].unique())
    clips = stimuli.by_stimulus(fakes).assign(group=lambda clips: clips[column])
    if len(labels) < 2:
        only = (
            f"all machine-made clips are of one {column} ({labels[0]})"
            if labels
            else "there are no machine-made clips"
        )
        return [
            Result(family, name, unit=panel.unit, note=f"nothing to compare: {only}")
            for name in (verdicts.FOOLING_DIFFERENCE, ratings.DIFFERENCE)
        ]
    found = []
    for pair in combinations(labels, 2):
        mixed = _mixture(clips, pair, "backend" if column == "mode" else "mode")
        known = family == BACKENDS and trainings.repeated(fakes)
        for result in (
            verdicts.compare(clips, family, pair, panel),
            *ratings.compare(clips, family, pair, panel),
            *([ratings.compare_trainings(fakes, family, pair, panel)] if known else []),
        ):
            found.append(result if result.refused else replace(result, note=result.note + mixed))
    return found


def _mixture(clips: pd.DataFrame, pair: tuple[str, str], other: str) -> str:
    """A warning where two groups differ in what else they are made of."""
    made = [clips.loc[clips["group"] == label, other].value_counts().sort_index().to_dict() for label in pair]
    one, two = ({what: n / sum(found.values()) for what, n in found.items()} for found in made)
    if one == two:
        return ""
    parts = [
        f"{label}: " + ", ".join(f"{n} {what}" for what, n in found.items())
        for label, found in zip(pair, made, strict=True)
    ]
    return f"; the groups are mixed in {other} ({'; '.join(parts)})"


__all__ = ["Result", "evaluate", "find", "groups", "to_frame", "to_json"]
