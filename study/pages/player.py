"""The blind player, seen from a page: what it is to play, and what it says was heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from study.languages import Words
from study.pages.component import component, ignore
from study.store.answering import Listening

_player = component("player", parts=("wave", "loop", "keys"))


def player(
    say: Words,
    *,
    key: str,
    src: str,
    clip: str,
    loudness: float,
    beacon: str | None = None,
    following: str | None = None,
    resume: Listening | None = None,
    focus: bool = False,
    texts: dict[str, str] | None = None,
    keys: Sequence[str] = (),
) -> Listening | None:
    """Shows the player and returns what was heard so far, None before anything was.

    `key` must differ from clip to clip, else the browser shows one clip's state on the next; `clip` is any
    word that does the same inside the report. `src`, `following` (to load ahead) and `beacon` (where reports
    go) are addresses. `loudness` is that of all clips, in LUFS, for the picture.
    `resume` is what was heard before, of an earlier visit: give the same one at every run.
    `texts` replaces words of the catalogue's [player]; `keys` names the questions that keys may answer
    ("verdict", "musicality").
    """
    data: dict[str, Any] = {
        "src": src,
        "clip": clip,
        "level": 10 ** (loudness / 20),
        "beacon": beacon,
        "next": following,
        "focus": focus,
        "words": say.group("player") | (texts or {}),
        "shortcuts": say.group("shortcuts"),
        "keys": list(keys),
        "resume": None,
    }
    if resume is not None:
        data["resume"] = {
            "plays": resume.plays,
            "played": resume.seconds_played,
            "spans": [list(span) for span in resume.spans],
            "unlocked": resume.unlocked,
        }
    status = _player(key=key, data=data, default={"status": None}, on_status_change=ignore).status
    if not isinstance(status, dict) or status.get("clip") != clip:
        return None
    return Listening.from_report(status)
