"""The same small work on many blocks, by threads: torch's own gain nothing on operations this small.

Within `drawing`, what is done by many threads and what by one is the same for any number of them, so that
samples do not depend, in their last bits, on how many cores a machine or a worker has.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

_own = threading.local()  # how many threads a drawing thread may share its blocks among


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """torch works with so many threads in here, and takes denormal numbers for zero."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """All but the blocks of `each` is done by one thread in here; denormal numbers are taken for zero."""
    _own.workers = torch.get_num_threads()
    try:
        with limited(1):
            yield
    finally:
        del _own.workers


def each(work: Callable[[Any], Any], items: Iterable[Any], device: torch.device) -> list[Any]:
    """work(item) of every item, in their order, without gradients; side by side on a CPU."""

    def one(item: Any) -> Any:
        with torch.inference_mode():  # a property of the thread
            return work(item)

    workers = getattr(_own, "workers", torch.get_num_threads()) if device.type == "cpu" else 1
    return list((_pool(workers).map if workers > 1 else map)(one, items))


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that each use one thread of torch's."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "caw-draw", initializer=_begin)
    barrier = threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(barrier.wait)
    barrier.wait()
    torch.set_num_threads(before)  # what the threads set for themselves is also the caller's
    return pool


def _begin() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a thread's own; numbers that small cost many times as much
