"""How far a training is: what its run folder says, and what a backend tells of it while it waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.backends import Tell


def epochs_behind(run: Path, *, scales: int = 1) -> int:
    """Epochs behind the checkpoint in a run folder; 0 without one, as training begins anew then.

    losses.jsonl, which is written just before each checkpoint, holds a line for each epoch of every scale.
    """
    if not (run / "checkpoint.pt").exists():
        return 0
    try:
        with (run / "losses.jsonl").open("rb") as losses:
            return sum(1 for _ in losses) // scales
    except OSError:
        return 0


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
