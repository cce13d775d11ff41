"""Where a key stands in a TOML text, so that an error can name the line to mend.

tomllib gives values without positions. This scan knows just enough TOML to follow tables, arrays of tables,
dotted keys and values that run over several lines; what it cannot place falls back to the enclosing table.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")
_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"^\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=(.*)$")
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")


def key_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Line number (from 1) of every table and key, by path: ("source", 0, "epochs") -> 12.

    Arrays of tables are counted from 0. A key that is written twice keeps its last line.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if quote or depth:
            depth, quote = _open_ends(line, depth, quote)
            continue
        if header := _HEADER.match(line):
            path = _resolve(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[path] = counts.get(path, -1) + 1
                lines.setdefault(path, number)
                path = (*path, counts[path])
            table = path
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], number)
            lines[path] = number
        elif key := _KEY.match(line):
            path = table + _parts(key[1])
            for length in range(len(table) + 1, len(path)):
                lines.setdefault(path[:length], number)
            lines[path] = number
            depth, quote = _open_ends(key[2], 0, "")
    return lines


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """Line of the key at `path`, or of the nearest table around it; 1 when nothing of it is in the text."""
    lines = key_lines(text)
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(_PART, dotted))


def _resolve(parts: tuple[str, ...], counts: dict) -> tuple[str | int, ...]:
    """[source.x] after [[source]] speaks of the last source: put the index in."""
    path: tuple[str | int, ...] = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if path in counts and position < len(parts) - 1:
            path = (*path, counts[path])
    return path


def _open_ends(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Bracket depth and open multi-line quote after this line."""
    if quote:
        if quote not in line:
            return depth, quote
        line, quote = line.split(quote, 1)[1], ""
    while True:
        opened = min((at, mark) for mark in ('"""', "'''") for at in [line.find(mark) % (len(line) + 1)])
        if opened[0] >= len(line):
            break
        rest = line[opened[0] + 3 :]
        if opened[1] not in rest:
            depth, _ = _open_ends(line[: opened[0]], depth, "")
            return depth, opened[1]
        line = line[: opened[0]] + rest.split(opened[1], 1)[1]
    bare = _STRING.sub("", line).split("#", 1)[0]
    return max(0, depth + bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")), ""
