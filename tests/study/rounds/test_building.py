"""A next round end to end: chosen, made, sealed, registered, and heard."""

import json
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from study import blinding, design
from study.backends import Cell
from study.build import blinded_sets, build
from study.rounds import building, settings
from study.rounds.building import RoundError, more
from study.store.answering import StoreError
from study.store.store import Store
from tests.study.rounds.conftest import KEPT, take


def opened(folder):
    return Store.for_folder(folder)


def test_a_round_is_made_of_what_was_liked_and_no_clip_comes_again(finished, run):
    before = {row["name"] for row in blinding.rows(finished)}
    models = sorted(finished.models.rglob("*"))
    code, said, err = run("more", finished.path, "--listener", "Ann", "--clips", 12)
    assert (code, err) == (0, "")
    assert "Round 2 for Ann: 9 chosen by what was answered, 3 drawn evenly, and 6 originals." in said
    assert not [name for name in ("UMG-", "VAR-", "riff", "tiny") if name in said]
    rows = blinding.rows(finished.rounds()[0])
    assert not before & {row["name"] for row in rows}
    ways = Counter(row["drawn"] for row in rows)
    assert ways == {"sampled": 9, "fresh": 3, "": 6}
    sampled = [row["epochs"] for row in rows if row["drawn"] == "sampled"]
    assert sampled.count(KEPT) > len(sampled) / 2
    assert sorted(finished.models.rglob("*")) == models
    store = opened(finished)
    assert store.find(store.invite("Ann")).step.stage == "round 2: before part 1 of 2"
    assert store.events()[-1]["what"] == building.READ
    assert store.unblindings() == []
    (only,) = store.rounds()
    store.close()
    assert only.folder == "rounds/2-Ann"
    assert only.key_sha256 == blinding.seal(finished.rounds()[0])
    for stimulus in [one for ids in only.stimuli.values() for one in ids]:
        row = next(row for row in rows if row["stimulus_id"] == stimulus)
        assert finished.stimulus(row["set"], stimulus).is_file()


def test_the_folder_of_a_round_is_its_owners_alone_and_holds_its_rule(finished):
    made = more(finished, "Ann", clips=4)
    for place in (
        finished.path / "rounds",
        made.folder.path,
        made.folder.key,
        made.folder.private / "rule.json",
    ):
        assert not stat.S_IMODE(place.stat().st_mode) & 0o077
    record = json.loads((made.folder.private / "rule.json").read_text())
    assert (record["listener"], record["round"], record["rule"]) == ("Ann", 2, 1)
    assert len(record["choices"]) == 4
    assert made.audit is not None
    with pytest.raises(Exception, match="is a round of"):
        build.build(made.folder)


def test_it_is_refused_twice_in_a_row_and_goes_on_after_answers(finished, run):
    more(finished, "Ann", clips=4)
    code, _, err = run("more", finished.path, "--listener", "Ann")
    assert code == 2
    assert err.count("\n") == 1
    assert "Ann has not finished round 2" in err
    take(finished, "Ann", words="nicer")
    third = more(finished, "Ann", clips=4)
    assert third.number == 3
    names = [row["name"] for one in finished.rounds() for row in blinding.rows(one)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("who", "says"), [("Cem", "Cem has not finished yet"), ("Zoe", "nobody named 'Zoe'")]
)
def test_nobody_else_gets_one(finished, who, says):
    with pytest.raises(StoreError, match=says):
        more(finished, who)


def test_a_closed_study_gets_none(finished):
    store = opened(finished)
    store.close_study("me")
    store.close()
    with pytest.raises(StoreError, match="closed, so Ann gets no next round; open it with `study reopen`"):
        more(finished, "Ann")


def test_a_changed_key_is_noticed(finished):
    finished.key.write_text(finished.key.read_text().replace("fake", "real"))
    with pytest.raises(blinding.BlindingError, match="not the key that was sealed"):
        more(finished, "Ann")


def test_too_few_recordings_are_said_in_one_line(finished):
    with pytest.raises(
        Exception, match=r"no 20 originals are left .*recordings under \[more\], or ask for fewer"
    ):
        more(finished, "Ann", clips=40)
    assert not finished.rounds()


def test_a_dry_run_makes_nothing(finished, run):
    code, said, _ = run("more", finished.path, "--listener", "Ann", "--dry-run")
    assert code == 0
    assert "Nothing was made." in said
    assert not (finished.path / "rounds").exists()
    store = opened(finished)
    assert store.rounds() == []
    store.close()


@pytest.mark.parametrize("where", ["replace", "register_round"])
def test_a_round_that_is_killed_goes_on_and_is_whole(finished, monkeypatch, where):
    """Killed before its sets are in place, or before it is registered: the listener sees nothing of it."""

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*((blinded_sets, "replace") if where == "replace" else (Store, "register_round")), die)
        with pytest.raises(Killed):
            more(finished, "Ann", clips=4)
    store = opened(finished)
    assert store.find(store.invite("Ann")).step.stage == "finished"
    pool = {file: file.stat().st_mtime_ns for file in finished.rounds()[0].pool.glob("*.wav")}
    again = more(finished, "Ann", clips=4)
    assert again.made == 0
    assert {file: file.stat().st_mtime_ns for file in again.folder.pool.glob("*.wav")} == pool
    assert store.find(store.invite("Ann")).step.round == 2
    store.close()


def test_a_listener_who_said_nothing_of_use_gets_a_line(finished, tmp_path):
    store = opened(finished)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE answer SET inspiring = 'other', inspiring_text = 'x', kept = 0")
    store.close()
    with pytest.raises(RoundError, match="there is nothing to choose a next round by"):
        more(finished, "Ann")


def test_a_set_of_one_song_takes_no_clip_of_another_in_a_next_round():
    sets = {"A": {"mode": "UMG", "cells": [{"song": "dune"}]}, "B": {"mode": "UMG", "cells": [{"song": ""}]}}
    song = {"file": "dune.wav", "lacks": "ending", "before": [0, 8]}
    stated = design.parse({"study": {"title": "t", "seed": 1}, "set": sets, "song": [song]})
    for_none = Cell("riff", Path("riff.wav"), 0.0, 8.0, "UMG", 100, "caw")
    for_dune = replace(for_none, source="dune", plan="ending", song="dune")
    for new in (False, True):
        places = [settings.set_of(stated, cell, new=new) for cell in (for_dune, for_none)]
        assert places == ["A", "B"]
