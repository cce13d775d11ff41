"""While the database is away people are told so, nothing is lost, and all goes on when it is back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import postgres
import pytest
from websockets.exceptions import InvalidStatus

from tests.benchmarks.served_study import Server, database, study_with, until
from tests.benchmarks.socket_listener import LOST, Notes, SocketListener
from tests.free_ports import free_port

pytestmark = pytest.mark.slow


@pytest.mark.skipif(postgres.find("initdb") is None, reason="no PostgreSQL server on this machine")
def test_pages_clips_and_sockets_wait_for_the_database(tmp_path):
    running = []
    with database(postgres=True, running=running) as url:
        folder, (token,), url = study_with(tmp_path / "study", 1, url)
        with (
            Server(folder, free_port(), url) as server,
            httpx.Client(base_url=server.base, timeout=60) as browser,
        ):
            assert browser.get("/", params={"p": token}).status_code == 303
            running[0].kill()
            for ask in ("/", "/clip/abc", f"/?p={token}"):
                answer = browser.get(ask)
                assert (answer.status_code, answer.headers["refresh"]) == (503, "3"), ask
            assert browser.post("/heard/abc", content="{}").status_code == 503
            notes = Notes()
            listener = SocketListener(server.base, token, notes, think=0.05, seed=1)
            listener.cookie = f"{next(iter(browser.cookies))}={token}"
            with pytest.raises(InvalidStatus):
                asyncio.run(listener.dial())
            running[0].start()
            until(lambda: postgres.answers(str(running[0].home)))
            assert browser.get("/").status_code == 200
            asyncio.run(asyncio.wait_for(listener.run(), 240))
            log = server.log.read_text()
    assert notes.finished == {token}
    assert "refused: 503 GET '/' from 127.0.0.1" in log
    assert "Traceback" not in log


def test_a_page_that_could_not_save_tries_again_by_itself(tmp_path):
    """The database goes in the midst of a page: the page says so, and has itself run again."""
    if postgres.find("initdb") is None:
        pytest.skip("no PostgreSQL server on this machine")
    running = []
    with database(postgres=True, running=running) as url:
        folder, (token,), url = study_with(tmp_path / "study", 1, url)
        with Server(folder, free_port(), url) as server:
            told, components = asyncio.run(_interrupted(server, token, running[0]))
    assert any("Not saved" in text for text in told)
    assert components["run-again"]["again"] > 0
    shutil.rmtree(tmp_path / "study", ignore_errors=True)


async def _interrupted(server: Server, token: str, cluster: postgres.Cluster):
    listener = SocketListener(server.base, token, Notes(), think=0.05, seed=1)
    async with httpx.AsyncClient(base_url=server.base, timeout=60) as listener.http:
        await listener.enter()
        async with await listener.dial() as line:
            await listener.send(line)
            cluster.kill()
            with pytest.raises(LOST):
                await listener.send(line)
            cluster.start()
    return listener.shown.texts, {key: data for key, (_, data) in listener.shown.components.items()}


def test_a_page_says_so_where_the_file_was_taken_away_and_goes_on_when_it_is_back(tmp_path):
    """The same in SQLite: another process moves the file from under a served page, and back."""
    folder, (token,), url = study_with(tmp_path / "study", 1, None)
    file, away = folder / "responses.sqlite", folder / "away"
    with (
        Server(folder, free_port(), url) as server,
        httpx.Client(base_url=server.base, timeout=60) as browser,
    ):
        texts, notes = asyncio.run(_taken_away(server, token, file, away))
        assert browser.get("/", params={"p": token}).status_code == 303
        log = server.log.read_text()
    assert any("Not saved" in text for text in texts)
    assert notes.finished == {token}
    assert log.count("DATABASE LOST") == 1
    assert f"{file.resolve()} is back" in log
    assert "Traceback" not in log


async def _taken_away(server: Server, token: str, file: Path, away: Path) -> tuple[list[str], Notes]:
    listener = SocketListener(server.base, token, notes := Notes(), think=0.05, seed=1)
    async with httpx.AsyncClient(base_url=server.base, timeout=60) as listener.http:
        await listener.enter()
        async with await listener.dial() as line:
            await listener.send(line)
            while not any(key.startswith("verdict-") for key in listener.shown.choices):
                await listener.act(line)
            file.rename(away)
            with pytest.raises(LOST):  # at its first change
                await listener.act(line)
            refused = list(listener.shown.texts)
            away.rename(file)
            await listener.take(line)
    return refused, notes
