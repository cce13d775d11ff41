"""`study status`: what is built and how far listeners are. No truth is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from study import design, pool, reporting
from study.folder import StudyFolder
from study.languages.wording import ago

if TYPE_CHECKING:
    from study.store.store import ListenerProgress


def lines(folder: StudyFolder) -> Iterator[str | Table]:
    """What there is to say, as lines and one table of listeners."""
    from study.store.store import Store

    settings = design.load(folder.path)
    yield f'"{settings.study.title}" in {folder.path}'
    yield f"pool: {len(pool.rows(folder))} clips"
    store = Store.for_folder(folder)
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
        mend = "it is unblinded and stays closed" if unblinded else f"`study reopen {folder.path}` opens it"
        yield f"closed on {closed:%Y-%m-%d %H:%M} UTC: nobody can answer; {mend}"
    if not people:
        yield f"listeners: none; invite with `study invite {folder.path} NAME...`"
        return
    for title, pilot in (("listeners", False), ("pilots, who count nowhere", True)):
        if chosen := [one for one in people if one.pilot is pilot]:
            yield _table(title, chosen)


def _table(title: str, people: list[ListenerProgress]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("listener", "stage", "answered", "last seen"):
        table.add_column(column)
    now = datetime.now(UTC)
    for one in people:
        stage = "withdrawn" if one.revoked_at is not None else one.stage
        table.add_row(one.name, stage, f"{one.answered} of {one.total}", ago(one.last_seen, now))
    return table
