"""The pool: every clip before blinding, as 24-bit WAV, with a row each on where it came from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from caw import audio
from caw.files import atomic, spreadsheet
from study.design import LATER_FACTS
from study.folder import StudyFolder, make_private

# how a clip came to be; the key says it too, of LATER_FACTS those that any of its clips has
ORIGIN = ("backend", "mode", "epochs", "source", "seed", "run")
COLUMNS = (
    "name",
    "file",
    *ORIGIN,
    "made_at",
    "sha256",
    "start",  # s into the source's file, for originals
    "gain_db",  # what a clip above full scale was lowered by to fit into the file
    "remark",
    "recipe",  # digest of all that decides how the clip sounds
)
_NEEDED = {"name", "sha256", "backend"}  # columns without which a table is none
_NEVER_EMPTY = ("name", "sha256")
_CEILING = 0.999
_BETWEEN_SAVES = 20.0  # times what writing the table takes: 30,000 rows take a quarter of a second


ORIGINAL = "original"  # the backend of real clips, as the key names it


class PoolError(ValueError):
    """A clip in the pool is not the one its row describes, or its table cannot be read."""


class Pool:
    """pool/ and pool/pool.csv. A clip counts as there when its row, its recipe and its bytes agree.

    Raises: PoolError for a table that cannot be read.
    """

    def __init__(self, folder: StudyFolder):
        self.folder = folder
        self.rows = {row["name"]: row for row in rows(folder)}
        self._unsaved, self._saved, self._took = False, 0.0, 0.0

    def has(self, name: str, recipe: str) -> bool:
        """Whether the clip is there and made by that recipe.

        Raises: PoolError when its file was changed after it was made.
        """
        row = self.rows.get(name)
        if row is None or row.get("recipe") != recipe or not self.path(name).is_file():
            return False
        if atomic.sha256(self.path(name)) != row["sha256"]:
            told = f"{self.path(name)}: was changed after it was made"
            raise PoolError(f"{told}; delete it to have it made again, or bring it in as [[imported]]")
        return True

    def path(self, name: str) -> Path:
        return self.folder.pool / f"{name}.wav"

    def add(self, name: str, samples: np.ndarray, rate: int, **facts: Any) -> dict[str, str]:
        """Write the clip, then its row. Interrupted in between, the clip is simply made again.

        samples: float32 [n] at `rate` Hz. A clip above full scale is lowered to fit, and its row says so.
        """
        peak = float(np.abs(samples).max(initial=0.0))
        gain = min(1.0, _CEILING / peak) if peak > 1.0 else 1.0
        make_private(self.folder.pool)
        audio.write(self.path(name), samples * np.float32(gain), rate, subtype="PCM_24")
        self.path(name).chmod(0o600)
        row = dict.fromkeys((*COLUMNS, *LATER_FACTS), "")
        row |= {key: written(fact) for key, fact in facts.items()}
        row["name"], row["file"] = name, self.path(name).name
        row["gain_db"] = f"{20 * np.log10(gain):.2f}" if gain < 1.0 else ""
        row["made_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        row["sha256"] = atomic.sha256(self.path(name))
        again = name in self.rows  # its old row does not fit the new file
        self.rows[name] = row
        self._unsaved = True
        if again or time.monotonic() - self._saved >= _BETWEEN_SAVES * self._took:
            self.save()
        return row

    def save(self) -> None:
        """Write the rows that are not in the table yet: `add` alone does so as often as a large pool bears.

        A clip whose row a kill loses is made again.
        """
        if not self._unsaved:
            return
        began = time.monotonic()
        make_private(self.folder.pool)
        columns = with_later(COLUMNS, self.rows.values())
        spreadsheet.write(self.folder.pool_table, columns, self.rows.values(), mode=0o600)
        self._unsaved, self._saved = False, time.monotonic()
        self._took = self._saved - began

    def arrange(self, names: Iterable[str]) -> None:
        """Put the rows into this order, and those of no such name after them: workers end as they end."""
        order = [name for name in names if name in self.rows]
        known = set(order)
        order += [name for name in self.rows if name not in known]
        if order != list(self.rows):
            self.rows, self._unsaved = {name: self.rows[name] for name in order}, True
        self.save()

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """Samples float32 [n] and rate in Hz."""
        return audio.read(self.path(name))


def rows(folder: StudyFolder) -> list[dict[str, str]]:
    """The rows of pool/pool.csv as text; [] where there is no pool. Raises: PoolError, OSError."""
    file = folder.pool_table
    if not file.exists():
        return []
    fix = "put it back, or delete it to have its clips made again"
    try:
        table = spreadsheet.read(file, (*COLUMNS, *LATER_FACTS))
    except spreadsheet.TableError as error:
        raise PoolError(f"{error}; {fix}") from None
    if not {*table.columns} >= _NEEDED:
        raise PoolError(f"{file}: does not begin with the names of its columns; {fix}")
    places: dict[str, int] = {}
    found = []
    for number, row in zip(table.numbers, table.records(), strict=True):
        for column in _NEVER_EMPTY:
            if not row[column].strip():
                raise PoolError(f"{file}: row {number}, column {column!r}: is empty; {fix}")
        name = row["name"]
        if (first := places.setdefault(name, number)) != number:
            raise PoolError(f"{file}: row {number}: {name!r} stands in row {first} already; delete one")
        found.append({column: row.get(column) or "" for column in (*COLUMNS, *LATER_FACTS)})
    return found


def with_later(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns of a table, and after them those of LATER_FACTS that any row says something of: tables of
    studies without stay what they were."""
    stated = {fact for row in rows for fact in LATER_FACTS if row.get(fact)}
    return (*columns, *(fact for fact in LATER_FACTS if fact in stated))


def written(fact: Any) -> str:
    """A fact as it stands in the table."""
    return "" if fact is None else f"{fact:g}" if isinstance(fact, float) else str(fact)
