"""The page of one clip: player, questions, Next.

Every widget holds state and nothing is done in callbacks: after the widgets have run, the body writes
whatever differs from the database, in one transaction. So an interrupted run loses nothing, as the next
message carries the same state, and the first run after a restart saves what the browser still holds. The
database only fills a widget of which the browser holds nothing, never one that it shows already: a press of
Next comes with all that the page showed when it was pressed, and that is what becomes final.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape
from typing import Any

import streamlit as st

from analysis.questionnaire import FIELDS, MUSICALITY, VERDICT, Field, asked_in
from study.design import Design
from study.design.own_questions import asked
from study.languages import wording
from study.pages import in_place, own_questions
from study.pages.components import player, saved_text, trial_heading
from study.pages.next_press import Next
from study.server import routes
from study.server.served import Served
from study.store.answering import Draft, Listening
from study.store.protocol import Page, clean, missing
from study.store.store import Listener

_TEXTS = {field.name for field in FIELDS if field.kind == "text"}


def answer_form(study: Served, person: Listener, tab: str) -> None:
    """Shows the clip that `person` is at, saves what is new, and leads on when the answer is final."""
    step, session = person.step, st.session_state
    draft = study.store.show(person.id, step.slot)
    design, say, must_hear = study.design, wording.of(study.design), study.design.listening.play_to_end
    before = session.setdefault(_key(step.slot, "before"), draft.listening)  # as this session met the trial

    trial_heading(say, step, "clip")
    listening = _player(design, draft, before)
    heard = not must_hear or draft.listening.unlocked or bool(listening and listening.unlocked)
    in_place.show(study, draft, enabled=heard)
    counts = step.page is Page.CLIP
    answers, own = _questions(design, draft, heard=heard, counts=counts)
    last = counts and step.answered + 1 == step.total
    going_on = Next(
        say("clip.finish" if step.clip == step.clips and not last else "clip.next"),
        key=_key(step.slot, "next"),
        disabled=not heard,
    )

    changes = {name: value for name, value in answers.items() if value != draft.fields[name]}
    further = own_questions.changed(own, draft.further)
    fresh = listening if listening != session.get(_key(step.slot, "heard")) else None
    if changes or further or fresh or going_on.new:
        saved = study.store.save(
            person.id,
            step.slot,
            tab=tab,
            changes=changes,
            listening=fresh,
            press=going_on.new,
            require_heard=must_hear,
            require_confidence=design.questions.confidence,
            further=further,
            questions=design.clip_questions,
        )
        session[_key(step.slot, "heard")] = listening
        going_on.deal(saved, _names_in_order(design, saved.missing))
        draft = study.store.show(person.id, step.slot)
        if set(changes) & _TEXTS or own_questions.texts(design.clip_questions) & set(further):
            st.rerun()  # so that the text's own mark says "saved"
    going_on.mark(say, owed=_owed(design, draft, heard=heard), saved=bool(draft.revision))


def _key(slot: int, name: str) -> str:
    return f"{name}-{slot}"


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
        keys=[field.name for field in (VERDICT, MUSICALITY) if field in asked_in(draft.phase)],
    )


def _questions(
    design: Design, draft: Draft, *, heard: bool, counts: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The questions of one clip; returns the answers as the browser holds them now, and those to own ones.

    counts: whether the clip does; those for practice cannot be kept.
    """
    answers: dict[str, Any] = {}
    own: dict[str, Any] | None = None
    for field in _in_order(design, asked_in(draft.phase)):
        if (field.switched and not design.questions.confidence) or (field.block is None and not counts):
            continue
        if field.block is None and own is None:
            own = _own(design, draft, enabled=heard)
        open_now = heard and field.applies(answers)
        answer = _DRAWN[field.kind](design, draft, field, enabled=open_now)
        answers[field.name] = answer if field.applies(answers) else None
    return answers, _own(design, draft, enabled=heard) if own is None else own


def _own(design: Design, draft: Draft, *, enabled: bool) -> dict[str, Any]:
    """The study's own questions; practice asks them too, so that each was met before it counts."""
    return own_questions.draw_all(
        asked(design.clip_questions, "clip", draft.phase),
        wording.of(design),
        keys=f"own-{draft.slot}-{draft.play_key[:8]}",
        values=draft.further,
        enabled=enabled,
    )


def _label(design: Design, name: str) -> str:
    """A text of the page as study.toml words it, or else the catalogue."""
    text = getattr(design.questions, name, None)
    return text if isinstance(text, str) else wording.of(design)(f"clip.{name}")


def _choice(design: Design, draft: Draft, field: Field, *, enabled: bool) -> Any:
    say = wording.of(design)
    with st.container(key=f"ask-{field.name}"):
        return st.segmented_control(
            _label(design, field.name),
            list(field.levels),
            default=draft.fields[field.name],
            key=_key(draft.slot, field.name),
            format_func=str if field.kind == "scale" else lambda level: say(f"clip.{level}"),
            required=True,
            width="stretch",
            disabled=not enabled,
        )


def _scale(design: Design, draft: Draft, field: Field, *, enabled: bool) -> Any:
    say, chosen = wording.of(design), _choice(design, draft, field, enabled=enabled)
    ends = ((field.levels[0], "low"), (field.levels[-1], "high"))
    texts = [
        say("clip.scale", step=step, meaning=_label(design, f"{field.name}_{end}")) for step, end in ends
    ]
    st.html('<div class="ends">' + "".join(f"<span>{escape(text)}</span>" for text in texts) + "</div>")
    return chosen


def _text(design: Design, draft: Draft, field: Field, *, enabled: bool) -> str | None:
    say, label = wording.of(design), _label(design, field.name)
    with st.container(key=f"ask-{field.name}"):
        typed = saved_text(
            say,
            say("clip.optional", question=label) if field.optional else label,
            key=_key(draft.slot, field.name),
            box=f"{field.name}-{draft.play_key[:8]}",
            saved=draft.fields[field.name],
            rows=1 if field.condition else 2,
            disabled=not enabled,
            pin=field.optional,
        )
    return draft.fields[field.name] if typed is None else clean(typed)


def _switch(design: Design, draft: Draft, field: Field, *, enabled: bool) -> bool:
    say = wording.of(design)
    with st.container(key="keep"):
        answer = st.toggle(
            _label(design, field.name),
            draft.fields[field.name],
            key=_key(draft.slot, field.name),
            disabled=not enabled,
        )
        if design.listening.take_home:
            st.html(f'<div class="beside">{escape(say("clip.keep_note"))}</div>')
    return answer


_DRAWN = {"choice": _choice, "scale": _scale, "text": _text, "yes-no": _switch}


def _in_order(design: Design, fields: Iterable[Field]) -> list[Field]:
    """Fields in the order in which the page asks them: block by block, then what belongs to no block."""
    blocks = [*design.questions.order, None]
    return sorted(fields, key=lambda field: blocks.index(field.block))


def _names_in_order(design: Design, names: Collection[str]) -> list[str]:
    """What is still to do in the order of the page: first the listening, then the questions."""
    fields = _in_order(design, FIELDS)
    own = (one.column for one in design.clip_questions)
    return [name for name in ("heard", *(field.name for field in fields), *own) if name in names]


def _owed(design: Design, draft: Draft, *, heard: bool) -> str:
    """What is still to answer, in words; "" where nothing is."""
    names = missing(
        draft.fields | {"further": draft.further},
        heard=heard,
        phase=draft.phase,
        confidence=design.questions.confidence,
        questions=design.clip_questions,
    )
    return wording.owed(design, _names_in_order(design, names)) if names else ""
