"""How listeners did in the checks of headphones and attention: `check_result`, one row for each attempt."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from study.design.checks import HEADPHONE_ATTEMPTS, HEADPHONE_TRIALS
from study.store.answering import insert_once, owner
from study.store.database import reading
from study.store.schema import check_result, clock, listener

HEADPHONES, ATTENTION = "headphones", "attention"
_SLIPS = "slips"  # beside an answer: how many checks of attention might be failed when it was given


@dataclass(frozen=True)
class Standing:
    """How far a listener is in a headphone check: which attempt and trial come next, from 1."""

    attempt: int = 1
    trial: int = 1
    passed: bool = False
    over: bool = False


def standing(rows: Sequence[Mapping[str, Any]]) -> Standing:
    """Of the rows of one listener's headphone check."""
    rows = sorted(rows, key=lambda row: row["attempt"])
    if any(row["passed"] for row in rows):
        return Standing(passed=True, over=True)
    complete = [row for row in rows if len(row["trials"]) >= HEADPHONE_TRIALS]
    if len(complete) >= HEADPHONE_ATTEMPTS:
        return Standing(over=True)
    begun = rows[-1] if len(rows) > len(complete) else None
    return Standing(len(complete) + 1, len(begun["trials"]) + 1 if begun else 1)


def results(connection: sa.Connection, name: str, listener_id: int | None = None) -> dict[int, list]:
    """The rows of a check by listener id, in the order of the attempts."""
    query = sa.select(check_result).where(check_result.c.name == name).order_by(check_result.c.attempt)
    if listener_id is not None:
        query = query.where(check_result.c.listener_id == listener_id)
    found: dict[int, list] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["listener_id"], []).append(row)
    return found


def of(engine: sa.Engine, name: str, listener_id: int) -> list[Mapping[str, Any]]:
    """One listener's rows of a check."""
    with reading(engine) as connection:
        return results(connection, name, listener_id).get(listener_id, [])


def save_headphone_trial(
    engine: sa.Engine,
    listener_id: int,
    *,
    tab: str,
    attempt: int,
    trial: int,
    right: int,
    chosen: int,
    needed: int,
) -> Standing:
    """Save the answer to one trial; one that was answered stays as it was. Returns where the listener is.

    Raises: OtherTab, StoreError as for any answer.
    """
    with engine.begin() as connection:
        owner(connection, listener_id, tab)
        rows = results(connection, HEADPHONES, listener_id).get(listener_id, [])
        now = standing(rows)
        if (now.attempt, now.trial) == (attempt, trial) and not now.over:
            before = next((list(row["trials"]) for row in rows if row["attempt"] == attempt), [])
            trials = [*before, {"right": right, "chosen": chosen}]
            full = len(trials) == HEADPHONE_TRIALS
            passed = full and sum(one["right"] == one["chosen"] for one in trials) >= needed
            _put(connection, listener_id, HEADPHONES, attempt, trials, passed)
        return standing(results(connection, HEADPHONES, listener_id).get(listener_id, []))


def save_attention(
    engine: sa.Engine, listener_id: int, *, tab: str, number: int, asked: int, chosen: int, slips: int = 0
) -> None:
    """Save the answer to a check of attention, once. Raises: OtherTab, StoreError as for any answer.

    slips: how many checks the study allows to be failed, which is kept with the answer.
    """
    with engine.begin() as connection:
        owner(connection, listener_id, tab)
        if len(results(connection, ATTENTION, listener_id).get(listener_id, [])) == number - 1:
            trials = [{"right": asked, "chosen": chosen} | ({_SLIPS: slips} if slips else {})]
            _put(connection, listener_id, ATTENTION, number, trials, asked == chosen)


def _put(
    connection: sa.Connection, listener_id: int, name: str, attempt: int, trials: list, passed: bool
) -> None:
    moment = clock(connection)
    key = {"listener_id": listener_id, "name": name, "attempt": attempt}
    values = {"trials": trials, "passed": passed, "at": moment}
    if not insert_once(connection, check_result, key | values, list(key)):
        here = sa.and_(*(check_result.c[column] == value for column, value in key.items()))
        connection.execute(check_result.update().where(here).values(**values))
    connection.execute(listener.update().where(listener.c.id == listener_id).values(last_seen_at=moment))


def attention_slots(slots: Sequence[int], count: int, *, seed: int, number: int) -> list[int]:
    """Before which of a listener's slots a check of attention comes: one in each of equal stretches.

    slots: those that count, in order; the first one has none before it.
    """
    later, dice = list(slots)[1:], random.Random(f"{seed}/attention/{number}")
    count = min(count, len(later))
    ends = [round(len(later) * place / count) for place in range(count + 1)] if count else [0]
    return [dice.choice(later[low:high]) for low, high in zip(ends, ends[1:], strict=False)]


def exported(connection: sa.Connection) -> dict[int, dict[str, Any]]:
    """By listener id, whether each check was passed; {} where nobody met a check.

    Who listens on loudspeakers is not asked for headphones, and has not passed. Of several checks of
    attention all must be right, but for as many as the study allowed to be failed.
    """
    heard, attentive = results(connection, HEADPHONES), results(connection, ATTENTION)
    playing = connection.execute(sa.select(listener.c.id, listener.c.playback)).all() if heard else []
    found: dict[int, dict[str, Any]] = {}
    for row in playing:
        now = standing(heard.get(row.id, []))
        silent = row.playback in ("loudspeakers", "built_in") and row.id not in heard
        found[row.id] = {"check_headphones": False if silent else now.passed if now.over else None}
    for listener_id, rows in attentive.items():
        failed = sum(not row["passed"] for row in rows)
        allowed = rows[-1]["trials"][0].get(_SLIPS, 0)
        found.setdefault(listener_id, {})["check_attention"] = failed <= allowed
    return found
