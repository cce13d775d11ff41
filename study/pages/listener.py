"""The listener's way through the study: one page, chosen by where the database says the listener is."""

from __future__ import annotations

import secrets
import sys
import traceback
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files

import streamlit as st
from sqlalchemy.exc import DBAPIError

from study.languages import wording
from study.pages import before, checks, endings, follow_up
from study.pages.answer_form import answer_form
from study.pages.components import next_button, player, run_again, saved_text, watch_connection
from study.pages.next_press import Next
from study.pages.pair_form import pair_form
from study.pages.thanks import show_thanks
from study.server import links, routes
from study.server.routes import TONE_SECONDS
from study.server.served import Served, served
from study.store.answering import OtherTab, StoreError
from study.store.protocol import PLAYBACK, Page, clean
from study.store.store import Listener

_RETRY_SECONDS = 3.0  # after which a page that could not reach the database tries by itself


@dataclass(frozen=True)
class Shown:
    """The page as a browser has loaded it. It keeps its name as long as it is open, over lost sessions too;
    `fresh` while no other session has seen it."""

    name: str
    fresh: bool


def token() -> str | None:
    """The secret of the personal link that this tab was opened with, from the cookie of the gate."""
    return links.chosen(*_claims())


def _claims() -> tuple[str | None, str | None]:
    """The cookie with the personal links of this browser, and which of them the tab's address names."""
    cookie = st.context.cookies.get(served().listener_cookie)
    return cookie if isinstance(cookie, str) else None, st.query_params.get(links.MARK)


def page() -> None:
    """Shows the listener's next step, or that the database could not take what was given."""
    study = served()
    style()
    watch_connection(wording.of(study.design))
    shown = _shown()
    try:
        _step(study, shown)
    except DBAPIError as error:  # as on a full disk; the browser's next message carries the same answers
        reason = str(error.orig).splitlines()[0]  # PostgreSQL adds the row, which holds answers
        print(f"not saved: {reason}", file=sys.stderr, flush=True)
        st.error(wording.not_saved(study.design))
        run_again(_RETRY_SECONDS)
    except Exception:  # nobody foresaw it: the log has the details, the browser none
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        st.error(wording.failed(study.design))


def _step(study: Served, shown: Shown) -> None:
    person = study.store.find(token())
    if person is None:
        say, why = wording.of(study.design), links.refused_as(study.design, *_claims())
        st.title(say(f"{why}_title"), anchor=False)
        st.write(say(f"{why}_text"))
        return
    study = replace(study, design=study.design.for_group(person.group_name))
    tab = _tab(study, person, shown)
    if tab is None:
        _other_tab(study, person)
        return
    try:
        _PAGES[person.step.page](study, person, tab)
    except OtherTab:
        st.rerun()
    except StoreError:
        _start_anew()  # this tab was behind
        st.rerun()


def style() -> None:
    """The room's look, for either theme."""
    css = files("study.browser").joinpath("room.css").read_text("utf-8")
    for word, color in (("LIGHT", routes.LIGHT["primaryColor"]), ("DARK", routes.DARK["primaryColor"])):
        css = css.replace(word, color)
    st.html(f"<style>{css}</style>")


def _shown() -> Shown:
    """Which page of a browser this is. An unseen field holds its name, as browsers send fields back."""
    fresh = st.session_state.setdefault("fresh", secrets.token_hex(4))
    with st.container(key="unseen"):
        name = st.text_input("Name of this page", fresh, key="page", label_visibility="collapsed")
    return Shown(name[:16], fresh=name == fresh)


def _tab(study: Served, person: Listener, shown: Shown) -> str | None:
    """This tab's name when it may write: the page's name and one of this session.

    A page that was just loaded takes over, an older one finds that it may not write. A page that comes back
    after its session was lost goes on, unless another one has taken over: what it shows is older then. What
    the lost session may still get to hear of it is refused, as that one goes by another name.
    """
    session = st.session_state
    if "tab" not in session:
        name = f"{shown.name}.{secrets.token_hex(6)}"
        if shown.fresh or _page_of(person) == shown.name:
            study.store.claim(person.id, name)
            session["tab"] = name
            return name
        session["tab"] = name
    return session["tab"] if person.tab == session["tab"] else None


def _page_of(person: Listener) -> str:
    """The name of the page that may write, whichever session it has; "" where none has come yet."""
    return (person.tab or "").partition(".")[0]


def _start_anew() -> None:
    """Forgets the answers of this tab: what the database has is newer."""
    names = {name: st.session_state[name] for name in ("fresh", "tab")}
    st.session_state.clear()
    st.session_state.update(names)


def _other_tab(study: Served, person: Listener) -> None:
    st.title(study.design.study.title, anchor=False)
    say = wording.of(study.design)
    st.write(say("tab.text"))
    if next_button(say("tab.here"), key=f"here-{_page_of(person)}"):  # its session may change meanwhile
        study.store.claim(person.id, st.session_state["tab"])
        _start_anew()
        st.rerun()


def _welcome(study: Served, person: Listener, _tab: str) -> None:
    say = wording.of(study.design)
    st.title(study.design.study.title, anchor=False)
    for paragraph in wording.welcome(study.design):
        st.write(paragraph)
    with st.container(border=True, key="consent"):
        st.markdown(f"**{say('consent.title')}** {wording.stored(study.design)}")
        agreed = st.checkbox(say("consent.agree"), key="agreed")
    if next_button(say("welcome.start"), key="start", disabled=not agreed) and agreed:
        study.store.consent(person.id, wording.consent_version(study.design))
        st.rerun()


def _sound_check(study: Served, person: Listener, _tab: str) -> None:
    say = wording.of(study.design)
    texts = {name: say(f"sound_check.{name}") for name in ("play", "opened", "failed")}
    texts["closed"] = say("sound_check.closed", seconds=f"{TONE_SECONDS:.0f}")
    st.title(say("sound_check.title"), anchor=False)
    st.write(say("sound_check.text"))
    heard = player(
        say,
        key="tone",
        src=routes.TONE,
        clip="tone",
        loudness=study.design.stimuli.loudness,
        texts=texts,
    )
    with st.container(key="ask-playback"):
        playback = st.segmented_control(
            say("sound_check.playback"),
            list(PLAYBACK),
            format_func=lambda option: say(f"sound_check.{option}"),
            key="playback",
            required=True,
            width="stretch",
        )
    needed = study.design.checks.headphones_required
    if needed and playback not in (None, "headphones"):
        st.html(f'<div class="owed">{escape(say("checks.needed"))}</div>')
    ready = bool(heard and heard.unlocked and playback) and (not needed or playback == "headphones")
    if next_button(say("sound_check.next"), key="sound-next", disabled=not ready) and ready:
        study.store.sound_check(person.id, playback)
        st.rerun()


def _pause(study: Served, person: Listener, _tab: str) -> None:
    say, step = wording.of(study.design), person.step
    title = "part.title" if step.parts > 1 else "part.only_title"
    if step.round > 1 and step.part == 1:
        title = "rounds.title"
    st.title(say(title, part=step.part, parts=step.parts), anchor=False)
    if title == "rounds.title":
        paragraphs = wording.before_round(study.design, step.total, step.phase)
    else:
        asked = step.question or step.phase
        paragraphs = wording.before_part(study.design, step.part, step.parts, step.clips, asked)
    for paragraph in paragraphs:
        st.write(paragraph)
    if next_button(say("part.begin" if step.part == 1 else "part.continue"), key=f"begin-{step.begins}"):
        study.store.begin_part(person.id, step.begins)
        st.rerun()


def _end_of_round(study: Served, person: Listener, tab: str) -> None:
    """The last page of a further round: own words, nothing else."""
    say = wording.of(study.design)
    st.title(say("rounds.end_title"), anchor=False)
    st.write(say("rounds.end_text"))
    saved = study.store.rounds(person.id)[-1].words
    with st.container(key="ask-round"):
        text = saved_text(
            say,
            say("rounds.words"),
            key=f"round-{person.step.round}",
            box=f"round-{person.step.round}-{person.id}",
            saved=saved,
            rows=4,
        )
    words = None if text is None or clean(text) == (saved or None) else text
    finish = bool(next_button(say("final.send"), key=f"finish-{person.step.round}"))
    if words is not None or finish:
        study.store.save_round(person.id, tab=tab, words=words, finish=finish)
        st.rerun()


def _final(study: Served, person: Listener, tab: str) -> None:
    if person.step.round > 1:
        _end_of_round(study, person, tab)
        return
    say, questions = wording.of(study.design), study.design.questions.final
    st.title(say("final.title"), anchor=False)
    st.write(say("final.text"))
    owed = before.end_questions(study, person, tab)
    saved = study.store.final_texts(person.id)
    typed: dict[int, str] = {}
    for number, question in enumerate(questions, start=1):
        with st.container(key=f"ask-final-{number}"):
            text = saved_text(
                say,
                question,
                key=f"final-{number}",
                box=f"final-{number}-{person.id}",
                saved=saved.get(number),
                rows=4,
            )
        if text is not None and clean(text) != (saved.get(number) or None):
            typed[number] = text
    going_on = Next(say("final.send"), key="finish")
    finish = going_on.new is not None and not owed
    if typed or finish:
        study.store.save_final(person.id, tab=tab, questions=questions, texts=typed, finish=finish)
        st.rerun()
    before.lead_to(going_on, study.design, owed)


def _closed(study: Served, _person: Listener, _tab: str) -> None:
    say = wording.of(study.design)
    st.title(say("thanks.title"), anchor=False)
    st.write(say("thanks.closed"))


_PAGES = {
    Page.WELCOME: _welcome,
    Page.BEFORE: before.show,
    Page.SOUND_CHECK: _sound_check,
    Page.HEADPHONES: checks.headphones,
    Page.ATTENTION: checks.attention,
    Page.PRACTICE: lambda study, person, tab: (pair_form if person.step.question else answer_form)(
        study, person, tab
    ),
    Page.PAUSE: _pause,
    Page.CLIP: answer_form,
    Page.PAIR: pair_form,
    Page.FINAL: _final,
    Page.DONE: lambda study, person, _tab: show_thanks(study, person),
    Page.FOLLOW_UP: follow_up.show,
    Page.CLOSED: _closed,
    Page.SCREENED_OUT: endings.show,
    Page.TIMED_OUT: endings.show,
    Page.OVER_QUOTA: endings.show,
}
