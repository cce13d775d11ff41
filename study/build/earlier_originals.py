"""Where versions before this one cut originals: sets that were built so stay as they are.

Such originals may share sound with each other and with what models learn from. New sets never take these
places; see `originals`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from study.backends import seed_for
from study.build.material import ORIGINAL, Passage, clip_seconds
from study.build.originals import wanted
from study.build.recordings import Original
from study.design import Design
from study.folder import PRACTICE

_TRIES = 300


def place(design: Design, passages: Mapping[str, Passage]) -> dict[str, list[Original]]:
    """Each set's originals, practice included, as those versions chose them."""
    length = clip_seconds(design)
    taken: dict[str, list[float]] = {source: [] for source in passages}
    placed: dict[str, list[Original]] = {}
    for set_name, count in wanted(design).items():
        placed[set_name] = []
        dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, set_name))
        order = [list(passages)[index] for index in dice.permutation(len(passages))]
        shares = Counter(order[index % len(order)] for index in range(count)) if order else {}
        for source, share in shares.items():
            passage = passages[source]
            first, last = passage.start, passage.start + passage.seconds
            if set_name == PRACTICE and passage.file_seconds - last >= share * length:
                first, last = last, passage.file_seconds
            starts = place_excerpts(share, length, first, last, taken[source], dice)
            taken[source].extend(starts)
            mode = design.mode_of(next(iter(design.sets)) if set_name == PRACTICE else set_name)
            placed[set_name] += [
                Original(f"{source}-{ORIGINAL}-{set_name}-{number}", passage, start, length, mode)
                for number, start in enumerate(starts, start=1)
            ]
    return placed


def place_excerpts(
    count: int, length: float, first: float, last: float, taken: Sequence[float], dice: np.random.Generator
) -> list[float]:
    """Starts (s) of `count` excerpts of `length` seconds between the seconds `first` and `last`, kept clear
    of those that start at `taken` as far as it goes."""
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
    """The most seconds that an excerpt of one list shares with one of the other."""
    if len(starts) == 0 or len(others) == 0:
        return 0.0
    apart = np.abs(np.subtract.outer(np.asarray(starts), np.asarray(others)))
    return float(max(0.0, length - apart.min()))
