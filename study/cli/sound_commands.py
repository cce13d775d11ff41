"""The commands about sound alone: `study compare` and `study inventory`. They need no study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from caw.files import file_names

OUT = Annotated[Path, typer.Option("--out", help="Folder for the page and its files.", show_default=False)]


def compare(
    original: Annotated[Path, typer.Argument(metavar="ORIGINAL", show_default=False)],
    generated: Annotated[list[Path], typer.Argument(metavar="GENERATED...", show_default=False)],
    out: OUT,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of each GENERATED, in their order.")
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Where ORIGINAL's passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of ORIGINAL's passage; all of it if not given.")
    ] = None,
) -> None:
    """Lay a clip and those made from it side by side. Pictures on the same axes, players, measures."""
    from analysis.sounds import comparison

    comparison.page(original, generated, label or None, out=out, start=start, seconds=seconds)
    print(f"The comparison is {out / comparison.PAGE}")


def inventory(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False)],
    out: OUT,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
) -> None:
    """List every audio file of a folder. Split, song, length, format, level, silence, tempo."""
    from analysis.sounds import inventory as taking
    from analysis.sounds import inventory_page

    inventory_page.check_place(out)
    columns = (TextColumn("Measuring the files of {task.description}"), BarColumn(bar_width=24))
    columns += (MofNCompleteColumn(), TimeRemainingColumn())
    console, name = Console(stderr=True), file_names.shown(folder.resolve().name)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        line = progress.add_task(name, total=None)
        found = taking.take(
            folder,
            workers=workers,
            progress=lambda done, total: progress.update(line, completed=done, total=total),
        )
    page = inventory_page.write(found, out)
    print(inventory_page.summary(found))
    for entry in found.unreadable[:10]:
        print(f"note: {entry.file}: {entry.problem}")
    if len(found.unreadable) > 10:
        print(f"note: {len(found.unreadable) - 10} more could not be read; the page lists them")
    print(f"The inventory is {page}")
