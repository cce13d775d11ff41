"""The sentences of a report, written from its results: what was found, how, and for whom it holds.

One listener and a panel are spoken of differently: one listener's answers describe that listener.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis import conditions
from analysis import formats as f
from analysis.report import songs
from analysis.results import (
    comparisons,
    discrimination,
    individuals,
    panel_models,
    quality,
    ratings,
    stimuli,
    trainings,
)
from analysis.results.comparisons import BACKENDS, EPOCHS, MODES, SETS, TRUTH
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY
from analysis.results.result import MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, Result, find
from analysis.results.stimuli import Panel

LEVEL = 0.05
NARROW = "\N{NO-BREAK SPACE}"
CUMULATIVE = "cumulative logit mixed model"
TESTS = (  # how a result's method begins, and what it is called in a sentence
    ("contrast of a linear mixed model", "crossed linear mixed model"),
    ("exact unconditional test", "exact unconditional test"),
    ("exact permutation", "exact permutation test"),
)


def summary(frame: pd.DataFrame, results: Iterable[Result]) -> list[str]:
    """Three sentences for the songwriter and the supervisor: taken for real? told apart? any good?

    A fourth says in which songs clips would be used, where listeners were asked.
    """
    results, panel = list(results), Panel.of(frame)
    first = [_taken(results, panel), _told_apart(results, panel), _liked(frame, results, panel)]
    return first + songs.sentences(results, panel)


def inspired(results: Iterable[Result]) -> dict[str, Any] | None:
    """Whether machine-made clips inspire, for the head of the page; None where nobody was asked.

    The keys are sentence: what was answered; beside: a sentence on originals and on the difference; by: for
    each kind of group the share of yes and maybe with its interval, and that of the originals.
    """
    results = list(results)
    counts = _inspiring_counts(results, MACHINE)
    if counts is None:
        return None
    of = _inspiring_counts(results, ORIGINALS)
    beside = [f"Originals: {_in_words(of)}."] if of else []
    if other := find(results, TRUTH, ratings.OTHER, MACHINE):
        beside.insert(0, f"{f.plural(other.count, 'more answer')} of other, in words of their own.")
    beside += filter(None, [_stronger(results)])
    real, by = find(results, TRUTH, INSPIRED.mean, ORIGINALS), []
    kinds = {BACKENDS: "backend", MODES: "mode", EPOCHS: "epochs"} | conditions.COLUMNS
    for family, kind in kinds.items():
        rows = [r for r in results if (r.family, r.name) == (family, INSPIRED.mean) and r.total]
        if len(rows) > 1:
            rows += [real] if real and real.total else []
            by.append((kind, [_share(r) for r in rows]))
    return {"sentence": f"{_in_words(counts).capitalize()}.", "beside": " ".join(beside), "by": by}


def _share(r: Result) -> dict[str, Any]:
    interval = f.interval(r.low, r.high, f.percent)
    return {
        "name": r.group,
        "count": r.count,
        "total": r.total,
        "percent": f.percent(r.estimate),
        "interval": interval,
    }


def _stronger(results: list[Result]) -> str:
    """How much more machine-made clips inspire than originals: an odds ratio, or a difference of shares."""
    odds = find(results, panel_models.MIXED, panel_models.INSPIRING_ODDS, MACHINE_LESS_ORIGINALS)
    if odds and not odds.refused:
        return (
            "The odds of a stronger answer (no, maybe, yes) on a machine-made clip are "
            f"{f.number(odds.estimate)} times those on an original (95% interval "
            f"{f.interval(odds.low, odds.high)}; {CUMULATIVE}, {_p(odds.p)})."
        )
    share = find(results, TRUTH, INSPIRED.difference, MACHINE_LESS_ORIGINALS)
    if share is None or share.refused or share.low is None:
        return ""
    points = f"{f.number(100 * share.estimate, 0)} percentage points"
    ends = f.interval(100 * share.low, 100 * share.high, lambda value: f.number(value, 0))
    test = f"; {_test(share)}" if share.p is not None else ""
    return f"Yes or maybe, machine-made less originals: {points} (95% interval {ends}{test})."


def _inspiring_counts(results: list[Result], group: str) -> dict[str, int] | None:
    counts = {level: find(results, TRUTH, f"{ratings.INSPIRING} {level}", group) for level in ratings.LEVELS}
    return None if None in counts.values() else {level: r.count for level, r in counts.items()}


def _in_words(counts: dict[str, int]) -> str:
    first, *rest = (f"{level} in {count}" for level, count in counts.items())
    return ", ".join([f"{first} of {sum(counts.values())} answers", *rest])


def _taken(results: list[Result], panel: Panel) -> str:
    fooled = find(results, TRUTH, JUDGED_REAL.mean, MACHINE)
    doubted = find(results, discrimination.FAMILY, discrimination.FALSE_ALARM, ORIGINALS)
    if fooled is None:
        return "No machine-made clip was judged, so nothing can be said of fooling anyone."
    within = f.interval(fooled.low, fooled.high, f.percent)
    interval = f"95% interval {within}" if within else ""
    if panel.single_listener:
        text = (
            f"The listener took {f.few(fooled.count)} of the {fooled.total} machine-made clips for a real "
            f"recording ({f.percent(fooled.estimate)}; {interval})"
        )
        if doubted.refused:
            return f"{text}; there was no original among the clips."
        return f"{text}, and {f.few(doubted.count)} of the {f.few(doubted.total)} originals for machine-made."
    text = (
        f"Of the answers on machine-made clips {f.percent(fooled.estimate)} took the clip for a real "
        f"recording{f' ({interval})' if interval else ''}"
    )
    if doubted.refused:
        return f"{text}; there was no original among the clips."
    return f"{text}, and {f.percent(doubted.estimate)} of those on originals took it for machine-made."


def _told_apart(results: list[Result], panel: Panel) -> str:
    who = "this listener" if panel.single_listener else "listeners like these"
    test = find(results, discrimination.FAMILY, discrimination.ANY)
    balanced = find(results, discrimination.FAMILY, discrimination.BALANCED)
    if test is None or test.refused or test.p is None or balanced.refused:
        why = test.note if test else discrimination.NEEDS_BOTH
        return f"Whether {who} could tell the two apart cannot be said: {why}."
    within = f.interval(balanced.low, balanced.high, f.percent)
    figures = f"balanced accuracy {f.percent(balanced.estimate)}"
    figures += f", 95% interval {within}" if within else ""
    figures += f"; 50% is guessing; {_test(test)}"
    passes = find(results, comparisons.EQUIVALENCE, comparisons.PASSES, MACHINE_LESS_ORIGINALS)
    equal = ""
    if passes and not passes.refused:
        within = f.interval(passes.low, passes.high, f.percent)
        equal = f" Passing as real: {passes.notes[0]} (90% interval {within})."
    if test.p >= LEVEL:
        wide = "" if equal else " That is no proof that they could not."
        return f"These answers do not show that {who} could tell the two apart ({figures}).{equal or wide}"
    if balanced.estimate < 0.5:
        return f"Oddly, {who} took originals for machine-made more often than machine-made clips ({figures})."
    return f"So {who} could tell the two apart ({figures}).{equal}"


def _p(p: float) -> str:
    text = f.p_value(p)
    return f"p{NARROW}{text}" if text.startswith("<") else f"p{NARROW}={NARROW}{text}"


def _test(result: Result) -> str:
    """The test that was run, and its p."""
    for begins, kind in TESTS:
        if result.method.startswith(begins):
            return f"{kind}, {_p(result.p)}"
    return _p(result.p)


def _liked(frame: pd.DataFrame, results: list[Result], panel: Panel) -> str:
    machine = find(results, TRUTH, ratings.MEAN, MACHINE)
    original = find(results, TRUTH, ratings.MEAN, ORIGINALS)
    if machine is None or machine.refused:
        return "No machine-made clip was rated for musicality."
    text = f"For musicality the machine-made clips got {f.number(machine.estimate, 1)} of 10 on average"
    if original and not original.refused:
        text += f" and the originals {f.number(original.estimate, 1)}{_compared(results)}"
    return f"{text}; {_inspired(results, panel)}{_left_out(frame)}{_best(frame, results)}."


def _compared(results: list[Result]) -> str:
    test = find(results, TRUTH, MUSICALITY.difference, MACHINE_LESS_ORIGINALS)
    if test is None:
        poor = [find(results, TRUTH, MUSICALITY.difference, group) for group in (ORIGINALS, MACHINE)]
        why = next((r.note for r in poor if r), "")
        return f" (not compared: {why})" if why else ""
    if test.refused:
        return f" (not compared: {test.note})"
    if test.p is None:
        return f" ({test.notes[0]})"
    return f" ({_test(test)})"


def _inspired(results: list[Result], panel: Panel) -> str:
    yes, maybe = (find(results, TRUTH, f"{ratings.INSPIRING} {level}", MACHINE) for level in ("yes", "maybe"))
    if yes is None:
        return "nobody was asked whether they inspire"
    if panel.single_listener:
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
    lines = []
    shares = [r for r in results if r.name == JUDGED_REAL.mean and r.total and not r.refused]
    if any(f.percent(r.estimate) != f.percent(r.count / r.total) for r in shares):
        lines.append(
            "Shares judged real are estimates for listeners and clips like these, which weigh listeners and "
            "clips that answered or were judged less often; so they differ a little from the answers counted."
        )
    if others := _others(frame):
        lines.append(
            f"Of what inspires, other ({f.plural(others, 'answer')}) is in no share: it is quoted instead."
        )
    return " ".join(lines)


def _best(frame: pd.DataFrame, results: list[Result]) -> str:
    """The best rated machine-made clip; of several listeners by its estimate, shrunken as it is uncertain."""
    clips = stimuli.by_stimulus(frame)
    fakes = clips[clips["truth"] == "fake"]
    modes = [
        r
        for r in results
        if (r.family, r.name) == (individuals.MODES, individuals.OF_CLIP) and r.group in set(fakes["label"])
    ]
    if modes and not Panel.of(frame).single_listener:
        best = max(modes, key=lambda r: r.estimate)
        return (
            f", and the best liked machine-made clip was {best.group}, {f.number(best.estimate, 1)} points "
            "above the mean of its kind when shrunken for chance (95% interval "
            f"{f.interval(best.low, best.high)})"
        )
    rated = fakes.dropna(subset=["musicality"])
    if rated.empty or not Panel.of(frame).single_listener:
        return ""
    top = rated["musicality"].max()
    best = rated.loc[rated["musicality"] == top, "label"].tolist()
    if len(best) > 3:
        return f", and {len(best)} machine-made clips share the highest rating ({f.rating(top)})"
    which = f"clip{'s were' if len(best) > 1 else ' was'}"
    return f", and the best liked machine-made {which} {' and '.join(best)} ({f.rating(top)})"


def set_line(results: Iterable[Result], name: str) -> str:
    """How one set was judged, in a line."""
    results, parts = list(results), []
    for group in (MACHINE, ORIGINALS):
        real = find(results, SETS, JUDGED_REAL.mean, f"{name} {group}")
        mean = find(results, SETS, ratings.MEAN, f"{name} {group}")
        if real is None:
            continue
        rated = "" if mean is None or mean.refused else f", musicality {f.number(mean.estimate, 1)}"
        parts.append(f"{group}: {real.count} of {real.total} judged real{rated}")
    return "; ".join(parts)


def reach(panel: Panel) -> str:
    """For whom the report holds, in a sentence or two."""
    if panel.single_listener:
        return (
            "One listener: this describes one person's answers to these clips. The intervals and tests are "
            "about the clips and say nothing of how other listeners would answer."
        )
    return (
        f"{panel.listeners} listeners heard the same clips, so their answers are not independent. The mixed "
        "models take both as samples: their intervals and tests speak of listeners and clips like these."
    )


def trained(frame: pd.DataFrame) -> str:
    """What the analysis knows of the trainings that clips come from, and how it errs; "" where none is told.

    A training is one random draw of a model, so clips of one training are alike in more than their kind.
    """
    if not trainings.shared(frame):
        return ""
    if not trainings.repeated(frame):
        return (
            "Each model was trained once, and several clips come of one training. What these share cannot "
            f"be told from their source: from {stimuli.LEAST_TRAININGS} sources on it is modelled with the "
            "source; with fewer, intervals speak of more clips of these trainings, and are too narrow for "
            "training anew. Several trainings of a source (trainings in study.toml) would show it."
        )
    known = trainings.labels(frame.drop_duplicates(["set", "name"])).dropna()
    made = f"{len(known)} clips come of {known.nunique()} trainings, so they are not independent."
    if Panel.of(frame).single_listener:
        return (
            f"{made} With one listener no model knows them: tests and intervals take clips of one training "
            "as independent, so where trainings differ intervals are too narrow and p too small. Only "
            "backends are compared by the means of their trainings, too."
        )
    return (
        f"{made} Mixed models take sources, trainings and models (trainings at one epoch count) as random, "
        f"so they speak of others like these; {stimuli.LEAST_TRAININGS} or more of a kind are needed, and "
        "what is left out is said beside the result."
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
