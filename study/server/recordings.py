"""Recordings that listeners send in the follow-up, from the browser to a file that the researcher alone gets.

Streamlit's own way for files would hold each in memory, knows one size for all and no listener. Here a file
comes over an address that is one listener's one clip, is counted while it goes to the disk, and is decoded by
a process apart before it takes its place: under a random name, in a folder and with rights that are the
owner's alone. Nothing that a browser says names a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from study.folder import make_private
from study.server import address, login, recording_check
from study.server.researcher_files import plain_name
from study.server.routes import own_clip
from study.server.served import Served, served
from study.store import follow_up
from study.store.answering import StoreError
from study.store.builds import random_letters
from study.store.follow_up import Recording
from study.store.protocol import clean
from study.store.store import ServedClip

ADDRESS = "/recording"
SECONDS = 900.0  # in which a recording must be there
NAME = "x-name"  # the header with the file's name; no page elsewhere can set it unasked
MOST_HOURLY = 30  # recordings of one listener, with those that are refused
MOST_AT_ONCE = 8  # of all listeners
TAKEN, WITHDRAWN = "recording taken", "recording withdrawn"  # in the study's log
_HOUR = 3600.0
_SPARE = 300_000_000  # bytes of the disk that are left to the answers
_PART = ".part"
_LONGEST_NAME = 120
_sending: set[int] = set()  # listeners whose recording is on its way
_sent: dict[int, deque[float]] = {}  # when each listener sent one, within the hour
_decoding = threading.Lock()  # one at a time: others wait, and pages go on meanwhile


async def receive(request: Request) -> Response:
    """Take a recording of one kept clip from the listener whose clip it is; 404 for everybody else."""
    clip = await _clip_of(request)
    if clip is None:
        return Response(status_code=404)
    if NAME not in request.headers or not _from_here(request):
        return _refusal(400, "failed")
    size = request.headers.get("content-length", "")
    most = served().design.follow_up.most_bytes
    if size.isdecimal() and int(size) > most:
        return _refusal(413, "too_large")
    if not _may_send(clip.listener_id):
        return _refusal(429, "too_often")
    try:
        return await _received(request, clip, most)
    finally:
        _sending.discard(clip.listener_id)


async def withdraw(request: Request) -> Response:
    """Take a recording back: its file is gone at once."""
    clip = await _clip_of(request)
    if clip is None:
        return Response(status_code=404)
    if NAME not in request.headers or not _from_here(request):
        return _refusal(400, "failed")
    study = served()
    try:
        old = await run_in_threadpool(_noted, study, clip, None)
    except StoreError:
        return _refusal(409, "not_open")
    if old is not None:
        _remove(study, old)
        await run_in_threadpool(study.store.log_event, "a listener", WITHDRAWN, "in the follow-up")
    return JSONResponse({"why": ""})


async def download(request: Request) -> Response:
    """One recording, for the researcher who is logged in."""
    return await run_in_threadpool(_download, request)


def address_of(file: str) -> str:
    """Where the researcher gets a recording."""
    return f"{login.HOME}/recordings/{file}"


async def _clip_of(request: Request) -> ServedClip | None:
    rule = served().design.follow_up
    return await own_clip(request) if rule is not None and rule.recording else None


def _from_here(request: Request) -> bool:
    return "origin" not in request.headers or address.same_origin(request.headers, served().public)


def _may_send(listener_id: int) -> bool:
    """Count one recording of a listener, and hold their place; False where these are too many."""
    now = time.monotonic()
    recent = _sent.setdefault(listener_id, deque())
    while recent and now - recent[0] > _HOUR:
        recent.popleft()
    if len(recent) >= MOST_HOURLY or listener_id in _sending or len(_sending) >= MOST_AT_ONCE:
        return False
    recent.append(now)
    _sending.add(listener_id)
    return True


async def _received(request: Request, clip: ServedClip, most: int) -> Response:
    study = served()
    rule, engine = study.design.follow_up, study.store.engine
    try:
        await run_in_threadpool(follow_up.require_open, engine, rule, clip.listener_id, clip.slot)
    except StoreError:
        return _refusal(409, "not_open")
    folder = make_private(study.folder.recordings)
    if shutil.disk_usage(folder).free < most + _SPARE:
        return _refusal(507, "failed")
    part = folder / f"{random_letters()}{_PART}"
    try:
        size, digest = await _written(request, part, most)
        if size > most:
            return _refusal(413, "too_large")
        word = await run_in_threadpool(_kind, part) if size else recording_check.NO_SOUND
        if word not in recording_check.SUFFIXES:
            return _refusal(422, word)
        kept = Recording(f"{random_letters()}.{word}", size, digest, _name(request))
        part.rename(folder / kept.file)
        try:
            old = await run_in_threadpool(_noted, study, clip, kept)
        except BaseException as error:
            _remove(study, kept.file)
            if isinstance(error, StoreError):
                return _refusal(409, "not_open")
            raise
        if old is not None:
            _remove(study, old)
        await run_in_threadpool(_sweep, study)
        return JSONResponse({"why": ""})
    finally:
        part.unlink(missing_ok=True)


async def _written(request: Request, part: Path, most: int) -> tuple[int, str]:
    """Write the body to a new file, and give up once it is too large. Returns its size and sha256."""
    size, digest = 0, hashlib.sha256()
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                break
            digest.update(chunk)
            await run_in_threadpool(file.write, chunk)
        file.flush()
        await run_in_threadpool(os.fsync, file.fileno())
    return size, digest.hexdigest()


def _kind(part: Path) -> str:
    with _decoding:
        return recording_check.checked(part)


def _noted(study: Served, clip: ServedClip, recording: Recording | None) -> str | None:
    rule = study.design.follow_up
    return follow_up.put_recording(study.store.engine, rule, clip.listener_id, clip.slot, recording)


def _name(request: Request) -> str:
    """What the listener calls the file: its last part, for the researcher to read and for nothing else."""
    name = unquote(request.headers[NAME], errors="replace").replace("\\", "/").rpartition("/")[2]
    return (clean(name.replace("\n", " ").replace("\t", " ")) or "recording")[:_LONGEST_NAME]


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"why": why}, status)


def _remove(study: Served, file: str) -> None:
    (study.folder.recordings / file).unlink(missing_ok=True)


def _sweep(study: Served) -> None:
    """Remove what a killed server left behind: files older than an hour that no answer names."""
    named = {row["recording"] for row in follow_up.recordings(study.store.engine)}
    for file in study.folder.recordings.iterdir():
        with contextlib.suppress(OSError):
            if file.name not in named and time.time() - file.stat().st_mtime > _HOUR:
                file.unlink()


def _download(request: Request) -> Response:
    study = served()
    here = login.session(study, request)
    rows: list[dict[str, Any]] = follow_up.recordings(study.store.engine) if here else []
    row = next((row for row in rows if row["recording"] == request.path_params["file"]), None)
    file = study.folder.recordings / row["recording"] if row else None
    if file is None or not file.is_file():
        return Response(status_code=404)
    name = plain_name(f"{row['listener']}-{row['set']}-{row['stimulus_id']}{file.suffix}")
    study.store.log_event(here.who, TAKEN, f"of {row['listener']}, {row['set']}/{row['stimulus_id']}")
    headers = {"cache-control": "no-store", "content-security-policy": "sandbox; default-src 'none'"}
    return FileResponse(file, media_type="application/octet-stream", headers=headers, filename=name)


ROUTES = [
    Route(f"{ADDRESS}/{{key}}", receive, methods=["POST"]),
    Route(f"{ADDRESS}/{{key}}", withdraw, methods=["DELETE"]),
    Route(f"{login.HOME}/recordings/{{file}}", download),
]
