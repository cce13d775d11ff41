"""What the researcher downloads: answers, pilots' answers, links, the log, and the report once unblinded.

Streamlit's own download addresses ask for no login, so these are routes of the study's. The gate lets only a
logged-in researcher through to them; they look once more, as they log who took what. No truth is in any of
them but the report, and that one is closed until the key of this very build was opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from caw.files.spreadsheet import as_csv, as_parquet
from study.server import login
from study.server.links import personal_link
from study.server.served import Served, served
from study.store.sessions import Session

EXPORTED = "exported"
REPORT = "/researcher/report"
_PARQUET = "application/vnd.apache.parquet"
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; script-src "
)

Rows = list[dict[str, Any]]


def _links(study: Served, request: Request) -> Rows:
    base = str(study.public or request.base_url)
    return [
        {
            "listener": one.name,
            "pilot": "yes" if one.pilot else "no",
            "revoked": "yes" if one.revoked_at else "no",
            "link": personal_link(base, one.token),
        }
        for one in study.store.listeners()
    ]


TABLES: dict[str, Callable[[Served, Request], Rows]] = {
    "answers": lambda study, _: study.store.answers(),
    "pilot-answers": lambda study, _: study.store.answers(pilot=True),
    "last-questions": lambda study, _: study.store.final_forms(),
    "links": _links,
    "log": lambda study, _: study.store.events(),
}


async def table(request: Request) -> Response:
    """One of TABLES as CSV, safe to open in a spreadsheet, or as Parquet."""
    return await run_in_threadpool(_table, request)


async def report(request: Request) -> Response:
    """A file of the report; 404 before the unblinding, whatever lies in its folder."""
    return await run_in_threadpool(_report, request)


async def report_folder(_request: Request) -> Response:
    return RedirectResponse(f"{REPORT}/index.html", status_code=303)


ROUTES = [
    Route(f"{login.HOME}/{{name}}.{{kind}}", table),
    Route(REPORT, report_folder),
    Route(f"{REPORT}/{{path:path}}", report),
]


def address(name: str, kind: str = "csv") -> str:
    """Where a table is downloaded."""
    return f"{login.HOME}/{name}.{kind}"


def unsealed(study: Served) -> list[dict[str, Any]]:
    """Every unblinding of the build that is served; [] while its truth is sealed."""
    build = study.store.build()
    return [row for row in study.store.unblindings() if build and row["key_sha256"] == build.key_sha256]


def _table(request: Request) -> Response:
    name, kind = request.path_params["name"], request.path_params["kind"]
    study = served()
    here = login.session(study, request)
    if here is None or name not in TABLES or kind not in ("csv", "parquet"):
        return Response(status_code=404)
    rows = TABLES[name](study, request)
    if not rows:
        return PlainTextResponse("There is nothing in this table yet.", 404)
    if kind == "csv":
        content, media = as_csv(list(rows[0]), rows).encode(), "text/csv; charset=utf-8"
    else:
        content, media = as_parquet(rows), _PARQUET
    study.store.log_event(here.who, EXPORTED, f"{name}.{kind}, {len(rows)} rows")
    return _attachment(content, media, f"{study.folder.path.name}-{name}.{kind}")


def _report(request: Request) -> Response:
    study = served()
    here: Session | None = login.session(study, request)
    file = (study.folder.report / request.path_params["path"]).resolve()
    inside = file.is_relative_to(study.folder.report.resolve()) and file.is_file()
    if here is None or not inside or not unsealed(study):
        return Response(status_code=404)
    headers = {"cache-control": "no-store"}
    if file.suffix == ".html":  # listeners' words stand in it: whatever they are, only our script runs
        from analysis import web_page

        headers["content-security-policy"] = _REPORT_POLICY + web_page.script_policy(web_page.REPORT_SCRIPT)
        return FileResponse(file, headers=headers)
    return FileResponse(file, headers=headers, filename=_plain(file.name))


def _attachment(content: bytes, media: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{_plain(name)}"', "cache-control": "no-store"}
    return Response(content, media_type=media, headers=headers)


def _plain(name: str) -> str:
    """A file name that fits into a header as it is."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".") or "table"
