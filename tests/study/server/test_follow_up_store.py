"""The follow-up's memory: who is due, what is asked, what is saved, and what stops it."""

from __future__ import annotations

import datetime as dt

import pytest
from followed import RULE, STIMULI, built, days_ago, finished
from postgres import both

from study.design.follow_up import FollowUp
from study.store import follow_up
from study.store.answering import OtherTab, StoreError
from study.store.follow_up import Recording
from study.store.protocol import AnswerError, Page, Stations


def step(store, listener_id):
    return next(store.find(one.token).step for one in store.listeners() if one.id == listener_id)


def say(store, ann, slot, rule=RULE, press=None, tab="tab", **changes):
    return follow_up.save(store.engine, rule, ann, slot, tab=tab, changes=changes, press=press)


@pytest.fixture
def followed(store):
    built(store)
    store.served_stations = Stations(follow_up=RULE)
    return store


@pytest.fixture
def due(followed):
    """A listener who keeps two clips and whose link is open once more."""
    ann = finished(followed)
    days_ago(followed, ann, 15)
    follow_up.begin(followed.engine, RULE, ann, tab="tab")
    return ann


def test_without_a_follow_up_nothing_is_asked(store):
    built(store)
    ann = finished(store)
    assert step(store, ann).page is Page.DONE
    assert step(store, ann).follow_up is None
    assert follow_up.answers(store.engine, None) == []
    with pytest.raises(StoreError, match="not open"):
        follow_up.require_open(store.engine, None, ann, 1)


@both
def test_the_link_opens_once_more_when_it_is_due(followed):
    store = followed
    ann = finished(store)
    early = step(store, ann)
    assert (early.page, early.follow_up.stage) == (Page.DONE, "not due")
    assert early.follow_up.opens_at - early.follow_up.now > dt.timedelta(days=13.9)
    with pytest.raises(StoreError, match="not open"):
        follow_up.begin(store.engine, RULE, ann, tab="tab")
    days_ago(store, ann, 14)
    late = step(store, ann)
    assert (late.page, late.stage) == (Page.FOLLOW_UP, "finished; follow-up due")
    assert late.follow_up.slot == late.follow_up.slots[0]
    follow_up.begin(store.engine, RULE, ann, tab="tab")
    assert step(store, ann).follow_up.stage == "begun, 0 of 2 clips"


@both
def test_a_follow_up_from_the_first_clip_to_its_end(followed, due):
    store = followed
    first, second = step(store, due).follow_up.slots
    assert say(store, due, first, press="a").missing == ("outcome",)
    assert not say(store, due, first, outcome="part", song=" Rain \x00", days=3).final
    shown = follow_up.show(store.engine, RULE, due)[0]
    assert (shown.outcome, shown.song, shown.days, shown.answered) == ("part", "Rain", 3, False)
    assert not say(store, due, first, press="a").final, "a press that came too early closes nothing later"
    assert say(store, due, first, press="b").final
    assert say(store, due, first, outcome="nothing").final, "what was left stays as it is"
    assert step(store, due).follow_up.slot == second
    assert not follow_up.finish(store.engine, RULE, due, tab="tab"), "a clip is still to answer"
    assert say(store, due, second, outcome="nothing", words="Too slow.", press="c").final
    assert step(store, due).follow_up.slot is None
    follow_up.take_up(store.engine, RULE, due, first, tab="tab")
    assert step(store, due).follow_up.slot == first
    assert say(store, due, first, outcome="song", press="d").final
    assert follow_up.finish(store.engine, RULE, due, tab="tab")
    ended = step(store, due)
    assert (ended.page, ended.follow_up.stage) == (Page.DONE, "answered")
    for late in (
        lambda: say(store, due, first, outcome="nothing"),
        lambda: follow_up.take_up(store.engine, RULE, due, first, tab="tab"),
        lambda: follow_up.put_recording(store.engine, RULE, due, first, None),
    ):
        with pytest.raises(StoreError, match="not open"):
            late()
    rows = follow_up.answers(store.engine, RULE)
    assert [(row["set"], row["stimulus_id"]) for row in rows] == [("UMG", "aaaa2222"), ("VAR", "dddd2222")]
    assert [(row["outcome"], row["song"], row["days"], row["words"], row["final"]) for row in rows] == [
        ("song", "Rain", 3, None, True),
        ("nothing", None, None, "Too slow.", True),
    ]


def test_of_nothing_there_is_neither_song_nor_day(followed, due):
    slot = step(followed, due).follow_up.slots[0]
    say(followed, due, slot, outcome="idea", song="Rain", days=2, words="a groove")
    say(followed, due, slot, outcome="nothing")
    shown = follow_up.show(followed.engine, RULE, due)[0]
    assert (shown.song, shown.days, shown.words) == (None, None, "a groove")
    say(followed, due, slot, song="Rain", days=2)
    assert follow_up.show(followed.engine, RULE, due)[0].song is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"outcome": "hit"}, "it must be one of nothing, idea, part, song"),
        ({"outcome": "idea", "days": -1}, "a whole number from 0 to 16"),
        ({"outcome": "idea", "days": 17}, "a whole number from 0 to 16"),
        ({"outcome": "idea", "days": True}, "a whole number from 0 to 16"),
        ({"outcome": "idea", "days": 1.5}, "a whole number from 0 to 16"),
        ({"recording": "x.wav"}, "an answer has outcome, song, days, words"),
        ({"answered_at": None}, "an answer has outcome, song, days, words"),
    ],
)
def test_what_no_page_offers_is_refused(followed, due, changes, problem):
    slot = step(followed, due).follow_up.slots[0]
    with pytest.raises(AnswerError, match=problem):
        say(followed, due, slot, **changes)
    assert follow_up.show(followed.engine, RULE, due)[0].outcome is None


@both
def test_closing_and_unblinding_end_answers_and_not_the_follow_up(followed, due):
    followed.log_unblinding("Ida", "report", "ab" * 32)
    slot = step(followed, due).follow_up.slots[0]
    assert say(followed, due, slot, outcome="idea", press="a").final


def test_a_withdrawn_link_stops_it_and_what_was_said_stays(followed, due):
    slot = step(followed, due).follow_up.slots[0]
    say(followed, due, slot, outcome="idea", press="a")
    followed.revoke("Ann")
    assert step(followed, due).page is Page.DONE
    with pytest.raises(StoreError, match="not open"):
        say(followed, due, slot, outcome="song")
    with pytest.raises(StoreError, match="not open"):
        follow_up.put_recording(followed.engine, RULE, due, slot, Recording("x.wav", 1, "0" * 64, "x"))
    assert follow_up.answers(followed.engine, RULE)[0]["outcome"] == "idea"


def test_another_tab_takes_over(followed, due):
    followed.claim(due, "other")
    slot = step(followed, due).follow_up.slots[0]
    for write in (
        lambda: say(followed, due, slot, outcome="idea"),
        lambda: follow_up.take_up(followed.engine, RULE, due, slot, tab="tab"),
        lambda: follow_up.finish(followed.engine, RULE, due, tab="tab"),
        lambda: follow_up.begin(followed.engine, RULE, due, tab="tab"),
    ):
        with pytest.raises(OtherTab):
            write()


def test_a_clip_that_is_not_kept_is_not_asked_about(followed, due):
    kept = step(followed, due).follow_up.slots
    other = next(slot for slot in range(1, 6) if slot not in kept)
    with pytest.raises(StoreError, match="not among those"):
        say(followed, due, other, outcome="song")
    with pytest.raises(StoreError, match="not among those"):
        follow_up.put_recording(followed.engine, RULE, due, other, Recording("x.wav", 1, "0" * 64, "x"))


def test_the_door_shuts_where_the_study_says_so(followed):
    rule = FollowUp(days=14, closes=7)
    followed.served_stations = Stations(follow_up=rule)
    ann = finished(followed)
    days_ago(followed, ann, 20.9)
    assert step(followed, ann).page is Page.FOLLOW_UP
    days_ago(followed, ann, 0.2)
    over = step(followed, ann)
    assert (over.page, over.follow_up.stage) == (Page.DONE, "over, not answered")
    with pytest.raises(StoreError, match="not open"):
        say(followed, ann, over.follow_up.slots[0], rule, outcome="song")


def test_which_clips_are_asked_about(followed):
    bo = finished(followed, "Bo", keep=["bbbb2222"], inspiring=["eeee2222", "pppp2222"])
    cy = finished(followed, "Cy", keep=[])
    for one in (bo, cy):
        days_ago(followed, one, 15)
    assert len(step(followed, bo).follow_up.slots) == 1
    assert step(followed, cy).page is Page.DONE
    assert step(followed, cy).follow_up.stage == "no kept clips"
    wider = FollowUp(clips="inspiring")
    asked = [row["stimulus_id"] for row in follow_up.answers(followed.engine, wider)]
    assert sorted(asked) == ["bbbb2222", "eeee2222"], "practice is not asked about"


@pytest.mark.parametrize("passes", [1, 2])
def test_a_clip_that_came_again_is_asked_about_once(store, passes):
    built(store, repeats=1, passes=passes)
    store.served_stations = Stations(follow_up=RULE)
    everything = [stimulus for ids in STIMULI.values() for stimulus in ids]
    ann = finished(store, keep=everything)
    assert len(step(store, ann).follow_up.slots) == len(everything)
    rows = follow_up.answers(store.engine, RULE)
    assert len(rows) == len(everything)
    assert {row["final"] for row in rows} == {None}


def test_pilots_are_asked_and_never_count(followed):
    ann = finished(followed, "Pip", pilot=True)
    days_ago(followed, ann, 15)
    slot = step(followed, ann).follow_up.slots[0]
    follow_up.begin(followed.engine, RULE, ann, tab="tab")
    say(followed, ann, slot, outcome="song", press="a")
    assert follow_up.answers(followed.engine, RULE) == []
    assert follow_up.answers(followed.engine, RULE, pilot=True)[0]["outcome"] == "song"


@both
def test_recordings_are_replaced_and_withdrawn(followed, due):
    engine, slot = followed.engine, step(followed, due).follow_up.slots[0]
    one, two = Recording("a.wav", 5, "0" * 64, "take 1"), Recording("b.flac", 6, "1" * 64, "take 2")
    assert follow_up.put_recording(engine, RULE, due, slot, one) is None
    say(followed, due, slot, outcome="song", press="a")
    assert follow_up.put_recording(engine, RULE, due, slot, two) == "a.wav"
    row = follow_up.recordings(engine)[0]
    assert (row["listener"], row["recording"], row["recording_name"]) == ("Ann", "b.flac", "take 2")
    assert follow_up.answers(engine, RULE)[0]["recording_sha256"] == "1" * 64
    assert "recording_name" not in follow_up.answers(engine, RULE)[0]
    assert follow_up.put_recording(engine, RULE, due, slot, None) == "b.flac"
    assert follow_up.recordings(engine) == []
    assert follow_up.answers(engine, RULE)[0]["outcome"] == "song"


def test_new_sets_take_a_pilots_follow_up_with_them(followed):
    ann = finished(followed, "Pip", pilot=True)
    days_ago(followed, ann, 15)
    follow_up.begin(followed.engine, RULE, ann, tab="tab")
    say(followed, ann, step(followed, ann).follow_up.slots[0], outcome="song", press="a")
    followed.register_build(
        stimuli={"UMG": ["ffff2222"]},
        practice=[],
        key_sha256="ef" * 32,
        design_digest="cd" * 32,
        file_format="wav",
    )
    assert follow_up.answers(followed.engine, RULE, pilot=True) == []
    assert step(followed, ann).page is Page.WELCOME or step(followed, ann).follow_up is None
