"""What only a machine leaves: seams between the scales of a cascade, clicks, gaps."""

import numpy as np
from scipy import fft, signal

from caw.measures import yardstick

EDGE = (0.9, 1.1)  # the band of an edge, as a share of its frequency
SHOULDERS = ((0.7, 0.85), (1.18, 1.4))  # and those it is measured against
CLICK_ORDER = 4  # of the difference: it takes a smooth sound away and leaves a jump of one sample
CLICK_BLOCK = 0.016  # seconds over which the local level is taken
CLICK_OUTLIER = 20.0  # times the local median; white noise reaches 8
CLICK_LEAST_DB = -40.0  # dB re the clip's own level in that difference
CLICK_LONGEST = 0.001  # seconds; what stays high for longer is an attack
CLICK_APART = 0.005  # seconds to either side in which nothing else may stand out
LEAST_DB = -90.0  # dB re white noise of the clip's level; a spectrum below it is empty
AT_ONCE = 2_000_000  # samples held as frames
FRAME = 0.05  # seconds, of the level in which silence is sought


def edge(real, fake, rate, *, hz: float) -> float:
    """Level around a scale's Nyquist frequency against its neighbours, less the same of the real clip, in dB.

    The mean power of 0.9 to 1.1 hz over the geometric mean of the powers of 0.7 to 0.85 and 1.18 to 1.4 hz.
    Below 0 there is a hole where two scales of a cascade should meet, above it a ridge.
    Raises: TooShortError where 1.4 hz is above half the rate.
    """
    if not reaches(hz, rate):
        raise yardstick.TooShortError(f"an edge at {hz:g} Hz has no upper neighbour at a rate of {rate:g} Hz")
    in_fake, in_real = (
        yardstick.kept(x, ("prominence", hz), lambda x=x: _prominence(x, rate, hz)) for x in (fake, real)
    )
    return in_fake - in_real


def reaches(hz: float, rate: float) -> bool:
    """Whether there is enough of the spectrum above `hz` for `edge`."""
    return SHOULDERS[1][1] * hz <= rate / 2


def clicks(x, rate) -> float:
    """Clicks per minute: single samples, or joints of two signals, that jump out of their surroundings.

    A click is an outlier of the absolute fourth-order difference: over 20 times its median in the 16 ms
    around (the largest of the medians of three blocks of 16 ms), for 1 ms at most, with nothing
    else over the same threshold within 5 ms. A drum's attack raises what follows it and is none.
    """
    x = yardstick.validated(x, rate, "x")
    jumps = np.abs(np.diff(x, CLICK_ORDER))
    block = max(8, round(CLICK_BLOCK * rate))
    blocks = np.pad(jumps, (0, -jumps.size % block), mode="edge").reshape(-1, block)
    medians = np.median(blocks, axis=1)
    around = np.pad(medians, 1, mode="edge")
    local = np.max([around[:-2], around[1:-1], around[2:]], axis=0)
    least = yardstick.rms(jumps) * 10 ** (CLICK_LEAST_DB / 20)
    high = np.flatnonzero(blocks > np.maximum(CLICK_OUTLIER * local, least)[:, None])
    high = high[high < jumps.size]
    if not high.size:
        return 0.0
    groups = np.split(high, np.flatnonzero(np.diff(high) > CLICK_APART * rate) + 1)
    longest = max(CLICK_ORDER + 1, round(CLICK_LONGEST * rate))
    count = sum(group[-1] - group[0] < longest for group in groups)
    return float(60 * count * rate / x.size)


def silence(x, rate) -> dict[str, float]:
    """How much of a clip is silent: dict(share, longest), from 0 to 1 and in seconds.

    Silent are frames of 50 ms over 40 dB below the clip's own level.
    """
    x = yardstick.validated(x, rate, "x")
    size = max(1, round(FRAME * rate))
    frames = x[: x.size // size * size].reshape(-1, size)
    quiet = np.sqrt(np.mean(frames**2, axis=1)) < yardstick.rms(x) * 10 ** (yardstick.QUIET_DB / 20)
    ends = np.flatnonzero(np.diff(np.pad(quiet, 1).astype(np.int8)))
    longest = (ends[1::2] - ends[::2]).max(initial=0)
    return {"share": float(quiet.mean()), "longest": float(longest * size / rate)}


def _prominence(x, rate, hz: float) -> float:
    x = yardstick.validated(x, rate, "x")
    size = min(x.size, max(256, round(64 * rate / hz)))  # 64 periods of the edge
    window = signal.get_window("hann", size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x / yardstick.rms(x), size)[:: size - size // 2]
    frequencies, power, rows = np.fft.rfftfreq(size, 1 / rate), 0.0, max(1, AT_ONCE // size)
    for first in range(0, len(frames), rows):  # Welch's method; scipy's takes a Python call for each frame
        part = frames[first : first + rows]
        spectra = fft.rfft((part - part.mean(axis=1, keepdims=True)) * window, axis=1)
        power = power + np.sum(np.abs(spectra) ** 2, axis=0, dtype=np.float64)
    power *= 2 / (len(frames) * rate * np.sum(window**2))

    def level(low: float, high: float) -> float:
        inside = (frequencies >= low * hz) & (frequencies <= high * hz)
        return 10 * np.log10(rate / 2 * power[inside].mean() + 10 ** (LEAST_DB / 10))

    return float(level(*EDGE) - np.mean([level(*shoulder) for shoulder in SHOULDERS]))
