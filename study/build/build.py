"""`study build`: make all that is missing, and only that.

Every step ends in one rename, so that a build may be killed anywhere and goes on where it stopped: training
runs resume, clips that are in the pool stay there, and the blinded sets appear whole or not at all.
"""

from __future__ import annotations

import fcntl
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from caw import audio
from caw.files import atomic
from study import backends, blinding, design
from study.audit.audit import Audit
from study.backends import Task
from study.backends.programs import calling
from study.build import blinded_sets, curation, measuring, plan
from study.build.grid import Grid, note_lowered
from study.build.originals import RepetitionError
from study.build.plan import Plan, recipes_of
from study.build.progress import BuildProgress
from study.build.recordings import Original
from study.design import Design
from study.engines import Engine
from study.engines.local import LocalEngine
from study.folder import PRACTICE, StudyFolder, make_private
from study.pool import ORIGINAL, Pool

_SECONDS_PER_FILE = 0.2  # to cut an original or a stimulus; for the progress bar, as Backend.costs


class BuildError(ValueError):
    """A build that may not or cannot go on."""


@dataclass(frozen=True)
class Built:
    """What a build did."""

    clips_made: int  # added to the pool
    audit: Audit | None  # None when the sets were there already, or were not asked for
    stimuli: dict[str, list[str]]  # set -> ids
    practice: list[str]


def build(
    folder: StudyFolder,
    progress: BuildProgress | None = None,
    *,
    pool_only: bool = False,
    engine: Engine | None = None,
) -> Built:
    """Build the study in `folder`.

    pool_only: stop before the sets, so that the researcher may hear the clips and pick some first.
    engine: where models are trained and clips are made; None: on this machine.
    Raises: DesignError, BuildError and other ValueErrors for what the researcher can mend; CellsFailed when
    all other cells are made; LeakError when the finished sets would give truth away; OSError as when the disk
    is full.
    """
    from study.store.store import Store

    progress = progress or BuildProgress()
    folder.require()
    settings = design.load(folder.path)
    with _alone(folder), _warnings_told(progress), _shut(folder, progress):
        _sweep(folder)
        todo = planned(folder, settings)
        store = Store.for_folder(folder)
        try:
            return _build(folder, settings, todo, store, progress, engine or LocalEngine(), pool_only)
        finally:
            store.close()


def planned(folder: StudyFolder, settings: Design) -> Plan:
    """What the build has to make. Raises: as plan.make; BuildError where listeners have answered sets that
    would be refused now, as those stand."""
    try:
        return plan.make(settings, folder)
    except RepetitionError:
        if folder.build_record.is_file() and _has_answers(folder):
            raise _answered(folder) from None
        raise


def _has_answers(folder: StudyFolder) -> bool:
    from study.store.store import Store

    store = Store.for_folder(folder)
    try:
        return store.has_answers()
    finally:
        store.close()


def _build(
    folder: StudyFolder,
    settings: Design,
    todo: Plan,
    store: Any,
    progress: BuildProgress,
    engine: Engine,
    pool_only: bool,
) -> Built:
    pool, recipes = Pool(folder), recipes_of(todo)
    wanted = blinded_sets.recipe(settings, todo.picks, recipes)
    made, audit = 0, None
    if not is_fixed(folder, wanted, store):
        for note in todo.notes:
            progress.note(f"note: {note}")
        for place in (folder.models, folder.pool):
            if not place.exists():
                make_private(place)
        missing = missing_tasks(todo, pool, recipes)
        to_bring = [entry for entry in todo.originals if not pool.has(entry.name, recipes[entry.name])]
        sets_cost = 0.0
        if not pool_only and (missing or to_bring or not blinded_sets.are_current(folder, wanted, pool)):
            sets_cost = 2 * _SECONDS_PER_FILE * sum(len(names) for names in todo.picks.values())
        grid = Grid(missing, pool, recipes, todo.remarks, progress)
        try:
            with progress.over(grid.seconds + _SECONDS_PER_FILE * len(to_bring) + sets_cost):
                for original in to_bring:
                    made += _bring(original, pool, recipes, progress)
                if grid.jobs:
                    engine.run(grid.jobs, grid.hear)
                    grid.require_whole(folder.path)
                    pool.arrange(recipes)
                made += grid.made
                if sets_cost and not blinded_sets.are_current(folder, wanted, pool):
                    with progress.step(sets_cost, "blind, level and audit the sets"):
                        sets, audit = blinded_sets.prepare(folder, settings, todo.picks, pool, progress)
                        if store.has_answers():  # given while this build worked: their key must stay
                            blinded_sets.sweep(folder)
                            raise _answered(folder)
                        blinded_sets.replace(folder, settings, sets, pool, wanted, todo.originals)
        finally:
            if folder.toml.is_file():  # else it was moved meanwhile
                pool.save()
    if pool_only:
        return Built(made, None, {}, [])
    built = _registered(folder, settings, store, made, audit)
    if rates := _rates(todo, pool):
        measuring.measure(folder, settings, todo.passages, rates, progress)
    return built


def _rates(todo: Plan, pool: Pool) -> dict[str, int]:
    """Hz of every clip in the sets; {} where the pool was cleared, as it may be once there are answers."""
    clips = [clip for names in todo.picks.values() for clip in names]
    if not all(pool.path(clip).is_file() for clip in clips):
        return {}
    return {clip: audio.inspect(pool.path(clip)).rate for clip in clips}


def _registered(folder: StudyFolder, settings: Design, store: Any, made: int, audit: Audit | None) -> Built:
    ids = blinded_sets.ids_in_key(folder)
    practice = ids.pop(PRACTICE, [])
    stimuli = {name: ids[name] for name in settings.sets}
    store.register_build(
        stimuli=stimuli,
        practice=practice,
        key_sha256=blinding.seal(folder),
        design_digest=settings.digest(),
        file_format=settings.stimuli.format,
        order=settings.listening.order,
        seed=settings.study.seed,
        repeats=settings.stimuli.repeats,
        passes=settings.listening.passes,
    )
    return Built(made, audit, stimuli, practice)


def is_fixed(folder: StudyFolder, wanted: str, store: Any) -> bool:
    """Whether listeners have answered: nothing is made then. wanted: as of `blinded_sets.recipe`.

    Raises: BuildError where the sets they answered are not those that are wanted now.
    """
    if not store.has_answers():
        return False
    if not blinded_sets.are_current(folder, wanted):
        raise _answered(folder)
    return True


def _answered(folder: StudyFolder) -> BuildError:
    told = f"{folder.path}: listeners have answered, and study.toml or its files are not what was built"
    mend = "put them back as they were, or make a new study folder; after an upgrade serve it as it is"
    return BuildError(f"{told}; {mend}")


def missing_tasks(todo: Plan, pool: Pool, recipes: dict[str, str]) -> list[tuple[str, Task]]:
    """The tasks, cut down to the clips that are not in the pool."""
    missing = []
    for name, task in todo.tasks:
        if lacking := [clip for clip in task.names if not pool.has(clip, recipes[clip])]:
            missing.append((name, replace(task, names=lacking)))
    return missing


def _bring(original: Original, pool: Pool, recipes: dict[str, str], progress: BuildProgress) -> int:
    """Cut an original out of its source, into the pool."""
    with progress.step(_SECONDS_PER_FILE, f"cut {original.name}"):
        passage = original.passage
        samples, rate = audio.read(passage.file, start=original.start, seconds=original.seconds)
        backends.require_unchanged(passage.file, passage.sha256)
        row = pool.add(
            original.name,
            samples,
            rate,
            backend=ORIGINAL,
            mode=original.mode,
            source=passage.source,
            start=f"{original.start:.3f}",
            recipe=recipes[original.name],
        )
        note_lowered(row, progress)
    return 1


def _sweep(folder: StudyFolder) -> None:
    """Remove what a killed build left half-written."""
    runs = (entry for entry in folder.models.glob("*") if entry.is_dir())
    for place in (folder.path, folder.pool, folder.private, folder.audit, folder.models, *runs):
        for left_over in place.glob(f".*{atomic.TEMPORARY}"):
            left_over.unlink(missing_ok=True)
    for left_over in folder.path.glob(f".*{calling.WORK}"):  # of a cell that may not come again
        shutil.rmtree(left_over, ignore_errors=True)
    blinded_sets.sweep(folder)


@contextmanager
def _shut(folder: StudyFolder, progress: BuildProgress) -> Iterator[None]:
    """No other account reads what is made, while it is made and afterwards."""
    for line in folder.shut():
        progress.note(f"note: {line}")
    try:
        yield
    finally:
        folder.shut()


@contextmanager
def _alone(folder: StudyFolder) -> Iterator[None]:
    """One build at a time. The lock goes with the process, however it ends."""
    with (folder.make_private() / curation.BUILD_LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError(f"{folder.path}: is being built already; wait for that build to end") from None
        yield


@contextmanager
def _warnings_told(progress: BuildProgress) -> Iterator[None]:
    """Warnings about sound become notes."""

    def tell(message, category, *_: Any) -> None:
        progress.warn(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", audio.AudioWarning)
        warnings.showwarning = tell
        yield
