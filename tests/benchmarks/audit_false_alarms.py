"""False alarms and power of the leak audit's rule, by simulation, at nominal .05 for the whole audit.

Run: python tests/benchmarks/audit_false_alarms.py [studies per row] [studies of real files]

A clean study: every set's clips come from one distribution, and which of them are real is drawn. Properties
go together (a common cause in each clip), some are skewed, some are mostly the same, some are missing in
clips, and sets differ from each other. A leak: the band edge or the noise floor of real clips is moved.
The rows of real files go through files, measuring and rule, as `study audit` does.

400 studies of one set of 2 + 8 clips (Monte Carlo error .011) gave .030 false alarms, and of those with the
band edge moved by three deviations .873 were called leaking; .047 of 300 with the noise floor. Two such sets:
.030 of 200 clean studies (error .015); .540 of 100 with the noise floor (error .05), measured with three
more properties in the test. The same before the properties that need many relabelings came, without traces:
.025, .863, .060 and, of two sets, .045 and .580 of 200.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from study.audit import audit, leak_test
from study.audit.leak_test import MeasuredSet
from study.audit.properties import CONTENT, ORDER, Property

LISTED: tuple[Property, ...] = (*CONTENT, *ORDER[:3])
DESIGNS = (
    ((2, 8),),
    ((2, 8), (2, 8)),
    ((4, 16),),
    ((4, 16), (4, 16)),
)  # real, fake of each set
LEAK = 3.0  # standard deviations
LEAKS = ("bandwidth", "noise floor", "sub-bass")  # the last needs many relabelings
_FILES = (((2, 8), (2, 8)), ((4, 16),))


def clean_set(rng: np.random.Generator, reals: int, fakes: int) -> MeasuredSet:
    """One set of measured clips without a leak."""
    count = reals + fakes
    cause = rng.normal(size=count)
    values: dict[str, np.ndarray] = {}
    for number, entry in enumerate(LISTED):
        raw = 0.6 * cause + 0.8 * rng.normal(size=count)
        if entry.kind == "order":
            raw = rng.permutation(count).astype(float)
        elif number % 4 == 1:
            raw = np.exp(raw)
        elif number % 4 == 2:
            raw = np.round(np.maximum(raw - 1.0, 0.0), 1)  # most are the same
        elif number % 4 == 3:
            raw = np.where(rng.random(count) < 0.1, np.nan, raw)
        values[entry.name] = 5 * (entry.matters or 1.0) * (raw + rng.normal())
    return MeasuredSet(values, rng.permutation(np.arange(count) < reals))


def leaking_set(rng: np.random.Generator, reals: int, fakes: int, name: str) -> MeasuredSet:
    """The same with one property of the real clips moved by LEAK."""
    clips = clean_set(rng, reals, fakes)
    entry = next(entry for entry in LISTED if entry.name == name)
    values = {key: np.array(numbers) for key, numbers in clips.values.items()}
    values[name] += 5 * LEAK * entry.matters * clips.real
    return MeasuredSet(values, clips.real)


def leaks(sets: list[MeasuredSet]) -> bool:
    """Whether the test calls the sets leaking, before differences that do not matter are left out."""
    tables = {f"set {number}": clips for number, clips in enumerate(sets)}
    names = [entry.name for entry in LISTED if entry.kind != "music"]
    return leak_test.run(tables, names).overall <= audit.ALPHA


def alarms(design: tuple, *, studies: int, seed: int = 1) -> float:
    """Share of clean studies of sets of (real, fake) clips that the rule calls leaking."""
    rng = np.random.default_rng(seed)
    return float(np.mean([leaks([clean_set(rng, *size) for size in design]) for _ in range(studies)]))


def found(design: tuple, name: str, *, studies: int, seed: int = 2) -> float:
    """Share of studies with that planted leak that the rule calls leaking."""
    rng = np.random.default_rng(seed)
    return float(np.mean([leaks([leaking_set(rng, *size, name) for size in design]) for _ in range(studies)]))


def alarms_of_files(design: tuple, *, studies: int, seed: int = 3) -> float:
    """The same share for sets of files on the disk, half a second each."""
    from tests.study.audit import planted

    rng, count = np.random.default_rng(seed), 0
    for _ in range(studies):
        with tempfile.TemporaryDirectory() as folder:
            sets = {
                f"set{number}": planted.clean_set(
                    Path(folder) / f"set{number}",
                    reals=reals,
                    fakes=fakes,
                    seed=int(rng.integers(2**31)),
                    change=lambda samples, _: samples * rng.uniform(0.5, 1.0),
                )
                for number, (reals, fakes) in enumerate(design)
            }
            count += bool(audit.run(sets).leaks)
    return count / studies


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    of_files = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    error = np.sqrt(0.05 * 0.95 / studies)
    print(f"{studies} studies a row; Monte Carlo error of .05 about {error:.3f}")
    print("sets (real + fake)   false alarms   found: " + "   ".join(LEAKS))
    for design in DESIGNS:
        powers = [found(design, name, studies=studies) for name in LEAKS]
        shares = "   ".join(f"{power:.3f}" for power in powers)
        print(f"{_told(design):20s} {alarms(design, studies=studies):12.3f}   {shares}")
        sys.stdout.flush()
    for design in _FILES if of_files else ():
        share = alarms_of_files(design, studies=of_files)
        print(f"{_told(design):26s} {share:13.3f}   in {of_files} studies of files")


def _told(design: tuple) -> str:
    reals, fakes = design[0]
    return f"{len(design)} x ({reals} + {fakes})"


if __name__ == "__main__":
    main()
