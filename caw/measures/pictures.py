"""Pictures of clips one under the other: constant-Q spectrograms on one scale, with the beats drawn in.

A constant-Q spectrum has as many bins in every octave (Brown 1991), so that music looks alike at any pitch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caw import beats, features
from caw.files import atomic

BINS = 24  # an octave: two a semitone
LOWEST = 30.87  # Hz, B0: at 16 kHz there is room for 8 octaves
HOP = 0.016  # seconds
DEPTH = 60.0  # dB shown, from the loudest bin of all clips down
WIDTH, ROW, GAP, LEFT, HEAD = 1500, 2, 10, 44, 18  # px: the longest clip, a bin, between, and for captions
TOGETHER = 5  # clips in clip picture
TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000)  # Hz
# Lightness rises evenly from end to end, so a picture also reads in grey and for colour-blind readers.
RAMP = ("#0b0b1f", "#2b1d5c", "#5f2a7d", "#97387b", "#ca4c66", "#ee7550", "#f9ac5b", "#fbe3a4")
BEAT, BAR, INK, PAPER = (120, 220, 255), (255, 255, 255), (40, 40, 40), (255, 255, 255)
BEAT_SHARE, BAR_SHARE = 0.35, 0.8  # how much of a line's colour covers the picture


@dataclass(frozen=True)
class PictureRow:
    """One clip of a picture."""

    name: str
    levels: np.ndarray  # dB [bins, frames], the lowest bin first
    beats: np.ndarray  # seconds
    bars: np.ndarray  # seconds
    caption: str  # its tempo and metre


def constant_q(samples: np.ndarray, rate: float) -> np.ndarray:
    """Levels in dB re full scale [bins, frames] of samples [n] at `rate` Hz, 24 bins an octave from LOWEST.

    There is a frame every HOP seconds, and as many whole octaves as lie below half the rate.
    """
    import librosa  # takes a second to load, and several the first time

    bins = int(np.log2(rate / 2 / LOWEST)) * BINS
    hop = max(32, round(HOP * rate / 32) * 32)  # samples; halved with the rate from octave to octave
    scale = {"fmin": LOWEST, "n_bins": bins, "bins_per_octave": BINS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of clips that are shorter than the longest window
        spectrum = librosa.cqt(np.asarray(samples, np.float32), sr=rate, hop_length=hop, **scale)
    quality = 1 / (2 ** (1 / BINS) - 1)
    periods = quality * rate / (LOWEST * 2 ** (np.arange(bins) / BINS))  # samples of each bin's window
    amplitude = np.abs(spectrum) * 2 / np.sqrt(periods)[:, None]
    times = np.arange(int(len(samples) / rate / HOP) + 1) * HOP
    nearest = np.minimum(np.rint(times * rate / hop).astype(int), amplitude.shape[1] - 1)
    return 20 * np.log10(amplitude[:, nearest] + 1e-7)


def row(name: str, samples: np.ndarray, rate: int) -> PictureRow:
    """A clip [n] at `rate` Hz, brought to an RMS level of 0.1, with its beats and bars."""
    samples = np.asarray(samples, np.float32)
    level = samples * (0.1 / max(float(np.sqrt(np.mean(samples**2))), 1e-9))
    grid = beats.beat_grid(features.analyse(samples, rate))
    if grid.kind != "beats":
        return PictureRow(name, constant_q(level, rate), np.zeros(0), np.zeros(0), "no clear beat")
    first = grid.bounds[:-1]
    bars = first[grid.places == 0] if grid.per_bar else np.zeros(0)
    caption = f"{grid.tempo:.1f} beats a minute, " + (
        f"{grid.per_bar:g} in a bar" if grid.per_bar else "no bars"
    )
    return PictureRow(name, constant_q(level, rate), first[grid.places % grid.per_beat == 0], bars, caption)


def write(folder: Path, rows: Sequence[PictureRow]) -> list[Path]:
    """Write pictures of the first clip above the others, spectrograms-1.png and so on; return the files."""
    first, others, files = rows[0], rows[1:], []
    for number, place in enumerate(range(0, len(others), TOGETHER - 1), start=1):
        file = folder / f"spectrograms-{number}.png"
        atomic.write(file, png([first, *others[place : place + TOGETHER - 1]]))
        files.append(file)
    return files


def png(rows: Sequence[PictureRow]) -> bytes:
    """A PNG file of the clips one under the other, on one scale of time, pitch and level."""
    from PIL import Image, ImageDraw

    top = max(float(clip.levels.max()) for clip in rows)
    seconds = max(clip.levels.shape[1] for clip in rows) * HOP
    height = max(len(clip.levels) for clip in rows) * ROW
    step = HEAD + height + GAP
    sheet = np.full((step * len(rows) + HEAD, LEFT + WIDTH, 3), PAPER, np.uint8)
    for number, clip in enumerate(rows):
        upper = number * step + HEAD
        sheet[upper : upper + len(clip.levels) * ROW, LEFT:] = _painted(clip, top, seconds)
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for number, clip in enumerate(rows):
        upper = number * step + HEAD
        draw.text((LEFT, upper - HEAD + 3), f"{clip.name}: {clip.caption}", fill=INK)
        for hertz in TICKS:
            place = upper + (len(clip.levels) - np.log2(hertz / LOWEST) * BINS) * ROW
            if upper <= place <= upper + height:
                draw.text(
                    (4, place - 6), f"{hertz:g} Hz" if hertz < 1000 else f"{hertz // 1000} kHz", fill=INK
                )
    every = max(1, round(seconds / 25))
    for second in range(0, int(seconds) + 1, every):
        place = LEFT + second / seconds * WIDTH
        draw.text((min(place, LEFT + WIDTH - 24), step * len(rows) - GAP + 3), f"{second} s", fill=INK)
    coded = io.BytesIO()
    image.quantize(256, Image.Quantize.FASTOCTREE).save(coded, "PNG")
    return coded.getvalue()


def _painted(clip: PictureRow, top: float, seconds: float) -> np.ndarray:
    """The colours [height, WIDTH, 3] of a clip's picture, blank after the clip's end."""
    frames = np.arange(WIDTH) / WIDTH * seconds / HOP
    there = frames < clip.levels.shape[1]
    share = (clip.levels[:, np.minimum(frames.astype(int), clip.levels.shape[1] - 1)] - top) / DEPTH + 1
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in RAMP], float)
    place = np.clip(share, 0, 1) * (len(RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(RAMP)), stops[:, c]) for c in range(3)], axis=2)
    colours[:, ~there] = PAPER
    for lines, colour, covers in ((clip.beats, BEAT, BEAT_SHARE), (clip.bars, BAR, BAR_SHARE)):
        columns = np.unique((lines / seconds * WIDTH).astype(int))
        columns = columns[(columns >= 0) & (columns < WIDTH)]
        colours[:, columns] = (1 - covers) * colours[:, columns] + covers * np.array(colour, float)
    return np.repeat(colours[::-1], ROW, axis=0).round().astype(np.uint8)
