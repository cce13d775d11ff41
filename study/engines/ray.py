"""The engine of many machines: a cluster that Ray runs (https://docs.ray.io), one of its tasks per job.

Nothing is asked of the machines but that this package is installed on them: what a job reads is sent to its
node, and what it leaves comes back while it works (ray_worker, run_files). A job whose worker or node is lost
is given to another, with all that came back until then, so that a training goes on from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from caw.files import atomic
from study import backends
from study.engines import (
    ATTEMPTS,
    ClipReady,
    Ended,
    EngineError,
    Event,
    Failed,
    Job,
    Report,
    WorkerLost,
    WorkerPlan,
    without,
)
from study.engines.local import BYTES_PER_WORKER, THREADS, fitting_workers, threads_each
from study.engines.machine import cores
from study.engines.ray_cluster import Claim, Unanswered, claim_of, joined, nodes, place_of, require_same
from study.engines.ray_worker import Errand, Refused, Sealed, serve, versions
from study.engines.run_files import Depot, FilesDamaged, Piece, Snapshot, contents

LOOK_EVERY = 2.0  # s between two looks of a worker at what its job has written
_PAUSES = (1.0, 5.0, 20.0)  # s before a lost job is given away again: a dead node shows after about 15
_NODES_WITHIN = 300.0  # s to wait where no node is left that could do a task
_COUNT_EVERY = 2.0  # s
_CANCEL_WITHIN = 15.0  # s that workers have to tidy up
_ON_THE_WAY = 32  # pieces and events of a job that wait for the builder before its worker waits, too


class RayEngine:
    """address: HOST:PORT of a running cluster, auto, or None for one of this machine alone, started here.

    workers: tasks at once; None: as many as the nodes have room for. gpus_per_task: GPUs of each; a part of
    one, as 0.5, lets tasks share. Without, no task sees a GPU.
    Raises: EngineError for numbers and addresses that make no sense.
    """

    def __init__(self, *, workers: int | None = None, address: str | None = None, gpus_per_task: float = 0.0):
        if not (0 <= gpus_per_task < 1 or (gpus_per_task > 0 and float(gpus_per_task).is_integer())):
            told = f"--gpus-per-task is {gpus_per_task:g}"
            raise EngineError(f"{told}; use a whole number, or a part of one GPU, as 0.5")
        self.workers, self.gpus = workers, gpus_per_task
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        if self.address is not None:
            place_of(self.address)  # refused before anything is made

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """As Engine.crew. A cluster is asked for its room; where none answers, `workers` stand for it."""
        if self.address is None:
            threads = _threads(workers := min(self.workers or fitting_workers(len(jobs)), max(1, len(jobs))))
            return WorkerPlan(min(workers, max(1, cores() // threads)), threads)
        threads, note = _threads(None), ""
        try:
            with joined(self.address) as (ray, _):
                room = sum(nodes(ray, self._claim(ray, threads)).values())
            if self.workers and room < min(self.workers, len(jobs)):
                jobs_at_once = f"{room} job{'s' * (room != 1)} at once"
                note = f"--workers {self.workers}, but the cluster has room for {jobs_at_once}"
        except Unanswered as error:
            if self.workers is None:
                raise
            room, note = self.workers, f"{error}; the plan takes --workers {self.workers} for its room"
        return WorkerPlan(max(1, min(self.workers or room, room, len(jobs))), threads, note=note)

    def run(self, jobs: Sequence[Job], say: Report) -> None:
        """As Engine.run."""
        with joined(self.address) as (ray, scratch):
            alone = self.plan(jobs) if self.address is None else None
            claim = self._claim(ray, alone.threads if alone else _threads(None))
            if self.address is not None:
                require_same(ray, [node for node, room in nodes(ray, claim).items() if room])
            workers = alone.workers if alone else self.workers
            _Shift(ray, say, claim, workers, scratch, [_Waiting(job) for job in jobs]).work()

    def _claim(self, ray: ModuleType, threads: int) -> Claim:
        memory = BYTES_PER_WORKER if self.address is not None else 0.0  # here `workers` says what is right
        return claim_of(ray, threads, self.gpus, memory)


def _threads(workers: int | None) -> int:
    """Of each task: OMP_NUM_THREADS, else an equal part of this machine's cores, on a cluster one."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return threads_each(workers) if workers else 1


@dataclass
class _Waiting:
    """A job that nobody has, and what became of it until now."""

    job: Job
    made: set[str] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    losses: int = 0  # in a row that brought nothing new
    lost_at: int = -1  # the place of the task at which they were
    not_before: float = 0.0  # on the monotonic clock


@dataclass
class _Running:
    """A job that a worker has."""

    of: _Waiting
    stream: Any  # what the worker yields
    depot: Depot
    held: list[Any]  # references to what it was sent
    ended: bool = False


@dataclass
class _Shift:
    """All jobs, done by a cluster."""

    ray: ModuleType
    say: Report
    claim: Claim
    workers: int | None
    scratch: str | None
    waiting: list[_Waiting]
    running: list[_Running] = field(default_factory=list)
    sounds: dict[Path, tuple[str, Any]] = field(default_factory=dict)  # file -> SHA-256, reference
    room: int = 0
    counted: float = 0.0
    roomy: float = field(default_factory=time.monotonic)  # when there was room last

    def work(self) -> None:
        environment = {"env_vars": dict.fromkeys(THREADS, str(self.claim.cpus))}
        self.task = self.ray.remote(
            num_cpus=self.claim.cpus,
            num_gpus=self.claim.gpus,
            memory=self.claim.memory,
            max_retries=0,
            num_returns="streaming",
            runtime_env=environment,
            _generator_backpressure_num_objects=_ON_THE_WAY,
        )(serve)
        try:
            while self.waiting or self.running:
                self._give()
                self._hear()
        finally:
            self._cancel()

    def _give(self) -> None:
        """Give jobs away as long as there is room."""
        self._count()
        places = min(self.room, self.workers or self.room)
        now = time.monotonic()
        for entry in [entry for entry in self.waiting if entry.not_before <= now]:
            if len(self.running) >= places:
                return
            self.waiting.remove(entry)
            self._send(entry)

    def _count(self) -> None:
        """How many tasks the living nodes have room for. Raises: EngineError when none had for long."""
        now = time.monotonic()
        if now - self.counted < _COUNT_EVERY:
            return
        self.counted, self.room = now, sum(nodes(self.ray, self.claim).values())
        if self.room:
            self.roomy = now
        elif now - self.roomy > _NODES_WITHIN:
            raise EngineError("no node is left that could do a task; start some, then build again")

    def _send(self, entry: _Waiting) -> None:
        job, places = without(entry.job, entry.made, entry.failed)
        if not job.tasks:  # lost after all was told
            self.say(Ended(job.number))
            return
        files = list(dict.fromkeys(file for _, task in job.tasks for file in task.cell.files))
        models = job.tasks[0][1].models
        try:
            sounds = [self._sound(file) for file in files]
            names = {name for backend, task in job.tasks for name in backends.get(backend).artifacts(task)}
            kept = [self.ray.put(sent) for sent in contents(models, tuple(names))]
        except self.ray.exceptions.RayError as error:  # no room for what is on its way
            self._lose(entry, _in_words(self.ray, error))
            return
        except OSError as error:
            self._fail(entry, f"{error.filename}: {error.strerror}; check path and rights")
            return
        except ValueError as error:
            self._fail(entry, " ".join(str(error).split()))
            return
        digests = tuple(digest for digest, _ in sounds)
        errand = Errand(
            job,
            places,
            digests,
            tuple(files),
            tuple(kept),
            models,
            versions(),
            self.claim.gpus,
            LOOK_EVERY,
            self.scratch,
        )
        stream = self.task.remote(errand, *(reference for _, reference in sounds))
        self.running.append(_Running(entry, stream, Depot(models, f"job-{job.number}"), kept))

    def _sound(self, file: Path) -> tuple[str, Any]:
        """A sound file's digest and bytes, in the cluster once for all the jobs that run on it."""
        if file not in self.sounds:
            self.sounds[file] = atomic.sha256(file), self.ray.put(file.read_bytes())
        return self.sounds[file]

    def _hear(self) -> None:
        """Take one thing from each job that has something, or wait a moment."""
        if not self.running:
            time.sleep(0.1)
            return
        running = {entry.stream: entry for entry in self.running}
        ready, _ = self.ray.wait(list(running), num_returns=1, timeout=0.5)
        if ready:  # then all that are, so that nobody waits for who always has something
            ready, _ = self.ray.wait(list(running), num_returns=len(running), timeout=0.0)
        for stream in ready:
            entry = running[stream]
            try:
                self._take(entry, self.ray.get(next(stream)))
            except StopIteration:
                self._leave(entry)
                if not entry.ended:
                    self._lose(entry.of, "its worker stopped")
            except self.ray.exceptions.RayTaskError as error:  # also one of its cause's kind
                self._leave(entry)
                cause = error.cause
                told = f"{type(cause).__name__} on its node: {' '.join(str(cause).split())}"
                if isinstance(cause, OSError | FilesDamaged):  # as no room there: another may have some
                    self._lose(entry.of, told)
                else:
                    self._fail(entry.of, told)
            except FilesDamaged as error:
                self._leave(entry)
                self._lose(entry.of, str(error))
            except self.ray.exceptions.RayError as error:
                self._leave(entry)
                if not entry.ended:
                    self._lose(entry.of, _in_words(self.ray, error))

    def _take(self, entry: _Running, sent: Any) -> None:
        if isinstance(sent, Refused):
            told = f"a node that joined later is not as this machine: {sent.why}"
            raise EngineError(f"{told}; take it out, or install the same there, then build again")
        if isinstance(sent, Piece | Snapshot):
            if entry.depot.take(sent):
                entry.of.losses = 0
            return
        event: Event = sent.opened() if isinstance(sent, Sealed) else sent
        entry.held.clear()  # it has begun, so it has all that it was sent
        if isinstance(event, ClipReady):
            entry.of.made.add(event.clip.name)
            entry.of.losses = 0
        if isinstance(event, Failed):
            entry.of.failed.add(event.place)
        if isinstance(event, Ended):
            entry.ended = True
        self.say(event)

    def _leave(self, entry: _Running) -> None:
        """Nothing more comes of this attempt, whose worker may still be at it."""
        with contextlib.suppress(Exception):  # Ray's, of a cluster that may be gone
            self.ray.cancel(entry.stream)
        entry.depot.drop()
        self.running.remove(entry)
        tasks = (task for other in self.running for _, task in other.of.job.tasks)
        needed = {file for task in tasks for file in task.cell.files}
        self.sounds = {file: sound for file, sound in self.sounds.items() if file in needed}

    def _lose(self, entry: _Waiting, why: str) -> None:
        """Have a lost job taken up again, but for a task that was lost too often."""
        number = entry.job.number
        _, places = without(entry.job, entry.made, entry.failed)
        if places and places[0] != entry.lost_at:
            entry.lost_at, entry.losses = places[0], 0
        entry.losses += 1
        pause = _PAUSES[min(entry.losses, len(_PAUSES)) - 1]
        if places and entry.losses >= ATTEMPTS:
            told = f"{why}, {ATTEMPTS} times with nothing new; is there too little memory?"
            entry.failed.add(places.pop(0))
            self.say(Failed(number, entry.lost_at, f"{told} Look at `ray status`"))
        if not places:  # lost after all was told
            self.say(Ended(number))
            return
        entry.not_before = time.monotonic() + pause
        self.waiting.insert(0, entry)
        self.say(WorkerLost(number, why=why))

    def _fail(self, entry: _Waiting, why: str) -> None:
        """Give a job up."""
        job = entry.job
        for place in without(job, entry.made, entry.failed)[1]:
            self.say(Failed(job.number, place, why))
        self.say(Ended(job.number))

    def _cancel(self) -> None:
        """Have all workers end, and wait until they have tidied up."""
        for entry in self.running:
            entry.depot.drop()
            with contextlib.suppress(Exception):  # Ray's, of a cluster that may be gone
                self.ray.cancel(entry.stream)
        ends = time.monotonic() + _CANCEL_WITHIN
        for entry in self.running:
            with contextlib.suppress(Exception, StopIteration):
                while time.monotonic() < ends:
                    if self.ray.wait([entry.stream], timeout=0.2)[0]:
                        self.ray.get(next(entry.stream))


def _in_words(ray: ModuleType, error: Exception) -> str:
    """Why a worker is lost."""
    known = {
        ray.exceptions.WorkerCrashedError: "its worker was killed or crashed",
        ray.exceptions.NodeDiedError: "its node is gone",
        ray.exceptions.OutOfMemoryError: "its node ran out of memory",
        ray.exceptions.OutOfDiskError: "its node ran out of disk space",
    }
    told = str(error).split("\n")[0][:200]
    return next((words for kind, words in known.items() if isinstance(error, kind)), told)
