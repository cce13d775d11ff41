"""The pool's clips for the researcher's ears: each clip by its name, and its comparison with its source.

The gate lets only a logged-in researcher through; the routes look once more, and keep in the study's log that
this login saw the pool, as names and sounds tell what is made. A comparison is drawn by a process of its own,
so that the server loads no analysis, and kept in private/ for the next time.
"""

from __future__ import annotations

import hashlib
import threading
from html import escape
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from study import pool
from study.pool import ORIGINAL
from study.server import login, own_process
from study.server.served import Served, served
from study.store.sessions import Session

HOME = f"{login.HOME}/pool"
OPENED = "pool opened"  # in the study's log
_SECONDS = 180  # the longest that a comparison may take
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src data: blob:; sandbox allow-scripts allow-downloads; frame-ancestors 'none'"
)
_one_at_a_time = threading.Lock()
_seen: set[str] = set()  # ids of the logins whose look at the pool is logged
_seen_lock = threading.Lock()


def sound_of(clip: str) -> str:
    """Where a clip is heard."""
    return f"{HOME}/sound/{quote(clip)}.wav"


def comparison_of(clip: str) -> str:
    """Where a clip is laid beside its source."""
    return f"{HOME}/compare/{quote(clip)}"


async def sound(request: Request) -> Response:
    """A clip of the pool, whole or in ranges."""
    return await run_in_threadpool(_sound, request)


async def compare(request: Request) -> Response:
    """The comparison of a clip with its source, as a page."""
    return await run_in_threadpool(_compare, request)


ROUTES = [
    Route(f"{HOME}/sound/{{clip}}.wav", sound),
    Route(f"{HOME}/compare/{{clip}}", compare),
]


def note_opened(study: Served, here: Session) -> None:
    """Logs, once for each login, that somebody saw which clips are made, and how."""
    with _seen_lock:
        if here.id in _seen:
            return
        people = study.store.listeners(pilot=False)
        waiting = sum(one.finished_at is None and one.revoked_at is None for one in people)
        told = f"{waiting} of {len(people)} listeners had not finished" if people else "nobody is invited yet"
        study.store.log_event(here.who, OPENED, told)
        _seen.add(here.id)


def comparable(study: Served, row: dict[str, str]) -> bool:
    """Whether a clip's source is one of the study's."""
    sources = {source.name for source in study.design.sources}
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
    headers = {"cache-control": "no-store", "content-security-policy": _POLICY}
    if page is None:
        told = (
            f"<title>Not compared</title><p>{escape(row['name'])} could not be compared: {escape(fault)}</p>"
        )
        return HTMLResponse(f'<!doctype html><html lang="en">{told}</html>', 500, headers)
    return FileResponse(page, media_type="text/html; charset=utf-8", headers=headers)


def drawn(study: Served, row: dict[str, str]) -> tuple[Path | None, str]:
    """The page that compares a clip with its source, drawn where it is not there yet; or None and why not."""
    source = next(source for source in study.design.sources if source.name == row["source"])
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
    too_long = f"it took longer than {_SECONDS} s; try `study compare` in a terminal"
    arguments = [str(folder), clip, str(page)]
    return own_process.run("study.build.measuring", arguments, folder, seconds=_SECONDS, too_long=too_long)
