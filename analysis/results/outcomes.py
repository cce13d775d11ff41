"""What was asked of every clip, as numbers: outcomes, all of which are estimated and compared in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from analysis import questionnaire, song_answers

INSPIRING = questionnaire.INSPIRING.ranked  # the answers in order; "other" is quoted, never counted


@dataclass(frozen=True)
class Outcome:
    """A column of the answers as numbers within a scale.

    name: in tables and results. column: of the frame of `responses.load`. coded: the number of each answer
    (or a function of the answer), None where it is one already; an answer without a number is missing. low,
    high: the ends of the scale.
    """

    name: str
    column: str
    coded: dict | Callable | None = None
    low: float = 0.0
    high: float = 1.0

    __hash__: ClassVar = object.__hash__

    @property
    def share(self) -> bool:
        """Whether it is 0 or 1, so that its mean is a share of answers."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def mean(self) -> str:
        """The name of a group's mean."""
        return self.name if self.share else f"{self.name}, mean"

    @property
    def difference(self) -> str:
        """The name of one group's mean less another's."""
        return f"{self.name}, difference"

    def values(self, frame: pd.DataFrame) -> pd.Series:
        """The outcome of every answer [n], NaN where there is none."""
        if self.column not in frame:
            return pd.Series(float("nan"), index=frame.index)
        answers = frame[self.column]
        return (answers if self.coded is None else answers.map(self.coded)).astype(float)


JUDGED_REAL = Outcome("judged real", "verdict", {"real": 1.0, "fake": 0.0})
_LOWEST, *_, _HIGHEST = questionnaire.MUSICALITY.levels
MUSICALITY = Outcome("musicality", "musicality", low=float(_LOWEST), high=float(_HIGHEST))
INSPIRED = Outcome(
    "inspiring, yes or maybe", "inspiring", {level: float(level != INSPIRING[0]) for level in INSPIRING}
)
KEPT = Outcome("kept", "kept", {True: 1.0, False: 0.0})  # "Keep this one"


def _would_use(cell: object) -> float | None:
    return float(song_answers.parts(cell) != (song_answers.NONE,)) if isinstance(cell, str) else None


WOULD_USE = Outcome("would use in a song", song_answers.USE_IN, _would_use)  # in any of the study's songs
