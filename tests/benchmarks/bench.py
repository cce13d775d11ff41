"""Measure everything that is promised of the model, and write one table of it.

    python -m tests.benchmarks.bench [--clips FOLDER_OR_FILE ...] [--only PART ...] [--draws 3] [--epochs N]

(`make bench [CLIPS=FOLDER]`). Every part's record is kept under --out as soon as it is measured, so that a
killed bench goes on where it stopped; a part is measured again when its arguments change or its file is
deleted. Parts run one after the other, each in a process of its own.

The riff beside this file comes first. --clips adds more: in a folder NAME_real.flac with its authors' outputs
beside it, NAME_fake*.flac, or, where there is none such, every FLAC and WAV file.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from caw.config import PRESETS, preset
from caw.files import atomic
from tests.benchmarks import bench_parts, bench_tables

ROOT = Path(__file__).parents[2]
RIFF = Path(__file__).with_name("riff.flac")
RESULTS = Path(__file__).with_name("results.md")
NAMES = ("anchors", "train", "draw", "long", "epochs", "length", "stereo", "paper", "gpu")
FEWER = (100, 500)  # epochs, to set beside the preset's own
LENGTHS = {"length-1": (1, 1), "length-2": (2, 1), "length-4": (4, 1), "length-pair": (1, 2)}  # times, clips
BUDGET = 40.0  # minutes
MINUTES = {"anchors": 0.2, "draw": 0.6, "long": 1.0, "length": 0.6, "stereo": 1.0, "paper": 2.0, "gpu": 0.1}
TRAINING = 4.5  # minutes, of the preset's own epochs on two cores
VERSIONS = ("torch", "torchaudio", "numpy", "scipy")


@dataclass(frozen=True)
class Part:
    """Something to measure: a function of `bench_parts` and its arguments."""

    kind: str
    name: str  # of its record
    arguments: dict = field(default_factory=dict)
    needs: str | None = None  # the part whose run it draws from
    minutes: float = 0.0  # about


def clips_of(given: list[Path], seconds: float) -> list[dict]:
    """The clips to measure: name, path, seconds, and the paths of the authors' outputs."""
    files = []
    for path in given:
        if not path.exists():
            raise SystemExit(f"bench: {path} is not there; give clips or folders that are")
        if path.is_dir():
            sounds = sorted([*path.glob("*.flac"), *path.glob("*.wav")])
            files += [p for p in sounds if p.stem.endswith("_real")] or sounds
        else:
            files.append(path)
    clips, names = [], set()
    for path in files:
        name = path.stem.removesuffix("_real")
        while name in names:
            name += "+"
        names.add(name)
        fakes = sorted(path.parent.glob(f"{name}_fake*.flac")) if path.stem.endswith("_real") else []
        found = {"name": name, "path": str(path.resolve()), "seconds": seconds}
        clips.append(found | {"fakes": [str(p.resolve()) for p in fakes]})
    return clips


def plan(clips: list[dict], options) -> list[Part]:
    """All parts in the order in which they are measured; the first clip takes those that need only one."""
    epochs = options.epochs or PRESETS[options.preset].epochs
    training = TRAINING * epochs / PRESETS["fast"].epochs
    kept = options.out / "runs"  # a draw names its run's settings, and is drawn anew for others
    folder = lambda name: str(kept / f"{name}-{options.preset}-{epochs}-{options.seconds:g}s")  # noqa: E731
    named, parts = {"preset": options.preset}, []
    for clip in clips:
        run, own = f"train-{clip['name']}", {"clip": clip}
        parts += [
            Part("anchors", f"anchors-{clip['name']}", own),
            Part("train", run, own | named | {"epochs": epochs, "folder": folder(run)}, None, training),
            Part("draw", f"draw-{clip['name']}", own | {"folder": folder(run), "draws": options.draws}, run),
        ]
    own, run = {"clip": clips[0]}, f"train-{clips[0]['name']}"
    parts.append(Part("long", "long", {"folder": folder(run), "seconds": options.long}, run))
    for fewer in (n for n in FEWER if n < epochs):
        name = f"epochs-{fewer}"
        arguments = own | named | {"epochs": fewer, "folder": folder(name), "draws": options.draws}
        parts.append(Part("epochs", name, arguments, None, training * fewer / epochs + 0.3))
    for name, (times, count) in LENGTHS.items():
        arguments = own | named | {"folder": folder(name), "times": times, "clips": count}
        parts.append(Part("length", name, arguments))
    parts.append(Part("stereo", "stereo", own | named | {"folder": folder("stereo"), "default": epochs}))
    step = {"seconds": options.paper_seconds, "rounds": 3, "rate": 8000, "channels": 96}
    parts.append(Part("paper", "paper", own | step))
    parts.append(Part("gpu", "gpu", own | named | {"epochs": epochs, "folder": folder("gpu")}))
    if options.only:
        kept = {part.name for part in parts if part.kind in options.only}
        kept |= {part.needs for part in parts if part.name in kept}
        parts = [part for part in parts if part.name in kept]
    return parts


def record_of(out: Path, part: Part) -> dict | None:
    """What was measured with the same arguments before."""
    path = out / f"{part.name}.json"
    try:
        record = json.loads(path.read_text())
        return record if record["arguments"] == json.loads(json.dumps(part.arguments)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(part: Part, out: Path) -> dict:
    """Measure a part in a process of its own and keep its record."""
    measured = out / f".{part.name}.measured.json"
    if part.kind in ("train", "epochs"):  # other arguments, or measured anew: another run
        _drop_other_run(Path(part.arguments["folder"]), part)
    load, started = os.getloadavg()[0], time.monotonic()
    command = [sys.executable, "-m", "tests.benchmarks.bench_parts", part.kind, json.dumps(part.arguments)]
    child = subprocess.run([*command, str(measured)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    if child.returncode:
        told = child.stderr.strip().splitlines()
        return {"failed": told[-1] if told else f"exit code {child.returncode}"}
    record = {
        "part": part.kind,
        "name": part.name,
        "arguments": part.arguments,
        "measured": json.loads(measured.read_text()),
        "took": time.monotonic() - started,
        "load": load,
        "date": date.today().isoformat(),
        "code": code(),
        "versions": versions(),
        "machine": machine(),
    }
    atomic.write(out / f"{part.name}.json", json.dumps(record, indent=1) + "\n")
    measured.unlink()
    return record


def _drop_other_run(folder: Path, part: Part) -> None:
    """A run goes on only where it was begun with the same arguments and is not finished."""
    begun, told = folder.with_suffix(".begun.json"), json.dumps(part.arguments, sort_keys=True)
    same = begun.exists() and begun.read_text() == told
    if not same or (folder / "finished.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        atomic.write(begun, told)


def machine() -> dict:
    """What the times depend on."""
    name = platform.processor() or platform.machine()
    memory = None
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    return {"processor": name, "cores": cores, "memory_gb": memory, "system": platform.system(),
            "omp_threads": threads}  # fmt: skip


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONS}


def code() -> str:
    """The commit that was measured, with a + where files of the model differ from it."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "caw"], capture_output=True, text=True)
    if commit.returncode:
        return "no commit"
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clips", nargs="*", type=Path, default=[], help="files or folders, after the riff")
    parser.add_argument("--no-riff", action="store_true", help="measure the given clips alone")
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=[], help="these parts, and what they need"
    )
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--epochs", type=int, help="in place of the preset's own")
    parser.add_argument("--draws", type=int, default=3, help="outputs that the measures are the mean of")
    parser.add_argument("--seconds", type=float, default=25.0, help="taken of each clip")
    parser.add_argument("--long", type=float, default=bench_parts.LONG, help="seconds of the long draw")
    parser.add_argument("--paper-seconds", type=float, default=3.0, help="of clip for the paper's step")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="records and runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table; the plot goes beside it")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    preset(options.preset, epochs=options.epochs)  # refuses what is not there
    if options.no_riff and not options.clips:
        parser.error("--no-riff leaves no clip; give --clips")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure what is not measured yet; print and write the table. 1 where a part failed."""
    options = options_of(arguments)
    clips = clips_of(([] if options.no_riff else [RIFF]) + options.clips, options.seconds)
    parts, records, failed = plan(clips, options), {}, {}
    options.out.mkdir(parents=True, exist_ok=True)
    left = [part for part in parts if record_of(options.out, part) is None]
    minutes = sum(part.minutes or MINUTES[part.kind] for part in left)
    told = f"{len(left)} of {len(parts)} parts to measure, about {minutes:.0f} minutes on two free cores"
    over = f"; over the {BUDGET:g} that it should take: leave out clips, or choose with --only"
    print(told + (over if minutes > BUDGET else ""), flush=True)
    for number, part in enumerate(parts, 1):
        record = record_of(options.out, part)
        if record is None and part.needs in failed:
            record = {"failed": f"{part.needs} failed"}
        elif record is None:
            print(f"[{number}/{len(parts)}] {part.name} ...", end="", flush=True)
            record = run(part, options.out)
            print(f" {record['took']:.0f} s" if "took" in record else f" failed: {record['failed']}")
        (failed if "failed" in record else records)[part.name] = record
    every = {part.name: part for part in plan(clips, argparse.Namespace(**vars(options) | {"only": []}))}
    records = {n: r for n, p in every.items() if (r := records.get(n) or record_of(options.out, p))}
    command = "python -m tests.benchmarks.bench " + shlex.join(_shown(arguments))
    results = bench_tables.results(records, clips, command.strip())
    if plot := bench_tables.plot(records, options.results.with_name("quality_by_epochs.svg")):
        results += f"\n![Frechet distance by epochs]({plot.name})\n"
    atomic.write(options.results, results)
    print("\n" + results)
    return 1 if failed else 0


def _shown(arguments: list[str] | None) -> list[str]:
    """The command line with names of files and folders alone."""
    given = sys.argv[1:] if arguments is None else arguments
    return [Path(one).name if os.sep in one else one for one in given]


if __name__ == "__main__":
    raise SystemExit(main())
