"""The researcher's page "Pool" as Streamlit runs it."""

from __future__ import annotations

import json
import re

import pytest
from pool_study import IDA, ORIGINAL, REMARK, UMG_FAKE, VAR_FAKE, clips_of, make_pool, opened, said
from scripted_listener import brought, finished, logged
from streamlit.testing.v1 import AppTest
from tiny_study import EPOCHS

from caw.files import spreadsheet
from study.build import curation
from study.pages import researcher, researcher_pool
from study.pages.components import POOL_KEYS
from study.pool import COLUMNS
from study.server import researcher_files


@pytest.fixture
def study(tmp_path, serve, monkeypatch):
    """The tiny study with its pool, served; Ida is logged in."""
    monkeypatch.setattr(researcher, "session", lambda: IDA)
    monkeypatch.setattr(researcher_files, "_seen", set())
    return serve(make_pool(tmp_path / "study"))


def field(page, what, clip):
    """The list "pick" or "rating" of a clip, whose key ends otherwise each time it is put anew."""
    (one,) = [box for box in page.selectbox if re.fullmatch(rf"{what}-{clip}(@\d+)?", box.key)]
    return one


# the page


def test_an_empty_pool_is_said(study):
    study.folder.pool_table.unlink()
    page = opened()
    assert "The pool is empty. `study build study --pool-only`" in said(page)
    assert not page.selectbox


def test_a_stranger_sees_nothing(study, monkeypatch):
    monkeypatch.setattr(researcher, "session", lambda: None)
    assert "swampgroove" not in said(opened())
    assert not logged(study)


def test_every_clip_is_there_with_its_player_and_its_comparison(study):
    page = opened()
    assert clips_of(page) == [UMG_FAKE, VAR_FAKE, ORIGINAL, "S7_VAR_0_swampgroove"]
    told = said(page)
    assert f'<audio controls preload="none" src="/researcher/pool/sound/{UMG_FAKE}.wav"' in told
    assert f"UMG, {EPOCHS} epochs, jukebox, swampgroove" in told
    assert told.count(">Compare</a>") == 2, "an original is compared with nothing"
    counts = "0 of 1 fakes and 0 of 1 originals"
    assert f"Picked for UMG: {counts}, for VAR: {counts}; 0 left out" in told
    assert logged(study) == [("Ida", "pool opened", "nobody is invited yet")]
    opened()
    assert len(logged(study)) == 1, "once for each login"


def test_the_pool_is_filtered_by_how_clips_came_to_be_and_by_picks(study):
    page = opened()
    assert [one.label for one in page.selectbox[:3]] == ["Mode", "Backend", "Picked"], (
        "alike is not asked for"
    )
    page.selectbox(key="only-mode").select("VAR").run()
    assert clips_of(page) == [VAR_FAKE, "S7_VAR_0_swampgroove"]
    page.selectbox(key="only-backend").select("jukebox").run()
    assert clips_of(page) == [VAR_FAKE]
    page.selectbox(key=f"pick-{VAR_FAKE}").select(curation.OUT).run()
    page.selectbox(key="only-pick").select("The build chooses").run()
    assert clips_of(page) == []
    assert "No clip fits this choice" in said(page)


def test_a_clip_is_picked_rated_and_remarked(study):
    page = opened()
    assert page.selectbox(key=f"pick-{UMG_FAKE}").options == ["The build chooses", "UMG", "Leave out"]
    page.selectbox(key=f"pick-{UMG_FAKE}").select("UMG").run()
    assert "UMG: 1 of 1 fakes" in said(page)
    assert "Picks have changed since the sets were built" in said(page)
    page.selectbox(key=f"rating-{UMG_FAKE}").select("7").run()
    page.text_area(key=f"remark-{UMG_FAKE}").input(REMARK).run()
    choice = curation.read(study.folder)[UMG_FAKE]
    assert (choice.pick, choice.rating, choice.remark) == ("UMG", 7, REMARK)
    assert {row["who"] for row in curation.history(study.folder)} == {"Ida"}
    again = opened()
    assert again.selectbox(key=f"rating-{UMG_FAKE}").value == "7"
    assert again.text_area(key=f"remark-{UMG_FAKE}").value == REMARK
    again.selectbox(key=f"rating-{UMG_FAKE}").select("").run()
    again.selectbox(key=f"pick-{UMG_FAKE}").select("").run()
    choice = curation.read(study.folder)[UMG_FAKE]
    assert (choice.pick, choice.rating, choice.remark) == ("", None, REMARK)


def test_two_pages_at_once_change_only_what_was_touched(study):
    first, second = opened(), opened()
    first.selectbox(key=f"rating-{UMG_FAKE}").select("7").run()
    second.text_area(key=f"remark-{UMG_FAKE}").input(REMARK).run()
    second.selectbox(key="only-mode").select("UMG").run()
    assert curation.read(study.folder)[UMG_FAKE].words == f"7 of 10: {REMARK}"


def test_originals_are_picked_by_ear_into_any_set(study):
    rows = spreadsheet.records(study.folder.pool_table)
    free = [row | {"mode": "", "start": "35.200"} if row["name"] == ORIGINAL else row for row in rows]
    spreadsheet.write(study.folder.pool_table, COLUMNS, free)
    page = opened()
    assert "original, swampgroove, cut from 35.2 s on" in said(page)
    assert page.selectbox(key=f"pick-{ORIGINAL}").options == ["The build chooses", "UMG", "VAR", "Leave out"]
    page.selectbox(key=f"pick-{ORIGINAL}").select("VAR").run()
    assert "for VAR: 0 of 1 fakes and 1 of 1 originals" in said(page)
    assert curation.read(study.folder)[ORIGINAL].set_name == "VAR"


def test_originals_that_an_earlier_version_cut_are_heard_and_rated_but_not_picked(study):
    page = opened()
    assert f"pick-{ORIGINAL}" not in [one.key for one in page.selectbox]
    page.selectbox(key=f"rating-{ORIGINAL}").select("9").run()
    assert curation.read(study.folder)[ORIGINAL].rating == 9


def test_what_cannot_be_kept_goes_back_with_a_word(study):
    page = opened()
    lines = study.folder.picks.parent
    study.folder.picks.write_text("at,who,clip,what,value\nnow,Ida,x,praise,\n")
    assert lines.is_dir()
    page.selectbox(key=f"rating-{UMG_FAKE}").select("7").run()
    assert page.error, "the whole page says it"
    study.folder.picks.unlink()
    page.run()
    (told,) = [one.value for one in page.error]
    assert told.startswith("Not kept. study/private/picks.csv: row 2: ")
    assert field(page, "rating", UMG_FAKE).value == ""


def test_after_answers_sets_stand_and_remarks_still_go(study):
    finished(study, "Ann")
    page = opened()
    assert page.selectbox(key=f"pick-{UMG_FAKE}").disabled
    assert "the sets stand" in said(page)
    page.text_area(key=f"remark-{UMG_FAKE}").input(REMARK).run()
    assert curation.read(study.folder)[UMG_FAKE].remark == REMARK


def test_while_listeners_are_to_answer_the_truth_asks_to_be_opened(study):
    brought(study, "Ann")
    study.store.invite("Bo")
    page = opened()
    assert clips_of(page) == []
    assert "2 listeners have not finished" in page.warning[0].value
    assert not logged(study), "nothing was seen yet"
    page.button(key="show-pool").click().run()
    assert len(clips_of(page)) == 4
    assert page.warning, "the warning stays"
    assert logged(study) == [("Ida", "pool opened", "2 of 2 listeners had not finished")]
    study.store.log_unblinding("Ida", "why", study.store.build().key_sha256)
    page = opened()
    assert not page.warning
    assert len(clips_of(page)) == 4


def test_measures_stand_beside_those_of_the_source(study):
    record = {
        "clips": [{"set": "UMG", "name": UMG_FAKE, "source": "swampgroove", "measures": {"clicks": 0.25}}],
        "anchors": {"swampgroove": {"halves": {"clicks": 0.5}, "noise": {}}},
    }
    study.folder.measures.write_text(json.dumps(record))
    page = opened()
    told = said(page)
    assert f'<div class="scroll" tabindex="0" role="region" aria-label="Measures of {UMG_FAKE}">' in told
    assert '<th scope="row">clicks</th><td>0.25</td><td>0.5</td><td>-</td>' in told
    assert "as listeners hear it" in told, "the comparison's numbers are others, of the whole file"


# pages and keys


@pytest.fixture
def many(study):
    """Sixty clips of the mode UMG."""
    rows = spreadsheet.records(study.folder.pool_table)
    clips = [rows[1] | {"name": f"clip-{number}"} for number in range(1, 61)]
    spreadsheet.write(study.folder.pool_table, COLUMNS, clips)
    return study


def press(page, *presses, load="a"):
    """What the browser sends after these keys: (number, clip, pick) or (number, page)."""
    sent = [
        {"number": one[0], "clip": one[1], "pick": one[2], "page": 0}
        if len(one) == 3
        else {"number": one[0], "clip": "", "pick": "", "page": one[1]}
        for one in presses
    ]
    page.session_state[POOL_KEYS] = {"sent": {"load": load, "tries": 0, "presses": sent}}
    return page.run()


def test_a_large_pool_comes_in_pages_of_25(many):
    page = opened()
    assert clips_of(page) == [f"clip-{number}" for number in range(1, 26)]
    assert "Clips 1 to 25 of 60" in said(page)
    page.session_state["pool-page"] = 3
    assert clips_of(page.run()) == [f"clip-{number}" for number in range(51, 61)]


def test_a_filter_leads_to_the_first_page_and_no_page_is_past_the_last(many):
    page = opened()
    for number in range(31, 61):
        curation.change(many.folder, many.design, f"clip-{number}", "Ida", {curation.OUT: ""}, answered=False)
    page.session_state["pool-page"] = 3
    page.run()
    page.selectbox(key="only-pick").select("The build chooses").run()
    assert clips_of(page) == [f"clip-{number}" for number in range(1, 26)]
    press(page, (1, 2))
    assert clips_of(page) == [f"clip-{number}" for number in range(26, 31)]
    page = press(page, *((number, f"clip-{number}", curation.OUT) for number in range(26, 31)))
    assert clips_of(page) == [f"clip-{number}" for number in range(1, 26)]


def test_nothing_is_lost_when_pages_change(many):
    page = opened()
    page.text_area(key="remark-clip-1").input(REMARK)
    page.selectbox(key="rating-clip-2").select("7")
    page.session_state["pool-page"] = 2
    page.run()
    assert clips_of(page)[0] == "clip-26"
    assert curation.read(many.folder)["clip-1"].remark == REMARK
    assert curation.read(many.folder)["clip-2"].rating == 7
    page.session_state["pool-page"] = 1
    page.run()
    assert page.text_area(key="remark-clip-1").value == REMARK
    assert page.selectbox(key="rating-clip-2").value == "7"


def test_keys_pick_and_turn_pages(many):
    page = press(opened(), (1, "clip-1", "UMG"), (2, "clip-2", curation.OUT), (3, 2))
    choices = curation.read(many.folder)
    assert (choices["clip-1"].pick, choices["clip-2"].pick) == ("UMG", curation.OUT)
    assert [row["who"] for row in curation.history(many.folder)] == ["Ida", "Ida"]
    assert clips_of(page)[0] == "clip-26"
    press(page, (3, 2), (4, 1), (5, "clip-1", ""))
    assert field(page, "pick", "clip-1").value == ""
    assert field(page, "pick", "clip-2").value == curation.OUT
    assert curation.read(many.folder)["clip-1"].pick == ""


def test_a_press_counts_once_however_often_it_is_sent(many):
    page = press(opened(), (1, "clip-1", "UMG"))
    field(page, "pick", "clip-1").select("").run()
    press(page, (1, "clip-1", "UMG"))
    assert curation.read(many.folder)["clip-1"].pick == ""
    press(page, (1, "clip-1", curation.OUT), load="the page loaded anew")
    assert curation.read(many.folder)["clip-1"].pick == curation.OUT


def test_a_pick_by_key_that_cannot_be_kept_says_why(many):
    page = press(opened(), (1, "clip-1", "UMG"), (2, "clip-2", "UMG"), (3, "clip-3", "VAR"))
    told = "\n".join(one.value for one in page.error)
    assert "clip-2 is one too many" in told
    assert "clip-3 is of mode UMG" in told
    assert field(page, "pick", "clip-2").value == ""
    assert set(curation.read(many.folder)) == {"clip-1"}


@pytest.mark.parametrize(
    ("shown", "renewed", "kept"),
    [("", 0, REMARK), (REMARK, 0, None), ("", 1, None)],
    ids=["new", "same", "old"],
)
def test_a_late_message_about_a_field_is_no_change(many, shown, renewed, kept):
    def script(shown, renewed, remark):
        import streamlit as st

        from study.pages import researcher_pool

        st.session_state["pool-shown"] = {"remark-clip-1": shown}
        st.session_state["pool-renewed"] = {("remark", "clip-1"): renewed}
        st.session_state["remark-clip-1"] = remark
        researcher_pool._keep("clip-1", "remark", "remark-clip-1")

    page = AppTest.from_function(script, kwargs={"shown": shown, "renewed": renewed, "remark": REMARK}).run()
    assert not page.exception
    assert curation.read(many.folder).get("clip-1", curation.Choice()).remark == kept


@pytest.mark.parametrize("sent", [None, 7, {"presses": 3}, {"presses": [{"number": "1"}]}, {"presses": [{}]}])
def test_what_is_no_press_does_nothing(many, sent):
    page = opened()
    page.session_state[POOL_KEYS] = {"sent": sent}
    assert len(clips_of(page.run())) == 25
    assert not curation.history(many.folder)


def test_facts_are_escaped():
    row = {"name": "a<b", "mode": "UMG", "epochs": "", "backend": "<i>x</i>", "source": 'q"s'}
    told = researcher_pool.described(row, comparable=True)
    assert "<i>" not in told
    assert "a<b" not in told
    assert "/researcher/pool/compare/a%3Cb" in told
