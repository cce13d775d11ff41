"""The page of one clip: player, questions, Next.

Every widget holds state and nothing is done in callbacks: after the widgets have run, the body writes
whatever differs from the database, in one transaction. So an interrupted run loses nothing, as the next
message carries the same state, and the first run after a restart saves what the browser still holds. The
database only fills a widget of which the browser holds nothing, never one that it shows already: a press of
Next comes with all that the page showed when it was pressed, and that is what becomes final.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from study.design import Design
from study.languages import wording
from study.pages.next_button import next_button
from study.pages.player import player
from study.pages.saved_text import saved_text
from study.server import routes
from study.server.served import Served
from study.store.answering import Draft, Listening, Saved
from study.store.protocol import (
    CERTAINTY,
    DIFFICULTIES,
    FIELDS_OF,
    INSPIRING,
    SCALE,
    VERDICTS,
    Page,
    clean,
    missing,
)
from study.store.store import Listener

_TEXTS = ("comment", "inspiring_text")


def answer_form(study: Served, person: Listener, tab: str) -> None:
    """Shows the clip that `person` is at, saves what is new, and leads on when the answer is final."""
    step, session = person.step, st.session_state
    draft = study.store.show(person.id, step.slot)
    design, say, must_hear = study.design, wording.of(study.design), study.design.listening.play_to_end
    before = session.setdefault(_key(step.slot, "before"), draft.listening)  # as this session met the trial

    _heading(design, person)
    listening = _player(design, draft, before)
    heard = not must_hear or draft.listening.unlocked or bool(listening and listening.unlocked)
    given = _questions(design, draft, heard=heard, keep=step.page is Page.CLIP)
    last = step.page is Page.CLIP and step.answered + 1 == step.total
    press = next_button(
        say("clip.finish" if step.clip == step.clips and not last else "clip.next"),
        key=_key(step.slot, "next"),
        disabled=not heard,
        focus=session.get(_key(step.slot, "focus")),
    )
    with st.container(key="mark"):
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
            require_confidence=design.questions.confidence,
        )
        session[_key(step.slot, "heard")], session[_key(step.slot, "press")] = listening, press
        if saved.final:
            st.rerun()
        if saved.pressed:
            session[_key(step.slot, "owing")] = press
            session[_key(step.slot, "focus")] = f"ask-{_in_order(design, saved.missing)[0]}@{press}"
            st.rerun()
        draft = study.store.show(person.id, step.slot)
        if set(changes) & set(_TEXTS):
            st.rerun()  # so that the text's own mark says "saved"
    _mark(mark, design, draft, heard=heard, owing=bool(session.get(_key(step.slot, "owing"))))


def _key(slot: int, name: str) -> str:
    return f"{name}-{slot}"


def _heading(design: Design, person: Listener) -> None:
    say, step = wording.of(design), person.step
    place = {"part": step.part, "parts": step.parts, "clip": step.clip, "clips": step.clips}
    if step.page is Page.PRACTICE:
        st.title(say("clip.practice_title", **place), anchor=False)
        st.html(f'<div class="note">{escape(say("clip.practice_note"))}</div>')
        return
    st.title(say("clip.part_title" if step.parts > 1 else "clip.title", **place), anchor=False)
    share = 100 * step.answered / step.total
    st.html(
        f'<div class="way" role="progressbar" aria-label="{escape(say("clip.progress"))}" aria-valuemin="0" '
        f'aria-valuemax="{step.total}" aria-valuenow="{step.answered}">'
        f'<i style="width:{share:.1f}%"></i></div>'
    )


def _player(design: Design, draft: Draft, before: Listening) -> Listening | None:
    say, following = wording.of(design), draft.next_play_key
    return player(
        say,
        key=_key(draft.slot, "player"),
        src=f"{routes.CLIP}/{draft.play_key}",
        clip=draft.play_key[:8],
        loudness=design.stimuli.loudness,
        beacon=f"{routes.HEARD}/{draft.play_key}",
        following=f"{routes.CLIP}/{following}" if following else None,
        resume=before,
        focus=True,
        texts=None if design.listening.play_to_end else {"closed": say("clip.free")},
        keys=[name for name in ("verdict", "musicality") if name in FIELDS_OF[draft.phase]],
    )


def _questions(design: Design, draft: Draft, *, heard: bool, keep: bool) -> dict[str, Any]:
    """The questions of one clip; returns the answers as the browser holds them now.

    keep: whether the clip can be kept; those for practice cannot.
    """
    say, questions, slot = wording.of(design), design.questions, draft.slot
    given: dict[str, Any] = {}

    def choice(name: str, label: str, options: Any, words: Any = str, *, on: bool = heard) -> Any:
        with st.container(key=f"ask-{name}"):
            return st.segmented_control(
                label,
                options,
                default=draft.fields[name],
                key=_key(slot, name),
                format_func=words,
                required=True,
                width="stretch",
                disabled=not on,
            )

    def ends(low: str, high: str, scale: Any) -> None:
        words = [say("clip.scale", step=scale[end], meaning=what) for end, what in ((0, low), (-1, high))]
        st.html('<div class="ends">' + "".join(f"<span>{escape(word)}</span>" for word in words) + "</div>")

    def text(name: str, label: str, *, rows: int = 2, on: bool = heard) -> Any:
        with st.container(key=f"ask-{name}"):
            typed = saved_text(
                say,
                label,
                key=_key(slot, name),
                box=f"{name}-{draft.play_key[:8]}",
                saved=draft.fields[name],
                rows=rows,
                disabled=not on,
                pin=name == "comment",
            )
        return draft.fields[name] if typed is None else clean(typed)

    def word(option: str) -> str:
        return say(f"clip.{option}")

    def verdict() -> None:
        given["verdict"] = choice("verdict", questions.verdict, list(VERDICTS), word)
        fake = given["verdict"] == "fake"
        difficulty = choice("difficulty", questions.difficulty, list(DIFFICULTIES), word, on=heard and fake)
        given["difficulty"] = difficulty if fake else None
        if questions.confidence:
            given["confidence"] = choice("confidence", say("clip.confidence"), list(CERTAINTY))
            ends(say("clip.confidence_low"), say("clip.confidence_high"), CERTAINTY)

    def musicality() -> None:
        given["musicality"] = choice("musicality", questions.musicality, list(SCALE))
        ends(questions.musicality_low, questions.musicality_high, SCALE)

    def inspiring() -> None:
        given["inspiring"] = choice("inspiring", questions.inspiring, list(INSPIRING), word)
        other = given["inspiring"] == "other"
        words = text("inspiring_text", say("clip.inspiring_text"), rows=1, on=heard and other)
        given["inspiring_text"] = words if other else None

    def comment() -> None:
        given["comment"] = text("comment", say("clip.optional", question=questions.comment))

    blocks = {"verdict": verdict, "musicality": musicality, "inspiring": inspiring, "comment": comment}
    for block in design.questions.order:
        if block in FIELDS_OF[draft.phase]:
            blocks[block]()
    if keep and "kept" in FIELDS_OF[draft.phase]:
        with st.container(key="keep"):
            given["kept"] = st.toggle(
                say("clip.keep"), draft.fields["kept"], key=_key(slot, "kept"), disabled=not heard
            )
            if design.listening.take_home:
                st.html(f'<div class="beside">{escape(say("clip.keep_note"))}</div>')
    return given


def _in_order(design: Design, names: Sequence[str]) -> list[str]:
    """Fields in the order in which the page asks them."""
    block = {"difficulty": "verdict", "confidence": "verdict", "inspiring_text": "inspiring"}
    order = ["heard", *design.questions.order]
    return sorted(names, key=lambda name: order.index(block.get(name, name)))


def _mark(place: Any, design: Design, draft: Draft, *, heard: bool, owing: bool) -> None:
    """Below Next: what is saved, and after a press that came too early what is still to answer."""
    say = wording.of(design)
    owed = missing(draft.fields, heard=heard, phase=draft.phase, confidence=design.questions.confidence)
    if owing and owed:
        told = escape(wording.owed(design, _in_order(design, owed)))
        place.html(f'<div class="owed"><b>{escape(say("owed.text"))}</b> {told}.</div>')
    elif draft.revision:
        place.html(f'<div class="saved">{escape(say("clip.saved"))}</div>')
    else:
        place.html('<div class="saved"></div>')
