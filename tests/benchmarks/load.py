"""Thirty listeners at once: how long a rerun takes, and how long until an answer is acknowledged as saved.

    python -m tests.benchmarks.load [--listeners 30] [--think 2] [--seconds 120] [--postgres] [--port 8740]

The server is a process of its own (`study serve`); the listeners are scripts on real websockets, which fetch
every clip and post the player's reports. A rerun is timed from the message to the end of its run (texts cause
two runs), a save from the message that carries a changed answer to the server's mark "Saved", both as a
browser would see them. Exit code 1 where a promise is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.benchmarks import promises
from tests.benchmarks.served_study import Server, database, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener

RERUN_P95, SAVE_P95 = 0.500, 0.150  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=30)
    parser.add_argument("--think", type=float, default=2.0, help="mean seconds between two messages")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long they answer, at most")
    parser.add_argument("--port", type=int, default=8740)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, database(postgres=options.postgres) as url:
        folder, tokens, url = study_with(Path(home) / "study", options.listeners, url, fakes=4)
        with Server(folder, options.port, url) as server:
            notes, seconds = Notes(), time.monotonic()
            asyncio.run(take(server.base, tokens, notes, options.think, options.seconds))
            seconds = time.monotonic() - seconds
            busy, peak = server.cpu_seconds(), server.peak_megabytes()
        found = promises.look(url, set(tokens), notes.acknowledged, notes.finals, all_finish=False)
    rerun, save = np.array(notes.reruns), np.array(notes.saves)
    what = "PostgreSQL" if options.postgres else "SQLite"
    print(f"{options.listeners} listeners, {options.think:g} s think time, {what}, {seconds:.0f} s, ", end="")
    print(f"{len(rerun) / seconds:.1f} messages/s, {notes.clips} clips fetched, {len(notes.reconnects)} lost")
    print(f"rerun: {_milliseconds(rerun)} (p95 promised: {1000 * RERUN_P95:.0f} ms)")
    print(f"save:  {_milliseconds(save)} (p95 promised: {1000 * SAVE_P95:.0f} ms)")
    print(f"first page on the socket: {_milliseconds(np.array(notes.connected))}")
    print(f"server: {busy / seconds:.0%} of one core, {peak:.0f} MB at most; {found}")
    met = np.quantile(rerun, 0.95) <= RERUN_P95 and np.quantile(save, 0.95) <= SAVE_P95 and found.kept
    print("all promises kept" if met else "A PROMISE IS MISSED")
    sys.exit(not met)


async def take(base: str, tokens: list[str], notes: Notes, think: float, seconds: float) -> None:
    """All listeners at once, until all have finished or the time is over."""
    people = [
        SocketListener(base, token, notes, think=think, seed=index) for index, token in enumerate(tokens)
    ]
    tasks = [asyncio.create_task(one.run()) for one in people]
    done, waiting = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()


def _milliseconds(values: np.ndarray) -> str:
    p50, p95, p99 = 1000 * np.quantile(values, (0.5, 0.95, 0.99))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, max {1000 * values.max():.0f} ms"


if __name__ == "__main__":
    main()
