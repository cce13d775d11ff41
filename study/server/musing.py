"""Serves the folder of `study muse` to its owner alone: the page's addresses, its gate, start and end.

No study, no listener and no database is behind it, and nothing is blind. The page opens to a browser on this
machine that has the link which the command prints; its secret becomes a cookie.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import os
import re
import sys
import threading
import webbrowser
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caw.cli import planning
from caw.compose import plan as plans
from caw.files import file_names
from study.languages import Words, words
from study.muse import kinds, rounds
from study.muse.folder import MadeClip, MuseFolder, PlannedClip
from study.muse.keeper import Keeper
from study.server.address import LOOPBACK, host_of
from study.server.gate import HEADERS, SOCKET, browser_files
from study.server.routes import ICON, icon, page_shell

CLIP, KEPT = "/clip", "/kept.zip"
_OPEN = ("/", SOCKET, KEPT, ICON, "/_stcore/host-config", "/_stcore/health")
_NAME = re.compile(r"\d{1,4}-\d{1,3}")  # of a clip


@dataclass
class Musing:
    """The folder that this process serves."""

    folder: MuseFolder
    keeper: Keeper
    secret: str
    _asking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def say(self) -> Words:
        return words(self.folder.settings().language)

    @property
    def title(self) -> str:
        """The song's name."""
        return file_names.shown(Path(self.folder.settings().song).stem)

    @property
    def cookie(self) -> str:
        """Its name. Ports share cookies, so each folder has a name of its own."""
        return f"muse_{hashlib.sha256(self.secret.encode()).hexdigest()[:8]}"

    def admits(self, secret: str | None) -> bool:
        return secret is not None and hmac.compare_digest(secret.encode(), self.secret.encode())

    def ask(self, press: str) -> bool:
        """Begin the next round, once for each press, and only when the last one is made. Whether it began."""
        with self._asking:
            settings, found = self.folder.settings(), self.folder.rounds()
            clips = [clip for each in found for clip in each.clips]
            if not found or press in {each.press for each in found}:
                return False
            if any(self.folder.clip(clip.name) is None for clip in clips):
                return False
            possible = kinds.possible(plans.read(self.folder.plan))
            choices = self.folder.choices()
            self.folder.add_round(
                rounds.following(possible, found, choices, settings.clips, settings.seed, press)
            )
        self.keeper.wake()
        return True

    def clip_name(self, clip: str) -> str:
        """What a clip's file is called where it leaves the folder."""
        return file_names.safe(f"{self.title} {clip}")


_served: list[Musing] = []


def musing() -> Musing:
    """The folder that this process serves."""
    return _served[-1]


def open_folder(folder: MuseFolder) -> Musing:
    """Have this process serve a folder."""
    _served[:] = [Musing(folder, Keeper(folder), folder.secret())]
    return musing()


def app_arguments(base: str, *, browser: bool) -> dict[str, Any]:
    """The arguments of Streamlit's App. base: the page's address; browser: whether to open it in one."""
    return {
        "routes": ROUTES,
        "middleware": [Middleware(OwnersGate)],
        "lifespan": partial(_lifespan, base, browser),
    }


class OwnersGate:
    """ASGI middleware: lets the owner's browser through, and nobody else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = _refusal(HTTPConnection(scope), scope["path"], socket=scope["type"] == "websocket")
        if scope["type"] == "websocket":
            if refusal is None:
                await self.app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "not admitted"})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self.app)(scope, receive, with_headers)


def _refusal(connection: HTTPConnection, path: str, *, socket: bool) -> Response | None:
    """The answer to whom the page is closed; None where it is open."""
    here, host = musing(), connection.headers.get("host", "")
    if host_of(host) not in LOOPBACK:
        return PlainTextResponse("This page is open to this machine alone.", 400)
    if socket and connection.headers.get("origin") not in (None, f"http://{host}"):
        return PlainTextResponse("Another page asked.", 403)
    if path not in _OPEN and not path.startswith(f"{CLIP}/") and path not in browser_files():
        return Response(status_code=404)
    if path == "/" and here.admits(connection.query_params.get("key")):
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(here.cookie, here.secret, httponly=True, samesite="strict")
        return answer
    if not here.admits(connection.cookies.get(here.cookie)):
        return PlainTextResponse("Please open the link that `study muse` printed.", 403)
    return None


async def front_page(_request: Request) -> Response:
    """Streamlit's page shell, in the language asked for, under the song's name."""
    here = musing()
    shell = await run_in_threadpool(page_shell, here.title, here.say.language)
    script = "<script>window.__streamlit={HOST_CONFIG:{blockErrorDialogs:true}}</script>"
    return HTMLResponse(
        shell.replace("</head>", f"{script}</head>", 1), headers={"cache-control": "no-store"}
    )


async def clip(request: Request) -> Response:
    """A clip's sound, whole or in ranges; with ?save as a file to keep."""
    here, name = musing(), request.path_params["clip"]
    if not _NAME.fullmatch(name) or here.folder.clip(name) is None:
        return Response(status_code=404)
    saved = {"filename": f"{here.clip_name(name)}.wav"} if "save" in request.query_params else {}
    return FileResponse(
        here.folder.sound(name),
        media_type="audio/wav",
        headers={"cache-control": "private, no-cache"},
        **saved,
    )


async def kept(_request: Request) -> Response:
    """The kept clips with their plans and a text that says what each plays."""
    here = musing()
    content = await run_in_threadpool(archive, here)
    headers = {"content-disposition": f'attachment; filename="{here.say("muse.archive")}"'}
    return Response(content, media_type="application/zip", headers=headers | {"cache-control": "no-store"})


def archive(here: Musing) -> bytes:
    """A zip of the kept clips: WAV files, their plans for `caw generate --plan`, and a text for the eye."""
    folder, say, out, texts = here.folder, here.say, io.BytesIO(), []
    choices, planned = folder.choices(), folder.planned()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name in folder.kept():
            own, choice = here.clip_name(name), choices[name]
            pack.write(folder.sound(name), f"{own}.wav")
            pack.write(folder.plan_of(name), f"{own}.plan.toml")
            lines = [f"{own}.wav", *about(say, planned[name], folder.clip(name))]
            lines += [
                say("muse.take_line", things=say.listed([say(f"muse_take.{each}") for each in choice.take]))
            ] * bool(choice.take)
            lines += [choice.note] if choice.note else []
            texts.append("\n".join([*lines, planning.table(plans.read(folder.plan_of(name)))]))
        pack.writestr(
            say("muse.text_file"), ("\n\n".join([say("muse.heard_hint"), *texts]) + "\n").encode("utf-8-sig")
        )
    return out.getvalue()


def about(say: Words, planned: PlannedClip, made: MadeClip | None) -> list[str]:
    """What a clip is, in a line or two: its kind, its tempo and metre, its chords."""
    lines = [say(f"muse_kind.{planned.kind}")]
    if made is None:
        return lines
    facts = [say("muse.seconds", seconds=say.number(made.seconds, ".0f"))]
    if made.first > 0 or made.last < made.seconds:
        ends = {"first": say.number(made.first, ".1f"), "last": say.number(made.last, ".1f")}
        facts.append(say("muse.new_from", **ends))
    facts.append(say("muse.bpm", bpm=say.number(made.bpm, ".0f")) if made.bpm else say("muse.no_beat"))
    facts += [made.metre] if made.metre else []
    lines.append(", ".join(facts))
    if made.asked:
        lines.append(say("muse.asked", chords=made.asked))
    if made.chart:
        lines.append(say("muse.chords", chords=made.chart))
    return lines


ROUTES = [
    Route("/", front_page),
    Route(f"{CLIP}/{{clip}}.wav", clip),
    Route(KEPT, kept),
    Route(ICON, icon),
]


@contextlib.asynccontextmanager
async def _lifespan(base: str, browser: bool, _app: Any) -> AsyncIterator[dict[str, Any]]:
    here = musing()
    here.keeper.start()
    link = f"{base}/?key={here.secret}"
    lines = [f'"{here.title}" is open, on this machine alone: {link}', "Stop with Ctrl-C; nothing is lost."]
    print("\n".join(lines), flush=True)
    if browser and has_window():
        await run_in_threadpool(webbrowser.open, link)
    yield {}
    print("Stopping: a training writes down where it is.", flush=True)
    await run_in_threadpool(here.keeper.stop)


def has_window() -> bool:
    """Whether this machine can show a browser's window; a text browser would take the terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
