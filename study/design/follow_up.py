"""[follow_up]: the same personal link opens once more, days later, for the clips that a listener keeps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from study.design.settings import SettingsTable

_LONGEST = 3650  # days
Days = Annotated[int, Field(ge=0, le=_LONGEST)]


class FollowUp(SettingsTable):
    """[follow_up]: what came of the clips that a listener keeps.

    Attributes
    ----------
    days : int
        Days from a listener's end of the study to the day on which their link opens again.
    clips : {"kept", "inspiring"}
        The clips that are asked about: those marked "Keep this one", or also those called inspiring.
    recording : bool
        Whether listeners may send a recording of what came of a clip.
    megabytes : int
        The largest recording that is taken.
    question : str
        What is asked of each clip; by default the study's own words.
    closes : int, optional
        Days from the opening to the end of the follow-up; by default it stays open.
    """

    days: Days = 14
    clips: Literal["kept", "inspiring"] = "kept"
    recording: bool = False
    megabytes: Annotated[int, Field(ge=1, le=200)] = 20
    question: str = ""
    closes: Annotated[int, Field(ge=1, le=_LONGEST)] | None = None

    @property
    def most_bytes(self) -> int:
        """The size of the largest recording."""
        return self.megabytes * 1_000_000
