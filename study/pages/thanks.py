"""The last page: thanks, the clips to take home, and after the unblinding how the listener did."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

import streamlit as st

from study import blinding
from study.languages import wording
from study.pages import endings
from study.server import links, take_home
from study.server.address import own
from study.server.full_quality import Truth
from study.server.served import Served
from study.store import recruits
from study.store.store import Listener


def show_thanks(study: Served, person: Listener) -> None:
    """The page of a listener who has finished."""
    say, answers = wording.of(study.design), person.step.answered
    st.title(say("thanks.title"), anchor=False)
    endings.show_code(study, person, recruits.COMPLETED)
    st.write(say.count("thanks.saved", answers, answers=answers))
    if study.design.study.contact:
        st.write(say("thanks.contact", contact=study.design.study.contact))
    _later(study, person)
    show_offers(study, person)


def show_offers(study: Served, person: Listener) -> None:
    """What a listener who has finished may have: the kept clips and their score."""
    _take_home(study, person)
    _debrief(study, person)


def _later(study: Served, person: Listener) -> None:
    """When the link opens once more, or that this is behind, or nothing."""
    say, later = wording.of(study.design), person.step.follow_up
    if later is None or not later.slots:
        return
    if later.finished:
        st.write(say("follow_up.done"))
    elif not later.over:
        st.write(say("follow_up.later", date=wording.date(study.design, later.opens_at)))


def _take_home(study: Served, person: Listener) -> None:
    """The offer to download the kept clips, or nothing."""
    if not take_home.may_take(study, person):
        return
    clips = take_home.kept_clips(study.store.engine, person.id)
    if not clips:
        return
    say = wording.of(study.design)
    st.header(say("take_home.title"), anchor=False)
    truth = Truth.of(study)
    st.write(say.count("take_home.full" if truth else "take_home.text", len(clips), clips=len(clips)))
    if truth and (gone := sum(not truth.has(clip.place) for clip in clips)):
        st.write(say.count("take_home.gone", gone, clips=gone))
    if not study.store.unblindings():
        st.write(say("take_home.later"))
    label = escape(say("take_home.download"))
    mark = st.query_params.get(links.MARK)
    address = own(f"{take_home.ADDRESS}?{links.MARK}={quote(mark)}" if mark else take_home.ADDRESS)
    st.html(f'<a class="take-home" href="{address}" download="{take_home.archive_name(say)}">{label}</a>')


def _debrief(study: Served, person: Listener) -> None:
    """The listener's own score, or when and where it comes, or nothing."""
    say = wording.of(study.design)
    if not study.design.listening.debrief or person.pilot:  # a pilot's answers are not among those that count
        return
    if not study.store.unblindings():
        st.header(say("debrief.title"), anchor=False)
        st.write(say("debrief.later"))
        return
    result = score(study, person.name)
    if result is None:
        return
    right, total, fooled = result
    st.header(say("debrief.title"), anchor=False)
    st.write(say.count("debrief.score", total, right=right, clips=total))
    if fooled:
        st.write(say.count("debrief.fooled", fooled, clips=fooled))


def score(study: Served, name: str) -> tuple[int, int, int] | None:
    """(right verdicts, clips, fakes taken for real) of one listener; None without sealed key or answers."""
    build = study.store.build()
    try:
        key = blinding.read_key(study.folder, build.key_sha256)
        key += blinding.keys_of_rounds(study.folder, study.store.rounds())
    except blinding.BlindingError:
        return None
    truth = {(row["set"], row["stimulus_id"]): row["truth"] for row in key}
    mine = [row for row in study.store.answers() if row["listener"] == name and not row["repetition"]]
    verdicts = [(row["verdict"], truth[row["set"], row["stimulus_id"]]) for row in mine]
    fooled = sum(verdict == "real" != true for verdict, true in verdicts)
    if not verdicts:
        return None  # a pilot's answers are not among those that count
    return sum(verdict == true for verdict, true in verdicts), len(verdicts), fooled
