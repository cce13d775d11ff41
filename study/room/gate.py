"""Who comes in: personal links become cookies, strangers stay outside, and no answer leaves unguarded.

Plain ASGI around everything that is served, Streamlit's own routes and its socket included.
"""

from __future__ import annotations

import hmac
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from study.room import routes
from study.room.served import Served, served

COOKIE_SECONDS = 180 * 24 * 3600
SOCKET = "/_stcore/stream"
_OPEN = (
    "/_stcore/health",
    "/_stcore/host-config",
    routes.TONE,
    routes.ICON,
    "/manifest.json",
    "/favicon.png",
)
_OPEN_FOLDERS = ("/static/", f"{routes.CLIP}/", f"{routes.HEARD}/")
_PAGES = ("/", "/researcher")
_HEADERS = {
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
    """ASGI middleware. `script` is the path of the script Streamlit runs, to be kept from the browser."""

    def __init__(self, app: ASGIApp, script: str) -> None:
        self.app = app
        self.script = script.encode()
        self.blank = b"/" + b"-" * (len(self.script) - 1)  # as long, so the message around it stays valid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        path = scope["path"]
        if path in _PAGES:
            answer = await run_in_threadpool(_admit, connection, path)
        elif path in _OPEN or path.startswith(_OPEN_FOLDERS):
            answer = None
        else:
            answer = Response(status_code=404)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if path in _PAGES:
                    headers["cache-control"] = "no-store"
            await send(message)

        await (answer or self.app)(scope, receive, guarded)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        admitted = scope["path"] == SOCKET and _from_here(connection)
        if not admitted or not await run_in_threadpool(_known, served(), connection):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not admitted"})
            return

        async def nameless(message: Message) -> None:
            data = message.get("bytes")
            if data and self.script in data:
                message = {**message, "bytes": data.replace(self.script, self.blank)}
            await send(message)

        await self.app(scope, receive, nameless)


def _admit(connection: HTTPConnection, path: str) -> Response | None:
    """The answer to somebody at a page's door: in without the secret in the address, or a word why not.

    None lets the request through.
    """
    study = served()
    query = parse_qs(connection.scope["query_string"].decode("latin-1"))
    if path == "/researcher":
        if "key" in query:
            if not _same(query["key"][0], study.researcher_key):
                return _told(study, 403, "This address is not valid", "`study serve` prints the right one.")
            return _in(connection, "/researcher", study.researcher_cookie, study.researcher_key)
        if not _is_researcher(study, connection):
            told = "Open the researcher's address that <code>study serve</code> prints."
            return _told(study, 403, "For the researcher", told)
        return None
    if "p" in query:
        if study.store.find(query["p"][0]) is None:
            told = "Please copy it once more from your invitation, to its last letter."
            return _told(study, 404, "This link is not valid", told)
        return _in(connection, "/", study.listener_cookie, query["p"][0])
    if not _is_listener(study, connection):
        told = (
            "Everybody who takes part has a personal link. Please open yours, with cookies allowed. "
            "It also brings you back to where you were."
        )
        return _told(study, 403, "Please open your personal link", told)
    return None


def _from_here(connection: HTTPConnection) -> bool:
    """Whether this very site opens a socket. Streamlit's own check would ask outside for our address."""
    origin = connection.headers.get("origin", "")
    return not origin or urlsplit(origin).netloc == connection.headers.get("host", "")


def _known(study: Served, connection: HTTPConnection) -> bool:
    return _is_listener(study, connection) or _is_researcher(study, connection)


def _is_listener(study: Served, connection: HTTPConnection) -> bool:
    return study.store.find(connection.cookies.get(study.listener_cookie)) is not None


def _is_researcher(study: Served, connection: HTTPConnection) -> bool:
    return _same(connection.cookies.get(study.researcher_cookie, ""), study.researcher_key)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _in(connection: HTTPConnection, path: str, cookie: str, secret: str) -> Response:
    answer = RedirectResponse(path, status_code=303)
    forwarded = connection.headers.get("x-forwarded-proto", "")
    answer.set_cookie(
        cookie,
        secret,
        max_age=COOKIE_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=connection.url.scheme in ("https", "wss") or forwarded.startswith("https"),
    )
    return answer


def _told(study: Served, status: int, title: str, text: str) -> Response:
    page = files("study.room").joinpath("door.html").read_text("utf-8")
    for name, value in (("TEXT", text), ("TITLE", title), ("STUDY", escape(study.design.study.title))):
        page = page.replace(name, value)
    return HTMLResponse(page, status)
