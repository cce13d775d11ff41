"""What `study pick` and `study pool` do: decide about the clips of the pool at the command line."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table

from study import design
from study import pool as pool_table
from study.account import account
from study.build import curation
from study.build.curation import CurationError
from study.design import LATER_FACTS
from study.folder import StudyFolder
from study.pool import ORIGINAL

LISTED = "pool listed"  # in the study's log
_WHOLE = ("clip", "mode", "epochs", *LATER_FACTS, "backend")  # never broken: `study pick` wants a clip's name


def pick(
    folder: StudyFolder,
    clip: str,
    *,
    set_name: str | None = None,
    out: bool = False,
    clear: bool = False,
    rating: int | None = None,
    remark: str | None = None,
) -> str:
    """Keep what is said about a clip, and return in one line what counts of it now. Raises: CurationError."""
    from study.store.store import Store

    asked = [(curation.INTO, set_name or "")] if set_name is not None else []
    asked += [(curation.OUT, "")] if out else []
    asked += [(curation.FREE, "")] if clear else []
    if len(asked) > 1:
        raise CurationError(f"{clip}: --set, --out and --clear exclude each other; give one of them")
    said = dict(asked)
    said |= {} if rating is None else {curation.RATED: str(rating)}
    said |= {} if remark is None else {curation.REMARKED: remark}
    if not said:
        raise CurationError(f"{clip}: nothing is said of it; add --set, --out, --clear, --rate or --remark")
    settings = design.load(folder.require().path)
    store = Store.for_folder(folder)
    try:
        answered = store.has_answers()
    finally:
        store.close()
    now = curation.change(folder, settings, clip, account(), said, answered=answered)
    told = f"picked into {now.set_name}" if now.set_name else "left out" if now.out else "left to the build"
    return f"{clip}: {told}{f'; {now.words}' if now.words else ''}"


def pool(folder: StudyFolder) -> tuple[Table, str]:
    """The pool with the picks as a table, and a line on how many each set has. Where listeners may be asked
    about the clips, that somebody looked is logged.

    Raises: CurationError, FolderError, DesignError.
    """
    from study.store.store import Store

    settings = design.load(folder.require().path)
    rows, choices = pool_table.rows(folder), curation.read(folder)
    if not rows:
        raise CurationError(f"{folder.path}: the pool is empty; run `study build {folder.path} --pool-only`")
    store = Store.for_folder(folder)
    try:
        if store.build() is not None:
            store.log_event(account(), LISTED, f"{len(rows)} clips, at the command line")
    finally:
        store.close()
    table = Table(title=f"{len(rows)} clips", title_justify="left", box=box.SIMPLE, pad_edge=False)
    listed = [
        _cells(row, choices.get(row["name"], curation.Choice()))
        for row in sorted(rows, key=lambda row: (row["backend"] == ORIGINAL, row["name"]))
    ]
    for column in listed[0]:
        if any(cells[column] for cells in listed):
            longest = max(len(cells[column]) for cells in listed)
            whole = column in _WHOLE
            right = column in ("epochs", "strength", "rate")
            table.add_column(
                column,
                overflow="fold",
                min_width=longest if whole else min(longest, 12),
                justify="right" if right else "left",
            )
    for cells in listed:
        table.add_row(*(cells[str(column.header)] for column in table.columns))
    return table, curation.tally(settings, choices, rows)


def _cells(row: Mapping[str, str], choice: curation.Choice) -> dict[str, str]:
    """What `study pool` says of a clip, by column."""
    facts = {column: row[column] for column in ("mode", "epochs", *LATER_FACTS, "backend", "source")}
    if row["name"].startswith(row["source"]):  # it is told already, and the table fits 80 letters
        facts["source"] = ""
    rate = "" if choice.rating is None else str(choice.rating)
    said = {"pick": choice.pick, "rate": rate, "remark": curation.remark_of(choice, row)}
    return {"clip": row["name"]} | facts | said
