"""The researcher's password: its hash, and the line of study.toml that holds it.

scrypt (RFC 7914) with 32 MB and three passes takes about a quarter of a second a guess. The line reads

    [researcher]
    password = "scrypt$32768$8$3$SALT$HASH"

with salt and hash in base64. Nobody can read the password from it, but whoever has the file can try guesses
without being slowed down, so the password should be a long one.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple

from caw.files import atomic
from study import toml_text
from study.toml_location import key_lines

SHORTEST = 10  # characters
LONGEST = 1000
_N, _R, _P = 2**15, 8, 3
_BYTES = 32
_MEMORY = 256 * 2**20  # the most that a hash in study.toml may ask for


class PasswordError(ValueError):
    """A password, or the file it should be written into, that will not do."""


class _Hash(NamedTuple):
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def hashed(password: str) -> str:
    """The text to keep of a password. Raises: PasswordError for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        told = f"the password has {len(password)} characters"
        raise PasswordError(f"{told}; take {SHORTEST} to {LONGEST}, as four or five plain words")
    salt = os.urandom(16)
    parts = (salt, _digest(password, _N, _R, _P, salt))
    return "$".join(
        ["scrypt", f"{_N}", f"{_R}", f"{_P}", *(base64.b64encode(part).decode() for part in parts)]
    )


def fits(password: str, kept: str) -> bool:
    """Whether this is the password whose hash is `kept`; takes the same time whether it is or not.

    Raises: PasswordError where `kept` is no hash.
    """
    known = parsed(kept)
    found = _digest(password[:LONGEST], known.n, known.r, known.p, known.salt)
    return hmac.compare_digest(found, known.digest)


def parsed(kept: str) -> _Hash:
    """The parts of a kept hash. Raises: PasswordError where it is none."""
    try:
        kind, n, r, p, salt, digest = kept.split("$")
        known = _Hash(int(n), int(r), int(p), base64.b64decode(salt, validate=True), base64.b64decode(digest))
    except (ValueError, binascii.Error):
        raise PasswordError("is no password hash") from None
    sound = known.n > 1 and known.n & (known.n - 1) == 0 and known.r > 0 and 0 < known.p <= 16
    if kind != "scrypt" or not sound or 128 * known.n * known.r > _MEMORY or len(known.digest) != _BYTES:
        raise PasswordError("is no password hash")
    return known


def asked(*, from_stdin: bool = False) -> str:
    """The new password, typed twice without being shown, or the first line of stdin.

    Raises: PasswordError where the two differ or nobody can be asked.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise PasswordError("there is no terminal to ask at; pipe the password in and add --stdin")
    first = getpass.getpass("New password of the researcher's pages: ")
    if first != getpass.getpass("Once more: "):
        raise PasswordError("the two passwords differ, so nothing was changed; run it again")
    return first


def write_into(toml: Path, kept: str) -> None:
    """Put the hash into a study.toml, keeping all else in it, and its permissions.

    Raises: PasswordError where the file is no TOML, or holds [researcher] in a form that is not understood.
    """
    toml = toml.resolve()  # a link stays a link
    try:
        before = toml_text.parsed(toml_text.read(toml))
        text = toml.read_bytes().decode("utf-8")  # with a byte order mark, where it has one
    except toml_text.TomlError as error:
        raise PasswordError(f"{toml}:{error.line}: {error}") from None
    written = _with_line(text, f'password = "{kept}"')
    if not _differs_in_password_alone(before, written, kept):
        told = "holds [researcher] in a form that cannot be changed in place"
        raise PasswordError(
            f'{toml}: {told}; write this line under [researcher] yourself: password = "{kept}"'
        )
    atomic.write(toml, written, mode=stat.S_IMODE(toml.stat().st_mode))


def _with_line(text: str, line: str) -> str:
    """The text with the researcher's password line replaced, or added where there was none."""
    end = "\r\n" if "\r\n" in text else "\n"
    places, lines = key_lines(text.removeprefix("\ufeff")), text.splitlines(keepends=True)
    if ("researcher", "password") in places:
        at = places["researcher", "password"] - 1
        old = re.match(r"(\s*)password(\s*)=\s*(?:\"[^\"]*\"|'[^']*')", lines[at])
        if old:
            lines[at] = old[1] + line + lines[at][old.end() :]
    elif ("researcher",) in places:
        at = places["researcher",] - 1
        if not lines[at].endswith(("\n", "\r\n")):
            lines[at] += end
        lines.insert(at + 1, line + end)
    else:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end
        lines += [end, "[researcher]", end, line, end]
    return "".join(lines)


def _differs_in_password_alone(before: dict[str, Any], written: str, kept: str) -> bool:
    try:
        after = toml_text.parsed(written.removeprefix("\ufeff"))
    except toml_text.TomlError:
        return False
    expected = before | {"researcher": before.get("researcher", {}) | {"password": kept}}
    return after == expected


def _digest(password: str, n: int, r: int, p: int, salt: bytes) -> bytes:
    memory = 128 * n * r + 2**20
    return hashlib.scrypt(
        password.encode(), salt=salt, n=n, r=r, p=p, maxmem=memory + 128 * r * p, dklen=_BYTES
    )
