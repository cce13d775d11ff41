"""A server under the bounds: what waits too long or is too much goes, and what is whole is served."""

from __future__ import annotations

import asyncio
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from websockets.sync.client import connect

from study.server import connections
from study.server.address import PublicUrl, grouped, public_url
from study.server.connections import Bounds, ConnectionsError
from study.server.refusals import Refusals

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Connection: close\r\n\r\n"
UPGRADE = b"GET /large HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
UPGRADE += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"


class Site:
    """A small application under the bounds, in a thread of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.open: list[socket.socket] = []
        self.bounds: Bounds = connections.bounds
        self.port = 0
        self.clients: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            assert connections.install(receive)
            watching = asyncio.create_task(connections.watch())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            watching.cancel()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            if scope["path"] == "/large":
                await send({"type": "websocket.send", "bytes": b"x" * 20_000_000})
            while (await receive())["type"] == "websocket.receive":
                pass
        else:
            self.clients.append(scope["client"][0])
            size = 20_000_000 if scope["path"] == "/large" else 2
            headers = [(b"content-length", str(size).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x" * size})

    def line(self, data: bytes, source: str = "127.0.0.1") -> socket.socket:
        line = socket.create_connection(("127.0.0.1", self.port), 60, source_address=(source, 0))
        line.sendall(data)
        self.open.append(line)
        return line

    def answer(self, data: bytes = WHOLE, source: str = "127.0.0.1") -> bytes:
        return rest(self.line(data, source))

    def told(self, what: str) -> bool:
        return until(lambda: any(what in line for line in self.lines))


def rest(line: socket.socket) -> bytes:
    """All that the server sends until it hangs up."""
    text = b""
    try:
        while data := line.recv(65536):
            text += data
    except ConnectionResetError:
        pass
    return text


def until(true: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 60
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    return true()


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    site = Site()
    monkeypatch.setattr(connections, "refusals", Refusals(site.lines.append))
    monkeypatch.setattr(connections, "bounds", Bounds())
    site.bounds = connections.bounds
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        site.port = taken.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(site, ws="websockets-sansio", log_level="critical"))
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()
        try:
            assert until(lambda: server.started)
            yield site
        finally:
            for line in site.open:
                line.close()
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def soon(monkeypatch, *kinds: str) -> None:
    for kind in kinds:
        monkeypatch.setitem(connections.SECONDS, kind, 0.1)


def test_a_whole_request_is_served(site):
    assert site.answer().endswith(b"\r\n\r\nxx")
    assert until(lambda: not site.bounds.held and not site.bounds.of)
    assert site.lines == []


@pytest.mark.parametrize(
    "data",
    [b"G", HEAD, HEAD + b"Cookie: a=", HEAD + b"\r\n" + HEAD, HEAD + b"\r\n" + b"G"],
    ids=["a letter", "half", "in a header", "a second half", "a second letter"],
)
def test_a_head_that_does_not_end_is_ended(site, monkeypatch, data):
    soon(monkeypatch, connections.HEAD)
    assert b"408 Request Timeout" in site.answer(data)
    assert site.told("a request head that took over 0 s from 127.0.0.1")
    assert until(lambda: not site.bounds.held)


def test_a_trickle_does_not_help(site, monkeypatch):
    soon(monkeypatch, connections.HEAD)
    line = site.line(b"GET / HTTP/1.1\r\n")
    for at in range(5000):
        line.sendall(f"x-{at % 10}: y\r\n".encode() if at % 50 == 0 else b"")
        if select.select([line], [], [], 0.01)[0]:
            break
    assert rest(line).startswith(b"HTTP/1.1 408")


def _alive(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(1000) != b""
    except BlockingIOError:
        return True
    finally:
        line.settimeout(60)


def test_a_connection_without_a_word_goes_without_a_line_in_the_log(site, monkeypatch):
    soon(monkeypatch, connections.HEAD)
    assert site.answer(b"") == b""
    assert site.lines == []


@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_body_that_nobody_reads_and_that_does_not_end_is_ended(site, monkeypatch, length):
    soon(monkeypatch, connections.BODY)
    rest(site.line(b"POST / HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n"))
    assert site.told("a request body that took over 0 s")
    assert until(lambda: not site.bounds.held)


def test_who_does_not_read_the_answer_loses_the_connection(site, monkeypatch):
    soon(monkeypatch, connections.READER)
    site.line(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert site.told("a reader that took over 0 s")
    assert until(lambda: not site.bounds.held)


def test_half_sent_requests_push_one_another_out_and_whole_ones_are_served(site):
    site.bounds.each = 3
    lines = [site.line(HEAD) for _ in range(3)]
    assert until(lambda: len(site.bounds.held) == 3)
    assert site.answer().endswith(b"xx")
    assert rest(lines[0]) == b"", "the oldest went"
    lines += [site.line(HEAD) for _ in range(40)]
    assert until(lambda: sum("3 connections" in line for line in site.lines) == 3)
    assert site.answer().endswith(b"xx")
    assert len(site.bounds.held) <= 3
    assert site.answer(source="127.0.0.9").endswith(b"xx")


def test_pages_sockets_are_not_pushed_out(site):
    site.bounds.each = 2
    with connect(f"ws://127.0.0.1:{site.port}/") as one, connect(f"ws://127.0.0.1:{site.port}/") as two:
        assert until(lambda: len(site.bounds.held) == 2)
        assert site.answer() == b"", "no room at this address"
        assert site.answer(source="127.0.0.9").endswith(b"xx")
        assert one.ping().wait(60)
        assert two.ping().wait(60)
    assert until(lambda: not site.bounds.held)
    assert site.answer().endswith(b"xx")


def test_nor_are_those_of_a_browser_that_is_too_busy_to_read_for_a_moment(site):
    def waiting() -> list:
        return [one for one in site.bounds.held if one.awaited() == connections.READER]

    site.bounds.each = 2
    site.line(UPGRADE)
    assert until(waiting)
    page = waiting()
    assert isinstance(page[0], connections.PageSocket)
    lines = [site.line(HEAD) for _ in range(5)]
    assert [rest(line) for line in lines[:4]] == [b""] * 4
    site.bounds.shed()
    assert rest(lines[4]) == b""
    assert waiting() == page


def test_there_is_a_bound_for_all_addresses_together(site):
    site.bounds.most = 4
    lines = [site.line(HEAD, f"127.0.0.{at}") for at in range(2, 6)]
    assert until(lambda: len(site.bounds.held) == 4)
    assert site.answer().endswith(b"xx")
    assert rest(lines[0]) == b""
    assert site.told("more than 4 connections in all")


def test_a_proxy_nearby_may_have_all_of_them(site):
    site.bounds.each, site.bounds.public = 2, PublicUrl("https", "study.example.org")
    lines = [site.line(HEAD) for _ in range(9)]
    assert until(lambda: len(site.bounds.held) == 9)
    assert site.answer().endswith(b"xx")
    assert all(_alive(line) for line in lines)


@pytest.mark.parametrize(
    ("listed", "peer", "free"),
    [
        ("", "::1", True),  # as where a proxy reaches the server by IPv6
        ("", "fd00::2", True),
        ("", "203.0.113.5", False),
        ("203.0.113.5", "203.0.113.5", True),  # a proxy elsewhere, which STUDY_PROXIES names
        ("10.0.0.2", "10.0.0.3", False),  # and then no other machine nearby is one
    ],
)
def test_only_what_is_believed_as_a_proxy_is_free_of_the_bound(monkeypatch, listed, peer, free):
    monkeypatch.setenv("STUDY_PUBLIC_URL", "https://study.example.org")
    monkeypatch.setenv("STUDY_PROXIES", listed)
    few = Bounds(each=1)
    few.public = public_url()
    ones = [_Waiting(peer) for _ in range(2)]
    assert [few.enter(one) for one in ones] == [True, True]
    assert [one.dropped for one in ones] == [not free, False]


class _Waiting:
    """A connection whose other end owes us a request."""

    def __init__(self, peer: str) -> None:
        self.peer, self.source, self.dropped = peer, grouped(peer), False

    def gives_way(self) -> bool:
        return True

    def drop(self) -> None:
        self.dropped = True


def test_forwarded_addresses_are_left_to_the_gate(site):
    site.answer(
        HEAD + b"X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    )
    assert site.clients == ["127.0.0.1"]


def test_without_descriptors_room_is_made_and_one_line_says_so(site):
    site.line(HEAD)
    assert until(lambda: len(site.bounds.held) == 1)
    (held,) = site.bounds.held
    for _ in range(1000):
        held.loop.call_soon_threadsafe(
            held.loop.call_exception_handler, {"message": "socket.accept() out of system resource"}
        )
    assert until(lambda: not site.bounds.held)
    assert until(lambda: len(site.lines) == 3)
    assert "no file descriptor is left; raise the limit of open files" in site.lines[0]


def test_the_numbers_come_from_the_environment_and_fit_the_descriptors(monkeypatch):
    fresh, public = Bounds(), PublicUrl("https", "study.example.org")
    monkeypatch.setattr(connections, "bounds", fresh)
    for name in (connections.TOTAL, connections.EACH):
        monkeypatch.delenv(name, raising=False)
    limit = [(1024, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limit.__setitem__(0, wanted))
    connections.configure(None)
    assert (fresh.most, fresh.each) == (624, 500)
    limit[0] = (1024, 1_048_576)
    connections.configure(public)
    assert limit[0] == (8192, 1_048_576), "raised where it is allowed"
    assert (fresh.most, fresh.each, fresh.public) == (2000, 500, public)
    limit[0] = (64, 64)
    connections.configure(None)
    assert (fresh.most, fresh.each) == (32, 32)
    limit[0] = (8192, 8192)
    monkeypatch.setenv("STUDY_CONNECTIONS", "300")
    monkeypatch.setenv("STUDY_CONNECTIONS_EACH", "40")
    connections.configure(None)
    assert (fresh.most, fresh.each) == (300, 40)


@pytest.mark.parametrize("wrong", ["many", "0", "-5", "1e3", "\u0663\u0663\u0663", "99999999", "9" * 9999])
def test_a_number_that_is_none_is_named(monkeypatch, wrong):
    monkeypatch.setenv("STUDY_CONNECTIONS_EACH", wrong)
    with pytest.raises(
        ConnectionsError, match="STUDY_CONNECTIONS_EACH=.*write a number of 10 or more, as 500"
    ):
        connections.configure(None)


def test_another_server_than_uvicorn_is_left_alone():
    async def receive() -> dict:
        return {}

    assert not connections.install(receive)
