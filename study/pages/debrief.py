"""After the study: how a listener did. Shown only where the design allows it and the study is unblinded."""

from __future__ import annotations

import streamlit as st

from study import blinding
from study.languages import wording
from study.server.served import Served
from study.store.store import Listener


def show_debrief(study: Served, person: Listener) -> None:
    """The listener's own score, or when and where it comes, or nothing."""
    say = wording.of(study.design)
    if not study.design.listening.debrief or person.pilot:  # a pilot's answers are not among those that count
        return
    if not study.store.unblindings():
        st.header(say("debrief.title"), anchor=False)
        st.write(say("debrief.later"))
        return
    found = score(study, person.name)
    if found is None:
        return
    right, total, fooled = found
    st.header(say("debrief.title"), anchor=False)
    st.write(say.count("debrief.score", total, right=right, clips=total))
    if fooled:
        st.write(say.count("debrief.fooled", fooled, clips=fooled))


def score(study: Served, name: str) -> tuple[int, int, int] | None:
    """(right verdicts, clips, fakes taken for real) of one listener; None without sealed key or answers."""
    build = study.store.build()
    try:
        key = blinding.read_key(study.folder, build.key_sha256)
    except blinding.BlindingError:
        return None
    truth = {(row["set"], row["stimulus_id"]): row["truth"] for row in key}
    mine = [row for row in study.store.answers() if row["listener"] == name and not row["repetition"]]
    verdicts = [(row["verdict"], truth[row["set"], row["stimulus_id"]]) for row in mine]
    fooled = sum(verdict == "real" != true for verdict, true in verdicts)
    if not verdicts:
        return None  # a pilot's answers are not among those that count
    return sum(verdict == true for verdict, true in verdicts), len(verdicts), fooled
