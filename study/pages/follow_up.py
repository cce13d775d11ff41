"""The follow-up: days after a listener has finished, what came of the clips that they keep.

An introduction, a page for each kept clip, and a page that shows what was said and sends it. As on the pages
of clips every widget holds state, and the body writes whatever differs from the database.
"""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from analysis.questionnaire import CAME_OF_IT
from study.languages import Words, wording
from study.pages.components import next_button, player, recording, saved_text
from study.pages.next_press import Next, forget
from study.pages.own_questions import plain
from study.pages.thanks import show_offers
from study.server import recordings, routes
from study.server.address import own
from study.server.served import Served
from study.store import follow_up
from study.store.follow_up import KeptClip
from study.store.protocol import clean
from study.store.store import Listener

_NOTHING = CAME_OF_IT[0]
_TEXTS = {"song", "words"}
_ANOTHER = ""  # a song that the study does not name


def show(study: Served, person: Listener, tab: str) -> None:
    """The page of a listener whose follow-up is open."""
    later = person.step.follow_up
    if not later.begun:
        _introduction(study, person, tab)
        return
    clips = follow_up.show(study.store.engine, study.design.follow_up, person.id)
    here = next((place for place, clip in enumerate(clips) if clip.slot == later.slot), None)
    if here is None:
        _review(study, person, tab, clips)
    else:
        _clip(study, person, tab, clips, here)


def _introduction(study: Served, person: Listener, tab: str) -> None:
    say, later, rule = wording.of(study.design), person.step.follow_up, study.design.follow_up
    st.title(say("follow_up.title"), anchor=False)
    count, text = len(later.slots), "inspiring" if rule.clips == "inspiring" else "text"
    st.write(say.count(f"follow_up.{text}", count, clips=count))
    st.write(say("follow_up.honest"))
    if later.closes_at is not None:
        st.write(say("follow_up.until", date=wording.date(study.design, later.closes_at)))
    if next_button(say("follow_up.start"), key="follow-up-start"):
        follow_up.begin(study.store.engine, rule, person.id, tab=tab)
        st.rerun()
    show_offers(study, person)


def _clip(study: Served, person: Listener, tab: str, clips: list[KeptClip], here: int) -> None:
    design, clip = study.design, clips[here]
    say, rule = wording.of(design), design.follow_up
    st.title(say("follow_up.clip", clip=here + 1, clips=len(clips)), anchor=False)
    following = clips[here + 1] if here + 1 < len(clips) else None
    player(
        say,
        key=_key(clip, "player"),
        src=f"{routes.CLIP}/{clip.play_key}",
        clip=clip.play_key[:8],
        loudness=design.stimuli.loudness,
        following=f"{routes.CLIP}/{following.play_key}" if following else None,
        texts={"closed": say("clip.free"), "opened": say("clip.free")},
    )
    answers = _questions(study, say, clip)
    if rule.recording:
        recording(
            say,
            key=_key(clip, "recording"),
            address=own(f"{recordings.ADDRESS}/{clip.play_key}"),
            saved=clip.recording_name,
            megabytes=rule.megabytes,
            disabled=answers["outcome"] in (None, _NOTHING),
        )
    going_on = Next(say("follow_up.next"), key=_key(clip, "next"))
    changes = {name: value for name, value in answers.items() if value != getattr(clip, name)}
    if changes or going_on.new:
        engine = study.store.engine
        pressed = going_on.new
        saved = follow_up.save(engine, rule, person.id, clip.slot, tab=tab, changes=changes, press=pressed)
        going_on.deal(saved, saved.missing)
        if set(changes) & _TEXTS:
            st.rerun()  # so that the text's own mark says "saved"
    owed = wording.owed(design, ["outcome"]) if answers["outcome"] is None else ""
    going_on.mark(say, owed=owed, saved=not owed)


def _key(clip: KeptClip, name: str) -> str:
    return f"kept-{name}-{clip.slot}"


def _questions(study: Served, say: Words, clip: KeptClip) -> dict[str, Any]:
    """The questions about one clip, and the answers on the page. Of nothing neither song nor day is asked."""
    rule = study.design.follow_up
    with st.container(key="ask-outcome"):
        outcome = st.segmented_control(
            rule.question or say("follow_up.question"),
            list(CAME_OF_IT),
            default=clip.outcome,
            key=_key(clip, "outcome"),
            format_func=lambda level: say(f"follow_up.{level}"),
            required=True,
            width="stretch",
        )
    came = outcome not in (None, _NOTHING)
    song = _song(study, say, clip, enabled=came)
    with st.container(key="ask-days"):
        days = st.number_input(
            say("follow_up.days", longest=clip.longest),
            min_value=0,
            max_value=clip.longest,
            value=clip.days,
            step=1,
            key=_key(clip, "days"),
            disabled=not came,
        )
    with st.container(key="ask-words"):
        words = saved_text(
            say,
            say("follow_up.words"),
            key=_key(clip, "words"),
            box=f"kept-words-{clip.play_key[:8]}",
            saved=clip.words,
            rows=3,
        )
    answers = {"outcome": outcome, "words": clip.words if words is None else clean(words)}
    if came:
        answers |= {"song": song, "days": days}
    return answers


def _song(study: Served, say: Words, clip: KeptClip, *, enabled: bool) -> str | None:
    """Which song it came into: one of the study's, where it names any, or another one in words."""
    names = {song.name: song.shown for song in study.design.songs}
    saved, label, chosen = clip.song, say("follow_up.song_question"), _ANOTHER
    if names:
        with st.container(key="ask-which"), st.container(key="several-which"):
            chosen = st.pills(
                label,
                [*names, _ANOTHER],
                default=saved if saved in names else _ANOTHER if saved else None,
                key=_key(clip, "which"),
                format_func=lambda name: plain(names.get(name) or say("follow_up.another")),
                disabled=not enabled,
                width="stretch",
            )
        saved, label = None if saved in names else saved, say("follow_up.another_song")
    with st.container(key="ask-song"):
        typed = saved_text(
            say,
            label,
            key=_key(clip, "song"),
            box=f"kept-song-{clip.play_key[:8]}",
            saved=saved,
            rows=1,
            disabled=not enabled or chosen != _ANOTHER,
        )
    if chosen != _ANOTHER:
        return chosen
    return saved if typed is None else follow_up.song_name(typed)


def _review(study: Served, person: Listener, tab: str, clips: list[KeptClip]) -> None:
    say, rule, session = wording.of(study.design), study.design.follow_up, st.session_state
    engine = study.store.engine
    st.title(say("follow_up.review"), anchor=False)
    st.write(say("follow_up.review_text"))
    lines = "".join(
        f"<li>{escape(_line(study, number, clip))}</li>" for number, clip in enumerate(clips, start=1)
    )
    st.html(f'<ul class="said">{lines}</ul>')
    with st.container(key="ask-again"):
        again = st.segmented_control(
            say("follow_up.again"),
            list(range(1, len(clips) + 1)),
            key=f"kept-again-{session.get('kept-again', 0)}",
            required=True,
            width="stretch",
        )
    if again is not None:
        session["kept-again"] = session.get("kept-again", 0) + 1
        forget(_key(clips[again - 1], "next"))
        follow_up.take_up(engine, rule, person.id, clips[again - 1].slot, tab=tab)
        st.rerun()
    if next_button(say("follow_up.send"), key="follow-up-send"):
        follow_up.finish(engine, rule, person.id, tab=tab)
        st.rerun()


def _line(study: Served, number: int, clip: KeptClip) -> str:
    """What was said of one clip, in a line."""
    say = wording.of(study.design)
    names = {song.name: song.shown for song in study.design.songs}
    parts = [say("follow_up.line", clip=number, outcome=say(f"follow_up.{clip.outcome}"))]
    parts += [say("follow_up.for_song", song=names.get(clip.song, clip.song))] if clip.song else []
    parts += [say("follow_up.with_recording")] if clip.recording else []
    return ", ".join(parts)
