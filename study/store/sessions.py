"""Who acts: researchers who are logged in, and the account at the command line.

A session is a cookie signed by `itsdangerous`: who, a random id, and when it began. It needs no memory of the
process, so several processes agree on it. What cannot be signed away is in the log of the study: a logout
names the id, and from then on the cookie is worth nothing, wherever it was copied to. The signing key follows
from the study's private researcher key and the password's hash, so a new password ends every session.

A browser in which the password was given keeps a second signed cookie, which opens nothing: its guesses are
counted apart from those of its address. See `study.server.guesses`.
"""

from __future__ import annotations

import getpass
import hashlib
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

from study.store.database import reading
from study.store.schema import study_event

SECONDS = 12 * 3600
KNOWN_SECONDS = 180 * 24 * 3600
ENTERED, FAILED, LEFT = "login", "login failed", "logout"
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Session:
    """One login of the researcher."""

    who: str
    id: str


def account() -> str:
    """The name of the account that runs this program; "unknown" where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def signing_key(researcher_key: str, password_hash: str) -> bytes:
    """The key of all cookies of a study."""
    return hashlib.sha256(f"sessions of {researcher_key} with {password_hash}".encode()).digest()


def begin(key: bytes, who: str) -> tuple[Session, str]:
    """A new session and its cookie."""
    session = Session(named(who), secrets.token_hex(8))
    return session, _sessions(key).dumps([session.who, session.id])


def read(engine: sa.Engine, key: bytes, cookie: str | None) -> Session | None:
    """The session of a cookie; None where it is forged, over or logged out."""
    try:
        session = Session(*_sessions(key).loads(cookie or "", max_age=SECONDS))
    except BadData:
        return None
    left = sa.select(study_event.c.id).where(study_event.c.what == LEFT, study_event.c.detail == session.id)
    with reading(engine) as connection:
        return session if connection.execute(left.limit(1)).first() is None else None


def named(who: str) -> str:
    """A name as it is logged: one line of printable letters, at most 80."""
    printable = "".join(letter if letter.isprintable() else " " for letter in who)
    return " ".join(printable.split())[:_LONGEST_NAME]


def known_browser(key: bytes) -> str:
    """A new cookie for a browser in which the password was given."""
    return _browsers(key).dumps(secrets.token_hex(8))


def browser(key: bytes, cookie: str | None) -> str | None:
    """Which known browser a cookie is of; None where it is forged, or of the time of another password."""
    try:
        return f"browser {_browsers(key).loads(cookie or '')}"
    except BadData:
        return None


def _sessions(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="session")


def _browsers(key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt="known browser")
