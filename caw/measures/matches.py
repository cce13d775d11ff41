"""Copying as the ear would take it, blind to phase: stretches whose spectrogram is one of the real clip's."""

import numpy as np
from scipy import fft

from caw.measures import yardstick

LENGTHS = (0.25, 1.0, 4.0)  # seconds: a note, a motif, a phrase
CORRELATED = (1.0, 4.0)  # seconds: of `correlation`
HOPS = 4  # stretches start every quarter of their length
AT_ONCE = 8_000_000  # distances between frames held at a time
LEVEL = 6.0  # dB; more would make soft hiss of loud noise
NEAREST = 10  # per cent: of all stretches, those most like the real clip
STEADY = 1e-4  # dB: a deviation under it is none


def match(real, fake, rate, *, seconds=1.0) -> float:
    """How near the generated clip comes to passages of the real one, as a difference of spectrograms in dB.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms), and the
    least root-mean-square difference of their log-mel spectrograms, a difference of level of up to 6 dB taken
    off, is its own. The result is what a tenth of
    the stretches stay under: 0 where a tenth of the clip or more is copied, whatever the rest. Stretches
    under -40 dB throughout do not count. What repeats itself honestly is told by the anchor `halves`.
    """
    real, fake, frames, starts = _stretches(real, fake, rate, seconds)
    nearest = _nearest(real, fake, starts, frames)
    return float(np.percentile(nearest, NEAREST, method="lower"))


def correlation(real, fake, rate, *, seconds=1.0) -> float:
    """How like passages of the real clip the generated one is: correlation of spectrograms, -1 to 1.

    Every stretch of `seconds` of the generated clip is laid over the real one at every frame (16 ms), and the
    highest correlation of their log-mel spectrograms, of each band less its mean over the whole clip, is its
    own. The result is the mean over all stretches but those under -40 dB throughout: 1 where all is copied.
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

    Of each band less its mean. Raises: TooShortError where one clip is longer than the other.
    """
    require_one_length(real, fake, rate)
    real, fake = (_less_means(yardstick.log_mel(x, rate)) for x in (real, fake))
    frames = min(real.shape[1], fake.shape[1])
    real, fake = real[:, :frames], fake[:, :frames]
    if min(real.std(), fake.std()) < STEADY:
        raise yardstick.TooShortError("a clip is steady throughout; give one in which something happens")
    return float(np.corrcoef(real.ravel(), fake.ravel())[0, 1])


def require_one_length(real, fake, rate) -> None:
    """Raises: TooShortError for two clips that differ in length by more than a frame of 16 ms."""
    sizes = [yardstick.validated(x, rate, name).size for x, name in ((real, "real"), (fake, "fake"))]
    if abs(sizes[0] - sizes[1]) > yardstick.HOP * rate:
        problem = f"real has {sizes[0] / rate:.2f} s, fake {sizes[1] / rate:.2f} s"
        raise yardstick.TooShortError(f"{problem}; the same moment is in clips of one length")


def _stretches(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Both log-mel spectrograms, the frames of a stretch, and where those of `fake` begin that are heard."""
    frames = max(1, round(seconds * yardstick.frames_per_second(rate)))
    real, fake = yardstick.log_mel(real, rate), yardstick.log_mel(fake, rate)
    for name, mel in (("real", real), ("fake", fake)):
        if mel.shape[1] < frames + 1:
            told = f"{name} is too short for stretches of {seconds:g} s"
            raise yardstick.TooShortError(f"{told}; give a clip of more than {seconds:g} s")
    starts = np.arange(0, fake.shape[1] - frames + 1, max(1, frames // HOPS))
    loudest = fake.max(axis=0)
    heard = np.array([loudest[start : start + frames].max() > yardstick.QUIET_DB for start in starts])
    return real, fake, frames, starts[heard]


def _less_means(mel: np.ndarray) -> np.ndarray:
    """Every band less its mean over the whole clip: else all music would be like all other, by its tilt."""
    return mel - mel.mean(axis=1, keepdims=True)


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
