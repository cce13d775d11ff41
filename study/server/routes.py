"""The server's own addresses beside Streamlit's: the front page, clips, the player's reports, the tone.

A clip's address is its play key, a random string of one listener's one slot; it answers to that listener's
cookie alone. Nothing about the answer tells clips apart: Starlette would take ETag and Last-Modified from
the file, so both are fixed here.
"""

from __future__ import annotations

import io
import json
import wave
from functools import lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from study.server import headphone_check as checks
from study.server import links, places, take_home
from study.server.address import own
from study.server.made_sounds import MadeSounds
from study.server.served import served
from study.store import in_place as placed
from study.store.answering import Listening
from study.store.store import ServedClip

CLIP = "/clip"
HEARD = "/heard"
PLACE = "/place"  # a clip in a song: beneath it the play key, then the number of the song, from 1
TONE = "/tone.wav"
CHECK = "/check"
ICON = "/icon.svg"
_LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
_REPORT_BYTES = 8192
_SOUNDS = MadeSounds()
_REPORT_KINDS = ("play", "pause", "ended", "seek", "unlocked", "error", "blocked", "leave")
# The sound check: a soft tone on the left, on the right, then on both sides.
TONE_RATE = 22_050  # Hz
_PITCH = 440.0  # Hz
_EACH = 1.0  # s, each of the three
_GAP = 1 / 3  # s, after each; 4 s in all, as the page tells and the player's clock shows
_FADE = 0.04  # s
TONE_SECONDS = 3 * (_EACH + _GAP)

# The colours of the pages: warm paper, dark ink, one deep teal. White text on either primary colour has a
# contrast of at least 5 to 1.
LIGHT = {
    "primaryColor": "#0f6b66",
    "backgroundColor": "#fbfaf7",
    "secondaryBackgroundColor": "#f1efe9",
    "textColor": "#22211f",
    "borderColor": "#d8d4ca",
}
DARK = {
    "primaryColor": "#187a74",
    "backgroundColor": "#16181b",
    "secondaryBackgroundColor": "#212429",
    "textColor": "#ecebe7",
    "borderColor": "#3c4147",
}


async def front_page(request: Request) -> Response:
    """Streamlit's page shell, in the study's language, under its title and icon from the first moment.

    Its address comes to say which personal link the tab belongs to, and the listener's page alone speaks of a
    lost connection: Streamlit's own dialogs would lie over it.
    """
    study = served().design.study
    shell = await run_in_threadpool(page_shell, study.title, study.language)
    token = links.chosen(_cookie(request), request.query_params.get(links.MARK))
    mark = "" if token is None else f'here.searchParams.set("{links.MARK}","{links.mark(token)}");'
    bound = f"{{const here=new URL(location);{mark}history.replaceState(history.state,'',here)}}"
    script = f"<script>{bound}window.__streamlit={{HOST_CONFIG:{{blockErrorDialogs:true}}}}</script>"
    return HTMLResponse(shell.replace("</head>", f"{script}</head>", 1))


async def researcher_page(_request: Request) -> Response:
    """The same for the researcher's pages, which are in English."""
    return HTMLResponse(await run_in_threadpool(page_shell, served().design.study.title, "en"))


async def clip(request: Request) -> Response:
    """One clip, whole or in ranges, for the listener whose play key it is; 404 for everybody else."""
    served_clip = await own_clip(request)
    if served_clip is None:
        return Response(status_code=404)
    file = served().folder.stimulus(served_clip.set_name, served_clip.stimulus_id)
    return _own_sound(file, f"audio/{served_clip.file_format}", request.path_params["key"])


def _own_sound(file: Path, media_type: str, tag: str) -> FileResponse:
    """A sound that is one listener's alone; nothing in its headers comes of the file."""
    headers = {"cache-control": "private, max-age=3600", "etag": f'"{tag}"', "last-modified": _LAST_MODIFIED}
    return FileResponse(file, media_type=media_type, headers=headers)


async def heard(request: Request) -> Response:
    """Record a report of the player. It answers no question and lets nobody go on."""
    served_clip = await own_clip(request)
    if served_clip is None:
        return Response(status_code=404)
    report = await _report(request)
    if isinstance(report, Response):
        return report
    kind, listening, position = report
    recorded = await run_in_threadpool(
        served().store.log_play,
        served_clip,
        kind,
        listening=listening,
        position_seconds=position,
    )
    return Response(status_code=204 if recorded else 429)


async def _report(request: Request) -> tuple[str, Listening, float] | Response:
    """What a player reports: why, what was heard, and where it is; or the answer to what is no report."""
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
    return (kind, listening, position) if kind in _REPORT_KINDS else Response(status_code=400)


async def in_place(request: Request) -> Response:
    """A listener's own clip in one of the study's songs, once every verdict is final; 404 else."""
    found = await _in_place(request)
    if found is None:
        return Response(status_code=404)
    clip_there, song, number = found
    study = served()
    stimulus = study.folder.stimulus(clip_there.set_name, clip_there.stimulus_id)
    file = await run_in_threadpool(places.in_song, study.folder, song, stimulus)
    return _own_sound(file, "audio/wav", f"{request.path_params['key']}-{number}")


async def heard_in_place(request: Request) -> Response:
    """Record that a clip was heard in a song. It counts nothing toward what was heard of the clip itself."""
    found = await _in_place(request)
    if found is None:
        return Response(status_code=404)
    report = await _report(request)
    if isinstance(report, Response):
        return report
    (clip_there, _, number), (_, listening, position) = found, report
    recorded = await run_in_threadpool(
        placed.log,
        served().store.engine,
        clip_there.listener_id,
        clip_there.slot,
        number,
        listening=listening,
        position_seconds=position,
    )
    return Response(status_code=204 if recorded else 429)


async def _in_place(request: Request) -> tuple[ServedClip, str, int] | None:
    """The clip, the song's name and its number, where the asking listener may hear the one in the other."""
    study, number = served(), request.path_params["song"]
    if not study.design.listening.in_place or not 1 <= number <= len(study.design.songs):
        return None
    own = await own_clip(request)
    song = study.design.songs[number - 1].name
    if own is None or not places.is_built(study.folder, song):
        return None
    rated = await run_in_threadpool(placed.is_rated, study.store.engine, own.listener_id, own.slot)
    return (own, song, number) if rated else None


async def own_clip(request: Request) -> ServedClip | None:
    """The clip whose play key stands in the address, where it is the asking listener's own."""
    for token in links.remembered(_cookie(request)):
        if own := await run_in_threadpool(served().store.clip, request.path_params["key"], token):
            return own
    return None


def _cookie(request: Request) -> str | None:
    return request.cookies.get(served().listener_cookie)


async def sound_check(_request: Request) -> Response:
    """The tone, whole or in ranges: some browsers ask for ranges first, and else play nothing."""
    loudness = served().design.stimuli.loudness
    file = await run_in_threadpool(_tone, loudness)
    headers = {"cache-control": "public, max-age=3600", "etag": f'"tone at {loudness:g}"'}
    return FileResponse(file, media_type="audio/wav", headers=headers | {"last-modified": _LAST_MODIFIED})


async def headphone_check(request: Request) -> Response:
    """The sound of one trial of a listener's own headphone check; 404 for everybody else."""
    study, asked = served(), request.path_params["key"]
    kind = study.design.checks.headphones
    for token in links.remembered(_cookie(request)) if kind else ():
        person = await run_in_threadpool(study.store.find, token)
        place = person and checks.trial_of(study.researcher_key, person.id, asked)
        if place:
            about = (study.researcher_key, kind, study.design.stimuli.loudness, person.id, *place)
            file = await run_in_threadpool(checks.file_of, *about)
            headers = {"cache-control": "private, max-age=3600", "etag": f'"{asked}"'}
            return FileResponse(
                file, media_type="audio/wav", headers=headers | {"last-modified": _LAST_MODIFIED}
            )
    return Response(status_code=404)


async def icon(_request: Request) -> Response:
    drawing = files("study.browser").joinpath("icon.svg").read_text("utf-8")
    return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "public, max-age=3600"})


ROUTES = [
    Route("/", front_page),
    Route("/researcher", researcher_page),
    Route("/researcher-{page}", researcher_page),
    Route(f"{CLIP}/{{key}}", clip),
    Route(f"{HEARD}/{{key}}", heard, methods=["POST"]),
    Route(f"{PLACE}/{{key}}/{{song:int}}", in_place),
    Route(f"{PLACE}/{{key}}/{{song:int}}", heard_in_place, methods=["POST"]),
    Route(take_home.ADDRESS, take_home.download),
    Route(TONE, sound_check),
    Route(f"{CHECK}/{{key}}", headphone_check),
    Route(ICON, icon),
]


def page_shell(title: str, language: str) -> str:
    """Streamlit's page before it has run, under a title and our icon."""
    return _shell(title, language, own(ICON))


@lru_cache(maxsize=2)
def _shell(title: str, language: str, icon_address: str) -> str:
    shell = Path(streamlit.__file__).with_name("static").joinpath("index.html").read_text("utf-8")
    light, dark = LIGHT["backgroundColor"], DARK["backgroundColor"]
    ground = f"body{{background:{light}}}@media(prefers-color-scheme:dark){{body{{background:{dark}}}}}"
    for theirs, ours in (
        # A browser that translated the page would change it under Streamlit, which then stands still.
        ('<html lang="en">', f'<html lang="{language}" translate="no" class="notranslate">'),
        ("<title>Streamlit</title>", f"<title>{escape(title)}</title>"),
        ('href="./favicon.png"', f'href="{icon_address}" type="image/svg+xml"'),
        ("</head>", '<meta name="google" content="notranslate"></head>'),
        ("</head>", f"<style>{ground}</style></head>"),  # no white flash before the theme arrives
    ):
        shell = shell.replace(theirs, ours)
    return shell


def _tone(loudness: float) -> Path:
    return _SOUNDS.file(f"tone at {loudness:g}.wav", lambda path: path.write_bytes(tone(loudness)))


def tone(loudness: float) -> bytes:
    """A stereo WAV file (16 bit, 22.05 kHz) whose last, two-sided tone is about as loud as the clips.

    `loudness` is the clips' in LUFS. A two-channel sine near 1 kHz that peaks at x dBFS measures x LUFS
    (ITU-R BS.1770: -3.01 for one channel), which makes the peak's level the loudness asked for.
    """
    moments = np.arange(round(TONE_RATE * _EACH)) / TONE_RATE
    ramp = np.clip(np.minimum(moments, _EACH - moments) / _FADE, 0, 1)
    sound = (
        10 ** (min(loudness, -6.0) / 20)
        * np.sin(2 * np.pi * _PITCH * moments)
        * np.sin(ramp * np.pi / 2) ** 2
    )
    silence = np.zeros(round(TONE_RATE * _GAP))
    sides = []
    for left, right in ((1, 0), (0, 1), (1, 1)):
        sides.append(np.stack([left * sound, right * sound]))
        sides.append(np.stack([silence, silence]))
    samples = np.round(np.concatenate(sides, axis=1).T * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(TONE_RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()
