"""The engine of this machine: as many processes as pay, the processor's cores shared out among them.

One job, or one worker, is done in this process with all cores. Workers are processes of their own (spawned,
as torch's threads survive no fork), each with its equal part of the cores, so that they do not fight over
them. A worker that is killed, as by the system when memory is short, costs its job a checkpoint's distance.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from caw.process import environment_variables
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
from study.engines.machine import are_rationed, cores, free_memory
from study.engines.schedule import best_plan, loads
from study.engines.work import perform

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
BYTES_PER_WORKER = 1.5e9  # a training of the model's preset `fast` takes 1.1
_BYTES_TO_START = 0.3e9  # with torch, and nothing done yet
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # to end
_PATIENCE = 20.0  # s that a worker has to write its last checkpoint


def fitting_workers(jobs: int) -> int:
    """How many workers this machine carries, for so many jobs of some length: by cores and free memory."""
    return max(1, min(jobs, cores(), int(min(free_memory() / BYTES_PER_WORKER, jobs))))


def threads_each(workers: int) -> int:
    """Each worker's part of the cores, or what OMP_NUM_THREADS asks for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else max(1, cores() // workers)


class LocalEngine:
    """workers: processes at once; 1: all in this process; None: as many as this machine carries."""

    def __init__(self, workers: int | None = None):
        self.workers = workers

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """As Engine.crew: as asked, else who is soonest done; no more workers than there are jobs.

        Raises: EngineError for more workers than can even start.
        """
        if self.workers:
            workers = max(1, min(self.workers, len(jobs)))
            if workers > 1 and (most := free_memory() / _BYTES_TO_START) < workers:
                told = (
                    f"--workers {self.workers}, but this machine has memory for {max(1, int(most))} at once"
                )
                raise EngineError(f"{told}; ask for fewer, or leave it out")
            threads, there = threads_each(workers), cores()
            return WorkerPlan(workers, threads, there if workers * threads > there else math.inf)
        return best_plan(loads(jobs), fitting_workers(len(jobs)), threads_each)

    def run(self, jobs: Sequence[Job], say: Report) -> None:
        """As Engine.run."""
        crew = self.plan(jobs)
        if crew.workers > 1:
            with _crew(crew.workers, crew.threads) as workers:
                _Shift(workers, jobs, say).work()
            return
        with _rationed(crew.threads) if are_rationed() else contextlib.nullcontext():
            for job in jobs:
                perform(job, say)


@contextlib.contextmanager
def _rationed(threads: int) -> Iterator[None]:
    """Libraries take a thread for each core they see; of more than may run at once, each waits for others."""
    with environment_variables(dict.fromkeys(THREADS, str(threads))):  # read as libraries load
        if "torch" not in sys.modules:
            yield
            return
        from caw.parallel import limited

        with limited(threads):
            yield


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
    say: Report
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
        if isinstance(event, ClipReady):
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
        with _unheard():
            fresh = _started(threads_each(len(self.crew)))
            worker.process, worker.pipe = fresh.process, fresh.pipe
        failed = self.failed.setdefault(job.number, set())
        _, places = without(job, self.made.get(job.number, set()), failed)
        if places:
            at = (job.number, places[0])  # those before are made or have failed
            self.losses[at] = self.losses.get(at, 0) + 1
            if self.losses[at] >= ATTEMPTS:
                told = f"{why}, {ATTEMPTS} times; is there too little memory? Try --workers 1"
                failed.add(places.pop(0))
                self.say(Failed(*at, told))
        if not places:  # lost after all was told
            self.say(Ended(job.number))
            return None
        self.say(WorkerLost(job.number, why=why))
        return job


@contextlib.contextmanager
def _crew(workers: int, threads: int) -> Iterator[list[_Worker]]:
    """Workers that end with this block: asked first, so that a training writes its last checkpoint."""
    crew: list[_Worker] = []
    try:
        for _ in range(workers):
            with _unheard():  # until it is among those that are ended
                crew.append(_started(threads))
        yield crew
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Ctrl-C and its like are heard after this block, and by a process that is started in it not before it
    says so."""
    resource_tracker.ensure_running()  # otherwise started with the first worker, and would lift the block
    missed: list[int] = []
    ours = threading.current_thread() is threading.main_thread()
    heard = {number: signal.getsignal(number) for number in _ASKING if ours}
    heard = {number: handler for number, handler in heard.items() if callable(handler)}
    for number in heard:  # this is the only thread to hear of it, whichever the system tells
        signal.signal(number, lambda number, _: missed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)  # which the process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in heard.items():
            signal.signal(number, handler)
    if missed:
        signal.raise_signal(missed[0])


def _started(threads: int) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_serve, args=(theirs,), daemon=False)
    # Ctrl-C reaches the whole group: until it can say that it does not mind, a worker must not hear of it
    with _unheard(), environment_variables(dict.fromkeys(THREADS, str(threads))):  # read as libraries load
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection) -> None:
    """A worker's life. Ctrl-C and a closed terminal are the builder's business, who then asks the workers to
    end."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_builder, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, _interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)
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
