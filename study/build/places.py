"""A clip in place: after the music that comes before a song's gap, and before the music that follows it.

Everything joins at beats. Any clip can be put into any song's place, so that hearing one there says nothing
of what the clip is.
"""

from __future__ import annotations

import numpy as np

from caw import audio, beats, features
from caw.beats import BeatGrid

FADE = (
    0.02  # s: sound is cut so long before a beat, and crosses over up to the beat, whose attack stays whole
)
_AT_THE_END = 0.15  # of a beat, by which one may lie beyond the clip's ends
_SAME_TEMPO = 0.1  # octaves
_LOUDEST = 0.98  # of full scale


def in_place(clip: np.ndarray, before: np.ndarray | None, after: np.ndarray | None, rate: int) -> np.ndarray:
    """A clip with the music around a gap: before, clip, after.

    Parameters
    ----------
    clip : ndarray, shape (n,)
        What is heard in the gap.
    before, after : ndarray, shape (n,), or None
        The music on both sides, as `study build` leaves it in places/: `before` ends and `after` begins where
        a beat is due. None where the gap lies at that end of the song.
    rate : int
        Of all three, in Hz.

    Returns
    -------
    ndarray of float32, shape (n,)
        The clip is taken from its first beat to its last, whole where no beat is clear. The music around it
        gets the clip's loudness by one gain for both sides. Each seam is an equal-power crossfade of 20 ms.
    """
    sides = [one for one in (before, after) if one is not None and len(one)]
    if not sides:
        return np.asarray(clip, np.float32)
    first, last = _reach(np.asarray(clip, np.float32), before, after, rate)
    gain = _gain(clip, np.concatenate(sides), rate)
    fade = round(FADE * rate)
    parts = np.pad(np.asarray(clip[max(0, first) :], float), (max(0, -first), fade))
    if after is not None and len(after):
        parts = _crossed(parts[: last - first + fade], gain * after, fade)
    else:
        parts = parts[: len(parts) - fade]
    if before is not None and len(before):
        parts = _crossed(gain * before, parts, fade)
    peak = float(np.abs(parts).max(initial=0.0))
    return (parts * min(1.0, _LOUDEST / max(peak, 1e-9))).astype(np.float32)


def _crossed(one: np.ndarray, other: np.ndarray, fade: int) -> np.ndarray:
    """Two sounds, of which the second begins `fade` samples before the first one's end."""
    fade = min(fade, len(one), len(other))
    angle = np.pi / 2 * (np.arange(fade) + 0.5) / max(fade, 1)
    seam = one[len(one) - fade :] * np.cos(angle) + other[:fade] * np.sin(angle)
    return np.concatenate([one[: len(one) - fade], seam, other[fade:]])


def _gain(clip: np.ndarray, around: np.ndarray, rate: int) -> float:
    """The factor that gives the music around the gap the clip's loudness."""
    own, other = audio.loudness(np.asarray(clip, float), rate), audio.loudness(around, rate)
    return 10 ** ((own - other) / 20) if np.isfinite(own) and np.isfinite(other) else 1.0


def _reach(
    clip: np.ndarray, before: np.ndarray | None, after: np.ndarray | None, rate: int
) -> tuple[int, int]:
    """The samples at which a clip is entered and left; the first is negative for a beat at its very start."""
    count = len(clip)
    times = _beats(clip, before if before is not None else after, rate)
    if times is None or len(times) < 2:
        return 0, count
    entry, leave = times[0] - FADE, times[-1] - FADE
    first = 0 if before is None else round(entry * rate)
    last = count if after is None else min(round(leave * rate), count)
    return (first, last) if last > first else (0, count)


def _beats(clip: np.ndarray, beside: np.ndarray | None, rate: int) -> np.ndarray | None:
    """Times in s of a clip's beats, as long as those of the music beside it where that is a metric level.

    A beat that lies just beyond an end of the clip counts as well. None where no beat is clear.
    """
    frames = features.analyse(clip, rate)
    grid = beats.beat_grid(frames)
    if grid.tempo is None:
        return None
    around = None if beside is None else beats.beat_grid(features.analyse(np.float32(beside), rate)).tempo
    if around:
        octaves = float(np.log2(grid.tempo / around))
        if round(octaves) and abs(octaves - round(octaves)) < _SAME_TEMPO:
            grid = beats.beat_grid(frames, tempo=around)
    return _whole_beats(grid, len(clip) / rate)


def _whole_beats(grid: BeatGrid, seconds: float) -> np.ndarray:
    """The beats of a grid, of whose units some may be half beats, and those just beyond the clip's ends."""
    phase = int(np.argmin(grid.places != 0)) % grid.per_beat  # bars begin with a beat
    times = grid.bounds[phase :: grid.per_beat]
    period = float(np.median(np.diff(times))) if len(times) > 1 else seconds
    early, late = times[0] - period, times[-1] + period
    if early >= -_AT_THE_END * period:
        times = np.append(max(early, 0.0), times)
    if late <= seconds + _AT_THE_END * period:
        times = np.append(times, min(late, seconds))
    return times
