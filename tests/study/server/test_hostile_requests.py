"""Requests that two readers could read differently, heads without end, and Streamlit's other addresses."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

import pytest
from attacked import Target
from streamlit.web.server import starlette


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 4"],
        ["Content-Length: 4", "Content-Length: 5"],
        ["Content-Length: 4, 5"],
        ["Content-Length: +4"],
        ["Content-Length: -4"],
        ["Content-Length: 4_0"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding : chunked"],
        ["Content-Length : 4"],
        ["Host: 127.0.0.1"],
        ["X: y\x00z"],
        ["no colon"],
    ],
)
def test_a_request_with_two_meanings_ends_its_connection(target, lines):
    """What follows it is not taken for a request."""
    head = ["POST /heard/x HTTP/1.1", "Host: 127.0.0.1", *lines]
    hidden = f"GET /researcher HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {target.cookies['Ann']}\r\n\r\n"
    told = _raw(target, "\r\n".join(head) + "\r\n\r\n0\r\n\r\n" + hidden)
    assert told.count(b"HTTP/1.1 ") == 1
    assert told.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + "a=b; " * 20_000 + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "".join(f"x-{at}: y\r\n" for at in range(5000)) + "\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "x: y\r\n" * 100 + "\r\n",
        "GET /" + "x" * 100_000 + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        "GET /\u00fc HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=[
        "cookies",
        "headers",
        "a little much",
        "address",
        "HTTP/9.9",
        "HTTP/1.0",
        "HTTP/2",
        "TLS",
        "no ASCII",
    ],
)
def test_odd_and_endless_heads_are_refused(target, head):
    assert _raw(target, head).startswith((b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 431"))


@pytest.mark.slow
def test_half_sent_requests_are_ended_by_the_whole_server(target):
    """Streamlit starts it, so that the bounds of study.server.connections hold is not plain."""
    assert _raw(target, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n").startswith(b"HTTP/1.1 408")
    assert "refused: a request head that took over 10 s from 127.0.0.1" in target.log("request head")


def test_a_forged_forwarded_address_is_not_even_logged(target):
    headers = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7"}
    assert target.ask("GET", "/nowhere", **headers)[0] == 404
    assert "refused: 404 GET '/nowhere' from 127.0.0.1" in target.log("nowhere")


def test_many_cookies_and_http_1_0_and_pipelines_of_a_listener_are_served(target):
    cookie = "; ".join([f"other{at}=x" for at in range(300)] + [target.cookies["Ann"]])
    one = f"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    assert _raw(target, one).startswith(b"HTTP/1.1 200")
    line = f"GET /tone.wav HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {target.cookies['Ann']}\r\n"
    told = _raw(target, (line + "\r\n") * 20 + line + "Connection: close\r\n\r\n")
    assert told.count(b"HTTP/1.1 200") == 21


def test_a_socket_with_a_flood_of_headers_is_refused(target):
    upgrade = (
        "GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    )
    upgrade += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for more in ("".join(f"x-{at}: y\r\n" for at in range(300)), "Cookie: a=" + "b" * 12_000 + "\r\n"):
        assert not _raw(target, upgrade + more + "\r\n").startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/upload_file/a/b",
        "/_stcore/metrics",
        "/_stcore/script-health-check",
        "/_stcore/allowed-message-origins",
        "/_stcore/bidi-components/x/y.js",
        "/media/x.wav",
        "/component/x/index.html",
        "/app/static/x",
    ],
)
def test_streamlits_other_addresses_are_closed_with_a_link_too(target, path, method):
    assert target.ask(method, path, body=b"x", Cookie=target.cookies["Ann"])[0] in (400, 404, 405)


def test_without_a_link_only_health_and_what_a_page_asks_first_is_open(target):
    sources = [file.read_text() for file in Path(starlette.__file__).parent.glob("*.py")]
    named = set(re.findall(r'"(?:_stcore|\{BASE_ROUTE_CORE\})/([\w/-]+)', "".join(sources)))
    assert named >= {"health", "metrics", "stream"}
    opened = {name for name in named if target.ask("GET", f"/_stcore/{name}")[0] < 400}
    assert opened == {"health", "host-config"}


def _raw(target: Target, text: str) -> bytes:
    """The whole answer to bytes as they are, until the server hangs up."""
    told = b""
    with socket.create_connection(("127.0.0.1", target.server.port), timeout=90) as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(text.encode("latin-1"))
        with contextlib.suppress(ConnectionError):
            while data := line.recv(65536):
                told += data
    return told
