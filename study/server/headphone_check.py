"""The sounds of the headphone check, and their addresses.

Two checks, each of three intervals of which one is the answer:

- "huggins": white noise, alike in both ears but for one interval, in which a narrow band around 600 Hz is
  turned by 180 degrees in one ear. Two ears together hear a faint tone there; each ear alone hears noise
  (Cramer and Huggins 1958; as a check Milne et al. 2021, Behavior Research Methods 53:1551-1562).
- "antiphase": three tones of 200 Hz. One is 6 dB softer: the answer. Another one is turned by 180 degrees in
  one ear: from loudspeakers it cancels itself in the air, and seems the softest (Woods et al. 2017,
  Attention, Perception, & Psychophysics 79:2064-2072).

Which interval it is follows from a secret of the study, the listener, the attempt and the trial. Addresses
and headers follow from the same by a way that cannot be turned back, and all files are equally long.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import wave
from pathlib import Path

import numpy as np

from study.design.checks import HEADPHONE_ATTEMPTS, HEADPHONE_CHOICES, HEADPHONE_TRIALS, HeadphoneCheck
from study.server.made_sounds import MadeSounds

RATE = 22_050  # Hz
SECONDS, GAP, EDGE = 1.0, 0.5, 0.1  # of an interval, between two, before the first and after the last
FADE = {"huggins": 0.03, "antiphase": 0.1}  # s
PITCH, BAND = 600.0, 0.06  # Hz, and how far the band reaches to either side of it, as a share
TONE, SOFTER = 200.0, 10 ** (-6 / 20)  # Hz, and the level of the softest tone
LOUDEST = -20.0  # dBFS: noise of this level has peaks below full scale
LENGTH = 2 * EDGE + 3 * SECONDS + 2 * GAP  # s
_SOUNDS = MadeSounds(kept=200)  # a browser asks for one within a minute


def hidden(secret: str, *about: object) -> int:
    """A number that only who knows the secret can tell, for what a check asks."""
    digest = hmac.new(secret.encode(), "/".join(map(str, about)).encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big")


def answer(secret: str, listener_id: int, attempt: int, trial: int) -> int:
    """The right interval of a trial, counted from 1 as all here."""
    return HEADPHONE_CHOICES[hidden(secret, "interval", listener_id, attempt, trial) % 3]


def key(secret: str, listener_id: int, attempt: int, trial: int) -> str:
    """What the address of a trial's sound ends in."""
    return f"{hidden(secret, 'address', listener_id, attempt, trial):016x}"


def trial_of(secret: str, listener_id: int, asked: str) -> tuple[int, int] | None:
    """The attempt and the trial behind an address of this listener; None for any other."""
    for attempt in range(1, HEADPHONE_ATTEMPTS + 1):
        for trial in range(1, HEADPHONE_TRIALS + 1):
            if hmac.compare_digest(key(secret, listener_id, attempt, trial), asked):
                return attempt, trial
    return None


def sound(kind: HeadphoneCheck, right: int, seed: int, loudness: float) -> np.ndarray:
    """One trial, [2, samples] between -1 and 1: three intervals, of which number `right` is the answer.

    loudness: that of the clips in LUFS, which the sounds have about, at most `LOUDEST`.
    """
    dice = np.random.default_rng(seed)
    level = 10 ** (min(loudness, LOUDEST) / 20)
    make = {"huggins": _noise, "antiphase": _tones}[kind]
    intervals = [ears * _ramp(kind) * level for ears in make(right - 1, dice)]
    gap, edge = (np.zeros((2, round(RATE * seconds))) for seconds in (GAP, EDGE))
    return np.concatenate([edge, intervals[0], gap, intervals[1], gap, intervals[2], edge], axis=1)


def _noise(right: int, dice: np.random.Generator) -> list[np.ndarray]:
    """Noise of mean power 1, the same in both ears but for a turned band in the right interval."""
    count, made = round(RATE * SECONDS), []
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    for place in range(3):
        left = dice.standard_normal(count)
        left /= np.sqrt(np.mean(left**2))
        spectrum = np.fft.rfft(left)
        if place == right:
            spectrum[np.abs(frequencies - PITCH) <= BAND * PITCH] *= -1
        made.append(np.stack([left, np.fft.irfft(spectrum, count)]))
    return made


def _tones(right: int, dice: np.random.Generator) -> list[np.ndarray]:
    """Tones of amplitude 1, the right one softer, another one turned in one ear."""
    tone = np.sin(2 * np.pi * TONE * np.arange(round(RATE * SECONDS)) / RATE)
    turned = dice.choice([place for place in range(3) if place != right])
    return [
        np.stack([tone, -tone if place == turned else tone]) * (SOFTER if place == right else 1.0)
        for place in range(3)
    ]


def _ramp(kind: HeadphoneCheck) -> np.ndarray:
    moments = np.arange(round(RATE * SECONDS)) / RATE
    return np.sin(np.clip(np.minimum(moments, SECONDS - moments) / FADE[kind], 0, 1) * np.pi / 2) ** 2


def wav(samples: np.ndarray) -> bytes:
    """A stereo WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.round(samples.T * 32767).astype("<i2").tobytes())
    return file.getvalue()


def file_of(
    secret: str, kind: HeadphoneCheck, loudness: float, listener_id: int, attempt: int, trial: int
) -> Path:
    """The file of a trial, made where it is not there; the oldest of many are removed."""

    def make(path: Path) -> None:
        right = answer(secret, listener_id, attempt, trial)
        seed = hidden(secret, "sound", listener_id, attempt, trial)
        path.write_bytes(wav(sound(kind, right, seed, loudness)))

    return _SOUNDS.file(f"{key(secret, listener_id, attempt, trial)}.wav", make)
