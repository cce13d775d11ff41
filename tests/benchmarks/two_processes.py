"""Two servers on one PostgreSQL database behind a round-robin proxy: listeners finish, nothing is lost.

    python -m tests.benchmarks.two_processes [--listeners 30] [--sticky] [--kills 0] [--port 8746]

The proxy is in this file. It hands connection after connection to the two servers in turn, so that the pages,
clips, reports and sockets of one listener fall on both; with --sticky all connections of a listener's cookie
go to one. It also cuts a connection now and then (--cut), so that sockets come back on the other server.
Exit code 1 where an acknowledged answer is lost or doubled, or a listener did not finish.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from tests.benchmarks import promises
from tests.benchmarks.served_study import Server, database, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener

_COOKIE = re.compile(rb"^cookie:.*?listener_\w+=(\w+)", re.IGNORECASE | re.MULTILINE)
_HEAD = 65_536  # bytes of a request's head, at most


class Proxy:
    """A TCP proxy in front of servers on 127.0.0.1; it reads no further than the first request's head."""

    def __init__(self, ports: list[int], *, sticky: bool, cut: float = 0.0, seed: int = 1) -> None:
        self.ports, self.sticky, self.cut = ports, sticky, cut
        self.dice = random.Random(seed)
        self.turn = 0
        self.handed: Counter[int] = Counter()  # port -> connections
        self.visited: dict[bytes, set[int]] = {}  # listener's cookie -> ports its sockets and posts went to
        self.server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        self.server = await asyncio.start_server(self._handle, "127.0.0.1", port, limit=_HEAD)

    async def stop(self) -> None:
        self.server.close()

    def choose(self, head: bytes) -> int:
        """The port of the server that gets a connection whose first request has this head."""
        cookie = _COOKIE.search(head)
        if self.sticky and cookie:
            port = self.ports[zlib.crc32(cookie.group(1)) % len(self.ports)]
        else:
            port = self.ports[self.turn % len(self.ports)]
            self.turn += 1
        self.handed[port] += 1
        if cookie:
            self.visited.setdefault(cookie.group(1), set()).add(port)
        return port

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            head = await reader.readuntil(b"\r\n\r\n")
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.choose(head))
            inner.write(head)
            ways = [
                asyncio.create_task(_pump(reader, inner)),
                asyncio.create_task(_pump(inner_reader, writer)),
            ]
            life = self.dice.expovariate(1 / self.cut) if self.cut else None
            await asyncio.wait(ways, timeout=life, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            inner.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=30)
    parser.add_argument("--think", type=float, default=0.5, help="mean seconds between two messages")
    parser.add_argument("--fakes", type=int, default=2, help="of each of the two sets, beside one original")
    parser.add_argument(
        "--cut", type=float, default=15.0, help="mean seconds a connection lives; 0: for ever"
    )
    parser.add_argument("--kills", type=int, default=0, help="kill -9 of either server, in turn")
    parser.add_argument("--sticky", action="store_true")
    parser.add_argument("--port", type=int, default=8746, help="the proxy's; the servers take the next two")
    options = parser.parse_args()
    began = time.monotonic()
    found, notes, proxy = attempt(**vars(options))
    on_both = sum(len(ports) > 1 for ports in proxy.visited.values())
    print(
        f"{'sticky' if options.sticky else 'round robin'}: {dict(proxy.handed)} connections by server", end=""
    )
    print(f", {on_both} of {len(proxy.visited)} listeners on both, ", end="")
    print(f"{sum(notes.reconnects.values())} lost connections, {time.monotonic() - began:.0f} s")
    print(f"{len(notes.finished)} listeners finished; {found}")
    sys.exit(not found.kept)


def attempt(
    *,
    listeners: int,
    port: int,
    sticky: bool,
    think: float = 0.5,
    fakes: int = 1,
    cut: float = 0.0,
    kills: int = 0,
    patience: float = 600.0,
) -> tuple[promises.Found, Notes, Proxy]:
    """Has all listeners take the study through the proxy. think, cut, patience: s."""
    with tempfile.TemporaryDirectory() as home, database(postgres=True) as url:
        folder, tokens, url = study_with(Path(home) / "study", listeners, url, fakes=fakes)
        notes = Notes()
        proxy = Proxy([port + 1, port + 2], sticky=sticky, cut=cut)
        with Server(folder, port + 1, url) as first, Server(folder, port + 2, url) as second:

            async def scene() -> None:
                await proxy.start(port)
                people = [
                    SocketListener(f"http://127.0.0.1:{port}", token, notes, think=think, seed=number).run()
                    for number, token in enumerate(tokens)
                ]
                taking = asyncio.gather(*people)
                for number in range(kills):
                    await asyncio.sleep(3)
                    victim = (first, second)[number % 2]
                    victim.kill()
                    await asyncio.to_thread(victim.start)
                await asyncio.wait_for(taking, patience)
                await proxy.stop()

            asyncio.run(scene())
        found = promises.look(url, set(tokens), notes.acknowledged, notes.finals)
    return found, notes, proxy


if __name__ == "__main__":
    main()
