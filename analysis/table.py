"""Tables of a report, for programs and for readers: CSV of plain values, Markdown and LaTeX as they are read.

A `ReportTable` holds plain values, so that its CSV can be read by a program. `ReportTable.text` is the same
table as a reader sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis import formats as f
from caw.files import spreadsheet

_PLAIN = rf"[<>]?[-{f.MINUS}]?\d*\.?\d+%?"
NUMBER = re.compile(rf"|{f.NONE}|{_PLAIN}( to {_PLAIN})?( \(\d+%\))?")
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EM DASH}": "---",
    "\N{EN DASH}": "--",
}


@dataclass(frozen=True)
class ReportTable:
    """A table: `name` is its file's, `frame` its values, `written` how a column is shown (else as it is).

    `shown`: a shorter layout for readers, in place of all columns.
    """

    name: str
    title: str
    frame: pd.DataFrame
    written: dict[str, Callable] = field(default_factory=dict)
    shown: pd.DataFrame | None = None

    def cells(self) -> pd.DataFrame:
        """Every value as a reader sees it; what is missing is empty."""
        cells = {}
        for column in self.frame:
            write = self.written.get(column, str)
            cells[column] = ["" if _missing(value) else write(value) for value in self.frame[column]]
        return pd.DataFrame(cells, columns=self.frame.columns, dtype=object)

    def text(self) -> pd.DataFrame:
        """The table as a reader sees it: in its shorter layout, without columns that are empty."""
        text = self.cells() if self.shown is None else self.shown
        empty = [column for column in text if len(text) and (text[column] == "").all()]
        return text.drop(columns=empty)

    def to_markdown(self) -> str:
        """A pipe table under its title; numbers to the right."""
        shown = self.text()
        right = numeric(shown)
        rows = [list(shown), *shown.itertuples(index=False, name=None)]
        head, *body = ["| " + " | ".join(_markdown(str(cell)) for cell in row) + " |" for row in rows]
        rule = "|" + "|".join("---:" if column in right else "---" for column in shown) + "|"
        return "\n".join([f"**{_markdown(self.title)}**", "", head, rule, *body]) + "\n"

    def to_latex(self) -> str:
        """A booktabs table to be put into a document that loads booktabs and longtable."""
        shown = self.text()
        right = numeric(shown)
        rows = [list(shown), *shown.itertuples(index=False, name=None)]
        head, *body = [" & ".join(_latex(str(cell)) for cell in row) + r" \\" for row in rows]
        columns = "".join("r" if column in right else "l" for column in shown)
        return "\n".join(
            [
                rf"\begin{{longtable}}{{{columns}}}",
                rf"\caption{{{_latex(self.title)}}} \\",
                r"\toprule",
                head,
                r"\midrule",
                r"\endhead",
                *body,
                r"\bottomrule",
                r"\end{longtable}",
                "",
            ]
        )

    def write(self, folder: Path) -> list[Path]:
        """Write NAME.csv, NAME.md and NAME.tex into a folder; returns the paths."""
        texts = {
            "csv": spreadsheet.frame_as_csv(self.frame),
            "md": self.to_markdown(),
            "tex": self.to_latex(),
        }
        paths = [folder / f"{safe_name(self.name)}.{suffix}" for suffix in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths


def numeric(frame: pd.DataFrame) -> set[str]:
    """The columns that hold numbers, written out or not: they go to the right."""
    return {column for column in frame if all(NUMBER.fullmatch(str(cell)) for cell in frame[column])}


def _missing(value) -> bool:
    return value is None or (not isinstance(value, str) and pd.isna(value))


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def safe_name(name: str) -> str:
    """`name` as a file name: letters, digits, dots, dashes; an underscore for anything else."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "table"
