"""One result as one record, and what is done with lists of them.

Every figure of a report is a `Result`; tables, plots and pages only look results up and lay them out. A
result that was refused is a record too: no estimate, and the reason as its first note. A `Question` says what
is asked, and makes the one or the other of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from analysis.tests import holm as adjusted

ALL = "all"
MACHINE = "machine-made"
ORIGINALS = "originals"
MACHINE_LESS_ORIGINALS = f"{MACHINE} - {ORIGINALS}"
CHECK = " (check)"  # ends the name of a second test of a question that another result answers


@dataclass(frozen=True)
class Result:
    """One estimate, test or count, with its unit of inference.

    family: which question, and within which Holm's correction is made; name: what; group: of whom.
    estimate, low, high: the value and its interval (95 % unless `method` says otherwise); p: two-sided.
    n: how many units of inference (`unit`) it rests on. method: estimator and source. notes: what a reader
    must know, or why nothing was computed. p_holm: p corrected within the comparisons of one outcome in the
    family. count of total: the answers behind a proportion. level: of the interval.
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
    notes: tuple[str, ...] = ()
    p_holm: float | None = None
    count: int | None = None
    total: int | None = None
    level: float = 0.95

    @property
    def refused(self) -> bool:
        """Nothing was computed; the first note says why."""
        return self.estimate is None and self.p is None

    @property
    def note(self) -> str:
        """The notes in one line."""
        return "; ".join(self.notes)

    def noting(self, *notes: str) -> Result:
        """The same with more notes; empty ones, and those that it has, are left out."""
        return replace(self, notes=_distinct(*self.notes, *notes))


@dataclass(frozen=True)
class Question:
    """What is asked: the fields of a `Result` that are known before anything is computed."""

    family: str
    name: str
    group: str = ALL
    unit: str = ""
    method: str = ""

    def refuse(self, reason: str) -> Result:
        """Nothing was computed, for this reason."""
        return Result(**self._fields, notes=(reason,))

    def result(
        self,
        estimate: float | None = None,
        interval: tuple[float | None, float | None] | None = None,
        p: float | None = None,
        *,
        notes: Iterable[str] = (),
        of: tuple[int, int] | None = None,
        **others,
    ) -> Result:
        """What was computed: what is not finite is left out. of: count and total; others: further fields."""
        low, high = (number(end) for end in interval or (None, None))
        count, total = of or (None, None)
        values = {"estimate": number(estimate), "low": low, "high": high, "p": number(p)}
        values |= {"notes": _distinct(*notes), "count": count, "total": total}
        return Result(**self._fields | values | others)

    @property
    def _fields(self) -> dict[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _distinct(*notes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, notes)))


def find(results: Iterable[Result], family: str, name: str, group: str = ALL) -> Result | None:
    """The first result of that family, name and group, or None."""
    return next((r for r in results if (r.family, r.name, r.group) == (family, name, group)), None)


def of_family(results: Iterable[Result], family: str) -> dict[tuple[str, str], Result]:
    """A family's results by name and group: for looking up many at once."""
    return {(r.name, r.group): r for r in results if r.family == family}


def groups(results: Iterable[Result], family: str, name: str) -> list[str]:
    """The groups for which a family holds a result of that name, in their order."""
    return list(dict.fromkeys(r.group for r in results if (r.family, r.name) == (family, name)))


def holm(results: Iterable[Result], *, primary: tuple[str, str, str] | None = None) -> list[Result]:
    """The results with `p_holm` set: Holm (1979), Scandinavian Journal of Statistics 6:65-70.

    Corrected within the tests of one name in one family. primary: family, name and group of the one test that
    was chosen before the data, which is not corrected and corrects no other. Checks (names that end in
    `CHECK`) test nothing new and are left out of the count.
    """
    results = list(results)
    corrected, tests = {}, {}
    for i, r in enumerate(results):
        if r.p is None or r.name.endswith(CHECK):
            continue
        if (r.family, r.name, r.group) == primary:
            corrected[i] = r.p
        else:
            tests.setdefault((r.family, r.name), []).append(i)
    for places in tests.values():
        corrected |= zip(places, adjusted([results[i].p for i in places]), strict=True)
    return [replace(r, p_holm=corrected[i]) if i in corrected else r for i, r in enumerate(results)]


_COLUMNS = [field.name if field.name != "notes" else "note" for field in fields(Result)]


def to_frame(results: Iterable[Result]) -> pd.DataFrame:
    """The results as a table, one a row, columns as the fields of `Result`; notes are joined as `note`."""
    return pd.DataFrame([[getattr(r, name) for name in _COLUMNS] for r in results], columns=_COLUMNS)


def to_json(results: Iterable[Result]) -> str:
    """The results as a JSON list; infinite and undefined numbers are null."""
    records = [{name: _plain(getattr(r, name)) for name in (*_COLUMNS, "notes")} for r in results]
    return json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def number(value) -> float | None:
    """A finite float, or None for what is missing, undefined or infinite."""
    return None if value is None or not np.isfinite(value) else float(value)


def _plain(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
