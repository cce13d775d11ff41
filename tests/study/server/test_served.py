from __future__ import annotations

import pytest
from tiny_study import make_tiny_study

from study import design, password
from study.cli import commands
from study.design import DesignError
from study.folder import FolderError
from study.server import open_link, server
from study.server.address import AddressError
from study.server.oidc import OidcError
from study.server.served import served
from study.store import recruits
from study.store.store import Store, StoreError
from tests.free_ports import free_port

PASSWORD_HASH = password.hashed("four plain words here")


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
    design.write_password(tiny_study.toml, PASSWORD_HASH)
    with pytest.raises(server.ServerError, match=f"{host} port {port}"):
        server.serve(tiny_study.path, host=host, port=port)
    served().store.close()
    served.cache_clear()


@pytest.mark.parametrize(
    ("host", "public", "told"),
    [
        ("0.0.0.0", None, "host 0.0.0.0"),
        ("192.0.2.1", None, "host 192.0.2.1"),
        ("127.0.0.1", "https://study.example.org", "the public address https://study.example.org"),
    ],
)
def test_nobody_elsewhere_gets_near_pages_without_a_lock(tiny_study, monkeypatch, capfd, host, public, told):
    monkeypatch.setenv("STUDY_PUBLIC_URL", "")
    arguments = ["serve", str(tiny_study.path), "--host", host]
    monkeypatch.setattr("sys.argv", ["study", *arguments, *(["--public-url", public] if public else [])])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 2
    err = capfd.readouterr().err
    assert err.startswith(f"study: {told}")
    assert f"`study password {tiny_study.path}`" in err
    assert err.count("\n") == 1
    served().store.close()
    served.cache_clear()


def test_with_a_password_other_machines_may_come(tiny_study, serve):
    design.write_password(tiny_study.toml, PASSWORD_HASH)
    study = serve(tiny_study)
    server.require_login(study, "0.0.0.0")
    told = server.addresses(study, "http://192.0.2.1:8501")
    assert "researcher: http://192.0.2.1:8501/researcher, with the password" in told
    assert study.researcher_key not in told
    assert "Other machines reach this address" in told


def test_a_bare_streamlit_run_listens_everywhere_so_it_is_refused(serving):
    """Where no address is set, Streamlit binds all of the machine's."""
    from streamlit.web.server.starlette.starlette_server import _get_bind_address, _get_server_address

    assert _get_bind_address(_get_server_address()) in ("::", "0.0.0.0")
    with pytest.raises(server.ServerError, match="no host is set, which means all addresses"):
        server.require_login(serving, None)


@pytest.mark.parametrize("wrong", ["study.example.org", "https://example.org/study"])
def test_a_public_address_that_is_none_is_named(tiny_study, monkeypatch, wrong):
    monkeypatch.setenv("STUDY_PUBLIC_URL", wrong)
    monkeypatch.setenv("EUREKA_STUDY", str(tiny_study.path))
    served.cache_clear()
    with pytest.raises(AddressError, match=wrong):
        served()


def test_oidc_that_cannot_work_is_told_before_anything_is_served(tiny_study, serve):
    _researcher(tiny_study, 'oidc_emails = ["ida@example.org"]')
    with pytest.raises(OidcError, match="there is no .auth. in .streamlit.secrets.toml"):
        server.require_login(serve(tiny_study), "127.0.0.1")


def test_addresses_say_what_is_open_to_whom(serving):
    told = server.addresses(serving, "http://127.0.0.1:8501")
    assert "study invite" in told
    token, pilot = serving.store.invite("Ann"), serving.store.invite("Pat", pilot=True)
    gone = serving.store.invite("Bo")
    serving.store.revoke("Bo")
    told = server.addresses(serving, "http://127.0.0.1:8501")
    assert f"listener Ann: http://127.0.0.1:8501/?p={token}" in told
    assert f"pilot Pat: http://127.0.0.1:8501/?p={pilot}\n  Pilots' answers stay apart" in told
    assert gone not in told
    assert "1 revoked link is not shown" in told
    assert f"/researcher?key={serving.researcher_key}" in told
    assert "only on this machine: no password is set" in told
    assert "Other machines" not in told
    assert "closed" not in told
    serving.store.close_study("Ida")
    assert "The study was closed on" in server.addresses(serving, "http://127.0.0.1:8501")


def test_the_open_link_stands_there_and_not_who_came_by_it(tiny_study, serve):
    with tiny_study.toml.open("a") as toml:
        toml.write('\n[open_link]\nids = ["who"]\n')
    serving, base = serve(tiny_study), "http://127.0.0.1:8501"
    came = recruits.join(serving.store.engine, serving.design.open_link, {"who": "ann"})
    told = server.addresses(serving, base)
    assert f"open link: {open_link.link(base, serving.folder, serving.design.open_link)}" in told
    assert came.token not in told
    assert "study invite" not in told
    told = server.addresses(serving, base, secrets=False)
    assert f"open link: `study link {serving.folder.path} --url {base}` prints it" in told


def test_no_secret_is_printed_where_no_terminal_reads_it(serving):
    tokens = [serving.store.invite("Ann"), serving.store.invite("Pat", pilot=True)]
    told = server.addresses(serving, "http://127.0.0.1:8501", secrets=False)
    assert not [secret for secret in (*tokens, serving.researcher_key) if secret in told]
    assert "1 listener invited" in told
    assert f"`study links {serving.folder.path} --url http://127.0.0.1:8501` prints" in told


def test_links_are_printed_by_a_command_of_their_own(tiny_study, capfd, monkeypatch):
    store = Store.for_folder(tiny_study)
    token, gone = store.invite("Ann"), store.invite("Bo")
    store.revoke("Bo")
    store.close()
    monkeypatch.setattr(
        "sys.argv", ["study", "links", str(tiny_study.path), "--url", "https://study.example.org"]
    )
    with pytest.raises(SystemExit) as ended:
        commands.main()
    out = capfd.readouterr().out
    assert (ended.value.code, gone in out) == (0, False)
    assert f"Ann: https://study.example.org/?p={token}\n" in out
    assert "researcher: https://study.example.org/researcher?key=" in out


def _researcher(folder, lines: str) -> None:
    folder.toml.write_text(folder.toml.read_text() + f"\n[researcher]\n{lines}\n")


def test_the_store_and_protocol_need_no_streamlit(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, study.store.store, study.store.protocol, study.server.links;"
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


def test_streamlit_run_without_an_address_says_one_line_and_serves_nothing(tiny_study):
    """Other than `study serve` it would listen everywhere; with an address of this machine it may."""
    import os
    import subprocess
    import sys
    from pathlib import Path

    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "streamlit", "run", str(root / "streamlit_app.py")]
    environment = os.environ | {"EUREKA_STUDY": str(tiny_study.path), "PYTHONPATH": str(root)}
    told = subprocess.run(
        [*command, f"--server.port={free_port()}", "--server.headless=true"],
        env=environment,
        cwd=tiny_study.path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode != 0
    (line,) = [line for line in told.stderr.splitlines() if "password" in line]
    assert line.startswith("streamlit: no host is set, which means all addresses")
    assert "127.0.0.1" in line
    assert "Traceback" not in told.stderr + told.stdout


def test_the_first_listener_of_a_served_study_fixes_its_analysis_plan(tiny_study, serve):
    tiny_study.toml.write_text(tiny_study.toml.read_text() + '\n[analysis]\nprimary = "inspiring"\n')
    serving = serve(tiny_study)
    serving.store.consent(serving.store.find(serving.store.invite("Ada")).id, "v1")
    assert serving.store.kept_plan().text == serving.design.analysis.plan().text
    assert '"inspiring"' in serving.store.kept_plan().text
