"""`study plan`: the power of studies that are not made yet, in the terminal and as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from caw.cli.command_line import stage

if TYPE_CHECKING:
    import pandas as pd

    from analysis.planning import PowerPlan

_PREFERRED = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8)  # of each decade: round numbers, even steps in proportion
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_LARGEST = 1_000_000
_EFFECT = 1.5  # points of musicality, where no effect is named
_EUREKA = 0.2  # of kept clips, where no rate is named


def plan(
    listeners: Annotated[str, typer.Option(help="As 24, 8,24,100 or 8..100.")] = "8..100",
    clips: Annotated[str, typer.Option(help="Originals and machine-made together, likewise.")] = "20",
    originals: Annotated[str, typer.Option(help="Of the clips, likewise.")] = "4..10",
    effect: Annotated[
        float | None, typer.Option(help="Difference to find, points of musicality.", show_default="1.5")
    ] = None,
    accuracy: Annotated[
        float | None, typer.Option(help="And, or instead: balanced accuracy to find.", show_default=False)
    ] = None,
    inspiring: Annotated[
        float | None, typer.Option(help="Likewise: difference of the shares inspiring.", show_default=False)
    ] = None,
    accuracy_bound: Annotated[
        float | None, typer.Option(help="Within .5 +- this clips pass as real.", show_default=False)
    ] = None,
    musicality_bound: Annotated[
        float | None, typer.Option(help="Points within which clips are alike.", show_default=False)
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(help="Compare two, of the same or of different sources.", metavar="same|different"),
    ] = None,
    sources: Annotated[str, typer.Option(help="Of each backend, likewise.")] = "5,10",
    judged_real: Annotated[
        float | None,
        typer.Option(help="Of backends: difference of the shares judged real.", show_default=False),
    ] = None,
    listener_sd: Annotated[float, typer.Option(help="How listeners differ, points.")] = 1.0,
    clip_sd: Annotated[float, typer.Option(help="How clips of one kind differ, points.")] = 1.0,
    answer_sd: Annotated[float, typer.Option(help="How single answers differ, points.")] = 1.5,
    preference_sd: Annotated[
        float, typer.Option(help="How listeners differ in preferring originals, points.")
    ] = 1.0,
    clip_sd_verdicts: Annotated[
        float, typer.Option(help="How clips of one kind differ in verdicts, units of an answer's noise.")
    ] = 0.4,
    source_sd: Annotated[float, typer.Option(help="How sources differ, points (of backends).")] = 0.7,
    studies: Annotated[int, typer.Option(help="Simulated for each number.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the simulation.", min=0)] = 1,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the table, the plot and a page.", show_default=False)
    ] = None,
    kept: Annotated[
        int | None,
        typer.Option(help="Instead: of a follow-up on so many kept clips each.", show_default=False),
    ] = None,
    eureka: Annotated[
        float | None, typer.Option(help="With --kept: share of them that become music.", show_default="0.2")
    ] = None,
) -> None:
    """Before a study: its power, by listeners and clips."""
    from analysis import planning, power_page

    if kept is not None:
        asked = {"effect": effect, "accuracy": accuracy, "inspiring": inspiring, "judged-real": judged_real}
        asked |= {"accuracy-bound": accuracy_bound, "musicality-bound": musicality_bound}
        asked |= {"backends": backends}
        if stray := [f"--{name} {value}" for name, value in asked.items() if value is not None]:
            raise planning.PlanningError(f"{stray[0]}: a follow-up asks for none", "leave it out, or --kept")
        follow_up(listeners, kept, clips, _EUREKA if eureka is None else eureka, studies, seed, out)
        return
    if eureka is not None:
        raise planning.PlanningError(f"--eureka {eureka:g}: is for --kept", "add --kept, or leave it out")
    plan = planning.PowerPlan(
        listeners=numbers("--listeners", listeners, most=12),
        clips=numbers("--clips", clips, most=4),
        originals=numbers("--originals", originals, most=6),
        effect=_EFFECT if effect is None and {accuracy, inspiring, judged_real} == {None} else effect,
        accuracy=accuracy,
        inspiring=inspiring,
        judged_real=judged_real,
        accuracy_bound=accuracy_bound,
        musicality_bound=musicality_bound,
        backends=backends,
        sources=numbers("--sources", sources, most=6),
        spread=planning.Spread(
            listener_sd, clip_sd, answer_sd, preference_sd, guise=clip_sd_verdicts, source=source_sd
        ),
        studies=studies,
        seed=seed,
    )
    stage("Simulating studies for every number of listeners, clips and originals")
    table = planning.power(plan)
    show(plan, table, Console(highlight=False))
    if out is not None:
        page = power_page.write(plan, table, out)[-1]
        print(f"The plan is {page}")


_STUDIES = 10_000, 60  # the defaults, of whole studies and of follow-ups, whose models take longer


def follow_up(
    listeners: str, kept: int, clips: str, rate: float, studies: int, seed: int, out: Path | None
) -> None:
    """Print what a follow-up can show; with `out` its table is written there as follow_up_power.csv."""
    from analysis import planning_follow_up
    from caw.files import spreadsheet

    several = numbers("--clips", clips, most=1)
    plan = planning_follow_up.FollowUpPlan(
        listeners=tuple(numbers("--listeners", listeners, most=3)),
        kept=kept,
        clips=several[0],
        rate=rate,
        studies=_STUDIES[1] if studies == _STUDIES[0] else studies,
        seed=seed,
    )
    stage("Simulating follow-ups for every number of listeners")
    rows = planning_follow_up.table(plan)
    console, shown = Console(highlight=False), Table(pad_edge=False)
    heads = ["listeners", "answers", "width", "coverage", "no Eureka", "smallest rate", "smallest difference"]
    for head in heads:
        shown.add_column(head, justify="right")
    for row in rows.to_dict("records"):
        numbers_shown = [row[name] for name in ("width", "coverage", "none", "difference")]
        cells = ["none" if value != value else f"{value:.2f}" for value in numbers_shown]
        cells.insert(3, f"{row['least_rate']:.2f} ({row['least_power']:.2f})")
        shown.add_row(str(row["listeners"]), str(row["answers"]), *cells)
    console.print(shown)
    console.print("\n".join(planning_follow_up.sentences(plan, rows)), markup=False, soft_wrap=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        file = out / "follow_up_power.csv"
        spreadsheet.write(file, list(rows), rows.to_dict("records"))
        print(f"The table is {file}")


def numbers(option: str, text: str, *, most: int) -> list[int]:
    """The numbers in an option's text: "24", "8,24,100" or "8..100", mixed where wanted.

    A range stands for round numbers from its first to its last, at most `most` of them.
    Raises: PlanningError.
    """
    from analysis.planning import PlanningError

    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        ends = _RANGE.fullmatch(part)
        low, high = map(int, ends.groups()) if ends else (0, 0)
        if low > high:
            raise PlanningError(f"{option} {text}: the range runs backwards; write {high}..{low}")
        if high > _LARGEST:
            raise PlanningError(f"{option} {text}: {high} is too large; numbers up to {_LARGEST} can be read")
        if ends:
            chosen |= set(_between(low, high, most))
        elif part.isascii() and part.isdecimal():
            chosen.add(int(part))
        else:
            raise PlanningError(f"{option} {text}: write a number, a list as 8,24,100, or a range as 8..100")
    return sorted(chosen)


def _between(low: int, high: int, most: int) -> list[int]:
    round_ones = {round(step * 10**decade) for decade in range(7) for step in _PREFERRED}
    chosen = sorted({low, high} | {value for value in round_ones if low < value < high})
    if len(chosen) <= most:
        return chosen
    return [chosen[round(i * (len(chosen) - 1) / (most - 1))] for i in range(most)]


def show(plan: PowerPlan, table: pd.DataFrame, console: Console) -> None:
    """Print the tables of power, the advice and what it rests on."""
    from analysis import power_page

    def show_text(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    for outcome in plan.effects():
        for grid in power_page.power_tables(plan, table, outcome):
            shown = Table()
            for head in grid.heads:
                shown.add_column(f"{head}\n{grid.kind}" if head.isdigit() else head, justify="right")
            for place, row in enumerate(grid.rows):
                shown.add_row(*row, end_section=place == len(grid.rows) - 2)
            show_text(grid.title)
            console.print(shown)
    show_text("\n".join(power_page.sentences(plan, table)))
    show_text("\n".join(power_page.basis(plan)))
