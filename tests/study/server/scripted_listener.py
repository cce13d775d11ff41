"""Listeners who answer through the store alone, as fast as it takes them."""

from __future__ import annotations

from analysis import questionnaire
from study.store.answering import Listening
from study.store.protocol import Page
from study.store.store import Store

BUILD = {
    "stimuli": {"UMG": ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"], "VAR": ["eeeeeeee", "ffffffff"]},
    "practice": ["gggggggg"],
    "key_sha256": "ab" * 32,
    "design_digest": "cd" * 32,
    "file_format": "wav",
}
WHOLE = Listening(plays=1, seconds_heard=1.2, seconds_played=1.2, spans=((0.0, 1.2),), unlocked=True)
ANSWER = {"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}


def ready(store: Store, name: str = "Ann", **build) -> int:
    """A listener past the sound check, who writes from tab "T"."""
    store.register_build(**BUILD | build)
    person = store.find(store.invite(name))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    return person.id


def answer_all(store: Store, name: str, stop: int = 100, *, pilot: bool = False) -> None:
    token = store.invite(name, pilot=pilot)
    for count in range(stop):
        person = store.find(token)
        if person.step.page is Page.PAUSE:
            store.begin_part(person.id, person.step.part)
        elif person.step.slot is None:
            return
        else:
            phase = store.show(person.id, person.step.slot).phase
            changes = {
                name: value
                for name, value in ANSWER.items()
                if questionnaire.BY_NAME[name] in questionnaire.asked_in(phase)
            }
            store.save(
                person.id, person.step.slot, tab="T", changes=changes, listening=WHOLE, press=f"press {count}"
            )


def brought(serving, *names: str, pilot: bool = False) -> None:
    """Invites listeners and brings them past the sound check."""
    for name in names:
        person = serving.store.find(serving.store.invite(name, pilot=pilot))
        serving.store.claim(person.id, "T")
        serving.store.consent(person.id, "v1")
        serving.store.sound_check(person.id, "headphones")


def finished(serving, *names: str, **kind) -> None:
    brought(serving, *names, **kind)
    for name in names:
        answer_all(serving.store, name, **kind)
        person = serving.store.find(serving.store.invite(name, **kind))
        assert serving.store.save_final(person.id, tab="T", questions=["a"], texts={1: "=1+1"}, finish=True)


def logged(serving) -> list[tuple[str, str, str]]:
    return [(row["who"], row["what"], row["detail"]) for row in serving.store.events()]
