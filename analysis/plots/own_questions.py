"""What a study's own questions on clips brought, by what the clips are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import altair as alt
import pandas as pd

from analysis import formats as f
from analysis.plots import points
from analysis.plots.theme import WIDE
from analysis.results import own_questions
from analysis.results.own_questions import Asked
from analysis.results.result import Result


def of_clips(
    results: Iterable[Result], questions: Sequence[Asked], *, width: int = WIDE
) -> alt.TopLevelMixin:
    """The mean of each scale or number, and the share of each option, with its interval, a part for each.

    results: of the family `own_questions.CLIPS`. questions: the study's own, as its settings have them.
    """
    rows, scales = [], {}
    texts = _texts(questions)
    asked = {one["name"]: one for one in questions if one["ask"] == "clip"}
    for r in results:
        if r.family != own_questions.CLIPS or r.name not in own_questions.DESCRIBED or r.estimate is None:
            continue
        label, _, group = r.group.rpartition(" | ")
        name, _, option = label.partition(": ")
        part, share = " ".join(filter(None, (texts[name], option))), r.name == own_questions.SHARE
        text = f"{r.count}/{r.total}" if share else f.number(r.estimate, 1)
        rows.append((part, group, r.estimate, r.low, r.high, text))
        scales[part] = points.Scale("share of answers") if share else asked[name]
    table = pd.DataFrame(rows, columns=points.COLUMNS)
    for part, scale in scales.items():
        if not isinstance(scale, points.Scale):
            scales[part] = _scale(scale, table[table["part"] == part])
    return points.stacked(table, scales, "Own questions on the clips", width=width)


def _texts(questions: Sequence[Asked]) -> dict[str, str]:
    """The wording of each question by its name, which is added where another one is worded alike."""
    wordings = [one["text"] for one in questions]
    return {
        one["name"]: one["text"] if wordings.count(one["text"]) == 1 else f"{one['text']} ({one['name']})"
        for one in questions
    }


def _scale(question: Asked, part: pd.DataFrame) -> points.Scale:
    """From one end of the question's scale to the other; of a number without bounds, what is drawn."""
    scale = question["kind"] == "scale"
    low, high = (question.get(key) for key in (("low", "high") if scale else ("min", "max")))
    drawn = part[["value", "low", "high"]].astype(float)
    low = drawn.min().min() if low is None else low
    high = drawn.max().max() if high is None else high
    title = "mean" if scale or not question.get("unit") else f"mean, {question['unit']}"
    return points.Scale(title, float(low), float(high) if high > low else float(low) + 1.0, share=False)
