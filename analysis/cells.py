"""What the cells of a table of answers say, whichever spreadsheet they went through: text, levels, numbers.

What can mean one thing only is taken (` Real`, full-width digits, WAHR for true); what can mean two, as 2.000
in a column of whole numbers, is refused with the row, the column, the value and what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import pandas as pd

from caw.files import spreadsheet
from caw.files.spreadsheet import TableError

FREE_TEXT = ("comment", "remark", "inspiring_text")
FINAL = "final_"  # begins the name of a column of final answers, free text as well; the question follows
TRUE = ("true", "1", "yes", "wahr", "ja", "vrai", "oui", "verdadero", "vero")  # as spreadsheets write them
FALSE = ("false", "0", "no", "falsch", "nein", "faux", "non", "falso")
_NO_VALUE = ("#n/a", "#nv", "#n/d")  # a lookup that found nothing, in several languages
_EMPTY = (*_NO_VALUE, "na", "n/a", "null", "-", "\u2010", "\u2013", "\u2014", ".")  # where no text is meant
_FAILED = r"#(ref|bezug|value|wert|div/0|name|num|zahl|null|calc|spill|[uü]berlauf|blocked|field)[!?]"
_WORDS = {  # what people write for a level, only to be advised
    "inspiring": {"ja": "yes", "nein": "no", "vielleicht": "maybe", "y": "yes", "n": "no"},
    "verdict": {"echt": "real", "unecht": "fake", "r": "real", "f": "fake"},
    "truth": {"echt": "real", "unecht": "fake", "r": "real", "f": "fake"},
    "difficulty": {"leicht": "easy", "einfach": "easy", "schwer": "difficult", "schwierig": "difficult"},
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d+,\d+")
_GROUPED = re.compile(r"([-+]?\d{1,3}(?:([ ,.'\u2019_])\d{3})(?:\2\d{3})*)(?:([.,])(\d+))?")
_MONTH = r"(jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zäéû]*\.?"
_DATE = re.compile(
    rf"\d{{1,4}}([-./])\d{{1,2}}\1\d{{1,4}}( .*|t.*)?|\d{{1,2}}[-./]\d{{1,2}}\.?|\d{{1,2}}:\d\d.*"
    rf"|(\d{{1,4}}[-. /]*)?{_MONTH}([-. /]*\d{{1,4}})?"
)


class ResponsesError(TableError):
    """A table that is not a table of answers; with `path`, `row` and `column` as a `TableError`."""


def text(raw: pd.DataFrame, column: str) -> pd.Series:
    """Text with blanks as None: of names, each in one form, so that two spellings of one are one."""
    values = []
    for row, cell in zip(raw.index, _cells(raw, column), strict=True):
        if cell is not None and not column.startswith((*FREE_TEXT, FINAL)):
            _refuse_failed(cell, row, column)
            cell = None if cell.casefold() in _NO_VALUE else spreadsheet.plain(cell) or None
        values.append(cell)
    return pd.Series(values, index=raw.index, dtype=object)


def levels(raw: pd.DataFrame, column: str, allowed: Sequence[str]) -> pd.Series:
    """Cells as one of the allowed words, whatever their capitals and spaces; blanks as None."""
    level_of, values = {_key(level): level for level in allowed}, []
    for row, cell in _filled(raw, column):
        level = None if cell is None else level_of.get(_key(cell))
        if cell is not None and level is None:
            advised = _WORDS.get(column, {}).get(_key(cell).rstrip("?!."))
            advised = advised or level_of.get(_key(cell).strip("?!._*\"'"))
            fix = f"write {advised!r}" if advised else "correct it"
            raise ResponsesError(f"{cell!r} is not one of {', '.join(allowed)}", fix, row=row, column=column)
        values.append(level)
    return pd.Series(values, index=raw.index, dtype=object)


def yes_or_no(raw: pd.DataFrame, column: str) -> list[bool | None]:
    """True and False as any table writes them, with None where nothing is said."""
    values: list[bool | None] = []
    for row, cell in _filled(raw, column):
        word = None if cell is None else re.sub(r"[.,]0+$", "", cell.casefold())
        if word is not None and word not in (*TRUE, *FALSE):
            raise ResponsesError(
                f"{cell!r} is not true or false", "write true or false", row=row, column=column
            )
        values.append(None if word is None else word in TRUE)
    return values


def numbers(
    raw: pd.DataFrame,
    column: str,
    low: float,
    high: float | None,
    *,
    whole: bool = False,
    commas: bool = False,
) -> list:
    """Cells as numbers from `low` to `high`, blanks as None.

    commas: whether the table may write decimals with a comma, as those do that separate cells by semicolons.
    """
    cells = list(_filled(raw, column))
    if commas and _decimal_commas([cell for _, cell in cells if cell is not None]):
        cells = [(row, cell and cell.replace(",", ".")) for row, cell in cells]
    values: list[float | int | None] = []
    for row, cell in cells:
        if cell is None:
            values.append(None)
            continue
        try:
            number = _number(cell, whole, high)
        except ValueError as error:
            raise ResponsesError(*str(error).rsplit("; ", 1), row=row, column=column) from None
        if not (low <= number < float("inf")) or (high is not None and number > high):
            bounds = f"between {low:g} and {high:g}" if high is not None else f"{low:g} or more"
            fix = f"it must be {bounds}, or empty where there is none"
            raise ResponsesError(f"{cell} is out of range", fix, row=row, column=column)
        if whole and number != int(number):
            fix = "correct it, or leave the cell empty"
            raise ResponsesError(f"{cell} is not a whole number", fix, row=row, column=column)
        values.append(int(number) if whole else number)
    return values


def plain_numbers(column: pd.Series) -> pd.Series:
    """A column as numbers where each of its cells is plainly one, else as it is; blanks as None."""
    blank = column.isna() | (column == "")
    filled = [str(cell) for cell in column[~blank]]
    if filled and all(re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d+)?", cell) for cell in filled):
        return pd.to_numeric(column.mask(blank))
    return column.astype(object).mask(blank, None)


def _number(cell: str, whole: bool, high: float | None) -> float:
    """Raises: ValueError with what to write instead."""
    plain = unicodedata.normalize("NFKC", cell).replace("\N{MINUS SIGN}", "-").strip()
    grouped = _GROUPED.fullmatch(plain)
    if grouped and (not whole or plain[0] == "0"):
        grouped = None if _NUMBER.fullmatch(plain) else grouped
    if grouped is None:
        try:
            return float(plain)
        except ValueError:
            raise ValueError(f"{cell!r} is {_advice(cell, plain, whole)}") from None
    number, mark, point, rest = grouped.groups()
    joined = number.replace(mark, "") + (f".{rest}" if rest and point != mark else "")
    if rest is None and mark in ",." and number.count(mark) == 1:
        small = float(plain.replace(",", "."))
        if high is not None and float(joined) > high:  # 7.000 of 10 is 7
            if mark == ".":
                return small
            raise ValueError(f"{cell!r} is not a number; write {small:g}")
        if not whole or (mark == "." and small == int(small)):
            raise ValueError(f"{cell!r} can mean {small:g} or {joined}; write {small:g} or {joined}")
    raise ValueError(f"{cell!r} is not a number; write {joined}, without a separator of thousands")


def _advice(cell: str, plain: str, whole: bool) -> str:
    """What such a cell is, and what to do about it."""
    if _COMMA.fullmatch(plain):
        pointed = plain.replace(",", ".")
        if not whole:
            return f"not a number; write {pointed}, with a point"
        if float(pointed) == int(float(pointed)):
            return f"not a number; write {int(float(pointed))}"
        return f"{pointed} with a decimal comma, not a whole number; correct it, or leave the cell empty"
    if re.fullmatch(r"#+", plain):
        return "what a spreadsheet saves of a column that is too narrow; widen the column and save it again"
    if _DATE.fullmatch(plain.casefold()):
        fix = "give the column the format Number in the spreadsheet, and check its values"
        return f"a date or a time, not a number; {fix}"
    if begins := re.match(r"[-+]?\d+(\.\d+)?(?=\s*[^\d\s.,;:/'-]+\s*$)", plain):
        return f"not a number; write {begins[0]} alone" if begins[0] else "not a number; correct it"
    return "not a number; correct it, or leave the cell empty"


def _decimal_commas(cells: Sequence[str]) -> bool:
    """Whether a column's commas are surely decimal ones: no point, and not all stand before three digits."""
    pieces = [cell for cell in cells if "," in cell]
    whole = all(_COMMA.fullmatch(cell) or cell.lstrip("+-").isdigit() for cell in cells)
    return whole and any(len(cell.split(",")[1]) != 3 for cell in pieces)


def _cells(raw: pd.DataFrame, column: str) -> list[str | None]:
    """Cells with blanks as None. Text is stripped, of composed letters, without what no printer shows."""
    cells: list[str | None] = []
    for value in raw[column].astype(object):
        if value is None or (not isinstance(value, str) and pd.isna(value)):
            cells.append(None)
            continue
        cell = unicodedata.normalize("NFC", str(value)).strip()
        if not cell.isprintable():
            shown = (c for c in cell if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
            cell = "".join(shown).strip()
        cells.append(cell or None)
    return cells


def _filled(raw: pd.DataFrame, column: str) -> Iterator[tuple[int, str | None]]:
    """Row and cell of a column that holds no free text; what programs write for nothing is None."""
    for row, cell in zip(raw.index, _cells(raw, column), strict=True):
        if cell is not None:
            _refuse_failed(cell, row, column)
            cell = spreadsheet.plain(cell)
        yield row, None if cell is None or cell.casefold() in _EMPTY else cell or None


def _refuse_failed(cell: str, row: int, column: str) -> None:
    if re.fullmatch(_FAILED, cell.casefold()):
        message = f"{cell!r} is what a spreadsheet shows for a formula that failed"
        fix = "correct the formula, or write the value in its place"
        raise ResponsesError(message, fix, row=row, column=column)


def _key(word: str) -> str:
    word = unicodedata.normalize("NFKC", word).casefold().strip()
    return re.sub(r"[\s-]+", "_", re.sub(r"['\u2018\u2019\u00b4`]", "", word))
