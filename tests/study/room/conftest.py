from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_study import make_tiny_study

from study.folder import StudyFolder
from study.room.served import VARIABLE, Served, served
from study.room.store import Store


@pytest.fixture
def tiny_study(tmp_path: Path) -> StudyFolder:
    """Two sets of two clips and one practice clip, 1.2 s each."""
    return make_tiny_study(tmp_path / "study")


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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh database with nothing built."""
    opened = Store(f"sqlite:///{tmp_path / 'responses.sqlite'}")
    yield opened
    opened.close()
