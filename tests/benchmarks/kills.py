"""The server is killed again and again while thirty listeners answer: what was acknowledged must be there.

    python -m tests.benchmarks.kills [--kills 100] [--listeners 30] [--postgres [--database-kills 100]]

`kill -9` at random moments, and the server is started again at once; the listeners (scripts on real
websockets) come back by themselves and take the study to its end. With --database-kills PostgreSQL is killed
too: `kill -9` of the postmaster and all its children together, then started again. Afterwards the tables are
compared with what the listeners were told. Exit code 1 where an acknowledged answer is lost or doubled, or a
listener did not finish.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import promises
from tests.benchmarks.served_study import Server, database, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener


@dataclass
class Outcome:
    found: promises.Found
    notes: Notes
    kills: int
    database_kills: int
    seconds: float
    answering: list[int]  # listeners who had not finished yet, at each kill

    def __str__(self) -> str:
        lost = sum(self.notes.reconnects.values())
        return (
            f"{self.kills} kills of the server, {self.database_kills} of PostgreSQL, {self.seconds:.0f} s, "
            f"{min(self.answering, default=0)} listeners or more still answering at each;\n"
            f"{len(self.notes.finished)} listeners finished, {lost} attempts to connect again\n{self.found}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database-kills", type=int, default=0)
    parser.add_argument("--listeners", type=int, default=30)
    parser.add_argument("--fakes", type=int, default=8, help="of each of the two sets, beside one original")
    parser.add_argument("--think", type=float, default=0.5, help="mean seconds between two messages")
    parser.add_argument("--every", type=float, default=2.0, help="mean seconds up before a kill")
    parser.add_argument("--port", type=int, default=8742)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.database_kills and not options.postgres:
        parser.error("--database-kills needs --postgres")
    outcome = attempt(**vars(options))
    print(outcome)
    sys.exit(not outcome.found.kept)


def attempt(
    *,
    kills: int,
    listeners: int,
    port: int,
    postgres: bool = False,
    database_kills: int = 0,
    fakes: int = 1,
    think: float = 0.5,
    every: float = 2.0,
    seed: int = 1,
    patience: float = 600.0,
) -> Outcome:
    """Kills as asked, and looks. think, every: s; patience: s to finish after the last kill."""
    running: list[Any] = []
    with (
        tempfile.TemporaryDirectory() as home,
        database(postgres=postgres, running=running) as url,
    ):
        folder, tokens, url = study_with(Path(home) / "study", listeners, url, fakes=fakes)
        notes, dice, answering = Notes(), random.Random(seed), []
        victims = ["server"] * kills + ["database"] * database_kills
        dice.shuffle(victims)
        began = time.monotonic()
        with Server(folder, port, url if postgres else None) as server:

            async def scene() -> None:
                people = [
                    asyncio.create_task(
                        SocketListener(server.base, token, notes, think=think, seed=number).run()
                    )
                    for number, token in enumerate(tokens)
                ]
                for victim in victims:
                    await asyncio.sleep(dice.uniform(0.2, 2 * every - 0.2))
                    answering.append(sum(not person.done() for person in people))
                    await asyncio.to_thread(_kill, victim, server, running)
                    if any(person.done() and person.exception() for person in people):
                        break
                await asyncio.wait_for(asyncio.gather(*people), patience)

            asyncio.run(scene())
        seconds = time.monotonic() - began
        found = promises.look(url, set(tokens), notes.acknowledged, notes.finals)
    return Outcome(found, notes, kills, database_kills, seconds, answering)


def _kill(victim: str, server: Server, running: list[Any]) -> None:
    if victim == "database":
        running[0].kill()
        running[0].start()
        return
    server.kill()
    deadline = time.monotonic() + 180
    while True:  # it refuses to start while PostgreSQL recovers, and whoever watches over it starts it again
        try:
            server.start()
            return
        except RuntimeError:
            if not running or time.monotonic() > deadline:
                raise


if __name__ == "__main__":
    main()
