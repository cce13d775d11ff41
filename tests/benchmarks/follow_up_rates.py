"""How often the interval of a Eureka rate holds it, and how often a difference is found that is not there.

    python -m tests.benchmarks.follow_up_rates [--studies 200]

Listeners keep clips by chance; rates, listeners and clips as of `analysis.planning_follow_up`. Eager ones say
"a part" of every clip that they keep: then the true rate is higher, and the same for both kinds of clips.
"""

from __future__ import annotations

import argparse

import numpy as np

from analysis import planning_follow_up
from analysis.planning_follow_up import FollowUpPlan
from analysis.results import estimation, follow_up

DESIGNS = [(8, 0.05, 0), (24, 0.05, 0), (8, 0.2, 0), (8, 0.2, 1), (8, 0.2, 2)]  # listeners, rate, eager ones
DESIGNS += [(24, 0.2, 0), (24, 0.2, 1), (24, 0.2, 8)]
KINDS = ("another kind", "one kind")


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--studies", type=int, default=200)
    studies = arguments.parse_args().studies
    print("| listeners, of whom eager | rate | holds the rate | interval's width | finds a difference |")
    print("|---|---|---|---|---|")
    for listeners, rate, eager in DESIGNS:
        plan = FollowUpPlan((listeners,), rate=rate, studies=studies)
        true = rate + (1 - rate) * eager / listeners
        names, held, widths, found = [f"L{number}" for number in range(eager)], [], [], []
        for frame in planning_follow_up.simulated(plan, listeners, 0.0):
            frame.loc[frame["listener"].isin(names), follow_up.CAME] = "part"
            mean = estimation.mean(frame, follow_up.EUREKA)
            held.append(mean.low is not None and mean.low <= true <= mean.high)
            widths.append(np.nan if mean.low is None else mean.high - mean.low)
            p = None
            if not follow_up.pair_too_few(frame, frame["kind"], KINDS):
                p = estimation.contrasts(frame, follow_up.EUREKA, frame["kind"], [KINDS])[0].p
            found.append(p is not None and p < 0.05)
        shares = f"{np.mean(held):.3f} | {np.nanmean(widths):.2f} | {np.mean(found):.3f}"
        print(f"| {listeners}, {eager} | {true:.3f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
