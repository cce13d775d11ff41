"""Grids of values as small PNG pictures, for charts that would be megabytes with a mark for every value."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from caw.measures.pictures import RAMP


def data_url(values: np.ndarray, low: float, high: float) -> str:
    """Values [rows, columns] as a data URL of a PNG, the first row at the bottom; low to high is the ramp."""
    return f"data:image/png;base64,{base64.b64encode(png(values, low, high)).decode()}"


def png(values: np.ndarray, low: float, high: float) -> bytes:
    """The picture as a PNG file with a palette of 256 colours (W3C PNG, third edition, section 11)."""
    share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-12)
    index = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)[::-1]
    height, width = index.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), index], axis=1)  # each after its filter type
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette().tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def palette() -> np.ndarray:
    """The ramp as [256, 3] bytes."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in RAMP], float)
    place = np.linspace(0, len(RAMP) - 1, 256)
    channels = [np.interp(place, np.arange(len(RAMP)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
