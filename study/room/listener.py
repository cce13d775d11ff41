"""The listener's way through the study: one page, chosen by where the database says the listener is."""

from __future__ import annotations

import secrets
import sys
import traceback
from importlib.resources import files

import streamlit as st
from sqlalchemy.exc import DBAPIError

from study.room import routes, theme, wording
from study.room.answer_form import answer_form
from study.room.answering import OtherTab, StoreError
from study.room.debrief import show_debrief
from study.room.next_button import next_button
from study.room.player import player
from study.room.protocol import Page, clean
from study.room.reconnect import watch_connection
from study.room.saved_text import saved_text
from study.room.served import Served, served
from study.room.store import Listener
from study.room.tone import SECONDS as TONE_SECONDS


def token() -> str | None:
    """The secret of the personal link, from the cookie that the gate has set."""
    cookie = st.context.cookies.get(served().listener_cookie)
    return cookie if isinstance(cookie, str) else None


def page() -> None:
    """Shows the listener's next step, or that the database could not take what was given."""
    study = served()
    style()
    watch_connection()
    try:
        _step(study)
    except DBAPIError as error:  # as on a full disk; the browser's next message carries the same answers
        print(f"not saved: {error.orig}", file=sys.stderr, flush=True)
        st.error(wording.not_saved(study.design))
    except Exception:  # nobody foresaw it: the log has the details, the browser none
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        st.error(wording.failed(study.design))


def _step(study: Served) -> None:
    person = study.store.find(token())
    if person is None:
        st.title("Please open your personal link", anchor=False)
        st.write("Everybody who takes part has one. It also brings you back to where you were.")
        return
    tab = _tab(study, person)
    if tab is None:
        _other_tab(study, person)
        return
    try:
        _PAGES[person.step.page](study, person, tab)
    except OtherTab:
        st.rerun()
    except StoreError:
        st.session_state.clear()  # this tab was behind: start from what the database says
        st.rerun()


def style() -> None:
    """The room's look, for either theme."""
    css = files("study.room").joinpath("room.css").read_text("utf-8")
    for word, color in (("LIGHT", theme.LIGHT["primaryColor"]), ("DARK", theme.DARK["primaryColor"])):
        css = css.replace(word, color)
    st.html(f"<style>{css}</style>")


def _tab(study: Served, person: Listener) -> str | None:
    """This tab's name when it may write. A new tab takes over; an older one finds that it may not."""
    session = st.session_state
    if "tab" not in session:
        name = secrets.token_hex(8)
        study.store.claim(person.id, name)
        session["tab"] = name
        return name
    return session["tab"] if person.tab == session["tab"] else None


def _other_tab(study: Served, person: Listener) -> None:
    st.title(study.design.study.title, anchor=False)
    st.write(wording.OTHER_TAB)
    press = next_button("Continue here", key=f"here-{person.tab}")
    if press:
        mine = st.session_state["tab"]
        study.store.claim(person.id, mine)
        st.session_state.clear()  # what this tab remembers is older than the database
        st.session_state["tab"] = mine
        st.rerun()


def _welcome(study: Served, person: Listener, _tab: str) -> None:
    st.title(study.design.study.title, anchor=False)
    for paragraph in wording.welcome(study.design):
        st.write(paragraph)
    with st.container(border=True, key="consent"):
        st.markdown(f"**{wording.STORED}** {wording.stored(study.design)}")
        agreed = st.checkbox(wording.AGREE, key="agreed")
    if next_button("Start", key="start", disabled=not agreed) and agreed:
        study.store.consent(person.id, wording.consent_version(study.design))
        st.rerun()


def _sound_check(study: Served, person: Listener, _tab: str) -> None:
    st.title("Sound check", anchor=False)
    st.write(
        "Play the tone: it sounds on the left, then on the right, then on both sides. Set a comfortable "
        "volume; the clips are about as loud as the tone. Then please leave the volume as it is."
    )
    heard = player(
        key="tone",
        src=routes.TONE,
        clip="tone",
        words={
            "play": "Play the tone",
            "closed": f"Listen to all of it ({TONE_SECONDS:.0f} seconds).",
            "opened": "Heard. Play it again if you like.",
            "failed": "The tone could not be loaded. Please check your connection and reload this page.",
        },
    )
    with st.container(key="ask-playback"):
        playback = st.segmented_control(
            "What are you listening on?",
            list(wording.PLAYBACK),
            format_func=wording.PLAYBACK.get,
            key="playback",
            required=True,
            width="stretch",
        )
    ready = bool(heard and heard.unlocked and playback)
    if next_button("I can hear it well", key="sound-next", disabled=not ready) and ready:
        study.store.sound_check(person.id, playback)
        st.rerun()


def _pause(study: Served, person: Listener, _tab: str) -> None:
    step = person.step
    title = f"Part {step.part} of {step.parts}" if step.parts > 1 else "Now it counts"
    st.title(title, anchor=False)
    for paragraph in wording.before_part(study.design, step.part, step.parts, step.clips):
        st.write(paragraph)
    if next_button("Begin" if step.part == 1 else "Continue", key=f"begin-{step.part}"):
        study.store.begin_part(person.id, step.part)
        st.rerun()


def _final(study: Served, person: Listener, tab: str) -> None:
    questions = study.design.questions.final
    st.title("Last questions", anchor=False)
    st.write("All clips are answered. Please write as much or as little as you like.")
    saved = study.store.final_texts(person.id)
    first = st.session_state.setdefault("final-first", dict(saved))
    typed: dict[int, str] = {}
    for number, question in enumerate(questions, start=1):
        text = saved_text(
            question,
            key=f"final-{number}",
            box=f"final-{number}-{person.id}",
            value=first.get(number),
            saved=saved.get(number),
            rows=4,
        )
        if text is not None and clean(text) != (saved.get(number) or None):
            typed[number] = text
    finish = bool(next_button("Send and finish", key="finish"))
    if typed or finish:
        study.store.save_final(person.id, tab=tab, questions=questions, texts=typed, finish=finish)
        st.rerun()


def _done(study: Served, person: Listener, _tab: str) -> None:
    st.title("Thank you", anchor=False)
    st.write(f"All your {person.step.answered} answers are saved. You can close this page.")
    if study.design.study.contact:
        st.write(f"Questions or second thoughts? {study.design.study.contact}")
    show_debrief(study, person)


def _closed(_study: Served, _person: Listener, _tab: str) -> None:
    st.title("Thank you", anchor=False)
    st.write(wording.CLOSED)


_PAGES = {
    Page.WELCOME: _welcome,
    Page.SOUND_CHECK: _sound_check,
    Page.PRACTICE: answer_form,
    Page.PAUSE: _pause,
    Page.CLIP: answer_form,
    Page.FINAL: _final,
    Page.DONE: _done,
    Page.CLOSED: _closed,
}
