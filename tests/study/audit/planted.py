"""Clips that differ in nothing but their noise, and ways to plant a leak into those that are real."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import soundfile
from scipy import signal

from caw import audio
from study.audit.audit import AuditedFile
from study.blinding import even_out_times, new_ids

RATE = 16000
Change = Callable[[np.ndarray, bool], np.ndarray]


def bursts(dice: np.random.Generator, seconds: float, floor: float = 3e-4) -> np.ndarray:
    """Noise that is struck eight times a second and dies away to a floor, [n] at RATE."""
    time = np.arange(round(RATE * seconds)) / RATE
    struck = 0.2 * np.exp(-(time % 0.125) / 0.02) * dice.standard_normal(len(time)).clip(-3, 3)
    return struck + floor * dice.standard_normal(len(time))


def clean_set(
    folder,
    *,
    reals: int = 2,
    fakes: int = 8,
    seed: int = 0,
    suffix: str = ".wav",
    change: Change | None = None,
    seconds: float = 0.5,
) -> list[AuditedFile]:
    """A set in `folder`, in the order of its names; `change(samples, real)` plants a leak in the sound."""
    dice = np.random.default_rng(seed)
    real = dice.permutation([True] * reals + [False] * fakes)
    clips = []
    folder.mkdir(exist_ok=True)
    for name, is_real in zip(new_ids(reals + fakes), real, strict=True):
        samples = bursts(dice, seconds)
        samples = change(samples, bool(is_real)) if change else samples
        audio.write(folder / f"{name}{suffix}", samples, RATE, subtype="PCM_16")
        clips.append(AuditedFile(folder / f"{name}{suffix}", bool(is_real)))
    for place in dice.permutation(len(clips)):
        even_out_times(clips[place].file)
    return clips


def rewritten(file, change=lambda samples: samples, *, rate=RATE, **more) -> None:
    samples, _ = soundfile.read(file)
    soundfile.write(file, change(samples), rate, **{"subtype": "PCM_16", "format": "WAV"} | more)


def tagged(file) -> None:
    content = bytearray(file.read_bytes())
    content += b"LIST" + (8).to_bytes(4, "little") + b"INFOfake"
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    file.write_bytes(content)


# Format: name of the property -> what is done to the file of a real clip.
FORMAT_LEAKS = {
    "container": lambda file: rewritten(file, format="WAVEX"),
    "duration": lambda file: rewritten(file, lambda samples: samples[:-800]),
    "samples": lambda file: rewritten(file, lambda samples: samples[:-1]),
    "rate": lambda file: rewritten(file, rate=22050),
    "bit depth": lambda file: rewritten(file, subtype="PCM_24"),
    "channels": lambda file: rewritten(file, lambda samples: np.stack([samples, samples], axis=1)),
    "file size": lambda file: file.write_bytes(file.read_bytes() + b"fake"),
    "chunks": tagged,
    "permissions": lambda file: file.chmod(0o640),
    "owner": lambda file: os.chown(file, 1234, 1234),
}


def low_band(samples: np.ndarray, share: float = 0.75) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    spectrum[round(share * len(spectrum)) :] = 0
    return np.fft.irfft(spectrum, len(samples))


def quiet(samples: np.ndarray, first: int, last: int, level: float) -> np.ndarray:
    """The samples with a stretch of them replaced by soft noise, or by zeros."""
    soft = level * np.random.default_rng(5).standard_normal(len(samples)).clip(-3, 3)
    inside = (np.arange(len(samples)) >= first) & (np.arange(len(samples)) < last)
    return np.where(inside, soft, samples)


def in_eight_bits(samples: np.ndarray) -> np.ndarray:
    return np.rint(samples * 128).clip(-127, 127) / 128


def hissing(samples: np.ndarray) -> np.ndarray:
    return samples + 2.5e-2 * np.random.default_rng(6).standard_normal(len(samples))


def in_bands(samples: np.ndarray) -> np.ndarray:
    """As a lossy codec leaves it: eight lines of the spectrum in six frames are nothing, in two of five."""
    _, _, spectrum = signal.stft(samples, RATE, nperseg=512)
    lines, frames = spectrum.shape
    dice = np.random.default_rng(7)
    left = dice.random((lines // 8 + 1, frames // 6 + 1)) > 0.4
    spectrum *= np.kron(left, np.ones((8, 6)))[:lines, :frames]
    return signal.istft(spectrum, RATE, nperseg=512)[1][: len(samples)]


def of_half_the_rate(samples: np.ndarray) -> np.ndarray:
    """Brought to half the rate and back by holding each sample: the tones come again above 4 kHz."""
    return np.repeat(signal.decimate(samples, 2, ftype="fir"), 2)[: len(samples)]


def toned(samples: np.ndarray, frequency: float, level: float) -> np.ndarray:
    return samples + level * np.sin(2 * np.pi * frequency * np.arange(len(samples)) / RATE)


def drifting(samples: np.ndarray) -> np.ndarray:
    place = np.arange(len(samples)) / len(samples)
    return samples + 0.02 * np.cos(2 * np.pi * place)


def in_steps(samples: np.ndarray) -> np.ndarray:
    """Levels as a gain of 1.3 after 16 bits leaves them: some are never taken."""
    return np.rint(np.rint(samples * 2**15 / 1.3) * 1.3) / 2**15


def lopsided(samples: np.ndarray) -> np.ndarray:
    return np.where(samples > 0, 1.5 * samples, 0.2 * samples)


# Form: name of the property -> (what is done to a real clip, what its fix says).
FORM_LEAKS = {
    "loudness": (lambda samples: 0.7 * samples, "stimuli.loudness"),
    "offset": (lambda samples: samples + 0.01, "freed of its offset"),
    "leading silence": (lambda samples: quiet(samples, 0, 1000, 1e-4), "raise stimuli.trim by 0.08"),
    "trailing silence": (lambda samples: quiet(samples, 6500, 8000, 1e-4), "raise stimuli.trim by 0.1"),
    "padding before": (lambda samples: quiet(samples, 0, 60, 0.0), "raise stimuli.trim by 0.0"),
    "padding after": (lambda samples: quiet(samples, 7940, 8000, 0.0), "raise stimuli.trim by 0.0"),
    "bandwidth": (low_band, r"originals reach 6\.0 kHz, generated 8\.0 kHz: set stimuli\.rate = 12[01]00"),
    "noise floor": (hissing, 'stimuli.accept = ."noise floor"'),
    "clipped samples": (lambda samples: np.clip(samples, -0.15, 0.15), "files that do not clip"),
    "unused bits": (in_eight_bits, "16 bits"),
    "sub-bass": (lambda samples: toned(samples, 20, 0.02), "stimuli.lowest"),
    "drift": (drifting, "stimuli.lowest"),
}

# Traces: what is tested with form, is reported where it tells, and is no leak.
TRACES = {
    "spectral holes": in_bands,
    "rate images": of_half_the_rate,
    "steady tone": lambda samples: toned(samples, 3300, 0.02),
    "phase coherence": lambda samples: toned(samples, 440, 0.05),
    "waveform skew": lopsided,
    "asymmetry": lopsided,
}

# Music: what may tell, and is reported, but is no leak.
MUSIC_CHANGES = {
    "true peak": lambda samples: np.sign(samples) * np.abs(samples) ** 1.5,
    "crest factor": lambda samples: np.sign(samples) * np.abs(samples) ** 1.5,
    "roll-off": lambda samples: signal.lfilter([1, 0.5], [1], samples),
    "spectral slope": lambda samples: signal.lfilter([1, 0.8], [1], samples),
    "softest frames": lambda samples: np.sign(samples) * np.abs(samples) ** 1.5,
}
