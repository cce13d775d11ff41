"""The answers of a listening study as one tidy, validated frame.

One row is one listener's answer to one clip. Whatever the table came from, after `load` its levels,
ranges and cross-column rules hold, so nothing downstream checks them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import cells, conditions, song_answers
from analysis.cells import FINAL, ResponsesError
from analysis.questionnaire import FIELDS
from caw.files import spreadsheet

LEVELS = {
    "truth": ("real", "fake"),
    "mode": ("UMG", "VAR"),
    **{field.name: (*field.levels, *field.read_also) for field in FIELDS if field.kind == "choice"},
    "drawn": ("sampled", "fresh"),  # how the rule of a next round chose the clip
}
_FOUNDING = [field for field in FIELDS if field.version == 1]  # asked by the founding study
REQUIRED = (
    "set",
    "position",
    "name",
    "truth",
    "backend",
    "mode",
    "epochs",
    *(field.name for field in _FOUNDING if field.kind != "text"),
)
OPTIONAL = (
    "listener",
    "stimulus_id",
    "set_position",
    "repetition",
    "source",
    "run",
    "plan",
    "strength",
    "song",
    *(field.name for field in _FOUNDING if field.kind == "text"),
    "remark",
    "plays",
    "seconds_heard",
    "seconds_played",
    "response_seconds",
    *(field.name for field in FIELDS if field.version > 1),
    # what the second pass of a study in two passes has of its own
    "rating_set_position",
    "rating_position",
    "rating_plays",
    "rating_seconds_heard",
    "rating_seconds_played",
    "rating_response_seconds",
    *song_answers.COLUMNS,  # which songs could use the clip, as what, what to take, and the moment
    "group",  # of listeners, where there are several
    "check_headphones",  # whether the listener passed the check
    "check_attention",
    "round",
    "drawn",
    "left_empty",  # the columns whose value could not be, and was left out
)
_SCALES = {field.name: (field.levels[0], field.levels[-1]) for field in FIELDS if field.kind == "scale"}
STEPPED = tuple(name for name in _SCALES if name in REQUIRED)  # whole, kept as float: some are missing
WHOLE: dict[str, tuple[Any, ...]] = {  # smallest and largest values
    "position": (1, None),
    "set_position": (1, None),
    "epochs": (1, None),
    "repetition": (0, None),
    "round": (1, None),
    "plays": (0, None),
    **{name: ends for name, ends in _SCALES.items() if name not in STEPPED},
    "rating_set_position": (1, None),
    "rating_position": (1, None),
    "rating_plays": (0, None),
}
REAL: dict[str, tuple[Any, ...]] = {  # smallest and largest values
    **{name: tuple(map(float, _SCALES[name])) for name in STEPPED},
    "strength": (0.0, 1.0),
    **dict.fromkeys(
        (
            "seconds_heard",
            "seconds_played",
            "response_seconds",
            "rating_seconds_heard",
            "rating_seconds_played",
            "rating_response_seconds",
            song_answers.MOMENT,
        ),
        (0.0, None),
    ),
}
YES_OR_NO = (
    *(field.name for field in FIELDS if field.kind == "yes-no"),
    "check_headphones",
    "check_attention",
)
NEVER_EMPTY = ("listener", "set", "name", "truth", "backend", "verdict")
OWN = ("before_", "clip_", "end_")  # begin the columns of a study's own questions
DESCRIPTION = ("truth", "backend", "mode", "epochs")  # of a clip, not of an answer
FINAL_QUESTIONS = {  # what `final_1` to `final_3` stand for: the questions of the founding study
    1: "Can the model help to finish songs?",
    2: "Did clips reach musical areas that you would not go to?",
    3: "What should the model do better?",
}
ORIGINAL = "original"  # the backend of every real clip, and of no other
ONE_LISTENER = "listener"  # the name given where the table has no listener column


def load(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read and validate a table of answers.

    Parameters
    ----------
    source : path or pandas.DataFrame
        A CSV file, as `caw.files.spreadsheet.read` takes it, or a frame, with at least the columns of
        `case_study_2022.csv`. `listener` may be missing (one listener), and so may the columns in `OPTIONAL`;
        any other column is carried along as it is. A column whose heading begins with `final_` or `Final:`
        holds the listeners' answers to the question that follows (or to that of its number in
        `FINAL_QUESTIONS`), in each listener's first row or in all of them.

    Returns
    -------
    pandas.DataFrame
        One row per listener x stimulus, in the order of the table: text columns as `str` or None, `position`,
        `epochs`, `confidence` (1-5) and other whole numbers as Int64, `musicality` (0-10, in whole steps) and
        seconds as float, `kept` as boolean, and `repeat` (bool): True for a hidden repeat (`repetition` above
        0), which counts for the listener's consistency only.

    Raises
    ------
    ResponsesError
        With row (of a file as a spreadsheet counts, of a frame from 1), column, value and fix, for missing
        columns, unknown levels, values out of range or of the wrong kind, a clip answered twice by one
        listener, a truth that contradicts the backend, or a clip described in two ways.

    Examples
    --------
    >>> table = founding().drop(columns="repeat")
    >>> int(load(table)["repeat"].sum())
    0
    """
    if isinstance(source, pd.DataFrame):
        raw = source.set_axis(range(1, len(source) + 1), axis="index")
        raw.columns = spreadsheet.headings([str(column) for column in raw.columns], (*REQUIRED, *OPTIONAL))
        return _validated(raw, commas=False)
    try:
        return _validated(*_from_file(Path(source)))
    except ResponsesError as error:
        raise ResponsesError.of(error, Path(source)) from None


def _validated(raw: pd.DataFrame, commas: bool) -> pd.DataFrame:
    """The frame that `load` returns, of cells as they stand in the table."""
    raw.columns = [re.sub(r"(?i)^final(_|\s*:)\s*", FINAL, column) for column in raw.columns]
    _check_columns(raw)
    frame = pd.DataFrame(index=raw.index)  # rows as the table counts them, until all of it is known to hold
    unnamed = pd.Series([ONE_LISTENER] * len(raw), index=raw.index, dtype=object)
    frame["listener"] = cells.text(raw, "listener") if "listener" in raw else unnamed
    for column in [*REQUIRED, *(c for c in OPTIONAL if c in raw and c != "listener")]:
        if column in LEVELS:
            frame[column] = cells.levels(raw, column, LEVELS[column])
        elif column in WHOLE:
            numbers = cells.numbers(raw, column, *WHOLE[column], whole=True, commas=commas)
            frame[column] = pd.array(numbers, dtype="Int64")
        elif column in REAL:
            whole = column in STEPPED
            numbers = cells.numbers(raw, column, *REAL[column], whole=whole, commas=commas)
            frame[column] = pd.array(numbers, dtype="float64")
        elif column in YES_OR_NO:
            frame[column] = pd.array(cells.yes_or_no(raw, column), dtype="boolean")
        else:
            frame[column] = cells.text(raw, column)
    for column in raw.columns.difference([*frame.columns, "repeat"], sort=False):
        final = column.startswith(FINAL)
        frame[column] = cells.text(raw, column) if final else raw[column].to_numpy()
        if column.startswith(OWN):
            frame[column] = cells.plain_numbers(frame[column])
    original = frame["backend"].str.casefold() == ORIGINAL
    frame.loc[original.fillna(False).astype(bool), "backend"] = ORIGINAL
    _check_filled(frame)
    _check_truth(frame)
    _check_one_description(frame)
    _check_once(frame)
    _check_final(frame)
    song_answers.settle(frame)
    again = frame["repetition"].fillna(0) if "repetition" in frame else pd.Series(0, index=frame.index)
    frame["repeat"] = (again > 0).astype(bool)
    return frame.reset_index(drop=True)


def founding() -> pd.DataFrame:
    """The founding case study (2022): one listener, two sets of ten clips. See `data/SOURCE.md`.

    Returns
    -------
    pandas.DataFrame
        As of `load`.

    Examples
    --------
    >>> answers = founding()
    >>> len(answers), float(answers["musicality"].mean())
    (20, 3.875)
    """
    with resources.as_file(resources.files("analysis") / "data" / "case_study_2022.csv") as path:
        return load(path)


def _from_file(path: Path) -> tuple[pd.DataFrame, bool]:
    """The cells of a file as text, by the rows of the file, and whether its decimals may have commas."""
    try:
        table = spreadsheet.read(path, (*REQUIRED, *OPTIONAL))
    except spreadsheet.TableError as error:
        raise ResponsesError.of(error) from None
    except OSError as error:
        raise ResponsesError(f"cannot be read: {error.strerror or error}", path=path) from None
    raw = pd.DataFrame(table.rows, index=table.numbers, columns=table.columns, dtype=object)
    return raw, table.separator != ","


def listeners(frame: pd.DataFrame) -> list[str]:
    """The listeners of a loaded frame, in the order they first appear."""
    return list(dict.fromkeys(frame["listener"]))


def final_answers(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What listeners answered to the questions after the last clip: the `final_` columns of a frame.

    One dict per answer, question by question: listener, number (of the question, from 1), question, text.
    """
    answers = []
    for number, column in enumerate((name for name in frame if name.startswith(FINAL)), 1):
        question = column.removeprefix(FINAL)
        if question.isdecimal():
            question = FINAL_QUESTIONS.get(int(question), f"Final question {question}")
        answered = frame.dropna(subset=[column]).drop_duplicates("listener")
        for listener, text in zip(answered["listener"], answered[column], strict=True):
            answers.append({"listener": listener, "number": number, "question": question, "text": text})
    return answers


def with_final_answers(
    rows: Iterable[Mapping[str, Any]], forms: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Answers to clips, each with its listener's final answers beside it, a `final_` column per question.

    forms: one mapping per answer, with listener, question and text, as of `final_answers`.
    """
    by_question: dict[str, dict[Any, str | None]] = {}
    for form in forms:
        by_question.setdefault(f"{FINAL}{form['question']}", {})[form["listener"]] = form["text"] or None
    return [
        dict(row) | {column: texts.get(row["listener"]) for column, texts in by_question.items()}
        for row in rows
    ]


def _check_columns(raw: pd.DataFrame) -> None:
    twice = raw.columns[raw.columns.duplicated()]
    if len(twice):
        raise ResponsesError(f"the header names {twice[0]!r} twice", column=twice[0])
    missing = [column for column in REQUIRED if column not in raw]
    if missing:
        raise ResponsesError(
            f"the table lacks {', '.join(missing)}",
            f"it needs the columns {', '.join(REQUIRED)}",
            column=missing[0],
        )
    if raw.empty:
        raise ResponsesError("the table has a header and no answers")


def _check_filled(frame: pd.DataFrame) -> None:
    for column in NEVER_EMPTY:
        empty = frame[column].isna()
        if empty.any():
            fix = "leave out rows of clips that were not judged" if column == "verdict" else "fill it in"
            raise ResponsesError("is empty", fix, row=int(empty.idxmax()), column=column)
    unplaced = frame["mode"].isna() & (frame["truth"] == "fake")
    if unplaced.any():
        raise ResponsesError(
            "is empty", "a generated clip is UMG or VAR", row=int(unplaced.idxmax()), column="mode"
        )


def _check_truth(frame: pd.DataFrame) -> None:
    wrong = (frame["truth"] == "real") != (frame["backend"] == ORIGINAL)
    if wrong.any():
        row = int(wrong.idxmax())
        truth, backend = frame.at[row, "truth"], frame.at[row, "backend"]
        raise ResponsesError(
            f"truth is {truth!r} but backend is {backend!r}",
            f"real clips, and only they, have the backend {ORIGINAL!r}",
            row=row,
            column="truth",
        )


def _check_one_description(frame: pd.DataFrame) -> None:
    """A clip of a set has one truth, backend, mode, epoch count, id, run, plan, strength and song for all."""
    more = ("stimulus_id", "run", *conditions.COLUMNS.values())
    if "round" in frame and (frame["round"].fillna(1) > 1).any():
        more = more[1:]  # in next rounds each listener has a clip by an id of their own
    described = [*DESCRIPTION, *(column for column in more if column in frame)]
    first: dict[tuple, tuple[int, tuple]] = {}
    facts = frame[described].astype(object).where(frame[described].notna(), None)
    facts_of = facts.itertuples(index=False, name=None)
    for row, group, name, fact in zip(frame.index, frame["set"], frame["name"], facts_of, strict=True):
        known_row, known = first.setdefault((group, name), (row, fact))
        for column, here, there in zip(described, fact, known, strict=True):
            if here != there:
                message = f"{name!r} of set {group!r} has {here!r} here and {there!r} in row {known_row}"
                raise ResponsesError(message, "make them alike", row=row, column=column)


def _check_once(frame: pd.DataFrame) -> None:
    """A listener answers a clip once, or once per repetition."""
    again = frame["repetition"].fillna(0) if "repetition" in frame else [0] * len(frame)
    seen: dict[tuple, int] = {}
    rows = zip(frame.index, frame["listener"], frame["set"], frame["name"], again, strict=True)
    for row, *answer in rows:
        key = tuple(answer)
        if key in seen:
            message = f"{key[0]!r} answered {key[2]!r} of set {key[1]!r} in row {seen[key]} already"
            raise ResponsesError(message, "keep one", row=row, column="name")
        seen[key] = row


def _check_final(frame: pd.DataFrame) -> None:
    """A listener gives one answer to each final question, however often it is written."""
    for column in (name for name in frame if name.startswith(FINAL)):
        first: dict[str, tuple[int, str]] = {}
        answered = frame[["listener", column]].dropna()
        for row, listener, text in answered.itertuples(name=None):
            known_row, known = first.setdefault(listener, (row, text))
            if text != known:
                message = f"{text!r} differs from the answer of {listener} in row {known_row}"
                fix = "keep one of them, or rename the column if it holds no final answers"
                raise ResponsesError(message, fix, row=row, column=column)
