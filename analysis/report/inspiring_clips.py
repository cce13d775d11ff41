"""What a report opens with: the clips that inspired or were kept, and a table of what made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis import conditions
from analysis import formats as f
from analysis.report import comments, songs
from analysis.results import estimation, stimuli
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, KEPT, MUSICALITY, WOULD_USE, Outcome
from analysis.table import ReportTable

MOST_OPEN = 10  # clips that stand open; the rest is folded
MOST_WORDS = 3  # listeners quoted of a clip; its other comments stand further below
BEST = 3  # clips shown where none inspired
ORIGINALS = "originals"
_NUMBERS = ("epochs", "strength")  # columns that hold no names
ASKED = (JUDGED_REAL, MUSICALITY, INSPIRED, KEPT, WOULD_USE)
_ORDER = {"yes": 0, "maybe": 1}  # whose words come first, after those who kept the clip


@dataclass(frozen=True)
class Leading:
    """The machine-made clips to open with, the best first, and the originals that inspired.

    clips, originals: a dict per clip with set, clip, truth, made by, mode, epochs, its plan or strength where
    it has any, answers (how many), heard (what was answered, in words), quotes (dicts of listener, inspiring,
    kept, words and pins), more (answers with words that are not in quotes), songs (which could use it, in
    words), uses (dicts of listener, words and pins), remark. inspired: False where
    none inspired or was kept, and clips holds the best rated instead.
    """

    clips: list[dict[str, Any]]
    originals: list[dict[str, Any]]
    inspired: bool


def leading(frame: pd.DataFrame) -> Leading:
    """The clips of `frame` (loaded answers) that inspired (yes or maybe) or were kept.

    They are ranked by the share of answers that say so, with one answer for and one against added, so that a
    clip which few judged does not lead by that alone; then by kept, by yes, and by musicality.
    """
    answers = stimuli.distinct(frame)
    kept = KEPT.values(answers).eq(1)
    liked = INSPIRED.values(answers).eq(1) | kept
    answers = answers.assign(kept=kept, liked=liked, answered=liked | (answers["inspiring"] == "no"))
    by_clip = answers.assign(yes=answers["inspiring"] == "yes").groupby("clip", sort=False)
    clips = by_clip[["kept", "yes", "musicality"]].mean().join(by_clip[["liked", "answered"]].sum())
    clips["real"] = by_clip["truth"].first() == "real"
    clips["share"] = (clips["liked"] + 1) / (clips["answered"] + 2)
    clips = clips.sort_values(["share", "kept", "yes", "musicality"], ascending=False, kind="stable")
    made, originals = (clips[clips["real"] == real].query("liked > 0").index for real in (False, True))
    inspired = len(made) > 0
    if not inspired:
        made = clips[~clips["real"]].dropna(subset=["musicality"]).nlargest(BEST, "musicality").index
    return Leading(
        [_clip(by_clip.get_group(name)) for name in made],
        [_clip(by_clip.get_group(name)) for name in originals],
        inspired,
    )


def _clip(answers: pd.DataFrame) -> dict[str, Any]:
    """One clip for the page, of all answers to it."""
    clip = answers.iloc[0]
    ranked = answers.assign(order=answers["inspiring"].map(_ORDER).fillna(2) - 3 * answers["kept"])
    written = [
        {"listener": one["listener"], "inspiring": one["inspiring"], "kept": one["kept"]} | _words(one)
        for _, one in ranked.sort_values("order", kind="stable").iterrows()
        if _words(one)["words"] or _words(one)["pins"]
    ]
    return {
        "set": clip["set"],
        "clip": clip["name"],
        "stimulus_id": clip.get("stimulus_id"),
        "truth": clip["truth"],
        "made by": clip["backend"],
        "mode": clip["mode"],
        "epochs": "" if pd.isna(clip["epochs"]) else f"{clip['epochs']}",
        **{column: f"{clip[column]}" for column in conditions.stated(answers)},
        "heard": _one_answer(clip) if len(answers) == 1 else _answers(answers),
        "quotes": written[:MOST_WORDS],
        "more": len(written) - MOST_WORDS,
        "songs": songs.said_of(answers),
        "uses": songs.uses(ranked.sort_values("order", kind="stable")),
        "remark": next(iter(answers["remark"].dropna()), "") if "remark" in answers else "",
    }


def _words(answer: pd.Series) -> dict[str, Any]:
    """What a listener wrote of a clip: in words, and of moments of it."""
    text, pinned = comments.split(answer.get("comment") or "")
    return {"words": [words for words in (answer.get("inspiring_text"), text) if words], "pins": pinned}


def _one_answer(answer: pd.Series) -> str:
    rated = "not rated" if pd.isna(answer["musicality"]) else f"musicality {f.rating(answer['musicality'])}"
    inspiring = f"inspiring: {answer['inspiring']}" if answer["inspiring"] else ""
    kept = "kept" if answer["kept"] else ""
    judged = "judged real" if answer["verdict"] == "real" else "judged machine-made"
    return ", ".join(filter(None, (inspiring, kept, rated, judged)))


def _answers(answers: pd.DataFrame) -> str:
    counts = answers["inspiring"].value_counts()
    answered = sum(int(counts.get(level, 0)) for level in (*_ORDER, "no"))
    parts = (
        [f"inspiring: {counts.get('yes', 0)} yes, {counts.get('maybe', 0)} maybe of {answered}"]
        if answered
        else []
    )
    parts += [f"kept by {answers['kept'].sum()}"] if answers["kept"].any() else []
    rated = answers["musicality"].mean()
    parts += [] if pd.isna(rated) else [f"musicality {f.number(rated, 1)}"]
    return ", ".join([*parts, f"judged real by {f.percent((answers['verdict'] == 'real').mean())}"])


def by_condition(frame: pd.DataFrame, keys: Sequence[str] | None = None) -> ReportTable:
    """How the clips of each backend, mode and epoch count were judged, and the originals below them.

    frame: loaded answers. keys: the columns to group by; None: these, and plan and strength where clips were
    asked for in several ways. Columns: the keys, clips, answers; for each outcome
    its mean, "low" and "high" of the 95% interval (as of `estimation.mean`), and for shares "count" and "of",
    the answers behind them. A panel's intervals need `stimuli.LEAST_CLIPS` clips. An outcome that nobody was
    asked is left out.
    """
    answers = stimuli.distinct(frame)
    if keys is None:
        keys = ("backend", "mode", "epochs", *(column for _, column, _ in conditions.differing(answers)))
    fakes, originals = answers[answers["truth"] == "fake"], answers[answers["truth"] == "real"]
    heard = [outcome for outcome in ASKED if outcome.values(answers).notna().any()]
    keys, rows, lines = list(keys), [], []
    stated = set(fakes.loc[fakes["epochs"].notna(), "backend"])
    for key, part in fakes.groupby(keys, dropna=False, sort=True):
        names = ["" if pd.isna(value) else str(value) for value in key]
        if "epochs" in keys and part["epochs"].isna().all() and set(part["backend"]) & stated:
            names[keys.index("epochs")] = "not stated"
        _add(rows, lines, dict(zip(keys, key, strict=True)), names, part, heard)
    if len(originals):
        blank = dict.fromkeys(keys)
        named = next((key for key in ("backend", *keys) if key in keys and key not in _NUMBERS), None)
        key = blank | ({named: ORIGINALS} if named else {})
        _add(rows, lines, key, [ORIGINALS, *[""] * (len(keys) - 1)], originals, heard)
    table = pd.DataFrame(rows, columns=None if rows else keys)
    if "epochs" in keys:
        table["epochs"] = pd.array(table["epochs"], dtype="Int64")
    return ReportTable("by_condition", "By backend, mode and epochs", table, shown=pd.DataFrame(lines))


def _add(
    rows: list, lines: list, key: dict, names: list[str], part: pd.DataFrame, heard: list[Outcome]
) -> None:
    """One row of `by_condition`: its values, and as a reader sees it."""
    row = key | {"clips": part["clip"].nunique(), "answers": len(part)}
    few = row["clips"] < stimuli.LEAST_CLIPS and not stimuli.Panel.of(part).single_listener
    line = dict(zip(key, names, strict=True))
    line |= {name: str(row[name]) for name in ("clips", "answers")}
    for outcome in heard:
        estimate = estimation.mean(part, outcome)
        estimate = replace(estimate, low=None, high=None) if few else estimate
        write = f.percent if outcome.share else f.number
        row |= {
            outcome.mean: estimate.estimate,
            f"{outcome.name} low": estimate.low,
            f"{outcome.name} high": estimate.high,
        }
        text = write(estimate.estimate)
        if outcome.share and estimate.estimate is not None:
            row |= {f"{outcome.name} count": int(estimate.of[0]), f"{outcome.name} of": estimate.of[1]}
            text = f"{estimate.of[0]:.0f}/{estimate.of[1]} ({text})"
        line[outcome.mean] = ", ".join(filter(None, (text, f.interval(estimate.low, estimate.high, write))))
    rows.append(row)
    lines.append(line)
