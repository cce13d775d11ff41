"""One result as one record, and what is done with lists of them.

Every figure of a report is a `Result`; tables, plots and pages only look results up and lay them out. A
result that was refused is a record too: no estimate, and the reason in `note`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import pandas as pd

ALL = "all"
MACHINE = "machine-made"
ORIGINALS = "originals"
CHECK = " (check)"  # ends the name of a second test of a question that another result answers


@dataclass(frozen=True)
class Result:
    """One estimate, test or count, with its unit of inference.

    family: which question, and within which Holm's correction is made; name: what; group: of whom.
    estimate, low, high: the value and its interval (95 % unless `method` says otherwise); p: two-sided.
    n: how many units of inference (`unit`) it rests on. method: estimator and source. note: what a reader
    must know, or why nothing was computed. p_holm: p corrected within the family. count of total: the
    answers behind a proportion.
    """

    family: str
    name: str
    group: str = ALL
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int | None = None
    unit: str = ""
    method: str = ""
    note: str = ""
    p_holm: float | None = None
    count: int | None = None
    total: int | None = None

    @property
    def refused(self) -> bool:
        """Nothing was computed; `note` says why."""
        return self.estimate is None and self.p is None


def find(results: Iterable[Result], family: str, name: str, group: str = ALL) -> Result | None:
    """The first result of that family, name and group, or None."""
    return next((r for r in results if (r.family, r.name, r.group) == (family, name, group)), None)


def of_family(results: Iterable[Result], family: str) -> dict[tuple[str, str], Result]:
    """A family's results by name and group: for looking up many at once."""
    return {(r.name, r.group): r for r in results if r.family == family}


def groups(results: Iterable[Result], family: str, name: str) -> list[str]:
    """The groups for which a family holds a result of that name, in their order."""
    return list(dict.fromkeys(r.group for r in results if (r.family, r.name) == (family, name)))


def holm(results: Iterable[Result]) -> list[Result]:
    """The results with `p_holm` set: Holm (1979), Scandinavian Journal of Statistics 6:65-70, per family.

    Checks (names that end in `CHECK`) test nothing new and are left out of the count.
    """
    results = list(results)
    corrected: dict[int, float] = {}
    for family in dict.fromkeys(r.family for r in results):
        tests = [
            i
            for i, r in enumerate(results)
            if r.family == family and r.p is not None and not r.name.endswith(CHECK)
        ]
        highest = 0.0
        for place, i in enumerate(sorted(tests, key=lambda i: results[i].p)):
            highest = max(highest, min(1.0, (len(tests) - place) * results[i].p))
            corrected[i] = highest
    return [replace(r, p_holm=corrected[i]) if i in corrected else r for i, r in enumerate(results)]


def to_frame(results: Iterable[Result]) -> pd.DataFrame:
    """The results as a table, one a row, columns as the fields of `Result`."""
    return pd.DataFrame([asdict(r) for r in results], columns=[f.name for f in fields(Result)])


def to_json(results: Iterable[Result]) -> str:
    """The results as a JSON list; infinite and undefined numbers are null."""
    return (
        json.dumps(
            [{k: _plain(v) for k, v in asdict(r).items()} for r in results],
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n"
    )


def number(value) -> float | None:
    """A finite float, or None for what is missing, undefined or infinite."""
    return None if value is None or not np.isfinite(value) else float(value)


def _plain(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
