"""The engine of this machine: as many processes as pay, which share the cores of the processor.

One job, or one worker, is done in this process with all cores. Workers are processes of their own (spawned,
as torch's threads survive no fork), each with its equal part of the cores, so that they do not compete for
them. When a worker is killed, as by the system when memory is short, its job goes on from the last
checkpoint.

A process pool of a library was tried and left: `concurrent.futures` and loky end all workers when one dies,
so that a worker that is killed costs every other training a checkpoint's distance, too, and does not say
whose job it was; and neither can ask a training to write its last checkpoint, nor ends with a build that is
killed.
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
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from caw.process import environment_variables
from study.engines import Ended, EngineError, Event, Job, Report, WorkerPlan
from study.engines.jobs import JobRecord, perform
from study.engines.machine import are_rationed, cores, free_memory
from study.engines.schedule import best_plan, loads

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
BYTES_PER_WORKER = 1.5e9  # a training of the model's preset `fast` takes 1.1
_BYTES_TO_START = 0.3e9  # with torch, before any work
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 20.0  # seconds that a worker has to write its last checkpoint


def fitting_workers(jobs: int) -> int:
    """How many workers this machine carries, for so many jobs of some length: by cores and free memory."""
    return max(1, min(jobs, cores(), int(min(free_memory() / BYTES_PER_WORKER, jobs))))


def threads_each(workers: int) -> int:
    """Each worker's part of the cores, or what OMP_NUM_THREADS asks for."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) else max(1, cores() // workers)


class LocalEngine:
    """The engine of this machine.

    Parameters
    ----------
    workers : int, optional
        Processes at once; 1 does all in this process. By default as many as this machine carries.
    """

    def __init__(self, workers: int | None = None):
        self.workers = workers

    def plan(self, jobs: Sequence[Job]) -> WorkerPlan:
        """As Engine.plan: as asked, or else the soonest done; no more workers than there are jobs.

        Raises EngineError for more workers than can even start.
        """
        if self.workers:
            workers = max(1, min(self.workers, len(jobs)))
            if workers > 1 and (most := free_memory() / _BYTES_TO_START) < workers:
                room = f"this machine has memory for {max(1, int(most))} at once"
                raise EngineError(f"--workers {self.workers}, but {room}", "ask for fewer, or leave it out")
            threads, available = threads_each(workers), cores()
            return WorkerPlan(workers, threads, available if workers * threads > available else math.inf)
        return best_plan(loads(jobs), fitting_workers(len(jobs)), threads_each)

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """As Engine.run."""
        plan = self.plan(jobs)
        if plan.workers > 1:
            with _started_workers(plan.workers, plan.threads) as workers:
                _JobRunner(workers, jobs, report).run()
            return
        with _limited_threads(plan.threads) if are_rationed() else contextlib.nullcontext():
            for job in jobs:
                perform(job, report)


@contextlib.contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Let libraries take fewer threads than the cores they see, where not all of these may run at once."""
    with environment_variables(dict.fromkeys(THREADS, str(threads))):  # read as libraries load
        if "torch" not in sys.modules:
            yield
            return
        from caw.parallel import limited

        with limited(threads):
            yield


@dataclass
class _Worker:
    """A process, and our end of the pipe to it."""

    process: BaseProcess
    pipe: Connection
    record: JobRecord | None = None  # of the job that it has


class _JobRunner:
    """Does all jobs with some workers."""

    def __init__(self, workers: list[_Worker], jobs: Sequence[Job], report: Report):
        self.workers, self.report = workers, report
        self.waiting = deque(map(JobRecord, jobs))

    def run(self) -> None:
        while self.waiting or any(worker.record for worker in self.workers):
            for worker in self.workers:
                if worker.record is None and self.waiting:
                    self._start(worker, self.waiting.popleft())
            busy = {worker.pipe: worker for worker in self.workers if worker.record}
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                try:
                    event = pipe.recv()
                except (EOFError, OSError):  # its end was closed with the process
                    self._replace(worker)
                else:
                    self._receive(worker, event)

    def _start(self, worker: _Worker, record: JobRecord) -> None:
        worker.record = record
        with contextlib.suppress(OSError):  # it died while idle, which the end of its pipe shows
            worker.pipe.send(record.remaining())

    def _receive(self, worker: _Worker, event: Event) -> None:
        worker.record.note(event)
        if isinstance(event, Ended):
            worker.record = None
        self.report(event)

    def _replace(self, worker: _Worker) -> None:
        """Put a new process in the place of a dead one; its job waits again where something is left of it."""
        record, worker.record = worker.record, None
        worker.process.join(_PATIENCE)
        worker.process.kill()  # one that closed its pipe and hangs
        worker.process.join()
        why = f"its worker ended with {_in_words(worker.process.exitcode)}"
        with _deferred_signals():
            fresh = _start_worker(threads_each(len(self.workers)))
            worker.process, worker.pipe = fresh.process, fresh.pipe
        events = record.lose(why, "; is there too little memory? Try --workers 1")
        if not isinstance(events[-1], Ended):
            self.waiting.appendleft(record)
        for event in events:
            self.report(event)


@contextlib.contextmanager
def _started_workers(workers: int, threads: int) -> Iterator[list[_Worker]]:
    """Workers that end with this block, after they were asked to, so that trainings write a checkpoint."""
    started: list[_Worker] = []
    try:
        for _ in range(workers):
            with _deferred_signals():  # until it is among those that are ended
                started.append(_start_worker(threads))
        yield started
    finally:
        for worker in started:
            worker.process.terminate()
        for worker in started:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()


@contextlib.contextmanager
def _deferred_signals() -> Iterator[None]:
    """Put off Ctrl-C and its like until this block ends. A process that is started inside does not get them
    before it unblocks them itself."""
    resource_tracker.ensure_running()  # otherwise started with the first worker, and would lift the block
    missed: list[int] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _ENDING_SIGNALS if in_main_thread}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:  # handlers run in this thread, whichever thread the system notifies
        signal.signal(number, lambda number, _: missed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)  # which the process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if missed:
        signal.raise_signal(missed[0])


def _start_worker(threads: int) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_serve, args=(theirs,), daemon=False)
    # Ctrl-C reaches the whole group, and must not reach a worker before it can ignore it
    with _deferred_signals(), environment_variables(dict.fromkeys(THREADS, str(threads))):
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection) -> None:
    """What a worker does. It ignores Ctrl-C and a closed terminal: the builder asks it to end, by SIGTERM."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_builder, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING_SIGNALS)
        while True:
            job, places = pipe.recv()
            perform(job, pipe.send, places)
    except (EOFError, BrokenPipeError, ConnectionError, KeyboardInterrupt):
        pass


def _interrupt(*_: object) -> None:
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
