"""The researcher's downloads, and the report behind the login."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from scripted_listener import finished, logged
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from tiny_study import EPOCHS

from analysis import web_page
from study.server import researcher_files
from study.server.gate import Gate
from study.store import sessions


@pytest.fixture
def client(serving):
    """Ida's browser, logged in."""
    app = Starlette(routes=[*researcher_files.ROUTES], middleware=[Middleware(Gate, script="/pages.py")])
    here = TestClient(app, follow_redirects=False, base_url="http://127.0.0.1")
    here.cookies.set(serving.researcher_cookie, sessions.begin(serving.session_key, "Ida")[1])
    return here


OF_SOME_STUDIES = ("recruits", "follow-up", "follow-up-links")  # of an open link, of a follow-up


@pytest.mark.parametrize("name", [name for name in researcher_files.TABLES if name not in OF_SOME_STUDIES])
def test_each_table_comes_as_csv_and_parquet(client, serving, name):
    assert client.get(f"/researcher/{name}.csv").status_code == 404, "nothing in it yet"
    finished(serving, "Ann")
    finished(serving, "Pat", pilot=True)
    serving.store.log_event("Ida", "invited", "Ann")
    answer = client.get(f"/researcher/{name}.csv")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="study-{name}.csv"'
    assert answer.headers["cache-control"] == "no-store"
    text = pd.read_csv(io.BytesIO(answer.content))
    parquet = pd.read_parquet(io.BytesIO(client.get(f"/researcher/{name}.parquet").content))
    assert list(parquet.columns) == list(text.columns)
    secrets = ("jukebox", "swampgroove", str(EPOCHS), "truth")
    assert not [secret for secret in secrets if secret in answer.text]
    assert ("Ida", researcher_files.EXPORTED, f"{name}.csv, {len(text)} rows") in logged(serving)


def test_pilots_and_listeners_are_never_in_one_table(client, serving):
    finished(serving, "Ann")
    finished(serving, "Pat", pilot=True)
    people = {
        name: set(pd.read_csv(io.StringIO(client.get(f"/researcher/{name}.csv").text))["listener"])
        for name in ("answers", "pilot-answers")
    }
    assert people == {"answers": {"Ann"}, "pilot-answers": {"Pat"}}


def test_what_people_typed_runs_in_no_spreadsheet(client, serving):
    finished(serving, "=cmd|x")
    assert "'=cmd|x" in client.get("/researcher/links.csv").text
    assert ",'=1+1," in client.get("/researcher/last-questions.csv").text


@pytest.mark.parametrize("name", [*researcher_files.TABLES, "report/index"])
def test_nobody_else_gets_a_table(client, serving, name):
    finished(serving, "Ann")
    token = serving.store.invite("Ann")
    client.cookies.clear()
    client.cookies.set(serving.listener_cookie, token)
    answer = client.get(f"/researcher/{name}.csv")
    assert answer.status_code == 403
    assert "Ann" not in answer.text


@pytest.mark.parametrize("name", ["key.csv", "answers.sqlite", "..%2fprivate%2fkey.csv", "answers.csv.csv"])
def test_there_are_no_other_tables(client, serving, name):
    finished(serving, "Ann")
    assert client.get(f"/researcher/{name}").status_code == 404


def test_the_report_is_closed_until_this_builds_key_was_opened(client, serving):
    serving.folder.report.mkdir()
    (serving.folder.report / "index.html").write_text("<p>truth</p>")
    (serving.folder.path / "secret.html").write_text("secret")
    (serving.folder.report / "out.html").symlink_to(serving.folder.path / "secret.html")
    assert client.get("/researcher/report/index.html").status_code == 404
    serving.store.log_unblinding("Ida", "why", serving.store.build().key_sha256)
    answer = client.get("/researcher/report/index.html")
    assert answer.text == "<p>truth</p>"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith(
        f"script-src {web_page.script_policy(web_page.REPORT_SCRIPT)}"
    )  # the report's own, and no other
    for path in ("../private/key.csv", "%2e%2e/private/key.csv", "..%2fstudy.toml", "out.html", "", "x"):
        assert client.get(f"/researcher/report/{path}").status_code in (303, 404)
    client.cookies.clear()
    assert client.get("/researcher/report/index.html").status_code == 403
