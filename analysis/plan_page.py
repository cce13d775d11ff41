"""A plan for its readers: the table of power as text, sentences, and a folder of files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis import formats as f
from analysis import planning, plots
from analysis.planning import MUSICALITY, VERDICTS, Plan
from caw import atomic, spreadsheet

TABLE, PAGE = "power.csv", "index.html"
ENDLESS = "endless"


@dataclass(frozen=True)
class Grid:
    """Power for one number of clips: a row per number of listeners, the last of them endless; a column per
    number of originals."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def grids(table: pd.DataFrame, outcome: str) -> list[Grid]:
    """The table of `planning.power` as readers see it, one grid per number of clips."""
    found = []
    for clips, part in table[table["outcome"] == outcome].groupby("clips"):
        wide = part.pivot_table(index="listeners", columns="originals", values="power")
        worst = part["monte_carlo_error"].max()
        title = f"Power for {outcome}, {clips} clips (Monte Carlo error at most {f.p_value(worst)})"
        rows = [
            [f"{count:.0f}" if math.isfinite(count) else ENDLESS, *map(f.number, powers)]
            for count, powers in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        found.append(Grid(title, ["listeners", *map(str, wide)], rows))
    return found


def outcomes(plan: Plan) -> list[str]:
    """What the plan asks about."""
    asked = {MUSICALITY: plan.effect, VERDICTS: plan.d_prime}
    return [outcome for outcome, effect in asked.items() if effect is not None]


def sentences(plan: Plan, table: pd.DataFrame) -> list[str]:
    """The advice for each outcome, and what one listener must get right."""
    found = [
        (f"{outcome.capitalize()}. " if len(outcomes(plan)) > 1 else "") + planning.advice(table, outcome)
        for outcome in outcomes(plan)
    ]
    right = [(planning.right_to_beat_chance(clips), clips) for clips in sorted(set(plan.clips))]
    (first, clips), *others = right
    told = f"To beat chance at .05 one listener must get {first} of {clips} clips right"
    told += "".join(f", {count} of {clips}" for count, clips in others)
    found.append(f"{told}; that holds if half of the clips are originals.")
    return found


def basis(plan: Plan) -> list[str]:
    """What the numbers rest on."""
    s, found = plan.spread, []
    if plan.effect is not None:
        found.append(
            f"Musicality: a difference of {plan.effect:g} points between originals and machine-made clips; "
            f"standard deviations {s.listener:g} (listeners), {s.clip:g} (clips), {s.answer:g} (answers) and "
            f"{s.preference:g} (how much each listener prefers originals) points; the linear mixed model "
            "with listeners' slopes, every listener rating every clip."
        )
    if plan.d_prime is not None:
        found.append(
            f"Verdicts: d' {plan.d_prime:g}; standard deviations {s.leaning:g} (listeners' leanings), "
            f"{s.skill:g} (their d') and {s.guise:g} (clips), in units of d'; the analysis of "
            "variance of answers as 0 and 1, a cautious stand-in for the probit mixed model."
        )
    found.append(
        "Clips are taken as independent. Those of one trained model are alike: with few trainings the power "
        "is less, and several trainings of a source (trainings in study.toml) help more than clips of one."
    )
    counts = " and ".join(f"{plan.studies_of(outcome)} of {outcome}" for outcome in outcomes(plan))
    return [*found, f"Simulated studies behind every number: {counts}; seed {plan.seed}."]


def write(plan: Plan, table: pd.DataFrame, out: Path) -> list[Path]:
    """Write power.csv, power_OUTCOME.png and .svg, and index.html into the folder `out`; returns the paths.

    Raises: OSError where that cannot be.
    """
    parts, paths = [], [out / TABLE]
    shown = table.assign(listeners=[f"{n:.0f}" if math.isfinite(n) else ENDLESS for n in table["listeners"]])
    atomic.write(out / TABLE, spreadsheet.frame_as_csv(shown.round(6)))
    for outcome in outcomes(plan):
        drawn = {width: plots.render(plots.planning.power(table, outcome, width=width)) for width in _WIDTHS}
        stem = out / f"power_{outcome}"
        png, svg = (stem.with_suffix(suffix) for suffix in (".png", ".svg"))
        atomic.write(svg, drawn[plots.WIDE])
        atomic.write(png, plots.png(drawn[plots.WIDE]))
        paths += [png, svg]
        inside = {
            name: Markup(plots.inline(drawn[width], f"{outcome}-{name}")) for width, name in _WIDTHS.items()
        }
        alt = planning.advice(table, outcome)
        parts.append({"alt": alt, "tables": grids(table, outcome), **inside})
    atomic.write(out / PAGE, _page(sentences(plan, table), parts, basis(plan)))
    return [*paths, out / PAGE]


_WIDTHS = {plots.WIDE: "wide", plots.NARROW: "narrow"}


def _page(sentences: Sequence[str], parts: list[dict], basis: Sequence[str]) -> str:
    folder = resources.files("analysis") / "templates"
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (folder / "plan.html.j2").read_text(encoding="utf-8")
    )
    css = Markup(
        "".join((folder / name).read_text(encoding="utf-8") for name in ("report.css", "tables.css"))
    )
    target = f"{planning.TARGET:.2f}".removeprefix("0")
    return template.render(css=css, sentences=sentences, parts=parts, basis=basis, target=target)
