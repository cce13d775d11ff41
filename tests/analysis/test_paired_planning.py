"""The power of studies of pairs: against simulated studies, at its ceiling, and what is refused."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from analysis.paired_planning import PairedPlan, PairedPlanningError, PairedSpread, error_of, power

# From tests/benchmarks/paired_task.py: 300 studies without an effect, half of the mean 95 % interval.
SIMULATED = {
    ("real", 8, 16, 16): 0.1742,
    ("real", 24, 8, 8): 0.1624,
    ("inspiring", 8, 16, 16): 0.2010,
    ("inspiring", 24, 8, 8): 0.1631,
}


@pytest.mark.parametrize("design", SIMULATED)
def test_intervals_are_as_wide_as_those_of_simulated_studies(design):
    question, listeners, clips, pairs = design
    plan = PairedPlan(question=question, share=0.501, listeners=(listeners,), clips=(clips,), pairs=(pairs,))
    error, free = error_of(plan, listeners, clips, pairs)
    assert error * stats.t.ppf(0.975, free) == pytest.approx(SIMULATED[design], rel=0.02)


@pytest.mark.parametrize(
    ("question", "share", "listeners", "clips", "saw"),
    [("real", 0.676, 24, 8, 0.573), ("inspiring", 0.665, 24, 8, 0.588), ("inspiring", 0.665, 8, 16, 0.467)],
)
def test_power_is_that_of_simulated_studies(question, share, listeners, clips, saw):
    """A latent effect of .6 is these shares; 800, 600 and 300 simulated studies, errors of .017 to .029."""
    plan = PairedPlan(question=question, share=share, listeners=(listeners,), clips=(clips,), pairs=(clips,))
    assert power(plan)["power"][0] == pytest.approx(saw, abs=0.04)


def test_more_listeners_reach_a_ceiling_that_more_clips_lift():
    table = power(PairedPlan(share=0.65, listeners=(24, 2000), clips=(8, 16)))
    by = {(row.clips, row.listeners): row.power for row in table.itertuples()}
    assert by[8, 24] < by[8, 2000] < by[8, math.inf] < by[16, math.inf]
    assert by[8, math.inf] - by[8, 2000] < 0.01
    with pytest.raises(PairedPlanningError, match="clips always differ"):
        PairedSpread(clip=0.0)


@pytest.mark.parametrize(
    "wrong", [{"share": 0.5}, {"share": 1.0}, {"question": "best"}, {"clips": (4,)}, {"listeners": (1,)}]
)
def test_what_cannot_be_planned_is_refused(wrong):
    with pytest.raises(PairedPlanningError):
        power(PairedPlan(**wrong))
