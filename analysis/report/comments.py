"""What listeners wrote: comments on clips, moments that they pinned in them, and answers to final questions.

A pin is a time in a comment: "[0:07] the snare" is said of second 7 of the clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.table import ReportTable

MOST_PINS = 4  # moments of a clip in its cell; the comments below and the file have them all
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
    pins = [
        Pin(60 * int(minutes) + int(seconds), text.strip())
        for minutes, seconds, text in zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    ]
    return before.strip(), sorted(pins, key=lambda pin: pin.seconds)


def pinned(rows: pd.DataFrame) -> str:
    """What listeners said of moments of a clip, in its order, a line each."""
    pins = [
        pin._replace(text=f"{' '.join(pin.text.split())} ({listener})".strip())
        for listener, comment in zip(rows["listener"], rows["comment"], strict=True)
        if comment
        for pin in split(comment)[1]
    ]
    return "\n".join(f"{pin.time} {pin.text}" for pin in sorted(pins, key=lambda pin: pin.seconds))


def moments(pinned: str) -> tuple[list[str], list[Pin]]:
    """The first moments that listeners pinned, for a cell of the page, and how many more there are."""
    pins = [Pin.of(line) for line in pinned.splitlines()]
    more = len(pins) - MOST_PINS
    return ([f"{len(pins)} pinned, {more} of them below:"] if more > 0 else []), pins[:MOST_PINS]


def table(frame: pd.DataFrame) -> ReportTable:
    """What listeners wrote of single clips: comments, and what else inspired them."""
    parts = [
        frame.loc[frame[column].notna(), ["set", "name", "listener", column]].rename(
            columns={column: "words"}
        )
        for column in ("comment", "inspiring_text")
        if column in frame
    ]
    empty = pd.DataFrame(columns=["set", "name", "listener", "words"])
    table = pd.concat(parts, ignore_index=True) if parts else empty
    table = table.rename(columns={"name": "clip"}).sort_values(
        ["set", "clip"], kind="stable", ignore_index=True
    )
    return ReportTable("comments", "What was written about the clips", table)


def by_clip(comments: pd.DataFrame, players: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    """What was written of each clip: its set, its name, and per comment words, pins, listener and player."""
    clips = []
    for (group, clip), rows in comments.groupby(["set", "clip"], sort=False):
        written = []
        for listener, comment in zip(rows["listener"], rows["words"], strict=True):
            words, pinned = split(comment)
            words = [words] if words else []
            player = players.get((group, clip), "")
            written.append({"words": words, "pins": pinned, "listener": listener, "player": player})
        clips.append({"set": group, "name": clip, "quotes": written})
    return clips


def final_answers(forms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The open answers by question, in the order of the questions; empty ones are left out."""
    questions: dict[str, list[dict[str, str]]] = {}
    for form in sorted(forms, key=lambda form: form.get("number") or 0):
        text = str(form.get("text") or "").strip()
        if text:
            answer = {"listener": str(form.get("listener") or ""), "text": text}
            questions.setdefault(str(form.get("question") or "Final question"), []).append(answer)
    return [{"question": question, "answers": answer} for question, answer in questions.items()]
