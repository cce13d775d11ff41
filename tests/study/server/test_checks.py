"""Checks of headphones and attention: the pages, what is saved, and what the export says of them."""

from __future__ import annotations

import pytest
from scripted_listener import answer_all, ready
from test_question_pages import Ann
from tiny_study import make_tiny_study

from study import design
from study.design import DesignError
from study.server import headphone_check
from study.store import check_results
from study.store.check_results import ATTENTION, HEADPHONES, Standing, attention_slots
from study.store.protocol import Page, Stations

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
STUDY = {"study": {"title": "T", "seed": 1}}


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"headphones": "stereo"}, 'checks.headphones = "stereo": is not one of the choices'),
        ({"headphones": "huggins", "headphones_pass": 7}, "it must be at most 6"),
        ({"headphones_required": True}, "there is none; add headphones"),
        ({"attention": 9}, "it must be at most 5"),
        ({"attention": 2, "attention_pass": 3}, "attention_pass = 3 is more than there are"),
        ({"attention_pass": 1}, "write attention = 1 or more"),
        ({"attention": 2, "attention_pass": 0}, "it must be at least 1"),
        ({"attentive": 1}, "did you mean `attention`?"),
    ],
)
def test_checks_that_make_no_sense_are_refused(table, part):
    with pytest.raises(DesignError) as caught:
        design.parse(STUDY | {"checks": table})
    assert part in str(caught.value)
    assert design.parse(STUDY).checks == design.parse(STUDY | {"checks": {}}).checks


@pytest.mark.parametrize("number", range(30))
def test_attention_is_checked_once_in_each_stretch_and_never_first(number):
    slots = list(range(2, 22))
    found = attention_slots(slots, 2, seed=7, number=number)
    assert 3 <= found[0] <= 12 < found[1] <= 21
    assert found == attention_slots(slots, 2, seed=7, number=number)
    assert attention_slots([4], 2, seed=7, number=number) == []
    assert attention_slots([4, 5], 3, seed=7, number=number) == [5]


def test_listeners_meet_attention_in_different_places():
    assert len({attention_slots(range(20), 1, seed=7, number=number)[0] for number in range(40)}) > 10


def _headphones(store, person, right: int, attempt: int = 1, needed: int = 5) -> Standing:
    for trial in range(1, 7):
        now = check_results.save_headphone_trial(
            store.engine, person, tab="T", attempt=attempt, trial=trial, right=2,
            chosen=2 if trial <= right else 3, needed=needed,
        )  # fmt: skip
    return now


@BOTH
def test_two_attempts_and_what_is_saved_of_them(store):
    person = ready(store)
    assert _headphones(store, person, 4) == Standing(2, 1)
    check_results.save_headphone_trial(
        store.engine, person, tab="T", attempt=1, trial=6, right=2, chosen=2, needed=5
    )
    first = check_results.of(store.engine, HEADPHONES, person)[0]
    assert (first["passed"], [one["chosen"] for one in first["trials"]]) == (False, [2, 2, 2, 2, 3, 3])
    store.served_stations = Stations(headphones=True)
    assert store.find(store.invite("Ann")).step.page is Page.HEADPHONES
    assert _headphones(store, person, 5, attempt=2) == Standing(passed=True, over=True)
    assert store.find(store.invite("Ann")).step.page is Page.PRACTICE
    answer_all(store, "Ann")
    assert {row["check_headphones"] for row in store.answers()} == {True}


def test_what_is_added_before_the_clips_is_asked_of_nobody_who_has_answered_one(store):
    ready(store)
    answer_all(store, "Ann", stop=3)  # practice, the page before the part, and its first clip
    clip = store.find(store.invite("Ann")).step
    store.served_stations = Stations(before=True, headphones=True)
    assert store.find(store.invite("Ann")).step == clip
    new = store.find(store.invite("Bo"))
    store.consent(new.id, "v")
    assert store.find(store.invite("Bo")).step.page is Page.BEFORE


def test_who_fails_twice_goes_on_and_who_has_loudspeakers_is_not_asked(store):
    store.served_stations = Stations(headphones=True)
    for name in ("Ann", "Bo"):
        person = ready(store, name)
        for attempt in (1, 2):
            now = _headphones(store, person, 1 if name == "Ann" else 0, attempt)
        assert now == Standing(over=True)
        answer_all(store, name)
    loud = store.find(store.invite("Cy"))
    store.claim(loud.id, "T")
    store.consent(loud.id, "v")
    store.sound_check(loud.id, "loudspeakers")
    assert store.find(store.invite("Cy")).step.page is Page.PRACTICE
    answer_all(store, "Cy")
    assert {row["listener"]: row["check_headphones"] for row in store.answers()} == dict.fromkeys(
        ("Ann", "Bo", "Cy"), False
    )


@BOTH
def test_attention_is_saved_once_and_all_must_be_right(store):
    person = ready(store)
    for number, chosen in ((1, 4), (1, 5), (2, 4)):
        check_results.save_attention(store.engine, person, tab="T", number=number, asked=4, chosen=chosen)
    assert [row["passed"] for row in check_results.of(store.engine, ATTENTION, person)] == [True, True]
    answer_all(store, "Ann")
    assert {row["check_attention"] for row in store.answers()} == {True}
    check_results.save_attention(store.engine, person, tab="T", number=3, asked=4, chosen=5)
    assert {row["check_attention"] for row in store.answers()} == {False}


@BOTH
@pytest.mark.parametrize(("needed", "wrong", "passed"), [(None, 1, False), (2, 1, True), (2, 2, False)])
def test_a_study_may_allow_slips_of_attention(store, needed, wrong, passed):
    table = {"attention": 3} | ({} if needed is None else {"attention_pass": needed})
    slips = design.parse(STUDY | {"checks": table}).checks.attention_slips
    person = ready(store)
    for number in (1, 2, 3):
        given = {"asked": 4, "chosen": 5 if number <= wrong else 4}
        check_results.save_attention(store.engine, person, tab="T", number=number, slips=slips, **given)
    answer_all(store, "Ann")
    assert {row["check_attention"] for row in store.answers()} == {passed}


def test_a_study_of_before_has_the_digest_that_it_had():
    """Made with the code before `attention_pass`."""
    checked = design.parse(STUDY | {"checks": {"attention": 2}})
    assert checked.digest() == "464693d9a569e8bbb11031a2008fd2367456505ad10c1d89a8b9395a3dcf7c7c"
    assert (
        design.parse(STUDY | {"checks": {"attention": 2, "attention_pass": 1}}).digest() != checked.digest()
    )


def test_without_checks_the_export_has_no_such_column(store):
    ready(store)
    answer_all(store, "Ann")
    assert not [name for name in store.answers()[0] if name.startswith("check_")]


class Checked(Ann):
    def listen(self, here: str) -> None:
        key = headphone_check.key(self.study.researcher_key, self.person.id, *map(int, here.split("-")))
        report = {"why": "ended", "plays": 1, "heard": 4.2, "played": 4.2, "unlocked": True, "clip": key[:8]}
        self.page.session_state[f"check-{here}"] = {"status": report}
        self.page.run()

    def trial(self, here: str, *, right: bool = True) -> None:
        answer = headphone_check.answer(self.study.researcher_key, self.person.id, *map(int, here.split("-")))
        assert self.page.segmented_control[0].disabled, "nothing to choose before the sounds were heard"
        self.listen(here)
        chosen = answer if right else answer % 3 + 1
        self.page.segmented_control(key=f"check-chosen-{here}").set_value(chosen).run()
        self.press(f"check-next-{here}")


@pytest.fixture
def enter(tmp_path, serve, monkeypatch):
    def into(checks: str) -> Checked:
        study = serve(make_tiny_study(tmp_path / "study", listening=f"[checks]\n{checks}"))
        ann = Checked(study, monkeypatch)
        ann.study = study
        return ann

    return into


@pytest.mark.slow
def test_a_listener_passes_at_the_second_attempt(enter):
    ann = enter('headphones = "antiphase"')
    assert ann.page.title[0].value == "Headphone check \u2013 1 of 6"
    for trial in range(1, 7):
        ann.trial(f"1-{trial}", right=trial > 2)
    assert "One more time, please." in ann.said()
    for trial in range(1, 6):
        ann.trial(f"2-{trial}")
    assert ann.page.title[0].value == "Headphone check \u2013 6 of 6"
    ann.trial("2-6", right=False)
    assert ann.step.page is Page.PRACTICE


@pytest.mark.slow
def test_who_fails_twice_is_let_go_where_headphones_are_required(enter):
    ann = enter('headphones = "huggins"\nheadphones_required = true\nheadphones_pass = 6')
    for here in (f"{attempt}-{trial}" for attempt in (1, 2) for trial in range(1, 7)):
        ann.trial(here, right=not here.endswith("-3"))
    assert ann.step.page is Page.SCREENED_OUT


@pytest.mark.slow
def test_between_clips_a_stated_number_is_asked_for(enter):
    ann = enter("attention = 1")
    met = 0
    while ann.step.slot is not None or ann.step.page is Page.PAUSE:
        if ann.step.page is Page.ATTENTION:
            met += 1
            words = ann.page.segmented_control[0].label
            assert words.startswith("Please choose ")
            ann.page.segmented_control[0].set_value(int(words.split()[2])).run()
            ann.press("attention-next-1")
        elif ann.step.page is Page.PAUSE:
            ann.press(f"begin-{ann.step.part}")
        else:
            ann.hear()
            ann.choose(verdict="real", musicality=4, inspiring="no")
            ann.next()
    assert (met, ann.step.page) == (1, Page.FINAL)
    assert {row["check_attention"] for row in ann.store.answers()} == {True}


def test_a_study_that_needs_headphones_says_so_at_the_sound_check(tmp_path, serve, monkeypatch):
    from streamlit.testing.v1 import AppTest

    from study.pages import listener
    from study.server.server import PAGES

    settings = '[checks]\nheadphones = "huggins"\nheadphones_required = true'
    study = serve(make_tiny_study(tmp_path / "study", listening=settings))
    token = study.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    study.store.consent(study.store.find(token).id, "v")
    page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    report = {"why": "ended", "plays": 1, "heard": 4.0, "played": 4.0, "unlocked": True, "clip": "tone"}
    page.session_state["tone"] = {"status": report}
    page.segmented_control(key="playback").set_value("loudspeakers")
    page.session_state["sound-next"] = {"press": "1"}
    page.run()
    assert "This study needs headphones." in " ".join(one.proto.body for one in page.get("html"))
    assert study.store.find(token).step.page is Page.SOUND_CHECK
    page.segmented_control(key="playback").set_value("headphones")
    page.session_state["sound-next"] = {"press": "2"}
    page.run()
    assert study.store.find(token).step.page is Page.HEADPHONES
