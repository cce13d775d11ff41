"""What stands at the listener's door: the plain page that refuses entry, and the cookie of who comes in."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from study.languages import wording
from study.server import address, links, login, routes
from study.server.served import Served

COOKIE_SECONDS = 180 * 24 * 3600


def admit(study: Served, connection: HTTPConnection, token: str) -> Response:
    """Admit a listener, at an address that ties the tab to this link: a browser may have opened several."""
    answer = RedirectResponse(f"/?{links.MARK}={links.mark(token)}", status_code=303)
    secure = login.secure(study, connection)
    framed = secure and in_frame(study, connection)
    answer.set_cookie(
        study.listener_cookie,
        links.remember(connection.cookies.get(study.listener_cookie), token),
        max_age=COOKIE_SECONDS,
        path="/",
        httponly=True,
        samesite="none" if framed else "lax",
        secure=secure,
    )
    if framed:  # Python's own cookies know `Partitioned` from 3.14 on
        answer.headers["set-cookie"] += "; Partitioned"
    return answer


def in_frame(study: Served, connection: HTTPConnection) -> bool:
    """Whether a page elsewhere shows the study in a frame, and may."""
    settings = study.design.open_link
    elsewhere = connection.headers.get("sec-fetch-dest") in ("iframe", "frame")
    return bool(settings and settings.frame_origins) and elsewhere


def page(study: Served, status: int, what: str, *, more: str = "", **values: str) -> HTMLResponse:
    """A page that refuses entry; `what` names its words in the catalogue, with their values.

    more: HTML to stand below them.
    """
    say = wording.of(study.design)
    what = what if "." in what else f"door.{what}"
    text = files("study.browser").joinpath("door.html").read_text("utf-8")
    texts = {
        "LANGUAGE": say.language,
        "TITLE": say(f"{what}_title"),
        "TEXT": say(f"{what}_text", **values),
        "STUDY": study.design.study.title,
    }
    filled = {name: escape(value) for name, value in texts.items()}
    filled |= {"MORE": more, f'"{routes.ICON}"': f'"{address.own(routes.ICON)}"'}
    return HTMLResponse(re.sub("|".join(filled), lambda place: filled[place[0]], text), status)
