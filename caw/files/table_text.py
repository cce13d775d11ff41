"""The text of a table that a program saved: its encoding, and kinds of files that are no text at all.

Text in UTF-8, or in UTF-16 or UTF-32 as some spreadsheets save it, is recognised with certainty. In other
encodings every byte is some letter. So such text is read only where all encodings in which it makes sense
give the same letters; elsewhere it is refused, as a wrong guess would silently change names.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
import zipfile
from io import BytesIO
from pathlib import Path

from caw.problems import ProblemError

LARGEST = 256_000_000  # bytes
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before the mark of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WESTERN = ("cp1252", "iso8859-15", "cp1250", "iso8859-2", "cp1251", "cp1253", "cp1254", "cp1257")
_OLDER = ("mac_roman", "cp437", "cp850", "cp852")  # of the Mac and of DOS
# Signs that stand anywhere in a text, and those that do not stand between two letters.
_MARKS = "\u201c\u201d\u201e\u2018\u2019\u201a\xab\xbb\u2039\u203a\u2013\u2014\u2026\xa0\u20ac"
_SIGNS = "\xa3\xa7\xb0\xb5\xd7\xb1\xb7\xbd\xb2\xb3"
_SAVE = "in a spreadsheet open it and save it as CSV UTF-8"
_OTHERS = (  # how files begin that are often taken for a table
    (b"\xd0\xcf\x11\xe0", f"is an Excel workbook (.xls, or one with a password); {_SAVE}"),
    (b"%PDF", "is a PDF; export the table as CSV UTF-8"),
    (b"PAR1", "is a Parquet file; export the answers as .csv"),
    (b"SQLite format 3", "is a database; export the answers with `study export`"),
    (b"\x1f\x8b", "is compressed; unpack it first"),
    (b"{\\rtf", f"is a text document (RTF); {_SAVE}"),
    (b"RIFF", "is a sound file; name a table"),
    (b"\x89PNG", "is a picture; name a table"),
    (b"ID;P", f"is a SYLK table (.slk); {_SAVE}"),
)


class TextError(ProblemError):
    """A file that is not the text of a table. row: where that is known."""

    def __init__(self, what: str, fix: str = "", *, row: int | None = None) -> None:
        super().__init__(what, fix)
        self.row = row


def read(path: Path) -> str:
    """The text of a file. Raises TextError, and OSError where it cannot be read."""
    if path.is_dir():
        raise TextError("is a folder", "name the table in it")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise TextError("no such table", "check the path") from None
    if len(content) > LARGEST:
        raise TextError(f"is larger than {LARGEST // 1_000_000} MB, which no table of a study is")
    return decoded(content)


def decoded(content: bytes) -> str:
    """The text of a table from its bytes. Raises TextError."""
    _refuse_others(content)
    text = _unicode(content)
    if text is None:
        text = _one_reading(content)
    text = text.removesuffix("\x1a")  # the end of files of DOS
    if "\0" in text:
        row = len(re.findall(r"\r\n|\r|\n", text[: text.index("\0")])) + 1
        message = "holds NUL characters, which no table does: the file is damaged, or no text"
        raise TextError(message, "put it back from a copy, or save the table anew", row=row)
    return text


def _refuse_others(content: bytes) -> None:
    for begin, message in _OTHERS:
        if content.startswith(begin):
            what, _, fix = message.partition("; ")
            raise TextError(what, fix)
    if content.startswith(b"PK\x03\x04"):
        raise TextError(f"is {_zipped(content)}", _SAVE)
    begin = content[:2000].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if re.match(rb"<(!doctype|html|head|body|table|meta|!--)", begin):
        message = "is a web page (HTML), as a download gives that asks for a login"
        raise TextError(message, f"download the table again, or {_SAVE}")
    if begin.startswith(b"<?xml"):
        raise TextError("is XML", _SAVE)


def _zipped(content: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return "a zip archive or workbook that is damaged"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (.xlsx)"
    if "content.xml" in names:
        return "an OpenDocument table (.ods)"
    return "a Numbers table" if any(name.endswith(".iwa") for name in names) else "a zip archive"


def _unicode(content: bytes) -> str | None:
    """Text in one of Unicode's encodings; None for another encoding."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            try:
                return content[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                if encoding == "utf-8":
                    break
                message = f"begins as {encoding[:6].upper()} text and does not go on as such ({error.reason})"
                raise TextError(message, "put it back from a copy, or save it as CSV UTF-8") from None
    even, odd = content[:1000:2], content[1:1000:2]
    for encoding, empty, filled in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(odd) > 1 and not empty.strip(b"\0") and b"\0" not in filled:  # UTF-16 without a mark
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                break
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _one_reading(content: bytes) -> str:
    """Text in an older encoding, where all encodings in which it makes sense give the same."""
    readings = set()
    for encoding in (*_WESTERN, *_OLDER):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _makes_sense(text):
            readings.add(text)
    if len(readings) == 1:
        return readings.pop()
    try:
        content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
    before = content.removeprefix(codecs.BOM_UTF8)[:at]
    row = len(re.findall(rb"\r\n|\r|\n", before)) + 1
    place = re.split(rb"[\r\n]", before)[-1][-20:].decode("ascii", "replace")
    message = f"is not UTF-8 text (after {place!r} stands a byte that other encodings read in different ways)"
    raise TextError(message, "save it as CSV UTF-8", row=row)


def _makes_sense(text: str) -> bool:
    """Whether all that is not ASCII are letters that fit their words, or signs that are common in texts."""
    text = re.sub(rf"[{_MARKS}]|(?<![^\W\d_])[{_SIGNS}]|[{_SIGNS}](?![^\W\d_])", " ", text)
    for word in re.findall(r"(?:[^\W\d_]|[^\x00-\x7f])+", text):
        if word.isascii():
            continue
        scripts = {unicodedata.name(letter, "?").split()[0] for letter in word}
        known = all(unicodedata.category(letter)[0] == "L" for letter in word) and len(scripts) == 1
        if not known or not (word.islower() or word.isupper() or word.istitle()):
            return False
    return True
