"""How long jobs take on how many workers: for the plan of an engine, and the forecast of a build."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.engines import Job, WorkerPlan

# Threads that the work of a backend gains from; one where the backend is not listed. How many a program takes
# is its own affair, and the steps of samplernn take as long with two.
_MOST_THREADS = {"caw": 4}  # its scales train side by side
_GAIN = 0.92  # two threads do 2 ** 0.92 = 1.9 times what one does (tests/benchmarks/engine_speed)
_START_SECONDS = 12.0  # that several processes must save: each loads torch for 4, and costs are rough
_WORTH = 0.97  # share of the time that more workers must bring it down to


@dataclass(frozen=True)
class Load:
    """What a job takes, in seconds of one core."""

    own: float
    once: Mapping[str, float]  # what other jobs need as well, as to compile: once for each worker
    threads: int  # that it gains from

    @property
    def seconds(self) -> float:
        return self.own + sum(self.once.values())


def loads(jobs: Sequence[Job]) -> list[Load]:
    """The load of each job, by its `costs`: parts that its tasks share count once."""
    parts = []
    for job in jobs:
        own: dict[str, float] = {}
        for _, costs in zip(job.tasks, job.costs, strict=True):
            for name, cost in costs.items():
                own.setdefault(name, cost.seconds)  # those of an interrupted run are less than of later ones
        parts.append(own)
    times = Counter(name for job in parts for name in job)
    return [
        Load(
            sum(seconds for name, seconds in own.items() if times[name] == 1),
            {name: seconds for name, seconds in own.items() if times[name] > 1},
            min(_MOST_THREADS.get(backend, 1) for backend, _ in job.tasks),
        )
        for own, job in zip(parts, jobs, strict=True)
    ]


def wall(work: Sequence[Load], plan: WorkerPlan) -> float:
    """Seconds until all is done, where the next job goes to the worker that is free first."""
    free = [(0.0, number) for number in range(max(1, min(plan.workers, len(work))))]
    ready: list[set[str]] = [set() for _ in free]
    share = plan.cores / len(free)
    for load in work:
        end, number = heapq.heappop(free)
        once = sum(seconds for name, seconds in load.once.items() if name not in ready[number])
        ready[number] |= load.once.keys()
        cores = min(plan.threads, load.threads, share)
        pace = cores**_GAIN if cores > 1 else cores
        heapq.heappush(free, (end + (load.own + once) / pace, number))
    return max(end for end, _ in free)


def best_plan(work: Sequence[Load], most: int, threads_each: Callable[[int], int]) -> WorkerPlan:
    """As few workers as are about as quick as any other number of them.

    most: that there is room for. threads_each: gives the threads of one worker among so many.
    """
    best, fastest = None, float("inf")
    for workers in range(1, max(1, min(most, len(work))) + 1):
        plan = WorkerPlan(workers, threads_each(workers))
        seconds = wall(work, plan) + _START_SECONDS * (workers > 1)
        if seconds < _WORTH * fastest:
            best, fastest = plan, seconds
    return best
