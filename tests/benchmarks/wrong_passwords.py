"""Wrong passwords from many addresses of this machine, while a listener answers and the researcher logs in.

    python -m tests.benchmarks.wrong_passwords [--addresses 60] [--seconds 40]

Each address (127.0.0.x) guesses as fast as it is answered. Then the right password comes from another address
until it gets in. Exit code 1 where that takes over a minute, or the listener loses a line or does not finish.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from pathlib import Path

import numpy as np

from study import design, password
from study.folder import StudyFolder
from tests.benchmarks.served_study import Server, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener
from tests.free_ports import free_port

GOOD = "four plain words here"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--addresses", type=int, default=60, help="at most 200")
    parser.add_argument("--seconds", type=float, default=40.0, help="before the right password comes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder, tokens, _ = study_with(Path(home) / "study", 1, None, fakes=3)
        design.write_password(StudyFolder(folder).toml, password.hashed(GOOD))
        with Server(folder, free_port()) as server:
            met = attack(server, tokens[0], options)
    print("all promises kept" if met else "A PROMISE IS MISSED")
    sys.exit(not met)


def attack(server: Server, token: str, options: argparse.Namespace) -> bool:
    statuses: Counter[int] = Counter()
    over = threading.Event()
    guessers = [
        threading.Thread(target=guess, args=(server, f"127.0.0.{at + 20}", statuses, over))
        for at in range(min(options.addresses, 200))
    ]
    notes = Notes()
    listener = threading.Thread(target=listen, args=(server, token, notes), daemon=True)
    for thread in [*guessers, listener]:
        thread.start()
    time.sleep(options.seconds)
    before, began = dict(statuses), time.monotonic()
    while (status := log_in(server, "127.0.0.1", GOOD)) != 303 and time.monotonic() - began < 90:
        time.sleep(1)
    seconds = time.monotonic() - began
    over.set()
    for thread in guessers:
        thread.join(60)
    listener.join(120)
    rerun = 1000 * np.quantile(notes.reruns, (0.5, 0.95))
    lines = server.log.read_text().splitlines()
    print(f"{len(guessers)} addresses, answers in {options.seconds:g} s: {before}")
    print(f"right password from another address: {status} after {seconds:.1f} s")
    print(f"listener: {len(notes.finished)} finished, {notes.reconnects.total()} reconnects, ", end="")
    print(f"rerun p50 {rerun[0]:.0f} ms, p95 {rerun[1]:.0f} ms; log: {len(lines)} lines")
    return status == 303 and seconds <= 60 and bool(notes.finished) and not notes.reconnects


def listen(server: Server, token: str, notes: Notes) -> None:
    asyncio.run(SocketListener(server.base, token, notes, think=0.5, seed=1).run())


def guess(server: Server, source: str, statuses: Counter[int], over: threading.Event) -> None:
    while not over.is_set():
        statuses[log_in(server, source, "wrong words here")] += 1
        over.wait(0.2)


def log_in(server: Server, source: str, given: str) -> int:
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90, source_address=(source, 0))
    fields = urllib.parse.urlencode({"name": "Ida", "password": given})
    headers = {"Origin": server.base, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        line.request("POST", "/login", fields, headers)
        return line.getresponse().status
    except OSError:
        return 0
    finally:
        line.close()


if __name__ == "__main__":
    main()
