"""Who takes part and how far each one is. Used through store.Store."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from study.store import balance, check_results, follow_up, rounds
from study.store import pairs as pair_task
from study.store.answering import StoreError, closed_at, unblinded_at
from study.store.builds import assign, newest, random_letters
from study.store.check_results import ATTENTION, HEADPHONES
from study.store.database import reading
from study.store.protocol import NO_STATIONS, FollowUp, Page, Slot, State, Stations, Step, next_step
from study.store.schema import answer, clock, elapsed, listener, pair_answer, pair_trial, recruit, trial

BY_PERSONAL_LINK = "link "  # how the identity begins of who was screened out and came by no open link


@dataclass(frozen=True)
class Listener:
    """One listener as the pages need them: who, which tab may write, and the step to show."""

    id: int
    name: str
    tab: str | None
    playback: str | None
    step: Step
    pilot: bool = False
    group_name: str | None = None


@dataclass(frozen=True)
class ListenerProgress:
    """How far one listener is. Counts leave practice out; times are UTC.

    begun_at is when the first clip that counts was shown that has an answer; seconds_active the sum of the
    times from a clip's end to its final answer, practice left out, where those could be measured.
    """

    id: int
    name: str
    token: str
    pilot: bool
    stage: str
    answered: int
    total: int
    invited_at: dt.datetime
    revoked_at: dt.datetime | None
    consent_at: dt.datetime | None
    begun_at: dt.datetime | None
    last_seen: dt.datetime | None
    finished_at: dt.datetime | None
    seconds_active: float
    group_name: str | None = None
    recruited: bool = False  # by the open link
    outcome: str | None = None  # how somebody who came so ended
    in_round: int | None = None  # the further round that they have not finished
    follow_up: FollowUp | None = None  # of those who have finished, where there is a follow-up

    @property
    def awaited(self) -> bool:
        """Whether a report should wait for this listener: not who is withdrawn, was let go or never began."""
        if self.in_round is not None:
            return self.revoked_at is None
        let_go = self.outcome is not None or (self.recruited and self.consent_at is None)
        return self.finished_at is None and self.revoked_at is None and not let_go

    @property
    def follow_up_stage(self) -> str:
        """Where this listener is on the way to the end of the follow-up, in words for the researcher."""
        if self.revoked_at is not None:
            return "withdrawn"
        return "not finished" if self.follow_up is None else self.follow_up.stage

    @property
    def follow_up_due(self) -> bool:
        """Whether this listener can answer now and has not sent it."""
        return self.revoked_at is None and self.follow_up is not None and self.follow_up.open


def progress(
    engine: sa.Engine, pilot: bool | None = None, stations: Stations = NO_STATIONS
) -> list[ListenerProgress]:
    """All listeners in the order of their invitation; only pilots, or only others, where `pilot` says so."""
    people = _people().order_by(listener.c.id)
    if pilot is not None:
        people = people.where(listener.c.pilot.is_(pilot))
    with reading(engine) as connection:
        rows = connection.execute(people).mappings().all()
        standing = states(connection, stations=stations)
        begun, active = _times(connection)
    everybody = []
    for row in rows:
        step = next_step(standing[row["id"]])
        unopened = step.page is Page.WELCOME and row["last_seen_at"] is None
        copied = ("id", "name", "token", "pilot", "invited_at", "revoked_at", "consent_at", "finished_at")
        copied += ("group_name",)
        everybody.append(
            ListenerProgress(
                **{name: row[name] for name in copied},
                stage="not opened yet" if unopened else step.stage,
                answered=step.answered,
                total=step.total,
                begun_at=begun.get(row["id"]),
                last_seen=row["last_seen_at"],
                seconds_active=round(active.get(row["id"], 0.0), 3),
                in_round=step.round if step.round > 1 and not standing[row["id"]].finished else None,
                follow_up=step.follow_up,
                recruited=not (row["identity"] or BY_PERSONAL_LINK).startswith(BY_PERSONAL_LINK),
                outcome=row["outcome"],
            )
        )
    return everybody


def _people() -> sa.Select:
    """Listeners with what is known of those who came by the open link."""
    with_recruits = listener.outerjoin(recruit, recruit.c.listener_id == listener.c.id)
    return sa.select(listener, recruit.c.identity, recruit.c.outcome).select_from(with_recruits)


def states(
    connection: sa.Connection, listener_id: int | None = None, stations: Stations = NO_STATIONS
) -> dict[int, State]:
    """Return what decides the step of one listener, or of all, by listener id."""
    slots = (
        sa.select(
            trial.c.listener_id,
            trial.c.slot,
            trial.c.part,
            trial.c.position,
            answer.c.answered_at,
            trial.c.phase,
            trial.c.round,
        )
        .outerjoin(answer, _SAME_TRIAL)
        .order_by(trial.c.listener_id, trial.c.slot)
    )
    people = _people()
    if listener_id is not None:
        slots = slots.where(trial.c.listener_id == listener_id)
        people = people.where(listener.c.id == listener_id)
    by_listener: dict[int, list[Slot]] = {}
    for row in connection.execute(slots):
        by_listener.setdefault(row.listener_id, []).append(
            Slot(row.slot, row.part, row.position, row.answered_at is not None, row.phase, row.round)
        )
    newest_rounds = rounds.newest(connection, listener_id)
    by_listener = by_listener or pair_task.slots(connection, listener_id)
    over = closed_at(connection) is not None
    asked_later = follow_up.states(connection, stations.follow_up, listener_id)
    headphones = check_results.results(connection, HEADPHONES, listener_id) if stations.headphones else {}
    attentive = check_results.results(connection, ATTENTION, listener_id) if stations.attention else {}

    def waits(row: sa.RowMapping) -> frozenset[int]:
        counted = [one.slot for one in by_listener.get(row["id"], ()) if one.part > 0]
        places = {"seed": stations.seed, "number": row["number"]}
        slots = check_results.attention_slots(counted, stations.attention, **places)
        return frozenset(slots[len(attentive.get(row["id"], ())) :])

    under_way = {
        who for who, mine in by_listener.items() if any(one.part > 0 and one.answered for one in mine)
    }
    return {
        row["id"]: State(
            slots=tuple(by_listener.get(row["id"], ())),
            consented=row["consent_at"] is not None,
            sound_checked=row["sound_check_at"] is not None,
            part_begun=row["part_begun"],
            finished=row["finished_at"] is not None
            and (row["id"] not in newest_rounds or newest_rounds[row["id"]].finished_at is not None),
            closed=over or row["revoked_at"] is not None,
            round=newest_rounds[row["id"]].number if row["id"] in newest_rounds else 1,
            follow_up=asked_later.get(row["id"]),
            outcome=row["outcome"],
            # What comes before the clips is asked of nobody who has answered one, if it is added only then.
            before_due=stations.before and row["before_at"] is None and row["id"] not in under_way,
            headphones_due=stations.headphones
            and row["id"] not in under_way
            and row["playback"] == "headphones"
            and not check_results.standing(headphones.get(row["id"], ())).over,
            attention=waits(row) if stations.attention else frozenset(),
        )
        for row in connection.execute(people).mappings()
    }


def invite(connection: sa.Connection, name: str, *, pilot: bool) -> str:
    """See store.Store.invite."""
    _one_at_a_time(connection)
    known = connection.execute(sa.select(listener).where(listener.c.name == name)).mappings().first()
    if known is not None:
        if known["pilot"] != pilot:
            kind = "a pilot" if known["pilot"] else "no pilot"
            raise StoreError(f"{name} was invited as {kind}, and stays so", "choose another name")
        return known["token"]
    if unblinded_at(connection) is not None:
        raise StoreError(f"the study is unblinded, so {name} is not invited", "make a new study folder")
    if closed_at(connection) is not None:
        raise StoreError(
            f"the study is closed, so {name} is not invited", "open it with `study reopen` first"
        )
    current = newest(connection)
    if current is None:
        raise StoreError("no blinded sets yet", "run `study build` on this folder first")
    token = random_letters()
    group = balance.next_group(connection, current.groups, pilot=pilot)
    number = balance.next_number(connection, pilot=pilot, group=group)
    values = {"name": name, "number": number, "token": token, "invited_at": clock(connection)}
    values |= {"part_begun": 0, "pilot": pilot, "group_name": group}
    result = connection.execute(listener.insert().values(**values))
    assign(connection, current, result.inserted_primary_key[0], number, group)
    return token


def revoke(connection: sa.Connection, name: str) -> bool:
    """See store.Store.revoke."""
    row = _named(connection, name)
    if row["revoked_at"] is None:
        me = listener.c.id == row["id"]
        connection.execute(listener.update().where(me).values(revoked_at=clock(connection)))
    return row["revoked_at"] is None


def restore(connection: sa.Connection, name: str) -> bool:
    """See store.Store.restore."""
    _one_at_a_time(connection)
    row = _named(connection, name)
    if row["revoked_at"] is None:
        return False
    me = listener.c.id == row["id"]
    connection.execute(listener.update().where(me).values(revoked_at=None))
    shown = [
        sa.select(one.c.slot).where(one.c.listener_id == row["id"]).limit(1) for one in (answer, pair_answer)
    ]
    current = newest(connection)
    if current is not None and not any(connection.execute(one).first() for one in shown):
        group = row["group_name"]
        others = balance.filled(connection, row["pilot"], group, but=row["id"])
        if row["number"] in others:  # somebody was invited in their place
            number = balance.next_number(connection, pilot=row["pilot"], group=group, but=row["id"])
            connection.execute(listener.update().where(me).values(number=number))
            for table in (trial, pair_trial):
                connection.execute(table.delete().where(table.c.listener_id == row["id"]))
            assign(connection, current, row["id"], number, group)
    return True


_SAME_TRIAL = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)


def _times(connection: sa.Connection) -> tuple[dict[int, dt.datetime], dict[int, float]]:
    """By listener id: when the first answered clip was shown, and the seconds spent on final answers."""
    rows = connection.execute(
        sa.select(
            answer.c.listener_id,
            answer.c.shown_at,
            answer.c.unlocked_at,
            answer.c.answered_at,
        )
        .join(trial, _SAME_TRIAL)
        .where(trial.c.part > 0, answer.c.revision > 0)
    ).all()
    rows = rows or pair_task.times(connection)
    first: dict[int, dt.datetime] = {}
    active: dict[int, float] = {}
    for row in rows:
        first[row.listener_id] = min(row.shown_at, first.get(row.listener_id, row.shown_at))
        seconds = elapsed(row.unlocked_at or row.shown_at, row.answered_at)
        active[row.listener_id] = active.get(row.listener_id, 0.0) + (seconds or 0.0)
    return first, active


def _named(connection: sa.Connection, name: str) -> sa.RowMapping:
    row = connection.execute(sa.select(listener).where(listener.c.name == name)).mappings().first()
    if row is None:
        names = connection.execute(sa.select(listener.c.name).order_by(listener.c.id).limit(8)).scalars()
        raise StoreError(f"nobody named {name!r} is invited", f"there are: {', '.join(names) or 'none'}")
    return row


def _one_at_a_time(connection: sa.Connection) -> None:
    """Let nobody else invite or restore until this transaction ends, as SQLite does by itself."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("LOCK TABLE listener IN SHARE ROW EXCLUSIVE MODE")
