"""Groups of listeners, who met the study in different ways: described, and compared with one another.

Here listeners lie within groups and clips across them, the other way round than where groups of clips are
compared. So each clip is its own control, a clip may do better in one group than in another, and listeners
are the sample that a comparison rests on, in a linear mixed model with both random.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.models import mixed
from analysis.results import estimation, own_questions, stimuli
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY, Outcome
from analysis.results.result import Question, Result

FAMILY = "groups of listeners"
COLUMN = "group"
LEAST = 3  # listeners in each of two groups that are compared
FAKES, ALL_CLIPS = "machine-made clips", "all clips"
COMPARED = ((JUDGED_REAL, FAKES), (MUSICALITY, ALL_CLIPS), (INSPIRED, FAKES))
SHARED = "linear mixed model by REML, each clip its own control, listeners and clips' levels random"
ACCURACY = "balanced accuracy, difference"
MIN_F = "difference of listeners' balanced accuracies; variances of listeners and of clips added (min F')"
APART = "linear mixed model by REML, listeners and clips random"


def records(first: pd.DataFrame) -> list[Result]:
    """Every group described, and every two compared. first: answers as of `stimuli.distinct`.

    [] in a study whose listeners are all of one group.
    """
    if COLUMN not in first or first[COLUMN].nunique() < 2:
        return []
    names = sorted(first[COLUMN].dropna().unique())
    results = []
    for outcome, clips in COMPARED:
        part = first[(first["truth"] == "fake") | (clips == ALL_CLIPS)]
        part = part[outcome.values(part).notna() & part[COLUMN].notna()]
        results += [_mean(part[part[COLUMN] == name], outcome, clips, name) for name in names]
        results += [difference(part, outcome, clips, one, other) for other, one in combinations(names, 2)]
    return [*results, *(accuracy(first, one, other) for other, one in combinations(names, 2))]


def _mean(part: pd.DataFrame, outcome: Outcome, clips: str, name: str) -> Result:
    question = Question(FAMILY, f"{outcome.mean}, {clips}", name, "listener and clip")
    estimate = estimation.mean(part, outcome)
    if estimate.refused:
        return question.refuse(estimate.refused)
    total, answers = estimate.of
    counted = (round(total), answers) if outcome.share else None
    question = Question(FAMILY, question.name, name, question.unit, estimate.method)
    notes = (f"{estimate.listeners} listeners, {estimate.clips} clips", *estimate.notes)
    return question.result(
        estimate.estimate, (estimate.low, estimate.high), n=estimate.listeners, of=counted, notes=notes
    )


def accuracy(first: pd.DataFrame, one: str, other: str) -> Result:
    """Whether a group tells clips apart better: who only says "fake" more often has one half all the same.

    The variance is that of listeners and that of clips, which one group may tell apart better by chance.
    Each holds single answers as well, so their sum is rather too large (min F' of Clark 1973).
    """
    question = Question(FAMILY, ACCURACY, f"{one} - {other}", "listener and clip", MIN_F)
    both = first[first[COLUMN].isin([one, other]) & first["verdict"].notna()]
    heard = both.groupby("clip")[COLUMN].nunique()
    both = both[both["clip"].isin(heard.index[heard == 2])]
    right = own_questions.balanced_accuracy(both)
    group = both.drop_duplicates("listener").set_index("listener")[COLUMN].reindex(right.index)
    sides = [right[group == name].dropna() for name in (one, other)]
    if (few := min(map(len, sides))) < LEAST:
        return question.refuse(
            f"{few} listeners of a group judged clips of both kinds that both groups heard"
        )
    real = JUDGED_REAL.values(both).groupby([both["clip"], both[COLUMN]]).mean().unstack()
    apart = (real[one] - real[other]).groupby(both.groupby("clip")["truth"].first())
    if (few := int(apart.size().min())) < stimuli.LEAST_CLIPS:
        return question.refuse(
            f"{few} clips of a kind that both groups heard; {stimuli.LEAST_CLIPS} are needed"
        )
    sizes = np.array([*map(len, sides), *apart.size()])
    parts = np.array([*(side.var() for side in sides), *(apart.var() / 4)]) / sizes
    if (variance := parts.sum()) < estimation.CERTAIN:
        return question.refuse("all listeners and clips are alike, so no spread is left to test by")
    free = variance**2 / (parts**2 / (sizes - 1)).sum()
    contrast = mixed.Contrast(sides[0].mean() - sides[1].mean(), variance**0.5, free)
    low, high = contrast.interval()
    ends, people = (max(low, -1.0), min(high, 1.0)), int(sizes[:2].sum())
    return question.result(contrast.estimate, ends, contrast.p, n=people)


def difference(part: pd.DataFrame, outcome: Outcome, clips: str, one: str, other: str) -> Result:
    """One group less another, of the answers that have the outcome."""
    both = part[part[COLUMN].isin([one, other])]
    question = Question(FAMILY, f"{outcome.difference}, {clips}", f"{one} - {other}", "listener", SHARED)
    counts = both.groupby(COLUMN)["listener"].nunique().reindex([one, other]).fillna(0)
    if (few := int(counts.min())) < LEAST:
        return question.refuse(f"{few} listeners in the group {counts.idxmin()}, fewer than {LEAST}")
    heard = both.groupby("clip")[COLUMN].nunique()
    shared = both[both["clip"].isin(heard.index[heard == 2])]
    listener, clip = stimuli.who(both)
    notes = ("; ".join(f"{count:.0f} listeners in {name}" for name, count in counts.items()),)
    try:
        if shared["clip"].nunique() >= stimuli.LEAST_CLIPS:
            values, (listener, clip) = outcome.values(shared), stimuli.who(shared)
            fit = mixed.levels(values, shared[COLUMN], clip, listener)  # clips are what listeners else are
        else:
            question = Question(FAMILY, question.name, question.group, question.unit, APART)
            fixed = {name: (both[COLUMN] == name).astype(float) for name in (one, other)}
            fit = mixed.linear(outcome.values(both), fixed, listener, clip)
            notes += ("the groups heard different clips, so this is of the clips as well",)
        contrast = fit.contrast({one: 1.0, other: -1.0})
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return question.refuse(f"not fitted: {error}")
    if not np.isfinite([contrast.se, contrast.df]).all() or contrast.se <= 0:
        return question.refuse("not fitted: the variances could not be estimated")
    reach = outcome.high - outcome.low
    low, high = contrast.interval()
    interval = (max(low, -reach), min(high, reach))
    return question.result(contrast.estimate, interval, contrast.p, notes=notes, n=int(counts.sum()))
