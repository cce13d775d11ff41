"""`study build --dry-run`: what a build would make, its time and its disk. Nothing is written.

Times are sums of what the backends measured of themselves (Backend.costs), shared out over an engine's crew.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from study import design
from study.build import blinded_sets
from study.build.build import is_fixed, missing_tasks, planned, recipes_of
from study.build.grid import Part, jobs_of, parts_of
from study.engines import Job, WorkerPlan
from study.engines.schedule import Load, loads, wall
from study.folder import StudyFolder
from study.pool import Pool

_BYTES_PER_SAMPLE = 3  # of a clip in the pool
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """Cells of one backend and epoch count."""

    backend: str
    epochs: int | None
    modes: tuple[str, ...]
    plans: tuple[str, ...]
    strengths: tuple[float, ...]
    cells: int
    clips: int  # that are due
    seconds: float  # of one core
    disk: float  # bytes


@dataclass(frozen=True)
class Forecast:
    """What a build would do."""

    rows: list[Row]  # of what is due
    cells_done: int  # that lack nothing
    originals: int  # that are due
    jobs: list[Job]
    work: list[Load]  # of each job
    disk: float  # bytes
    free: float  # bytes of the disk that the study is on
    notes: list[str]

    @property
    def core_seconds(self) -> float:
        return sum(load.seconds for load in self.work)

    def wall(self, crew: WorkerPlan) -> float:
        """Seconds that these workers take."""
        return wall(self.work, crew)


def forecast(folder: StudyFolder) -> Forecast:
    """Raises: as a build does for what is wrong with the design, its files or its picks, and for a design
    that is not what listeners have answered."""
    folder.require()
    settings = design.load(folder.path)
    todo = planned(folder, settings)
    pool, recipes = Pool(folder), recipes_of(todo)
    if _is_fixed(folder, blinded_sets.recipe(settings, todo.picks, recipes)):
        free = float(shutil.disk_usage(folder.path).free)
        notes = ["listeners have answered these sets: a build makes no clips any more"]
        return Forecast([], len(todo.tasks), 0, [], [], 0.0, free, notes)
    missing = missing_tasks(todo, pool, recipes)
    parts = parts_of(missing)
    jobs = jobs_of(parts)
    rate = settings.stimuli.rate
    return Forecast(
        rows=_rows(parts, rate),
        cells_done=len(todo.tasks) - len(missing),
        originals=sum(not pool.has(entry.name, recipes[entry.name]) for entry in todo.originals),
        jobs=jobs,
        work=loads(jobs),
        disk=sum(_disk(part, rate) for part in parts)
        + 2 * settings.stimuli.samples * sum(len(names) for names in todo.picks.values()),
        free=float(shutil.disk_usage(folder.path).free),
        notes=todo.notes,
    )


def _is_fixed(folder: StudyFolder, wanted: str) -> bool:
    """As `build.is_fixed`. What was never built has no answers, and no database to open."""
    from study.store.store import Store

    if not folder.build_record.is_file():
        return False
    store = Store.for_folder(folder)
    try:
        return is_fixed(folder, wanted, store)
    finally:
        store.close()


def _rows(parts: Sequence[Part], rate: int) -> list[Row]:
    groups: dict[tuple[str, int | None], list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.task.cell.backend, part.task.cell.epochs].append(part)
    return [
        Row(
            backend,
            epochs,
            _in_order(part.task.cell.mode for part in group),
            _in_order(part.task.cell.plan for part in group if part.task.cell.plan),
            _in_order(part.task.cell.strength for part in group if part.task.cell.strength is not None),
            len(group),
            sum(len(part.task.names) for part in group),
            sum(part.cost.seconds for part in group),
            sum(_disk(part, rate) for part in group),
        )
        for (backend, epochs), group in groups.items()
    ]


def _in_order(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _disk(part: Part, rate: int) -> float:
    """Bytes of a cell's run and of its clips in the pool, where a variation is as long as its passage."""
    cell, task = part.task.cell, part.task
    seconds = max(task.seconds, cell.seconds if cell.mode == "VAR" else 0.0)
    return part.cost.disk + len(task.names) * seconds * rate * _BYTES_PER_SAMPLE
