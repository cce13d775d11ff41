"""A worker, then a whole node of a Ray cluster is killed in mid-training: the files must be the same.

    python -m tests.benchmarks.ray_kill [--small 1500] [--fast 150] [--at 0.6] [--storage PLACE]

A study of the riff beside this file, with the model in a few hundred weights and then as preset `fast`, is
built four times each: in this process, on a cluster of two nodes, there with `kill -9` of the worker that
trains, and with `kill -9` of its node. Pool, weights and losses are compared byte by byte. The nodes use the
study's folder, or the storage that is named, as `study build --storage`. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from caw.files import atomic, spreadsheet
from study.build.build import build
from study.build.progress import BuildProgress
from study.engines import ClipReady, Engine, Event, Job, Progress, Report, Started, WorkerLost
from study.engines.local import LocalEngine
from study.engines.ray import RayEngine
from study.folder import StudyFolder
from tests.benchmarks import ray_nodes

RIFF = Path(__file__).with_name("riff.flac")
SMALL = """
device = "cpu"
rate = 4000
scales = [1000, 4000]
channels = 4
layers = 2
bands = 40
score_channels = 4
score_layers = 2
score_crop = 1.0
score_draw_steps = 1
finer_layers = 2
draw_steps = 2
finer_draw_steps = 1
crop = 1.0
finer_crop = 0.5
batch = 1
"""
FAST = 'device = "cpu"\npreset = "fast"\n'
SETS = """
[set.UMG]
fakes = 1
originals = 0
[set.VAR]
fakes = 1
originals = 0
[stimuli]
seconds = 3.0
[listening]
practice = 0
"""


@dataclass
class Killer:
    """An engine that kills once a training is so far."""

    inner: Engine
    at: float  # share of a task
    kill: Callable[[], None] | None
    share: float = 0.0  # of the task that the lost worker reported last
    times: dict[str, float] = field(default_factory=dict)  # of what happened, on the monotonic clock

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        def happened(name: str) -> None:
            self.times.setdefault(name, time.monotonic())

        def watched(event: Event) -> None:
            if isinstance(event, WorkerLost):
                happened("lost")
                print(f"    {event.why}", flush=True)
            elif "lost" in self.times:
                if isinstance(event, Started):
                    happened("started")
                share = event.share if isinstance(event, Progress) else float(isinstance(event, ClipReady))
                if share >= self.share:
                    happened("caught up")
            elif self.kill and isinstance(event, Progress):
                self.share, self.times["reported last"] = event.share, time.monotonic()
                if event.share >= self.at and "killed" not in self.times:
                    happened("killed")
                    self.kill()
            report(event)

        self.inner.run(jobs, watched)

    def __str__(self) -> str:
        if "lost" not in self.times:
            return "nobody was killed"
        after = {name: moment - self.times["killed"] for name, moment in self.times.items()}
        return (
            f"seen {after['lost']:.1f} s after the kill, with another worker after {after['started']:.1f} s; "
            f"{after['caught up'] - after['reported last']:.1f} s lost until this was as far"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=1500, help="epochs of the small model")
    parser.add_argument("--fast", type=int, default=150, help="epochs of preset fast; 0 leaves it out")
    parser.add_argument("--at", type=float, default=0.6, help="share of the work at which is killed")
    parser.add_argument("--storage", help="as of `study build`; by default the study's folder")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as jobs on a cluster have: other numbers of threads may give other bits
    same = True
    with tempfile.TemporaryDirectory() as home:
        for name, backend, epochs in (("small", SMALL, options.small), ("fast", FAST, options.fast)):
            if epochs:
                print(f"{name}, {epochs} epochs", flush=True)
                same &= compare(Path(home) / name, backend, epochs, options.at, options.storage)
    sys.exit(not same)


def compare(home: Path, backend: str, epochs: int, at: float, storage: str | None) -> bool:
    """All four builds; whether their files are the same."""
    built = {}
    for trial in ("in this process", "cluster", "worker killed", "node killed"):
        folder = new_study(home / trial.replace(" ", "-"), backend, epochs)
        if trial == "in this process":
            killer = Killer(LocalEngine(1), at, None)
            seconds = timed(folder, killer)
        else:
            with ray_nodes.running(0, 1, 1) as nodes:
                kill = {"worker killed": nodes.kill_worker, "node killed": nodes.kill_node}.get(trial)
                killer = Killer(RayEngine(address=nodes.address, storage=storage), at, kill)
                seconds = timed(folder, killer)
        files = built[trial] = digests(folder)
        differing = sorted(
            name
            for name in files | built["in this process"]
            if files.get(name) != built["in this process"].get(name)
        )
        result = f"differs in {', '.join(differing)}" if differing else f"{len(files)} files the same"
        print(f"  {trial}: {seconds:.1f} s; {result}; {killer}", flush=True)
        if trial.endswith("killed") and "lost" not in killer.times:
            raise RuntimeError("the training ended before the kill; take more epochs")
    return all(entry == built["in this process"] for entry in built.values())


def new_study(path: Path, backend: str, epochs: int) -> StudyFolder:
    path.mkdir(parents=True)
    source = f'[[source]]\nfile = "{RIFF}"\nname = "riff"\nepochs = [{epochs}]\nclips = 1\n'
    text = f'[study]\ntitle = "Kill"\nseed = 1\n{source}[backend.caw]\n{backend}{SETS}'
    (path / "study.toml").write_text(text)
    return StudyFolder(path)


def timed(folder: StudyFolder, engine: Engine) -> float:
    began = time.monotonic()
    build(folder, BuildProgress(Console(quiet=True)), pool_only=True, engine=engine)
    return time.monotonic() - began


def digests(folder: StudyFolder) -> dict[str, str]:
    """Of pool and models, by what the files hold besides times."""
    rows = [{**row, "made_at": ""} for row in spreadsheet.records(folder.pool_table)]
    return {"pool.csv": repr(rows)} | timeless(folder.pool) | timeless(folder.models)


def timeless(folder: Path) -> dict[str, str]:
    """SHA-256 of all files below a folder, without those that hold times, and without a trunk's times."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.endswith(".trunk.pt"):
            held = torch.load(path, weights_only=True)
            del held["elapsed"]
            files[path.relative_to(folder).as_posix()] = hashlib.sha256(_flat(held)).hexdigest()
        elif path.name not in ("config.json", "finished.json", "pool.csv"):
            files[path.relative_to(folder).as_posix()] = atomic.sha256(path)
    return files


def _flat(held: Any) -> bytes:
    """Tensors in lists and dictionaries, to the last bit."""
    if isinstance(held, dict):
        return b"".join(str(key).encode() + _flat(value) for key, value in held.items())
    if isinstance(held, list | tuple):
        return b"".join(map(_flat, held))
    return held.numpy().tobytes() if isinstance(held, torch.Tensor) else repr(held).encode()


if __name__ == "__main__":
    main()
