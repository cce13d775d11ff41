"""How many connections the server holds, and for how long it waits for the other end.

uvicorn waits without end for the rest of a request's head or body and for a reader of its answer, and takes
as many connections as there are file descriptors. Its `limit_concurrency` would refuse newcomers, so whoever
holds half-sent requests could shut everybody out. Here each wait has a limit, and so has the number, in all
and of one address. Where it is reached, the connection that has waited longest for its own other end makes
room: so half-sent requests push one another out, and whoever sends whole ones is served. A socket of a page
is never pushed out; the gate admits it by its cookie and bounds its number.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import h11
from starlette.types import Receive
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from caw.problems import ProblemError
from study.server import address
from study.server.address import PublicUrl
from study.server.refusals import EACH as WRITTEN
from study.server.refusals import refusals, repeats, shorten_library_logs

TOTAL, EACH = "STUDY_CONNECTIONS", "STUDY_CONNECTIONS_EACH"  # the environment variables that set the bounds
LINES = "STUDY_LOG_LINES"  # and how many refusals of one kind the log names in a minute, before it counts
MOST, MOST_EACH = 2000, 500  # thirty listeners behind one address have at most 210: six each and a socket
BACKLOG = 128  # connections taken at once, before any bound can look at them
HEAD, BODY, READER, CLOSING = "request head", "request body", "reader", "end"  # what the other end owes us
SECONDS = {HEAD: 10.0, BODY: 15.0, READER: 60.0, CLOSING: 30.0}
_WANTED = 8192  # file descriptors, where the system allows so many
_RESERVED = 400  # of them, for the database, files and what is just being taken
_END = b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_LATE, _UNREADABLE = b"HTTP/1.1 408 Request Timeout" + _END, b"HTTP/1.1 400 Bad Request" + _END


class ConnectionsError(ProblemError):
    """A limit in the environment that is no number."""


class Bounds:
    """All connections of this process, the oldest first, and those of each address."""

    def __init__(self, most: int = MOST, each: int = MOST_EACH) -> None:
        self.most, self.each = most, each
        self.public: PublicUrl | None = None  # where it is set, a proxy's address has no bound of its own
        self.held: dict[_Bounded, None] = {}
        self.of: dict[str, dict[_Bounded, None]] = {}

    def enter(self, one: _Bounded) -> bool:
        """Count one more connection, for which another may have to end. False where none can."""
        those = self.of.get(one.source, {})
        bound = self.public is None or not self.public.is_proxy(one.peer)
        if bound and len(those) >= self.each and not self._make_room(those, f"{self.each} connections"):
            return False
        if len(self.held) >= self.most and not self._make_room(self.held, f"{self.most} connections in all"):
            return False
        self.held[one] = self.of.setdefault(one.source, {})[one] = None
        return True

    def leave(self, one: _Bounded) -> None:
        self.held.pop(one, None)
        those = self.of.get(one.source, {})
        those.pop(one, None)
        if not those:
            self.of.pop(one.source, None)

    def sweep(self, moment: float) -> None:
        """End every connection that has waited too long for its client. To be called every second."""
        for one in list(self.held):
            awaited, progress = one.awaited(), one.progress()
            if (awaited, progress) != one.seen:
                one.seen, one.since = (awaited, progress), moment
            elif awaited is not None and moment - one.since > SECONDS[awaited]:
                if begun := one.begun():  # browsers open connections ahead, and never use some
                    refusals.report(f"a {awaited} that took over {SECONDS[awaited]:.0f} s", source=one.source)
                one.drop(late=begun and awaited in (HEAD, BODY))

    def shed(self, count: int = BACKLOG) -> None:
        """Makes room where the system has no descriptor left."""
        for one in [one for one in self.held if one.gives_way()][:count]:
            one.drop()

    def _make_room(self, those: dict[_Bounded, None], full: str) -> bool:
        oldest = next((one for one in those if one.gives_way()), None)
        source = oldest.source if oldest else next(iter(those)).source
        refusals.report(
            f"more than {full}: " + ("the oldest idle one" if oldest else "a new one"), source=source
        )
        if oldest is not None:
            oldest.drop()
        return oldest is not None


bounds = Bounds()


class _Bounded:
    """A connection that is counted, and that tells what it waits for."""

    transport: asyncio.Transport
    client: tuple[str, int] | None
    peer = source = ""  # its address, and the one by which it is counted
    since = 0.0
    seen: tuple[object, object] | None = None
    _resumed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        self.peer = self.client[0] if self.client else ""
        self.source = address.grouped(self.peer)
        self.since = asyncio.get_running_loop().time()
        self.seen = (self.awaited(), self.progress())
        if not bounds.enter(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        bounds.leave(self)
        super().connection_lost(exc)  # type: ignore[misc]

    def resume_writing(self) -> None:
        self._resumed += 1
        super().resume_writing()  # type: ignore[misc]

    def drop(self, late: bool = False) -> None:
        """End the connection now, whatever is still to be written."""
        bounds.leave(self)
        if late and not self.transport.is_closing():
            self.transport.write(_LATE)
        self.transport.abort()

    def awaited(self) -> str | None:
        """What the client has yet to send or to read; None where the server is at work."""
        return CLOSING if self.transport.is_closing() else None

    def gives_way(self) -> bool:
        """Whether it may be ended for another one."""
        return self.awaited() is not None

    def begun(self) -> bool:
        """Whether the client has sent part of something."""
        return True

    def progress(self) -> object:
        """A value that changes with every step of the client."""
        return self._resumed


class HttpConnection(_Bounded, H11Protocol):
    """A connection for requests, one after the other."""

    def awaited(self) -> str | None:
        if self.transport.is_closing():
            return CLOSING
        if self.flow.write_paused:
            return READER
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return BODY
        return HEAD if self.cycle is None or self.cycle.response_complete else None

    def begun(self) -> bool:
        return self.awaited() != HEAD or bool(self.conn.trailing_data[0])

    def progress(self) -> object:
        return self._resumed, self.cycle

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        bounds.leave(self)  # from here on it is a PageSocket
        super().handle_websocket_upgrade(event)


class PageSocket(_Bounded, WebSocketsSansIOProtocol):
    """The socket of one page. uvicorn's pings find out whether the browser is still there."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and not self.transport.is_closing():  # a head that it cannot read
            self.transport.write(_UNREADABLE)
            self.transport.close()

    def awaited(self) -> str | None:
        if self.transport.is_closing():
            return CLOSING
        return None if self.writable.is_set() else READER

    def gives_way(self) -> bool:
        """Not while it is open: a browser that is busy for a moment does not read, and comes back to it."""
        return self.transport.is_closing()


def install(receive: Receive) -> bool:
    """Put the server that starts the application under these limits, before it takes connections.

    receive: of the lifespan's scope. Streamlit makes uvicorn's settings itself and takes none of ours.
    Returns False under another server than uvicorn.
    """
    settings = getattr(getattr(receive, "__self__", None), "config", None)
    if settings is None:
        return False
    settings.http_protocol_class, settings.ws_protocol_class = HttpConnection, PageSocket
    settings.backlog = BACKLOG
    if isinstance(settings.loaded_app, ProxyHeadersMiddleware):
        settings.loaded_app = settings.loaded_app.app  # study.server.address decides which proxy is believed
    asyncio.get_running_loop().set_exception_handler(_out_of_descriptors)
    shorten_library_logs()
    return True


def configure(public: PublicUrl | None) -> None:
    """Read the limits from the environment, and allow as many file descriptors as they need.

    public: where proxies stand in front; each speaks for all visitors, so its address may have all
    connections. Raises: ConnectionsError.
    """
    most, each = _number(TOTAL, MOST), _number(EACH, MOST_EACH)
    refusals.each = _number(LINES, WRITTEN, least=1)
    room = _descriptors()
    bounds.most = min(most, room - min(_RESERVED, room // 2))
    bounds.each = min(each, bounds.most)
    bounds.public = public


async def watch() -> None:
    """Looks after the connections and the log until it is cancelled."""
    while True:
        await asyncio.sleep(1)
        bounds.sweep(asyncio.get_running_loop().time())
        refusals.flush()
        repeats.flush()


def _number(name: str, usual: int, least: int = 10) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= 1_000_000:
        fix = f"write a number of {least} or more, as {usual}"
        raise ConnectionsError(f"{name}={text!r}: cannot be", fix)
    return int(text)


def _descriptors() -> int:
    """How many files this process may have open, after asking for as many as it may need."""
    try:
        import resource
    except ImportError:  # not on this system
        return MOST + _RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    wanted = _WANTED if hard == endless else min(_WANTED, hard)
    if soft != endless and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # then with those there are
            pass
    return 1_000_000 if soft == endless else soft


def _out_of_descriptors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Make room and log one line. asyncio itself tries again after a second."""
    if str(context.get("message", "")).startswith("socket.accept() out of system resource"):
        refusals.report("a connection: no file descriptor is left; raise the limit of open files (ulimit -n)")
        bounds.shed()
        return
    loop.default_exception_handler(context)
