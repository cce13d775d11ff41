"""The server's own addresses beside Streamlit's: the front page, clips, the player's reports, the tone.

A clip's address is its play key, a random string of one listener's one slot; it answers to that listener's
cookie alone. Nothing about the answer tells clips apart: Starlette would take ETag and Last-Modified from
the file, so both are fixed here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from study.room import take_home, theme
from study.room.answering import Listening
from study.room.served import served
from study.room.store import Clip
from study.room.tone import tone

CLIP = "/clip"
HEARD = "/heard"
TONE = "/tone.wav"
ICON = "/icon.svg"
_LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
_REPORT_BYTES = 8192
_REPORT_KINDS = ("play", "pause", "ended", "seek", "unlocked", "error", "blocked", "leave")


async def front_page(_request: Request) -> Response:
    """Streamlit's page shell, in the study's language, under its title and icon from the first moment."""
    study = served().design.study
    return HTMLResponse(await run_in_threadpool(_shell, study.title, study.language))


async def clip(request: Request) -> Response:
    """One clip, whole or in ranges, for the listener whose play key it is; 404 for everybody else."""
    found = await _asked_for(request)
    if found is None:
        return Response(status_code=404)
    return FileResponse(
        served().folder.stimulus(found.set_name, found.stimulus_id),
        media_type=f"audio/{found.file_format}",
        headers={
            "cache-control": "private, max-age=3600",
            "etag": f'"{request.path_params["key"]}"',
            "last-modified": _LAST_MODIFIED,
        },
    )


async def heard(request: Request) -> Response:
    """Takes a report of the player and records it; it answers no question and opens no gate."""
    found = await _asked_for(request)
    if found is None:
        return Response(status_code=404)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _REPORT_BYTES:
            return Response(status_code=413)
    try:
        report = json.loads(body)
        kind, listening = report["why"], Listening.from_report(report)
        position = Listening.from_report({"heard": report.get("position")}).seconds_heard
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Response(status_code=400)
    if kind not in _REPORT_KINDS:
        return Response(status_code=400)
    recorded = await run_in_threadpool(
        served().store.log_play,
        found,
        kind,
        listening=listening,
        position_seconds=position,
    )
    return Response(status_code=204 if recorded else 429)


async def _asked_for(request: Request) -> Clip | None:
    """The clip whose play key stands in the address, where it is the asking listener's own."""
    token = request.cookies.get(served().listener_cookie)
    return await run_in_threadpool(served().store.clip, request.path_params["key"], token)


async def sound_check(_request: Request) -> Response:
    return Response(
        await run_in_threadpool(_tone, served().design.stimuli.loudness),
        media_type="audio/wav",
        headers={"cache-control": "public, max-age=3600"},
    )


async def icon(_request: Request) -> Response:
    drawing = files("study.room").joinpath("icon.svg").read_text("utf-8")
    return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "public, max-age=3600"})


ROUTES = [
    Route("/", front_page),
    Route("/researcher", front_page),
    Route(f"{CLIP}/{{key}}", clip),
    Route(f"{HEARD}/{{key}}", heard, methods=["POST"]),
    Route(take_home.ADDRESS, take_home.download),
    Route(TONE, sound_check),
    Route(ICON, icon),
]


@lru_cache(maxsize=1)
def _shell(title: str, language: str) -> str:
    shell = Path(streamlit.__file__).with_name("static").joinpath("index.html").read_text("utf-8")
    light, dark = theme.LIGHT["backgroundColor"], theme.DARK["backgroundColor"]
    ground = f"body{{background:{light}}}@media(prefers-color-scheme:dark){{body{{background:{dark}}}}}"
    for theirs, ours in (
        ('<html lang="en">', f'<html lang="{language}">'),
        ("<title>Streamlit</title>", f"<title>{escape(title)}</title>"),
        ('href="./favicon.png"', f'href="{ICON}" type="image/svg+xml"'),
        ("</head>", f"<style>{ground}</style></head>"),  # no white flash before the theme arrives
    ):
        shell = shell.replace(theirs, ours)
    return shell


@lru_cache(maxsize=1)
def _tone(loudness: float) -> bytes:
    return tone(loudness)
