"""The guide: a timeline as conditioning of the score's network, a column for each frame of the score.

Ten rows are the phase in beat and bar, twelve the pitch classes, two loudness and density, three accents, and
the last the transposition. Pitch classes, level and accents are in deviations from the clips' own mean, so
that zeros ask for nothing in particular. Values hold for a unit of the timeline (half a beat, or a note).
"""

from __future__ import annotations

import numpy as np

from caw.compose.timeline import ACCENTS, SLOTS, Timeline, phase

PHASE = slice(0, 10)
CHROMA = slice(10, 22)
LEVEL = slice(22, 24)
ACCENT = slice(24, 24 + ACCENTS // SLOTS)
SHIFT = slice(ACCENT.stop, ACCENT.stop + 1)
ROWS = SHIFT.stop
GROUPS = (PHASE, CHROMA, LEVEL, ACCENT)  # each is left out of some crops in training
OCTAVE_HALF = 6.0  # semitones of a shift of 1
BEATS = (2.0, 4.0, 1.0)  # cycles a quarter note
BARS = (1.0, 2.0)  # cycles a bar
EXTREME = 3.0  # deviations, at most; the network was never trained beyond


class Guide:
    """Turns timelines into rows, normalised as in training. mean, deviation: of all rows but the phase."""

    def __init__(self, clips: list[Timeline], mean: np.ndarray, deviation: np.ndarray) -> None:
        self.clips, self.mean, self.deviation = clips, mean, deviation

    @classmethod
    def of(cls, clips: list[Timeline]) -> Guide:
        """The guide for the timelines of the training clips."""
        rows = np.concatenate([_values(clip) for clip in clips], axis=1)
        return cls(clips, rows.mean(axis=1), np.maximum(rows.std(axis=1), 0.02))

    def rows(self, timeline: Timeline, frames: int, rate: float, *, accentuation: float = 1.0) -> np.ndarray:
        """The rows of a timeline, float32 [ROWS, frames]; frame k lies at k / rate seconds.

        accentuation: a factor of accents.
        """
        times = np.arange(frames) / rate
        unit, within = _units(timeline, times)
        out = np.zeros((ROWS, frames), np.float32)
        if timeline.has_beat:
            beat = timeline.beat[unit] + within * np.diff(timeline.beat)[unit]
            out[: 2 * len(BEATS)] = np.concatenate([phase(beat, cycles) for cycles in BEATS])
            if len(timeline.bar):
                bar = timeline.bar[unit] + within * np.diff(timeline.bar)[unit]
                out[2 * len(BEATS) : PHASE.stop] = np.concatenate([phase(bar, cycles) for cycles in BARS])
        else:  # the units are notes
            out[:4] = np.concatenate([phase(within, 1.0), phase(within, 2.0)])
        values = (_values(timeline) - self.mean[:, None]) / self.deviation[:, None]
        slot = np.clip((within * SLOTS).astype(int), 0, SLOTS - 1)
        values = np.nan_to_num(values[:, unit * SLOTS + slot])
        out[PHASE.stop : SHIFT.start] = np.clip(values, -EXTREME, EXTREME)
        out[ACCENT] *= accentuation
        out[SHIFT] = timeline.shift[unit] / OCTAVE_HALF
        return out

    def transpose(self, rows: np.ndarray, semitones: int) -> None:
        """Turn rows [ROWS, frames] of a clip into those of the transposed clip, in place."""
        mean, deviation = (np.float32(x[:12, None]) for x in (self.mean, self.deviation))
        turned = np.roll(rows[CHROMA] * deviation + mean, semitones, axis=0)
        rows[CHROMA] = np.clip((turned - mean) / deviation, -EXTREME, EXTREME)
        rows[SHIFT] += semitones / OCTAVE_HALF

    @staticmethod
    def steps(timeline: Timeline, frames: int, rate: float) -> np.ndarray:
        """The slot of each frame, numbered through all units: int [frames]."""
        unit, within = _units(timeline, np.arange(frames) / rate)
        return unit * SLOTS + np.clip((within * SLOTS).astype(int), 0, SLOTS - 1)

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays by name, as `from_tensors` takes them."""
        clips = {
            f"clip-{i:02d}.{name}": values
            for i, clip in enumerate(self.clips)
            for name, values in clip.tensors().items()
        }
        return clips | {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Guide:
        """The guide whose arrays `tensors` returned."""
        fields: dict[str, dict[str, np.ndarray]] = {}
        for key, values in tensors.items():
            clip, _, name = key.partition(".")
            if name:
                fields.setdefault(clip, {})[name] = values
        clips = [Timeline(**fields[clip]) for clip in sorted(fields)]
        return cls(clips, tensors["mean"], tensors["deviation"])


def _units(timeline: Timeline, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The unit at each time, and the elapsed share of it; before and after all units, the first or last."""
    unit = np.clip(np.searchsorted(timeline.bounds, times, side="right") - 1, 0, timeline.units - 1)
    within = (times - timeline.bounds[unit]) / np.diff(timeline.bounds)[unit]
    return unit, within  # below 0 and above 1 at the ends, so that the phase continues


def _values(timeline: Timeline) -> np.ndarray:
    """Pitch classes, level and accents [rows, units * SLOTS]."""
    held = np.column_stack([timeline.chroma, timeline.loudness, timeline.density])
    struck = timeline.accents.reshape(timeline.units, -1, SLOTS)  # bands, slots
    return np.concatenate(
        [np.repeat(held.T, SLOTS, axis=1), struck.transpose(1, 0, 2).reshape(struck.shape[1], -1)]
    )
