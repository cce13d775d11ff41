"""The gate and the room's own routes without a server: a client that knocks at them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from study.server import recordings
from study.server.gate import SOCKET, Gate
from study.server.routes import ROUTES

HERE = "http://127.0.0.1"
SCRIPT = "/home/ida/study of caw/pages.py"


def gated_client() -> TestClient:
    """The gate and our own routes as they are served; Streamlit's part is a socket that names its script."""
    streamlits = [WebSocketRoute(SOCKET, _socket), Route("/_stcore/metrics", lambda _: 1 / 0)]
    app = Starlette(
        routes=ROUTES + recordings.ROUTES + streamlits, middleware=[Middleware(Gate, script=SCRIPT)]
    )
    return TestClient(app, follow_redirects=False, base_url=HERE, client=("127.0.0.1", 50_000))


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_bytes(b"\x0a\x20" + SCRIPT.encode() + b"\x12\x00")
    await socket.close()


def socket_here(path: str = SOCKET) -> str:
    return f"ws://127.0.0.1{path}"


def enter(client, token):
    answer = client.get(f"/?p={token}")
    assert answer.status_code == 303
    return answer


def play_key(study, name):
    person = study.store.find(study.store.invite(name))
    return study.store.show(person.id, 0).play_key
