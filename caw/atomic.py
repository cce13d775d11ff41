"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_LONG_NAME = 200  # bytes
TEMPORARY = ".tmp"  # what an interrupted write may leave behind ends so, and starts with a dot


def write(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Write a file under a temporary name beside `path`, flush it to the disk, then rename it.

    mode: the file's permissions from its first byte on, whatever the umask.
    Raises: OSError naming `path`; nothing is left behind then.
    """
    if isinstance(content, str):  # a file's name that is no UTF-8, somewhere in it, must not end the work
        content = content.encode(errors="backslashreplace")
    temporary = path.with_name(f".{_short(path.name)}.{os.getpid()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    finally:
        with contextlib.suppress(OSError):  # a place that holds no files holds no rest of one
            temporary.unlink()


def _short(name: str) -> str:
    """A name that leaves room for more within the 255 bytes of a file's name."""
    if len(os.fsencode(name)) <= _LONG_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, mode: int = 0o644
) -> None:
    """Write rows as UTF-8 CSV with "\\n" line ends; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    write(path, text.getvalue(), mode=mode)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file as text; [] when there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
