"""Looks whether a database holds what listeners were promised: nothing lost, nothing doubled.

Reads the tables themselves rather than through study.store.store, so that a mistake there cannot hide itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from study.store.schema import answer, final_answer, listener, revision, trial


@dataclass
class Found:
    """Each list holds one line per breach."""

    acknowledged: int = 0
    answers: int = 0
    revisions: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return not (self.lost or self.doubled or self.unfinished or self.disordered)

    def __str__(self) -> str:
        head = (
            f"{self.acknowledged} acknowledged changes and final answers, {self.answers} final answers and "
        )
        head += f"{self.revisions} revisions stored: {len(self.lost)} lost, {len(self.doubled)} doubled, "
        head += f"{len(self.disordered)} out of order, {len(self.unfinished)} listeners not finished"
        breaches = [*self.lost, *self.doubled, *self.disordered, *self.unfinished]
        return "\n".join([head, *(f"  {line}" for line in breaches[:10])])


def look(
    url: str,
    tokens: set[str],
    acknowledged: Mapping[tuple[str, int, str], Any],
    finals: set[tuple[str, int]],
    *,
    all_finish: bool = True,
) -> Found:
    """Compares. acknowledged: (token, slot, field) -> value the server said it saved; finals: (token, slot)
    whose Next led on. A listener of ours gives no field of a slot the same value twice, so any value that
    stands in the history twice was written twice."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    found = Found(acknowledged=len(acknowledged) + len(finals))
    with engine.connect() as connection:
        people = {row.token: row for row in connection.execute(sa.select(listener))}
        of = {row.id: token for token, row in people.items()}
        answers = {
            (of[row["listener_id"]], row["slot"]): row
            for row in connection.execute(sa.select(answer)).mappings()
        }
        open_texts = {
            (of[row.listener_id], row.number): row.text for row in connection.execute(sa.select(final_answer))
        }
        history: dict[tuple[str, int], list[Any]] = {}
        for row in connection.execute(sa.select(revision).order_by(revision.c.id)):
            history.setdefault((of[row.listener_id], row.slot), []).append(row)
        slots = Counter(of[row.listener_id] for row in connection.execute(sa.select(trial)))
    engine.dispose()
    for (token, slot, name), value in acknowledged.items():
        held = open_texts.get((token, slot)) if name == "final" else answers[token, slot][name]
        if held != value:
            found.lost.append(f"{people[token].name}, clip {slot}, {name}: {value!r} became {held!r}")
    for token, slot in finals:
        if (token, slot) not in answers or answers[token, slot]["answered_at"] is None:
            found.lost.append(f"{people[token].name}, clip {slot}: the final answer is gone")
    for (token, slot), rows in history.items():
        where = f"{people[token].name}, clip {slot}"
        if [row.revision for row in rows] != list(range(1, answers[token, slot]["revision"] + 1)):
            found.doubled.append(f"{where}: revisions {[row.revision for row in rows]}")
        if sum(row.final for row in rows) > 1:
            found.doubled.append(f"{where}: made final {sum(row.final for row in rows)} times")
        given = Counter((name, repr(value)) for row in rows for name, value in row.changes.items())
        found.doubled += [
            f"{where}: {what} written {count} times" for what, count in given.items() if count > 1
        ]
    for token in tokens:
        mine = [
            (row["answered_at"], slot)
            for (who, slot), row in answers.items()
            if who == token and row["answered_at"]
        ]
        if [slot for _, slot in sorted(mine)] != list(range(len(mine))):
            found.disordered.append(f"{people[token].name}: {[slot for _, slot in sorted(mine)]}")
        if all_finish and (people[token].finished_at is None or len(mine) != slots[token]):
            found.unfinished.append(f"{people[token].name}: {len(mine)} of {slots[token]} clips")
    found.answers = sum(row["answered_at"] is not None for row in answers.values())
    found.revisions = sum(map(len, history.values()))
    return found
