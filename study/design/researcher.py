"""[researcher]: who may open the researcher's pages."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, field_validator

from study import password as passwords
from study.design.errors import SettingError
from study.design.settings import SettingsTable, Text, as_tuple


class Researcher(SettingsTable):
    """[researcher]: who may open the researcher's pages. It is never part of a digest or a report.

    Attributes
    ----------
    password : str
        A hash that `study password` writes. Without one a secret link opens the pages, on this machine alone.
    oidc_emails : tuple of str
        Who may log in by OIDC.
    """

    password: str = ""
    oidc_emails: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()

    @field_validator("password")
    @classmethod
    def _is_hash(cls, password_hash: str) -> str:
        try:
            if password_hash:
                passwords.parse_hash(password_hash)
        except passwords.PasswordError as error:
            raise SettingError(error.problem.what, "set a password with `study password`") from None
        return password_hash

    @field_validator("oidc_emails")
    @classmethod
    def _addresses(cls, emails: tuple[str, ...]) -> tuple[str, ...]:
        for email in emails:
            if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
                raise SettingError(f"{email!r} is no e-mail address", "write it as name@example.org")
        return emails
