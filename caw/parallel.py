"""Training steps of several scales at the same time, as one stream of events."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from caw.threads import limited


@dataclass
class Job:
    """One scale's training. The lock is held during a step, so that a checkpoint falls between steps."""

    index: int
    epochs: int
    epoch: int  # steps done
    make: Callable[[], Any]  # gives its trainer
    trainer: Any = None  # until the scale is in its file
    scale: Any = None  # once finished
    state: dict[str, Any] | None = None  # of its trainer before that is made, and, for a trunk, at its end
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Step:
    """Something a job did: a step with its losses, or, where there are none, its end."""

    job: Job
    epoch: int
    losses: dict[str, float] | None

    @property
    def finished(self) -> bool:
        return self.losses is None


class Stream:
    """The steps of all jobs, in the order they happen.

    A free worker takes the job that is furthest behind for one step, so that all of them end together. A
    job's result depends on its own steps alone, whichever threads take them.
    """

    def __init__(self, jobs: list[Job], scales: list[Any], workers: int, device: torch.device) -> None:
        self.jobs = jobs
        self.scales = scales
        self.workers = workers
        self.device = device
        self.stop = threading.Event()
        self.events: queue.SimpleQueue[Step | Exception] = queue.SimpleQueue()
        self.free = threading.Condition()
        self.waiting = list(jobs)  # not finished and not in a step
        self.left = len(jobs)
        self.threads: list[threading.Thread] = []

    def __iter__(self) -> Iterator[Step]:
        if self.workers <= 1:
            for job in self.jobs:
                job.trainer = job.make()
                while job.scale is None:
                    yield self._step(job)
            return
        for job in self.jobs:  # here, one after the other: the weights' seeds are torch's global ones
            job.trainer = job.make()
        share = torch.get_num_threads()
        self.threads = [
            threading.Thread(target=self._work, args=(share,), daemon=True) for _ in range(self.workers)
        ]
        for thread in self.threads:
            thread.start()
        left = len(self.jobs)
        while left:
            event = self.events.get()
            if isinstance(event, Exception):
                raise event
            left -= event.finished
            yield event

    @contextlib.contextmanager
    def paused(self) -> Iterator[list[Step]]:
        """No job is within a step; gives the steps done and not told of yet."""
        with contextlib.ExitStack() as held:
            for job in self.jobs:
                held.enter_context(job.lock)
            pending, others = [], []
            while not self.events.empty():
                event = self.events.get()
                known = isinstance(event, Step) and not event.finished
                (pending if known else others).append(event)
            for event in others:
                self.events.put(event)
            yield pending

    def close(self) -> None:
        """Stop after the steps under way."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _work(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # a property of the thread
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        try:
            with torch.cuda.stream(stream):
                while (job := self._take()) is not None:
                    self._step(job)
                    self._give(job)
        except Exception as error:  # told to the loop, which raises it
            self.stop.set()
            self.events.put(error)
        with self.free:
            self.free.notify_all()

    def _take(self) -> Job | None:
        with self.free:
            while not self.stop.is_set() and self.left:
                if self.waiting:
                    job = min(self.waiting, key=lambda job: job.epoch)
                    self.waiting.remove(job)
                    return job
                self.free.wait(0.5)
        return None

    def _give(self, job: Job) -> None:
        with self.free:
            if job.scale is None:
                self.waiting.append(job)
            else:
                self.left -= 1
            self.free.notify()

    def _step(self, job: Job) -> Step:
        """One step of the job, or its end."""
        with job.lock:
            if job.epoch < job.epochs:
                losses = job.trainer.step(job.epoch)
                job.epoch += 1
                step = Step(job, job.epoch, losses)
            else:
                job.scale = self.scales[job.index] = job.trainer.finish()
                step = Step(job, job.epoch, None)
            if self.threads:
                self.events.put(step)
        return step


@contextlib.contextmanager
def steps(jobs: list[Job], scales: list[Any], workers: int, device: torch.device) -> Iterator[Stream]:
    """The jobs' steps by so many threads at once; one works in the caller's thread, in the jobs' order.

    scales: where finished scales are put, by index. Leaving the block stops the threads.
    """
    stream = Stream(jobs, scales, workers, device)
    try:
        yield stream
    finally:
        stream.close()


@contextlib.contextmanager
def divided(workers: int) -> Iterator[None]:
    """torch's threads are shared out: what runs inside, caller and workers alike, has each an equal part.

    Sums depend on how many threads form them: so one worker with one thread gives what two with one each do.
    Denormal numbers, which cost a CPU up to a factor of ten and mean nothing here, are taken for zero.
    """
    with limited(max(1, torch.get_num_threads() // workers)):
        yield
