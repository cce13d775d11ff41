"""What poor listening makes of a study's own questions on clips, where nothing differs between the clips.

    python -m tests.benchmarks.own_questions_gamed [--studies 200]

Listeners answer 16 machine-made clips and 8 originals on a scale from 1 to 7 (SDs of listeners 1, clips .6,
answers 1.2) and by yes or no (shares of .35; SDs of listeners .5, clips .4 of an answer's noise). Some of
them do not listen. Prints how often machine-made clips less originals have p < .05, how often the interval
holds 0, and the mean of all answers.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from analysis.results import estimation
from analysis.results.outcomes import Outcome
from analysis.results.own_questions import MEAN, SHARE
from analysis.results.result import MACHINE, ORIGINALS

FAKES, REALS = 16, 8
SCALE = Outcome(MEAN, "scale", low=1.0, high=7.0)
CHOICE = Outcome(SHARE, "choice")
KINDS = {  # name -> which listeners do not listen, of so many
    "all listen": lambda count: 0,
    "one is eager": lambda count: 1,
    "a third is eager": lambda count: count // 3,
    "a third answers at random": lambda count: count // 3,
    "all are eager": lambda count: count,
}


def study(listeners: int, kind: str, seed: int) -> pd.DataFrame:
    """Answers of one study. Who is eager gives the highest answer and says yes, whatever they hear."""
    dice, clips = np.random.default_rng(seed), FAKES + REALS
    who, clip = np.repeat(np.arange(listeners), clips), np.tile(np.arange(clips), listeners)
    shape = listeners, clips
    scale = 4 + dice.normal(0, 1, (listeners, 1)) + dice.normal(0, 0.6, clips) + dice.normal(0, 1.2, shape)
    latent = dice.normal(0, 0.5, (listeners, 1)) + dice.normal(0, 0.4, clips) + dice.normal(0, 1, shape)
    answers = {"scale": np.clip(scale.round(), 1, 7), "choice": (latent > 0.46).astype(float)}
    poor = KINDS[kind](listeners)
    if "random" in kind:
        answers["scale"][:poor] = dice.integers(1, 8, (poor, clips))
        answers["choice"][:poor] = dice.integers(0, 2, (poor, clips))
    else:
        answers["scale"][:poor], answers["choice"][:poor] = 7.0, 1.0
    what = np.where(clip < FAKES, MACHINE, ORIGINALS)
    columns = {
        "listener": who,
        "clip": clip,
        "name": clip,
        "set": "S",
        "truth": what,
        "backend": "caw",
        "mode": "UMG",
    }
    frame = pd.DataFrame(columns | {name: values.ravel() for name, values in answers.items()})
    return frame.astype({"listener": str, "clip": str, "name": str}).assign(epochs=None)


def difference(frame: pd.DataFrame, outcome: Outcome) -> estimation.Estimate:
    """Machine-made clips less originals, as the report has it."""
    return estimation.contrasts(frame, outcome, frame["truth"], [(MACHINE, ORIGINALS)])[0]


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--studies", type=int, default=200)
    studies = arguments.parse_args().studies
    print("| listeners | who | answer | p < .05 | holds 0 | mean |\n|---:|---|---|---:|---:|---:|")
    for listeners in (8, 24):
        for kind in KINDS:
            frames = [study(listeners, kind, seed) for seed in range(studies)]
            for outcome in (SCALE, CHOICE):
                found = [difference(one, outcome) for one in frames]
                rejected = np.mean([one.p is not None and one.p < 0.05 for one in found])
                covered = [one.low <= 0 <= one.high for one in found if one.low is not None]
                held = f"{np.mean(covered):.3f}" if covered else "none"
                mean = np.mean([outcome.values(one).mean() for one in frames])
                print(
                    f"| {listeners} | {kind} | {outcome.column} | {rejected:.3f} | {held} | {mean:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
