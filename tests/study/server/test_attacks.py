"""Attacks on a running server: each is refused, leaves a line in its log, and it goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked import Target, page_of, require_well, serving, told_by
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_now

from study.server.gate import MOST_SOCKETS
from study.store.answering import MOST_REPORTS
from tests.benchmarks.socket_listener import Notes, SocketListener


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Target]:
    """A server of its own for so many refusals that its log counts the rest of a minute's only."""
    with serving(tmp_path, lines=3) as target:
        yield target
        require_well(target, 0)


# clips and reports of somebody else


def test_somebody_elses_clip_is_not_there(target):
    key = target.play_key("Ann")
    for cookie in (target.cookies["Bo"], "", "listener_00000000=" + target.tokens["Ann"]):
        status, _, body = target.ask("GET", f"/clip/{key}", Cookie=cookie)
        assert (status, body) == (404, b"")
    assert target.log().count(f"refused: 404 GET '/clip/{key}' from 127.0.0.1") == 3
    assert target.ask("GET", f"/clip/{key}", Cookie=target.cookies["Ann"])[0] == 200
    assert target.log() == ""


def test_reports_for_somebody_elses_clip_are_refused(target):
    key = target.play_key("Ann")
    body = json.dumps({"why": "unlocked", "heard": 1.2, "unlocked": True}).encode()
    assert target.ask("POST", f"/heard/{key}", body=body, Cookie=target.cookies["Bo"])[0] == 404
    assert target.ask("POST", "/heard/" + "a" * 26, body=body, Cookie=target.cookies["Ann"])[0] == 404
    assert target.ask("PUT", f"/heard/{key}", body=body, Cookie=target.cookies["Ann"])[0] == 405
    log = target.log()
    assert log.count("refused: 404 POST") == 2
    assert log.count("refused: 405 PUT") == 1


def test_replayed_reports_open_nothing_and_come_to_an_end(target):
    """A report is no answer: replayed a thousand times it opens no gate, and after so many is refused."""
    token = target.store.invite("Replaying")
    person = target.store.find(token)
    key = target.store.show(person.id, 0).play_key
    cookie = target.enter(token)
    body = json.dumps({"why": "unlocked", "plays": 9, "heard": 1.2, "unlocked": True}).encode()
    line = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=90)
    statuses = []
    for _ in range(MOST_REPORTS + 20):
        line.request("POST", f"/heard/{key}", body=body, headers={"Cookie": cookie})
        answer = line.getresponse()
        answer.read()
        statuses.append(answer.status)
    line.close()
    assert statuses == [204] * MOST_REPORTS + [429] * 20
    draft = target.store.show(person.id, 0)
    assert not draft.listening.unlocked
    assert draft.revision == 0
    assert target.log().count("refused: 429 POST") == 20


# addresses


@pytest.mark.parametrize(
    "path",
    [
        "/clip/../../private/key.csv",
        "/clip/..%2f..%2fprivate%2fkey.csv",
        "/clip/%2e%2e/%2e%2e/private/key.csv",
        "/clip/%252e%252e%252fprivate%252fkey.csv",
        "/clip/..\\..\\private\\key.csv",
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%5c..%5c..%5cetc%5cpasswd",
        "/static//etc/passwd",
        "//etc/passwd",
        "/heard/../private/key.csv",
        "/%00",
        "/clip/%00%0d%0aset-cookie:%20x=1",
        "/study.toml",
        "/responses.sqlite",
        "/private/researcher.token",
        "/sets/UMG/",
        "/_stcore/upload_file/a/b",
        "/_stcore/metrics",
        "/component/x/../../../etc/passwd",
        "/media/../private/key.csv",
        "/kept.zip",
    ],
)
def test_no_path_leads_out(target, path):
    status, headers, body = target.ask("GET", path, Cookie=target.cookies["Ann"])
    assert status in (400, 403, 404)
    assert b"root:" not in body
    assert b"truth" not in body
    assert "set-cookie" not in headers
    assert f"refused: {status} GET" in target.log()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::2]", ""])
def test_another_host_is_not_ours(target, host):
    status, _, body = target.ask("GET", "/", Host=host, Cookie=target.cookies["Ann"])
    assert status == 400
    assert b"stcore" not in body
    assert "refused: 400 GET '/'" in target.log()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_a_socket_from_another_site_is_refused(target, origin):
    headers = {"Cookie": target.cookies["Ann"]}
    with pytest.raises(InvalidStatus, match="403"):
        connect_now(
            f"ws://127.0.0.1:{target.server.port}/_stcore/stream", additional_headers=headers, origin=origin
        )
    assert "refused: socket at '/_stcore/stream'" in target.log()


# cookies and sessions


@pytest.mark.parametrize(
    "tamper",
    [
        lambda name, token: f"{name}={token[:-1]}",
        lambda name, token: f"{name}={token.upper()}",
        lambda name, token: f"{name}={token}%00",
        lambda name, token: f"{name}=' OR 1=1 --",
        lambda name, token: f"{name}=" + "x" * 7_000,
        lambda name, token: f"{name}=\u00fc\u00ff",
        lambda name, token: f"{name}=; {name}x={token}",
        lambda name, token: f"listener_={token}",
        lambda name, token: f"{name.replace('listener', 'researcher')}={token}",
    ],
)
def test_a_tampered_cookie_opens_nothing(target, tamper):
    name, token = target.cookies["Ann"].split("=")
    cookie = tamper(name, token)
    for path in ("/", "/researcher"):
        assert target.ask("GET", path, Cookie=cookie)[0] == 403
    assert target.ask("GET", f"/clip/{target.play_key('Ann')}", Cookie=cookie)[0] == 404
    with pytest.raises(InvalidStatus), target.socket(cookie.encode().decode("latin-1")):
        pass
    assert target.log().count("refused: ") == 4


def test_somebody_elses_session_shows_ones_own_page(target):
    """Taking over the id of a socket session gives neither the other's page nor the right to answer."""
    ann, bo = (target.store.find(target.tokens[name]) for name in ("Ann", "Bo"))
    with target.socket(target.cookies["Ann"]) as line:
        first = told_by(line)
        session = _session_of(first)
    told = page_of(target, target.cookies["Bo"], session=session)
    assert target.play_key("Ann").encode() not in told
    assert target.store.find(target.tokens["Ann"]).step == ann.step
    assert target.store.find(target.tokens["Bo"]).step == bo.step


def _session_of(told: bytes) -> str:
    import re

    return re.search(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", told).group().decode()


# the researcher's pages


def test_the_researchers_pages_stay_closed_to_listeners(target):
    for cookie in ("", target.cookies["Ann"], "researcher_00000000=x.y"):
        for path in (
            "/researcher",
            "/researcher/data",
            "/researcher/",
            "/researcher?key=",
            "/researcher?key=x",
        ):
            status, headers, body = target.ask("GET", path, Cookie=cookie)
            assert status in (403, 404)
            assert "set-cookie" not in headers
            assert b"Bo" not in body
    assert "refused: 403 GET '/researcher'" in target.log()


def test_no_message_turns_a_listener_into_the_researcher(target):
    """A browser says itself which page it shows, so a forged message may name the researcher's."""
    with target.socket(target.cookies["Ann"]) as line:
        told_by(line)
        for name in ("researcher", "/researcher", "overview", "data", "listeners"):
            message = BackMsg()
            message.rerun_script.page_name = name
            message.rerun_script.query_string = "p=" + target.tokens["Bo"]
            told = told_by(line, message)
            assert target.tokens["Bo"].encode() not in told
            assert b"Personal links" not in told


# what comes over the socket


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["load_git_info", "clear_cache", "stop_script", "debug_shutdown_runtime"])
def test_streamlits_other_messages_do_no_harm(target, kind):
    with target.socket(target.cookies["Ann"]) as line:
        told_by(line)
        message = BackMsg()
        setattr(message, kind, True)
        told = told_by(line, message)
    for secret in (str(target.folder.path), "pages.py", "eureka"):
        assert secret.encode() not in told
    assert target.server.process.poll() is None


def test_forged_answers_are_not_taken(target):
    """Values that no page offers, a gate that never opened, texts without end: the answer stays clean."""
    token = target.store.invite("Forging")
    person = target.store.find(token)
    notes = Notes()
    forger = SocketListener(target.server.base, token, notes, think=0.01, seed=1)

    async def forge() -> None:
        import httpx

        async with httpx.AsyncClient(base_url=target.server.base, timeout=60) as forger.http:
            await forger.enter()
            async with await forger.dial() as line:
                await forger.send(line)
                while "player" not in [kind for kind, _ in forger.shown.components.values()] or (
                    forger.shown.component("player") == "tone"
                ):
                    await forger.act(line)
                player = forger.shown.component("player")
                huge = {"clip": forger.shown.components[player][1]["clip"], "spans": [[0, 1e300]] * 5000}
                forger.states[player] = ("json_value", {"status": huge | {"heard": -5, "plays": "many"}})
                slot = player.rpartition("-")[2]
                for key, options in ((f"verdict-{slot}", ["Neither"]), (f"musicality-{slot}", ["99"])):
                    forger.states[key] = ("string_array_value", options)
                    await forger.send(line)
                forger.states[f"comment-{slot}"] = ("json_value", {"text": "x" * 200_000})
                await forger.send(line)
                forger.states[f"next-{slot}"] = ("json_value", {"press": "p" * 100_000})
                await forger.send(line)

    asyncio.run(asyncio.wait_for(forge(), 240))
    draft = target.store.show(person.id, 0)
    assert draft.fields["verdict"] is None
    assert draft.fields["musicality"] is None
    assert not draft.final
    assert not draft.listening.unlocked
    assert len(draft.fields["comment"] or "") <= 4000


@pytest.mark.parametrize(
    "data", [b"\xff" * 100, "a word", b"\x00" * 6_000_000], ids=["no message", "text", "6 MB"]
)
def test_odd_frames_end_the_socket_and_nothing_else(target, data):
    with target.socket(target.cookies["Ann"]) as line:
        assert _ended_by(line, data)


def _ended_by(line, data: bytes | str) -> bool:
    """Whether the server ends the socket when it is sent this."""
    try:
        line.send(data)
        while True:
            line.recv(timeout=60)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


# bodies


def test_oversized_posts_are_cut_off(target):
    key = target.play_key("Ann")
    status = None
    with contextlib.suppress(ConnectionError):  # it may hang up while we still send
        status, _, _ = target.ask(
            "POST", f"/heard/{key}", body=b"x" * 20_000_000, Cookie=target.cookies["Ann"]
        )
    assert status in (413, None)
    assert "refused: 413 POST" in target.log("413")
    assert target.ask("POST", "/", body=b"x" * 1000, Cookie=target.cookies["Ann"])[0] == 405
    assert target.ask("POST", "/_stcore/upload_file/a/b", body=b"x", Cookie=target.cookies["Ann"])[0] == 404


@pytest.mark.slow
def test_slow_posts_hold_nobody_up_and_are_dropped(target):
    key, lines = target.play_key("Ann"), []
    head = f"POST /heard/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {target.cookies['Ann']}\r\n"
    for _ in range(60):
        line = socket.create_connection(("127.0.0.1", target.server.port), timeout=90)
        line.sendall((head + "Content-Length: 8000\r\n\r\n{").encode())
        lines.append(line)
    assert target.ask("GET", "/", Cookie=target.cookies["Bo"])[0] == 200
    assert not select.select(lines[-1:], [], [], 0)[0], "answered before them"
    assert lines[-1].recv(100).startswith(b"HTTP/1.1 408")
    for line in lines:
        line.close()
    assert "refused: 408 POST" in target.log("408")


# many at once


@pytest.mark.slow
def test_two_hundred_sockets_at_once(crowded):
    """Strangers get none; a listener gets a handful; and another listener goes on as if nothing were."""

    async def knock(cookie: str) -> object:
        return await connect(
            f"ws://127.0.0.1:{crowded.server.port}/_stcore/stream",
            subprotocols=["streamlit"],
            additional_headers={"Cookie": cookie, "Origin": crowded.server.base},
            open_timeout=60,
        )

    async def knock_often(cookie: str) -> int:
        tries = await asyncio.gather(*[knock(cookie) for _ in range(200)], return_exceptions=True)
        inside = [one for one in tries if not isinstance(one, BaseException)]
        assert await asyncio.to_thread(page_of, crowded, crowded.cookies["Bo"])
        assert all(isinstance(one, InvalidStatus) for one in tries if isinstance(one, BaseException))
        for one in inside:
            await one.close()
        return len(inside)

    assert asyncio.run(knock_often("listener_00000000=nobody")) == 0
    assert asyncio.run(knock_often(crowded.cookies["Ann"])) == MOST_SOCKETS
    assert _page_within(60, crowded, crowded.cookies["Ann"]), "closed sockets count no more"
    assert "refused: " in crowded.log()


def _page_within(seconds: float, target: Target, cookie: str) -> bytes:
    """A page that is refused until the server has seen others close. Raises: InvalidStatus."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return page_of(target, cookie)
        except InvalidStatus:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
