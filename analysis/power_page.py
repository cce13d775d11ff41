"""A plan for its readers: the table of power as text, sentences, and a folder of files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from analysis import formats as f
from analysis import planning, plots, web_page
from analysis.planning import MUSICALITY, SAME, VERDICTS, PowerPlan
from caw.files import atomic, spreadsheet

TABLE, PAGE = "power.csv", "index.html"
ENDLESS = "endless"
_WIDTHS = {plots.WIDE: "wide", plots.NARROW: "narrow"}


@dataclass(frozen=True)
class PowerTable:
    """One quantity for one number of clips: a row per number of listeners, the last of them endless; a column
    per number of originals (of sources, where backends are compared: `kind`)."""

    title: str
    kind: str
    heads: list[str]
    rows: list[list[str]]


def power_tables(plan: PowerPlan, table: pd.DataFrame, outcome: str) -> list[PowerTable]:
    """The table of `planning.power` as readers see it: for each number of clips its power, its precision and,
    where there is one, the power to show that there is no difference."""
    tables, kind = [], planning.kind_of(table)
    for clips, part in table[table["outcome"] == outcome].groupby("clips"):
        worst = f"Monte Carlo error at most {f.p_value(part['monte_carlo_error'].max())}"
        titles = {
            "power": f"Power for {outcome}, {clips} clips ({worst})",
            "half_width": f"95% interval, {clips} clips: half its width, {_unit(plan, outcome)}",
        }
        if plan.bound(outcome) is not None:
            titles["equivalence"] = f"Power to show {_alike(plan, outcome)}, {clips} clips"
        for column, title in titles.items():
            wide = part.pivot(index="listeners", columns=kind, values=column)
            if wide.isna().all(axis=None):
                continue
            rows = [
                [f"{count:.0f}" if math.isfinite(count) else ENDLESS, *map(f.number, values)]
                for count, values in zip(wide.index, wide.to_numpy(), strict=True)
            ]
            tables.append(PowerTable(title, kind, ["listeners", *map(str, wide)], rows))
    return tables


def _unit(plan: PowerPlan, outcome: str) -> str:
    if outcome == MUSICALITY:
        return "points"
    if outcome == VERDICTS:
        return "balanced accuracy" if plan.backends is None else "difference of shares judged real"
    return "difference of shares inspiring"


def _alike(plan: PowerPlan, outcome: str) -> str:
    if outcome == VERDICTS:
        within = f"balanced accuracy within .5 \N{PLUS-MINUS SIGN} {plan.accuracy_bound:g}"
        return f"that clips pass as real ({within})"
    return f"that musicality is alike (within {plan.musicality_bound:g} of 10 points)"


def sentences(plan: PowerPlan, table: pd.DataFrame) -> list[str]:
    """The advice for each outcome, and what one listener must get right."""
    lines = []
    for outcome in plan.effects():
        named = f"{outcome.capitalize()}. " if len(plan.effects()) > 1 else ""
        lines.append(named + planning.advice(table, outcome))
        if sentence := planning.advice(table, outcome, "equivalence"):
            lines.append(f"To show {_alike(plan, outcome)}, where there is no difference. {sentence}")
        elif plan.bound(outcome) is not None:
            least = planning.LEAST_EQUIVALENCE
            lines.append(f"To show {_alike(plan, outcome)}, {least} originals are needed at least.")
    if plan.backends is not None:
        return lines
    sizes = sorted(set(plan.clips))
    if 1 in plan.listeners:
        outcomes = [outcome for outcome in (VERDICTS, MUSICALITY) if outcome in plan.effects()] or [VERDICTS]
        for clips in sizes:
            least = [f"{planning.fewest_originals(clips, outcome)} ({outcome})" for outcome in outcomes]
            sentence = f"One listener, {clips} clips: p can be under .05 at all from this many originals on"
            lines.append(f"{sentence}: {', '.join(least)}.")
    (first, clips), *others = [(planning.right_to_beat_chance(clips), clips) for clips in sizes]
    sentence = f"To beat chance at .05 one listener must get {first} of {clips} clips right"
    sentence += "".join(f", {count} of {clips}" for count, clips in others)
    lines.append(f"{sentence}; that holds if half of the clips are originals.")
    return lines


def basis(plan: PowerPlan) -> list[str]:
    """What the numbers rest on."""
    s, lines = plan.spread, []
    groups = "originals and machine-made clips" if plan.backends is None else "the backends"
    if plan.effect is not None:
        lines.append(
            f"Musicality: a difference of {plan.effect:g} points between {groups}; standard deviations "
            f"{s.listener:g} (listeners), {s.clip:g} (clips), {s.answer:g} (answers) and {s.preference:g} "
            "(how much each listener prefers one of them) points."
        )
    shares = {outcome: effect for outcome, effect in plan.effects().items() if outcome != MUSICALITY}
    for outcome, effect in shares.items():
        text = f"shares of answers that differ by {effect:g} between {groups}, around one half"
        if outcome == VERDICTS and plan.accuracy is not None:
            text = f"a balanced accuracy of {plan.accuracy:g}, originals recognized as often as others"
        lines.append(f"{outcome.capitalize()}: {text}.")
    if shares:
        lines.append(
            f"Such answers: standard deviations {s.leaning:g} (listeners' leanings), {s.skill:g} (how well "
            f"they tell the groups apart) and {s.guise:g} (clips), in units of a single answer's noise."
        )
    lines.append(
        "Panels: the contrast of the linear mixed model, of ratings as of answers of 0 and 1, listeners and "
        "clips random, with Satterthwaite's degrees of freedom; every listener judges every clip."
    )
    if 1 in plan.listeners:
        lines.append(
            "One listener: the exact test of two shares, and the exact permutation of the ratings' ranks. "
            "They speak of this listener alone and take clips as independent, whatever their sources. The "
            "interval of shares is that of the answers to be expected."
        )
    if plan.backends is None:
        lines.append(
            "Clips are taken as independent. Those of one trained model are alike: with few trainings the "
            "power is less, and several trainings of a source (trainings in study.toml) help more than clips "
            "of one."
        )
    else:
        lines.append(
            "Both backends made half of the clips and were trained once on each of so many sources, "
            f"{'the same ones' if plan.backends == SAME else 'each on others'}; sources differ with a "
            f"standard deviation of {s.source:g} points (of other answers, in proportion to clips)."
        )
    counts = " and ".join(f"{plan.studies_of(outcome)} of {outcome}" for outcome in plan.effects())
    return [*lines, f"Simulated studies behind every number: {counts}; seed {plan.seed}."]


def write(plan: PowerPlan, table: pd.DataFrame, out: Path) -> list[Path]:
    """Write power.csv, power_OUTCOME.png and .svg, and index.html into the folder `out`; returns the paths.

    Raises: OSError where that cannot be.
    """
    parts, paths = [], [out / TABLE]
    shown = table.assign(listeners=[f"{n:.0f}" if math.isfinite(n) else ENDLESS for n in table["listeners"]])
    atomic.write(out / TABLE, spreadsheet.frame_as_csv(shown.round(6)))
    for outcome in plan.effects():
        drawn = {width: plots.render(plots.power.power(table, outcome, width=width)) for width in _WIDTHS}
        stem = out / f"power_{outcome}"
        png, svg = (stem.with_suffix(suffix) for suffix in (".png", ".svg"))
        atomic.write(svg, drawn[plots.WIDE])
        atomic.write(png, plots.png(drawn[plots.WIDE]))
        paths += [png, svg]
        inside = {
            name: Markup(plots.inline(drawn[width], f"{outcome}-{name}")) for width, name in _WIDTHS.items()
        }
        alt = planning.advice(table, outcome)
        parts.append({"alt": alt, "tables": power_tables(plan, table, outcome), **inside})
    page = web_page.render(
        "plan.html.j2",
        kind=planning.kind_of(table),
        sentences=sentences(plan, table),
        parts=parts,
        basis=basis(plan),
        target=f"{planning.TARGET:.2f}".removeprefix("0"),
    )
    atomic.write(out / PAGE, page)
    return [*paths, out / PAGE]
