"""The figures of a report: which charts a study gets, with what a reader who cannot see them is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import altair as alt
import pandas as pd

from analysis import conditions, plots
from analysis import formats as f
from analysis.results import (
    checks,
    comparisons,
    discrimination,
    follow_up,
    individuals,
    measured,
    own_questions,
    ratings,
    rounds,
    songs,
    stimuli,
)
from analysis.results.comparisons import BACKENDS, EPOCHS, MODES, TRUTH
from analysis.results.measured import ClipMeasures
from analysis.results.outcomes import INSPIRED, KEPT, MUSICALITY
from analysis.results.ratings import REAL as JUDGED_REAL
from analysis.results.result import ORIGINALS, Result, find, groups
from analysis.results.stimuli import Panel

MOST_LISTENERS = 200  # that a chart shows one by one


@dataclass(frozen=True)
class Figure:
    """A chart of a report. `draw(width=...)` draws it for that many pixels; `alt` says it in words."""

    name: str
    caption: str
    alt: str
    draw: Callable[..., alt.TopLevelMixin]


def everything(
    frame: pd.DataFrame,
    results: Iterable[Result],
    measures: ClipMeasures | None = None,
    own: Sequence[own_questions.Asked] = (),
) -> list[Figure]:
    """The figures that fit the data, in the order of the report. `frame`: loaded answers.

    measures: what the clips measured, where the study measured them. own: the study's own questions.
    """
    results, first = list(results), frame[~frame["repeat"]]
    panel, clips = Panel.of(first), stimuli.by_stimulus(first)
    fakes = (clips["truth"] == "fake").any()
    chosen = []
    if panel.single_listener:
        chosen += [_scorecard(first), _counts(results)]
    else:
        chosen.append(_clips(results, clips))
        if panel.listeners <= MOST_LISTENERS:
            chosen.append(_verdicts(first, results, clips))
        if groups(results, individuals.LISTENERS, discrimination.BALANCED):
            chosen.append(_roc(results))
    if fakes:
        chosen.append(_fooling(results))
    if clips["musicality"].notna().any():
        chosen.append(_musicality(results, clips))
        if conditions.with_epochs(clips)["musicality"].notna().any():
            chosen.append(_dose(results, first, clips, panel))
    if groups(results, TRUTH, f"{ratings.INSPIRING} maybe"):
        chosen.append(_inspiring(results))
    if _computed(results, songs.FAMILY, songs.CHOSEN):
        chosen.append(_songs(results))
    if groups(results, individuals.MODES, individuals.OF_LISTENER) not in ([], ["all"]):
        chosen.append(_modes(results, clips))
    if not panel.single_listener and (quantiles := _quantiles(first)):
        chosen.append(quantiles)
    if _computed(results, follow_up.FAMILY, follow_up.EUREKA.mean):
        chosen.append(_came_of_it(results))
    if own and any(r.family == own_questions.CLIPS and r.estimate is not None for r in results):
        chosen.append(_own_questions(results, own))
    if _computed(results, rounds.RULE, INSPIRED.mean, KEPT.mean):
        chosen.append(_next_rounds(results))
    if measures is not None:
        chosen += [_measured_verdicts(measures, panel), _measured_groups(measures)]
    return chosen


def _computed(results: Iterable[Result], family: str, *names: str) -> bool:
    """Whether any of these was computed: before anybody has answered all are refused."""
    return any(r.family == family and r.name in names and not r.refused for r in results)


def _scorecard(first: pd.DataFrame) -> Figure:
    judged = {"fake": "machine-made", "real": "real"}
    lines = [
        f"{name}: {'machine-made' if truth == 'fake' else 'original'}, judged {judged[verdict]}, "
        + ("unrated" if pd.isna(musicality) else f"rated {f.rating(musicality)}")
        for name, truth, verdict, musicality in zip(
            first["name"], first["truth"], first["verdict"], first["musicality"], strict=True
        )
    ]
    caption = (
        "Every clip at its rating. Circles are machine-made, diamonds originals; hollow marks were not rated."
    )
    return Figure("scorecard", caption, "; ".join(lines), partial(plots.scorecard, first))


def _counts(results: list[Result]) -> Figure:
    cells = [find(results, discrimination.FAMILY, name).count for name in discrimination.COUNTS]
    text = (
        f"Of the machine-made clips {cells[0]} were judged machine-made and {cells[1]} real; "
        f"of the originals {cells[2]} were judged machine-made and {cells[3]} real."
    )
    caption = (
        "Green: right, orange: wrong. Right: the share of each kind judged real, with 95% Wilson intervals."
    )
    return Figure("counts", caption, text, partial(plots.counts, results))


def _fooling(results: list[Result]) -> Figure:
    text = "Share of machine-made clips judged real. " + _list(
        results,
        (BACKENDS, MODES, EPOCHS, *conditions.COLUMNS),
        JUDGED_REAL,
        lambda r: f"{r.count} of {r.total}",
    )
    real = find(results, TRUTH, JUDGED_REAL, ORIGINALS)
    caption = "Points with 95% intervals where one can be given."
    if real and not real.refused:
        text += f"; originals: {real.count} of {real.total}"
        caption += " The dashed line is where originals stand: a perfect imitation would reach it."
    return Figure("fooling", caption, text, partial(plots.fooling, results))


def _musicality(results: list[Result], clips: pd.DataFrame) -> Figure:
    text = "Mean musicality, 0 to 10. " + _list(
        results,
        (TRUTH, BACKENDS, MODES, *conditions.COLUMNS),
        ratings.MEAN,
        lambda r: f"{f.number(r.estimate, 1)} (n {r.n})",
    )
    caption = "One dot is one clip, the bar is the mean. Backends and modes are of machine-made clips only."
    return Figure("musicality", caption, text, partial(plots.musicality, results, clips))


def _dose(results: list[Result], first: pd.DataFrame, clips: pd.DataFrame, panel: Panel) -> Figure:
    text = "Mean musicality by epochs. " + _list(
        results, (EPOCHS,), ratings.MEAN, lambda r: f"{f.number(r.estimate, 1)} (n {r.n})"
    )
    caption = "One dot is one clip, the bar is the mean; n counts clips. Epochs stand at equal distances."
    lines = None
    if conditions.several_backends(conditions.with_epochs(first)):
        caption += " Backends count different steps: compare within one."
    elif 1 < panel.listeners <= MOST_LISTENERS:
        lines = stimuli.listener_means(first[first["truth"] == "fake"], "epochs")
        caption += " Faint lines are single listeners."
    return Figure("dose", caption, text, partial(plots.dose, results, clips, lines))


def _inspiring(results: list[Result]) -> Figure:
    rows = []
    for group in groups(results, TRUTH, f"{ratings.INSPIRING} maybe"):
        counts = [find(results, TRUTH, f"{ratings.INSPIRING} {level}", group) for level in ratings.LEVELS]
        answers = ", ".join(f"{r.count} {level}" for r, level in zip(counts, ratings.LEVELS, strict=True))
        rows.append(f"{group}: {answers}")
    caption = "Bars are centred on the middle of maybe, so what leans to the right inspires more."
    if any(r.name == ratings.OTHER for r in results):
        caption += " Answers of other are in the tables alone."
    return Figure("inspiring", caption, "Answers. " + "; ".join(rows), partial(plots.inspiring, results))


def _songs(results: list[Result]) -> Figure:
    text = "Share of answers that name a song. " + _list(
        results, (songs.FAMILY,), songs.CHOSEN, lambda r: f"{r.count} of {r.total}"
    )
    caption = "Points with 95% intervals where one can be given."
    return Figure("song_choices", caption, text, partial(plots.songs.chosen, results))


def _came_of_it(results: list[Result]) -> Figure:
    text = "Eureka rate of kept clips. " + _list(
        results, (follow_up.FAMILY,), follow_up.EUREKA.mean, lambda r: f"{r.count} of {r.total}"
    )
    caption = (
        "Kept clips by what came of them; a part or a finished song is a Eureka. Clips of which nobody said "
        "anything are grey. Listeners chose what they kept, so groups differ in more than what made them."
    )
    return Figure("follow_up", caption, text, partial(plots.follow_up.outcomes, results))


def _own_questions(results: list[Result], own: Sequence[own_questions.Asked]) -> Figure:
    text = "Own questions on the clips. " + "; ".join(
        f"{r.group.replace(' | ', ', ')}: "
        + (f.percent(r.estimate) if r.name == own_questions.SHARE else f.number(r.estimate, 1))
        for r in results
        if r.family == own_questions.CLIPS and r.name in own_questions.DESCRIBED and r.estimate is not None
    )
    caption = (
        "Means of scales and numbers, shares of options. Points with 95% intervals where one can be given."
    )
    draw = partial(plots.own_questions.of_clips, results, own)
    return Figure("own_questions", caption, text, draw)


def _next_rounds(results: list[Result]) -> Figure:
    text = "Next rounds. " + "; ".join(
        f"{outcome.name}, {r.group}: " + (f.percent(r.estimate) if outcome.share else f.number(r.estimate, 1))
        for outcome in rounds.ASKED
        for r in results
        if r.family in (rounds.RULE, rounds.ROUNDS) and r.name == outcome.mean and r.estimate is not None
    )
    caption = (
        "Machine-made clips of next rounds by how their settings were drawn, and of every round. Points with "
        "95% intervals where one can be given. Compare the two ways to draw alone: rounds differ in more."
    )
    return Figure("next_rounds", caption, text, partial(plots.rounds.means, results))


def _clips(results: list[Result], clips: pd.DataFrame) -> Figure:
    shares = [r for r in results if (r.family, r.name) == (individuals.CLIPS, JUDGED_REAL)]
    text = "Share of listeners who judged each clip real. " + "; ".join(
        f"{r.group}: {f.percent(r.estimate)}" for r in sorted(shares, key=lambda r: -r.estimate)
    )
    caption = "Points with 95% Wilson intervals over listeners, which hold for the clip at hand."
    return Figure("clips", caption, text, partial(plots.clips, results, clips))


def _verdicts(first: pd.DataFrame, results: list[Result], clips: pd.DataFrame) -> Figure:
    caption = "A row is a listener, the most accurate on top; a column is a clip, the most convincing first."
    who = first["listener"].nunique()
    text = f"Verdicts of {who} listeners on {len(clips)} clips; the tables hold the counts."
    return Figure("verdicts", caption, text, partial(plots.verdicts, first, results, clips))


def _roc(results: list[Result]) -> Figure:
    mean = find(results, discrimination.FAMILY, discrimination.D_PRIME)
    text = "Hit against false alarm rate of each listener."
    if mean and not mean.refused:
        text += f" The mean d' is {f.number(mean.estimate)}."
    caption = "A dot is one or more listeners. On the diagonal hits and false alarms are equal: no detection."
    return Figure("roc", caption, text, partial(plots.roc, results))


def _modes(results: list[Result], clips: pd.DataFrame) -> Figure:
    text = []
    for name, who in ((individuals.OF_LISTENER, "listener"), (individuals.OF_CLIP, "clip")):
        rows = [r for r in results if (r.family, r.name) == (individuals.MODES, name)]
        ends = [end(rows, key=lambda r: r.estimate) for end in (max, min)]
        most, least = (f"{r.group} ({f.number(r.estimate, 1)})" for r in ends)
        text.append(f"Of {len(rows)} {who}s the highest is {most}, the lowest {least}")
    caption = (
        "Conditional modes of the linear mixed model with 95% intervals: points above or below the mean, "
        "clips against the mean of their kind (circles are machine-made, diamonds originals), drawn to the "
        "mean where answers are few."
    )
    return Figure("modes", caption, f"{'; '.join(text)}.", partial(plots.modes, results, clips))


def _quantiles(first: pd.DataFrame) -> Figure | None:
    """Whether musicality's model fits; None where there is none."""
    table = checks.normal_quantiles(comparisons.against_originals(stimuli.distinct(first), MUSICALITY))
    if table.empty:
        return None
    parts = ", ".join(f"{len(part)} {name}" for name, part in table.groupby("part", sort=False))
    text = f"Residuals and modes of the model of musicality against normal quantiles: {parts}."
    caption = "On the line, what the model takes as normal is normal; far off at an end, a few are outliers."
    return Figure("quantiles", caption, text, partial(plots.quantiles, table))


def _measured_verdicts(measures: ClipMeasures, panel: Panel) -> Figure:
    lines = "; ".join(
        f"{clip['label']}: Frechet distance {f.number(clip[measured.LIKENESS])}, "
        f"copied {f.percent(clip[measured.COPYING])}, judged real {f.percent(clip['judged_real'])}"
        for clip in measures.clips.to_dict("records")
    )
    caption = "A mark is a machine-made clip; marks that would cover each other are set apart a little. "
    caption += _anchors_text(measures)
    correlations = [measured.correlation(measures, name) for name in (measured.LIKENESS, measured.COPYING)]
    if any(correlations):
        caption += f" {'; '.join(filter(None, correlations))}: described, not tested."
    draw = partial(plots.measured.verdicts, measures, one=panel.single_listener)
    return Figure("measured_verdicts", caption, lines, draw)


def _measured_groups(measures: ClipMeasures) -> Figure:
    table = measured.groups(measures)
    medians = table.groupby(["kind", "group"], sort=False)[[measured.LIKENESS, measured.COPYING]].median()
    text = "Medians. " + "; ".join(
        f"{kind} {group}: Frechet distance {f.number(row[measured.LIKENESS])}, "
        f"copied {f.percent(row[measured.COPYING])}"
        for (kind, group), row in medians.iterrows()
    )
    caption = "A dot is a machine-made clip, the bar is the median. " + _anchors_text(measures)
    return Figure("measured_groups", caption, text, partial(plots.measured.groups, measures))


def _anchors_text(measures: ClipMeasures) -> str:
    each = " of each original" if measures.anchors["source"].nunique() > 1 else ""
    return f"Dashed: the anchors{each}."


def _list(results: list[Result], families: tuple[str, ...], name: str, text: Callable[[Result], str]) -> str:
    """The results of a name, group by group, in words."""
    listed = [
        find(results, family, name, group) for family in families for group in groups(results, family, name)
    ]
    return "; ".join(f"{r.group}: {text(r)}" for r in listed if not r.refused)
