"""Names of files that are safe to write, distinct from each other, and printable.

A file system may hold names that no text can: bytes that are not UTF-8 (Python reads them as lone
surrogates), line ends, marks that turn the direction of writing. Another treats "Take 1" and "take 1", or an
umlaut in its composed and its decomposed form, as one name. Names of files that are written go through `safe`
and `distinct`, names that are printed or put into a table through `shown`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path

LONGEST_STEM = 180  # bytes: of the 255 of a file's name, the rest is for suffixes and temporary names
_MARKS = "\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"  # that show nothing
_UNSEEN = re.compile(f"[\0-\x1f\x7f-\x9f\ud800-\udfff{_MARKS}]")


def same(name: str) -> str:
    """A form that is equal for names that some file system treats as one: by case or by Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def shown(name: object) -> str:
    """A name, or a text with one in it, as one printable line, with \\ufffd for what cannot be printed."""
    return _UNSEEN.sub("\ufffd", str(name))


def plain(name: str, longest: int = 64) -> str:
    """A name of only A-Z a-z 0-9 _ . -, with "-" for other characters; "clip" where none is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-_.")[:longest] or "clip"


def safe(name: str, longest: int = LONGEST_STEM) -> str:
    """A similar name that every system can hold.

    It is in composed Unicode, at most `longest` bytes long, and has no path, no control characters and no
    dash or dot in front.
    """
    name = unicodedata.normalize("NFC", _UNSEEN.sub("_", name))
    name = re.sub(r'[/\\:*?"<>|]', "_", name).strip().lstrip("-.").rstrip(". ")
    while len(name.encode()) > longest:
        name = name[:-1]
    return name or "clip"


def suffix(file: Path) -> str:
    """A file's suffix where it is a plain one, else ""."""
    return file.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", file.suffix) else ""


def distinct(names: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """The names in their order, with numbers on those that equal an earlier one: "a", "A-2", "a-3".

    taken: `same` forms of other names that must not be used again.
    """
    used, result = set(taken), []
    wanted = list(names)
    firsts = {same(name) for name in wanted}
    for name in wanted:
        own, number = name, 2
        while same(own) in used or (own != name and same(own) in firsts):
            own, number = f"{name}-{number}", number + 1
        used.add(same(own))
        result.append(own)
    return result


def shortened(name: str, longest: int) -> str:
    """At most `longest` characters of a name, cut in its middle, as takes differ at their ends."""
    if len(name) <= longest:
        return name
    tail = longest // 3
    return f"{name[: longest - tail - 1]}-{name[-tail:]}"
