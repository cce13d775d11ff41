"""Two hundred listeners open the link at once, forty of them twice; some take the study; then a flood.

    python -m tests.benchmarks.open_link [--people 200] [--takers 6] [--quota 4] [--flood 1000] [--port 8760]

The server is a process of its own with a quota and own codes. It measures how long the link takes to open,
whether anybody came in twice, whether as many completed as there are places, whether each of them saw the
right code and the others that for a full study, and how long the pages of somebody else take meanwhile.
Exit code 1 where something of that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.benchmarks.served_study import Server, database, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener

TABLE = '\n[open_link]\nquota = {quota}\ncodes = "own"\ncompleted = "DONE"\nover_quota = "FULL"\n'
LOST: list[float] = []  # after how many seconds a connection was lost


class Recruit(SocketListener):
    """A listener who has come by the open link and has the cookie already."""

    async def look_again(self, socket: Any, why: str) -> bool:
        """A page with a code and no button is the last one."""
        return False if self.codes() else await super().look_again(socket, why)

    def codes(self) -> list[str]:
        """The completion codes on the page."""
        return [data["code"] for name, data in self.shown.components.values() if name == "completion_code"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--takers", type=int, default=6, help="of them, how many take the whole study")
    parser.add_argument("--quota", type=int, default=4)
    parser.add_argument("--flood", type=int, default=1000, help="made-up ids from one address")
    parser.add_argument("--port", type=int, default=8760)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, database(postgres=options.postgres) as url:
        folder, tokens, url = study_with(Path(home) / "study", 1, url)
        with (folder / "study.toml").open("a") as toml:
            toml.write(TABLE.format(quota=options.quota))
        with Server(folder, options.port, url) as server:
            kept = asyncio.run(attempt(server.base, folder, url, tokens[0], options))
    print("all as it should be" if kept else "SOMETHING IS NOT AS IT SHOULD BE")
    sys.exit(not kept)


async def attempt(base: str, folder: Path, url: str, token: str, options: argparse.Namespace) -> bool:
    """All of it, on a server at `base`. Returns whether nothing went wrong."""
    from study import design
    from study.folder import StudyFolder
    from study.server import open_link
    from study.store import recruits
    from study.store.store import Store

    study, settings = StudyFolder(folder), design.load(folder).open_link

    def address(person: str) -> str:
        ids = {"PROLIFIC_PID": person, "STUDY_ID": "s", "SESSION_ID": f"of-{person}"}
        return open_link.personal(base, study, settings, ids)

    notes, limits = Notes(), httpx.Limits(max_connections=100)
    served = asyncio.create_task(_stay(base, token, notes))
    people = [f"person{number:04d}" for number in range(options.people)]
    again = people[:40]  # as where a browser loads the page again; an address has 250 visits at once
    async with httpx.AsyncClient(timeout=120, limits=limits) as http:
        began = time.monotonic()
        joined = await asyncio.gather(*(_join(http, address(person)) for person in people + again))
        took = time.monotonic() - began
    cookies = {person: cookie for person, (_, cookie, _) in zip(people, joined, strict=False)}
    store = Store(url)
    rows = [row for row in recruits.everybody(store.engine) if row["ids"]]
    doubled = len(rows) - len({row["ids"]["PROLIFIC_PID"] for row in rows})
    same = [one[1] for one in joined[: len(again)]] == [one[1] for one in joined[len(people) :]]
    statuses = Counter(status for status, _, _ in joined)
    print(f"{len(LOST)} connections lost; ", end="")
    print(f"{len(joined)} visits of {len(people)} ids at once in {took:.1f} s: {dict(statuses)}, ", end="")
    print(f"{_milliseconds([seconds for _, _, seconds in joined])}; {len(rows)} listeners, {doubled} doubled")

    takers = []
    for number, person in enumerate(people[: options.takers]):
        one = Recruit(base, person, Notes(), think=0.2, seed=number)
        one.cookie = cookies[person]
        takers.append(one)
    await asyncio.gather(*(one.run() for one in takers))
    seen = {one.token: one.codes() for one in takers}
    ends = {row["ids"]["PROLIFIC_PID"]: row["outcome"] for row in recruits.everybody(store.engine)}
    right = {
        person: [open_link.code(settings, study, ends[person], person)] if ends[person] else None
        for person in seen
    }
    counts = Counter(ends[person] for person in seen)
    print(f"{len(takers)} took the study, {options.quota} places: {dict(counts)}, ", end="")
    print(f"right codes: {sum(seen[person] == right[person] for person in seen)}")

    before = len(notes.reruns)
    async with httpx.AsyncClient(timeout=120, limits=limits) as http:
        flood = await asyncio.gather(*(_join(http, address(f"made-up{n}")) for n in range(options.flood)))
    during = notes.reruns[before:]
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)
    statuses = Counter(status for status, _, _ in flood)
    store.close()
    print(f"flood of {options.flood}: {dict(statuses)}; pages of another listener meanwhile: ", end="")
    print(f"{len(during)}, {_milliseconds(during)}; without: {_milliseconds(notes.reruns[:before])}")
    full = min(options.quota, options.takers)
    kept = [doubled == 0, same, len(rows) == len(people), seen == right, counts["completed"] == full]
    kept += [sum(counts.values()) == counts["completed"] + counts["over quota"], len(during) > 0]
    return all(kept)


async def _join(http: httpx.AsyncClient, address: str) -> tuple[int, str, float]:
    """Status, cookie and seconds of one visit; a lost connection is opened again, as browsers do."""
    began = time.monotonic()
    while True:
        try:
            answer = await http.get(address)
            break
        except httpx.TransportError:
            LOST.append(time.monotonic() - began)
    cookie = answer.headers.get("set-cookie", "").split(";")[0]
    http.cookies.clear()
    return answer.status_code, cookie, time.monotonic() - began


async def _stay(base: str, token: str, notes: Notes) -> None:
    """Somebody with a personal link who is at the welcome page and has it drawn again and again."""
    one = SocketListener(base, token, notes, think=0.2, seed=1)
    async with httpx.AsyncClient(base_url=base, timeout=60) as one.http:
        await one.enter()
        async with await one.dial() as socket:
            while True:
                await one.send(socket)


def _milliseconds(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95 = 1000 * np.quantile(np.array(seconds), (0.5, 0.95))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {1000 * max(seconds):.0f} ms"


if __name__ == "__main__":
    main()
