"""Which sound files hold the same recording, as a WAV and an MP3 of one song do, or two clips cut from it.

Two steps, so that many songs are compared in little time: where the onsets of one file fit those of the other
best, their waveforms are laid side by side. Only sound that agrees in its waveform is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import signal

from caw import audio
from study.build.excerpts import Stretch

_RATE = 4000  # Hz
_FRAME = 40  # samples: onsets are taken 100 times a second
_WINDOW = _RATE  # samples that are compared at once
_AGREE = 0.9  # correlation of windows from which they are the same sound; codecs and resamplers leave more
_LEAST = 2  # windows that must agree, and at least half of all
_FINE = 2 * _FRAME  # samples by which onsets may miss the true place
_BLOCK = 300.0  # s that are read at once: a long file would not fit into memory
_KEPT = 64  # recordings in memory


def offset(one: Path, other: Path) -> float | None:
    """At which second of `one` the recording in `other` begins (below 0: before it); None for another one.

    Raises: AudioError for a file that cannot be read.
    """
    first, second = _heard(one, _stamp(one)), _heard(other, _stamp(other))
    onsets = [_onsets(samples) for samples in (first, second)]
    likeness = signal.correlate(*onsets, method="fft")
    lag = (int(np.argmax(likeness)) - len(onsets[1]) + 1) * _FRAME
    places = _windows(first, second, lag)
    agreeing = [found for place in places if (found := _agreement(first, second, lag, place)) is not None]
    if len(agreeing) < max(_LEAST, len(places) / 2):
        return None
    return float(np.median(agreeing)) / _RATE


def silences(file: Path) -> list[Stretch]:
    """Where a file is silent: at its ends, and for a second or more in between. Raises: AudioError."""
    samples = _heard(file, _stamp(file))
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
    """What changes with the file."""
    state = file.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(_KEPT)
def _heard(file: Path, stamp: tuple[int, int]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clipping and pauses the build speaks where it reads for good
        return np.concatenate(list(audio.pieces(file, rate=_RATE, seconds=_BLOCK)))


def _onsets(samples: np.ndarray) -> np.ndarray:
    """By how much the level rises, frame by frame, in a form that correlates well."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    level = np.log(np.sqrt(np.mean(frames.astype(float) ** 2, axis=1)) + 1e-4)
    rise = np.diff(level, prepend=level[:1])
    return rise / (np.linalg.norm(rise) or 1.0)


def _windows(first: np.ndarray, second: np.ndarray, lag: int) -> Sequence[int]:
    """Where windows of `second` begin that lie in both, some seconds apart."""
    begin, end = max(0, _FINE - lag), min(len(second), len(first) - lag - _FINE) - _WINDOW
    count = min(12, max(0, (end - begin) // _WINDOW + 1))
    places = np.linspace(begin, end, count).astype(int) if count else []
    return [place for place in places if np.mean(second[place : place + _WINDOW] ** 2) > 1e-8]


def _agreement(first: np.ndarray, second: np.ndarray, lag: int, place: int) -> int | None:
    """The lag in samples at which a window of `second` is the same in `first`; None where it is not there."""
    window = second[place : place + _WINDOW].astype(float)
    around = first[place + lag - _FINE : place + lag + _FINE + _WINDOW].astype(float)
    power = np.convolve(around**2, np.ones(_WINDOW), "valid") * np.sum(window**2)
    likeness = np.abs(signal.correlate(around, window, mode="valid")) / np.sqrt(power + 1e-12)
    best = int(np.argmax(likeness))
    return lag + best - _FINE if likeness[best] >= _AGREE else None
