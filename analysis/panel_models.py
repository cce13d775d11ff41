"""What a panel's crossed mixed models say: results, or the reason why a model was not fitted.

Listeners and clips are both samples, so both are random (analysis.mixed). The models are a panel's primary
tests; those on clip means are their check.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import dose, mixed, quality, trainings
from analysis.results import CHECK, MACHINE, ORIGINALS, Result
from analysis.stimuli import Panel
from analysis.trainings import Nests

MIXED, ORDER, EQUIVALENCE = "mixed models", "order", "equivalence"
DETECTION = "hierarchical d'"
CRITERION = "hierarchical criterion c"
MUSICALITY = "musicality, difference"
ORDINAL = "musicality as ordered answers" + CHECK
ICC_CLIPS = "intraclass correlation of clips"
ICC_LISTENERS = "intraclass correlation of listeners"
ICC_NESTS = {kind: f"intraclass correlation of {kind}" for kind in ("trainings", "models")}
DOSE = "musicality per doubling of epochs"
LEARNING = "learning, log odds per ten clips"
SPEED = "log response time per ten clips"
SIMILAR = "musicality, equivalence with originals"

LEAST = {DETECTION: 8, ORDINAL: 5, ICC_CLIPS: 3, LEARNING: 3, SPEED: 3, MUSICALITY: 3, DOSE: 3}  # listeners
CLIPS_PER_GROUP = 4  # simulated type-I error at 24 listeners and 16 + 4 clips: tests/benchmarks
MIN_ORIGINALS_EQUIVALENCE = 10
NO_SLOPES = "listeners' slopes left out, as their variance or correlation could not be estimated"
SINGULAR = "a random effect's variance is estimated as 0"
RANDOM = "listeners and clips random"
LMM = f"LMM by REML, {RANDOM}, Satterthwaite df"
SLOPES = ", slopes of listeners"
GLMM = f"{{}} GLMM by Laplace's approximation, {RANDOM}, Wald {{}}"
CLMM = f"cumulative logit mixed model by Laplace's approximation, {RANDOM}, Wald t on clips"


NONE = 1e-3  # a standard deviation, points of musicality or of an answer's noise
ALONE = Nests()


@dataclass(frozen=True)
class _Place:
    """Where results of one model stand."""

    family: str
    name: str
    method: str
    group: str = "all"

    def refused(self, note: str, panel: Panel) -> Result:
        return Result(self.family, self.name, self.group, unit=_unit(panel), method=self.method, note=note)

    def nesting(self, kinds: Sequence[str]) -> _Place:
        """The same for a model in which clips are nested in such groups."""
        if not kinds:
            return self
        *others, last = "listeners", "clips", *kinds
        method = self.method.replace(RANDOM, f"{', '.join(others)} and {last} random")
        return replace(self, method=method.replace("t on clips", f"t on {kinds[0]}"))


def records(first: pd.DataFrame, panel: Panel, *, bound: float | None = None) -> list[Result]:
    """Every model of the design for `first` (answers without repeats).

    bound: largest difference in musicality that counts as none, set before the data; None: none was set.
    """
    return [
        *_detection(first, panel),
        *_by_group(first, panel),
        *_ordinal(first, panel),
        *_agreement(first, panel),
        *_dose(first, panel),
        *_order(first, panel),
        _equivalence(first, panel, bound),
    ]


def _unit(panel: Panel) -> str:
    return "clip, this listener only" if panel.one else "answer, of listeners and clips like these"


def _few(panel: Panel, name: str) -> str:
    if panel.one:
        return "one listener: there is no variance between listeners to model"
    least = LEAST[name]
    return "" if panel.listeners >= least else f"{panel.listeners} listeners, fewer than {least}"


def _fitted(place: _Place, panel: Panel, why_not: str, fit: Callable[[], list[Result]]) -> list[Result]:
    if why_not:
        return [place.refused(why_not, panel)]
    try:
        return fit()
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return [place.refused(f"not fitted: {error}", panel)]


def _result(
    place: _Place,
    found: mixed.Fit,
    term: str,
    panel: Panel,
    *,
    note="",
    sign=1.0,
    p=True,
    nests: Nests = ALONE,
) -> Result:
    """One fixed effect; sign -1 turns it round."""
    ends = sorted(sign * end for end in found.interval(term))
    place = place.nesting(nests.kinds)
    remarks = [_about(found, nests), SINGULAR if found.singular else "", note, nests.left_out]
    return Result(
        place.family,
        place.name,
        place.group,
        estimate=sign * found.of(term),
        low=ends[0],
        high=ends[1],
        p=found.p(term) if p else None,
        n=found.stimuli,
        unit=_unit(panel),
        method=place.method,
        note="; ".join(remark for remark in remarks if remark),
    )


def _about(found: mixed.Fit, nests: Nests) -> str:
    """What a model was fitted to."""
    groups = "".join(f"{n} {kind}, " for n, kind in zip(found.nests, nests.kinds, strict=True))
    none = [f"variance of {kind}" for kind, sd in zip(nests.kinds, found.nest_sd, strict=True) if sd < NONE]
    told = f"{found.listeners} listeners, {found.stimuli} clips, {groups}{found.observations} answers"
    return f"{told}; {' and '.join(none)} estimated as 0" if none else told


def _sides(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Intercept, and truth as +.5 for machine-made and -.5 for originals."""
    return {"1": np.ones(len(frame)), "truth": np.where(frame["truth"] == "fake", 0.5, -0.5)}


def _who(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return frame["listener"], frame["set"] + "/" + frame["name"]


def _lacking(frame: pd.DataFrame, labels: pd.Series, pair: tuple[str, str]) -> str:
    """Which of two groups has too few clips."""
    clips = frame.assign(group=labels).drop_duplicates(["set", "name"])["group"].value_counts()
    counts = {label: int(clips.get(label, 0)) for label in pair}
    poor = [f"{count} clips of {label}" for label, count in counts.items() if count < CLIPS_PER_GROUP]
    return f"{' and '.join(poor)}; at least {CLIPS_PER_GROUP} are needed" if poor else ""


def _truth(frame: pd.DataFrame) -> pd.Series:
    return frame["truth"].map({"fake": MACHINE, "real": ORIGINALS})


def _detection(first: pd.DataFrame, panel: Panel) -> list[Result]:
    method = GLMM.format("probit", "t on clips") + ": fake ~ truth (+.5, -.5)" + SLOPES
    place = _Place(MIXED, DETECTION, method)
    why_not = _few(panel, DETECTION) or _lacking(first, _truth(first), (MACHINE, ORIGINALS))

    def fit() -> list[Result]:
        says, sides, note = (first["verdict"] == "fake").astype(int), _sides(first), ""
        nests = trainings.nests(first, sides["truth"])
        found = mixed.binary(says, sides, *_who(first), slope=sides["truth"], nests=nests.groups)
        if found.singular_listeners:
            found = mixed.binary(says, sides, *_who(first), nests=nests.groups)
            note = NO_SLOPES
        bias = _Place(MIXED, CRITERION, method)
        return [
            _result(place, found, "truth", panel, note=note, nests=nests),
            _result(
                bias, found, "1", panel, sign=-1.0, note=note, p=False, nests=nests
            ),  # no hypothesis says c = 0
        ]

    return _fitted(place, panel, why_not, fit)


def _by_group(first: pd.DataFrame, panel: Panel) -> list[Result]:
    rated = first.dropna(subset=["musicality"])
    fakes = rated[rated["truth"] == "fake"]
    asked = [(MIXED, rated, _truth(rated), (MACHINE, ORIGINALS))]
    for column in ("backend", "mode"):
        pairs = combinations(sorted(fakes[column].unique()), 2)
        asked += [(f"{MIXED}, {column}s", fakes, fakes[column], pair) for pair in pairs]
    found: list[Result] = []
    for family, frame, labels, (one, other) in asked:
        place = _Place(family, MUSICALITY, LMM + SLOPES, f"{one} - {other}")
        chosen = labels.isin((one, other))
        part, side = frame[chosen], np.where(labels[chosen] == one, 0.5, -0.5)
        why_not = _few(panel, MUSICALITY) or _lacking(part, labels[chosen], (one, other))

        def fit(part=part, side=side, place=place) -> list[Result]:
            nests = trainings.nests(part, side)
            model, note = _sloped(part, {"1": np.ones(len(part)), "group": side}, "group", nests)
            return [_result(place, model, "group", panel, note=note, nests=nests)]

        found += _fitted(place, panel, why_not, fit)
    return found


def _sloped(
    frame: pd.DataFrame, fixed: dict[str, np.ndarray], term: str, nests: Nests
) -> tuple[mixed.Fit, str]:
    """The linear model of musicality with listeners' slopes of `term`, or without them and why.

    Without them it takes listeners to differ in level alone. Where they differ in the difference as well, it
    rejects too often: analysis/README.md.
    """
    answers, who = frame["musicality"], _who(frame)
    model = mixed.linear(answers, fixed, *who, slope=fixed[term], nests=nests.groups)
    if not model.singular_listeners:
        return model, ""
    return mixed.linear(answers, fixed, *who, nests=nests.groups), NO_SLOPES


def _ordinal(first: pd.DataFrame, panel: Panel) -> list[Result]:
    rated = first.dropna(subset=["musicality"])
    place = _Place(MIXED, ORDINAL, CLMM, f"{MACHINE} - {ORIGINALS}")
    why_not = _few(panel, ORDINAL) or _lacking(rated, _truth(rated), (MACHINE, ORIGINALS))

    def fit() -> list[Result]:
        side = {"truth": _sides(rated)["truth"]}
        nests = trainings.nests(rated, side["truth"])
        model = mixed.ordinal(rated["musicality"], side, *_who(rated), nests=nests.groups)
        return [_result(place, model, "truth", panel, note="log odds of a higher rating", nests=nests)]

    return _fitted(place, panel, why_not, fit)


def _agreement(first: pd.DataFrame, panel: Panel) -> list[Result]:
    rated = first.dropna(subset=["musicality"])
    method = f"variance components of the {LMM.split(',')[0]}, musicality"
    place = _Place(MIXED, ICC_CLIPS, method)
    why_not = _few(panel, ICC_CLIPS)
    if not why_not and rated[["set", "name"]].drop_duplicates().shape[0] < 2:
        why_not = "fewer than two rated clips"

    def fit() -> list[Result]:
        nests, ones = trainings.nests(rated), {"1": np.ones(len(rated))}
        model = mixed.linear(rated["musicality"], ones, *_who(rated), nests=nests.groups)
        parts = {ICC_CLIPS: model.stimulus_sd**2, ICC_LISTENERS: float(model.listener_sd[0]) ** 2}
        parts |= {ICC_NESTS[kind]: sd**2 for kind, sd in zip(nests.kinds, model.nest_sd, strict=True)}
        whole = sum(parts.values()) + model.residual_sd**2
        note = "share of a rating's variance that is the clip's; 1 would be full agreement"
        notes = {ICC_CLIPS: note, ICC_LISTENERS: "share that is the listener's own level"}
        for kind in nests.kinds:
            notes[ICC_CLIPS] = "share that is the clip's own"
            notes[ICC_NESTS[kind]] = f"share that clips have from their {kind[:-1]}"
        return [
            Result(
                MIXED,
                name,
                estimate=part / whole,
                n=model.observations,
                unit="answer",
                method=method,
                note=notes[name] + (f"; {SINGULAR}" if model.singular else ""),
            )
            for name, part in parts.items()
        ]

    return _fitted(place, panel, why_not, fit)


def _dose(first: pd.DataFrame, panel: Panel) -> list[Result]:
    dosed = dose.dosed(first).dropna(subset=["epochs", "musicality"])
    found: list[Result] = []
    for (backend, mode), part in dosed.groupby(["backend", "mode"], sort=True):
        place = _Place(
            f"{MIXED}, {dose.FAMILY}", DOSE, LMM + ": musicality ~ log2(epochs)", f"{backend} {mode}"
        )
        levels = part["epochs"].nunique()
        why_not = _few(panel, DOSE)
        if not why_not and levels < dose.MIN_LEVELS:
            why_not = f"{levels} epoch count{'s' * (levels != 1)}; a trend needs {dose.MIN_LEVELS}"

        def fit(part=part, place=place) -> list[Result]:
            doubled = np.log2(part["epochs"].astype(float))
            columns = {"1": np.ones(len(part)), "log2": doubled - doubled.mean()}
            nests = trainings.nests(part, columns["log2"])
            model = mixed.linear(part["musicality"], columns, *_who(part), nests=nests.groups)
            apart = dose.sources_apart(part)
            return [_result(place, model, "log2", panel, note=apart, nests=nests)]

        found += _fitted(place, panel, why_not, fit)
    return found


def _order(first: pd.DataFrame, panel: Panel) -> list[Result]:
    tens = (first["position"].astype(float) + _before(first)) / 10
    right = (first["verdict"] == first["truth"]).astype(int)
    method = GLMM.format("logit", "z") + ": correct ~ position + truth"
    place = _Place(ORDER, LEARNING, method)
    why_not = _few(panel, LEARNING) if not panel.one else ""
    why_not = _no_order(first, panel) or why_not

    def learned() -> list[Result]:
        columns = {**_sides(first), "position": tens - tens.mean()}
        return [_result(place, mixed.binary(right, columns, *_who(first), link="logit"), "position", panel)]

    found = _fitted(place, panel, why_not, learned)
    quick = _Place(ORDER, SPEED, LMM + ": log seconds ~ position + truth")
    if "response_seconds" not in first or first["response_seconds"].isna().all():
        return [*found, quick.refused("response times are not in the table", panel)]
    timed = first[first["response_seconds"] > 0]

    def hastened() -> list[Result]:
        own = tens[timed.index]
        columns = {**_sides(timed), "position": own - own.mean()}
        model = mixed.linear(np.log(timed["response_seconds"]), columns, *_who(timed))
        return [_result(quick, model, "position", panel)]

    return found + _fitted(quick, panel, why_not, hastened)


def _before(first: pd.DataFrame) -> pd.Series:
    """How many clips each listener had heard in the parts before, where the table tells."""
    if "set_position" not in first or first["set_position"].isna().any():
        return pd.Series(0.0, index=first.index)
    sizes = first.groupby(["listener", "set_position"]).size()
    earlier = sizes.groupby(level=0).cumsum() - sizes
    keys = pd.MultiIndex.from_frame(first[["listener", "set_position"]])
    return pd.Series(earlier.reindex(keys).to_numpy(float), index=first.index)


def _no_order(first: pd.DataFrame, panel: Panel) -> str:
    if panel.one:
        return "one listener heard one order: position and clip cannot be told apart"
    if first["position"].isna().any():
        return "positions are not in the table"
    return "the order was fixed: position and clip cannot be told apart" if quality.fixed_order(first) else ""


def _equivalence(first: pd.DataFrame, panel: Panel, bound: float | None) -> Result:
    rated = first.dropna(subset=["musicality"])
    group = f"{MACHINE} - {ORIGINALS}"
    place = _Place(EQUIVALENCE, SIMILAR, f"two one-sided tests on the {LMM}{SLOPES}; 90 % interval", group)
    originals = rated.loc[rated["truth"] == "real", ["set", "name"]].drop_duplicates()
    if panel.one:
        return place.refused("one listener: equivalence would hold for this listener alone", panel)
    if len(originals) < MIN_ORIGINALS_EQUIVALENCE:
        told = f"{len(originals)} originals; at least {MIN_ORIGINALS_EQUIVALENCE} are needed"
        return place.refused(told, panel)
    if bound is None:
        return place.refused("no equivalence bound was set before the data", panel)

    def fit() -> list[Result]:
        sides = _sides(rated)
        nests = trainings.nests(rated, sides["truth"])
        found, without = _sloped(rated, sides, "truth", nests)
        low, high = found.interval("truth", 0.9)
        p = max(found.p_above("truth", -bound), found.p_below("truth", bound))
        held = "inside" if -bound < low and high < bound else "not inside"
        told = f"the interval is {held} the bound of {bound:g} points that was set before the data"
        note = "; ".join(filter(None, (told, without, nests.left_out)))
        method = place.nesting(nests.kinds).method
        values = {"estimate": found.of("truth"), "low": low, "high": high, "p": p, "n": found.stimuli}
        return [Result(EQUIVALENCE, SIMILAR, group, unit=_unit(panel), method=method, note=note, **values)]

    return _fitted(place, panel, _few(panel, MUSICALITY), fit)[0]
