"""How often the comparisons of next rounds err where all settings are liked alike.

    python -m tests.benchmarks.next_rounds_errors [STUDIES]

Listeners like every clip with the same chance, .35, and go through a first round of 16 machine-made clips and
four next rounds of 8, chosen by the rule. It prints how often sampled clips differ from fresh ones by p < .05
and how often the interval leaves out 0, for one listener and for six; for six of whom one or all keep every
clip; and beside it what a naive reader would see: of the setting that was liked best in the first round, the
share of liked clips then and in next rounds.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from analysis.results import estimation
from analysis.results.outcomes import KEPT
from study.rounds import rule
from tests.benchmarks.next_rounds import CLIPS, FIRST, FRESH, GRID, ROUNDS

CHANCE = 0.35


def listener(name: str, seed: int, chance: float = CHANCE) -> tuple[list[dict], float, list[float]]:
    """The answers of next rounds; the best setting's share of liked clips at first, and its later answers."""
    dice = np.random.default_rng(seed)
    order = [GRID[index] for _ in range(2) for index in dice.permutation(len(GRID))][:FIRST]
    outcomes = [(arm, float(dice.random() < chance)) for arm in order]
    means = {arm: np.mean([value for other, value in outcomes if other == arm]) for arm in set(order)}
    best = max(GRID, key=lambda arm: means.get(arm, -1.0))
    rows, later = [], []
    for number in range(2, ROUNDS + 2):
        for place, one in enumerate(rule.choose(GRID, outcomes, CLIPS, FRESH, seed=97 * seed + number)):
            liked = float(dice.random() < chance)
            outcomes.append((one.arm, liked))
            later += [liked] if one.arm == best else []
            clip = f"{name}-{number}-{place}"
            what = {"set": "UMG", "name": clip, "truth": "fake", "backend": "caw", "mode": "UMG", "epochs": 1}
            said = {"listener": name, "clip": clip, "kept": bool(liked), "drawn": one.why}
            rows.append(what | said)
    return rows, float(means[best]), later


def main() -> None:
    """Print the table."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    at_first, later = [], []
    for listeners, eager in ((1, 0), (6, 0), (6, 1), (6, 6)):
        rejected, left_out, done = 0, 0, 0
        for study in range(studies):
            rows: list[dict] = []
            for number in range(listeners):
                chance = 1.0 if number < eager else CHANCE
                own, first, after = listener(f"L{number}", 1000 * study + number, chance)
                rows += own
                if not eager:
                    at_first.append(first)
                    later += after
            frame = pd.DataFrame(rows)
            estimate = estimation.contrasts(frame, KEPT, frame["drawn"], [(rule.SAMPLED, rule.FRESH)])[0]
            if estimate.low is None:
                continue
            done += 1
            rejected += estimate.p is not None and estimate.p < 0.05
            left_out += not estimate.low <= 0 <= estimate.high
        who = f"{listeners} listener{'s' * (listeners > 1)}, of whom {eager} keep every clip"
        if not done:
            print(f"{who}: no interval in any of {studies} studies", flush=True)
            continue
        error = (max(rejected, 1) / done * (1 - rejected / done) / done) ** 0.5
        share = f"{rejected / done:.3f} +- {error:.3f} of {done} studies"
        print(f"{who}: p < .05 in {share}; 0 outside the interval in {left_out / done:.3f}", flush=True)
    naive = f"liked {np.mean(at_first):.2f} then, {np.mean(later):.2f} in next rounds"
    print(f"the setting liked best in the first round: {naive}; all settings {CHANCE}")


if __name__ == "__main__":
    main()
