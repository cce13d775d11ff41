"""`study build`: make everything that is missing, and only that.

Every step ends in one rename, so a build may be killed at any moment and the next one goes on from there:
training runs resume, clips that are in the pool stay, and the blinded sets appear whole or not at all.
"""

from __future__ import annotations

import fcntl
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from caw import audio
from caw.files import atomic
from caw.problems import ProblemError
from study import backends, blinding, design
from study.audit.audit import Audit
from study.backends import Task
from study.backends.programs import calling
from study.build import blinded_sets, curation, measuring, pairs, places
from study.build import plan as planning
from study.build.grid import TrainingGrid, note_lowered
from study.build.originals import RepetitionError
from study.build.plan import BuildPlan
from study.build.progress import BuildProgress
from study.build.recordings import Original
from study.design import Design
from study.design import pairs as paired_task
from study.engines import Engine
from study.engines.local import LocalEngine
from study.folder import PRACTICE, ROUNDS, StudyFolder, make_private
from study.pool import ORIGINAL, Pool
from study.store.store import Store

_SECONDS_PER_FILE = 0.2  # to cut an original or a stimulus; for the progress bar, as Backend.costs


class BuildError(ProblemError):
    """A build that may not or cannot go on."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did.

    Attributes
    ----------
    clips_made : int
        How many clips were added to the pool.
    audit : Audit or None
        The leak audit of new sets. None when the sets existed already, or were not asked for.
    stimuli : dict of str to list of str
        The ids of the stimuli in each set, by the set's name.
    practice : list of str
        The ids of the practice clips.
    """

    clips_made: int
    audit: Audit | None
    stimuli: dict[str, list[str]]
    practice: list[str]


def build(
    folder: StudyFolder,
    progress: BuildProgress | None = None,
    *,
    pool_only: bool = False,
    engine: Engine | None = None,
) -> BuildResult:
    """Build a study: train its models, fill its pool, and blind, level and audit its sets.

    Parameters
    ----------
    folder : StudyFolder
        The study. Its design is read from study.toml.
    progress : BuildProgress, optional
        Where the build reports how far it is. By default it prints to the terminal.
    pool_only : bool
        Stop before the sets, so that the researcher may hear the clips and pick some first.
    engine : Engine, optional
        Where models are trained and clips are made. By default on this machine.

    Returns
    -------
    BuildResult
        What was made, and the ids of the stimuli.

    Raises
    ------
    DesignError
        If study.toml, or a file that it names, is wrong.
    CurationError
        If the picks fit no clip or set any more.
    BuildError
        If another build is running, or if listeners have answered other sets than these.
    CellsFailed
        If some clips could not be made. It is raised after all others are made.
    LeakError
        If the finished sets would give truth away.
    OSError
        If the disk is full.
    """
    progress = progress or BuildProgress()
    here = folder.require().path.resolve()
    if here.parent.name == ROUNDS and StudyFolder(here.parent.parent).toml.exists():
        raise BuildError(f"{folder.path}: is a round of a study", f"name {here.parent.parent} instead")
    settings = design.load(folder.path)
    with working(folder, progress):
        plan = make_plan(folder, settings)
        store = Store.for_folder(folder)
        try:
            return _build(folder, settings, plan, store, progress, engine or LocalEngine(), pool_only)
        finally:
            store.close()


@contextmanager
def working(folder: StudyFolder, progress: BuildProgress) -> Iterator[None]:
    """Keep a study to this one build, closed to other accounts, and without what a killed one left.

    Raises BuildError where another build of it is running.
    """
    with _locked(folder), _sound_warnings(progress), _kept_private(folder, progress):
        _remove_leftovers(folder)
        yield


def make_plan(folder: StudyFolder, settings: Design) -> BuildPlan:
    """What the build has to make.

    Raises the errors of `plan.make`, and BuildError where listeners have answered sets that would be refused
    today.
    """
    try:
        return planning.make(settings, folder)
    except RepetitionError:
        if folder.build_record.is_file() and _has_answers(folder):
            raise _answered(folder) from None
        raise


def is_fixed(folder: StudyFolder, recipe: str, store: Store) -> bool:
    """Whether listeners have answered, so that nothing may be made any more.

    recipe: of the sets, from `blinded_sets.recipe`.
    Raises BuildError where the sets that they answered are not those of the recipe.
    """
    if not store.has_answers():
        return False
    if not blinded_sets.are_current(folder, recipe):
        raise _answered(folder)
    return True


def missing_tasks(plan: BuildPlan, pool: Pool, recipes: Mapping[str, str]) -> list[tuple[str, Task]]:
    """The tasks, reduced to the clips that are not in the pool."""
    result = []
    for file, task in plan.tasks:
        if missing := [clip for clip in task.names if not pool.has(clip, recipes[clip])]:
            result.append((file, replace(task, names=missing)))
    return result


def _build(
    folder: StudyFolder,
    settings: Design,
    plan: BuildPlan,
    store: Store,
    progress: BuildProgress,
    engine: Engine,
    pool_only: bool,
) -> BuildResult:
    recipe = blinded_sets.recipe(settings, plan.picks, planning.recipes_of(plan))
    clips_made, audit = 0, None
    if not is_fixed(folder, recipe, store):

        def require_unanswered(_: list[dict[str, Any]]) -> None:
            if store.has_answers():  # given while this build worked: their key must stay
                raise _answered(folder)

        clips_made, audit = make_sets(
            folder, settings, plan, progress, engine, pool_only=pool_only, before_sealing=require_unanswered
        )
    if pool_only:
        return BuildResult(clips_made, audit=None, stimuli={}, practice=[])
    result = _register(folder, settings, store, clips_made, audit)
    if rates := _rates(plan, Pool(folder)):
        places.build(folder, settings, plan.passages, rates, progress)
        measuring.measure(folder, settings, plan.passages, rates, progress)
    return result


def make_sets(
    folder: StudyFolder,
    settings: Design,
    plan: BuildPlan,
    progress: BuildProgress,
    engine: Engine,
    *,
    pool_only: bool = False,
    before_sealing: Callable[[list[dict[str, Any]]], None],
) -> tuple[int, Audit | None]:
    """Make what a plan lacks: its clips in the pool and, unless `pool_only`, its sets with their sealed key.

    before_sealing: gets the rows of a new key before it takes the place of the old one; it may add to them,
    and where it raises an error all stays as it was.
    Returns how many clips were added to the pool, and the audit of new sets. Raises as `build`.
    """
    pool, recipes = Pool(folder), planning.recipes_of(plan)
    recipe = blinded_sets.recipe(settings, plan.picks, recipes)
    clips_made, audit = 0, None
    for note in (*plan.notes, *paired_task.notes(settings)):
        progress.note(f"note: {note}")
    for place in (folder.models, folder.pool):
        if not place.exists():
            make_private(place)
    missing = missing_tasks(plan, pool, recipes)
    to_cut = [original for original in plan.originals if not pool.has(original.name, recipes[original.name])]
    sets_cost = 0.0
    if not pool_only and (missing or to_cut or not blinded_sets.are_current(folder, recipe, pool)):
        sets_cost = 2 * _SECONDS_PER_FILE * sum(len(names) for names in plan.picks.values())
    grid = TrainingGrid(missing, pool, recipes, plan.remarks, progress)
    try:
        with progress.over(grid.seconds + _SECONDS_PER_FILE * len(to_cut) + sets_cost):
            for original in to_cut:
                _cut(original, pool, recipes, progress)
                clips_made += 1
            if grid.jobs:
                engine.run(grid.jobs, grid.receive)
                grid.require_whole(folder.path)
                pool.arrange(recipes)
            clips_made += grid.clips_made
            if sets_cost and not blinded_sets.are_current(folder, recipe, pool):
                with progress.step(sets_cost, "blind, level and audit the sets"):
                    key, audit = blinded_sets.prepare(folder, settings, plan.picks, pool, progress)
                    try:
                        before_sealing(key)
                    except BaseException:
                        blinded_sets.sweep(folder)
                        raise
                    blinded_sets.replace(folder, settings, key, pool, recipe, plan.originals)
    finally:
        if folder.toml.is_file():  # else the study was moved meanwhile
            pool.save()
    return clips_made, audit


def _register(
    folder: StudyFolder, settings: Design, store: Store, clips_made: int, audit: Audit | None
) -> BuildResult:
    """Tell the database which stimuli there are; it never learns what they are."""
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
        groups=settings.registered_groups,
        pairs=pairs.hands(settings, blinding.rows(folder)),
    )
    return BuildResult(clips_made, audit, stimuli, practice)


def _rates(plan: BuildPlan, pool: Pool) -> dict[str, int]:
    """The rate in Hz of every clip in the sets; {} where the pool was cleared, as it may be after answers."""
    clips = [clip for names in plan.picks.values() for clip in names]
    if not all(pool.path(clip).is_file() for clip in clips):
        return {}
    return {clip: audio.inspect(pool.path(clip)).rate for clip in clips}


def _cut(original: Original, pool: Pool, recipes: Mapping[str, str], progress: BuildProgress) -> None:
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


def _has_answers(folder: StudyFolder) -> bool:
    store = Store.for_folder(folder)
    try:
        return store.has_answers()
    finally:
        store.close()


def _answered(folder: StudyFolder) -> BuildError:
    what = f"{folder.path}: listeners have answered, and study.toml or its files are not what was built"
    fix = "put them back as they were, or make a new study folder; after an upgrade serve it as it is"
    return BuildError(what, fix)


def _remove_leftovers(folder: StudyFolder) -> None:
    """Remove what a killed build left half-written."""
    runs = (entry for entry in folder.models.glob("*") if entry.is_dir())
    for place in (folder.path, folder.pool, folder.private, folder.audit, folder.models, *runs):
        for leftover in place.glob(f".*{atomic.TEMPORARY}"):
            leftover.unlink(missing_ok=True)
    for leftover in folder.path.glob(f".*{calling.WORK}"):  # of a cell that may not be asked for again
        shutil.rmtree(leftover, ignore_errors=True)
    blinded_sets.sweep(folder)


@contextmanager
def _kept_private(folder: StudyFolder, progress: BuildProgress) -> Iterator[None]:
    """Close the study to other accounts while it is built, and again afterwards."""
    for line in folder.shut():
        progress.note(f"note: {line}")
    try:
        yield
    finally:
        folder.shut()


@contextmanager
def _locked(folder: StudyFolder) -> Iterator[None]:
    """Allow one build at a time. The lock is released with the process, however that ends."""
    with (folder.make_private() / curation.BUILD_LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"{folder.path}: is being built already"
            raise BuildError(what, "wait for that build to end") from None
        yield


@contextmanager
def _sound_warnings(progress: BuildProgress) -> Iterator[None]:
    """Show warnings about sound as notes of the build, and no others."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        progress.warn(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", audio.AudioWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield
