"""What the tables [[source]] and [[imported]] of study.toml come to: passages, cells and imported clips.

Mistakes that only the sound files, the plans and the backends can show are reported here, before hours of
training. Plans of new music are read here as well; they go with their cells to where the clips are made.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caw import audio
from caw.files import atomic
from caw.problems import ProblemError
from study import backends
from study.backends import AlbumFile, Backend, BackendError, Cell, Task
from study.build import songs
from study.design import (
    BRIDGE,
    LATER_KEYS,
    LONGEST_DEFAULT_PASSAGE,
    PLAN_KEYS,
    Design,
    DesignError,
    KeyPath,
    PlanRequest,
    Song,
    Source,
)
from study.folder import StudyFolder
from study.pool import ORIGINAL

if TYPE_CHECKING:
    from caw.compose.plan import Plan

Plans = Mapping[tuple[int, str], "Plan | None"]  # by the source's index and the plan's name
_COMPOSING_KEYS = [key for key in LATER_KEYS if key != "trainings"]
_NO_COMPOSER = "the backend {} follows no plan, makes no bridge, has no strength and learns from no album"


@dataclass(frozen=True)
class Passage:
    """The part of a source's file that models learn from and originals are cut from."""

    source: str
    file: Path
    start: float  # s
    seconds: float
    file_seconds: float  # length of the whole file
    sha256: str
    album: tuple[AlbumFile, ...] = ()  # what models learn from before it, of all tables of the source
    more: tuple[tuple[float, float], ...] = ()  # of a song: from and to of what else models learn from, in s


@dataclass(frozen=True)
class FakeClip:
    """A clip that a system made or is to make, by name, with the cell that it belongs to."""

    name: str
    cell: Cell


def clip_seconds(design: Design) -> float:
    """How long a clip must last before it is trimmed and cut to length."""
    return design.stimuli.seconds + 2 * design.stimuli.trim


def passages(design: Design, folder: StudyFolder) -> dict[str, Passage]:
    """The passage of each source and song, by its name.

    Raises DesignError for a file that is missing, unusable or shorter than the design says.
    """
    result: dict[str, Passage] = {}
    for index, source in enumerate(design.recordings):
        table = design.table_of(index)
        file = folder.path / source.file
        file_seconds = _length(design, (*table, "file"), source.file, file)
        if isinstance(source, Song):
            songs.require_inside(design, index - len(design.sources), file_seconds)
            album = tuple(dict.fromkeys(_album(design, index, folder)))
            sha256 = atomic.sha256(file)
            first = source.name, file, source.start, source.seconds, file_seconds, sha256, album
            result[source.name] = Passage(*first, more=source.learnt[1:])
            continue
        rest = file_seconds - source.start
        if rest <= 0:
            what = f"{source.file} is {file_seconds:.2f} s long"
            raise design.error((*table, "start"), source.start, what, "start earlier")
        if source.seconds is not None and source.seconds > rest + 1e-3:
            after = f", {rest:.2f} s of it from second {source.start:g} on" if source.start else ""
            what = f"{source.file} is {file_seconds:.2f} s long{after}"
            raise design.error((*table, "seconds"), source.seconds, what, f"ask for at most {rest:.2f}")
        seconds = min(rest, source.seconds or LONGEST_DEFAULT_PASSAGE)
        _require_length(design, table, source, seconds)
        before = result[source.name].album if source.name in result else ()
        album = (*before, *(one for one in _album(design, index, folder) if one not in before))
        sha256 = atomic.sha256(file)
        result[source.name] = Passage(source.name, file, source.start, seconds, file_seconds, sha256, album)
    return result


def cells(design: Design, by_source: Mapping[str, Passage], read_plans: Plans) -> dict[Cell, int]:
    """Every cell of the grid and how many clips it holds; cells of one training run are neighbours.

    by_source: the passages. read_plans: from `plans`.
    """
    grid: dict[Cell, int] = {}
    for index, source in enumerate(design.recordings):
        passage = by_source[source.name]
        dimensions = range(1, source.trainings + 1), source.epochs or (None,), source.modes
        for training, epochs, mode in itertools.product(*dimensions):
            for variant in source.variants(mode):
                cell = Cell(
                    source=source.name,
                    file=passage.file,
                    start=passage.start,
                    seconds=passage.seconds,
                    mode=mode,
                    epochs=epochs,
                    backend=source.backend,
                    file_sha256=passage.sha256,
                    training=training,
                    plan=variant.plan,
                    strength=variant.strength,
                    requested_plan=read_plans.get((index, variant.plan)),
                    album=tuple(one for one in passage.album if one.name in source.album),
                    song=source.made_for,
                    gap=songs.gap_of(design, source) if isinstance(source, Song) else None,
                )
                grid[cell] = source.clips
    return grid


def imports(design: Design, folder: StudyFolder) -> list[FakeClip]:
    """The imported clips. Raises DesignError for a file that is missing, unusable or too short."""
    result = []
    for index, entry in enumerate(design.imported):
        table: KeyPath = ("imported", index)
        file = folder.path / entry.file
        if entry.backend == ORIGINAL:
            what = f"{ORIGINAL!r} stands for real clips"
            raise design.error((*table, "backend"), entry.backend, what, "name the system that made the clip")
        seconds = _length(design, (*table, "file"), entry.file, file)
        if seconds < clip_seconds(design) - 1e-3:
            what = f"is {seconds:.2f} s long, a stimulus takes {clip_seconds(design):g} s with its trim"
            fix = "import a longer clip, or lower stimuli.seconds or stimuli.trim"
            raise design.error((*table, "file"), entry.file, what, fix)
        cell = Cell(
            source=entry.source,
            file=file,
            start=0.0,
            seconds=seconds,
            mode=entry.mode,
            epochs=entry.epochs,
            backend=entry.backend,
            file_sha256=atomic.sha256(file),
        )
        result.append(FakeClip(entry.name, cell))
    return result


def doubtful_imports(fakes: Sequence[FakeClip], by_source: Mapping[str, Passage]) -> list[str]:
    """Notes on imported clips that are a source's own file, or the same file as another imported clip."""
    owners = {passage.sha256: f"the file of source {name}" for name, passage in by_source.items()}
    notes = []
    for fake in fakes:
        sha256 = fake.cell.file_sha256
        if sha256 in owners:
            notes.append(f"imported {fake.name} is {owners[sha256]}: is it what {fake.cell.backend} made?")
        owners.setdefault(sha256, f"the same file as {fake.name}")
    return notes


def plans(design: Design, folder: StudyFolder) -> Plans:
    """The plans of each source; None for one that states nothing, so that the model draws it by itself.

    Raises DesignError for a file that cannot be read, and for chords, metres and forms that mean nothing.
    """
    result: dict[tuple[int, str], Plan | None] = {}
    for index, source in enumerate(design.recordings):
        for name, request in source.plan_requests.items():
            table = design.table_of(index)
            if isinstance(source, Song):
                result[index, name] = songs.with_novelty(source, _read_plan(design, table, request, folder))
                continue
            table = (*table, "plans", name) if source.plans else table
            result[index, name] = _read_plan(design, table, request, folder)
    return result


def plan_facts(cell: Cell) -> list[Any]:
    """What a cell's clips follow besides its passage, mode and epochs, as JSON; [] where that is nothing.

    The remark on what was heard in a clip decides nothing, so it is left out.
    """
    facts: dict[str, Any] = {"plan": cell.plan, "strength": cell.strength}
    facts["album"] = [one.sha256 for one in cell.album]
    facts["song"] = None if cell.gap is None else cell.gap.facts
    if cell.requested_plan is not None:
        from caw.compose import plan

        facts["content"] = {**plan.to_document(cell.requested_plan), "heard": None}
    stated = {key: value for key, value in facts.items() if value not in ("", None, [])}
    return [stated] if stated else []


def backend_options(table: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of [backend.NAME] that are for the backend itself."""
    return {key: value for key, value in table.items() if key != "uses"}


def check_backends(design: Design, folder: StudyFolder) -> None:
    """Check that each source's backend exists, accepts its options and can make what the source asks for.

    Raises DesignError where one does not.
    """
    tables = dict(design.backends)
    for source in design.recordings:  # a backend without a table may lack an option that it needs
        tables.setdefault(source.backend, {})
    for name, table in tables.items():
        try:
            backends.get(name, table).validate(backend_options(table), folder.path)
        except BackendError as error:
            users = [index for index, source in enumerate(design.recordings) if source.backend == name]
            path: KeyPath = (*design.table_of(users[0]), "backend") if users else ("backend", name)
            value: Any = name if users else None
            if name in design.backends:
                path = ("backend", name, error.key) if error.key in table else ("backend", name)
                value = table.get(error.key)
            raise design.error(path, value, *_halves(error)) from None
    for index, source in enumerate(design.recordings):
        _check_backend(design, design.table_of(index), source)
        backend = backends.get(source.backend, design.backends.get(source.backend))
        _check_composing(design, index, backend)
        _check_epochs(design, design.table_of(index), source, backend)


def require_able(design: Design, backend: Backend, task: Task) -> None:
    """Raise DesignError where runs of an earlier version cannot make what a task asks for."""
    outdated = getattr(backend, "outdated", None)
    if outdated is None or (problem := outdated(task)) is None:
        return
    cell = task.cell
    index = index_of(design, cell)
    source = design.recordings[index]
    if isinstance(source, Song):
        raise design.error((*design.table_of(index), "backend"), source.backend, *problem)
    key = "bridge" if cell.plan == BRIDGE else "strength" if cell.strength is not None else "plans"
    if key == "plans" and not source.plans:
        key = next(key for key in PLAN_KEYS if getattr(source, key) is not None)
    raise design.error(("source", index, key), _shown(getattr(source, key)), *problem)


def index_of(design: Design, cell: Cell) -> int:
    """The place of a cell's table, [[source]] or [[song]], among the design's recordings."""
    tables = [(source.name, source.backend) for source in design.recordings]
    return tables.index((cell.source, cell.backend))


def _album(design: Design, index: int, folder: StudyFolder) -> list[AlbumFile]:
    album = []
    for number, name in enumerate(design.recordings[index].album):
        file = folder.path / name
        _length(design, (*design.table_of(index), "album", number), name, file)
        album.append(AlbumFile(name, file, atomic.sha256(file)))
    return album


def _length(design: Design, key: KeyPath, name: str, file: Path) -> float:
    """The length in s of the sound file that a key names."""
    try:
        return audio.inspect(file).seconds
    except ValueError as error:  # AudioError, or a name that no file can have
        raise design.error(key, name, *_halves(error, file)) from None


def _require_length(design: Design, table: KeyPath, source: Source, seconds: float) -> None:
    needed = clip_seconds(design)
    if seconds >= needed - 1e-6:
        return
    what = f"this passage of {source.file} lasts {seconds:.2f} s, a stimulus takes {needed:g} s with its trim"
    fix = "take a longer passage, or lower stimuli.seconds or stimuli.trim"
    key = "seconds" if source.seconds is not None else "file"
    error: DesignError = design.error((*table, key), getattr(source, key), what, fix)
    raise error


def _check_backend(design: Design, table: KeyPath, source: Source | Song) -> None:
    name = source.backend
    if name in (ORIGINAL, "imported"):
        what = "makes no clips" if name == "imported" else "stands for real clips"
        fix = "name a system; clips made elsewhere are named in [[imported]] tables"
        raise design.error((*table, "backend"), name, what, fix)
    backend = backends.get(name, design.backends.get(name))
    if unknown := [mode for mode in source.modes if mode not in backend.modes]:
        if isinstance(source, Song):
            what = (
                f"the backend {name} makes {' and '.join(backend.modes)}, and this song asks for {unknown[0]}"
            )
            raise design.error((*table, "backend"), name, what, songs.FIX)
        what = f"the backend {name} makes {' and '.join(backend.modes)}, not {unknown[0]}"
        fix = f"write modes = {json.dumps(list(backend.modes))} here"
        if backend.name == "command":
            fix += f", or say in [backend.{name}] what it makes, by {{mode}} in its command or by `modes`"
        raise design.error((*table, "modes"), list(source.modes), what, fix)


def _check_epochs(design: Design, table: KeyPath, source: Source | Song, backend: Backend) -> None:
    name = source.backend
    if source.modes and backend.counts_epochs and not source.epochs:
        raise design.error(table, None, "names no epoch counts", "add them, as epochs = [1500, 3000]")
    if source.epochs and not backend.counts_epochs:
        what, fix = f"the backend {name} counts no epochs", "delete this key"
        if backend.name == "command":
            fix += f", or give the command of [backend.{name}] an {{epochs}}"
        raise design.error((*table, "epochs"), list(source.epochs), what, fix)


def _check_composing(design: Design, index: int, backend: Backend) -> None:
    """Raise DesignError where a source asks for plans, bridges and the like, and its backend has none."""
    source = design.recordings[index]
    if isinstance(source, Song):
        composes = getattr(backend, "composes", None)
        options = backend_options(design.backends.get(source.backend, {}))
        why_not = composes(options) if composes else _NO_COMPOSER.format(source.backend)
        songs.require_composer(design, index - len(design.sources), why_not)
        return
    stated = [key for key in _COMPOSING_KEYS if getattr(source, key) not in (None, (), {}, False)]
    if not stated:
        return
    options = backend_options(design.backends.get(source.backend, {}))
    composes = getattr(backend, "composes", None)
    if what := composes(options) if composes else _NO_COMPOSER.format(source.backend):
        value = getattr(source, stated[0])
        fix = 'delete this key, or take the backend "caw" with the preset "fast"'
        raise design.error(("source", index, stated[0]), _shown(value), what, fix)


def _read_plan(design: Design, table: KeyPath, request: PlanRequest, folder: StudyFolder) -> Plan | None:
    stated = {key: value for key in PLAN_KEYS if (value := getattr(request, key)) is not None}
    if not stated:
        return None
    from caw.compose import plan

    try:
        return plan.read(folder.path / request.plan) if request.plan else plan.Plan.from_options(**stated)
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        fix = "name a plan's file, as `caw plan` writes it"
        raise design.error((*table, "plan"), request.plan, what, fix) from None
    except ValueError as error:  # PlanError, ChordError
        key = next((key for key in stated if key in str(error)), next(iter(stated)))
        file = Path(Path(request.plan).name) if request.plan else None
        raise design.error((*table, key), stated[key], *_halves(error, file)) from None


def _halves(error: ValueError, file: Path | None = None) -> tuple[str, str]:
    """What is wrong and what to do about it, from an error that may begin with the name of `file`."""
    if isinstance(error, ProblemError) and error.problem.fix:
        return error.problem.what.removeprefix(f"{file}: "), error.problem.fix
    text = str(error).removeprefix(f"{file}: ")
    what, _, fix = text.rpartition("; ")
    return (what, fix) if what else (text, "see the comments that `study init` writes")


def _shown(value: Any) -> Any:
    """A value of the design for an error's message; None for a table, which would be too long."""
    return None if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
