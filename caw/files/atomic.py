"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from caw.problems import ProblemError

LARGEST_JSON = 256_000_000  # bytes
_LONG_NAME = 200  # bytes
TEMPORARY = ".tmp"  # suffix of files that an interrupted write may leave; their names start with a dot


def write(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Write a file that appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file. Folders that are missing above it are made.
    content : bytes or str
        Text is written as UTF-8.
    mode : int
        The file's permissions from its first byte on, whatever the umask.

    Raises
    ------
    OSError
        Naming `path`; nothing is left behind then.

    Notes
    -----
    The content is written under a temporary name beside `path`, flushed to the disk and renamed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes" / "first.txt"
    >>> write(path, "one line")
    >>> path.read_text()
    'one line'
    """
    if isinstance(content, str):  # a name in it that is no UTF-8 must not end the work
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
        with contextlib.suppress(OSError):  # renamed, or never made
            temporary.unlink()


def _short(name: str) -> str:
    """A name that leaves room for a suffix within the 255 bytes of a file's name."""
    if len(os.fsencode(name)) <= _LONG_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


class DamagedError(ProblemError):
    """A file does not hold what was written into it."""


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises DamagedError, which names the file, where it is cut short, overwritten or holds no object, and
    OSError where it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    try:
        if len(content) > LARGEST_JSON:
            raise ValueError(f"more than {LARGEST_JSON // 1_000_000} MB")
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "too many brackets in each other" if isinstance(error, RecursionError) else error
        raise DamagedError(f"{path} is damaged ({reason})") from None
    if not isinstance(record, dict):
        raise DamagedError(f"{path} is damaged (it holds no JSON object)")
    return record


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
