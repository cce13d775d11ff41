"""Type-I error of the tests that a panel's report offers, by simulation, at nominal .05.

Run: python -m tests.benchmarks.type_one_error [--studies 300] [--linear 1000] [--kept FILE] [--processes 2]

Each simulated study has no effect of truth, but listeners and clips that differ, and listeners who differ in
how they take originals and machine-made clips. `--studies` of them per design are put to every test, as many
as `--linear` to the quick ones (the linear mixed model and the tests on clip means). `--kept` keeps every
study's p values, so that a run that was stopped goes on. Prints the table that analysis/README.md holds.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from analysis import mixed, permutation, stimuli

DESIGNS = ((24, 16, 4), (24, 10, 10), (8, 16, 4))  # listeners, machine-made, originals
LISTENER, SLOPE, CLIP, ANSWER = 1.0, 0.5, 1.0, 1.5  # standard deviations, points of musicality
STRONG = 1.0  # a slope's, where listeners differ as much in their difference as in their level
LEVEL = 0.05
LMM = "musicality: linear mixed model, no slopes"
LMM_SLOPES = "musicality: linear mixed model, slopes of listeners"
DIFFER = ", slopes of SD 1"
ORDINAL = "musicality: cumulative logit mixed model"
SLOPES = "verdicts: probit mixed model, slopes of listeners"
PLAIN = "verdicts: probit mixed model, no slopes"
MEANS = "{}: t-test on clip means"
RANKS = "{}: permutation of clips"
WALD = ", Wald z"  # what the test would be without the clips' degrees of freedom
TESTS = (
    *(LMM, LMM_SLOPES, LMM + DIFFER, LMM_SLOPES + DIFFER),
    *(MEANS.format("musicality"), RANKS.format("musicality"), ORDINAL, ORDINAL + WALD),
    *(SLOPES, SLOPES + WALD, PLAIN, PLAIN + WALD, MEANS.format("verdicts"), RANKS.format("verdicts")),
)


def study(
    design: tuple[int, int, int], seed: Iterable[int], *, slope: float = SLOPE
) -> tuple[np.ndarray, ...]:
    """Truth of the clips [clips], machine-made first; ratings, answers "fake" [listeners, clips]."""
    listeners, fakes, originals = design
    rng = np.random.default_rng(list(seed))
    truth = np.repeat([0.5, -0.5], [fakes, originals])
    shape = (listeners, fakes + originals)

    def answers(scale: float) -> np.ndarray:
        lean = rng.normal(0, LISTENER, (listeners, 1)) + rng.normal(0, slope, (listeners, 1)) * truth
        return scale * (lean + rng.normal(0, CLIP, (1, shape[1])) + rng.normal(0, ANSWER, shape))

    ratings = np.clip(np.rint(5 + answers(1.0)), 0, 10)
    return truth, ratings, (answers(0.7) > -1).astype(float)


def p_values(design: tuple[int, int, int], seed: Iterable[int], *, slow: bool = True) -> dict[str, float]:
    """p of every test of one null study; NaN where the report would give none."""
    truth, ratings, says = study(design, seed)
    found = {}
    for name, answers in (("musicality", ratings), ("verdicts", says)):
        one, two = answers.mean(axis=0)[truth > 0], answers.mean(axis=0)[truth < 0]
        test = stimuli.t_test(one, two)
        found[MEANS.format(name)] = math.nan if test is None else test.p
        found[RANKS.format(name)] = permutation.rank_test(one, two)
    listener, clip = (index.ravel() for index in np.indices(ratings.shape))
    side = truth[clip]
    fixed = {"1": np.ones(len(clip)), "truth": side}
    strong = study(design, seed, slope=STRONG)[1]
    for rated, name in ((ratings, ""), (strong, DIFFER)):
        level = mixed.linear(rated.ravel(), fixed, listener, clip)
        sloped = mixed.linear(rated.ravel(), fixed, listener, clip, slope=side)
        found[LMM + name] = level.p("truth")
        found[LMM_SLOPES + name] = (level if sloped.singular_listeners else sloped).p("truth")
    if slow:
        model = mixed.ordinal(ratings.ravel(), {"truth": side}, listener, clip)
        found |= _both(ORDINAL, model)
        plain = mixed.binary(says.ravel(), fixed, listener, clip)
        found |= _both(PLAIN, plain)
        sloped = mixed.binary(says.ravel(), fixed, listener, clip, slope=side)
        found |= _both(SLOPES, plain if sloped.singular_listeners else sloped)  # as the report does
        found["singular"] = float(sloped.singular_listeners)
    return found


def _both(name: str, model: mixed.Fit) -> dict[str, float]:
    """p as the model gives it, and as Wald's z."""
    i = model.names.index("truth")
    z = abs(model.estimate[i] / model.se[i])
    return {name: model.p("truth"), name + WALD: math.erfc(z / math.sqrt(2))}


def shares(rows: list[dict]) -> dict[str, tuple[float, float, int]]:
    """Of each test: the share of studies with p below .05, its Monte Carlo error, and how many had a p."""
    found = {}
    for test in TESTS:
        p = np.array([row[test] for row in rows if test in row], float)
        p = p[np.isfinite(p)]
        if len(p):
            share = float((p < LEVEL).mean())
            found[test] = share, math.sqrt(max(share, 1 / len(p)) * (1 - share) / len(p)), len(p)
    return found


def table(rows: list[dict]) -> Iterator[str]:
    """Lines of a Markdown table: a row per test, a column per design."""
    columns = [shares([row for row in rows if tuple(row["design"]) == design]) for design in DESIGNS]
    heads = [f"{listeners} x ({fakes}+{originals})" for listeners, fakes, originals in DESIGNS]
    yield f"| test | {' | '.join(heads)} | Monte Carlo error | studies |"
    yield f"|---|{'---:|' * (len(heads) + 2)}"
    for test in TESTS:
        found = [column[test] for column in columns if test in column]
        if len(found) == len(columns):
            cells = " | ".join(f"{share:.3f}" for share, _, _ in found)
            error, least = max(error for _, error, _ in found), min(count for _, _, count in found)
            yield f"| {test} | {cells} | {error:.3f} | {least} |"


def _one(job: tuple[tuple[int, int, int], int, bool]) -> dict:
    design, number, slow = job
    row = {"design": design, "number": number, "slow": slow}
    return row | p_values(design, (1, *design, number), slow=slow)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--studies", type=int, default=300)
    asked.add_argument("--linear", type=int, default=1000)
    asked.add_argument("--processes", type=int, default=os.cpu_count())
    asked.add_argument("--kept", type=Path)
    asked = asked.parse_args()
    rows = []
    if asked.kept and asked.kept.exists():
        rows = [json.loads(line) for line in asked.kept.read_text().splitlines()]
    done = {(*row["design"], row["number"], row["slow"]) for row in rows}
    jobs = [(d, k, True) for k in range(asked.studies) for d in DESIGNS]
    jobs += [(d, k, False) for k in range(asked.studies, asked.linear) for d in DESIGNS]
    jobs = [(d, k, slow) for d, k, slow in jobs if (*d, k, slow) not in done]
    with multiprocessing.Pool(asked.processes) as pool:
        for row in pool.imap_unordered(_one, jobs, chunksize=4):
            rows.append(row)
            if asked.kept:
                with asked.kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
