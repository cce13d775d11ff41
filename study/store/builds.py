"""What `study build` registered, and the order in which each listener hears it. Used through store.Store."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from study.folder import PRACTICE
from study.store import balance
from study.store import pairs as pair_task
from study.store.answering import StoreError
from study.store.database import reading
from study.store.orders import clip_order, repeated, set_order, with_repeats
from study.store.schema import (
    answer,
    build,
    check_result,
    clock,
    final_answer,
    follow_up,
    follow_up_clip,
    listener,
    listening_round,
    own_answer,
    pair_answer,
    pair_trial,
    play_event,
    revision,
    study_event,
    trial,
)

_TOKEN_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # no 0/o or 1/l: links are sometimes read aloud
_TOKEN_LENGTH = 26  # 130 bits


@dataclass(frozen=True)
class Build:
    """The registered state of the blinded sets."""

    stimuli: dict[str, list[str]]
    practice: list[str]
    key_sha256: str
    design_digest: str
    file_format: str
    ordering: str
    seed: int
    repeats: int
    passes: int = 1
    groups: list[list[Any]] | None = None  # of each: name, share, blocks of sets
    registered_at: dt.datetime | None = None
    pairs: list[dict[str, Any]] | None = None  # of the paired task, as study.build.pairs makes them

    @property
    def sealed(self) -> dict[str, Any]:
        """What may not change once there are answers: all but the wording of the pages."""
        sealed = asdict(self)
        del sealed["registered_at"], sealed["design_digest"]
        sealed["stimuli"] = [[name, sorted(ids)] for name, ids in self.stimuli.items()]
        sealed["practice"] = sorted(self.practice)
        if self.groups is None:  # as in builds of before there were groups
            del sealed["groups"]
        if self.pairs is None:
            del sealed["pairs"]
        return sealed

    @property
    def digest(self) -> str:
        text = json.dumps([self.sealed, self.design_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def check(new: Build) -> None:
    ids = [stimulus for clips in new.stimuli.values() for stimulus in clips]
    empty = [name for name, clips in new.stimuli.items() if not clips]
    if not ids or empty:
        raise StoreError(f"set {(empty or ['(none)'])[0]} has no clips", "see [set.*] in study.toml")
    if PRACTICE in new.stimuli:
        raise StoreError(
            f"a set may not be named {PRACTICE!r}", "that name is kept for clips that do not count"
        )
    if len(set(ids)) != len(ids):
        twice = next(stimulus for stimulus in ids if ids.count(stimulus) > 1)
        raise StoreError(f"stimulus id {twice!r} stands twice", "ids must be unique over all sets")
    if new.ordering not in ("counterbalanced", "fixed"):
        raise StoreError(f"order = {new.ordering!r}", "it must be counterbalanced or fixed")
    if new.pairs is not None:
        pair_task.check(new.pairs, new.stimuli, new.practice)


def register(connection: sa.Connection, new: Build) -> None:
    """See store.Store.register_build."""
    check(new)
    old = newest(connection)
    if old is not None and old.digest == new.digest:
        return
    resealed = old is None or old.sealed != new.sealed
    if resealed and has_answers(connection):
        names = dict.fromkeys([*new.sealed, *old.sealed])
        changed = [name for name in names if old.sealed.get(name) != new.sealed.get(name)]
        raise StoreError(
            f"listeners have answered, so {', '.join(changed)} may not change",
            "put study.toml and the sets back as they were, or make a new study folder",
        )
    connection.execute(
        build.insert().values(
            **{
                "groups": None,
                **new.sealed,
                "stimuli": [[name, list(ids)] for name, ids in new.stimuli.items()],
            },
            registered_at=clock(connection),
            digest=new.digest,
            design_digest=new.design_digest,
        )
    )
    if resealed:
        tried = [
            sa.select(sa.func.count()).select_from(one).where(one.c.revision > 0)
            for one in (answer, pair_answer)
        ]
        if count := sum(connection.execute(one).scalar_one() for one in tried):
            detail = f"{count} answers of pilots and to practice clips went with the sets they were given to"
            row = {"at": clock(connection), "who": "study build", "what": "sets replaced", "detail": detail}
            connection.execute(study_event.insert().values(**row))
        for table in (follow_up, follow_up_clip, revision, answer, play_event, trial, final_answer):
            connection.execute(table.delete())
        for table in (pair_answer, pair_trial, listening_round):
            connection.execute(table.delete())
        connection.execute(own_answer.delete().where(own_answer.c.place == "end"))
        connection.execute(check_result.delete().where(check_result.c.name == "attention"))
        connection.execute(listener.update().values(part_begun=0, finished_at=None))
        _assign_all(connection, new)


def _assign_all(connection: sa.Connection, current: Build) -> None:
    """Give everybody an order of a new build, and whoever has no group of it a group."""
    names = [name for name, _, _ in current.groups or ()] or [None]
    people = sa.select(listener.c.id, listener.c.number, listener.c.group_name).order_by(listener.c.id)
    for row in connection.execute(people).all():
        group, number = row.group_name, row.number
        if group not in names:
            group = balance.next_group(connection, current.groups, pilot=number < 0)
            if number >= 0:
                number = balance.next_number(connection, pilot=False, group=group, but=row.id)
            change = listener.update().where(listener.c.id == row.id)
            connection.execute(change.values(group_name=group, number=number))
        assign(connection, current, row.id, number, group)


def newest(connection: sa.Connection) -> Build | None:
    row = connection.execute(sa.select(build).order_by(build.c.id.desc()).limit(1)).mappings().first()
    if row is None:
        return None
    plain = ("practice", "key_sha256", "design_digest", "file_format", "ordering", "seed", "repeats")
    plain += ("passes", "groups", "pairs")
    return Build(
        stimuli=dict(row["stimuli"]),
        registered_at=row["registered_at"],
        **{name: row[name] for name in plain},
    )


def has_answers(connection: sa.Connection) -> bool:
    """Whether there is an answer that counts: not of a practice clip, not of a pilot."""
    counted = (
        sa.select(answer.c.slot)
        .join(trial, sa.and_(trial.c.listener_id == answer.c.listener_id, trial.c.slot == answer.c.slot))
        .join(listener, listener.c.id == answer.c.listener_id)
        .where(trial.c.part > 0, answer.c.revision > 0, listener.c.pilot.is_(False))
    )
    if connection.execute(counted.limit(1)).first() is not None:
        return True
    paired = pair_task.begun().join(listener, listener.c.id == pair_answer.c.listener_id)
    paired = paired.where(listener.c.pilot.is_(False))
    return connection.execute(paired.limit(1)).first() is not None


def assign(
    connection: sa.Connection, current: Build, listener_id: int, number: int, group: str | None = None
) -> None:
    """Draw one listener's order of the clips of their group and write it, with a play key for each slot."""
    if current.pairs is not None:
        drawn = {"ordering": current.ordering, "seed": current.seed, "new_key": random_letters}
        pair_task.assign(connection, current.pairs, listener_id, number, **drawn)
        return
    rows: list[dict[str, Any]] = []
    heard = set()
    for part, (phase, name, order) in enumerate(parts(current, number, group)):
        for position, stimulus in enumerate(order, start=1):
            rows.append(
                {
                    "listener_id": listener_id,
                    "slot": len(rows),
                    "part": part,
                    "set_name": name,
                    "position": position,
                    "stimulus_id": stimulus,
                    "repetition": int((phase, name, stimulus) in heard),
                    "play_key": random_letters(),
                    "phase": phase,
                }
            )
            heard.add((phase, name, stimulus))
    connection.execute(trial.insert(), rows)


def parts(current: Build, number: int, group: str | None = None) -> list[tuple[str, str, list[str]]]:
    """List what a listener hears, part by part, as (phase, set, stimulus ids), beginning with practice.

    A group hears its own sets, block by block; without groups all sets are one block.

    Two passes go through all sets twice, each time in orders of their own; the same clips repeat in both.
    Practice asks everything at once, so that each question was met before it counts.
    """
    clips = {name: sorted(ids) for name, ids in current.stimuli.items()}
    ordering, seed = current.ordering, current.seed
    first = {
        name: clip_order(ids, number=number, ordering=ordering, seed=seed, name=name)
        for name, ids in clips.items()
    }
    again = {
        name: repeated(order, current.repeats, number=number, seed=seed, name=name)
        for name, order in first.items()
    }
    phases = (("all", ""),) if current.passes == 1 else (("verdict", ""), ("rating", "/rating"))
    order_of_parts = [("all", PRACTICE, list(current.practice))]
    for phase, mark in phases:
        blocks = _blocks(current, group)
        orders = (set_order(block, number=number, ordering=ordering, again=bool(mark)) for block in blocks)
        for name in (name for order in orders for name in order):
            drawn = {"number": number, "seed": seed, "name": name + mark}
            order = clip_order(clips[name], ordering=ordering, **drawn) if mark else first[name]
            order_of_parts.append((phase, name, with_repeats(order, again[name], **drawn)))
    return order_of_parts


def sets_of(current: Build, group: str | None) -> list[str]:
    """The sets that a group hears."""
    return [name for block in _blocks(current, group) for name in block]


def _blocks(current: Build, group: str | None) -> list[list[str]]:
    """The sets that a group hears, in blocks; all sets where there are no groups."""
    of = {name: blocks for name, _, blocks in current.groups or ()}
    return of.get(group, [list(current.stimuli)])


def mean_places(engine: sa.Engine) -> dict[str, tuple[float, float]]:
    """Tell where listeners meet each stimulus, for the audit: whether their orders could give away the truth.

    Returns stimulus id -> (mean place within its set, 0 first to 1 last; how often a listener gets it),

    over all listeners that count and both passes, practice left out; {} where nobody is invited yet.
    """
    table = (
        sa.select(trial.c.listener_id, trial.c.phase, trial.c.part, trial.c.position, trial.c.stimulus_id)
        .join(listener, listener.c.id == trial.c.listener_id)
        .where(trial.c.part > 0, listener.c.pilot.is_(False))
    )
    with reading(engine) as connection:
        rows = connection.execute(table).all()
    lengths = Counter((row.listener_id, row.phase, row.part) for row in rows)
    places_of: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        last = lengths[row.listener_id, row.phase, row.part] - 1
        places_of[row.stimulus_id].append((row.position - 1) / last if last else 0.0)
    passes = len({(row.listener_id, row.phase) for row in rows}) or 1
    return {name: (sum(seen) / len(seen), len(seen) / passes) for name, seen in places_of.items()}


def random_letters() -> str:
    return "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(_TOKEN_LENGTH))
