"""`study build --dry-run`: what a build would make, its time and its disk. Nothing is written.

Times are sums of what the backends measured of themselves (Backend.costs), divided among an engine's workers.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from study import design
from study.build import blinded_sets
from study.build.build import is_fixed, make_plan, missing_tasks
from study.build.grid import PlannedTask, jobs_of, with_costs
from study.build.plan import recipes_of
from study.engines import Job, WorkerPlan
from study.engines.schedule import Load, loads, wall
from study.folder import StudyFolder
from study.pool import Pool
from study.store.store import Store

_BYTES_PER_SAMPLE = 3  # of a clip in the pool


@dataclass(frozen=True)
class ForecastRow:
    """Cells of one backend and epoch count."""

    backend: str
    epochs: int | None
    modes: tuple[str, ...]
    plans: tuple[str, ...]
    strengths: tuple[float, ...]
    songs: tuple[str, ...]
    cells: int
    clips: int  # that are due
    seconds: float  # of one core
    disk: float  # bytes


@dataclass(frozen=True)
class Forecast:
    """What a build would do."""

    rows: list[ForecastRow]  # of what is due
    cells_done: int  # cells that lack nothing
    originals: int  # that are due
    jobs: list[Job]
    work: list[Load]  # of each job
    disk: float  # bytes
    free: float  # bytes of the disk that the study is on
    notes: list[str]

    @property
    def core_seconds(self) -> float:
        return sum(load.seconds for load in self.work)

    def wall(self, workers: WorkerPlan) -> float:
        """The seconds that these workers take."""
        return wall(self.work, workers)


def forecast(folder: StudyFolder) -> Forecast:
    """What a build would do now.

    Raises the errors of a build for a wrong design, wrong files or wrong picks, and for a design that is not
    what listeners have answered.
    """
    folder.require()
    settings = design.load(folder.path)
    plan = make_plan(folder, settings)
    pool, recipes = Pool(folder), recipes_of(plan)
    free = float(shutil.disk_usage(folder.path).free)
    if _is_fixed(folder, blinded_sets.recipe(settings, plan.picks, recipes)):
        notes = ["listeners have answered these sets: a build makes no clips any more"]
        return Forecast([], len(plan.tasks), 0, [], [], 0.0, free, notes)
    missing = missing_tasks(plan, pool, recipes)
    tasks = with_costs(missing)
    jobs = jobs_of(tasks)
    rate = settings.stimuli.rate
    stimuli = sum(len(names) for names in plan.picks.values())
    return Forecast(
        rows=_rows(tasks, rate),
        cells_done=len(plan.tasks) - len(missing),
        originals=sum(not pool.has(original.name, recipes[original.name]) for original in plan.originals),
        jobs=jobs,
        work=loads(jobs),
        disk=sum(_disk(one, rate) for one in tasks) + 2 * settings.stimuli.samples * stimuli,
        free=free,
        notes=plan.notes,
    )


def _is_fixed(folder: StudyFolder, recipe: str) -> bool:
    """As `build.is_fixed`. What was never built has no answers, and no database to open."""
    if not folder.build_record.is_file():
        return False
    store = Store.for_folder(folder)
    try:
        return is_fixed(folder, recipe, store)
    finally:
        store.close()


def _rows(tasks: Sequence[PlannedTask], rate: int) -> list[ForecastRow]:
    groups: dict[tuple[str, int | None], list[PlannedTask]] = defaultdict(list)
    for one in tasks:
        groups[one.task.cell.backend, one.task.cell.epochs].append(one)
    rows = []
    for (backend, epochs), group in groups.items():
        cells = [one.task.cell for one in group]
        rows.append(
            ForecastRow(
                backend=backend,
                epochs=epochs,
                modes=tuple(dict.fromkeys(cell.mode for cell in cells)),
                plans=tuple(dict.fromkeys(cell.plan for cell in cells if cell.plan)),
                strengths=tuple(dict.fromkeys(cell.strength for cell in cells if cell.strength is not None)),
                songs=tuple(dict.fromkeys(cell.song for cell in cells if cell.song)),
                cells=len(group),
                clips=sum(len(one.task.names) for one in group),
                seconds=sum(one.cost.seconds for one in group),
                disk=sum(_disk(one, rate) for one in group),
            )
        )
    return rows


def _disk(one: PlannedTask, rate: int) -> float:
    """Bytes of a cell's run and of its clips in the pool, where a variation is as long as its passage."""
    cell, task = one.task.cell, one.task
    seconds = max(task.seconds, cell.seconds if cell.mode == "VAR" else 0.0)
    return one.cost.disk + len(task.names) * seconds * rate * _BYTES_PER_SAMPLE
