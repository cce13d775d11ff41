"""Which worker does which job when: for the plan of an engine, and the forecast of a build."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.engines import Job, WorkerPlan

# threads that a backend's work gains from: one where none stands here. A program's are its own affair, and
# samplernn's steps take as long with two
_MOST_THREADS = {"caw": 4}  # its scales train side by side
_GAIN = 0.92  # two threads do 2 ** .92 = 1.9 times what one does (tests/benchmarks/engine_speed)
_TO_START = 12.0  # s that more than one process must save: each loads torch for 4, and costs are rough
_WORTH = 0.97  # of the time: what more workers must get it down to


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
    """Of each job, by its `costs`: parts that its tasks share count once."""
    parts = []
    for job in jobs:
        own: dict[str, float] = {}
        for _, costs in zip(job.tasks, job.costs, strict=True):
            for name, cost in costs.items():
                own.setdefault(name, cost.seconds)  # an interrupted run's are less than of those after it
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


def wall(work: Sequence[Load], crew: WorkerPlan) -> float:
    """Seconds until all is done; the next job goes to the worker that is free first."""
    free = [(0.0, number) for number in range(max(1, min(crew.workers, len(work))))]
    ready: list[set[str]] = [set() for _ in free]
    share = crew.cores / len(free)
    for load in work:
        end, number = heapq.heappop(free)
        once = sum(seconds for name, seconds in load.once.items() if name not in ready[number])
        ready[number] |= load.once.keys()
        cores = min(crew.threads, load.threads, share)
        pace = cores**_GAIN if cores > 1 else cores
        heapq.heappush(free, (end + (load.own + once) / pace, number))
    return max(end for end, _ in free)


def best_plan(work: Sequence[Load], most: int, threads_each: Callable[[int], int]) -> WorkerPlan:
    """As few workers as are about as quick as any other number of them.

    most: that there is room for. threads_each: of a worker among so many.
    """
    best, fastest = None, float("inf")
    for workers in range(1, max(1, min(most, len(work))) + 1):
        crew = WorkerPlan(workers, threads_each(workers))
        took = wall(work, crew) + _TO_START * (workers > 1)
        if took < _WORTH * fastest:
            best, fastest = crew, took
    return best
