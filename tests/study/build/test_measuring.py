"""Measures of what listeners hear: right, private, kept, and without a word that tells a stimulus."""

import json
import stat

import numpy as np
import pytest
from rich.console import Console

from caw import audio, measures
from caw.files import spreadsheet
from study import design
from study.build import measuring, stimuli
from study.build.build import build
from study.build.progress import BuildProgress


@pytest.fixture
def study(new_study, clip):
    """Two imported clips beside the made ones: one of this study's source, one of an unknown one."""
    facts = f'file = "{clip}"\nbackend = "other"\nmode = "UMG"\n'
    imported = f'[[imported]]\n{facts}name = "copy"\nsource = "riff"\n'
    imported += f'[[imported]]\n{facts}name = "stranger"\nsource = "elsewhere"\n'
    sets = "[set.UMG]\nfakes = 4\nimported = 2\noriginals = 2\n[set.VAR]\nfakes = 2\noriginals = 1\n"
    return new_study(backend=imported, sets=sets)


def test_every_fake_is_measured_as_heard_against_its_passage(study, clip):
    build(study)
    found = measuring.read(study)
    key = [
        row for row in spreadsheet.records(study.key) if row["set"] != "practice" and row["truth"] == "fake"
    ]
    assert {(one["set"], one["name"]) for one in found["clips"]} == {(row["set"], row["name"]) for row in key}
    assert found["rate"] == 16000
    assert found["bandwidth"] == 7200
    real = stimuli.low_pass(audio.read(clip, rate=16000)[0], 16000, 7200)
    (row,) = (row for row in key if row["name"] == "copy")
    heard = audio.read(study.stimulus(row["set"], row["stimulus_id"]))[0]
    (one,) = (one for one in found["clips"] if one["name"] == "copy")
    assert one["measures"] == pytest.approx(measures.evaluate(real, heard, 16000))
    assert one["measures"]["copied_share"] == 1
    assert found["anchors"].keys() == {"riff"}
    assert found["anchors"]["riff"]["noise"]["copied_share"] == 0


def test_a_clip_from_elsewhere_is_listed_without_measures(study):
    build(study)
    bare = [one["name"] for one in measuring.read(study)["clips"] if "measures" not in one]
    assert bare == ["stranger"]


def test_the_measures_are_for_their_owner_alone(study):
    build(study)
    assert study.measures.parent == study.private
    assert stat.S_IMODE(study.measures.stat().st_mode) == 0o600


def test_the_build_names_no_stimulus_that_it_measures(new_study, tmp_path):
    """A clip that is silent for most of its length is warned of; its stimulus is a fake and must not be."""
    sound = np.zeros(8 * 16000, np.float32)
    sound[:24000] = 0.3 * np.random.default_rng(0).standard_normal(24000)
    audio.write(tmp_path / "sparse.wav", np.clip(sound, -1, 1), 16000)
    source = f'[[source]]\nfile = "{tmp_path / "sparse.wav"}"\nmodes = []\n'
    source += f'[[imported]]\nfile = "{tmp_path / "sparse.wav"}"\nname = "copy"\nbackend = "other"\n'
    source += 'mode = "UMG"\nsource = "sparse"\n'
    folder = new_study(
        source=source,
        sets="[set.UMG]\nfakes = 1\nimported = 1\noriginals = 0\n",
        stimuli="[stimuli]\nseconds = 7.0\ntrim = 0.1\n",
        listening="[listening]\npractice = 0\n",
    )
    with (tmp_path / "said.txt").open("w+") as said:
        build(folder, BuildProgress(Console(file=said, width=200)))
        said.seek(0)
        told = said.read()
    (row,) = spreadsheet.records(folder.key)
    assert "sparse.wav: long silence" in told
    assert row["stimulus_id"] not in told
    assert measuring.read(folder)["clips"][0]["measures"]["silence"] > 0.5


def test_what_is_measured_already_is_not_measured_again(study, monkeypatch):
    build(study)
    before = study.measures.read_bytes()
    asked = []
    monkeypatch.setattr(measures, "evaluate", lambda *arguments, **options: asked.append(1) or {})
    build(study)
    assert not asked
    assert study.measures.read_bytes() == before


def test_a_changed_passage_is_measured_anew(study):
    build(study)
    before = measuring.read(study)
    text = study.toml.read_text()
    study.toml.write_text(text.replace("epochs = [100, 200]", "epochs = [100, 200]\nstart = 0.4"))
    build(study)
    after = measuring.read(study)
    assert after["anchors"]["riff"]["halves"] != before["anchors"]["riff"]["halves"]
    assert {one["recipe"] for one in after["clips"]}.isdisjoint(one["recipe"] for one in before["clips"])


@pytest.mark.parametrize("lost", ["", "{", "[]"])
def test_an_old_study_is_measured_late_and_nothing_else_changes(study, answer, lost):
    """Built by a version that measured nothing, and answered; or its measures were damaged."""
    build(study)
    expected = measuring.read(study)
    answer(study, "Ada")
    study.measures.unlink()
    if lost:
        study.measures.write_text(lost)
    kept = {file: file.read_bytes() for file in [study.key, *study.sets.rglob("*.wav")]}
    build(study)
    assert measuring.read(study) == expected
    assert {file: file.read_bytes() for file in kept} == kept


def test_without_its_pool_an_answered_study_stays_as_it_is(study, answer):
    build(study)
    answer(study, "Ada")
    study.measures.unlink()
    for file in study.pool.glob("*.wav"):
        file.unlink()
    build(study)
    assert measuring.read(study) == {}


def test_the_rate_is_the_lowest_that_carries_the_band(study):
    settings = design.load(study.path).stimuli
    assert stimuli.rate_for(7200, settings) == 16000
    assert stimuli.rate_for(1800, settings) == 4000
    assert stimuli.rate_for(8000, settings) == 16000


def test_the_file_is_plain_json(study):
    build(study)
    text = study.measures.read_text()
    assert json.loads(text) == measuring.read(study)
    assert "NaN" not in text
