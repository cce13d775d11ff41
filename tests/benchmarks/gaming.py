"""What plainly bad sound scores well on which measure: a table for each clip, with the aims that are reached.

    python -m tests.benchmarks.gaming CLIP.wav...

The sounds: noise with the clip's score (`imposed`), its pieces in another order (`mosaic`), the clip itself
(`copy`), bursts of noise at its beats (`clicks`), steady tones of its strongest pitch classes (`drone`), its
first four beats over and over (`loop`), and its quarter seconds in random order (`shuffle`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from caw import audio, measures, mosaic
from caw.flow import score
from caw.measures import catalogue, display, harmony, spectra

RATE = 16000  # Hz


def sounds(clip: spectra.AnalysedClip) -> dict[str, np.ndarray]:
    """By name, sounds as long as the clip that nobody would take for music in its manner."""
    x, random = clip.samples, np.random.default_rng(0)
    times = harmony.beat_times(clip, RATE)
    burst = random.standard_normal(800) * np.exp(-np.arange(800) / 100)
    clicks = 1e-3 * random.standard_normal(x.size)
    for second in times[times < x.size / RATE - 0.1]:
        clicks[round(second * RATE) :][: burst.size] += burst
    time = np.arange(x.size) / RATE
    strongest = np.argsort(harmony.chroma(x, RATE))[-3:]
    drone = sum(
        np.sin(2 * np.pi * 130.81 * 2 ** (k / 12) * h * time) / h for k in strongest for h in (1, 2, 3, 4)
    )
    bar = x[round(times[0] * RATE) : round(times[min(4, len(times) - 1)] * RATE)]
    frame = round(0.25 * RATE)
    pieces = x[: x.size // frame * frame].reshape(-1, frame)
    return {
        "imposed": score.shaped_noise(x, RATE),
        "mosaic": mosaic.generate(x, RATE, x.size / RATE),
        "copy": x,
        "clicks": clicks,
        "drone": drone,
        "loop": np.resize(bar, x.size),
        "shuffle": np.resize(pieces[random.permutation(len(pieces))].ravel(), x.size),
    }


def table(path: Path) -> str:
    clip = spectra.AnalysedClip(audio.read(path, rate=RATE)[0], RATE, name=path.name)
    anchors = measures.anchors(clip, RATE)
    found = {name: measures.evaluate(clip, sound, RATE) for name, sound in sounds(clip).items()}
    lines = [f"### {path.stem}", "", f"| measure | real | halves | {' | '.join(found)} |"]
    lines.append("|---" * (len(found) + 3) + "|")
    for one in catalogue.measures(measures.edges(measures.SCALES, RATE)):
        if not one.aim:
            continue
        cells = [display.number(anchors[anchor].get(one.name)) for anchor in ("real", "halves")]
        for values in found.values():
            value = values[one.name]
            cells.append(display.number(value) + (" yes" if catalogue.reached(one, value, anchors) else ""))
        lines.append(f"| `{one.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    for path in parser.parse_args().clips:
        print(table(path), "\n", flush=True)


if __name__ == "__main__":
    main()
