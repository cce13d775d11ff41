"""The same small work on many blocks, by threads: torch's own gain nothing on operations this small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch


def each(work: Callable[[Any], Any], items: Iterable[Any], device: torch.device) -> list[Any]:
    """work(item) of every item, in their order, without gradients; side by side on a CPU."""

    def one(item: Any) -> Any:
        with torch.inference_mode():  # a property of the thread
            return work(item)

    workers = torch.get_num_threads() if device.type == "cpu" else 1
    return list((_pool(workers).map if workers > 1 else map)(one, items))


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that each use one thread of torch's."""
    pool = ThreadPoolExecutor(workers, "caw-draw", initializer=_begin)
    barrier = threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(barrier.wait)
    barrier.wait()
    torch.set_num_threads(workers)  # what the threads set for themselves is also the caller's
    return pool


def _begin() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a thread's own; numbers that small cost many times as much
