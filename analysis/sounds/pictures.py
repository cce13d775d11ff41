"""What the pictures of a clip show: arrays in, tidy frames and grids out, and grids as small PNG pictures.

Conventions: x is float [n] at `rate` Hz, at the level at which it is to be shown; times are in seconds from
the clip's start, levels in dB relative to full scale, tempi in beats per minute. The spectrogram is that of
`caw.measures`, so that pictures and measures speak of the same thing.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image
from scipy import fft, signal

from caw import features
from caw.measures import spectra
from caw.measures.pictures import RAMP

COLUMNS = 900  # of a picture at most; a screen shows no more
SPECTRUM_WINDOW = 0.25  # seconds
BANDS_PER_OCTAVE = 6
LOWEST, REFERENCE = 40.0, 1000.0  # Hz
QUIETEST = -110.0  # dB; nothing below it is shown
TEMPI = (40.0, 240.0)  # beats per minute, as `caw.measures.rhythm` looks for
TEMPO_ROWS = 96
TEMPO_WINDOW, TEMPO_HOP = 6.0, 0.1  # seconds


@dataclass(frozen=True)
class Heatmap:
    """A picture: values [rows, columns]; rows from low to high at `rows`, columns evenly over `seconds`."""

    values: np.ndarray
    rows: np.ndarray
    seconds: float


def waveform(x: np.ndarray, rate: int) -> pd.DataFrame:
    """Lowest and highest sample of each of up to 900 stretches: time (its middle), low, high."""
    edges = np.unique(np.linspace(0, x.size, min(COLUMNS, x.size) + 1).astype(int))
    low, high = np.minimum.reduceat(x, edges[:-1]), np.maximum.reduceat(x, edges[:-1])
    return pd.DataFrame({"time": (edges[:-1] + edges[1:]) / 2 / rate, "low": low, "high": high})


def long_term_spectrum(x: np.ndarray, rate: int) -> pd.DataFrame:
    """Mean power over the whole clip in sixths of an octave: frequency (Hz, the centre), level (dB).

    Welch's estimate with Hann windows of 0.25 s (Welch 1967); a full-scale sine has -3 dB in its band. The
    centres are 1000 Hz times powers of 2 ** (1 / 6), from 40 Hz to the last band that the rate can carry.
    """
    size = min(x.size, round(SPECTRUM_WINDOW * rate))
    frequencies, density = signal.welch(np.asarray(x, np.float64), rate, nperseg=size)
    step = frequencies[1]
    within = np.concatenate([[0.0], np.cumsum(density) * step])  # power below each edge between two bins
    edges = np.concatenate([frequencies - step / 2, [frequencies[-1] + step / 2]])
    half = 2 ** (0.5 / BANDS_PER_OCTAVE)
    first = np.ceil(BANDS_PER_OCTAVE * np.log2(LOWEST / REFERENCE))
    last = np.floor(BANDS_PER_OCTAVE * np.log2(rate / 2 / half / REFERENCE) + 1e-9)
    centres = REFERENCE * 2 ** (np.arange(first, last + 1) / BANDS_PER_OCTAVE)
    power = np.interp(centres * half, edges, within) - np.interp(centres / half, edges, within)
    level = 10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))
    return pd.DataFrame({"frequency": centres, "level": level})


def mel_spectrogram(x: np.ndarray | spectra.AnalysedClip, rate: int) -> Heatmap:
    """Level in dB in mel bands over time, as `spectra.log_mel`, at the clip's own level; rows in Hz."""
    levels = spectra.log_mel(x, rate)
    samples = spectra.validated(x, rate, "x")
    centres = features.mel_frequencies(len(levels) + 2, 0, rate / 2)[1:-1]
    shown = pooled(levels, np.mean) + 20 * np.log10(spectra.rms(samples))
    return Heatmap(shown, centres, samples.size / rate)


def onset_envelope(x: np.ndarray | spectra.AnalysedClip, rate: int) -> pd.DataFrame:
    """How much louder the mel bands become from frame to frame, on average: time, rise (dB per 16 ms)."""
    rise = spectra.onset_curve(x, rate)
    shown = pooled(rise[None, :], np.max)[0]
    seconds = rise.size / spectra.frames_per_second(rate)
    return pd.DataFrame({"time": (np.arange(shown.size) + 0.5) * seconds / shown.size, "rise": shown})


def tempogram(x: np.ndarray | spectra.AnalysedClip, rate: int) -> Heatmap:
    """Autocorrelation of the onset envelope in windows of 6 s (or the clip), by tempo over time; 0 to 1.

    The autocorrelation tempogram of Grosche, Mueller and Kurth 2010 ("Cyclic tempogram: a mid-level tempo
    representation for music signals", section 2.2). It is tapered, so that of a beat and its multiples the
    beat itself is strongest. Rows are tempi in beats per minute, evenly spaced in octaves.
    """
    rise = spectra.onset_curve(x, rate)
    rise = rise - rise.mean()
    frames = spectra.frames_per_second(rate)
    tempi = np.geomspace(*TEMPI, TEMPO_ROWS)
    size, hop = min(rise.size, round(TEMPO_WINDOW * frames)), max(1, round(TEMPO_HOP * frames))
    padded = np.pad(rise, size // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size + 2)[1:-1]
    length = fft.next_fast_len(2 * size + int(60 / TEMPI[0] * frames) + 2, real=True)
    correlation = fft.irfft(np.abs(fft.rfft(windows, length, axis=1)) ** 2, axis=1)
    correlation /= np.maximum(correlation[:, :1], 1e-9)
    lags = 60 * frames / tempi
    below = lags.astype(int)
    part = lags - below
    strength = correlation[:, below] * (1 - part) + correlation[:, below + 1] * part
    seconds = spectra.validated(x, rate, "x").size / rate
    return Heatmap(pooled(np.clip(strength.T, 0, 1), np.mean), tempi, seconds)


def strongest_tempo(heatmap: Heatmap) -> float:
    """The tempo (beats per minute) that is strongest in a tempogram on average over the clip."""
    return float(heatmap.rows[heatmap.values.mean(axis=1).argmax()])


def pooled(values: np.ndarray, how) -> np.ndarray:
    """Values [rows, columns] with at most 900 columns, neighbours joined by `how` (np.mean, np.max)."""
    count = values.shape[1]
    if count <= COLUMNS:
        return values
    edges = np.linspace(0, count, COLUMNS + 1).astype(int)
    return np.stack([how(values[:, a:b], axis=1) for a, b in zip(edges, edges[1:], strict=False)], axis=1)


def data_url(values: np.ndarray, low: float, high: float) -> str:
    """Values [rows, columns] as a data URL of a PNG, the first row at the bottom; low to high is the ramp."""
    return f"data:image/png;base64,{base64.b64encode(png(values, low, high)).decode()}"


def png(values: np.ndarray, low: float, high: float) -> bytes:
    """The picture as a PNG file with a palette of 256 colours."""
    share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-12)
    picture = Image.fromarray(np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)[::-1], "L")
    picture.putpalette(palette().tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def palette() -> np.ndarray:
    """The ramp as [256, 3] bytes."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in RAMP], float)
    place = np.linspace(0, len(RAMP) - 1, 256)
    channels = [np.interp(place, np.arange(len(RAMP)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
