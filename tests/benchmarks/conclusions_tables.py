"""The tables of `conclusions`: every cell's shares with Monte Carlo errors, before and after side by side."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.conclusions import (
    ANY,
    BACKENDS_FOOL,
    BACKENDS_RATED,
    CONFIDENCE,
    DESIGNS,
    INSPIRES_MORE,
    INTERVALS,
    LEVEL,
    LISTENERS,
    PROBIT,
    SCENARIOS,
    TESTS,
)

FEW = 30  # studies, of which no share is called worse than it should be


@dataclass(frozen=True)
class Cell:
    """What became of one measure in the studies of one design; shares are of those it was reported in."""

    null: bool  # what is tested is 0 in truth
    studies: int
    reported: int
    undefined: int  # p is NaN
    tested: int
    rejects: float
    intervals: int
    covers: float
    width: float

    @classmethod
    def of(cls, judged: list[list | None]) -> Cell:
        """judged: true value, p, low, high of every study asked for; None where nothing was reported."""
        known = [one for one in judged if one]
        p = np.array([one[1] for one in known if one[1] is not None], float)
        ends = np.array([[one[0], *one[2:]] for one in known if None not in one[2:]], float).reshape(-1, 3)
        covered = (ends[:, 1] - 1e-9 <= ends[:, 0]) & (ends[:, 0] <= ends[:, 2] + 1e-9)
        return cls(
            bool(known) and all(one[0] == 0 for one in known),
            len(judged),
            len(known),
            int(np.isnan(p).sum()),
            len(p),
            float((~(p >= LEVEL)).mean()) if len(p) else math.nan,  # NaN: the sentence before took it for one
            len(ends),
            float(covered.mean()) if len(ends) else math.nan,
            float((ends[:, 2] - ends[:, 1]).mean()) if len(ends) else math.nan,
        )


def error(share: float, count: int) -> float:
    """Monte Carlo error of a share; of 0 and 1 that of one study more."""
    if not count:
        return math.nan
    return math.sqrt(max(share * (1 - share), (1 - 1 / (count + 1)) / (count + 1)) / count)


Place = tuple[str, str, int, int, int, str]  # code, scenario, listeners, machine-made, originals, measure


def cells(rows: Iterable[dict]) -> dict[Place, Cell]:
    """Every cell of the tables, of the studies in which its measure was asked for."""
    studies = defaultdict(list)
    for one in rows:
        for measure, judged in one["judged"].items():
            studies[one["code"], one["scenario"], *one["design"].values(), measure].append(judged)
    return {place: Cell.of(judged) for place, judged in studies.items() if measured(place[0], place[-1])}


def measured(code: str, measure: str) -> bool:
    """Whether that code has what the measure asks for."""
    return measure not in ((INSPIRES_MORE,) if code == "before" else (ANY, PROBIT))


def lines(found: dict[Place, Cell]) -> Iterator[str]:
    """The Markdown tables: all designs pooled; then of each measure a row per scenario and design."""
    kinds = (("Share of studies with p < .05", TESTS, False), ("Coverage of 95 % intervals", INTERVALS, True))
    yield "## Over all designs and numbers of listeners"
    for kind, measures, covers in kinds:
        yield f"\n{kind}; in brackets the least and the largest of the cells.\n"
        yield "| what | scenario | before, 1 | after, 1 | before, 2 to 200 | after, 2 to 200 |"
        yield "|---|---|---:|---:|---:|---:|"
        for measure in measures:
            for scenario in SCENARIOS:
                texts = [
                    _pooled(
                        [c for p, c in found.items() if _within(p, code, scenario.name, one, measure)], covers
                    )
                    for one in (True, False)
                    for code in ("before", "after")
                ]
                if any(texts):
                    yield f"| {measure} | {scenario.name} | {' | '.join(texts)} |"
    for kind, measures, covers in kinds:
        yield f"\n## {kind}"
        for measure in measures:
            yield from _table(found, measure, covers)


def _within(place: Place, code: str, scenario: str, one: bool, measure: str) -> bool:
    return (*place[:2], place[2] == 1, place[5]) == (code, scenario, one, measure)


def _pooled(parts: list[Cell], covers: bool) -> str:
    """The share in all cells that have one, the range of the cells, and in how many of the studies it was."""
    known = [(*_share(cell, covers), cell) for cell in parts if _share(cell, covers)[1]]
    if not known:
        return ""
    shares, counts = [share for share, _, _ in known], [count for _, count, _ in known]
    whole, asked = sum(counts), sum(cell.studies for cell in parts)
    share = sum(share * count for share, count in zip(shares, counts, strict=True)) / whole
    text = _number(share, covers, _off(share, whole, covers, all(cell.null for *_, cell in known)))
    span = f" [{_number(min(shares), covers)}, {_number(max(shares), covers)}]"
    return text + span + _part(whole, asked)


def _share(cell: Cell, covers: bool) -> tuple[float, int]:
    return (cell.covers, cell.intervals) if covers else (cell.rejects, cell.tested)


def _number(share: float, covers: bool, off: bool = False) -> str:
    text = f"{share:.2f}" if covers else f"{share:.3f}"
    text = text.removeprefix("0") if share < 1 else "1"
    return f"**{text}**" if off else text


def _off(share: float, count: int, covers: bool, null: bool) -> bool:
    """Whether a share is worse than it should be by more than two Monte Carlo errors."""
    if count < FEW:
        return False
    reach = 2 * math.sqrt(LEVEL * (1 - LEVEL) / count)
    return share < CONFIDENCE - reach if covers else null and share > LEVEL + reach


def _table(found: dict[Place, Cell], measure: str, covers: bool) -> Iterator[str]:
    scenarios = [s.name for s in SCENARIOS if any((p[1], p[5]) == (s.name, measure) for p in found)]
    codes = [c for c in ("before", "after") if any((p[0], p[5]) == (c, measure) for p in found)]
    body = []
    for name in scenarios:
        for design in DESIGNS:
            texts = []
            for heard in LISTENERS:
                both = [_text(found.get((c, name, heard, *design, measure)), covers) for c in codes]
                texts.append(" / ".join(both) if any(both) else "")
            if any(set(text) & set("0123456789") for text in texts):
                body.append(f"| {name} | {design[0]}+{design[1]} | {' | '.join(texts)} |")
    if body:
        yield f"\n### {measure[0].upper() + measure[1:]} ({' / '.join(codes)})\n"
        yield f"| scenario | clips | {' | '.join(map(str, LISTENERS))} |"
        yield f"|---|---|{'---:|' * len(LISTENERS)}"
        yield from body


def _text(cell: Cell | None, covers: bool) -> str:
    """A share; how many of the studies had it, where not all; how many p were NaN."""
    if cell is None:
        return ""
    share, count = _share(cell, covers)
    if not count:
        return "none"
    text = _number(share, covers, _off(share, count, covers, cell.null))
    nan = f" {cell.undefined} NaN" if cell.undefined and not covers else ""
    return text + _part(count, cell.studies) + nan


def _part(count: int, studies: int) -> str:
    """In how many of the studies there was a share, where that is not in all of them."""
    return f" ({count / studies:.0%})" if count / studies < 0.995 else ""


HEAD = """# What the report concludes, by simulation

Written by `python -m tests.benchmarks.conclusions --rows FILE` of this tree, and before it with `--before` a
checkout of commit dda9d1b. Listeners hear all clips of a study; columns are numbers of listeners, clips are
machine-made + originals. Verdicts: d' 0 (1.5 where it is detectable), SD of listeners' criteria, of their d'
and of clips .5. Ratings: no difference (1.5 points), SD of listeners 1, of their differences 1, of clips 1,
of single answers 1.5. Sources: SD .35 (d') and .7 (points); four, two for each backend or all for both. With
one listener the values that are estimated are that listener's.

**Bold**: worse than .05 (where there is no effect) or .95 by more than two Monte Carlo errors. "(60%)": in
so many of the studies it was reported at all, and the share is of those; "none": in none. "Told apart" is
what the report says in a sentence: before, of the probit model where it was fitted (8 listeners and more),
else of the test on clip means, or Fisher's of one listener. A p that is NaN counts as p < .05, as the
sentence took it. Monte Carlo errors, numbers of studies and mean widths of intervals are in conclusions.csv.

"""


COLUMNS = ("code", "scenario", "listeners", "machine_made", "originals", "measure", "studies", "reported")
COLUMNS += ("p_is_nan", "rejects", "rejects_error", "covers", "covers_error", "mean_width")


def records(found: dict[Place, Cell]) -> Iterator[tuple]:
    """The rows of conclusions.csv, in the order of `COLUMNS`."""
    for place, cell in sorted(found.items()):
        shares = (
            cell.rejects,
            error(cell.rejects, cell.tested),
            cell.covers,
            error(cell.covers, cell.intervals),
        )
        texts = ["" if math.isnan(value) else f"{value:.4f}" for value in (*shares, cell.width)]
        yield (*place, cell.studies, cell.reported, cell.undefined, *texts)


def write(rows: list[dict], folder: Path) -> None:
    """conclusions.md and conclusions.csv."""
    found = cells(rows)
    count = {
        (code, heard): max((c.studies for p, c in found.items() if (p[0], p[2]) == (code, heard)), default=0)
        for code in ("before", "after")
        for heard in LISTENERS
    }
    told = "; ".join(
        f"{code} " + ", ".join(f"{count[code, heard]} of {heard}" for heard in LISTENERS)
        for code in ("before", "after")
    )
    slow = max((c.studies for p, c in found.items() if p[2] >= 8 and p[5] == PROBIT), default=0)
    between = (BACKENDS_FOOL, BACKENDS_RATED)
    sourced = [c.studies for p, c in found.items() if p[0] == "after" and p[2] > 1 and p[5] in between]
    told = f"""Studies of a cell at most, by listeners: {told}.
Of them so many were put to what takes long: before, the probit model {slow}; after, models with sources and
several listeners {max(sourced, default=0)}.

"""
    (folder / "conclusions.md").write_text(HEAD + told + "\n".join(lines(found)) + "\n")
    with (folder / "conclusions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(records(found))
