"""The follow-up: what came of the clips that a listener keeps, asked days after they have finished.

Closing the study ends answers about clips and not these: the follow-up has an end of its own, and goes on
after the unblinding. Every change is one transaction that holds the listener's row, so a withdrawn link and
another tab stop it at once. A recording lies beside the database; here are its file's name, size and digest.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from analysis.questionnaire import CAME_OF_IT
from study.design.follow_up import FollowUp as Rule
from study.store.answering import OtherTab, Saved, StoreError, insert_once
from study.store.database import lock, reading
from study.store.protocol import AnswerError, FollowUp, clean
from study.store.schema import (
    answer,
    clock,
    follow_up,
    follow_up_clip,
    in_order,
    listener,
    listening_round,
    trial,
)

MAX_SONG = 200  # letters of a song's name
_ANSWERS = ("outcome", "song", "days", "words")
_RECORDING = ("recording", "recording_bytes", "recording_sha256", "recording_name")
# The end of the study, or of a listener's latest further round, in which they may have kept more clips.
_FINISHED_AT = sa.func.coalesce(
    sa.select(sa.func.max(listening_round.c.finished_at))
    .where(listening_round.c.listener_id == listener.c.id)
    .scalar_subquery(),
    listener.c.finished_at,
).label("finished_at")
_IN_A_ROUND = sa.exists().where(
    listening_round.c.listener_id == listener.c.id, listening_round.c.finished_at.is_(None)
)
_SAME_TRIAL = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)


@dataclass(frozen=True)
class KeptClip:
    """A kept clip as its page needs it; `longest` is how many days ago the listener can have heard it."""

    slot: int
    play_key: str
    longest: int
    outcome: str | None = None
    song: str | None = None
    days: int | None = None
    words: str | None = None
    answered: bool = False
    recording: str | None = None  # the file's own name, in the folder of recordings
    recording_name: str | None = None  # as the listener called it
    recording_bytes: int = 0


@dataclass(frozen=True)
class Recording:
    """A recording that was taken: its file's name, size and sha256, and what its listener called it."""

    file: str
    size: int
    sha256: str
    name: str


def states(
    connection: sa.Connection, rule: Rule | None, listener_id: int | None = None
) -> dict[int, FollowUp]:
    """Return the follow-up of everybody who has finished and whose link is not withdrawn, by listener id.

    Whoever is in the middle of a further round is not among them.
    """
    if rule is None:
        return {}
    ended = follow_up.c.finished_at.label("ended_at")
    people = sa.select(listener.c.id, _FINISHED_AT, follow_up.c.opened_at, ended).outerjoin(
        follow_up, follow_up.c.listener_id == listener.c.id
    )
    people = people.where(listener.c.finished_at.is_not(None), listener.c.revoked_at.is_(None), ~_IN_A_ROUND)
    done = sa.select(follow_up_clip.c.listener_id, follow_up_clip.c.slot)
    done = done.where(follow_up_clip.c.answered_at.is_not(None))
    if listener_id is not None:
        people = people.where(listener.c.id == listener_id)
        done = done.where(follow_up_clip.c.listener_id == listener_id)
    rows = connection.execute(people).all()
    if not rows:
        return {}
    kept = _kept(connection, rule, listener_id)
    answered: dict[int, set[int]] = {}
    for who, slot in connection.execute(done):
        answered.setdefault(who, set()).add(slot)
    now = clock(connection)
    return {row.id: _state(rule, row, kept.get(row.id, ()), answered.get(row.id, set()), now) for row in rows}


def _state(rule: Rule, row: Any, slots: tuple[int, ...], answered: set[int], now: dt.datetime) -> FollowUp:
    opens_at = row.finished_at + dt.timedelta(days=rule.days)
    return FollowUp(
        slots=slots,
        answered=frozenset(answered & set(slots)),
        opens_at=opens_at,
        closes_at=None if rule.closes is None else opens_at + dt.timedelta(days=rule.closes),
        now=now,
        begun=row.opened_at is not None,
        # Who went on to another round since has kept more clips, and is asked again.
        finished=row.ended_at is not None and row.ended_at >= row.finished_at,
    )


def _kept(connection: sa.Connection, rule: Rule, listener_id: int | None) -> dict[int, tuple[int, ...]]:
    """The slots of the clips that each listener keeps. A clip counts once, where it was first heard."""
    query = (
        sa.select(
            trial.c.listener_id,
            trial.c.slot,
            trial.c.set_name,
            trial.c.stimulus_id,
            answer.c.kept,
            answer.c.inspiring,
        )
        .join(answer, _SAME_TRIAL)
        .where(trial.c.part > 0, answer.c.answered_at.is_not(None))
        .order_by(trial.c.listener_id, trial.c.slot)
    )
    if listener_id is not None:
        query = query.where(trial.c.listener_id == listener_id)
    first: dict[tuple, int] = {}
    wanted: dict[int, set[int]] = {}
    for row in connection.execute(query):
        slot = first.setdefault((row.listener_id, row.set_name, row.stimulus_id), row.slot)
        if row.kept or (rule.clips == "inspiring" and row.inspiring == "yes"):
            wanted.setdefault(row.listener_id, set()).add(slot)
    return {who: tuple(sorted(slots)) for who, slots in wanted.items()}


def begin(engine: sa.Engine, rule: Rule, listener_id: int, *, tab: str) -> None:
    """The listener leaves the introduction; the first time is recorded."""
    with engine.begin() as connection:
        _, moment = _admit(connection, rule, listener_id, tab)
        values = {"listener_id": listener_id, "opened_at": moment}
        insert_once(connection, follow_up, values, ["listener_id"])
        _seen(connection, listener_id, moment)


def show(engine: sa.Engine, rule: Rule, listener_id: int) -> list[KeptClip]:
    """Every kept clip of a listener, with what was said of it so far, in the order they were heard."""
    with reading(engine) as connection:
        slots = _kept(connection, rule, listener_id).get(listener_id, ())
        person = connection.execute(sa.select(listener).where(listener.c.id == listener_id)).mappings().one()
        keys = sa.select(trial.c.slot, trial.c.play_key).where(trial.c.listener_id == listener_id)
        play_keys = dict(connection.execute(keys.where(trial.c.slot.in_(slots))).all())
        said = sa.select(follow_up_clip).where(follow_up_clip.c.listener_id == listener_id)
        rows = {row["slot"]: row for row in connection.execute(said).mappings()}
        longest = _longest(person, clock(connection))
    clips = []
    for slot in slots:
        row = rows.get(slot, {})
        known = {name: row.get(name) for name in (*_ANSWERS, "recording", "recording_name")}
        known |= {"recording_bytes": row.get("recording_bytes") or 0}
        answered = row.get("answered_at") is not None
        clips.append(KeptClip(slot, play_keys[slot], longest, answered=answered, **known))
    return clips


def save(
    engine: sa.Engine,
    rule: Rule,
    listener_id: int,
    slot: int,
    *,
    tab: str,
    changes: Mapping[str, Any],
    press: str | None = None,
) -> Saved:
    """Save what changed and, when Next was pressed anew and the outcome is known, go on to the next clip.

    Saving twice is saving once, and a clip that was left stays as it is until it is taken up again.

    Raises
    ------
    OtherTab
        Where another tab has taken over.
    AnswerError
        For a value that no page offers.
    StoreError
        For a clip that is not asked about, before the opening and after the end.
    """
    with engine.begin() as connection:
        person, moment = _admit(connection, rule, listener_id, tab, slot)
        row = _row(connection, listener_id, slot, moment)
        if row["answered_at"] is not None:
            return Saved(True, (), 0)
        said = {name: row[name] for name in _ANSWERS}
        changed = {
            name: value
            for name, value in _settled(said, changes, _longest(person, moment)).items()
            if value != row[name]
        }
        outcome = changed.get("outcome", row["outcome"])
        pressed = press is not None and press[:64] != row["press"]
        final = pressed and outcome is not None
        if pressed:
            changed["press"] = press[:64]
        if changed:
            changed |= {"saved_at": in_order(moment, row["saved_at"])}
            changed |= {"answered_at": changed["saved_at"]} if final else {}
            connection.execute(follow_up_clip.update().where(_here(listener_id, slot)).values(**changed))
        _seen(connection, listener_id, moment)
        return Saved(final, () if outcome is not None else ("outcome",), 0, pressed)


def take_up(engine: sa.Engine, rule: Rule, listener_id: int, slot: int, *, tab: str) -> None:
    """Go back to a clip that was answered, until the follow-up is sent."""
    with engine.begin() as connection:
        _, moment = _admit(connection, rule, listener_id, tab, slot)
        connection.execute(follow_up_clip.update().where(_here(listener_id, slot)).values(answered_at=None))
        _seen(connection, listener_id, moment)


def finish(engine: sa.Engine, rule: Rule, listener_id: int, *, tab: str) -> bool:
    """Send the follow-up for good. Returns whether it is sent: not where a clip is still to answer."""
    with engine.begin() as connection:
        person, moment = _admit(connection, rule, listener_id, tab)
        if states(connection, rule, listener_id)[listener_id].slot is not None:
            return False
        ended = in_order(moment, person["finished_at"])
        insert_once(connection, follow_up, {"listener_id": listener_id, "opened_at": ended}, ["listener_id"])
        here = follow_up.c.listener_id == listener_id
        connection.execute(follow_up.update().where(here).values(finished_at=ended))
        _seen(connection, listener_id, moment)
        return True


def require_open(engine: sa.Engine, rule: Rule | None, listener_id: int, slot: int) -> None:
    """Raises StoreError where no recording of this clip may be sent or withdrawn now."""
    with engine.begin() as connection:
        _admit(connection, rule, listener_id, None, slot)


def put_recording(
    engine: sa.Engine, rule: Rule | None, listener_id: int, slot: int, recording: Recording | None
) -> str | None:
    """Note a recording in the place of an earlier one; None: withdraw it. Returns the earlier one's file."""
    values = dict.fromkeys(_RECORDING)
    if recording is not None:
        values = dict(
            zip(_RECORDING, (recording.file, recording.size, recording.sha256, recording.name), strict=True)
        )
    with engine.begin() as connection:
        _, moment = _admit(connection, rule, listener_id, None, slot)
        row = _row(connection, listener_id, slot, moment)
        values["saved_at"] = in_order(moment, row["saved_at"])
        connection.execute(follow_up_clip.update().where(_here(listener_id, slot)).values(**values))
        return row["recording"]


def recordings(engine: sa.Engine) -> list[dict[str, Any]]:
    """Every recording that there is: listener (name), set, stimulus_id, outcome, song, and of the file
    recording (its name in the folder), recording_bytes, recording_sha256, recording_name.
    """
    query = _with_places("outcome", "song", *_RECORDING).where(follow_up_clip.c.recording.is_not(None))
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def song_name(text: str | None) -> str | None:
    """A song's name as it is saved."""
    return clean((clean(text) or "")[:MAX_SONG])


def answers(engine: sa.Engine, rule: Rule | None, *, pilot: bool = False) -> list[dict[str, Any]]:
    """One dict per kept clip of everybody who has finished, in the order they were heard, without truth.

    Columns: listener (name), set, stimulus_id, outcome (nothing, idea, part or song), song, days (stated by
    the listener: from hearing the clip until it came), words, final (whether the listener went on from it;
    False while it is typed, None where nothing was said), study_finished_at, opened_at and answered_at (UTC),
    recording_bytes and recording_sha256. A clip that nobody was asked about yet, or that was left unanswered,
    has a row with no outcome: what is not known counts, too. Rows are of pilots instead with `pilot`.
    """
    if rule is None:
        return []
    copied = ("outcome", "song", "days", "words", "answered_at", "recording_bytes", "recording_sha256")
    people = (
        sa.select(listener.c.id, listener.c.name, listener.c.finished_at, follow_up.c.opened_at)
        .outerjoin(follow_up, follow_up.c.listener_id == listener.c.id)
        .where(listener.c.finished_at.is_not(None), listener.c.pilot.is_(pilot))
        .order_by(listener.c.id)
    )
    rows = []
    with reading(engine) as connection:
        kept = _kept(connection, rule, None)
        said = {
            (row["listener_id"], row["slot"]): row
            for row in connection.execute(sa.select(follow_up_clip)).mappings()
        }
        places = {
            (row.listener_id, row.slot): (row.set_name, row.stimulus_id)
            for row in connection.execute(
                sa.select(trial.c.listener_id, trial.c.slot, trial.c.set_name, trial.c.stimulus_id)
            )
        }
        for person in connection.execute(people):
            for slot in kept.get(person.id, ()):
                row = said.get((person.id, slot))
                set_name, stimulus_id = places[person.id, slot]
                given = {name: None if row is None else row[name] for name in copied}
                final = None if given["outcome"] is None else given["answered_at"] is not None
                rows.append(
                    {
                        "listener": person.name,
                        "set": set_name,
                        "stimulus_id": stimulus_id,
                        **{name: given[name] for name in _ANSWERS},
                        "final": final,
                        "study_finished_at": person.finished_at,
                        "opened_at": person.opened_at,
                        **{name: given[name] for name in copied[4:]},
                    }
                )
    return rows


def _with_places(*names: str) -> sa.Select:
    here = sa.and_(trial.c.listener_id == follow_up_clip.c.listener_id, trial.c.slot == follow_up_clip.c.slot)
    place = listener.c.name.label("listener"), trial.c.set_name.label("set"), trial.c.stimulus_id
    return (
        sa.select(*place, *(follow_up_clip.c[name] for name in names))
        .select_from(follow_up_clip)
        .join(listener, listener.c.id == follow_up_clip.c.listener_id)
        .join(trial, here)
        .order_by(follow_up_clip.c.listener_id, follow_up_clip.c.slot)
    )


def _admit(
    connection: sa.Connection, rule: Rule | None, listener_id: int, tab: str | None, slot: int | None = None
) -> tuple[Mapping[str, Any], dt.datetime]:
    """The listener's row, locked for this transaction, and the moment; the follow-up is open to them.

    tab: the one that must be the listener's; None: whichever. slot: a clip that must be asked about.
    """
    query = sa.select(listener).where(listener.c.id == listener_id)
    row = connection.execute(lock(query, connection)).mappings().one()
    state = states(connection, rule, listener_id).get(listener_id)
    if state is None or not state.open:
        raise StoreError("the follow-up is not open", "reload the page")
    if tab is not None and row["tab"] != tab:
        raise OtherTab("the study goes on in another tab")
    if slot is not None and slot not in state.slots:
        raise StoreError(f"clip {slot} is not among those that this listener keeps", "reload the page")
    return row, state.now


def _row(connection: sa.Connection, listener_id: int, slot: int, moment: dt.datetime) -> Mapping[str, Any]:
    """What is said of a clip; where nothing is yet, an empty row is made."""
    values = {"listener_id": listener_id, "slot": slot, "saved_at": moment}
    insert_once(connection, follow_up_clip, values, ["listener_id", "slot"])
    return connection.execute(sa.select(follow_up_clip).where(_here(listener_id, slot))).mappings().one()


def _here(listener_id: int, slot: int) -> sa.ColumnElement[bool]:
    return sa.and_(follow_up_clip.c.listener_id == listener_id, follow_up_clip.c.slot == slot)


def _seen(connection: sa.Connection, listener_id: int, moment: dt.datetime) -> None:
    connection.execute(listener.update().where(listener.c.id == listener_id).values(last_seen_at=moment))


def _longest(person: Mapping[str, Any], now: dt.datetime) -> int:
    """How many days ago a listener can have heard a clip: since they agreed to take part."""
    since = person["consent_at"] or person["finished_at"]
    return max(1, math.ceil((now - since).total_seconds() / 86_400))


def _settled(said: Mapping[str, Any], changes: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """The answers after the changes, checked. Of nothing there is neither a song nor a day."""
    for name, value in changes.items():
        if name not in _ANSWERS:
            raise AnswerError(f"unknown field {name!r}", f"an answer has {', '.join(_ANSWERS)}")
        if name == "outcome" and value is not None and value not in CAME_OF_IT:
            raise AnswerError(f"outcome = {value!r}", f"it must be one of {', '.join(CAME_OF_IT)}")
        if name == "days" and value is not None:
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 0 <= value <= longest:
                raise AnswerError(f"days = {value!r}", f"it must be a whole number from 0 to {longest}")
    merged = dict(said) | dict(changes)
    merged |= {"song": song_name(merged["song"]), "words": clean(merged["words"])}
    if merged["outcome"] in (None, CAME_OF_IT[0]):
        merged |= {"song": None, "days": None}
    return merged
