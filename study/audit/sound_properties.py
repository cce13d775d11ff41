"""Properties of the sound of one stimulus file, apart from how it is listened to: floats by property name.

Levels are in dB relative to full scale, frequencies in Hz, times in s. All channels are averaged, except for
exact zeros, which must be zero in each channel. A property is NaN where a clip does not show it: for example
the band edge of a clip whose highest tones sink into the dither before any cut could be seen.

The second half of the module measures traces: what microphones, codecs, converters and networks leave in the
phases, the skew and the levels below the music. Few traces can be heard; whoever saves a clip can compute
them all. Each is measured on a finished stimulus, that is, after the build has given all clips one band, one
level, one rate and dither.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import signal
from scipy.ndimage import uniform_filter1d

from caw import audio
from caw.files import sound_files

_FLOOR_DB = -80.0  # offsets under it are below what any loudspeaker moves by
_SILENT_DB = -60.0  # dBFS; leading and trailing sound below it counts as silence
_FRAME = 0.02  # s
_CLIFF_DB = 18.0  # a fall so deep within a whole tone's width is a filter's, not an instrument's
_LOWEST_EDGE = 1000.0  # Hz; below it, single notes make cliffs of their own
_SLOPE_BAND = (100.0, 0.4)  # Hz, and share of the rate: where the slope is fitted
SUB_BASS = 30.0  # Hz; the lowest string of a bass with five sounds at 31 Hz
_DRIFT = 5.0  # Hz; below it nothing is heard, and nothing but electronics moves
_SILENCE_DB = -100.0  # below it all is the same: the dither's part of so narrow a band
_NYQUISTS = (4000.0, 5512.5, 8000.0, 11025.0, 12000.0, 16000.0, 22050.0)  # Hz, of rates sources may have had
_HOLE = 1e-3  # of the power around it
_FEWEST_LEVELS, _FEWEST_SAMPLES = 64, 16  # steps in the range looked at, and samples a step, to count gaps
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}


def measure_content(file: Path) -> dict[str, float]:
    """Every property of the sound of one file that needs no other file: properties.CONTENT but repetition."""
    sound = sound_files.survey(file)
    samples, rate = sound.read(0, sound.frames).astype(np.float64), sound.rate
    bits = _BITS.get(sound.subtype, 32)
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
        "loudness": max(-200.0, audio.loudness(mono, rate)),
        "offset": _decibels(abs(mono.mean()), _FLOOR_DB),
        "leading silence": before / rate,
        "trailing silence": after / rate,
        "padding before": zeros_before / rate,
        "padding after": zeros_after / rate,
        "bandwidth": edge,
        "noise floor": noise_floor(mono, rate, edge),
        "clipped samples": float(clipped(mono)),
        "unused bits": float(unused_bits(file, bits)),
        "true peak": audio.true_peak(mono) if peak > 0 else -200.0,
        "crest factor": _decibels(peak) - _decibels(rms),
        "roll-off": float(frequencies[np.searchsorted(share, 0.99)]),
        "spectral slope": _slope(frequencies, power, rate),
        "softest frames": _decibels(np.percentile(frames, 5)) - _decibels(rms) if len(frames) else 0.0,
        "file size": float(file.stat().st_size),
        **measure_traces(samples, rate, edge, bits),
    }


def band_edge(frequencies: np.ndarray, power: np.ndarray, *, rate: int, bits: int) -> float:
    """Where a filter, a lower rate or a codec has cut the sound off, in Hz; rate / 2 where nothing has.

    A cut is a fall of 18 dB within a whole tone, with no sound above it. The roll-off of an instrument is no
    such cliff. NaN where the sound sinks to the file's own noise without a cliff: its cut can neither be seen
    nor heard.

    frequencies, power: [f], by Welch's method, power per Hz. bits: of the file, for the level of its noise.
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
    """The level in dBFS of the noise under the music of [n], between its tones and in its pauses.

    This is the 10th percentile over time, then the 20th over the upper half of the band, as the level of
    white noise that fills the whole band: minimum statistics, after Martin, IEEE Trans. Speech and Audio
    Proc. 9, 2001.
    """
    window = min(1024, len(samples))
    frequencies, _, spectrum = signal.stft(samples, rate, nperseg=window, scaling="psd")
    power = np.abs(spectrum[:, 2:-2] if spectrum.shape[1] > 6 else spectrum) ** 2
    top = rate / 2 if np.isnan(edge) else edge
    band = (frequencies >= 0.5 * top) & (frequencies <= 0.92 * min(top, 0.48 * rate))
    least = np.percentile(np.percentile(power[band], 10, axis=1), 20) if band.any() else 0.0
    return _decibels(np.sqrt(least * rate / 2))


def clipped(samples: np.ndarray) -> int:
    """How many samples of [n] lie in flat tops: three or more in a row at the clip's own peak, repeatedly.

    This also detects a clip that was lowered after it had clipped. The top of a slow wave is no flat top,
    because it occurs once.
    """
    peak = np.abs(samples).max(initial=0.0)
    if peak == 0:
        return 0
    flat = np.concatenate([[False], np.abs(samples) >= peak - 2 / 2**15, [False]])
    starts, ends = np.flatnonzero(flat[1:] & ~flat[:-1]), np.flatnonzero(flat[:-1] & ~flat[1:])
    runs = (ends - starts)[ends - starts >= 3]
    return int(runs.sum()) if len(runs) > 2 else 0


def unused_bits(file: Path, bits: int) -> int:
    """How many of the lowest bits are zero throughout, as in a 16-bit file with 8-bit sound."""
    if bits > 24:
        return 0
    sound = sound_files.survey(file)
    words = np.rint(sound.read(0, sound.frames) * 2.0 ** (bits - 1)).astype(np.int32)
    used = int(np.bitwise_or.reduce(words, axis=None))
    return (used & -used).bit_length() - 1 if used else 0


def _ends(present: np.ndarray) -> tuple[int, int]:
    """How many samples lie before the first one that is true, and behind the last."""
    places = np.flatnonzero(present)
    return (
        (int(places[0]), int(len(present) - 1 - places[-1])) if places.size else (len(present), len(present))
    )


def _slope(frequencies: np.ndarray, power: np.ndarray, rate: int) -> float:
    """The slope of a line through the spectrum, in dB per octave."""
    band = (frequencies >= _SLOPE_BAND[0]) & (frequencies <= _SLOPE_BAND[1] * rate)
    level = 10 * np.log10(np.maximum(power[band], 1e-30))
    weights = 1 / np.sqrt(frequencies[band])  # each octave weighs the same
    return float(np.polyfit(np.log2(frequencies[band]), level, 1, w=weights)[0])


def _decibels(amplitude: float, floor: float = -200.0) -> float:
    return max(floor, float(20 * np.log10(amplitude))) if amplitude > 0 else floor


def measure_traces(samples: np.ndarray, rate: int, edge: float, bits: int) -> dict[str, float]:
    """Every trace of a sound, by the property's name.

    samples: float64 [n, channels]. rate: Hz. edge: Hz, where the band ends; NaN where it cannot be seen.
    bits: of the file.
    """
    mono = samples.mean(axis=1)
    top = min(rate / 2 if np.isnan(edge) else edge, 0.49 * rate)
    frequencies, spectrum = _spectrum(mono, rate)
    power = np.abs(spectrum) ** 2
    skewed = skew(mono, rate)
    return {
        "sub-bass": below(mono, rate, SUB_BASS),
        "drift": below(mono, rate, _DRIFT),
        "phase coherence": phase_coherence(frequencies, spectrum, rate),
        "waveform skew": skewed,
        "asymmetry": abs(skewed),
        "spectral holes": holes(frequencies, power, top),
        "rate images": images(frequencies, power, top),
        "steady tone": steady_tone(frequencies, power, top),
        "unused levels": unused_levels(mono if samples.shape[1] == 1 else samples[:, 0], bits),
        "channel difference": channel_difference(samples),
    }


def below(samples: np.ndarray, rate: int, frequency: float) -> float:
    """The level in dBFS of what lies below `frequency` Hz in [n], without the constant offset.

    The mean is subtracted under a fading window, so that neither offset nor fades count as sub-bass.
    """
    window = np.hanning(len(samples))
    centred = samples - np.sum(samples * window) / max(window.sum(), 1e-12)
    spectrum = np.fft.rfft(centred * window)
    inside = np.fft.rfftfreq(len(samples), 1 / rate) < frequency
    power = 2 * np.sum(np.abs(spectrum[inside]) ** 2) / len(samples) / max(np.sum(window**2), 1e-12)
    return max(_SILENCE_DB, float(10 * np.log10(max(power, 1e-30))))


def phase_coherence(frequencies: np.ndarray, spectrum: np.ndarray, rate: int) -> float:
    """How evenly phases advance from frame to frame, from 0 for noise to 1 for steady tones.

    This is the length of the mean of exp(i times the second difference of each bin's phase), weighted by the
    bin's magnitude, between 100 Hz and 0.4 of the rate: the phase deviation of Bello, Duxbury, Davies and
    Sandler (IEEE Signal Processing Letters 11, 2004). Networks that make spectra instead of waves, and codecs
    at low bit rates, leave less of it.

    spectrum: complex [f, t].
    """
    band = (frequencies >= 100) & (frequencies <= 0.4 * rate)
    if spectrum.shape[1] < 3 or not band.any():
        return np.nan
    before, here, after = spectrum[band, :-2], spectrum[band, 1:-1], spectrum[band, 2:]
    turned = after * before * here.conj() ** 2
    size = np.abs(turned)
    weight = size**0.25  # the geometric mean of the three, the middle one twice
    total = weight.sum()
    return float(np.abs(np.sum(weight * turned / np.maximum(size, 1e-40))) / total) if total > 0 else np.nan


def skew(samples: np.ndarray, rate: int) -> float:
    """The skewness of [n] above 30 Hz: the third moment over the cubed deviation; polarity gives its sign.

    Plucked strings, reeds and voices push the air more to one side. Random phases do not, nor do networks
    that were trained to ignore polarity.
    """
    high = signal.sosfiltfilt(signal.butter(2, SUB_BASS, "highpass", fs=rate, output="sos"), samples)
    deviation = high.std()
    return float(np.mean((high - high.mean()) ** 3) / deviation**3) if deviation > 0 else np.nan


def holes(frequencies: np.ndarray, power: np.ndarray, top: float) -> float:
    """The share in % of bins and frames that are empty between full ones, as a lossy codec leaves them.

    Empty means 30 dB below the mean of the 17 bins around, in the upper half of the band; 0.1 % of a noise
    is. Measured on game music at 16 kHz: .1 to 2.1 %; as MP3 3 to 9 %, as Vorbis 7 to 16 %.

    power: [f, t].
    """
    inside = power[(frequencies >= 0.35 * top) & (frequencies <= 0.94 * top)]
    if len(inside) < 17:
        return np.nan
    return float(100 * np.mean(inside < _HOLE * uniform_filter1d(inside, 17, axis=0)))


def images(frequencies: np.ndarray, power: np.ndarray, top: float) -> float:
    """How far the spectrum above a former Nyquist frequency mirrors the one below it, from -1 to 1.

    A sound whose rate was raised by a poor interpolation has images of its tones there. This is the
    correlation over time and frequency of the levels on both sides, without the means of their bins and
    frames; the highest over the usual rates. NaN where none of them lies in the band.
    """
    level = 10 * np.log10(np.maximum(power, 1e-14))
    step = frequencies[1] - frequencies[0]
    reached = []
    for nyquist in _NYQUISTS:
        width = min(0.2 * nyquist, top * 0.96 - nyquist)
        if width < 400:
            continue
        away = np.arange(0.15 * width, width, step)
        sides = []
        for places in (nyquist - away, nyquist + away):
            side = level[np.rint(places / step).astype(int)]
            side = side - side.mean(axis=0) - side.mean(axis=1, keepdims=True) + side.mean()
            sides.append(side)
        spread = np.sqrt(np.mean(sides[0] ** 2) * np.mean(sides[1] ** 2))
        reached.append(float(np.mean(sides[0] * sides[1]) / spread) if spread > 1e-9 else 0.0)
    return max(reached, default=np.nan)


def steady_tone(frequencies: np.ndarray, power: np.ndarray, top: float) -> float:
    """By how many dB the strongest tone that never stops exceeds its neighbours, above 1 kHz.

    This is the tenth percentile over time of each bin, over the median of those within 20 bins. Converters
    and screens whistle without a pause, and upsampling networks leave such tones at fixed frequencies.
    """
    inside = (frequencies >= 1000) & (frequencies <= 0.9 * top)
    if inside.sum() < 50:
        return np.nan
    least = 10 * np.log10(np.maximum(np.percentile(power[inside], 10, axis=1), 1e-14))
    around = signal.medfilt(np.pad(least, 20, mode="reflect"), 41)[20:-20]
    return float(np.max(least - around))


def unused_levels(samples: np.ndarray, bits: int) -> float:
    """The share in % of the levels between the quartiles of [n] without a sample, as after a gain on 8 bits.

    NaN where there are too few samples or levels to tell, and for floating-point files.
    """
    if bits > 24:
        return np.nan
    levels = np.rint(samples * 2.0 ** (bits - 1)).astype(np.int64)
    low, high = (int(level) for level in np.percentile(levels, [25, 75]))
    inside = levels[(levels >= low) & (levels <= high)]
    wide = high - low + 1
    if wide < _FEWEST_LEVELS or len(inside) < _FEWEST_SAMPLES * wide:
        return np.nan
    return 100.0 * (1 - len(np.unique(inside)) / wide)


def channel_difference(samples: np.ndarray) -> float:
    """The level in dB of the channels' difference over that of their sum; -100 where they do not differ."""
    middle = samples.mean(axis=1, keepdims=True)
    side, power = np.mean((samples - middle) ** 2), np.mean(middle**2)
    return max(_SILENCE_DB, float(10 * np.log10(max(side, 1e-30) / max(power, 1e-30))))


def _spectrum(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [f] in Hz and short-time spectrum, complex [f, t]; frames of 32 ms, a quarter apart."""
    window = min(2 ** round(np.log2(0.032 * rate)), len(samples))
    frequencies, _, spectrum = signal.stft(
        samples, rate, nperseg=window, noverlap=3 * window // 4, boundary=None, padded=False
    )
    return frequencies, spectrum
