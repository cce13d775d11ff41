"""`study plan-pairs`: the power of studies of pairs that are not made yet, in the terminal and as a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from study.cli.planning import numbers

if TYPE_CHECKING:
    import pandas as pd


def plan_pairs(
    question: Annotated[str, typer.Option(metavar="real|inspiring", help="What is asked.")] = "real",
    share: Annotated[
        float, typer.Option(help="Of right answers, or of choices of one group, to find.")
    ] = 0.622,
    listeners: Annotated[str, typer.Option(help="As 24, 8,24,100 or 8..100.")] = "8..100",
    clips: Annotated[str, typer.Option(help="Of either kind, or of either group, likewise.")] = "8,16",
    pairs: Annotated[str, typer.Option(help="That a listener hears, likewise.")] = "8",
    skill_sd: Annotated[
        float, typer.Option(help="How listeners differ, units of an answer's noise.", min=0)
    ] = 0.5,
    clip_sd: Annotated[float, typer.Option(help="How clips of one kind differ, likewise.", min=0)] = 0.4,
    out: Annotated[Path | None, typer.Option(help="A CSV file for the table.", show_default=False)] = None,
) -> None:
    """Before a study of pairs: its power, by listeners."""
    from analysis import paired_planning
    from caw.files import spreadsheet

    plan = paired_planning.PairedPlan(
        question=question,
        share=share,
        listeners=numbers("--listeners", listeners, most=8),
        clips=numbers("--clips", clips, most=4),
        pairs=numbers("--pairs", pairs, most=4),
        spread=paired_planning.PairedSpread(skill=skill_sd, clip=clip_sd),
    )
    table = paired_planning.power(plan)
    show(plan, table, Console(highlight=False))
    if out is not None:
        spreadsheet.write(out, list(table), table.to_dict("records"))
        print(f"The table is {out}")


def show(plan, table: pd.DataFrame, console: Console) -> None:
    """Print the power of every study, and what it rests on."""
    asked = "right answers" if plan.question == "real" else "choices of one group over another"
    grid = Table(title=f"Power to find {plan.share:.1%} of {asked}", title_justify="left")
    for column in ("clips of either", "pairs", "listeners", "power", "interval +-"):
        grid.add_column(column, justify="right")
    for row in table.to_dict("records"):
        people = "endless" if math.isinf(row["listeners"]) else f"{row['listeners']:.0f}"
        grid.add_row(
            str(row["clips"]), str(row["pairs"]), people, f"{row['power']:.2f}", f"{row['half_width']:.1%}"
        )
    console.print(grid)
    text = (
        "Endless listeners show what listeners alone can reach: beyond it help more clips, not more pairs of "
        "the same ones. An approximation by the models' variances, for the two-sided test at .05."
    )
    console.print(text, markup=False, soft_wrap=True)
