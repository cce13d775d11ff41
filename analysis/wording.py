"""The sentences of a report, written from its results: what was found, how, and for whom it holds.

One listener and a panel are spoken of differently: one listener's answers describe that listener.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis import discrimination, individuals, panel_models, quality, ratings, stimuli, trainings
from analysis import formats as f
from analysis.results import MACHINE, ORIGINALS, Result, find
from analysis.statistics import BACKENDS, EPOCHS, MODES, SETS, TRUTH
from analysis.stimuli import Panel
from analysis.verdicts import JUDGED_REAL

LEVEL = 0.05
NARROW = "\N{NO-BREAK SPACE}"


def summary(frame: pd.DataFrame, results: Iterable[Result]) -> list[str]:
    """Three sentences for the songwriter and the supervisor: taken for real? told apart? any good?"""
    results, panel = list(results), Panel.of(frame)
    return [_taken(results, panel), _told_apart(results, panel), _liked(frame, results, panel)]


def inspired(results: Iterable[Result]) -> dict[str, Any] | None:
    """Do machine-made clips inspire? told: a sentence, beside: one on originals; by: per kind of group, how
    many answers are yes or maybe.

    None where nobody was asked. Described, not tested.
    """
    results = list(results)
    counts = _inspiring_counts(results, MACHINE)
    if counts is None:
        return None
    of = _inspiring_counts(results, ORIGINALS)
    beside = f"Originals: {_said(of)}." if of else ""
    if other := find(results, TRUTH, ratings.OTHER, MACHINE):
        beside = f"{f.plural(other.count, 'more answer')} of other, in words of their own. {beside}".strip()
    by = []
    for family, kind in ((BACKENDS, "backend"), (MODES, "mode"), (EPOCHS, "epochs")):
        found = [r for r in results if (r.family, r.name) == (family, ratings.INSPIRED) and r.total]
        if len(found) > 1:
            by.append((kind, [{"name": r.group, "count": r.count, "total": r.total} for r in found]))
    return {"told": f"{_said(counts).capitalize()}.", "beside": beside, "by": by}


def _inspiring_counts(results: list[Result], group: str) -> dict[str, int] | None:
    found = {level: find(results, TRUTH, f"{ratings.INSPIRING} {level}", group) for level in ratings.LEVELS}
    return None if None in found.values() else {level: r.count for level, r in found.items()}


def _said(counts: dict[str, int]) -> str:
    first, *rest = (f"{level} in {count}" for level, count in counts.items())
    return ", ".join([f"{first} of {sum(counts.values())} answers", *rest])


def _taken(results: list[Result], panel: Panel) -> str:
    fooled = find(results, TRUTH, JUDGED_REAL, MACHINE)
    doubted = find(results, discrimination.FAMILY, discrimination.FALSE_ALARM, ORIGINALS)
    if fooled is None:
        return "No machine-made clip was judged, so nothing can be said of fooling anyone."
    within = f.interval(fooled.low, fooled.high, f.percent)
    if panel.one:
        told = (
            f"The listener took {f.few(fooled.count)} of the {fooled.total} machine-made clips for a real "
            "recording "
            f"({f.percent(fooled.estimate)}; 95% interval {within})"
        )
        if doubted.refused:
            return f"{told}; there was no original among the clips."
        return f"{told}, and {f.few(doubted.count)} of the {f.few(doubted.total)} originals for machine-made."
    told = (
        f"On average {f.percent(fooled.estimate)} of the {panel.listeners} listeners took a machine-made "
        "clip for a "
        f"real recording" + (f" (95% interval over clips {within})" if within else "")
    )
    if doubted.refused:
        return f"{told}; there was no original among the clips."
    return f"{told}, and {f.percent(doubted.estimate)} took an original for machine-made."


def _told_apart(results: list[Result], panel: Panel) -> str:
    who = "this listener" if panel.one else "the panel"
    test = find(results, discrimination.FAMILY, discrimination.ANY)
    balanced = find(results, discrimination.FAMILY, discrimination.BALANCED)
    if test is None or test.refused or balanced.refused:
        why = test.note if test else "needs both"
        return f"Whether {who} could tell the two apart cannot be said: {why}."
    within = f.interval(balanced.low, balanced.high, f.percent)
    figures = f"balanced accuracy {f.percent(balanced.estimate)}"
    figures += f", 95% interval {within}" if within else ""
    kind = "Fisher's exact test" if panel.one else "t-test on clip means"
    model = find(results, panel_models.MIXED, panel_models.DETECTION)
    if model and not model.refused:
        kind, test = "crossed probit mixed model", model
    figures += f"; 50% is guessing; {kind}, p{NARROW}{_equals(test.p)}"
    if test.p >= LEVEL:
        return f"These answers do not show that {who} could tell the two apart ({figures})."
    if balanced.estimate < 0.5:
        return f"Oddly, {who} took originals for machine-made more often than machine-made clips ({figures})."
    return f"So {who} could tell the two apart ({figures})."


def _equals(p: float) -> str:
    text = f.p_value(p)
    return text if text.startswith("<") else f"={NARROW}{text}"


def _liked(frame: pd.DataFrame, results: list[Result], panel: Panel) -> str:
    machine = find(results, TRUTH, ratings.MEAN, MACHINE)
    original = find(results, TRUTH, ratings.MEAN, ORIGINALS)
    if machine is None or machine.refused:
        return "No machine-made clip was rated for musicality."
    told = f"For musicality the machine-made clips got {f.number(machine.estimate, 1)} of 10 on average"
    if original and not original.refused:
        told += f" and the originals {f.number(original.estimate, 1)}{_compared(results, panel, original)}"
    return f"{told}; {_inspired(results, panel)}{_left_out(frame)}{_best(frame, results)}."


def _compared(results: list[Result], panel: Panel, original: Result) -> str:
    groups = f"{MACHINE} - {ORIGINALS}"
    model = find(results, panel_models.MIXED, panel_models.MUSICALITY, groups)
    if model and not model.refused:
        return f" (crossed mixed model, p{NARROW}{_equals(model.p)})"
    test = find(results, ratings.FAMILY, ratings.DIFFERENCE, groups)
    if test is None or test.refused:
        which = "was" if original.n == 1 else "were"
        return f" (only {f.few(original.n)} of them {which} rated, too few for a comparison)"
    kind = "exact permutation test" if panel.one else "t-test on clip means"
    return f" ({kind}, p{NARROW}{_equals(test.p)})"


def _inspired(results: list[Result], panel: Panel) -> str:
    yes, maybe = (find(results, TRUTH, f"{ratings.INSPIRING} {level}", MACHINE) for level in ("yes", "maybe"))
    if yes is None:
        return "nobody was asked whether they inspire"
    if panel.one:
        plain = (
            "none of them was called inspiring outright"
            if not yes.count
            else (f"{f.few(yes.count)} of them {'was' if yes.count == 1 else 'were'} called inspiring")
        )
        return f"{plain}, {f.few(maybe.count)} of {yes.total} maybe"
    return (
        f"{f.percent(yes.estimate)} of the answers called a machine-made clip inspiring, "
        f"{f.percent(maybe.estimate)} maybe"
    )


def _left_out(frame: pd.DataFrame) -> str:
    """How many answers on machine-made clips are neither yes, maybe nor no."""
    others = _others(frame[frame["truth"] == "fake"])
    return f" ({f.few(others)} answer{'s' * (others != 1)} of other left out)" if others else ""


def _others(frame: pd.DataFrame) -> int:
    return int((frame.loc[~frame["repeat"], "inspiring"] == "other").sum())


def counting(frame: pd.DataFrame, results: Iterable[Result]) -> str:
    """What a reader needs who adds up the tables of groups, in a sentence or two; "" where all adds up."""
    told = []
    shares = [r for r in results if r.name == JUDGED_REAL and r.total and not r.refused]
    if any(f.percent(r.estimate) != f.percent(r.count / r.total) for r in shares):
        told.append(
            "Shares judged real are means over clips, each of which counts alike however many judged it; "
            "so they differ a little from the answers counted before them."
        )
    if others := _others(frame):
        told.append(
            f"Of what inspires, other ({f.plural(others, 'answer')}) is in no share: it is quoted instead."
        )
    return " ".join(told)


def _best(frame: pd.DataFrame, results: list[Result]) -> str:
    clips = stimuli.by_stimulus(frame)
    labels = set(clips.loc[clips["truth"] == "fake", "label"])
    rated = [
        r
        for r in results
        if (r.family, r.name) == (individuals.CLIPS, ratings.MEAN) and r.group in labels and r.n
    ]
    if not rated:
        return ""
    top = max(r.estimate for r in rated)
    best = [r.group for r in rated if r.estimate == top]
    if len(best) > 3:
        return f", and {len(best)} machine-made clips share the highest rating ({f.rating(top)})"
    return (
        f", and the best liked machine-made clip{'s were' if len(best) > 1 else ' was'} "
        f"{' and '.join(best)} ({f.rating(top)})"
    )


def set_line(results: Iterable[Result], name: str) -> str:
    """How one set was judged, in a line."""
    results, told = list(results), []
    for group in (MACHINE, ORIGINALS):
        real = find(results, SETS, JUDGED_REAL, f"{name} {group}")
        mean = find(results, SETS, ratings.MEAN, f"{name} {group}")
        if real is None:
            continue
        rated = "" if mean is None or mean.refused else f", musicality {f.number(mean.estimate, 1)}"
        told.append(f"{group}: {real.count} of {real.total} judged real{rated}")
    return "; ".join(told)


def reach(panel: Panel) -> str:
    """For whom the report holds, in a sentence or two."""
    if panel.one:
        return (
            "One listener: this describes one person's answers to these clips. The intervals and tests "
            "are about "
            "the clips and say nothing of how other listeners would answer."
        )
    return (
        f"{panel.listeners} listeners heard the same clips, so their answers are not independent. The mixed "
        "models take both as samples and speak of listeners and clips like these; the tests on clip means "
        "speak of more clips of this kind, heard by this panel."
    )


def trained(frame: pd.DataFrame) -> str:
    """What the analysis knows of the trainings that clips come from, and how it errs; "" where none is told.

    A training is one random draw of a model, so clips of one training are alike in more than their kind.
    """
    if not trainings.shared(frame):
        return ""
    if not trainings.repeated(frame):
        return (
            "Each model was trained once, and several clips come of one training. What these share cannot be "
            "told from their source and is not modelled: intervals speak of more clips of these trainings, "
            "and are too narrow for training anew. Several trainings of a source (trainings in study.toml) "
            "would show it."
        )
    told = trainings.labels(frame.drop_duplicates(["set", "name"])).dropna()
    told = f"{len(told)} clips come of {told.nunique()} trainings, so they are not independent."
    if Panel.of(frame).one:
        return (
            f"{told} With one listener no model knows them: tests and intervals take clips of one training "
            "as independent, so where trainings differ intervals are too narrow and p too small. Only "
            "backends are compared by the means of their trainings, too."
        )
    return (
        f"{told} Mixed models that name trainings (and models: trainings at one epoch count) as random speak "
        f"of trainings like these; {trainings.FEWEST} or more of them are needed, and what is left out is "
        "said beside the result. Tests and intervals over clip means take clips of one training as "
        "independent: where trainings differ, what lies between them has too narrow an interval."
    )


def subtitle(frame: pd.DataFrame) -> str:
    """What was judged, by how many, in one line."""
    clips, panel = stimuli.by_stimulus(frame), Panel.of(frame)
    fakes = int((clips["truth"] == "fake").sum())
    sets = clips["set"].nunique()
    return " · ".join(
        [
            f.plural(panel.listeners, "listener"),
            f"{f.plural(len(clips), 'clip')} ({fakes} machine-made, "
            f"{f.plural(len(clips) - fakes, 'original')})",
            f.plural(sets, "set"),
        ]
    )


def left_empty(results: list[Result]) -> str:
    """What the page says of values that cannot be; "" where there was none."""
    odd = find(results, quality.FAMILY, quality.ODD)
    if odd is None or not odd.count:
        return ""
    answers = "1 answer has" if odd.count == 1 else f"{odd.count} answers have"
    return (
        f"{answers} a value that cannot be, as a time in the wrong order after the server's clock stepped "
        f"back; it was left empty and counts nowhere ({odd.note})."
    )
