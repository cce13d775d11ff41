from __future__ import annotations

import pytest
from tiny_study import make_tiny_study

from study.design import DesignError
from study.folder import FolderError
from study.room import server
from study.room.served import served
from study.room.store import Store, StoreError


def test_a_study_that_is_whole_is_served(serving):
    assert serving.store.build().file_format == "wav"
    assert served() is serving


def test_a_changed_design_is_not_served_until_it_is_built(tiny_study, serve):
    tiny_study.toml.write_text(tiny_study.toml.read_text().replace("seed = 7", "seed = 8"))
    with pytest.raises(StoreError, match="study build"):
        serve(tiny_study)


def test_a_lost_stimulus_is_named_before_anybody_listens(tiny_study, serve):
    lost = next((tiny_study.sets / "VAR").iterdir())
    lost.unlink()
    with pytest.raises(FolderError, match=lost.stem):
        serve(tiny_study)


def test_nothing_built_nothing_served(tmp_path, serve):
    study = make_tiny_study(tmp_path / "study")
    study.database.unlink()
    with pytest.raises(StoreError, match="study build"):
        serve(study)


def test_a_broken_design_is_told_with_its_line(tiny_study, serve):
    tiny_study.toml.write_text("[study]\ntitle = 3\n")
    with pytest.raises(DesignError, match="title"):
        serve(tiny_study)


def test_without_a_study_there_is_a_word_of_help(monkeypatch):
    monkeypatch.delenv("EUREKA_STUDY", raising=False)
    served.cache_clear()
    with pytest.raises(FolderError, match="study serve DIR"):
        served()


def test_a_port_in_use_is_one_clear_line(tiny_study, monkeypatch):
    import socket

    monkeypatch.setenv("EUREKA_STUDY", str(tiny_study.path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.ServerError, match=f"port {port} .* --port {port + 1}"):
            server.serve(tiny_study.path, port=port)
    served().store.close()
    served.cache_clear()


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 8501), ("127.0.0.1", 70_000)])
def test_an_impossible_address_is_one_clear_line(tiny_study, monkeypatch, host, port):
    monkeypatch.setenv("EUREKA_STUDY", str(tiny_study.path))
    with pytest.raises(server.ServerError, match=f"{host} port {port}"):
        server.serve(tiny_study.path, host=host, port=port)
    served().store.close()
    served.cache_clear()


def test_addresses_say_what_is_open_to_whom(serving):
    told = server.addresses(serving, "http://127.0.0.1:8501")
    assert "study invite" in told
    token = serving.store.invite("Ann")
    told = server.addresses(serving, "http://127.0.0.1:8501")
    assert f"listener Ann: http://127.0.0.1:8501/?p={token}" in told
    assert f"/researcher?key={serving.researcher_key}" in told


def test_the_store_and_protocol_need_no_streamlit(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, study.room.store, study.room.protocol, study.room.links;"
        "sys.exit('streamlit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_streamlit_run_finds_the_app():
    from pathlib import Path

    from streamlit.web.server.app_discovery import discover_asgi_app

    import streamlit_app

    found = discover_asgi_app(Path(streamlit_app.__file__))
    assert found.is_asgi_app
    assert found.import_string == "streamlit_app:app"


def test_the_database_address_may_come_from_the_environment(tiny_study, tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATABASE_URL", f"sqlite:///{tmp_path / 'other.sqlite'}")
    store = Store.for_folder(tiny_study)
    assert store.build() is None
    store.close()
    assert (tmp_path / "other.sqlite").exists()
