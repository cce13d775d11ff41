"""Reading, writing and measuring sound: files at the edge, float32 arrays inside.

Samples are float32, full scale is 1.0, shape [n] for one channel and [channels, n] for more. Levels are
never changed silently: what is written is what the array holds, and what is read is what the file holds.
"""

from __future__ import annotations

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

__all__ = [
    "READABLE",
    "AudioError",
    "AudioInfo",
    "AudioWarning",
    "SilentError",
    "inspect",
    "loudness",
    "peak_db",
    "pieces",
    "read",
    "require_writable",
    "resample",
    "silent_share",
    "true_peak",
    "within_full_scale",
    "write",
]

SHORTEST = 0.01  # seconds; anything shorter is a broken file, not a clip
SILENT_DB = -80.0  # dBFS; a clip that peaks below it holds nothing to learn from or to hear
PAUSE_DB = -60.0  # dB relative to the clip's own peak; frames that stay below it count as silent
PAUSE_FRAME = 0.05  # seconds
PAUSE_LONGEST = 1.0  # seconds in one piece from which on silence gives a warning
PAUSE_SHARE = 0.2  # share of the clip from which on silence gives a warning
CLIPPED_RUN = 3  # samples in a row at full scale that count as clipping
OFFSET = 0.02  # of full scale (-34 dBFS); a mean beyond it is a fault of the recording
CANCELLED_DB = 20.0  # lost in the mean of the channels, from which on their cancelling gives a warning
LOUDNESS_BLOCK = 0.4  # seconds, of ITU-R BS.1770
OVERSAMPLING = 4  # ITU-R BS.1770-5, annex 2

_BITS = {"PCM_16": 16, "PCM_24": 24}
_WRITABLE = {".wav": "WAV", ".flac": "FLAC"}
_PIECE = 2**22  # samples that are oversampled at a time
_REACH = 32  # samples; those further away have no part in what lies between two


class SilentError(AudioError):
    """A sound file without sound."""


class AudioWarning(UserWarning):
    """Sound that can be used but may disappoint: it is clipped, long silent, or its file has odd parts."""


@dataclass(frozen=True)
class AudioInfo:
    """The format and the length of a sound file, whose samples were counted to its end."""

    path: Path
    rate: int  # Hz
    channels: int
    seconds: float
    subtype: str  # libsndfile's name of the coding, such as PCM_24, or FFmpeg's, such as AAC
    format: str  # libsndfile's name of the container, such as WAV, or FFmpeg's


def inspect(path) -> AudioInfo:
    """Read the format and the length of a sound file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    AudioInfo

    Raises
    ------
    AudioError
        For a file that is missing, no sound, damaged or cut short.

    Notes
    -----
    The length that the header states is checked against the file's content, see `caw.files.sound_files`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = f"{tempfile.mkdtemp()}/tone.wav"
    >>> write(path, 0.5 * np.sin(np.arange(8000)), 8000)
    >>> info = inspect(path)
    >>> info.rate, info.channels, info.seconds, info.subtype
    (8000, 1, 1.0, 'PCM_24')
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
    """Read a sound file, or a piece of it.

    Parameters
    ----------
    path : str or Path
        A sound file of any rate, sample format and channel count: WAV, FLAC, OGG, AIFF, MP3, M4A and what
        else libsndfile or FFmpeg decodes, the sound of a video included.
    rate : float, optional
        Hz to resample to; by default the file's own rate is kept.
    start : float
        Second at which the piece begins.
    seconds : float, optional
        Length of the piece; by default it goes to the end of the file.
    mono : bool
        Whether to take the mean of all channels.

    Returns
    -------
    samples : array [n], or [channels, n] where not `mono`
        float32; exactly round(seconds * rate) samples where `seconds` is given.
    rate : int
        Hz.

    Raises
    ------
    AudioError
        For a file that is missing, empty, no sound, cut short, too short for the piece, silent, or that holds
        NaN or infinite samples. Silent is also a constant offset, and channels that cancel each other.

    Warns
    -----
    AudioWarning
        Of clipping, peaks above full scale, a large offset, long silence, and odd parts of the file.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = f"{tempfile.mkdtemp()}/tone.wav"
    >>> write(path, 0.5 * np.sin(np.arange(16000)), 8000)
    >>> samples, rate = read(path, rate=4000, seconds=1.5)
    >>> samples.shape, samples.dtype, rate
    ((6000,), dtype('float32'), 4000)
    """
    if rate is not None and not rate > 0:
        raise AudioError(f"rate is {rate!r}", "give a sampling rate in Hz above 0")
    if not (np.isfinite(start) and start >= 0):
        raise AudioError(f"start is {start!r}", "give the second to start at, 0 or more")
    if seconds is not None and not (np.isfinite(seconds) and seconds > 0):
        raise AudioError(f"seconds is {seconds!r}", "give a length above 0")
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
    """Decode a file once, and give it mixed and resampled to `rate` Hz in pieces of `seconds`, float32 [n].

    A silent piece is given as zeros. There are no warnings of levels, and no least length; otherwise as
    `read`.
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
    """Write samples to a .wav or .flac file, at their own level.

    Parameters
    ----------
    path : str or Path
        The file, of suffix .wav or .flac.
    samples : array [n] or [channels, n]
        Numbers from -1 to 1.
    rate : int
        Sampling rate in Hz.
    subtype : {"PCM_24", "PCM_16"}
        Integers are round(x * 2**(bits - 1)), so that reading a file and writing it again gives the same
        samples.

    Raises
    ------
    AudioError
        For NaN, infinite samples or samples beyond full scale (nothing is rescaled), another suffix or
        subtype, and where the file cannot be written.

    Notes
    -----
    The file appears whole or not at all and holds no metadata, so that the same samples give the same bytes.

    Examples
    --------
    >>> import tempfile
    >>> write(f"{tempfile.mkdtemp()}/loud.wav", [0.0, 1.5], 8000)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    caw.files.containers.AudioError: ...: samples reach 1.5, above full scale (1); lower their level first
    """
    path, samples = Path(path), np.asarray(samples)
    require_writable(path)
    if subtype not in _BITS:
        raise AudioError(f"subtype is {subtype!r}", f"use one of {', '.join(_BITS)}")
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise AudioError(f"{path}: samples have shape {samples.shape}", "give [n] or [channels, n], n > 0")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: {_not_finite(samples)}", "nothing was written")
    peak = float(np.abs(samples).max())
    if peak > 1:
        raise AudioError(f"{path}: samples reach {peak:.4g}, above full scale (1)", "lower their level first")
    top = 2 ** (_BITS[subtype] - 1)
    whole = np.minimum(np.rint(samples.astype(np.float64) * top), top - 1).astype(np.int64)
    words = (whole << (32 - _BITS[subtype])).astype(np.int32)
    coded = BytesIO()
    soundfile.write(coded, words.T, int(rate), format=_WRITABLE[path.suffix.lower()], subtype=subtype)
    _write_whole(path, coded.getvalue())


def require_writable(path) -> None:
    """Raise AudioError unless `write` knows the path's suffix. Worth a call before long work."""
    suffix = Path(path).suffix
    if suffix.lower() not in _WRITABLE:
        raise AudioError(f"{path}: suffix {suffix!r} cannot be written", "use .wav or .flac")


def within_full_scale(samples, name) -> np.ndarray:
    """A clip, lowered to full scale where it exceeds it, as PCM holds no more; that gives an AudioWarning."""
    peak = float(np.abs(samples).max())
    if peak <= 1.0:
        return samples
    gain = 0.9999 / peak
    lowered = f"{20 * np.log10(peak):+.1f} dBFS, lowered by {-20 * np.log10(gain):.1f} dB to fit"
    warnings.warn(f"{name}: peak {lowered}", AudioWarning, stacklevel=2)
    return samples * np.float32(gain)


def resample(samples, from_rate, to_rate) -> np.ndarray:
    """Resample sound by soxr's filter of high quality.

    Parameters
    ----------
    samples : array [n] or [channels, n]
    from_rate, to_rate : float
        Hz.

    Returns
    -------
    array
        float32, exactly round(n * to_rate / from_rate) samples.

    Examples
    --------
    >>> import numpy as np
    >>> resample(np.zeros((2, 44100)), 44100, 16000).shape
    (2, 16000)
    """
    samples = np.asarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    count = round(samples.shape[-1] * to_rate / from_rate)
    return _fit(np.ascontiguousarray(soxr.resample(samples.T, from_rate, to_rate, quality="HQ").T), count)


def peak_db(samples) -> float:
    """Highest absolute sample in dBFS; -inf for silence."""
    return _decibels(np.abs(samples).max(initial=0.0))


def true_peak(samples: np.ndarray) -> float:
    """Highest level on and between the samples, by fourfold oversampling (ITU-R BS.1770-5, annex 2).

    Parameters
    ----------
    samples : array [n] or [channels, n]

    Returns
    -------
    float
        dBTP; -inf for silence.

    Notes
    -----
    Long sound is oversampled piece by piece, which gives the same value.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4)  # whose samples miss its peaks
    >>> round(peak_db(tone), 2), bool(abs(true_peak(tone)) < 0.2)
    (-3.01, True)
    """
    from scipy import signal  # takes a while to load

    peak = 0.0
    for channel in np.atleast_2d(samples):
        peak = max(peak, float(np.abs(channel).max(initial=0.0)))
        for first in range(0, len(channel), _PIECE):
            before = min(first, _REACH)
            piece = channel[first - before : first + _PIECE + _REACH].astype(np.float64)
            between = np.abs(signal.resample_poly(piece, OVERSAMPLING, 1))
            peak = max(peak, float(between[OVERSAMPLING * before :][: OVERSAMPLING * _PIECE].max()))
    return 20 * float(np.log10(peak)) if peak > 0 else -np.inf


def loudness(samples: np.ndarray, rate: int) -> float:
    """Integrated loudness (ITU-R BS.1770-5).

    Parameters
    ----------
    samples : array [n] or [channels, n]
    rate : int
        Sampling rate in Hz.

    Returns
    -------
    float
        LUFS; -inf for silence.

    Notes
    -----
    A clip shorter than a block of 0.4 s is repeated, which changes no loudness. For more than five channels
    the recommendation has no weights; they are taken as their mean.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 997 * np.arange(96000) / 48000)
    >>> bool(abs(loudness(tone, 48000) + 3.01) < 0.1)  # -3.01 LUFS by the recommendation
    True
    """
    import pyloudnorm  # takes a while to load

    samples = np.atleast_2d(np.asarray(samples, np.float64))
    if len(samples) > 5:
        samples = samples.mean(axis=0, keepdims=True)
    shortest = LOUDNESS_BLOCK * rate + 1
    if samples.shape[1] < shortest:
        samples = np.tile(samples, int(np.ceil(shortest / samples.shape[1])))
    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(rate).integrated_loudness(samples.T))


def silent_share(samples: np.ndarray, rate: int) -> float:
    """Share of sound [n] or [channels, n] in frames of 50 ms that stay 60 dB below its own peak; 1 if all.

    `read` warns by the same frames and limit.
    """
    samples = np.atleast_2d(samples)
    return float(np.mean(_silent_frames(samples, rate))) if samples.any() else 1.0


def _require_length(path, frames: int, rate: int, start: float, seconds: float | None) -> None:
    length = f"{path}: is {frames / rate:.2f} s long"
    if seconds is None and round((start + SHORTEST) * rate) > frames:
        raise AudioError(f"{length}, so nothing is left from second {start:g} on", "start earlier")
    if seconds is not None and round((start + seconds) * rate) > frames:
        place = f" from second {start:g} on" if start else ""
        raise AudioError(f"{length}, {seconds:g} s{place} were asked for", "ask for less")


def _surveyed(path):
    file = survey(path)
    if file.frames / file.rate < SHORTEST:
        raise AudioError(f"{path}: holds {file.frames} samples", f"give a clip of at least {SHORTEST} s")
    return file


def _require_sound(path, samples: np.ndarray) -> None:
    """Raise AudioError for samples [channels, n] that are not finite, or silent but for an offset."""
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: {_not_finite(samples)}", "export the file again")
    peak = peak_db(samples)
    if peak < SILENT_DB:
        raise SilentError(f"{path}: is silent (peak {peak:.0f} dBFS)", "give a clip with sound")
    offset = samples.mean(axis=-1, keepdims=True, dtype=np.float64)
    if np.abs(offset).max() > OFFSET and peak_db(samples - offset) < SILENT_DB:
        reason = f"holds a constant offset of {_largest(offset):+.2f} and no sound besides"
        raise SilentError(f"{path}: is silent ({reason})", "give a clip with sound")
    if np.abs(offset).max() > OFFSET:
        fault = f"has an offset of {_largest(offset):+.3f}, {peak_db(offset):.0f} dBFS"
        warnings.warn(f"{path}: {fault}; remove it (DC) with an audio editor", AudioWarning, stacklevel=3)


def _largest(offset: np.ndarray) -> float:
    return float(offset.flat[np.abs(offset).argmax()])


def _mixed(path, samples: np.ndarray) -> np.ndarray:
    """The mean [n] of the channels, which must not cancel each other."""
    mixed = samples.mean(axis=0, dtype=np.float32)
    lost = _decibels(np.sqrt(np.mean(samples**2))) - _decibels(np.sqrt(np.mean(mixed**2)))
    if peak_db(mixed) < SILENT_DB:
        peaks = f"peak {peak_db(mixed):.0f} dBFS of {peak_db(samples):.0f}"
        raise SilentError(
            f"{path}: its channels cancel when they are mixed ({peaks})",
            "give one channel, turn the other's polarity, or keep both (caw train --stereo)",
        )
    if lost > CANCELLED_DB:
        fault = f"its channels nearly cancel when they are mixed ({lost:.0f} dB are lost)"
        warnings.warn(f"{path}: {fault}; turn the polarity of one of them", AudioWarning, stacklevel=3)
    return mixed


def _not_finite(samples: np.ndarray) -> str:
    bad = ~np.isfinite(samples)
    count = "1 sample is" if bad.sum() == 1 else f"{bad.sum()} samples are"
    return f"{count} NaN or infinite, the first at sample {np.nonzero(bad)[-1].min()}"


def _warn_of_levels(path, samples: np.ndarray, full_scale: float) -> None:
    """Warn of clipping, where neighbours stay at full scale, and of peaks above it."""
    peak = float(np.abs(samples).max())
    full = np.abs(samples) >= full_scale
    if peak > 1:  # float samples, or those of a lossy coding, which full scale does not limit
        same = np.pad(samples[:, 1:] == samples[:, :-1], ((0, 0), (1, 1)))
        full &= same[:, 1:] | same[:, :-1]
    edges = np.diff(np.pad(full, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    clipped = lengths[lengths >= CLIPPED_RUN]
    if clipped.size:
        extent = f"{clipped.sum()} samples in {clipped.size} places stand at full scale"
        warnings.warn(f"{path}: clipped ({extent}); use a cleaner copy", AudioWarning, stacklevel=3)
    if peak > 1:
        level = f"peaks at {20 * np.log10(peak):+.1f} dBFS"
        warnings.warn(f"{path}: {level}; lowered where it is written", AudioWarning, stacklevel=3)


def _warn_of_silence(path, samples: np.ndarray, rate: int) -> None:
    quiet = _silent_frames(samples, rate)
    edges = np.diff(np.pad(quiet, (1, 1)).astype(np.int8))
    runs = np.nonzero(edges == -1)[0] - np.nonzero(edges == 1)[0]
    longest, share = runs.max(initial=0) * _frame(rate) / rate, quiet.mean()
    if longest >= PAUSE_LONGEST or share > PAUSE_SHARE:
        extent = f"longest {longest:.1f} s, {share:.0%} in all"
        warnings.warn(f"{path}: long silence ({extent}); use a fuller piece", AudioWarning, stacklevel=3)


def _frame(rate: int) -> int:
    """Samples of a frame that is silent or not."""
    return max(1, round(PAUSE_FRAME * rate))


def _silent_frames(samples: np.ndarray, rate: int) -> np.ndarray:
    """Which frames of samples [channels, n] stay below `PAUSE_DB`, bool [frames]."""
    hop, level = _frame(rate), np.abs(samples).max(axis=0)
    frames = np.pad(level, (0, -level.size % hop)).reshape(-1, hop).max(axis=1)
    return frames < level.max() * 10 ** (PAUSE_DB / 20)


def _fit(samples: np.ndarray, count: int) -> np.ndarray:
    """Exactly `count` samples: by rounding, a resampler may give one or two more or less."""
    short = max(0, count - samples.shape[-1])
    return np.pad(samples[..., :count], [(0, 0)] * (samples.ndim - 1) + [(0, short)])


def _decibels(amplitude) -> float:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else float("-inf")


def _write_whole(path: Path, content: bytes) -> None:
    try:
        atomic.write(path, content)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror})", "nothing was left behind") from None
