"""What the tables [[source]] and [[imported]] of study.toml come to: passages, cells and imported clips.

Mistakes that only the sound files, the plans and the backends can show are reported here, before hours of
training.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caw import audio
from caw.files import atomic
from study import backends
from study.backends import AlbumFile, Backend, BackendError, Cell, Task
from study.design import (
    BRIDGE,
    LATER_KEYS,
    LONGEST_DEFAULT_PASSAGE,
    PLAN_KEYS,
    Design,
    DesignError,
    KeyPath,
    PlanRequest,
    Source,
)
from study.folder import StudyFolder
from study.pool import ORIGINAL

if TYPE_CHECKING:
    from caw.compose.plan import Plan


@dataclass(frozen=True)
class Passage:
    """The piece of a source that models learn from and originals are cut from."""

    source: str
    file: Path
    start: float  # s
    seconds: float
    file_seconds: float  # length of the whole file
    sha256: str
    album: tuple[AlbumFile, ...] = ()  # what models learn from before it, of all tables of the source


@dataclass(frozen=True)
class Fake:
    """A clip that is made or imported."""

    name: str
    cell: Cell


def clip_seconds(design: Design) -> float:
    """How long a clip must last before it is trimmed and cut to length."""
    return design.stimuli.seconds + 2 * design.stimuli.trim


def passages(design: Design, folder: StudyFolder) -> dict[str, Passage]:
    """The passage of each source, by its name.

    Raises: DesignError for a file that is missing, unusable or shorter than asked.
    """
    found: dict[str, Passage] = {}
    for index, source in enumerate(design.sources):
        here: KeyPath = ("source", index)
        file = folder.path / source.file
        length = _length(design, (*here, "file"), source.file, file)
        rest = length - source.start
        if rest <= 0:
            what = f"{source.file} is {length:.2f} s long"
            raise design.error((*here, "start"), source.start, what, "start earlier")
        if source.seconds is not None and source.seconds > rest + 1e-3:
            after = f", {rest:.2f} s of it from second {source.start:g} on" if source.start else ""
            what = f"{source.file} is {length:.2f} s long{after}"
            raise design.error((*here, "seconds"), source.seconds, what, f"ask for at most {rest:.2f}")
        seconds = min(rest, source.seconds or LONGEST_DEFAULT_PASSAGE)
        _require_length(design, here, source, seconds)
        before = found[source.name].album if source.name in found else ()
        album = (*before, *(one for one in _album(design, index, folder) if one not in before))
        sha256 = atomic.sha256(file)
        found[source.name] = Passage(source.name, file, source.start, seconds, length, sha256, album)
    return found


def _album(design: Design, index: int, folder: StudyFolder) -> list[AlbumFile]:
    album = []
    for number, name in enumerate(design.sources[index].album):
        file = folder.path / name
        _length(design, ("source", index, "album", number), name, file)
        album.append(AlbumFile(name, file, atomic.sha256(file)))
    return album


def check_backends(design: Design, folder: StudyFolder) -> None:
    """Raises: DesignError for a backend that there is none of, for modes and epochs that it knows nothing of,
    and for options that it refuses."""
    tables = dict(design.backends)
    for source in design.sources:  # one without a table may lack what an option must name
        tables.setdefault(source.backend, {})
    for name, table in tables.items():
        here = [index for index, source in enumerate(design.sources) if source.backend == name]
        try:
            backends.get(name, table).validate(backend_options(table), folder.path)
        except BackendError as error:
            path: KeyPath = ("source", here[0], "backend") if here else ("backend", name)
            value: Any = name if here else None
            if name in design.backends:
                path = ("backend", name, error.key) if error.key in table else ("backend", name)
                value = table.get(error.key)
            raise design.error(path, value, *said(error)) from None
    for index, source in enumerate(design.sources):
        _check_backend(design, ("source", index), source)


def backend_options(table: dict[str, Any]) -> dict[str, Any]:
    """What [backend.NAME] tells the backend itself."""
    return {key: value for key, value in table.items() if key != "uses"}


def _check_backend(design: Design, here: KeyPath, source: Source) -> None:
    name = source.backend
    if name in (ORIGINAL, "imported"):
        what = "makes no clips" if name == "imported" else "stands for real clips"
        mend = "name a system; clips made elsewhere are named in [[imported]] tables"
        raise design.error((*here, "backend"), name, what, mend)
    backend = backends.get(name, design.backends.get(name))
    if strange := [mode for mode in source.modes if mode not in backend.modes]:
        what = f"the backend {name} makes {' and '.join(backend.modes)}, not {strange[0]}"
        mend = f"write modes = {json.dumps(list(backend.modes))} here"
        if backend.name == "command":
            mend += f", or say in [backend.{name}] what it makes, by {{mode}} in its command or by `modes`"
        raise design.error((*here, "modes"), list(source.modes), what, mend)
    if source.modes and backend.counts_epochs and not source.epochs:
        raise design.error(here, None, "names no epoch counts", "add them, as epochs = [1500, 3000]")
    if source.epochs and not backend.counts_epochs:
        what, mend = f"the backend {name} counts no epochs", "delete this key"
        if backend.name == "command":
            mend += f", or give the command of [backend.{name}] an {{epochs}}"
        raise design.error((*here, "epochs"), list(source.epochs), what, mend)
    _check_requests(design, here[1], backend)


def cells(design: Design, found: Mapping[str, Passage], asked: Plans) -> dict[Cell, int]:
    """Every cell of the grid and how many clips it holds; cells of one training run stand side by side.

    asked: as of `plans`.
    """
    grid: dict[Cell, int] = {}
    for index, source in enumerate(design.sources):
        passage = found[source.name]
        dimensions = range(1, source.trainings + 1), source.epochs or (None,), source.modes
        ways = ((*one, way) for one in itertools.product(*dimensions) for way in source.variants(one[-1]))
        for training, epochs, mode, way in ways:
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
                plan=way.plan,
                strength=way.strength,
                requested_plan=asked.get((index, way.plan)),
                album=tuple(one for one in passage.album if one.name in source.album),
            )
            grid[cell] = source.clips
    return grid


def imports(design: Design, folder: StudyFolder) -> list[Fake]:
    """The imported clips. Raises: DesignError for one that is missing, unusable or too short."""
    found = []
    for index, entry in enumerate(design.imported):
        here: KeyPath = ("imported", index)
        file = folder.path / entry.file
        if entry.backend == ORIGINAL:
            what = f"{ORIGINAL!r} stands for real clips"
            raise design.error((*here, "backend"), entry.backend, what, "name the system that made the clip")
        length = _length(design, (*here, "file"), entry.file, file)
        if length < clip_seconds(design) - 1e-3:
            what = f"is {length:.2f} s long, a stimulus takes {clip_seconds(design):g} s with its trim"
            mend = "import a longer clip, or lower stimuli.seconds or stimuli.trim"
            raise design.error((*here, "file"), entry.file, what, mend)
        cell = Cell(
            source=entry.source,
            file=file,
            start=0.0,
            seconds=length,
            mode=entry.mode,
            epochs=entry.epochs,
            backend=entry.backend,
            file_sha256=atomic.sha256(file),
        )
        found.append(Fake(entry.name, cell))
    return found


def doubtful_imports(fakes: list[Fake], found: dict[str, Passage]) -> list[str]:
    """Notes on imported clips that are a source's own file, or the same file as another one."""
    owners = {passage.sha256: f"the file of source {name}" for name, passage in found.items()}
    notes = []
    for fake in fakes:
        sha256 = fake.cell.file_sha256
        if sha256 in owners:
            notes.append(f"imported {fake.name} is {owners[sha256]}: is it what {fake.cell.backend} made?")
        owners.setdefault(sha256, f"the same file as {fake.name}")
    return notes


def said(error: ValueError, file: Path | None = None) -> tuple[str, str]:
    """What is wrong and its mend, from the one line of an error about `file`."""
    text = str(error).removeprefix(f"{file}: ")
    what, _, mend = text.rpartition("; ")
    return (what, mend) if what else (text, "see the comments that `study init` writes")


def _length(design: Design, key: KeyPath, name: str, file: Path) -> float:
    """In s, of the sound file that a key names."""
    try:
        return audio.inspect(file).seconds
    except ValueError as error:  # AudioError, or a name that no file can bear
        raise design.error(key, name, *said(error, file)) from None


def _require_length(design: Design, here: KeyPath, source: Source, seconds: float) -> None:
    needed = clip_seconds(design)
    if seconds >= needed - 1e-6:
        return
    what = f"this passage of {source.file} lasts {seconds:.2f} s, a stimulus takes {needed:g} s with its trim"
    mend = "take a longer passage, or lower stimuli.seconds or stimuli.trim"
    key = "seconds" if source.seconds is not None else "file"
    fault: DesignError = design.error((*here, key), getattr(source, key), what, mend)
    raise fault


Plans = Mapping[tuple[int, str], "Plan | None"]  # by the source's index and the plan's name
_KEYS = [key for key in LATER_KEYS if key != "trainings"]
_NO_COMPOSER = "the backend {} follows no plan, makes no bridge, has no strength and learns from no album"


def _check_requests(design: Design, index: int, backend: Backend) -> None:
    """Raises: DesignError where a source asks for what its backend cannot do."""
    source = design.sources[index]
    stated = [key for key in _KEYS if getattr(source, key) not in (None, (), {}, False)]
    if not stated:
        return
    options = {key: value for key, value in design.backends.get(source.backend, {}).items() if key != "uses"}
    composes = getattr(backend, "composes", None)
    if why_not := composes(options) if composes else _NO_COMPOSER.format(source.backend):
        value = getattr(source, stated[0])
        fix = 'delete this key, or take the backend "caw" with the preset "fast"'
        raise design.error(("source", index, stated[0]), _shown(value), why_not, fix)


def require_able(design: Design, backend: Backend, task: Task) -> None:
    """Raises: DesignError where runs of an earlier version cannot make what a task asks for."""
    outdated = getattr(backend, "outdated", None)
    if outdated is None or (why_not := outdated(task)) is None:
        return
    cell = task.cell
    index = [(source.name, source.backend) for source in design.sources].index((cell.source, cell.backend))
    source = design.sources[index]
    key = "bridge" if cell.plan == BRIDGE else "strength" if cell.strength is not None else "plans"
    if key == "plans" and not source.plans:
        key = next(key for key in PLAN_KEYS if getattr(source, key) is not None)
    raise design.error(("source", index, key), _shown(getattr(source, key)), *why_not)


def plans(design: Design, folder: StudyFolder) -> Plans:
    """The plans of each source; None for one that asks for nothing, so that the model draws it by itself.

    Raises: DesignError for a file that cannot be read, and for chords, metres and forms that mean nothing.
    """
    read: dict[tuple[int, str], Plan | None] = {}
    for index, source in enumerate(design.sources):
        for name, asked in source.plan_requests.items():
            here = ("source", index, "plans", name) if source.plans else ("source", index)
            read[index, name] = _read(design, here, asked, folder)
    return read


def _read(design: Design, here: KeyPath, asked: PlanRequest, folder: StudyFolder) -> Plan | None:
    stated = {key: value for key in PLAN_KEYS if (value := getattr(asked, key)) is not None}
    if not stated:
        return None
    from caw.compose import plan

    try:
        return plan.read(folder.path / asked.plan) if asked.plan else plan.Plan.from_options(**stated)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        fix = "name a plan's file, as `caw plan` writes it"
        raise design.error((*here, "plan"), asked.plan, why, fix) from None
    except ValueError as error:  # PlanError, ChordError
        key = next((key for key in stated if key in str(error)), next(iter(stated)))
        file = Path(Path(asked.plan).name) if asked.plan else None
        raise design.error((*here, key), stated[key], *said(error, file)) from None


def plan_facts(cell: Cell) -> list[Any]:
    """All that a cell is asked for besides its passage, mode and epochs, as JSON; [] where that is nothing.

    What was heard in a clip is a remark that decides nothing.
    """
    asked: dict[str, Any] = {"plan": cell.plan, "strength": cell.strength}
    asked["album"] = [one.sha256 for one in cell.album]
    if cell.requested_plan is not None:
        from caw.compose import plan

        asked["content"] = {**plan.document(cell.requested_plan), "heard": None}
    stated = {key: value for key, value in asked.items() if value not in ("", None, [])}
    return [stated] if stated else []


def _shown(value: Any) -> Any:
    return None if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
