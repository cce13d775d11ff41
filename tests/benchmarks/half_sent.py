"""Connections that are held open against the server, from this machine, while a listener takes the study.

    python -m tests.benchmarks.half_sent [--heads 1100] [--bodies 200] [--readers 50] [--descriptors 1024]

Heads are sent half and never ended, bodies a byte at a time, clips of 2 MB are asked for by a listener's
own cookie and never read. The server starts with `--descriptors` as its soft limit of open files (`--hard`:
as the hard one, too). Exit code 1 where the listener does not finish within `--seconds`, the log grows by
more than 100 lines, or descriptors stay taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from study.folder import StudyFolder
from study.store.store import Store
from tests.benchmarks.served_study import Server, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener
from tests.free_ports import free_port

MOST_LINES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=1100)
    parser.add_argument("--bodies", type=int, default=200)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--descriptors", type=int, default=1024)
    parser.add_argument("--hard", action="store_true", help="the server cannot raise its limit")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the listener may take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder, tokens, _ = study_with(Path(home) / "study", 2, None, fakes=3, seconds=60.0)
        server = Server(folder, free_port())
        with limited(options.descriptors, hard=options.hard):
            server.launch()
        try:
            server.wait()
            met = asyncio.run(attack(server, tokens, options))
        finally:
            server.kill()
    print("all promises kept" if met else "A PROMISE IS MISSED")
    sys.exit(not met)


@contextlib.contextmanager
def limited(descriptors: int, *, hard: bool):
    """What is started meanwhile has so many descriptors; this process has all that it may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))


async def attack(server: Server, tokens: list[str], options: argparse.Namespace) -> bool:
    if options.hard:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (options.descriptors,) * 2)
    calm, lines = descriptors(server), len(server.log.read_text().splitlines())
    notes = Notes()
    listener = SocketListener(server.base, tokens[0], notes, think=0.5, seed=1)
    clip = await a_clip(server, tokens[1])
    held: list[socket.socket] = []
    flood = asyncio.create_task(asyncio.to_thread(hold, server, clip, options, held))
    peak, began = 0, time.monotonic()
    taking = asyncio.create_task(asyncio.wait_for(listener.run(), options.seconds))
    while not taking.done():
        peak = max(peak, descriptors(server))
        await asyncio.sleep(0.2)
    finished = not taking.exception()
    seconds = time.monotonic() - began
    with contextlib.suppress(Exception):
        await flood
    left = descriptors(server)
    until = time.monotonic() + 90
    while left > calm + 60 and time.monotonic() < until:  # the attacker still holds its ends
        await asyncio.sleep(0.5)
        left = descriptors(server)
    text = server.log.read_text()
    added = len(text.splitlines()) - lines
    for line in held:
        line.close()
    rerun = 1000 * np.quantile(notes.reruns, (0.5, 0.95)) if notes.reruns else (np.nan, np.nan)
    print(f"{options.heads} half-sent heads, {options.bodies} slow bodies, {options.readers} slow readers")
    print(f"listener: {'finished' if finished else 'DID NOT FINISH'} in {seconds:.0f} s, ", end="")
    print(f"{notes.reconnects.total()} reconnects, rerun p50 {rerun[0]:.0f} ms, p95 {rerun[1]:.0f} ms")
    print(f"descriptors: {calm} before, {peak} at most, {left} while the attacker still holds its ends")
    print(f"log: {added} lines, {len(text)} bytes, {text.count('Traceback')} tracebacks")
    if added:
        print("    " + "\n    ".join(text.splitlines()[lines:][:12]))
    return finished and added <= MOST_LINES and left <= calm + 60


async def a_clip(server: Server, token: str) -> str:
    """A request for a clip, by the listener whose it is."""
    listener = SocketListener(server.base, token, Notes(), think=0, seed=1)
    async with httpx.AsyncClient(base_url=server.base, timeout=60) as listener.http:
        await listener.enter()
    store = Store(StudyFolder(server.folder).database_url())
    key = store.show(store.find(token).id, 0).play_key
    store.close()
    return f"GET /clip/{key} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {listener.cookie}\r\n\r\n"


def hold(server: Server, clip: str, options: argparse.Namespace, held: list[socket.socket]) -> None:
    """Opens all that is to be held. A connection that the server ends is opened again, three times each."""
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: a="
    body = f"POST /heard/x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 5000\r\n\r\n{{"
    sent = [head] * options.heads + [body] * options.bodies + [clip * 20] * options.readers
    for _ in range(3):
        for text in sent:
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(2)
            with contextlib.suppress(OSError):
                line.connect(("127.0.0.1", server.port))
                line.sendall(text.encode())
            held.append(line)
        time.sleep(3)
        for line in held[-len(sent) :]:
            with contextlib.suppress(OSError):
                line.sendall(b"x")


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


if __name__ == "__main__":
    main()
