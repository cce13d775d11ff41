"""[more]: what `study more` makes of a next round for one listener, see docs/rounds.md."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from study.design.errors import SettingError
from study.design.settings import Positive, SettingsTable, Text, as_tuple

FEWEST = 2  # machine-made clips of a round: one that is sampled and one that is fresh


class More(SettingsTable):
    """[more]: the next rounds. It is never part of the digest, as it may be written after the first round.

    Attributes
    ----------
    clips : int, optional
        Machine-made clips of a round; by default as many as the first set has.
    fresh : float
        The share of them whose settings are drawn evenly, whatever was answered.
    recordings : tuple of str
        Further recordings, from the study's folder, that the originals of next rounds may be cut from.
    """

    clips: Positive | None = None
    fresh: Annotated[float, Field(gt=0, le=1)] = 0.25
    recordings: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()

    @field_validator("clips")
    @classmethod
    def _enough(cls, clips: int | None) -> int | None:
        if clips is not None and clips < FEWEST:
            raise SettingError("holds no sampled and no fresh clip", f"write {FEWEST} or more")
        return clips

    @field_validator("recordings")
    @classmethod
    def _once(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(files)) < len(files):
            raise SettingError("names a file twice", "write each of them once")
        return files
