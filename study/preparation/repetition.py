"""Which clips share a stretch of sound: the same recording, heard in two of them.

A listener notices a passage that comes back, and a program can compute it. Where originals repeat and fakes
do not, or the other way round, that tells them apart, so each clip's longest shared stretch is tested as a
property of form ("repetition"). The comparison does not look at which clips are real.

For every pair of clips, at 4 kHz and between 100 and 1500 Hz:

1. the cross-correlation of the whitened clips over all lags, by FFT, gives the lags that are worth a look
   (partly the phase transform of Knapp and Carter, IEEE Trans. ASSP 24, 1976);
2. at each of them the clips are correlated in windows of 1 s. Windows with a normalised correlation of .95
   and more, of either sign, are shared; neighbouring ones make a stretch.

Gain, polarity, dither and offsets of a fraction of a sample leave the correlation above that. Measured on 18
tracks of sequenced game music, in clips of 10 s with random gain, polarity and dither: no two clips of
different tracks shared a window (1,377 pairs; the highest correlation was .28). Of 2 s that two clips of a
track shared 17 of 18 were seen, of 1.5 s 16 of 18. Clips of one track that were cut apart shared 1 s to 3 s
in two tracks, and longer stretches than were cut in four: bars that a sequencer plays again from the same
samples, which are repetitions to the ear as well. A stretch must fill a window, so what is shorter than 1 s
passes unseen.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import fft, signal

from caw import audio

RATE = 4000  # Hz
BAND = (100.0, 1500.0)  # Hz; far enough below RATE / 2 that a shift of half a sample costs little
WINDOW = 1.0  # s
LEAST_CORRELATION = 0.95
_HOP = RATE // 20
_CANDIDATES = 24  # lags for a pair
_PROMISING = 0.7  # correlation at a whole lag from which its neighbours are looked at
_WHITENING = 0.8  # exponent; 1 would be the phase transform
_LEVELLED = RATE // 4  # samples over which the whitened sound is brought to one level
_QUIET = 1e-4  # of a clip's mean power: windows below it hold a pause or dither


@dataclass(frozen=True)
class Repeat:
    """Two clips, in the order of their names, and the longest stretch in one piece that they share."""

    first: Path
    second: Path
    seconds: float


@dataclass(frozen=True)
class _Clip:
    """sound: float32 [n] in the band, at RATE. energy: float64 [n + 1], of all samples before each."""

    sound: np.ndarray
    energy: np.ndarray

    @property
    def quiet(self) -> float:
        """The energy of a hop that holds a pause or dither."""
        return _QUIET * _HOP * float(self.energy[-1]) / len(self.sound)


def find(files: Sequence[Path]) -> list[Repeat]:
    """The pairs of files that share a stretch of sound, the longest stretch first.

    Clips shorter than 1.25 s are compared in windows of 0.8 of the shortest.
    """
    files = sorted(files, key=lambda file: (file.stem, str(file)))
    clips = [_read(file) for file in files]
    if len(clips) < 2:
        return []
    lengths = [len(clip.sound) for clip in clips]
    blocks = max(1, round(min(WINDOW, 0.8 * min(lengths) / RATE) * RATE / _HOP))
    size = fft.next_fast_len(2 * max(lengths), real=True)
    spectra = [fft.rfft(_levelled(clip.sound), size) for clip in clips]

    def of_row(first: int) -> list[Repeat]:
        shared = []
        for second in range(first + 1, len(clips)):
            lags = _lags(fft.irfft(spectra[first] * spectra[second].conj(), size))
            stretch = max(_stretch(clips[first], clips[second], lag, blocks) for lag in lags)
            if stretch:
                shared.append(Repeat(files[first], files[second], stretch * _HOP / RATE))
        return shared

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as workers:
        rows = list(workers.map(of_row, range(len(clips) - 1)))
    return sorted((repeat for row in rows for repeat in row), key=lambda repeat: -repeat.seconds)


def longest(files: Sequence[Path], repeats: Sequence[Repeat]) -> dict[Path, float]:
    """For each file the longest stretch, in s, that it shares with any other; 0 where it shares none."""
    seconds = dict.fromkeys(files, 0.0)
    for repeat in repeats:
        for file in (repeat.first, repeat.second):
            seconds[file] = max(seconds[file], repeat.seconds)
    return seconds


def _read(file: Path) -> _Clip:
    """The band of a file, raised by 6 dB an octave as music falls by about that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)
        samples, rate = audio.read(file)
    samples = audio.resample(samples, rate, RATE)
    band = signal.butter(4, BAND, "bandpass", fs=RATE, output="sos")
    sound = np.diff(signal.sosfilt(band, samples), prepend=0.0).astype(np.float32)
    return _Clip(sound, np.concatenate([[0.0], np.cumsum(sound**2, dtype=np.float64)]))


def _levelled(clip: np.ndarray) -> np.ndarray:
    """The clip with a flat spectrum and an even level, so that one loud note does not hide all others."""
    spectrum, frequencies = fft.rfft(clip), fft.rfftfreq(len(clip), 1 / RATE)
    size = np.abs(spectrum)
    inside = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    size = np.maximum(size, 1e-3 * size[inside].max(initial=1e-20))
    white = fft.irfft(np.where(inside, spectrum / size**_WHITENING, 0), len(clip))
    level = np.sqrt(signal.fftconvolve(white**2, np.full(_LEVELLED, 1 / _LEVELLED), "same").clip(0))
    return white / np.maximum(level, 1e-2 * level.max(initial=1e-20))


def _lags(correlation: np.ndarray) -> list[int]:
    """The lags (samples that the first clip is late) of the highest peaks of either sign."""
    height, size = np.abs(correlation), len(correlation)
    peaks = np.flatnonzero((height >= np.roll(height, 1)) & (height > np.roll(height, -1)))
    if not peaks.size:
        return [0]
    count = min(_CANDIDATES, peaks.size)
    highest = peaks[np.argpartition(height[peaks], -count)[-count:]]
    return [int(place) if place < size / 2 else int(place) - size for place in highest]


def _stretch(first: _Clip, second: _Clip, lag: int, blocks: int) -> int:
    """The longest run of shared sound at that lag, in hops; 0 where no window is shared."""
    peak = _in_windows(first, second, lag, blocks)
    if not peak.size or np.abs(peak).max() < _PROMISING:
        return 0
    before, after = (_in_windows(first, second, lag + step, blocks) for step in (-1, 1))
    count = min(map(len, (before, peak, after)))
    sign = np.sign(peak[:count])
    before, peak, after = (sign * side[:count] for side in (before, peak, after))
    bend = before - 2 * peak + after
    inside = (peak >= before) & (peak >= after) & (bend < -1e-9)
    raised = (after - before) ** 2 / (8 * np.where(inside, -bend, 1.0))  # a parabola through the three
    best = np.where(inside, peak + raised, np.maximum(before, after))
    shared = np.concatenate([[False], best >= LEAST_CORRELATION, [False]])
    starts, ends = np.flatnonzero(shared[1:] & ~shared[:-1]), np.flatnonzero(~shared[1:] & shared[:-1])
    return int((ends - starts).max() - 1 + blocks) if starts.size else 0


def _in_windows(first: _Clip, second: _Clip, lag: int, blocks: int) -> np.ndarray:
    """Normalised correlation of windows of `blocks` hops, a hop apart, over what overlaps at that lag."""
    start, end = max(0, lag), min(len(first.sound), len(second.sound) + lag)
    count = (end - start) // _HOP
    if count < blocks:
        return np.zeros(0)
    length = count * _HOP
    sides = ((first, start), (second, start - lag))
    sounds = [clip.sound[at : at + length] for clip, at in sides]
    products = np.concatenate([[0.0], np.cumsum((sounds[0] * sounds[1]).reshape(count, _HOP).sum(axis=1))])
    both = products[blocks:] - products[:-blocks]
    marks = [clip.energy[at : at + length + 1 : _HOP] for clip, at in sides]
    one, other = (energy[blocks:] - energy[:-blocks] for energy in marks)
    heard = (one > blocks * first.quiet) & (other > blocks * second.quiet)
    return np.where(heard, both / np.sqrt(np.maximum(one * other, 1e-30)), 0.0)
