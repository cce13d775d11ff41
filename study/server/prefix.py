"""A study under a prefix of its proxy's addresses, as https://example.org/study.

Inside, every address stays as it is. Here the prefix is taken off what comes in, where the proxy has left it
there, and put before where redirects lead and cookies belong. Addresses in pages get it from `address.own`.
"""

from __future__ import annotations

import re

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from study.server import address

_COOKIE_PATH = re.compile(rb"(;\s*path=)/(?=;|$)", re.IGNORECASE)


class Prefix:
    """ASGI middleware around the gate; without a prefix it lets everything pass as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = address.base_path()
        if not prefix or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] == prefix:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{prefix}/{'?' * bool(query)}{query}")(scope, receive, send)
            return

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, _with(prefix, name, value)) for name, value in message.get("headers", ())]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(_without(prefix, scope), receive, outward)


def _without(prefix: str, scope: Scope) -> Scope:
    """The request as it is inside. A proxy may have taken the prefix off itself."""
    if not scope["path"].startswith(f"{prefix}/"):
        return scope
    inside = {**scope, "path": scope["path"].removeprefix(prefix)}
    if scope.get("raw_path"):
        inside["raw_path"] = scope["raw_path"].removeprefix(prefix.encode())
    return inside


def _with(prefix: str, name: bytes, value: bytes) -> bytes:
    """A header of an answer as it is outside."""
    name = name.lower()
    if name == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
        return prefix.encode() + value
    if name == b"set-cookie":
        return _COOKIE_PATH.sub(rb"\g<1>" + prefix.encode(), value)
    return value
