"""How often groups of listeners seem to differ where they do not, and how often their interval covers.

    python -m tests.benchmarks.groups_of_listeners [--studies 400]

Panels of tests/analysis/panels.py (listener, clip and answer SDs 1, 1 and 1.5 points), 16 machine-made clips
and 8 originals, without an effect of any kind; listeners are in two groups. Besides, some of group B always
say "fake": then fewer of its clips are judged real, which is true, and the accuracies tell who can hear it.
Beside the model stands what is plainly wrong: all answers of a group against all of the other, as if each
were a listener of its own. "said": of how many studies there was a test at all.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from analysis import responses
from analysis.results import groups, stimuli
from analysis.results.outcomes import JUDGED_REAL, MUSICALITY
from tests.analysis.panels import panel

DESIGNS = [(2, 2), (3, 3), (8, 8), (24, 24), (100, 100), (4, 20)]  # listeners of the groups A and B
OUTCOMES = ("musicality", "judged real", "accuracy")


def study(seed: int, sizes: tuple[int, int], *, apart: bool = False, naive: float = 0.0):
    """Answers of two groups that hear the same clips, or other ones; `naive` of B always say fake."""
    frame = panel(listeners=sum(sizes), seed=seed, missing=0, originals=8)
    number = frame["listener"].str[1:].astype(int) - 1
    second = number >= sizes[0]
    frame["group"] = np.where(second, "B", "A")
    frame.loc[second & (number < sizes[0] + round(naive * sizes[1])), "verdict"] = "fake"
    if apart:
        half = frame["stimulus_id"].isin(sorted(frame["stimulus_id"].unique())[::2])
        frame = frame[second == half]
    return stimuli.distinct(responses.load(frame))


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
