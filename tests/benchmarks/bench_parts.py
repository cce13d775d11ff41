"""The parts of the bench: each a function of plain arguments that gives a record for JSON.

    python -m tests.benchmarks.bench_parts PART ARGUMENTS OUT.json     (ARGUMENTS: JSON)

runs one in a process of its own, so that time and peak memory are its own; `bench` calls it so. The peak is
that of the whole process, the interpreter and PyTorch (about 0.4 GB) with it.
"""

import json
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from caw import audio
from caw.files import atomic
from caw.measures import spectra
from caw.measures.copying import copying, diversities
from caw.measures.distributions import frechet
from caw.measures.rhythm import onset_distance

MEASURES = ("frechet_0.13", "frechet_0.5", "copied_share", "longest_run", "onset_distance")
RATE = 16000  # Hz
FULL_RATE = 44100  # Hz
RIGHT_LATER = 0.012  # seconds: what makes two channels of a clip with one
LONG = 600.0  # seconds
SEAM = 60.0  # seconds drawn twice, in blocks that end elsewhere
FEW = 20  # epochs that time a step, after the first WARM_UP
WARM_UP = 5


def read(clip: dict) -> np.ndarray:
    """The clip that a training takes: [n] at 16 kHz."""
    return audio.read(clip["path"], rate=RATE, start=0.0, seconds=clip["seconds"])[0]


def peak_gb() -> float:
    """Of this process so far, in GB of 10^9 bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage there counts what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def evaluate(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """MEASURES by name."""
    found = {f"frechet_{s:g}": frechet(real, fake, RATE, patch_seconds=s) for s in (0.13, 0.5)}
    copied = copying(real, fake, RATE)
    found |= {"copied_share": copied["share"], "longest_run": copied["longest_run"]}
    return found | {"onset_distance": onset_distance(real, fake, RATE)}


def anchors(clip: dict) -> dict:
    """Measures of what is known: the clip's halves, noise, its authors' outputs where there are some."""
    real = read(clip)
    middle, noise = real.size // 2, np.random.default_rng(spectra.NOISE_SEED).standard_normal(real.size)
    found = {
        "halves": evaluate(real[:middle], real[middle:]),
        "noise": evaluate(real, noise),
    }
    if clip["fakes"]:
        found["authors"] = measured(real, [audio.read(path, rate=RATE)[0] for path in clip["fakes"]])
    return found


def measured(real: np.ndarray, fakes: list[np.ndarray]) -> dict:
    """Means over the outputs, the longest run of all of them, and what they share."""
    each = [evaluate(real, fake) for fake in fakes]
    found = {name: float(np.mean([one[name] for one in each])) for name in MEASURES}
    found["worst_run"] = max(one["longest_run"] for one in each)
    return found | {"diversity": float(np.mean(diversities(fakes, RATE))) if len(fakes) > 1 else None}


def train(clip: dict, preset: str, epochs: int, folder: str, device: str = "cpu") -> dict:
    """One training by the clock, from the samples to the run, and the peak memory of its process."""
    return timed_training(read(clip), RATE, preset, epochs, folder, device=device)


def timed_training(samples, hertz: int, preset: str, epochs: int, folder: str, **settings) -> dict:
    """seconds: all of it; preparation: until the first step is done; per_epoch: a step of every scale.

    samples, hertz: as `caw.training.train` takes them. An unfinished run goes on: its seconds are then
    those of all its steps, before and after.
    """
    import torch

    from caw import config, runs, training

    fresh = not (Path(folder) / runs.CONFIG).exists()
    started, told = time.monotonic(), []

    def note(progress):
        told.append((progress.elapsed, progress.fraction, time.monotonic() - started))

    named = config.preset(preset, epochs=epochs, **settings)
    run = training.train(samples, hertz, folder, settings=named, resume=True, progress=note)
    stepping = json.loads((run.folder / runs.FINISHED).read_text())["seconds"]
    preparation = told[0][2] - told[0][0] if told and fresh else 0.0
    first = min(WARM_UP * len(run.rates), len(told) // 2)
    per_epoch = None
    if len(told) - first > 1:
        (before, share, _), (after, end, _) = told[first], told[-1]
        per_epoch = (after - before) / ((end - share) * epochs)
    return {
        "seconds": time.monotonic() - started if fresh else stepping,
        "went_on": not fresh,
        "preparation": preparation,
        "per_epoch": per_epoch,
        "epochs": run.epochs,
        "rates": run.rates,
        "threads": torch.get_num_threads(),
        "peak_gb": peak_gb(),
    }


def draw(clip: dict, folder: str, draws: int, kinds: tuple[str, ...] = ("UMG", "VAR")) -> dict:
    """Seconds of drawing as much as the clip holds, and the measures of what was drawn."""
    from caw import runs

    real, run, found = read(clip), runs.load(folder), {}
    started = time.monotonic()
    _ = run.scales
    found["load"] = time.monotonic() - started
    for kind in kinds:
        drawn, spent = [], []
        for seed in range(draws):
            started = time.monotonic()
            drawn.append(run.generate(clip["seconds"], seed=seed) if kind == "UMG" else run.vary(seed=seed))
            spent.append(time.monotonic() - started)
        found[kind] = {"first": spent[0], "seconds": float(np.median(spent))} | measured(real, drawn)
    return found | {"peak_gb": peak_gb()}


def long(folder: str, seconds: float = LONG, seam: float = SEAM) -> dict:
    """Ten minutes of music: seconds and peak memory, and whether blocks leave a seam.

    A draw works in blocks of `caw.flow.network.BLOCK` frames. apart: largest difference between two draws of
    the same seed in blocks that end elsewhere, over the level of the draw; clicks: per minute of the long
    draw.
    """
    from caw import runs
    from caw.flow import network
    from caw.measures import artefacts

    run = runs.load(folder)
    _ = run.scales
    started = time.monotonic()
    drawn = run.generate(seconds, seed=0)
    found = {"seconds": time.monotonic() - started, "peak_gb": peak_gb(), "length": drawn.size / run.rate}
    found["clicks"] = artefacts.clicks(drawn, run.rate)
    one = run.generate(seam, seed=0)
    network.BLOCK = network.BLOCK * 3 // 4 + 1
    other = run.generate(seam, seed=0)
    return found | {"seam": seam, "apart": float(np.abs(one - other).max() / spectra.rms(one))}


def epochs(clip: dict, preset: str, epochs: int, folder: str, draws: int) -> dict:
    """Quality after fewer epochs."""
    trained = train(clip, preset, epochs, folder)
    drawn = draw(clip, folder, draws, ("UMG",))["UMG"]
    return {"epochs": epochs, "seconds": trained["seconds"], "UMG": drawn}


def length(clip: dict, preset: str, folder: str, times: int, clips: int, epochs: int = FEW) -> dict:
    """A few epochs on the clip repeated so often, or on so many clips (it, and it backwards) together."""
    real = np.tile(read(clip), times)
    together = [real if place % 2 == 0 else real[::-1].copy() for place in range(clips)]
    shutil.rmtree(folder, ignore_errors=True)  # what a killed bench left would not be timed whole
    found = timed_training(together, RATE, preset, epochs, folder, device="cpu")
    return found | {"clip_seconds": real.size / RATE, "clips": clips}


def stereo(clip: dict, preset: str, folder: str, default: int, epochs: int = FEW) -> dict:
    """44.1 kHz stereo: a few epochs timed, the rest extrapolated; a draw as long as the clip."""
    from caw import runs

    samples, rate = audio.read(clip["path"], seconds=clip["seconds"], mono=False)
    samples = np.atleast_2d(samples)
    if len(samples) == 1:
        samples = np.stack([samples[0], np.roll(samples[0], round(RIGHT_LATER * rate))])
    shutil.rmtree(folder, ignore_errors=True)
    found = timed_training(samples[:2], rate, preset, epochs, folder, device="cpu", rate=min(rate, FULL_RATE))
    run = runs.load(folder)
    _ = run.scales
    started = time.monotonic()
    run.generate(clip["seconds"], seed=0)
    found |= {"draw": time.monotonic() - started, "rate": run.rate, "default_epochs": default}
    return found | {"extrapolated": found["preparation"] + (found["per_epoch"] or 0.0) * default}


def paper(clip: dict, seconds: float, rounds: int, rate: int, channels: int) -> dict:
    """One step of preset `paper` against the plain published loop; see `paper_step`."""
    from caw import config
    from tests.benchmarks import paper_step

    settings = config.preset("paper", rate=rate, draws=1, channels=channels, device="cpu")
    samples = audio.read(clip["path"], rate=rate, seconds=seconds)[0]
    differences = paper_step.check(samples[: round(paper_step.CHECKED_SECONDS * rate)], rate, settings)
    found = paper_step.measure(samples, rate, settings, rounds)
    return found | {"differences": differences, "rate": rate, "channels": channels, "peak_gb": peak_gb()}


def gpu(clip: dict, preset: str, epochs: int, folder: str) -> dict:
    """Training, a draw and the paper's step on the GPU, where there is one."""
    import torch

    from caw import config, runs
    from tests.benchmarks import paper_step

    if not torch.cuda.is_available():
        return {"available": False}
    shutil.rmtree(folder, ignore_errors=True)
    found = {"available": True, "name": torch.cuda.get_device_name()}
    found |= train(clip, preset, epochs, folder, device="cuda")
    found["gpu_gb"] = torch.cuda.max_memory_allocated() / 1e9
    run = runs.load(folder)
    run.generate(clip["seconds"], seed=0)  # loads, and warms up
    torch.cuda.synchronize()
    started = time.monotonic()
    run.generate(clip["seconds"], seed=1)
    torch.cuda.synchronize()
    found["draw"] = time.monotonic() - started
    settings = config.preset("paper", rate=8000, draws=1, device="cuda")
    samples = audio.read(clip["path"], rate=8000, seconds=clip["seconds"])[0]
    return found | {"paper": paper_step.measure(samples, 8000, settings, 3)["wall"]}


PARTS = {part.__name__: part for part in (train, draw, long, epochs, length, stereo, paper, gpu, anchors)}


def main() -> None:
    part, arguments, out = sys.argv[1:]
    atomic.write(Path(out), json.dumps(PARTS[part](**json.loads(arguments))))


if __name__ == "__main__":
    main()
