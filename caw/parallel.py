"""Work by several threads: the steps of a training's scales, and the blocks of a draw.

torch's own threads gain nothing on operations as small as those of these models. So whole steps, or whole
blocks, are given to threads that use one thread of torch's each. Within `drawing` the result is the same for
any number of threads to the last bit, so that samples do not depend on how many cores a machine has.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

_drawing = threading.local()  # its `workers`: how many threads a drawing thread may use


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let torch use this many threads within the block, and take denormal numbers for zero.

    Denormal numbers cost a CPU up to ten times as much as others and mean nothing here.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


@contextlib.contextmanager
def divided(workers: int) -> Iterator[None]:
    """Share torch's threads among so many workers within the block, the caller included.

    Sums depend on how many threads form them. As each worker has the same share, one worker with one thread
    gives the same weights as two workers with one thread each.
    """
    with limited(max(1, torch.get_num_threads() // workers)):
        yield


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Do everything but the blocks of `map_blocks` with one thread within the block."""
    _drawing.workers = torch.get_num_threads()
    try:
        with limited(1):
            yield
    finally:
        del _drawing.workers


def map_blocks(work: Callable[[Any], Any], blocks: Iterable[Any], device: torch.device) -> list[Any]:
    """work(block) of every block, in their order, without gradients; side by side on a CPU."""

    def without_gradients(block: Any) -> Any:
        with torch.inference_mode():  # holds for one thread only
            return work(block)

    workers = getattr(_drawing, "workers", torch.get_num_threads()) if device.type == "cpu" else 1
    return list((_pool(workers).map if workers > 1 else map)(without_gradients, blocks))


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that use one thread of torch's each."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "caw-draw", initializer=_use_one_thread)
    barrier = threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(barrier.wait)
    barrier.wait()
    torch.set_num_threads(before)  # what the threads set for themselves also holds for the caller
    return pool


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # holds for one thread only


@dataclass
class ScaleTraining:
    """The training of one scale. The lock is held during a step, so that a checkpoint falls between steps."""

    index: int
    epochs: int
    epoch: int  # steps done
    make: Callable[[], Any]  # makes the trainer
    trainer: Any = None  # until the scale is written to its file
    scale: Any = None  # once finished
    state: dict[str, Any] | None = None  # of the trainer before it is made and, where shared, at its end
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class TrainingStep:
    """A step of one scale's training with its losses, or, where these are None, the end of the training."""

    training: ScaleTraining
    epoch: int
    losses: dict[str, float] | None

    @property
    def finished(self) -> bool:
        return self.losses is None


class Steps:
    """The steps of all trainings in the order in which they happen, as an iterator.

    A free worker takes one step of the training that is furthest behind, so that all of them end together. A
    training's result depends on its own steps alone, whichever threads take them.
    """

    def __init__(
        self, trainings: list[ScaleTraining], scales: list[Any], workers: int, device: torch.device
    ) -> None:
        self.trainings = trainings
        self.scales = scales
        self.workers = workers
        self.device = device
        self.threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[TrainingStep | Exception] = queue.SimpleQueue()
        self._free = threading.Condition()
        self._waiting = list(trainings)  # neither finished nor within a step
        self._unfinished = len(trainings)

    def __iter__(self) -> Iterator[TrainingStep]:
        if self.workers <= 1:
            for training in self.trainings:
                training.trainer = training.make()
                while training.scale is None:
                    yield self._step(training)
            return
        for training in self.trainings:  # one after another: the weights come from torch's global generator
            training.trainer = training.make()
        share = torch.get_num_threads()
        self.threads = [
            threading.Thread(target=self._work, args=(share,), daemon=True) for _ in range(self.workers)
        ]
        for thread in self.threads:
            thread.start()
        unfinished = len(self.trainings)
        while unfinished:
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            unfinished -= event.finished
            yield event

    @contextlib.contextmanager
    def paused(self) -> Iterator[list[TrainingStep]]:
        """Keep all trainings between two steps within the block; gives the steps not yet iterated over."""
        with contextlib.ExitStack() as locks:
            for training in self.trainings:
                locks.enter_context(training.lock)
            pending, others = [], []
            while not self._events.empty():
                event = self._events.get()
                is_step = isinstance(event, TrainingStep) and not event.finished
                (pending if is_step else others).append(event)
            for event in others:
                self._events.put(event)
            yield pending

    def close(self) -> None:
        """Stop after the steps under way."""
        self._stop.set()
        for thread in self.threads:
            thread.join()

    def _work(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # holds for one thread only
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        try:
            with torch.cuda.stream(stream):
                while (training := self._take()) is not None:
                    self._step(training)
                    self._give_back(training)
        except Exception as error:  # raised again by the loop over the steps
            self._stop.set()
            self._events.put(error)
        with self._free:
            self._free.notify_all()

    def _take(self) -> ScaleTraining | None:
        with self._free:
            while not self._stop.is_set() and self._unfinished:
                if self._waiting:
                    training = min(self._waiting, key=lambda training: training.epoch)
                    self._waiting.remove(training)
                    return training
                self._free.wait(0.5)
        return None

    def _give_back(self, training: ScaleTraining) -> None:
        with self._free:
            if training.scale is None:
                self._waiting.append(training)
            else:
                self._unfinished -= 1
            self._free.notify()

    def _step(self, training: ScaleTraining) -> TrainingStep:
        """Take one step of the training, or finish it."""
        with training.lock:
            if training.epoch < training.epochs:
                losses = training.trainer.step(training.epoch)
                training.epoch += 1
                step = TrainingStep(training, training.epoch, losses)
            else:
                training.scale = self.scales[training.index] = training.trainer.finish()
                step = TrainingStep(training, training.epoch, None)
            if self.threads:
                self._events.put(step)
        return step


@contextlib.contextmanager
def steps(
    trainings: list[ScaleTraining], scales: list[Any], workers: int, device: torch.device
) -> Iterator[Steps]:
    """The steps of trainings by so many threads at once; leaving the block stops the threads.

    One worker works in the caller's thread and trains one scale after another. Finished scales are put into
    `scales` at their index.
    """
    stream = Steps(trainings, scales, workers, device)
    try:
        yield stream
    finally:
        stream.close()
