"""The questions that a listener answers about a clip: the one place where each is defined.

The database's columns and constraints, the page of a clip, the check of what a browser sends, the export and
the reading of a table of answers all follow from `FIELDS`. The wording is in study.toml and in
study/languages. To add a question, add a `Field` here with the version of the tables in which it comes, its
words to each catalogue (`clip.NAME`, `owed.NAME` and for a scale `clip.NAME_low` and `clip.NAME_high`), and a
migration that adds its column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# What a trial asks: everything at once, or in a study of two passes the verdict first and the rest later.
PHASES = ("all", "verdict", "rating")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One question about a clip.

    Parameters
    ----------
    name : str
        The name of its column in the database and in a table of answers.
    kind : {"choice", "scale", "text", "yes-no"}
        A "choice" has named levels, a "scale" whole numbers; "yes-no" is a switch that starts as no.
    phase : {"verdict", "rating"}
        In a study of two passes, the pass that asks it.
    block : str, optional
        The block of the page to which it belongs, a name of `order` in study.toml. Without one it stands at
        the end of the page, and is not asked of clips for practice.
    levels : tuple of str or int, optional
        Of a choice or a scale, in the order of the page; for a scale from the lowest number to the highest.
    condition : tuple of (str, str), optional
        It is asked only where another field has this level, as ("verdict", "fake").
    optional : bool, optional
        Whether an answer is complete without it.
    switched : bool, optional
        Whether it is asked only where the study's design says so.
    version : int, optional
        The version of the database's tables in which it came: 1 for those of the founding study. Later ones
        may be absent from a table of answers, and complete answers of before have none.
    ranked : tuple of str, optional
        Of a choice whose levels are degrees, those levels from the least to the most.
    read_also : tuple of str, optional
        Levels that no page offers but tables of answers may hold.

    Examples
    --------
    >>> MUSICALITY.allows(10), MUSICALITY.allows(11), MUSICALITY.allows(True)
    (True, False, False)
    >>> DIFFICULTY.applies({"verdict": "real"})
    False
    """

    name: str
    kind: Literal["choice", "scale", "text", "yes-no"]
    phase: Literal["verdict", "rating"]
    block: str | None = None
    levels: tuple[Any, ...] = ()
    condition: tuple[str, str] | None = None
    optional: bool = False
    switched: bool = False
    version: int = 1
    ranked: tuple[str, ...] = ()
    read_also: tuple[str, ...] = ()

    def allows(self, value: Any) -> bool:
        """Whether a page can give this value; None, for no answer yet, it can give but for a yes-no."""
        if self.kind == "yes-no":
            return isinstance(value, bool)
        if value is None or self.kind == "text":
            return True
        return not isinstance(value, bool) and value in self.levels

    def applies(self, answer: Mapping[str, Any]) -> bool:
        """Whether it is asked, given the rest of an answer."""
        return self.condition is None or answer.get(self.condition[0]) == self.condition[1]


VERDICT = Field(name="verdict", kind="choice", levels=("real", "fake"), phase="verdict", block="verdict")
DIFFICULTY = Field(
    name="difficulty",
    kind="choice",
    levels=("easy", "dont_know", "difficult"),
    phase="verdict",
    block="verdict",
    condition=("verdict", "fake"),
    read_also=("other",),  # the founding study's
)
MUSICALITY = Field(
    name="musicality", kind="scale", levels=tuple(range(11)), phase="rating", block="musicality"
)
INSPIRING = Field(
    name="inspiring",
    kind="choice",
    levels=("yes", "no", "maybe", "other"),
    phase="rating",
    block="inspiring",
    ranked=("no", "maybe", "yes"),  # "other" is quoted, never counted
)
INSPIRING_TEXT = Field(
    name="inspiring_text",
    kind="text",
    phase="rating",
    block="inspiring",
    condition=("inspiring", "other"),
)
COMMENT = Field(name="comment", kind="text", phase="rating", block="comment", optional=True)
CONFIDENCE = Field(  # in the verdict: 1 a guess, 5 certain
    name="confidence",
    kind="scale",
    levels=(1, 2, 3, 4, 5),
    phase="verdict",
    block="verdict",
    switched=True,
    version=2,
)
KEPT = Field(name="kept", kind="yes-no", phase="rating", optional=True, version=2)  # "Keep this one"

CAME_OF_IT = ("nothing", "idea", "part", "song")  # of a kept clip, asked in the follow-up; each holds more

FIELDS = (VERDICT, DIFFICULTY, MUSICALITY, INSPIRING, INSPIRING_TEXT, COMMENT, CONFIDENCE, KEPT)
NAMES = tuple(field.name for field in FIELDS)
BY_NAME = {field.name: field for field in FIELDS}


def asked_in(phase: str) -> tuple[Field, ...]:
    """The fields that a phase asks.

    Parameters
    ----------
    phase : str
        One of `PHASES`.

    Returns
    -------
    tuple of Field
        In the order of the columns of a table of answers.

    Examples
    --------
    >>> [field.name for field in asked_in("verdict")]
    ['verdict', 'difficulty', 'confidence']
    """
    return tuple(field for field in FIELDS if phase in ("all", field.phase))
