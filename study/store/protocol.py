"""What a listener meets next, and when an answer is complete. Pure: values in, values out.

The database holds where a listener stands; `next_step` says which page that is. So the page follows from
what is saved and from nothing else: a reload, the Back button, another device or a restarted server all
lead to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from unicodedata import category

VERDICTS = ("real", "fake")
DIFFICULTIES = ("easy", "dont_know", "difficult")
INSPIRING = ("yes", "no", "maybe", "other")
SCALE = tuple(range(11))  # musicality
CERTAINTY = (1, 2, 3, 4, 5)  # confidence in the verdict: 1 a guess, 5 certain
PLAYBACK = ("headphones", "loudspeakers", "built_in")
MAX_TEXT = 4000  # characters of any text a listener types

FIELDS = ("verdict", "difficulty", "musicality", "inspiring", "inspiring_text", "comment")
FIELDS += ("confidence", "kept")
# What a trial asks: everything at once, or in a study of two passes the verdict first and the rest later.
PHASES = ("all", "verdict", "rating")
FIELDS_OF = {
    "all": FIELDS,
    "verdict": ("verdict", "difficulty", "confidence"),
    "rating": ("musicality", "inspiring", "inspiring_text", "comment", "kept"),
}
_CONTROL = ("Cc", "Cs")  # Unicode's control characters and lone surrogates: databases refuse some of them
_ALLOWED = {
    "verdict": VERDICTS,
    "difficulty": DIFFICULTIES,
    "musicality": SCALE,
    "inspiring": INSPIRING,
    "confidence": CERTAINTY,
}


class AnswerError(ValueError):
    """An answer that no page of ours can give: an unknown field or a value off its scale."""


class Page(StrEnum):
    WELCOME = "welcome"
    SOUND_CHECK = "sound check"
    PRACTICE = "practice"
    PAUSE = "pause"
    CLIP = "clip"
    FINAL = "final questions"
    DONE = "finished"
    CLOSED = "closed"


@dataclass(frozen=True)
class Slot:
    """One clip in a listener's order: part 0 is practice; position counts from 1 within the part.

    `phase` is one of PHASES: which questions are asked of it.
    """

    slot: int
    part: int
    position: int
    answered: bool
    phase: str = "all"


@dataclass(frozen=True)
class State:
    """All that decides where a listener is."""

    slots: tuple[Slot, ...]
    consented: bool = False
    sound_checked: bool = False
    part_begun: int = 0
    finished: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Step:
    """The page to show. Counts are of clips that count, so practice is not among `answered` and `total`.

    In a study of two passes each clip counts twice, and each set makes two parts; `phase` tells them apart.
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

    @property
    def stage(self) -> str:
        """Where this is, in words for the researcher."""
        if self.page is Page.CLIP:
            return f"part {self.part} of {self.parts}, clip {self.clip} of {self.clips}"
        if self.page is Page.PAUSE:
            return f"before part {self.part} of {self.parts}"
        if self.page is Page.PRACTICE:
            return f"practice {self.clip} of {self.clips}"
        return str(self.page)


def next_step(state: State) -> Step:
    """The step a listener takes next: the first one that is not done yet."""
    counted = [slot for slot in state.slots if slot.part > 0]
    counts = {
        "parts": len({slot.part for slot in counted}),
        "answered": sum(slot.answered for slot in counted),
        "total": len(counted),
    }
    if state.finished:
        return Step(Page.DONE, **counts)
    if state.closed or not counted:
        return Step(Page.CLOSED, **counts)
    if not state.consented:
        return Step(Page.WELCOME, **counts)
    if not state.sound_checked:
        return Step(Page.SOUND_CHECK, **counts)
    waiting = [slot for slot in state.slots if not slot.answered]
    if not waiting:
        return Step(Page.FINAL, **counts)
    here = min(waiting, key=lambda slot: slot.slot)
    place = {
        "slot": here.slot,
        "part": here.part,
        "clip": here.position,
        "clips": sum(slot.part == here.part for slot in state.slots),
        "phase": here.phase,
    }
    if here.part == 0:
        return Step(Page.PRACTICE, **place, **counts)
    if here.part > state.part_begun:
        return Step(Page.PAUSE, **place, **counts)
    return Step(Page.CLIP, **place, **counts)


def settle(changes: Mapping[str, Any], *, phase: str = "all") -> dict[str, Any]:
    """Checks changed fields and makes them agree: no difficulty of a real clip, no text without "other".

    Raises AnswerError for a field or value that no page of this phase offers.
    """
    settled = dict(changes)
    for name, value in settled.items():
        if name not in FIELDS_OF[phase]:
            raise AnswerError(f"unknown field {name!r}; an answer has {', '.join(FIELDS_OF[phase])}")
        if name == "kept":
            if not isinstance(value, bool):
                raise AnswerError(f"kept = {value!r}; it must be one of True, False")
        elif name in _ALLOWED:
            on_scale = value is None or (not isinstance(value, bool) and value in _ALLOWED[name])
            if not on_scale:
                known = ", ".join(str(known) for known in _ALLOWED[name])
                raise AnswerError(f"{name} = {value!r}; it must be one of {known}")
        else:
            settled[name] = clean(value)
    if settled.get("verdict", "fake") != "fake":
        settled["difficulty"] = None
    if settled.get("inspiring", "other") != "other":
        settled["inspiring_text"] = None
    return settled


def clean(text: str | None) -> str | None:
    """Typed text as it is kept: cut to MAX_TEXT, without control characters, None where nothing is left."""
    if text is None:
        return None
    kept = "".join(letter for letter in str(text) if letter in "\n\t" or category(letter) not in _CONTROL)
    return kept[:MAX_TEXT].strip() or None


def missing(
    answer: Mapping[str, Any], *, heard: bool, phase: str = "all", confidence: bool = False
) -> list[str]:
    """The fields a listener still owes, in the order of the page; comment and kept are never among them.

    confidence: whether the study asks for it.
    """
    owed = [] if heard else ["heard"]
    if phase != "rating":
        owed += [name for name in ("verdict",) if answer.get(name) is None]
        if answer.get("verdict") == "fake" and answer.get("difficulty") is None:
            owed.append("difficulty")
        if confidence and answer.get("confidence") is None:
            owed.append("confidence")
    if phase != "verdict":
        owed += [name for name in ("musicality", "inspiring") if answer.get(name) is None]
        if answer.get("inspiring") == "other" and not clean(answer.get("inspiring_text")):
            owed.append("inspiring_text")
    return owed
