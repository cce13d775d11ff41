"""The recordings behind the sources, and the places where originals can be cut out of them.

A recording is divided into places as long as an original, of which no two share a moment. None lies in a
passage that models learn from, unless they learn from all of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caw import audio
from study.backends import AlbumFile, seed_for
from study.build import same_sound
from study.build.excerpts import Stretch, rest, side_by_side, spread, without
from study.build.material import ORIGINAL, Fake, Passage, clip_seconds
from study.design import LONGEST_DEFAULT_PASSAGE, Design

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
class Ground:
    """A sound file, as far as no other file before it holds the same sound."""

    passage: Passage  # its first source's
    whole: tuple[Stretch, ...]  # without silence
    stretches: tuple[Stretch, ...]  # where originals may lie


@dataclass(frozen=True)
class _File:
    passages: tuple[Passage, ...]
    offset: float  # s; where it begins in the recording's first file


@dataclass(frozen=True)
class Song:
    """A recording, of which the sources are passages."""

    passages: tuple[Passage, ...]
    grounds: tuple[Ground, ...]  # its files
    imported: tuple[str, ...]  # clips that were made elsewhere and hold sound of it
    all_learnt: bool  # whether these are passages that models learn from, as there is nothing else
    places: tuple[Original, ...]  # in the order in which they are taken

    @property
    def sources(self) -> set[str]:
        return {passage.source for passage in self.passages}

    @property
    def file(self) -> str:
        return self.passages[0].file.name


def songs(design: Design, passages: Mapping[str, Passage], imports: Sequence[Fake]) -> list[Song]:
    """Every recording with its places, in the design's order. Files with the same sound are one recording.

    imports: clips that sets may hold, too; where one holds sound of a recording, no original is cut.
    Raises: AudioError for a file that cannot be read.
    """
    files: dict[str, list[Passage]] = {}
    for passage in passages.values():
        files.setdefault(passage.sha256, []).append(passage)
    groups: list[list[_File]] = []
    for group in files.values():
        first = group[0]
        for known in groups:
            away = same_sound.offset(known[0].passages[0].file, first.file)
            if away is not None:
                known.append(_File(tuple(group), away))
                break
        else:
            groups.append([_File(tuple(group), 0.0)])
    others = [fake for fake in imports if fake.cell.file_sha256 not in files]  # the same file: see `material`
    albums = {one.sha256: one for passage in passages.values() for one in passage.album}
    return [_song(design, group, others, list(albums.values())) for group in groups]


def with_learnt(design: Design, song: Song) -> Song:
    """The song with further places in what models learn from."""
    if song.all_learnt:
        return song
    learnt = [
        one
        for ground in song.grounds
        for one in _placed(design, ground.passage, without(ground.whole, ground.stretches), LEARNT)
    ]
    return replace(song, places=(*song.places, *learnt))


def crowded(design: Design, song: Song, count: int) -> Song:
    """The song with `count` places evenly over the whole of it, where fewer fit side by side."""
    if count <= len(song.places):
        return song
    if not any(ground.whole for ground in song.grounds):
        return song
    ground = max(song.grounds, key=lambda ground: sum(last - first for first, last in ground.whole))
    first, last, length = min(ground.whole)[0], max(end for _, end in ground.whole), clip_seconds(design)
    first = min(first, max(0.0, last - length))  # what sounds may be shorter than a clip
    starts = spread((first, max(last, first + length)), length, count)
    distinct = dict.fromkeys(starts)
    return replace(song, places=tuple(_original(design, ground.passage, at, CROWDED) for at in distinct))


def lacking(design: Design, song: Song, count: int) -> float:
    """By how many seconds the recording would have to be longer to have `count` places more."""
    length = clip_seconds(design)
    if not song.all_learnt:
        over = [rest(stretch, length) for ground in song.grounds for stretch in ground.stretches]
        return count * length - max(over, default=0.0)
    growing = all(source.seconds is None for source in design.sources if source.name in song.sources)
    growth = LONGEST_DEFAULT_PASSAGE - song.passages[-1].seconds if growing else 0.0
    return (len(song.places) + count) * length + max(0.0, growth)  # all of them beside the passage then


def learners(design: Design) -> set[str]:
    """The names of the sources that any model learns from; the others are there for their originals."""
    return {source.name for source in design.sources if source.modes}


def _song(
    design: Design, files: Sequence[_File], imports: Sequence[Fake], albums: Sequence[AlbumFile]
) -> Song:
    """A recording that lies in one file or more, of which only the first gives what several hold."""
    wholes, outsides = [], []
    aways = {one: same_sound.offset(files[0].passages[0].file, one.cell.file) for one in imports}
    imported = {one: away for one, away in aways.items() if away is not None}
    first = files[0].passages[0].file
    heard = [(same_sound.offset(first, one.file), one.file) for one in albums]
    heard = [(away, away + audio.inspect(file).seconds) for away, file in heard if away is not None]
    for number, file in enumerate(files):
        apart = [(other.offset - file.offset, other) for other in files]
        earlier = [(away, away + other.passages[0].file_seconds) for away, other in apart[:number]]
        learnt = [
            (away + one.start, away + one.start + one.seconds)
            for away, other in apart
            for one in other.passages
            if one.source in learners(design)
        ]
        learnt += [(begin - file.offset, end - file.offset) for begin, end in heard]
        whole = without(_whole(design, file.passages), earlier)
        whole = without(whole, same_sound.silences(file.passages[0].file))
        begun = [(away - file.offset, one.cell.seconds) for one, away in imported.items()]
        whole = without(whole, [(away, away + seconds) for away, seconds in begun])
        wholes.append(whole)
        outsides.append([part for part in without(whole, learnt) if part[1] - part[0] >= _SHORTEST])
    all_learnt = not any(outsides)
    grounds = tuple(
        Ground(file.passages[0], tuple(whole), tuple(whole if all_learnt else outside))
        for file, whole, outside in zip(files, wholes, outsides, strict=True)
    )
    passages = tuple(one for file in files for one in file.passages)
    places = tuple(
        one for ground in grounds for one in _placed(design, ground.passage, ground.stretches, OUTSIDE)
    )
    return Song(passages, grounds, tuple(one.name for one in imported), all_learnt, places)


def _whole(design: Design, passages: Sequence[Passage]) -> list[Stretch]:
    """What may be heard of a file: all of it, or the passages of sources without modes where it has any."""
    given = {source.name: source.seconds is not None for source in design.sources}
    whole: list[Stretch] = []
    for one in passages:
        if one.source not in learners(design):
            end = one.start + one.seconds if given[one.source] else one.file_seconds
            whole += without([(one.start, end)], whole)
    return whole or [(0.0, passages[0].file_seconds)]


def _placed(design: Design, passage: Passage, stretches: Sequence[Stretch], lies: int) -> list[Original]:
    dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, passage.source, lies))
    starts = side_by_side(stretches, clip_seconds(design), dice)
    return [_original(design, passage, start, lies) for start in starts]


def _original(design: Design, passage: Passage, start: float, lies: int) -> Original:
    """Its name says where it begins: a pick of another design's place is never taken for one of this."""
    at = f"{start:.3f}".rstrip("0").rstrip(".")
    return Original(f"{passage.source}-{ORIGINAL}-{at}", passage, start, clip_seconds(design), lies=lies)
