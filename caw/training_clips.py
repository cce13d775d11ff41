"""Clips as a training takes them: checked, and at one level."""

from __future__ import annotations

import numpy as np

from caw.config import SHORTEST_CLIP
from caw.runs import RunError

PEAK = 0.98  # of the normalised clips together
SILENT = 1e-4  # a peak below it, where full scale is 1


def checked(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples, [n] or [channels, n] at `rate` Hz, as float32.

    Raises: RunError for what nothing can be learned from: NaN or infinite samples, less than SHORTEST_CLIP,
    silence, be it around a constant offset.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise RunError("the clip holds NaN or infinite samples; export it again")
    seconds = samples.shape[-1] / rate
    if seconds < SHORTEST_CLIP:
        raise RunError(f"the clip is {seconds:.2f} s long; give {SHORTEST_CLIP:g} s or more")
    reach = float(np.ptp(samples, axis=-1).max()) / 2
    if reach < SILENT:
        raise RunError(f"the clip is silent (peak {reach:.1e}); choose another passage")
    return samples


def levelled(clips: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Clips with a joint peak of PEAK, so that they keep their levels to each other, and the factor back.

    Raises: RunError for one that is silent.
    """
    peaks = [float(np.abs(clip).max()) for clip in clips]
    if min(peaks) < SILENT:
        raise RunError(f"the clip is silent (peak {min(peaks):.1e}); choose another passage")
    peak = max(peaks) / PEAK
    return [np.ascontiguousarray(clip / np.float32(peak)) for clip in clips], peak
