"""Rhythm: tempo, how clear the pulse is, and how hard and how much together the bands attack.

`pulse`, `bar_autocorrelation`, `sync` and `attack` look at one clip alone and are to be read beside the real
clip's own values; the others compare two clips.
"""

import numpy as np
from scipy import ndimage, signal

from caw.measures.copying import STEADY
from caw.measures.spectra import (
    TooShortError,
    frames_per_second,
    onset_autocorrelation,
    onset_curve,
    require_one_length,
    rms,
    validated,
)

TEMPI = (40.0, 240.0)  # beats per minute that are looked for
USUAL_TEMPO, TEMPO_SPREAD = 120.0, 1.0  # centre and width (octaves) of the preference among them
SHORTEST_FOR_TEMPO = 3.0  # seconds: the longest beat, twice
METRIC_LEVELS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)  # multiples that count as the same tempo
RHYTHM_LAGS = (0.1, 2.0)  # seconds, of `onset_distance`
PULSE_LAGS = (0.25, 1.5)  # seconds: a beat and its halves and doubles
BAR_LAGS = (1.0, 6.0)  # seconds: a bar, or two
SYNC_BANDS = (60.0, 150.0, 350.0, 800.0, 1800.0, 3800.0, 7600.0)  # Hz, edges of six bands
SYNC_WINDOW, SYNC_HOP = 0.032, 0.016  # seconds
SYNC_FLOOR_DB = -40.0  # dB below a band's own mean level; fainter is as good as silent
LEAST_BANDS = 3  # with sound in them
ATTACK_ABOVE = 4000.0  # Hz
ATTACK_WINDOW, ATTACK_HOP = 0.008, 0.004  # seconds
BEFORE, AFTER = (-0.064, -0.02), (-0.012, 0.04)  # seconds around an onset
ONSET_APART = 0.1  # seconds
FAINTEST_DB = -60.0  # dB re the clip's level; fainter is as good as silent
LEAST_ONSETS = 4


def tempo(x, rate) -> float:
    """Beats per minute: the strongest lag of the onset envelope's autocorrelation.

    Peaks at lags of 40 to 240 beats per minute are weighted by a log-normal curve around 120 with a width of
    an octave (Ellis 2007, "Beat tracking by dynamic programming"); the best is refined by a parabola. The
    metric level is a guess, as it is for people; `tempo_error` allows for it.
    """
    size = validated(x, rate, "x").size
    if size < SHORTEST_FOR_TEMPO * rate:
        problem = f"{size / rate:.2f} s are too short for a tempo"
        raise TooShortError(problem, f"give a clip of at least {SHORTEST_FOR_TEMPO:g} s")
    lags, frames = onset_autocorrelation(x, rate, longest=60 / TEMPI[0] + 0.1)
    low, high = int(np.ceil(60 / TEMPI[1] * frames)), int(60 / TEMPI[0] * frames)
    place = np.arange(low, high + 1)
    octaves = np.log2(60 * frames / place / USUAL_TEMPO)
    there = lags[low : high + 1]
    is_peak = (there > lags[low - 1 : high]) & (there >= lags[low + 1 : high + 2])
    weight = np.where(is_peak, np.exp(-0.5 * (octaves / TEMPO_SPREAD) ** 2), 0)
    best = place[np.argmax(np.maximum(there, 0) * weight)]
    if not is_peak[best - low]:
        raise TooShortError("no onset comes back within 1.5 s", "give a longer clip")
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


def onset_distance(real, fake, rate) -> float:
    """Mean absolute difference of the onset curves' autocorrelations at lags from 0.1 to 2 s."""
    curves = []
    for x in (real, fake):
        correlation, frames = onset_autocorrelation(x, rate, longest=RHYTHM_LAGS[1])
        curves.append(correlation[round(RHYTHM_LAGS[0] * frames) :])
    return float(np.mean(np.abs(curves[0] - curves[1])))


def pulse(x, rate) -> float:
    """How clearly the onsets come back from beat to beat, 0 to 1.

    That is the highest autocorrelation of the onset curve at lags of 0.25 to 1.5 s.
    """
    return _highest(x, rate, PULSE_LAGS)


def bar_autocorrelation(x, rate) -> float:
    """How clearly the onsets come back from bar to bar: as `pulse`, at lags of 1 to 6 s."""
    return _highest(x, rate, BAR_LAGS)


def sync(x, rate) -> float:
    """How far the bands strike together: mean correlation between the rises of six bands' levels, -1 to 1.

    The bands lie between 60 and 7600 Hz, 1.2 octaves each, as far as the rate reaches. Levels are in dB, of
    windows of 32 ms every 16 ms. A band that is silent throughout is left out.
    """
    x = validated(x, rate, "x")
    edges = [edge for edge in SYNC_BANDS if edge <= 0.95 * rate / 2]
    rises = []
    for low, high in zip(edges, edges[1:], strict=False):
        power = _power(x, rate, low, high, SYNC_WINDOW, SYNC_HOP)
        if power.mean() > 10 ** (FAINTEST_DB / 10) * rms(x) ** 2:
            level = 10 * np.log10(power / power.mean() + 10 ** (SYNC_FLOOR_DB / 10))
            rises.append(np.maximum(0, np.diff(level)))
    if len(rises) < LEAST_BANDS:
        raise TooShortError(f"only {len(rises)} bands hold sound", f"{LEAST_BANDS} are compared")
    pairs = np.corrcoef(rises)[np.triu_indices(len(rises), 1)]
    return float(np.nan_to_num(pairs).mean())


def attack(x, rate) -> float:
    """How far the level above 4 kHz rises at onsets, in dB.

    Onsets are peaks of the onset curve one deviation over its mean, 0.1 s apart or more. The rise is the
    highest level in windows of 8 ms from 12 ms before to 40 ms after an onset, over the median from 64 to
    20 ms before it; the result is the mean over all onsets. Raises TooShortError for a clip with few onsets,
    and at rates under 10 kHz.
    """
    x = validated(x, rate, "x")
    if rate < 2.5 * ATTACK_ABOVE:
        raise TooShortError(f"a rate of {rate:g} Hz holds too little above {ATTACK_ABOVE:g} Hz")
    curve = ndimage.gaussian_filter1d(onset_curve(x, rate), 0.5)
    frames = frames_per_second(rate)
    least = curve.mean() + curve.std()
    peaks, _ = signal.find_peaks(curve, height=least, distance=max(1, round(ONSET_APART * frames)))
    power = _power(x, rate, ATTACK_ABOVE, 0.95 * rate / 2, ATTACK_WINDOW, ATTACK_HOP)
    level = 10 * np.log10(power / rms(x) ** 2 + 10 ** (FAINTEST_DB / 10))
    rises = []
    for second in (peaks + 0.5) / frames:
        before, after = (
            level[max(0, round((second + first) / ATTACK_HOP)) : max(0, round((second + last) / ATTACK_HOP))]
            for first, last in (BEFORE, AFTER)
        )
        if before.size and after.size:
            rises.append(after.max() - np.median(before))
    if len(rises) < LEAST_ONSETS:
        raise TooShortError(f"{len(rises)} onsets are too few", f"{LEAST_ONSETS} are needed")
    return float(np.mean(rises))


def same_onsets(real, fake, rate) -> float:
    """Correlation of the onset curves of two clips at the same moment, -1 to 1.

    Raises TooShortError where one clip is longer than the other.
    """
    require_one_length(real, fake, rate)
    curves = [onset_curve(x, rate) for x in (real, fake)]
    size = min(curve.size for curve in curves)
    if min(curve.std() for curve in curves) < STEADY:
        raise TooShortError("a clip is steady throughout", "give one in which something happens")
    return float(np.corrcoef(curves[0][:size], curves[1][:size])[0, 1])


def _highest(x, rate, lags) -> float:
    """The highest autocorrelation of the onset curve between two lags, each lag by the energy it overlaps."""
    curve = onset_curve(x, rate)
    frames = frames_per_second(rate)
    low, high = round(lags[0] * frames), round(lags[1] * frames)
    high = min(high, curve.size // 2)
    if high <= low:
        problem = f"{curve.size / frames:.1f} s are too short for lags of {lags[0]:g} s"
        raise TooShortError(problem, f"give a clip of at least {2 * lags[0]:g} s")
    curve = curve - curve.mean()
    size = curve.size
    back = np.fft.irfft(np.abs(np.fft.rfft(curve, 2 * size)) ** 2)[: high + 1]
    squares = np.concatenate([[0.0], np.cumsum(curve**2)])
    place = np.arange(low, high + 1)
    norm = np.sqrt(squares[size - place] * (squares[size] - squares[place]))
    return float((back[low:] / np.maximum(norm, 1e-12)).max())


def _power(x, rate, low: float, high: float, window: float, hop: float) -> np.ndarray:
    """Mean square of x between low and high Hz in windows every `hop` seconds, centred on their time."""
    band = signal.sosfiltfilt(signal.butter(4, (low, high), "band", fs=rate, output="sos"), x)
    total = np.concatenate([[0.0], np.cumsum(band**2)])
    middle = np.rint(np.arange(int(x.size / rate / hop)) * hop * rate).astype(int)
    half = max(1, round(window * rate / 2))
    first, last = np.maximum(middle - half, 0), np.minimum(middle + half, x.size)
    return np.maximum(total[last] - total[first], 0) / (last - first)
