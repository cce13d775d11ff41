"""[checks] of study.toml: what is asked of listeners to see how they listen; by default there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.design.errors import SettingError
from study.design.settings import SettingsTable

HEADPHONE_TRIALS = 6  # of each attempt
HEADPHONE_ATTEMPTS = 2
HEADPHONE_CHOICES = (1, 2, 3)  # which of three sounds
ATTENTION_CHOICES = tuple(range(11))  # the scale of musicality
HeadphoneCheck = Literal["huggins", "antiphase"]


class Checks(SettingsTable):
    """[checks]: checks of headphones and of attention. None of them excludes answers by itself.

    Attributes
    ----------
    headphones : {"huggins", "antiphase"}, optional
        The headphone check after the sound check; by default there is none.
    headphones_pass : int
        How many of its 6 trials must be right.
    headphones_required : bool
        Whether who does not pass in two attempts is thanked and let go.
    attention : int
        How many times, between clips, a listener is asked for a stated answer.
    attention_pass : int, optional
        How many of them must be right; by default all.
    """

    headphones: HeadphoneCheck | None = None
    headphones_pass: Annotated[int, Field(ge=1, le=HEADPHONE_TRIALS)] = 5
    headphones_required: bool = False
    attention: Annotated[int, Field(ge=0, le=5)] = 0
    attention_pass: Annotated[int, Field(ge=1)] | None = None

    @property
    def attention_slips(self) -> int:
        """How many checks of attention may be failed."""
        return 0 if self.attention_pass is None else self.attention - self.attention_pass

    def unmet(self, exclude: Sequence[str], repeats: int) -> tuple[str, str] | None:
        """What an analysis plan leaves out that this study cannot see, and what to do about it."""
        lacking = {
            "headphones": "" if self.headphones else 'add headphones = "huggins" to [checks]',
            "attention": "" if self.attention else "add attention = 2 to [checks]",
            "inconsistent": "" if repeats else "add repeats = 4 to [stimuli]",
        }
        return next(((name, lacking[name]) for name in exclude if lacking.get(name)), None)

    @model_validator(mode="after")
    def _of_something(self) -> Checks:
        alone = {"headphones_pass", "headphones_required"} & self.model_fields_set
        if self.headphones is None and alone:
            what = f"`{min(alone)}` says how to use a headphone check, and there is none"
            raise SettingError(what, 'add headphones = "huggins" or "antiphase"')
        if self.attention_pass is not None and self.attention_pass > self.attention:
            what = f"attention_pass = {self.attention_pass} is more than there are checks of attention"
            raise SettingError(what, f"write attention = {self.attention_pass} or more, at most 5")
        return self
