"""The files that the researcher's pages link to: tables, the report, the pool's clips and their comparisons.

Streamlit's own download addresses ask for no login, so these are routes of the study's. The gate lets only a
logged-in researcher through to them; they look once more, because they log who took what. Of the tables and
the report only the report tells truth, and it is closed until the key of this very build was opened. The
pool's names and sounds tell what is made, so the study's log says once for each login that somebody saw it.

Heavy work, as drawing a comparison, is done by a process of its own: the server loads no analysis.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

import study as study_package
from caw.files.spreadsheet import as_csv, as_parquet
from study import pool
from study.pool import ORIGINAL
from study.server import login, open_link
from study.server.address import own
from study.server.links import personal_link
from study.server.served import Served, served
from study.store import follow_up
from study.store.sessions import Session
from study.store.store import ListenerProgress

EXPORTED = "exported"
REPORT = "/researcher/report"
_PARQUET = "application/vnd.apache.parquet"
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; script-src "
)
POOL = f"{login.HOME}/pool"
OPENED = "pool opened"  # in the study's log
_COMPARISON_SECONDS = 180  # the longest that a comparison may take
_COMPARISON_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src data: blob:; sandbox allow-scripts allow-downloads; frame-ancestors 'none'"
)
_one_at_a_time = threading.Lock()
_seen: set[str] = set()  # ids of the logins whose look at the pool is logged
_seen_lock = threading.Lock()

Rows = list[dict[str, Any]]


def _links(study: Served, request: Request) -> Rows:
    base = study.base(str(request.base_url))
    return [
        {
            "listener": one.name,
            "pilot": "yes" if one.pilot else "no",
            "revoked": "yes" if one.revoked_at else "no",
            "link": personal_link(base, one.token),
        }
        for one in study.store.listeners()
    ]


def follow_up_links(people: list[ListenerProgress], base: str) -> Rows:
    """The links of a mail to those whom the follow-up asks, with where each of them is."""
    return [_follow_up_link(one, base) for one in people]


def _follow_up_link(one: ListenerProgress, base: str) -> dict[str, Any]:
    later = one.follow_up
    moments = {"finished_at": one.finished_at}
    moments |= {"opens_at": later and later.opens_at, "closes_at": later and later.closes_at}
    return {
        "listener": one.name,
        "pilot": "yes" if one.pilot else "no",
        "follow_up": one.follow_up_stage,
        "kept": len(later.slots) if later else "",
        **{name: moment.isoformat(timespec="seconds") if moment else "" for name, moment in moments.items()},
        "link": "" if one.revoked_at else personal_link(base, one.token),
    }


def _due(study: Served, request: Request) -> Rows:
    due = [one for one in study.store.listeners() if one.follow_up_due]
    return follow_up_links(due, study.base(str(request.base_url)))


TABLES: dict[str, Callable[[Served, Request], Rows]] = {
    "answers": lambda study, _: study.store.answers(),
    "pilot-answers": lambda study, _: study.store.answers(pilot=True),
    "last-questions": lambda study, _: study.store.final_forms(),
    "links": _links,
    "recruits": lambda study, _: open_link.table(study.folder, study.design.open_link, study.store.engine),
    "follow-up": lambda study, _: follow_up.answers(study.store.engine, study.design.follow_up),
    "follow-up-links": _due,
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


def address(name: str, kind: str = "csv") -> str:
    """The address of a table."""
    return own(f"{login.HOME}/{name}.{kind}")


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
    return FileResponse(file, headers=headers, filename=plain_name(file.name))


def _attachment(content: bytes, media: str, name: str) -> Response:
    headers = {
        "content-disposition": f'attachment; filename="{plain_name(name)}"',
        "cache-control": "no-store",
    }
    return Response(content, media_type=media, headers=headers)


def plain_name(name: str) -> str:
    """A file name that fits into a header as it is."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".") or "table"


def sound_of(clip: str) -> str:
    """The address of a clip's sound."""
    return own(f"{POOL}/sound/{quote(clip)}.wav")


def comparison_of(clip: str) -> str:
    """The address of a clip's comparison with its source."""
    return own(f"{POOL}/compare/{quote(clip)}")


async def sound(request: Request) -> Response:
    """A clip of the pool, whole or in ranges."""
    return await run_in_threadpool(_sound, request)


async def compare(request: Request) -> Response:
    """The comparison of a clip with its source, as a page."""
    return await run_in_threadpool(_compare, request)


def note_opened(study: Served, here: Session) -> None:
    """Logs, once for each login, that somebody saw which clips are made, and how."""
    with _seen_lock:
        if here.id in _seen:
            return
        people = study.store.listeners(pilot=False)
        waiting = sum(one.awaited for one in people)
        progress = (
            f"{waiting} of {len(people)} listeners had not finished" if people else "nobody is invited yet"
        )
        study.store.log_event(here.who, OPENED, progress)
        _seen.add(here.id)


def comparable(study: Served, row: dict[str, str]) -> bool:
    """Whether a clip's source is one of the study's."""
    sources = {source.name for source in study.design.recordings}
    return row["backend"] != ORIGINAL and row["source"] in sources


def _row(study: Served, clip: str) -> dict[str, str] | None:
    rows = (row for row in pool.rows(study.folder) if row["name"] == clip)
    return next(rows, None)


def _sound(request: Request) -> Response:
    study = served()
    here = login.session(study, request)
    row = _row(study, request.path_params["clip"]) if here else None
    file = study.folder.pool / f"{row['name']}.wav" if row else None
    if file is None or not file.is_file():
        return Response(status_code=404)
    note_opened(study, here)
    return FileResponse(file, media_type="audio/wav", headers={"cache-control": "private, no-cache"})


def _compare(request: Request) -> Response:
    study = served()
    here = login.session(study, request)
    row = _row(study, request.path_params["clip"]) if here else None
    if row is None or not comparable(study, row):
        return Response(status_code=404)
    note_opened(study, here)
    page, fault = drawn(study, row)
    headers = {"cache-control": "no-store", "content-security-policy": _COMPARISON_POLICY}
    if page is None:
        body = (
            f"<title>Not compared</title><p>{escape(row['name'])} could not be compared: {escape(fault)}</p>"
        )
        return HTMLResponse(f'<!doctype html><html lang="en">{body}</html>', 500, headers)
    return FileResponse(page, media_type="text/html; charset=utf-8", headers=headers)


def drawn(study: Served, row: dict[str, str]) -> tuple[Path | None, str]:
    """The page that compares a clip with its source, drawn where it is not there yet; or None and why not."""
    source = next(source for source in study.design.recordings if source.name == row["source"])
    recipe = f"{row['sha256']} {source.file} {source.start} {source.seconds}"
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    page = study.folder.private / "comparisons" / f"{row['name']}-{digest}.html"
    if page.is_file():
        return page, ""
    with _one_at_a_time:
        if not page.is_file():
            fault = _draw(study, row["name"], page)
            if fault:
                return None, fault
    return page, ""


def _draw(study: Served, clip: str, page: Path) -> str:
    """Draws the page in a process of its own. Returns what went wrong in one line; "" for nothing."""
    folder = study.folder.path
    too_long = f"it took longer than {_COMPARISON_SECONDS} s; try `study compare` in a terminal"
    arguments = [str(folder), clip, str(page)]
    return run_module(
        "study.build.measuring", arguments, folder, seconds=_COMPARISON_SECONDS, too_long=too_long
    )


def run_module(module: str, arguments: list[str], folder: Path, *, seconds: float, too_long: str) -> str:
    """Runs `python -m module arguments`. Returns what went wrong in one line without a path; "" for nothing.

    too_long: that line where it takes longer than `seconds`.
    """
    root = str(Path(study_package.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return too_long
    if ended.returncode == 0:
        return ""
    print(ended.stderr, file=sys.stderr, flush=True)
    lines = ended.stderr.strip().splitlines() or [f"{module} ended with {ended.returncode}"]
    return lines[-1].replace(str(folder), folder.name)


ROUTES = [
    Route(f"{login.HOME}/{{name}}.{{kind}}", table),
    Route(REPORT, report_folder),
    Route(f"{REPORT}/{{path:path}}", report),
    Route(f"{POOL}/sound/{{clip}}.wav", sound),
    Route(f"{POOL}/compare/{{clip}}", compare),
]
