"""On the page of a clip: hear it in a song, between the music before the gap and the music after it.

Every clip is offered in every song, in the second of two passes alone, when no verdict can change any more.
What is heard here counts nothing toward the clip itself.
"""

from __future__ import annotations

import streamlit as st

from study.languages import wording
from study.pages.components import player
from study.pages.own_questions import plain
from study.server import places, routes
from study.server.served import Served
from study.store.answering import Draft

_SAID = (
    "name",
    "play",
    "again",
    "seek",
    "closed",
    "opened",
)  # of the catalogue's [place], in [player]'s place


def show(study: Served, draft: Draft, *, enabled: bool) -> None:
    """Shows the choice of songs and, once one is chosen, a player; nothing where the study offers none.

    enabled: whether the clip itself was heard as the study asks for.
    """
    design, say = study.design, wording.of(study.design)
    if not design.listening.in_place or draft.phase != "rating":
        return
    there = {
        number: song.shown
        for number, song in enumerate(design.songs, start=1)
        if places.is_built(study.folder, song.name)
    }
    with st.container(key="ask-place"), st.container(key="several-place"):
        number = st.pills(
            say("place.question"),
            list(there),
            format_func=lambda one: plain(there[one]),
            key=f"place-{draft.slot}",
            disabled=not enabled,
            width="stretch",
        )
    if number is None:
        return
    address = f"{routes.PLACE}/{draft.play_key}/{number}"
    player(
        say,
        key=f"place-player-{draft.slot}-{number}",
        src=address,
        clip=f"{draft.play_key[:8]}-{number}",
        loudness=design.stimuli.loudness,
        beacon=address,
        texts={name: say(f"place.{name}", song=there[number]) for name in _SAID},
        aside=True,
    )
