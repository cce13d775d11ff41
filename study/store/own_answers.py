"""Answers to a study's own questions before and after the clips, and all of them as columns of an export.

Those on clips stand with the clip's answer, in `answer.further`; see study.store.answering. An answer that is
taken back leaves no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from study.design.own_questions import LISTED, OwnQuestion, column_of, missing
from study.store.answering import insert_once, owner
from study.store.database import reading
from study.store.protocol import settle_own
from study.store.schema import clock, listener, own_answer

Place = Literal["before", "end"]


def saved(engine: sa.Engine, listener_id: int, place: Place) -> dict[str, Any]:
    """What a listener has answered so far at one place, by the names of the questions."""
    with reading(engine) as connection:
        return _saved(connection, listener_id, place)


def save(
    engine: sa.Engine,
    listener_id: int,
    *,
    tab: str,
    place: Place,
    questions: Sequence[OwnQuestion],
    changes: Mapping[str, Any],
) -> None:
    """Save changed answers in one transaction. What was sent for good stays as it is.

    Raises: OtherTab where another tab has taken over, AnswerError for an answer that no page offers, and
    StoreError where the study is closed.
    """
    with engine.begin() as connection:
        row = owner(connection, listener_id, tab)
        given = _saved(connection, listener_id, place)
        if row["finished_at" if place == "end" else "before_at"] is None:
            _put(connection, listener_id, place, questions, changes, given)


def leave(engine: sa.Engine, listener_id: int, *, tab: str, questions: Sequence[OwnQuestion]) -> bool:
    """Leave the page before the study for good; returns whether it is complete, and thus left.

    Raises: as `save`.
    """
    with engine.begin() as connection:
        owner(connection, listener_id, tab)
        if missing(questions, _saved(connection, listener_id, "before")):
            return False
        moment = clock(connection)
        change = listener.update().where(listener.c.id == listener_id, listener.c.before_at.is_(None))
        connection.execute(change.values(before_at=moment, last_seen_at=moment))
        return True


def _put(
    connection: sa.Connection,
    listener_id: int,
    place: Place,
    questions: Sequence[OwnQuestion],
    changes: Mapping[str, Any],
    given: Mapping[str, Any],
) -> None:
    now, texts = settle_own(questions, changes, given), {one.name: one.text for one in questions}
    moment = clock(connection)
    mine = sa.and_(own_answer.c.listener_id == listener_id, own_answer.c.place == place)
    for name in [name for name in given if name not in now]:
        connection.execute(own_answer.delete().where(mine, own_answer.c.name == name))
    for name, value in now.items():
        if given.get(name) == value:
            continue
        key = {"listener_id": listener_id, "place": place, "name": name}
        values = {"question": texts.get(name, ""), "value": value, "saved_at": moment}
        if not insert_once(connection, own_answer, key | values, list(key)):
            connection.execute(own_answer.update().where(mine, own_answer.c.name == name).values(**values))


def _saved(connection: sa.Connection, listener_id: int, place: Place) -> dict[str, Any]:
    rows = connection.execute(
        sa.select(own_answer.c.name, own_answer.c.value).where(
            own_answer.c.listener_id == listener_id, own_answer.c.place == place
        )
    )
    return {row.name: row.value for row in rows}


def of_listeners(connection: sa.Connection) -> dict[int, dict[str, Any]]:
    """What every listener answered before and after the clips: by listener id, then by column."""
    by_listener: dict[int, dict[str, Any]] = {}
    query = sa.select(own_answer).order_by(own_answer.c.place, own_answer.c.saved_at, own_answer.c.name)
    for row in connection.execute(query).mappings():
        column = column_of(row["place"], row["name"])
        by_listener.setdefault(row["listener_id"], {})[column] = cell(row["value"])
    return by_listener


def on_clip(further: Mapping[str, Any] | None) -> dict[str, Any]:
    """The answers to own questions on one clip, by column."""
    return {column_of("clip", name): cell(value) for name, value in (further or {}).items()}


def spread(rows: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table, each with its own answers beside it: all have every column that any has."""
    own = list(own)
    columns = dict.fromkeys(column for answers in own for column in answers)
    order = sorted(columns, key=_place_of)  # stable: within a place as they were met
    return [
        dict(row) | {column: answers.get(column) for column in order}
        for row, answers in zip(rows, own, strict=True)
    ]


def cell(value: Any) -> Any:
    """An answer as one cell of a table: several options are parted by "; "."""
    return LISTED.join(value) if isinstance(value, list) else value


def _place_of(column: str) -> int:
    places = ("before_", "end_", "check_")
    return places.index(column.partition("_")[0] + "_") if column.startswith(places) else len(places)
