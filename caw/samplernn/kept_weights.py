"""The weights that a run folder keeps, a file for each epoch count. No torch here."""

from __future__ import annotations

import re
from pathlib import Path


def file_name(epochs: int) -> str:
    """Name of the weights after so many epochs in the run folder."""
    return f"epochs-{epochs:06d}.safetensors"


def counts(folder: Path) -> list[int]:
    """The epoch counts whose weights a run folder keeps, ascending; none where there is no folder."""
    names = (re.fullmatch(r"epochs-(\d+)\.safetensors", path.name) for path in folder.glob("epochs-*"))
    return sorted(int(name[1]) for name in names if name)
