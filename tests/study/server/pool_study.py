"""The pool that the tiny study was made from, and a look at the researcher's page of it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from tiny_study import make_tiny_study, write_clip

from caw.files import spreadsheet
from study.folder import StudyFolder
from study.pool import COLUMNS
from study.server import login, researcher_files
from study.server.gate import Gate
from study.server.routes import ROUTES
from study.server.served import Served
from study.store import sessions

IDA = sessions.Session("Ida", "0" * 16)
SOURCE = '\n[[source]]\nfile = "swamp.wav"\nname = "swampgroove"\n'
UMG_FAKE, VAR_FAKE, ORIGINAL = "S7_UMG_1_swampgroove", "S7_VAR_1_swampgroove", "S7_UMG_0_swampgroove"
REMARK = "like a quiet accordion"


def make_pool(path: Path) -> StudyFolder:
    """The tiny study with its pool and its one source."""
    folder = make_tiny_study(path, listening=SOURCE)
    write_clip(folder.path / "swamp.wav", 3.0, 220)
    with folder.key.open(newline="") as key:
        rows = [dict.fromkeys(COLUMNS, "") | row for row in csv.DictReader(key) if row["set"] != "practice"]
    for row in rows:
        write_clip(folder.pool / f"{row['name']}.wav", 1.5, 330)
        row["source"] = "swampgroove"
    spreadsheet.write(folder.pool_table, COLUMNS, [{name: row[name] for name in COLUMNS} for row in rows])
    return folder


def opened() -> AppTest:
    def script():
        from study.pages import researcher_pool

        researcher_pool.page()

    return AppTest.from_function(script, default_timeout=120).run()


def clips_of(page: AppTest) -> list[str]:
    """The names of the clips on the page, in their order."""
    assert not page.exception
    return re.findall(r"<h2>(.*?)</h2>", "".join(one.proto.body for one in page.get("html")))


def said(page: AppTest) -> str:
    told = [one.value for kind in ("markdown", "warning", "info", "error") for one in getattr(page, kind)]
    return "\n".join(told + [one.proto.body for one in page.get("html")])


def browser(study: Served, who: str = "") -> TestClient:
    """A browser at the served study: logged in as researcher `who`, or a stranger's."""
    routes = [*ROUTES, *login.ROUTES, *researcher_files.ROUTES]
    app = Starlette(routes=routes, middleware=[Middleware(Gate, script="/pages.py")])
    here = TestClient(app, follow_redirects=False, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
    if who:
        here.cookies.set(study.researcher_cookie, sessions.begin(study.session_key, who)[1])
    return here
