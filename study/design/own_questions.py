"""[[question]] of study.toml: what a study asks besides the founding questions, and what answers it takes.

One model holds what is asked, of which kind, when, and which answers are valid, so that the page, the
database and the export all go by the same rule. Answers are plain JSON values: the text of an option, a list
of them, a number, or words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal
from unicodedata import category

from pydantic import BeforeValidator, Field, field_validator, model_validator

from caw.problems import ProblemError
from study.design.errors import SettingError
from study.design.settings import SettingsTable, Text, as_tuple

SONG_QUESTIONS = ("use_in", "use_as", "take", "moment")  # asked of clips where a study names songs
LISTED = "; "  # between several options where they stand in one cell of a table
MOST_OPTIONS, MOST_STEPS, LONGEST_OPTION, LONGEST_TEXT = 50, 11, 120, 1000
_NO_LINE = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, surrogates and ends of lines
Ask = Literal["before", "clip", "end"]
_Option = Annotated[str, Field(min_length=1, max_length=LONGEST_OPTION)]
_KEYS_OF = {  # which keys belong to which kinds
    "options": ("choice", "choices"),
    "screen_out": ("choice", "choices"),
    "low": ("scale",),
    "high": ("scale",),
    "low_label": ("scale",),
    "high_label": ("scale",),
    "min": ("number",),
    "max": ("number",),
    "unit": ("number",),
}


class OwnAnswerError(ProblemError):
    """An answer to an own question that no page offers."""


def column_of(ask: str, name: str) -> str:
    """The column of a table of answers that holds the answers to a question.

    Examples
    --------
    >>> column_of("before", "years"), column_of("clip", "use_in")
    ('before_years', 'use_in')
    """
    return name if ask == "clip" and name in SONG_QUESTIONS else f"{ask}_{name}"


class OwnQuestion(SettingsTable):
    """[[question]]: one question of the study's own.

    Attributes
    ----------
    name : str
        Small letters, digits and "_"; the column in the export is this with `ask` and "_" in front.
    ask : {"before", "clip", "end"}
        Before the sound check, of each clip, or with the last questions.
    kind : {"choice", "choices", "scale", "number", "text"}
        One option, any number of options, a step of a scale, a number, or words.
    text : str
        The question as listeners read it.
    options : tuple of str
        Of a choice or choices, 2 to 50.
    low, high : int
        The ends of a scale, which has at most 11 steps.
    low_label, high_label : str
        What the ends of a scale mean.
    min, max : int or float, optional
        The smallest and the largest number that counts as an answer. Where both are whole, or one is and the
        other is left out, so must be the answer; write 0.0 to allow fractions.
    unit : str
        Of a number, shown behind the question.
    required : bool, optional
        Whether a listener must answer; by default all but text must be.
    when : dict of str to str or int, or lists of them
        Asked only where each of these earlier questions has this answer, or one of these.
    screen_out : tuple of str
        Options that end the study for whoever gives one of them; only before the study.
    phase : {"verdict", "rating"}
        Written as `pass`: of a clip in a study of two passes, the pass that asks it.

    Examples
    --------
    >>> years = OwnQuestion(name="years", ask="before", kind="number", text="For how long?", min=0)
    >>> years.column, years.is_required, years.check(3.0)
    ('before_years', True, 3)
    """

    name: str
    ask: Ask
    kind: Literal["choice", "choices", "scale", "number", "text"]
    text: Annotated[Text, Field(max_length=LONGEST_TEXT)]
    options: Annotated[tuple[_Option, ...], BeforeValidator(as_tuple)] = ()
    low: int | None = None
    high: int | None = None
    low_label: str = ""
    high_label: str = ""
    min: int | float | None = None
    max: int | float | None = None
    unit: str = ""
    required: bool | None = None
    when: dict[str, str | int | list[str | int]] = Field(default_factory=dict)
    screen_out: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    phase: Literal["verdict", "rating"] = Field(default="rating", alias="pass")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
            fix = "use up to 32 small letters, digits and '_', starting with a letter"
            raise SettingError("cannot name a question", fix)
        return name

    @field_validator("options")
    @classmethod
    def _distinct(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        if options and not 2 <= len(options) <= MOST_OPTIONS:
            raise SettingError(
                f"has {len(options)} option{'s' * (len(options) != 1)}", f"give 2 to {MOST_OPTIONS}"
            )
        if len({option.strip().casefold() for option in options}) < len(options):
            raise SettingError("names an option twice", "write each once")
        for option in options:
            if option != option.strip() or any(category(letter) in _NO_LINE for letter in option):
                fix = "write it in one line, without spaces around it"
                raise SettingError(f"{option!r} cannot be an option", fix)
        return options

    @model_validator(mode="after")
    def _makes_sense(self) -> OwnQuestion:
        stray = [
            key
            for key, kinds in _KEYS_OF.items()
            if self.kind not in kinds and getattr(self, key) not in (None, "", ())
        ]
        if stray:
            raise SettingError(f"{stray[0]!r} is not for a question of kind {self.kind!r}", "delete that key")
        if self.kind in ("choice", "choices") and not self.options:
            raise SettingError("has no options", 'add options = ["...", "..."]')
        if self.kind == "choices" and any(LISTED.strip() in option for option in self.options):
            raise SettingError(
                "has an option with a semicolon, which parts options in tables", "leave it out"
            )
        if self.kind == "scale":
            self._check_scale()
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise SettingError(
                f"its min {self.min:g} is not below its max {self.max:g}", "change one of them"
            )
        if self.screen_out and self.ask != "before":
            raise SettingError("screens out, but is not asked before the study", 'write ask = "before"')
        if odd := [option for option in self.screen_out if option not in self.options]:
            raise SettingError(f"screen_out names {odd[0]!r}, which is no option", "write it as in `options`")
        if self.screen_out and set(self.options) <= set(self.screen_out):
            raise SettingError("screens everybody out", "leave one option out of `screen_out`")
        if self.ask == "clip" and self.name in SONG_QUESTIONS:
            raise SettingError(
                f"the name {self.name!r} is taken by a question on songs", "choose another name"
            )
        if self.ask != "clip" and "phase" in self.model_fields_set:
            raise SettingError("`pass` is for questions on clips", "delete that key")
        return self

    def _check_scale(self) -> None:
        if self.low is None or self.high is None:
            raise SettingError("has a scale without ends", "add low = 1 and high = 5")
        if not 2 <= self.high - self.low + 1 <= MOST_STEPS:
            what = f"has a scale from {self.low} to {self.high}"
            raise SettingError(what, f"give it 2 to {MOST_STEPS} steps")

    @property
    def column(self) -> str:
        """The column of the export."""
        return column_of(self.ask, self.name)

    @property
    def is_required(self) -> bool:
        """Whether the page is complete only with an answer."""
        return self.kind != "text" if self.required is None else self.required

    @property
    def levels(self) -> tuple[Any, ...]:
        """What can be chosen: options, or the steps of a scale; () of a number and of text."""
        if self.low is None or self.high is None:
            return self.options
        return tuple(range(self.low, self.high + 1)) if self.kind == "scale" else self.options

    @property
    def whole(self) -> bool:
        """Whether a number must be whole: where its bounds are written so, and there is one."""
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        return bool(bounds) and all(isinstance(bound, int) for bound in bounds)

    @property
    def drawn_as(self) -> str:
        """Which widget a page draws for it: that of its kind."""
        return self.kind

    @property
    def alone(self) -> str:
        """The option that excludes all others; "" where there is none."""
        return ""

    def shown(self, option: Any) -> str:
        """How an option reads."""
        return str(option)

    def applies(self, answers: Mapping[str, Any]) -> bool:
        """Whether it is asked, given the answers to the page's earlier questions by their names."""
        return all(_answered_so(answers.get(name), wanted) for name, wanted in self.when.items())

    def check(self, value: Any) -> Any:
        """The value as it is kept: options in their order, a whole number as one, None for no answer.

        Text is only known to be text; whoever keeps it cleans it, as `study.store.protocol.clean` does.

        Raises: OwnAnswerError for a value that no page offers.
        """
        if value is None or value == [] or value == "":
            return None
        settled = getattr(self, f"_{self.kind}")(value)
        if settled is None:
            possible = (
                f"one of {', '.join(map(str, self.levels))}" if self.levels else f"{self.kind}{self._range}"
            )
            raise OwnAnswerError(f"{self.column} = {str(value)[:60]!r}", f"it must be {possible}")
        return settled

    def screens_out(self, value: Any) -> bool:
        """Whether this answer ends the study for the listener."""
        given = value if isinstance(value, list) else [value]
        return any(option in self.screen_out for option in given)

    @property
    def _range(self) -> str:
        ends = [f"at least {self.min:g}"] if self.min is not None else []
        ends += [f"at most {self.max:g}"] if self.max is not None else []
        return f", {' and '.join(ends)}" if ends else ""

    def _choice(self, value: Any) -> str | None:
        return value if isinstance(value, str) and value in self.options else None

    def _choices(self, value: Any) -> list[str] | None:
        if not isinstance(value, list | tuple) or any(one not in self.options for one in value):
            return None
        return [option for option in self.options if option in value]

    def _scale(self, value: Any) -> int | None:
        return value if _is_number(value) and isinstance(value, int) and value in self.levels else None

    def _number(self, value: Any) -> float | None:
        if not _is_number(value) or not math.isfinite(value):
            return None
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            return None
        if self.whole and value != int(value):
            return None
        return int(value) if value == int(value) and abs(value) < 2**53 else float(value)

    def _text(self, value: Any) -> str | None:
        return value if isinstance(value, str) else None


def asked(questions: Sequence[OwnQuestion], ask: str, phase: str = "all") -> tuple[OwnQuestion, ...]:
    """The questions of one page, in the order of study.toml; of clips, those that a pass asks."""
    return tuple(
        one for one in questions if one.ask == ask and (ask != "clip" or phase in ("all", one.phase))
    )


def missing(questions: Sequence[OwnQuestion], answers: Mapping[str, Any]) -> list[OwnQuestion]:
    """Which of a page's questions a listener has still to answer. answers: by the names of the questions."""
    return [
        one for one in questions if one.is_required and one.applies(answers) and _empty(answers.get(one.name))
    ]


def settle(
    questions: Sequence[OwnQuestion], changes: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """All answers of a page after changes, with those emptied that are no longer asked; only what there is.

    Raises: OwnAnswerError for a question that the page does not ask, and for a value that it does not offer.
    """
    by_name = {one.name: one for one in questions}
    if unknown := [name for name in changes if name not in by_name]:
        raise OwnAnswerError(f"unknown question {unknown[0]!r}", f"there are: {', '.join(by_name) or 'none'}")
    given = dict(before) | {name: by_name[name].check(value) for name, value in changes.items()}
    for one in questions:
        if not one.applies(given):
            given.pop(one.name, None)
    return {name: value for name, value in given.items() if not _empty(value)}


def problem_of(questions: Sequence[OwnQuestion]) -> tuple[int, str, Any, str, str] | None:
    """The first fault that only all questions together show: which one, its key, value, what, and the fix."""
    earlier: dict[str, dict[str, OwnQuestion]] = {}
    for index, one in enumerate(questions):
        page = earlier.setdefault(one.ask, {})
        if one.name in page:
            return index, "name", one.name, "names two questions of one page", "give one another name"
        for name, wanted in one.when.items():
            if name not in page:
                fix = f"earlier ones are: {', '.join(page) or 'none'}"
                return index, "when", name, f"is no earlier question with ask = {one.ask!r}", fix
            if page[name].phase != one.phase and one.ask == "clip":
                return index, "when", name, "is asked in another pass", "give both the same `pass`"
            levels = page[name].levels
            odd = [value for value in _several(wanted) if value not in levels]
            if odd or not levels:
                value = odd[0] if odd else wanted
                fix = f"choose of {', '.join(map(str, levels))}" if levels else "ask for a choice or a scale"
                return index, "when", value, f"is no answer that {name!r} offers", fix
        page[one.name] = one
    return None


def _answered_so(given: Any, wanted: Any) -> bool:
    answers = given if isinstance(given, list) else [given]
    return any(one in answers for one in _several(wanted))


def _several(wanted: Any) -> Collection[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _empty(value: Any) -> bool:
    return value is None or value == [] or value == ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
