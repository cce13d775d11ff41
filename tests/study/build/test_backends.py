from pathlib import Path

import pytest

from study import backends
from study.backends import Backend, BackendError, Cell, seed_for


def cell(**changes) -> Cell:
    facts = {"source": "riff", "file": None, "start": 0.0, "seconds": 5.0, "mode": "UMG", "epochs": 100}
    return Cell(**(facts | {"backend": "caw"} | changes))


def test_the_backends_there_are():
    assert {"caw", "command", "imported"} <= set(backends.names())
    for name in backends.names():
        backend = backends.get(name)
        assert isinstance(backend, Backend)
        assert backend.name == name


def test_another_backend_is_one_file(tiny):
    assert "tiny" in backends.names()
    assert isinstance(tiny, Backend)


def test_an_unknown_backend_is_told_with_those_there_are():
    with pytest.raises(BackendError, match="no backend 'cow'; there are: caw, command, imported"):
        backends.get("cow")


def test_seeds_follow_from_names_and_differ():
    seeds = {seed_for(1, name) for name in ("a", "b", "a/b")} | {seed_for(2, "a")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_for(1, "a") == seed_for(1, "a")


def test_cell_names():
    assert cell().name == "riff-UMG-100"
    assert cell(backend="mosaic", epochs=None).name == "riff-mosaic-UMG"


def test_imported_clips_have_no_options():
    with pytest.raises(BackendError, match="unknown option 'rate'"):
        backends.get("imported").validate({"rate": 3}, Path())
