"""Listeners who have finished a small study and keep clips of it: what a follow-up begins with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from study.design.follow_up import FollowUp
from study.store.schema import listener, trial
from study.store.store import Store

STIMULI = {"UMG": ["aaaa2222", "bbbb2222", "cccc2222"], "VAR": ["dddd2222", "eeee2222"]}
RULE = FollowUp(days=14)


def built(store: Store, **more) -> None:
    store.register_build(
        stimuli=STIMULI,
        practice=["pppp2222"],
        key_sha256="ab" * 32,
        design_digest="cd" * 32,
        file_format="wav",
        order="fixed",
        **more,
    )


def finished(
    store: Store,
    name: str = "Ann",
    keep: Sequence[str] | None = ("aaaa2222", "dddd2222"),
    inspiring: Sequence[str] = (),
    pilot: bool = False,
) -> int:
    """Answers everything for a listener, who keeps these stimuli (None: all); returns the listener's id."""
    token = store.invite(name, pilot=pilot)
    person = store.find(token)
    store.claim(person.id, "tab")
    store.consent(person.id, "1")
    store.sound_check(person.id, "headphones")
    with store.engine.begin() as connection:
        rows = connection.execute(
            sa.select(trial).where(trial.c.listener_id == person.id).order_by(trial.c.slot)
        ).all()
    store.begin_part(person.id, max(row.part for row in rows))
    for row in rows:
        store.show(person.id, row.slot)
        changes = {"verdict": "real", "musicality": 5, "inspiring": "no"}
        changes |= {"kept": keep is None or row.stimulus_id in keep} if row.part else {}
        changes |= {"inspiring": "yes"} if row.stimulus_id in inspiring else {}
        changes = {name: changes[name] for name in changes if row.phase == "all" or name in OF[row.phase]}
        saved = store.save(
            person.id, row.slot, tab="tab", changes=changes, press=f"{row.slot}", require_heard=False
        )
        assert saved.final
    assert store.save_final(person.id, tab="tab", questions=(), texts={}, finish=True)
    return person.id


OF = {"verdict": ("verdict",), "rating": ("musicality", "inspiring", "kept")}


def days_ago(store: Store, listener_id: int, days: float) -> None:
    """Puts a listener's whole way through the study so many days back."""
    back = dt.timedelta(days=days)
    with store.engine.begin() as connection:
        row = connection.execute(sa.select(listener).where(listener.c.id == listener_id)).one()
        values = {"finished_at": row.finished_at - back, "consent_at": row.consent_at - back}
        connection.execute(listener.update().where(listener.c.id == listener_id).values(**values))
