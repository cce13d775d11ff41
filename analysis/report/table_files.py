"""Tables as files: CSV with plain values, Markdown and LaTeX (booktabs) as a reader sees them."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.report.tables import Table, numeric
from caw.files import spreadsheet

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


def to_markdown(table: Table) -> str:
    """A pipe table under its title; numbers to the right."""
    shown = table.text()
    right = numeric(shown)
    lines = [
        f"**{_markdown(table.title)}**",
        "",
        "| " + " | ".join(_markdown(str(column)) for column in shown) + " |",
        "|" + "|".join("---:" if column in right else "---" for column in shown) + "|",
    ]
    for row in shown.itertuples(index=False, name=None):
        lines.append("| " + " | ".join(_markdown(cell) for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", " ".join(text.split()))


def to_latex(table: Table) -> str:
    """A booktabs table to be put into a document that loads booktabs and longtable."""
    shown = table.text()
    right = numeric(shown)
    columns = "".join("r" if column in right else "l" for column in shown)
    rows = [
        " & ".join(_latex(cell) for cell in row) + r" \\" for row in shown.itertuples(index=False, name=None)
    ]
    head = " & ".join(_latex(str(column)) for column in shown) + r" \\"
    title = rf"\caption{{{_latex(table.title)}}} \\"
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{columns}}}",
            title,
            r"\toprule",
            head,
            r"\midrule",
            r"\endhead",
            *rows,
            r"\bottomrule",
            r"\end{longtable}",
            "",
        ]
    )


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def write(table: Table, folder: Path) -> list[Path]:
    """`folder`/NAME.csv, .md and .tex; returns the paths."""
    paths = []
    for suffix, text in (
        ("csv", spreadsheet.frame_as_csv(table.frame)),
        ("md", to_markdown(table)),
        ("tex", to_latex(table)),
    ):
        path = folder / f"{safe_name(table.name)}.{suffix}"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def safe_name(name: str) -> str:
    """`name` as a file name: letters, digits, dots, dashes; an underscore for anything else."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "table"
