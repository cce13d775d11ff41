"""Systems that make music, behind one interface.

A backend is one file in this folder, named after the backend, that defines `BACKEND`: an object with the
members of `Backend`. Nothing else has to be changed or registered. Heavy imports belong inside its functions.
One whose modes or epochs hang on its options also has `configured(options)`, which gives such an object for
them. One whose clips can follow plans, be bridges, vary by a strength or learn from an album first has
`composes(options)`, why these options do not let it ("" where they do), and `outdated(task)`, why runs of an
earlier version do not, with the fix (None where they do). What backends run as programs of their own, and
how, is in the folder `programs`.
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

if TYPE_CHECKING:
    from caw.compose.plan import Plan


class BackendError(ValueError):
    """A backend cannot be used. `key` names the option at fault, where one is."""

    def __init__(self, message: str, *, key: str = ""):
        super().__init__(message)
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
    start: float  # s into the file
    seconds: float  # length of the passage
    mode: str  # UMG or VAR
    epochs: int | None  # optimiser steps per scale, where the backend counts any
    backend: str  # as it stands in the key; for imported clips the system that made them
    file_sha256: str = ""
    training: int = 1  # which of the source's independent trainings, counted from 1
    plan: str = ""  # the name of the plan that its clips follow; BRIDGE for bridges; "": none
    strength: float | None = None  # of variations; None: the model's own
    asked: Plan | None = None  # the plan itself; None where none is asked for
    album: tuple[AlbumFile, ...] = ()  # what is learnt from before the passage

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
        """The sound files that it is made from, with their sha256."""
        return {self.file: self.file_sha256} | {one.file: one.sha256 for one in self.album}

    def moved(self, places: Mapping[Path, Path]) -> Cell:
        """The same with its files in other places."""
        album = tuple(one._replace(file=places[one.file]) for one in self.album)
        return replace(self, file=places[self.file], album=album)

    @property
    def learner(self) -> str:
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
    """What a backend is asked for: the clips of one cell that are missing. Other machines can be sent it."""

    cell: Cell
    names: Sequence[str]
    seconds: float  # every clip must last at least so long
    seed: int  # the study's
    models: Path  # the folder for training runs
    options: Mapping[str, Any] = field(default_factory=dict)  # [backend.NAME] of study.toml
    folder: Path = Path()  # the study's, where relative paths in options start

    @property
    def training_seed(self) -> int:
        """Of its run: the same for all epoch counts and both modes, another for each training of a source."""
        again = () if self.cell.training == 1 else (self.cell.training,)
        return seed_for(self.seed, "train", self.cell.source, *again)


@dataclass(frozen=True, slots=True)  # a large grid holds some hundred thousand
class Cost:
    """What a part of a task takes, for plans and progress: measured on CPUs, right within a factor of two."""

    seconds: float  # of one CPU core
    disk: float = 0.0  # bytes it leaves behind in models/


Tell = Callable[[float, str], None]  # share of the task that is done (0..1), and what is being done


@runtime_checkable
class Backend(Protocol):
    """What a backend offers."""

    name: str
    needs: str  # one line: what must be there for it to run
    modes: tuple[str, ...]  # of UMG and VAR, those it can make
    counts_epochs: bool  # whether a source must name epoch counts

    def unavailable_reason(self) -> str:
        """What this machine lacks for it, with the mend, in one line; "" for nothing."""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        """Raise BackendError (with its key) for an option that is unknown or wrong, or for what is lacking.

        folder: the study's, where relative paths in options start.
        """

    def recipe(self, task: Task) -> dict[str, Any]:
        """All that decides how the clips sound besides cell, seed and seconds. JSON values only."""

    def shared_job(self, task: Task) -> str:
        """What the task shares with others, as a training; "" for nothing, which refuses several `trainings`.

        Tasks that share work are done one after the other by one worker, in the order of their epochs.
        """

    def artifacts(self, task: Task) -> tuple[str, ...]:
        """Names in models/ (files, or folders with all they hold) that the task reads and writes.

        With these and the cell's files the task can go on on another machine.
        """

    def costs(self, task: Task) -> dict[str, Cost]:
        """What the task still takes, by its parts.

        Parts of the same name, as the training of one run for two cells, are done once in a build.
        """

    def make(self, task: Task, tell: Tell) -> Iterator[Clip]:
        """Train where needed, going on where an interrupted training stopped, then yield each clip asked for.

        A clip is yielded as soon as it is made; its level is the model's own and may exceed full scale.
        `tell` is called every few seconds at least.
        Raises: ValueError (BackendError or the model's own) with one line for what a user can mend.
        """


def names() -> list[str]:
    """Every backend there is, by its file's name."""
    return list(_names_in(tuple(__path__)))


@lru_cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Looked up once: a plan asks for each of its cells, several times."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folders) if not found.ispkg))


def file_of(name: str, options: Mapping[str, Any] | None = None) -> str:
    """The backend behind a name of a study.toml, by its file: the one that [backend.NAME] says it uses, the
    one of that name, or `command` where the table holds one.

    Raises: BackendError, naming those there are.
    """
    options, there = options or {}, names()
    used = options.get("uses")
    if used is not None:
        usable = [entry for entry in there if entry != "imported"]
        if used not in usable:
            raise BackendError(f"there is no backend {used!r}; there are: {', '.join(usable)}", key="uses")
        if name in there and name != used:
            mend = "give this table another name"
            raise BackendError(f"{name} is a backend itself and cannot use {used}; {mend}", key="uses")
        return used
    if name in there:
        return name
    if "command" in options:
        return "command"
    own = f"; for your own program, write a `command` into [backend.{name}]"
    raise BackendError(f"there is no backend {name!r}; there are: {', '.join(there)}{own}", key="backend")


def get(name: str, options: Mapping[str, Any] | None = None) -> Backend:
    """The backend of that name. options: [backend.NAME], on which may hang what it makes and counts.

    Raises: BackendError naming those there are.
    """
    backend = importlib.import_module(f"{__name__}.{file_of(name, options)}").BACKEND
    configured = getattr(backend, "configured", None)
    return configured(options) if options and configured else backend


def require_planned(file: Path, sha256: str) -> None:
    """Sees that a sound file is still the one that the build was planned with.

    sha256: of its bytes then; "" where nobody took it.
    Raises: BackendError for one that was changed meanwhile; OSError for one that is gone.
    """
    if sha256 and atomic.sha256(file) != sha256:
        raise BackendError(f"{file}: was changed while the build ran; build again, with the file you want")


def seed_for(seed: int, *parts: str | int) -> int:
    """A seed below 2**31 that follows from the study's seed and some names, and from nothing else."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
