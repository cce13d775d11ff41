"""Further rounds of one listener: registering them, and how far each is. Used through store.Store.

A round is more parts behind those that the listener has finished, of clips that nobody else gets by it. What
it holds is in a folder of its own with a key of its own, whose seal is kept here; the time at which the
listener finished the first round stays what it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from study.store import builds
from study.store.answering import StoreError, admit, closed_at, owner, unblinded_at
from study.store.database import lock, reading, shared_lock
from study.store.protocol import clean
from study.store.schema import answer, clock, listener, listening_round, trial


@dataclass(frozen=True)
class Round:
    """A further round as it was registered. `folder` is a path within the study's; times are UTC."""

    listener_id: int
    number: int
    key_sha256: str
    stimuli: dict[str, list[str]]
    folder: str
    registered_at: dt.datetime
    finished_at: dt.datetime | None
    words: str | None
    listener: str = ""


def all_of(connection: sa.Connection, listener_id: int | None = None) -> list[Round]:
    """The further rounds of one listener, or of all, in the order in which they were registered."""
    query = (
        sa.select(listening_round, listener.c.name)
        .join(listener, listener.c.id == listening_round.c.listener_id)
        .order_by(listening_round.c.id)
    )
    if listener_id is not None:
        query = query.where(listening_round.c.listener_id == listener_id)
    plain = ("listener_id", "number", "key_sha256", "folder", "registered_at", "finished_at", "words")
    return [
        Round(**{name: row[name] for name in plain}, stimuli=dict(row["stimuli"]), listener=row["name"])
        for row in connection.execute(query).mappings()
    ]


def newest(connection: sa.Connection, listener_id: int | None = None) -> dict[int, Round]:
    """The newest round of each listener who has any, by the listener's id."""
    return {one.listener_id: one for one in all_of(connection, listener_id)}


def standing(connection: sa.Connection, name: str) -> tuple[int, int]:
    """The id of a listener who is ready for a further round, and the number it would have.

    Raises StoreError for one who is not: unknown, withdrawn, in the middle of a round, of a closed study.
    """
    shared_lock(connection)
    query = lock(sa.select(listener).where(listener.c.name == name), connection)  # one round at a time
    me = connection.execute(query).mappings().first()
    if me is None:
        names = connection.execute(sa.select(listener.c.name).order_by(listener.c.id).limit(8)).scalars()
        raise StoreError(f"nobody named {name!r} is invited", f"there are: {', '.join(names) or 'none'}")
    current = builds.newest(connection)
    if current is not None and current.pairs is not None:
        raise StoreError("a study of pairs has no next rounds", "they are for studies of single clips")
    last = newest(connection, me["id"]).get(me["id"])
    number = last.number if last else 1
    if me["finished_at"] is None or (last is not None and last.finished_at is None):
        what = f"{name} has not finished round {number}" if last else f"{name} has not finished yet"
        raise StoreError(what, "a next round is chosen from finished answers; wait for them")
    if closed_at(connection) is not None:
        unblinded = unblinded_at(connection) is not None
        fix = "it is unblinded and stays closed" if unblinded else "open it with `study reopen` first"
        raise StoreError(f"the study is closed, so {name} gets no next round", fix)
    admit(connection, me["id"])
    return me["id"], number + 1


def register(
    connection: sa.Connection,
    name: str,
    *,
    number: int,
    stimuli: Mapping[str, Sequence[str]],
    key: str,
    folder: str,
) -> None:
    """See store.Store.register_round."""
    current = builds.newest(connection)
    if current is None:
        raise StoreError("no blinded sets yet", "run `study build` on this folder first")
    listener_id, following = standing(connection, name)
    if number != following:
        raise StoreError(f"{name} comes to round {following}, not {number}", "choose the round again")
    heard = set(
        connection.execute(sa.select(trial.c.stimulus_id).where(trial.c.listener_id == listener_id)).scalars()
    )
    ids = [one for clips in stimuli.values() for one in clips]
    if twice := heard & set(ids):
        raise StoreError(f"stimulus id {min(twice)!r} was heard before", "build the round again")
    sets = {chosen: list(clips) for chosen, clips in stimuli.items()}
    own = replace(current, stimuli=sets, practice=[], repeats=0, groups=None)
    builds.check(own)
    last = sa.select(sa.func.max(trial.c.slot), sa.func.max(trial.c.part))
    slot, part = connection.execute(last.where(trial.c.listener_id == listener_id)).one()
    order = connection.execute(sa.select(listener.c.number).where(listener.c.id == listener_id)).scalar_one()
    rows: list[dict[str, Any]] = []
    for further, (phase, set_name, clips) in enumerate(builds.parts(own, order)[1:], start=1):
        for position, stimulus in enumerate(clips, start=1):
            rows.append(
                {
                    "listener_id": listener_id,
                    "slot": slot + 1 + len(rows),
                    "part": part + further,
                    "set_name": set_name,
                    "position": position,
                    "stimulus_id": stimulus,
                    "repetition": 0,
                    "play_key": builds.random_letters(),
                    "phase": phase,
                    "round": number,
                }
            )
    connection.execute(trial.insert(), rows)
    connection.execute(
        listening_round.insert().values(
            listener_id=listener_id,
            number=number,
            registered_at=clock(connection),
            key_sha256=key,
            stimuli=[[chosen, list(clips)] for chosen, clips in stimuli.items()],
            folder=folder,
        )
    )


def begin(connection: sa.Connection, listener_id: int, moment: dt.datetime) -> None:
    """Note when the listener begins an open round; the first time counts."""
    here = _open(listener_id)
    connection.execute(
        listening_round.update().where(here, listening_round.c.begun_at.is_(None)).values(begun_at=moment)
    )


class FurtherRounds:
    """The part of `study.store.store.Store` that is about parts and further rounds."""

    engine: sa.Engine

    def begin_part(self, listener_id: int, part: int) -> None:
        """The listener leaves the page before a part; never goes back to an earlier one."""
        with self.engine.begin() as connection:
            admit(connection, listener_id)
            moment = clock(connection)
            connection.execute(
                listener.update()
                .where(listener.c.id == listener_id, listener.c.part_begun < part)
                .values(part_begun=part, last_seen_at=moment)
            )
            begin(connection, listener_id, moment)

    def register_round(
        self, name: str, *, number: int, stimuli: Mapping[str, Sequence[str]], key_sha256: str, folder: str
    ) -> None:
        """Give a listener who has finished a further round of these sets, behind what they have heard.

        folder: of the round, within the study's. Raises StoreError where they are not ready for this one.
        """
        with self.engine.begin() as connection:
            register(connection, name, number=number, stimuli=stimuli, key=key_sha256, folder=folder)

    def next_round(self, name: str) -> tuple[int, int]:
        """The id of a listener who may have a further round, and its number. Raises StoreError otherwise."""
        with self.engine.begin() as connection:
            return standing(connection, name)

    def rounds(self, listener_id: int | None = None) -> list[Round]:
        """The further rounds of one listener, or of all, in the order in which they were registered."""
        with reading(self.engine) as connection:
            return all_of(connection, listener_id)

    def save_round(self, listener_id: int, *, tab: str, words: str | None, finish: bool) -> bool:
        """Save a listener's words on the round that they are at the end of; `finish` ends it for good.

        Returns whether it has ended. Raises OtherTab where another tab has taken over.
        """
        with self.engine.begin() as connection:
            owner(connection, listener_id, tab)
            if not (mine := all_of(connection, listener_id)) or mine[-1].finished_at is not None:
                return bool(mine)
            here = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
            waiting = sa.select(trial.c.slot).outerjoin(answer, here)
            waiting = waiting.where(trial.c.listener_id == listener_id, answer.c.answered_at.is_(None))
            if connection.execute(waiting.limit(1)).first() is not None:
                return False
            moment = clock(connection)
            values: dict[str, Any] = {} if words is None else {"words": clean(words) or ""}
            values |= {"finished_at": moment} if finish else {}
            if values:
                connection.execute(listening_round.update().where(_open(listener_id)).values(**values))
            me = listener.c.id == listener_id
            connection.execute(listener.update().where(me).values(last_seen_at=moment))
            return finish


def _open(listener_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(listening_round.c.listener_id == listener_id, listening_round.c.finished_at.is_(None))
