"""`study backends`: the systems that make clips, what each needs, and whether it can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from study import backends, design
from study.backends import BackendError
from study.build import sources
from study.folder import StudyFolder


@dataclass(frozen=True)
class State:
    """A backend as it stands on this machine, or in a study."""

    name: str  # as a [[source]] names it
    makes: str
    epochs: bool
    needs: str
    lacks: str = ""  # why it cannot run, with the mend; "" where it can
    set_up: bool = True  # whether all is named that study.toml must name; if not, nothing is at fault yet
    example: str = ""  # lines of study.toml that set it up
    ready_as: tuple[str, ...] = ()  # the study's own backends that are set up by it


def listing(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", show_default=False)] = None,
) -> None:
    """List the systems that make clips and what they need. With a study's folder, as study.toml sets them."""
    tables: Mapping[str, dict[str, Any]] = {}
    place = Path()
    if folder is not None:
        place = StudyFolder(folder).require().path
        tables = design.load(place).backends
    found = states(tables, place)
    console = Console(highlight=False)
    console.print(_table(found), markup=False)
    for state in found:
        if told := _advice(state):
            console.print(told, markup=False, soft_wrap=True)


def states(tables: Mapping[str, dict[str, Any]], folder: Path) -> list[State]:
    """Every backend there is, and those that [backend.NAME] `tables` of the study in `folder` add."""
    names = backends.names()
    found = [
        _state(name, tables.get(name, {}), folder) for name in [*names, *sorted(set(tables) - set(names))]
    ]
    by_command = tuple(one.name for one in found if one.needs == _as("command") and not one.lacks)
    return [replace(one, ready_as=by_command) if one.name == "command" else one for one in found]


def _state(name: str, table: dict[str, Any], folder: Path) -> State:
    try:
        file = backends.file_of(name, table)
        backend = backends.get(name, table)
    except BackendError as error:
        return State(name, "", False, "", str(error))
    needs = backend.needs if file == name else _as(file)
    lacks, set_up = backend.lacks(), True
    if not lacks:
        try:
            backend.validate(sources.backend_options(table), folder)
        except BackendError as error:
            key = f"{error.key} = {table[error.key]!r}: " if error.key in table else ""
            lacks, set_up = f"{key}{error}", bool(table)
    example = getattr(backend, "example", "")
    return State(name, ", ".join(backend.modes), backend.counts_epochs, needs, lacks, set_up, example)


def _as(file: str) -> str:
    return f"as {file}"


def _here(state: State) -> str:
    """Its readiness in a word or two."""
    if not state.lacks:
        return "ready"
    if state.ready_as:
        return f"as {', '.join(state.ready_as)}"
    return "not yet" if state.set_up else "to set up"


def _advice(state: State) -> str:
    """What is wrong with it, or how it is set up; "" where there is nothing to do."""
    if not state.lacks or state.ready_as:
        return ""
    if state.set_up or not state.example:
        return f"{state.name}: {state.lacks}"
    lines = [f"{state.name}: to set up a program of yours, write into study.toml"]
    return "\n".join(lines + [f"    {line}".rstrip() for line in state.example.splitlines()])


def _table(found: list[State]) -> Table:
    table = Table()
    for column in ("backend", "makes", "epochs", "needs"):
        table.add_column(column, overflow="fold")
    table.add_column("here", overflow="fold", min_width=len("to set up"))
    for state in found:
        epochs = "counted" if state.epochs else ""
        table.add_row(state.name, state.makes, epochs, state.needs, _here(state))
    return table
