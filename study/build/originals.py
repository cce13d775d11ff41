"""Which originals each set holds.

Sets and practice take different places of the recordings (see `recordings`), and each set takes them evenly
from the songs that its machine-made clips come from. Where there are too few places the build is refused,
unless stimuli.accept holds "repetition": then originals may also lie in what models learn from, and where
that is still too little they overlap, as little as they can.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from study.backends import seed_for
from study.build import recordings
from study.build.curation import Choice
from study.build.recordings import Original, Song, longest_overlap
from study.build.sources import FakeClip, Passage, clip_seconds
from study.design import CellFilter, Design, DesignError, Mode, Recording
from study.folder import PRACTICE
from study.pool import ORIGINAL

ACCEPTED = "repetition"  # in stimuli.accept
_TRIES = 300  # at places that overlap least, as versions of early November 2026 drew them
SPARE = 4  # places of each recording that are cut into the pool besides those that sets take, to choose from
_FIX = (
    "give longer recordings or more of them, lower `originals`, listening.practice or stimuli.seconds, or "
    f'let listeners hear passages twice, by accept = ["{ACCEPTED}"] under [stimuli]'
)


class RepetitionError(DesignError):
    """Listeners would hear a passage twice, as the recordings have too few places for the originals."""


@dataclass
class Selection:
    """The originals that were chosen."""

    sets: dict[str, list[Original]] = field(default_factory=dict)  # by the set's name; with practice
    pool: list[Original] = field(default_factory=list)  # those of the sets, and more to choose from
    notes: list[str] = field(default_factory=list)


def counts(design: Design) -> dict[str, int]:
    """How many originals each set holds; practice is the last."""
    result = {name: chosen.originals for name, chosen in design.sets.items()}
    return result | {PRACTICE: design.listening.practice // 2 if design.recordings else 0}


def available(
    design: Design,
    passages: Mapping[str, Passage],
    choices: Mapping[str, Choice],
    imports: Sequence[FakeClip] = (),
) -> list[Song]:
    """Every recording with the places that originals may take.

    These overlap nothing, unless there are too few of them and stimuli.accept allows others.

    choices: the researcher's; places that are left out by hand may call for others.
    """
    songs = recordings.songs(design, passages, imports)
    if ACCEPTED not in design.stimuli.accept or not _shortage(design, songs, choices):
        return songs
    songs = [recordings.with_learnt(design, song) for song in songs]
    if not _shortage(design, songs, choices):
        return songs
    reach, needed = _reach(design, songs), counts(design)
    shares = [
        sum(math.ceil(count / len(reach[name])) for name, count in needed.items() if number in reach[name])
        for number in range(len(songs))
    ]
    return [recordings.crowded(design, song, share) for song, share in zip(songs, shares, strict=True)]


def choose(
    design: Design,
    songs: Sequence[Song],
    fakes: Mapping[str, Collection[str]],
    choices: Mapping[str, Choice],
) -> Selection:
    """Choose each set's originals: those picked by hand, and the rest drawn.

    songs: from `available`. fakes: the names of the sources that each set's fakes come from.
    Raises DesignError where there are no recordings, and RepetitionError where they have too few places.
    """
    needed = counts(design)
    for set_name, count in needed.items():
        if count and not songs:
            what, fix = "there is no [[source]] to cut them from", "add one, or set originals = 0"
            raise design.error(("set", set_name, "originals"), count, what, fix)
    if error := shortage(design, songs, choices):
        raise error
    selection = Selection(sets={name: [] for name in needed})
    free = [[place for place in song.places if not _is_taken(choices, place)] for song in songs]
    for song in songs:
        for place in song.places:
            if (set_name := choices.get(place.name, Choice()).set_name) in selection.sets:
                selection.sets[set_name].append(place)
    left = {name: count - len(selection.sets[name]) for name, count in needed.items()}
    reach = _reach(design, songs)
    for set_name, chosen in selection.sets.items():
        if by_hand := len(chosen):
            note = f"{set_name}: {by_hand} of {needed[set_name]} originals are picked by hand"
            selection.notes.append(note)
        near = _near(design, songs, reach[set_name], fakes.get(set_name, ()))
        dice = np.random.default_rng(seed_for(_seed(design, set_name), ORIGINAL, set_name))
        order = dice.permutation(len(songs))
        taken = Counter(index for index, song in enumerate(songs) for one in chosen if one in song.places)
        while left[set_name]:
            left[set_name] -= 1
            ways = [index for index in order if index in reach[set_name] and free[index]]
            ways.sort(key=lambda index: (free[index][0].lies, index not in near, taken[index]))
            index = next((way for way in ways if not _blocks_others(left, free, reach, way)), ways[0])
            taken[index] += 1
            chosen.append(free[index].pop(0))
        selection.notes += _notes_on_strangers(set_name, songs, near, chosen)
    in_sets = {one.name for chosen in selection.sets.values() for one in chosen}
    for song, places in zip(songs, free, strict=True):
        spare = {place.name for place in places[:SPARE]}
        selection.pool += [one for one in song.places if one.name in in_sets or one.name in spare]
        selection.notes += _notes_on_overlaps(song, [one for one in song.places if one.name in in_sets])
    return selection


def shortage(design: Design, songs: Sequence[Song], choices: Mapping[str, Choice]) -> RepetitionError | None:
    """The error for recordings that have too few places for all originals; None where they have enough."""
    if not songs or not (short := _shortage(design, songs, choices)):
        return None
    needed, length = counts(design), clip_seconds(design)
    options = [
        (recordings.missing_seconds(design, song, short), song.file)
        for number, song in enumerate(songs)
        if not _shortage(design, songs, choices, more={number: short})
    ]
    seconds, file = min(options, default=(short * length, "those that are short"))
    each = ", ".join(f"{count} for {name}" for name, count in needed.items() if count)
    what = f"{sum(needed.values())} originals of {length:g} s ({each}) must not overlap, and {_room(songs)}"
    if out := sum(choices.get(place.name, Choice()).out for song in songs for place in song.places):
        what += f", {out} of which {'are' if out > 1 else 'is'} left out by hand"
    what += f"; {math.ceil(seconds * 10 - 1e-6) / 10:.1f} s more of {file} are needed"
    first = next(
        name
        for number, name in enumerate(needed, start=1)
        if _shortage(design, songs, choices, sets=list(needed)[:number])
    )
    path, value = ("set", first, "originals"), needed[first]
    if first == PRACTICE:
        path, value = ("listening", "practice"), design.listening.practice
    error = design.error(path, value, what, _FIX)
    return RepetitionError(error.file, error.key, value, what, _FIX)


def _room(songs: Sequence[Song]) -> str:
    count = sum(len(song.places) for song in songs)
    if len(songs) > 1:
        return f"the {len(songs)} recordings have room for {count} where no model learns from them"
    (song,) = songs
    if song.all_learnt:
        return f"{song.file}, all of which models learn from, has room for {count}"
    seconds = sum(last - first for ground in song.grounds for first, last in ground.stretches)
    return f"{song.file} has {seconds:.1f} s that no model learns from, room for {count}"


def _reach(design: Design, songs: Sequence[Song]) -> dict[str, set[int]]:
    """The songs that each set may take originals from, by their places in the list.

    These are the songs whose sources make clips for the set, and those of sources that only give originals;
    all songs where there are none of these.
    """
    everything = set(range(len(songs)))
    reach = {PRACTICE: everything}
    learners = recordings.learners(design)
    for name, chosen in design.sets.items():
        mode = design.mode_of(name)
        names = {
            source.name
            for source in design.recordings
            if source.name not in learners
            or (
                mode in source.modes
                and any(_makes(source, mode, cell) for cell in chosen.cells or (CellFilter(),))
            )
        }
        reach[name] = {number for number in everything if songs[number].sources & names} or everything
    return reach


def _makes(source: Recording, mode: Mode, cell: CellFilter) -> bool:
    """Whether a source makes clips of a mode that fit an entry of a set's `cells`."""
    return (
        cell.source in (None, source.name)
        and cell.backend in (None, source.backend)
        and (cell.epochs is None or cell.epochs in source.epochs)
        and cell.song in (None, source.made_for)
        and any(
            cell.plan in (None, way.plan) and cell.strength in (None, way.strength)
            for way in source.variants(mode)
        )
    )


def _near(design: Design, songs: Sequence[Song], reach: set[int], fakes: Collection[str]) -> set[int]:
    """The songs within reach that the set's fakes come from, and those that no model learns from.

    All songs within reach where there is none of the first kind.
    """
    home = {number for number in reach if songs[number].sources & set(fakes)}
    return (
        home | {number for number in reach if songs[number].sources - recordings.learners(design)}
        if home
        else reach
    )


def _shortage(
    design: Design,
    songs: Sequence[Song],
    choices: Mapping[str, Choice],
    *,
    more: Mapping[int, int] | None = None,
    sets: Collection[str] | None = None,
) -> int:
    """How many originals find no place; 0 where all do.

    more: further places that a song is assumed to have. sets: those that are assumed to be all.
    """
    picked = Counter(choices.get(place.name, Choice()).set_name for song in songs for place in song.places)
    left = {
        name: max(0, count - picked[name])
        for name, count in counts(design).items()
        if sets is None or name in sets
    }
    free = [
        sum(not _is_taken(choices, place) for place in song.places) + (more or {}).get(number, 0)
        for number, song in enumerate(songs)
    ]
    return sum(left.values()) - _placeable(left, free, _reach(design, songs))


def _blocks_others(
    left: Mapping[str, int], free: Sequence[Sequence[Original]], reach: Mapping[str, set[int]], taken: int
) -> bool:
    """Whether taking a place of this song would leave too few for the originals that are still to come."""
    room = [len(places) - (number == taken) for number, places in enumerate(free)]
    return len(free) > 1 and _placeable(left, room, reach) < sum(left.values())


def _placeable(left: Mapping[str, int], free: Sequence[int], reach: Mapping[str, set[int]]) -> int:
    """How many originals can be placed at most: the maximum flow from sets to songs."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    names = list(left)
    size = len(names) + len(free) + 2
    graph = np.zeros((size, size), np.int32)
    for number, name in enumerate(names, start=1):
        graph[0, number] = left[name]
        for song in reach[name]:
            graph[number, 1 + len(names) + song] = left[name]
    graph[1 + len(names) : -1, -1] = free
    return int(maximum_flow(csr_array(graph), 0, size - 1).flow_value)


def _is_taken(choices: Mapping[str, Choice], place: Original) -> bool:
    """Whether the place is picked for a set, or left out by hand."""
    return bool(choices.get(place.name, Choice()).pick)


def _seed(design: Design, set_name: str) -> int:
    chosen = design.sets.get(set_name)
    return design.study.seed if chosen is None or chosen.seed is None else chosen.seed


def _notes_on_strangers(
    set_name: str, songs: Sequence[Song], near: set[int], chosen: Sequence[Original]
) -> list[str]:
    """A note on originals of songs that the set has no fake of: the song itself may give them away."""
    at_home = {one.name for number in near for one in songs[number].places}
    if set_name == PRACTICE or not (strangers := [one.name for one in chosen if one.name not in at_home]):
        return []
    return [f"{set_name}: no machine-made clip of it comes from the song of {', '.join(strangers)}"]


def _notes_on_overlaps(song: Song, chosen: Sequence[Original]) -> list[str]:
    """Notes on originals that share sound with each other or with what models learn from."""
    notes = [f"imported {name} holds sound of {song.file}: no original repeats it" for name in song.imported]
    files = {one.passage.file for one in chosen}
    starts = [[one.start for one in chosen if one.passage.file == file] for file in files]
    if shared := max((longest_overlap(places, chosen[0].seconds) for places in starts), default=0.0):
        notes.append(f"originals from {song.file} share up to {shared:.1f} s, as stimuli.accept allows")
    if chosen and song.all_learnt:
        notes.append(f"originals from {song.file} lie in what models learn from, as it holds nothing else")
    elif any(one.lies for one in chosen):
        notes.append(f"originals from {song.file} lie in what models learn from, as stimuli.accept allows")
    return notes


def place_as_before(design: Design, passages: Mapping[str, Passage]) -> dict[str, list[Original]]:
    """Each set's originals, with practice, as versions of early November 2026 chose them.

    They recorded no places, and their originals may share sound with each other and with what models learn
    from. Sets that they built stay as they are; new sets never take these places.
    """
    length = clip_seconds(design)
    taken: dict[str, list[float]] = {source: [] for source in passages}
    placed: dict[str, list[Original]] = {}
    for set_name, count in counts(design).items():
        placed[set_name] = []
        dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, set_name))
        order = [list(passages)[index] for index in dice.permutation(len(passages))]
        shares = Counter(order[index % len(order)] for index in range(count)) if order else {}
        for source, share in shares.items():
            passage = passages[source]
            first, last = passage.start, passage.start + passage.seconds
            if set_name == PRACTICE and passage.file_seconds - last >= share * length:
                first, last = last, passage.file_seconds
            starts = _place_excerpts(share, length, first, last, taken[source], dice)
            taken[source].extend(starts)
            mode = design.mode_of(next(iter(design.sets)) if set_name == PRACTICE else set_name)
            placed[set_name] += [
                Original(f"{source}-{ORIGINAL}-{set_name}-{number}", passage, start, length, mode)
                for number, start in enumerate(starts, start=1)
            ]
    return placed


def _place_excerpts(
    count: int, length: float, first: float, last: float, taken: Sequence[float], dice: np.random.Generator
) -> list[float]:
    """Starts (s) of `count` excerpts of `length` seconds between the seconds `first` and `last`.

    They are kept clear of those that start at `taken`, as far as that is possible.
    """
    slack = last - first - count * length
    if slack < -1e-6:
        starts = np.linspace(first, max(first, last - length), count)
        return [float(start) for start in dice.permutation(starts)]
    best, least = None, np.inf
    for _ in range(_TRIES):
        gaps = np.sort(dice.uniform(0.0, max(slack, 0.0), count))
        starts = first + gaps + length * np.arange(count)
        shared = _longest_overlap(starts, taken, length)
        if shared < least:
            best, least = starts, shared
    return [float(start) for start in dice.permutation(best)]


def _longest_overlap(starts: Sequence[float], others: Sequence[float], length: float) -> float:
    """The most seconds that an excerpt of one list shares with an excerpt of the other."""
    if len(starts) == 0 or len(others) == 0:
        return 0.0
    apart = np.abs(np.subtract.outer(np.asarray(starts), np.asarray(others)))
    return float(max(0.0, length - apart.min()))
