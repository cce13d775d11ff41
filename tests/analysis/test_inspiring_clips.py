"""The opening of a report: which clips inspired, in whose words, and made by what."""

import pandas as pd
import pytest

from analysis import responses
from analysis.report import inspiring_clips
from tests.analysis import panels


def names(clips: list[dict]) -> list[str]:
    return [clip["clip"] for clip in clips]


def test_the_founding_report_opens_with_the_clips_that_inspired_the_best_rated_first(founding):
    leading = inspiring_clips.leading(founding)
    assert leading.inspired
    assert names(leading.clips)[:4] == ["J1", "S7_V_2", "S7_U_8", "S1_V_0"]
    assert len(leading.clips) == 10
    assert names(leading.originals) == ["S1_Ud"]
    second = leading.clips[1]
    assert second["heard"] == "inspiring: maybe, musicality 8, judged real"
    assert (second["truth"], second["made by"], second["mode"], second["epochs"]) == (
        "fake",
        "caw",
        "VAR",
        "",
    )


def test_a_kept_clip_counts_and_its_words_come_first():
    table = panels.panel(listeners=4, caw=4, jukebox=0, originals=2)
    table["comment"], table["inspiring"] = "", "no"
    mine = table["name"] == "caw_UMG_02"
    table.loc[mine, "comment"] = ["a", "[0:03] b", "c", "d"]
    table.loc[mine, "inspiring"] = ["no", "maybe", "yes", "other"]
    table["kept"] = mine & (table["listener"] == "L04")
    table.loc[mine, "inspiring_text"] = [None, None, None, "for the bridge"]
    table["remark"] = table["name"].map({"caw_UMG_02": "loops"})
    (clip,) = inspiring_clips.leading(responses.load(table)).clips
    assert [quote["words"] for quote in clip["quotes"]] == [["for the bridge", "d"], ["c"], []]
    assert clip["quotes"][2]["pins"][0].text == "b"
    assert (clip["more"], clip["remark"]) == (1, "loops")
    assert clip["heard"].startswith("inspiring: 1 yes, 1 maybe of 3, kept by 1, musicality ")


def test_a_clip_that_one_heard_does_not_lead_by_that_alone():
    table = panels.panel(listeners=12, caw=4, jukebox=0, originals=2)
    table["inspiring"] = "no"
    table.loc[table["name"] == "caw_UMG_00", "inspiring"] = "yes"
    table.loc[(table["name"] == "caw_UMG_00") & (table["listener"] == "L01"), "inspiring"] = "no"
    alone = (table["name"] == "caw_VAR_01") & (table["listener"] == "L01")
    table.loc[alone, "inspiring"] = "yes"
    table = table[(table["name"] != "caw_VAR_01") | alone]
    assert names(inspiring_clips.leading(responses.load(table)).clips) == ["caw_UMG_00", "caw_VAR_01"]


@pytest.mark.parametrize("said", ["no", None])
def test_where_none_inspired_the_best_rated_stand_there(founding, said):
    frame = responses.load(founding.drop(columns="repeat").assign(inspiring=said))
    leading = inspiring_clips.leading(frame)
    assert not leading.inspired
    assert names(leading.clips) == ["J1", "S7_V_2", "S7_U_8"]
    unrated = responses.load(frame.drop(columns="repeat").assign(musicality=None))
    assert inspiring_clips.leading(unrated).clips == []


def test_the_table_of_conditions_adds_up_and_has_the_originals_below(founding):
    table = inspiring_clips.by_condition(founding)
    made, originals = table.frame.iloc[:-1], table.frame.iloc[-1]
    assert (made["clips"].sum(), made["judged real count"].sum(), made["judged real of"].sum()) == (16, 1, 16)
    assert made["inspiring, yes or maybe count"].sum() == 10
    assert (originals["backend"], originals["clips"], originals["judged real"]) == ("originals", 4, 0.75)
    assert "kept" not in table.frame
    cell = table.frame.query("backend == 'caw' and mode == 'UMG' and epochs == 3500").iloc[0]
    assert (cell["clips"], cell["musicality, mean"]) == (2, 4.0)
    shown = table.text()
    assert list(shown["epochs"][-4:]) == ["3000", "not stated", "", ""]
    assert shown["judged real"].iloc[-1].startswith("3/4 (75%), ")


def test_a_study_of_originals_alone_has_a_table(founding):
    frame = responses.load(founding[founding["truth"] == "real"].drop(columns="repeat"))
    assert len(inspiring_clips.by_condition(frame).frame) == 1
    assert inspiring_clips.leading(frame).clips == []


def test_a_panels_conditions_have_intervals_over_listeners_and_clips(panel):
    table = inspiring_clips.by_condition(panel).frame
    known = table.dropna(subset=["musicality low"])
    assert list(known["backend"]) == ["originals"]  # all others are of one clip or two
    assert (known["musicality low"] < known["musicality, mean"]).all()
    assert isinstance(table["epochs"].dtype, pd.Int64Dtype)
