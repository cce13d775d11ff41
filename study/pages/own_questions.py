"""Draws a study's own questions as the founding ones: widgets hold state, and no answer is preset.

Each stands in a container "ask-COLUMN", by which a page leads the eye to what is still to answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from study.design.own_questions import OwnAnswerError, OwnQuestion
from study.languages import Words
from study.pages.components import moment_field, saved_text
from study.store.protocol import clean

_IN_A_ROW, _SHORT = 5, 12  # so many options, of so many letters, stand side by side on a telephone
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$^=&:])")


def draw(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool = True) -> Any:
    """Shows one question; returns its answer as the browser holds it now, None where there is none.

    Parameters
    ----------
    question : OwnQuestion
        What is asked.
    say : Words
        The catalogue of the study's language.
    key : str
        Of the widget: another one for each page that asks it, as for each clip.
    value : object
        The answer that is saved; only a widget of which the browser holds nothing begins with it.
    enabled : bool, optional
        Whether it can be answered now.

    Returns
    -------
    object
        As of `OwnQuestion.check`; of text, what was typed.
    """
    try:
        value = question.check(value)
    except OwnAnswerError:  # it was saved before the options were worded anew
        value = None
    with st.container(key=f"ask-{question.column}"):
        return _DRAWN[question.drawn_as](question, say, key=key, value=value, enabled=enabled)


def draw_all(
    questions: Sequence[OwnQuestion],
    say: Words,
    *,
    keys: str,
    values: Mapping[str, Any],
    enabled: bool = True,
) -> dict[str, Any]:
    """Shows a page's questions, those that depend on an answer only after it; returns all answers by name.

    keys: begins the key of each widget. values: what is saved.
    """
    answers: dict[str, Any] = {}
    for one in questions:
        if not one.applies(answers):
            answers[one.name] = None
            continue
        key = f"{keys}-{one.column}"
        answers[one.name] = draw(one, say, key=key, value=values.get(one.name), enabled=enabled)
    return answers


def texts(questions: Sequence[OwnQuestion]) -> set[str]:
    """The names of those that are answered in words, whose box says itself what is saved."""
    return {one.name for one in questions if one.kind == "text"}


def changed(answers: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Which answers differ from those that are saved."""
    return {name: value for name, value in answers.items() if value != saved.get(name)}


def _label(question: OwnQuestion, say: Words) -> str:
    between = "" if None in (question.min, question.max) else f"{question.min:g}–{question.max:g}"
    beside = ", ".join(filter(None, [question.unit, between if question.drawn_as == "number" else ""]))
    text = f"{question.text} ({beside})" if beside else question.text
    return text if question.is_required else say("clip.optional", question=text)


def _choice(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> str | None:
    shared: dict[str, Any] = {"default": value, "key": key, "disabled": not enabled}
    shared["format_func"] = lambda option: plain(question.shown(option))
    shared |= {"required": question.is_required, "width": "stretch"}
    if len(question.options) <= _IN_A_ROW and all(len(option) <= _SHORT for option in question.options):
        return st.segmented_control(_label(question, say), question.options, **shared)
    with st.container(key=f"several-{question.column}"):
        return st.pills(_label(question, say), question.options, **shared)


def _choices(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> list[str] | None:
    chosen_alone = _only(question, key, value)
    with st.container(key=f"several-{question.column}"):
        chosen = st.pills(
            _several(question, say),
            question.options,
            selection_mode="multi",
            default=None if chosen_alone else value,
            key=key,
            format_func=lambda option: plain(question.shown(option)),
            disabled=not enabled,
            width="stretch",
        )
    return question.check(chosen)


def _several(question: OwnQuestion, say: Words) -> str:
    key = "own.several" if question.is_required else "own.several_optional"
    return say(key, question=question.text)


def _only(question: OwnQuestion, key: str, before: Any) -> bool:
    """Lets the newest press decide where the option that stands alone and others are chosen at once.

    before: what is saved. Returns whether it did.
    """
    chosen = st.session_state.get(key) or []
    if not question.alone or question.alone not in chosen or len(chosen) == 1:
        return False
    others = [option for option in chosen if option != question.alone]
    st.session_state[key] = others if question.alone in (before or []) else [question.alone]
    return True


def _scale(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> int | None:
    chosen = st.segmented_control(
        _label(question, say),
        question.levels,
        default=value,
        key=key,
        format_func=str,
        required=question.is_required,
        width="stretch",
        disabled=not enabled,
    )
    ends = ((question.low, question.low_label), (question.high, question.high_label))
    if question.low_label or question.high_label:
        texts = [say("clip.scale", step=step, meaning=meaning) if meaning else "" for step, meaning in ends]
        st.html('<div class="ends">' + "".join(f"<span>{escape(text)}</span>" for text in texts) + "</div>")
    return chosen


def _number(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> float | None:
    kind = int if question.whole else float
    low, high = (None if bound is None else kind(bound) for bound in (question.min, question.max))
    given = st.number_input(
        _label(question, say),
        low,
        high,
        None if value is None else kind(value),
        step=kind(1),
        format="%d" if question.whole else "%g",
        key=key,
        placeholder=say("own.number"),
        disabled=not enabled,
    )
    return question.check(given)


def _text(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> str | None:
    typed = saved_text(
        say, _label(question, say), key=key, box=key, saved=value, rows=2, disabled=not enabled
    )
    return value if typed is None else clean(typed)


def _moment(question: OwnQuestion, say: Words, *, key: str, value: Any, enabled: bool) -> float | None:
    return moment_field(
        say, _label(question, say), key=key, saved=value, longest=question.max or 0.0, disabled=not enabled
    )


_DRAWN = {
    "choice": _choice,
    "choices": _choices,
    "scale": _scale,
    "number": _number,
    "text": _text,
    "moment": _moment,
}


def plain(text: str) -> str:
    """A text for Streamlit to show as it stands: its signs are signs, not Markdown."""
    return _MARKDOWN.sub(r"\\\1", text)
