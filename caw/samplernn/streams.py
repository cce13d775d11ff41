"""The stretches of the clips that a training reads side by side, and what is held out. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from caw.samplernn.config import Settings
from caw.samplernn.quantisation import SILENCE, turned


def split(clips: Sequence[np.ndarray], settings: Settings) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Clips of levels, uint8 [n], as what is learned and what is held out: the end of each."""
    cuts = [round(len(clip) * (1 - settings.held_out)) for clip in clips]
    learned = [clip[:cut] for clip, cut in zip(clips, cuts, strict=True)]
    return learned, [clip[cut:] for clip, cut in zip(clips, cuts, strict=True) if cut < len(clip)]


class Streams:
    """Windows of `window` samples that follow each other in each stream, until it begins anew elsewhere.

    A stream begins at any sample of any clip (longer clips in proportion), and ends after `stretch` seconds
    or where its clip ends. Before its first sample it hears silence, so that the learnt start is what a
    generation begins from.
    """

    def __init__(self, clips: Sequence[np.ndarray], rate: int, settings: Settings) -> None:
        self.clips = [np.asarray(clip) for clip in clips]
        self.settings = settings
        self.longest = max(1, round(settings.stretch * rate / settings.window))  # windows
        self.dice = np.random.default_rng(settings.seed)
        count = settings.streams
        self.clip = np.zeros(count, np.int64)
        self.place = np.zeros(count, np.int64)  # of its next sample
        self.left = np.zeros(count, np.int64)  # windows until it begins anew
        self.flipped = np.zeros(count, bool)
        self._first = True

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """Levels int64 [streams, frame_sizes[0] + window], and which streams begin anew, bool [streams]."""
        settings = self.settings
        before, window = settings.frame_sizes[0], settings.window
        fresh = self.left == 0
        for stream in np.nonzero(fresh)[0]:
            self._begin(stream)
        levels = np.empty((settings.streams, before + window), np.int64)
        for stream in range(settings.streams):
            clip, place = self.clips[self.clip[stream]], self.place[stream]
            piece = clip[max(0, place - before) : place + window]
            levels[stream, before + window - len(piece) :] = turned(piece) if self.flipped[stream] else piece
            if fresh[stream]:
                levels[stream, :before] = SILENCE
        self.place += window
        self.left -= 1
        return levels, fresh

    def _begin(self, stream: int) -> None:
        window = self.settings.window
        rooms = np.array([max(0, len(clip) - window + 1) for clip in self.clips])  # places a window fits
        place = int(self.dice.integers(rooms.sum()))
        self.clip[stream] = chosen = int(np.searchsorted(np.cumsum(rooms), place, side="right"))
        self.place[stream] = place = place - int(rooms[:chosen].sum())
        self.flipped[stream] = self.settings.flip and self.dice.random() < 0.5
        fitting = (len(self.clips[chosen]) - place) // window
        # the first ones end at different times, so that about as many begin anew in every step
        longest = int(self.dice.integers(self.longest)) + 1 if self._first else self.longest
        self.left[stream] = min(fitting, longest)
        if stream == self.settings.streams - 1:
            self._first = False

    def state(self) -> dict[str, Any]:
        """Where all streams and their dice stand."""
        arrays = {name: getattr(self, name).tolist() for name in ("clip", "place", "left", "flipped")}
        return arrays | {"first": self._first, "dice": json.dumps(self.dice.bit_generator.state)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` told."""
        for name in ("clip", "place", "left", "flipped"):
            setattr(self, name, np.array(state[name], getattr(self, name).dtype))
        self._first = state["first"]
        self.dice.bit_generator.state = json.loads(state["dice"])


def scored_pieces(clips: Sequence[np.ndarray], settings: Settings, pieces: int = 16) -> np.ndarray | None:
    """At most `pieces` pieces of equal length, spread over the clips, int64 [pieces, frame_sizes[0] + n].

    The largest frame of each is what came before its first sample. None where the clips are too short.
    """
    frame, window = settings.frame_sizes[0], settings.window
    whole = sum(len(clip) for clip in clips)
    length = min(8 * window, whole // pieces // window * window) or window
    found = []
    for clip in clips:
        count = max(1, round(pieces * len(clip) / whole)) if len(clip) >= frame + length else 0
        for start in np.linspace(0, len(clip) - frame - length, count).astype(int):
            found.append(clip[start : start + frame + length])
    return np.stack(found).astype(np.int64) if found else None
