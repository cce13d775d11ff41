"""Ids that tell nothing, and the sealed key that tells everything.

The key is the only file that joins a stimulus with its truth. Its seal, the sha256 of its bytes, is recorded
with the answers when a study is built: a key that was changed later cannot pass for the one listeners took.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caw.files import atomic, spreadsheet
from study.design import LATER_FACTS
from study.folder import StudyFolder
from study.pool import ORIGIN, with_later

ALPHABET = "abcdefghijklmnopqrstuvwxyz23456789"
ID_LENGTH = 8
KEY_COLUMNS = ("set", "stimulus_id", "name", "truth", *ORIGIN, "sha256")
STIMULUS_TIME = 946_684_800  # s since 1970: every stimulus file was "changed" at the start of the year 2000


class BlindingError(ValueError):
    """The key is missing, or not the one that was sealed."""


def new_ids(count: int) -> list[str]:
    """Fresh ids from the system's random source, in alphabetical order.

    They follow from no seed, so nobody who knows the study's settings can compute them.
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
    """Give a stimulus file the same times as every other: servers tell them to browsers."""
    os.utime(file, (STIMULUS_TIME, STIMULUS_TIME))


def write_key(folder: StudyFolder, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write private/key.csv, for its owner alone, and return its seal."""
    folder.make_private()
    ordered = sorted(rows, key=lambda row: (row["set"], row["stimulus_id"]))
    spreadsheet.write(folder.key, with_later(KEY_COLUMNS, ordered), ordered, mode=0o600)
    return seal(folder)


def seal(folder: StudyFolder) -> str:
    """sha256 of the key. Raises: BlindingError when there is none."""
    try:
        return atomic.sha256(folder.key)
    except FileNotFoundError:
        told = f"{folder.key}: there is no key"
        raise BlindingError(f"{told}; build the study with `study build {folder.path}`") from None


def read_key(folder: StudyFolder, sealed: str) -> list[dict[str, str]]:
    """The key's rows. Raises: BlindingError when it is missing or differs from the one sealed as `sealed`."""
    require_sealed(folder, sealed)
    return rows(folder)


def rows(folder: StudyFolder) -> list[dict[str, str]]:
    """The key's rows, sealed or not; [] where there is none. Raises: BlindingError where it is damaged."""
    try:
        found = spreadsheet.records(folder.key, (*KEY_COLUMNS, *LATER_FACTS))
    except spreadsheet.TableError as error:
        raise BlindingError(f"{error}; put the original file back") from None
    if found and (lacking := [name for name in KEY_COLUMNS if name not in found[0]]):
        raise BlindingError(f"{folder.key}: lacks {', '.join(lacking)}; put the original file back")
    return found


def require_sealed(folder: StudyFolder, sealed: str) -> None:
    """Raises: BlindingError when the key is missing or its bytes are not those sealed as `sealed`."""
    found = seal(folder)
    if found != sealed:
        told = (
            f"{folder.key}: is not the key that was sealed at build ({found[:12]} instead of {sealed[:12]})"
        )
        raise BlindingError(f"{told}; put the original file back")
