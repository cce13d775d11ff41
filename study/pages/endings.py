"""How those leave who came by the open link: code, way back, and the pages of whom the study let go."""

from __future__ import annotations

from html import escape

import streamlit as st

from study.languages import wording
from study.pages.components import completion_code
from study.server import open_link
from study.server.served import Served
from study.store import recruits
from study.store.store import Listener


def show(study: Served, person: Listener, _tab: str) -> None:
    """The last page of somebody who was let go before the end."""
    say, outcome, settings = wording.of(study.design), str(person.step.page), study.design.open_link
    words = f"open_link.{outcome.replace(' ', '_')}"
    st.title(say(f"{words}_title"), anchor=False)
    minutes = settings.timeout_minutes if settings is not None else None
    st.write(say(f"{words}_text", minutes=minutes))
    show_code(study, person, outcome)
    if study.design.study.contact:
        st.write(say("thanks.contact", contact=study.design.study.contact))


def show_code(study: Served, person: Listener, outcome: str) -> None:
    """The completion code and the way back to the platform; nothing for whoever has a personal link."""
    settings = study.design.open_link
    ids = recruits.ids_of(study.store.engine, person.id) if settings is not None else {}
    if settings is None or settings.names_listener not in ids:
        return
    say, who = wording.of(study.design), ids[settings.names_listener]
    code = open_link.code(settings, study.folder, outcome, who, pilot=person.pilot)
    if code:
        completion_code(say, code)
    if all(f"{{{name}}}" not in settings.ending(outcome).url for name in set(settings.ids) - set(ids)):
        address = settings.ending(outcome).address(ids, code)
        if address:
            label = escape(say("open_link.go"))
            st.html(f'<a class="take-home" href="{escape(address)}" target="_top">{label}</a>')
