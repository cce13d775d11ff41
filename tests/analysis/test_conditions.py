"""Clips that were asked for in several ways: results by plan and by strength, where they differ."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from analysis import conditions, notebook, responses
from analysis.report import figures, inspiring_clips, tables
from analysis.results import comparisons, individuals, statistics, stimuli
from analysis.results.outcomes import MUSICALITY
from analysis.results.result import find, groups
from analysis.results.stimuli import Panel
from tests.analysis import panels

pytestmark = pytest.mark.slow

PLAN_OF = {0: "chart", 1: "verse", 2: None}
STRENGTH_OF = {0: 0.25, 1: 0.3, 2: 1.0}


def asked_of(frame: pd.DataFrame, *, plan: bool = True, strength: bool = True) -> pd.DataFrame:
    """A panel's answers, of which caw's clips of new music follow plans and its variations have strengths."""
    kind = frame["name"].str.extract(r"(\d+)$")[0].astype(int) // 2 % 3
    caw = frame["backend"] == "caw"
    if plan:
        frame = frame.assign(plan=kind.map(PLAN_OF).where(caw & (frame["mode"] == "UMG"), None))
    if strength:
        frame = frame.assign(strength=kind.map(STRENGTH_OF).where(caw & (frame["mode"] == "VAR")))
    return frame


@pytest.fixture(scope="module")
def frame():
    """One listener: what is tested here does not hang on the models of a panel, which take long."""
    return responses.load(asked_of(panels.panel(listeners=1, caw=24, originals=6, missing=0)))


@pytest.fixture(scope="module")
def results(frame):
    return statistics.evaluate(frame)


def test_groups_are_of_clips_that_could_be_asked_for_one(frame):
    clips = frame.drop_duplicates("name").set_index("name")
    plans, strengths = conditions.labels(clips, "plan"), conditions.labels(clips, "strength")
    assert plans["caw_UMG_00"] == "chart"
    assert plans["caw_UMG_04"] == conditions.NO_PLAN
    assert strengths["caw_VAR_01"] == "0.25"
    assert strengths["caw_VAR_03"] == "0.30"
    nobody = plans.isna() & strengths.isna()
    assert set(clips.index[nobody]) == {name for name in clips.index if not name.startswith("caw")}
    assert conditions.labels(clips[clips["backend"] == "jukebox"], "plan").isna().all()


@pytest.mark.slow
def test_every_group_is_described_and_compared_with_the_others_and_the_originals(results):
    found = {family: groups(results, family, MUSICALITY.mean) for family in conditions.COLUMNS}
    assert found == {
        conditions.PLANS: ["chart", "no plan", "verse"],
        conditions.STRENGTHS: ["0.25", "0.30", "1.00"],
        conditions.SONGS: [],
    }
    pairs = groups(results, conditions.STRENGTHS, MUSICALITY.difference)
    assert pairs == [
        *(f"{name} - originals" for name in found[conditions.STRENGTHS]),
        "0.25 - 0.30",
        "0.25 - 1.00",
        "0.30 - 1.00",
    ]
    plain = find(results, conditions.PLANS, MUSICALITY.mean, "no plan")
    assert plain.n == 4


def test_nothing_changes_where_all_clips_were_asked_for_alike(frame, results):
    bare = frame.drop(columns=["plan", "strength"])
    alike = bare.assign(plan=np.where((bare["backend"] == "caw") & (bare["mode"] == "UMG"), "chart", None))
    known = [r for r in results if r.family not in conditions.COLUMNS]
    for table in (bare, alike):
        assert not list(conditions.differing(responses.load(table)))
    kinds = [kind.family for kind in comparisons.kinds(bare.assign(clip=bare["name"]))]
    assert not {*kinds} & {*conditions.COLUMNS}
    assert [t.name for t in tables.everything(bare, known)] == [
        t.name for t in tables.everything(frame, results) if t.name not in ("by_plan", "by_strength")
    ]


def test_tables_charts_and_the_notebook_have_them(frame, results):
    by_name = {table.name: table for table in tables.everything(frame, results)}
    assert list(by_name["by_plan"].frame["plan"]) == ["chart", "no plan", "verse", "originals"]
    assert list(by_name["by_strength"].frame["strength"]) == ["0.25", "0.30", "1.00", "originals"]
    assert {"plan", "strength"} <= {*by_name["clips_UMG"].frame, *by_name["clips_VAR"].frame}
    drawn = {figure.name: figure for figure in figures.everything(frame, results)}
    for name in ("fooling", "musicality", "inspiring"):
        content = json.dumps(drawn[name].draw(width=640).to_dict())
        assert re.search(r'"verse".*"0\.30"', content), name
    assert "verse" in drawn["fooling"].alt
    study = notebook.Study(frame)
    study.__dict__["_results"] = results
    table = study.by("mode", "plan", "strength")
    assert set(table["plan"].dropna()) == {"chart", "verse"}
    assert table.loc[table["strength"].notna(), "answers"].sum() == 12
    compared = study.compare("strength", "musicality")
    assert "0.30 - 1.00" in set(compared["groups"])
    table = inspiring_clips.by_condition(frame)
    assert list(table.frame)[:5] == ["backend", "mode", "epochs", "plan", "strength"]


def test_a_panels_clips_are_listed_with_what_was_asked_of_them():
    frame = responses.load(asked_of(panels.panel(listeners=3, caw=6, originals=2)))
    results = individuals.per_clip(stimuli.by_stimulus(frame), Panel.of(frame))
    table = tables.clips(frame, results, "UMG").frame.set_index("clip")
    assert table.at["caw_UMG_00", "plan"] == "chart"
    assert "strength" not in table


@pytest.mark.parametrize(("value", "why"), [(1.5, "0 to 1"), ("much", "much")])
def test_a_strength_that_is_none_is_refused(value, why):
    table = asked_of(panels.panel(listeners=1, caw=4), plan=False).astype({"strength": object})
    table.loc[table["name"] == "caw_VAR_01", "strength"] = value
    with pytest.raises(responses.ResponsesError, match="strength") as caught:
        responses.load(table)
    assert why in str(caught.value) or "1" in str(caught.value)


def test_a_clip_follows_one_plan_whoever_heard_it():
    table = asked_of(panels.panel(listeners=2, caw=6))
    row = table.index[(table["name"] == "caw_UMG_00") & (table["listener"] == "L02")]
    table.loc[row, "plan"] = "verse"
    with pytest.raises(responses.ResponsesError, match="'plan'.*'verse'.*'chart'|'verse' here"):
        responses.load(table)


def test_clips_that_were_made_for_songs_are_groups_of_their_own(frame):
    """Those of the same system for no song are one more; clips of other systems belong to none."""
    number = frame["name"].str.extract(r"(\d+)$")[0].astype(int)
    made = (number // 2 % 3).map({0: "stairs", 1: "mirror", 2: None}).where(frame["backend"] == "caw", None)
    table = responses.load(frame.drop(columns=["plan", "strength", "repeat"]).assign(song=made))
    found = [(family, column) for family, column, _ in conditions.differing(table)]
    assert found == [(conditions.SONGS, "song")]
    clips = table.drop_duplicates("name").set_index("name")
    of_songs = conditions.labels(clips, "song")
    assert set(of_songs.dropna()) == {"stairs", "mirror", conditions.NO_SONG}
    assert of_songs.notna().sum() == (clips["backend"] == "caw").sum()
    results = statistics.evaluate(table)
    assert groups(results, conditions.SONGS, MUSICALITY.mean) == ["mirror", "no song", "stairs"]
    by_name = {one.name: one for one in tables.everything(table, results)}
    assert list(by_name["by_song"].frame["song"]) == ["mirror", "no song", "stairs", "originals"]
    assert "song" in stimuli.by_stimulus(table)
    contradicting = table.drop(columns="repeat").assign(song=["a", *table["song"][1:]])
    again = pd.concat([contradicting, contradicting.assign(song="b", listener="another")])
    with pytest.raises(responses.ResponsesError, match="song"):
        responses.load(again)
