"""The recordings behind the sources, and the places where originals can be cut out of them.

A recording is divided into places as long as an original, of which no two share a moment. None lies in a
passage that models learn from, unless they learn from all of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from study.design import LONGEST_DEFAULT_PASSAGE, Design
from study.preparation.backends import seed_for
from study.preparation.excerpts import Stretch, rest, side_by_side, spread, without
from study.preparation.material import ORIGINAL, Passage, clip_seconds

OUTSIDE, LEARNT, CROWDED = range(3)  # how a place lies; later ones are taken last
_SHORTEST = 0.5  # s; what is shorter holds no original, whatever the design


@dataclass(frozen=True)
class Original:
    """An excerpt of a recording, to be brought along as it is."""

    name: str
    passage: Passage  # of the source that it is named after; the excerpt may lie outside of it
    start: float  # s into the file
    seconds: float
    mode: str = ""  # of the set it is for, where an earlier version cut it for that one alone
    lies: int = OUTSIDE


@dataclass(frozen=True)
class Song:
    """A recording, of which the sources are passages."""

    passages: tuple[Passage, ...]
    stretches: tuple[Stretch, ...]  # where originals may lie
    all_learnt: bool  # whether these are passages that models learn from, as there is nothing else
    places: tuple[Original, ...]  # in the order in which they are taken

    @property
    def sources(self) -> set[str]:
        return {passage.source for passage in self.passages}

    @property
    def file(self) -> str:
        return self.passages[0].file.name


def songs(design: Design, passages: Mapping[str, Passage]) -> list[Song]:
    """Every recording with its places, in the design's order. Files with the same bytes are one recording."""
    files: dict[str, list[Passage]] = {}
    for passage in passages.values():
        files.setdefault(passage.sha256, []).append(passage)
    return [_song(design, tuple(group)) for group in files.values()]


def with_learnt(design: Design, song: Song) -> Song:
    """The song with further places in what models learn from."""
    if song.all_learnt:
        return song
    learnt = without(_whole(design, song.passages), song.stretches)
    return replace(song, places=song.places + _placed(design, song.passages, learnt, LEARNT))


def crowded(design: Design, song: Song, count: int) -> Song:
    """The song with `count` places evenly over the whole of it, where fewer fit side by side."""
    if count <= len(song.places):
        return song
    whole = _whole(design, song.passages)
    starts = spread((min(whole)[0], max(end for _, end in whole)), clip_seconds(design), count)
    distinct = dict.fromkeys(starts)
    return replace(song, places=tuple(_original(design, song.passages[0], at, CROWDED) for at in distinct))


def lacking(design: Design, song: Song, count: int) -> float:
    """By how many seconds the recording would have to be longer to have `count` places more."""
    length = clip_seconds(design)
    if not song.all_learnt:
        return count * length - max(rest(stretch, length) for stretch in song.stretches)
    growing = all(source.seconds is None for source in design.sources if source.name in song.sources)
    growth = LONGEST_DEFAULT_PASSAGE - song.passages[-1].seconds if growing else 0.0
    return (len(song.places) + count) * length + max(0.0, growth)  # all of them beside the passage then


def learners(design: Design) -> set[str]:
    """The names of the sources that any model learns from; the others are there for their originals."""
    return {source.name for source in design.sources if source.modes}


def _song(design: Design, passages: tuple[Passage, ...]) -> Song:
    whole = _whole(design, passages)
    learnt = [(one.start, one.start + one.seconds) for one in passages if one.source in learners(design)]
    outside = [part for part in without(whole, learnt) if part[1] - part[0] >= _SHORTEST]
    stretches = tuple(outside or whole)
    return Song(passages, stretches, not outside, _placed(design, passages, stretches, OUTSIDE))


def _whole(design: Design, passages: Sequence[Passage]) -> list[Stretch]:
    """What may be heard of a file: all of it, or the passages of sources without modes where it has any."""
    given = {source.name: source.seconds is not None for source in design.sources}
    whole: list[Stretch] = []
    for one in passages:
        if one.source not in learners(design):
            end = one.start + one.seconds if given[one.source] else one.file_seconds
            whole += without([(one.start, end)], whole)
    return whole or [(0.0, passages[0].file_seconds)]


def _placed(
    design: Design, passages: Sequence[Passage], stretches: Sequence[Stretch], lies: int
) -> tuple[Original, ...]:
    dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, passages[0].source, lies))
    starts = side_by_side(stretches, clip_seconds(design), dice)
    return tuple(_original(design, passages[0], start, lies) for start in starts)


def _original(design: Design, passage: Passage, start: float, lies: int) -> Original:
    """Its name says where it begins: a pick of another design's place is never taken for one of this."""
    at = f"{start:.3f}".rstrip("0").rstrip(".")
    return Original(f"{passage.source}-{ORIGINAL}-{at}", passage, start, clip_seconds(design), lies=lies)
