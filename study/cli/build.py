"""What makes clips and sets: `study build`, the demo, and the backends with what each needs."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from study.folder import FolderError, StudyFolder

if TYPE_CHECKING:
    from study.build.forecast import Forecast
    from study.engines import Engine

_MOST_ROWS = 40
# The demo is small enough to be built within minutes on two cores.
EPOCHS = (100, 300, 700)  # stops of one training
LISTENER = "songwriter"
SEED = 2022
TITLE = "Eureka demo"
START = 25.0  # s into the bundled song: what models learn from is half verse in 7/8, half chorus in 4/4


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
    storage: Annotated[
        str | None,
        typer.Option(
            help="Folder or s3:// address that all nodes reach, if they do not reach DIR.", show_default=False
        ),
    ] = None,
) -> None:
    """Make all that is missing, and only that. Train, generate, import, level, blind, seal, audit."""
    from study import engines

    study = StudyFolder(folder)
    chosen = engines.choose(
        engine, workers=workers, address=address, gpus_per_task=gpus_per_task, storage=storage
    )
    with ending_in_order():
        _do(study, chosen, dry_run=dry_run, pool_only=pool_only)


def _do(study: StudyFolder, chosen: Engine, *, dry_run: bool, pool_only: bool) -> None:
    folder = study.path
    if dry_run:
        from study import answerable_questions, design
        from study.build.forecast import forecast

        planned = forecast(study)
        for line in answerable_questions.lines(design.load(folder)):
            print(line)
        show_forecast(planned, chosen, Console(highlight=False))
    elif pool_only:
        from study.build.build import build as make
        from study.build.progress import BuildProgress

        made = make(study, BuildProgress(Console(highlight=False)), pool_only=True, engine=chosen)
        print(f"{made.clips_made} clips were added to the pool. Next: study curate {folder}")
    else:
        make_all(study, chosen)
        print(f"Built. Next: study invite {folder} NAME..., then study serve {folder}")


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, as of a batch system or a closed terminal, end the build like Ctrl-C: trainings
    write their last checkpoint, workers and programs end. The exit code is 128 and the signal's number, as
    shells give it. A signal that is ignored, as by nohup, stays so."""
    received: list[int] = []
    shown = [stream for stream in (1, 2) if os.isatty(stream)]

    def interrupt(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        received.append(number)
        if number == signal.SIGHUP:  # a closed terminal takes no more words
            for stream in shown:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    handled = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in handled:
            signal.signal(number, interrupt)
        yield
    except BaseException:  # also what a library made of it on its way
        if not received:
            raise
        name = signal.Signals(received[0]).name
        print(f"study: ended by {name}; the same command goes on where it stopped", file=sys.stderr)
        raise typer.Exit(128 + received[0]) from None
    finally:
        for number in handled:
            signal.signal(number, before[number])


def make_all(study: StudyFolder, engine: Engine | None = None) -> None:
    """Build, and show what the leak audit found."""
    from study.build.build import build as make
    from study.build.progress import BuildProgress
    from study.cli import sounds

    console = Console(highlight=False)
    built = make(study, BuildProgress(console), engine=engine)
    if built.audit is None:
        made = f"; {built.clips_made} clips were added to the pool" if built.clips_made else ""
        print(f"The blinded sets are up to date{made}")
        return
    sounds.show_audit(built.audit, console)


def show_forecast(forecast: Forecast, engine: Engine, console: Console) -> None:
    """Print what a build would make. Raises: EngineError."""
    from study.build.progress import in_words

    for note in forecast.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    if not forecast.rows and not forecast.originals:
        console.print(f"Nothing is missing in the pool: all {forecast.cells_done} cells are done.")
        return
    columns = {"plans": lambda row: row.plans, "strengths": lambda row: [f"{one:g}" for one in row.strengths]}
    columns["songs"] = lambda row: row.songs
    columns = {title: of for title, of in columns.items() if any(map(of, forecast.rows))}
    table = Table("backend", "epochs", "modes", *columns, box=None, pad_edge=False)
    for title in ("cells", "clips", "one core", "disk"):
        table.add_column(title, justify="right")
    for row in forecast.rows[:_MOST_ROWS]:
        epochs = "" if row.epochs is None else str(row.epochs)
        cells, clips, time = str(row.cells), str(row.clips), in_words(row.seconds)
        ways = (", ".join(names) for names in (row.modes, *(of(row) for of in columns.values())))
        table.add_row(row.backend, epochs, *ways, cells, clips, time, _bytes(row.disk))
    console.print(table)
    if len(forecast.rows) > _MOST_ROWS:
        console.print(f"and {len(forecast.rows) - _MOST_ROWS} more kinds of cells, counted in what follows")
    cells, clips = sum(row.cells for row in forecast.rows), sum(row.clips for row in forecast.rows)
    jobs = f"in {len(forecast.jobs)} job{'s' * (len(forecast.jobs) != 1)}"
    done = f"; {forecast.cells_done} cells are done" if forecast.cells_done else ""
    console.print(f"{cells} cells, {clips} clips and {forecast.originals} originals {jobs}{done}.")
    if forecast.jobs:
        plan = engine.plan(forecast.jobs)
        if plan.note:
            console.print(f"note: {plan.note}", markup=False, soft_wrap=True)
        who = f"{plan.workers} worker{'s' * (plan.workers != 1)}"
        each = f"{who} with {plan.threads} core{'s' * (plan.threads != 1)}{' each' * (plan.workers > 1)}"
        if plan.cores < math.inf:
            each = f"{who} with {plan.cores} core{'s' * (plan.cores != 1)} in all"
        estimate = (
            f"About {in_words(forecast.wall(plan))} on {each}, right within a factor of two; no GPU assumed."
        )
        console.print(estimate, soft_wrap=True)
    room = "" if forecast.disk < forecast.free else ": too little"
    console.print(f"About {_bytes(forecast.disk)} of disk; {_bytes(forecast.free)} are free{room}.")
    console.print("Nothing was made.")


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def prepare_demo(folder: StudyFolder, clip: Path | None) -> list[str]:
    """See that `folder` holds the demo of `clip` (the bundled song when None); returns notes for the user.

    Raises: FolderError when the folder holds the study of another clip, AudioError for a clip of no use.
    """
    from study import design
    from study.build import new_study

    with as_file(files("study").joinpath("data", "song.flac")) as bundled:
        chosen = clip or bundled
        if folder.toml.exists():
            _require_same(folder, clip)
            held = ", ".join(dict.fromkeys(source.name for source in design.load(folder.path).recordings))
            return [f"{folder.path} holds the study of {held} already; what it lacks is built"]
        return new_study.create(
            folder,
            [chosen],
            start=0.0 if clip else START,
            title=TITLE,
            epochs=EPOCHS,
            seed=SEED,
            control=True,
            repetition=True,
            rewards=True,
        )


def _require_same(folder: StudyFolder, clip: Path | None) -> None:
    from caw import audio
    from caw.files import atomic
    from study import design

    if clip is None:
        return
    sources = [folder.path / source.file for source in design.load(folder.path).sources]
    if not clip.is_file():
        raise audio.AudioError(f"{clip}: no such file; check the name")
    if atomic.sha256(clip) not in [atomic.sha256(file) for file in sources if file.is_file()]:
        what = f"{folder.path}: holds the study of another clip than {clip.name}"
        raise FolderError(what, "choose another folder with --dir, or delete this one")


@dataclass(frozen=True)
class BackendState:
    """A backend as it stands on this machine, or in a study."""

    name: str  # as a [[source]] names it
    makes: str
    epochs: bool
    needs: str
    lacks: str = ""  # why it cannot run, and what to do; "" where it can
    set_up: bool = True  # whether all is named that study.toml must name; if not, nothing is at fault yet
    example: str = ""  # lines of study.toml that set it up
    ready_as: tuple[str, ...] = ()  # the study's own backends that are set up by it


def listing(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", show_default=False)] = None,
) -> None:
    """List the systems that make clips and what they need. With a study's folder, as study.toml sets them."""
    from study import design

    tables: Mapping[str, dict[str, Any]] = {}
    place = Path()
    if folder is not None:
        place = StudyFolder(folder).require().path
        tables = design.load(place).backends
    backend_states = states(tables, place)
    console = Console(highlight=False)
    console.print(_table(backend_states), markup=False)
    for state in backend_states:
        if advice := _advice(state):
            console.print(advice, markup=False, soft_wrap=True)


def states(tables: Mapping[str, dict[str, Any]], folder: Path) -> list[BackendState]:
    """Every backend there is, and those that [backend.NAME] `tables` of the study in `folder` add."""
    from study import backends

    names = backends.names()
    listed = [
        _state(name, tables.get(name, {}), folder) for name in [*names, *sorted(set(tables) - set(names))]
    ]
    by_command = tuple(one.name for one in listed if one.needs == _as("command") and not one.lacks)
    return [replace(one, ready_as=by_command) if one.name == "command" else one for one in listed]


def _state(name: str, table: dict[str, Any], folder: Path) -> BackendState:
    from study import backends
    from study.backends import BackendError
    from study.build import sources

    try:
        file = backends.file_of(name, table)
        backend = backends.get(name, table)
    except BackendError as error:
        return BackendState(name, "", False, "", str(error))
    needs = backend.needs if file == name else _as(file)
    lacks, set_up = backend.unavailable_reason(), True
    if not lacks:
        try:
            backend.validate(sources.backend_options(table), folder)
        except BackendError as error:
            key = f"{error.key} = {table[error.key]!r}: " if error.key in table else ""
            lacks, set_up = f"{key}{error}", bool(table)
    example = getattr(backend, "example", "")
    return BackendState(name, ", ".join(backend.modes), backend.counts_epochs, needs, lacks, set_up, example)


def _as(file: str) -> str:
    return f"as {file}"


def _here(state: BackendState) -> str:
    """Its readiness in a word or two."""
    if not state.lacks:
        return "ready"
    if state.ready_as:
        return f"as {', '.join(state.ready_as)}"
    return "not yet" if state.set_up else "to set up"


def _advice(state: BackendState) -> str:
    """What is wrong with it, or how it is set up; "" where there is nothing to do."""
    if not state.lacks or state.ready_as:
        return ""
    if state.set_up or not state.example:
        return f"{state.name}: {state.lacks}"
    lines = [f"{state.name}: to set up a program of yours, write into study.toml"]
    return "\n".join(lines + [f"    {line}".rstrip() for line in state.example.splitlines()])


def _table(listed: list[BackendState]) -> Table:
    table = Table()
    for column in ("backend", "makes", "epochs", "needs"):
        table.add_column(column, overflow="fold")
    table.add_column("here", overflow="fold", min_width=len("to set up"))
    for state in listed:
        epochs = "counted" if state.epochs else ""
        table.add_row(state.name, state.makes, epochs, state.needs, _here(state))
    return table
