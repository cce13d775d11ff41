from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from caw import audio
from study.build import plan
from study.build.plan import recipes_of
from study.design import DesignError
from study.folder import PRACTICE
from tests.study.build.conftest import planned


def refused(folder) -> str:
    with pytest.raises(DesignError) as caught:
        planned(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{folder.toml}: ")
    return str(caught.value)


def cells_of(made: plan.BuildPlan, set_name: str) -> Counter:
    cells = {name: task.cell for _, task in made.tasks for name in task.names}
    return Counter(
        (cells[name].source, cells[name].epochs, cells[name].mode)
        for name in made.picks[set_name]
        if name in cells
    )


def test_sets_hold_what_the_design_says_and_share_no_clip(new_study):
    made = planned(new_study())
    assert {name: len(picks) for name, picks in made.picks.items()} == {"UMG": 5, "VAR": 4, PRACTICE: 2}
    everything = [name for picks in made.picks.values() for name in picks]
    assert len(set(everything)) == len(everything)
    assert all(mode == "UMG" for _, _, mode in cells_of(made, "UMG"))
    assert all(mode == "VAR" for _, _, mode in cells_of(made, "VAR"))


def test_fakes_are_balanced_over_sources_and_epochs(new_study, clip):
    sources = "".join(
        f'[[source]]\nfile = "{clip}"\nname = "{name}"\nepochs = [100, 200, 300]\nclips = 4\n'
        'backend = "tiny"\n'
        for name in ("a", "b")
    )
    made = planned(new_study(source=sources, sets="[set.UMG]\nfakes = 12\n[set.VAR]\nfakes = 9\n"))
    assert set(cells_of(made, "UMG").values()) == {2}
    assert set(cells_of(made, "VAR").values()) == {1, 2}


def test_trainings_are_cells_of_their_own_and_sets_take_evenly_from_them(new_study, clip):
    source = f'[[source]]\nfile = "{clip}"\nepochs = [100, 200]\nclips = 2\nbackend = "tiny"\n'
    sets = "[set.UMG]\nfakes = 4\n[set.VAR]\nfakes = 4\n"
    one = planned(new_study("one", source=source, sets=sets))
    three = planned(new_study("three", source=source + "trainings = 3\n", sets=sets.replace("4", "6")))
    assert len(three.tasks) == 3 * len(one.tasks) == 12
    clips = {name for _, task in one.tasks for name in task.names} - set(one.picks[PRACTICE])
    assert {"riff-tiny-UMG-100-1", "riff-tiny-VAR-200-2"} <= clips
    more = {name: task for _, task in three.tasks for name in task.names}
    assert clips < set(more)
    assert {"riff-tiny-UMG-100-t2-1", "riff-tiny-VAR-200-t3-2"} <= set(more)
    taken = Counter(
        (more[name].cell.training, more[name].cell.epochs) for name in three.picks["UMG"] if name in more
    )
    assert taken == dict.fromkeys([(n, epochs) for n in (1, 2, 3) for epochs in (100, 200)], 1)
    seeds = {(task.cell.training, task.training_seed) for task in more.values()}
    assert len(seeds) == 3  # one for each training, whatever mode and epochs
    assert seeds > {(1, task.training_seed) for _, task in one.tasks}
    same = {name: digest for name, digest in recipes_of(three).items() if name in clips}
    assert same == {name: digest for name, digest in recipes_of(one).items() if name in clips}


def test_a_source_named_like_another_training_of_one(new_study, clip):
    table = f'[[source]]\nfile = "{clip}"\nepochs = [100]\nclips = 4\nbackend = "tiny"\n'
    source = table + "trainings = 2\n" + table + 'name = "riff-t2"\n'
    told = "its models/riff-t2-100 by tiny would be that of source 'riff' by tiny, too; give the source"
    assert told in refused(new_study(source=source))


def test_what_trains_nothing_is_not_trained_twice(new_study, clip):
    source = f'[[source]]\nfile = "{clip}"\nclips = 8\nbackend = "mosaic"\ntrainings = 2\n'
    told = "source[1].trainings = 2: the backend mosaic trains no model here; delete this key"
    assert told in refused(new_study(source=source))


def test_the_same_seed_draws_the_same_and_another_draws_others(new_study):
    more = "clips = 6\n"
    source = lambda folder: folder.toml.write_text(folder.toml.read_text().replace("clips = 2\n", more))  # noqa: E731
    folders = [new_study("one"), new_study("two"), new_study("three")]
    for folder in folders:
        source(folder)
    folders[2].toml.write_text(folders[2].toml.read_text().replace("seed = 7", "seed = 8"))
    first, again, other = (planned(folder) for folder in folders)
    assert first.picks == again.picks != other.picks
    assert [entry.start for entry in first.originals] == [entry.start for entry in again.originals]


def test_a_sets_own_seed_redraws_that_set_alone(new_study):
    folder = new_study(sets="[set.UMG]\nfakes = 2\n[set.VAR]\nfakes = 2\nseed = 1\n")
    before = planned(folder).picks
    folder.toml.write_text(folder.toml.read_text().replace("seed = 1", "seed = 5"))
    after = planned(folder).picks
    assert before["UMG"] == after["UMG"]
    assert before["VAR"] != after["VAR"]


def test_cell_filters(new_study):
    made = planned(new_study(sets="[set.UMG]\nfakes = 2\ncells = [{ epochs = 200 }]\n"))
    assert cells_of(made, "UMG") == {("riff", 200, "UMG"): 2}
    folder = new_study("more", sets="[set.UMG]\nfakes = 3\ncells = [{ epochs = 200 }]\n")
    assert "set.UMG.fakes = 3: 3 made clips are wanted beside 0 imported, the cells give 2" in refused(folder)


def test_imports_of_the_mode_are_taken_first_and_only_as_many_as_asked(new_study, clip):
    tables = "".join(
        f'[[imported]]\nfile = "{clip}"\nname = "J{number}"\nbackend = "jukebox"\nmode = "{mode}"\n'
        for number, mode in enumerate(["VAR", "VAR", "VAR", "UMG"])
    )
    made = planned(new_study(sets="[set.UMG]\nfakes = 3\n[set.VAR]\nfakes = 4\nimported = 2\n", more=tables))
    assert not any(name.startswith("J") for name in made.picks["UMG"])
    assert sum(name.startswith("J") for name in made.picks["VAR"]) == 2
    assert "J3" not in made.picks["VAR"]


def test_practice_asks_for_more_clips_where_none_is_left(new_study):
    made = planned(
        new_study(
            sets="[set.UMG]\nfakes = 4\n[set.VAR]\nfakes = 4\n", listening="[listening]\npractice = 4\n"
        )
    )
    assert len(made.picks[PRACTICE]) == 4
    wanted = Counter(name for _, task in made.tasks for name in task.names)
    assert set(made.picks[PRACTICE][:2]) <= set(wanted)
    assert len(wanted) == 10


def test_the_default_passage_is_25_seconds_at_most(new_study, tmp_path):
    noise = np.random.default_rng(4).uniform(-0.1, 0.1, 30 * 8000).astype(np.float32)
    audio.write(tmp_path / "long.wav", noise, 8000)
    source = '[[source]]\nfile = "../long.wav"\nepochs = [1]\nclips = 8\nbackend = "tiny"\n'
    made = planned(new_study(source=source))
    assert {task.cell.seconds for _, task in made.tasks} == {25.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("seconds", "9"), "source[1].seconds = 9.0: riff.wav is 8.00 s long; ask for at most 8.00"),
        (("start", "8.5"), "source[1].start = 8.5: riff.wav is 8.00 s long; start earlier"),
        (("seconds", "1.1"), "lasts 1.10 s, a stimulus takes 1.2 s with its trim; take a longer passage"),
        (("backend", '"cow"'), "there is no backend 'cow'; there are: caw, command, imported"),
        (("epochs", "[]"), "names no epoch counts; add them"),
        (("file", '"a\\u0000b"'), 'source[1].file = "a\\u0000b"'),
    ],
)
def test_sources_that_cannot_be_used(new_study, clip, change, said):
    keys = {"file": f'"{clip.name}"', "epochs": "[100]", "clips": "4", "backend": '"tiny"'} | dict([change])
    folder = new_study(source="[[source]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    (folder.path / clip.name).write_bytes(clip.read_bytes())
    assert said in refused(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; check the name"),
        (b"", "is empty (0 bytes)"),
        (b"not sound" * 100, "is not sound but text"),
    ],
)
@pytest.mark.parametrize("table", ["source", "imported"])
def test_files_that_are_no_sound(new_study, clip, content, said, table):
    more = '[[imported]]\nfile = "bad.wav"\nbackend = "jukebox"\nmode = "VAR"\n'
    source = '[[source]]\nfile = "bad.wav"\nepochs = [1]\nbackend = "tiny"\n'
    folder = new_study(more=more) if table == "imported" else new_study(source=source)
    if content is not None:
        (folder.path / "bad.wav").write_bytes(content)
    message = refused(folder)
    assert said in message
    assert f'{table}[1].file = "bad.wav": ' in message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('backend = "original"\nmode = "VAR"\n', "'original' stands for real clips"),
        (
            'name = "riff-tiny-VAR-100-1"\nbackend = "j"\nmode = "VAR"\n',
            "is the name of a clip that is made here",
        ),
        (
            'name = "riff-original-2.6"\nbackend = "j"\nmode = "VAR"\n',
            "is the name of a clip that is made here",
        ),
    ],
)
def test_imports_that_could_be_mixed_up(new_study, clip, table, said):
    assert said in refused(new_study(more=f'[[imported]]\nfile = "{clip}"\n{table}'))


def test_an_import_that_is_too_short(new_study, tmp_path):
    audio.write(tmp_path / "j.wav", 0.1 * np.resize([1, -1], 8000).astype(np.float32), 8000)
    more = '[[imported]]\nfile = "../j.wav"\nbackend = "jukebox"\nmode = "VAR"\n'
    assert "is 1.00 s long, a stimulus takes 1.2 s with its trim; import a longer clip" in refused(
        new_study(more=more)
    )


def test_options_that_a_backend_refuses_have_their_key(new_study):
    message = refused(new_study(backend="[backend.tiny]\nlevle = 3\n"))
    assert "study.toml: backend.tiny.levle = 3: unknown option 'levle'" in message


def test_originals_need_a_source(new_study, clip):
    more = "".join(
        f'[[imported]]\nfile = "{clip}"\nname = "J{n}"\nbackend = "jukebox"\nmode = "VAR"\n' for n in range(3)
    )
    folder = new_study(source="", sets="[set.VAR]\nfakes = 3\nimported = 3\noriginals = 1\n", more=more)
    assert "set.VAR.originals = 1: there is no [[source]] to cut them from" in refused(folder)


def test_a_plan_writes_nothing(new_study):
    folder = new_study()
    planned(folder)
    assert [file.name for file in Path(folder.path).iterdir()] == ["study.toml"]


def one_source(clip, name: str, backend: str, epochs: int = 100) -> str:
    return f'[[source]]\nfile = "{clip}"\nname = "{name}"\nbackend = "{backend}"\nepochs = [{epochs}]\n'


@pytest.mark.parametrize(
    ("first", "second", "tables", "said"),
    [
        (
            ("riff", "tiny-x"),
            ("riff-tiny", "x"),
            '[backend.tiny-x]\nuses = "tiny"\n[backend.x]\nuses = "tiny"\n',
            "by x would bear the name of one that is UMG of source 'riff' by tiny-x",
        ),
        (
            ("riff", "tiny"),
            ("riff", "tiny-x"),
            '[backend.tiny-x]\nuses = "tiny"\n',
            "its models/riff-100 by tiny-x would be that of source 'riff' by tiny, too",
        ),
    ],
)
def test_two_sources_whose_clips_or_runs_would_bear_one_name(new_study, clip, first, second, tables, said):
    folder = new_study(source=one_source(clip, *first) + one_source(clip, *second), backend=tables)
    message = refused(folder)
    assert f'source[2].name = "{second[0]}": ' in message
    assert f"{said}; give the source another `name`" in message


def test_names_that_differ_by_case_alone_are_refused_until_both_are_there(new_study, clip):
    sources = "".join(
        f'[[source]]\nfile = "{clip}"\nname = "{name}"\nepochs = [100]\nclips = 8\nbackend = "tiny"\n'
        for name in ("riff", "Riff")
    )
    folder = new_study(source=sources)
    assert "differs from 'riff' by case alone; give one of them another name" in refused(folder)
    folder.pool.mkdir()
    for name in ("riff", "Riff"):
        (folder.pool / f"{name}-umg-1.wav").touch()
    planned(folder)  # built on a disk that tells them apart


def test_sets_that_differ_by_case_alone_are_refused(new_study):
    folder = new_study(sets='[set.UMG]\nfakes = 2\n[set.umg]\nmode = "UMG"\nfakes = 2\n')
    assert "differs from 'UMG' by case alone; give one of them another name" in refused(folder)
