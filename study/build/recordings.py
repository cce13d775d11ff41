"""The recordings behind the sources, and the places where originals can be cut out of them.

Sound files that hold the same recording, as a WAV and an MP3 of one song do, count as one.
A recording is then divided into places as long as an original. No two places overlap, and none lies in a
passage that models learn from, unless they learn from all of the recording.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import signal

from caw import audio
from study.backends import AlbumFile, seed_for
from study.build.sources import FakeClip, Passage, clip_seconds
from study.design import LONGEST_DEFAULT_PASSAGE, Design
from study.pool import ORIGINAL

OUTSIDE, LEARNT, CROWDED = range(3)  # how a place lies; later kinds are taken last
Stretch = tuple[float, float]  # from and to, in s
_RASTER = 100  # ms; the room between excerpts is drawn in such steps, so that their starts are short numbers
_RATE = 4000  # Hz
_FRAME = 40  # samples: onsets are taken 100 times a second
_WINDOW = _RATE  # samples that are compared at once
_AGREE = 0.9  # correlation from which two windows are the same sound; codecs and resamplers leave more
_LEAST = 2  # windows that must agree, and at least half of all
_FINE = 2 * _FRAME  # samples by which onsets may miss the true place
_BLOCK = 300.0  # s that are read at once: a long file would not fit into memory
_CACHED = 64  # recordings in memory
_SHORTEST = 0.5  # s; what is shorter holds no original, whatever the design


@dataclass(frozen=True)
class Original:
    """An excerpt of a recording, which becomes a real clip as it is."""

    name: str
    passage: Passage  # of the source that it is named after; the excerpt may lie outside it
    start: float  # s into the file
    seconds: float
    mode: str = ""  # of the set it is for, where an earlier version cut it for that one alone
    lies: int = OUTSIDE


@dataclass(frozen=True)
class Ground:
    """The part of a sound file that no file before it holds, too."""

    passage: Passage  # of the file's first source
    whole: tuple[Stretch, ...]  # without silence
    stretches: tuple[Stretch, ...]  # where originals may lie


@dataclass(frozen=True)
class _File:
    """A file of a recording, with the passages of all sources in it."""

    passages: tuple[Passage, ...]
    offset: float  # s; where it begins in the recording's first file


@dataclass(frozen=True)
class Song:
    """A recording: all files that hold it, and the places in them where originals can be cut out."""

    passages: tuple[Passage, ...]
    grounds: tuple[Ground, ...]  # its files
    imported: tuple[str, ...]  # names of imported clips that hold sound of it
    all_learnt: bool  # whether its places lie in what models learn from, as there is nothing else
    places: tuple[Original, ...]  # in the order in which they are taken

    @property
    def sources(self) -> set[str]:
        return {passage.source for passage in self.passages}

    @property
    def file(self) -> str:
        return self.passages[0].file.name


def songs(design: Design, passages: Mapping[str, Passage], imports: Sequence[FakeClip]) -> list[Song]:
    """Every recording with its places, in the design's order. Files with the same sound are one recording.

    imports: clips that sets may hold, too; no original is cut where one of them holds sound of a recording.
    Raises AudioError for a file that cannot be read.
    """
    files: dict[str, list[Passage]] = {}
    for passage in passages.values():
        files.setdefault(passage.sha256, []).append(passage)
    groups: list[list[_File]] = []
    for group in files.values():
        first = group[0]
        for known in groups:
            offset = find_offset(known[0].passages[0].file, first.file)
            if offset is not None:
                known.append(_File(tuple(group), offset))
                break
        else:
            groups.append([_File(tuple(group), 0.0)])
    others = [
        fake for fake in imports if fake.cell.file_sha256 not in files
    ]  # else it is reported by `sources`
    albums = {one.sha256: one for passage in passages.values() for one in passage.album}
    return [_song(design, group, others, list(albums.values())) for group in groups]


def with_learnt(design: Design, song: Song) -> Song:
    """The song with further places, in what models learn from."""
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


def missing_seconds(design: Design, song: Song, count: int) -> float:
    """By how many seconds the recording would have to be longer to have `count` more places."""
    length = clip_seconds(design)
    if not song.all_learnt:
        over = [remainder(stretch, length) for ground in song.grounds for stretch in ground.stretches]
        return count * length - max(over, default=0.0)
    growing = all(source.seconds is None for source in design.recordings if source.name in song.sources)
    growth = LONGEST_DEFAULT_PASSAGE - song.passages[-1].seconds if growing else 0.0
    return (len(song.places) + count) * length + max(0.0, growth)  # all of them beside the passage then


def learners(design: Design) -> set[str]:
    """The names of the sources that any model learns from. The others only give originals."""
    return {source.name for source in design.recordings if source.modes}


def _song(
    design: Design, files: Sequence[_File], imports: Sequence[FakeClip], albums: Sequence[AlbumFile]
) -> Song:
    """A recording in one file or more. What several files hold is taken from the first of them."""
    wholes, outsides = [], []
    first = files[0].passages[0].file
    offsets = {one: find_offset(first, one.cell.file) for one in imports}
    imported = {one: offset for one, offset in offsets.items() if offset is not None}
    in_albums = [
        (offset, offset + audio.inspect(album.file).seconds)
        for album in albums
        if (offset := find_offset(first, album.file)) is not None
    ]
    for number, file in enumerate(files):
        apart = [(other.offset - file.offset, other) for other in files]
        earlier = [(away, away + other.passages[0].file_seconds) for away, other in apart[:number]]
        learnt = [
            (away + begin, away + end)
            for away, other in apart
            for one in other.passages
            if one.source in learners(design)
            for begin, end in ((one.start, one.start + one.seconds), *one.more)
        ]
        learnt += [(begin - file.offset, end - file.offset) for begin, end in in_albums]
        whole = without(_audible(design, file.passages), earlier)
        whole = without(whole, silences(file.passages[0].file))
        starts = [(offset - file.offset, one.cell.seconds) for one, offset in imported.items()]
        whole = without(whole, [(start, start + seconds) for start, seconds in starts])
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


def _audible(design: Design, passages: Sequence[Passage]) -> list[Stretch]:
    """What listeners may hear of a file: all of it, or the passages of its sources without modes."""
    has_seconds = {source.name: source.seconds is not None for source in design.recordings}
    whole: list[Stretch] = []
    for one in passages:
        if one.source not in learners(design):
            end = one.start + one.seconds if has_seconds[one.source] else one.file_seconds
            whole += without([(one.start, end)], whole)
    return whole or [(0.0, passages[0].file_seconds)]


def _placed(design: Design, passage: Passage, stretches: Sequence[Stretch], lies: int) -> list[Original]:
    dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, passage.source, lies))
    starts = side_by_side(stretches, clip_seconds(design), dice)
    return [_original(design, passage, start, lies) for start in starts]


def _original(design: Design, passage: Passage, start: float, lies: int) -> Original:
    """An original named after where it begins, so that a pick of another design's place never fits this."""
    at = f"{start:.3f}".rstrip("0").rstrip(".")
    return Original(f"{passage.source}-{ORIGINAL}-{at}", passage, start, clip_seconds(design), lies=lies)


def find_offset(one: Path, other: Path) -> float | None:
    """At which second of `one` the recording in `other` begins, negative where it begins before it.

    None where the files hold different recordings. There are two steps, so that many songs are compared in
    little time: where the onsets of both fit best, their waveforms are compared. Only sound that agrees in
    its waveform is the same.

    Raises AudioError for a file that cannot be read.
    """
    first, second = _samples(one, _stamp(one)), _samples(other, _stamp(other))
    onsets = [_onsets(samples) for samples in (first, second)]
    likeness = signal.correlate(*onsets, method="fft")
    lag = (int(np.argmax(likeness)) - len(onsets[1]) + 1) * _FRAME
    places = _windows(first, second, lag)
    agreeing = [exact for place in places if (exact := _agreement(first, second, lag, place)) is not None]
    if len(agreeing) < max(_LEAST, len(places) / 2):
        return None
    return float(np.median(agreeing)) / _RATE


def silences(file: Path) -> list[Stretch]:
    """Where a file is silent: at its ends, and for a second or more in between. Raises AudioError."""
    samples = _samples(file, _stamp(file))
    hop = round(audio.PAUSE_FRAME * _RATE)
    frames = np.abs(np.pad(samples, (0, -len(samples) % hop))).reshape(-1, hop).max(axis=1)
    quiet = frames < frames.max() * 10 ** (audio.PAUSE_DB / 20)
    edges = np.diff(np.pad(quiet, (1, 1)).astype(np.int8))
    begins, ends = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
    return [
        (float(begin * audio.PAUSE_FRAME), float(end * audio.PAUSE_FRAME))
        for begin, end in zip(begins, ends, strict=True)
        if begin == 0 or end == len(quiet) or (end - begin) * audio.PAUSE_FRAME >= audio.PAUSE_LONGEST
    ]


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of a file, which change when it is written."""
    state = file.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(_CACHED)
def _samples(file: Path, stamp: tuple[int, int]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clipping and pauses the build speaks where it reads for good
        return np.concatenate(list(audio.pieces(file, rate=_RATE, seconds=_BLOCK)))


def _onsets(samples: np.ndarray) -> np.ndarray:
    """By how much the level rises, frame by frame, with a norm of 1."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    level = np.log(np.sqrt(np.mean(frames.astype(float) ** 2, axis=1)) + 1e-4)
    rise = np.diff(level, prepend=level[:1])
    return rise / (np.linalg.norm(rise) or 1.0)


def _windows(first: np.ndarray, second: np.ndarray, lag: int) -> Sequence[int]:
    """Starts of windows of `second` that lie in both files, some seconds apart."""
    begin, end = max(0, _FINE - lag), min(len(second), len(first) - lag - _FINE) - _WINDOW
    count = min(12, max(0, (end - begin) // _WINDOW + 1))
    places = np.linspace(begin, end, count).astype(int) if count else []
    return [place for place in places if np.mean(second[place : place + _WINDOW] ** 2) > 1e-8]


def _agreement(first: np.ndarray, second: np.ndarray, lag: int, place: int) -> int | None:
    """The lag in samples at which a window of `second` is found in `first`; None where it is not."""
    window = second[place : place + _WINDOW].astype(float)
    around = first[place + lag - _FINE : place + lag + _FINE + _WINDOW].astype(float)
    power = np.convolve(around**2, np.ones(_WINDOW), "valid") * np.sum(window**2)
    likeness = np.abs(signal.correlate(around, window, mode="valid")) / np.sqrt(power + 1e-12)
    best = int(np.argmax(likeness))
    return lag + best - _FINE if likeness[best] >= _AGREE else None


def without(stretches: Iterable[Stretch], taken: Iterable[Stretch]) -> list[Stretch]:
    """What is left of the stretches when those of `taken` are cut out of them, in order."""
    left = list(stretches)
    for begin, end in taken:
        before = [(first, min(last, begin)) for first, last in left]
        after = [(max(first, end), last) for first, last in left]
        left = [(first, last) for first, last in before + after if last > first]
    return sorted(left)


def fitting(stretch: Stretch, length: float) -> int:
    """How many excerpts of `length` seconds fit side by side into the stretch."""
    first, last = _inside(stretch)
    return max(0, last - first) // _milliseconds(length)


def remainder(stretch: Stretch, length: float) -> float:
    """The seconds of the stretch that are left beside as many excerpts as fit."""
    return stretch[1] - stretch[0] - fitting(stretch, length) * length


def side_by_side(stretches: Sequence[Stretch], length: float, dice: np.random.Generator) -> list[float]:
    """Starts (s) of as many excerpts as fit into the stretches without overlap, in random order.

    Places are computed in whole milliseconds, so that lengths add up exactly.
    """
    starts: list[int] = []
    for stretch in stretches:
        if count := fitting(stretch, length):
            first, last = _inside(stretch)
            slack = last - first - count * _milliseconds(length)
            gaps = _RASTER * np.sort(dice.integers(0, slack // _RASTER + 1, count))
            starts += [int(start) for start in first + gaps + _milliseconds(length) * np.arange(count)]
    return [starts[index] / 1000 for index in dice.permutation(len(starts))]


def spread(stretch: Stretch, length: float, count: int) -> list[float]:
    """Starts (s) of `count` excerpts that lie evenly in the stretch, overlapping where they must.

    Excerpts that are neighbours in the returned list overlap least.
    """
    first, last = _inside(stretch)
    starts = np.linspace(first, max(first, last - _milliseconds(length)), count).astype(int)
    step = max(1, (starts[-1] - starts[0]) // max(1, count - 1))
    stride = min(count, math.ceil(_milliseconds(length) / step))
    return [int(starts[index]) / 1000 for begin in range(stride) for index in range(begin, count, stride)]


def longest_overlap(starts: Sequence[float], length: float) -> float:
    """The most seconds that two of the excerpts share that begin at `starts`."""
    apart = np.diff(np.sort(np.asarray(starts, float)))
    return round(max(0.0, length - float(apart.min())), 3) if len(apart) else 0.0


def _milliseconds(length: float) -> int:
    """A length in milliseconds, rounded up."""
    return math.ceil(length * 1000 - 1e-6)


def _inside(stretch: Stretch) -> tuple[int, int]:
    """The whole milliseconds within a stretch."""
    return math.ceil(stretch[0] * 1000 - 1e-6), math.floor(stretch[1] * 1000 + 1e-6)
