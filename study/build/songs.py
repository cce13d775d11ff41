"""What the tables [[song]] of study.toml come to: passages, gaps, and the plans of new bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from study.design import Design, Song
from study.design.songs import REWORK
from study.gaps import Gap

if TYPE_CHECKING:
    from caw.compose.plan import Plan

FIX = 'take the backend "caw" with the preset "fast"'
_NEW_SECTION = ("chorus", "verse")
_NOVELTY = 0.7  # of a new section that nothing is said of: it is to be another one than those around it


def gap_of(design: Design, song: Song) -> Gap:
    """The gap that a song's clips are made for."""
    form = design.stimuli
    passages = song.before, song.after, song.passage
    return Gap(song.lacks, *passages, form.seconds, form.trim, song.bpm, song.metre)


def require_inside(design: Design, index: int, file_seconds: float) -> None:
    """Raise DesignError for a passage of a song that does not lie in its file, or is too short to rework."""
    song = design.songs[index]
    for key in ("before", "after", "passage"):
        if (stretch := getattr(song, key)) is not None and stretch[1] > file_seconds + 1e-3:
            what = f"{song.file} is {file_seconds:.2f} s long"
            raise design.error(("song", index, key), list(stretch), what, "let the passage end earlier")
    needed = design.stimuli.seconds + 2 * design.stimuli.trim
    if song.lacks == REWORK and song.passage and song.seconds < needed - 1e-6:
        what = f"lasts {song.seconds:.2f} s, a stimulus takes {needed:g} s with its trim"
        fix = "take a longer passage, or lower stimuli.seconds or stimuli.trim"
        raise design.error(("song", index, "passage"), list(song.passage), what, fix)


def with_novelty(song: Song, plan: Plan | None) -> Plan | None:
    """The plan of a song's new bars: of a new section that nothing is said of, more new turns than usual."""
    stated = (song.plan, song.chords, song.novelty) != (None, None, None)
    if song.lacks not in _NEW_SECTION or stated:
        return plan
    from caw.compose.plan import Plan

    return replace(plan or Plan(), novelty=_NOVELTY)


def gaps(design: Design) -> Mapping[str, Gap]:
    """The gap of each song, by the song's name."""
    return {song.name: gap_of(design, song) for song in design.songs}


def require_composer(design: Design, index: int, why_not: str) -> None:
    """Raise DesignError where the system of a song makes no music beside passages.

    why_not: "" where it can.
    """
    song = design.songs[index]
    if why_not:
        raise design.error(("song", index, "backend"), song.backend, why_not, FIX)
