"""Train a preset on clips and print the yardsticks of what it makes, beside the anchors of each clip.

    python tests/benchmarks/model_quality.py CLIP... [--epochs 1000] [--seconds 25] [--draws 3] [--out runs]

A finished run in --out is used again. Prints Markdown: seconds of training, of drawing 25 s, peak memory,
and per kind (UMG, VAR) the mean over the draws. Halves: the clip's first half against its second.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch

from caw import audio, yardstick
from caw.config import preset
from caw.training import train

COLUMNS = ("frechet_0.13", "frechet_0.5", "copied_share", "longest_run", "onset_distance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    settings = preset(options.preset, epochs=options.epochs, seed=options.seed)
    print(
        f"{options.preset}, {settings.epochs} epochs, {torch.get_num_threads()} threads\n"
    )
    print("| clip | what | train s | draw s | memory GB | " + " | ".join(COLUMNS) + " |")
    print("|---" * (5 + len(COLUMNS)) + "|")
    for clip in options.clips:
        samples, rate = audio.read(clip, rate=16000, start=options.start, seconds=options.seconds)
        half = len(samples) // 2
        noise = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
        row(clip, "noise", "", "", [yardstick.evaluate(samples, noise, rate)])
        row(clip, "halves", "", "", [yardstick.evaluate(samples[:half], samples[half:], rate)])
        folder = options.out / f"{clip.stem}-{options.preset}-{settings.epochs}-{options.seed}"
        started = time.monotonic()
        run = train(samples, rate, folder, settings=settings, resume=True)
        trained = time.monotonic() - started
        _ = run.scales  # load before timing a draw
        for kind in ("UMG", "VAR"):
            started = time.monotonic()
            if kind == "UMG":
                drawn = [run.generate(options.seconds, seed=s) for s in range(options.draws)]
            else:
                drawn = [run.vary(seed=s) for s in range(options.draws)]
            per_draw = (time.monotonic() - started) / options.draws
            row(
                clip,
                kind,
                f"{trained:.0f}",
                f"{per_draw:.1f}",
                [yardstick.evaluate(samples, y, rate) for y in drawn],
            )


def row(clip: Path, what: str, trained: str, drawn: str, measured: list[dict[str, float]]) -> None:
    means = [np.mean([m[column] for m in measured]) for column in COLUMNS]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6 if trained else None
    shown = "" if memory is None else f"{memory:.1f}"
    print(
        f"| {clip.stem} | {what} | {trained} | {drawn} | {shown} | "
        + " | ".join(f"{m:.3f}" for m in means)
        + " |",
        flush=True,
    )


if __name__ == "__main__":
    main()
