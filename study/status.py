"""`study status`: what is built and how far listeners are. No truth is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.table import Table

from caw import atomic
from study import design
from study.folder import StudyFolder
from study.room.wording import ago


def lines(folder: StudyFolder) -> Iterator[str | Table]:
    """What there is to say, as lines and one table of listeners."""
    from study.room.store import Store

    settings = design.load(folder.path)
    yield f'"{settings.study.title}" in {folder.path}'
    yield f"pool: {len(atomic.read_csv(folder.pool_table))} clips"
    store = Store.for_folder(folder)
    try:
        build, people = store.build(), store.listeners()
    finally:
        store.close()
    if build is None:
        yield f"sets: not built yet; run `study build {folder.path}`"
        return
    sizes = ", ".join(f"{name} {len(ids)}" for name, ids in build.stimuli.items())
    yield f"sets: {sizes}, practice {len(build.practice)}; sealed {build.registered_at:%Y-%m-%d %H:%M} UTC"
    if build.design_digest != settings.digest():
        yield f"study.toml has changed since; run `study build {folder.path}`"
    if not people:
        yield f"listeners: none; invite with `study invite {folder.path} NAME...`"
        return
    table = Table(title="listeners", title_justify="left")
    for column in ("listener", "stage", "answered", "last seen"):
        table.add_column(column)
    now = datetime.now(UTC)
    for one in people:
        table.add_row(one.name, one.stage, f"{one.answered} of {one.total}", ago(one.last_seen, now))
    yield table
