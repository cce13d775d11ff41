"""A study of two passes: first real or fake of all clips, then all clips again for how good they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from postgres import both
from scripted_listener import ANSWER, BUILD, WHOLE, answer_all, ready

from study.store import database, schema
from study.store.protocol import AnswerError, Page
from study.store.store import StoreError

VERDICT = {"verdict": "fake", "difficulty": "easy"}
RATING = {"musicality": 3, "inspiring": "no"}


@both
def test_all_verdicts_come_before_any_rating_and_the_export_has_one_row_for_both(store):
    ready(store, passes=2, repeats=1, seed=4)
    met = []
    for _ in range(100):
        answer_all(store, "Ann", stop=1)
        step = store.find(store.invite("Ann")).step
        met.append((step.page, step.phase, step.part))
        if step.page is Page.FINAL:
            break
    phases = [phase for page, phase, _ in met if page is Page.CLIP]
    assert phases == ["verdict"] * 8 + ["rating"] * 8
    assert [part for page, _, part in met if page is Page.PAUSE] == [1, 2, 3, 4]
    rows = store.answers()
    assert len(rows) == 8
    keys = {(row["set"], row["stimulus_id"], row["repetition"]) for row in rows}
    assert len(keys) == 8
    assert sum(row["repetition"] for row in rows) == 2
    for row in rows:
        assert {name: row[name] for name in ANSWER} == ANSWER
        assert row["answered_at"] < row["rating_answered_at"]
        assert row["response_seconds"] >= 0
        assert row["rating_response_seconds"] >= 0
        assert (row["plays"], row["rating_plays"]) == (1, 1)
        assert row["kept"] is False
    assert {row["set_position"] for row in rows} == {row["rating_set_position"] for row in rows} == {1, 2}
    order = [(row["set_position"], row["position"]) for row in rows]
    assert order == sorted(order)
    assert order != [(row["rating_set_position"], row["rating_position"]) for row in rows]
    one = store.listeners()[0]
    assert (one.answered, one.total) == (16, 16)


@both
def test_half_way_the_ratings_are_still_empty(store):
    ready(store, passes=2)
    answer_all(store, "Ann", stop=6)
    rows = store.answers()
    assert [row["verdict"] for row in rows] == ["fake"] * len(rows)
    assert {row[name] for row in rows for name in ("musicality", "kept", "rating_answered_at")} == {None}


@both
def test_a_phase_takes_its_own_fields_only(store):
    listener = ready(store, passes=2)
    assert store.show(listener, 0).phase == "all", "practice asks everything"
    answer_all(store, "Ann", stop=2)  # practice, pause
    draft = store.show(listener, 1)
    assert draft.phase == "verdict"
    with pytest.raises(AnswerError, match="musicality"):
        store.save(listener, 1, tab="T", changes=RATING)
    saved = store.save(listener, 1, tab="T", changes=VERDICT, listening=WHOLE, press="x")
    assert saved.final
    answer_all(store, "Ann", stop=8)
    step = store.find(store.invite("Ann")).step
    assert step.phase == "rating"
    store.show(listener, step.slot)
    with pytest.raises(AnswerError, match="verdict"):
        store.save(listener, step.slot, tab="T", changes=VERDICT)
    early = store.save(listener, step.slot, tab="T", changes={"kept": True}, listening=WHOLE, press="y")
    assert early.missing == ("musicality", "inspiring")
    assert store.save(listener, step.slot, tab="T", changes=RATING, press="z").final
    assert [row["kept"] for row in store.answers()].count(True) == 1


@both
def test_the_database_itself_keeps_the_phases_apart(store):
    listener = ready(store, passes=2)
    answer_all(store, "Ann", stop=2)
    store.show(listener, 1)
    here = sa.and_(schema.answer.c.listener_id == listener, schema.answer.c.slot == 1)
    for values in (
        {"musicality": 3},
        {"comment": "x"},
        {"phase": "rating", "verdict": "real"},
        {"answered_at": schema.now()},
        {"phase": "rating", "answered_at": schema.now()},
        {"confidence": 0},
    ):
        with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
            connection.execute(schema.answer.update().where(here).values(**values))


@both
def test_confidence_and_keeping_are_saved_with_their_history(store):
    listener = ready(store)
    store.show(listener, 0)
    first = store.save(
        listener, 0, tab="T", changes=ANSWER, listening=WHOLE, press="1", require_confidence=True
    )
    assert (first.final, first.missing) == (False, ("confidence",))
    for wrong in ({"confidence": 6}, {"confidence": True}, {"kept": 1}, {"kept": None}):
        with pytest.raises(AnswerError):
            store.save(listener, 0, tab="T", changes=wrong)
    store.save(listener, 0, tab="T", changes={"kept": True, "confidence": 2})
    store.save(listener, 0, tab="T", changes={"kept": False})
    assert store.save(
        listener, 0, tab="T", changes={"confidence": 5}, press="2", require_confidence=True
    ).final
    (row,) = store.answers(practice=True)
    assert (row["confidence"], row["kept"]) == (5, False)
    with database.reading(store.engine) as connection:
        history = connection.execute(
            sa.select(schema.revision.c.changes).order_by(schema.revision.c.revision)
        ).scalars()
        assert list(history)[1:] == [{"kept": True, "confidence": 2}, {"kept": False}, {"confidence": 5}]


@both
def test_answers_fix_how_many_passes_there_are(store):
    ready(store, passes=2)
    answer_all(store, "Ann", stop=4)
    with pytest.raises(StoreError, match="passes may not change"):
        store.register_build(**BUILD)
