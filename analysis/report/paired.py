"""The report of a study of pairs: one page of its own, with the files that every report has.

What is estimated is in `analysis.results.pairs`; here it is put into sentences, tables and charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import formats as f
from analysis import pairs as answers
from analysis import responses, web_page
from analysis.plots import pairs as charts
from analysis.report import comments, own_questions, report, tables
from analysis.report.figures import Figure
from analysis.report.report import MOST_ROWS, ReportFacts
from analysis.results import pairs
from analysis.results.result import Result, find
from analysis.results.stimuli import Panel
from analysis.table import ReportTable, numeric

_COLUMNS = {"share": f.percent, "low": f.percent, "high": f.percent, "p": f.p_value, "p (Holm)": f.p_value}
REFERENCES = (
    "Bradley, R. A., & Terry, M. E. (1952). Rank analysis of incomplete block designs. Biometrika 39.",
    "Clopper, C. J., & Pearson, E. S. (1934). The use of confidence or fiducial limits. Biometrika 26.",
    "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6.",
    "Kuznetsova, A., Brockhoff, P. B., & Christensen, R. H. B. (2017). lmerTest package. J. Stat. Softw. 82.",
    "Macmillan, N. A., & Creelman, C. D. (2005). Detection theory: A user's guide, chapter 7.",
)


def rehearse(frame: pd.DataFrame, out: Path, *, facts: ReportFacts) -> ReportFacts:
    """As `analysis.report.report.rehearse`, of a study of pairs (`frame` as of `analysis.pairs.load`)."""
    report.check(Path(out).resolve(), facts)
    own = own_questions.of(facts.settings)
    results = pairs.evaluate(frame, own)
    everything(frame, results, own)
    return replace(facts, results=results)


def write(frame: pd.DataFrame, out: Path, *, facts: ReportFacts | None = None) -> Path:
    """Write the report on a study of pairs into a folder.

    Parameters
    ----------
    frame : pandas.DataFrame
        Answers, as of `analysis.pairs.load`.
    out : Path
        A folder, new or of an earlier report, which is replaced in one step.
    facts : ReportFacts, optional
        What the study knows beside its answers.

    Returns
    -------
    Path
        Of index.html. Beside it are statistics.json, tables/ and plots/.

    Raises
    ------
    ReportError
        As `analysis.report.report.write`.
    """
    facts, out = facts or ReportFacts(), Path(out).resolve()
    report.check(out, facts)
    own = own_questions.of(facts.settings)
    results = list(facts.results) if facts.results is not None else pairs.evaluate(frame, own)
    parts = everything(frame, results, own) + report.clip_provenance(facts.provenance)

    def page(pictures: dict[str, dict[str, Any]]) -> str:
        return _page(frame, results, parts, pictures, facts)

    return report.publish(out, frame, results, parts, figures(results), facts, page)


def subtitle(frame: pd.DataFrame) -> str:
    """What the study has, in one line."""
    people = f.plural(frame["listener"].nunique(), "listener")
    clips = f.plural(len(answers.clips_of(frame)), "clip")
    return f"{people} \N{MIDDLE DOT} {f.plural(len(frame), 'answer')} to pairs of {clips}"


def summary(frame: pd.DataFrame, results: list[Result]) -> list[str]:
    """The sentences that the report opens with."""
    panel = Panel.of(frame)
    who = "The listener" if panel.single_listener else f"{panel.listeners} listeners"
    lines = []
    right, d = find(results, pairs.WHICH, pairs.RIGHT), find(results, pairs.WHICH, pairs.D_PRIME)
    if right and right.estimate is not None:
        wrong = f.percent(1 - right.estimate)
        size = "" if d is None or d.refused else f"; d\N{PRIME} {f.number(d.estimate)}"
        lines.append(
            f"{who} picked the real one of two clips in {f.percent(right.estimate)} of the pairs"
            f"{_in_brackets(right, size)}, so a machine-made clip passed for it in {wrong}. Guessing gives "
            "50%; listeners of the published model were wrong in 37.8% (standard error 3.2%)."
        )
    for family in (pairs.WHICH, pairs.MORE):
        first = find(results, family, pairs.FIRST)
        if first and first.p is not None and first.p < 0.05:
            share = f"{f.percent(first.estimate)} of the answers to {family}"
            lines.append(f"The first clip of a pair was chosen in {share}{_in_brackets(first)}: a leaning.")
    shares = [r for r in results if r.name == pairs.SHARE]
    for r in shares:
        if r.estimate is None:
            continue
        one, _, other = r.group.partition(" over ")
        kind = r.family.rpartition("by ")[2]
        lines.append(
            f"Asked which inspires more, {who[0].lower() + who[1:]} chose clips of {one} over those of "
            f"{other} ({kind}) in {f.percent(r.estimate)}{_in_brackets(r)}."
        )
    if shares and all(r.estimate is None for r in shares):
        lines.append("No groups of machine-made clips could be compared for which inspires more.")
    return lines or ["Nothing could be computed of these answers."]


def _in_brackets(r: Result, more: str = "") -> str:
    inside = []
    if r.low is not None:
        inside.append(f"95% interval {f.interval(r.low, r.high, f.percent)}")
    if r.p is not None:
        holm = r.p_holm is not None and r.p_holm != r.p
        inside.append(f"p = {f.p_value(r.p)}" + (f", corrected {f.p_value(r.p_holm)}" if holm else ""))
    text = ", ".join(inside) + more
    return f" ({text.removeprefix('; ')})" if text else ""


def methods(frame: pd.DataFrame, settings: Mapping[str, Any] | None = None) -> list[str]:
    """The methods section."""
    panel, settings = Panel.of(frame), settings or {}
    asked = [name for name in (answers.REAL, answers.INSPIRING) if (frame["question"] == name).any()]
    words = {
        answers.REAL: "which of two clips, a real and a machine-made one, is real",
        answers.INSPIRING: "which of two machine-made clips inspires them more",
    }
    design = f"Listeners chose {' and '.join(words[name] for name in asked)}, without a tie. "
    design += (
        "Pairs were drawn within sets and balanced over listeners: each listener heard a clip as rarely as "
        "could be, the real clip stood first in half of the pairs, and what stood first for one listener "
        "stood second for another. All of the first question was asked before the second."
    )
    stimulus = settings.get("stimuli") or {}
    if stimulus.get("seconds") and stimulus.get("rate"):
        design += (
            f" Every clip was {stimulus['seconds']:g} s long at {stimulus['rate'] / 1000:g} kHz, mono, at "
            "one loudness (ITU-R BS.1770)."
        )
    if panel.single_listener:
        analysis = (
            "With one listener, shares of choices have Clopper and Pearson's intervals (1934) and exact "
            "binomial tests over pairs, which speak of this listener only; where a clip is in several pairs, "
            "they take these as independent."
        )
    else:
        analysis = (
            "Shares of right answers, and of choices between groups, are of linear mixed models of single "
            "answers by REML with Satterthwaite's degrees of freedom (Kuznetsova et al. 2017), in which "
            "listeners, their leaning to the first clip, their skill or taste in each group, and both clips "
            "of a pair are random; in comparisons of worths a clip's effect counts +1 where it stands first "
            "and -1 where it stands second. Beside them are worths of the Bradley-Terry model (1952) with "
            "random listeners and clips, in log odds, as sizes without a test of their own. The interval of "
            "a share of right answers is Wilson's on the model's variance, and its p agrees with it."
        )
    analysis += (
        " d\N{PRIME} is the square root of 2 times z of the share of right answers (Macmillan & Creelman "
        "2005). p values are two-sided and corrected within the comparisons of one kind (Holm 1979)."
    )
    also = own_questions.methods(frame, own_questions.of(settings), told_apart=False)
    return [design, analysis, *filter(None, [also])]


def everything(
    frame: pd.DataFrame, results: list[Result], own: Sequence[own_questions.Asked] = ()
) -> list[ReportTable]:
    """The report's tables. own: the study's own questions."""
    parts = [
        _shares("right_answers", "Right answers: which is real", results, pairs.WHICH, pairs.RIGHT),
        _shares("preferences", "Choices: which inspires more", results, pairs.MORE, pairs.SHARE),
        clip_table(frame),
        tables.not_computed(results),
        *own_questions.tables(results, own),
    ]
    if "comment" in frame and frame["comment"].notna().any():
        commented = frame.dropna(subset=["comment"])
        columns = ["listener", "set", "question", "first_name", "second_name", "choice", "comment"]
        parts.append(ReportTable("comments", "Comments on pairs", commented[columns].reset_index(drop=True)))
    return parts


def _shares(name: str, title: str, results: list[Result], family: str, what: str) -> ReportTable:
    chosen = [r for r in results if r.name == what and r.family.startswith(family) and r.estimate is not None]
    rows = [
        {
            "by": r.family.rpartition("by ")[2] if r.family != family else "",
            "clips": "all" if r.group == "all" else r.group,
            "share": r.estimate,
            "low": r.low,
            "high": r.high,
            "p": r.p,
            "p (Holm)": r.p_holm,
        }
        for r in chosen
    ]
    columns = ["by", "clips", *_COLUMNS]
    return ReportTable(name, title, pd.DataFrame(rows, columns=columns), written=dict(_COLUMNS))


def clip_table(frame: pd.DataFrame) -> ReportTable:
    """Every clip, what it was, and how often it was chosen of its pairs."""
    clips = answers.clips_of(frame)
    facts = ["set", "name", "truth", "backend", "mode", "epochs"]
    facts += [name for name in ("plan", "strength") if name in clips and clips[name].notna().any()]
    table = clips[facts].rename(columns={"name": "clip", "backend": "made by"})
    table["truth"] = table["truth"].map({"real": "original", "fake": "machine-made"})
    for asked in (answers.REAL, answers.INSPIRING):
        part = answers.of_question(frame, asked)
        counts: dict[tuple, list[int]] = {}
        for side in answers.SIDES:
            for key, won in zip(
                zip(part["set"], part[f"{side}_name"], strict=True), part["choice"] == side, strict=True
            ):
                counts.setdefault(key, [0, 0])
                counts[key] = [counts[key][0] + int(won), counts[key][1] + 1]
        if counts:
            title = "called real" if asked == answers.REAL else "chosen as more inspiring"
            keys = zip(clips["set"], clips["name"], strict=True)
            table[title] = ["{} of {}".format(*counts[key]) if key in counts else None for key in keys]
    return ReportTable(
        "clips", "Clip by clip", table.sort_values(["set", "truth", "clip"], ignore_index=True)
    )


def figures(results: list[Result]) -> list[Figure]:
    """The report's charts."""
    drawn = []
    caption = "Points with 95% intervals where one can be given; the dashed line is guessing"
    for name, family, what, draw, more in (
        (
            "right_answers",
            pairs.WHICH,
            pairs.RIGHT,
            charts.right,
            ", the dotted one the published model's test",
        ),
        ("preferences", pairs.MORE, pairs.SHARE, charts.preferred, ""),
    ):
        table = charts.rows_of(results, family, what)
        if table.empty:
            continue
        text = "; ".join(
            f"{label}: {f.percent(value)}"
            for label, value in zip(table["label"], table["value"], strict=True)
        )
        drawn.append(Figure(name, f"{caption}{more}.", text, partial(draw, results)))
    return drawn


def _page(
    frame: pd.DataFrame,
    results: list[Result],
    parts: list[ReportTable],
    pictures: dict[str, dict[str, Any]],
    facts: ReportFacts,
) -> str:
    clips = answers.clips_of(frame)
    players = [
        {"name": row["name"], "set": row["set"], "truth": row["truth"], "sound": heard}
        for row in clips.to_dict("records")
        if (heard := report.sound(facts.stimuli, row.get("id"), row["name"]))
    ]
    inferred = [r for r in results if not r.refused and r.family != pairs.OF_CLIPS]
    return web_page.render(
        "paired_report.html.j2",
        script=web_page.REPORT_SCRIPT,
        numeric=numeric,
        most_rows=MOST_ROWS,
        title=facts.title or report.TITLE,
        subtitle=subtitle(frame),
        one=Panel.of(frame).single_listener,
        unfinished=list(facts.unfinished),
        summary=summary(frame, results),
        reach=_reach(Panel.of(frame)),
        tables={table.name: table for table in parts},
        figures=pictures,
        players=players,
        statistics=_statistics(inferred),
        final_forms=comments.final_answers(facts.final_forms or responses.final_answers(frame)),
        methods=methods(frame, facts.settings),
        references=REFERENCES,
        provenance=report.known_facts(facts),
    )


def _reach(panel: Panel) -> str:
    if panel.single_listener:
        return "One listener: what is inferred is of this listener only, over pairs like these."
    return "Intervals and tests speak of listeners and clips like these."


def _statistics(results: list[Result]) -> list[dict[str, Any]]:
    return [
        {
            "family": family,
            "rows": [
                {
                    "name": r.name if r.group == "all" else f"{r.name}: {r.group}",
                    "numbers": tables.in_numbers(r),
                    "scale": "",
                    "n": f.whole(r.n),
                    "method": r.method,
                    "note": "; ".join((f"unit: {r.unit}", *r.notes)),
                }
                for r in results
                if r.family == family
            ],
        }
        for family in dict.fromkeys(r.family for r in results)
    ]
