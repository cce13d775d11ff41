"""A job on a node of a cluster: done in a folder of its own, its files and clips sent as they come.

The node shares no file system with the study. What the job reads comes with its errand; what it writes goes
back as snapshots of its folder, every few seconds and before each clip, so that another node can go on from
the last of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import caw
from caw.files import atomic
from study import backends, engines
from study.engines import ClipReady, Ended, Event, Failed, Job, Warned
from study.engines.run_files import Depot, FilesDamaged, Outbox, Piece, Snapshot
from study.engines.work import perform

_RATE = 2e6  # bytes/s that a job sends home in the long run, as one builder listens to all of them
_PATIENCE = 10.0  # s that a backend has to end once it is told to; it is told at its next word


@dataclass(frozen=True)
class Errand:
    """What a node is sent to do a job."""

    job: Job
    places: list[int]  # of its tasks in the whole job
    sources: tuple[str, ...]  # SHA-256 of the sound files whose bytes come along, in the order of `files`
    files: tuple[Path, ...]  # where the study has them
    kept: tuple[Any, ...]  # references to the pieces of what the study has of the job's runs
    models: Path  # the study's
    versions: dict[str, str]  # the study's side
    gpus: float
    look_every: float  # s between two looks at what the job has written
    scratch: str | None  # the folder to work in; None: the node's own for temporary files


@dataclass(frozen=True)
class Sealed:
    """A clip with the SHA-256 of its samples."""

    event: ClipReady
    sha256: str

    def opened(self) -> ClipReady:
        """Raises: FilesDamaged."""
        if samples_digest(self.event) != self.sha256:
            raise FilesDamaged(f"{self.event.clip.name}: arrived with other samples than were sent")
        return self.event


@dataclass(frozen=True)
class Refused:
    """The node may not do the job."""

    why: str


def samples_digest(event: ClipReady) -> str:
    """SHA-256 of a clip's samples."""
    return hashlib.sha256(event.clip.samples.tobytes()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """What has to be the same on every machine for a clip not to depend on where it was made."""
    found = {"Python": ".".join(python_version().split(".")[:2])}
    for name in ("eureka-study", "torch", "numpy", "scipy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def code() -> dict[str, str]:
    """The digest of all that makes clips: two checkouts of one version may differ."""
    digest = hashlib.sha256()
    for package in (caw, backends, engines):
        folder = Path(package.__file__).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return {"its code": digest.hexdigest()[:8]}


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """What differs between two machines, in words; "" for nothing."""
    told = [
        f"{name} is {theirs.get(name, 'not installed')} there and {ours[name]} here"
        for name in ours
        if theirs.get(name) != ours[name]
    ]
    return ", ".join(told)


def serve(errand: Errand, *contents: bytes) -> Iterator[Event | Sealed | Piece | Snapshot | Refused]:
    """Do an errand. contents: of its sound files. Yields the events of the job and the files it leaves."""
    if told := difference(errand.versions, versions()):
        yield Refused(told)
        return
    if not errand.gpus:  # else a node's GPU would be used by as many tasks as it has cores
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with own_folder("eureka-job", errand.scratch) as scratch:
        models = scratch / "models"
        models.mkdir()
        _unpack(errand.kept, Depot(models, "sent"))
        here = {errand.models: models} | _lay_out(errand, contents, scratch / "sources")
        tasks, places = [], []
        for place, (backend, task) in zip(errand.places, errand.job.tasks, strict=True):
            if lacking := backends.get(backend, task.options).unavailable_reason():
                yield _in_their_words(Failed(errand.job.number, place, lacking), here)
                continue
            tasks.append((backend, replace(task, cell=task.cell.with_files(here), models=models)))
            places.append(place)
        for sent in _performed(replace(errand.job, tasks=tuple(tasks)), places, models, errand.look_every):
            yield _in_their_words(sent, here)


def _performed(job: Job, places: Sequence[int], models: Path, look_every: float) -> Iterator[Any]:
    """The job's events, its files before each that relies on them."""
    events: queue.SimpleQueue[tuple[Any, threading.Event]] = queue.SimpleQueue()
    stop = threading.Event()

    def say(event: Event) -> None:
        passed_on = threading.Event()
        events.put((event, passed_on))
        while isinstance(event, ClipReady | Failed | Ended) and not passed_on.wait(0.2) and not stop.is_set():
            pass
        if stop.is_set():
            raise KeyboardInterrupt

    def work() -> None:
        try:
            perform(job, say, places)
        except KeyboardInterrupt:
            pass
        except BaseException as error:  # raised by who hears of it
            events.put((error, threading.Event()))

    worker = threading.Thread(target=work, daemon=True)
    outbox, look_at = Outbox(models), time.monotonic() + look_every
    worker.start()
    try:
        event = None
        while not isinstance(event, Ended):
            try:
                event, passed_on = events.get(timeout=look_every)
            except queue.Empty:
                event = None
            relies = isinstance(event, ClipReady | Failed | Ended)
            if relies or time.monotonic() >= look_at:
                weight = 0
                for sent in outbox.changes():
                    weight += len(sent.content) if isinstance(sent, Piece) else 0
                    yield sent
                look_at = time.monotonic() + max(look_every, weight / _RATE)
            if isinstance(event, BaseException):
                raise event
            if event is not None:
                yield Sealed(event, samples_digest(event)) if isinstance(event, ClipReady) else event
                passed_on.set()
    finally:
        stop.set()
        worker.join(_PATIENCE)


@contextlib.contextmanager
def own_folder(name: str, parent: str | None = None) -> Iterator[Path]:
    """A folder for temporary files, removed after this block; those that killed processes left go, too."""
    place = Path(parent or tempfile.gettempdir())
    for left_over in place.glob(f"{name}-*"):
        number = left_over.name.removeprefix(f"{name}-").split("-")[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _unpack(kept: Sequence[Any], depot: Depot) -> None:
    import ray

    for reference in kept:  # one by one: together they may be larger than the memory
        depot.take(ray.get(reference))


def _lay_out(errand: Errand, contents: Sequence[bytes], folder: Path) -> dict[Path, Path]:
    """Write the sound files; where each is here, by its place in the study."""
    here = {}
    for number, (file, digest, content) in enumerate(
        zip(errand.files, errand.sources, contents, strict=True)
    ):
        if hashlib.sha256(content).hexdigest() != digest:
            raise FilesDamaged(f"{file}: arrived with other bytes than were sent")
        here[file] = folder / str(number) / file.name  # under its own name, which a run's facts hold
        atomic.write(here[file], content)
    return here


def _in_their_words(sent: Any, here: dict[Path, Path]) -> Any:
    """An event in the words of the study: its paths, and no full disk of its own."""

    def told(text: str) -> str:
        for theirs, ours in here.items():
            text = text.replace(str(ours), str(theirs))
        return text

    if isinstance(sent, Failed):
        node = f" (on the node {os.uname().nodename})"
        return replace(sent, why=told(sent.why) + node, no_room="")
    return replace(sent, text=told(sent.text)) if isinstance(sent, Warned) else sent
