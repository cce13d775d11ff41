"""[[song]]: clips that are made for a song, where their models learn, and the places they are heard in."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from caw import audio
from caw.files import spreadsheet
from study import design
from study.build import measuring, places, songs
from study.build.build import build
from study.build.forecast import forecast
from study.build.plan import recipes_of
from study.design import DesignError
from study.gaps import EARLY, Gap, seams
from study.pool import Pool
from tests.caw.band import band
from tests.study.build.conftest import planned
from tests.study.conftest import song

BRIDGE = 'lacks = "bridge"\nbefore = [2.0, 8.0]\nafter = [20.0, 27.0]\n'
ENDING = 'lacks = "ending"\nbefore = [1.5, 7.5]\n'
SETS = "[set.UMG]\nfakes = 4\noriginals = 2\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two recordings of half a minute: a.wav, b.wav."""
    folder = tmp_path_factory.mktemp("songs")
    for seed, name in enumerate("ab"):
        audio.write(folder / f"{name}.wav", song(30.0, seed=seed), 16000)
    return folder


@pytest.fixture
def song_study(new_study, tiny, files, monkeypatch):
    """Makes a study of songs whose test backend takes all that a song may ask for."""
    monkeypatch.setattr(type(tiny), "composes", lambda self, options: "", raising=False)
    monkeypatch.setattr(measuring, "measure", lambda *_: 0)

    def make(*asking: str, name: str = "study", sets: str = SETS, more: str = "", backend: str = "tiny"):
        tables = [
            f'[[song]]\nfile = "{files}/{letter}.wav"\nepochs = [100]\nbackend = "{backend}"\n{text}'
            for letter, text in zip("ab", asking or (BRIDGE, ENDING), strict=False)
        ]
        listening = "[listening]\npractice = 0\n"
        return new_study(name, source="".join(tables) + more, sets=sets, listening=listening)

    return make


def refused(folder) -> str:
    with pytest.raises(DesignError) as caught:
        planned(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder.toml}: ")


def cells_of(made) -> dict:
    return {name: task.cell for _, task in made.tasks for name in task.names}


def test_the_clips_of_a_song_are_a_cell_that_bears_its_name(song_study):
    cells = cells_of(planned(song_study()))
    assert set(cells) == {
        f"{one}-tiny-UMG-100-{n}" for one in ("a", "b") for n in ("bridge-1", "bridge-2")
    } - {
        "b-tiny-UMG-100-bridge-1",
        "b-tiny-UMG-100-bridge-2",
    } | {"b-tiny-UMG-100-ending-1", "b-tiny-UMG-100-ending-2"}
    bridge = cells["a-tiny-UMG-100-bridge-1"]
    assert (bridge.song, bridge.plan, bridge.mode) == ("a", "bridge", "UMG")
    assert bridge.gap == Gap("bridge", (2.0, 8.0), (20.0, 27.0), None, 1.0, 0.1)


def test_a_rework_is_a_variation_by_each_strength(song_study):
    asking = 'lacks = "rework"\npassage = [3.0, 9.0]\nstrength = [0.3, 0.6]\nclips = 1\n'
    folder = song_study(asking, sets="[set.VAR]\nfakes = 2\noriginals = 1\n")
    cells = cells_of(planned(folder))
    assert {(name, cell.song, cell.strength, cell.plan) for name, cell in cells.items()} == {
        ("a-tiny-VAR-100-s30-1", "a", 0.3, ""),
        ("a-tiny-VAR-100-s60-1", "a", 0.6, ""),
    }


def test_a_new_section_without_a_plan_takes_more_turns_than_usual(song_study):
    sides = "before = [2.0, 8.0]\nafter = [20.0, 27.0]\n"
    (free,) = {
        c.requested_plan.novelty
        for c in cells_of(
            planned(song_study(f'lacks = "verse"\n{sides}', sets="[set.UMG]\nfakes=1\noriginals=1\n"))
        ).values()
    }
    assert free == 0.7
    asked = song_study(
        f'lacks = "chorus"\nchords = "Em C"\n{sides}', name="b", sets="[set.UMG]\nfakes=1\noriginals=1\n"
    )
    (plan,) = {cell.requested_plan for cell in cells_of(planned(asked)).values()}
    assert ([bar.chords for bar in plan.bars()], plan.novelty) == ([("Em",), ("C",)], 0.3)


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        ('lacks = "bridge"\nbefore = [2, 8]\n', "song[1].after: a bridge needs it, and it is missing; add"),
        ('lacks = "bridge"\nbefore = [2, 25]\nafter = [20, 27]\n', "song[1].after = [20.0, 27.0]: begins"),
        ('lacks = "ending"\nbefore = [2, 31]\n', "song[1].before = [2.0, 31.0]: "),
        ('lacks = "ending"\nbefore = [8, 2]\n', "song[1].before = [8, 2]: does not end after it begins"),
        ('lacks = "ending"\nbefore = [2, 4]\n', "song[1].before = [2, 4]: lasts 2 s; give 4 s or more"),
        ('lacks = "ending"\nbefore = [2]\n', "song[1].before = [2]: is no passage; write where"),
        ('lacks = "ending"\nbefore = [2, 8]\nafter = [9, 15]\n', "song[1].after = [9.0, 15.0]: an ending"),
        ('lacks = "verse"\n', "song[1].before: a verse needs a passage beside it; add before"),
        ('lacks = "rework"\npassage = [2, 8]\nchords = "Em"\n', 'song[1].chords = "Em": is for new bars'),
        (f"{ENDING}strength = 0.5\n", "song[1].strength = [0.5]: is for a rework, and this song"),
        (f"{ENDING}bpm = 900\n", "song[1].bpm = 900.0: bpm is 900.0; use a number from 30 to 300"),
        (f'{ENDING}chords = "Xq"\n', 'song[1].chords = "Xq": '),
        (f'{ENDING}album = ["no.wav"]\n', 'song[1].album[1] = "no.wav": '),
        (f"{ENDING}epoch = 3\n", "song[1].epoch = 3: unknown key; did you mean `epochs`?"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_clear_line(song_study, asking, said):
    assert refused(song_study(asking)).startswith(said)


def test_a_reworked_passage_is_as_long_as_a_stimulus(song_study):
    folder = song_study('lacks = "rework"\npassage = [3, 9]\n', sets="[set.VAR]\nfakes = 1\noriginals = 0\n")
    folder.toml.write_text(folder.toml.read_text().replace("seconds = 1.0", "seconds = 9.0"))
    assert refused(folder).startswith("song[1].passage = [3.0, 9.0]: lasts 6.00 s, a stimulus takes 9.2 s")


def test_names_tell_songs_and_sources_apart(song_study, files):
    twice = song_study(BRIDGE, f'name = "a"\n{ENDING}')
    assert refused(twice).startswith('song[2].name = "a": stands twice; give one of them another `name`')
    source = f'[[source]]\nfile = "{files}/a.wav"\nbackend = "tiny"\nepochs = [100]\n'
    both = song_study(name="both", more=source)
    assert refused(both).startswith('song[1].name = "a": is the name of a [[source]], too')


def test_systems_that_make_no_music_beside_passages_refuse(song_study):
    said = refused(song_study(backend="mosaic"))  # before it says that mosaic counts no epochs
    assert said.startswith('song[1].backend = "mosaic": the backend mosaic follows no plan, makes no bridge')
    assert said.endswith('take the backend "caw" with the preset "fast"')


def test_a_set_may_take_the_clips_of_one_song(song_study):
    sets = '[set.UMG]\nfakes = 2\noriginals = 1\ncells = [{ song = "b" }]\n'
    made = planned(song_study(sets=sets))
    assert Counter(name.split("-")[0] for name in made.picks["UMG"] if "original" not in name) == {"b": 2}
    wrong = song_study(name="wrong", sets=sets.replace('"b"', '"c"'))
    assert refused(wrong).startswith(
        'set.UMG.cells[1].song = "c": names no song of this study; songs are: a, b'
    )


def test_sets_take_evenly_from_songs(song_study):
    made = planned(song_study(BRIDGE + "clips = 6\n", ENDING))
    assert Counter(name.split("-")[0] for name in made.picks["UMG"] if "original" not in name) == {
        "a": 2,
        "b": 2,
    }


def test_originals_share_no_moment_with_what_models_learn(song_study):
    folder = song_study(sets="[set.UMG]\nfakes = 4\noriginals = 12\n")
    originals = planned(folder).originals
    learnt = {"a": [(2.0, 8.0), (20.0, 27.0)], "b": [(1.5, 7.5)]}
    assert {one.passage.source for one in originals} == {"a", "b"}
    for one in originals:
        for begin, end in learnt[one.passage.source]:
            assert one.start >= end - 1e-6 or one.start + one.seconds <= begin + 1e-6


def test_other_clips_stay_what_they_were_beside_a_song(song_study, new_study, clip):
    plain = new_study("plain")
    alone = recipes_of(planned(plain))
    source = plain.toml.read_text().split("[[source]]")[1].split("[set")[0]
    sets = "[set.UMG]\nfakes = 3\noriginals = 2\n[set.VAR]\nfakes = 3\noriginals = 1\n"
    beside = recipes_of(planned(song_study(more=f"[[source]]{source}", sets=sets)))
    made = {name: recipe for name, recipe in alone.items() if "original" not in name}
    assert made.items() <= beside.items()


def test_a_moved_passage_makes_the_clips_of_its_song_anew(song_study):
    folder, recipes = song_study(), []
    for text in (BRIDGE, BRIDGE.replace("27.0", "26.0")):
        folder.toml.write_text(folder.toml.read_text().replace(BRIDGE, text))
        recipes.append(recipes_of(planned(folder)))
    changed = {name for name in recipes[0] if recipes[0][name] != recipes[1].get(name)}
    assert {name for name in changed if "original" not in name} == {
        f"a-tiny-UMG-100-bridge-{n}" for n in (1, 2)
    }


def test_the_key_and_the_pool_tell_the_song_and_places_are_made(song_study):
    folder = song_study()
    assert forecast(folder).rows[0].plans == ("bridge", "ending")
    build(folder)
    rows = [row for row in spreadsheet.records(folder.key) if row["truth"] == "fake"]
    assert {(row["song"], row["plan"]) for row in rows} == {("a", "bridge"), ("b", "ending")}
    assert all(Pool(folder).rows[row["name"]]["song"] == row["song"] for row in rows)
    assert sorted(one.name for one in folder.places.glob("*.wav")) == [
        "a-after.wav",
        "a-before.wav",
        "b-before.wav",
    ]
    info = audio.inspect(folder.place("a", "before"))
    assert (info.rate, info.channels) == (16000, 1)
    assert 4.0 <= info.seconds <= 12.0 or info.seconds == pytest.approx(6.0, abs=0.1)
    assert folder.places.stat().st_mode & 0o077 == 0


def test_places_are_made_again_only_where_they_changed(song_study):
    folder = song_study()
    build(folder)
    made, rates = planned(folder), {"x": 16000}
    settings = design.load(folder.path)

    class Quiet:
        def over(self, cost):
            return self

        step = lambda self, *_: self  # noqa: E731

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    assert places.build(folder, settings, made.passages, rates, Quiet()) == 0
    folder.place("a", "after").unlink()
    assert places.build(folder, settings, made.passages, rates, Quiet()) == 1
    fewer = settings.model_copy(update={"songs": settings.songs[1:]})
    places.build(folder, fewer, made.passages, rates, Quiet())
    assert [one.name for one in folder.places.glob("*.wav")] == ["b-before.wav"]
    places.build(folder, settings.model_copy(update={"songs": ()}), made.passages, rates, Quiet())
    assert not folder.places.exists()


@pytest.fixture(scope="module")
def beaten(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A minute of a band at 120 in 4/4, and its beats in s."""
    samples, beats = band(120, 4, 60.0)
    file = tmp_path_factory.mktemp("band") / "band.wav"
    audio.write(file, samples, 16000)
    return file, beats


@pytest.mark.parametrize(("seconds", "bars", "upbeat"), [(10.0, 4, 3.0), (8.05, 4, 0.0), (9.05, 4, 2.0)])
def test_a_bridge_reaches_the_first_bar_line_of_what_follows(beaten, seconds, bars, upbeat):
    """A stimulus of 10 s holds 19 beats whole: an upbeat of three, and four bars."""
    file, beats = beaten
    before, after = (beats[0], beats[32]), (beats[64], beats[96])
    gap = Gap("bridge", before, after, None, seconds, 0.2)
    found = seams(file, gap)
    assert (found.bars, found.upbeat, found.bar) == (bars, upbeat, 4.0)
    assert found.leave == pytest.approx(beats[32] - 0.5 * upbeat - EARLY, abs=0.03)
    assert found.enter == pytest.approx(beats[64] - EARLY, abs=0.03)
    assert found.resume == pytest.approx(beats[65] - EARLY, abs=0.03)


def test_cuts_lie_just_before_beats_however_they_are_stated(beaten):
    file, beats = beaten
    gap = Gap("ending", (beats[0], beats[32] + 0.06), None, None, 10.0, 0.2)
    assert seams(file, gap).leave == pytest.approx(beats[32] - EARLY, abs=0.03)
    assert seams(file, gap).enter is None


def test_a_gap_of_a_song_is_as_the_design_says(song_study):
    settings = design.load(song_study().path)
    assert songs.gaps(settings)["b"].learnt == ((1.5, 7.5),)
