"""What a backend tells of a training while it waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from study.preparation.backends import Tell


def telling(tell: Tell, run: str) -> Callable[[Any], None]:
    """For a model's `progress` (epoch, epochs, fraction): tells the share of what was left at its beginning.

    What an interrupted training had done before does not count, as it is none of the backend's `costs`.
    """
    first = None

    def told(progress: Any) -> None:
        nonlocal first
        first = progress.fraction if first is None else first
        done = (progress.fraction - first) / max(1e-9, 1 - first)
        tell(done, f"train {run}: epoch {progress.epoch} of {progress.epochs}")

    return told
