"""Type-I error where clips come of trainings that differ, with and without the trainings in the model.

Run: python -m tests.benchmarks.trainings_type_one_error [--studies 400] [--verdicts 100] [--listeners 12]

No study has an effect of what is tested: epochs (trained apart for each count, or going through all of them),
backends, or machine-made clips against originals. Trainings and models (trainings at one epoch count) differ
by TRAINING and MODEL points. Prints the table that docs/statistics.md holds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.models import mixed
from tests.benchmarks.conclusions import LEVEL

LISTENER, CLIP, ANSWER = 1.0, 1.0, 1.5  # standard deviations, points of musicality
TRAINING, MODEL = 1.0, 0.7
ORIGINALS = 8
EPOCHS = (100, 400, 1600)
NONE, TRAININGS, BOTH = "not modelled", "trainings", "trainings and models"
VERDICTS = ", verdicts"


@dataclass(frozen=True)
class Design:
    """`kind` names the effect that is not there; `clips` are of one model."""

    kind: str  # apart, through, backends, originals
    trainings: int  # of each epoch count (apart), each backend, or in all
    clips: int

    @property
    def title(self) -> str:
        told = {
            "apart": "epochs, {} trainings of each of 3 counts",
            "through": "epochs, {} trainings that go through 3 counts",
            "backends": "backends, {} trainings each",
            "originals": f"{{}} trainings against {ORIGINALS} originals",
        }
        return f"{told[self.kind].format(self.trainings)}, {self.clips} clips of a model"


DESIGNS = (
    *(Design("apart", 2, 4), Design("apart", 3, 3), Design("through", 3, 2), Design("through", 5, 2)),
    *(Design("backends", 2, 4), Design("backends", 3, 3), Design("backends", 5, 2)),
    *(Design("originals", 3, 4), Design("originals", 5, 3), Design("originals", 8, 2)),
)


def clips(design: Design, dice: np.random.Generator) -> list[tuple[str | None, str | None, float, float]]:
    """Of each clip: training, model, where it lies in the effect that is tested, and how good it is."""
    made: list[tuple[str | None, str | None, float, float]] = []

    def model(training: str, name: str, side: float, level: float) -> None:
        made.extend((training, name, side, level + dice.normal(0, CLIP)) for _ in range(design.clips))

    both = math.hypot(TRAINING, MODEL)
    for number in range(design.trainings):
        if design.kind == "originals":
            model(f"t{number}", f"t{number}", 0.5, dice.normal(0, both))
        elif design.kind == "backends":
            for side in (-0.5, 0.5):
                model(f"t{number} {side}", f"t{number} {side}", side, dice.normal(0, both))
        else:
            own = dice.normal(0, TRAINING)
            for epochs in EPOCHS:
                apart = f"t{number} {epochs}"
                training, level = (apart, dice.normal(0, TRAINING)) if design.kind == "apart" else ("", own)
                model(training or f"t{number}", apart, math.log2(epochs), level + dice.normal(0, MODEL))
    if design.kind == "originals":
        made += [(None, None, -0.5, dice.normal(0, CLIP)) for _ in range(ORIGINALS)]
    return made


def p_values(design: Design, listeners: int, seed: int, *, verdicts: bool = False) -> dict[str, float]:
    """p of the effect of one null study, by what the model knows; verdicts: of the probit model, too."""
    dice = np.random.default_rng([DESIGNS.index(design), seed])
    made = clips(design, dice)
    training, model, side, quality = (np.array(column) for column in zip(*made, strict=True))
    shape = (listeners, len(made))
    heard = dice.normal(0, LISTENER, (listeners, 1)) + quality.astype(float) + dice.normal(0, ANSWER, shape)
    who, clip = (index.ravel() for index in np.indices(shape))
    fixed = {"1": np.ones(len(who)), "side": (side - side.mean())[clip]}
    nests = {NONE: (), TRAININGS: (training[clip],)}
    if len(set(model)) > len(set(training)):
        nests[BOTH] = (training[clip], model[clip])
    rated, says = np.clip(np.rint(5 + heard), 0, 10).ravel(), (heard < 0).astype(float).ravel()
    found = {}
    for name, groups in nests.items():
        found[name] = mixed.linear(rated, fixed, who, clip, nests=groups).p("side")
        if verdicts:
            found[name + VERDICTS] = mixed.binary(says, fixed, who, clip, nests=groups).p("side")
    return found


def lines(studies: int, verdicts: int, listeners: int) -> Iterator[str]:
    """Lines of a Markdown table: a row per design."""
    names = [NONE, TRAININGS, BOTH, NONE + VERDICTS, TRAININGS + VERDICTS, BOTH + VERDICTS]
    names = names if verdicts else names[:3]
    yield f"| what is tested | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for design in DESIGNS:
        rows = [p_values(design, listeners, seed, verdicts=seed < verdicts) for seed in range(studies)]
        yield f"| {design.title} | {' | '.join(share([row.get(name) for row in rows]) for name in names)} |"


def share(found: list[float | None]) -> str:
    """The share of p below .05 among those that there are."""
    known = [p for p in found if p is not None]
    return f"{np.mean(np.array(known) < LEVEL):.3f}" if known else ""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--studies", type=int, default=400)
    asked.add_argument("--verdicts", type=int, default=0)
    asked.add_argument("--listeners", type=int, default=12)
    asked = asked.parse_args()
    for line in lines(asked.studies, asked.verdicts, asked.listeners):
        print(line, flush=True)


if __name__ == "__main__":
    main()
