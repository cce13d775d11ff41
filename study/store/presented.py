"""Where listeners meet each stimulus: what the leak audit needs to see whether their orders tell truth."""

from __future__ import annotations

from collections import Counter, defaultdict

import sqlalchemy as sa

from study.store.schema import listener, reading, trial


def places(engine: sa.Engine) -> dict[str, tuple[float, float]]:
    """Stimulus id -> (mean place within its set, 0 first to 1 last; how often a listener gets it).

    Over all listeners that count and both passes, practice left out; {} where nobody is invited yet.
    """
    table = (
        sa.select(trial.c.listener_id, trial.c.phase, trial.c.part, trial.c.position, trial.c.stimulus_id)
        .join(listener, listener.c.id == trial.c.listener_id)
        .where(trial.c.part > 0, listener.c.pilot.is_(False))
    )
    with reading(engine) as connection:
        rows = connection.execute(table).all()
    lengths = Counter((row.listener_id, row.phase, row.part) for row in rows)
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        last = lengths[row.listener_id, row.phase, row.part] - 1
        found[row.stimulus_id].append((row.position - 1) / last if last else 0.0)
    passes = len({(row.listener_id, row.phase) for row in rows}) or 1
    return {name: (sum(seen) / len(seen), len(seen) / passes) for name, seen in found.items()}
