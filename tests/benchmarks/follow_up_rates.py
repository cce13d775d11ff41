"""How often the interval of a Eureka rate holds it, and how often a difference is found that is not there.

    python tests/benchmarks/follow_up_rates.py [--studies 200]

Listeners keep clips by chance; rates, listeners and clips as of `analysis.planning_follow_up`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from analysis import planning_follow_up
from analysis.planning_follow_up import FollowUpPlan
from analysis.results import estimation, follow_up


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--studies", type=int, default=200)
    studies = arguments.parse_args().studies
    print("listeners kept rate: holds the rate, interval's width; finds what is not there")
    for listeners, kept, rate in ((8, 4, 0.2), (8, 4, 0.05), (24, 4, 0.2), (24, 4, 0.05)):
        plan = replace(FollowUpPlan((listeners,)), kept=kept, rate=rate, studies=studies)
        held, widths = 0, []
        for frame in planning_follow_up.simulated(plan, listeners, 0.0):
            found = estimation.mean(frame, follow_up.EUREKA)
            held += found.low is not None and found.low <= rate <= found.high
            widths.append(found.high - found.low if found.low is not None else float("nan"))
        false = planning_follow_up.power(plan, listeners, 0.0)
        width = sum(widths) / len(widths)
        print(f"{listeners} {kept} {rate:g}: {held / studies:.3f}, {width:.2f}; {false:.3f}", flush=True)


if __name__ == "__main__":
    main()
