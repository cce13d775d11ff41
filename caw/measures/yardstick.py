"""Objective measures of a generated clip against the clip it was trained on.

Conventions: every measure takes (real, fake, rate): two float arrays [n] (lengths may differ) at one sampling
rate in Hz, first the training clip, then the generated one. Both are brought to the same RMS level first, so
loudness never counts. Distances are 0 for a clip against itself and have no upper end; read them beside
`anchors`: the same measure between the clip's own halves, and against white noise. Judge them jointly: a copy
wins every distance and loses `copying`; noise wins `copying` and loses every distance.

Log-mel spectrograms have 64 ms Hann windows every 16 ms and 64 triangular bands from 0 Hz to half the rate,
evenly spaced on the mel scale (`caw.mel_scale`; fewer bands below 4 kHz, where the bins are few). A band
holds the mean power of its bins in dB, and 0 dB is white noise of the same RMS level; anything under
-50 dB (faint hiss between loud tones) fades into the floor.
"""

from collections.abc import Callable, Hashable
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
from scipy import fft, linalg, signal

from caw import audio, mel_scale

WINDOW, HOP = 0.064, 0.016  # seconds, of the spectrograms
BANDS = 64
FLOOR_DB = -50.0
DIMENSIONS = 16  # principal components kept of a patch
OVERLAP = 4  # patches start every quarter of their length
PATCHES = (0.13, 0.5)  # seconds: a note's attack; a beat
COPY_RATE = 8000  # Hz, at most; copies are looked for below 4 kHz, where a clip's energy is
COPY_WINDOW, COPY_HOP = 0.128, 0.064  # seconds
COPY_THRESHOLD = 0.9  # absolute normalised cross-correlation above which a window is a copy
QUIET_DB = -40.0  # dB below the clip's RMS; stretches below it are neither copies nor originals
RHYTHM_LAGS = (0.1, 2.0)  # seconds
SHORTEST = 0.5  # seconds
NOISE_SEED = 0
AT_ONCE = 2048  # windows that are held as spectra; it bounds memory and changes no value


class YardstickError(ValueError):
    """Arrays that cannot be measured; the message quotes the value and says the mend."""


class TooShortError(YardstickError):
    """A clip is too short for one measure, though others may still be taken of it."""


class Clip:
    """A clip that is analysed once: every measure takes it in the place of an array.

    samples: float array [n]; rate: Hz, the same that the measure is given.
    """

    def __init__(self, samples, rate, *, name: str = "x"):
        self.samples, self.rate = validated(samples, rate, name), rate
        self.kept: dict[Hashable, Any] = {}  # what `kept` has made of it

    @cached_property
    def log_mel(self) -> np.ndarray:
        return _log_mel(self.samples, self.rate)


def kept(x, key: Hashable, made: Callable[[], Any]) -> Any:
    """What `made` makes of `x`: once, where that is a `Clip`. key: what it is kept under."""
    if not isinstance(x, Clip):
        return made()
    if key not in x.kept:
        x.kept[key] = made()
    return x.kept[key]


def evaluate(real, fake, rate) -> dict[str, float]:
    """Every measure by its name: frechet_0.13, frechet_0.5, copied_share, longest_run (s), onset_distance."""
    found = {f"frechet_{seconds:g}": frechet(real, fake, rate, patch_seconds=seconds) for seconds in PATCHES}
    copied = copying(real, fake, rate)
    found |= {"copied_share": copied["share"], "longest_run": copied["longest_run"]}
    return found | {"onset_distance": onset_distance(real, fake, rate)}


def anchors(real, rate, *, measure=None) -> dict:
    """The two values to read a measure beside: dict(halves=..., noise=...).

    halves: the clip's second half against its first, what a perfect continuation may reach. noise: white
    noise as long as the clip. measure: any function of this module that takes (real, fake, rate); the default
    is `frechet`.
    """
    real = validated(real, rate, "real")
    measure, middle = measure or frechet, real.size // 2
    noise = np.random.default_rng(NOISE_SEED).standard_normal(real.size)
    return {"halves": measure(real[:middle], real[middle:], rate), "noise": measure(real, noise, rate)}


def log_mel(x, rate) -> np.ndarray:
    """Log-mel spectrogram [bands, frames] in dB, as the head of this module defines it."""
    samples = validated(x, rate, "x")
    return x.log_mel if isinstance(x, Clip) else _log_mel(samples, rate)


def _log_mel(x: np.ndarray, rate) -> np.ndarray:
    size, hop = round(WINDOW * rate), max(1, round(HOP * rate))
    window, bands = signal.get_window("hann", size).astype(np.float32), _mel_bands(size, rate)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x / rms(x), size // 2), size)[::hop]
    pieces = []
    for first in range(0, len(frames), AT_ONCE):  # a long clip's spectra would not fit into memory
        spectra = fft.rfft(frames[first : first + AT_ONCE] * window, axis=1)
        power = np.abs(spectra) ** 2 / np.sum(window**2)
        pieces.append(10 * np.log10(bands @ power.T + 10 ** (FLOOR_DB / 10)))
    return np.concatenate(pieces, axis=1)


def frechet(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Frechet distance between the log-mel patches of two clips, in units of the real patches' variance.

    Patches of patch_seconds (all bands) are summed up by their mean m and covariance C, and the distance is
    |m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r^1/2 C_f C_r^1/2)^1/2), divided by tr(C_r), as in Heusel et al. 2017
    (equation 6, the FID), with the spectrogram itself in place of a trained network. The covariance is full
    on the first 16 principal components of the real clip's patches and a multiple of the identity on the
    rest, so that hiss in a band where the real clip is always quiet counts as well.
    """
    real, fake, axes = centred_patches(real, fake, rate, patch_seconds)
    real_inside, fake_inside = real @ axes, fake @ axes
    apart = np.sum(fake.mean(axis=0) ** 2) - np.sum(fake_inside.mean(axis=0) ** 2)
    real_rest, fake_rest = (
        np.sqrt(max(0.0, whole.var(axis=0, ddof=1).sum() - inside.var(axis=0, ddof=1).sum()))
        for whole, inside in ((real, real_inside), (fake, fake_inside))
    )
    distance = _gaussian_distance(real_inside, fake_inside) + max(0.0, apart) + (real_rest - fake_rest) ** 2
    return float(distance / max(real.var(axis=0, ddof=1).sum(), 1e-12))


def copying(real, fake, rate) -> dict[str, float]:
    """How much of a generated clip is pasted from the training clip: dict(share, longest_run).

    Windows of 128 ms, every 64 ms, of the generated clip are slid along the whole training clip.
    share: of the windows that are not quiet, those whose best absolute normalised cross-correlation is
    above 0.9 (a steady tone finds its like anywhere, so some clips have a high share honestly).
    longest_run: seconds of the longest stretch over which one and the same lag keeps every window above 0.9;
    0 where no window is a copy.
    """
    real, fake = validated(real, rate, "real"), validated(fake, rate, "fake")
    if rate > COPY_RATE:
        real, fake = (audio.resample(x, rate, COPY_RATE) for x in (real, fake))
        rate = COPY_RATE
    size, hop = round(COPY_WINDOW * rate), round(COPY_HOP * rate)
    windows = np.lib.stride_tricks.sliding_window_view(fake, size)[::hop]
    energy = np.sqrt(np.sum(windows.astype(np.float64) ** 2, axis=1))
    heard = energy > np.sqrt(size) * rms(fake) * 10 ** (QUIET_DB / 20)
    scale = _inverse_energy(real, size)
    parts = np.array_split(np.flatnonzero(heard), max(1, heard.sum() // (AT_ONCE // 4)))
    found = [_best_matches(real, windows[part], energy[part], scale) for part in parts]
    places, peaks = (np.concatenate(column) for column in zip(*found, strict=True))
    copies = peaks > COPY_THRESHOLD
    starts = zip(np.nonzero(heard)[0][copies], places[copies], strict=True)
    longest = _longest_run(real, windows, np.where(heard, energy, 0), scale, starts, hop)
    return {"share": float(copies.mean()) if copies.size else 0.0, "longest_run": longest / rate}


def diversity(fakes, rate) -> float:
    """How little several generated clips share: 1 - the mean `copying` share over all ordered pairs."""
    fakes = list(fakes)
    if len(fakes) < 2:
        raise YardstickError(f"diversity was asked for {len(fakes)} clip; give at least two")
    shares = [copying(a, b, rate)["share"] for a, b in permutations(fakes, 2)]
    return 1 - float(np.mean(shares))


def onset_distance(real, fake, rate) -> float:
    """Distance of rhythm: mean absolute difference of the onset envelopes' autocorrelations.

    The envelope is the rise of the log-mel spectrogram between frames, averaged over the bands, its mean
    taken off; lags from 0.1 to 2 s; the autocorrelation is 1 at lag 0.
    """
    return float(np.mean(np.abs(_rhythm(real, rate) - _rhythm(fake, rate))))


def onset_curve(x, rate) -> np.ndarray:
    """The mean rise in dB over all bands of the log-mel spectrogram between frames of 16 ms, [frames - 1]."""
    return np.maximum(0, np.diff(log_mel(x, rate), axis=1)).mean(axis=0)


def onset_autocorrelation(x, rate, *, longest: float) -> tuple[np.ndarray, float]:
    """Autocorrelation of the onset envelope at lags of 0 to `longest` seconds, and frames per second.

    The envelope is the rise of the log-mel spectrogram, as `onset_distance` says; at lag 0 it is 1.
    """
    rise = onset_curve(x, rate)
    rise -= rise.mean()
    frames = frames_per_second(rate)
    high = round(longest * frames)
    spectrum = np.abs(fft.rfft(rise, 2 * rise.size + high)) ** 2
    correlation = fft.irfft(spectrum)[: high + 1]
    return correlation / max(correlation[0], 1e-12), frames


def frames_per_second(rate: float) -> float:
    """How many frames of the log-mel spectrogram a second takes: about 62.5."""
    return rate / max(1, round(HOP * rate))


def validated(x, rate, name: str) -> np.ndarray:
    """`x` as float32 [n]. Raises YardstickError, naming it by `name`, where it cannot be measured."""
    if isinstance(x, Clip):
        if x.rate != rate:
            told = f"{name} is a clip at {x.rate} Hz, measured at {rate} Hz"
            raise YardstickError(f"{told}; give both one rate")
        return x.samples
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 1:
        raise YardstickError(f"{name} has shape {x.shape}; give one channel, shape [n]")
    if not rate >= 200:
        raise YardstickError(f"rate is {rate!r}; give a sampling rate of at least 200 Hz")
    if x.size < SHORTEST * rate:
        raise YardstickError(f"{name} is {x.size / rate:.2f} s long; give at least {SHORTEST:g} s")
    if not np.isfinite(x).all():
        raise YardstickError(f"{name} holds NaN or infinite samples; generate or read it again")
    if not x.any():
        raise YardstickError(f"{name} is silent; give a clip with sound")
    return x


def rms(x: np.ndarray) -> float:
    """Root mean square of [n]."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def _mel_bands(size: int, rate: float) -> np.ndarray:
    """Triangular filters [bands, size // 2 + 1], each summing to 1."""
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    bands = min(BANDS, bins.size // 2)
    return mel_scale.triangles(mel_scale.even(0, rate / 2, bands + 2), bins).astype(np.float32)


def patches(spectrogram: np.ndarray, rate: float, seconds: float) -> np.ndarray:
    """Patches [count, bands * frames] of a spectrogram [bands, frames], one every quarter of their length.

    Raises: TooShortError where not even two fit side by side.
    """
    frames = max(1, round(seconds * frames_per_second(rate)))
    if spectrogram.shape[1] < 2 * frames:
        told = f"{spectrogram.shape[1] * HOP:.2f} s of sound are too short for patches of {seconds:g} s"
        raise TooShortError(f"{told}; give a clip of at least {2 * seconds:g} s")
    views = np.lib.stride_tricks.sliding_window_view(spectrogram, frames, axis=1)
    every = views[:, :: max(1, frames // OVERLAP)]
    return np.ascontiguousarray(every.transpose(1, 0, 2)).reshape(every.shape[1], -1)


def centred_patches(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both clips' `patches` less the real ones' mean, and these' first axes [features, DIMENSIONS]."""

    def found() -> tuple[np.ndarray, np.ndarray]:
        patched = patches(log_mel(real, rate), rate, seconds)
        mean = patched.mean(axis=0)
        return mean, principal_axes(patched - mean, min(DIMENSIONS, len(patched) // 2))

    mean, axes = kept(real, ("axes", seconds), found)
    real, fake = (patches(log_mel(x, rate), rate, seconds) - mean for x in (real, fake))
    return real, fake, axes


def principal_axes(centred: np.ndarray, count: int) -> np.ndarray:
    """The first principal axes [features, count] of centred rows, by the smaller of the two Gram matrices."""
    count = max(1, min(count, *centred.shape))
    wide = centred.shape[1] > centred.shape[0]
    gram = (centred @ centred.T if wide else centred.T @ centred).astype(np.float64)
    _, vectors = linalg.eigh(gram, driver="evd")  # a part of them takes LAPACK 20 times longer on busy cores
    axes = centred.T @ vectors[:, -count:] if wide else vectors[:, -count:]
    return axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)


def _gaussian_distance(a: np.ndarray, b: np.ndarray) -> float:
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    apart = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return max(0.0, float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * shared))


def _inverse_energy(real: np.ndarray, size: int) -> np.ndarray:
    """1 / the root energy of every window of the clip; 0 where the clip is quiet."""
    total = np.concatenate([[0.0], np.cumsum(np.square(real, dtype=np.float64))])
    energy = np.sqrt(np.maximum(total[size:] - total[:-size], 0))
    quiet = np.sqrt(size) * rms(real) * 10 ** (QUIET_DB / 20)
    return np.where(energy > quiet, 1 / np.maximum(energy, quiet), 0).astype(np.float32)


def _best_matches(real, windows, energy, scale) -> tuple[np.ndarray, np.ndarray]:
    """Of each window: the sample of the clip where it fits best, and its correlation there.

    By overlap-save: the clip in blocks that stay in the processor's cache.
    """
    size = windows.shape[1]
    block = fft.next_fast_len(8 * size, real=True)
    step = block - size + 1
    spectra = np.conj(fft.rfft((windows / energy[:, None]).astype(np.float32), block, axis=1))
    places, peaks = np.zeros(len(windows), dtype=int), np.zeros(len(windows))
    for first in range(0, scale.size, step):
        part = scale[first : first + step]
        spectrum = fft.rfft(real[first : first + block], block)
        found = fft.irfft(spectra * spectrum, block, axis=1)[:, : part.size]
        np.abs(found, out=found)
        found *= part
        best = found.argmax(axis=1)
        height = found[np.arange(len(windows)), best]
        better = height > peaks
        places[better], peaks[better] = first + best[better], height[better]
    return places, peaks


def _longest_run(real, windows, energy, scale, starts, hop: int) -> int:
    """Samples of the longest stretch of the generated clip that one lag explains.

    starts: (window, place in the clip) of every copy. Quiet windows (energy 0) neither break nor end a run.
    """
    size, longest, followed = windows.shape[1], 0, {}
    for first, place in starts:
        lag = place - first * hop
        if followed.get(lag, -1) >= first:
            continue  # inside a run that was followed already
        last = first
        for index in range(first + 1, len(windows)):
            at = lag + index * hop
            if at < 0 or at >= scale.size:
                break
            if energy[index] == 0:
                continue
            if abs(windows[index] @ real[at : at + size]) * scale[at] <= COPY_THRESHOLD * energy[index]:
                break
            last = index
        followed[lag] = last
        longest = max(longest, int(last - first) * hop + size)
    return longest


def _rhythm(x, rate) -> np.ndarray:
    correlation, frames = onset_autocorrelation(x, rate, longest=RHYTHM_LAGS[1])
    return correlation[round(RHYTHM_LAGS[0] * frames) :]
