"""How much of a generated clip is copied from its training clip: of its waveform, and of its spectrogram.

`copying` compares waveforms and finds pasted pieces. `match` and `correlation` compare spectrograms, which
are blind to phase, as ears are, and find pieces that were learnt by heart.
"""

from collections.abc import Sequence

import numpy as np
from scipy import fft

from caw import audio
from caw.measures.spectra import (
    QUIET_DB,
    WINDOWS_AT_ONCE,
    TooShortError,
    frames_per_second,
    log_mel,
    require_one_length,
    rms,
    validated,
)

COPY_RATE = 8000  # Hz, at most; copies are looked for below 4 kHz, where a clip's energy is
COPY_WINDOW, COPY_HOP = 0.128, 0.064  # seconds
COPY_THRESHOLD = 0.9  # absolute normalised cross-correlation above which a window is a copy
MATCH_SECONDS = (0.25, 1.0, 4.0)  # of `match`: a note, a motif, a phrase
CORRELATION_SECONDS = (1.0, 4.0)  # of `correlation`
HOPS = 4  # stretches start every quarter of their length
DISTANCES_AT_ONCE = 8_000_000  # distances between frames held at a time
LEVEL = 6.0  # dB of level that are forgiven; more would make soft hiss of loud noise
NEAREST = 10  # per cent: of all stretches, those most like the real clip
STEADY = 1e-4  # dB: a deviation under it is none


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
    loud = energy > np.sqrt(size) * rms(fake) * 10 ** (QUIET_DB / 20)
    scale = _inverse_energy(real, size)
    parts = np.array_split(np.flatnonzero(loud), max(1, loud.sum() // (WINDOWS_AT_ONCE // 4)))
    matches = [_best_matches(real, windows[part], energy[part], scale) for part in parts]
    places, peaks = (np.concatenate(column) for column in zip(*matches, strict=True))
    copies = peaks > COPY_THRESHOLD
    starts = zip(np.nonzero(loud)[0][copies], places[copies], strict=True)
    longest = _longest_run(real, windows, np.where(loud, energy, 0), scale, starts, hop)
    return {"share": float(copies.mean()) if copies.size else 0.0, "longest_run": longest / rate}


def diversities(clips: Sequence, rate) -> list[float | None]:
    """How little each of several clips shares with the others: 1 less the mean share of `copying`.

    The mean is over both orders of each pair. None for a clip that has no other beside it.
    """
    if len(clips) < 2:
        return [None] * len(clips)
    shares = np.zeros((len(clips), len(clips)))
    for i, a in enumerate(clips):
        for j, b in enumerate(clips):
            if i != j:
                shares[i, j] = copying(a, b, rate)["share"]
    return [float(mean) for mean in 1 - (shares.sum(axis=0) + shares.sum(axis=1)) / (2 * len(clips) - 2)]


def match(real, fake, rate, *, seconds=1.0) -> float:
    """How near the generated clip comes to passages of the real one, as a difference of spectrograms in dB.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms). Its
    distance is the least root-mean-square difference of the log-mel spectrograms, with a difference of level
    of up to 6 dB taken off. The result is the distance that a tenth of the stretches stay under: 0 where a
    tenth of the clip or more is copied, whatever the rest. Stretches under -40 dB throughout do not count.
    Music that repeats itself honestly comes near to itself, which the anchor `halves` shows.
    """
    real, fake, frames, starts = _stretches(real, fake, rate, seconds)
    nearest = _nearest(real, fake, starts, frames)
    return float(np.percentile(nearest, NEAREST, method="lower"))


def correlation(real, fake, rate, *, seconds=1.0) -> float:
    """How like passages of the real clip the generated one is: correlation of spectrograms, -1 to 1.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms), and its
    highest correlation is taken: of the log-mel spectrograms, each band less its mean over the whole clip.
    The result is the mean over all stretches but those under -40 dB throughout: 1 where everything is copied.
    """
    real, fake, frames, starts = _stretches(real, fake, rate, seconds)
    real, fake = (_less_means(mel) for mel in (real, fake))
    sums = np.cumsum([real.mean(axis=0), np.mean(real**2, axis=0)], axis=1, dtype=np.float64)
    sums = np.pad(sums, ((0, 0), (1, 0)))
    means, squares = (sums[:, frames:] - sums[:, :-frames]) / frames
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    block = fft.next_fast_len(real.shape[1], real=True)
    spectrum, highest = fft.rfft(real, block, axis=1), []
    for start in starts:
        part = fake[:, start : start + frames]
        turned = np.conj(fft.rfft(part, block, axis=1))
        products = fft.irfft((spectrum * turned).sum(axis=0), block)[: len(means)] / part.size
        both = part.std() * deviations
        fits = np.where(both > STEADY**2, (products - part.mean() * means) / np.maximum(both, STEADY**2), 0)
        highest.append(fits.max())
    return float(np.mean(highest))


def same_mel(real, fake, rate) -> float:
    """Correlation of the log-mel spectrograms of two clips at the same moment, -1 to 1.

    Each band is taken less its mean. Raises TooShortError where one clip is longer than the other.
    """
    require_one_length(real, fake, rate)
    real, fake = (_less_means(log_mel(x, rate)) for x in (real, fake))
    frames = min(real.shape[1], fake.shape[1])
    real, fake = real[:, :frames], fake[:, :frames]
    if min(real.std(), fake.std()) < STEADY:
        raise TooShortError("a clip is steady throughout", "give one in which something happens")
    return float(np.corrcoef(real.ravel(), fake.ravel())[0, 1])


def _inverse_energy(real: np.ndarray, size: int) -> np.ndarray:
    """1 / the root energy of every window of the clip; 0 where the clip is quiet."""
    total = np.concatenate([[0.0], np.cumsum(np.square(real, dtype=np.float64))])
    energy = np.sqrt(np.maximum(total[size:] - total[:-size], 0))
    quiet = np.sqrt(size) * rms(real) * 10 ** (QUIET_DB / 20)
    return np.where(energy > quiet, 1 / np.maximum(energy, quiet), 0).astype(np.float32)


def _best_matches(real, windows, energy, scale) -> tuple[np.ndarray, np.ndarray]:
    """For each window, the sample of the clip where it fits best, and its correlation there.

    Computed by overlap-save, in blocks of the clip that stay in the processor's cache.
    """
    size = windows.shape[1]
    block = fft.next_fast_len(8 * size, real=True)
    step = block - size + 1
    spectra = np.conj(fft.rfft((windows / energy[:, None]).astype(np.float32), block, axis=1))
    places, peaks = np.zeros(len(windows), dtype=int), np.zeros(len(windows))
    for first in range(0, scale.size, step):
        part = scale[first : first + step]
        spectrum = fft.rfft(real[first : first + block], block)
        correlation = fft.irfft(spectra * spectrum, block, axis=1)[:, : part.size]
        np.abs(correlation, out=correlation)
        correlation *= part
        best = correlation.argmax(axis=1)
        height = correlation[np.arange(len(windows)), best]
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


def _stretches(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Both log-mel spectrograms, a stretch's frames, and the beginnings of stretches of `fake` with sound."""
    frames = max(1, round(seconds * frames_per_second(rate)))
    real, fake = log_mel(real, rate), log_mel(fake, rate)
    for name, mel in (("real", real), ("fake", fake)):
        if mel.shape[1] < frames + 1:
            problem = f"{name} is too short for stretches of {seconds:g} s"
            raise TooShortError(problem, f"give a clip of more than {seconds:g} s")
    starts = np.arange(0, fake.shape[1] - frames + 1, max(1, frames // HOPS))
    loudest = fake.max(axis=0)
    loud = np.array([loudest[start : start + frames].max() > QUIET_DB for start in starts])
    return real, fake, frames, starts[loud]


def _less_means(mel: np.ndarray) -> np.ndarray:
    """Every band less its mean over the whole clip: else all music would be alike by its spectral tilt."""
    return mel - mel.mean(axis=1, keepdims=True)


def _nearest(real: np.ndarray, fake: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    """Of every stretch of `fake` [bands, m], its least difference in dB over all places in `real`."""
    places, nearest = real.shape[1] - frames + 1, []
    room = max(1, DISTANCES_AT_ONCE // real.shape[1] - frames)  # for the beginnings of a group
    while len(starts):
        group = starts[starts < starts[0] + room]
        starts = starts[len(group) :]
        first, last = group[0], group[-1] + frames
        apart = _frame_distances(fake[:, first:last], real)
        total = np.zeros((len(group), places))
        for frame in range(frames):
            total += apart[group - first + frame, frame : frame + places]
        louder = _means(fake, frames)[group][:, None] - _means(real, frames)
        forgiven = louder**2 - np.maximum(np.abs(louder) - LEVEL, 0) ** 2
        nearest.append(np.sqrt(np.maximum(total / frames - forgiven, 0).min(axis=1)))
    return np.concatenate(nearest)


def _means(mel: np.ndarray, frames: int) -> np.ndarray:
    """The mean level in dB of every stretch of so many frames."""
    total = np.concatenate([[0.0], np.cumsum(mel.mean(axis=0, dtype=np.float64))])
    return (total[frames:] - total[:-frames]) / frames


def _frame_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared difference in dB between every frame of [bands, m] and of [bands, n]."""
    squares = np.sum(a**2, axis=0)[:, None] + np.sum(b**2, axis=0)
    return np.maximum(squares - 2 * a.T @ b, 0) / len(a)
