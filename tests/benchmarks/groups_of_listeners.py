"""How often groups of listeners seem to differ where they do not, and how often their interval covers.

    python -m tests.benchmarks.groups_of_listeners [--studies 400]

SDs of listeners, clips and answers are 1, 1 and 1.5 points of musicality, and .4, .5 and 1 of the verdicts'
noise; 16 machine-made clips and 8 originals, without an effect of any kind. Besides, some of group B always
say "fake": then fewer of its clips are judged real, which is true, and the accuracies tell who can hear it.
Beside the model stands what is plainly wrong: all answers of a group against all of the other, as if each
were a listener of its own. "said": of how many studies there was a test at all.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results import groups
from analysis.results.outcomes import JUDGED_REAL, MUSICALITY

DESIGNS = [(2, 2), (3, 3), (8, 8), (24, 24), (100, 100), (4, 20)]  # listeners of the groups A and B
FAKES, REALS = 16, 8
OUTCOMES = ("musicality", "judged real", "accuracy")


def study(seed: int, sizes: tuple[int, int], *, apart: bool = False, naive: float = 0.0) -> pd.DataFrame:
    """Answers of two groups that hear the same clips, or other ones; `naive` of B always say fake."""
    dice, (people, clips) = np.random.default_rng(seed), (sum(sizes), FAKES + REALS)
    shape = people, clips
    points = 4.5 + dice.normal(0, 1, (people, 1)) + dice.normal(0, 1, clips) + dice.normal(0, 1.5, shape)
    seems = dice.normal(0, 0.4, (people, 1)) + dice.normal(0, 0.5, clips) + dice.normal(0, 1, shape)
    real = seems > 0.6
    real[sizes[0] : sizes[0] + round(naive * sizes[1])] = False
    who, clip = np.indices(shape).reshape(2, -1)
    columns = {
        "listener": who,
        "clip": clip,
        "truth": np.where(clip < FAKES, "fake", "real"),
        "group": np.where(who < sizes[0], "A", "B"),
        "musicality": np.clip(points.round(), 0, 10).ravel(),
        "verdict": np.where(real, "real", "fake").ravel(),
    }
    frame = pd.DataFrame(columns)
    return frame[(who < sizes[0]) == (clip % 2 == 0)] if apart else frame


def compared(first) -> list:
    """B less A in each of OUTCOMES, and all answers pooled by Welch's t test: p alone."""
    fakes = first[first["truth"] == "fake"]
    found = [
        groups.difference(first, MUSICALITY, groups.ALL_CLIPS, "B", "A"),
        groups.difference(fakes, JUDGED_REAL, groups.FAKES, "B", "A"),
        groups.accuracy(first, "B", "A"),
    ]
    sides = [first.loc[first["group"] == name, "musicality"] for name in "AB"]
    return [*found, stats.ttest_ind(*sides, equal_var=False).pvalue]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    designs = [(sizes, {}) for sizes in DESIGNS] + [((24, 24), {"apart": True})]
    designs += [(sizes, {"naive": share}) for sizes in ((8, 8), (24, 24)) for share in (0.5, 1.0)]
    print(
        f"{studies} studies\nlisteners  what          outcome      rejects  covers 0  said  pooled t rejects"
    )
    for sizes, more in designs:
        count = studies if sum(sizes) < 100 else studies // 2
        found = [compared(study(seed, sizes, **more)) for seed in range(count)]
        what = "other clips" if "apart" in more else f"{more.get('naive', 0):.0%} naive" if more else ""
        for place, outcome in enumerate(OUTCOMES):
            tests = [one[place] for one in found if one[place].p is not None]
            rejected = np.mean([test.p < 0.05 for test in tests]) if tests else float("nan")
            covered = np.mean([test.low <= 0 <= test.high for test in tests]) if tests else float("nan")
            pooled = f"{np.mean([one[-1] < 0.05 for one in found]):.3f}" if not place else ""
            line = f"{rejected:.3f}    {covered:.3f}     {len(tests) / count:.2f}  {pooled}"
            print(f"{sizes[0]:3d} + {sizes[1]:3d}  {what:12s}  {outcome:11s}  {line}", flush=True)


if __name__ == "__main__":
    main()
