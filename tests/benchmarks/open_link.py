"""Two hundred listeners open the link at once, forty of them twice; a flood; then all take the study.

    python -m tests.benchmarks.open_link [--people 200] [--quota 150] [--at-once 20] [--flood 1000]

The server is a process of its own with a quota and own codes; the study has five clips, one for practice. All
who have joined have the page open, and --at-once of them answer at a time. Of ten listeners one goes on in
another browser midway, one opens the link a second time and goes on there, and one replays the id after the
end. Measured are how long the link takes to open, whether anybody came in twice, how long the pages of
somebody else take during the flood, whether as many completed as there are places, whose code each saw,
whether each acknowledged answer stands in the export, and whether an id stands anywhere but in its table.
Exit code 1 where something of that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np

from study import design
from study.folder import StudyFolder
from study.server import open_link
from study.store import recruits
from study.store.store import Store
from tests.benchmarks.open_link_takers import KINDS, Taker, look
from tests.benchmarks.served_study import Server, database, study_with
from tests.benchmarks.socket_listener import LOST as SOCKET_LOST
from tests.benchmarks.socket_listener import Notes, SocketListener

TABLE = '\n[open_link]\nquota = {quota}\ncodes = "own"\ncompleted = "DONE"\nover_quota = "FULL"\n'
CALM = 20  # pages drawn before the flood, to compare with
AGAIN = 40  # of those who join do so twice, as where a browser loads the page again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--quota", type=int, default=150)
    parser.add_argument("--at-once", type=int, default=20, help="how many answer at a time")
    parser.add_argument("--think", type=float, default=0.2, help="mean seconds between two messages")
    parser.add_argument("--flood", type=int, default=1000, help="made-up ids from one address; 0 for none")
    parser.add_argument("--connections", type=int, default=100, help="that the flood has open at once")
    parser.add_argument("--flood-only", action="store_true", help="nobody takes the study")
    parser.add_argument("--port", type=int, default=8760)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, database(postgres=options.postgres) as url:
        folder, tokens, url = study_with(Path(home) / "study", 1, url)
        with (folder / "study.toml").open("a") as toml:
            toml.write(TABLE.format(quota=options.quota))
        with Server(folder, options.port, url) as server:
            faults = asyncio.run(attempt(server, url, tokens[0], options))
            faults += _failures(server.log.read_text())
            print(f"server: {server.peak_megabytes():.0f} MB at most, {server.cpu_seconds():.0f} s of a core")
    for fault in faults[:20]:
        print(fault)
    print("SOMETHING IS NOT AS IT SHOULD BE" if faults else "all as it should be")
    sys.exit(bool(faults))


async def attempt(server: Server, url: str, token: str, options: argparse.Namespace) -> list[str]:
    """All of it, one after the other. Returns a line for each thing that went wrong."""
    study, settings = StudyFolder(server.folder), design.load(server.folder).open_link

    def address(person: str) -> str:
        ids = {"PROLIFIC_PID": person, "STUDY_ID": "s", "SESSION_ID": f"of-{person}"}
        return open_link.personal(server.base, study, settings, ids)

    people = [f"person{number:04d}" for number in range(options.people)]
    store = Store(url)
    try:
        cookies, faults = await _join_at_once(people, address, store)
        if options.flood:
            faults += await _flood(server, token, address, options)
        if not options.flood_only:
            faults += await _take(server, url, people, cookies, address, store, options)
    finally:
        store.close()
    return faults


async def _join_at_once(
    people: list[str], address: Callable[[str], str], store: Store
) -> tuple[dict[str, str], list[str]]:
    """Everybody comes by the link in the same moment. Returns their cookies."""
    again, lost = people[:AGAIN], []
    async with _client(100) as http:
        began = time.monotonic()
        joined = await asyncio.gather(*(_visit(http, address(one), lost) for one in people + again))
        took = time.monotonic() - began
    rows = [row for row in recruits.everybody(store.engine) if row["ids"]]
    doubled = len(rows) - len({row["ids"]["PROLIFIC_PID"] for row in rows})
    same = [one[1] for one in joined[: len(again)]] == [one[1] for one in joined[len(people) :]]
    print(f"{len(joined)} visits of {len(people)} ids at once in {took:.1f} s: {_statuses(joined)}, ", end="")
    print(f"{_milliseconds([seconds for _, _, seconds in joined])}, {len(lost)} connections lost; ", end="")
    print(f"{len(rows)} listeners, {doubled} doubled")
    faults = [] if len(rows) == len(people) and not doubled else [f"{len(rows)} listeners, {doubled} doubled"]
    faults += [] if same else ["an id that came twice got two cookies"]
    return {person: cookie for person, (_, cookie, _) in zip(people, joined, strict=False)}, faults


async def _flood(
    server: Server, token: str, address: Callable[[str], str], options: argparse.Namespace
) -> list[str]:
    """Made-up ids from one address, while somebody with a personal link has pages drawn."""
    notes, stop = Notes(), asyncio.Event()
    served = asyncio.create_task(_stay(server.base, token, notes, stop))
    await _until(lambda: len(notes.reruns) >= CALM)
    calm, before = list(notes.reruns), len(notes.reruns)
    loop, addresses = asyncio.get_running_loop(), [address(f"made-up{n}") for n in range(options.flood)]
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # a busy client must not seem a busy server
        flood, lost, took = await loop.run_in_executor(apart, _flooded, addresses, options.connections)
    during = notes.reruns[before:]
    stop.set()
    await served
    print(
        f"flood of {options.flood} in {took:.1f} s: {_statuses(flood)}, {lost} connections lost; ",
        end="",
    )
    print(f"pages of another listener meanwhile: {len(during)}, {_milliseconds(during)}; ", end="")
    print(f"before: {_milliseconds(calm)}; its socket was lost: {dict(notes.lost)}")
    print("\n".join(line for line in server.log.read_text().splitlines() if "connections" in line))
    faults = [] if during else ["no page was drawn during the flood"]
    return faults + [f"during the flood: {why}" for why in notes.lost]


def _flooded(addresses: list[str], connections: int) -> tuple[list[tuple[int, str, float]], int, float]:
    """Visits all addresses at once. Returns the visits, how many connections were lost, and the seconds."""

    async def flood() -> tuple[list[tuple[int, str, float]], int, float]:
        lost: list[float] = []
        async with _client(connections) as http:
            began = time.monotonic()
            visits = await asyncio.gather(*(_visit(http, one, lost) for one in addresses))
            return visits, len(lost), time.monotonic() - began

    return asyncio.run(flood())


async def _take(
    server: Server,
    url: str,
    people: list[str],
    cookies: dict[str, str],
    address: Callable[[str], str],
    store: Store,
    options: argparse.Namespace,
) -> list[str]:
    """All who have joined take the study, each to the end that they come to."""
    notes, turn, takers = Notes(), asyncio.Semaphore(options.at_once), []
    for number, person in enumerate(random.Random(1).sample(people, len(people))):
        token = recruits.find(store.engine, recruits.identity_of(person)).token
        more = {"think": options.think, "seed": number, "turn": turn, "kind": KINDS.get(number % 10, "")}
        takers.append(Taker(server.base, address(person), token, notes, **more))
        takers[-1].cookie = cookies[person]
    began = time.monotonic()
    await asyncio.gather(*(one.run() for one in takers))
    took = time.monotonic() - began
    outcome = look(server, url, store.engine, takers, notes, options.quota)
    kinds = Counter(one.kind or "nothing else" for one in takers)
    print(
        f"{len(takers)} took the study, {options.at_once} at a time, in {took:.0f} s: {dict(kinds)}; ", end=""
    )
    print(f"{len(notes.reruns)} messages, {_milliseconds(notes.reruns)}; {notes.clips} clips fetched")
    print(outcome)
    faults = outcome.faults + ([] if outcome.found.kept else [str(outcome.found)])
    return faults + ([] if outcome.right_codes == len(takers) else ["a code is missing or not right"])


def _failures(log: str) -> list[str]:
    """The last line of each traceback in a server's log."""
    ends = re.findall(r"^Traceback .*?^(\w[^\n]*)", log, re.MULTILINE | re.DOTALL)
    return [f"{count} x in the server's log: {line}" for line, count in Counter(ends).items()]


def _client(connections: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=connections))


async def _visit(http: httpx.AsyncClient, address: str, lost: list[float]) -> tuple[int, str, float]:
    """Status, cookie and seconds of one visit; a lost connection is opened again, as browsers do."""
    began = time.monotonic()
    while True:
        try:
            answer = await http.get(address)
            break
        except httpx.TransportError:
            lost.append(time.monotonic() - began)
    cookie = answer.headers.get("set-cookie", "").split(";")[0]
    http.cookies.clear()
    return answer.status_code, cookie, time.monotonic() - began


async def _stay(base: str, token: str, notes: Notes, stop: asyncio.Event) -> None:
    """Somebody with a personal link who has the welcome page drawn again and again, till `stop`."""
    one = SocketListener(base, token, notes, think=0.2, seed=1)
    async with httpx.AsyncClient(base_url=base, timeout=60) as one.http:
        while not stop.is_set():
            try:
                await one.enter()
                socket = await one.dial()
                try:
                    while not stop.is_set():
                        await one.send(socket)
                finally:  # and not by closing it, which waits for what nobody reads any more
                    socket.transport.abort()
            except SOCKET_LOST as error:
                notes.lost[f"{type(error).__name__}: {error}"] += 1


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.05)


def _statuses(visits: list[tuple[int, str, float]]) -> dict[int, int]:
    return dict(Counter(status for status, _, _ in visits))


def _milliseconds(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95 = 1000 * np.quantile(np.array(seconds), (0.5, 0.95))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {1000 * max(seconds):.0f} ms"


if __name__ == "__main__":
    main()
