"""Plans, strengths, bridges and albums of study.toml: cells, keys and refusals."""

from collections import Counter

import numpy as np
import pytest

from caw import audio
from caw.files import spreadsheet
from study import blinding
from study.build import measuring, plan
from study.build.build import build
from study.build.forecast import forecast
from study.build.plan import recipes_of
from study.design import DesignError
from study.folder import PRACTICE
from study.pool import COLUMNS, Pool
from tests.study.build.conftest import planned
from tests.study.conftest import song

ASKING = 'plans = { chart = "Em C G D", fast = { bpm = 150 }, own = {} }\nstrength = [0.3, 0.625]\n'
SETS = "[set.UMG]\nfakes = {}\noriginals = 1\n[set.VAR]\nfakes = {}\noriginals = 1\n"


@pytest.fixture
def composing(new_study, tiny, clip, monkeypatch):
    """Makes a study of one source, whose test backend takes all that a source may ask for."""
    monkeypatch.setattr(type(tiny), "composes", lambda self, options: "", raising=False)

    def make(name: str = "study", asking: str = ASKING, backend: str = "tiny", sets: str = SETS.format(2, 2)):
        source = f'[[source]]\nfile = "{clip}"\nepochs = [100, 200]\nclips = 1\nbackend = "{backend}"\n'
        return new_study(name, source=source + asking, sets=sets, listening="[listening]\npractice = 0\n")

    return make


def refused(folder) -> str:
    with pytest.raises(DesignError) as caught:
        planned(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cells_of(made: plan.BuildPlan) -> dict:
    return {name: task.cell for _, task in made.tasks for name in task.names}


def test_plans_and_strengths_are_cells_with_names_of_their_own(composing):
    cells = cells_of(planned(composing(asking=ASKING + "bridge = true\ntrainings = 2\n")))
    assert {name for name in cells if "-100-" in name and "-t2" not in name} == {
        "riff-tiny-UMG-100-chart-1",
        "riff-tiny-UMG-100-fast-1",
        "riff-tiny-UMG-100-own-1",
        "riff-tiny-UMG-100-bridge-1",
        "riff-tiny-VAR-100-s30-1",
        "riff-tiny-VAR-100-s62.5-1",
    }
    assert len(cells) == 2 * 2 * 6
    chart, own = cells["riff-tiny-UMG-200-chart-t2-1"], cells["riff-tiny-UMG-100-own-1"]
    assert (chart.plan, chart.training, [bar.chords for bar in chart.requested_plan.bars()]) == (
        "chart",
        2,
        [("Em",), ("C",), ("G",), ("D",)],
    )
    assert (own.plan, own.requested_plan) == ("own", None)
    assert cells["riff-tiny-VAR-100-s62.5-1"].strength == 0.625
    assert cells["riff-tiny-UMG-100-fast-1"].requested_plan.bpm == 150


def test_one_plan_needs_no_name(composing):
    cells = cells_of(planned(composing(asking='chords = "Em C"\nmetre = "7/8"\n')))
    assert set(cells) == {
        f"riff-tiny-{kind}-1" for kind in ("UMG-100-plan", "UMG-200-plan", "VAR-100", "VAR-200")
    }
    assert cells["riff-tiny-UMG-100-plan-1"].requested_plan.metre == "7/8"


def test_sets_take_evenly_from_plans_and_strengths(composing):
    folder = composing(sets=SETS.format(6, 4))
    folder.toml.write_text(folder.toml.read_text().replace("clips = 1\n", "clips = 5\n"))
    made = planned(folder)
    cells = cells_of(made)
    by_way = {
        name: Counter((cells[clip].plan, cells[clip].strength) for clip in picks if clip in cells)
        for name, picks in made.picks.items()
        if name != PRACTICE
    }
    assert set(by_way["UMG"].values()) == set(by_way["VAR"].values()) == {2}
    assert len(by_way["UMG"]) == 3


def test_a_set_may_take_some_plans_or_strengths_alone(composing):
    umg, var = SETS.format(2, 1).split("[set.VAR]")
    umg += 'cells = [{ plan = "chart" }]\n'
    folder = composing(sets=f"{umg}[set.VAR]{var}cells = [{{ strength = 0.3, epochs = 200 }}]\n")
    made = planned(folder)
    assert sorted(name for name in made.picks["UMG"] if "original" not in name) == [
        "riff-tiny-UMG-100-chart-1",
        "riff-tiny-UMG-200-chart-1",
    ]
    assert "riff-tiny-VAR-200-s30-1" in made.picks["VAR"]
    folder.private.mkdir()
    pick = "2026-01-01T00:00:00+00:00,A,riff-tiny-UMG-100-own-1,into,UMG"
    folder.picks.write_text(f"at,who,clip,what,value\n{pick}\n")
    with pytest.raises(ValueError, match="riff-tiny-UMG-100-own-1 fits none of the `cells` of set UMG"):
        planned(folder)


def test_clips_of_a_study_without_plans_stay_what_they_were(composing):
    plain, asking = (
        recipes_of(planned(composing(name, more))) for name, more in (("a", ""), ("b", 'chords = "Em"\n'))
    )
    same = plain.keys() & asking.keys()
    assert {name for name in same if "VAR" in name} == {"riff-tiny-VAR-100-1", "riff-tiny-VAR-200-1"}
    assert all(plain[name] == asking[name] for name in same)


def test_a_changed_plan_makes_its_own_clips_anew_and_no_others(composing):
    folder = composing(asking='plans = { verse = "verse.toml", chart = "Em" }\n')
    verse = folder.path / "verse.toml"
    recipes = []
    for text in ("bpm = 100\n", "# quicker?\nbpm = 100\n", "bpm = 120\n"):
        verse.write_text(text)
        recipes.append(recipes_of(planned(folder)))
    assert recipes[0] == recipes[1]
    changed = {name for name in recipes[0] if recipes[0][name] != recipes[2][name]}
    assert changed == {"riff-tiny-UMG-100-verse-1", "riff-tiny-UMG-200-verse-1"}


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        ('chords = "Em Xq"\n', 'source[1].chords = "Em Xq": '),
        ('plans = { a = "Em", b = "C Hq" }\n', 'source[1].plans.b.chords = "C Hq": '),
        ('metre = "4/5"\n', "source[1].metre = \"4/5\": metre '4/5' cannot be read; write it as"),
        ("bpm = 900\n", "source[1].bpm = 900.0: bpm is 900.0; use a number from 30 to 300"),
        ('plan = "no.toml"\n', 'source[1].plan = "no.toml": no such file or directory; name a plan\'s file'),
        ('album = ["no.wav"]\n', 'source[1].album[1] = "no.wav": '),
    ],
)
def test_what_cannot_be_asked_for_is_one_clear_line(composing, asking, said):
    assert said in refused(composing(asking=asking))


@pytest.mark.parametrize(
    "asking", ['chords = "Em"\n', "strength = 0.5\n", "bridge = true\n", "plans = { a = {} }\n"]
)
def test_other_systems_refuse(composing, asking):
    folder = composing(asking=asking, backend="mosaic")
    folder.toml.write_text(folder.toml.read_text().replace("epochs = [100, 200]\n", ""))
    said = refused(folder)
    assert f"source[1].{asking.split()[0]}" in said
    assert "the backend mosaic follows no plan" in said
    assert said.endswith('delete this key, or take the backend "caw" with the preset "fast"')


def test_the_published_recipe_refuses(composing):
    folder = composing(asking='chords = "Em"\n', backend="caw")
    folder.toml.write_text(folder.toml.read_text() + '[backend.caw]\npreset = "paper"\n')
    assert 'source[1].chords = "Em": the preset paper follows no plan' in refused(folder)


def test_the_key_and_the_pool_tell_plan_and_strength(composing, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda *_: 0)
    folder = composing(sets=SETS.format(2, 3))
    build(folder)
    for file in (folder.key, folder.pool_table):
        assert file.read_text().splitlines()[0].endswith(",plan,strength")
    rows = {row["name"]: row for row in spreadsheet.records(folder.key) if row["truth"] == "fake"}
    ways = {(row["mode"], row["plan"], row["strength"]) for row in rows.values()}
    assert {way for way in ways if way[0] == "VAR"} == {("VAR", "", "0.3"), ("VAR", "", "0.625")}
    assert {plan for mode, plan, _ in ways if mode == "UMG"} < {"chart", "fast", "own"}
    assert all(Pool(folder).rows[name]["plan"] == row["plan"] for name, row in rows.items())


def test_tables_of_studies_that_ask_for_nothing_stay_what_they_were(composing):
    folder = composing(asking="")
    row = dict.fromkeys(blinding.KEY_COLUMNS, "x")
    blinding.write_key(folder, [row | {"plan": "", "strength": ""}])
    assert folder.key.read_text().splitlines()[0] == ",".join(blinding.KEY_COLUMNS)
    pool = Pool(folder)
    pool.add("a", np.zeros(100, np.float32), 16000, backend="tiny", plan="", strength=None)
    pool.save()
    assert folder.pool_table.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_plan_costs_no_training(composing):
    cost = {}
    for name, asking in (("plain", ""), ("asking", ASKING)):
        found = forecast(composing(name, asking))
        cost[name] = found.core_seconds
        assert found.rows[0].plans == (("chart", "fast", "own") if asking else ())
        assert found.rows[0].strengths == ((0.3, 0.625) if asking else ())
    assert cost["asking"] - cost["plain"] == pytest.approx(0.1 * (2 * 3 + 2 * 2 - 4))


def test_no_original_is_cut_from_what_models_learn_from_in_the_album(composing, tmp_path, clip):
    whole = song(40.0, seed=3)
    audio.write(tmp_path / "album.wav", whole[: 16000 * 30], 16000)
    audio.write(tmp_path / "other.wav", whole, 16000)
    folder = composing(asking='album = ["../album.wav"]\n')
    more = '[[source]]\nfile = "../other.wav"\nmodes = []\nbackend = "tiny"\n'
    folder.toml.write_text(folder.toml.read_text().replace("[set.UMG]", more + "[set.UMG]", 1))
    starts = [one.start for one in planned(folder).originals if one.passage.source == "other"]
    assert starts
    assert min(starts) >= 29.9
    cell = next(iter(cells_of(planned(folder)).values()))
    assert [one.name for one in cell.album] == ["../album.wav"]
    assert np.all([file.is_file() for file in cell.files])
