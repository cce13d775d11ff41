"""Who may answer: pilots who count nowhere, withdrawn links, a closed study, and places filled again."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from postgres import both
from scripted_listener import ANSWER, BUILD, WHOLE, answer_all, ready

from study.store import answering, database, schema
from study.store.protocol import Page
from study.store.store import Store, StoreError


def _finish(store: Store, name: str, **build) -> None:
    listener = ready(store, name, **build)
    answer_all(store, name)
    store.save_final(listener, tab="T", questions=["q"], texts={1: name}, finish=True)


def _numbers(store: Store) -> dict[str, int]:
    with database.reading(store.engine) as connection:
        rows = connection.execute(sa.select(schema.listener.c.name, schema.listener.c.number))
        return {row.name: row.number for row in rows}


# pilots


@both
def test_pilots_count_nowhere(store):
    store.register_build(**BUILD)
    store.invite("Pia", pilot=True)
    store.invite("Pit", pilot=True)
    listener = ready_pilot(store, "Pia")
    answer_all_pilot(store, "Pia")
    store.save_final(listener, tab="T", questions=["q"], texts={1: "tried"}, finish=True)
    assert not store.has_answers()
    assert store.answers() == store.answers(practice=True) == store.final_forms() == []
    assert len(store.answers(pilot=True)) == 6
    assert [row["text"] for row in store.final_forms(pilot=True)] == ["tried"]
    for name in ("Ann", "Bo"):
        _finish(store, name)
    assert _numbers(store) == {"Pia": -1, "Pit": -2, "Ann": 0, "Bo": 1}
    assert {row["listener"] for row in store.answers()} == {"Ann", "Bo"}
    assert {row["listener"] for row in store.answers(pilot=True)} == {"Pia"}
    assert [row["listener"] for row in store.final_forms()] == ["Ann", "Bo"]
    assert [one.name for one in store.listeners(pilot=True)] == ["Pia", "Pit"]
    assert [one.name for one in store.listeners(pilot=False)] == ["Ann", "Bo"]
    assert len(store.listeners()) == 4
    with pytest.raises(StoreError, match="Ann was invited as no pilot"):
        store.invite("Ann", pilot=True)


@both
def test_a_new_build_takes_the_answers_of_pilots_along_and_says_so(store):
    store.register_build(**BUILD)
    store.invite("Pia", pilot=True)
    ready_pilot(store, "Pia")
    answer_all_pilot(store, "Pia")
    store.register_build(**BUILD | {"key_sha256": "11" * 32})
    assert store.answers(pilot=True) == []
    (event,) = store.events()
    assert (event["what"], event["detail"][:20]) == ("sets replaced", "7 answers of pilots ")
    assert store.listeners()[0].answered == 0


@both
def test_the_database_itself_knows_pilots_by_their_number(store):
    ready(store)
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        connection.execute(schema.listener.update().values(pilot=True))


def ready_pilot(store: Store, name: str) -> int:
    person = store.find(store.invite(name, pilot=True))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    assert person.pilot
    return person.id


def answer_all_pilot(store: Store, name: str) -> None:
    token = store.invite(name, pilot=True)
    while (step := store.find(token).step).page is not Page.FINAL:
        person = store.find(token)
        if step.page is Page.PAUSE:
            store.begin_part(person.id, step.part)
        else:
            store.show(person.id, step.slot)
            store.save(person.id, step.slot, tab="T", changes=ANSWER, listening=WHOLE, press=f"{step.slot}")


# withdrawn links


@both
def test_a_withdrawn_link_shows_the_closing_page_and_saves_nothing(store):
    listener = ready(store)
    answer_all(store, "Ann", stop=3)
    token = store.invite("Ann")
    slot = store.find(token).step.slot
    draft = store.show(listener, slot)
    assert store.revoke("Ann")
    assert not store.revoke(" Ann ")
    assert store.find(token).step.page is Page.CLOSED
    assert store.clip(draft.play_key, token) is None
    for attempt in (
        lambda: store.save(listener, slot, tab="T", changes=ANSWER, listening=WHOLE, press="x"),
        lambda: store.show(listener, slot + 1),
        lambda: store.begin_part(listener, 2),
        lambda: store.consent(listener, "v2"),
        lambda: store.save_final(listener, tab="T", questions=["q"], texts={1: "x"}, finish=True),
    ):
        with pytest.raises(StoreError, match="withdrawn"):
            attempt()
    assert store.listeners()[0].revoked_at is not None
    assert len(store.answers()) == 1
    assert store.restore("Ann")
    assert not store.restore("Ann")
    answer_all(store, "Ann")
    assert len(store.answers()) == 6
    with pytest.raises(StoreError, match="nobody named 'Bo' is invited; there are: Ann"):
        store.revoke("Bo")


# closing


@both
def test_a_closed_study_takes_no_answer_and_lets_the_finished_be(store):
    _finish(store, "Bo")
    listener = ready(store)
    answer_all(store, "Ann", stop=3)
    token = store.invite("Ann")
    slot = store.find(token).step.slot
    draft = store.show(listener, slot)
    assert store.closed_at() is None
    since = store.close_study("Ida")
    assert store.close_study("Ida") == since == store.closed_at()
    assert store.find(token).step.page is Page.CLOSED
    assert store.find(store.invite("Bo")).step.page is Page.DONE
    assert store.clip(draft.play_key, token) is None
    with pytest.raises(StoreError, match="closed"):
        store.save(listener, slot, tab="T", changes=ANSWER, listening=WHOLE, press="x")
    with pytest.raises(StoreError, match="study reopen"):
        store.invite("Cy")
    assert store.reopen_study("Ida")
    assert not store.reopen_study("Ida")
    answer_all(store, "Ann")
    assert len(store.answers()) == 12
    assert [(row["who"], row["what"]) for row in store.events()] == [("Ida", "closed"), ("Ida", "reopened")]


@both
def test_an_unblinded_study_stays_closed(store):
    ready(store)
    store.log_unblinding("Ida", "report", BUILD["key_sha256"])
    with pytest.raises(StoreError, match="unblinded on .* so it stays closed"):
        store.reopen_study("Ida")
    assert store.closed_at() is not None


@both
def test_no_answer_slips_in_while_the_study_closes(store, monkeypatch):
    """What is acknowledged is there when close_study has returned, and nothing comes after."""
    plain = store.save

    def unhurried(*asked, **given):  # SQLite gives a lock to who asks at the right moment, which has to come
        time.sleep(0.1)
        return plain(*asked, **given)

    monkeypatch.setattr(store, "save", unhurried)
    names = [f"L{number}" for number in range(8)]
    many = {"UMG": [f"{letter}{digit}aaaaaa" for letter in "abcdef" for digit in range(2, 8)]}
    for name in names:
        ready(store, name, stimuli=many)

    def answer(name: str) -> None:
        with contextlib.suppress(StoreError):  # told in the middle of an answer that the study is closed
            answer_all(store, name)

    with ThreadPoolExecutor(9) as pool:
        running = [pool.submit(answer, name) for name in names]
        while len(store.answers()) < 6:
            time.sleep(0.005)
        store.close_study("Ida")
        there = store.answers()
        for one in running:
            one.result()
    assert store.answers() == there
    assert 6 <= len(there) < len(names) * len(many["UMG"])


@both
def test_closing_waits_for_an_answer_that_is_being_saved(store):
    listener = ready(store)
    with ThreadPoolExecutor(1) as pool:
        with store.engine.begin() as connection:
            answering.admit(connection, listener)
            closing = pool.submit(store.close_study, "Ida")
            with pytest.raises(TimeoutError):
                closing.result(timeout=0.5)
        assert closing.result(timeout=120) == store.closed_at()


# places filled again


@both
def test_places_of_those_who_never_began_are_filled_again(store):
    build = {"stimuli": {"UMG": ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"]}, "practice": ["gggggggg"]}
    for number in range(8):
        ready(store, f"L{number}", **build)
    for name in ("L0", "L3", "L5"):
        answer_all(store, name, stop=4)  # one clip that counts, at least
    answer_all(store, "L6", stop=1)  # practice alone
    for name in ("L1", "L5", "L6", "L7"):
        store.revoke(name)
    for number in range(8, 13):
        ready(store, f"L{number}", **build)
    numbers = _numbers(store)
    assert [numbers[f"L{number}"] for number in range(8, 13)] == [1, 6, 7, 8, 9]
    assert numbers["L5"] == 5, "who has begun keeps the place"
    counting = [f"L{number}" for number in range(13) if number not in (1, 6, 7)]
    with database.reading(store.engine) as connection:
        rows = connection.execute(
            sa.select(schema.listener.c.name, schema.trial.c.position, schema.trial.c.stimulus_id)
            .join(schema.trial, schema.trial.c.listener_id == schema.listener.c.id)
            .where(schema.trial.c.part == 1, schema.listener.c.number < 8)
        ).all()
    places = Counter((row.position, row.stimulus_id) for row in rows if row.name in counting)
    assert len(places) == 16
    assert set(places.values()) == {2}, "two whole blocks: every clip in every position equally often"


@both
def test_whoever_comes_back_to_a_filled_place_gets_the_next(store):
    for name in ("Ann", "Bo"):
        ready(store, name)
    store.revoke("Ann")
    ready(store, "Cy")
    assert _numbers(store) == {"Ann": 0, "Bo": 1, "Cy": 0}
    store.restore("Ann")
    assert _numbers(store) == {"Ann": 2, "Bo": 1, "Cy": 0}
    answer_all(store, "Ann")
    assert len(store.answers()) == 6


@both
def test_progress_tells_when_and_how_long(store):
    _finish(store, "Ann")
    ready(store, "Bo")
    answer_all(store, "Bo", stop=1)
    ann, bo = store.listeners()
    rows = store.answers()
    assert ann.seconds_active == pytest.approx(sum(row["response_seconds"] for row in rows), abs=0.01)
    assert ann.invited_at < ann.consent_at < ann.begun_at < ann.finished_at
    assert (bo.begun_at, bo.seconds_active, bo.finished_at) == (None, 0.0, None)
    assert ann.id == store.find(ann.token).id


@both
def test_the_log_only_grows(store):
    store.log_event("Ida", "exported", "answers.csv, 3 rows")
    store.log_event("I" * 300, "w" * 60)
    first, second = store.events()
    assert (first["who"], first["what"], first["detail"]) == ("Ida", "exported", "answers.csv, 3 rows")
    assert first["at"].tzinfo is not None
    assert (len(second["who"]), len(second["what"]), second["detail"]) == (200, 40, "")
