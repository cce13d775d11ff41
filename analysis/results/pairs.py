"""Every figure of the paired task: which is real, and which inspires more, as results.

With several listeners each share of choices, and each comparison, is of a linear mixed model in which
listeners and both clips of a pair are random (`analysis.models.paired`); with one there are exact tests over
pairs, for this listener only. What the pairs cannot carry is refused with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from analysis import conditions
from analysis import pairs as answers
from analysis.models import mixed, paired
from analysis.models.paired import PairedFit
from analysis.results import comparisons, own_questions
from analysis.results.result import ORIGINALS, Question, Result, holm
from analysis.results.stimuli import LEAST_CLIPS, Panel
from analysis.tests import detection

WHICH, MORE = "which is real", "which inspires more"  # families, and by groups "..., by epochs"
RIGHT, D_PRIME, TAKEN = "right answers", "d\N{PRIME} (2AFC)", "machine-made clip taken for real"
FIRST = "first clip chosen"
APART = "right answers, difference"
SHARE, WORTH = "share of choices", "Bradley-Terry worth, log odds"
OF_CLIPS = "clips of pairs"
PAPER = "the published model's paired test: 37.8% (standard error 3.2%)"
KINDS = {comparisons.EPOCHS: "epochs", comparisons.MODES: "mode", comparisons.BACKENDS: "backend"}
KINDS |= conditions.COLUMNS
LEAST_PAIRS = 6  # of one listener, for a test: fewer cannot reach .05
LARGEST_SE = 5.0  # of log odds: a larger one has no maximum of the likelihood behind it
CERTAIN = 1e-9
LMM = "linear mixed model of choices by REML, listeners and both clips random, Satterthwaite df"
EXACT = "Clopper and Pearson's interval and exact binomial test over pairs"
BRADLEY_TERRY = "Bradley-Terry model by Laplace's approximation, listeners and clips random, Wald t on clips"
SHARED = "takes pairs that share a clip as independent"


@dataclass(frozen=True)
class _Sides:
    """The choices between two groups, as one listener's exact test takes them."""

    won: int
    total: int
    shared: bool  # a clip is in more than one of the pairs


def evaluate(frame: pd.DataFrame, own: Sequence[own_questions.Asked] = ()) -> list[Result]:
    """Every figure of a report on pairs (`frame` as of `analysis.pairs.load`), p corrected by Holm.

    own: the study's own questions, as its settings have them.
    """
    panel, clips = Panel.of(frame), answers.clips_of(frame)
    results: list[Result] = []
    real, more = answers.of_real(frame), answers.of_question(frame, answers.INSPIRING)
    if len(real):
        results += [*_which(real, panel), _first(real, WHICH, panel)]
        for family, labels in _kinds(real, clips):
            results += _which_by(real, family, labels, panel)
    if len(more):
        results.append(_first(more, MORE, panel))
        for family, labels in _kinds(more, clips):
            results += _more_by(more, family, labels, panel)
    return holm([*results, *own_questions.of_listeners(frame, own), *_each_clip(frame)])


def _kinds(frame: pd.DataFrame, clips: pd.DataFrame) -> Iterator[tuple[str, dict[str, str]]]:
    """Of what machine-made clips differ in: the kind's word, and the group of every clip by set and name."""
    heard = {
        (one, name)
        for side in answers.SIDES
        for one, name in zip(frame["set"], frame[f"{side}_name"], strict=True)
    }
    known = clips[[key in heard for key in zip(clips["set"], clips["name"], strict=True)]]
    for kind in comparisons.kinds(known):
        if kind.family not in KINDS or len(kind.names) < 2:
            continue
        fakes = kind.labels[kind.labels.notna() & (kind.labels != ORIGINALS)]
        chosen = known.loc[fakes.index]
        yield (
            KINDS[kind.family],
            dict(zip(zip(chosen["set"], chosen["name"], strict=True), map(str, fakes), strict=True)),
        )


def _keys(frame: pd.DataFrame, column: str) -> list[tuple[str, str]]:
    return list(zip(frame["set"], frame[column], strict=True))


def _named(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Clips as labels of one word each; sets may share names."""
    return np.array([f"{one}/{name}" for one, name in _keys(frame, column)])


def _unit(panel: Panel) -> str:
    return (
        "pair, this listener only" if panel.single_listener else "answer, of listeners and clips like these"
    )


def _which(real: pd.DataFrame, panel: Panel) -> list[Result]:
    """The share of right answers, what it is as d', and what it is as the paper counts."""
    share = _share(Question(WHICH, RIGHT, unit=_unit(panel), method=LMM), real, panel)
    taken = Question(WHICH, TAKEN, unit=share.unit, method=share.method)
    question = Question(
        WHICH, D_PRIME, unit=share.unit, method=f"square root of 2 times z of the share; {share.method}"
    )
    if share.estimate is None:
        return [share, question.refuse(share.notes[0]), taken.refuse(share.notes[0])]
    ends = None if share.low is None else (1 - share.high, 1 - share.low)
    count, total = share.count, share.total
    wrong = taken.result(1 - share.estimate, ends, notes=(PAPER,), of=(total - count, total), n=share.n)
    if not 0 < share.estimate < 1:
        every = "right" if share.estimate == 1 else "wrong"
        return [share, question.refuse(f"every answer was {every}: d\N{PRIME} has no limit"), wrong]
    low, high = (None if end is None else d_prime(end) for end in (share.low, share.high))
    bias = "takes no account of a leaning to the first clip, which makes it smaller"
    return [share, question.result(d_prime(share.estimate), (low, high), notes=(bias,), n=share.n), wrong]


def d_prime(share: float) -> float:
    """Sensitivity of a share of right answers in two-alternative forced choice (Macmillan and Creelman 2005,
    "Detection theory", chapter 7): the square root of 2 times z of the share.

    Examples
    --------
    >>> round(d_prime(0.622), 2)
    0.44
    """
    return math.sqrt(2) * float(stats.norm.ppf(share))


def _share(question: Question, part: pd.DataFrame, panel: Panel) -> Result:
    """The share of right answers with its interval and its p against a half."""
    right = part["right"].to_numpy()
    count, total = int(right.sum()), len(right)
    if panel.single_listener:
        return _exact(question, count, total, _repeats(part))
    clips = [_named(part, name) for name in ("real_clip", "fake_clip")]
    smallest = min(len(set(names)) for names in clips)
    facts = {"of": (count, total), "n": smallest}
    if part["listener"].nunique() < 2 or smallest < LEAST_CLIPS:
        few = f"{smallest} clips of one kind in these pairs, and {LEAST_CLIPS} are needed"
        few = few if smallest < LEAST_CLIPS else "one listener heard these pairs"
        return question.result(count / total, notes=(f"no interval: {few}",), **facts)
    try:
        fit = paired.right(right, part["order"], part["listener"], *clips)
    except mixed.NoSpreadError:
        if 0 < count < total:
            note = "no interval: which clip stood first explains every answer"
            return question.result(count / total, notes=(note,), **facts)
        return _constant(question, count, total, min(smallest, part["listener"].nunique()), facts)
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return question.result(count / total, notes=(f"no interval: {error}",), **facts)
    return scored(question, fit, {"right": 1.0}, facts)


def scored(question: Question, fit: PairedFit, weights: dict[str, float], facts: dict) -> Result:
    """A share of a model: Wilson's interval of as many answers as would be as uncertain if independent, and
    the p that agrees with it (Franco, Little, Louis and Slud 2019)."""
    sum_ = fit.contrast(weights)
    middle, variance = sum_.estimate, sum_.se**2
    notes = (_counted(fit), *_flat(fit))
    if not 0 < middle < 1 or variance < CERTAIN:
        middle = min(1.0, max(0.0, middle))
        low, high = (min(1.0, max(0.0, end)) for end in sum_.interval())
        return question.result(middle, (low, high), sum_.p, notes=notes, **facts)
    alike = middle * (1 - middle) / variance
    interval = detection.score_interval(middle, alike, stats.t.ppf(0.975, sum_.df))
    p = 2 * stats.t.sf(abs(middle - 0.5) * 2 * math.sqrt(alike), sum_.df)
    return question.result(middle, interval, p, notes=notes, **facts)


def _constant(question: Question, count: int, total: int, units: int, facts: dict) -> Result:
    """All answers are alike, so no variance can be estimated: as many answers as there are units at least."""
    all_right = count == total
    interval = detection.clopper_pearson(units if all_right else 0, units)
    p = float(stats.binomtest(units if all_right else 0, units).pvalue)
    note = f"every answer is the same: interval and p count {units} listeners or clips, whichever are fewer"
    method = EXACT.replace("pairs", "units")
    question = Question(question.family, question.name, question.group, question.unit, method)
    return question.result(count / total, interval, p, notes=(note,), **facts)


def _exact(question: Question, count: int, total: int, shared: bool) -> Result:
    question = Question(question.family, question.name, question.group, question.unit, EXACT)
    if total < LEAST_PAIRS:
        few = f"{total} pairs cannot reach p = .05, {LEAST_PAIRS} are needed"
        return question.result(count / total, notes=(f"no interval: {few}",), of=(count, total), n=total)
    interval = detection.clopper_pearson(count, total)
    p = float(stats.binomtest(count, total).pvalue)
    notes = (SHARED,) if shared else ()
    return question.result(count / total, interval, p, notes=notes, of=(count, total), n=total)


def _repeats(part: pd.DataFrame) -> bool:
    """Whether a clip is in more than one pair."""
    names = [key for side in answers.SIDES for key in _keys(part, f"{side}_name")]
    return len(set(names)) < len(names)


def _counted(fit: PairedFit) -> str:
    return f"{fit.listeners} listeners, {fit.clips} clips, {fit.observations} answers"


def _flat(fit: PairedFit) -> tuple[str, ...]:
    flat = " and ".join(fit.singular)
    return (f"the variance of {flat} is estimated as 0",) if flat else ()


def _first(part: pd.DataFrame, family: str, panel: Panel) -> Result:
    """The leaning to the first clip: the mean over listeners of their shares, as each has their own."""
    first = (part["choice"] == "first").astype(float)
    count, total = int(first.sum()), len(first)
    question = Question(family, FIRST, unit=_unit(panel), method="t interval and test of listeners' shares")
    if panel.single_listener:
        return _exact(question, count, total, _repeats(part))
    shares = first.groupby(part["listener"]).mean()
    facts = {"of": (count, total), "n": len(shares)}
    if np.ptp(shares) < CERTAIN:
        note = "no interval: all listeners chose the first clip equally often"
        return question.result(float(shares.mean()), notes=(note,), **facts)
    middle, error = float(shares.mean()), float(shares.std(ddof=1)) / math.sqrt(len(shares))
    reach = stats.t.ppf(0.975, len(shares) - 1) * error
    p = float(2 * stats.t.sf(abs(middle - 0.5) / error, len(shares) - 1))
    note = "over clips, which stood first and second equally often, it says nothing"
    return question.result(
        middle, (max(0.0, middle - reach), min(1.0, middle + reach)), p, notes=(note,), **facts
    )


def _which_by(real: pd.DataFrame, kind: str, group_of: dict, panel: Panel) -> list[Result]:
    """Right answers on the machine-made clips of each group, and how groups differ."""
    family = f"{WHICH}, by {kind}"
    groups = pd.Series([group_of.get(key) for key in _keys(real, "fake_clip")], index=real.index)
    part = real[groups.notna()]
    groups = groups[part.index]
    names = sorted(set(groups), key=conditions.sort_key)
    results = [
        _share(Question(family, RIGHT, name, _unit(panel), LMM), part[groups == name], panel)
        for name in names
    ]
    questions = {
        (one, other): Question(family, APART, f"{one} - {other}", _unit(panel), LMM)
        for one, other in combinations(names, 2)
    }
    if panel.single_listener:
        reason = "one listener: shares of few pairs of each are not compared"
        return results + [question.refuse(reason) for question in questions.values()]
    few = {name: part.loc[groups == name, "fake_clip"].nunique() for name in names}
    poor = {name: _too_few(name, count) for name, count in few.items() if count < LEAST_CLIPS}
    kept = groups[~groups.isin(poor)]
    fit: PairedFit | str = "fewer than two groups have clips enough"
    if kept.nunique() > 1:
        chosen = part.loc[kept.index]
        clips = [_named(chosen, name) for name in ("real_clip", "fake_clip")]
        try:
            fit = paired.right(chosen["right"], chosen["order"], chosen["listener"], *clips, kept)
        except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
            fit = f"not fitted: {error}"
    for (one, other), question in questions.items():
        why_not = "; ".join(poor[name] for name in (one, other) if name in poor)
        if why_not or isinstance(fit, str):
            results.append(question.refuse(why_not or str(fit)))
            continue
        results.append(_compared(question, fit, {one: 1.0, other: -1.0}, few[one] + few[other]))
    return results


def _too_few(name: str, count: int) -> str:
    return f"{count} clips of {name}, and {LEAST_CLIPS} are needed"


def _compared(
    question: Question, fit: PairedFit, weights: dict[str, float], clips: int, middle: float = 0.0
) -> Result:
    """A contrast with its interval and p; middle: what it is where groups do not differ."""
    sum_ = fit.contrast(weights)
    if not (math.isfinite(sum_.estimate) and sum_.se > math.sqrt(CERTAIN)):
        return question.refuse("not fitted: no spread is left to test by")
    low, high = sum_.interval()
    lowest, highest = (-1.0, 1.0) if middle == 0.0 else (0.0, 1.0)
    ends = max(lowest, middle + low), min(highest, middle + high)
    estimate = min(highest, max(lowest, middle + sum_.estimate))
    return question.result(estimate, ends, sum_.p, notes=(_counted(fit), *_flat(fit)), n=clips)


def _more_by(more: pd.DataFrame, kind: str, group_of: dict, panel: Panel) -> list[Result]:
    """How often clips of each group are chosen over those of each other one, and their worths."""
    family = f"{MORE}, by {kind}"
    sides = [
        pd.Series([group_of.get(key) for key in _keys(more, f"{side}_name")], index=more.index)
        for side in answers.SIDES
    ]
    known = sides[0].notna() & sides[1].notna()
    part, (first, second) = more[known], (side[known] for side in sides)
    names = sorted({*first, *second}, key=conditions.sort_key)
    chosen = (part["choice"] == "first").to_numpy(float)
    results = []
    for linked in _linked(names, first, second):
        results += _compare_linked(family, linked, part, first, second, chosen, panel)
    for one, other in combinations(names, 2):
        if not any({one, other} <= set(linked) for linked in _linked(names, first, second)):
            question = Question(family, SHARE, f"{one} over {other}", _unit(panel), LMM)
            results.append(question.refuse("no pairs lead from one to the other"))
    return results


def _linked(names: Sequence[str], first: pd.Series, second: pd.Series) -> list[list[str]]:
    """The groups in parts within which pairs of different groups lead from any to any other."""
    leader = {name: name for name in names}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for one, other in set(zip(first, second, strict=True)):
        leader[lead(one)] = lead(other)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(lead(name), []).append(name)
    return [part for part in parts.values() if len(part) > 1]


def _compare_linked(
    family: str,
    names: list[str],
    part: pd.DataFrame,
    first: pd.Series,
    second: pd.Series,
    chosen: np.ndarray,
    panel: Panel,
) -> list[Result]:
    """Every two of some groups that pairs connect."""
    here = (first.isin(names) & second.isin(names)).to_numpy()
    part, chosen = part[here], chosen[here]
    first, second = first[here].to_numpy(), second[here].to_numpy()
    shares = {
        two: Question(family, SHARE, f"{two[0]} over {two[1]}", _unit(panel), LMM)
        for two in combinations(names, 2)
    }
    worths = {
        two: Question(family, WORTH, f"{two[0]} over {two[1]}", _unit(panel), BRADLEY_TERRY) for two in shares
    }
    if panel.single_listener:
        alone = [_alone(shares[two], *two, part, first, second, chosen) for two in shares]
        why_not = "one listener: there is no variance between listeners to model"
        return alone + [question.refuse(why_not) for question in worths.values()]
    clips = {
        name: len({*_named(part[first == name], "first_name"), *_named(part[second == name], "second_name")})
        for name in names
    }
    if poor := [_too_few(name, count) for name, count in clips.items() if count < LEAST_CLIPS]:
        return [question.refuse("; ".join(poor)) for question in shares.values()]
    columns = {name: (first == name).astype(float) - (second == name) for name in names[1:]}
    data = chosen, columns, part["listener"], _named(part, "first_name"), _named(part, "second_name")
    results = []
    for questions, model in ((shares, paired.shares), (worths, paired.worths)):
        try:
            fit: PairedFit | str = model(*data)
        except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
            fit = f"not fitted: {error}"
        for (one, other), question in questions.items():
            if isinstance(fit, str):
                results.append(question.refuse(fit))
                continue
            weights = {one: 1.0, other: -1.0}
            if model is paired.shares:
                count = clips[one] + clips[other]
                results.append(_compared(question, fit, weights, count, middle=0.5))
            else:
                results.append(_worth(question, fit, weights, clips[one] + clips[other]))
    return results


def _worth(question: Question, fit: PairedFit, weights: dict[str, float], clips: int) -> Result:
    """A difference of worths, without a test: that is of the shares."""
    sum_ = fit.contrast(weights)
    if not math.isfinite(sum_.estimate) or not 0 < sum_.se <= LARGEST_SE:
        return question.refuse("not fitted: the likelihood has no maximum that could be reached")
    return question.result(sum_.estimate, sum_.interval(), notes=(_counted(fit), *_flat(fit)), n=clips)


def _alone(question: Question, one: str, other: str, part, first, second, chosen) -> Result:
    """One listener's choices between two groups."""
    here = ((first == one) & (second == other)) | ((first == other) & (second == one))
    if not here.any():
        return question.refuse("this listener heard no pair of both")
    won = np.where(first[here] == one, chosen[here], 1 - chosen[here])
    return _exact(question, int(won.sum()), len(won), _repeats(part[here]))


def _each_clip(frame: pd.DataFrame) -> Iterator[Result]:
    """How often each clip was chosen, of how many pairs: described, not tested."""
    for asked in (answers.REAL, answers.INSPIRING):
        part = answers.of_question(frame, asked)
        rows = [
            (key, chosen == side)
            for side in answers.SIDES
            for key, chosen in zip(_keys(part, f"{side}_name"), part["choice"], strict=True)
        ]
        counts: dict[tuple[str, str], list[bool]] = {}
        for key, won in rows:
            counts.setdefault(key, []).append(won)
        for (name, clip), won in counts.items():
            question = Question(OF_CLIPS, f"chosen, {asked}", f"{name}/{clip}", "answer", "count")
            yield question.result(sum(won) / len(won), of=(sum(won), len(won)), n=len(won))
