"""The data of a training: clips as 256 levels, the windows it reads, and the pieces it is scored on.

In mu-law, mu is 255 (ITU-T G.711's characteristic, as a continuous curve; van den Oord et al. 2016, section
2.2). Its levels lie closer for soft music: the error is about 38 dB below the sound at every loudness. The
256 equal steps of `linear` hiss 50 dB below full scale and so drown what is softer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from caw.samplernn.config import SampleRNNSettings

LEVELS = 256
SILENCE = 128  # the level of 0.0
MU = 255.0


def encode(samples: np.ndarray, kind: str) -> np.ndarray:
    """Samples from -1 to 1 as levels, uint8 of the same shape. kind: mu-law or linear."""
    bounded = np.clip(np.asarray(samples, np.float64), -1.0, 1.0)
    if kind == "mu-law":
        bounded = np.sign(bounded) * np.log1p(MU * np.abs(bounded)) / np.log1p(MU)
    return np.floor((bounded + 1) / 2 * (LEVELS - 1) + 0.5).astype(np.uint8)


def decode(levels: np.ndarray, kind: str) -> np.ndarray:
    """Levels as samples, float32 of the same shape, from -1 to 1."""
    return _table(kind)[levels]


def inverted(levels: np.ndarray) -> np.ndarray:
    """The levels of the same sound with its polarity inverted."""
    return (LEVELS - 1) - levels


def frame_values() -> np.ndarray:
    """The input of a recurrent tier for each level, float32 [256], from -2 to 2 as published."""
    return (np.arange(LEVELS, dtype=np.float32) / ((LEVELS - 1) / 2) - 1) * 2


def _table(kind: str) -> np.ndarray:
    spread = np.arange(LEVELS) / ((LEVELS - 1) / 2) - 1
    if kind == "mu-law":
        spread = np.sign(spread) * np.expm1(np.abs(spread) * np.log1p(MU)) / MU
    return spread.astype(np.float32)


def split(
    clips: Sequence[np.ndarray], settings: SampleRNNSettings
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Clips of levels, uint8 [n], split into those to learn and those held out, which are the clips' ends."""
    cuts = [round(len(clip) * (1 - settings.held_out)) for clip in clips]
    learned = [clip[:cut] for clip, cut in zip(clips, cuts, strict=True)]
    return learned, [clip[cut:] for clip, cut in zip(clips, cuts, strict=True) if cut < len(clip)]


class Streams:
    """Windows of `window` samples that follow each other in several streams.

    A stream begins at a random sample of a random clip (longer clips in proportion). It begins again
    elsewhere after `stretch` seconds, or where its clip ends. Silence precedes its first sample, as in
    generation, so that the learnt start serves there.
    """

    def __init__(self, clips: Sequence[np.ndarray], rate: int, settings: SampleRNNSettings) -> None:
        self.clips = [np.asarray(clip) for clip in clips]
        self.settings = settings
        self.longest = max(1, round(settings.stretch * rate / settings.window))  # windows
        self.rng = np.random.default_rng(settings.seed)
        count = settings.streams
        self.clip = np.zeros(count, np.int64)
        self.place = np.zeros(count, np.int64)  # of its next sample
        self.left = np.zeros(count, np.int64)  # windows until it begins again
        self.flipped = np.zeros(count, bool)
        self._first = True

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """Levels int64 [streams, frame_sizes[0] + window], and which streams begin, bool [streams]."""
        settings = self.settings
        before, window = settings.frame_sizes[0], settings.window
        fresh = self.left == 0
        for stream in np.nonzero(fresh)[0]:
            self._begin(stream)
        levels = np.empty((settings.streams, before + window), np.int64)
        for stream in range(settings.streams):
            clip, place = self.clips[self.clip[stream]], self.place[stream]
            piece = clip[max(0, place - before) : place + window]
            levels[stream, before + window - len(piece) :] = (
                inverted(piece) if self.flipped[stream] else piece
            )
            if fresh[stream]:
                levels[stream, :before] = SILENCE
        self.place += window
        self.left -= 1
        return levels, fresh

    def _begin(self, stream: int) -> None:
        window = self.settings.window
        rooms = np.array([max(0, len(clip) - window + 1) for clip in self.clips])  # places a window fits
        place = int(self.rng.integers(rooms.sum()))
        self.clip[stream] = chosen = int(np.searchsorted(np.cumsum(rooms), place, side="right"))
        self.place[stream] = place = place - int(rooms[:chosen].sum())
        self.flipped[stream] = self.settings.flip and self.rng.random() < 0.5
        fitting = (len(self.clips[chosen]) - place) // window
        # the first ones end at different times, so that about as many begin in every step
        longest = int(self.rng.integers(self.longest)) + 1 if self._first else self.longest
        self.left[stream] = min(fitting, longest)
        if stream == self.settings.streams - 1:
            self._first = False

    def state(self) -> dict[str, Any]:
        """The state of all streams and of their random numbers."""
        arrays = {name: getattr(self, name).tolist() for name in ("clip", "place", "left", "flipped")}
        return arrays | {"first": self._first, "dice": json.dumps(self.rng.bit_generator.state)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        for name in ("clip", "place", "left", "flipped"):
            setattr(self, name, np.array(state[name], getattr(self, name).dtype))
        self._first = state["first"]
        self.rng.bit_generator.state = json.loads(state["dice"])


def scored_pieces(
    clips: Sequence[np.ndarray], settings: SampleRNNSettings, pieces: int = 16
) -> np.ndarray | None:
    """At most `pieces` pieces of equal length, spread over the clips, int64 [pieces, frame_sizes[0] + n].

    Each begins with the largest frame before its first sample. None if the clips are too short.
    """
    frame, window = settings.frame_sizes[0], settings.window
    whole = sum(len(clip) for clip in clips)
    length = min(8 * window, whole // pieces // window * window) or window
    scored = []
    for clip in clips:
        count = max(1, round(pieces * len(clip) / whole)) if len(clip) >= frame + length else 0
        for start in np.linspace(0, len(clip) - frame - length, count).astype(int):
            scored.append(clip[start : start + frame + length])
    return np.stack(scored).astype(np.int64) if scored else None
