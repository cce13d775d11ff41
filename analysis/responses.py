"""The answers of a listening study as one tidy, validated frame.

One row is one listener's answer to one clip. Whatever the table came from, after `load` its levels,
ranges and cross-column rules hold, so nothing downstream checks them again.
"""

from __future__ import annotations

import csv
import unicodedata
from importlib import resources
from pathlib import Path

import pandas as pd

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
    "inspiring_text",
    "comment",
    "remark",
    "plays",
    "seconds_heard",
    "response_seconds",
)
WHOLE = {"position": 1, "set_position": 1, "epochs": 1, "repetition": 0, "plays": 0}  # smallest values
REAL = {"musicality": (0.0, 10.0), "seconds_heard": (0.0, None), "response_seconds": (0.0, None)}
NEVER_EMPTY = ("listener", "set", "name", "truth", "backend", "verdict")
DESCRIPTION = ("truth", "backend", "mode", "epochs")  # of a clip, not of an answer
ORIGINAL = "original"  # the backend of every real clip, and of no other
ONE_LISTENER = "listener"  # the name given where the table has no listener column


class ResponsesError(ValueError):
    """A table that is not a table of answers. `row` counts from 1 below the header; `column` is its name."""

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None):
        place = ", ".join([*([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])])
        super().__init__(f"{place}: {message}" if place else message)
        self.row, self.column = row, column


def load(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read and validate a table of answers.

    Parameters: a CSV file (comma-separated, UTF-8) or a frame, with at least the columns of
    `case_study_2022.csv`. `listener` may be missing (one listener), and so may the columns in `OPTIONAL`; any
    other column is carried along as it is.

    Returns one row per listener x stimulus, in the order given: text columns as `str` or None, `position`,
    `epochs` and other whole numbers as Int64, `musicality` (0-10), `seconds_heard` and `response_seconds`
    (seconds) as float, and `repeat` (bool): True for a hidden repeat (`repetition` above 0), which counts for
    the listener's consistency only.

    Raises ResponsesError, with row and column, for missing columns, unknown levels, values out of range,
    a clip answered twice by one listener, a truth that contradicts the backend, or a clip described in
    two ways.
    """
    raw = source.copy() if isinstance(source, pd.DataFrame) else _read(Path(source))
    raw.columns = [str(column).strip() for column in raw.columns]
    _check_columns(raw)
    frame = pd.DataFrame(index=range(len(raw)))
    unnamed = pd.Series([ONE_LISTENER] * len(raw), dtype=object)
    frame["listener"] = _text(raw, "listener") if "listener" in raw else unnamed
    for column in [*REQUIRED, *(c for c in OPTIONAL if c in raw and c != "listener")]:
        if column in LEVELS:
            frame[column] = _levels(raw, column)
        elif column in WHOLE:
            frame[column] = pd.array(_numbers(raw, column, WHOLE[column], None, whole=True), dtype="Int64")
        elif column in REAL:
            frame[column] = pd.array(_numbers(raw, column, *REAL[column]), dtype="float64")
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
    return frame


def founding() -> pd.DataFrame:
    """The founding case study (2022): one listener, two sets of ten. See `data/SOURCE.md`."""
    with resources.as_file(resources.files("analysis") / "data" / "case_study_2022.csv") as path:
        return load(path)


def listeners(frame: pd.DataFrame) -> list[str]:
    """The listeners of a loaded frame, in the order they first appear."""
    return list(dict.fromkeys(frame["listener"]))


def _read(path: Path) -> pd.DataFrame:
    """The cells as text. Not `pandas.read_csv`, which drops surplus cells in silence."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except FileNotFoundError:
        raise ResponsesError(f"no such table: {path}") from None
    except OSError as error:
        raise ResponsesError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResponsesError(f"{path} is not a comma-separated UTF-8 table: {error}") from None
    if not rows:
        raise ResponsesError(f"{path} is empty; a table of answers starts with a header row")
    header, answers = rows[0], rows[1:]
    for number, row in enumerate(answers, 1):
        if len(row) != len(header):
            raise ResponsesError(
                f"has {len(row)} cells, the header has {len(header)}; put text that holds a "
                "comma in double quotes",
                row=number,
            )
    return pd.DataFrame(answers, columns=header, dtype=object)


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
    return pd.Series(_cells(raw, column), dtype=object)


def _levels(raw: pd.DataFrame, column: str) -> pd.Series:
    allowed = LEVELS[column]
    cells = [None if cell == "NA" else cell for cell in _cells(raw, column)]
    for row, cell in enumerate(cells, 1):
        if cell is not None and cell not in allowed:
            raise ResponsesError(f"{cell!r} is not one of {', '.join(allowed)}", row=row, column=column)
    return pd.Series(cells, dtype=object)


def _numbers(raw: pd.DataFrame, column: str, low: float, high: float | None, *, whole: bool = False) -> list:
    numbers = []
    for row, cell in enumerate(_cells(raw, column), 1):
        if cell is None or cell == "NA":
            numbers.append(None)
            continue
        try:
            number = float(cell)
        except ValueError:
            raise ResponsesError(f"{cell!r} is not a number", row=row, column=column) from None
        if not (low <= number < float("inf")) or (high is not None and number > high):
            bounds = f"between {low:g} and {high:g}" if high is not None else f"{low:g} or more"
            raise ResponsesError(f"{cell} is out of range; it must be {bounds}", row=row, column=column)
        if whole and number != int(number):
            raise ResponsesError(f"{cell} is not a whole number", row=row, column=column)
        numbers.append(int(number) if whole else number)
    return numbers


def _check_filled(frame: pd.DataFrame) -> None:
    for column in NEVER_EMPTY:
        empty = frame[column].isna()
        if empty.any():
            mend = "; leave out rows of clips that were not judged" if column == "verdict" else ""
            raise ResponsesError(f"is empty{mend}", row=int(empty.idxmax()) + 1, column=column)
    unplaced = frame["mode"].isna() & (frame["truth"] == "fake")
    if unplaced.any():
        raise ResponsesError(
            "is empty; a generated clip is UMG or VAR", row=int(unplaced.idxmax()) + 1, column="mode"
        )


def _check_truth(frame: pd.DataFrame) -> None:
    wrong = (frame["truth"] == "real") != (frame["backend"] == ORIGINAL)
    if wrong.any():
        row = int(wrong.idxmax())
        truth, backend = frame.at[row, "truth"], frame.at[row, "backend"]
        raise ResponsesError(
            f"truth is {truth!r} but backend is {backend!r}; real clips, and only they, "
            f"have the backend {ORIGINAL!r}",
            row=row + 1,
            column="truth",
        )


def _check_one_description(frame: pd.DataFrame) -> None:
    """A clip of a set has one truth, backend, mode, epoch count and id, whoever heard it."""
    described = [*DESCRIPTION, *(["stimulus_id"] if "stimulus_id" in frame else [])]
    first: dict[tuple, tuple[int, tuple]] = {}
    facts = frame[described].astype(object).where(frame[described].notna(), None)
    rows = zip(frame["set"], frame["name"], facts.itertuples(index=False, name=None), strict=True)
    for row, (group, name, fact) in enumerate(rows):
        known_row, known = first.setdefault((group, name), (row, fact))
        for column, here, there in zip(described, fact, known, strict=True):
            if here != there:
                told = f"{name!r} of set {group!r} has {here!r} here and {there!r} in row {known_row + 1}"
                raise ResponsesError(told, row=row + 1, column=column)


def _check_once(frame: pd.DataFrame) -> None:
    """A listener answers a clip once, or once per repetition."""
    again = frame["repetition"].fillna(0) if "repetition" in frame else [0] * len(frame)
    seen: dict[tuple, int] = {}
    for row, key in enumerate(zip(frame["listener"], frame["set"], frame["name"], again, strict=True)):
        if key in seen:
            told = (
                f"{key[0]!r} answered {key[2]!r} of set {key[1]!r} in row {seen[key] + 1} already; keep one"
            )
            raise ResponsesError(told, row=row + 1, column="name")
        seen[key] = row
