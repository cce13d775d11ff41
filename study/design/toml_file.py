"""Reads the text of a study.toml into tables, and writes the researcher's password into it.

No text that somebody can write ends in anything but tables or one `DesignError`. `tomllib` calls itself for
each bracket, and its time grows with the square of a dotted key's length, so both are bounded here.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import tomlkit

from caw.files import atomic
from study.design.errors import DesignError, KeyPath, dotted

LARGEST = 1_000_000  # bytes: a study.toml of a hundred sources has ten thousand
DEEPEST = 16  # tables or lists in each other
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100,}""")


def read(file: Path) -> tuple[dict[str, Any], str]:
    """The tables of a file, and its text without a byte order mark. Raises: DesignError, OSError."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise DesignError(
            file, "TOML", None, f"is {kind}", "move it away and put the study's file in its place"
        )
    if status.st_size > LARGEST:
        size = f"is {status.st_size / 1e6:.0f} MB, more than the {LARGEST / 1e6:.0f} MB of the largest study"
        raise DesignError(file, "TOML", None, size, "put the study's own file back")
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DesignError(file, f"line {line}", None, "is not UTF-8 text", "save it as UTF-8") from None
    return _parsed(text.replace("\r\n", "\n"), file), text


def _parsed(text: str, file: Path) -> dict[str, Any]:
    if match := _LONG_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise DesignError(file, f"line {line}", None, "a key has too many parts", "write fewer points")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+)", str(error))
        line = int(match[1]) if match else max(1, len(text.splitlines()))
        reason = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        fix = "correct this line or the one before it"
        raise DesignError(file, f"line {line}", None, reason[:120], fix) from None
    except RecursionError:
        raise _too_deep(file, ()) from None
    except ValueError:  # an integer of thousands of digits
        raise DesignError(
            file, "TOML", None, "holds a value that is too large", "write a shorter one"
        ) from None
    _check_values(tables, file)
    return tables


def _check_values(tables: dict[str, Any], file: Path) -> None:
    """TOML's whole numbers have 64 bits; longer ones can be neither stored nor shown."""
    waiting: list[tuple[KeyPath, Any]] = [((), tables)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > DEEPEST:
            raise _too_deep(file, path)
        if isinstance(value, dict):
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise DesignError(file, dotted(path), None, "a whole number is too large", "write one below 2^63")


def _too_deep(file: Path, path: KeyPath) -> DesignError:
    where = dotted(path[:2])[:80] or "TOML"
    fix = f"close some brackets; {DEEPEST} levels are allowed"
    return DesignError(file, where, None, "too many tables or lists stand in each other", fix)


def write_password(file: Path, password_hash: str) -> None:
    """Put the hash of the researcher's password into a study.toml, and leave all else in it as it is.

    Raises: DesignError where the file is no TOML, or `researcher` in it is no table.
    """
    file = file.resolve()  # a link stays a link
    tables, text = read(file)
    if not isinstance(tables.get("researcher", {}), dict):
        raise DesignError(file, "researcher", None, "is no table", "write it as [researcher]")
    document = tomlkit.parse(text.replace("\r\n", "\n"))
    if "researcher" not in document:
        document["researcher"] = tomlkit.table()
    document["researcher"]["password"] = password_hash
    written = tomlkit.dumps(document)
    if "\r\n" in text:
        written = written.replace("\n", "\r\n")
    if file.read_bytes().startswith(b"\xef\xbb\xbf"):
        written = "\ufeff" + written
    atomic.write(file, written, mode=stat.S_IMODE(file.stat().st_mode))
