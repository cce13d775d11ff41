"""The text of a study.toml as tables, or one error: no text that somebody can write ends with any other.

tomllib itself goes down one call for each bracket and takes time that grows with the square of a dotted key's
length, so both are bounded before it reads.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

LARGEST = 1_000_000  # bytes: a study.toml of a hundred sources has ten thousand
DEEPEST = 16  # tables or lists in each other
_NOT_CODE = re.compile(  # texts and comments
    r'"""(?:[^\\]|\\.)*?(?:"""|\Z)|'
    r"'''.*?(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])[\w-]+(?:[ \t]*\.[ \t]*[\w-]+){{{DEEPEST},}}")


class TomlError(ValueError):
    """What is wrong with the text, and the fix. line: from 1."""

    def __init__(self, what: str, fix: str, line: int = 1):
        super().__init__(f"{what}; {fix}")
        self.what, self.fix, self.line = what, fix, line


def read(file: Path) -> str:
    """The text of a file. Raises: TomlError for what is no text of a study; OSError."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise TomlError(f"is {kind}", "move it away and put the study's file in its place")
    if status.st_size > LARGEST:
        size = f"is {status.st_size / 1e6:.0f} MB, more than the {LARGEST / 1e6:.0f} MB of the largest study"
        raise TomlError(size, "put the study's own file back")
    return text_in(file.read_bytes())


def text_in(content: bytes) -> str:
    """The text that a file's bytes hold. Raises: TomlError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TomlError("is not UTF-8 text", "save it as UTF-8", line) from None


def parsed(text: str) -> dict[str, Any]:
    """The tables. Raises: TomlError with the line."""
    text = text.replace("\r\n", "\n")
    _check_depth(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else max(1, len(text.splitlines()))
        what = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        raise TomlError(what[:120], "correct this line or the one before it", line) from None
    except (ValueError, RecursionError):  # an integer of thousands of digits; brackets that were not counted
        digits = re.search(r"\d{1000}", text)
        line = text.count("\n", 0, digits.start()) + 1 if digits else 1
        raise TomlError("holds a value that is too large", "write a shorter one", line) from None
    _check_numbers(tables, text)
    return tables


def _check_depth(text: str) -> None:
    code = _NOT_CODE.sub(lambda part: '""' + "\n" * part[0].count("\n"), text)
    if found := _LONG_KEY.search(code.replace('""', "x")):
        line = code.replace('""', "x").count("\n", 0, found.start()) + 1
        raise TomlError(
            "a key has too many parts", f"write at most {DEEPEST} parts with points between", line
        )
    depth = 0
    for bracket in re.finditer(r"[\[{\]}]", code):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > DEEPEST:
            line = code.count("\n", 0, bracket.start()) + 1
            raise TomlError(
                "too many brackets stand in each other", f"close some; {DEEPEST} are allowed", line
            )


def _check_numbers(tables: dict[str, Any], text: str) -> None:
    """TOML's whole numbers have 64 bits; longer ones can be neither stored nor shown."""
    waiting: list[Any] = [tables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            digits = re.search(r"[\da-fA-FxXoObB_]{16,}", text)
            line = text.count("\n", 0, digits.start()) + 1 if digits else 1
            raise TomlError("a whole number is too large", "write one below 2^63", line)
