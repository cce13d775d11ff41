"""What the sound of one stimulus file measures, apart from how it is listened to: floats by property name.

The conventions: levels in dB relative to full scale, frequencies in Hz, times in s; all channels are averaged
but for exact zeros, which must be zero in each. NaN where a clip does not show a property, as the band
edge of a clip whose highest tones sink into the dither before any cut could be seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import signal

from analysis import loudness
from caw.files import sound_files
from study.audit import trace_properties

_FLOOR_DB = -80.0  # offsets under it are below what any loudspeaker moves by
_SILENT_DB = -60.0  # dBFS; leading and trailing sound below it counts as silence
_FRAME = 0.02  # s
_CLIFF_DB = 18.0  # a fall so deep within a whole tone's width is a filter's, not an instrument's
_LOWEST_EDGE = 1000.0  # Hz; below it, single notes make cliffs of their own
_SLOPE_BAND = (100.0, 0.4)  # Hz, and share of the rate: where the slope is fitted
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}


def measure_content(file: Path) -> dict[str, float]:
    """Every property of the sound of one file that needs no other file: properties.CONTENT but repetition."""
    held = sound_files.survey(file)
    samples, rate = held.read(0, held.frames).astype(np.float64), held.rate
    bits = _BITS.get(held.subtype, 32)
    mono = samples.mean(axis=1)
    peak, rms = np.abs(mono).max(initial=0.0), np.sqrt(np.mean(mono**2))
    frequencies, power = signal.welch(mono, rate, nperseg=min(2048, len(mono)))
    edge = band_edge(frequencies, power, rate=rate, bits=bits)
    hop = max(1, round(_FRAME * rate))
    frames = np.sqrt(np.mean(mono[: len(mono) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    before, after = _ends(np.abs(mono) > 10 ** (_SILENT_DB / 20))
    zeros_before, zeros_after = _ends(np.any(samples != 0, axis=1))
    share = np.cumsum(power) / max(power.sum(), 1e-30)
    return {
        "loudness": max(-200.0, loudness.integrated(mono, rate)),
        "offset": _decibels(abs(mono.mean()), _FLOOR_DB),
        "leading silence": before / rate,
        "trailing silence": after / rate,
        "padding before": zeros_before / rate,
        "padding after": zeros_after / rate,
        "bandwidth": edge,
        "noise floor": noise_floor(mono, rate, edge),
        "clipped samples": float(clipped(mono)),
        "unused bits": float(unused_bits(file, bits)),
        "true peak": loudness.true_peak(mono) if peak > 0 else -200.0,
        "crest factor": _decibels(peak) - _decibels(rms),
        "roll-off": float(frequencies[np.searchsorted(share, 0.99)]),
        "spectral slope": _slope(frequencies, power, rate),
        "softest frames": _decibels(np.percentile(frames, 5)) - _decibels(rms) if len(frames) else 0.0,
        "file size": float(file.stat().st_size),
        **trace_properties.measure(samples, rate, edge, bits),
    }


def band_edge(frequencies: np.ndarray, power: np.ndarray, *, rate: int, bits: int) -> float:
    """Where a filter, a lower rate or a codec has cut the sound off, in Hz; rate / 2 where nothing has.

    frequencies, power: [f], Welch's, power per Hz. bits: of the file, for the level at which it is empty.

    A cut is a cliff of 18 dB within a whole tone's width above which nothing comes back; an instrument's own
    roll-off has none. NaN where the sound sinks to the file's own floor without a cliff: its cut cannot be
    seen, nor heard.
    """
    level = 10 * np.log10(np.maximum(power, 1e-30))
    loudest_above = np.maximum.accumulate(level[::-1])[::-1]  # from each bin to the top
    deepest, edge = _CLIFF_DB, np.nan
    for here in _LOWEST_EDGE * 1.01 ** np.arange(np.log(rate / 2 / _LOWEST_EDGE) / np.log(1.01)):
        first, last = np.searchsorted(frequencies, [0.88 * here, 0.97 * here])
        above = np.searchsorted(frequencies, 1.04 * here)
        if above >= len(level) - 2 or last - first < 3:
            continue
        if loudest_above[first] - loudest_above[above] < deepest:  # nor can a quartile be that far above
            continue
        carried = np.percentile(level[first:last], 25)  # a band of sound, not one note
        if carried - loudest_above[above] >= deepest:
            deepest = carried - loudest_above[above]
            fallen = np.flatnonzero(level[last : above + 1] < carried - _CLIFF_DB / 2)
            edge = float(frequencies[last + (fallen[0] if fallen.size else 0)])
    empty = 10 * np.log10((2.0 ** (1 - bits)) ** 2 / 4 / (rate / 2))  # of dither two steps wide
    top = level[frequencies > 0.45 * rate][:-1]
    if np.isnan(edge) and top.size and np.median(top) > empty + _CLIFF_DB:
        return rate / 2
    return edge


def noise_floor(samples: np.ndarray, rate: int, edge: float) -> float:
    """Level in dBFS that stays under the music of [n]: between its tones and in its pauses.

    The 10th percentile over time, then the 20th over the upper half of the band, as of white noise that
    filled all of it: minimum statistics, as of Martin, IEEE Trans. Speech and Audio Proc. 9, 2001.
    """
    window = min(1024, len(samples))
    frequencies, _, spectrum = signal.stft(samples, rate, nperseg=window, scaling="psd")
    power = np.abs(spectrum[:, 2:-2] if spectrum.shape[1] > 6 else spectrum) ** 2
    top = rate / 2 if np.isnan(edge) else edge
    band = (frequencies >= 0.5 * top) & (frequencies <= 0.92 * min(top, 0.48 * rate))
    least = np.percentile(np.percentile(power[band], 10, axis=1), 20) if band.any() else 0.0
    return _decibels(np.sqrt(least * rate / 2))


def clipped(samples: np.ndarray) -> int:
    """How many samples of [n] lie in flat tops: three or more in a row at the clip's own peak, not once only.

    A clip that was lowered after it had clipped is found too; the top of a slow wave is no flat top, as it
    comes once.
    """
    peak = np.abs(samples).max(initial=0.0)
    if peak == 0:
        return 0
    flat = np.concatenate([[False], np.abs(samples) >= peak - 2 / 2**15, [False]])
    starts, ends = np.flatnonzero(flat[1:] & ~flat[:-1]), np.flatnonzero(flat[:-1] & ~flat[1:])
    runs = (ends - starts)[ends - starts >= 3]
    return int(runs.sum()) if len(runs) > 2 else 0


def unused_bits(file: Path, bits: int) -> int:
    """How many of the lowest bits are zero throughout, as of 8-bit sound in a 16-bit file."""
    if bits > 24:
        return 0
    held = sound_files.survey(file)
    words = np.rint(held.read(0, held.frames) * 2.0 ** (bits - 1)).astype(np.int32)
    used = int(np.bitwise_or.reduce(words, axis=None))
    return (used & -used).bit_length() - 1 if used else 0


def _ends(there: np.ndarray) -> tuple[int, int]:
    """How many samples lie before the first and behind the last that is there."""
    found = np.flatnonzero(there)
    return (int(found[0]), int(len(there) - 1 - found[-1])) if found.size else (len(there), len(there))


def _slope(frequencies: np.ndarray, power: np.ndarray, rate: int) -> float:
    """dB per octave of a line through the spectrum."""
    band = (frequencies >= _SLOPE_BAND[0]) & (frequencies <= _SLOPE_BAND[1] * rate)
    level = 10 * np.log10(np.maximum(power[band], 1e-30))
    weights = 1 / np.sqrt(frequencies[band])  # each octave weighs the same
    return float(np.polyfit(np.log2(frequencies[band]), level, 1, w=weights)[0])


def _decibels(amplitude: float, floor: float = -200.0) -> float:
    return max(floor, float(20 * np.log10(amplitude))) if amplitude > 0 else floor
