"""Who is logged in as the researcher, and how often somebody may guess. No streamlit.

A session is a signed cookie: who, a random id, and when it ends. It needs no memory of the process, so
several processes agree on it. What cannot be signed away is kept in the log of the study: a logout names the
id, and from then on the cookie is worth nothing, wherever it was copied to. The signing key follows from the
study's private researcher key and the password's hash, so a new password ends every session.

Guesses are counted in that log too, before the password is looked at and under a lock, so that neither many
requests at once nor several processes get more than their share.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from study.room.schema import now, reading, study_event

SECONDS = 12 * 3600
WINDOW = dt.timedelta(minutes=1)
GUESSES_EACH, GUESSES_ALL = 5, 20  # failures within the window: from one address, from all
TRIED, ENTERED, FAILED, LEFT = "login tried", "login", "login failed", "logout"
_LOCK = 0x57_0D2  # of PostgreSQL's advisory locks
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


def seconds_to_wait(engine: sa.Engine, address: str) -> int:
    """Counts one guess from an address. 0: go on; else the seconds until the next one is looked at."""
    moment = now()
    with engine.begin() as connection:
        if connection.dialect.name != "sqlite":  # SQLite's writing transactions are one at a time anyway
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        event = study_event.c
        recent = sa.select(event.at, event.what, event.detail).where(
            event.at > moment - WINDOW, event.what.in_((TRIED, ENTERED))
        )
        rows = connection.execute(recent.order_by(event.id)).all()
        guessing = {row.detail for row in rows if row.what == TRIED}  # logins by other ways have no address
        rows = [row for row in rows if row.detail in guessing]
        waits = [_wait([row for row in rows if row.detail == address], GUESSES_EACH, moment)]
        waits.append(_wait(rows, GUESSES_ALL, moment))
        if not max(waits):
            connection.execute(study_event.insert().values(at=moment, who="", what=TRIED, detail=address))
    return max(waits)


def log(engine: sa.Engine, who: str, what: str, detail: str = "") -> None:
    """Adds a line to the study's log."""
    with engine.begin() as connection:
        connection.execute(study_event.insert().values(at=now(), who=who[:200], what=what, detail=detail))


def _wait(rows: list[sa.Row], most: int, moment: dt.datetime) -> int:
    """Seconds until fewer than `most` of the tries in the window are left that did not succeed."""
    entered = sum(row.what == ENTERED for row in rows)
    tries = [row.at for row in rows if row.what == TRIED][entered:]
    if len(tries) < most:
        return 0
    return max(1, round((tries[-most] + WINDOW - moment).total_seconds()))


def _signed(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
