"""What is asked of each clip where a study names songs: which could use it, as what, what to take, and where.

They are questions like a study's own ones, whose answers are kept by names that no language changes: those of
songs, roles and ingredients. In a study of two passes they belong to the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from analysis import song_answers
from study import languages
from study.design.own_questions import OwnQuestion

if TYPE_CHECKING:
    from study.design import Design


class SongQuestion(OwnQuestion):
    """One of the questions on songs.

    Attributes
    ----------
    labels : dict of str to str
        How each option reads, in the language of the study.
    """

    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _makes_sense(self) -> SongQuestion:
        """They are made here and not in study.toml, where their names are taken."""
        return self

    @property
    def drawn_as(self) -> str:
        return "moment" if self.name == song_answers.MOMENT else self.kind

    @property
    def alone(self) -> str:
        return song_answers.NONE if self.name == song_answers.USE_IN else ""

    def shown(self, option: Any) -> str:
        return self.labels.get(option, str(option))

    def _choices(self, value: Any) -> list[str] | None:
        """A song that is named says more than that there is none, where a browser sends both."""
        chosen = super()._choices(value)
        return (
            chosen if not chosen or chosen == [self.alone] else [one for one in chosen if one != self.alone]
        )


def of(design: Design) -> tuple[SongQuestion, ...]:
    """The questions on songs that a study asks of each clip; () where it asks none."""
    if not design.questions.songs:
        return ()
    say, names = languages.words(design.study.language), [song.name for song in design.songs]

    def asked(name: str, kind: Any, options: tuple[str, ...] = (), **more: Any) -> SongQuestion:
        text = getattr(design.questions, name) or say(f"songs.{name}")
        keys: dict[str, Any] = {"options": options, "labels": labels, "required": False} | more
        return SongQuestion(name=name, ask="clip", kind=kind, text=text, **keys)

    fixed = (*song_answers.ROLES, *song_answers.INGREDIENTS)
    labels = {option: say(f"songs.{option}") for option in fixed}
    labels |= {song.name: song.shown for song in design.songs} | {song_answers.NONE: say("songs.none")}
    return (
        asked(
            song_answers.USE_IN,
            "choices",
            options=(*names, song_answers.NONE),
            required=True,
        ),
        asked(song_answers.USE_AS, "choices", song_answers.ROLES, when={song_answers.USE_IN: names}),
        asked(song_answers.TAKE, "choices", song_answers.INGREDIENTS),
        asked(song_answers.MOMENT, "number", min=0.0, max=design.stimuli.seconds),
    )


def check(design: Design) -> None:
    """Raise DesignError where songs are asked about or heard in place and that makes no sense."""
    if design.questions.songs and not design.songs:
        fix = "add a [[song]], or delete this key"
        raise design.error(("questions", "songs"), True, "there is no [[song]] to ask about", fix)
    if not design.listening.in_place:
        return
    here = ("listening", "in_place")
    if not design.songs:
        what, fix = "there is no [[song]] to hear clips in", "add a [[song]], or delete this key"
        raise design.error(here, True, what, fix)
    if design.listening.passes != 2:
        what = "a clip's seam with a song can tell what it is, so every verdict must come before"
        raise design.error(here, True, what, "add passes = 2, or delete this key")
