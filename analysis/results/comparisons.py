"""Every group of clips described, and compared with the originals and with the others, in one way.

Groups are of truth, backends, modes, epoch counts, plans, strengths, songs, trainings and sets. Each
comparison is a contrast of one model of all groups of its kind, originals among them, for every outcome
alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from analysis import conditions
from analysis import formats as f
from analysis.plan import AnalysisPlan
from analysis.results import dose, estimation, ratings, trainings
from analysis.results.estimation import Estimate
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, MUSICALITY, WOULD_USE, Outcome
from analysis.results.ratings import as_result
from analysis.results.result import ALL, MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, LEAST_EQUIVALENCE, LEAST_ORIGINALS, Panel

TRUTH, BACKENDS, MODES, EPOCHS, SETS = "truth", "backends", "modes", dose.FAMILY, "sets"
PLANS, STRENGTHS, SONGS, TRAININGS = conditions.PLANS, conditions.STRENGTHS, conditions.SONGS, "trainings"
EQUIVALENCE = "equivalence"
COMPARED = (JUDGED_REAL, MUSICALITY, INSPIRED)
RATIO = "variance of clips, originals over machine-made"
PASSES = "passes as real"
SIMILAR = "as musical as originals"


@dataclass(frozen=True)
class Grouping:
    """A kind of groups: the family of its results, and the group of every answer, None where it has none."""

    family: str
    labels: pd.Series

    @property
    def names(self) -> list[str]:
        """The groups without the originals, in order."""
        return sorted(set(self.labels.dropna()) - {ORIGINALS}, key=conditions.sort_key)


def kinds(first: pd.DataFrame) -> Iterator[Grouping]:
    """The kinds whose groups are compared. first: as of `stimuli.distinct`."""
    fake = first["truth"] == "fake"
    yield Grouping(TRUTH, fake.map({True: MACHINE, False: ORIGINALS}))
    dosed = conditions.with_epochs(first)
    counts = conditions.epoch_labels(dosed)[dosed["epochs"].notna()]
    of = ((BACKENDS, first["backend"]), (MODES, first["mode"]), (EPOCHS, counts.reindex(first.index)))
    for family, labels in of:
        yield Grouping(family, labels.astype(object).where(fake, ORIGINALS))
    for family, _, groups in conditions.differing(first):
        yield Grouping(family, groups.where(fake, ORIGINALS))


def against_originals(first: pd.DataFrame, outcome: Outcome) -> Estimate:
    """The main comparison: machine-made clips less originals, or why there is none."""
    labels = first["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    if few := too_few_clips(first, labels, outcome, Panel.of(first)):
        return Estimate(refused="; ".join(few.values()))
    return estimation.contrasts(first, outcome, labels, [(MACHINE, ORIGINALS)])[0]


def primary(plan: AnalysisPlan | None) -> tuple[str, str, str] | None:
    """Family, name and group of the test that the plan chose before the data."""
    names = {outcome.name: outcome for outcome in COMPARED} | {"inspiring": INSPIRED}
    if plan is None or plan.primary is None:
        return None
    return TRUTH, names[plan.primary].difference, MACHINE_LESS_ORIGINALS


def records(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Every group described and compared. first: answers as of `stimuli.distinct`."""
    results = ratings.describe(first, ratings.FAMILY, ALL, panel)
    for kind in kinds(first):
        results += _described(first, kind, panel)
        results += compared(first, kind, panel)
    dosed = conditions.with_epochs(first)
    unstated = conditions.epoch_labels(dosed)[dosed["epochs"].isna()]
    results += _described(first, Grouping(EPOCHS, unstated.reindex(first.index)), panel)
    known = trainings.labels(first)
    if trainings.repeated(first):
        results += _described(first, Grouping(TRAININGS, known), panel)
        if panel.single_listener:
            results += ratings.compare_trainings(first, BACKENDS, panel)
    truth = first["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    results += _described(first, Grouping(SETS, first["set"] + " " + truth), panel)
    return results + _ratios(first, panel)


def _described(first: pd.DataFrame, kind: Grouping, panel: Panel) -> list[Result]:
    names = [*kind.names, *([ORIGINALS] if kind.family == TRUTH and (kind.labels == ORIGINALS).any() else [])]
    return [
        result
        for name in names
        for result in ratings.describe(first[kind.labels == name], kind.family, name, panel)
    ]


def compared(first: pd.DataFrame, kind: Grouping, panel: Panel) -> list[Result]:
    """Every group against the originals, and against every other, for each outcome that is compared."""
    names, results = kind.names, []
    real = ORIGINALS in set(kind.labels)
    pairs = [(name, ORIGINALS) for name in names if real] + list(combinations(names, 2))
    for outcome in (*COMPARED, *([WOULD_USE] if WOULD_USE.values(first).notna().any() else [])):
        alone = Question(kind.family, outcome.difference, unit=panel.unit)
        if not pairs:
            results.append(alone.refuse(_alone(kind, names)))
            continue
        poor = too_few_clips(first, kind.labels, outcome, panel)
        results += [
            Question(kind.family, outcome.difference, name, panel.unit).refuse(why)
            for name, why in poor.items()
        ]
        tested = [pair for pair in pairs if not set(pair) & set(poor)]
        estimates = estimation.contrasts(first, outcome, kind.labels, tested)
        for pair, estimate in zip(tested, estimates, strict=True):
            question = Question(kind.family, outcome.difference, " - ".join(pair), panel.unit)
            few = "" if panel.single_listener and outcome.share else few_originals(first, pair)
            results.append(as_result(question, estimate, panel, mixture(first, kind, pair), few))
    return results


def _alone(kind: Grouping, names: list[str]) -> str:
    if not names:
        return "nothing to compare: there are no machine-made clips of this kind"
    return f"nothing to compare: there are no originals, and all machine-made clips are of one ({names[0]})"


def too_few_clips(first: pd.DataFrame, labels: pd.Series, outcome: Outcome, panel: Panel) -> dict[str, str]:
    """The groups that have too few clips for a panel's model, each with the reason.

    Of one listener's clips an exact test says itself whether it can reach anything.
    """
    answered = outcome.values(first).notna()
    clips = first.loc[answered, "clip"].groupby(labels[answered]).nunique()
    return {
        name: f"{f.plural(count, 'clip')} of {name} with an answer; at least {LEAST_CLIPS} are needed"
        for name in sorted(set(labels.dropna()), key=conditions.sort_key)
        if (count := int(clips.get(name, 0))) < LEAST_CLIPS and not panel.single_listener
    }


def few_originals(first: pd.DataFrame, pair: tuple[str, str]) -> str:
    """A warning where a comparison with few originals depends on their variance being that of the others."""
    count = first.loc[first["truth"] == "real", "clip"].nunique()
    if ORIGINALS not in pair or count >= LEAST_ORIGINALS:
        return ""
    return (
        f"{count} originals, fewer than {LEAST_ORIGINALS}: holds where originals differ among each other as "
        "machine-made clips do"
    )


def mixture(first: pd.DataFrame, kind: Grouping, pair: tuple[str, str]) -> str:
    """A warning where two groups of machine-made clips differ in what else they are made of."""
    other = {BACKENDS: "mode", MODES: "backend", EPOCHS: "mode", SONGS: "mode"}
    other |= {PLANS: "backend", STRENGTHS: "backend"}
    other = other.get(kind.family)
    if other is None or ORIGINALS in pair:
        return ""
    clips = first.drop_duplicates("clip")
    made = [clips.loc[kind.labels[clips.index] == name, other].value_counts().sort_index() for name in pair]
    one, two = ((counts / counts.sum()).to_dict() for counts in made)
    if one == two:
        return ""
    parts = (
        f"{name}: {', '.join(f'{n} {what}' for what, n in counts.items())}"
        for name, counts in zip(pair, made, strict=True)
    )
    return f"the groups are mixed in {other} ({'; '.join(parts)})"


def _ratios(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """How much more clip means vary among originals than among machine-made clips."""
    results = []
    for outcome in (JUDGED_REAL, MUSICALITY):
        question = Question(
            TRUTH, f"{outcome.name}, {RATIO}", unit=panel.unit, method="ratio of two variances"
        )
        values = outcome.values(first).groupby([first["truth"], first["clip"]]).mean().dropna()
        of = {truth: part for truth, part in values.groupby(level=0)}
        counts = [len(of.get(truth, ())) for truth in ("real", "fake")]
        if min(counts) < LEAST_CLIPS:
            few = f"{counts[0]} originals and {counts[1]} machine-made clips; at least {LEAST_CLIPS} of each"
            results.append(question.refuse(f"{few} are needed"))
            continue
        real, fake = (of[truth].var(ddof=1) for truth in ("real", "fake"))
        if min(real, fake) <= 1e-12:
            results.append(question.refuse("the clips of one group do not vary"))
            continue
        results.append(question.result(real / fake, n=sum(counts), notes=("described, not tested",)))
    return results


def equivalence(
    first: pd.DataFrame, panel: Panel, *, accuracy: float | None, points: float | None
) -> list[Result]:
    """Whether machine-made clips pass as real, and are as musical, within bounds set before the data.

    accuracy: how far balanced accuracy may lie from 1/2; points: how far mean musicality may lie from that of
    originals. Two one-sided tests at .05 (Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics
    15:657-680): the 90 % interval lies within the bound.
    """
    labels = first["truth"].map({"fake": MACHINE, "real": ORIGINALS})
    originals = first.loc[labels == ORIGINALS, "clip"].nunique()
    results = []
    for name, outcome, bound, criterion in (
        (PASSES, JUDGED_REAL, accuracy, "balanced accuracy within {:g} of 1/2"),
        (SIMILAR, MUSICALITY, points, "mean musicality within {:g} points"),
    ):
        question = Question(EQUIVALENCE, name, MACHINE_LESS_ORIGINALS, panel.unit)
        if bound is None:
            results.append(question.refuse("no bound was set before the data"))
        elif originals < LEAST_EQUIVALENCE:
            results.append(question.refuse(f"{originals} originals; at least {LEAST_EQUIVALENCE} are needed"))
        else:
            results.append(_within(first, outcome, labels, bound, criterion.format(bound), question, panel))
    return results


def _within(first, outcome, labels, bound, criterion, question, panel) -> Result:
    pair, accuracy = (MACHINE, ORIGINALS), outcome is JUDGED_REAL
    estimate = estimation.contrasts(first, outcome, labels, [pair], 0.9)[0]
    if estimate.refused:
        return question.refuse(estimate.refused)
    value, low, high = estimate.estimate, estimate.low, estimate.high
    p = estimation.p_within(first, outcome, labels, pair, estimate, 2 * bound if accuracy else bound)
    if accuracy:  # the difference of shares judged real is 1 - 2 x balanced accuracy
        value, low, high = 0.5 - value / 2, 0.5 - high / 2, 0.5 - low / 2
        inside = 0.5 - bound < low and high < 0.5 + bound
    else:
        inside = -bound < low and high < bound
    verdict = f"the interval lies {'within' if inside else 'not within'} the bound: {criterion}"
    question = Question(question.family, question.name, question.group, panel.unit, estimate.method)
    notes = (verdict, *estimate.notes, few_originals(first, pair))
    return question.result(value, (low, high), p, notes=notes, n=estimate.clips, level=0.9)
