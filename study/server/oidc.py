"""Login by OIDC: Authlib speaks with the provider, and the study's own session begins where it vouches.

It is on where study.toml names people in `[researcher] oidc_emails` and .streamlit/secrets.toml, in the
study's folder or the working directory, has the table `[auth]` as Streamlit documents it for `st.login`.

`st.login` and `st.user` themselves do not serve here. They work within a page, so a stranger would need a
socket to the app before anybody knows who he is, and what they remember for 30 days could be read only by
private functions of Streamlit. They use Authlib as well, with the same settings.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from caw.problems import ProblemError
from study.design import Design
from study.folder import StudyFolder

CALLBACK = "/oauth2callback"  # where providers send browsers back to; registered with them
COOKIE = "oidc_login"  # what Authlib must remember until the browser is back
SECONDS = 600  # for which it remembers
_KEYS = ("client_id", "client_secret", "server_metadata_url")


class OidcError(ProblemError):
    """study.toml asks for OIDC, but it cannot work."""


@dataclass(frozen=True)
class Person:
    """Who came back from the provider: e-mail in small letters, and whether study.toml lets them in."""

    email: str
    allowed: bool


def providers(folder: StudyFolder, design: Design) -> list[str]:
    """The names of the providers to offer; [] where nobody may log in by OIDC.

    Raises: OidcError where [researcher] oidc_emails names people but no provider is set up for them.
    """
    return list(_providers(_settings(folder))) if design.researcher.oidc_emails else []


async def begin(folder: StudyFolder, provider: str, request: Request, *, secure: bool) -> Response:
    """Send a browser to a provider. The answer sets a cookie that the way back needs."""
    settings = _settings(folder)
    client = _client(provider, _providers(settings)[provider])
    metadata = await client.load_server_metadata()
    if "S256" in (metadata.get("code_challenge_methods_supported") or []):
        client.client_kwargs["code_challenge_method"] = "S256"
    request.scope["session"] = {}
    answer = await client.authorize_redirect(request, settings["redirect_uri"])
    signed = _signer(settings).dumps([provider, request.session])
    answer.set_cookie(COOKIE, signed, max_age=SECONDS, httponly=True, samesite="lax", secure=secure)
    return answer


async def returned(folder: StudyFolder, design: Design, request: Request) -> Person | None:
    """Who has come back from the provider; None where it vouches for nobody."""
    settings = _settings(folder)
    try:
        signed = request.cookies.get(COOKIE, "")
        provider, request.scope["session"] = _signer(settings).loads(signed, max_age=SECONDS)
    except BadData:
        return None
    try:
        client = _client(provider, _providers(settings)[provider])
        token = await client.authorize_access_token(request)
    except Exception as error:  # whatever a provider sends, it must end here
        print(f"login by OIDC failed: {type(error).__name__}: {error}"[:300], file=sys.stderr, flush=True)
        return None
    return person(token.get("userinfo") or {}, design.researcher.oidc_emails)


def person(claims: Mapping[str, object], allowed: tuple[str, ...]) -> Person | None:
    """The person of an id token's claims; None where they have no address, or one that is not verified."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") in (False, "false"):
        return None
    return Person(email.lower(), email.lower() in {one.lower() for one in allowed})


def _settings(folder: StudyFolder) -> dict[str, Any]:
    """The table [auth] of secrets.toml. Raises: OidcError."""
    if find_spec("authlib") is None:
        raise _error("which needs Authlib", "install it: pip install 'eureka-study[oidc]'")
    places = [folder.path / ".streamlit" / "secrets.toml", Path.cwd() / ".streamlit" / "secrets.toml"]
    file = next((place for place in places if place.is_file()), None)
    try:
        auth = tomllib.loads(file.read_text("utf-8")).get("auth") if file else None
    except (OSError, ValueError) as error:
        raise _error(f"but {file} cannot be read: {' '.join(str(error).split())}", "correct it") from None
    if not auth or not isinstance(auth, dict):
        raise _error("but there is no [auth] in .streamlit/secrets.toml", "see Streamlit's st.login")
    missing = [key for key in ("redirect_uri", "cookie_secret") if not auth.get(key)]
    if missing:
        raise _error(
            f"but [auth] in .streamlit/secrets.toml has no {' and no '.join(missing)}",
            "see Streamlit's st.login",
        )
    if not str(auth["redirect_uri"]).endswith(CALLBACK):
        raise OidcError(
            f"redirect_uri = {auth['redirect_uri']!r} in secrets.toml must end with {CALLBACK}",
            "correct it there and with the provider",
        )
    return auth


def _providers(settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings of each provider: "default" where [auth] itself has a client_id."""
    tables = {"default": settings} if "client_id" in settings else settings
    providers = {name: one for name, one in tables.items() if isinstance(one, Mapping) and "client_id" in one}
    if not providers:
        raise _error(
            "but [auth] in .streamlit/secrets.toml has no provider with a client_id",
            "see Streamlit's st.login",
        )
    for name, one in providers.items():
        if missing := [key for key in _KEYS if not isinstance(one.get(key), str)]:
            raise _error(
                f"but the provider {name!r} in secrets.toml has no {' and no '.join(missing)}",
                "add what is missing",
            )
    return providers


def _client(name: str, settings: Mapping[str, Any]) -> Any:
    from authlib.integrations.starlette_client import OAuth

    usual = {"scope": "openid email profile", "prompt": "select_account"}  # as st.login asks for
    wanted = usual | dict(settings.get("client_kwargs", {}))
    return OAuth().register(name, **{key: settings[key] for key in _KEYS}, client_kwargs=wanted)


def _signer(settings: Mapping[str, Any]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(settings["cookie_secret"]), salt="oidc login")


def _error(what: str, fix: str) -> OidcError:
    return OidcError(f"[researcher] oidc_emails in study.toml asks for OIDC, {what}", fix)
