"""Type-I error, power and coverage of what a report concludes, by simulation, before and after a change.

Run: python -m tests.benchmarks.conclusions --rows FILE [--studies 300] [--only NAMES] [--before FOLDER]

Every simulated study is put to the functions that give the report its conclusions: those of this tree
(`conclusions_after`), or with `--before FOLDER`, a checkout of commit dda9d1b, those of that tree
(`conclusions_before`). FILE keeps a line per study, so that a run that was stopped goes on; where it holds
both kinds, the tables set them side by side. Writes conclusions.md, and conclusions.csv with Monte Carlo
errors and widths, beside this file (`--results` names another place).

Verdicts are drawn in units of d' (a single answer's noise is 1), ratings in points, rounded and cut to 0-10.
The true values are exact: shares and means over the population of listeners, clips (and sources); with one
listener over clips, for this listener, whose d' and preference are then the population's own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import multiprocessing
import sys
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

LISTENERS = (1, 2, 3, 8, 24, 200)
DESIGNS = ((16, 4), (10, 10), (8, 2))  # machine-made + originals
STUDIES = {200: 150}  # at most, of so many listeners
SOURCED = {200: 10}  # of these at most so many with sources
MOST_SOURCED = 60  # otherwise
SLOW = {200: 2}  # of these at most so many are put to the slow probit model of the code before
SLOWEST = 12  # studies put to it otherwise
LEVEL, CONFIDENCE = 0.05, 0.95
CENTRE, INSPIRES = 5.0, 5.5  # points: the mean rating, and where a clip begins to inspire
LIKING = 1.0  # points: how much inspiring strays from the rating

# What is judged: of the first two kinds a p, of all an interval where there is one.
TOLD_APART, PREFERRED = "told apart", "musicality, difference"
INSPIRES_MORE = "inspiring, difference"
BACKENDS_FOOL, BACKENDS_RATED = "backends, judged real", "backends, musicality"
BALANCED, FOOLING, RATED, INSPIRED = "balanced accuracy", "fooling rate", "musicality, mean", "inspiring"
BACKEND_FOOLS, BACKEND_RATED = "judged real of one backend", "musicality of one backend"
ANY, PROBIT = "any detection: clip means or Fisher", "hierarchical d'"  # parts of the conclusion before
TESTS = (TOLD_APART, ANY, PROBIT, PREFERRED, INSPIRES_MORE, BACKENDS_FOOL, BACKENDS_RATED)
INTERVALS = (BALANCED, FOOLING, RATED, INSPIRED, PREFERRED, BACKEND_FOOLS, BACKEND_RATED)
INTERVALS += (BACKENDS_FOOL, BACKENDS_RATED)
BACKENDS = ("caw", "mosaic")
SOURCES = 4


@dataclass(frozen=True)
class Spread:
    """Standard deviations of one outcome: listeners' levels and effects of truth, clips, sources, answers."""

    listener: float
    effect: float
    clip: float
    source: float
    answer: float

    def of(self, clip: float, listeners: int) -> float:
        """SD of an answer to a clip of one truth; with one listener, of this listener's answers."""
        people = 0.0 if listeners == 1 else self.listener**2 + self.effect**2 / 4
        return math.sqrt(people + (clip * self.clip) ** 2 + self.source**2 + self.answer**2)


VERDICTS = Spread(0.5, 0.5, 0.5, 0.0, 1.0)
RATINGS = Spread(1.0, 1.0, 1.0, 0.0, 1.5)


@dataclass(frozen=True)
class Scenario:
    """What listeners and clips are like, and what is judged.

    d_prime: mean of listeners; infinite: every answer is right. points: how much higher originals are rated.
    always_fake: share of listeners who always say fake. constant: all ratings are alike. originals: SD of
    their clips over that of machine-made ones. sources: "" for none, "different" where each backend has two
    of its own, "same" where each has all four.
    """

    name: str
    measures: tuple[str, ...]
    d_prime: float = 0.0
    points: float = 0.0
    always_fake: float = 0.0
    constant: bool = False
    originals: float = 1.0
    sources: str = ""
    studies: int = sys.maxsize
    verdicts: Spread = VERDICTS
    ratings: Spread = RATINGS


_VERDICTS = (TOLD_APART, ANY, PROBIT, BALANCED)
_EVERY = (*_VERDICTS, FOOLING, PREFERRED, RATED, INSPIRES_MORE, INSPIRED)
_BETWEEN = (BACKENDS_FOOL, BACKENDS_RATED, BACKEND_FOOLS, BACKEND_RATED)
_SOURCED = {"verdicts": replace(VERDICTS, source=0.35), "ratings": replace(RATINGS, source=0.7)}
_NOISE = {"verdicts": Spread(0, 0, 0, 0, 1.0), "ratings": Spread(0, 0, 0, 0, 1.5)}
SCENARIOS = (
    Scenario("null", _EVERY),
    Scenario("detectable", _EVERY, d_prime=1.5, points=1.5),
    Scenario("a third always says fake", (*_VERDICTS, FOOLING), always_fake=1 / 3),
    Scenario("originals vary twice as much", (*_VERDICTS, PREFERRED), originals=2.0),
    Scenario("backends of different sources", _BETWEEN, sources="different", **_SOURCED),
    Scenario("backends of the same sources", _BETWEEN, sources="same", **_SOURCED),
    Scenario("perfect listeners", (*_VERDICTS, FOOLING), d_prime=math.inf, studies=5),
    Scenario(
        "all say fake and rate alike",
        (*_VERDICTS, FOOLING, PREFERRED, RATED),
        always_fake=1.0,
        constant=True,
        studies=5,
    ),
    Scenario("all answer at random", (*_VERDICTS, FOOLING, PREFERRED), **_NOISE),
)
NAMED = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True)
class Design:
    listeners: int
    fakes: int
    originals: int


@dataclass(frozen=True)
class Study:
    """Its answers, complete; `true` holds what is estimated.

    clips: one a row; fake (said of it), rated (0-10) and inspired: [listeners, clips].
    """

    clips: pd.DataFrame
    fake: np.ndarray
    rated: np.ndarray
    inspired: np.ndarray
    true: dict[str, float]

    @cached_property
    def answers(self) -> pd.DataFrame:
        """As `analysis.responses.load` gives them, and then `stimuli.distinct`."""
        answers = pd.concat([self.clips] * len(self.fake), ignore_index=True)
        names = np.array([f"L{i:03d}" for i in range(len(self.fake))], dtype=object)
        answers.insert(0, "listener", np.repeat(names, len(self.clips)))
        answers["verdict"] = np.where(self.fake, "fake", "real").ravel().astype(object)
        answers["musicality"] = self.rated.ravel()
        answers["inspiring"] = np.where(self.inspired, "maybe", "no").ravel().astype(object)
        answers["difficulty"] = np.where(self.fake, "easy", None).ravel()
        answers["repeat"] = False
        return answers


def study(scenario: Scenario, design: Design, number: int) -> Study:
    """The study of that number."""
    seed = [zlib.crc32(scenario.name.encode()), design.listeners, design.fakes, design.originals, number]
    dice = np.random.default_rng(seed)
    clips = _clips(bool(scenario.sources), scenario.sources == "different", design)
    side = np.where(clips["truth"] == "fake", 0.5, -0.5)
    scale = np.where(side > 0, 1.0, scenario.originals)
    source = clips["source_number"].to_numpy()
    seems, leaning = _drawn(scenario.verdicts, scenario.d_prime, side, scale, source, design, dice)
    always = dice.random(design.listeners) < scenario.always_fake
    points, level = _drawn(scenario.ratings, -scenario.points, side, scale, source, design, dice)
    points = CENTRE + points
    liking = points + dice.normal(0, LIKING, points.shape)
    rated = np.full(points.shape, CENTRE) if scenario.constant else np.clip(np.rint(points), 0, 10)
    true = _true(scenario, design, leaning[0], level[0], bool(always[0]))
    return Study(clips, (seems > 0) | always[:, None], rated, liking > INSPIRES, true)


def _drawn(spread, effect, side, scale, source, design, dice) -> tuple[np.ndarray, np.ndarray]:
    """Latent answers [listeners, clips], and listeners' levels [listeners]."""
    level = dice.normal(0, 1, design.listeners) * spread.listener
    own = dice.normal(0, 1, design.listeners) * (spread.effect if design.listeners > 1 else 0.0)
    clip = dice.normal(0, 1, len(side)) * spread.clip * scale
    of_source = (dice.normal(0, 1, SOURCES) * spread.source)[source]
    noise = dice.normal(0, 1, (design.listeners, len(side))) * spread.answer
    return level[:, None] + (effect + own)[:, None] * side + clip + of_source + noise, level


@lru_cache
def _clips(sourced: bool, apart: bool, design: Design) -> pd.DataFrame:
    """The clips of a study: without sources all of one backend, else of two in turns."""
    backends = BACKENDS if sourced else BACKENDS[:1]
    rows = []
    for i in range(design.fakes):
        kind, turn = i % len(backends), i // len(backends)
        rows.append(("fake", backends[kind], "UMG", 1000, 2 * kind + turn % 2 if apart else turn % SOURCES))
    rows += [("real", "original", None, None, i % SOURCES) for i in range(design.originals)]
    clips = pd.DataFrame(rows, columns=["truth", "backend", "mode", "epochs", "source_number"])
    clips["epochs"] = clips["epochs"].astype("Int64")
    if sourced:
        clips["source"] = np.array([f"song {one}" for one in clips["source_number"]], dtype=object)
    clips.insert(0, "set", "A")
    clips.insert(1, "position", pd.array(np.arange(1, len(clips) + 1), dtype="Int64"))
    clips.insert(2, "name", [f"clip {i:02d}" for i in range(len(clips))])
    clips["clip"] = clips["stimulus_id"] = clips["name"]
    return clips


def _true(scenario: Scenario, design: Design, leaning: float, level: float, always: bool) -> dict[str, float]:
    """What is estimated. leaning, level, always: of the first listener, for studies with one."""
    one = design.listeners == 1
    never = (float(always) if one else scenario.always_fake), (leaning if one else 0.0)
    real, rated, inspired = {}, {}, {}
    for side in (0.5, -0.5):
        scale = 1.0 if side > 0 else scenario.originals
        spread = scenario.verdicts.of(scale, design.listeners)
        real[side] = (1 - never[0]) * float(norm.cdf(-(never[1] + scenario.d_prime * side) / spread))
        middle = CENTRE - scenario.points * side + (level if one else 0.0)
        spread = scenario.ratings.of(scale, design.listeners)
        rated[side] = CENTRE if scenario.constant else rounded_mean(middle, spread)
        inspired[side] = float(norm.cdf((middle - INSPIRES) / math.hypot(spread, LIKING)))
    return {
        **dict.fromkeys((TOLD_APART, ANY, PROBIT), real[-0.5] - real[0.5]),
        BALANCED: 0.5 + (real[-0.5] - real[0.5]) / 2,
        **{FOOLING: real[0.5], BACKEND_FOOLS: real[0.5], RATED: rated[0.5], BACKEND_RATED: rated[0.5]},
        INSPIRED: inspired[0.5],
        PREFERRED: rated[0.5] - rated[-0.5],
        INSPIRES_MORE: inspired[0.5] - inspired[-0.5],
        **{BACKENDS_FOOL: 0.0, BACKENDS_RATED: 0.0},
    }


def rounded_mean(middle: float, spread: float) -> float:
    """Mean of a normal value after rounding and cutting to 0-10: the sum of P(value >= k), k = 1 to 10."""
    return float(norm.sf((np.arange(1, 11) - 0.5 - middle) / spread).sum())


@dataclass(frozen=True)
class Job:
    """A study to judge; code: "before" or "after"; slow: by what takes long, or by the rest; None: by all."""

    code: str
    scenario: str
    design: Design
    number: int
    slow: bool | None


# p (None: none was asked for), low and high (None: no interval). NaN is kept: it is what is looked for.
Judgement = tuple[float | None, float | None, float | None]


def row(job: Job) -> dict:
    """One study judged: of each measure the true value, p, low and high; None where it was not reported."""
    scenario = NAMED[job.scenario]
    one = study(scenario, job.design, job.number)
    asked = [m for m in scenario.measures if job.slow in (None, m in (PROBIT, TOLD_APART))]
    judge = importlib.import_module(f"tests.benchmarks.conclusions_{job.code}").judge
    judged = {name: found and [one.true.get(name), *found] for name, found in judge(one, asked).items()}
    return asdict(job) | {"judged": judged}


def _job(one: dict) -> Job:
    return Job(one["code"], one["scenario"], Design(**one["design"]), one["number"], one["slow"])


def jobs(code: str, names: Iterable[str], studies: int, listeners: Iterable[int]) -> list[Job]:
    """Every study to judge, all cells in turns, so that a run that is stopped has something of all.

    What takes long comes last, and of fewer studies: of the code before the probit model, of this one the
    models with sources, which have no closed form.
    """
    quick, slow = [], []
    for number, heard, clips, name in product(range(studies), listeners, DESIGNS, names):
        scenario, design = NAMED[name], Design(heard, *clips)
        if number >= min(STUDIES.get(heard, studies), scenario.studies):
            continue
        few = number < SLOW.get(heard, SLOWEST)
        if code == "after":
            in_turn = slow if scenario.sources and heard > 1 else quick
            if in_turn is quick or number < SOURCED.get(heard, MOST_SOURCED):
                in_turn.append(Job(code, name, design, number, None))
        elif heard < 8:
            quick.append(Job(code, name, design, number, None))
        else:
            quick.append(Job(code, name, design, number, False))
            if few and PROBIT in scenario.measures:
                slow.append(Job(code, name, design, number, True))
    return quick + slow


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.conclusions", description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="keeps a line per study")
    parser.add_argument("--studies", type=int, default=300, help="of a cell; 0 writes the tables alone")
    parser.add_argument("--listeners", type=int, nargs="+", default=LISTENERS)
    parser.add_argument("--only", nargs="+", choices=NAMED, default=list(NAMED), metavar="SCENARIO")
    parser.add_argument("--before", type=Path, help="a checkout of the code before, to judge it instead")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent, help="folder of the tables")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    asked = options_of(arguments)
    code = "before" if asked.before else "after"
    if asked.before:
        sys.path.insert(0, str(asked.before))
    conclusions_tables = importlib.import_module("tests.benchmarks.conclusions_tables")
    rows = []
    if asked.rows.exists():
        rows = [json.loads(line) for line in asked.rows.read_text().splitlines()]
    done = {_job(one) for one in rows}
    left = [job for job in jobs(code, asked.only, asked.studies, asked.listeners) if job not in done]
    with multiprocessing.Pool(asked.processes) as pool, asked.rows.open("a") as file:
        for count, one in enumerate(pool.imap_unordered(row, left, chunksize=8), 1):
            rows.append(one)
            file.write(json.dumps(one) + "\n")
            if count % 500 == 0:
                print(f"{count} of {len(left)} studies", flush=True)
    conclusions_tables.write(rows, asked.results)


if __name__ == "__main__":
    main()
