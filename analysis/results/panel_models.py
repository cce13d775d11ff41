"""What a panel's crossed mixed models say besides comparisons of groups: results, or why none was fitted.

The sensitivity d' and odds of ordered answers are effect sizes beside the tests of `comparisons`, on scales
of their own; further how much listeners agree, trends over epochs, and learning.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis import conditions
from analysis.models import mixed
from analysis.results import comparisons, dose, estimation, quality, trainings
from analysis.results.comparisons import Grouping
from analysis.results.outcomes import INSPIRING, JUDGED_REAL, MUSICALITY
from analysis.results.ratings import as_result
from analysis.results.result import CHECK, MACHINE, ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_LEVELS, LEAST_SPARE, Panel, who
from analysis.results.trainings import Nests

MIXED, ORDER = "mixed models", "order"
DETECTION = "hierarchical d'"
CRITERION = "hierarchical criterion c"
ORDINAL = "musicality, odds ratio of a higher rating" + CHECK
INSPIRING_ODDS = "inspiring, odds ratio of a stronger answer"
ICC_CLIPS = "intraclass correlation of clips"
ICC_LISTENERS = "intraclass correlation of listeners"
ICC_NESTS = {kind: f"intraclass correlation of {kind}" for kind in ("sources", "trainings", "models")}
TREND = "{} per doubling of epochs"  # of an outcome
LEARNING = "learning, log odds per ten clips"
SPEED = "log response time per ten clips"

LEAST = {DETECTION: 8, ORDINAL: 5, INSPIRING_ODDS: 5, ICC_CLIPS: 3, LEARNING: 3, SPEED: 3}  # listeners
LARGEST_SE = 5.0  # of d': a larger one has no maximum of the likelihood behind it
SINGULAR = "a random effect's variance is estimated as 0"
RANDOM = "listeners and clips random"
GLMM = f"{{}} mixed model by Laplace's approximation, {RANDOM}, Wald {{}}"
CLMM = f"cumulative logit mixed model by Laplace's approximation, {RANDOM}, Wald t on clips"


def records(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Every model of the design for `first` (answers as of `stimuli.distinct`)."""
    return [
        *_detection(first, panel),
        *_ordered(first, panel),
        *_agreement(first, panel),
        *(() if panel.single_listener else _trends(first, panel)),
        *_order(first, panel),
    ]


def _unit(panel: Panel) -> str:
    return (
        "clip, this listener only" if panel.single_listener else "answer, of listeners and clips like these"
    )


def _few(panel: Panel, name: str) -> str:
    if panel.single_listener:
        return "one listener: there is no variance between listeners to model"
    least = LEAST[name]
    return "" if panel.listeners >= least else f"{panel.listeners} listeners, fewer than {least}"


def _fitted(question: Question, why_not: str, fit: Callable[[], list[Result]]) -> list[Result]:
    if why_not:
        return [question.refuse(why_not)]
    try:
        return fit()
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return [question.refuse(f"not fitted: {error}")]


def _result(
    question: Question, fit: mixed.Fit, weights: dict[str, float], nests: Nests, *, p=True, odds=False
):
    """A contrast of fixed effects; odds: as an odds ratio."""
    contrast = fit.contrast(weights)
    if not np.isfinite([contrast.estimate, contrast.se]).all() or contrast.se <= 0:
        return question.refuse("not fitted: the likelihood has no maximum that could be reached")
    if contrast.se > LARGEST_SE:
        return question.refuse(
            f"not fitted: the standard error of {contrast.se:.3g} says that there is no maximum"
        )
    values = [contrast.estimate, *contrast.interval()]
    estimate, low, high = map(math.exp, values) if odds else values
    counted = f"{fit.listeners} listeners, {fit.stimuli} clips, {fit.observations} answers"
    notes = (counted, *estimation.notes(fit, nests), SINGULAR if fit.singular else "")
    p = contrast.p if p else None
    question = Question(
        question.family, question.name, question.group, question.unit, _nesting(question, nests)
    )
    return question.result(estimate, (low, high), p, notes=notes, n=fit.stimuli)


def _nesting(question: Question, nests: Nests) -> str:
    """The method where clips are nested in such groups."""
    if not nests.kinds:
        return question.method
    kinds = ["listeners", "clips", *nests.kinds]
    method = question.method.replace(RANDOM, f"{', '.join(kinds[:-1])} and {kinds[-1]} random")
    return method.replace("t on clips", f"t on {nests.kinds[0]}")


def _sides(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Intercept, and truth as +.5 for machine-made and -.5 for originals."""
    return {"1": np.ones(len(frame)), "truth": np.where(frame["truth"] == "fake", 0.5, -0.5)}


def _detection(first: pd.DataFrame, panel: Panel) -> list[Result]:
    method = (
        GLMM.format("probit", "t on clips") + ": fake ~ truth (+.5, -.5), listeners' levels of truth random"
    )
    question = Question(MIXED, DETECTION, unit=_unit(panel), method=method)
    truth = next(comparisons.kinds(first)).labels
    pair = (MACHINE, ORIGINALS)
    poor = comparisons.too_few_clips(first, truth, JUDGED_REAL, panel)
    why_not = _few(panel, DETECTION) or "; ".join(poor.values())
    if not why_not and truth.nunique() < 2:
        why_not = "needs machine-made clips and originals"
    for name in pair:
        judged = first.loc[truth == name, "verdict"].unique()
        if not why_not and len(judged) == 1:
            why_not = f"every answer on {name} was {judged[0]}: d\N{PRIME} has no upper limit"

    def fit() -> list[Result]:
        judged_fake, sides = (first["verdict"] == "fake").astype(int), _sides(first)
        nests = trainings.nests(first, sides["truth"])
        model = mixed.binary(judged_fake, sides, *who(first), level=first["truth"], nests=nests.groups)
        bias = Question(MIXED, CRITERION, unit=_unit(panel), method=method)
        return [
            _result(question, model, {"truth": 1.0}, nests, p=False),  # the test is of `comparisons`
            _result(bias, model, {"1": -1.0}, nests, p=False),  # no hypothesis says c = 0
        ]

    return _fitted(question, why_not, fit)


def _ordered(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Odds of a stronger answer on inspiring, and of a higher rating, against the originals."""
    truth, backends, *_ = comparisons.kinds(first)
    requested = [
        (INSPIRING_ODDS, "inspiring", truth),
        *([(INSPIRING_ODDS, "inspiring", backends)] if len(backends.names) > 1 else []),
        (ORDINAL, "musicality", truth),
    ]
    results = []
    for name, column, kind in requested:
        ordered = first[column]
        if column == "inspiring":
            ordered = ordered.map({level: i for i, level in enumerate(INSPIRING)})
        results += odds(first, ordered.astype(float), kind, name, panel)
    return results


def odds(first: pd.DataFrame, ordered: pd.Series, kind: Grouping, name: str, panel: Panel) -> list[Result]:
    """Odds ratios of a higher answer on each group's clips against the originals, of one ordinal model."""
    labels = kind.labels[ordered.notna() & kind.labels.notna()]
    part, unit = first.loc[labels.index], _unit(panel)
    questions = [Question(MIXED, name, f"{of} - {ORIGINALS}", unit, CLMM) for of in kind.names]
    why_not = _few(panel, name)
    poor = comparisons.too_few_clips(part, labels, JUDGED_REAL, panel)
    why_not = _few(panel, name) or poor.get(ORIGINALS, "")
    if not why_not and not (labels == ORIGINALS).any():
        why_not = "there are no originals to compare with"
    modelled = [of for of in kind.names if of not in poor]
    if why_not or not modelled:
        return [question.refuse(why_not or "; ".join(poor.values())) for question in questions[:1]]

    def fit() -> list[Result]:
        fixed = {of: (labels == of).astype(float) for of in kind.names}
        nests = trainings.nests(part, labels.eq(ORIGINALS).to_numpy(float))
        model = mixed.ordinal(ordered[labels.index], fixed, *who(part), level=labels, nests=nests.groups)
        return [
            question.refuse(poor[of]) if of in poor else _result(question, model, {of: 1.0}, nests, odds=True)
            for question, of in zip(questions, kind.names, strict=True)
        ]

    return _fitted(questions[0], "", fit)


def _agreement(first: pd.DataFrame, panel: Panel) -> list[Result]:
    rated = first.dropna(subset=["musicality"])
    method = "variance components of the linear mixed model by REML, musicality"
    question, why_not = Question(MIXED, ICC_CLIPS, unit="answer", method=method), _few(panel, ICC_CLIPS)
    if not why_not and rated["clip"].nunique() < 2:
        why_not = "fewer than two rated clips"

    def fit() -> list[Result]:
        nests, ones = trainings.nests(rated), {"1": np.ones(len(rated))}
        model = mixed.linear(rated["musicality"], ones, *who(rated), nests=nests.groups)
        parts = {ICC_CLIPS: model.stimulus_sd**2, ICC_LISTENERS: model.listener_sd**2}
        parts |= {ICC_NESTS[kind]: sd**2 for kind, sd in zip(nests.kinds, model.nest_sd, strict=True)}
        whole = sum(parts.values()) + model.residual_sd**2
        notes = {
            ICC_CLIPS: "share that is the clip's own"
            if nests.kinds
            else "share of a rating's variance that is the clip's; 1 would be full agreement",
            ICC_LISTENERS: "share that is the listener's own level",
        }
        notes |= {ICC_NESTS[kind]: f"share that clips have from their {kind[:-1]}" for kind in nests.kinds}
        singular = SINGULAR if model.singular else ""
        return [
            Question(MIXED, name, unit="answer", method=method).result(
                part / whole, n=model.observations, notes=(notes[name], singular)
            )
            for name, part in parts.items()
        ]

    return _fitted(question, why_not, fit)


def _trends(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """The trend of musicality and of judging real over log2 of the epochs, in each backend and mode."""
    dosed = conditions.with_epochs(first).dropna(subset=["epochs"])
    results: list[Result] = []
    for (backend, mode), part in dosed.groupby(["backend", "mode"], sort=True):
        for outcome in (MUSICALITY, JUDGED_REAL):
            question = Question(dose.FAMILY, TREND.format(outcome.name), f"{backend} {mode}", panel.unit)
            answered = part[outcome.values(part).notna()]
            counts = sorted(answered["epochs"].unique())
            if len(counts) < LEAST_LEVELS:
                many = f"{len(counts)} epoch count{'s' * (len(counts) != 1)}"
                results.append(question.refuse(f"{many}; a trend needs {LEAST_LEVELS}"))
                continue
            if (clips := answered["clip"].nunique()) < len(counts) + LEAST_SPARE:
                few = f"{clips} clips of {len(counts)} epoch counts do not say how clips of one count differ"
                results.append(question.refuse(f"{few}; at least {len(counts) + LEAST_SPARE} are needed"))
                continue
            doublings = np.log2(np.array(counts, float))
            doublings -= doublings.mean()
            weights = doublings / (doublings @ doublings)
            wanted = {str(count): float(weight) for count, weight in zip(counts, weights, strict=True)}
            labels = answered["epochs"].astype(int).astype(str)
            estimate = estimation.combinations(answered, outcome, labels, [wanted])[0]
            results.append(as_result(question, estimate, panel, dose.sources_apart(part)))
    return results


def _order(first: pd.DataFrame, panel: Panel) -> list[Result]:
    tens = (first["position"].astype(float) + _before(first)) / 10
    right = (first["verdict"] == first["truth"]).astype(int)
    method = GLMM.format("logit", "z") + ": correct ~ position + truth"
    question = Question(ORDER, LEARNING, unit=_unit(panel), method=method)
    why_not = _no_order(first, panel) or _few(panel, LEARNING)

    def learned() -> list[Result]:
        columns = {**_sides(first), "position": tens - tens.mean()}
        model = mixed.binary(right, columns, *who(first), link="logit")
        return [_result(question, model, {"position": 1.0}, Nests())]

    results = _fitted(question, why_not, learned)
    method = f"{estimation.LMM}, {RANDOM}, Satterthwaite df: log seconds ~ position + truth"
    quick = Question(ORDER, SPEED, unit=_unit(panel), method=method)
    if "response_seconds" not in first or first["response_seconds"].isna().all():
        return [*results, quick.refuse("response times are not in the table")]
    timed = first[first["response_seconds"] > 0]

    def hastened() -> list[Result]:
        own = tens[timed.index]
        columns = {**_sides(timed), "position": own - own.mean()}
        model = mixed.linear(np.log(timed["response_seconds"]), columns, *who(timed))
        return [_result(quick, model, {"position": 1.0}, Nests())]

    return results + _fitted(quick, why_not, hastened)


def _before(first: pd.DataFrame) -> pd.Series:
    """How many clips each listener had heard in the parts before, where the table tells."""
    if "set_position" not in first or first["set_position"].isna().any():
        return pd.Series(0.0, index=first.index)
    sizes = first.groupby(["listener", "set_position"]).size()
    earlier = sizes.groupby(level=0).cumsum() - sizes
    keys = pd.MultiIndex.from_frame(first[["listener", "set_position"]])
    return pd.Series(earlier.reindex(keys).to_numpy(float), index=first.index)


def _no_order(first: pd.DataFrame, panel: Panel) -> str:
    if panel.single_listener:
        return "one listener heard one order: position and clip cannot be told apart"
    if first["position"].isna().any():
        return "positions are not in the table"
    return "the order was fixed: position and clip cannot be told apart" if quality.fixed_order(first) else ""
