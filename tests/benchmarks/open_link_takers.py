"""Listeners with ids who take a whole study by its open link, and whether nothing of it went wrong.

Some lose their page midway and come back by the link in another browser, some open the link a second time
and go on there, some replay their id after the end. All have the page open at once; so many at a time answer
as the machine can draw pages for.
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa

from study.store import recruits
from study.store.schema import listener, metadata, recruit_id, trial
from tests.benchmarks import promises
from tests.benchmarks.served_study import Server
from tests.benchmarks.socket_listener import Notes, SocketListener

RESUMES, TWICE, REPLAYS = "resumes", "opens twice", "replays"
KINDS = {3: RESUMES, 5: TWICE, 7: REPLAYS}  # one of ten each
MIDWAY = 25  # messages, of about seventy


class ElsewhereError(ConnectionError):
    """This browser is closed, and another one goes on by the link."""

    def __str__(self) -> str:
        return "left on purpose"


class Taker(SocketListener):
    """Who comes by the address of an id; the cookie of who has come already may be set.

    turn: lets so many answer at once, while all the others have the page open. kind: of `KINDS`.
    """

    def __init__(self, base: str, address: str, token: str, notes: Notes, **more: Any) -> None:
        self.kind, self.turn = more.pop("kind", ""), more.pop("turn", None) or asyncio.Semaphore(1)
        super().__init__(base, token, notes, **more)
        self.address, self.acts, self.did = address, 0, ""
        self.end: list[str] = []  # the codes on the last page
        self.faults: list[str] = []

    @property
    def person(self) -> str:
        """The id of the address."""
        return re.search(r"PROLIFIC_PID=([^&]+)", self.address)[1]

    async def enter(self) -> None:
        if not self.cookie:
            self.http.cookies.clear()  # of another browser
            answer = await visit(self.http, self.address)
            if answer.status_code != 303:
                raise RuntimeError(f"the open link was answered with {answer}")
            self.cookie = _cookie(answer)

    async def take(self, socket: Any) -> None:
        await self.send(socket)
        self.notes.connected.append(self.notes.reruns[-1])
        async with self.turn:
            while await self.act(socket):
                self.acts += 1
                if self.acts == MIDWAY and self.kind == RESUMES:
                    socket.transport.abort()
                    self.anew()
                    self.did = self.kind
                    raise ElsewhereError(self.token)
                if self.acts == MIDWAY and self.kind == TWICE:
                    await self.in_a_second_browser(socket)
                    break
            self.end = self.end or self.codes()
            self.notes.finished.add(self.token)
            if self.kind == REPLAYS:
                await self.replay()

    def anew(self) -> None:
        """Another browser knows nothing of what this one had."""
        self.cookie = self.session = ""
        self.states, self.shown, self.puzzled = {}, type(self.shown)(), 0

    async def in_a_second_browser(self, socket: Any) -> None:
        """Goes on in another browser while this page stays open, which must find that it may not write."""
        self.did, more = self.kind, {"think": self.think, "seed": self.acts}
        second = Taker(self.base, self.address, self.token, self.notes, **more)
        second.given, second.chosen, second.pressed = self.given, self.chosen, self.pressed
        self.pressed = None
        await second.run()
        self.end = second.end
        await self.send(socket)
        button = self.shown.component("next_button") or ""
        if not button.startswith("here-") or self.codes():
            self.faults.append(f"{self.token}: the older page shows {self.shown.title!r}, {button!r}")

    async def replay(self) -> None:
        """The id once more: the own browser comes back to the code, any other is refused without it."""
        self.did = self.kind
        own = await visit(self.http, self.address, self.cookie)
        self.http.cookies.clear()
        other = await visit(self.http, self.address)
        shown = [code for code in self.end if code in other.text]
        if (own.status_code, other.status_code, _cookie(other), shown) != (303, 403, "", []):
            self.faults.append(f"{self.token}: replayed with {own} and {other}, {shown}")

    async def look_again(self, socket: Any, why: str) -> bool:
        """A page with a code and no button is the last one."""
        return False if self.codes() else await super().look_again(socket, why)

    def codes(self) -> list[str]:
        """The completion codes on the page."""
        return [data["code"] for name, data in self.shown.components.values() if name == "completion_code"]


async def visit(http: httpx.AsyncClient, address: str, cookie: str = "") -> httpx.Response:
    """The answer to one visit; who is asked to wait comes again by themselves, as a browser does."""
    while True:
        answer = await http.get(address, headers={"Cookie": cookie} if cookie else {})
        if answer.status_code != 429:
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))


def _cookie(answer: httpx.Response) -> str:
    return answer.headers.get("set-cookie", "").split(";")[0]


@dataclass
class Outcome:
    """What became of all who took the study. faults: a line for each thing that is not as it should be."""

    counts: Counter = field(default_factory=Counter)
    did: Counter = field(default_factory=Counter)  # how many went another way than straight on
    right_codes: int = 0
    lost: dict[str, int] = field(default_factory=dict)  # sockets, by what their listeners were shown
    found: promises.Found = field(default_factory=promises.Found)
    exported: int = 0  # answers that were acknowledged and stand in the export
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{dict(self.counts)}; {dict(self.did)}; {self.right_codes} right codes; "
            f"sockets lost: {self.lost}; {self.exported} acknowledged answers in the export",
            str(self.found),
        ]
        return "\n".join([*lines, *(f"  {line}" for line in self.faults[:20])])


def look(
    server: Server, url: str, engine: sa.Engine, takers: Sequence[Taker], notes: Notes, quota: int
) -> Outcome:
    """Compares what the listeners were shown with the database, the commands, the export and the report."""
    people = {one["id"]: one for one in recruits.everybody(engine) if one["ids"] and not one["pilot"]}
    ended = {one["ids"]["PROLIFIC_PID"]: one for one in people.values()}
    came = [one.person for one in takers]
    outcome = Outcome(Counter(str(ended[person]["outcome"]) for person in came))
    outcome.did = Counter(one.did for one in takers if one.did)
    outcome.faults += [fault for one in takers for fault in one.faults]
    wanted = {recruits.COMPLETED: min(quota, len(takers))}
    wanted |= {recruits.OVER_QUOTA: len(takers) - quota} if len(takers) > quota else {}
    outcome.faults += [] if outcome.counts == wanted else [f"{dict(outcome.counts)} instead of {wanted}"]
    outcome.lost = dict(notes.lost)
    with engine.connect() as connection:
        token = {row.token: row for row in connection.execute(sa.select(listener))}
    done = {one for one, row in token.items() if row.id in people and row.finished_at is not None}
    outcome.found = promises.look(url, done, notes.acknowledged, notes.finals)
    _codes(server, takers, ended, outcome)
    _export(server, engine, notes, outcome)
    _ids(server, engine, list(ended), outcome)
    return outcome


def _codes(server: Server, takers: Sequence[Taker], ended: dict[str, Any], outcome: Outcome) -> None:
    """Asks `study recruits --check` whose each code is, and of one that is made up."""
    checks = [word for one in takers for code in one.end for word in ("--check", code)]
    said = server.command("recruits", server.folder, *checks).stdout
    owners = dict(re.findall(r"^(\S+): open-\d+, (.+)$", said, re.MULTILINE))
    for one in takers:
        expected = [f"{one.person}, {ended[one.person]['outcome']}"]
        if [owners.get(code) for code in one.end] == expected:
            outcome.right_codes += 1
        else:
            outcome.faults.append(f"{expected[0]}: was shown {one.end}")
    forged = server.command("recruits", server.folder, "--check", "DONE-AAAA-BBBB-CCCC")
    if forged.returncode != 1 or "nobody's" not in forged.stdout:
        outcome.faults.append(f"a forged code: {forged.stdout[-200:]}")


def _export(server: Server, engine: sa.Engine, notes: Notes, outcome: Outcome) -> None:
    """Whether each acknowledged answer stands in the file that `study export` writes."""
    file = server.folder / "answers.csv"
    ran = server.command("export", server.folder, "--out", file)
    if ran.returncode:
        outcome.faults.append(f"study export: {ran.stderr[-300:]}")
        return
    with file.open(newline="") as lines:
        key = ("listener", "set", "stimulus_id", "repetition")
        rows = {tuple(row[name] for name in key): row for row in csv.DictReader(lines)}
    query = sa.select(listener.c.token, listener.c.name, trial).join(
        trial, trial.c.listener_id == listener.c.id
    )
    with engine.connect() as connection:
        places = {
            (row.token, row.slot): (row.name, row.set_name, row.stimulus_id, str(row.repetition))
            for row in connection.execute(query.where(trial.c.part > 0))
        }
    for (token, slot, name), value in notes.acknowledged.items():
        if name == "final" or (token, slot) not in places:  # the last questions, and practice
            continue
        held = rows.get(places[token, slot], {}).get(name)
        outcome.exported += held == str(value)
        if held != str(value):
            outcome.faults.append(f"{places[token, slot]}, {name}: {value!r} is {held!r} in the export")


def _ids(server: Server, engine: sa.Engine, people: Sequence[str], outcome: Outcome) -> None:
    """Looks for ids in the report, the log, the export and every table but the one for them."""
    ran = server.command("report", server.folder, "--unfinished", "--who", "Ida")
    if ran.returncode:
        outcome.faults.append(f"study report: {ran.stderr[-300:]}")
    needle = re.compile("|".join(map(re.escape, people)).encode())
    places: list[tuple[str, bytes]] = [("what study report says", (ran.stdout + ran.stderr).encode())]
    for file in server.folder.rglob("*"):
        if file.is_file() and not file.name.startswith("responses.sqlite") and file.suffix != ".wav":
            places.append((str(file.relative_to(server.folder)), file.read_bytes()))
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table is not recruit_id:
                places.append(
                    (f"table {table.name}", repr(connection.execute(sa.select(table)).all()).encode())
                )
    outcome.faults += [f"an id is in {place}" for place, content in places if needle.search(content)]
