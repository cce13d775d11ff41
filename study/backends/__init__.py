"""Backends: systems that make music, behind one interface.

A backend is one file in this folder, named after the backend, that defines `BACKEND`: an object with the
attributes and methods of `Backend`. Nothing has to be registered, and nothing else has to change. This is a
whole backend, which repeats the passage from a random place on::

    import numpy as np

    from caw import audio
    from study.backends import BackendError, Clip, Cost, seed_for


    class RotatedBackend:
        name = "rotated"
        needs = "nothing else"
        modes = ("UMG", "VAR")
        counts_epochs = False

        def unavailable_reason(self):
            return ""

        def validate(self, options, folder):
            for key in options:
                raise BackendError(f"unknown option {key!r}", "delete it", key=key)

        def recipe(self, task):
            return {}

        def shared_job(self, task):
            return ""

        def artifacts(self, task):
            return ()

        def costs(self, task):
            return {name: Cost(0.1) for name in task.names}

        def make(self, task, progress):
            cell = task.cell
            samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds)
            for number, name in enumerate(task.names):
                progress(number / len(task.names), f"make {name}")
                seed = seed_for(task.seed, name)
                place = np.random.default_rng(seed).integers(len(samples))
                clip = np.resize(np.roll(samples, place), max(len(samples), round(rate * task.seconds)))
                yield Clip(name, clip, rate, seed, run="")


    BACKEND = RotatedBackend()

Heavy imports, as of torch, belong inside its functions, so that commands start fast. Two further methods are
optional. ``configured(options)`` returns the backend for one study's options, where its modes or epochs
depend on them. ``composes(options)`` belongs to a backend whose clips can follow plans, be bridges, vary by a
strength or learn from an album first: it returns why these options do not let it, or "". Such a backend also
has ``outdated(task)``: what makes an existing run of an earlier version unfit for that, with the fix, or
None.

The package `training` holds what backends share that train models, the package `programs` what backends share
that run other programs.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from caw.files import atomic
from caw.problems import ProblemError

if TYPE_CHECKING:
    from caw.compose.plan import Plan
    from study.gaps import Gap

ProgressCallback = Callable[[float, str], None]  # share of the task that is done (0..1), what is being done


class BackendError(ProblemError):
    """A backend cannot be used.

    Parameters
    ----------
    what, fix : str
        As of `ProblemError`.
    key : str, optional
        The option at fault, where one is.
    """

    def __init__(self, what: str, fix: str = "", *, key: str = ""):
        super().__init__(what, fix)
        self.key = key


class AlbumFile(NamedTuple):
    """A recording of the band that models learn from before they learn from a passage."""

    name: str  # as study.toml has it
    file: Path
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One cell of the study's grid: clips that differ in nothing but their seed."""

    source: str  # the source's name
    file: Path
    start: float  # seconds into the file
    seconds: float  # length of the passage
    mode: str  # UMG or VAR
    epochs: int | None  # optimiser steps per scale, where the backend counts any
    backend: str  # as it stands in the key; for imported clips the system that made them
    file_sha256: str = ""
    training: int = 1  # which of the source's independent trainings, counted from 1
    plan: str = ""  # the name of the plan that its clips follow; BRIDGE for bridges; "": none
    strength: float | None = None  # of variations; None: the model's own
    requested_plan: Plan | None = None  # the plan itself; None where none is asked for
    album: tuple[AlbumFile, ...] = ()  # what is learnt from before the passage
    song: str = ""  # the song that its clips are made for
    gap: Gap | None = None  # what they are to be in that song

    @property
    def name(self) -> str:
        """The stem of its clips' names."""
        parts = [self.source, self.mode, None if self.epochs is None else str(self.epochs)]
        if self.backend != "caw":
            parts.insert(1, self.backend)
        parts += [self.plan, "" if self.strength is None else f"s{100 * self.strength:g}"]
        if self.training > 1:
            parts.append(f"t{self.training}")
        return "-".join(part for part in parts if part)

    @property
    def files(self) -> dict[Path, str]:
        """The sound files that it is made from, with their SHA-256."""
        return {self.file: self.file_sha256} | {one.file: one.sha256 for one in self.album}

    def with_files(self, places: Mapping[Path, Path]) -> Cell:
        """The same cell with its files in other places."""
        album = tuple(one._replace(file=places[one.file]) for one in self.album)
        return replace(self, file=places[self.file], album=album)

    @property
    def training_name(self) -> str:
        """What a run that is trained for it is named after: its source, and which training of it this is."""
        return self.source if self.training == 1 else f"{self.source}-t{self.training}"


@dataclass(frozen=True)
class Clip:
    """One clip that a backend made."""

    name: str
    samples: np.ndarray  # float32 [n], mono
    rate: int  # Hz
    seed: int | None
    run: str  # the training run it came from, as a path inside models/; "" where there is none


@dataclass(frozen=True)
class Task:
    """What a backend is asked for: the missing clips of one cell. A task can be sent to another machine."""

    cell: Cell
    names: Sequence[str]
    seconds: float  # every clip must last at least so long
    seed: int  # the study's
    models: Path  # the folder for training runs
    options: Mapping[str, Any] = field(default_factory=dict)  # [backend.NAME] of study.toml
    folder: Path = Path()  # the study's, where relative paths in options start

    @property
    def training_seed(self) -> int:
        """The seed of its run: one for all epoch counts and both modes, another for each training."""
        number = () if self.cell.training == 1 else (self.cell.training,)
        return seed_for(self.seed, "train", self.cell.source, *number)


@dataclass(frozen=True, slots=True)  # a large grid holds some hundred thousand
class Cost:
    """What a part of a task takes, for plans and progress: measured on CPUs, right within a factor of two."""

    seconds: float  # of one CPU core
    disk: float = 0.0  # bytes it leaves behind in models/


@runtime_checkable
class Backend(Protocol):
    """What a backend offers. The module's documentation shows a whole one.

    Attributes
    ----------
    name : str
        The name of its file, without ``.py``.
    needs : str
        What must be there for it to run, in one line.
    modes : tuple of str
        The modes, of UMG (unconditional generation) and VAR (variation), that it can make.
    counts_epochs : bool
        Whether a source must name epoch counts.
    """

    name: str
    needs: str
    modes: tuple[str, ...]
    counts_epochs: bool

    def unavailable_reason(self) -> str:
        """Why the backend cannot run on this machine.

        Returns
        -------
        str
            What is missing and how to get it, in one line; "" where nothing is missing.
        """

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        """Refuse options that are unknown or wrong.

        Parameters
        ----------
        options : mapping
            The table [backend.NAME] of study.toml.
        folder : Path
            The study's folder, where relative paths in options start.

        Raises
        ------
        BackendError
            For an option that is unknown or wrong, with its `key`, or for something that is missing.
        """

    def recipe(self, task: Task) -> dict[str, Any]:
        """What decides how the clips sound, besides cell, seed and seconds.

        Clips are made again when their recipe changes.

        Returns
        -------
        dict
            JSON values only.
        """

    def shared_job(self, task: Task) -> str:
        """The work that the task shares with others, as a training.

        Tasks that share work are done one after the other by one worker, in the order of their epochs.

        Returns
        -------
        str
            A name, the same for all tasks that share the work; "" for a task that shares nothing. A backend
            whose tasks share nothing cannot make several independent `trainings`.
        """

    def artifacts(self, task: Task) -> tuple[str, ...]:
        """The names in models/ of files and folders that the task reads and writes.

        With these and the files of the cell the task can be continued on another machine.
        """

    def costs(self, task: Task) -> dict[str, Cost]:
        """What the task still takes, by its parts.

        Parts of the same name, as the training of one run for two cells, are done once in a build.
        """

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Train where needed, then make each clip that the task names.

        An interrupted training goes on where it stopped.

        Parameters
        ----------
        task : Task
            The cell, and the names of the clips to make.
        progress : callable
            Is called with the share that is done (0..1) and what is being done, every few seconds at least.

        Yields
        ------
        Clip
            Each clip as soon as it is made, at the model's own level, which may exceed full scale.

        Raises
        ------
        ValueError
            One line about what a user can put right: a `BackendError`, or the model's own.
        """


def names() -> list[str]:
    """Every backend there is, by the name of its file."""
    return list(_names_in(tuple(__path__)))


@lru_cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    """The modules of these folders, looked up once, as a plan asks for each of its cells several times."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folders) if not module.ispkg))


def file_of(name: str, options: Mapping[str, Any] | None = None) -> str:
    """The file of the backend behind a name in study.toml.

    It is the one that [backend.NAME] says it uses, the one of that name, or `command` where the table holds a
    command. Raises BackendError, naming the backends there are.
    """
    options, available = options or {}, names()
    used = options.get("uses")
    if used is not None:
        usable = [entry for entry in available if entry != "imported"]
        if used not in usable:
            raise BackendError(f"there is no backend {used!r}", f"there are: {', '.join(usable)}", key="uses")
        if name in available and name != used:
            what = f"{name} is a backend itself and cannot use {used}"
            raise BackendError(what, "give this table another name", key="uses")
        return used
    if name in available:
        return name
    if "command" in options:
        return "command"
    fix = f"there are: {', '.join(available)}; for your own program, write a `command` into [backend.{name}]"
    raise BackendError(f"there is no backend {name!r}", fix, key="backend")


def get(name: str, options: Mapping[str, Any] | None = None) -> Backend:
    """The backend of a name.

    Parameters
    ----------
    name : str
        As `backend` of a [[source]] has it.
    options : mapping, optional
        The table [backend.NAME] of study.toml: what a backend makes and counts may depend on it.

    Raises
    ------
    BackendError
        For a name that there is no backend of, naming those there are.

    Examples
    --------
    >>> get("mosaic").modes
    ('UMG', 'VAR')
    """
    backend = importlib.import_module(f"{__name__}.{file_of(name, options)}").BACKEND
    configured = getattr(backend, "configured", None)
    return configured(options) if options and configured else backend


def require_unchanged(file: Path, sha256: str) -> None:
    """See that a sound file is still the one that the build was planned with.

    Parameters
    ----------
    file : Path
    sha256 : str
        Of its bytes when the build was planned; "" where nobody took it.

    Raises
    ------
    BackendError
        For a file that was changed meanwhile.
    OSError
        For a file that is gone.
    """
    if sha256 and atomic.sha256(file) != sha256:
        raise BackendError(f"{file}: was changed while the build ran", "build again, with the file you want")


def seed_for(seed: int, *parts: str | int) -> int:
    """A seed below 2**31 that follows from the study's seed and some names, and from nothing else.

    Examples
    --------
    >>> seed_for(7, "riff-UMG-100-1") == seed_for(7, "riff-UMG-100-1") != seed_for(8, "riff-UMG-100-1")
    True
    """
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
