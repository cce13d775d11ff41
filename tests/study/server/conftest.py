from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from gated import gated_client
from tiny_study import make_tiny_study

from study.folder import StudyFolder
from study.server.served import VARIABLE, Served, served
from study.store.store import Store


@pytest.fixture(scope="session")
def tiny_study_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every `tiny_study` is a copy of."""
    return make_tiny_study(tmp_path_factory.mktemp("tiny") / "study").path


@pytest.fixture
def tiny_study(tmp_path: Path, tiny_study_once: Path) -> StudyFolder:
    """Two sets of two clips and one practice clip, 1.2 s each."""
    return StudyFolder(shutil.copytree(tiny_study_once, tmp_path / "study"))


@pytest.fixture
def serving(tiny_study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The tiny study as the one that this process serves."""
    yield from _serve(tiny_study, monkeypatch)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Serves any study folder: serve(folder) -> Served."""
    opened = []

    def start(folder: StudyFolder) -> Served:
        opened.append(_serve(folder, monkeypatch))
        return next(opened[-1])

    yield start
    for one in opened:
        next(one, None)


def _serve(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv(VARIABLE, str(folder.path))
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    served.cache_clear()
    study = served()
    yield study
    study.store.close()
    served.cache_clear()


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[str]:
    """The socket folder of a running PostgreSQL; skipped without one, but never in CI."""
    if postgres.find("initdb") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL server on this machine; install the package `postgresql`")
        pytest.skip("no PostgreSQL server on this machine; install the package `postgresql` to run this")
    with postgres.cluster() as home:
        deadline = time.monotonic() + 120
        while not postgres.answers(home):
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
        yield home


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh database: an SQLite file, or where a test asks for "postgres" one of its own."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'responses.sqlite'}"
    home = request.getfixturevalue("postgres_home")
    import psycopg

    name = f"study_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url(home, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url(home, name)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A fresh database with nothing built."""
    opened = Store(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server under attack, of one module's tests."""
    from attacked import serving

    with serving(tmp_path_factory.mktemp("attacked")) as running:
        yield running


@pytest.fixture
def target(running: Any) -> Iterator[Any]:
    """The server to attack; after each attack it must serve a listener, without a traceback in its log."""
    from attacked import require_well

    time.sleep(0.05)
    running.log()
    start = running.read
    yield running
    require_well(running, start)


@pytest.fixture
def people(serving):
    """Two invited listeners: name -> token."""
    return {name: serving.store.invite(name) for name in ("Ann", "Bo")}


@pytest.fixture
def client(serving):
    return gated_client()
