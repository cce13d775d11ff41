"""Engines: where the jobs of a build are done. `local` is this machine, `ray` a cluster.

An engine is given jobs and tells what becomes of them as events. It knows nothing of pool, sets or progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from study.backends import Clip, Cost, Task

ATTEMPTS = 3  # at a task whose worker is lost; on a cluster those that bring nothing new


class EngineError(ValueError):
    """An engine cannot work as it was asked to."""


@dataclass(frozen=True)
class Job:
    """Cells that share work, as a training: done one after the other by one worker."""

    number: int
    tasks: tuple[tuple[str, Task], ...]  # (the backend's file, what it shall make)
    costs: tuple[Mapping[str, Cost], ...] = ()  # of each task, as Backend.costs when the build was planned

    @property
    def name(self) -> str:
        """Of its first cell."""
        return self.tasks[0][1].cell.name


@dataclass(frozen=True)
class Event:
    """What became of a job. `place`: of the task among the job's."""

    job: int
    place: int = 0


@dataclass(frozen=True)
class Started(Event):
    """A worker has the job."""


@dataclass(frozen=True)
class Progress(Event):
    """How far a task is."""

    share: float = 0.0  # 0..1
    text: str = ""


@dataclass(frozen=True)
class Warned(Event):
    """Something about a sound that the researcher should know."""

    text: str = ""


@dataclass(frozen=True)
class ClipReady(Event):
    """A clip is there."""

    clip: Clip | None = None


@dataclass(frozen=True)
class Failed(Event):
    """A task ended without (all) its clips; the job's other tasks are still tried."""

    why: str = ""  # one line, with the mend
    no_room: str = ""  # the file that the disk had no room for: then nothing else can work either


@dataclass(frozen=True)
class WorkerLost(Event):
    """The job's worker is gone; another takes the job up where its checkpoint is."""

    why: str = ""


@dataclass(frozen=True)
class Ended(Event):
    """All tasks of the job were tried."""


Report = Callable[[Event], None]


@dataclass(frozen=True)
class WorkerPlan:
    """Who does jobs at the same time."""

    workers: int
    threads: int  # of each
    cores: float = math.inf  # that all of them have between them, where that is fewer than their threads
    note: str = ""  # why it is not what was asked for


class Engine(Protocol):
    """Does jobs."""

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """Who would do these jobs, for plans. Raises: EngineError."""

    def run(self, jobs: Sequence[Job], say: Report) -> None:
        """Do all jobs, telling of each by `say`, which is called in this thread alone.

        One failing task stops no other; a job whose worker is lost is taken up again, for the clips that
        were not told of yet, and a task that lost ATTEMPTS workers has failed. When this call is left, also
        by an exception of `say` or Ctrl-C, no worker is left running. Raises: EngineError.
        """


def choose(
    name: str, *, workers: int | None = None, address: str | None = None, gpus_per_task: float | None = None
) -> Engine:
    """The engine of that name. Raises: EngineError for a name or an option that there is none of."""
    if name == "local":
        for option, value in (("--address", address), ("--gpus-per-task", gpus_per_task)):
            if value is not None:
                raise EngineError(f"{option} {value} is for --engine ray; add that, or leave it out")
        from study.engines.local import LocalEngine

        return LocalEngine(workers)
    if name == "ray":
        from study.engines.ray import RayEngine

        return RayEngine(workers=workers, address=address, gpus_per_task=gpus_per_task or 0.0)
    raise EngineError(f"--engine is {name!r}; use local or ray")


def without(job: Job, made: frozenset[str] | set[str], failed: set[int]) -> tuple[Job, list[int]]:
    """What is left of a job: tasks with the clips that are not made, and the place of each in the job."""
    left, places = [], []
    for place, (backend, task) in enumerate(job.tasks):
        names = tuple(name for name in task.names if name not in made)
        if names and place not in failed:
            left.append((backend, replace(task, names=names)))
            places.append(place)
    return replace(job, tasks=tuple(left), costs=()), places  # planned is what all of it took
