"""A study under a prefix of its proxy's addresses, be it that the proxy takes the prefix off or not."""

from __future__ import annotations

import pytest
from gated import SCRIPT, play_key
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient

from study.server import address, login
from study.server.address import AddressError
from study.server.gate import SOCKET, Gate
from study.server.login import ROUTES as LOGIN_ROUTES
from study.server.prefix import Prefix
from study.server.routes import ROUTES


@pytest.fixture(params=["passed on", "taken off"])
def prefixed(request, serving, monkeypatch):
    """A client, and how its proxy asks for an address: with the prefix or without it."""
    monkeypatch.setenv(address.BASE_PATH, "/lab/study/")

    async def socket(line):
        await line.accept()
        await line.close()

    app = Starlette(
        routes=[*ROUTES, *LOGIN_ROUTES, WebSocketRoute(SOCKET, socket)],
        middleware=[Middleware(Prefix), Middleware(Gate, script=SCRIPT)],
    )
    client = TestClient(
        app, follow_redirects=False, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)
    )
    return client, (lambda path: f"/lab/study{path}") if request.param == "passed on" else (lambda path: path)


def test_a_personal_link_leads_to_the_study_under_its_prefix(prefixed, serving):
    client, asked = prefixed
    answer = client.get(asked(f"/?p={serving.store.invite('Ann')}"))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/lab/study/?me=")
    assert "path=/lab/study;" in answer.headers["set-cookie"].lower()
    cookie = answer.headers["set-cookie"].split(";")[0]
    page = client.get(asked("/"), headers={"cookie": cookie})
    assert page.status_code == 200
    assert 'href="/lab/study/icon.svg"' in page.text
    clip = client.get(asked(f"/clip/{play_key(serving, 'Ann')}"), headers={"cookie": cookie})
    assert clip.headers["content-type"] == "audio/wav"
    for path in ("/tone.wav", "/icon.svg"):
        assert client.get(asked(path)).status_code == 200


def test_the_doors_lead_on_under_the_prefix(prefixed, serving):
    client, asked = prefixed
    assert 'href="/lab/study/icon.svg"' in client.get(asked("/")).text
    assert '"/lab/study/icon.svg"' in client.get(asked(login.HOME)).text
    key = serving.researcher_key
    entered = client.get(asked(f"{login.HOME}?key={key}"))
    assert entered.headers["location"] == "/lab/study/researcher"
    assert "path=/lab/study;" in entered.headers["set-cookie"].lower()


def test_the_bare_prefix_leads_on_and_its_neighbours_nowhere(serving, monkeypatch):
    monkeypatch.setenv(address.BASE_PATH, "/study")
    app = Starlette(routes=ROUTES, middleware=[Middleware(Prefix), Middleware(Gate, script=SCRIPT)])
    client = TestClient(app, follow_redirects=False, base_url="http://127.0.0.1")
    answer = client.get("/study?p=abc")
    assert (answer.status_code, answer.headers["location"]) == (307, "/study/?p=abc")
    for other in ("/study-notes", "/studyx/icon.svg", "/study/study/icon.svg"):
        assert client.get(other).status_code == 404


def test_a_socket_opens_under_the_prefix(prefixed, serving):
    client, asked = prefixed
    client.cookies.set(serving.listener_cookie, serving.store.invite("Ann"), path="/")
    with client.websocket_connect(f"ws://127.0.0.1{asked(SOCKET)}") as line:
        assert line.receive()["type"] == "websocket.close"


def test_pages_ask_for_addresses_under_the_prefix(monkeypatch):
    monkeypatch.setenv(address.BASE_PATH, "/study")
    assert address.own("/clip/x") == "/study/clip/x"
    monkeypatch.delenv(address.BASE_PATH)
    assert address.own("/clip/x") == "/clip/x"


@pytest.mark.parametrize(
    "path", ["study", "//evil.org", "/a b", "/a/../b", '/"x', "/a?b", "https://example.org"]
)
def test_a_prefix_that_is_none_is_refused(monkeypatch, path):
    monkeypatch.setenv(address.BASE_PATH, path)
    with pytest.raises(AddressError, match="base path"):
        address.base_path()
