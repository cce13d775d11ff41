"""Where a study is reached, and where a request comes from: hosts, origins and proxies.

A study is reached on this machine alone (the default), at an address of this machine, or at a public address
with a proxy in front. Forwarded headers are believed only in the last case, and only from the proxies that
STUDY_PROXIES lists; without it, from one on this machine or in its private network. Anybody else could write
them.

uvicorn's ProxyHeadersMiddleware and Starlette's TrustedHostMiddleware do less than that. The first trusts
every address of a trusted network, so a visitor inside the private network could name any address as his own
and guess passwords under it without end. The second knows names alone and has no rule for "any number of this
machine" (tests/study/server/test_address.py shows both).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from caw.problems import ProblemError

PUBLIC_URL = "STUDY_PUBLIC_URL"
BASE_PATH = "STUDY_BASE_PATH"  # what stands before every address, as "/study"
PROXIES = "STUDY_PROXIES"  # addresses or networks, as "10.0.0.2, 172.18.0.0/16"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WILDCARDS = ("", "0.0.0.0", "::")
_NEARBY = [  # this machine and private networks; Python's is_private counts more, as addresses in examples
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
    + ("::1/128", "fc00::/7", "fe80::/10")
]
_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip")


class AddressError(ProblemError):
    """An address at which the study cannot be served."""


@dataclass(frozen=True)
class PublicUrl:
    """The address that listeners type: scheme and host, with a port where it is not the scheme's own."""

    scheme: str
    netloc: str
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()  # none listed: any one nearby

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def host(self) -> str:
        return host_of(self.netloc)

    def lists(self, host: str) -> bool:
        """Whether this is the address of a listed proxy."""
        address = _address(host)
        return address is not None and any(address in network for network in self.proxies)

    def is_proxy(self, peer: str) -> bool:
        """Whether what this address forwards is believed: it speaks for all visitors."""
        return self.lists(peer) if self.proxies else is_nearby(peer)


def public_url() -> PublicUrl | None:
    """The address in STUDY_PUBLIC_URL, which `study serve --public-url` sets. Raises: AddressError."""
    url = os.environ.get(PUBLIC_URL, "").strip()
    return replace(parsed(url), proxies=_listed(os.environ.get(PROXIES, ""))) if url else None


def base_path() -> str:
    """What stands before every address of the study: STUDY_BASE_PATH, which `study serve --base-path` sets.

    Raises: AddressError for one that no proxy can be set to.
    """
    path = os.environ.get(BASE_PATH, "").strip().rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", path):
        fix = "write it as /study, of letters, digits, '-' and '_'"
        raise AddressError(f"base path {path!r}: is none", fix)
    return path


def own(path: str) -> str:
    """An address of the study's own, as "/clip/...", as browsers must ask for it."""
    return f"{base_path()}{path}"


def _listed(proxies: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    names = [name.strip() for name in proxies.split(",") if name.strip()]
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as error:
        fix = "write addresses or networks, as 10.0.0.2, 172.18.0.0/16"
        raise AddressError(f"{PROXIES}={proxies!r}: {error}", fix) from None


def parsed(url: str) -> PublicUrl:
    """Raises: AddressError for an address that a browser could not reach the study at."""
    fix = "write scheme and host alone, as https://study.example.org"
    try:
        parts = urlsplit(url)
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0 and bare
    except ValueError:
        whole = False
    if not whole or any(letter.isspace() or letter in "<>\"'" for letter in url):
        raise AddressError(f"public address {url!r}: is none that a browser reaches", fix)
    return PublicUrl(parts.scheme, parts.netloc.lower())


def reached(url: str) -> str:
    """The address that links begin with, where it is one that a browser reaches; it may end in a path.

    Raises: AddressError for any other.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment or any(one.isspace() or one in "<>\"'" for one in url):
        fix = "write scheme and host, as https://study.example.org"
        raise AddressError(f"--url {url!r}: is no address that a browser reaches", fix)
    return url.rstrip("/")


def host_of(netloc: str) -> str:
    """The host of "host:port", "[::1]:port" or "host", in small letters and without a last dot; else ""."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0].lower()
    host, _, port = netloc.partition(":")
    return host.lower().rstrip(".") if not port or port.isdecimal() else ""


def known_host(netloc: str, bound: str | None, public: PublicUrl | None) -> bool:
    """Whether a Host header names this study: another one means a page elsewhere that poses as it.

    bound: the address listened at; None or a wildcard for all, and then any of this machine's numbers and
    its name will do. A name of somebody else's can be pointed at this machine; a number cannot.
    """
    host = host_of(netloc)
    if host in LOOPBACK or (public is not None and host == public.host):
        return True
    if is_loopback(bound or ""):
        return False
    if (bound or "") not in WILDCARDS:
        return host == bound.lower()
    return _address(host) is not None or host in (socket.gethostname().lower(), socket.getfqdn().lower())


def same_origin(headers: Mapping[str, str], public: PublicUrl | None) -> bool:
    """Whether a page of this very study sends the request; False without an Origin."""
    origin = headers.get("origin", "")
    if public is not None and origin.lower() == str(public):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == headers.get("host", "")


def client(peer: str, headers: Mapping[str, str], public: PublicUrl | None) -> str:
    """The address a request comes from: the peer's, or the one that a trusted proxy says it speaks for.

    Of several forwarded addresses the last one counts that is no listed proxy's: the proxy wrote it, and
    whoever stands before the proxy may have made up the others.
    """
    if public is None or not public.is_proxy(peer):
        return peer
    lines = (
        headers.getlist("x-forwarded-for")
        if isinstance(headers, Headers)
        else [headers.get("x-forwarded-for", "")]
    )
    forwarded = [part.strip() for part in ",".join(lines).split(",") if part.strip()]
    for host in reversed(forwarded):
        if _address(host) is None:
            return peer
        if not public.lists(host):
            return host
    return peer


def grouped(host: str) -> str:
    """The address by which one visitor is counted: of IPv6 the network of 64 bits that a household has."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or host)


def secure(scheme: str, peer: str, headers: Mapping[str, str], public: PublicUrl | None) -> bool:
    """Whether the browser speaks https, be it to a proxy in front."""
    if scheme in ("https", "wss"):
        return True
    if public is not None and public.scheme == "https" and host_of(headers.get("host", "")) not in LOOPBACK:
        return True
    return is_nearby(peer) and headers.get("x-forwarded-proto", "").startswith("https")


def on_this_machine(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser on this machine asks, with no proxy between."""
    proxied = any(name in headers for name in _FORWARDED)
    return is_loopback(peer) and host_of(headers.get("host", "")) in LOOPBACK and not proxied


def is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_nearby(peer: str) -> bool:
    """Whether an address is this machine's or of a private network."""
    address = _address(peer)
    return address is not None and any(address in network for network in _NEARBY)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
