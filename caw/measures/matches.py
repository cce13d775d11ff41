"""Copying as the ear would take it, blind to phase: stretches whose spectrogram is one of the real clip's."""

import numpy as np
from scipy import fft

from caw import yardstick

LENGTHS = (0.25, 1.0, 4.0)  # seconds: a note, a motif, a phrase
HOPS = 4  # stretches start every quarter of their length
AT_ONCE = 8_000_000  # distances between frames held at a time
LEVEL = 6.0  # dB; more would make soft hiss of loud noise
NEAREST = 10  # per cent: of all stretches, those most like the real clip


def match(real, fake, rate, *, seconds=1.0) -> float:
    """How near the generated clip comes to passages of the real one, as a difference of spectrograms in dB.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms), and the
    least root-mean-square difference of their log-mel spectrograms, a difference of level of up to 6 dB taken
    off, is its own. The result is what a tenth of
    the stretches stay under: 0 where a tenth of the clip or more is copied, whatever the rest. Stretches
    under -40 dB throughout do not count. What repeats itself honestly is told by the anchor `halves`.
    """
    real, fake, frames = _stretched(real, fake, rate, seconds)
    nearest = _nearest(real, fake, _heard_starts(fake, frames), frames)
    return float(np.percentile(nearest, NEAREST, method="lower"))


def correlation(real, fake, rate, *, seconds=1.0) -> float:
    """How like the real clip's passages the generated clip's are: correlation of log-mel spectrograms, -1 to 1.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms), and the highest
    correlation of their log-mel spectrograms, each band's mean over its own clip taken off, is its own. The
    result is the mean over all stretches that are not under -40 dB throughout: 1 where all is copied.
    """
    real, fake, frames = _stretched(real, fake, rate, seconds)
    starts = _heard_starts(fake, frames)
    real, fake = (_without_means(mel) for mel in (real, fake))
    size, places = frames * len(real), real.shape[1] - frames + 1
    means, spreads = _moments(real, frames)
    block = fft.next_fast_len(real.shape[1], real=True)
    spectrum = fft.rfft(real, block, axis=1)
    best = []
    for start in starts:
        part = fake[:, start : start + frames]
        spread = float(part.std())
        if spread < 1e-6:
            continue
        product = fft.irfft((spectrum * np.conj(fft.rfft(part, block, axis=1))).sum(axis=0), block)[:places]
        alike = (product / size - part.mean() * means) / np.maximum(spread * spreads, 1e-6)
        best.append(alike.max())
    if not best:
        raise yardstick.TooShortError("fake holds no sound that changes")
    return float(np.mean(best))


def same_moment(real, fake, rate) -> float:
    """Correlation of the log-mel spectrograms at the same moment, -1 to 1; each band's mean is taken off."""
    real, fake = (_without_means(yardstick.log_mel(x, rate)) for x in (real, fake))
    frames = min(real.shape[1], fake.shape[1])
    a, b = real[:, :frames].ravel(), fake[:, :frames].ravel()
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _stretched(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Both log-mel spectrograms, and the frames of a stretch. Raises: TooShortError."""
    frames = max(1, round(seconds * yardstick.frames_per_second(rate)))
    real, fake = yardstick.log_mel(real, rate), yardstick.log_mel(fake, rate)
    for name, mel in (("real", real), ("fake", fake)):
        if mel.shape[1] < frames + 1:
            told = f"{name} is too short for stretches of {seconds:g} s"
            raise yardstick.TooShortError(f"{told}; give a clip of more than {seconds:g} s")
    return real, fake, frames


def _heard_starts(fake: np.ndarray, frames: int) -> np.ndarray:
    """Where stretches begin, every quarter of their length, that are not quiet throughout."""
    starts = np.arange(0, fake.shape[1] - frames + 1, max(1, frames // HOPS))
    loudest = fake.max(axis=0)
    heard = np.array([loudest[start : start + frames].max() > yardstick.QUIET_DB for start in starts])
    return starts[heard]


def _without_means(mel: np.ndarray) -> np.ndarray:
    return mel - mel.mean(axis=1, keepdims=True)


def _moments(mel: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every stretch of so many frames."""
    sums = np.pad(
        np.cumsum([mel.mean(axis=0), (mel**2).mean(axis=0)], axis=1, dtype=np.float64), ((0, 0), (1, 0))
    )
    means, squares = (sums[:, frames:] - sums[:, :-frames]) / frames
    return means, np.sqrt(np.maximum(squares - means**2, 0))


def _nearest(real: np.ndarray, fake: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    """Of every stretch of `fake` [bands, m], its least difference in dB over all places in `real`."""
    places, found = real.shape[1] - frames + 1, []
    room = max(1, AT_ONCE // real.shape[1] - frames)  # frames that a group of stretches may begin in
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
        found.append(np.sqrt(np.maximum(total / frames - forgiven, 0).min(axis=1)))
    return np.concatenate(found)


def _means(mel: np.ndarray, frames: int) -> np.ndarray:
    """The mean level in dB of every stretch of so many frames."""
    total = np.concatenate([[0.0], np.cumsum(mel.mean(axis=0, dtype=np.float64))])
    return (total[frames:] - total[:-frames]) / frames


def _frame_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared difference in dB between every frame of [bands, m] and of [bands, n]."""
    squares = np.sum(a**2, axis=0)[:, None] + np.sum(b**2, axis=0)
    return np.maximum(squares - 2 * a.T @ b, 0) / len(a)
