"""The sound of held tones: how long their partials last, how steady they are, how rough the tones are.

Each measure looks at one clip alone and is to be read beside the real clip's own value. Partials are peaks of
the spectrum that continue from frame to frame (McAulay and Quatieri 1986, "Speech analysis/synthesis based on
a sinusoidal representation").
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, signal

from caw.measures.spectra import TooShortError, rms, validated

WINDOW, HOP = 0.064, 0.016  # seconds
PADDING = 4  # times the window, so that peaks are placed well
FAINTEST_DB = -60.0  # dB re a sine of the clip's level; fainter peaks do not count
OVER_FRAME_DB = -50.0  # nor those so far under their frame's strongest
PROMINENCE_DB = 6.0  # over the median of the surroundings
BESIDE_HZ, BESIDE_DB = 80.0, -28.0  # nor what is so far under another: the window's side lobes
SURROUNDINGS = 250.0  # Hz
APART = 0.03  # largest change of frequency from frame to frame, as a share: half a semitone
LEAST_APART = 8.0  # Hz, for low partials: half a bin
LOW, MIDDLE, HIGH = (60.0, 500.0), (500.0, 2000.0), (2000.0, 6000.0)  # Hz
HELD = 6  # frames: 96 ms
LEAST_FRAMES = 50  # of partials, in a region
ROUGH, SLOW = (12.0, 60.0), (0.5, 8.0)  # Hz, of the envelope's spectrum
ENVELOPE_RATE = 200  # Hz
FRAMES_AT_ONCE = 512  # frames held as spectra


@dataclass(frozen=True)
class Tracks:
    """Spectral peaks in the order of their frames, and the tracks they form. All arrays are [peaks]."""

    frame: np.ndarray  # int
    frequency: np.ndarray  # Hz
    level: np.ndarray  # dB
    track: np.ndarray  # int: which track a peak belongs to


def tracks(x, rate) -> Tracks:
    """The partials of a clip [n] at `rate` Hz.

    Peaks of spectra of 64 ms every 16 ms are placed by a parabola. Two peaks of neighbouring frames are
    joined where each is the other's nearest and they are within 3 % (8 Hz for low ones).
    """
    x = validated(x, rate, "x")
    frame, frequency, level = _peaks(x, rate)
    track = np.arange(frame.size)
    ends = np.searchsorted(frame, np.arange(frame[-1] + 3 if frame.size else 2))
    for now in range(1, len(ends) - 1):
        a, b, c = ends[now - 1], ends[now], ends[now + 1]
        before, here = frequency[a:b], frequency[b:c]
        if not (before.size and here.size):
            continue
        nearest, back = _nearest(before, here), _nearest(here, before)
        mine = np.arange(here.size)
        apart = np.abs(before[nearest] - here)
        joined = (back[nearest] == mine) & (apart <= np.maximum(APART * here, LEAST_APART))
        track[b:c][joined] = track[a:b][nearest[joined]]
    return Tracks(frame, frequency, level, track)


def length(partials: Tracks, band: tuple[float, float]) -> float:
    """Mean length in ms of the tracks between band[0] and band[1] Hz, each weighted by its length.

    That is the length of the track that a random peak in the band is expected to belong to.
    """
    chosen = _within(partials, band)
    lengths = np.bincount(partials.track)[partials.track[chosen]]
    return float(1000 * HOP * lengths.mean())


def jitter(partials: Tracks, band: tuple[float, float] = LOW) -> float:
    """Median absolute second difference of the level along held partials, in dB per 16 ms.

    A partial is held if its track lasts 96 ms or more.
    """
    chosen = _within(partials, band)
    lengths = np.bincount(partials.track)
    chosen = chosen[lengths[partials.track[chosen]] >= HELD]
    order = chosen[np.lexsort((partials.frame[chosen], partials.track[chosen]))]
    track, frame, level = partials.track[order], partials.frame[order], partials.level[order]
    runs = (track[2:] == track[:-2]) & (frame[2:] - frame[:-2] == 2)
    second = np.abs(level[2:] - 2 * level[1:-1] + level[:-2])[runs]
    if second.size < LEAST_FRAMES:
        raise TooShortError("too few held partials", "give a clip with longer tones")
    return float(np.median(second))


def roughness(x, rate, band: tuple[float, float] = MIDDLE) -> float:
    """Power of the envelope at 12 to 60 Hz over that at 0.5 to 8 Hz, in dB, of the sound from 500 to 2000 Hz.

    The envelope is the magnitude of the analytic signal. Sound that flickers is rough, held tones are not.
    """
    x = validated(x, rate, "x")
    if x.size < 2 / SLOW[0] * rate / 2:
        raise TooShortError(f"{x.size / rate:.1f} s are too short for roughness", "give 2 s")
    if band[1] > 0.95 * rate / 2:
        raise TooShortError(f"a rate of {rate:g} Hz holds nothing up to {band[1]:g} Hz")
    sound = signal.sosfiltfilt(signal.butter(4, band, "band", fs=rate, output="sos"), x)
    envelope = np.abs(signal.hilbert(sound, fft.next_fast_len(x.size))[: x.size])
    every = max(1, int(rate / ENVELOPE_RATE))
    envelope = envelope[: envelope.size // every * every].reshape(-1, every).mean(axis=1)
    speed = rate / every
    frequency, power = signal.welch(envelope, speed, nperseg=min(envelope.size, round(4 * speed)))
    rough, slow = (power[(frequency >= low) & (frequency <= high)].sum() for low, high in (ROUGH, SLOW))
    return float(10 * np.log10((rough + 1e-30) / (slow + 1e-30)))


def _within(partials: Tracks, band) -> np.ndarray:
    chosen = np.flatnonzero((partials.frequency >= band[0]) & (partials.frequency < band[1]))
    if chosen.size < LEAST_FRAMES:
        raise TooShortError(f"no partials between {band[0]:g} and {band[1]:g} Hz")
    return chosen


def _nearest(among: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each of `of`, the index of the nearest in ascending `among`."""
    after = np.clip(np.searchsorted(among, of), 1, max(1, among.size - 1))
    if among.size == 1:
        return np.zeros(of.size, int)
    return np.where(of - among[after - 1] < among[after] - of, after - 1, after)


def _peaks(x: np.ndarray, rate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, frequency in Hz and level in dB of every peak, by frame and then by frequency."""
    size, hop = round(WINDOW * rate), max(1, round(HOP * rate))
    long = fft.next_fast_len(PADDING * size, real=True)
    window = signal.get_window("hann", size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x / rms(x), size // 2), size)[::hop]
    low, high = int(LOW[0] * long / rate), min(int(HIGH[1] * 1.05 * long / rate), long // 2 - 1)
    wide = max(3, round(SURROUNDINGS * long / rate) // PADDING) | 1
    parts = []
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        spectra = np.abs(fft.rfft(frames[first : first + FRAMES_AT_ONCE] * window, long, axis=1))[
            :, : high + 2
        ]
        level = 20 * np.log10(spectra * (2**0.5 * 2 / window.sum()) + 1e-9)
        around = ndimage.median_filter(level[:, ::PADDING], (1, wide))
        around = np.repeat(around, PADDING, axis=1)[:, : level.shape[1]]
        left, there, right = level[:, low - 1 : high], level[:, low : high + 1], level[:, low + 1 : high + 2]
        least = np.maximum(FAINTEST_DB, there.max(axis=1, keepdims=True) + OVER_FRAME_DB)
        peak = (there > left) & (there >= right) & (there > least)
        peak &= there > around[:, low : high + 1] + PROMINENCE_DB
        beside = ndimage.maximum_filter1d(level, 2 * round(BESIDE_HZ * long / rate) + 1, axis=1)
        peak &= there > beside[:, low : high + 1] + BESIDE_DB
        frame, place = np.nonzero(peak)
        a, b, c = left[peak], there[peak], right[peak]
        shift = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)
        parts.append((first + frame, (low + place + shift) * rate / long, b - 0.25 * (a - c) * shift))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
