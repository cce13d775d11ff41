"""Clips that come of one training: who tells it, what is modelled, and what stays as it was."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from analysis import conditions, responses
from analysis.models import mixed
from analysis.report import sentences, tables
from analysis.results import comparisons, dose, panel_models, ratings, statistics, stimuli, trainings
from analysis.results.outcomes import MUSICALITY
from analysis.results.result import find
from analysis.results.stimuli import Panel
from tests.analysis import panels

pytestmark = pytest.mark.slow

ROWS = [  # backend, mode, epochs, source, run, the training that the run is of
    ("caw", "UMG", 500, "riff", "riff-500", "riff"),
    ("caw", "VAR", 1000, "riff", "riff-1000", "riff"),
    ("caw", "UMG", 1000, "riff", "riff-t2-1000", "riff-t2"),
    ("caw", "UMG", 1000, "riff-t2-x", "riff-t2-x-1000", "riff-t2-x"),
    ("small", "UMG", 100, "riff", "riff-small-100", "riff-small"),
    ("small", "UMG", 100, "riff", "riff-t2-small-100", "riff-t2-small"),
    ("samplernn", "UMG", 500, "bass", "bass-samplernn", "bass-samplernn"),
    ("samplernn", "UMG", 1000, "bass", "bass-samplernn", "bass-samplernn"),
    ("samplernn", "VAR", 1000, "bass", "bass-t2-samplernn", "bass-t2-samplernn"),
    ("rnn-100", "UMG", 100, "bass", "bass-rnn-100", "bass-rnn-100"),
    ("rnn-100", "UMG", 200, "bass", "bass-rnn-100", "bass-rnn-100"),
    ("mine", "UMG", None, "riff", "riff-mine-0a1b2c3d", "riff-mine-0a1b2c3d"),
    ("mine", "UMG", 200, "riff", "riff-mine-200-4e5f6a7b", "riff-mine-200-4e5f6a7b"),
    ("mosaic", "UMG", None, "riff", None, None),
    ("original", "UMG", None, "riff", "riff-500", None),  # whatever a table names, nobody trained it
]


def rows(made=ROWS) -> pd.DataFrame:
    frame = pd.DataFrame(made, columns=["backend", "mode", "epochs", "source", "run", "training"])
    frame["truth"] = np.where(frame["backend"] == "original", "real", "fake")
    frame["epochs"] = frame["epochs"].astype("Int64")
    return frame.assign(set="one", name=[f"clip {i}" for i in range(len(frame))])


def study(*, count: int = 6, epochs: tuple[int, ...] = (100, 400, 1600), listeners: int = 8, seed: int = 3):
    """A panel's answers to caw clips of `count` trainings of a source at each epoch count, and originals."""
    dice, made = np.random.default_rng(seed), []
    for training in range(1, count + 1):
        level, again = dice.normal(), f"-t{training}" * (training > 1)
        for n in epochs:
            for number in (1, 2):
                run, quality = f"riff{again}-{n}", level + dice.normal(0, 0.5)
                made.append((f"riff-UMG-{n}{again}-{number}", "fake", "caw", n, run, quality))
    made += [(f"original {i}", "real", "original", None, None, 1 + dice.normal()) for i in range(5)]
    frame = pd.DataFrame(made, columns=["name", "truth", "backend", "epochs", "run", "quality"])
    frame = frame.assign(set="UMG", mode="UMG", source="riff", difficulty=None, inspiring="maybe")
    parts = []
    for who in range(listeners):
        points = 5 + dice.normal() + frame["quality"] + dice.normal(0, 1.2, len(frame))
        part = frame.assign(listener=f"L{who}", musicality=np.clip(np.rint(points), 0, 10))
        part["verdict"] = np.where(points + dice.normal(0, 1, len(frame)) > 5.5, "real", "fake")
        parts.append(part.assign(position=dice.permutation(len(frame)) + 1))
    whole = pd.concat(parts, ignore_index=True).drop(columns="quality")
    return responses.load(whole.assign(epochs=whole["epochs"].astype("Int64")))


@pytest.fixture(scope="module")
def several():
    return study()


@pytest.fixture(scope="module")
def several_results(several):
    return statistics.evaluate(several)


def test_a_training_is_the_run_without_its_epochs():
    frame = rows()
    assert trainings.labels(frame).tolist() == [row[-1] for row in ROWS]
    told = trainings.models(frame)
    assert told[0] == "riff at 500"
    assert told[11] == "riff-mine-0a1b2c3d"
    assert told[13] is None


def test_runs_of_two_systems_that_come_to_one_name_are_two_trainings():
    made = [
        ("caw", "UMG", 100, "riff-samplernn", "riff-samplernn-100", ""),
        ("samplernn", "UMG", 100, "riff", "riff-samplernn", ""),
    ]
    assert trainings.labels(rows(made)).tolist() == [
        "riff-samplernn (caw, riff-samplernn)",
        "riff-samplernn (samplernn, riff)",
    ]


def test_without_runs_or_sources_nothing_is_told():
    frame = rows().drop(columns="run")
    assert trainings.labels(frame).isna().all()
    assert not trainings.repeated(frame)
    assert not trainings.shared(frame)
    assert trainings.labels(rows().drop(columns="source"))[2] == "riff-t2"


def test_only_clips_that_differ_in_nothing_else_make_trainings_repeated():
    assert trainings.repeated(rows())
    once = rows([row for row in ROWS if "-t2" not in (row[4] or "") or row[3] == "riff-t2-x"])
    assert not trainings.repeated(once)  # two sources, two modes, two epoch counts: one training each


@pytest.mark.slow
def test_one_training_per_cell_keeps_every_result():
    """Whatever runs the table names: results are those of the table without them, to the last bit."""
    plain = panels.panel(effect=1.0, listeners=8, caw=8, originals=4).assign(source="riff")
    runs = [
        None if b != "caw" else f"riff-{e}" for b, e in zip(plain["backend"], plain["epochs"], strict=True)
    ]
    named = responses.load(plain.assign(run=runs))
    assert trainings.shared(named)
    before, after = statistics.evaluate(responses.load(plain)), statistics.evaluate(named)
    assert str([asdict(r) for r in after]) == str([asdict(r) for r in before])
    assert [t.name for t in tables.everything(named, after)] == [
        t.name for t in tables.everything(named, before)
    ]
    assert not any(statistics.ALIKE in r.note for r in after)
    assert "trained once" in sentences.trained(named)
    assert sentences.trained(responses.load(plain)) == ""


@pytest.mark.slow
def test_models_name_trainings_as_random_and_how_many(several_results):
    truth = find(several_results, "truth", MUSICALITY.difference, "machine-made - originals")
    assert "listeners, clips, trainings and models random" in truth.method
    assert "6 trainings, 18 models" in truth.note
    share = find(several_results, panel_models.MIXED, panel_models.ICC_NESTS["trainings"])
    assert 0.05 < share.estimate < 0.8
    for name in (panel_models.DETECTION, panel_models.ORDINAL):
        found = [r for r in several_results if r.family == panel_models.MIXED and r.name == name]
        assert "6 trainings" in found[0].note
        assert "t on trainings" in found[0].method
    mean = find(several_results, "truth", MUSICALITY.mean, "machine-made")
    assert "trainings and models random" in mean.method


@pytest.mark.slow
def test_a_trend_is_a_contrast_of_the_epochs_model(several, several_results):
    """The slope of a straight line through the epoch counts' means, over the doublings: here 0, 2 and 4."""
    found = find(several_results, dose.FAMILY, panel_models.TREND.format("musicality"), "caw UMG")
    part = several[several["truth"] == "fake"]
    nests = [trainings.labels(part), trainings.models(part)]
    level = part["epochs"].astype(str)
    fit = mixed.levels(part["musicality"], level, part["listener"], part["name"], nests=nests)
    slope = fit.contrast({"100": -1 / 4, "400": 0.0, "1600": 1 / 4})
    assert found.estimate == pytest.approx(slope.estimate, rel=1e-4)
    assert found.p == pytest.approx(slope.p, rel=1e-3)
    assert "6 trainings, 18 models" in found.note


def test_a_trend_within_trainings_has_them_as_blocks(several_results):
    within = find(several_results, dose.FAMILY, f"{dose.WITHIN_TRAININGS}: musicality (check)", "caw UMG")
    assert within.n == 18  # 6 trainings as blocks of 3 epoch counts
    assert not any(statistics.ALIKE in r.note for r in several_results)  # a panel's models know them


def test_a_table_by_training_has_the_columns_of_the_others(several, several_results):
    whole = {table.name: table for table in tables.everything(several, several_results)}
    one, other = whole["by_training"], whole["by_epochs"]
    assert list(one.frame)[1:] == list(other.frame)[1:]
    assert list(one.frame["training"]) == ["riff", *(f"riff-t{n}" for n in range(2, 7)), "originals"]
    assert one.frame["of"].sum() == len(several)


def test_few_trainings_are_not_modelled_and_it_is_said():
    few = study(count=2, epochs=(400,))
    first = stimuli.distinct(few)
    compared = comparisons.compared(first, next(comparisons.kinds(first)), Panel.of(first))
    found = find(compared, "truth", MUSICALITY.difference, "machine-made - originals")
    assert "trainings" not in found.method
    assert "2 trainings, fewer than 3" in found.note
    assert "too narrow" in found.note
    assert "2 trainings" in sentences.trained(few)


@pytest.mark.parametrize(("count", "modelled"), [(2, ()), (3, ("trainings",))])
def test_three_trainings_are_the_fewest_that_are_modelled(count, modelled):
    frame = study(count=count, epochs=(400,), listeners=2)
    found = trainings.nests(stimuli.distinct(frame), np.where(frame["truth"] == "fake", 0.5, -0.5))
    assert found.kinds == modelled
    assert bool(found.left_out) != bool(modelled)


def test_few_trainings_are_no_fault_of_an_effect_within_them():
    """Where each goes through all epoch counts, its level is in none of the differences between these."""
    frame = stimuli.distinct(study(count=2, listeners=2))
    fakes = frame[frame["truth"] == "fake"]
    within = trainings.nests(fakes, np.log2(fakes["epochs"].astype(float)))
    assert (within.kinds, within.left_out) == (("models",), "")
    assert "2 trainings" in trainings.nests(fakes, np.ones(len(fakes))).left_out


def test_a_training_of_one_clip_each_is_that_clip():
    """The two variances could not be told apart; what is of one kind with another is not modelled twice."""
    frame = stimuli.distinct(study(count=5, epochs=(400,), listeners=2))
    assert trainings.nests(frame[frame["name"].str.endswith("-1")]) == trainings.Nests()
    assert trainings.nests(frame).kinds == ("trainings",)  # and no models, as each has one


def test_trainings_of_one_epoch_count_each_are_no_blocks_of_a_trend():
    frame = study(count=2, listeners=2)
    apart = frame.assign(run=frame["run"].str.replace("-", "x"))  # a name that tells no count
    for given, name in ((frame, dose.WITHIN_TRAININGS), (apart, dose.WITHIN)):
        assert trainings.repeated(given)
        told = [r.name for r in dose.records(given, Panel(2)) if r.name.startswith("trend within")]
        assert set(told) == {f"{name}: {outcome} (check)" for outcome in ("musicality", "fooling")}


def test_groups_are_listed_as_they_are_counted():
    given = ["riff-t10", "riff-t2", "caw 1000", "riff", "caw 200", "caw not stated"]
    told = ["riff", "riff-t2", "riff-t10", "caw 200", "caw 1000", "caw not stated"]
    assert sorted(given, key=conditions.sort_key) == told


@pytest.mark.slow
def test_one_listener_is_told_that_no_model_knows_the_trainings():
    one = study(listeners=1)
    assert Panel.of(one).single_listener
    assert "no model knows them" in sentences.trained(one)
    assert any(statistics.ALIKE in r.note for r in statistics.evaluate(one))


def test_a_clip_comes_of_one_run():
    made = study(listeners=2).drop(columns="repeat")
    made.loc[0, "run"] = "another"
    with pytest.raises(responses.ResponsesError, match="run"):
        responses.load(made)


@pytest.mark.parametrize("count", [3, 4])
def test_trainings_of_two_backends_are_compared_by_their_means(count):
    """Four against four trainings is the least that can reach p < .05; that holds with one listener."""
    better, worse = study(count=count, listeners=1), study(count=count, listeners=1, seed=5)
    worse = worse[worse["truth"] == "fake"].assign(
        backend="small", run=worse["run"].str.replace("riff", "riff-small"), name="small " + worse["name"]
    )
    better["musicality"], worse["musicality"] = 8.0 + np.arange(len(better)) % 3, 1.0
    whole = pd.concat([better, worse], ignore_index=True).drop(columns="repeat")
    first = stimuli.distinct(responses.load(whole))
    found = find(
        ratings.compare_trainings(first, "backends", Panel(1)),
        "backends",
        ratings.OF_TRAININGS,
        "caw - small",
    )
    assert found.refused == (count == 3)
    if count == 4:
        assert found.p == pytest.approx(2 / 70)
        assert found.n == 8
        assert found.estimate == pytest.approx(8.0)


def test_a_training_counts_by_the_mean_of_its_clips_and_a_clip_of_none_by_itself():
    heard = [
        ("caw", f"riff-t{t}-100", f"{t}-{clip}", who, points)
        for t in range(4)
        for clip, raters, points in ((1, "abc", 6.0), (2, "a", 2.0))
        for who in raters
    ]
    heard += [("mosaic", None, f"mosaic-{clip}", who, 1.0) for clip in range(4) for who in "abc"]
    frame = pd.DataFrame(heard, columns=["backend", "run", "name", "listener", "musicality"])
    frame = frame.assign(set="one", truth="fake", mode="UMG", source="riff", epochs=None, clip=frame["name"])
    (found,) = ratings.compare_trainings(frame, "backends", Panel(3))
    assert (found.estimate, found.n) == (3.0, 8)  # of 4 and 1 point; answers would have given 5
