"""The sound check: a soft tone on the left, on the right, then on both sides, made by this code."""

from __future__ import annotations

import io
import wave

import numpy as np

RATE = 22_050  # Hz
PITCH = 440.0  # Hz
_TONE = 1.0  # s, each of the three
_GAP = 1 / 3  # s, after each; 4 s in all, as the page tells and the player's clock shows
_FADE = 0.04  # s
SECONDS = 3 * (_TONE + _GAP)


def tone(loudness: float) -> bytes:
    """A stereo WAV file (16 bit, 22.05 kHz) whose last, two-sided tone is about as loud as the clips.

    `loudness` is the clips' in LUFS. A two-channel sine near 1 kHz that peaks at x dBFS measures x LUFS
    (ITU-R BS.1770: -3.01 for one channel), which makes the peak's level the loudness asked for.
    """
    moments = np.arange(round(RATE * _TONE)) / RATE
    ramp = np.clip(np.minimum(moments, _TONE - moments) / _FADE, 0, 1)
    sound = (
        10 ** (min(loudness, -6.0) / 20) * np.sin(2 * np.pi * PITCH * moments) * np.sin(ramp * np.pi / 2) ** 2
    )
    silence = np.zeros(round(RATE * _GAP))
    sides = []
    for left, right in ((1, 0), (0, 1), (1, 1)):
        sides.append(np.stack([left * sound, right * sound]))
        sides.append(np.stack([silence, silence]))
    samples = np.round(np.concatenate(sides, axis=1).T * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()
