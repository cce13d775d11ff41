"""The frame of the researcher's pages: who is logged in, the way between the pages, and the way out.

The pages themselves are researcher_overview, researcher_listeners, researcher_data, researcher_pool and
researcher_results. None of them knows any truth but the pool, which asks before it shows any; the results are
linked once the key was opened.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from study.pages.listener import style
from study.server import login, routes
from study.server.address import own
from study.server.served import served
from study.store import sessions
from study.store.sessions import Session

WAY = {
    "Overview": login.HOME,
    "Listeners": f"{login.HOME}-listeners",
    "Data": f"{login.HOME}-data",
    "Pool": f"{login.HOME}-pool",
    "Results": f"{login.HOME}-results",
}
FAILED = "Something went wrong here. Nothing that was saved is lost; please reload this page."
_DONE = "researcher-done"  # in the session state: what to say was done, after the page is drawn anew

Body = Callable[[Session], None]


def session() -> Session | None:
    """Who this browser's cookie, which the gate has set, lets in; asked anew at every run of a page."""
    study = served()
    cookie = st.context.cookies.get(study.researcher_cookie)
    return sessions.read(study.store.engine, study.session_key, cookie if isinstance(cookie, str) else None)


def show(title: str, body: Body) -> None:
    """One page: the frame around `body`, or for strangers the way to the login."""
    style()
    st.html(f"<style>{_style()}</style>")
    here = session()
    if here is None:
        locked()
        return
    _top(title, here)
    if done := st.session_state.pop(_DONE, None):
        st.success(done)
    guarded(body)


@cache
def _style() -> str:
    """Our own, and that of tables on every page of the house, for which the analysis itself is not loaded."""
    analysis = Path(find_spec("analysis").origin).parent
    sheets = (files("study.browser") / "researcher.css", analysis / "templates" / "tables.css")
    text = "".join(sheet.read_text("utf-8") for sheet in sheets)
    for word, colors in (("LIGHT", routes.LIGHT), ("DARK", routes.DARK)):
        text = text.replace(word, colors["backgroundColor"])
    return text


def guarded(body: Body) -> None:
    """Runs a part of a page for whoever is logged in at this moment.

    An error nobody foresaw is told calmly, and its details go to the log alone.
    """
    here = session()
    if here is None:
        locked()
        return
    try:
        body(here)
    except Exception:
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        st.error(FAILED)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, label: str) -> str:
    """A table of texts as HTML, its first column naming each row; on a phone it says that it scrolls."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(one)}</td>" for one in cells)}</tr>'
        for name, *cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def locked() -> None:
    st.title("For the researcher", anchor=False)
    st.write(f"You are not logged in, or no longer. [Log in]({own(login.HOME)})")


def done(message: str) -> None:
    """Draws the page anew with a word on what was done."""
    st.session_state[_DONE] = message
    st.rerun()


def _top(title: str, here: Session) -> None:
    ways = [
        f'<a href="{own(path)}"{_HERE if name == title else ""} target="_self">{name}</a>'
        for name, path in ({"Pool": login.HOME} if served().curating else WAY).items()
    ]
    st.html(
        f'<div class="desk"><p>{escape(served().design.study.title)}</p>'
        f'<form method="post" action="{own(login.LOGOUT)}"><span>{escape(here.who)}</span>'
        f'<button>Log out</button></form></div><nav class="desk-way" aria-label="Pages">{"".join(ways)}</nav>'
    )
    st.title(title, anchor=False)


_HERE = ' aria-current="page"'
