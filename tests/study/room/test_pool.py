"""The researcher's page "Pool" as Streamlit runs it."""

from __future__ import annotations

import json

import pytest
from pool_study import IDA, ORIGINAL, REMARK, UMG_FAKE, VAR_FAKE, clips_of, make_pool, opened, said
from scripted_listener import brought, finished, logged
from tiny_study import EPOCHS

from caw import spreadsheet
from study.preparation import curation
from study.preparation.pool import COLUMNS
from study.room import pool_sounds, researcher, researcher_pool


@pytest.fixture
def study(tmp_path, serve, monkeypatch):
    """The tiny study with its pool, served; Ida is logged in."""
    monkeypatch.setattr(researcher, "session", lambda: IDA)
    monkeypatch.setattr(pool_sounds, "_seen", set())
    return serve(make_pool(tmp_path / "study"))


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
    again.selectbox(key=f"rating-{UMG_FAKE}").set_value(None).run()
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
    assert page.selectbox(key=f"rating-{UMG_FAKE}").value is None


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
    (table,) = page.dataframe
    assert table.value.loc["clicks"].tolist()[:2] == ["0.25", "0.5"]
    told = " ".join(one.proto.body for one in page.get("html"))
    assert "as listeners hear it" in told, "the comparison's numbers are others, of the whole file"


def test_a_large_pool_comes_in_pages(study):
    rows = spreadsheet.records(study.folder.pool_table)
    many = [rows[1] | {"name": f"clip-{number}"} for number in range(1, 21)]
    spreadsheet.write(study.folder.pool_table, COLUMNS, many)
    page = opened()
    assert clips_of(page) == [f"clip-{number}" for number in range(1, 9)]
    page.selectbox(key="pool-page-20").select(16).run()
    assert clips_of(page) == [f"clip-{number}" for number in range(17, 21)]


def test_facts_are_escaped():
    row = {"name": "a<b", "mode": "UMG", "epochs": "", "backend": "<i>x</i>", "source": 'q"s'}
    told = researcher_pool.described(row, comparable=True)
    assert "<i>" not in told
    assert "a<b" not in told
    assert "/researcher/pool/compare/a%3Cb" in told
