"""Those who come by the open link, in the database: one for each id, places, ends, and neutral names."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from scripted_listener import BUILD, answer_all

from study.design.open_link import OpenLink
from study.store import recruits
from study.store.protocol import Page
from study.store.schema import listener, metadata, recruit, recruit_id, trial
from study.store.store import Store, StoreError

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def opened(store: Store, **settings) -> OpenLink:
    store.register_build(**BUILD)
    store.open_link = OpenLink(**settings)
    return store.open_link


def joined(store: Store, person: str, **kind) -> recruits.Recruit:
    ids = {name: f"{name}-{person}" for name in store.open_link.ids}
    return recruits.join(
        store.engine, store.open_link, ids | {store.open_link.names_listener: person}, **kind
    )


def begun(store: Store, person: str, **kind):
    """Somebody who has joined and pressed Start."""
    token = joined(store, person, **kind).token
    someone = store.find(token)
    store.claim(someone.id, "T")
    store.consent(someone.id, "v1")
    return store.find(token)


def finish(store: Store, person: str, **kind) -> Page:
    someone = begun(store, person, **kind)
    if someone.step.page is Page.SOUND_CHECK:
        store.sound_check(someone.id, "headphones")
    answer_all(store, someone.name, **kind)
    store.save_final(someone.id, tab="T", questions=["a"], texts={1: "b"}, finish=True)
    return store.find(joined(store, person, **kind).token).step.page


def outcomes(store: Store) -> dict[str, str | None]:
    person = store.open_link.names_listener
    return {one["ids"][person]: one["outcome"] for one in recruits.everybody(store.engine)}


def long_ago(store: Store, column: sa.Column, minutes: float, person: int | None = None) -> None:
    """Set a stamp of one listener, or of all, back."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    change = column.table.update().values({column.name: past})
    key = column.table.c.id if column.table is listener else column.table.c.listener_id
    with store.engine.begin() as connection:
        connection.execute(change if person is None else change.where(key == person))


@both
def test_an_id_is_one_listener_and_its_ids_stand_apart(store):
    opened(store)
    first, again = joined(store, "5a9d64f5f6dfdd0001eaa73d"), joined(store, "5a9d64f5f6dfdd0001eaa73d")
    assert first == again
    person = store.find(first.token)
    assert person.name == f"open-{person.id:04d}"
    assert (person.step.page, person.step.total) == (Page.WELCOME, 6)
    assert recruits.ids_of(store.engine, person.id) == {
        "PROLIFIC_PID": "5a9d64f5f6dfdd0001eaa73d",
        "STUDY_ID": "STUDY_ID-5a9d64f5f6dfdd0001eaa73d",
        "SESSION_ID": "SESSION_ID-5a9d64f5f6dfdd0001eaa73d",
    }
    kept_apart = {recruit, recruit_id}
    with store.engine.connect() as connection:
        for table in set(metadata.sorted_tables) - kept_apart:
            assert "5a9d64f5" not in repr(connection.execute(sa.select(table)).all()), table.name


@both
def test_names_differ_in_each_letter(store):
    """No folding of case, of spaces or of accents makes two ids one, or one id two."""
    opened(store, require=".+")
    people = ["abc", "ABC", "Abc", "abc ", "a bc", "ab\u00e7", "abc'", "%", "_", "abc%"]
    tokens = {joined(store, person).token for person in people}
    assert len(tokens) == len(people)
    assert {joined(store, person).token for person in people} == tokens


@both
def test_sixty_ids_that_come_thrice_at_once_are_sixty(store):
    """Each id comes three times at the same moment, as where browsers load a page again."""
    opened(store)
    people = [f"person{number}" for number in range(60)]
    with ThreadPoolExecutor(24) as pool:
        tokens = list(pool.map(lambda person: joined(store, person).token, people * 3))
    assert len(set(tokens)) == 60
    assert tokens[:60] == tokens[60:120] == tokens[120:]
    with store.engine.connect() as connection:
        numbers = connection.execute(sa.select(listener.c.number).order_by(listener.c.number)).scalars().all()
        assert numbers == list(range(60)), "each has an order of their own"
        assert connection.execute(sa.select(sa.func.count()).select_from(recruit)).scalar() == 60


@both
def test_of_many_who_start_at_once_as_many_as_there_are_places_begin(store):
    opened(store, quota=5)
    people = [joined(store, f"person{number}") for number in range(20)]
    ids = [store.find(person.token).id for person in people]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda one: store.consent(one, "v1"), ids))
    pages = [store.find(person.token).step.page for person in people]
    assert (pages.count(Page.SOUND_CHECK), pages.count(Page.OVER_QUOTA)) == (5, 15)
    with pytest.raises(recruits.FullError):
        joined(store, "late")


@both
def test_who_opens_the_link_takes_no_place_and_who_lets_go_leaves_it(store):
    opened(store, quota=1, timeout_minutes=30)
    for number in range(5):
        joined(store, f"only-looks{number}")
    begun(store, "ann")
    with pytest.raises(recruits.FullError):
        joined(store, "bo")
    long_ago(store, listener.c.consent_at, 31)
    assert joined(store, "bo").outcome is None, "Ann's place is free again"
    assert outcomes(store)["ann"] == "timed out"
    assert finish(store, "bo") is Page.DONE
    assert store.find(joined(store, "ann").token).step.page is Page.TIMED_OUT
    with pytest.raises(recruits.FullError):
        joined(store, "cy")


@both
def test_who_is_late_is_let_go_at_their_next_message(store):
    opened(store, timeout_minutes=30)
    ann = begun(store, "ann")
    assert ann.step.page is Page.SOUND_CHECK
    long_ago(store, listener.c.consent_at, 31)
    assert store.find(joined(store, "ann").token).step.page is Page.TIMED_OUT
    assert outcomes(store) == {"ann": "timed out"}
    assert finish(store, "ann") is Page.TIMED_OUT, "and stays so"
    long_ago(store, listener.c.consent_at, -1)
    assert store.find(joined(store, "ann").token).step.page is Page.TIMED_OUT


def test_a_personal_link_has_no_time_limit_and_its_pages_write_nothing(store, monkeypatch):
    opened(store, timeout_minutes=30)
    person = store.find(store.invite("Ann"))
    store.consent(person.id, "v1")
    long_ago(store, listener.c.consent_at, 60)
    monkeypatch.setattr(recruits, "expire", None)  # which would hold up everybody at each run of her page
    assert store.find(store.invite("Ann")).step.page is Page.SOUND_CHECK


@both
def test_who_has_finished_is_never_late(store):
    opened(store, timeout_minutes=30)
    assert finish(store, "ann") is Page.DONE
    long_ago(store, listener.c.consent_at, 500)
    recruits.expire_all(store.engine, store.open_link)
    assert store.find(joined(store, "ann").token).step.page is Page.DONE
    assert outcomes(store) == {"ann": "completed"}


@both
def test_who_is_screened_out_stays_so_and_leaves_the_place(store):
    opened(store, quota=1)
    ann = begun(store, "ann")
    store.screen_out(ann.id)
    assert store.find(joined(store, "ann").token).step.page is Page.SCREENED_OUT
    assert finish(store, "bo") is Page.DONE
    assert outcomes(store) == {"ann": "screened out", "bo": "completed"}
    assert recruits.counts(store.engine) == {"screened out": 1, "completed": 1}


@both
def test_somebody_with_a_personal_link_can_be_screened_out(store):
    store.register_build(**BUILD)
    token = store.invite("Ada")
    store.screen_out(store.find(token).id)
    store.screen_out(store.find(token).id)
    assert store.find(token).step.page is Page.SCREENED_OUT
    assert [one.awaited for one in store.listeners()] == [False]
    assert recruits.counts(store.engine) == {}


@both
def test_pilots_take_no_place_and_may_take_part_later(store):
    opened(store, quota=1)
    assert finish(store, "ann", pilot=True) is Page.DONE
    assert finish(store, "ann") is Page.DONE
    assert len(store.listeners(pilot=True)) == len(store.listeners(pilot=False)) == 1
    assert joined(store, "bo", pilot=True).outcome is None


@both
def test_a_closed_study_takes_in_nobody_new(store):
    opened(store)
    token = joined(store, "ann").token
    store.close_study("Ida")
    with pytest.raises(StoreError, match="closed"):
        joined(store, "bo")
    assert joined(store, "ann").token == token
    assert store.find(token).step.page is Page.CLOSED


@both
def test_who_never_begins_is_forgotten_and_the_order_goes_to_the_next(store):
    opened(store)
    stays = begun(store, "stays")
    goes = store.find(joined(store, "goes").token)
    long_ago(store, recruit.c.came_at, 200)
    joined(store, "next")
    assert set(outcomes(store)) == {"stays", "next"}
    assert store.find(joined(store, "stays").token).id == stays.id
    with store.engine.connect() as connection:
        left = {row.listener_id for row in connection.execute(sa.select(trial.c.listener_id).distinct())}
        assert goes.id not in left or len(left) == 2
        numbers = connection.execute(sa.select(listener.c.number)).scalars().all()
    assert sorted(numbers) == [0, 1]
    assert joined(store, "goes").token, "and may come again"


@both
def test_of_too_many_who_never_begin_the_oldest_are_forgotten(store, monkeypatch):
    monkeypatch.setattr(recruits, "MOST_UNOPENED", 3)
    opened(store)
    for number in range(6):
        joined(store, f"flood{number}")
    assert list(outcomes(store)) == ["flood3", "flood4", "flood5"]


@both
def test_answers_and_open_texts_know_the_neutral_name_alone(store):
    opened(store)
    finish(store, "5a9d64f5f6dfdd0001eaa73d")
    assert {row["listener"] for row in store.answers()} == {"open-0001"}
    assert "5a9d64f5" not in repr(store.answers()) + repr(store.final_forms()) + repr(store.listeners())
