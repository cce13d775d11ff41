"""What a listener meets next, and when an answer is complete. Pure: values in, values out.

The database holds where a listener stands; `next_step` says which page that is. So the page follows from
what is saved and from nothing else: a reload, the Back button, another device or a restarted server all
lead to the same place.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from unicodedata import category

from analysis.questionnaire import PHASES, asked_in
from caw.problems import ProblemError
from study.design import own_questions
from study.design.follow_up import FollowUp as FollowUpRule
from study.design.own_questions import OwnAnswerError, OwnQuestion

PLAYBACK = ("headphones", "loudspeakers", "built_in")
MAX_TEXT = 4000  # characters of any text a listener types

_CONTROL = ("Cc", "Cs")  # Unicode's control characters and lone surrogates: databases refuse some of them


class AnswerError(ProblemError):
    """An answer that no page of ours can give: an unknown field or a value off its scale."""


class Page(StrEnum):
    WELCOME = "welcome"
    BEFORE = "questions before the study"
    SOUND_CHECK = "sound check"
    HEADPHONES = "headphone check"
    PRACTICE = "practice"
    PAUSE = "pause"
    ATTENTION = "check of attention"
    CLIP = "clip"
    PAIR = "pair"
    FINAL = "final questions"
    DONE = "finished"
    FOLLOW_UP = "follow-up"
    CLOSED = "closed"
    SCREENED_OUT = "screened out"
    TIMED_OUT = "timed out"
    OVER_QUOTA = "over quota"


ENDED_EARLY = {str(page): page for page in (Page.SCREENED_OUT, Page.TIMED_OUT, Page.OVER_QUOTA)}


@dataclass(frozen=True)
class Slot:
    """One clip in a listener's order: part 0 is practice; position counts from 1 within the part.

    `phase` is one of PHASES: which questions are asked of it. `question`: what is asked of it where it is a
    pair of clips, else "".
    """

    slot: int
    part: int
    position: int
    answered: bool
    phase: str = "all"
    round: int = 1
    question: str = ""


@dataclass(frozen=True)
class FollowUp:
    """What a finished listener is asked later about the clips they keep; moments by the database's clock.

    slots: of the kept clips in the order they were heard; answered: those that are answered for now.
    """

    slots: tuple[int, ...]
    answered: frozenset[int]
    opens_at: dt.datetime
    closes_at: dt.datetime | None
    now: dt.datetime
    begun: bool = False
    finished: bool = False

    @property
    def over(self) -> bool:
        return self.closes_at is not None and self.now >= self.closes_at

    @property
    def open(self) -> bool:
        """Whether there is something to answer, and may be."""
        return bool(self.slots) and not self.finished and not self.over and self.now >= self.opens_at

    @property
    def slot(self) -> int | None:
        """The clip to ask about next; None where all are answered."""
        return next((slot for slot in self.slots if slot not in self.answered), None)

    @property
    def stage(self) -> str:
        """Where this is, in words for the researcher."""
        if not self.slots:
            return "no kept clips"
        if self.finished:
            return "answered"
        if self.over:
            return "over, not answered" if not self.begun else "over, begun"
        if self.now < self.opens_at:
            return "not due"
        return f"begun, {len(self.answered)} of {len(self.slots)} clips" if self.begun else "due"


@dataclass(frozen=True)
class State:
    """All that decides where a listener is. `outcome`: how somebody who came by the open link ended.

    `round` is the newest that there is for them, and `finished` is said of that one.
    """

    slots: tuple[Slot, ...]
    consented: bool = False
    sound_checked: bool = False
    part_begun: int = 0
    finished: bool = False
    closed: bool = False
    round: int = 1
    outcome: str | None = None
    before_due: bool = False  # questions of the study's own wait before the sound check
    follow_up: FollowUp | None = None
    headphones_due: bool = False  # a headphone check waits after it
    attention: frozenset[int] = frozenset()  # the slots before which a check of attention waits


@dataclass(frozen=True)
class Stations:
    """What a study's design adds to a listener's way; the database alone does not know of it.

    follow_up: the study's settings of it.
    """

    before: bool = False
    headphones: bool = False
    attention: int = 0
    seed: int = 0
    follow_up: FollowUpRule | None = None


NO_STATIONS = Stations()


@dataclass(frozen=True)
class Step:
    """The page to show. Counts are of clips that count, so practice is not among `answered` and `total`.

    In a study of two passes each clip counts twice, and each set makes two parts; `phase` tells them apart.
    In a further round parts, clips and counts are of that round; `begins` is the part by the count of all
    rounds.
    In one of pairs, they are what is counted, and `question` is what is asked of the pair.
    """

    page: Page
    slot: int | None = None
    part: int = 0
    parts: int = 0
    clip: int = 0
    clips: int = 0
    answered: int = 0
    total: int = 0
    phase: str = "all"
    round: int = 1
    begins: int = 0
    question: str = ""
    follow_up: FollowUp | None = None

    @property
    def stage(self) -> str:
        """Where this is, in words for the researcher."""
        if self.round > 1 and self.page is not Page.FOLLOW_UP:
            first = replace(self, round=1).stage
            return (
                f"{first}, {self.round} rounds" if self.page is Page.DONE else f"round {self.round}: {first}"
            )
        if self.page is Page.CLIP:
            return f"part {self.part} of {self.parts}, clip {self.clip} of {self.clips}"
        if self.page is Page.PAIR:
            return f"part {self.part} of {self.parts}, pair {self.clip} of {self.clips}"
        if self.page is Page.PAUSE:
            return f"before part {self.part} of {self.parts}"
        if self.page is Page.PRACTICE:
            return f"practice {self.clip} of {self.clips}"
        if self.page is Page.FOLLOW_UP and self.follow_up is not None:
            return f"{Page.DONE}; {self.page} {self.follow_up.stage}"
        return str(self.page)


def next_step(state: State) -> Step:
    """Return the step that a listener takes next: the first one that is not done yet.

    Parameters
    ----------
    state : State
        What the database holds of the listener.

    Returns
    -------
    Step
        The page to show, with the counts that it needs.

    Examples
    --------
    >>> slots = (Slot(0, part=0, position=1, answered=True), Slot(1, part=1, position=1, answered=False))
    >>> next_step(State(slots, consented=True, sound_checked=True)).stage
    'before part 1 of 1'
    """
    counted = [
        slot for slot in state.slots if slot.part > 0 and (slot.round == state.round or state.finished)
    ]
    before = min((slot.part for slot in counted), default=1) - 1  # parts of earlier rounds
    counts: dict[str, Any] = {
        "parts": len({slot.part for slot in counted}),
        "answered": sum(slot.answered for slot in counted),
        "total": len(counted),
        "round": state.round,
    }
    if state.finished:
        later = state.follow_up
        page = Page.FOLLOW_UP if later is not None and later.open else Page.DONE
        return Step(page, **counts, follow_up=later)
    if state.outcome in ENDED_EARLY:
        return Step(ENDED_EARLY[state.outcome], **counts)
    if state.closed or not counted:
        return Step(Page.CLOSED, **counts)
    if not state.consented:
        return Step(Page.WELCOME, **counts)
    if state.before_due:
        return Step(Page.BEFORE, **counts)
    if not state.sound_checked:
        return Step(Page.SOUND_CHECK, **counts)
    if state.headphones_due:
        return Step(Page.HEADPHONES, **counts)
    waiting = [slot for slot in state.slots if not slot.answered]
    if not waiting:
        return Step(Page.FINAL, **counts)
    here = min(waiting, key=lambda slot: slot.slot)
    place: dict[str, Any] = {
        "slot": here.slot,
        "part": max(here.part - before, 0),
        "begins": here.part,
        "clip": here.position,
        "clips": sum(slot.part == here.part for slot in state.slots),
        "phase": here.phase,
        "question": here.question,
    }
    if here.part == 0:
        return Step(Page.PRACTICE, **place, **counts)
    if here.part > state.part_begun:
        return Step(Page.PAUSE, **place, **counts)
    if here.slot in state.attention:
        return Step(Page.ATTENTION, **place, **counts)
    return Step(Page.PAIR if here.question else Page.CLIP, **place, **counts)


def settle(changes: Mapping[str, Any], *, phase: str = "all") -> dict[str, Any]:
    """Check changed fields and make them agree.

    Where a field's answer no longer asks for another one, as the difficulty of a clip that is taken for real,
    that one is emptied.

    Parameters
    ----------
    changes : mapping of str to object
        The new values by the name of their field.
    phase : str, optional
        What the trial asks, one of `analysis.questionnaire.PHASES`.

    Returns
    -------
    dict
        The values to be saved, texts as of `clean`.

    Raises
    ------
    AnswerError
        For a field or a value that no page of this phase offers.

    Examples
    --------
    >>> settle({"verdict": "real"})
    {'verdict': 'real', 'difficulty': None}
    >>> settle({"musicality": 11})
    Traceback (most recent call last):
        ...
    study.store.protocol.AnswerError: musicality = 11; it must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    """
    offered = {field.name: field for field in asked_in(phase)}
    settled = dict(changes)
    for name, value in changes.items():
        if name not in offered:
            raise AnswerError(f"unknown field {name!r}", f"an answer has {', '.join(offered)}")
        field = offered[name]
        if not field.allows(value):
            levels = field.levels or (True, False)
            raise AnswerError(f"{name} = {value!r}", f"it must be one of {', '.join(map(str, levels))}")
        if field.kind == "text":
            settled[name] = clean(value)
    for field in offered.values():
        if field.condition and field.condition[0] in settled and not field.applies(settled):
            settled[field.name] = None
    return settled


def settle_own(
    questions: Sequence[OwnQuestion], changes: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """All answers to a page's own questions after changes, by the questions' names; texts as of `clean`.

    Raises: AnswerError for a question or a value that no page offers.
    """
    texts = {one.name for one in questions if one.kind == "text"}
    cleaned = {
        name: clean(value) if name in texts and isinstance(value, str) else value
        for name, value in changes.items()
    }
    try:
        return own_questions.settle(questions, cleaned, before)
    except OwnAnswerError as error:
        raise AnswerError(error.problem.what, error.problem.fix) from None


def clean(text: str | None) -> str | None:
    """Text as it is saved: at most MAX_TEXT letters, no control characters, None where nothing is left."""
    if text is None:
        return None
    printable = "".join(
        letter for letter in str(text) if letter in "\n\t" or category(letter) not in _CONTROL
    )
    return printable[:MAX_TEXT].strip() or None


def missing(
    answer: Mapping[str, Any],
    *,
    heard: bool,
    phase: str = "all",
    confidence: bool = False,
    questions: Sequence[OwnQuestion] = (),
) -> list[str]:
    """List what a listener has still to answer.

    Parameters
    ----------
    answer : mapping of str to object
        The answer so far, by the names of its fields; under "further" those to own questions by theirs.
    heard : bool
        Whether the clip was heard as far as the study asks for.
    phase : str, optional
        What the trial asks, one of `analysis.questionnaire.PHASES`.
    confidence : bool, optional
        Whether the study asks how sure a listener is.
    questions : sequence of OwnQuestion, optional
        The study's own ones on a clip.

    Returns
    -------
    list of str
        "heard", names of fields, those of the first phase before those of the second, and columns of own
        questions.
    """
    fields = [field for part in PHASES[1:] for field in asked_in(part) if phase in ("all", part)]
    owed = [
        field.name
        for field in fields
        if not field.optional
        and (confidence or not field.switched)
        and field.applies(answer)
        and (clean(answer.get(field.name)) if field.kind == "text" else answer.get(field.name)) is None
    ]
    own = own_questions.asked(questions, "clip", phase)
    owed += [one.column for one in own_questions.missing(own, answer.get("further") or {})]
    return owed if heard else ["heard", *owed]
