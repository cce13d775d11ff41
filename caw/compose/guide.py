"""The guide: what the score's network is shown of a timeline, one column for each frame of the score.

Ten rows say where in the bar and beat a frame lies, twelve which pitch classes sound, two how loud and how
dense the music is, three where accents fall, and the last how far the clip is transposed. Pitch classes,
level and accents are in deviations about the clips' own mean, so that zeros ask for nothing in particular.
Values hold for a unit of the timeline (half a beat, or a note).
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
GROUPS = (PHASE, CHROMA, LEVEL, ACCENT)  # each of which is left out of some crops while training
OCTAVE_HALF = 6.0  # semitones of a shift of 1
BEATS = (2.0, 4.0, 1.0)  # cycles a quarter note
BARS = (1.0, 2.0)  # cycles a bar
EXTREME = 3.0  # deviations; what is asked beyond that was never heard


class Guide:
    """Brings timelines into rows as the network learnt them. mean, deviation: of what is not phase."""

    def __init__(self, clips: list[Timeline], mean: np.ndarray, deviation: np.ndarray) -> None:
        self.clips, self.mean, self.deviation = clips, mean, deviation

    @classmethod
    def of(cls, clips: list[Timeline]) -> Guide:
        """For the timelines of the training clips."""
        rows = np.concatenate([_values(clip) for clip in clips], axis=1)
        return cls(clips, rows.mean(axis=1), np.maximum(rows.std(axis=1), 0.02))

    def rows(self, timeline: Timeline, frames: int, rate: float, *, accentuation: float = 1.0) -> np.ndarray:
        """float32 [ROWS, frames], of which frame k lies at k / rate seconds.

        accentuation: what accents are multiplied by.
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
        """Make rows [ROWS, frames] of the clip those of the clip transposed, in place."""
        mean, deviation = (np.float32(x[:12, None]) for x in (self.mean, self.deviation))
        turned = np.roll(rows[CHROMA] * deviation + mean, semitones, axis=0)
        rows[CHROMA] = np.clip((turned - mean) / deviation, -EXTREME, EXTREME)
        rows[SHIFT] += semitones / OCTAVE_HALF

    @staticmethod
    def steps(timeline: Timeline, frames: int, rate: float) -> np.ndarray:
        """Which slot of which unit each frame lies in, counted through: int [frames]."""
        unit, within = _units(timeline, np.arange(frames) / rate)
        return unit * SLOTS + np.clip((within * SLOTS).astype(int), 0, SLOTS - 1)

    def tensors(self) -> dict[str, np.ndarray]:
        """What `from_tensors` reads back."""
        clips = {
            f"clip-{i:02d}.{name}": values
            for i, clip in enumerate(self.clips)
            for name, values in clip.tensors().items()
        }
        return clips | {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Guide:
        """What `tensors` gave."""
        fields: dict[str, dict[str, np.ndarray]] = {}
        for key, values in tensors.items():
            clip, _, name = key.partition(".")
            if name:
                fields.setdefault(clip, {})[name] = values
        clips = [Timeline(**fields[clip]) for clip in sorted(fields)]
        return cls(clips, tensors["mean"], tensors["deviation"])


def _units(timeline: Timeline, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The unit of each moment, and how much of it has passed; beyond the ends it is the first or last."""
    unit = np.clip(np.searchsorted(timeline.bounds, times, side="right") - 1, 0, timeline.units - 1)
    within = (times - timeline.bounds[unit]) / np.diff(timeline.bounds)[unit]
    return unit, within  # below 0 and above 1 at the ends: the phase runs on


def _values(timeline: Timeline) -> np.ndarray:
    """Pitch classes, level and accents [rows, units * SLOTS]."""
    held = np.column_stack([timeline.chroma, timeline.loudness, timeline.density])
    struck = timeline.accents.reshape(timeline.units, -1, SLOTS)  # bands, slots
    return np.concatenate(
        [np.repeat(held.T, SLOTS, axis=1), struck.transpose(1, 0, 2).reshape(struck.shape[1], -1)]
    )
