from __future__ import annotations

import asyncio
import ipaddress

import pytest
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from study.server import address
from study.server.address import AddressError, parsed

PUBLIC = parsed("https://study.example.org")
NETWORKS = (ipaddress.ip_network("10.0.0.2/32"), ipaddress.ip_network("172.18.0.0/16"))
TWO_PROXIES = address.PublicUrl("https", "study.example.org", NETWORKS)


@pytest.mark.parametrize(
    ("netloc", "bound", "known"),
    [
        ("127.0.0.1:8501", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("[::1]:8501", "127.0.0.1", True),
        ("evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("192.0.2.7:8501", "127.0.0.1", False),
        ("192.0.2.7:8501", "192.0.2.7", True),
        ("192.0.2.8:8501", "192.0.2.7", False),
        ("192.0.2.7:8501", "0.0.0.0", True),
        ("[2001:db8::1]:8501", "::", True),
        ("evil.example", None, False),
        ("localhost:x", "0.0.0.0", False),
        ("", "0.0.0.0", False),
    ],
)
def test_only_names_of_this_machine_are_known(netloc, bound, known):
    assert address.known_host(netloc, bound, None) == known


@pytest.mark.parametrize(
    ("netloc", "known"),
    [
        ("study.example.org", True),
        ("STUDY.example.org.", True),
        ("study.example.org:443", True),
        ("other.example.org", False),
        ("study.example.org.evil.example", False),
    ],
)
def test_behind_a_proxy_the_public_name_is_known(netloc, known):
    assert address.known_host(netloc, "127.0.0.1", PUBLIC) == known


@pytest.mark.parametrize(
    "url",
    ["study.example.org", "ftp://x.org", "https://", "https://x.org/study", "https://a@x.org", "https://x:y"]
    + ["https://x.org?a=b", "https://x y", "https://x.org/'"],
)
def test_a_public_address_is_scheme_and_host(url):
    with pytest.raises(AddressError, match="write scheme and host alone"):
        parsed(url)


def test_a_public_address_is_kept_as_browsers_write_it():
    assert str(parsed("https://Study.Example.org/")) == "https://study.example.org"
    assert parsed("http://[::1]:80").host == "::1"


@pytest.mark.parametrize(
    ("origin", "host", "public", "same"),
    [
        ("http://127.0.0.1:8501", "127.0.0.1:8501", None, True),
        ("http://127.0.0.1:8502", "127.0.0.1:8501", None, False),
        ("https://study.example.org", "127.0.0.1:8501", PUBLIC, True),
        ("http://study.example.org", "127.0.0.1:8501", PUBLIC, False),
        ("https://evil.example", "study.example.org", PUBLIC, False),
        ("null", "study.example.org", PUBLIC, False),
        ("", "", PUBLIC, False),
        ("http://[", "127.0.0.1", None, False),
    ],
)
def test_origins(origin, host, public, same):
    assert address.same_origin({"origin": origin, "host": host}, public) == same


@pytest.mark.parametrize(
    ("peer", "forwarded", "public", "found"),
    [
        ("127.0.0.1", "203.0.113.5", PUBLIC, "203.0.113.5"),
        ("172.18.0.3", "203.0.113.5", PUBLIC, "203.0.113.5"),
        ("172.18.0.3", "8.8.8.8, 203.0.113.5", PUBLIC, "203.0.113.5"),
        ("172.18.0.3", "203.0.113.5, 10.0.0.2", PUBLIC, "10.0.0.2"),  # of which only the last is no forgery
        ("172.18.0.3", "203.0.113.5, 10.0.0.2", TWO_PROXIES, "203.0.113.5"),
        ("172.18.0.3", "8.8.8.8, 10.0.0.9", TWO_PROXIES, "10.0.0.9"),
        ("10.0.0.9", "203.0.113.5", TWO_PROXIES, "10.0.0.9"),  # nearby, but none of the two
        ("172.18.0.3", "10.0.0.2", TWO_PROXIES, "172.18.0.3"),
        ("172.18.0.3", "", PUBLIC, "172.18.0.3"),
        ("172.18.0.3", "203.0.113.5, nonsense", PUBLIC, "172.18.0.3"),
        ("198.51.100.1", "203.0.113.5", PUBLIC, "198.51.100.1"),
        ("127.0.0.1", "203.0.113.5", None, "127.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_from_a_proxy_alone(peer, forwarded, public, found):
    assert address.client(peer, {"x-forwarded-for": forwarded}, public) == found


def test_a_proxy_that_adds_a_line_of_its_own_is_believed_and_not_the_line_before_it():
    raw = [(b"x-forwarded-for", b"8.8.8.8"), (b"x-forwarded-for", b"203.0.113.5")]
    assert address.client("127.0.0.1", Headers(raw=raw), PUBLIC) == "203.0.113.5"


def test_listed_proxies_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("STUDY_PUBLIC_URL", "https://study.example.org")
    monkeypatch.setenv("STUDY_PROXIES", "10.0.0.2, 172.18.0.0/16")
    assert address.public_url() == TWO_PROXIES
    monkeypatch.setenv("STUDY_PROXIES", "10.0.0.300")
    with pytest.raises(AddressError, match=r"STUDY_PROXIES='10.0.0.300': .*write addresses or networks"):
        address.public_url()


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:aaaa::7", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1::8", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::8", "2001:db8:0:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_one_visitor_is_one_address_or_a_network_of_ipv6(host, group):
    assert address.grouped(host) == group


@pytest.mark.parametrize(
    ("peer", "headers", "here"),
    [
        ("127.0.0.1", {"host": "127.0.0.1:8501"}, True),
        ("::1", {"host": "localhost:8501"}, True),
        ("::ffff:127.0.0.1", {"host": "localhost:8501"}, True),
        ("192.168.1.9", {"host": "127.0.0.1:8501"}, False),
        ("127.0.0.1", {"host": "study.example.org"}, False),
        ("127.0.0.1", {"host": "127.0.0.1", "x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"host": "127.0.0.1", "forwarded": "for=127.0.0.1"}, False),
        ("testclient", {"host": "127.0.0.1"}, False),
    ],
)
def test_who_sits_at_this_machine(peer, headers, here):
    assert address.on_this_machine(peer, headers) == here


@pytest.mark.parametrize(
    ("scheme", "peer", "headers", "public", "secure"),
    [
        ("https", "203.0.113.5", {}, None, True),
        ("http", "127.0.0.1", {"host": "127.0.0.1"}, None, False),
        ("http", "127.0.0.1", {"x-forwarded-proto": "https"}, None, True),
        ("http", "8.8.8.8", {"x-forwarded-proto": "https"}, None, False),
        ("http", "172.18.0.3", {"host": "study.example.org"}, PUBLIC, True),
        ("http", "127.0.0.1", {"host": "localhost:8501"}, PUBLIC, False),
    ],
)
def test_cookies_are_kept_to_https_where_the_browser_speaks_it(scheme, peer, headers, public, secure):
    assert address.secure(scheme, peer, headers, public) == secure


async def _through(middleware, scope: dict) -> dict:
    """What a library's middleware makes of a request's scope."""
    seen: dict = {}

    async def app(scope, _receive, _send):
        seen.update(scope)

    async def nothing(*_):
        pass

    await middleware(app)(scope | {"type": "http", "path": "/", "method": "GET"}, nothing, nothing)
    return seen


def test_uvicorns_own_middleware_would_believe_a_visitor_of_the_private_network():
    """Why `address.client` stays: of what a proxy forwards, it believes the last address, whoever has it."""
    forwarded = "203.0.113.9, 10.0.0.7"  # 10.0.0.7 wrote the first, the proxy the second
    headers = [(b"x-forwarded-for", forwarded.encode())]
    networks = ["10.0.0.0/8", "172.16.0.0/12"]
    scope = {"client": ("172.18.0.2", 0), "scheme": "http", "headers": headers}
    seen = asyncio.run(_through(lambda app: ProxyHeadersMiddleware(app, trusted_hosts=networks), scope))
    assert seen["client"][0] == "203.0.113.9"
    assert address.client("172.18.0.2", {"x-forwarded-for": forwarded}, PUBLIC) == "10.0.0.7"


def test_starlettes_own_middleware_knows_names_alone():
    """Why `address.known_host` stays: at 0.0.0.0 any number of this machine will do, but no other name."""

    def admits(host: str, allowed: list[str]) -> bool:
        scope = {"headers": [(b"host", host.encode())]}
        seen = _through(lambda app: TrustedHostMiddleware(app, allowed_hosts=allowed), scope)
        return bool(asyncio.run(seen))

    named, any_name = ["localhost", "study.example.org"], ["*"]
    assert not admits("192.168.0.9:8501", named)
    assert admits("evil.example", any_name)
    assert address.known_host("192.168.0.9:8501", "0.0.0.0", None)
    assert not address.known_host("evil.example", "0.0.0.0", None)
