"""The sentences of a report, written from its results: what was found, how, and for whom it holds.

One listener and a panel are spoken of differently: one listener's answers describe that listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis import discrimination, individuals, panel_models, ratings, stimuli, trainings
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
            "as independent, so where trainings differ intervals are too narrow and p too small."
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


def methods(frame: pd.DataFrame, settings: Mapping[str, Any] | None = None) -> list[str]:
    """The methods section, in paragraphs: design and procedure, measures, analysis.

    `settings`: the study's own (tables `stimuli`, `listening`, `questions` of its study.toml); what it does
    not hold is not claimed.
    """
    settings = settings or {}
    about = [_design(frame, settings), _measures(settings), _analysis(Panel.of(frame)), trained(frame)]
    return [paragraph for paragraph in about if paragraph]


def _design(frame: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    clips, panel = stimuli.by_stimulus(frame), Panel.of(frame)
    made = []
    for name, part in clips.groupby("set", sort=False):
        kinds = part.loc[part["truth"] == "fake", "backend"].value_counts()
        counts = [f"{count} {backend}" for backend, count in kinds.items()]
        originals = int((part["truth"] == "real").sum())
        made.append(f"{name}: {', '.join([*counts, f.plural(originals, 'original')])}")
    who = "One listener" if panel.one else f"{panel.listeners} listeners"
    told = [f"{who} judged {len(clips)} clips in {f.plural(len(made), 'set')} ({'; '.join(made)})."]
    stimulus, listening = settings.get("stimuli") or {}, settings.get("listening") or {}
    if stimulus.get("seconds") and stimulus.get("rate"):
        told.append(
            f"Every clip was {stimulus['seconds']:g} s long at {stimulus['rate'] / 1000:g} kHz, mono."
        )
    if stimulus.get("loudness") is not None:
        told.append(
            f"All were brought to one integrated loudness, {f.number(stimulus['loudness'], 0)} LUFS or "
            "lower (ITU-R "
            "BS.1770), without limiting."
        )
    if stimulus.get("trim"):
        told.append(
            f"Generated clips lost {stimulus['trim'] * 1000:g} ms at either end before they were cut."
        )
    order = {
        "counterbalanced": "drawn for each listener and counterbalanced",
        "fixed": "the same for everyone",
    }
    if listening.get("order") in order:
        told.append(f"The order was {order[listening['order']]}.")
    if listening.get("play_to_end"):
        told.append("A clip had to be heard to its end once before it could be judged; replays were free.")
    if "tell_base_rate" in listening:
        knew = "were told" if listening["tell_base_rate"] else "were not told"
        told.append(f"Listeners {knew} how many clips are machine-made.")
    return " ".join(told)


def _measures(settings: Mapping[str, Any]) -> str:
    words = settings.get("questions") or {}
    low, high = words.get("musicality_low", "terrible"), words.get("musicality_high", "quite good")
    return (
        "Of every clip they said whether it was real or fake; if fake, how easy that was to tell (easy, "
        "don't know, "
        f"difficult); how musical it was from 0 ({low}) to 10 ({high}); and whether it inspired them (yes, "
        "maybe, "
        "no, other). Ratings may be missing; means are of complete cases, with Manski bounds beside them "
        "(Manski "
        "1990)."
    )


def _analysis(panel: Panel) -> str:
    common = (
        "The signal is a machine-made clip: a hit is \u201cfake\u201d said of one. d\u2032 and c have the "
        "log-linear "
        "correction (Hautus 1995), which shrinks d\u2032 towards 0. p values are two-sided and corrected "
        "within a "
        "family of questions (Holm 1979). Whatever the data cannot carry is listed with its reason "
        "instead of being "
        "computed."
    )
    if panel.one:
        return (
            "With one listener there is inference over clips alone. Proportions have Wilson intervals "
            "(Wilson 1927), "
            "with Clopper and Pearson's beside them (1934); balanced accuracy has Newcombe's (1998, "
            "method 10); d\u2032 "
            "has Gourevitch and Galanter's standard error (1967). Detection was tested by Fisher's exact "
            "test, "
            "musicality by exact permutation of the clips with the Hodges-Lehmann shift (1963), inspiring "
            "answers "
            f"have Goodman's simultaneous intervals (1965). {common}"
        )
    return (
        "Listeners are crossed with clips, so pooled tests and tests per listener are not offered: their "
        "simulated type-I error is .28 to .46 at .05. The primary tests are mixed models with crossed random "
        "effects of listeners and clips: linear ones by REML with Satterthwaite's degrees of freedom for "
        "musicality (Bates et al. 2015; Kuznetsova et al. 2017), probit ones by Laplace's approximation for "
        "verdicts, whose slope is d\u2032 (DeCarlo 1998), and a cumulative-link model (Christensen 2018) as "
        "a check. As a second check answers were averaged per clip, and clips compared by Student's t-test "
        "with an exact permutation test; intervals of descriptions are t intervals over clips. A single "
        "clip's share has a Wilson interval over listeners (Wilson 1927). Agreement is Krippendorff's alpha. "
        "Trends over epochs are tested within a backend and mode by the linear model on log2 of the epochs "
        "and by the Jonckheere-Terpstra test, permuting clips (Jonckheere 1954), with Page's test (1963) as "
        "a check where the blocks are complete. Listeners and clips one by one are conditional modes of the "
        f"linear model, drawn towards the mean by how little is known of each (Bates et al. 2015). {common}"
    )


REFERENCES = (
    "Bates, D., M\u00e4chler, M., Bolker, B., & Walker, S. (2015). Journal of Statistical Software, 67(1).",
    "Christensen, R. H. B. (2018). Cumulative link models for ordinal regression with the R package ordinal.",
    "Clopper, C. J., & Pearson, E. S. (1934). Biometrika, 26, 404\u2013413.",
    "DeCarlo, L. T. (1998). Psychological Methods, 3, 186\u2013205.",
    "Goodman, L. A. (1965). Technometrics, 7, 247\u2013254.",
    "Gourevitch, V., & Galanter, E. (1967). Psychometrika, 32, 25\u201333.",
    "Greshler, G., Shaham, T. R., & Michaeli, T. (2021). Catch-A-Waveform. NeurIPS 34.",
    "Hautus, M. J. (1995). Behavior Research Methods, Instruments, & Computers, 27, 46\u201351.",
    "Hodges, J. L., & Lehmann, E. L. (1963). Annals of Mathematical Statistics, 34, 598\u2013611.",
    "Holm, S. (1979). Scandinavian Journal of Statistics, 6, 65\u201370.",
    "Jonckheere, A. R. (1954). Biometrika, 41, 133\u2013145.",
    "Krippendorff, K. (2019). Content Analysis, 4th ed. Sage.",
    "Kuznetsova, A., Brockhoff, P. B., & Christensen, R. H. B. (2017). J. of Statistical Software, 82(13).",
    "Manski, C. F. (1990). American Economic Review, 80, 319\u2013323.",
    "Newcombe, R. G. (1998). Statistics in Medicine, 17, 873\u2013890.",
    "Page, E. B. (1963). Journal of the American Statistical Association, 58, 216\u2013230.",
    "Wilson, E. B. (1927). Journal of the American Statistical Association, 22, 209\u2013212.",
)


def references(paragraphs: Iterable[str]) -> list[str]:
    """The references that the paragraphs name, by the first author's surname."""
    text = " ".join(paragraphs)
    return [reference for reference in REFERENCES if reference.split(",")[0] in text]
