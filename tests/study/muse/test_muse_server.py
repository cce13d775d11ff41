"""The page's gate, its sounds and its archive, and how the worker is kept going and ended."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import zipfile

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from caw.compose import plan as plans
from study.muse.folder import KEPT, Choice
from study.muse.keeper import PROBLEM, Keeper
from study.server import musing
from study.server.gate import SOCKET
from tests.study.muse.tiny_muse import HEARD, made_folder, make_round, new_folder

HERE = "http://127.0.0.1:8501"


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


@pytest.fixture
def here(tmp_path):
    """A folder whose first round is made, served without a worker."""
    return musing.open_folder(made_folder(tmp_path))


@pytest.fixture
def stranger(here):
    """A browser without the link."""
    routes = [*musing.ROUTES, WebSocketRoute(SOCKET, _socket)]
    app = Starlette(routes=routes, middleware=[Middleware(musing.OwnersGate)])
    return TestClient(app, follow_redirects=False, base_url=HERE)


@pytest.fixture
def owner(here, stranger):
    answer = stranger.get(f"/?key={here.secret}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return stranger


@pytest.mark.parametrize("path", ["/", "/?key=wrong", "/clip/1-1.wav", "/kept.zip", "/_stcore/health"])
def test_without_the_link_nothing_is_open(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert answer.text == "Please open the link that `study muse` printed."


def test_the_link_opens_the_page_and_its_secret_leaves_the_address(owner, here):
    page = owner.get("/")
    assert page.status_code == 200
    assert "<title>riff</title>" in page.text
    assert here.secret not in page.text
    assert page.headers["x-frame-options"] == "DENY"


def test_another_name_and_another_page_are_refused(owner):
    assert owner.get("/", headers={"host": "evil.example"}).status_code == 400
    headers = {"origin": "http://127.0.0.1:9999"}
    with (
        pytest.raises(WebSocketDisconnect),
        owner.websocket_connect(f"ws://127.0.0.1:8501{SOCKET}", headers=headers),
    ):
        pass
    with owner.websocket_connect(f"ws://127.0.0.1:8501{SOCKET}", headers={"origin": HERE}) as socket:
        assert socket.receive_text() == "in"


def test_a_stranger_gets_no_socket(stranger):
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect(f"ws://127.0.0.1:8501{SOCKET}"):
        pass


def test_clips_are_sent_whole_in_ranges_and_as_files(owner, here):
    whole = owner.get("/clip/1-1.wav")
    assert whole.content == here.folder.sound("1-1").read_bytes()
    part = owner.get("/clip/1-1.wav", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    saved = owner.get("/clip/1-1.wav?save")
    assert saved.headers["content-disposition"] == "attachment; filename*=utf-8''riff%201-1.wav"


@pytest.mark.parametrize("name", ["9-9", "..%2fpassage", "1-1.wav/../../muse", ""])
def test_nothing_but_clips_is_sent(owner, name):
    assert owner.get(f"/clip/{name}.wav").status_code == 404


@pytest.mark.parametrize("path", ["/_stcore/upload_file/x", "/media/x", "/researcher", "/component/x"])
def test_no_other_address_is_there(owner, path):
    assert owner.get(path).status_code == 404


def test_the_archive_says_what_the_kept_clips_play(owner, here):
    here.folder.choose("1-2", Choice(KEPT, ("groove", "form"), "the end, twice"))
    answer = owner.get("/kept.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        assert sorted(pack.namelist()) == ["riff 1-2.plan.toml", "riff 1-2.wav", "what they play.txt"]
        assert pack.read("riff 1-2.wav") == here.folder.sound("1-2").read_bytes()
        text = pack.read("what they play.txt").decode("utf-8-sig")
    assert plans.read(here.folder.plan_of("1-2")) == HEARD
    for words in ("riff 1-2.wav", "120 BPM, 4/4", "Em C G D", "groove and form", "the end, twice", "certain"):
        assert words in text


def test_a_press_asks_for_one_round_and_only_when_all_is_made(here):
    assert here.ask("a")
    assert not here.ask("a")
    assert not here.ask("b"), "the second round is not made yet"
    make_round(here.folder)
    assert not here.ask("a"), "as when a browser sends an old press to a new server"
    assert here.ask("b")
    assert [each.press for each in here.folder.rounds()] == ["", "a", "b"]


def test_a_worker_that_cannot_go_on_says_why_and_is_not_started_again(tmp_path):
    folder = new_folder(tmp_path)
    folder.passage.unlink()
    keeper = Keeper(folder)
    keeper._keep()
    assert keeper._process.returncode == PROBLEM
    assert "passage.wav: no such file" in folder.progress().problem
    assert not keeper.lost


def test_a_worker_that_dies_again_and_again_is_given_up(tmp_path, monkeypatch):
    folder = new_folder(tmp_path)
    keeper = Keeper(folder)
    started = []

    def dying():
        started.append(subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]))
        return started[-1]

    monkeypatch.setattr(keeper, "_started", dying)
    monkeypatch.setattr("study.muse.keeper._BETWEEN", 0.0)
    keeper._keep()
    assert (len(started), keeper.lost) == (3, f"signal {signal.SIGKILL.value}")
