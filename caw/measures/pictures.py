"""Pictures of clips one under the other: constant-Q spectrograms on one scale, with the beats drawn in.

A constant-Q spectrum has as many bins in every octave, so that music looks alike wherever it is played. It is
taken an octave at a time from sound at half the rate each time (Brown 1991; Schoerkhuber and Klapuri 2010);
`librosa.cqt` gives the same, after 1.5 s of start, or 16 where numba has kept nothing of it yet.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal

from caw import beats, features
from caw.files import atomic

BINS = 24  # an octave: two a semitone
LOWEST = 30.87  # Hz, B0: at 16 kHz there is room for 8 octaves
HOP = 0.016  # seconds
DEPTH = 60.0  # dB shown, from the loudest bin of all clips down
WIDTH, ROW, GAP, LEFT, HEAD = 1500, 2, 10, 44, 18  # px: the longest clip, a bin, between, and for words
TOGETHER = 5  # clips in one picture
TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000)  # Hz
# Lightness rises evenly from end to end, so a picture also reads in grey and for colour-blind readers.
RAMP = ("#0b0b1f", "#2b1d5c", "#5f2a7d", "#97387b", "#ca4c66", "#ee7550", "#f9ac5b", "#fbe3a4")
BEAT, BAR, WORDS, PAPER = (120, 220, 255), (255, 255, 255), (40, 40, 40), (255, 255, 255)
BEAT_SHARE, BAR_SHARE = 0.35, 0.8  # how much of a line's colour covers the picture


@dataclass(frozen=True)
class Row:
    """One clip of a picture. levels: dB [bins, frames], the lowest first; lines: seconds."""

    name: str
    levels: np.ndarray
    beats: np.ndarray
    bars: np.ndarray
    words: str  # of its beats


def constant_q(samples: np.ndarray, rate: float) -> np.ndarray:
    """Levels in dB re full scale [bins, frames] of samples [n] at `rate` Hz, 24 an octave from LOWEST up.

    A frame every HOP seconds, centred on it; whole octaves, as many as lie below half the rate.
    """
    octaves = int(np.log2(rate / 2 / LOWEST))
    frames = int(len(samples) / rate / HOP) + 1
    quality = 1 / (2 ** (1 / BINS) - 1)
    parts, sound, speed = [], np.asarray(samples, np.float32), float(rate)
    for octave in range(octaves - 1, -1, -1):
        while speed / 4 > LOWEST * 2 ** (octave + 1):
            sound, speed = signal.resample_poly(sound, 1, 2).astype(np.float32), speed / 2
        hertz = LOWEST * 2 ** (octave + np.arange(BINS) / BINS)
        lengths = np.rint(quality * speed / hertz).astype(int)
        size = int(lengths[0])
        kernel = np.zeros((size, BINS), np.complex64)
        for place, (length, pitch) in enumerate(zip(lengths, hertz, strict=True)):
            first = (size - length) // 2
            window = signal.get_window("hann", length)
            turn = np.exp(-2j * np.pi * pitch / speed * np.arange(length))
            kernel[first : first + length, place] = window / window.sum() * 2 * turn
        padded = np.pad(sound, (size // 2, size + round(HOP * speed)))
        views = np.lib.stride_tricks.sliding_window_view(padded, size)
        starts = np.minimum(np.rint(np.arange(frames) * HOP * speed).astype(int), len(views) - 1)
        parts.append(np.abs(views[starts] @ kernel).T)
    return 20 * np.log10(np.concatenate(parts[::-1]) + 1e-7)


def row(name: str, samples: np.ndarray, rate: int) -> Row:
    """A clip [n] at `rate` Hz, brought to an RMS level of 0.1, with its beats and bars."""
    samples = np.asarray(samples, np.float32)
    level = samples * (0.1 / max(float(np.sqrt(np.mean(samples**2))), 1e-9))
    grid = beats.grid(features.analyse(samples, rate))
    if grid.kind != "beats":
        return Row(name, constant_q(level, rate), np.zeros(0), np.zeros(0), "no clear beat")
    first = grid.bounds[:-1]
    bars = first[grid.places == 0] if grid.per_bar else np.zeros(0)
    words = f"{grid.tempo:.1f} beats a minute, " + (
        f"{grid.per_bar:g} in a bar" if grid.per_bar else "no bars"
    )
    return Row(name, constant_q(level, rate), first[grid.places % grid.per_beat == 0], bars, words)


def write(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write the first clip over the others as spectrograms-1.png and so on; returns the files.

    Raises: OSError.
    """
    first, others, files = rows[0], rows[1:], []
    for number, place in enumerate(range(0, len(others), TOGETHER - 1), start=1):
        file = folder / f"spectrograms-{number}.png"
        atomic.write(file, png([first, *others[place : place + TOGETHER - 1]]))
        files.append(file)
    return files


def png(rows: Sequence[Row]) -> bytes:
    """The clips one under the other on one axis of time, pitch and level, as a PNG file."""
    from PIL import Image, ImageDraw

    top = max(float(one.levels.max()) for one in rows)
    seconds = max(one.levels.shape[1] for one in rows) * HOP
    height = max(len(one.levels) for one in rows) * ROW
    step = HEAD + height + GAP
    sheet = np.full((step * len(rows) + HEAD, LEFT + WIDTH, 3), PAPER, np.uint8)
    for number, one in enumerate(rows):
        upper = number * step + HEAD
        sheet[upper : upper + len(one.levels) * ROW, LEFT:] = _painted(one, top, seconds)
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for number, one in enumerate(rows):
        upper = number * step + HEAD
        draw.text((LEFT, upper - HEAD + 3), f"{one.name}: {one.words}", fill=WORDS)
        for hertz in TICKS:
            place = upper + (len(one.levels) - np.log2(hertz / LOWEST) * BINS) * ROW
            if upper <= place <= upper + height:
                draw.text(
                    (4, place - 6), f"{hertz:g} Hz" if hertz < 1000 else f"{hertz // 1000} kHz", fill=WORDS
                )
    every = max(1, round(seconds / 25))
    for second in range(0, int(seconds) + 1, every):
        place = LEFT + second / seconds * WIDTH
        draw.text((min(place, LEFT + WIDTH - 24), step * len(rows) - GAP + 3), f"{second} s", fill=WORDS)
    coded = io.BytesIO()
    image.quantize(256, Image.Quantize.FASTOCTREE).save(coded, "PNG")
    return coded.getvalue()


def _painted(one: Row, top: float, seconds: float) -> np.ndarray:
    """The colours [height, WIDTH, 3] of a clip's picture; paper where the clip has ended."""
    frames = np.arange(WIDTH) / WIDTH * seconds / HOP
    there = frames < one.levels.shape[1]
    share = (one.levels[:, np.minimum(frames.astype(int), one.levels.shape[1] - 1)] - top) / DEPTH + 1
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in RAMP], float)
    place = np.clip(share, 0, 1) * (len(RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(RAMP)), stops[:, c]) for c in range(3)], axis=2)
    colours[:, ~there] = PAPER
    for lines, colour, covers in ((one.beats, BEAT, BEAT_SHARE), (one.bars, BAR, BAR_SHARE)):
        columns = np.unique((lines / seconds * WIDTH).astype(int))
        columns = columns[(columns >= 0) & (columns < WIDTH)]
        colours[:, columns] = (1 - covers) * colours[:, columns] + covers * np.array(colour, float)
    return np.repeat(colours[::-1], ROW, axis=0).round().astype(np.uint8)
