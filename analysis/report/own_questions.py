"""What a report shows of a study's own questions: who listened, what was said of clips, and at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import formats as f
from analysis.results import own_questions
from analysis.results.own_questions import Asked, column
from analysis.results.result import Result
from analysis.table import ReportTable

INTERVAL = "95% interval"
_PLACES = (("before", "who_listened", "Who listened"), ("end", "asked_at_the_end", "Asked at the end"))


def of(settings: Mapping[str, Any] | None) -> Sequence[Asked]:
    """The tables [[question]] of a study's settings."""
    return (settings or {}).get("question") or ()


def tables(results: Iterable[Result], questions: Sequence[Asked]) -> list[ReportTable]:
    """Who listened, what was asked at the end and said of clips, and accuracy by answer, as far as asked."""
    results, made = list(results), []
    for ask, name, title in _PLACES:
        rows = [
            row for question in questions if question["ask"] == ask for row in _counted(results, question)
        ]
        if rows:
            made.append(ReportTable(name, title, pd.DataFrame(rows), shown=_shown(rows)))
    if rows := [
        row for question in questions if question["ask"] == "clip" for row in _clips(results, question)
    ]:
        made.append(
            ReportTable("own_questions", "Own questions on clips", pd.DataFrame(rows), shown=_shown(rows))
        )
    if rows := [row for question in questions for row in _accuracy(results, question)]:
        title = "How well listeners told clips apart, by what they answered before"
        made.append(ReportTable("accuracy_by_answer", title, pd.DataFrame(rows), shown=_shown(rows)))
    return made


def methods(frame: pd.DataFrame, questions: Sequence[Asked], *, told_apart: bool = True) -> str:
    """The paragraph of the methods that lists them; "" where a study has none.

    told_apart: whether the report describes how well listeners with one answer told clips apart.
    """
    said = []
    for ask, when in (("before", "Before the study"), ("clip", "Of every clip"), ("end", "At the end")):
        if asked := own_questions.there(frame, questions, ask):
            listed = "; ".join(f"\u201c{one['text']}\u201d ({_kind(one)})" for one in asked)
            said.append(f"{when} listeners were also asked: {listed}.")
    if said and own_questions.there(frame, questions, "clip"):
        said.append(
            "Answers on clips are estimated as the other outcomes are, tested for machine-made clips against "
            "originals alone, and corrected among themselves."
        )
    if told_apart and own_questions.there(frame, questions, "before"):
        said.append(
            "How well listeners with one answer told clips apart is described for these clips, not tested."
        )
    return " ".join(said)


def _kind(question: Asked) -> str:
    if question["kind"] == "scale":
        labels = (question.get("low_label"), question.get("high_label"))
        ends = [
            f"{end}{f', {label}' if label else ''}"
            for end, label in zip((question["low"], question["high"]), labels, strict=True)
        ]
        return f"{ends[0]} to {ends[1]}"
    if question["kind"] in ("choice", "choices"):
        several = "; several possible" if question["kind"] == "choices" else ""
        return f"{', '.join(question['options'])}{several}"
    return "a number" if question["kind"] == "number" else "in words"


def _row(question: Asked, answer: str, result: Result, value: str) -> dict[str, Any]:
    return {
        "question": question["text"],
        "answer": answer,
        "n": result.n,
        "count": result.count,
        "of": result.total,
        "value": result.estimate,
        "low": result.low,
        "high": result.high,
        "is": value,
        "note": result.note,
    }


def _mine(results: list[Result], family: str, question: Asked) -> list[Result]:
    label = column(question) if family != own_questions.CLIPS else question["name"]
    return [r for r in results if r.family == family and _of(r.group, label)]


def _of(group: str, label: str) -> bool:
    return group == label or group.startswith((f"{label}: ", f"{label} | "))


def _counted(results: list[Result], question: Asked) -> list[dict[str, Any]]:
    rows = []
    for r in _mine(results, own_questions.LISTENERS, question):
        value = {own_questions.MIDDLE: "median", own_questions.WORDS: "answers"}.get(r.name, "share")
        rows.append(_row(question, r.group.partition(": ")[2], r, value))
    return rows


def _clips(results: list[Result], question: Asked) -> list[dict[str, Any]]:
    rows = []
    for r in _mine(results, own_questions.CLIPS, question):
        if r.name not in own_questions.DESCRIBED:
            continue
        label, _, clips = r.group.rpartition(" | ")
        value = "share" if r.name == own_questions.SHARE else "mean"
        rows.append(_row(question, label.partition(": ")[2], r, value) | {"clips are": clips})
    return rows


def _accuracy(results: list[Result], question: Asked) -> list[dict[str, Any]]:
    if question["ask"] != "before":
        return []
    rows = []
    for r in _mine(results, own_questions.ACCURACY, question):
        value = own_questions.BALANCED if r.name == own_questions.BALANCED else "rank correlation"
        rows.append(_row(question, r.group.partition(": ")[2], r, value))
    return rows


def _shown(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a reader sees them."""
    lines = []
    for row in rows:
        share = row["is"] == "share" and row["count"] is not None
        as_share = row["is"] in ("share", own_questions.BALANCED)
        write = f.percent if as_share else f.number
        value = "" if row["value"] is None else write(row["value"])
        if row["is"] == "answers":
            value = f.whole(row["value"])
        counted = f"{row['count']}/{row['of']} ({value})" if share else value
        ends = f.interval(row["low"], row["high"], write)
        words = {"question": row["question"], "answer": row["answer"]}
        words |= {"clips are": row["clips are"]} if "clips are" in row else {}
        what = {"share": "answers"}.get(row["is"], row["is"])
        quartiles = row["is"] == "median"
        lines.append(
            words
            | {"figure": what, "value": counted}
            | {"quartiles": ends if quartiles else "", INTERVAL: "" if quartiles else ends}
            | {"note": row["note"]}
        )
    return pd.DataFrame(lines)
