"""The pool: every clip before blinding, a 24-bit WAV file each, with a row that says where it came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from caw import audio
from caw.files import atomic, spreadsheet
from caw.problems import ProblemError
from study.design import LATER_FACTS
from study.folder import StudyFolder, make_private

# How a clip came to be. The key holds these columns too, and those of LATER_FACTS that any of its clips has.
ORIGIN = ("backend", "mode", "epochs", "source", "seed", "run")
COLUMNS = (
    "name",
    "file",
    *ORIGIN,
    "made_at",
    "sha256",
    "start",  # s into the source's file, for originals
    "gain_db",  # by how much a clip above full scale was lowered to fit into the file
    "remark",
    "recipe",  # digest of everything that decides how the clip sounds
)
ORIGINAL = "original"  # the backend of real clips, as the key names it
_REQUIRED = {"name", "sha256", "backend"}  # without these columns a table is no pool.csv
_NEVER_EMPTY = ("name", "sha256")
_FULL_SCALE = 0.999
N = TypeVar("N", int, float)
_SAVE_INTERVAL = 20.0  # times what writing the table takes: 30,000 rows take a quarter of a second


class PoolError(ProblemError):
    """A clip in the pool is not the one its row describes, or its table cannot be read."""


@dataclass(frozen=True)
class Origin:
    """How a clip came to be, with typed values: what a set's `cells` in study.toml can ask for.

    A `Cell` of the plan has the same attributes.
    """

    source: str
    backend: str
    mode: str
    epochs: int | None = None
    plan: str = ""
    strength: float | None = None
    song: str = ""

    @classmethod
    def of_row(cls, row: Mapping[str, str]) -> Origin:
        """The origin of a clip, from its row of pool.csv. What is no number there counts as none."""
        return cls(
            source=row["source"],
            backend=row["backend"],
            mode=row["mode"],
            epochs=_number(row["epochs"], int),
            plan=row.get("plan", ""),
            strength=_number(row.get("strength", ""), float),
            song=row.get("song", ""),
        )


class Pool:
    """The folder pool/ and its table pool/pool.csv.

    A clip counts as present when its row, its recipe and the bytes of its file agree.

    Parameters
    ----------
    folder : StudyFolder
        The study that the pool belongs to. It need not have a pool yet.

    Attributes
    ----------
    rows : dict of str to dict of str to str
        The row of each clip as text, by the clip's name, with the columns `COLUMNS` and `LATER_FACTS`.

    Raises
    ------
    PoolError
        If the table exists and cannot be read.
    """

    def __init__(self, folder: StudyFolder):
        self.folder = folder
        self.rows = {row["name"]: row for row in rows(folder)}
        self._unsaved, self._saved_at, self._save_seconds = False, 0.0, 0.0

    def has(self, name: str, recipe: str) -> bool:
        """Whether the clip is present and was made by this recipe.

        Parameters
        ----------
        name : str
            The clip's name.
        recipe : str
            The digest of everything that decides how the clip sounds.

        Returns
        -------
        bool
            False also where the recipe differs, so that the clip is made again.

        Raises
        ------
        PoolError
            If the clip's file was changed after it was made.
        """
        row = self.rows.get(name)
        if row is None or row.get("recipe") != recipe or not self.path(name).is_file():
            return False
        if atomic.sha256(self.path(name)) != row["sha256"]:
            fix = "delete it to have it made again, or bring it in as [[imported]]"
            raise PoolError(f"{self.path(name)}: was changed after it was made", fix)
        return True

    def path(self, name: str) -> Path:
        """The file of a clip."""
        return self.folder.pool / f"{name}.wav"

    def add(self, name: str, samples: np.ndarray, rate: int, **facts: Any) -> dict[str, str]:
        """Write a clip, then its row. If the build is killed in between, the clip is made again.

        Parameters
        ----------
        name : str
            The clip's name, which is the stem of its file, too.
        samples : ndarray of float32, shape (n,)
            A clip above full scale is lowered to fit, and its row says by how much.
        rate : int
            Samples per second, in Hz.
        **facts
            Further columns of its row, such as `backend`, `mode` and `recipe`.

        Returns
        -------
        dict of str to str
            The clip's row.
        """
        peak = float(np.abs(samples).max(initial=0.0))
        gain = min(1.0, _FULL_SCALE / peak) if peak > 1.0 else 1.0
        make_private(self.folder.pool)
        audio.write(self.path(name), samples * np.float32(gain), rate, subtype="PCM_24")
        self.path(name).chmod(0o600)
        row = dict.fromkeys((*COLUMNS, *LATER_FACTS), "")
        row |= {key: written(fact) for key, fact in facts.items()}
        row["name"], row["file"] = name, self.path(name).name
        row["gain_db"] = f"{20 * np.log10(gain):.2f}" if gain < 1.0 else ""
        row["made_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        row["sha256"] = atomic.sha256(self.path(name))
        replaced = name in self.rows  # the old row on the disk does not fit the new file
        self.rows[name] = row
        self._unsaved = True
        if replaced or time.monotonic() - self._saved_at >= _SAVE_INTERVAL * self._save_seconds:
            self.save()
        return row

    def save(self) -> None:
        """Write the rows that are not in the table on the disk yet.

        `add` does so by itself as often as a large pool allows. A clip whose row a kill loses is made again.
        """
        if not self._unsaved:
            return
        began = time.monotonic()
        make_private(self.folder.pool)
        columns = with_later(COLUMNS, self.rows.values())
        spreadsheet.write(self.folder.pool_table, columns, self.rows.values(), mode=0o600)
        self._unsaved, self._saved_at = False, time.monotonic()
        self._save_seconds = self._saved_at - began

    def arrange(self, names: Iterable[str]) -> None:
        """Put the rows into this order, and all others after them: workers finish in no fixed order."""
        order = [name for name in names if name in self.rows]
        known = set(order)
        order += [name for name in self.rows if name not in known]
        if order != list(self.rows):
            self.rows, self._unsaved = {name: self.rows[name] for name in order}, True
        self.save()

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """The samples of a clip, float32 [n], and its rate in Hz."""
        return audio.read(self.path(name))


def rows(folder: StudyFolder) -> list[dict[str, str]]:
    """Read the table of a study's pool.

    Parameters
    ----------
    folder : StudyFolder
        The study.

    Returns
    -------
    list of dict of str to str
        One row for each clip, as text, with the columns `COLUMNS` and `LATER_FACTS`. Empty where there is
        no pool.

    Raises
    ------
    PoolError
        If the file is no table, lacks columns, or names a clip twice.
    OSError
        If the file cannot be read.
    """
    file = folder.pool_table
    if not file.exists():
        return []
    fix = "put it back, or delete it to have its clips made again"
    try:
        table = spreadsheet.read(file, (*COLUMNS, *LATER_FACTS))
    except spreadsheet.TableError as error:
        raise PoolError(str(error), fix) from None
    if not {*table.columns} >= _REQUIRED:
        raise PoolError(f"{file}: does not begin with the names of its columns", fix)
    first_rows: dict[str, int] = {}
    result = []
    for number, row in zip(table.numbers, table.records(), strict=True):
        for column in _NEVER_EMPTY:
            if not row[column].strip():
                raise PoolError(f"{file}: row {number}, column {column!r}: is empty", fix)
        name = row["name"]
        if (first := first_rows.setdefault(name, number)) != number:
            raise PoolError(f"{file}: row {number}: {name!r} stands in row {first} already", "delete one")
        result.append({column: row.get(column) or "" for column in (*COLUMNS, *LATER_FACTS)})
    return result


def _number(text: str, kind: Callable[[str], N]) -> N | None:
    try:
        return kind(text)
    except ValueError:
        return None


def with_later(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns of a table, and after them those of LATER_FACTS that any row has a value for.

    Tables of studies without plans and strengths so stay as they were before there were any.
    """
    stated = {fact for row in rows for fact in LATER_FACTS if row.get(fact)}
    return (*columns, *(fact for fact in LATER_FACTS if fact in stated))


def written(fact: Any) -> str:
    """A value as the table holds it.

    Examples
    --------
    >>> written(None), written(0.5), written(1500)
    ('', '0.5', '1500')
    """
    return "" if fact is None else f"{fact:g}" if isinstance(fact, float) else str(fact)
