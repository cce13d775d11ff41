"""Moments that a listener pinned in a comment: "[0:07] the snare" is said of second 7 of the clip."""

from __future__ import annotations

import re
from typing import NamedTuple

_PIN = re.compile(r"\[(\d{1,3}):([0-5]\d)\]\s*")


class Pin(NamedTuple):
    """`text`, which may be empty, is said of the clip from `seconds` on."""

    seconds: int
    text: str

    @property
    def time(self) -> str:
        return f"{self.seconds // 60}:{self.seconds % 60:02d}"

    @classmethod
    def of(cls, line: str) -> Pin:
        """From "0:07 the snare"."""
        time, _, text = line.partition(" ")
        minutes, _, seconds = time.partition(":")
        return cls(60 * int(minutes) + int(seconds), text)


def split(comment: str) -> tuple[str, list[Pin]]:
    """The words before the first pin, and the pins in the order of the clip, each up to the next one."""
    before, *parts = _PIN.split(comment)
    found = [
        Pin(60 * int(minutes) + int(seconds), text.strip())
        for minutes, seconds, text in zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    ]
    return before.strip(), sorted(found, key=lambda pin: pin.seconds)
