"""`study follow-up`: who is due to say what came of their clips, and their links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from caw.files import spreadsheet
from caw.problems import ProblemError
from study import design
from study.folder import StudyFolder
from study.server.researcher_files import follow_up_links
from study.server.served import stations
from study.store import follow_up
from study.store.sessions import account
from study.store.store import ListenerProgress, Store

EXPORTED = "follow-up links exported"  # in the study's log


class FollowUpError(ProblemError):
    """A follow-up that the study does not have."""


def opened(folder: StudyFolder) -> Store:
    """The study's store, which knows its follow-up. Raises FollowUpError where the study has none."""
    settings = design.load(folder.require().path)
    if settings.follow_up is None:
        fix = f"add it to {folder.toml} and run `study build {folder.path}`"
        raise FollowUpError(f"{folder.path}: study.toml has no table [follow_up]", fix)
    store = Store.for_folder(folder)
    store.served_stations = stations(settings)
    return store


def listed(
    folder: StudyFolder, base: str, *, due: bool = False, file: Path | None = None
) -> list[str | Table]:
    """Lines and a table of everybody, or of those who are due; with `file` their links are written there.

    Whoever is not listed is counted, with the reason. That links were written is logged.
    """
    store = opened(folder)
    try:
        people = store.listeners()
        chosen = [one for one in people if one.follow_up_due or not due]
        if file is not None:
            if not chosen:
                raise FollowUpError(f"{folder.path}: nobody is due", "nothing was written")
            rows = follow_up_links(chosen, base)
            spreadsheet.write(file, list(rows[0]), rows, mode=0o600)
            store.log_event(account(), EXPORTED, f"{len(rows)} links")
    finally:
        store.close()
    if not people:
        return ["nobody is invited yet"]
    lines: list[str | Table] = []
    if chosen:
        rows = follow_up_links(chosen, base)
        lines.append(_table(chosen, rows))
        if file is None:  # below the table, which would break them
            lines += [f"{row['listener']}: {row['link']}" for row in rows if row["link"]]
    else:
        lines.append("nobody is due")
    lines += _others([one for one in people if one not in chosen])
    if file is not None:
        lines.append(f"{len(chosen)} personal links, which are secrets, are in {file}")
    return lines


def write_answers(folder: StudyFolder, file: Path) -> int:
    """Write what came of every kept clip so far, without truth; returns how many clips there are."""
    store = opened(folder)
    try:
        rows = follow_up.answers(store.engine, store.served_stations.follow_up)
    finally:
        store.close()
    if not rows:
        raise FollowUpError(f"{folder.path}: nobody who has finished keeps a clip", "nothing was written")
    if file.suffix.lower() == ".parquet":
        from caw.files import atomic

        atomic.write(file, spreadsheet.as_parquet(rows), mode=0o600)
    else:
        spreadsheet.write(file, list(rows[0]), rows, mode=0o600)
    return len(rows)


def _table(people: list[ListenerProgress], rows: list[dict[str, Any]]) -> Table:
    table = Table(title="follow-up", title_justify="left")
    for column in ("listener", "follow-up", "kept", "opens"):
        table.add_column(column)
    for one, row in zip(people, rows, strict=True):
        name = f"{one.name}{' (pilot)' * one.pilot}"
        table.add_row(name, row["follow_up"], str(row["kept"]), row["opens_at"][:10])
    return table


def _others(people: list[ListenerProgress]) -> list[str]:
    """How many are not listed, and why."""
    stages: dict[str, int] = {}
    for one in people:
        stages[one.follow_up_stage] = stages.get(one.follow_up_stage, 0) + 1
    reasons = ", ".join(f"{count} {why}" for why, count in sorted(stages.items()))
    return [f"not listed: {reasons}"] if reasons else []
