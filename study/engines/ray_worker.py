"""A job on a node of a Ray cluster, and the storage by which it exchanges files with the study.

All nodes and the machine of the study reach the storage: a folder of a shared disk, or any address that
`pyarrow.fs` reads, as s3://bucket/folder. A node works in a folder of its own. Every few seconds, and before
it reports a clip, it writes that folder to the storage as one archive: the job's checkpoint. Another worker
continues from it, and the study's machine unpacks it into models/.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import psutil
from pyarrow import fs

import caw
from caw.files import atomic
from study import backends, engines
from study.engines import ClipReady, Ended, EngineError, Event, Failed, Job, Warned
from study.engines.jobs import perform

_END_SECONDS = 10.0  # that a backend has to end once it is asked to, by its next report of progress
SAME = "install the same on all machines (the same commit, with -c constraints.txt)"
_LAST = {"checkpoint.pt": 1, "finished.json": 2}  # written after the files that they refer to


@dataclass(frozen=True)
class Saved:
    """A checkpoint of the job is on the storage. `new`: something in it is new besides logs."""

    new: bool


class Storage:
    """A folder, or an address as s3://bucket/folder, that all nodes and the study's machine reach."""

    def __init__(self, place: str):
        self.place = place
        self.files: fs.FileSystem = fs.LocalFileSystem()
        self.root = place
        if "://" in place:
            self.files, self.root = fs.FileSystem.from_uri(place)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def put(self, name: str, file: Path) -> None:
        """Write a file, whole or not at all."""
        part = f"{self.path(name)}.{os.getpid()}.part"
        with file.open("rb") as content, self.files.open_output_stream(part) as out:
            shutil.copyfileobj(content, out, 2**20)
        self.files.move(part, self.path(name))

    def get(self, name: str, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.files.open_input_stream(self.path(name)) as content, file.open("wb") as out:
            shutil.copyfileobj(content, out, 2**20)

    def save(self, name: str, folder: Path, within: Sequence[str]) -> None:
        """Write an archive of the files and folders with these names, in the order in which they change."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                for path in files_in(folder, within):
                    tar.add(folder / path, path)
            archive.flush()
            self.put(name, Path(archive.name))

    def load(self, name: str, folder: Path, within: Sequence[str], work: Path) -> None:
        """Put the files of an archive in place, and remove what it does not have of the names.

        work: a folder of the same disk. Files appear whole and in their order: a run in `folder` can go on at
        any time.
        """
        with tempfile.TemporaryDirectory(dir=work) as home:
            self.get(name, Path(home) / "archive.tar")
            with tarfile.open(Path(home) / "archive.tar") as tar:
                tar.extractall(Path(home) / "files", filter="data")
                paths = [member.name for member in tar.getmembers()]
            for path in paths:
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                (Path(home) / "files" / path).replace(place)
        for path in set(files_in(folder, within)) - set(paths):
            (folder / path).unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.files.delete_file(self.path(name))


def files_in(folder: Path, within: Sequence[str]) -> list[str]:
    """The files of these names, and in folders of these names, in the order in which they were written."""
    times: dict[str, int] = {}
    for name in within:
        for file in [folder / name, *(folder / name).rglob("*")]:
            unfinished = file.name.startswith(".") and file.name.endswith(atomic.TEMPORARY)
            with contextlib.suppress(FileNotFoundError):
                if file.is_file() and not unfinished:
                    times[file.relative_to(folder).as_posix()] = file.stat().st_mtime_ns
    return sorted(times, key=lambda path: (times[path], _LAST.get(Path(path).name, 0)))


def artifacts(job: Job) -> list[str]:
    """The names in models/ of what a job reads and writes."""
    names = [name for backend, task in job.tasks for name in backends.get(backend).artifacts(task)]
    logs = [f"{task.cell.name}.log" for _, task in job.tasks]
    return list(dict.fromkeys([*names, *logs]))


@cache
def versions() -> dict[str, str]:
    """What has to be the same on every machine, so that a clip does not depend on where it was made."""
    same = {"Python": ".".join(python_version().split(".")[:2])}
    for name in ("eureka-study", "torch", "numpy", "scipy", "numba"):
        try:
            same[name] = version(name)
        except PackageNotFoundError:
            same[name] = "not installed"
    digest = hashlib.sha256()
    for package in (caw, backends, engines):  # two checkouts of one version may differ
        folder = Path(package.__file__).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return same | {"its code": digest.hexdigest()[:8]}


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """What differs between two machines, in words; "" where nothing does."""
    return ", ".join(
        f"{name} is {theirs.get(name, 'not installed')} there and {ours[name]} here"
        for name in ours
        if theirs.get(name) != ours[name]
    )


def run_job(
    job: Job,
    places: list[int],
    files: Mapping[Path, str],
    storage: str,
    earlier: str,
    archive: str,
    study_versions: Mapping[str, str],
    gpus: float,
    save_every: float,
) -> Iterator[Event | Saved]:
    """Do a job on this node. Yields its events, and `Saved` for each checkpoint.

    places: of its tasks in the whole job. files: its sound files, with their names on the storage. earlier:
    the archive to continue from. archive: the name for the checkpoints of this attempt. save_every: seconds
    between two of them, or ten times what one takes. Raises EngineError where this node is not as the study's
    machine.
    """
    store, names, node = Storage(storage), artifacts(job), f"node {os.uname().nodename}"
    if differing := difference(study_versions, versions()):
        raise EngineError(f"{node} is not as this machine: {differing}", SAME)
    if store.files.get_file_info(store.root).type != fs.FileType.Directory:
        fix = "keep the study on a disk that all nodes share, at the same path, or give --storage"
        raise EngineError(f"{node} does not find {store.root}", fix)
    if not gpus:  # otherwise a node's GPU would be used by as many jobs as it has cores
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with _scratch() as scratch:
        models = scratch / "models"
        models.mkdir()
        store.load(earlier, models, names, scratch)
        moved = {job.tasks[0][1].models: models}
        for number, (file, sha256) in enumerate(files.items()):
            moved[file] = scratch / "sources" / str(number) / file.name  # a run's facts hold its name
            store.get(sha256, moved[file])
        tasks = [
            (backend, replace(task, cell=task.cell.with_files(moved), models=models))
            for backend, task in job.tasks
        ]
        checkpoints = _Checkpoints(store, archive, models, names, save_every)
        for event in _performed(replace(job, tasks=tuple(tasks)), places, checkpoints):
            yield _restated(event, moved)


class _Checkpoints:
    """Writes the folder of a job to the storage when it has changed."""

    def __init__(self, store: Storage, archive: str, models: Path, names: Sequence[str], save_every: float):
        self.store, self.archive, self.models, self.names = store, archive, models, names
        self.save_every = save_every
        self.saved, self.next = self._digests(), time.monotonic() + save_every

    def _digests(self) -> dict[str, str]:
        return {path: atomic.sha256(self.models / path) for path in files_in(self.models, self.names)}

    def save(self) -> Saved | None:
        began, digests = time.monotonic(), self._digests()
        changed = dict(digests.items() ^ self.saved.items())
        if changed:
            self.store.save(self.archive, self.models, self.names)
            self.saved = digests
        now = time.monotonic()
        self.next = now + max(self.save_every, 10 * (now - began))
        return Saved(any(not path.endswith(".log") for path in changed)) if changed else None


def _performed(job: Job, places: list[int], checkpoints: _Checkpoints) -> Iterator[Any]:
    """The events of a job, which is done in a thread, and its checkpoints.

    Checkpoints are written in that thread, while it reports: a training writes nothing meanwhile.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = threading.Event()

    def report(event: Event) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        needs_files = isinstance(event, ClipReady | Failed | Ended)
        if needs_files or time.monotonic() >= checkpoints.next:
            try:
                if saved := checkpoints.save():
                    events.put(saved)
            except FileNotFoundError:  # a program writes at any time: the next checkpoint is whole again
                if needs_files:
                    raise
            except OSError as error:  # not the task's fault, so it must not fail
                events.put(error)
                raise KeyboardInterrupt from None
        events.put(event)

    def work() -> None:
        try:
            perform(job, report, places)
        except KeyboardInterrupt:
            pass
        except BaseException as error:  # raised below
            events.put(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        event = None
        while not isinstance(event, Ended):
            try:
                event = events.get(timeout=1.0)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        stop.set()
        worker.join(_END_SECONDS)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder, removed after this block; those that killed workers left are removed, too."""
    for left_over in Path(tempfile.gettempdir()).glob("eureka-job-*-*"):
        number = left_over.name.split("-")[2]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"eureka-job-{os.getpid()}-", ignore_cleanup_errors=True) as home:
        yield Path(home)


def _restated(event: Any, moved: Mapping[Path, Path]) -> Any:
    """An event with the paths of the study instead of the node's; a full disk of the node ends no build."""
    if not isinstance(event, Failed | Warned):
        return event
    text = event.why if isinstance(event, Failed) else event.text
    for theirs, ours in moved.items():
        text = text.replace(str(ours), str(theirs))
    if isinstance(event, Warned):
        return replace(event, text=text)
    return replace(event, why=f"{text} (on the node {os.uname().nodename})", no_room="")
