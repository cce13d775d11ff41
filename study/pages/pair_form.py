"""The page of a pair of clips: two players, one question, Next.

As `study.pages.answer_form`: widgets hold state, nothing is done in callbacks, and the body writes whatever
differs from the database, in one transaction.
"""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from study.design import Design
from study.languages import wording
from study.pages.components import player, saved_text, trial_heading
from study.pages.next_press import Next
from study.server import routes
from study.server.served import Served
from study.store import pairs
from study.store.answering import Listening
from study.store.pairs import SIDES, PairDraft
from study.store.protocol import Page, clean
from study.store.store import Listener

LETTERS = ("A", "B")  # what the two clips are called on the page


def pair_form(study: Served, person: Listener, tab: str) -> None:
    """Shows the pair that `person` is at, saves what is new, and leads on when the answer is final."""
    step, session, engine = person.step, st.session_state, study.store.engine
    draft = pairs.show(engine, person.id, step.slot)
    design, say, must_hear = study.design, wording.of(study.design), study.design.listening.play_to_end
    before = session.setdefault(_key(step.slot, "before"), draft.listening)  # as this session met the pair

    trial_heading(say, step, "pair")
    listening = [_player(design, draft, place, before[place]) for place in range(len(SIDES))]
    heard = not must_hear or all(
        kept.unlocked or bool(now and now.unlocked)
        for kept, now in zip(draft.listening, listening, strict=True)
    )
    answers = _questions(design, draft, enabled=heard)
    last = step.page is Page.PAIR and step.answered + 1 == step.total
    going_on = Next(
        say("clip.finish" if step.clip == step.clips and not last else "clip.next"),
        key=_key(step.slot, "next"),
        disabled=not heard,
    )

    changes = {name: value for name, value in answers.items() if value != draft.fields[name]}
    known = session.get(_key(step.slot, "heard"), [None, None])
    fresh = {
        side: now for side, now, then in zip(SIDES, listening, known, strict=True) if now and now != then
    }
    if changes or fresh or going_on.new:
        saved = pairs.save(
            engine,
            person.id,
            step.slot,
            tab=tab,
            changes=changes,
            listening=fresh,
            press=going_on.new,
            require_heard=must_hear,
            digest=study.store.served_digest,
        )
        session[_key(step.slot, "heard")] = listening
        going_on.deal(saved, saved.missing)
        draft = pairs.show(engine, person.id, step.slot)
        if "comment" in changes:
            st.rerun()  # so that the text's own mark says "saved"
    owed = ([] if heard else ["both"]) + ([] if draft.fields["choice"] else ["choice"])
    going_on.mark(say, owed=wording.owed(design, owed) if owed else "", saved=bool(draft.revision))


def _key(slot: int, name: str) -> str:
    return f"{name}-{slot}"


def _player(design: Design, draft: PairDraft, place: int, before: Listening) -> Listening | None:
    """The player of the first or of the second clip."""
    say, letter, key = wording.of(design), LETTERS[place], draft.keys[place]
    following = draft.next_keys[place] if draft.next_keys else None
    texts = {name: say(f"pair.{name}", letter=letter) for name in ("name", "play", "again", "seek", "volume")}
    texts["closed"] = say("pair.closed" if design.listening.play_to_end else "clip.free", letter=letter)
    st.html(f'<h2 class="letter">{escape(say("pair.clip", letter=letter))}</h2>')
    return player(
        say,
        key=f"player-{letter.lower()}-{draft.slot}",
        src=f"{routes.CLIP}/{key}",
        clip=key[:8],
        loudness=design.stimuli.loudness,
        beacon=f"{routes.HEARD}/{key}",
        following=f"{routes.CLIP}/{following}" if following else None,
        resume=before,
        focus=place == 0,
        texts=texts,
        keys=("choice",),
        pair=letter.lower(),
    )


def _questions(design: Design, draft: PairDraft, *, enabled: bool) -> dict[str, Any]:
    """The question of the pair; returns the answers as the browser holds them now."""
    say = wording.of(design)
    letter_of = dict(zip(SIDES, LETTERS, strict=True))
    with st.container(key="ask-choice"):
        choice = st.segmented_control(
            say(f"pair.{draft.question}"),
            list(SIDES),
            default=draft.fields["choice"],
            key=_key(draft.slot, "choice"),
            format_func=letter_of.get,
            required=True,
            width="stretch",
            disabled=not enabled,
        )
    answers: dict[str, Any] = {"choice": choice}
    if design.pairs.comment:
        with st.container(key="ask-comment"):
            typed = saved_text(
                say,
                say("clip.optional", question=say("pair.comment")),
                key=_key(draft.slot, "comment"),
                box=f"comment-{draft.keys[0][:8]}",
                saved=draft.fields["comment"],
                rows=2,
                disabled=not enabled,
            )
        answers["comment"] = draft.fields["comment"] if typed is None else clean(typed)
    return answers
