"""The page of one clip: player, questions, Next.

Every widget holds state and nothing is done in callbacks: after the widgets have run, the body writes
whatever differs from the database, in one transaction. So an interrupted run loses nothing, as the next
message carries the same state, and the first run after a restart saves what the browser still holds.
"""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from study.design import Questions
from study.room import routes, wording
from study.room.answering import Draft, Listening, Saved
from study.room.next_button import next_button
from study.room.player import player
from study.room.protocol import FIELDS, SCALE, Page, clean, missing, readable
from study.room.saved_text import saved_text
from study.room.served import Served
from study.room.store import Listener

_TEXTS = ("comment", "inspiring_text")


def answer_form(study: Served, person: Listener, tab: str) -> None:
    """Shows the clip that `person` is at, saves what is new, and leads on when the answer is final."""
    step, session = person.step, st.session_state
    draft = study.store.show(person.id, step.slot)
    questions, must_hear = study.design.questions, study.design.listening.play_to_end
    first = session.setdefault(_key(step.slot, "first"), draft)  # as this session met the trial
    _seed(draft)

    _heading(person)
    listening = _player(draft, first, must_hear=must_hear)
    heard = not must_hear or draft.listening.unlocked or bool(listening and listening.unlocked)
    given = _questions(questions, draft, first, heard=heard)
    last = step.page is Page.CLIP and step.answered + 1 == step.total
    press = next_button(
        "Finish this part" if step.clip == step.clips and not last else "Next",
        key=_key(step.slot, "next"),
        disabled=not heard,
        focus=session.get(_key(step.slot, "focus")),
    )
    mark = st.empty()

    changes = {name: value for name, value in given.items() if value != draft.fields[name]}
    fresh = listening if listening != session.get(_key(step.slot, "heard")) else None
    done = press if press != session.get(_key(step.slot, "press")) else None
    saved = Saved(False, (), draft.revision)
    if changes or fresh or done:
        saved = study.store.save(
            person.id,
            step.slot,
            tab=tab,
            changes=changes,
            listening=fresh,
            press=done,
            require_heard=must_hear,
        )
        session[_key(step.slot, "heard")], session[_key(step.slot, "press")] = listening, press
        if saved.final:
            st.rerun()
        if saved.pressed:
            session[_key(step.slot, "owing")] = press
            session[_key(step.slot, "focus")] = f"ask-{saved.missing[0]}@{press}"
            st.rerun()
        draft = study.store.show(person.id, step.slot)
        if set(changes) & set(_TEXTS):
            st.rerun()  # so that the text's own mark says "saved"
    _mark(mark, draft, heard=heard, owing=bool(session.get(_key(step.slot, "owing"))))


def _key(slot: int, name: str) -> str:
    return f"{name}-{slot}"


def _seed(draft: Draft) -> None:
    """Widgets start from the database, not from defaults: a reload shows what was saved."""
    for name in FIELDS:
        if name not in _TEXTS and draft.fields[name] is not None:
            st.session_state.setdefault(_key(draft.slot, name), draft.fields[name])


def _heading(person: Listener) -> None:
    step = person.step
    if step.page is Page.PRACTICE:
        st.title(f"Practice \u2013 Clip {step.clip} of {step.clips}", anchor=False)
        st.html(f'<div class="note">{wording.PRACTICE_NOTE}</div>')
        return
    title = f"Part {step.part} of {step.parts} \u2013 " if step.parts > 1 else ""
    st.title(f"{title}Clip {step.clip} of {step.clips}", anchor=False)
    share = 100 * step.answered / step.total
    st.html(
        f'<div class="way" role="progressbar" aria-label="Clips answered" aria-valuemin="0" '
        f'aria-valuemax="{step.total}" aria-valuenow="{step.answered}">'
        f'<i style="width:{share:.1f}%"></i></div>'
    )


def _player(draft: Draft, first: Draft, *, must_hear: bool) -> Listening | None:
    following = draft.next_play_key
    return player(
        key=_key(draft.slot, "player"),
        src=f"{routes.CLIP}/{draft.play_key}",
        clip=draft.play_key[:8],
        beacon=f"{routes.HEARD}/{draft.play_key}",
        following=f"{routes.CLIP}/{following}" if following else None,
        resume=first.listening,
        focus=draft.slot > 0,
        words=None if must_hear else {"closed": wording.FREE_TO_LISTEN},
    )


def _questions(questions: Questions, draft: Draft, first: Draft, *, heard: bool) -> dict[str, Any]:
    """The questions of one clip; returns the answers as the browser holds them now."""
    slot = draft.slot
    given: dict[str, Any] = {}

    def choice(name: str, label: str, options: Any, words: Any, *, on: bool) -> Any:
        with st.container(key=f"ask-{name}"):
            return st.segmented_control(
                label,
                options,
                key=_key(slot, name),
                format_func=words,
                required=True,
                width="stretch",
                disabled=not on,
            )

    def text(name: str, label: str, *, rows: int, on: bool) -> Any:
        with st.container(key=f"ask-{name}"):
            typed = saved_text(
                label,
                key=_key(slot, name),
                box=f"{name}-{draft.play_key[:8]}",
                value=first.fields[name],
                saved=draft.fields[name],
                rows=rows,
                disabled=not on,
            )
        return draft.fields[name] if typed is None else clean(typed)

    given["verdict"] = choice(
        "verdict", questions.verdict, list(wording.VERDICT), wording.VERDICT.get, on=heard
    )
    fake = given["verdict"] == "fake"
    difficulty = choice(
        "difficulty",
        questions.difficulty,
        list(wording.DIFFICULTY),
        wording.DIFFICULTY.get,
        on=heard and fake,
    )
    given["difficulty"] = difficulty if fake else None
    given["musicality"] = choice("musicality", questions.musicality, list(SCALE), str, on=heard)
    st.html(
        f'<div class="ends"><span>0 = {escape(questions.musicality_low)}</span>'
        f"<span>10 = {escape(questions.musicality_high)}</span></div>"
    )
    given["inspiring"] = choice(
        "inspiring", questions.inspiring, list(wording.INSPIRING), wording.INSPIRING.get, on=heard
    )
    other = given["inspiring"] == "other"
    with st.container(key="texts"):
        left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        words = text("inspiring_text", wording.INSPIRING_TEXT, rows=2, on=heard and other)
    given["inspiring_text"] = words if other else None
    with right:
        given["comment"] = text("comment", f"{questions.comment} (optional)", rows=2, on=heard)
    return given


def _mark(place: Any, draft: Draft, *, heard: bool, owing: bool) -> None:
    """Below Next: what is saved, and after a press that came too early what is still to answer."""
    owed = missing(draft.fields, heard=heard)
    if owing and owed:
        place.html(f'<div class="owed" role="alert"><b>Still to answer:</b> {escape(readable(owed))}.</div>')
    elif draft.revision:
        place.html('<div class="saved" role="status">\u2713 Saved</div>')
    else:
        place.html('<div class="saved"></div>')
