"""The engine of this machine: as many processes as pay, the processor's cores shared out among them.

One job, or one worker, is done in this process with all cores. Workers are processes of their own (spawned,
as torch's threads survive no fork), each with its equal part of the cores, so that they do not fight over
them. A worker that is killed, as by the system when memory is short, costs its job a checkpoint's distance.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from caw import environment
from study.preparation import backends
from study.preparation.engines import ATTEMPTS, Ended, Event, Failed, Job, Lost, Made, Say, without
from study.preparation.engines.work import perform

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_BYTES_PER_WORKER = 1.5e9  # a training of the model's preset `fast` takes 1.1
_WORTH_A_PROCESS = 20.0  # s of one core; a process takes about 4 to load torch
_PATIENCE = 20.0  # s that a worker has to write its last checkpoint


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fitting_workers(jobs: int) -> int:
    """How many workers this machine carries, for so many jobs of some length: by cores and free memory."""
    return max(1, min(jobs, cores(), int(_free_memory() // _BYTES_PER_WORKER)))


def workers_for(jobs: Sequence[Job], asked: int | None = None) -> int:
    """How many workers do these jobs: as asked, else as pay and fit; no more than there are jobs."""
    return min(asked or fitting_workers(sum(map(_is_long, jobs))), len(jobs))


def threads_each(workers: int) -> int:
    """Each worker's part of the cores, or what OMP_NUM_THREADS asks for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else max(1, cores() // workers)


class LocalEngine:
    """workers: processes at once; 1: all in this process; None: as many as this machine carries."""

    def __init__(self, workers: int | None = None):
        self.workers = workers

    def run(self, jobs: Sequence[Job], say: Say) -> None:
        """As Engine.run."""
        workers = workers_for(jobs, self.workers)
        if workers <= 1:
            for job in jobs:
                perform(job, say)
            return
        with _crew(workers, threads_each(workers)) as crew:
            _Shift(crew, jobs, say).work()


def _is_long(job: Job) -> bool:
    """Whether a job is worth a process of its own."""
    costs = [cost for backend, task in job.tasks for cost in backends.get(backend).costs(task).values()]
    return sum(cost.seconds for cost in costs) >= _WORTH_A_PROCESS


@dataclass
class _Worker:
    """A process and our end of the pipe to it."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None


@dataclass
class _Shift:
    """All jobs, done by a crew."""

    crew: list[_Worker]
    jobs: Sequence[Job]
    say: Say
    made: dict[int, set[str]] = field(default_factory=dict)  # by job
    failed: dict[int, set[int]] = field(default_factory=dict)
    losses: dict[tuple[int, int], int] = field(default_factory=dict)  # by job and place

    def work(self) -> None:
        waiting = deque(self.jobs)
        while waiting or any(worker.job for worker in self.crew):
            for worker in self.crew:
                if worker.job is None and waiting:
                    self._give(worker, waiting.popleft())
            busy = {worker.pipe: worker for worker in self.crew if worker.job}
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                try:
                    event = pipe.recv()
                except (EOFError, OSError):  # its end closed with the process
                    lost = self._lost(worker)
                    if lost:
                        waiting.appendleft(lost)
                else:
                    self._hear(worker, event)

    def _give(self, worker: _Worker, job: Job) -> None:
        worker.job = job
        left = without(job, self.made.get(job.number, set()), self.failed.get(job.number, set()))
        with contextlib.suppress(OSError):  # it died while idle: told by its pipe's end
            worker.pipe.send(left)

    def _hear(self, worker: _Worker, event: Event) -> None:
        if isinstance(event, Made):
            self.made.setdefault(event.job, set()).add(event.clip.name)
        if isinstance(event, Failed):
            self.failed.setdefault(event.job, set()).add(event.place)
        if isinstance(event, Ended):
            worker.job = None
        self.say(event)

    def _lost(self, worker: _Worker) -> Job | None:
        """Put a new process in a dead one's place; its job, where it is to be tried again."""
        job, worker.job = worker.job, None
        worker.process.join(_PATIENCE)
        worker.process.kill()  # one that closed its pipe and hangs
        worker.process.join()
        why = f"its worker ended with {_in_words(worker.process.exitcode)}"
        fresh = _started(threads_each(len(self.crew)))
        worker.process, worker.pipe = fresh.process, fresh.pipe
        failed = self.failed.setdefault(job.number, set())
        _, places = without(job, self.made.get(job.number, set()), failed)
        at = (job.number, places[0] if places else -1)  # those before are made or have failed
        self.losses[at] = self.losses.get(at, 0) + 1
        if self.losses[at] >= ATTEMPTS:
            if places:
                told = f"{why}, {ATTEMPTS} times; is there too little memory? Try --workers 1"
                failed.add(places[0])
                self.say(Failed(job.number, places[0], told))
            if len(places) < 2:
                self.say(Ended(job.number))
                return None
        self.say(Lost(job.number, why=why))
        return job


@contextlib.contextmanager
def _crew(workers: int, threads: int) -> Iterator[list[_Worker]]:
    """Workers that end with this block: asked first, so that a training writes its last checkpoint."""
    crew = [_started(threads) for _ in range(workers)]
    try:
        yield crew
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()


def _started(threads: int) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_serve, args=(theirs,), daemon=False)
    # Ctrl-C reaches the whole group: until it can say that it does not mind, a worker must not hear of it
    resource_tracker.ensure_running()  # otherwise started with the first worker, and would lift the block
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with environment.variables(dict.fromkeys(THREADS, str(threads))):  # read as libraries load
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection) -> None:
    """A worker's life. Ctrl-C is the builder's business, who then asks the workers to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _interrupted)
    threading.Thread(target=_end_with_the_builder, daemon=True).start()
    try:
        while True:
            job, places = pipe.recv()
            perform(job, pipe.send, places)
    except (EOFError, BrokenPipeError, ConnectionError, KeyboardInterrupt):
        pass


def _interrupted(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_the_builder() -> None:
    """A builder that was killed asks nobody to end."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGKILL)


def _in_words(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _free_memory() -> float:
    """Bytes that are free, or as good as."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    return float("inf")  # another system than Linux does not say
