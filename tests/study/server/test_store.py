from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from scripted_listener import ANSWER, BUILD, WHOLE, answer_all, ready

from analysis.plan import AnalysisPlan
from study.store import database, schema
from study.store.answering import Listening, OtherTab
from study.store.protocol import AnswerError
from study.store.store import Store, StoreError

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


# builds


@both
def test_the_same_build_again_changes_nothing(store):
    listener = ready(store)
    before = store.show(listener, 0).play_key
    store.register_build(**BUILD)
    assert store.show(listener, 0).play_key == before


@both
def test_another_build_before_any_answer_gives_new_orders(store):
    listener = ready(store)
    store.register_build(**BUILD | {"stimuli": {"UMG": ["hhhhhhhh"]}, "key_sha256": "11" * 32})
    person = store.find(store.invite("Ann"))
    assert person.id == listener
    assert person.step.total == 1


@both
def test_answers_freeze_the_build_but_not_its_wording(store):
    ready(store)
    answer_all(store, "Ann", stop=3)
    with pytest.raises(StoreError, match="key_sha256"):
        store.register_build(**BUILD | {"key_sha256": "22" * 32})
    with pytest.raises(StoreError, match="stimuli"):
        store.register_build(**BUILD | {"stimuli": {"UMG": ["aaaaaaaa"]}})
    store.register_build(**BUILD | {"design_digest": "ef" * 32})
    assert store.build().design_digest == "ef" * 32
    answer_all(store, "Ann")
    digests = [row["design_digest"] for row in store.answers()]
    assert digests == ["cd" * 32] + ["ef" * 32] * 5


@both
def test_an_answer_keeps_the_design_that_is_served_whatever_is_built_meanwhile(store):
    ready(store)
    store.served_digest = "cd" * 32
    store.register_build(**BUILD | {"design_digest": "ef" * 32})
    answer_all(store, "Ann", stop=4)
    answered = [row for row in store.answers() if row["answered_at"]]
    assert [row["design_digest"] for row in answered] == ["cd" * 32] * 2


@both
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stimuli": {"UMG": []}}, "UMG has no clips"),
        ({"stimuli": {"UMG": ["aaaaaaaa"], "VAR": ["aaaaaaaa"]}}, "aaaaaaaa.*twice"),
        ({"stimuli": {"practice": ["aaaaaaaa"]}}, "practice"),
        ({"order": "alphabetical"}, "alphabetical"),
    ],
)
def test_impossible_builds_are_refused(store, change, told):
    with pytest.raises(StoreError, match=told):
        store.register_build(**BUILD | change)
    assert store.build() is None


# listeners


@both
def test_an_invitation_is_made_once_per_name(store):
    with pytest.raises(StoreError, match="study build"):
        store.invite("Ann")
    store.register_build(**BUILD)
    assert store.invite("Ann") == store.invite("  Ann ")
    assert store.invite("Bo") != store.invite("Ann")
    with pytest.raises(StoreError, match="name"):
        store.invite("  ")
    assert [one.name for one in store.listeners()] == ["Ann", "Bo"]
    assert store.find("no such token") is None
    assert store.find(None) is None


@both
def test_many_invitations_at_once_make_each_listener_once(store):
    store.register_build(**BUILD)
    with ThreadPoolExecutor(20) as pool:
        tokens = list(pool.map(lambda index: store.invite(f"L{index % 5}"), range(40)))
    assert len(set(tokens)) == 5
    with database.reading(store.engine) as connection:
        numbers = connection.execute(sa.select(schema.listener.c.number)).scalars().all()
    assert sorted(numbers) == [0, 1, 2, 3, 4]


@both
def test_every_listener_hears_every_clip_once_and_sets_take_turns(store):
    for name in ("Ann", "Bo", "Cy", "Di"):
        ready(store, name)
        answer_all(store, name)
    rows = store.answers()
    assert len(rows) == 24
    for name in ("Ann", "Bo", "Cy", "Di"):
        mine = [row for row in rows if row["listener"] == name]
        assert sorted(row["stimulus_id"] for row in mine) == sorted(sum(BUILD["stimuli"].values(), []))
    first = [row["set"] for row in rows if (row["set_position"], row["position"]) == (1, 1)]
    assert first == ["UMG", "VAR", "UMG", "VAR"]
    places = {(row["stimulus_id"], row["position"]) for row in rows if row["set"] == "UMG"}
    assert len(places) == 16, "over four listeners each of four clips stands in each of four positions"


@both
def test_progress_tells_where_each_listener_is(store):
    ready(store)
    store.invite("Bo")
    ann, bo = store.listeners()
    assert (bo.stage, bo.answered, bo.total, bo.last_seen) == ("not opened yet", 0, 6, None)
    assert ann.stage == "practice 1 of 1"
    answer_all(store, "Ann", stop=3)
    ann, _ = store.listeners()
    assert (ann.stage, ann.answered) == ("part 1 of 2, clip 2 of 4", 1)
    assert ann.last_seen is not None
    assert ann.last_seen.tzinfo is not None


# answers


@both
def test_an_answer_grows_field_by_field_with_its_history(store):
    listener = ready(store)
    store.show(listener, 0)
    store.save(listener, 0, tab="T", changes={"verdict": "fake", "difficulty": "easy"})
    store.save(listener, 0, tab="T", changes={"verdict": "real"}, listening=WHOLE)
    store.save(listener, 0, tab="T", changes={"verdict": "real"})
    draft = store.show(listener, 0)
    assert (draft.fields["verdict"], draft.fields["difficulty"]) == ("real", None)
    assert draft.listening == WHOLE
    assert draft.revision == 2
    with database.reading(store.engine) as connection:
        history = (
            connection.execute(sa.select(schema.revision).order_by(schema.revision.c.id)).mappings().all()
        )
    assert [row["changes"] for row in history] == [
        {"verdict": "fake", "difficulty": "easy"},
        {"verdict": "real", "difficulty": None},
    ]


@both
def test_next_closes_only_a_complete_answer_and_each_press_counts_once(store):
    listener = ready(store)
    store.show(listener, 0)
    early = store.save(listener, 0, tab="T", changes={"verdict": "real"}, press="1")
    assert (early.final, early.pressed) == (False, True)
    assert early.missing == ("heard", "musicality", "inspiring")
    later = store.save(
        listener, 0, tab="T", changes={"musicality": 5, "inspiring": "yes"}, listening=WHOLE, press="1"
    )
    assert (later.final, later.missing) == (False, ()), "the old press does not close the answer"
    assert store.save(listener, 0, tab="T", press="2").final
    again = store.save(listener, 0, tab="T", changes={"musicality": 9}, press="3")
    assert again.final
    assert store.answers(practice=True)[0]["musicality"] == 5


@both
def test_questions_may_open_without_the_clip_heard_where_the_design_says_so(store):
    listener = ready(store)
    store.show(listener, 0)
    saved = store.save(listener, 0, tab="T", changes=ANSWER, press="1", require_heard=False)
    assert saved.final


@both
def test_slots_are_answered_in_order(store):
    listener = ready(store)
    with pytest.raises(StoreError, match="not shown"):
        store.save(listener, 2, tab="T", changes=ANSWER)
    store.show(listener, 2)
    with pytest.raises(StoreError, match="not the next"):
        store.save(listener, 2, tab="T", changes=ANSWER)
    with pytest.raises(StoreError, match="no clip 99"):
        store.show(listener, 99)


@both
def test_only_the_newest_tab_writes(store):
    listener = ready(store)
    store.show(listener, 0)
    store.claim(listener, "other")
    with pytest.raises(OtherTab):
        store.save(listener, 0, tab="T", changes=ANSWER)
    assert store.show(listener, 0).fields["verdict"] is None
    with pytest.raises(OtherTab):
        store.save_final(listener, tab="T", questions=["q"], texts={1: "x"}, finish=False)


@both
def test_the_database_itself_refuses_what_cannot_be(store):
    listener = ready(store)
    store.show(listener, 0)
    with pytest.raises(AnswerError, match="11"):
        store.save(listener, 0, tab="T", changes={"musicality": 11})
    for values in (
        {"musicality": 11},
        {"verdict": "perhaps"},
        {"verdict": "real", "difficulty": "easy"},
        {"answered_at": schema.now()},
    ):
        with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
            connection.execute(schema.answer.update().values(**values))


@both
def test_what_was_heard_only_grows(store):
    listener = ready(store)
    store.show(listener, 0)
    store.save(listener, 0, tab="T", listening=WHOLE)
    store.save(listener, 0, tab="T", listening=Listening(plays=1, seconds_heard=0.3, spans=((0, 0.3),)))
    assert store.show(listener, 0).listening == WHOLE


def test_a_forged_report_counts_as_nothing():
    forged = {
        "plays": "9",
        "heard": float("nan"),
        "played": -3,
        "spans": [[1], "x", [0, True]],
        "unlocked": 1,
    }
    assert Listening.from_report(forged) == Listening(spans=((0.0, 0.0),))


@both
def test_answers_carry_what_the_analysis_needs_and_no_practice(store):
    ready(store)
    answer_all(store, "Ann")
    rows = store.answers()
    assert len(rows) == 6
    assert len(store.answers(practice=True)) == 7
    row = rows[0]
    assert row["verdict"] == "fake"
    assert row["plays"] == 1
    assert row["response_seconds"] >= 0
    assert row["first_play_at"] <= row["answered_at"]
    assert [one["position"] for one in rows] == [1, 2, 3, 4, 1, 2]
    assert {"truth", "backend", "epochs", "name"}.isdisjoint(row)


@both
def test_the_final_form_ends_the_study_once(store):
    listener = ready(store)
    early = store.save_final(listener, tab="T", questions=["q1"], texts={1: "x"}, finish=True)
    assert not early
    assert store.final_forms() == []
    answer_all(store, "Ann")
    questions = ["q1", "q2"]
    assert not store.save_final(listener, tab="T", questions=questions, texts={1: "the bass"}, finish=False)
    assert store.final_texts(listener) == {1: "the bass"}
    assert store.save_final(listener, tab="T", questions=questions, texts={}, finish=True)
    assert store.save_final(listener, tab="T", questions=questions, texts={1: "changed"}, finish=True)
    assert [(row["question"], row["text"]) for row in store.final_forms()] == [("q1", "the bass"), ("q2", "")]
    assert store.listeners()[0].finished_at is not None


@both
def test_unblinding_is_logged_and_needs_the_sealed_key(store):
    store.register_build(**BUILD)
    with pytest.raises(StoreError, match="ffff.*abab"):
        store.log_unblinding("Ida", "report", "ff" * 32)
    assert store.unblindings() == []
    store.log_unblinding("Ida", "report", BUILD["key_sha256"])
    (row,) = store.unblindings()
    assert (row["who"], row["reason"]) == ("Ida", "report")


@both
def test_a_play_key_opens_for_its_own_listener_alone(store):
    listener = ready(store)
    ann, bo = store.invite("Ann"), store.invite("Bo")
    key = store.show(listener, 0).play_key
    assert store.clip(key, ann).stimulus_id == "gggggggg"
    assert store.clip(key, bo) is None
    assert store.clip(key, None) is None
    assert store.clip("aaaaaaaa", ann) is None


# the analysis plan


@both
def test_the_plan_that_is_served_is_fixed_when_the_first_listener_begins(store):
    store.register_build(**BUILD)
    store.served_plan = AnalysisPlan(accuracy_bound=0.1)
    pilot = store.find(store.invite("Pip", pilot=True))
    store.consent(pilot.id, "v1")
    assert store.kept_plan() is None
    ready(store)
    kept = store.kept_plan()
    assert (kept.text, kept.sha256) == (store.served_plan.text, store.served_plan.sha256)
    assert kept.at.tzinfo is not None
    assert kept.at <= schema.now()
    store.served_plan = AnalysisPlan(accuracy_bound=0.2)
    ready(store, "Bea")
    assert store.kept_plan() == kept


@both
def test_no_plan_is_fixed_after_the_first_answer(store):
    ready(store)
    answer_all(store, "Ann", stop=3)
    store.served_plan = AnalysisPlan(accuracy_bound=0.1)
    ready(store, "Bea")
    assert store.kept_plan() is None


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_two_listeners_who_begin_at_once_fix_one_plan(store):
    store.register_build(**BUILD)
    people = [store.find(store.invite(name)).id for name in ("Ann", "Bea", "Cy", "Dee")]
    stores = [Store(store.engine.url.render_as_string(hide_password=False)) for _ in people]
    for number, one in enumerate(stores, start=1):
        one.served_plan = AnalysisPlan(musicality_bound=float(number))
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(lambda one, person: one.consent(person, "v1"), stores, people))
    kept = store.kept_plan()
    assert kept.text in [one.served_plan.text for one in stores]
    assert kept.sha256 == AnalysisPlan.of(kept.text).sha256
    for one in stores:
        one.close()
