"""The study's own questions around the clips: a page before the sound check, and a part of the last page.

What is answered is saved as it is given, so a page that was left half done comes back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from study.design import Design
from study.design.own_questions import OwnQuestion, asked, missing
from study.languages import wording
from study.pages import own_questions
from study.pages.next_press import Next
from study.server.served import Served
from study.store import own_answers
from study.store.store import Listener


def show(study: Served, person: Listener, tab: str) -> None:
    """The page of questions before the study; who gives an answer that screens out is let go with thanks."""
    say = wording.of(study.design)
    st.title(say("own.title"), anchor=False)
    st.write(say("own.text"))
    questions = asked(study.design.own_questions, "before")
    answers, owed = _draw(study, person, tab, "before", questions)
    going_on = Next(say("own.next"), key="before-next")
    if going_on.new and not owed:
        if any(one.screens_out(answers.get(one.name)) for one in questions):
            study.store.screen_out(person.id)
        own_answers.leave(study.store.engine, person.id, tab=tab, questions=questions)
        st.rerun()
    lead_to(going_on, study.design, owed)


def end_questions(study: Served, person: Listener, tab: str) -> list[OwnQuestion]:
    """The questions at the end; returns those that are still to answer."""
    questions = asked(study.design.own_questions, "end")
    return _draw(study, person, tab, "end", questions)[1] if questions else []


def lead_to(going_on: Next, design: Design, owed: Sequence[OwnQuestion]) -> None:
    """After a press that came too early: leads to the first question still to answer, and names them all."""
    if owed and going_on.new:
        going_on.lead_to(owed[0].column)
    names = wording.owed(design, [one.column for one in owed]) if owed else ""
    going_on.mark(wording.of(design), owed=names)


def _draw(
    study: Served, person: Listener, tab: str, place: own_answers.Place, questions: Sequence[OwnQuestion]
) -> tuple[dict[str, Any], list[OwnQuestion]]:
    """Shows questions and saves what is new; returns the answers and what is still to answer."""
    saved = own_answers.saved(study.store.engine, person.id, place)
    answers = own_questions.draw_all(
        questions, wording.of(study.design), keys=f"{place}-{person.id}", values=saved
    )
    changes = own_questions.changed(answers, saved)
    if changes:
        own_answers.save(
            study.store.engine, person.id, tab=tab, place=place, questions=questions, changes=changes
        )
        if own_questions.texts(questions) & set(changes):
            st.rerun()  # so that the text's own mark says "saved"
    return answers, missing(questions, answers)
