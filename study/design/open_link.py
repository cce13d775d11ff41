"""[open_link]: one link for all whom a recruiting platform sends, and what each of them is shown at the end.

Nothing of it is part of a digest, a dump or a report: it holds completion codes, and it may change while a
study runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from study.design.errors import SettingError
from study.design.settings import Positive, SettingsTable, as_tuple

PLAIN_ID = "[A-Za-z0-9_.-]+"  # what names a listener, where `require` says nothing else
LONGEST_ID = 128  # characters of any id
CODE = "CODE"  # in an address: the listener's completion code
SIGNATURE = "sig"  # the parameter of an address that holds its signature
_TAKEN = ("p", "me", "key", CODE, SIGNATURE)  # parameters with another meaning
_SHORTEST_SECRET = 32
Outcome = Literal["completed", "screened out", "timed out", "over quota"]


class Ending(SettingsTable):
    """How a listener leaves: a code to show, an address to go to, or both.

    Attributes
    ----------
    code : str
        Shown with a button that copies it.
    url : str
        Where a link leads. {NAME} stands for an id of the listener, {CODE} for the code.
    """

    code: str = ""
    url: str = ""

    @field_validator("code")
    @classmethod
    def _short(cls, code: str) -> str:
        if len(code) > 100 or not code.isprintable():
            raise SettingError("is no completion code", "write at most 100 letters and digits")
        return code

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        if url:
            _require_https(url)
            host, _, rest = url.removeprefix("https://").partition("/")
            if "{" in host or not set(re.sub(r"\{[A-Za-z0-9_.-]+\}", "", rest)).isdisjoint("{}"):
                fix = "write {NAME} for an id, behind the host's name alone"
                raise SettingError("has braces where no id can stand", fix)
        return url

    def address(self, ids: Mapping[str, str], code: str) -> str:
        """The address with the listener's ids and code filled in; "" where there is none."""
        values = {**ids, CODE: code}
        return re.sub(r"\{([A-Za-z0-9_.-]+)\}", lambda match: quote(values[match[1]], safe=""), self.url)


def _as_ending(value: Any) -> Any:
    """An ending that is written as text: its address, or its code."""
    if isinstance(value, str):
        return {"url" if "://" in value else "code": value}
    return value


AnEnding = Annotated[Ending, BeforeValidator(_as_ending)]


class OpenLink(SettingsTable):
    """[open_link]: who comes by one link for all. Without the table there is no such link.

    Attributes
    ----------
    ids : tuple of str
        The parameters of the address that are kept, apart from the answers.
    person : str
        Which of them names a listener; by default the first.
    require : str
        The pattern that the listener's id must match as a whole.
    quota : int, optional
        How many may complete.
    timeout_minutes : int, optional
        Who has not finished so long after the start is let go, and the place is free again.
    completed, screened_out, timed_out, over_quota : Ending
        What each of them is shown.
    codes : {"same", "own"}
        Whether each listener gets a completion code of their own.
    resume : {"any browser", "same browser"}
        Whether an id that has begun may go on in another browser.
    secret : str
        Only addresses that are signed with it are let in.
    frame_origins : tuple of str
        The pages that may show the study in a frame.
    """

    ids: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
    person: str = ""
    require: str = PLAIN_ID
    quota: Positive | None = None
    timeout_minutes: Positive | None = None
    completed: AnEnding = Ending()
    screened_out: AnEnding = Ending()
    timed_out: AnEnding = Ending()
    over_quota: AnEnding = Ending()
    codes: Literal["same", "own"] = "same"
    resume: Literal["any browser", "same browser"] = "any browser"
    secret: Annotated[str, Field(repr=False)] = ""
    frame_origins: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()

    @field_validator("ids")
    @classmethod
    def _plain_names(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if not ids or len(ids) > 16:
            raise SettingError("names no id, or more than 16", 'write them as ["PROLIFIC_PID"]')
        for name in ids:
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or name in _TAKEN:
                fix = f"use letters, digits, '_', '-' and '.' ({', '.join(_TAKEN)} are taken)"
                raise SettingError(f"{name!r} cannot name an id", fix)
        if len(set(ids)) < len(ids):
            raise SettingError("names an id twice", "write each once")
        return ids

    @field_validator("person")
    @classmethod
    def _one_of_them(cls, person: str, info: ValidationInfo) -> str:
        ids = info.data.get("ids", ())
        if person and ids and person not in ids:
            raise SettingError("is none of `ids`", f"write one of {', '.join(ids)}")
        return person

    @field_validator("require")
    @classmethod
    def _pattern(cls, pattern: str) -> str:
        try:
            if re.fullmatch(pattern, "") is None:
                return pattern
        except re.error as error:
            fix = 'write a regular expression, as "[0-9a-f]{24}"'
            raise SettingError(f"is no pattern: {error}", fix) from None
        raise SettingError("matches an empty id", 'ask for a letter at least, as ".+"')

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: str) -> str:
        if secret and len(secret) < _SHORTEST_SECRET:
            fix = "take one of `openssl rand -hex 32`"
            raise SettingError(f"has fewer than {_SHORTEST_SECRET} characters", fix)
        return secret

    @field_validator("frame_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            fix = "write scheme and host alone, as https://app.example.org"
            _require_https(origin, fix)
            if urlsplit(origin).path or "?" in origin or "#" in origin or "*" in origin or "{" in origin:
                raise SettingError(f"{origin!r} is no origin", fix)
        return origins

    @model_validator(mode="after")
    def _filled(self) -> OpenLink:
        for key in ("completed", "screened_out", "timed_out", "over_quota"):
            for name in re.findall(r"\{([A-Za-z0-9_.-]+)\}", getattr(self, key).url):
                if name not in (*self.ids, CODE):
                    fix = f"write one of {', '.join((*self.ids, CODE))}"
                    raise SettingError(f"the address of `{key}` has {{{name}}}, which is no id", fix)
        return self

    @property
    def names_listener(self) -> str:
        """The parameter that names a listener."""
        return self.person or self.ids[0]

    def ending(self, outcome: str) -> Ending:
        """What somebody with this outcome is shown."""
        return getattr(self, outcome.replace(" ", "_"))


def _require_https(url: str, fix: str = "write it as https://app.example.org/path") -> None:
    """Refuse an address that is not https, or that could lead elsewhere than it seems to."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    odd = any(not letter.isascii() or letter.isspace() or not letter.isprintable() for letter in url)
    if not whole or odd or "@" in parts.netloc or set(url) & set("<>\"'\\`"):
        raise SettingError(f"{url!r} is no address of https", fix)
