"""Admission: personal links become cookies, strangers stay outside, and every response gets its headers.

Plain ASGI around everything that is served, Streamlit's own routes and its socket included.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path

import streamlit
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import get_option

from study.server import (
    address,
    connections,
    door,
    health,
    joining,
    links,
    login,
    oidc,
    open_link,
    recordings,
    routes,
    take_home,
)
from study.server.refusals import Pace, Sockets, refusals
from study.server.served import Served, served

SOCKET = "/_stcore/stream"
BODY_SECONDS = 5.0  # in which a request's body must be there: ours are a few hundred bytes
MOST_SOCKETS = 12  # of one visitor at once: a tab has one, and a lost one is noticed within a minute
MOST_HEADERS, MOST_HEAD_BYTES = 100, 16_384
PACE = 100, 50.0  # messages of one socket: at once, and per second after them; faster ones wait
_OPEN = (
    "/_stcore/host-config",
    routes.TONE,
    routes.ICON,
    take_home.ADDRESS,
    "/manifest.json",
    "/favicon.png",
)
_OF_CLIPS = (routes.CLIP, routes.HEARD, routes.CHECK, routes.PLACE, recordings.ADDRESS)
_OPEN_FOLDERS = tuple(f"{folder}/" for folder in _OF_CLIPS)
_LISTENERS = (*_OPEN_FOLDERS, f"{open_link.JOIN}/")
_PROBES = (health.ADDRESS, "/_stcore/host-config")  # Streamlit's page asks beneath its own path, too
_LOGIN = (login.LOGIN, login.LOGOUT, oidc.CALLBACK)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    # Streamlit runs its page from inline scripts and components from blobs; nothing may come from elsewhere.
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' blob: data:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' ws: wss:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
}


class Gate:
    """ASGI middleware around all that is served.

    script: the path of the script that Streamlit runs, which no browser learns.
    """

    def __init__(self, app: ASGIApp, script: str) -> None:
        self.app = app
        self.script = script.encode()
        self.blank = b"/" + b"-" * (len(self.script) - 1)  # as long, so the message around it stays valid
        self.refusals = refusals
        self.sockets, self.health = Sockets(MOST_SOCKETS), health.Health(lambda: served().store.check())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            connections.install(receive)
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        path = scope["path"]
        answer, began = None, False
        if _too_large(scope):
            answer = PlainTextResponse("This request's head is too large.", 431, {"connection": "close"})
        elif {"content-length", "transfer-encoding"} <= set(connection.headers):
            # a proxy may see its end elsewhere
            answer = PlainTextResponse("This request has two lengths.", 400, {"connection": "close"})
        elif not _names_this_study(connection):
            answer = PlainTextResponse("This address is not the study's.", 400)
        elif path == health.ADDRESS:
            answer = await self.health.refusal()
        elif served().curating and (path == "/" or path.startswith((*_LISTENERS, take_home.ADDRESS))):
            answer = PlainTextResponse("No listener gets in here: only the pool is open.", 404)
        elif path == "/" or path.startswith(login.HOME) or (_leads_nowhere(path) and "p" in _query(scope)):
            try:
                answer = await run_in_threadpool(_admit, connection, path)
            except DBAPIError:
                answer = _away()
        elif path.startswith(f"{open_link.JOIN}/"):
            try:
                answer = await joining.join(served(), connection)
            except DBAPIError:
                answer = _away()
        elif path in _LOGIN or path.startswith(f"{login.LOGIN}/"):
            pass  # they see to their own guards
        elif _leads_nowhere(path):
            answer = Response(status_code=404)

        async def guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                if message["status"] >= 400 and not (message["status"] == 404 and path.endswith(_PROBES)):
                    self._refuse(connection, f"{message['status']} {scope['method']}")
                headers = MutableHeaders(scope=message)
                for name, value in _headers(path).items():
                    headers.setdefault(name, value)
                if path == "/" or path.startswith((login.HOME, login.LOGIN, open_link.JOIN)):
                    headers["cache-control"] = "no-store"
                if path.startswith((login.HOME, login.LOGIN)):
                    headers["referrer-policy"] = "same-origin"  # without it a form's Origin would be "null"
            await send(message)

        try:
            seconds = recordings.SECONDS if path.startswith(f"{recordings.ADDRESS}/") else BODY_SECONDS
            await (answer or self.app)(scope, _in_time(receive, seconds), guarded)
        except ClientDisconnect:  # or a body that never came
            if not began:
                await Response(status_code=408)(scope, receive, guarded)
        except DBAPIError:
            if not began:
                await _away()(scope, receive, guarded)

    def _refuse(self, connection: HTTPConnection, what: str) -> None:
        path = connection.scope["path"].partition("?")[0]  # an encoded question mark may lead to a secret
        before, link, _ = path.lower().partition(f"{open_link.JOIN}/")
        path = path if not link else f"{before}{open_link.JOIN}"  # what follows is the open link's secret
        self.refusals.report(what, path, login.source(served(), connection))

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        admitted = (
            scope["path"] == SOCKET
            and not _too_large(scope)
            and _names_this_study(connection)
            and _same_site(connection)
        )
        try:
            visitor = await run_in_threadpool(_visitor, served(), connection) if admitted else None
        except DBAPIError:
            visitor = None  # the browser tries again, and by then the database may be back
        if visitor is None:
            self._refuse(connection, "socket at")
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not admitted"})
            return
        if not self.sockets.enter(visitor):
            self._refuse(connection, f"more than {MOST_SOCKETS} sockets of one visitor at")
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "too many"})
            return

        async def nameless(message: Message) -> None:
            data = message.get("bytes")
            if data and self.script in data:
                message = {**message, "bytes": data.replace(self.script, self.blank)}
            await send(message)

        pace = Pace(*PACE)

        async def binary() -> Message:
            await asyncio.sleep(pace.delay())
            message = await receive()
            if message.get("text") is None:
                return message
            self._refuse(connection, "a text frame at")  # Streamlit speaks in bytes, and falls over text
            await send({"type": "websocket.close", "code": 1003, "reason": "bytes only"})
            return {"type": "websocket.disconnect", "code": 1003}

        try:
            await self.app(scope, binary, nameless)
        finally:
            self.sockets.leave(visitor)


@lru_cache(maxsize=1)
def browser_files() -> frozenset[str]:
    """The addresses of Streamlit's own scripts, styles and fonts. For any other address it sends its page."""
    folder = Path(streamlit.__file__).with_name("static")
    files_there = folder.joinpath("static").rglob("*")
    return frozenset("/" + file.relative_to(folder).as_posix() for file in files_there if file.is_file())


def _leads_nowhere(path: str) -> bool:
    return path not in _OPEN and not path.startswith(_OPEN_FOLDERS) and path not in browser_files()


def _headers(path: str) -> dict[str, str]:
    """What every answer gets. Listeners' pages may be shown in frames of pages that study.toml names."""
    settings = served().design.open_link
    if (
        settings is None
        or not settings.frame_origins
        or (path != "/" and not path.startswith(open_link.JOIN))
    ):
        return HEADERS
    policy = HEADERS["content-security-policy"]
    framed = policy.replace("frame-ancestors 'none'", f"frame-ancestors {' '.join(settings.frame_origins)}")
    return {name: value for name, value in HEADERS.items() if name != "x-frame-options"} | {
        "content-security-policy": framed
    }


def _query(scope: Scope) -> dict[str, str]:
    return links.query(scope["path"], scope["query_string"])


def _away() -> Response:
    """The answer while the database is away; a browser asks again by itself."""
    message = "The study's database does not answer just now. This page tries again by itself."
    return PlainTextResponse(message, 503, {"retry-after": "3", "refresh": "3"})


def _in_time(receive: Receive, seconds: float) -> Receive:
    """Receives the request, and treats a browser whose body is late as one that has hung up."""
    whole, ends = False, asyncio.get_running_loop().time() + seconds

    async def received() -> Message:
        nonlocal whole
        if whole:  # from here on it waits for the end of the connection, which may take its time
            return await receive()
        try:
            async with asyncio.timeout_at(ends):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return received


def _admit(connection: HTTPConnection, path: str) -> Response | None:
    """The answer to a request for a page: a redirect that takes the secret out of the address, or a refusal.

    None lets the request through.
    """
    study = served()
    query = _query(connection.scope)
    if path.startswith(login.HOME):
        if login.session(study, connection) is not None:
            return RedirectResponse(login.HOME, status_code=303) if "key" in query else None
        key = query.get("key")
        if key is not None:
            key = next(filter(study.is_key, links.possible_secrets(key)), key)
        return login.door(study, connection, key)
    if "p" in query:
        token = next(filter(study.store.find, links.possible_secrets(query["p"])), None)
        return door.page(study, 404, "wrong") if token is None else door.admit(study, connection, token)
    cookie, mark = connection.cookies.get(study.listener_cookie), query.get(links.MARK)
    if study.store.find(links.chosen(cookie, mark)) is None:
        return door.page(study, 403, links.refused_as(study.design, cookie, mark))
    return None


def _too_large(scope: Scope) -> bool:
    """Whether a request's head is larger than any browser's with our cookies."""
    headers = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(a) + len(b) for a, b in headers)
    return len(headers) > MOST_HEADERS or size > MOST_HEAD_BYTES


def _names_this_study(connection: HTTPConnection) -> bool:
    """Whether the Host header names this study, so that no page elsewhere can pass for it."""
    host = connection.headers.get("host", "")
    return address.known_host(host, get_option("server.address"), served().public)


def _same_site(connection: HTTPConnection) -> bool:
    """Whether a page of this site opens the socket.

    Streamlit's own check asks a server outside for this machine's address.
    """
    return "origin" not in connection.headers or address.same_origin(connection.headers, served().public)


def _visitor(study: Served, connection: HTTPConnection) -> str | None:
    """Who opens a socket: a listener's secret, a researcher's session, or None for a stranger."""
    tokens = links.remembered(connection.cookies.get(study.listener_cookie))
    token = None if study.curating else next(filter(study.store.find, tokens), None)
    if token is not None:
        return token
    session = login.session(study, connection)
    return None if session is None else session.id
