"""Reading and writing sound: files at the edge, float32 arrays inside.

Samples are float32, full scale is 1.0, shape [n] for one channel and [channels, n] for more. Levels are
never changed silently: what is written is what the array holds, and what is read is what the file holds.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

from caw.files import atomic
from caw.files.sound_files import READABLE, AudioError, survey

__all__ = ["READABLE", "AudioError", "AudioInfo", "AudioWarning", "SilentError", "inspect", "read", "write"]

SHORTEST = 0.01  # seconds; anything shorter is a broken file, not a clip
SILENT_DB = -80.0  # dBFS; a clip that peaks below it holds nothing to learn from or to hear
PAUSE_DB = -60.0  # dB below the clip's own peak; 50 ms that stay below it count as silence
PAUSE_FRAME = 0.05  # seconds
PAUSE_LONGEST = 1.0  # seconds in one piece from which silence is warned of
PAUSE_SHARE = 0.2  # share of the clip from which silence is warned of
CLIPPED_RUN = 3  # samples in a row at full scale that count as clipping
OFFSET = 0.02  # of full scale (-34 dBFS); a mean beyond it is a fault of the recording
CANCELLED_DB = 20.0  # lost in the mean of the channels, from which their cancelling is warned of

_BITS = {"PCM_16": 16, "PCM_24": 24}
_WRITABLE = {".wav": "WAV", ".flac": "FLAC"}


class SilentError(AudioError):
    """A sound file without sound."""


class AudioWarning(UserWarning):
    """Sound that can be used but is likely to disappoint: clipping, long silence, a file with odd parts."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds, counted to its end."""

    path: Path
    rate: int  # Hz
    channels: int
    seconds: float
    subtype: str  # libsndfile's name of the coding, such as PCM_24, or FFmpeg's, such as AAC
    format: str  # libsndfile's name of the container, such as WAV, or FFmpeg's


def inspect(path) -> AudioInfo:
    """Look through a file, whose stated length is not believed (see `caw.files.sound_files`).

    Raises AudioError where it is missing, no audio, damaged or cut short.
    """
    file = _surveyed(path)
    return AudioInfo(
        path=Path(path),
        rate=file.rate,
        channels=file.channels,
        seconds=file.frames / file.rate,
        subtype=file.subtype,
        format=file.format,
    )


def read(path, *, rate=None, start=0.0, seconds=None, mono=True) -> tuple[np.ndarray, int]:
    """Read a clip, or a piece of one.

    path: a sound file of any rate, sample format and channel count: WAV, FLAC, OGG, AIFF, MP3, M4A and what
        else libsndfile or FFmpeg decodes, the sound of a video included.
    rate: Hz to resample to; None keeps the file's own.
    start, seconds: the piece to read; seconds=None reads to the end.
    mono: the mean of all channels, shape [n]; otherwise every channel, shape [channels, n].

    Returns (samples float32, rate in Hz), with exactly round(seconds * rate) samples where seconds is given.
    Raises AudioError for a file that is missing, empty, no audio, truncated, too short for the piece asked,
    silent (a constant offset is no sound, and channels may cancel), or holds NaN or infinite samples. Warns
    (AudioWarning) of clipping, peaks above full scale, a large offset, long silence and odd parts.
    """
    if rate is not None and not rate > 0:
        raise AudioError(f"rate is {rate!r}; give a sampling rate in Hz above 0")
    if not (np.isfinite(start) and start >= 0):
        raise AudioError(f"start is {start!r}; give the second to start at, 0 or more")
    if seconds is not None and not (np.isfinite(seconds) and seconds > 0):
        raise AudioError(f"seconds is {seconds!r}; give a length above 0")
    file = _surveyed(path)
    own_rate, first = file.rate, round(start * file.rate)
    _require_length(path, file.frames, own_rate, start, seconds)
    count = file.frames - first if seconds is None else round(seconds * own_rate)
    first = min(first, file.frames - count)  # both were rounded
    samples = file.read(first, count).T
    for remark in file.remarks:
        warnings.warn(f"{path}: {remark}", AudioWarning, stacklevel=2)
    _require_sound(path, samples)
    _warn_of_levels(path, samples, 127 / 128 if file.subtype in ("PCM_U8", "PCM_S8") else 0.9999)
    _warn_of_silence(path, samples, own_rate)
    if mono:
        samples = _mixed(path, samples)
    if rate is None or rate == own_rate:
        return np.ascontiguousarray(samples), own_rate
    samples = resample(samples, own_rate, rate)
    return (samples if seconds is None else _fit(samples, round(seconds * rate))), int(rate)


def pieces(path, *, rate: float, seconds: float) -> Iterator[np.ndarray]:
    """All of a file, decoded once, mixed and resampled to `rate`, in pieces of `seconds`: float32 [n].

    A piece that is silent is zeros. Otherwise as `read`, of which the length and the levels are not warned.
    """
    file = _surveyed(path)
    for piece in file.pieces(round(seconds * file.rate)):
        try:
            _require_sound(path, piece.T)
            mixed = _mixed(path, piece.T)
        except SilentError:
            mixed = np.zeros(len(piece), np.float32)
        yield resample(mixed, file.rate, rate)


def write(path, samples, rate, *, subtype="PCM_24") -> None:
    """Write samples [n] or [channels, n] to a .wav or .flac file, at their own level.

    subtype: PCM_24 or PCM_16. Integers are round(x * 2**(bits - 1)), so reading a file and writing it again
    gives the same samples. The file appears whole or not at all, holds no metadata, and the same samples
    give the same bytes. Raises AudioError for NaN, infinity or |x| > 1 (nothing is rescaled), another
    suffix or subtype, and where the file cannot be written.
    """
    path, samples = Path(path), np.asarray(samples)
    require_writable(path)
    if subtype not in _BITS:
        raise AudioError(f"subtype is {subtype!r}; use one of {', '.join(_BITS)}")
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise AudioError(f"{path}: samples have shape {samples.shape}; give [n] or [channels, n], n > 0")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: {_not_finite(samples)}; nothing was written")
    peak = float(np.abs(samples).max())
    if peak > 1:
        raise AudioError(f"{path}: samples reach {peak:.4g}, above full scale (1); lower their level first")
    top = 2 ** (_BITS[subtype] - 1)
    whole = np.minimum(np.rint(samples.astype(np.float64) * top), top - 1).astype(np.int64)
    words = (whole << (32 - _BITS[subtype])).astype(np.int32)
    coded = BytesIO()
    soundfile.write(coded, words.T, int(rate), format=_WRITABLE[path.suffix.lower()], subtype=subtype)
    _write_whole(path, coded.getvalue())


def require_writable(path) -> None:
    """Raise AudioError unless `write` knows the path's suffix: worth asking before long work."""
    suffix = Path(path).suffix
    if suffix.lower() not in _WRITABLE:
        raise AudioError(f"{path}: suffix {suffix!r} cannot be written; use .wav or .flac")


def within_full_scale(samples, name) -> np.ndarray:
    """PCM holds no sample above full scale: lower the clip by what is needed, and say so (AudioWarning)."""
    peak = float(np.abs(samples).max())
    if peak <= 1.0:
        return samples
    gain = 0.9999 / peak
    lowered = f"{20 * np.log10(peak):+.1f} dBFS, lowered by {-20 * np.log10(gain):.1f} dB to fit"
    warnings.warn(f"{name}: peak {lowered}", AudioWarning, stacklevel=2)
    return samples * np.float32(gain)


def resample(samples, from_rate, to_rate) -> np.ndarray:
    """Resample [n] or [channels, n] by soxr's HQ filter to exactly round(n * to_rate / from_rate) samples."""
    samples = np.asarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    count = round(samples.shape[-1] * to_rate / from_rate)
    return _fit(np.ascontiguousarray(soxr.resample(samples.T, from_rate, to_rate, quality="HQ").T), count)


def peak_db(samples) -> float:
    """Highest absolute sample in dBFS; -inf for silence."""
    return _decibels(np.abs(samples).max(initial=0.0))


def _require_length(path, frames: int, rate: int, start: float, seconds: float | None) -> None:
    told = f"{path}: is {frames / rate:.2f} s long"
    if seconds is None and round((start + SHORTEST) * rate) > frames:
        raise AudioError(f"{told}, so nothing is left from second {start:g} on; start earlier")
    if seconds is not None and round((start + seconds) * rate) > frames:
        from_there = f" from second {start:g} on" if start else ""
        raise AudioError(f"{told}, {seconds:g} s{from_there} were asked for; ask for less")


def _surveyed(path):
    file = survey(path)
    if file.frames / file.rate < SHORTEST:
        raise AudioError(f"{path}: holds {file.frames} samples; give a clip of at least {SHORTEST} s")
    return file


def _require_sound(path, samples: np.ndarray) -> None:
    """Refuse samples [channels, n] that are no numbers, or silent once their offset is taken off."""
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: {_not_finite(samples)}; export the file again")
    peak = peak_db(samples)
    if peak < SILENT_DB:
        raise SilentError(f"{path}: is silent (peak {peak:.0f} dBFS); give a clip with sound")
    offset = samples.mean(axis=-1, keepdims=True, dtype=np.float64)
    if np.abs(offset).max() > OFFSET and peak_db(samples - offset) < SILENT_DB:
        told = f"holds a constant offset of {_largest(offset):+.2f} and no sound besides"
        raise SilentError(f"{path}: is silent ({told}); give a clip with sound")
    if np.abs(offset).max() > OFFSET:
        told = f"has an offset of {_largest(offset):+.3f}, {peak_db(offset):.0f} dBFS"
        warnings.warn(f"{path}: {told}; remove it (DC) with an audio editor", AudioWarning, stacklevel=3)


def _largest(offset: np.ndarray) -> float:
    return float(offset.flat[np.abs(offset).argmax()])


def _mixed(path, samples: np.ndarray) -> np.ndarray:
    """The mean [n] of the channels, which must not cancel each other."""
    mixed = samples.mean(axis=0, dtype=np.float32)
    lost = _decibels(np.sqrt(np.mean(samples**2))) - _decibels(np.sqrt(np.mean(mixed**2)))
    if peak_db(mixed) < SILENT_DB:
        told = f"its channels cancel when they are mixed (peak {peak_db(mixed):.0f} dBFS of "
        mend = "give one channel, turn the other's polarity, or keep both (caw train --stereo)"
        raise SilentError(f"{path}: {told}{peak_db(samples):.0f}); {mend}")
    if lost > CANCELLED_DB:
        told = f"its channels nearly cancel when they are mixed ({lost:.0f} dB are lost)"
        warnings.warn(f"{path}: {told}; turn the polarity of one of them", AudioWarning, stacklevel=3)
    return mixed


def _not_finite(samples: np.ndarray) -> str:
    bad = ~np.isfinite(samples)
    told = "1 sample is" if bad.sum() == 1 else f"{bad.sum()} samples are"
    return f"{told} NaN or infinite, the first at sample {np.nonzero(bad)[-1].min()}"


def _warn_of_levels(path, samples: np.ndarray, full_scale: float) -> None:
    """Tell of clipping, where neighbours stand still at full scale, and of peaks above it that do not."""
    peak = float(np.abs(samples).max())
    full = np.abs(samples) >= full_scale
    if peak > 1:  # float samples, or those of a lossy coding: full scale is no wall there
        same = np.pad(samples[:, 1:] == samples[:, :-1], ((0, 0), (1, 1)))
        full &= same[:, 1:] | same[:, :-1]
    edges = np.diff(np.pad(full, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    clipped = lengths[lengths >= CLIPPED_RUN]
    if clipped.size:
        told = f"{clipped.sum()} samples in {clipped.size} places stand at full scale"
        warnings.warn(f"{path}: clipped ({told}); use a cleaner copy", AudioWarning, stacklevel=3)
    if peak > 1:
        told = f"peaks at {20 * np.log10(peak):+.1f} dBFS"
        warnings.warn(f"{path}: {told}; lowered where it is written", AudioWarning, stacklevel=3)


def _warn_of_silence(path, samples: np.ndarray, rate: int) -> None:
    hop = max(1, round(PAUSE_FRAME * rate))
    loud = np.abs(samples).max(axis=0)
    frames = np.pad(loud, (0, -loud.size % hop)).reshape(-1, hop).max(axis=1)
    quiet = frames < loud.max() * 10 ** (PAUSE_DB / 20)
    edges = np.diff(np.pad(quiet, (1, 1)).astype(np.int8))
    runs = np.nonzero(edges == -1)[0] - np.nonzero(edges == 1)[0]
    longest, share = runs.max(initial=0) * hop / rate, quiet.mean()
    if longest >= PAUSE_LONGEST or share > PAUSE_SHARE:
        told = f"longest {longest:.1f} s, {share:.0%} in all"
        warnings.warn(f"{path}: long silence ({told}); use a fuller piece", AudioWarning, stacklevel=3)


def _fit(samples: np.ndarray, count: int) -> np.ndarray:
    """Exactly count samples: rounding in the resampler may leave one or two over or short."""
    short = max(0, count - samples.shape[-1])
    return np.pad(samples[..., :count], [(0, 0)] * (samples.ndim - 1) + [(0, short)])


def _decibels(amplitude) -> float:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else float("-inf")


def _write_whole(path: Path, content: bytes) -> None:
    try:
        atomic.write(path, content)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror}); nothing was left behind") from None
