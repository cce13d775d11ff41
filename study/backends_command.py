"""`study backends`: the systems that make clips, what each needs, and whether it can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from study import design
from study.folder import StudyFolder
from study.preparation import backends, material
from study.preparation.backends import BackendError


@dataclass(frozen=True)
class State:
    """A backend as it stands on this machine, or in a study."""

    name: str  # as a [[source]] names it
    makes: str
    epochs: bool
    needs: str
    lacks: str  # why it cannot run, with the mend; "" where it can


def listing(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", show_default=False)] = None,
) -> None:
    """List the systems that make clips and what they need; with a study's folder, as study.toml sets them."""
    tables: Mapping[str, dict[str, Any]] = {}
    place = Path()
    if folder is not None:
        place = StudyFolder(folder).require().path
        tables = design.load(place).backends
    found = states(tables, place)
    console = Console(highlight=False)
    console.print(_table(found), markup=False)
    for state in found:
        if state.lacks:
            console.print(f"{state.name}: {state.lacks}", markup=False, soft_wrap=True)


def states(tables: Mapping[str, dict[str, Any]], folder: Path) -> list[State]:
    """Every backend there is, and those that [backend.NAME] `tables` of the study in `folder` add."""
    names = backends.names()
    return [
        _state(name, tables.get(name, {}), folder) for name in [*names, *sorted(set(tables) - set(names))]
    ]


def _state(name: str, table: dict[str, Any], folder: Path) -> State:
    try:
        file = backends.file_of(name, table)
        backend = backends.get(name, table)
    except BackendError as error:
        return State(name, "", False, "", str(error))
    needs = backend.needs if file == name else f"as {file}"
    lacks = backend.lacks()
    if not lacks:
        try:
            backend.validate(material.backend_options(table), folder)
        except BackendError as error:
            key = f"{error.key} = {table[error.key]!r}: " if error.key in table else ""
            lacks = f"{key}{error}"
    return State(name, ", ".join(backend.modes), backend.counts_epochs, needs, lacks)


def _table(found: list[State]) -> Table:
    table = Table()
    for column in ("backend", "makes", "epochs", "needs", "here"):
        table.add_column(column, overflow="fold")
    for state in found:
        epochs = "counted" if state.epochs else ""
        table.add_row(state.name, state.makes, epochs, state.needs, "not yet" if state.lacks else "ready")
    return table
