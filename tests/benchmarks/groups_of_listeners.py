"""How often groups of listeners seem to differ where they do not, and how often their interval covers.

    python -m tests.benchmarks.groups_of_listeners [--studies 400]

Panels of tests/analysis/panels.py (listener, clip and answer SDs 1, 1 and 1.5 points), 16 machine-made clips
and 4 originals. Beside the model stands what is plainly wrong: all answers of a group against all of the
other, as if each were a listener of its own.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from analysis import responses
from analysis.results import groups, stimuli
from analysis.results.result import find
from tests.analysis.panels import panel

NAMES = ("musicality, difference, all clips", "judged real, difference, machine-made clips")


def study(seed: int, listeners: int, *, apart: bool, difference: float = 0.0):
    """Answers of two groups, which rate so many points apart and hear the same clips, or other ones."""
    frame = panel(listeners=listeners, seed=seed, missing=0)
    second = frame["listener"].str[1:].astype(int) % 2 == 1
    frame["group"] = np.where(second, "B", "A")
    frame["musicality"] = np.clip(frame["musicality"] + difference * second, 0, 10)
    if apart:
        half = frame["stimulus_id"].isin(sorted(frame["stimulus_id"].unique())[::2])
        frame = frame[second == half]
    return stimuli.distinct(responses.load(frame))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    print(f"{studies} studies without a difference")
    print("listeners  clips   outcome      rejects  covers 0  pooled t rejects")
    for listeners, apart in ((6, False), (12, False), (24, False), (48, False), (24, True)):
        rejected, covered, pooled, done = np.zeros(2), np.zeros(2), 0, 0
        for seed in range(studies):
            first = study(seed, listeners, apart=apart)
            results = groups.records(first)
            done += 1
            for place, name in enumerate(NAMES):
                result = find(results, groups.FAMILY, name, "B - A")
                rejected[place] += result.p is not None and result.p < 0.05
                covered[place] += result.low is not None and result.low <= 0 <= result.high
            sides = [first.loc[first["group"] == name, "musicality"] for name in "AB"]
            pooled += stats.ttest_ind(*sides, equal_var=False).pvalue < 0.05
        for place, outcome in enumerate(("musicality", "judged real")):
            beside = f"{pooled / done:.3f}" if outcome == "musicality" else ""
            clips = "other" if apart else "same"
            shares = f"{rejected[place] / done:.3f}    {covered[place] / done:.3f}     {beside}"
            print(f"{listeners:9d}  {clips:6s}  {outcome:11s}  {shares}", flush=True)


if __name__ == "__main__":
    main()
