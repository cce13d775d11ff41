"""Answers from a comma-separated file: its cells as text, and the row of the file that each stands in."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

_NO_COMMA = {";": "semicolons", "\t": "tabs"}


class ResponsesError(ValueError):
    """A table that is not a table of answers.

    `row`: of a file as a spreadsheet counts (the header is row 1); of a frame from 1. `column`: its name.
    """

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None):
        place = ", ".join([*([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])])
        super().__init__(f"{place}: {message}" if place else message)
        self.row, self.column = row, column


def read(path: Path) -> pd.DataFrame:
    """The cells as text; the index holds the rows as a spreadsheet counts them, blank rows included.

    Not `pandas.read_csv`, which drops surplus cells in silence. Raises ResponsesError for a file that is
    missing, empty, no UTF-8 (a byte order mark is fine) or not comma-separated, and for rows whose cells do
    not fit the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file, strict=True), 1) if any(row)]
    except FileNotFoundError:
        raise ResponsesError(f"no such table: {path}") from None
    except IsADirectoryError:
        raise ResponsesError(f"{path} is a folder; name the table of answers in it") from None
    except OSError as error:
        raise ResponsesError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        mend = "; save it as CSV UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise ResponsesError(f"{path} is not a comma-separated UTF-8 table: {error}{mend}") from None
    if not rows:
        raise ResponsesError(f"{path} is empty; a table of answers starts with a header row")
    top, header = rows[0]
    _check_separator(top, header)
    for number, row in rows[1:]:
        if len(row) != len(header):
            told = (
                f"has {len(row)} cells, the header has {len(header)}; put text that holds a "
                "comma in double quotes, and write decimals with a point"
            )
            raise ResponsesError(told, row=number)
    return pd.DataFrame(
        [row for _, row in rows[1:]], index=[number for number, _ in rows[1:]], columns=header, dtype=object
    )


def _check_separator(top: int, header: list[str]) -> None:
    for mark, name in _NO_COMMA.items():
        if len(header) == 1 and mark in header[0]:
            told = (
                f"cells are separated by {name} ({header[0][:40]!r}); save the table with commas between them"
            )
            raise ResponsesError(f"{told}, and decimals with a point", row=top)
