"""The engine of many machines: a cluster that Ray runs (https://docs.ray.io), with one of its tasks per job.

All nodes have this package, and all reach a storage by which they exchange files with the study (ray_worker).
A job whose worker or node is lost is given to another one, which continues from the last checkpoint there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from caw.files import atomic
from caw.process import environment_variables
from study.engines import ClipReady, Ended, EngineError, Failed, Job, Report, WorkerPlan
from study.engines.jobs import JobRecord
from study.engines.local import BYTES_PER_WORKER, THREADS, fitting_workers, threads_each
from study.engines.machine import cores
from study.engines.ray_worker import SAME, Saved, Storage, artifacts, run_job, versions

WORK = ".ray.work"  # the storage in a study's folder, which is removed afterwards
SAVE_EVERY = 10.0  # seconds between two checkpoints of a job on the storage
ANSWER_SECONDS = 10.0  # for a cluster that is asked for
_PAUSES = (1.0, 5.0, 20.0)  # seconds before a lost job is given away again: Ray may see a dead node late
_NODE_SECONDS = 300.0  # to wait where no node is left that could do a task
_CANCEL_SECONDS = 15.0  # that workers have to tidy up
_START_ATTEMPTS = 3  # at a cluster of this machine, as Ray gives its node no more than 30 s
_STORE = 500_000_000  # bytes for clips on their way, on this machine
_LONGEST_TEMPORARY = 12  # characters: with our and Ray's names the path of a socket may have 107
_INSTALL = "pip install 'eureka-study[cluster]'"


class Unanswered(EngineError):
    """No cluster is there."""


class RayEngine:
    """The engine of a Ray cluster.

    Parameters
    ----------
    workers : int, optional
        Jobs at once; by default as many as the nodes have room for.
    address : str, optional
        HOST:PORT of a running cluster, or ``auto``; by default one of this machine is started.
    gpus_per_task : float
        GPUs of each job. With a part of one, as 0.5, jobs share it; with 0, no job sees a GPU.
    storage : str, optional
        As of `study.engines.choose`.

    Raises
    ------
    EngineError
        For a number or an address that makes no sense.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        address: str | None = None,
        gpus_per_task: float = 0.0,
        storage: str | None = None,
    ):
        if not (0 <= gpus_per_task < 1 or (gpus_per_task > 0 and float(gpus_per_task).is_integer())):
            fix = "use a whole number, or a part of one GPU, as 0.5"
            raise EngineError(f"--gpus-per-task is {gpus_per_task:g}", fix)
        self.workers, self.gpus, self.storage = workers, gpus_per_task, storage
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        if self.address is not None:
            host_and_port(self.address)  # refused before anything is made

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """As Engine.plan. Where no cluster answers yet, `workers` stand for its room."""
        if self.address is None:
            threads = _threads(workers := min(self.workers or fitting_workers(len(jobs)), max(1, len(jobs))))
            return WorkerPlan(max(1, min(workers, cores() // threads)), threads)
        threads, note = _threads(None), ""
        try:
            with connected(self.address) as ray:
                room = sum(self._claim(ray, threads).room(ray).values())
            if self.workers and room < min(self.workers, len(jobs)):
                jobs_at_once = f"{room} job{'s' * (room != 1)} at once"
                note = f"--workers {self.workers}, but the cluster has room for {jobs_at_once}"
        except Unanswered as error:
            if self.workers is None:
                raise
            room, note = self.workers, f"{error}; the plan takes --workers {self.workers} for its room"
        return WorkerPlan(max(1, min(self.workers or room, room, len(jobs))), threads, note=note)

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """As Engine.run."""
        plan = self.plan(jobs) if self.address is None else None
        with connected(self.address) as ray, self._storage(jobs) as storage:
            claim = self._claim(ray, plan.threads if plan else _threads(None))
            _JobRunner(ray, report, claim, plan.workers if plan else self.workers, storage, jobs).run()

    def _claim(self, ray: ModuleType, cpus: int) -> Claim:
        """What jobs claim: no more memory than any node has that could do one, so that none is left out."""
        claim = Claim(cpus, self.gpus)
        able = {node for node, room in claim.room(ray).items() if room}
        if not able:
            raise claim.error(ray)
        has = [node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["NodeID"] in able]
        return Claim(cpus, self.gpus, int(min(BYTES_PER_WORKER, *has)) if self.address is not None else 0)

    @contextlib.contextmanager
    def _storage(self, jobs: Sequence[Job]) -> Iterator[Storage]:
        """The storage of this build, which is removed after this block."""
        models = jobs[0].tasks[0][1].models.absolute() if jobs else Path(tempfile.gettempdir(), "models")
        work = models.with_name(WORK)  # on the disk of models/, as archives are unpacked there
        place = str(work) if self.storage is None else self.storage
        place = place if "://" in place else str(Path(place).absolute())
        shutil.rmtree(work, ignore_errors=True)  # which a killed build left
        try:
            work.mkdir(parents=True)
            address, mark, query = place.partition("?")  # as s3://bucket?region=eu-central-1
            storage = Storage(f"{address.rstrip('/')}/eureka-{uuid.uuid4().hex}{mark}{query}")
            storage.files.create_dir(storage.root, recursive=True)
            yield storage
            with contextlib.suppress(OSError):
                storage.files.delete_dir(storage.root)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _threads(workers: int | None) -> int:
    """Of each job: OMP_NUM_THREADS, else an equal part of this machine's cores, on a cluster one."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    if value.isdigit() and int(value):
        return int(value)
    return threads_each(workers) if workers else 1


@dataclass(frozen=True)
class Claim:
    """What each job takes of its node for itself."""

    cpus: int
    gpus: float = 0.0  # a part of one lets jobs share it
    memory: int = 0  # bytes

    def room(self, ray: ModuleType) -> dict[str, int]:
        """How many such jobs each living node has room for, by its id."""
        room = {}
        for node in ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                counts = [has.get("CPU", 0) // self.cpus]
                if self.gpus:  # parts of two GPUs make none
                    devices = int(has.get("GPU", 0))
                    counts.append(
                        devices // self.gpus if self.gpus >= 1 else devices * int(1 / self.gpus + 1e-9)
                    )
                if self.memory:
                    counts.append(has.get("memory", 0) // self.memory)
                room[node["NodeID"]] = int(min(counts))
        return room

    def error(self, ray: ModuleType) -> EngineError:
        """Why no node can ever do such a job."""
        living = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = {kind: max((has.get(kind, 0) for has in living), default=0) for kind in ("CPU", "GPU")}
        if self.gpus > most["GPU"]:
            total = sum(has.get("GPU", 0) for has in living)
            has = f"the cluster has {total:g} GPUs" + (f", {most['GPU']:g} on one node" if total else "")
            fix = "ask for fewer, or start nodes with GPUs"
            return EngineError(f"--gpus-per-task {self.gpus:g}, but {has}", fix)
        what = f"a task takes {self.cpus:g} CPUs (OMP_NUM_THREADS), but no node has more than {most['CPU']:g}"
        fix = "set OMP_NUM_THREADS lower, or start nodes"
        return EngineError(what + (" with a GPU" if self.gpus else ""), fix)


@dataclass
class _Attempt:
    """A job that a worker has."""

    record: JobRecord
    stream: Any  # of what the worker yields
    archive: str


@dataclass
class _JobRunner:
    """Does all jobs on a cluster."""

    ray: ModuleType
    report: Report
    claim: Claim
    workers: int | None
    storage: Storage
    jobs: InitVar[Sequence[Job]]
    running: list[_Attempt] = field(default_factory=list)
    archives: dict[int, str] = field(default_factory=dict)  # the last of each job
    stored: set[str] = field(default_factory=set)  # sound files
    attempts: int = 0

    def __post_init__(self, jobs: Sequence[Job]) -> None:
        self.waiting = [(0.0, JobRecord(job)) for job in jobs]  # not before this time of the monotonic clock
        self.last_room = time.monotonic()  # when there was some

    def run(self) -> None:
        options = {"num_cpus": self.claim.cpus, "num_gpus": self.claim.gpus, "memory": self.claim.memory}
        variables = {"env_vars": dict.fromkeys(THREADS, str(self.claim.cpus))}
        # Ray's own retries count losses in all; a job may lose any number of workers while it makes progress
        self.task = self.ray.remote(max_retries=0, num_returns="streaming", runtime_env=variables, **options)(
            run_job
        )
        try:
            while self.waiting or self.running:
                self._start_jobs()
                self._receive()
        finally:
            self._cancel()

    def _start_jobs(self) -> None:
        """Start jobs as long as there is room. Raises EngineError where there was none for long."""
        room, now = sum(self.claim.room(self.ray).values()), time.monotonic()
        if room:
            self.last_room = now
        elif now - self.last_room > _NODE_SECONDS:
            raise EngineError("no node is left that could do a task", "start some, then build again")
        for entry in [entry for entry in self.waiting if entry[0] <= now]:
            if len(self.running) >= min(room, self.workers or room):
                return
            self.waiting.remove(entry)
            self._start(entry[1])

    def _start(self, record: JobRecord) -> None:
        job, places = record.remaining()
        number = job.number
        try:
            if number not in self.archives:
                self.archives[number] = f"job-{number}.tar"
                models = job.tasks[0][1].models
                self.storage.save(self.archives[number], models, artifacts(job))
            files = {
                file: sha256 or atomic.sha256(file)
                for _, task in job.tasks
                for file, sha256 in task.cell.files.items()
            }
            for file, sha256 in files.items():
                if sha256 not in self.stored:
                    self.storage.put(sha256, file)
                    self.stored.add(sha256)
        except OSError as error:
            self._fail(record, f"{error.filename}: {error.strerror or error}; check path and rights")
            return
        except ValueError as error:
            self._fail(record, " ".join(str(error).split()))
            return
        self.attempts += 1
        archive = f"job-{number}-{self.attempts}.tar"  # its own, as a lost worker may still write to another
        place, earlier, gpus = self.storage.place, self.archives[number], self.claim.gpus
        stream = self.task.remote(job, places, files, place, earlier, archive, versions(), gpus, SAVE_EVERY)
        self.running.append(_Attempt(record, stream, archive))

    def _receive(self) -> None:
        """Take one thing from each job that has something, or wait a moment."""
        if not self.running:
            time.sleep(0.1)
            return
        running = {attempt.stream: attempt for attempt in self.running}
        ready, _ = self.ray.wait(list(running), num_returns=1, timeout=0.5)
        if ready:  # then all that are, so that no job waits for one that always has something
            ready, _ = self.ray.wait(list(running), num_returns=len(running), timeout=0.0)
        for stream in ready:
            attempt = running[stream]
            try:
                self._take(attempt, self.ray.get(next(stream)))
            except StopIteration:
                self._lose(attempt, "its worker stopped")
            except self.ray.exceptions.RayTaskError as error:  # also one of its cause's kind
                cause = error.cause
                if isinstance(cause, EngineError):
                    raise cause from None
                if "No module named" in str(cause):
                    what = f"a node lacks eureka-study ({' '.join(str(cause).split())[-200:]})"
                    raise EngineError(what, f"there, too: {_INSTALL}") from None
                why = f"{type(cause).__name__} on its node: {' '.join(str(cause).split())}"
                if isinstance(cause, OSError):  # as no room there: another node may have some
                    self._lose(attempt, why)
                else:
                    self._leave(attempt)
                    self._fail(attempt.record, why)
            except self.ray.exceptions.RayError as error:
                self._lose(attempt, _in_words(self.ray, error))

    def _take(self, attempt: _Attempt, event: Any) -> None:
        record = attempt.record
        if isinstance(event, Saved):
            models = record.job.tasks[0][1].models
            self.storage.load(attempt.archive, models, artifacts(record.job), models.with_name(WORK))
            self.archives[record.job.number] = attempt.archive
            record.losses = 0 if event.new else record.losses
            return
        record.note(event)
        if isinstance(event, ClipReady):
            record.losses = 0
        if isinstance(event, Ended):
            self._leave(attempt)
            self.storage.delete(self.archives.pop(record.job.number))
        self.report(event)

    def _leave(self, attempt: _Attempt) -> None:
        """Nothing more comes of this attempt, whose worker may still be at it."""
        with contextlib.suppress(Exception):  # Ray's, of a cluster that may be gone
            self.ray.cancel(attempt.stream)
        self.running.remove(attempt)

    def _lose(self, attempt: _Attempt, why: str) -> None:
        """Have a lost job tried again, but for a task that was lost too often."""
        self._leave(attempt)
        record = attempt.record
        advice = " with nothing new; is there too little memory? Look at `ray status`"
        events = record.lose(why, advice)
        if not isinstance(events[-1], Ended):
            pause = _PAUSES[min(record.losses, len(_PAUSES)) - 1]
            self.waiting.insert(0, (time.monotonic() + pause, record))
        for event in events:
            self.report(event)

    def _fail(self, record: JobRecord, why: str) -> None:
        """Give a job up."""
        for place in record.remaining()[1]:
            self.report(Failed(record.job.number, place, why))
        self.report(Ended(record.job.number))

    def _cancel(self) -> None:
        """Have all workers end, and wait until they have tidied up."""
        ends = time.monotonic() + _CANCEL_SECONDS
        for attempt in self.running:
            with contextlib.suppress(Exception):  # Ray's, of a cluster that may be gone
                self.ray.cancel(attempt.stream)
        for attempt in self.running:
            with contextlib.suppress(Exception, StopIteration):
                while time.monotonic() < ends:
                    if self.ray.wait([attempt.stream], timeout=0.2)[0]:
                        self.ray.get(next(attempt.stream))


def _in_words(ray: ModuleType, error: Exception) -> str:
    """Why a worker is lost."""
    known = {
        ray.exceptions.WorkerCrashedError: "its worker was killed or crashed",
        ray.exceptions.NodeDiedError: "its node is gone",
        ray.exceptions.OutOfMemoryError: "its node ran out of memory",
        ray.exceptions.OutOfDiskError: "its node ran out of disk space",
    }
    text = str(error).split("\n")[0][:200]
    return next((words for kind, words in known.items() if isinstance(error, kind)), text)


def library(*, alone: bool) -> ModuleType:
    """Ray itself. alone: for a cluster of this machine, which then listens to no other.

    Raises EngineError where it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # spares a warning; ray_worker hides GPUs itself
    if alone:  # Ray reads it as it is imported, and then takes 127.0.0.1 for this machine's address
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise EngineError(
            "--engine ray needs Ray, which is not installed", f"install it: {_INSTALL}"
        ) from None
    return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[ModuleType]:
    """Ray, connected inside this block.

    address: HOST:PORT of a running cluster, or auto; None: a cluster of this machine, which ends with the
    block. Raises EngineError.
    """
    ray = library(alone=address is None)
    if ray.is_initialized():
        raise EngineError("this process is connected to Ray already", "build in a process of its own")
    handler = signal.getsignal(signal.SIGTERM)
    with contextlib.ExitStack() as held:
        if address is None:
            short = "/tmp" if len(tempfile.gettempdir()) > _LONGEST_TEMPORARY else None
            home = tempfile.TemporaryDirectory(prefix="eureka-ray-", dir=short, ignore_cleanup_errors=True)
            held.enter_context(environment_variables({"RAY_TMPDIR": held.enter_context(home)}))
        held.callback(ray.shutdown)
        if address is None:
            _start(ray)
        else:
            _connect(ray, address)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)  # Ray takes it for itself
        yield ray


def _start(ray: ModuleType) -> None:
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            ray.init(
                address="local",
                num_cpus=cores(),
                include_dashboard=False,
                object_store_memory=_STORE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except Exception as error:  # Ray raises this very class where its node is late
            ray.shutdown()
            if attempt == _START_ATTEMPTS or type(error) is not Exception:
                what = f"Ray cannot be started on this machine ({' '.join(str(error).split())[:200]})"
                fix = "use --engine local, which needs no more than this one"
                raise EngineError(what, fix) from None


def _connect(ray: ModuleType, address: str) -> None:
    if place := host_and_port(address):
        _reach(*place)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (RuntimeError, OSError, ValueError) as error:  # what ray.init documents, and timeouts
        line = " ".join(str(error).split())
        if "ersion mismatch" in line:
            raise EngineError(f"the cluster at {address} has other versions ({line})", SAME) from None
        if "Could not find any running Ray instance" in line:
            what = "--address auto: no cluster runs on this machine"
            raise Unanswered(what, "start one with `ray start`, or give HOST:PORT") from None
        fix = f"make this machine a node of it: ray start --address={address} --num-cpus=0"
        if "Failed to connect" in line and not os.environ.get("RAY_AUTH_MODE"):  # with no word of tokens
            fix += "; if its head has token authentication, set RAY_AUTH_MODE=token here, too"
        raise EngineError(f"the cluster at {address} cannot be joined ({line[:200]})", fix) from None


def host_and_port(address: str) -> tuple[str, int] | None:
    """Host and port; None for auto. Raises EngineError for an address of another form."""
    if address == "auto":
        return None
    if "://" in address:
        fix = "make this machine a node of the cluster and give what `ray start` was given"
        raise EngineError(f"--address {address} is of another kind than HOST:PORT", fix)
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise EngineError(f"--address is {address!r}", "write HOST:PORT, as 10.0.0.5:6379, or auto")
    return host.strip("[]"), int(port)


def _reach(host: str, port: int) -> None:
    """Raises EngineError where no cluster answers at the address, as Ray itself waits for minutes then.

    The dashboard, whose port is easily taken for the right one, speaks HTTP; a cluster's port does not.
    """
    answer = b""
    try:
        with (
            socket.create_connection((host, port), timeout=ANSWER_SECONDS) as line,
            contextlib.suppress(ConnectionResetError),
        ):
            line.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = line.recv(4, socket.MSG_WAITALL)
    except OSError as error:
        what = f"no cluster answers at {host}:{port} ({error.strerror or error})"
        raise Unanswered(what, "start one with `ray start --head`, or mend --address") from None
    if answer == b"HTTP":
        fix = "give the port that `ray start --head` tells, by default 6379"
        raise EngineError(f"what listens at {host}:{port} is no Ray cluster", fix)
