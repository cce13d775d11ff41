"""Ids that reveal nothing, and the sealed key that reveals everything.

The key is the only file that connects a stimulus with its truth. Its seal, the sha256 of its bytes, is
recorded with the answers when a study is built, so that a key which was changed later is noticed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caw.files import atomic, spreadsheet
from caw.problems import ProblemError
from study.design import LATER_FACTS
from study.folder import StudyFolder
from study.pool import ORIGIN, with_later

ALPHABET = "abcdefghijklmnopqrstuvwxyz23456789"
ID_LENGTH = 8
KEY_COLUMNS = ("set", "stimulus_id", "name", "truth", *ORIGIN, "sha256")
DRAWN = "drawn"  # a further column of the key of a next round: how its rule chose the clip
STIMULUS_TIME = 946_684_800  # s since 1970: every stimulus file was "changed" at the start of the year 2000


class BlindingError(ProblemError):
    """The key is missing, or not the one that was sealed."""


def new_ids(count: int) -> list[str]:
    """Draw fresh ids from the system's random source.

    They follow from no seed, so nobody who knows the study's settings can compute them.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of str
        Ids of eight letters and digits, all different, in alphabetical order.

    Examples
    --------
    >>> [len(stimulus_id) for stimulus_id in new_ids(3)]
    [8, 8, 8]
    """
    ids: set[str] = set()
    while len(ids) < count:
        ids.add("".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH)))
    return sorted(ids)


def shuffled(items: Iterable[Any]) -> list[Any]:
    """The items in an order drawn from the system's random source."""
    items = list(items)
    secrets.SystemRandom().shuffle(items)
    return items


def even_out_times(file: Path) -> None:
    """Give a stimulus file the same times as every other, because servers send them to browsers."""
    os.utime(file, (STIMULUS_TIME, STIMULUS_TIME))


def write_key(folder: StudyFolder, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write private/key.csv, readable by its owner alone, and return its seal."""
    folder.make_private()
    ordered = sorted(rows, key=lambda row: (row["set"], row["stimulus_id"]))
    columns = with_later(KEY_COLUMNS, ordered)
    columns += (DRAWN,) if any(row.get(DRAWN) for row in ordered) else ()
    spreadsheet.write(folder.key, columns, ordered, mode=0o600)
    return seal(folder)


def seal(folder: StudyFolder) -> str:
    """The sha256 of the key. Raises BlindingError when there is none."""
    try:
        return atomic.sha256(folder.key)
    except FileNotFoundError:
        fix = f"build the study with `study build {folder.path}`"
        raise BlindingError(f"{folder.key}: there is no key", fix) from None


def read_key(folder: StudyFolder, sealed: str) -> list[dict[str, str]]:
    """Read the key, if it is the one that was sealed.

    Parameters
    ----------
    folder : StudyFolder
        The study.
    sealed : str
        The seal of the key, as it was recorded with the answers.

    Returns
    -------
    list of dict of str to str
        One row for each stimulus, with `KEY_COLUMNS` and those of `LATER_FACTS` that any clip has.

    Raises
    ------
    BlindingError
        If the key is missing or differs from the sealed one.
    """
    require_sealed(folder, sealed)
    return rows(folder)


def keys_of_rounds(folder: StudyFolder, rounds: Iterable[Any]) -> list[dict[str, str]]:
    """Read the keys of further rounds, as `study.store.store.Store.rounds` gives them, in one list.

    Raises BlindingError where one is missing or not the one that was sealed.
    """
    places = [(StudyFolder(folder.path / one.folder), one.key_sha256) for one in rounds]
    return [row for place, sealed in places for row in read_key(place, sealed)]


def rows(folder: StudyFolder) -> list[dict[str, str]]:
    """Read the key without asking for its seal, as a build does.

    Parameters
    ----------
    folder : StudyFolder
        The study.

    Returns
    -------
    list of dict of str to str
        As of `read_key`. Empty where there is no key.

    Raises
    ------
    BlindingError
        If the file is damaged.
    """
    fix = "put the original file back"
    try:
        result = spreadsheet.records(folder.key, (*KEY_COLUMNS, *LATER_FACTS, DRAWN))
    except spreadsheet.TableError as error:
        raise BlindingError(str(error), fix) from None
    if result and (missing := [name for name in KEY_COLUMNS if name not in result[0]]):
        raise BlindingError(f"{folder.key}: lacks {', '.join(missing)}", fix)
    return result


def require_sealed(folder: StudyFolder, sealed: str) -> None:
    """Raise BlindingError when the key is missing, or when its seal is not `sealed`."""
    current = seal(folder)
    if current != sealed:
        what = f"is not the key that was sealed at build ({current[:12]} instead of {sealed[:12]})"
        raise BlindingError(f"{folder.key}: {what}", "put the original file back")
