"""The answers of a listening study as one tidy, validated frame.

One row is one listener's answer to one clip. Whatever the table came from, after `load` its levels,
ranges and cross-column rules hold, so nothing downstream checks them again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pandas as pd

from analysis import answer_files
from analysis.answer_files import ResponsesError

LEVELS = {
    "truth": ("real", "fake"),
    "mode": ("UMG", "VAR"),
    "verdict": ("real", "fake"),
    "difficulty": ("easy", "dont_know", "difficult", "other"),
    "inspiring": ("yes", "no", "maybe", "other"),
}
REQUIRED = (
    "set",
    "position",
    "name",
    "truth",
    "backend",
    "mode",
    "epochs",
    "verdict",
    "difficulty",
    "musicality",
    "inspiring",
)
OPTIONAL = (
    "listener",
    "stimulus_id",
    "set_position",
    "repetition",
    "source",
    "run",
    "inspiring_text",
    "comment",
    "remark",
    "plays",
    "seconds_heard",
    "seconds_played",
    "response_seconds",
    "confidence",
    "kept",
    # what the second pass of a study in two passes has of its own
    "rating_set_position",
    "rating_position",
    "rating_plays",
    "rating_seconds_heard",
    "rating_seconds_played",
    "rating_response_seconds",
    "left_empty",  # the columns whose value could not be, and was left out
)
WHOLE = {  # smallest and largest values
    "position": (1, None),
    "set_position": (1, None),
    "epochs": (1, None),
    "repetition": (0, None),
    "plays": (0, None),
    "confidence": (1, 5),  # in the verdict: 1 a guess, 5 certain
    "rating_set_position": (1, None),
    "rating_position": (1, None),
    "rating_plays": (0, None),
}
REAL = {  # smallest and largest values
    "musicality": (0.0, 10.0),
    **dict.fromkeys(
        (
            "seconds_heard",
            "seconds_played",
            "response_seconds",
            "rating_seconds_heard",
            "rating_seconds_played",
            "rating_response_seconds",
        ),
        (0.0, None),
    ),
}
STEPPED = ("musicality",)  # whole numbers, kept as float because some are missing
YES_OR_NO = ("kept",)  # "Keep this one"
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
NEVER_EMPTY = ("listener", "set", "name", "truth", "backend", "verdict")
DESCRIPTION = ("truth", "backend", "mode", "epochs")  # of a clip, not of an answer
ORIGINAL = "original"  # the backend of every real clip, and of no other
ONE_LISTENER = "listener"  # the name given where the table has no listener column


def load(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read and validate a table of answers.

    Parameters: a CSV file (as of `answer_files.read`) or a frame, with at least the columns of
    `case_study_2022.csv`. `listener` may be missing (one listener), and so may the columns in `OPTIONAL`; any
    other column is carried along as it is.

    Returns one row per listener x stimulus, in the order given: text columns as `str` or None, `position`,
    `epochs`, `confidence` (1-5) and other whole numbers as Int64, `musicality` (0-10, in whole steps) and
    seconds as float, `kept` as boolean, and `repeat` (bool): True for a hidden repeat (`repetition` above 0),
    which counts for the listener's consistency only.

    Raises ResponsesError, with row (of a file as a spreadsheet counts, of a frame from 1), column, value and
    mend, for missing columns, unknown levels, values out of range or of the wrong kind, a clip answered twice
    by one listener, a truth that contradicts the backend, or a clip described in two ways.
    """
    if isinstance(source, pd.DataFrame):
        raw = source.set_axis(range(1, len(source) + 1), axis="index")
    else:
        raw = answer_files.read(Path(source))
    raw.columns = [str(column).strip() for column in raw.columns]
    _check_columns(raw)
    frame = pd.DataFrame(index=raw.index)  # rows as the table counts them, until all of it is known to hold
    unnamed = pd.Series([ONE_LISTENER] * len(raw), index=raw.index, dtype=object)
    frame["listener"] = _text(raw, "listener") if "listener" in raw else unnamed
    for column in [*REQUIRED, *(c for c in OPTIONAL if c in raw and c != "listener")]:
        if column in LEVELS:
            frame[column] = _levels(raw, column)
        elif column in WHOLE:
            frame[column] = pd.array(_numbers(raw, column, *WHOLE[column], whole=True), dtype="Int64")
        elif column in REAL:
            numbers = _numbers(raw, column, *REAL[column], whole=column in STEPPED)
            frame[column] = pd.array(numbers, dtype="float64")
        elif column in YES_OR_NO:
            frame[column] = pd.array(_yes_or_no(raw, column), dtype="boolean")
        else:
            frame[column] = _text(raw, column)
    for column in raw.columns.difference([*frame.columns, "repeat"], sort=False):
        frame[column] = raw[column].to_numpy()
    _check_filled(frame)
    _check_truth(frame)
    _check_one_description(frame)
    _check_once(frame)
    again = frame["repetition"].fillna(0) if "repetition" in frame else pd.Series(0, index=frame.index)
    frame["repeat"] = (again > 0).astype(bool)
    return frame.reset_index(drop=True)


def founding() -> pd.DataFrame:
    """The founding case study (2022): one listener, two sets of ten. See `data/SOURCE.md`."""
    with resources.as_file(resources.files("analysis") / "data" / "case_study_2022.csv") as path:
        return load(path)


def listeners(frame: pd.DataFrame) -> list[str]:
    """The listeners of a loaded frame, in the order they first appear."""
    return list(dict.fromkeys(frame["listener"]))


def _check_columns(raw: pd.DataFrame) -> None:
    twice = raw.columns[raw.columns.duplicated()]
    if len(twice):
        raise ResponsesError(f"the header names {twice[0]!r} twice", column=twice[0])
    missing = [column for column in REQUIRED if column not in raw]
    if missing:
        raise ResponsesError(
            f"the table lacks {', '.join(missing)}; it needs the columns {', '.join(REQUIRED)}",
            column=missing[0],
        )
    if raw.empty:
        raise ResponsesError("the table has a header and no answers")


def _cells(raw: pd.DataFrame, column: str) -> list:
    """Cells with blanks as None. Text is stripped and freed of characters no printer shows."""
    cells = []
    for value in raw[column].astype(object):
        if value is None or (not isinstance(value, str) and pd.isna(value)):
            cells.append(None)
            continue
        text = str(value).strip()
        if not text.isprintable():
            kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
            text = "".join(kept).strip()
        cells.append(text or None)
    return cells


def _text(raw: pd.DataFrame, column: str) -> pd.Series:
    return pd.Series(_cells(raw, column), index=raw.index, dtype=object)


def _filled(raw: pd.DataFrame, column: str) -> Iterator[tuple[int, str | None]]:
    """Row and cell; NA, as R writes what is missing, is None."""
    for row, cell in zip(raw.index, _cells(raw, column), strict=True):
        yield row, None if cell == "NA" else cell


def _levels(raw: pd.DataFrame, column: str) -> pd.Series:
    allowed, cells = LEVELS[column], []
    for row, cell in _filled(raw, column):
        if cell is not None and cell not in allowed:
            meant = next((level for level in allowed if level.casefold() == cell.casefold()), None)
            mend = f"; write {meant!r}" if meant else ""
            told = f"{cell!r} is not one of {', '.join(allowed)}{mend}"
            raise ResponsesError(told, row=row, column=column)
        cells.append(cell)
    return pd.Series(cells, index=raw.index, dtype=object)


def _numbers(raw: pd.DataFrame, column: str, low: float, high: float | None, *, whole: bool = False) -> list:
    numbers = []
    for row, cell in _filled(raw, column):
        if cell is None:
            numbers.append(None)
            continue
        try:
            number = float(cell)
        except ValueError:
            pointed = cell.replace(",", ".")
            mend = f"; write {pointed}, with a point" if cell.count(",") == 1 and _is_number(pointed) else ""
            raise ResponsesError(f"{cell!r} is not a number{mend}", row=row, column=column) from None
        if not (low <= number < float("inf")) or (high is not None and number > high):
            bounds = f"between {low:g} and {high:g}" if high is not None else f"{low:g} or more"
            told = f"{cell} is out of range; it must be {bounds}, or empty where there is none"
            raise ResponsesError(told, row=row, column=column)
        if whole and number != int(number):
            told = f"{cell} is not a whole number; correct it, or leave the cell empty"
            raise ResponsesError(told, row=row, column=column)
        numbers.append(int(number) if whole else number)
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _yes_or_no(raw: pd.DataFrame, column: str) -> list[bool | None]:
    """True and False as any table writes them, with None where nothing is said."""
    found: list[bool | None] = []
    for row, cell in _filled(raw, column):
        said = None if cell is None else cell.casefold().removesuffix(".0")
        if said is not None and said not in (*TRUE, *FALSE):
            raise ResponsesError(f"{cell!r} is not true or false", row=row, column=column)
        found.append(None if said is None else said in TRUE)
    return found


def _check_filled(frame: pd.DataFrame) -> None:
    for column in NEVER_EMPTY:
        empty = frame[column].isna()
        if empty.any():
            mend = "; leave out rows of clips that were not judged" if column == "verdict" else "; fill it in"
            raise ResponsesError(f"is empty{mend}", row=int(empty.idxmax()), column=column)
    unplaced = frame["mode"].isna() & (frame["truth"] == "fake")
    if unplaced.any():
        raise ResponsesError(
            "is empty; a generated clip is UMG or VAR", row=int(unplaced.idxmax()), column="mode"
        )


def _check_truth(frame: pd.DataFrame) -> None:
    wrong = (frame["truth"] == "real") != (frame["backend"] == ORIGINAL)
    if wrong.any():
        row = int(wrong.idxmax())
        truth, backend = frame.at[row, "truth"], frame.at[row, "backend"]
        raise ResponsesError(
            f"truth is {truth!r} but backend is {backend!r}; real clips, and only they, "
            f"have the backend {ORIGINAL!r}",
            row=row,
            column="truth",
        )


def _check_one_description(frame: pd.DataFrame) -> None:
    """A clip of a set has one truth, backend, mode, epoch count, id and run, whoever heard it."""
    described = [*DESCRIPTION, *(column for column in ("stimulus_id", "run") if column in frame)]
    first: dict[tuple, tuple[int, tuple]] = {}
    facts = frame[described].astype(object).where(frame[described].notna(), None)
    told_of = facts.itertuples(index=False, name=None)
    for row, group, name, fact in zip(frame.index, frame["set"], frame["name"], told_of, strict=True):
        known_row, known = first.setdefault((group, name), (row, fact))
        for column, here, there in zip(described, fact, known, strict=True):
            if here != there:
                told = f"{name!r} of set {group!r} has {here!r} here and {there!r} in row {known_row}"
                raise ResponsesError(f"{told}; make them alike", row=row, column=column)


def _check_once(frame: pd.DataFrame) -> None:
    """A listener answers a clip once, or once per repetition."""
    again = frame["repetition"].fillna(0) if "repetition" in frame else [0] * len(frame)
    seen: dict[tuple, int] = {}
    rows = zip(frame.index, frame["listener"], frame["set"], frame["name"], again, strict=True)
    for row, *answer in rows:
        key = tuple(answer)
        if key in seen:
            told = f"{key[0]!r} answered {key[2]!r} of set {key[1]!r} in row {seen[key]} already; keep one"
            raise ResponsesError(told, row=row, column="name")
        seen[key] = row
