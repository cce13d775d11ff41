"""Who is logged in as the researcher. No streamlit.

A session is a signed cookie: who, a random id, and when it ends. It needs no memory of the process, so
several processes agree on it. What cannot be signed away is kept in the log of the study: a logout names the
id, and from then on the cookie is worth nothing, wherever it was copied to. The signing key follows from the
study's private researcher key and the password's hash, so a new password ends every session.

A browser in which the password was given keeps a second signed cookie, which opens nothing: its guesses are
counted apart from those of its address. See study.server.guesses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from study.store.database import reading
from study.store.schema import study_event

SECONDS = 12 * 3600
KNOWN_SECONDS = 180 * 24 * 3600
ENTERED, FAILED, LEFT = "login", "login failed", "logout"
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Session:
    """One login. `ends` is in seconds since 1970."""

    who: str
    id: str
    ends: int


def signing_key(researcher_key: str, password: str) -> bytes:
    return hashlib.sha256(f"sessions of {researcher_key} with {password}".encode()).digest()


def begin(key: bytes, who: str) -> tuple[Session, str]:
    """A new session and its cookie."""
    session = Session(named(who), secrets.token_hex(8), int(time.time()) + SECONDS)
    body = base64.urlsafe_b64encode(json.dumps([session.who, session.id, session.ends]).encode()).decode()
    return session, f"{body}.{_signed(key, body)}"


def read(engine: sa.Engine, key: bytes, cookie: str | None) -> Session | None:
    """The session of a cookie; None where it is forged, over or logged out."""
    body, _, signature = (cookie or "").rpartition(".")
    if not body or not hmac.compare_digest(_signed(key, body).encode(), signature.encode()):
        return None
    try:
        session = Session(*json.loads(base64.urlsafe_b64decode(body)))
    except (ValueError, TypeError, binascii.Error):
        return None
    if session.ends <= time.time():
        return None
    left = sa.select(study_event.c.id).where(study_event.c.what == LEFT, study_event.c.detail == session.id)
    with reading(engine) as connection:
        return session if connection.execute(left.limit(1)).first() is None else None


def named(who: str) -> str:
    """A name as it is logged: one line of printable letters, at most 80."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in who).split())[
        :_LONGEST_NAME
    ]


def known_browser(key: bytes) -> str:
    """A new cookie for a browser in which the password was given."""
    name = secrets.token_hex(8)
    return f"{name}.{_signed(key, f'browser {name}')}"


def browser(key: bytes, cookie: str | None) -> str | None:
    """Which known browser a cookie is of; None where it is forged, or of the time of another password."""
    name, _, signature = (cookie or "").partition(".")
    right = hmac.compare_digest(_signed(key, f"browser {name}").encode(), signature.encode())
    return f"browser {name}" if name and right else None


def _signed(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
