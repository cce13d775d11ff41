"""Tables that people open in a spreadsheet: what they typed must not run there as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may take for one at a cell's start


def without_formula(value: Any) -> Any:
    """Text that starts like a formula, with an apostrophe in front; anything else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with "\\n" line ends and no formula; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        told = {name: without_formula(value) for name, value in row.items()}
        writer.writerow({name: "" if value is None else value for name, value in told.items()})
    return text.getvalue()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a Parquet file: whole numbers, truth values and UTC times stay what they are, None is null.

    No apostrophe is put before text, as nothing runs a formula from such a file.
    """
    import pandas as pd

    content = io.BytesIO()
    pd.DataFrame(rows).convert_dtypes().to_parquet(content, index=False)
    return content.getvalue()
