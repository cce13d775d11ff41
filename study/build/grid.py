"""The grid of a build: every cell that lacks clips, as jobs for an engine, and what becomes of them.

Clips go into the pool as they come, one writer for however many workers. A cell that fails stops no other.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study import backends
from study.backends import Clip, Cost, Task
from study.build.progress import BuildProgress
from study.design import LATER_FACTS
from study.engines import ClipReady, Ended, Event, Failed, Job, Progress, Started, Warned, WorkerLost
from study.pool import Pool


class CellsFailed(ValueError):
    """Some cells could not be made; what the others made is in the pool."""


@dataclass(frozen=True)
class Part:
    """One cell of a job, with what is due of it and what that takes."""

    backend: str  # the file
    task: Task
    costs: Mapping[str, Cost]  # by its parts, as Backend.costs
    cost: Cost  # of those parts that no cell before it has


def parts_of(tasks: Iterable[tuple[str, Task]]) -> list[Part]:
    """The tasks with their costs; work that several share counts for the first of them."""
    counted: set[str] = set()
    found = []
    for backend, task in tasks:
        costs = backends.get(backend).costs(task)
        own = [cost for name, cost in costs.items() if name not in counted]
        counted |= set(costs)
        whole = Cost(sum(cost.seconds for cost in own), sum(cost.disk for cost in own))
        found.append(Part(backend, task, costs, whole))
    return found


def jobs_of(parts: Sequence[Part]) -> list[Job]:
    """Cells that share work in one job, ascending in epochs; jobs that take longest first.

    So that the last worker ends soon after the others.
    """
    groups: dict[tuple, list[Part]] = defaultdict(list)
    for number, part in enumerate(parts):
        cell, shared = part.task.cell, backends.get(part.backend).shared_job(part.task)
        groups[(part.backend, cell.backend, shared) if shared else (number,)].append(part)
    ordered = [sorted(group, key=lambda part: part.task.cell.epochs or 0) for group in groups.values()]
    ordered.sort(key=lambda group: -sum(part.cost.seconds for part in group))
    return [
        Job(number, tuple((part.backend, part.task) for part in group), tuple(part.costs for part in group))
        for number, group in enumerate(ordered)
    ]


class Grid:
    """What is due and what became of it; `hear` is told every event of an engine.

    recipes: of each clip, by its name. remarks: the researcher's words on imported clips.
    """

    def __init__(
        self,
        tasks: Sequence[tuple[str, Task]],
        pool: Pool,
        recipes: Mapping[str, str],
        remarks: Mapping[str, str],
        progress: BuildProgress,
    ):
        self.parts = parts_of(tasks)
        self.jobs = jobs_of(self.parts)
        self.pool, self.recipes, self.remarks, self.progress = pool, recipes, remarks, progress
        self.made = 0  # clips
        self.failures: dict[tuple[int, int], str] = {}  # job and place -> why
        cost = {id(part.task): part.cost for part in self.parts}
        self._cost = {
            (job.number, place): cost[id(task)]
            for job in self.jobs
            for place, (_, task) in enumerate(job.tasks)
        }
        self._due = {
            (job.number, place): list(task.names)
            for job in self.jobs
            for place, (_, task) in enumerate(job.tasks)
        }
        self._begun: dict[int, int] = {}  # job -> the place it is at
        self._done: set[tuple[int, int]] = set()

    @property
    def seconds(self) -> float:
        """What all of it takes, in seconds of one core."""
        return sum(part.cost.seconds for part in self.parts)

    def hear(self, event: Event) -> None:
        """Take note. Raises: OSError when the disk is full; FolderError when the study is gone."""
        if isinstance(event, ClipReady | Failed):
            self.pool.folder.require()  # one that was moved is not to be begun again at its old place
        if isinstance(event, Started):
            self._at(event.job, event.place)
        elif isinstance(event, Progress):
            self._at(event.job, event.place)
            self.progress.tell(event.share, event.text, part=event.job)
        elif isinstance(event, Warned):
            self.progress.warn(event.text)
        elif isinstance(event, ClipReady):
            self._at(event.job, event.place)
            self._take(event)
        elif isinstance(event, Failed):
            if event.no_room:
                raise OSError(errno.ENOSPC, "No space left on device", event.no_room)
            self._fail(event.job, event.place, event.why)
        elif isinstance(event, WorkerLost):
            self._begun.pop(event.job, None)
            self.progress.drop(event.job)
            name = self.jobs[event.job].name
            self.progress.note(f"note: {name}: {event.why}; it is taken up again")
        elif isinstance(event, Ended):
            self._finish(event.job)
        self._tell_state()

    def require_whole(self, folder: object) -> None:
        """Names what failed and why, at the end of all that was told. Raises: CellsFailed."""
        if not self.failures:
            return
        again = f"then `study build {folder}` makes only what is missing"
        cells: dict[str, list[str]] = {}  # by why they failed
        for key, why in self.failures.items():
            cells.setdefault(why, []).append(self._name(*key))
        first, (cell, *_) = next(iter(cells.items()))
        if len(self.failures) == 1:
            raise CellsFailed(f"{cell}: {first}; {again}")
        self.progress.note("What failed:")
        for why, names in cells.items():
            self.progress.note(f"  {', '.join(names)}: {why}")
        told = f"{len(self.failures)} of {len(self.parts)} cells failed, so no sets were drawn"
        raise CellsFailed(f"{told} (all are named above; the first: {cell}: {first}); {again}")

    def _at(self, job: int, place: int) -> None:
        """A job is at this task: those before it are done."""
        if self._begun.get(job) == place:
            return
        if job in self._begun:
            self._close(job, self._begun[job])
        self._begun[job] = place
        tasks, names = self.jobs[job].tasks, self._due[job, place]
        behind = sum(self._cost[job, after].seconds for after in range(place + 1, len(tasks)))
        cost = self._cost[job, place].seconds
        self.progress.begin(job, cost, _told(tasks[place][0], names), behind)

    def _take(self, event: ClipReady) -> None:
        key, clip = (event.job, event.place), event.clip
        backend, task = self.jobs[event.job].tasks[event.place]
        if fault := _fault(clip, task, self._due[key]):
            mend = "train longer or otherwise, or choose another passage"
            self._fail(*key, f"backend {task.cell.backend} gave {fault} for {clip.name}; {mend}")
            return
        self._due[key].remove(clip.name)
        cell = task.cell
        row = self.pool.add(
            clip.name,
            clip.samples,
            clip.rate,
            backend=cell.backend,
            mode=cell.mode,
            epochs=cell.epochs,
            source=cell.source,
            seed=clip.seed,
            run=clip.run,
            remark=self.remarks.get(clip.name),
            recipe=self.recipes[clip.name],
            **{fact: getattr(cell, fact) for fact in LATER_FACTS},
        )
        self.made += 1
        note_lowered(row, self.progress)

    def _close(self, job: int, place: int) -> None:
        """A task has ended: with all its clips, or it has failed."""
        if (job, place) in self._done:
            return
        self._done.add((job, place))
        backend, task = self.jobs[job].tasks[place]
        if (lacking := self._due[job, place]) and (job, place) not in self.failures:
            self._fail(job, place, f"backend {task.cell.backend} made no {', '.join(lacking)}; mend it")
        self._tell_state()
        self.progress.end(job, "" if (job, place) in self.failures else _told(backend, task.names))

    def _finish(self, job: int) -> None:
        if job in self._begun:
            self._close(job, self._begun.pop(job))
        for place in range(len(self.jobs[job].tasks)):
            if (job, place) not in self._done:  # ended before its worker was lost, or was never begun
                self.progress.begin(job, self._cost[job, place].seconds, "")
                self._close(job, place)

    def _fail(self, job: int, place: int, why: str) -> None:
        if (job, place) not in self.failures:
            self.failures[job, place] = why
            self.progress.note(f"failed: {self._name(job, place)}: {why}")

    def _name(self, job: int, place: int) -> str:
        """Of a cell; of an imported clip, as several may stand for one cell of another system."""
        backend, task = self.jobs[job].tasks[place]
        return task.names[0] if backend == "imported" else task.cell.name

    def _tell_state(self) -> None:
        done = len(self._done - self.failures.keys())
        told = [f"{done} of {len(self.parts)} cells done"]
        told += [f"{len(self._begun)} running"] if self._begun else []
        told += [f"{len(self.failures)} failed"] if self.failures else []
        self.progress.state(", ".join(told))


def note_lowered(row: Mapping[str, str], progress: BuildProgress) -> None:
    """Report what was lowered to fit into the pool."""
    if row["gain_db"]:
        progress.note(f"note: {row['name']} exceeded full scale: {row['gain_db']} dB in the pool")


def _fault(clip: Clip, task: Task, due: Sequence[str]) -> str:
    """Where a backend did not keep its promise; "" where it did."""
    seconds = len(clip.samples) / clip.rate
    if clip.name not in due:
        return "a clip that was not asked for"
    if clip.samples.ndim != 1 or seconds < task.seconds - 1e-3:
        return f"{seconds:.2f} s in shape {clip.samples.shape} instead of {task.seconds:.2f} s mono"
    if not np.isfinite(clip.samples).all():
        return "NaN or infinite samples"
    if np.abs(clip.samples).max() < 1e-5:
        return "silence"
    return ""


def _told(backend: str, names: Sequence[str]) -> str:
    verb = "import" if backend == "imported" else "make"
    return f"{verb} {', '.join(names) if len(names) < 3 else f'{names[0]} to {names[-1]}'}"
