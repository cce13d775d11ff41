"""Tables that people open in a spreadsheet and save again: the only writer and reader of CSV.

Nothing in a written table can run as a formula, whichever separator it is opened with: an apostrophe, the
guard, is put before any text that could. The reader removes that apostrophe, so that a table is read exactly
as it was written. It also understands what spreadsheets make of a table: semicolons, tabs, other encodings,
empty columns and rows. What is ambiguous it refuses, and the error names the row and the fix.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from caw.files import atomic, table_text
from caw.files.table_text import TextError
from caw.problems import ProblemError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # commas where in doubt
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_SPACES = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# What programs skip before the sign of a formula: spaces, control characters and quotation marks.
_BEFORE = rf"[{_SPACES}{_INVISIBLE}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\"']*"
_SIGN = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"  # with the full-width and the small ones
# A cell begins where the text does and, in a program that takes other separators, after each of these.
_FIRST, _LATER = rf"(?={_BEFORE}[{_SIGN}\t\r\n])", rf"(?={_BEFORE}[{_SIGN}])"
_AFTER = r"(?<=[;\t\r\n])"
_HARMLESS = r"(?!-(?:\d+\.?\d*(?:[eE][-+]?\d+)?)?\Z)"  # a cell that is a negative number, or a dash alone
_UNGUARDED = re.compile(rf"^{_FIRST}{_HARMLESS}|{_AFTER}{_LATER}")
_GUARDED = re.compile(rf"^'{_FIRST}|{_AFTER}'{_LATER}")
_MAY_BEGIN_CELLS = re.compile(r"[;\t\r\n]")


class TableError(ProblemError):
    """A table that cannot be used as it is.

    Parameters
    ----------
    what, fix : str
        As of a `ProblemError`. The message begins with the file and the place, where these are known.
    path : Path, optional
    row : int, optional
        In a file, as a spreadsheet counts (the header is row 1); in a frame, counted from 1.
    column : str, optional
        Its name.
    """

    def __init__(
        self,
        what: str,
        fix: str = "",
        *,
        path: Path | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        place = ", ".join([*([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])])
        super().__init__(": ".join([*([str(path)] if path else []), *([place] if place else []), what]), fix)
        self.reason, self.path, self.row, self.column = what, path, row, column

    @classmethod
    def of(cls, error: TableError, path: Path | None = None) -> Self:
        """The same error as one of this class, and of the file at `path`."""
        path = path or error.path
        return cls(error.reason, error.problem.fix, path=path, row=error.row, column=error.column)


@dataclass(frozen=True)
class Table:
    """A table as text."""

    columns: list[str]
    rows: list[list[str]]  # cells in the order of `columns`
    numbers: list[int]  # the row of the file in which each of `rows` stands
    separator: str = ","

    def records(self) -> list[dict[str, str]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def guarded(text: str) -> str:
    """Text with an apostrophe before all that a spreadsheet may run as a formula."""
    if text[:1].isalnum() and not _MAY_BEGIN_CELLS.search(text):
        return text
    return _UNGUARDED.sub("'", text)


def unguarded(text: str) -> str:
    """Text as it was before `guarded`."""
    return _GUARDED.sub("", text) if "'" in text else text


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as comma-separated text with "\\n" line ends and no formula; None becomes an empty cell."""
    return _csv(columns, ([row.get(name) for name in columns] for row in rows))


def frame_as_csv(frame: pd.DataFrame) -> str:
    """A frame without its index, as `as_csv`; what is missing becomes an empty cell."""
    rows = ([_whole(value) for value in row] for row in frame.itertuples(index=False, name=None))
    return _csv([str(column) for column in frame.columns], rows)


def write(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, mode: int = 0o644
) -> None:
    """Write a table as CSV, in UTF-8.

    Parameters
    ----------
    path : Path
        The file, which appears whole or not at all.
    columns : sequence of str
        The header.
    rows : iterable of mappings
        Cells by column; None and missing ones are empty. Text gets an apostrophe before what a spreadsheet
        may run as a formula.
    mode : int
        The file's permissions.

    Raises
    ------
    OSError
        Naming `path`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clips.csv"
    >>> write(path, ["clip", "seconds"], [{"clip": "=take", "seconds": 2.5}])
    >>> path.read_text().splitlines()
    ['clip,seconds', "'=take,2.5"]
    >>> read(path).records()
    [{'clip': '=take', 'seconds': '2.5'}]
    """
    atomic.write(path, as_csv(columns, rows), mode=mode)


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a Parquet file: whole numbers, truth values and UTC times stay what they are, None is null.

    No apostrophe is put before text, as nothing runs a formula from such a file.
    """
    import pandas as pd

    content = io.BytesIO()
    pd.DataFrame(rows).convert_dtypes().to_parquet(content, index=False)
    return content.getvalue()


def records(path: Path, known: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a table by column, as `read` gives them; [] where there is no file."""
    return read(path, known).records() if path.exists() else []


def read(path: Path, known: Sequence[str] = (), *, repeated: bool = False) -> Table:
    """Read a table that a spreadsheet may have saved.

    Parameters
    ----------
    path : Path
        Text with commas, semicolons, tabs or vertical bars between cells.
    known : sequence of str
        Names of the columns that are looked for. By them the separator is recognised, and a heading that
        differs from one of them only in capitals, spaces or hyphens is taken for it.
    repeated : bool, optional
        Whether headings may stand several times, as those of a form do; later ones are named by `again`.

    Returns
    -------
    Table
        Rows and columns without any content are left out.

    Raises
    ------
    TableError
        With the row and the fix: for a file that is missing, empty, no text table or in an ambiguous
        encoding, for rows with more cells than the header, and for cells under no heading.
    OSError
        Where the file cannot be read.
    """
    try:
        text = table_text.read(path)
        separator, begin = _separator(text, known)
        lines = _parsed(text, separator)[begin:]
    except TextError as error:
        raise TableError(error.problem.what, error.problem.fix, path=path, row=error.row) from None
    filled = [(number, cells) for number, cells in enumerate(lines, begin + 1) if any(map(_content, cells))]
    if not filled:
        raise TableError("is empty", "a table starts with a header row", path=path)
    (top, header), *body = filled
    try:
        _check_whole_rows(filled, separator)
        _check_first_row(filled, known)
        _check_last_row(text, lines, len(header))
        header = headings([unguarded(cell) for cell in header], known)
        width = max(len(cells) for _, cells in filled)
        header += [""] * (width - len(header))
        if repeated:
            header = [name and again(name, header[:place].count(name)) for place, name in enumerate(header)]
        padded = [(number, cells + [""] * (width - len(cells))) for number, cells in body]
        taken = [place for place, name in enumerate(header) if name or _holding(padded, place)]
        _check_headings(top, header, padded, separator)
    except TableError as error:
        raise TableError.of(error, path) from None
    return Table(
        [header[place] for place in taken],
        [[unguarded(cells[place]) for place in taken] for _, cells in padded],
        [number for number, _ in padded],
        separator,
    )


def again(heading: str, times: int) -> str:
    """The name of a heading that stood so many times before it."""
    return f"{heading} ({times + 1})" if times else heading


def headings(cells: Sequence[str], known: Sequence[str] = ()) -> list[str]:
    """Headings without spaces around them; a heading that can only mean a known column gets its name."""
    names = {_key(name): name for name in known}
    return [names.get(_key(cell), _content(cell)) for cell in cells]


def plain(text: str) -> str:
    """A name in its plain form: composed letters (NFC), single spaces, no invisible characters."""
    return " ".join(re.sub(f"[{_INVISIBLE}]", "", unicodedata.normalize("NFC", text)).split())


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return "".join(",".join(map(_written, line)) + "\n" for line in (columns, *rows))


def _whole(value: Any) -> Any:
    """A whole float as an integer: counts become floats in a column in which one is missing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _written(value: Any) -> str:
    """One cell as it stands in the file; missing and infinite numbers are empty."""
    if isinstance(value, str):  # a table is UTF-8, in which half a character cannot be written
        text = guarded(value.replace("\0", "").encode("utf-8", "backslashreplace").decode())
    elif value is None or type(value).__name__ in ("NAType", "NaTType"):
        text = ""
    elif isinstance(value, float):
        text = repr(float(value)) if math.isfinite(value) else ""
    else:
        text = str(value)
    return '"' + text.replace('"', '""') + '"' if re.search(r'[,"\r\n]', text) else text


def _content(cell: str) -> str:
    return cell.strip(" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u200b\u2007\u202f\u3000\ufeff")


def _key(heading: str) -> str:
    return re.sub(r"[\s-]+", "_", plain(unicodedata.normalize("NFKC", heading)).casefold())


def _separator(text: str, known: Sequence[str]) -> tuple[str, int]:
    """The separator, and the number of rows before the header: Excel may write a line "sep=;" there."""
    if line := re.match(r"sep=(.)\r?\n?", text):
        return line[1], 1
    wanted, best, most = {_key(name) for name in known}, ",", 0
    for separator in _SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            header = next((cells for cells in reader if any(map(_content, cells))), [])
        except csv.Error:  # `_parsed` explains it
            continue
        if (count := len(wanted & {_key(cell) for cell in header})) > most:
            best, most = separator, count
    return best, 0


def _parsed(text: str, separator: str) -> list[list[str]]:
    """All rows, blank ones as []. Raises TextError for quotation marks that do not match."""
    reader, lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), []
    while True:
        try:
            lines.append(next(reader))
        except StopIteration:
            return lines
        except csv.Error as error:
            if "field larger" in str(error):
                message = f"a cell has more than {csv.field_size_limit():,} characters"
                fix = "most likely a double quote opens there and is not closed: close it"
                raise TextError(message, fix, row=len(lines) + 1) from None
            if "after" in str(error):
                fix = f"write a double quote inside a cell twice, and quote cells that hold {separator!r}"
                raise TextError("text follows a closing double quote", fix, row=len(lines) + 1) from None
            fix = "close it, or write a double quote that is part of the text twice"
            raise TextError("a double quote opens and is not closed", fix, row=len(lines) + 1) from None


def _check_whole_rows(filled: list[tuple[int, list[str]]], separator: str) -> None:
    one_column = len(filled[0][1]) == 1 and filled[0][1][0].count(separator) < 2
    for number, cells in [] if one_column else filled:
        if not any(map(_content, cells[1:])) and cells[0].count(separator) > 1:
            name = _SEPARATORS.get(separator, repr(separator))
            message = f"the whole row stands in its first cell ({cells[0][:40]!r}), as a spreadsheet saves it"
            fix = f"import the table with {name} between cells (Data, From Text/CSV) and save it again"
            raise TableError(f"{message} that takes other separators", fix, row=number)


def _check_first_row(filled: list[tuple[int, list[str]]], known: Sequence[str]) -> None:
    """Raise TableError where the header is not the first row, as below a title."""
    wanted = {_key(name) for name in known}
    counts = [len(wanted & set(map(_key, cells))) for _, cells in filled[:20]]
    if not counts[0] and max(counts) > 1:
        top, below = filled[0][0], filled[counts.index(max(counts))][0]
        message = f"is not the header, which stands in row {below}"
        raise TableError(message, f"delete the rows above row {below}", row=top)


def _check_last_row(text: str, lines: list[list[str]], width: int) -> None:
    """Raise TableError where the last row has too few cells and no line end, as where a file was cut off."""
    if lines and lines[-1] and len(lines[-1]) < width and not text.endswith(("\n", "\r")):
        message = f"ends early, with {len(lines[-1])} of {width} cells, as a file does that was cut off"
        raise TableError(message, "put the whole file back, or complete this row", row=len(lines))


def _check_headings(top: int, header: list[str], body: list[tuple[int, list[str]]], separator: str) -> None:
    """Raise TableError for a cell under no heading, or a heading that stands twice."""
    named = max((place for place, name in enumerate(header) if name), default=-1) + 1
    for place, name in enumerate(header):
        if name and name in header[:place]:
            letters = f"{_letter(header.index(name))} and {_letter(place)}"
            message = f"the header names {name!r} twice, in columns {letters}"
            raise TableError(message, "rename or delete one of them", row=top)
        if name or not (row := _holding(body, place)):
            continue
        number, cells = row
        shown = repr(unguarded(cells[place])[:40])
        if place < named:
            message = f"column {_letter(place)} has no name in row {top} and holds {shown}"
            raise TableError(message, "name the column, or empty it", row=number)
        count = max(at for at, cell in enumerate(cells) if _content(cell)) + 1
        message = f"has {count} cells, the header has {named}; column {_letter(place)} holds {shown}"
        fix = f"put text that holds {separator!r} in double quotes, and write decimals with a point"
        raise TableError(message, f"{fix}{_curly(cells)}", row=number)


def _curly(cells: list[str]) -> str:
    """A hint where text stands in typographic quotation marks, which quote nothing in a table."""
    marks = sorted({letter for cell in cells for letter in cell} & set("\u201c\u201d\u201e"))
    return f'; write straight double quotes (") for {" ".join(marks)}' if marks else ""


def _holding(body: list[tuple[int, list[str]]], place: int) -> tuple[int, list[str]] | None:
    """The first row that has content in a column."""
    return next((row for row in body if _content(row[1][place])), None)


def _letter(place: int) -> str:
    """A column as spreadsheets name it: 0 is A, 26 is AA."""
    name, place = "", place + 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
