"""Login by OIDC: Streamlit's own st.login speaks with the provider, and says here who came back.

It is on where study.toml names people in [researcher] oidc_emails and Streamlit's secrets.toml, in the
study's folder or the working directory, has [auth]. Streamlit keeps who logged in as a signed cookie for
30 days. It is taken here once, minutes after the login, exchanged for a session of the study's own, and
deleted: so a logout, and the end of the session, hold for both ways to log in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamlit import auth_util
from streamlit.errors import StreamlitAuthError
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette import starlette_websocket as socket_side

from study.design import Design
from study.folder import StudyFolder

USER_COOKIE = "_streamlit_user"  # Streamlit's, with its tokens' beside it; long ones come in numbered pieces
LOGIN, CALLBACK = "/auth/login", "/oauth2callback"
_FRESH = 600  # s after the provider's word in which it counts as a login


class OidcError(ValueError):
    """OIDC is asked for but cannot work."""


@dataclass(frozen=True)
class Person:
    """Who came back from the provider: e-mail in small letters, and whether study.toml lets them in."""

    email: str
    allowed: bool


def secrets_files(folder: StudyFolder) -> list[str]:
    """Where secrets.toml may lie: in the study's folder, else in the working directory."""
    own = folder.path / ".streamlit" / "secrets.toml"
    return [str(own if own.is_file() else Path.cwd() / ".streamlit" / "secrets.toml")]


def providers(design: Design) -> list[str]:
    """The names of the providers to offer; [] where nobody may log in by OIDC.

    Raises: OidcError where [researcher] oidc_emails names people but no provider is set up for them.
    """
    if not design.researcher.oidc_emails:
        return []
    asked = "[researcher] oidc_emails in study.toml asks for OIDC"
    if not auth_util.is_authlib_installed():
        raise OidcError(f"{asked}, which needs Authlib; install it: pip install 'eureka-study[oidc]'")
    found = auth_util.get_secrets_auth_section().to_dict() if _secrets_loaded() else {}
    if not found:
        raise OidcError(
            f"{asked}, but there is no [auth] in .streamlit/secrets.toml; see Streamlit's st.login"
        )
    if "client_id" in found:
        names = ["default"]
    else:
        names = [name for name, table in found.items() if isinstance(table, dict) and "client_id" in table]
    for name in names:
        try:
            auth_util.validate_auth_credentials(name)
        except StreamlitAuthError as error:
            raise OidcError(f"{asked}, but secrets.toml is not whole: {_one_line(error)}") from None
    lacking = [key for key in ("redirect_uri", "cookie_secret") if not found.get(key)]
    if not names or lacking:
        told = "no provider with a client_id" if not names else f"no {' and no '.join(lacking)}"
        raise OidcError(
            f"{asked}, but [auth] in .streamlit/secrets.toml has {told}; see Streamlit's st.login"
        )
    if not str(found["redirect_uri"]).endswith(CALLBACK):
        raise OidcError(f"redirect_uri = {found['redirect_uri']!r} in secrets.toml must end with {CALLBACK}")
    return names


def login_address(provider: str) -> str:
    """Where Streamlit begins a login; good for two minutes."""
    return f"{LOGIN}?provider={auth_util.encode_provider_token(provider)}"


def returned(cookies: Mapping[str, str], design: Design) -> Person | None:
    """Who has just come back from the provider; None where nobody has."""
    if USER_COOKIE not in cookies or not design.researcher.oidc_emails:
        return None
    signed = socket_side._get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE)
    try:
        said = json.loads(signed or b"")
    except ValueError:
        return None
    if said.get("origin") != auth_util.get_origin_from_redirect_uri() or not said.get("is_logged_in"):
        return None
    return person(said, design.researcher.oidc_emails, time.time())


def person(said: Mapping[str, object], allowed: tuple[str, ...], now: float) -> Person | None:
    """The person of an id token's claims; None where they are old, lack an address or an unproven one.

    now: seconds since 1970.
    """
    email, issued = said.get("email"), said.get("iat")
    if not isinstance(email, str) or not isinstance(issued, int | float) or abs(now - issued) > _FRESH:
        return None
    if said.get("email_verified") in (False, "false"):
        return None
    return Person(email.lower(), email.lower() in {one.lower() for one in allowed})


def used_cookies(cookies: Mapping[str, str]) -> list[str]:
    """The names of Streamlit's login cookies, to be deleted once they are used."""
    return [name for name in cookies if name.startswith(USER_COOKIE)]


def _secrets_loaded() -> bool:
    return bool(secrets_singleton.load_if_toml_exists())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
