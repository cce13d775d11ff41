"""The door of the researcher's pages: plain HTML, outside Streamlit, closed by default.

With a password set, a form asks for it; where OIDC is set up, links lead to its providers. With neither, the
secret link that `study serve` prints opens the pages, and only for a browser on the machine that serves them.
"""

from __future__ import annotations

import sys
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from study.server import address, oidc
from study.server.guesses import BusyError, Guesses, PasswordCheck
from study.server.served import Served, served
from study.store import sessions
from study.store.sessions import Session

HOME = "/researcher"
LOGIN, LOGOUT = "/login", "/logout"
_MOST_BYTES = 8192
_guesses, _passwords = Guesses(), PasswordCheck()
_ELSEWHERE = "This form was not sent from the study's own page. Please load it anew and try again."


async def log_in(request: Request) -> Response:
    """Takes name and password. Each guess is counted before it is looked at."""
    study = served()
    if not study.design.researcher.password:
        return Response(status_code=404)
    if not address.same_origin(request.headers, study.public):
        return page(study, _ELSEWHERE, status=403)
    fields = await _fields(request)
    if fields is None:
        return Response(status_code=413)
    who = sessions.named(fields.get("name", ""))
    if not who:
        return page(study, "Please give your name, too.", status=400)
    known = sessions.browser(study.session_key, request.cookies.get(study.browser_cookie))
    counted = known or address.grouped(source(study, request))
    if wait := _guesses.wait(counted):
        message = (
            f"Too many wrong passwords. Please wait {wait} second{'s' if wait > 1 else ''} and try again."
        )
        return page(study, message, status=429, wait=wait)
    try:
        rank = 0 if known else _guesses.made(counted)
        password_hash = study.design.researcher.password
        right = await _passwords.matches(fields.get("password", ""), password_hash, rank=rank)
    except BusyError:
        _guesses.take_back(counted)
        return page(study, "Too many try to log in just now. Please try again.", status=503, wait=5)
    if right:
        _guesses.forget(counted)
        return await run_in_threadpool(_log_in, study, request, who)
    if _guesses.may_be_logged():
        where = source(study, request)
        await run_in_threadpool(study.store.log_event, who, sessions.FAILED, where)
    return page(study, "That is not the password.")


async def log_out(request: Request) -> Response:
    """Ends the session for good: a copy of its cookie opens nothing any more."""
    study = served()
    if not address.same_origin(request.headers, study.public):
        return page(study, _ELSEWHERE, status=403)
    return await run_in_threadpool(_log_out, study, request)


async def to_provider(request: Request) -> Response:
    """Send the browser to an OIDC provider."""
    study, provider = served(), request.path_params["provider"]
    if provider not in oidc.providers(study.folder, study.design):
        return Response(status_code=404)
    try:
        return await oidc.begin(study.folder, provider, request, secure=secure(study, request))
    except Exception as error:  # the provider does not answer, or not as it should
        print(f"login by OIDC failed: {type(error).__name__}: {error}"[:300], file=sys.stderr, flush=True)
        return page(study, "The provider does not answer. Please try again later.", status=503)


async def from_provider(request: Request) -> Response:
    """Whom an OIDC provider vouches for comes in, where study.toml names them.

    A page stands in between, as the session's strict cookie is not sent on a way from elsewhere.
    """
    study = served()
    if not study.design.researcher.oidc_emails:
        return Response(status_code=404)
    person = await oidc.returned(study.folder, study.design, request)
    return await run_in_threadpool(_by_oidc, study, request, person)


ROUTES = [
    Route(oidc.CALLBACK, from_provider),
    Route(LOGIN, log_in, methods=["POST"]),
    Route(LOGOUT, log_out, methods=["POST"]),
    Route(f"{LOGIN}/{{provider}}", to_provider),
]


def session(study: Served, connection: HTTPConnection) -> Session | None:
    """The researcher's session of a browser, if it has one."""
    return sessions.read(
        study.store.engine, study.session_key, connection.cookies.get(study.researcher_cookie)
    )


def door(study: Served, connection: HTTPConnection, key: str | None) -> Response:
    """The answer to somebody without a session at the researcher's pages. `key`: of a secret link."""
    if key is None or not study.opens_by_link:
        return page(study)
    if not address.on_this_machine(peer(connection), connection.headers):
        message = (
            "The secret link opens only on the machine that serves the study. Elsewhere a password does:"
        )
        return page(study, message, status=403)
    if not study.is_key(key):
        return page(study, "This address is not valid; `study serve` prints the right one.")
    who = f"{sessions.account()} (secret link)"
    study.store.log_event(who, sessions.ENTERED, "by the secret link")
    return _in(study, connection, who, RedirectResponse(HOME, status_code=303))


def page(study: Served, message: str = "", *, status: int = 403, wait: int = 0) -> Response:
    """The door with what it offers, and a word on what went wrong."""
    parts = [f'<p class="message" role="alert">{escape(message)}</p>'] if message else []
    if study.design.researcher.password:
        parts.append(_FORM.replace("LOGIN", address.own(LOGIN)))
    parts += [
        f'<a class="button" href="{address.own(LOGIN)}/{escape(name)}">Log in with '
        f"{'your organisation' if name == 'default' else escape(name)}</a>"
        for name in oidc.providers(study.folder, study.design)
    ]
    if study.opens_by_link:
        parts.append(_NO_PASSWORD)
    text = files("study.browser").joinpath("login.html").read_text("utf-8")
    title = escape(study.design.study.title)
    headers = {"cache-control": "no-store"} | ({"retry-after": str(wait)} if wait else {})
    return HTMLResponse(
        Template(text).substitute(study=title, body="\n".join(parts), icon=address.own("/icon.svg")),
        status,
        headers,
    )


_FORM = """<form method="post" action="LOGIN">
<label for="name">Your name</label>
<input id="name" name="name" maxlength="80" required autocomplete="name" aria-describedby="why">
<p class="hint" id="why">Goes into the study's log, beside what you do.</p>
<label for="password">Password</label>
<input id="password" name="password" type="password" required autocomplete="current-password">
<button>Log in</button>
</form>"""
_NO_PASSWORD = """<p>No password is set. On the machine that serves the study, open the researcher's address
that <code>study serve</code> prints.</p>
<p>To log in from anywhere, set one with <code>study password DIR</code> and start the study again.</p>"""


def peer(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def source(study: Served, connection: HTTPConnection) -> str:
    """The address a request comes from, as the log names it."""
    return address.client(peer(connection), connection.headers, study.public)


def secure(study: Served, connection: HTTPConnection) -> bool:
    """Whether cookies may be restricted to https."""
    return address.secure(connection.url.scheme, peer(connection), connection.headers, study.public)


def _log_in(study: Served, request: Request, who: str) -> Response:
    study.store.log_event(who, sessions.ENTERED, source(study, request))
    answer = _in(study, request, who, RedirectResponse(HOME, status_code=303))
    known = sessions.known_browser(study.session_key)
    _set_cookie(study, request, answer, study.browser_cookie, known, sessions.KNOWN_SECONDS)
    return answer


def _log_out(study: Served, request: Request) -> Response:
    here = session(study, request)
    if here is not None:
        study.store.log_event(here.who, sessions.LEFT, here.id)
    answer = RedirectResponse(HOME, status_code=303)
    answer.delete_cookie(study.researcher_cookie, path="/")
    return answer


def _by_oidc(study: Served, connection: HTTPConnection, person: oidc.Person | None) -> Response:
    if person is None:
        return page(study, "The login did not succeed. Please try again.")
    if not person.allowed:
        study.store.log_event(person.email, sessions.FAILED, "by OIDC: not named in study.toml")
        return page(study, f"{person.email} is not among those whom this study's settings let in.")
    study.store.log_event(person.email, sessions.ENTERED, "by OIDC")
    home = address.own(HOME)
    go_on = f'<meta http-equiv="refresh" content="0; url={home}"><a href="{home}">Go on</a>'
    answer = _in(study, connection, person.email, HTMLResponse(go_on, headers={"cache-control": "no-store"}))
    answer.delete_cookie(oidc.COOKIE, path="/")
    return answer


def _in(study: Served, connection: HTTPConnection, who: str, answer: Response) -> Response:
    _, cookie = sessions.begin(study.session_key, who)
    _set_cookie(study, connection, answer, study.researcher_cookie, cookie, sessions.SECONDS)
    return answer


def _set_cookie(
    study: Served, connection: HTTPConnection, answer: Response, name: str, value: str, seconds: int
) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure(study, connection),
    )


async def _fields(request: Request) -> dict[str, str] | None:
    """The form's fields; None for more than a form holds."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
