"""What is played: tempo, pitch classes and key."""

import numpy as np
from scipy import fft, signal

from caw.measures import yardstick

TEMPI = (40.0, 240.0)  # beats per minute that are looked for
USUAL_TEMPO, TEMPO_SPREAD = 120.0, 1.0  # centre and width (octaves) of the preference among them
SHORTEST = 3.0  # seconds: the longest beat, twice
METRIC_LEVELS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)  # that count as the same tempo
WINDOW, HOP = 0.3, 0.1  # seconds, of the spectra in which pitches are sought
PITCHES = (60.0, 5000.0)  # Hz
PEAK_DB = -40.0  # dB below its frame's strongest bin; a peak under it is no pitch
AT_ONCE = 128  # frames held as spectra
A4 = 440.0  # Hz
# How well each pitch class, from the tonic up, fits a key: probe-tone ratings of Krumhansl and Kessler 1982,
# as in Krumhansl 1990, "Cognitive foundations of musical pitch", table 2.1.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
CLEAR_KEY = 0.5  # correlation with a key's profile; below it no key is named


def tempo(x, rate) -> float:
    """Beats per minute: the strongest lag of the onset envelope's autocorrelation.

    Peaks at lags of 40 to 240 beats per minute are weighted by a log-normal curve around 120 with a width of
    an octave (Ellis 2007, "Beat tracking by dynamic programming"), the best is refined by a parabola. The
    metric level is a guess, as it is for people; `tempo_error` allows for it.
    """
    size = yardstick.validated(x, rate, "x").size
    if size < SHORTEST * rate:
        told = f"{size / rate:.2f} s are too short for a tempo"
        raise yardstick.TooShortError(f"{told}; give a clip of at least {SHORTEST:g} s")
    lags, frames = yardstick.onset_autocorrelation(x, rate, longest=60 / TEMPI[0] + 0.1)
    low, high = int(np.ceil(60 / TEMPI[1] * frames)), int(60 / TEMPI[0] * frames)
    place = np.arange(low, high + 1)
    octaves = np.log2(60 * frames / place / USUAL_TEMPO)
    there = lags[low : high + 1]
    is_peak = (there > lags[low - 1 : high]) & (there >= lags[low + 1 : high + 2])
    weight = np.where(is_peak, np.exp(-0.5 * (octaves / TEMPO_SPREAD) ** 2), 0)
    best = place[np.argmax(np.maximum(there, 0) * weight)]
    if not is_peak[best - low]:
        raise yardstick.TooShortError("no onset comes back within 1.5 s; give a longer clip")
    before, there, after = lags[best - 1 : best + 2]
    bend = before - 2 * there + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(60 * frames / (best + np.clip(shift, -0.5, 0.5)))


def tempo_error(real, fake, rate) -> float:
    """How far the generated clip's tempo is from the real one's, in per cent, at the nearest metric level.

    A half, a third, twice or three times the tempo is the same tempo, as in the second accuracy of Gouyon et
    al. 2006 ("An experimental comparison of audio tempo induction algorithms"), where 4 % passes.
    """
    ratio = tempo(fake, rate) / tempo(real, rate)
    return float(100 * min(abs(ratio * level - 1) for level in METRIC_LEVELS))


def chroma(x, rate) -> np.ndarray:
    """Shares [12] of the pitch classes C, C#, ... B over the whole clip.

    From the peaks of spectra of 0.3 s, every 0.1 s, between 60 and 5000 Hz, each placed by a parabola, shared
    between the two nearest semitones (440 Hz is A) and weighted by its amplitude over the sum of its frame's
    (a form of Gomez 2006, "Tonal description of music audio signals", section 3.2). Frames 40 dB under the
    clip's level do not count.
    """
    x = yardstick.validated(x, rate, "x")
    size, hop = round(WINDOW * rate), max(1, round(HOP * rate))
    if x.size < size:
        raise yardstick.TooShortError(f"{x.size / rate:.2f} s are too short for pitches; give {WINDOW:g} s")
    frames = np.lib.stride_tricks.sliding_window_view(x / yardstick.rms(x), size)[::hop]
    window = signal.get_window("hann", size).astype(np.float32)
    shares = np.zeros(12)
    for first in range(0, len(frames), AT_ONCE):
        part = frames[first : first + AT_ONCE]
        heard = np.sqrt(np.mean(part**2, axis=1)) > 10 ** (yardstick.QUIET_DB / 20)
        shares += _pitch_classes(part[heard] * window, rate)
    total = shares.sum()
    if not total:
        raise yardstick.TooShortError("no pitch was found between 60 and 5000 Hz")
    return shares / total


def chroma_distance(real, fake, rate) -> float:
    """Share of the pitch classes' weight that would have to move: 0 for the same mix, 1 for none in common.

    Half the sum of the absolute differences of `chroma` (total variation). Transposed music is far away.
    """
    return float(0.5 * np.abs(chroma(real, rate) - chroma(fake, rate)).sum())


def key(x, rate) -> tuple[int, str] | None:
    """The key as (tonic, "major" or "minor"), the tonic in semitones from C; None where none is clear.

    Krumhansl and Schmuckler's algorithm (Krumhansl 1990, chapter 4): the key whose profile, turned to its
    tonic, correlates best with the shares of the pitch classes over the whole clip.
    """
    shares = chroma(x, rate)
    fits = {
        (tonic, mode): float(np.corrcoef(np.roll(profile, tonic), shares)[0, 1])
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] >= CLEAR_KEY else None


def _pitch_classes(frames: np.ndarray, rate: float) -> np.ndarray:
    """Sum over windowed frames [count, n] of each frame's shares [12]."""
    size = fft.next_fast_len(2 * frames.shape[1], real=True)
    levels = 20 * np.log10(np.abs(fft.rfft(frames, size, axis=1)) + 1e-9)
    low = max(1, int(np.ceil(PITCHES[0] * size / rate)))
    high = min(levels.shape[1] - 1, int(PITCHES[1] * size / rate))
    left, there, right = levels[:, low - 1 : high - 1], levels[:, low:high], levels[:, low + 1 : high + 1]
    is_peak = (there > left) & (there >= right) & (there > levels.max(axis=1, keepdims=True) + PEAK_DB)
    frame, place = np.nonzero(is_peak)
    before, top, after = left[is_peak], there[is_peak], right[is_peak]
    bins = low + place + 0.5 * (before - after) / (before - 2 * top + after)
    semitone = (69 + 12 * np.log2(bins * rate / size / A4)) % 12
    amplitude = 10 ** (top / 20)
    weight = amplitude / np.bincount(frame, amplitude, minlength=len(frames))[frame]
    upper = semitone % 1
    shares = np.bincount(semitone.astype(int) % 12, weight * (1 - upper), minlength=12)
    return shares + np.bincount((semitone.astype(int) + 1) % 12, weight * upper, minlength=12)
