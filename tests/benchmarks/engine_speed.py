"""The local engine on all cores against one core: wall time of the same study, and whether it made the same.

    python -m tests.benchmarks.engine_speed [--epochs 60] [--sources 4] [--rounds 2]

Each way builds the same study (--sources passages of the riff beside it, one epoch count, preset fast) in a
process of its own: with one core, with all cores in one process, and with one worker for each core. Rounds
alternate, so that the ratios hold when the machine's speed drifts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from caw.files import atomic, spreadsheet
from study.folder import StudyFolder

RIFF = Path(__file__).with_name("riff.flac")
WAYS = {"one core": (1, 1), "all cores, one process": (None, 1), "all cores, a worker each": (None, None)}


def design(sources: int, epochs: int) -> str:
    """study.toml of so many passages of 6 s."""
    parts = ['[study]\ntitle = "Speed"\nseed = 1\n']
    for number in range(sources):
        parts.append(
            f'[[source]]\nfile = "{RIFF}"\nname = "p{number}"\nstart = {4.0 * number}\nseconds = 6.0\n'
            f'modes = ["UMG"]\nepochs = [{epochs}]\nclips = 1\n'
        )
    end = "[stimuli]\nseconds = 2.0\n[listening]\npractice = 0\n[set.UMG]\nfakes = 1\noriginals = 0\n"
    return "\n".join(parts) + end


def build_here(folder: Path, cores: int | None, workers: int | None) -> None:
    """In the process that is timed."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from study.build.build import build
    from study.engines.local import LocalEngine

    build(StudyFolder(folder), pool_only=True, engine=LocalEngine(workers))


def timed(text: str, cores: int | None, workers: int | None) -> tuple[float, list[str]]:
    """Wall seconds of a build from nothing, and the digests of its clips."""
    with tempfile.TemporaryDirectory() as place:
        folder = StudyFolder(Path(place) / "study")
        atomic.write(folder.toml, text)
        call = f"build_here({str(folder.path)!r}, {cores}, {workers})"
        code = "from tests.benchmarks.engine_speed import build_here\n"
        code += f"if __name__ == '__main__':\n    {call}\n"
        (Path(place) / "run.py").write_text(code)
        root = str(Path(__file__).parents[2])
        began = time.monotonic()
        subprocess.run(
            [sys.executable, str(Path(place) / "run.py")],
            env=os.environ | {"PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took = time.monotonic() - began
        return took, [row["sha256"] for row in spreadsheet.records(folder.pool_table)]


def run(
    epochs: Annotated[int, typer.Option(help="Of each training.")] = 60,
    sources: Annotated[int, typer.Option(help="Trainings.")] = 4,
    rounds: Annotated[int, typer.Option(help="Builds each way.")] = 2,
) -> None:
    """Print wall times and their ratios."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    made = set()
    for _ in range(rounds):
        for way, (cores, workers) in WAYS.items():
            took, digests = timed(design(sources, epochs), cores, workers)
            times[way].append(took)
            made.add(tuple(digests))
            print(f"{way}: {took:.1f} s", flush=True)
    first = times["one core"]
    for way, found in times.items():
        ratios = [one / other for one, other in zip(first, found, strict=True)]
        print(
            f"{way}: median {statistics.median(found):.1f} s, {statistics.median(ratios):.2f} times as fast"
        )
    print("the clips are the same" if len(made) == 1 else f"the clips differ: {len(made)} kinds")
    sys.exit(len(made) > 1)


if __name__ == "__main__":
    typer.run(run)
