"""What came of the clips that listeners kept: the Eureka rate, asked days after the study.

A Eureka is a part or a finished song that came of a clip. Its rate is of kept clips, which listeners chose
themselves, and of all clips that they heard, where a clip that was not kept counts as nothing. Kept clips of
which nobody said anything bound the second rate from both sides. Rates and differences are estimated as every
other share is: over listeners and clips of a crossed model, or exactly over one listener's clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.questionnaire import CAME_OF_IT
from analysis.results import comparisons, estimation, ratings
from analysis.results.comparisons import TRUTH, Grouping
from analysis.results.estimation import Estimate
from analysis.results.outcomes import KEPT, Outcome
from analysis.results.result import ALL, ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, Panel
from analysis.tests import detection

FAMILY = "follow-up"
LEAST_ANSWERS = (
    10  # of a panel, for an interval or a test: with fewer, models of shares are not to be relied on
)
ASKED, FOLLOWED, UNANSWERED = "kept clips", "kept clips followed up", "kept clips not answered"
DAYS = "days until it came, median as stated"
LATER = "answered after the unblinding"
CAME = "came_of_it"  # the column of the outcome, of CAME_OF_IT
_AT_LEAST, _AT_MOST = "came_at_least", "came_at_most"
_WHICH = {level: float(place) for place, level in enumerate(CAME_OF_IT)}


def _from(name: str, least: str) -> Outcome:
    coded = {level: float(rank >= _WHICH[least]) for level, rank in _WHICH.items()}
    return Outcome(name, CAME, coded)


EUREKA = _from("Eureka rate, of kept clips", "part")
IDEA = _from("at least an idea, of kept clips", "idea")
HEARD = Outcome("Eureka rate, of heard clips", _AT_LEAST)
HEARD_LEAST = Outcome("Eureka rate, of heard clips, at least", _AT_LEAST)
HEARD_MOST = Outcome("Eureka rate, of heard clips, at most", _AT_MOST)
LEVELS = {level: f"came of kept clips: {level}" for level in CAME_OF_IT}

DESCRIBED = (*LEVELS.values(), ASKED, FOLLOWED, UNANSWERED, LATER, DAYS, EUREKA.mean, IDEA.mean)
DESCRIBED += (HEARD.mean, HEARD_LEAST.mean, HEARD_MOST.mean)


def attached(first: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The answers with what came of them. first: as of `stimuli.distinct`; rows: one mapping per kept clip.

    New columns: asked (whether the clip is kept), came_of_it (None where that is not known), days, and 0 or 1
    at least and at most for whether a part or a song came of it.
    """
    table = pd.DataFrame(list(rows))
    said = pd.DataFrame(index=first.index)
    if table.empty:
        came, days, asked = None, None, False
    else:
        final = table["final"].map(lambda value: str(value).strip().lower() in ("true", "1", "1.0"))
        table = table.assign(outcome=table["outcome"].where(final)).set_index(_KEY)
        keys = pd.MultiIndex.from_frame(first[_KEY].astype(object))
        found = table[~table.index.duplicated()].reindex(keys)
        came, days = found["outcome"].to_numpy(), pd.to_numeric(found["days"]).to_numpy()
        asked = keys.isin(table.index)
    said[CAME], said["days"], said["asked"] = came, days, asked
    said[CAME] = said[CAME].astype(object).where(said[CAME].isin(CAME_OF_IT), None)
    kept = KEPT.values(first).eq(1)  # of who has not finished, so that nobody was asked yet
    unknown = (said["asked"] | kept) & said[CAME].isna()
    eureka = EUREKA.values(said)
    said[_AT_LEAST] = eureka.fillna(0.0)
    said[_AT_MOST] = eureka.fillna(0.0).mask(unknown, 1.0)
    return first.join(said)


_KEY = ["listener", "set", "stimulus_id"]


def records(first: pd.DataFrame, panel: Panel, rows: Sequence[Mapping[str, Any]] | None) -> list[Result]:
    """Every figure of the follow-up; none where there was none. Arguments as of `attached`."""
    if not rows or "stimulus_id" not in first:
        return []
    answers = attached(first, rows)
    asked = answers[answers["asked"]]
    known = asked[asked[CAME].notna()]
    results = [*_counts(answers, asked, known), *_later(rows)]
    question = Question(FAMILY, EUREKA.mean, unit=panel.unit)
    if known.empty:
        return [*results, question.refuse("nobody has said yet what came of a kept clip")]
    kinds = list(comparisons.kinds(answers))
    everything = Grouping(FAMILY, pd.Series(ALL, index=answers.index))
    for kind in (everything, *kinds):
        results += _described(answers, kind, panel)
    for kind in kinds:
        results += _compared(known, kind, panel)
    return [*results, _days(known)]


def family(kind: str) -> str:
    """The family of the results by a kind of groups, as of `comparisons.kinds`."""
    return FAMILY if kind in (FAMILY, TRUTH) else f"{FAMILY}, {kind}"


def _counts(answers: pd.DataFrame, asked: pd.DataFrame, known: pd.DataFrame) -> list[Result]:
    heard, kept = len(answers), len(asked)
    who = known["listener"].nunique()
    counts = ((ASKED, kept, heard, "of all answers"), (FOLLOWED, len(known), kept, f"of {who} listeners"))
    return [
        Question(FAMILY, name, unit="answer", method="count").result(
            float(count), of=(count, total), n=total, notes=(note,)
        )
        for name, count, total, note in counts
    ]


def _later(rows: Iterable[Mapping[str, Any]]) -> list[Result]:
    """How many answers came when listeners could know what the clips are."""
    rows = [row for row in rows if row.get("outcome")]
    late = sum(str(row.get("unblinded")).strip().lower() in ("true", "1", "1.0") for row in rows)
    if not late:
        return []
    note = "listeners may have known what the clips were"
    question = Question(FAMILY, LATER, unit="answer", method="count")
    return [question.result(float(late), of=(late, len(rows)), n=len(rows), notes=(note,))]


def _levels(part: pd.DataFrame, in_family: str, group: str) -> list[Result]:
    """How many kept clips of a group each outcome has, and of how many nobody has said anything."""
    kept = part[part["asked"]]
    known, results = kept[CAME].dropna(), []
    for level, name in LEVELS.items():
        count = int((known == level).sum())
        question = Question(in_family, name, group, "answer", "share of kept clips followed up")
        share = count / len(known) if len(known) else None
        results.append(question.result(share, of=(count, len(known)), n=len(known)))
    unknown, question = len(kept) - len(known), Question(in_family, UNANSWERED, group, "answer", "count")
    return [*results, question.result(float(unknown), of=(unknown, len(kept)), n=len(kept))]


def levels_of(results: Iterable[Result], in_family: str, group: str) -> dict[str, int]:
    """How many kept clips of a group each of CAME_OF_IT has, and UNANSWERED."""
    named = {name: level for level, name in LEVELS.items()} | {UNANSWERED: UNANSWERED}
    return {
        named[r.name]: r.count
        for r in results
        if (r.family, r.group) == (in_family, group) and r.name in named
    }


def _described(answers: pd.DataFrame, kind: Grouping, panel: Panel) -> list[Result]:
    results = []
    for name in sorted(set(kind.labels.dropna())) if kind.family in (FAMILY, TRUTH) else kind.names:
        part = answers[kind.labels == name]
        results += _levels(part, family(kind.family), name)
        exact = part[_AT_LEAST].equals(part[_AT_MOST])
        heard = (HEARD,) if exact else (HEARD_LEAST, HEARD_MOST)
        for outcome in (EUREKA, IDEA, *heard):
            values = outcome.values(part).notna()
            if not values.any():
                continue
            question = Question(family(kind.family), outcome.mean, name, panel.unit)
            results.append(_mean(part[values], outcome, question, panel))
    return results


def _mean(part: pd.DataFrame, outcome: Outcome, question: Question, panel: Panel) -> Result:
    """A rate with its interval: exact for one listener, of the crossed model for a panel."""
    estimate = estimation.mean(part, outcome)
    if panel.single_listener and not estimate.refused:
        count, total = round(estimate.of[0]), estimate.of[1]
        low, high = detection.clopper_pearson(count, total)
        exact = "Clopper-Pearson interval over this listener's clips"
        return ratings.as_result(question, replace(estimate, low=low, high=high, method=exact), panel)
    few = _too_few(part)
    if few and not estimate.refused:
        plain = replace(estimate, low=None, high=None, estimate=estimate.of[0] / estimate.of[1])
        plain = replace(plain, method="share of answers", notes=(f"no interval: {few}",))
        return ratings.as_result(question, plain, panel)
    return ratings.as_result(question, estimate, panel)


def _too_few(part: pd.DataFrame) -> str:
    """Why a panel's answers carry no interval; "" where they do."""
    clips, listeners = part["clip"].nunique(), part["listener"].nunique()
    if len(part) < LEAST_ANSWERS:
        return f"{len(part)} answers, fewer than {LEAST_ANSWERS}"
    if clips < LEAST_CLIPS:
        return f"{clips} clips, fewer than {LEAST_CLIPS}"
    return "answers of one listener" if listeners < 2 else ""


def _compared(known: pd.DataFrame, kind: Grouping, panel: Panel) -> list[Result]:
    """Every group's Eureka rate against the originals' and against every other's, of kept clips."""
    labels = kind.labels[known.index]
    here = Grouping(kind.family, labels)
    names = here.names
    real = ORIGINALS in set(labels.dropna())
    pairs = [(name, ORIGINALS) for name in names if real] + list(combinations(names, 2))
    results, tested = [], []
    for pair in pairs:
        question = Question(family(kind.family), EUREKA.difference, " - ".join(pair), panel.unit)
        few = "" if panel.single_listener else pair_too_few(known, labels, pair)
        if few:
            results.append(question.refuse(few))
        else:
            tested.append((pair, question))
    estimates: list[Estimate] = []
    if tested:
        estimates = estimation.contrasts(known, EUREKA, labels, [pair for pair, _ in tested])
    for (pair, question), estimate in zip(tested, estimates, strict=True):
        chosen = "listeners chose which clips they kept"
        results.append(
            ratings.as_result(question, estimate, panel, comparisons.mixture(known, here, pair), chosen)
        )
    return results


def pair_too_few(known: pd.DataFrame, labels: pd.Series, pair: tuple[str, str]) -> str:
    """Why two groups of a panel's answers are not compared; "" where they are."""
    for name in pair:
        if few := _too_few(known[labels == name]):
            return f"{name}: {few}"
    return ""


def _days(known: pd.DataFrame) -> Result:
    """When it came, as far as listeners say: a median of what is stated, and no curve."""
    came = known[EUREKA.values(known) == 1]
    stated = came["days"].dropna()
    question = Question(FAMILY, DAYS, unit="answer", method="median of stated days")
    if stated.empty:
        why = "no part and no song came of a kept clip" if came.empty else "nobody says when it came"
        return question.refuse(why)
    note = (
        f"{len(stated)} of {len(came)} say when, from memory and in whole days; of the others is known only "
        "that it came before they were asked"
    )
    return question.result(float(stated.median()), n=len(stated), of=(len(stated), len(came)), notes=(note,))
