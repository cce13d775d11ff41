"""The pages of the checks: of headphones after the sound check, and of attention between clips.

Neither tells a listener how they did: who fails takes part like everybody else, unless the study asks for
headphones.
"""

from __future__ import annotations

import streamlit as st

from study.design.checks import ATTENTION_CHOICES, HEADPHONE_CHOICES, HEADPHONE_TRIALS
from study.languages import wording
from study.pages.components import next_button, player
from study.server import headphone_check, routes
from study.server.served import Served
from study.store import check_results
from study.store.store import Listener


def headphones(study: Served, person: Listener, tab: str) -> None:
    """One trial of the headphone check: three sounds, and which of them it is."""
    say, settings, engine = wording.of(study.design), study.design.checks, study.store.engine
    now = check_results.standing(check_results.of(engine, check_results.HEADPHONES, person.id))
    here = f"{now.attempt}-{now.trial}"
    key = headphone_check.key(study.researcher_key, person.id, now.attempt, now.trial)
    st.title(say("checks.title", trial=now.trial, trials=HEADPHONE_TRIALS), anchor=False)
    if now.attempt > 1:
        st.write(say("checks.again"))
    st.write(say(f"checks.{settings.headphones}"))
    heard = player(
        say,
        key=f"check-{here}",
        src=f"{routes.CHECK}/{key}",
        clip=key[:8],
        loudness=study.design.stimuli.loudness,
        focus=True,
        flat=True,
        texts={name: say(f"checks.{name}") for name in ("play", "closed", "opened")},
    )
    with st.container(key="ask-check"):
        chosen = st.segmented_control(
            say(f"checks.{settings.headphones}_which"),
            HEADPHONE_CHOICES,
            key=f"check-chosen-{here}",
            required=True,
            width="stretch",
            disabled=not (heard and heard.unlocked),
        )
    ready = bool(heard and heard.unlocked and chosen)
    if next_button(say("clip.next"), key=f"check-next-{here}", disabled=not ready) and ready:
        right = headphone_check.answer(study.researcher_key, person.id, now.attempt, now.trial)
        place = {"attempt": now.attempt, "trial": now.trial, "right": right, "chosen": chosen}
        then = check_results.save_headphone_trial(
            engine, person.id, tab=tab, needed=settings.headphones_pass, **place
        )
        if settings.headphones_required and then.over and not then.passed:
            study.store.screen_out(person.id)
        st.rerun()


def attention(study: Served, person: Listener, tab: str) -> None:
    """Asks for a stated step of the scale of musicality."""
    say, engine = wording.of(study.design), study.store.engine
    number = len(check_results.of(engine, check_results.ATTENTION, person.id)) + 1
    drawn = headphone_check.hidden(study.researcher_key, "attention", person.id, number)
    asked = ATTENTION_CHOICES[drawn % len(ATTENTION_CHOICES)]
    st.title(say("checks.attention_title"), anchor=False)
    st.write(say("checks.attention_text"))
    with st.container(key="ask-attention"):
        chosen = st.segmented_control(
            say("checks.attention", asked=asked),
            ATTENTION_CHOICES,
            key=f"attention-{number}",
            required=True,
            width="stretch",
        )
    ready = chosen is not None
    if next_button(say("clip.next"), key=f"attention-next-{number}", disabled=not ready) and ready:
        given = {"number": number, "asked": asked, "chosen": int(chosen)}
        slips = study.design.checks.attention_slips
        check_results.save_attention(engine, person.id, tab=tab, slips=slips, **given)
        st.rerun()
