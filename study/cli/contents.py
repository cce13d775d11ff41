"""What a study holds: its pool, with what the researcher decides about clips, its sets and its listeners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from rich import box
from rich.table import Table

from study import design
from study import pool as pool_table
from study.build import curation
from study.build.curation import CurationError
from study.design import LATER_FACTS
from study.folder import StudyFolder
from study.languages.wording import ago
from study.pool import ORIGINAL
from study.server.served import stations
from study.store.sessions import account
from study.store.store import ListenerProgress, Store

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
    """Store a decision about a clip, and return in one line what is now decided. Raises: CurationError."""
    choices = [(curation.INTO, set_name or "")] if set_name is not None else []
    choices += [(curation.OUT, "")] if out else []
    choices += [(curation.FREE, "")] if clear else []
    if len(choices) > 1:
        raise CurationError(f"{clip}: --set, --out and --clear exclude each other; give one of them")
    changes = dict(choices)
    changes |= {} if rating is None else {curation.RATED: str(rating)}
    changes |= {} if remark is None else {curation.REMARKED: remark}
    if not changes:
        raise CurationError(
            f"{clip}: nothing is decided about it; add --set, --out, --clear, --rate or --remark"
        )
    settings = design.load(folder.require().path)
    store = Store.for_folder(folder)
    try:
        answered = store.has_answers()
    finally:
        store.close()
    now = curation.change(folder, settings, clip, account(), changes, answered=answered)
    place = f"picked into {now.set_name}" if now.set_name else "left out" if now.out else "left to the build"
    return f"{clip}: {place}{f'; {now.words}' if now.words else ''}"


def pool(folder: StudyFolder) -> tuple[Table, str]:
    """The pool with the picks as a table, and a line on how many each set has. Where listeners may be asked
    about the clips, that somebody looked is logged.

    Raises: CurationError, FolderError, DesignError.
    """
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
        _pool_cells(row, choices.get(row["name"], curation.Choice()))
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


def _pool_cells(row: Mapping[str, str], choice: curation.Choice) -> dict[str, str]:
    """A clip's row in the table of `study pool`, by column."""
    facts = {column: row[column] for column in ("mode", "epochs", *LATER_FACTS, "backend", "source")}
    if row["name"].startswith(row["source"]):  # the name says it, and the table fits 80 letters
        facts["source"] = ""
    rate = "" if choice.rating is None else str(choice.rating)
    choices = {"pick": choice.pick, "rate": rate, "remark": curation.remark_of(choice, row)}
    return {"clip": row["name"]} | facts | choices


def status_lines(folder: StudyFolder) -> Iterator[str | Table]:
    """The lines and the table of listeners that `study status` shows."""
    from study import reporting

    settings = design.load(folder.path)
    yield f'"{settings.study.title}" in {folder.path}'
    yield f"pool: {len(pool_table.rows(folder))} clips"
    if settings.songs:
        yield f"songs: {', '.join(f'{song.name} ({song.lacks})' for song in settings.songs)}"
    store = Store.for_folder(folder)
    store.served_stations = stations(settings)
    try:
        build, people, closed = store.build(), store.listeners(), store.closed_at()
        unblinded, stands = bool(store.unblindings()), reporting.plan_standing(settings, store)
    finally:
        store.close()
    if build is None:
        yield f"sets: not built yet; run `study build {folder.path}`"
        return
    sizes = ", ".join(f"{name} {len(ids)}" for name, ids in build.stimuli.items())
    yield f"sets: {sizes}, practice {len(build.practice)}; sealed {build.registered_at:%Y-%m-%d %H:%M} UTC"
    if build.design_digest != settings.digest():
        yield f"study.toml has changed since; run `study build {folder.path}`"
    yield f"warning: {stands.sentence}" if stands.warning else stands.sentence
    if closed is not None:
        fix = "it is unblinded and stays closed" if unblinded else f"`study reopen {folder.path}` opens it"
        yield f"closed on {closed:%Y-%m-%d %H:%M} UTC: nobody can answer; {fix}"
    if not people:
        way = f"print the open link with `study link {folder.path}`"
        if settings.open_link is None:
            way = f"invite with `study invite {folder.path} NAME...`"
        yield f"listeners: none; {way}"
        return
    for title, pilot in (("listeners", False), ("pilots, who count nowhere", True)):
        if chosen := [one for one in people if one.pilot is pilot]:
            yield _listener_table(title, chosen)


def _listener_table(title: str, people: list[ListenerProgress]) -> Table:
    table = Table(title=title, title_justify="left")
    grouped = any(one.group_name for one in people)
    for column in ("listener", *(["group"] if grouped else []), "stage", "answered", "last seen"):
        table.add_column(column)
    now = datetime.now(UTC)
    for one in people:
        stage = "withdrawn" if one.revoked_at is not None else one.stage
        group = [one.group_name or ""] if grouped else []
        table.add_row(one.name, *group, stage, f"{one.answered} of {one.total}", ago(one.last_seen, now))
    return table
