"""The command `study build`."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from study.folder import StudyFolder

if TYPE_CHECKING:
    from study.build.forecast import Forecast
    from study.engines import Engine

_MOST_ROWS = 40


def build(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.", show_default=False)],
    pool_only: Annotated[
        bool, typer.Option("--pool-only", help="Stop before the sets, to hear and pick clips first.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="What would be made, its time, what it can answer; make nothing."),
    ] = False,
    engine: Annotated[
        str, typer.Option(help="local: this machine; ray: a cluster (pip install 'eureka-study[cluster]').")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(help="Jobs at once; as many as cores and memory carry.", min=1, show_default=False),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, as auto or HOST:PORT.", show_default=False)
    ] = None,
    gpus_per_task: Annotated[
        float | None,
        typer.Option(help="GPUs for each job, as 1 or 0.25; with --engine ray.", min=0, show_default=False),
    ] = None,
) -> None:
    """Make all that is missing, and only that. Train, generate, import, level, blind, seal, audit."""
    from study import engines

    study = StudyFolder(folder)
    chosen = engines.choose(engine, workers=workers, address=address, gpus_per_task=gpus_per_task)
    with _ending_in_order():
        _do(study, chosen, dry_run=dry_run, pool_only=pool_only)


def _do(study: StudyFolder, chosen: Engine, *, dry_run: bool, pool_only: bool) -> None:
    folder = study.path
    if dry_run:
        from study import answerable_questions, design
        from study.build.forecast import forecast

        planned = forecast(study)
        for line in answerable_questions.lines(design.load(folder)):
            print(line)
        show(planned, chosen, Console(highlight=False))
    elif pool_only:
        from study.build.build import build as make
        from study.build.progress import BuildProgress

        made = make(study, BuildProgress(Console(highlight=False)), pool_only=True, engine=chosen)
        print(f"{made.clips_made} clips were added to the pool. Next: study curate {folder}")
    else:
        make_all(study, chosen)
        print(f"Built. Next: study invite {folder} NAME..., then study serve {folder}")


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP, as of a batch system or a terminal that is closed, are heard like Ctrl-C: trainings
    write their last checkpoint, workers and programs end. The exit code is 128 and the signal's number, as
    shells give it. A signal that is ignored, as by nohup, stays so."""
    came: list[int] = []
    shown = [stream for stream in (1, 2) if os.isatty(stream)]

    def heard(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        came.append(number)
        if number == signal.SIGHUP:  # a closed terminal takes no more words
            for stream in shown:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in taken:
            signal.signal(number, heard)
        yield
    except BaseException:  # also what a library made of it on its way
        if not came:
            raise
        name = signal.Signals(came[0]).name
        print(f"study: ended by {name}; the same command goes on where it stopped", file=sys.stderr)
        raise typer.Exit(128 + came[0]) from None
    finally:
        for number in taken:
            signal.signal(number, before[number])


def make_all(study: StudyFolder, engine: Engine | None = None) -> None:
    """Build, and show what the leak audit found."""
    from study.build.build import build as make
    from study.build.progress import BuildProgress
    from study.cli import audit_command

    console = Console(highlight=False)
    built = make(study, BuildProgress(console), engine=engine)
    if built.audit is None:
        made = f"; {built.clips_made} clips were added to the pool" if built.clips_made else ""
        print(f"The blinded sets are up to date{made}")
        return
    audit_command.show(built.audit, console)


def show(found: Forecast, engine: Engine, console: Console) -> None:
    """Print what a build would make. Raises: EngineError."""
    from study.build.progress import spoken

    for note in found.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    if not found.rows and not found.originals:
        console.print(f"Nothing is missing in the pool: all {found.cells_done} cells are done.")
        return
    asked = {"plans": lambda row: row.plans, "strengths": lambda row: [f"{one:g}" for one in row.strengths]}
    asked = {title: of for title, of in asked.items() if any(map(of, found.rows))}
    table = Table("backend", "epochs", "modes", *asked, box=None, pad_edge=False)
    for title in ("cells", "clips", "one core", "disk"):
        table.add_column(title, justify="right")
    for row in found.rows[:_MOST_ROWS]:
        epochs = "" if row.epochs is None else str(row.epochs)
        cells, clips, time = str(row.cells), str(row.clips), spoken(row.seconds)
        ways = (", ".join(names) for names in (row.modes, *(of(row) for of in asked.values())))
        table.add_row(row.backend, epochs, *ways, cells, clips, time, _bytes(row.disk))
    console.print(table)
    if len(found.rows) > _MOST_ROWS:
        console.print(f"and {len(found.rows) - _MOST_ROWS} more kinds of cells, counted in what follows")
    cells, clips = sum(row.cells for row in found.rows), sum(row.clips for row in found.rows)
    jobs = f"in {len(found.jobs)} job{'s' * (len(found.jobs) != 1)}"
    done = f"; {found.cells_done} cells are done" if found.cells_done else ""
    console.print(f"{cells} cells, {clips} clips and {found.originals} originals {jobs}{done}.")
    if found.jobs:
        crew = engine.plan(found.jobs)
        if crew.note:
            console.print(f"note: {crew.note}", markup=False, soft_wrap=True)
        who = f"{crew.workers} worker{'s' * (crew.workers != 1)}"
        each = f"{who} with {crew.threads} core{'s' * (crew.threads != 1)}{' each' * (crew.workers > 1)}"
        if crew.cores < math.inf:
            each = f"{who} with {crew.cores} core{'s' * (crew.cores != 1)} in all"
        told = f"About {spoken(found.wall(crew))} on {each}, right within a factor of two; no GPU assumed."
        console.print(told, soft_wrap=True)
    room = "" if found.disk < found.free else ": too little"
    console.print(f"About {_bytes(found.disk)} of disk; {_bytes(found.free)} are free{room}.")
    console.print("Nothing was made.")


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
