"""Heavy work of the researcher's pages in a process of its own: the server loads no numbers, no charts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import study as package


def run(module: str, arguments: list[str], folder: Path, *, seconds: float, too_long: str) -> str:
    """Runs `python -m module arguments`. Returns what went wrong in one line without a path; "" for nothing.

    too_long: that line where it takes longer than `seconds`.
    """
    root = str(Path(package.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return too_long
    if ended.returncode == 0:
        return ""
    print(ended.stderr, file=sys.stderr, flush=True)
    lines = ended.stderr.strip().splitlines() or [f"{module} ended with {ended.returncode}"]
    return lines[-1].replace(str(folder), folder.name)
