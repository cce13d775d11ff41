"""A running study to be attacked: requests exactly as written, sockets, and what its log says."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from tiny_study import make_tiny_study
from websockets.sync.client import ClientConnection, connect

from study.folder import StudyFolder
from study.store.store import Store
from tests.benchmarks.served_study import Server
from tests.free_ports import free_port


class Target:
    """A study under attack: its server, its listeners, and what its log has said since the last look."""

    def __init__(self, folder: StudyFolder, server: Server, store: Store) -> None:
        self.folder, self.server, self.store = folder, server, store
        self.tokens = {name: store.invite(name) for name in ("Ann", "Bo")}
        self.cookies = {name: self.enter(token) for name, token in self.tokens.items()}
        self.read = 0

    def enter(self, token: str) -> str:
        status, headers, _ = self.ask("GET", f"/?p={token}")
        assert status == 303
        return headers["set-cookie"].split(";")[0]

    def ask(
        self, method: str, path: str, *, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request with the path exactly as given. Returns status, headers and body."""
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=90)
        try:
            line.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                line.putheader(name, value)
            if body is not None:
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            line.close()

    def play_key(self, name: str) -> str:
        person = self.store.find(self.tokens[name])
        return self.store.show(person.id, 0).play_key

    def log(self, until: str = "") -> str:
        """What the log says since the last look; waits for `until` to stand there."""
        deadline = time.monotonic() + 60
        while until not in (text := self.server.log.read_text())[self.read :] and time.monotonic() < deadline:
            time.sleep(0.05)
        fresh, self.read = text[self.read :], len(text)
        return fresh

    def socket(self, cookie: str, *, session: str = "", **settings) -> ClientConnection:
        known = ["streamlit", "none"] + ([session] if session else [])
        return connect(
            f"ws://127.0.0.1:{self.server.port}/_stcore/stream",
            subprotocols=known,
            additional_headers={"Cookie": cookie, "Origin": self.server.base},
            max_size=None,
            open_timeout=60,
            **settings,
        )


@contextlib.contextmanager
def serving(home: Path, lines: int = 1000) -> Iterator[Target]:
    """lines: how many refusals of a kind its log names in a minute."""
    folder = make_tiny_study(home / "study")
    store = Store.for_folder(folder)
    server = Server(folder.path, free_port())
    server.environment["STUDY_LOG_LINES"] = str(lines)
    with server:
        yield Target(folder, server, store)
    store.close()


def require_well(target: Target, start: int) -> None:
    assert target.ask("GET", "/", Cookie=target.cookies["Bo"])[0] == 200
    assert page_of(target, target.cookies["Bo"])
    assert "Traceback" not in target.server.log.read_text()[start:]


def page_of(target: Target, cookie: str, **settings) -> bytes:
    """All that the server sends over the socket for one run of the page."""
    with target.socket(cookie, **settings) as line:
        return told_by(line)


def _ends_a_run(told: ForwardMsg) -> bool:
    """Other than where it was cut short for another one."""
    early = ForwardMsg.FINISHED_EARLY_FOR_RERUN
    return told.WhichOneof("type") == "script_finished" and told.script_finished != early


def told_by(line: ClientConnection, message: BackMsg | None = None) -> bytes:
    if message is None:
        message = BackMsg()
        message.rerun_script.query_string = ""
    line.send(message.SerializeToString())
    told, runs = b"", message.WhichOneof("type") == "rerun_script"
    with contextlib.suppress(TimeoutError):
        while True:
            frame = line.recv(timeout=90 if runs else 2)  # what causes no run may well be left unanswered
            told += frame
            if runs and _ends_a_run(ForwardMsg.FromString(frame)):
                break
    return told
