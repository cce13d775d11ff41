"""What passes over the net for each clip, and whether any of it goes with truth.

    python -m tests.benchmarks.traffic_correlation [--listeners 4] [--fakes 6] [--originals 6] [--port 8749]

Scripted listeners take a whole study over real websockets and HTTP. For every clip it measures what anybody
on the wire can: the sizes and counts of frames, of the clip's answer and its headers, the times until the
page and the clip were there, and each character of the ids that are sent. Then it asks, a feature at a
time, whether the feature separates real from fake: the absolute rank-biserial correlation, against
permutations of the truth within each listener's set, with Holm's correction over all features (S. Holm, "A
simple sequentially rejective multiple test procedure", 1979). Frames and headers are searched for what only
the key knows, too. Exit code 1 where a feature goes with truth (p < 0.05 after correction) or a secret
passed.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import math
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import sqlalchemy as sa
from scipy.stats import rankdata

from analysis.tests import holm
from study.folder import StudyFolder
from study.store.schema import listener, trial
from tests.benchmarks.served_study import Server, study_with
from tests.benchmarks.socket_listener import Notes, SocketListener

ALPHA, PERMUTATIONS = 0.05, 9999
WORDS = ("umg", "jukebox", "swampgroove", "epochs", "backend", "truth")  # of tiny_study's key


class Watched(SocketListener):
    """A listener that keeps what the wire carried for each clip: play key -> feature -> value."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)
        self.clips: dict[str, dict[str, float]] = {}
        self.wire: list[bytes] = []
        self.key = ""

    async def listen(self, player: str) -> None:
        self.key = self.shown.components[player][1]["src"].rpartition("/")[2]
        began = time.perf_counter()
        answer = await self.http.get(f"/clip/{self.key}", headers={"Cookie": self.cookie})
        if answer.is_success:  # the tone is no clip
            await self.measure(answer, time.perf_counter() - began)
        await super().listen(player)

    async def measure(self, answer: httpx.Response, seconds: float) -> None:
        part = {"Cookie": self.cookie, "Range": "bytes=0-999"}
        head = await self.http.get(f"/clip/{self.key}", headers=part)
        headers = {
            name: value.replace(self.key, "") for name, value in answer.headers.items() if name != "date"
        }
        self.wire += [repr(answer.headers.raw).encode()]
        self.clips[self.key] = {
            "clip: bytes": len(answer.content),
            "clip: seconds": seconds,
            "clip: headers": zlib.crc32(repr(sorted(headers.items())).encode()),
            "clip: bytes of headers": sum(len(name) + len(value) for name, value in answer.headers.raw),
            "range: headers": zlib.crc32(repr(sorted(set(head.headers) - {"date"})).encode()),
            **{f"id: letter {at + 1}": ord(letter) for at, letter in enumerate(self.key)},
        }

    async def send(self, socket: object, *, changed: bool = False) -> None:
        frames = Recorded(socket)
        await super().send(frames, changed=changed)
        self.wire += frames.received
        if self.key in self.clips:
            row = self.clips[self.key]
            for name, value in frames.features().items():
                row[name] = row.get(name, 0) + value
            row["run: seconds"] = row.get("run: seconds", 0) + self.notes.reruns[-1]


@dataclass
class Recorded:
    """A socket whose frames are kept."""

    socket: object
    sent: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        await self.socket.send(data)

    async def recv(self) -> bytes:
        self.received.append(await self.socket.recv())
        return self.received[-1]

    def features(self) -> dict[str, float]:
        return {
            "frames: received": len(self.received),
            "frames: bytes received": sum(map(len, self.received)),
            "frames: longest received": max(map(len, self.received), default=0),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=4)
    parser.add_argument("--fakes", type=int, default=6, help="of each of the two sets")
    parser.add_argument("--originals", type=int, default=6, help="of each of the two sets")
    parser.add_argument("--port", type=int, default=8749)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        shape = {"fakes": options.fakes, "originals": options.originals, "practice": 1}
        folder, tokens, url = study_with(Path(home) / "study", options.listeners, None, **shape)
        with Server(folder, options.port) as server:
            people = asyncio.run(take(server.base, tokens))
        rows = joined(people, url, StudyFolder(folder))
        leaks = leaked(people, StudyFolder(folder))
    tested = correlations(rows, seed=1)
    frames = sum(len(one.wire) for one in people)
    print(f"{len(rows)} clips of {len(people)} listeners, {frames} frames and heads of answers")
    print(f"{'feature':32} {'|r|':>6} {'p':>7} {'Holm':>7}")
    for name, (r, p, adjusted) in sorted(tested.items(), key=lambda item: item[1][1])[:12]:
        print(f"{name:32} {r:6.3f} {p:7.4f} {adjusted:7.4f}")
    constant = sorted(set(rows[0]) - set(tested) - {"truth", "block"})
    print(f"the same for all clips: {', '.join(constant)}")
    smallest = min((adjusted for _, _, adjusted in tested.values()), default=1.0)
    print(f"{len(tested)} features tested, smallest corrected p {smallest:.3f}")
    print(f"{len(leaks)} secrets passed {leaks}")
    sys.exit(bool(smallest < ALPHA or leaks))


async def take(base: str, tokens: list[str]) -> list[Watched]:
    """One after the other, so that times are not those of a busy server."""
    people = [Watched(base, token, Notes(), think=0.02, seed=at) for at, token in enumerate(tokens)]
    for one in people:
        await asyncio.wait_for(one.run(), 300)
    return people


def joined(people: list[Watched], url: str, folder: StudyFolder) -> list[dict[str, float]]:
    """One row per clip that counts: its features, its truth (1 real) and its block (a listener's set)."""
    with folder.key.open(newline="") as file:
        truth = {row["stimulus_id"]: float(row["truth"] == "real") for row in csv.DictReader(file)}
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        trials = connection.execute(sa.select(trial, listener.c.token).join(listener)).mappings().all()
    engine.dispose()
    told = {key: row for one in people for key, row in one.clips.items()}
    return [
        told[row["play_key"]]
        | {
            "truth": truth[row["stimulus_id"]],
            "block": zlib.crc32(f"{row['token']} {row['set_name']} {row.get('phase', '')}".encode()),
        }
        for row in trials
        if row["part"] > 0
    ]


def correlations(
    rows: list[Mapping[str, float]], *, seed: int, permutations: int = PERMUTATIONS
) -> dict[str, tuple[float, float, float]]:
    """Feature -> (|rank-biserial correlation| with truth, permutation p, Holm's p); constant ones left out.

    Ranks are taken within blocks, and the truth is shuffled within them: a listener's sets differ in time
    and place, and that is no leak.
    """
    truth, block = (np.array([row[name] for row in rows]) for name in ("truth", "block"))
    names = [name for name in rows[0] if name not in ("truth", "block")]
    blocks = [np.flatnonzero(block == one) for one in np.unique(block)]
    ranks = np.zeros((len(names), len(rows)))
    for at, name in enumerate(names):
        values = np.array([row.get(name, math.nan) for row in rows])
        for inside in blocks:
            ranks[at, inside] = rankdata(values[inside])
            ranks[at, inside] -= ranks[at, inside].mean()
    varying = ranks.std(axis=1) > 0
    names, ranks = [name for name, so in zip(names, varying, strict=True) if so], ranks[varying]
    if not names:
        return {}
    ranks /= np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    labels = np.empty((permutations + 1, len(rows)))
    dice = np.random.default_rng(seed)
    for at in range(permutations + 1):
        for inside in blocks:
            drawn = truth[inside] if at == 0 else dice.permutation(truth[inside])
            labels[at, inside] = drawn - drawn.mean()
    labels /= np.sqrt((labels**2).sum(axis=1, keepdims=True))
    r = np.abs(ranks @ labels.T)
    p = (r >= r[:, :1] - 1e-12).mean(axis=1)
    adjusted = holm(p)
    return {name: (r[at, 0], p[at], adjusted[at]) for at, name in enumerate(names)}


def leaked(people: list[Watched], folder: StudyFolder) -> list[str]:
    """Words that only the key and this machine know, and that passed over the wire."""
    words = {*WORDS, str(folder.path).lower()}
    with folder.key.open(newline="") as file:
        for row in csv.DictReader(file):
            words |= {
                row[name].lower() for name in ("stimulus_id", "name", "source", "run", "sha256", "seed")
            }
            words |= {row["epochs"]} if len(row["epochs"]) > 3 else set()
    told = b"\n".join(data for one in people for data in one.wire).lower()
    whole = rb"(?<![a-z0-9])%s(?![a-z0-9])"  # whole words: a number may stand within a random id
    return sorted(word for word in words if word and re.search(whole % re.escape(word.encode()), told))


if __name__ == "__main__":
    main()
