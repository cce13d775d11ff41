"""The open link: its address, the ids in it, and completion codes.

Anybody can write any id into the address. So the address has a secret part, an id must look like one, each id
is one listener, and a code is shown to the browser that has finished and to no other. Where a platform or a
program of the researcher's can sign addresses, only signed ones are let in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import sqlalchemy as sa

from caw.files import atomic
from caw.problems import ProblemError
from study.design.open_link import LONGEST_ID, SIGNATURE, OpenLink
from study.folder import StudyFolder
from study.server.links import kept_secret
from study.store import recruits
from study.store.recruits import identity_of

JOIN = "/join"
LINK_FILE, CODES_FILE = "open_link.token", "open_codes.token"
_MOST_PARAMETERS = 100
_PLACEHOLDERS = {  # by which platforms put a person's ids into an address
    "PROLIFIC_PID": "{{%PROLIFIC_PID%}}",
    "STUDY_ID": "{{%STUDY_ID%}}",
    "SESSION_ID": "{{%SESSION_ID%}}",
    "id": "%SURVEY_CODE%",
    "survey_code": "%SURVEY_CODE%",
}


class IdsError(ProblemError):
    """An address whose ids are not as they should be. `kind` names its words, `names` the parameters."""

    def __init__(self, kind: str, names: list[str]) -> None:
        super().__init__(f"{kind}: {', '.join(names)}")
        self.kind, self.names = kind, names


def renew(folder: StudyFolder) -> None:
    """Give the link another secret: by the old address nobody new comes in."""
    atomic.write(folder.make_private() / LINK_FILE, secrets.token_hex(16) + "\n", mode=0o600)


def kind_of(folder: StudyFolder, given: str) -> str | None:
    """Whom the secret part of an address lets in: "listener", "pilot" or None."""
    secret = kept_secret(folder, LINK_FILE)
    for kind, right in (("listener", secret), ("pilot", pilots_secret(secret))):
        if hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode()):
            return kind
    return None


def pilots_secret(secret: str) -> str:
    """The secret part of the address by which the study is tried out."""
    return _digest(secret, "pilots").hex()[:32]


def link(base: str, folder: StudyFolder, settings: OpenLink, *, pilot: bool = False) -> str:
    """The address to give to a platform, with its placeholders where those are known, else {NAME}."""
    ids = "&".join(f"{name}={_PLACEHOLDERS.get(name, f'{{{name}}}')}" for name in settings.ids)
    return f"{_address(base, folder, pilot=pilot)}?{ids}"


def personal(
    base: str, folder: StudyFolder, settings: OpenLink, ids: Mapping[str, str], *, pilot: bool = False
) -> str:
    """The address of one person, signed where the study asks for it."""
    signed = {SIGNATURE: signature(settings, ids)} if settings.secret else {}
    return f"{_address(base, folder, pilot=pilot)}?{urlencode({**ids, **signed}, quote_via=quote)}"


def _address(base: str, folder: StudyFolder, *, pilot: bool) -> str:
    secret = kept_secret(folder, LINK_FILE)
    return f"{base.rstrip('/')}{JOIN}/{pilots_secret(secret) if pilot else secret}"


def ids_of(settings: OpenLink, query: bytes) -> dict[str, str]:
    """The ids in an address, by their names. Raises IdsError for any that is not as it should be."""
    names = list(settings.ids)
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise IdsError("odd", names) from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    if twice := [name for name in (*names, SIGNATURE) if len(given.get(name, ())) > 1]:
        raise IdsError("twice", twice)
    ids = {name: given[name][0] for name in names if given.get(name, [""])[0]}
    if missing := [name for name in names if name not in ids]:
        raise IdsError("missing", missing)
    return checked(settings, ids, given.get(SIGNATURE, [""])[0] if settings.secret else None)


def checked(settings: OpenLink, ids: Mapping[str, str], given: str | None = None) -> dict[str, str]:
    """The ids, where each is one and `given` is their signature. None: none is asked for. Raises IdsError."""
    odd = [name for name, value in ids.items() if len(value) > LONGEST_ID or not value.isprintable()]
    person = ids[settings.names_listener]
    if not odd and (
        not re.fullmatch(settings.require, person) or unicodedata.normalize("NFKC", person) != person
    ):
        odd = [settings.names_listener]
    if odd:
        raise IdsError("odd", odd)
    if given is not None and not hmac.compare_digest(signature(settings, ids).encode(), given.encode()):
        raise IdsError("unsigned", [SIGNATURE])
    return dict(ids)


def signature(settings: OpenLink, ids: Mapping[str, str]) -> str:
    """HMAC-SHA256 of the lines NAME=VALUE in the order of `ids`, in hexadecimal digits."""
    return _digest(settings.secret, "\n".join(f"{name}={ids[name]}" for name in settings.ids)).hex()


def code(settings: OpenLink, folder: StudyFolder, outcome: str, person: str, *, pilot: bool = False) -> str:
    """The code that somebody with this outcome is shown; "" where there is none."""
    same = settings.ending(outcome).code
    if settings.codes == "same":
        return same
    digest = _digest(kept_secret(folder, CODES_FILE), f"{outcome}\n{identity_of(person, pilot=pilot)}")
    letters = base64.b32encode(digest).decode()
    own = "-".join(letters[at : at + 4] for at in (0, 4, 8))
    return f"{same}-{own}" if same else own


def table(folder: StudyFolder, settings: OpenLink | None, engine: sa.Engine) -> list[dict[str, Any]]:
    """Who came by the open link, for paying them: name, ids, how they ended, code, times in UTC."""
    people = [one for one in recruits.everybody(engine) if one["ids"]]
    names = dict.fromkeys(name for one in people for name in one["ids"])
    rows = []
    for one in people:
        row = {"listener": one["name"], "pilot": "yes" if one["pilot"] else "no"}
        row |= {name: one["ids"].get(name, "") for name in names}
        row |= {"outcome": one["outcome"] or "", "code": ""}
        if settings is not None and one["outcome"] and (person := one["ids"].get(settings.names_listener)):
            row["code"] = code(settings, folder, one["outcome"], person, pilot=one["pilot"])
        for column, stamp in (("came_at", "came_at"), ("begun_at", "consent_at"), ("ended_at", "outcome_at")):
            row[column] = one[stamp].isoformat(timespec="seconds") if one[stamp] else ""
        rows.append(row)
    return rows


def _digest(key: str, text: str) -> bytes:
    return hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
