"""The researcher's password: its hash, and how a new one is typed.

scrypt (RFC 7914) with 32 MB and three passes takes about a quarter of a second a guess. study.toml holds

    [researcher]
    password = "scrypt$32768$8$3$SALT$HASH"

with salt and hash in base64. Nobody can read the password from it, but whoever has the file can try guesses
without being slowed down, so the password should be a long one.

Python's own hashlib does the hashing. argon2-cffi and pwdlib read no scrypt, so every hash that stands in a
study.toml today would need this code beside theirs.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import os
import sys
from typing import NamedTuple

from caw.problems import ProblemError

SHORTEST = 10  # characters
LONGEST = 1000
_N, _R, _P = 2**15, 8, 3
_BYTES = 32
_MEMORY = 256 * 2**20  # the most that a hash in study.toml may ask for


class PasswordError(ProblemError):
    """A password, or a hash of one, that cannot be used."""


class _Hash(NamedTuple):
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def hashed(password: str) -> str:
    """The hash to store. Raises: PasswordError for a password that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(
            f"the password has {len(password)} characters",
            f"take {SHORTEST} to {LONGEST}, as four or five plain words",
        )
    salt = os.urandom(16)
    parts = (salt, _digest(password, _N, _R, _P, salt))
    return "$".join(
        ["scrypt", f"{_N}", f"{_R}", f"{_P}", *(base64.b64encode(part).decode() for part in parts)]
    )


def matches(password: str, password_hash: str) -> bool:
    """Whether this is the password of the hash; takes the same time whether it is or not.

    Raises: PasswordError where `password_hash` is no hash.
    """
    known = parse_hash(password_hash)
    digest = _digest(password[:LONGEST], known.n, known.r, known.p, known.salt)
    return hmac.compare_digest(digest, known.digest)


def parse_hash(password_hash: str) -> _Hash:
    """The parts of a hash. Raises: PasswordError where it is none."""
    try:
        kind, n, r, p, salt, digest = password_hash.split("$")
        known = _Hash(int(n), int(r), int(p), base64.b64decode(salt, validate=True), base64.b64decode(digest))
    except (ValueError, binascii.Error):
        raise PasswordError("is no password hash") from None
    possible = known.n > 1 and known.n & (known.n - 1) == 0 and known.r > 0 and 0 < known.p <= 16
    if kind != "scrypt" or not possible or 128 * known.n * known.r > _MEMORY or len(known.digest) != _BYTES:
        raise PasswordError("is no password hash")
    return known


def ask(*, from_stdin: bool = False) -> str:
    """The new password, typed twice without being shown, or the first line of stdin.

    Raises: PasswordError where the two differ or nobody can be asked.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise PasswordError("there is no terminal to ask at", "pipe the password in and add --stdin")
    first = getpass.getpass("New password of the researcher's pages: ")
    if first != getpass.getpass("Once more: "):
        raise PasswordError("the two passwords differ, so nothing was changed", "run it again")
    return first


def _digest(password: str, n: int, r: int, p: int, salt: bytes) -> bytes:
    memory = 128 * n * r + 2**20
    return hashlib.scrypt(
        password.encode(), salt=salt, n=n, r=r, p=p, maxmem=memory + 128 * r * p, dklen=_BYTES
    )
