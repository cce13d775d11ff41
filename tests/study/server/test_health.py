"""The health check asks the database: well, gone, replaced, read-only, silent, and how often it is asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading

import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from study.server import health
from study.server.gate import Gate
from study.server.health import Health
from study.store.answering import StoreError


@pytest.fixture
def ask(serving, monkeypatch):
    """Asks the health of the tiny study. Behind the gate is Streamlit's own answer."""
    monkeypatch.setattr(health, "FRESH", 0.0)
    inside = [Route(health.ADDRESS, lambda _: PlainTextResponse("ok"))]
    app = Starlette(routes=inside, middleware=[Middleware(Gate, script="/pages.py")])
    client = TestClient(app, base_url="http://127.0.0.1")

    def asked() -> tuple[int, str]:
        answer = client.get(health.ADDRESS)
        return answer.status_code, answer.text

    return asked


def test_a_study_that_can_save_is_well(ask):
    assert ask() == (200, "ok")


def test_a_database_file_that_is_gone_is_named(ask, serving):
    serving.folder.database.unlink()
    assert ask() == (503, "The database file was moved, deleted or replaced.")


def test_another_file_in_its_place_is_named(ask, serving, tmp_path):
    shutil.copy(serving.folder.database, tmp_path / "copy")
    os.replace(tmp_path / "copy", serving.folder.database)
    assert ask() == (503, "The database file was moved, deleted or replaced.")


def test_a_database_that_can_only_be_read_is_named(ask, serving, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)  # root may write everywhere
    assert ask() == (503, "The database can only be read, so no answer can be saved.")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_database_server_is_asked(store):
    store.check()
    with store.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    store.engine.dispose()
    with pytest.raises(StoreError, match="can only be read"):
        store.check()


def _answers(check, times: int) -> list[int | None]:
    async def all_at_once() -> list[int | None]:
        one = Health(check)
        told = await asyncio.gather(*[one.refusal() for _ in range(times)])
        return [answer and answer.status_code for answer in told]

    return asyncio.run(all_at_once())


def test_many_who_ask_at_once_cost_one_question():
    asked = []
    assert _answers(lambda: asked.append(1), 200) == [None] * 200
    assert len(asked) == 1


def test_a_database_that_is_silent_costs_one_thread_and_is_named(monkeypatch):
    monkeypatch.setattr(health, "SECONDS", 0.05)
    silent, asked = threading.Event(), []

    def check() -> None:
        asked.append(1)
        silent.wait(60)

    async def ask_often() -> list[bytes]:
        one = Health(check)
        told = [(await one.refusal()).body for _ in range(3)]
        silent.set()
        return told

    assert asyncio.run(ask_often()) == [b"The database has not answered within 0 seconds."] * 3
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreError("The database file is gone."), b"The database file is gone."),
        (OperationalError("SELECT secret", {}, Exception("/private/path")), b"The database does not answer."),
    ],
)
def test_the_trouble_is_told_without_its_inside(error, told):
    def check() -> None:
        raise error

    answer = asyncio.run(Health(check).refusal())
    assert (answer.status_code, answer.body) == (503, told)
