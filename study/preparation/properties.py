"""What a stimulus file gives away without being listened to: properties of the file and of its sound."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from study.preparation.stimuli import loudness, true_peak

_FLOOR_DB = -100.0  # below 16-bit dither: levels under it are all the same
_SILENT_DB = -60.0  # dBFS; leading and trailing sound below it counts as silence
_FRAME = 0.02  # s
_BAND_DB = 60.0  # what lies so far below the strongest band counts as empty


@dataclass(frozen=True)
class Property:
    """One thing measured of every file."""

    name: str
    unit: str
    mend: str  # what to do when it tells real from fake

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


_REBUILD = "build the sets again with this version, and do not touch their files"
_LENGTH = "build again: every stimulus must have stimuli.seconds"

# Of the file: must be the same for all stimuli, real or fake.
FORMAT = (
    Property("suffix", "", _REBUILD),
    Property("file size", "bytes", _REBUILD),
    Property("samples", "", _LENGTH),
    Property("rate", "Hz", _REBUILD),
    Property("coding", "", _REBUILD),
    Property("channels", "", _REBUILD),
    Property("chunks", "", "strip the metadata: " + _REBUILD),
    Property("changed", "ns", _REBUILD),
    Property("name length", "", _REBUILD),
    Property("permissions", "", _REBUILD),
)
# Drawn at random at each build, so that a separation without significance is no hint of anything.
ORDER = Property("order of names", "", "build again: ids are drawn anew")
_BAND = "lower stimuli.bandwidth (or stimuli.rate) to what the poorer clips carry"
# Of the sound: may differ from clip to clip, but not by whether a clip is real.
CONTENT = (
    Property("loudness", "LUFS", "build again; see the loudness that the build reports"),
    Property(
        "true peak", "dBTP", "nothing to mend: at one loudness it belongs to the music; say so in the report"
    ),
    Property("crest factor", "dB", "nothing to mend: it belongs to the music; mention it in the report"),
    Property("offset", "dBFS", "build again: offsets are removed"),
    Property("leading silence", "s", "raise stimuli.trim, or choose passages that start with sound"),
    Property("trailing silence", "s", "raise stimuli.trim, or choose passages that end with sound"),
    Property("roll-off", "Hz", _BAND),
    Property("bandwidth", "Hz", _BAND),
    Property("noise floor", "dBFS", "use sources and imports of like recording quality"),
    Property("clipped samples", "", "use sources that do not clip"),
    ORDER,
)
_COMPRESSED = Property("file size", "bytes", 'set stimuli.format = "wav": compressed sizes follow the music')


def contents_for(files: list[Path]) -> tuple[Property, ...]:
    """CONTENT, and for compressed files their size, which follows the music."""
    return CONTENT + ((_COMPRESSED,) if any(file.suffix == ".flac" for file in files) else ())


def formats_for(files: list[Path]) -> tuple[Property, ...]:
    """FORMAT, without the size where files are compressed."""
    compressed = any(file.suffix == ".flac" for file in files)
    return tuple(found for found in FORMAT if not (compressed and found.name == "file size"))


def measure_format(file: Path) -> dict[str, int | str]:
    """The properties FORMAT of one file."""
    facts, info = file.stat(), soundfile.info(file)
    return {
        "suffix": file.suffix,
        "file size": facts.st_size,
        "samples": info.frames,
        "rate": info.samplerate,
        "coding": f"{info.format} {info.subtype}",
        "channels": info.channels,
        "chunks": chunks(file),
        "changed": facts.st_mtime_ns,
        "name length": len(file.stem),
        "permissions": oct(facts.st_mode & 0o777),
    }


def measure_content(file: Path) -> dict[str, float]:
    """The properties CONTENT of one file but for the order of names, which needs them all."""
    samples, rate = soundfile.read(file, dtype="float64", always_2d=True)
    samples = samples.mean(axis=1)
    peak, rms = np.abs(samples).max(), np.sqrt(np.mean(samples**2))
    hop = max(1, round(_FRAME * rate))
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    loud = np.flatnonzero(np.abs(samples) > 10 ** (_SILENT_DB / 20))
    before, after = (loud[0], len(samples) - 1 - loud[-1]) if loud.size else (len(samples), len(samples))
    frequencies, power = signal.welch(samples, rate, nperseg=min(2048, len(samples)))
    share = np.cumsum(power) / max(power.sum(), 1e-30)
    filled = np.flatnonzero(10 * np.log10(np.maximum(power, 1e-30) / max(power.max(), 1e-30)) > -_BAND_DB)
    return {
        "loudness": round(loudness(samples, rate), 2),
        "true peak": round(true_peak(samples), 2),
        "crest factor": round(_decibels(peak) - _decibels(rms), 2),
        "offset": round(_decibels(abs(samples.mean())), 1),
        "leading silence": round(before / rate, 3),
        "trailing silence": round(after / rate, 3),
        "roll-off": _rounded(frequencies[np.searchsorted(share, 0.99)]),
        "bandwidth": _rounded(frequencies[filled[-1]]),
        "noise floor": round(_decibels(np.percentile(np.sqrt(np.mean(frames**2, axis=1)), 5)), 1),
        "clipped samples": float(np.sum(np.abs(samples) >= 1 - 2**-15)),
        "file size": float(file.stat().st_size),
    }


def chunks(file: Path) -> str:
    """Names of a file's parts that are neither its format nor its sound, as "LIST bext"; "" for none.

    RIFF chunks for WAV, metadata blocks beyond the first (the stream's format) for FLAC.
    """
    content, found = file.read_bytes(), []
    if content[:4] == b"RIFF":
        place = 12
        while place + 8 <= len(content):
            name, length = struct.unpack("<4sI", content[place : place + 8])
            if name not in (b"fmt ", b"data"):
                found.append(name.decode("latin-1"))
            place += 8 + length + length % 2
        if place < len(content):
            found.append("rest")
    elif content[:4] == b"fLaC":
        place, last = 4, False
        while not last and place + 4 <= len(content):
            last, kind = bool(content[place] & 0x80), content[place] & 0x7F
            length = int.from_bytes(content[place + 1 : place + 4], "big")
            vendor_only = kind == 4 and content[place + 4 + length - 4 : place + 4 + length] == bytes(4)
            if kind != 0 and not vendor_only:
                found.append(f"block{kind}")
            place += 4 + length
    return " ".join(found)


def _rounded(frequency: float) -> float:
    """To 50 Hz: finer differences are those of the music."""
    return 50.0 * round(float(frequency) / 50)


def _decibels(amplitude: float) -> float:
    return max(_FLOOR_DB, float(20 * np.log10(amplitude))) if amplitude > 0 else _FLOOR_DB
