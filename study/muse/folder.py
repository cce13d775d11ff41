"""The folder of `study muse`, and where everything in it lies.

muse.toml                what was asked for: song, passage, epochs, clips of a round
passage.wav              the passage of the song that the model learns from
passage.plan.toml        its tempo, metre, bars and chords, as heard
model/                   training runs
rounds/NUMBER.json       which clips a round holds and why, before any of them is made
clips/NAME.wav, .json    a clip, and what it is; .plan.toml its tempo, metre, bars and chords
choices.json             what the songwriter says of the clips
progress.json            what is being done at this moment

Each file appears whole or not at all, and a clip counts as made when its .json is there. The page writes the
choices and the rounds after the first; the worker writes everything else.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caw.config import SHORTEST_CLIP
from caw.files import atomic
from caw.problems import ProblemError

MUSE, PROGRESS = "muse.toml", "progress.json"
_LOCK, _WORKER_LOCK, _SECRET = ".lock", ".worker.lock", ".secret"
OURS = {"passage.wav", "passage.plan.toml", "model", "rounds", "clips", "choices.json", PROGRESS}
OURS |= {MUSE, _LOCK, _WORKER_LOCK, _SECRET}
KEPT, NOT_KEPT = "kept", "not kept"  # what is said of a clip; "" for nothing
LONGEST_NOTE = 4000  # characters
R = TypeVar("R")


class MuseError(ProblemError):
    """A folder of `study muse`, or what it is to be made from, cannot be used."""


class Settings(BaseModel):
    """The content of muse.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    song: str  # the file's name
    sha256: str  # of its bytes
    start: float = Field(ge=0)  # s into the song
    seconds: float = Field(ge=SHORTEST_CLIP)
    epochs: int = Field(ge=1, le=100_000)
    clips: int = Field(ge=2, le=24)  # of a round
    language: Literal["en", "de"] = "en"
    seed: int = Field(ge=0, lt=2**31)
    model: dict[str, Any] = Field(default_factory=dict)  # fields of caw.config.FlowSettings, and preset


@dataclass(frozen=True)
class PlannedClip:
    """A clip of a round: of which kind it is, and why it is there."""

    name: str
    kind: str  # a name in study.muse.kinds.KINDS
    seed: int
    why: str  # first | early | sampled | fresh
    like: str = ""  # the kept clip that it follows; "": none


@dataclass(frozen=True)
class Round:
    """A round of clips. `press` is the id of the press that asked for it, which asks for no second one."""

    number: int
    clips: tuple[PlannedClip, ...]
    press: str = ""
    record: Mapping[str, Any] | None = None  # how the rule chose


@dataclass(frozen=True)
class MadeClip:
    """What a clip is that was made."""

    name: str
    rate: int  # Hz
    seconds: float
    epochs: int
    first: float  # s at which the new music begins; before it the song leads up to it
    last: float  # s at which it ends
    bpm: float | None = None  # as heard in the clip
    metre: str | None = None
    chart: str = ""  # chords, a bar a word, as heard in it
    asked: str = ""  # chords that were asked for, where some were
    asked_bpm: float | None = None
    copied: float | None = None  # share of it that is pasted from the passage
    sha256: str = ""


@dataclass(frozen=True)
class Choice:
    """What the songwriter says of a clip."""

    verdict: str = ""  # KEPT, NOT_KEPT or ""
    take: tuple[str, ...] = ()  # what to take from it
    note: str = ""


@dataclass(frozen=True)
class Progress:
    """What the worker is doing."""

    doing: str = "starting"  # starting | listening | training | drawing | waiting
    early: bool = False  # whether it trains as far as the first sketches
    share: float = 0.0  # of the training
    left: float = 0.0  # s until it ends
    clip: str = ""  # that is being drawn
    problem: str = ""  # why nothing more is done, with what to do about it


class MuseFolder:
    """The paths of one folder, and what its files hold."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._writing = threading.Lock()

    @property
    def toml(self) -> Path:
        return self.path / MUSE

    @property
    def passage(self) -> Path:
        return self.path / "passage.wav"

    @property
    def plan(self) -> Path:
        return self.path / "passage.plan.toml"

    @property
    def model(self) -> Path:
        return self.path / "model"

    def sound(self, clip: str) -> Path:
        """The file of a clip."""
        return self.path / "clips" / f"{clip}.wav"

    def plan_of(self, clip: str) -> Path:
        """The file that says what a clip plays, bar by bar."""
        return self.path / "clips" / f"{clip}.plan.toml"

    def settings(self) -> Settings:
        """Raises MuseError for a file that is damaged or was edited into something else."""
        try:
            return Settings(**tomllib.loads(self.toml.read_text("utf-8")))
        except FileNotFoundError:
            raise MuseError(f"{self.path}: holds no {MUSE}", "name a folder that `study muse` made") from None
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            key = ".".join(map(str, fault["loc"]))
            fix = f"write one that fits, or move {self.toml} away and begin anew"
            raise MuseError(f"{self.toml}: {key} is {fault['input']!r}: {fault['msg']}", fix) from None
        except ValueError as error:
            raise MuseError(f"{self.toml}: is no TOML: {error}", "put it back as it was") from None

    def write_settings(self, settings: Settings) -> None:
        values = settings.model_dump(exclude={"model"})
        lines = ["# Made by `study muse`; the command with the same song goes on here."]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        if settings.model:
            lines += ["", "[model]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in settings.model.items()]
        atomic.write(self.toml, "\n".join(lines) + "\n")

    def secret(self) -> str:
        """What opens the page to a browser: the same at each start, so that an open page goes on."""
        file = self.path / _SECRET
        if not file.is_file() or len(file.read_text()) < 16:
            atomic.write(file, secrets.token_urlsafe(16), mode=0o600)
        return file.read_text()

    def rounds(self) -> list[Round]:
        """All rounds, the first one first."""
        files = sorted((self.path / "rounds").glob("[0-9]*.json"))
        found = []
        for file in files:
            record = atomic.read_json(file)
            clips = tuple(_typed(PlannedClip, clip) for clip in record.get("clips", ()))
            found.append(_typed(Round, record | {"clips": clips}))
        return found

    def planned(self) -> dict[str, PlannedClip]:
        """Every clip of every round by its name, the first ones first."""
        return {clip.name: clip for each in self.rounds() for clip in each.clips}

    def add_round(self, made: Round) -> None:
        self._write(f"rounds/{made.number:03d}.json", asdict(made))

    def clip(self, name: str) -> MadeClip | None:
        """What a clip is; None until it is made."""
        file = self.path / "clips" / f"{name}.json"
        return _typed(MadeClip, atomic.read_json(file)) if file.is_file() else None

    def add_clip(self, made: MadeClip) -> None:
        """Note what a clip is whose sound is there: from now on it is made."""
        self._write(f"clips/{made.name}.json", asdict(made))

    def choices(self) -> dict[str, Choice]:
        """What was said of clips, by their names."""
        file = self.path / "choices.json"
        if not file.is_file():
            return {}
        return {
            name: _typed(Choice, row | {"take": tuple(row.get("take", ()))})
            for name, row in atomic.read_json(file).items()
        }

    def choose(self, clip: str, choice: Choice) -> None:
        """Keep what is said of a clip, in the place of what was said before."""
        with self._writing:
            rows = {name: asdict(each) for name, each in (self.choices() | {clip: choice}).items()}
            self._write("choices.json", rows)

    def kept(self) -> list[str]:
        """The names of the clips that are kept and made, in the order of their rounds."""
        choices = self.choices()
        kept = [name for name in self.planned() if choices.get(name, Choice()).verdict == KEPT]
        return [name for name in kept if self.clip(name) is not None]

    def progress(self) -> Progress:
        file = self.path / PROGRESS
        return _typed(Progress, atomic.read_json(file)) if file.is_file() else Progress()

    def note_progress(self, progress: Progress) -> None:
        self._write(PROGRESS, asdict(progress))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder for one `study muse` alone. Raises MuseError where another one has it."""
        with (self.path / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fix = "go on in its page, or stop it first"
                raise MuseError(f"{self.path}: is open in another `study muse`", fix) from None
            yield

    @contextmanager
    def worked_on(self) -> Iterator[None]:
        """Hold the folder for one worker, after the one before it has ended."""
        with (self.path / _WORKER_LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def remove_leftovers(self) -> None:
        """Remove what a killed write left beside its file."""
        for place in (self.path, self.path / "rounds", self.path / "clips", *self.model.glob("*")):
            if place.is_dir():
                for leftover in place.glob(f".*{atomic.TEMPORARY}"):
                    leftover.unlink(missing_ok=True)

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        atomic.write(self.path / name, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _typed(kind: type[R], record: Mapping[str, Any]) -> R:
    """A record of a file as a dataclass; keys of a later version are left out."""
    known = {field.name for field in fields(kind)}
    return kind(**{key: value for key, value in record.items() if key in known})
