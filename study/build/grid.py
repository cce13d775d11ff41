"""The grid of a build: every cell that lacks clips, as jobs for an engine, and what became of each.

Clips go into the pool as they come, written by this process alone, however many workers there are. A cell
that fails stops no other.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caw.problems import ProblemError
from study import backends
from study.backends import Clip, Cost, Task
from study.build.progress import BuildProgress
from study.design import LATER_FACTS
from study.engines import ClipReady, Ended, Event, Failed, Job, Progress, Started, Warned, WorkerLost
from study.pool import Pool


class CellsFailed(ProblemError):
    """Some cells could not be made; what the others made is in the pool."""


@dataclass(frozen=True)
class PlannedTask:
    """One task of the grid, with what it costs."""

    backend: str  # its file
    task: Task
    costs: Mapping[str, Cost]  # by its parts, as from Backend.costs
    cost: Cost  # of those parts that no task before it has


def with_costs(tasks: Iterable[tuple[str, Task]]) -> list[PlannedTask]:
    """The tasks with their costs; work that several share counts for the first of them."""
    counted: set[str] = set()
    result = []
    for backend, task in tasks:
        costs = backends.get(backend).costs(task)
        own = [cost for name, cost in costs.items() if name not in counted]
        counted |= set(costs)
        total = Cost(sum(cost.seconds for cost in own), sum(cost.disk for cost in own))
        result.append(PlannedTask(backend, task, costs, total))
    return result


def jobs_of(tasks: Sequence[PlannedTask]) -> list[Job]:
    """Cells that share work as one job, ascending in epochs; jobs that take longest come first.

    So the last worker ends soon after the others.
    """
    groups: dict[tuple, list[PlannedTask]] = defaultdict(list)
    for number, one in enumerate(tasks):
        shared = backends.get(one.backend).shared_job(one.task)
        groups[(one.backend, one.task.cell.backend, shared) if shared else (number,)].append(one)
    ordered = [sorted(group, key=lambda one: one.task.cell.epochs or 0) for group in groups.values()]
    ordered.sort(key=lambda group: -sum(one.cost.seconds for one in group))
    return [
        Job(number, tuple((one.backend, one.task) for one in group), tuple(one.costs for one in group))
        for number, group in enumerate(ordered)
    ]


class TrainingGrid:
    """The tasks that are due and what became of them; an engine reports its events to `receive`.

    Parameters
    ----------
    tasks : sequence of (str, Task)
        The file of a backend, and what it is to make: only clips that are missing.
    pool : Pool
        Where clips are put as they come.
    recipes : mapping of str to str
        The recipe of each clip, by its name.
    remarks : mapping of str to str
        The researcher's words on imported clips, by their names.
    progress : BuildProgress
        Where the build reports how far it is.

    Attributes
    ----------
    clips_made : int
        How many clips came into the pool.
    failures : dict of (int, int) to str
        Why tasks failed, by the number of the job and the task's place in it.
    """

    def __init__(
        self,
        tasks: Sequence[tuple[str, Task]],
        pool: Pool,
        recipes: Mapping[str, str],
        remarks: Mapping[str, str],
        progress: BuildProgress,
    ):
        self.tasks = with_costs(tasks)
        self.jobs = jobs_of(self.tasks)
        self.pool, self.recipes, self.remarks, self.progress = pool, recipes, remarks, progress
        self.clips_made = 0
        self.failures: dict[tuple[int, int], str] = {}
        cost = {id(one.task): one.cost for one in self.tasks}
        self._cost, self._due = {}, {}  # by job and place: the cost, and the names of missing clips
        for job in self.jobs:
            for place, (_, task) in enumerate(job.tasks):
                self._cost[job.number, place] = cost[id(task)]
                self._due[job.number, place] = list(task.names)
        self._running: dict[int, int] = {}  # the place that each running job is at
        self._done: set[tuple[int, int]] = set()

    @property
    def seconds(self) -> float:
        """What all of it takes, in seconds of one core."""
        return sum(one.cost.seconds for one in self.tasks)

    def receive(self, event: Event) -> None:
        """Take note of an event. Raises OSError when the disk is full; FolderError when the study is gone."""
        if isinstance(event, ClipReady | Failed):
            self.pool.folder.require()  # a study that was moved is not begun again at its old place
        if isinstance(event, Started):
            self._start(event.job, event.place)
        elif isinstance(event, Progress):
            self._start(event.job, event.place)
            self.progress.update(event.share, event.text, part=event.job)
        elif isinstance(event, Warned):
            self.progress.warn(event.text)
        elif isinstance(event, ClipReady):
            self._start(event.job, event.place)
            if event.clip is not None:
                self._take(event.job, event.place, event.clip)
        elif isinstance(event, Failed):
            if event.no_room:
                raise OSError(errno.ENOSPC, "No space left on device", event.no_room)
            self._fail(event.job, event.place, event.why)
        elif isinstance(event, WorkerLost):
            self._running.pop(event.job, None)
            self.progress.drop(event.job)
            name = self.jobs[event.job].name
            self.progress.note(f"note: {name}: {event.why}; it is taken up again")
        elif isinstance(event, Ended):
            self._finish(event.job)
        self._report_state()

    def require_whole(self, folder: object) -> None:
        """Raise CellsFailed where tasks failed, after a list of all that did and why."""
        if not self.failures:
            return
        again = f"then `study build {folder}` makes only what is missing"
        cells: dict[str, list[str]] = {}  # by why they failed
        for key, why in self.failures.items():
            cells.setdefault(why, []).append(self._name(*key))
        first, (cell, *_) = next(iter(cells.items()))
        if len(self.failures) == 1:
            raise CellsFailed(f"{cell}: {first}", again)
        self.progress.note("What failed:")
        for why, names in cells.items():
            self.progress.note(f"  {', '.join(names)}: {why}")
        what = f"{len(self.failures)} of {len(self.tasks)} cells failed, so no sets were drawn"
        raise CellsFailed(f"{what} (all are named above; the first: {cell}: {first})", again)

    def _start(self, job: int, place: int) -> None:
        """A job is at this task: those before it are done."""
        if self._running.get(job) == place:
            return
        if job in self._running:
            self._close(job, self._running[job])
        self._running[job] = place
        tasks, names = self.jobs[job].tasks, self._due[job, place]
        behind = sum(self._cost[job, after].seconds for after in range(place + 1, len(tasks)))
        self.progress.begin(job, self._cost[job, place].seconds, _heading(tasks[place][0], names), behind)

    def _take(self, job: int, place: int, clip: Clip) -> None:
        """Put a clip into the pool."""
        _, task = self.jobs[job].tasks[place]
        cell = task.cell
        if fault := _fault(clip, task, self._due[job, place]):
            fix = "train longer or otherwise, or choose another passage"
            self._fail(job, place, f"backend {cell.backend} gave {fault} for {clip.name}; {fix}")
            return
        self._due[job, place].remove(clip.name)
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
        self.clips_made += 1
        note_lowered(row, self.progress)

    def _close(self, job: int, place: int) -> None:
        """A task has ended: with all its clips, or it has failed."""
        if (job, place) in self._done:
            return
        self._done.add((job, place))
        backend, task = self.jobs[job].tasks[place]
        if (missing := self._due[job, place]) and (job, place) not in self.failures:
            self._fail(job, place, f"backend {task.cell.backend} made no {', '.join(missing)}; correct it")
        self._report_state()
        self.progress.end(job, "" if (job, place) in self.failures else _heading(backend, task.names))

    def _finish(self, job: int) -> None:
        if job in self._running:
            self._close(job, self._running.pop(job))
        for place in range(len(self.jobs[job].tasks)):
            if (job, place) not in self._done:  # ended before its worker was lost, or was never begun
                self.progress.begin(job, self._cost[job, place].seconds, "")
                self._close(job, place)

    def _fail(self, job: int, place: int, why: str) -> None:
        if (job, place) not in self.failures:
            self.failures[job, place] = why
            self.progress.note(f"failed: {self._name(job, place)}: {why}")

    def _name(self, job: int, place: int) -> str:
        """The name of a cell, or of an imported clip, as several of these may be of one cell."""
        backend, task = self.jobs[job].tasks[place]
        return task.names[0] if backend == "imported" else task.cell.name

    def _report_state(self) -> None:
        done = len(self._done - self.failures.keys())
        state = [f"{done} of {len(self.tasks)} cells done"]
        state += [f"{len(self._running)} running"] if self._running else []
        state += [f"{len(self.failures)} failed"] if self.failures else []
        self.progress.state(", ".join(state))


def note_lowered(row: Mapping[str, str], progress: BuildProgress) -> None:
    """Report a clip that was lowered to fit into the pool."""
    if row["gain_db"]:
        progress.note(f"note: {row['name']} exceeded full scale: {row['gain_db']} dB in the pool")


def _fault(clip: Clip, task: Task, due: Sequence[str]) -> str:
    """What is wrong with a clip that a backend made; "" for nothing."""
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


def _heading(backend: str, names: Sequence[str]) -> str:
    """What a task does, for the progress: "make riff-UMG-10-1 to riff-UMG-10-4"."""
    verb = "import" if backend == "imported" else "make"
    return f"{verb} {', '.join(names) if len(names) < 3 else f'{names[0]} to {names[-1]}'}"
