"""Engines: where the jobs of a build are done. `local` is this machine, `ray` is a cluster.

An engine is given jobs and reports what becomes of them as events. It knows nothing of pool, sets or
progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from caw.problems import ProblemError
from study.backends import Clip, Cost, Task


class EngineError(ProblemError):
    """An engine cannot work as it was asked to."""


@dataclass(frozen=True)
class Job:
    """Cells that share work, as a training. One worker does them one after the other."""

    number: int
    tasks: tuple[tuple[str, Task], ...]  # the backend's file, and what it is asked for
    costs: tuple[Mapping[str, Cost], ...] = ()  # of each task, as Backend.costs when the build was planned

    @property
    def name(self) -> str:
        """The name of its first cell."""
        return self.tasks[0][1].cell.name


@dataclass(frozen=True)
class Event:
    """What became of a job. `place` is that of the task among the job's."""

    job: int
    place: int = 0


@dataclass(frozen=True)
class Started(Event):
    """A worker has begun the job."""


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
    """A clip was made."""

    clip: Clip | None = None


@dataclass(frozen=True)
class Failed(Event):
    """A task ended without all of its clips. The job's other tasks are still tried."""

    why: str = ""  # one line, with what to do
    no_room: str = ""  # the file that the disk had no room for; then nothing else can work either


@dataclass(frozen=True)
class WorkerLost(Event):
    """The job's worker is gone. Another one continues the job from its checkpoint."""

    why: str = ""


@dataclass(frozen=True)
class Ended(Event):
    """All tasks of the job were tried."""


Report = Callable[[Event], None]


@dataclass(frozen=True)
class WorkerPlan:
    """How many jobs are done at the same time, and with what."""

    workers: int
    threads: int  # of each worker
    cores: float = math.inf  # that all workers have together, where these are fewer than their threads
    note: str = ""  # why it is not what was asked for


class Engine(Protocol):
    """Does the jobs of a build."""

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """The workers that would do these jobs.

        Parameters
        ----------
        jobs : sequence of Job
            With their `costs`.

        Raises
        ------
        EngineError
            Where the engine cannot work as it was asked to.
        """

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Do all jobs.

        Parameters
        ----------
        jobs : sequence of Job
        report : callable
            Is called with every `Event`, in this thread only.

        Raises
        ------
        EngineError
            Where the engine cannot work as it was asked to.

        Notes
        -----
        A task that fails stops no other. A job whose worker is lost is given to another worker, for the clips
        that were not reported yet, and a task that has lost three workers has failed. When this call returns
        or raises, also by an exception of `report` or by Ctrl-C, no worker is left running.
        """


def choose(
    name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_task: float | None = None,
    storage: str | None = None,
) -> Engine:
    """The engine of a name.

    Parameters
    ----------
    name : str
        ``local`` or ``ray``.
    workers : int, optional
        Jobs at once; by default as many as cores and memory, or the cluster, have room for.
    address : str, optional
        HOST:PORT of a running Ray cluster, or ``auto``; by default Ray is started on this machine.
    gpus_per_task : float, optional
        GPUs of each job, a whole number or a part of one, with ``ray``.
    storage : str, optional
        A folder or an address as ``s3://bucket/folder`` that all nodes of a Ray cluster reach; by default one
        in the study's folder.

    Raises
    ------
    EngineError
        For an unknown name, or an option that the engine does not have.

    Examples
    --------
    >>> choose("local", workers=2).workers
    2
    """
    if name == "local":
        options = {"--address": address, "--gpus-per-task": gpus_per_task, "--storage": storage}
        for option, value in options.items():
            if value is not None:
                raise EngineError(f"{option} {value} is for --engine ray", "add that, or leave it out")
        from study.engines.local import LocalEngine

        return LocalEngine(workers)
    if name == "ray":
        from study.engines.ray import RayEngine

        return RayEngine(
            workers=workers, address=address, gpus_per_task=gpus_per_task or 0.0, storage=storage
        )
    raise EngineError(f"--engine is {name!r}", "use local or ray")
