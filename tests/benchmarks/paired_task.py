"""How often the statistics of the paired task err, how well their intervals cover, and what they see.

    python -m tests.benchmarks.paired_task [--studies 400] [--processes 1] [--out FILE.csv]

Studies are simulated as listeners would answer them: hands of pairs as the build makes them, and choices by a
probit model in which listeners, real clips and machine-made clips are random, at the spreads of `study plan`
(in units of one answer's noise): listeners' leaning to the first clip .4, their skill or taste .5, clips .4.
The single task is simulated beside it, with as many clips heard.
"""

from __future__ import annotations

import argparse
import csv
import functools
import multiprocessing
import sys
from pathlib import Path

import numpy as np
from scipy import stats

from analysis.models import mixed, paired
from analysis.results import pairs
from analysis.results.result import Question
from study.build import pairs as dealing
from study.design.pairs import INSPIRING, REAL

LEANING, SKILL, CLIP = 0.4, 0.5, 0.4
BUILDS = 8  # whose hands are dealt
COLUMNS = ["question", "listeners", "clips", "pairs", "effect", "listener", "studies", "rejected"]
COLUMNS += ["monte_carlo_error", "covered", "mean", "half_width", "refused"]


def clips(real: int, fake: int) -> list[dict[str, str]]:
    """Rows of a key: machine-made clips of two epoch counts in turn, all of one source."""
    rows = [{"stimulus_id": f"r{n:03d}", "truth": "real", "epochs": ""} for n in range(real)]
    rows += [
        {"stimulus_id": f"f{n:03d}", "truth": "fake", "epochs": "750" if n % 2 else "3000"}
        for n in range(fake)
    ]
    return [row | {"source": "song", "backend": "caw", "run": ""} for row in rows]


@functools.cache
def hands_of(question: str, real: int, fake: int, count: int, build: int) -> list:
    """The hands of one build."""
    return dealing.of_set(clips(real, fake), question, count, np.random.default_rng(build))


def heard(
    question: str, many: int, real: int, fake: int, count: int, seed: int
) -> list[tuple[int, str, str]]:
    """What each listener of a study hears: (listener, first, second). Studies take turns with some builds."""
    hands = hands_of(question, real, fake, count, seed % BUILDS)
    told = []
    for listener in range(many):
        turn = -1 if listener // len(hands) % 2 else 1
        told += [(listener, *pair[::turn]) for pair in hands[listener % len(hands)]]
    return told


def answered(question: str, rows, effect: float, kind: str, dice):
    """1 where the first clip was chosen. effect: latent, of real over fake, or of 3000 over 750 epochs."""
    names = sorted({name for _, *pair in rows for name in pair})
    worth = dict(zip(names, dice.normal(0, CLIP, len(names)), strict=True))
    many = 1 + max(listener for listener, *_ in rows)
    leaning, taste = dice.normal(0, LEANING, many), dice.normal(0, SKILL, (many, 2))
    if many == 1:  # what is said is said of this listener only: one without a taste of their own
        taste *= 0

    def group(name: str) -> int:
        return int(name[0] == "r" if question == REAL else int(name[1:]) % 2 == 0)

    chosen = []
    for listener, first, second in rows:
        if kind == "first":
            chosen.append(1.0)
            continue
        sides = group(first) - group(second)
        latent = leaning[listener] + worth[first] - worth[second] + effect * sides
        if question == REAL:
            latent += taste[listener, 0] * sides
        else:
            latent += taste[listener, group(first)] - taste[listener, group(second)]
        chosen.append(float(dice.normal() < latent))
    return np.array(chosen), group


def study(question: str, many: int, real: int, fake: int, count: int, effect: float, kind: str, seed: int):
    """p, and interval and estimate, of one simulated study; None where it is refused."""
    dice = np.random.default_rng(seed)
    rows = heard(question, many, real, fake, count, seed)
    chosen, group = answered(question, rows, effect, kind, dice)
    who, first, second = (np.array(column) for column in zip(*rows, strict=True))
    sides = np.array([group(a) - group(b) for a, b in zip(first, second, strict=True)], float)
    try:
        if question == REAL:
            right = np.where(sides > 0, chosen, 1 - chosen)
            if many == 1:
                test = stats.binomtest(int(right.sum()), len(right))
                return test.pvalue, (*test.proportion_ci(), right.mean())
            real_clip, fake_clip = np.where(sides > 0, first, second), np.where(sides > 0, second, first)
            fit = paired.right(right, sides / 2, who, real_clip, fake_clip)
            told = pairs.scored(Question(pairs.WHICH, pairs.RIGHT), fit, {"right": 1.0}, {})
            return told.p, (told.low, told.high, told.estimate)
        if many == 1:
            apart = sides != 0
            won = np.where(sides > 0, chosen, 1 - chosen)[apart]
            test = stats.binomtest(int(won.sum()), len(won))
            return test.pvalue, (*test.proportion_ci(), won.mean())
        fit = paired.shares(chosen, {"more": sides}, who, first, second).contrast({"more": 1.0})
    except (mixed.MixedModelError, np.linalg.LinAlgError):
        return None
    low, high = fit.interval()
    return fit.p, (0.5 + low, 0.5 + high, 0.5 + fit.estimate)


def truth(question: str, effect: float, many: int) -> float:
    """The share of choices of the real clip, or of 3000 epochs, over listeners (or this one) and clips."""
    spread = LEANING**2 + 2 * CLIP**2 + (many > 1) * SKILL**2 * (1 if question == REAL else 2)
    return float(stats.norm.cdf(effect / np.sqrt(1 + spread)))


def single(many: int, real: int, fake: int, effect: float, seed: int):
    """p of the single task, each listener judging all of the clips: the comparison of judged real."""
    dice = np.random.default_rng(seed)
    n = real + fake
    i, j = np.repeat(np.arange(many), n), np.tile(np.arange(n), many)
    is_real = (j < real).astype(float)
    latent = dice.normal(0, LEANING, many)[i] + dice.normal(0, CLIP, n)[j]
    latent += (effect + dice.normal(0, SKILL, many)[i]) * (is_real - 0.5)
    judged = (dice.normal(size=len(i)) < latent).astype(float)
    try:
        fit = mixed.levels(judged, is_real.astype(int), i, j).contrast({"1": 1.0, "0": -1.0})
    except mixed.MixedModelError:
        return None
    return fit.p, (*fit.interval(), fit.estimate)


def row_of(task) -> dict:
    """One row of the table: many studies of one design."""
    question, many, real, fake, count, effect, kind, studies = task
    outcomes = []
    for seed in range(studies):
        if question == "single":
            outcomes.append(single(many, real, fake, effect, seed))
        else:
            outcomes.append(study(question, many, real, fake, count, effect, kind, seed))
    worked = [one for one in outcomes if one is not None]
    true = truth(question, effect, many) if question != "single" else float("nan")
    if kind == "first":
        true = 0.5
    share = np.mean([p < 0.05 for p, _ in worked]) if worked else float("nan")
    middle = f"{real} + {fake}" if question != INSPIRING else str(fake)
    return {
        "question": question,
        "listeners": many,
        "clips": middle,
        "pairs": count,
        "effect": effect,
        "listener": kind,
        "studies": studies,
        "rejected": round(float(share), 4),
        "monte_carlo_error": round(float(np.sqrt(share * (1 - share) / max(1, len(worked)))), 4),
        "covered": round(float(np.mean([low <= true <= high for _, (low, high, _) in worked])), 4)
        if worked and true == true
        else "",
        "mean": round(float(np.mean([middle for _, (*_, middle) in worked])), 4) if worked else "",
        "half_width": round(float(np.mean([(high - low) / 2 for _, (low, high, _) in worked])), 4)
        if worked
        else "",
        "refused": studies - len(worked),
    }


def tasks(studies: int) -> list[tuple]:
    """Every design: under no effect and under one, by listeners and clips."""
    chosen = []
    for many in (1, 8, 24, 200):
        fewer = studies if many < 200 else studies // 2
        for size in (4, 8, 16):
            chosen.append((REAL, many, size, size, size, 0.0, "honest", fewer))
            chosen.append((INSPIRING, many, 0, 2 * size, size, 0.0, "honest", fewer))
    for many in (8, 24):
        chosen.append((REAL, many, 3, 8, 3, 0.0, "honest", studies))
        chosen.append((REAL, many, 3, 8, 8, 0.0, "honest", studies))
        chosen.append((INSPIRING, many, 0, 8, 4, 0.0, "honest", studies))
    for many in (1, 8, 24, 200):  # what is seen where there is something to see
        fewer = max(20, studies // 2 if many < 200 else studies // 4)
        for size in (8, 16):
            chosen.append((REAL, many, size, size, size, 0.6, "honest", fewer))
            chosen.append((INSPIRING, many, 0, 2 * size, size, 0.6, "honest", fewer))
            if many > 1:
                chosen.append(("single", many, size, size, size, 0.6, "honest", fewer))
    chosen.append((REAL, 24, 8, 8, 8, 0.0, "first", 20))
    chosen.append((INSPIRING, 24, 0, 16, 8, 0.0, "first", 20))
    return chosen


def main() -> None:
    """Simulate every design and write the table."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--studies", type=int, default=400)
    asked.add_argument("--processes", type=int, default=1)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    with multiprocessing.Pool(given.processes) as pool:
        rows = []
        for row in pool.imap(row_of, tasks(given.studies)):
            rows.append(row)
            print(*row.values(), sep="\t", file=sys.stderr, flush=True)
    out = given.out.open("w", newline="") if given.out else sys.stdout
    with out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
