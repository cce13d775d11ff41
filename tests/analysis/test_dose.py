"""Epochs: Page's test within sources, where a source has a clip of every epoch count, else the reason."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis import conditions, responses
from analysis.results import dose, panel_models, statistics
from analysis.results.result import CHECK, find
from analysis.results.stimuli import Panel
from tests.analysis import panels

WITHIN = f"{dose.WITHIN}: musicality{CHECK}"


@pytest.fixture
def frame():
    """15 CAW clips a mode: 3 sources at each of 5 epoch counts, rated higher with every step."""
    made = panels.panel(listeners=4, caw=30, jukebox=0, originals=4, missing=0)
    made = made[made["mode"] == "UMG"].reset_index(drop=True)
    number = made["name"].str[-2:].astype(int) // 2
    made["source"] = np.where(made["backend"] == "caw", "song " + (number // 5).astype(str), None)
    rank = made["epochs"].map({level: i for i, level in enumerate(panels.EPOCHS)})
    made["musicality"] = np.where(made["backend"] == "caw", rank + number // 5, 5)
    return made


def test_page_takes_sources_as_blocks(frame):
    loaded = responses.load(frame)
    found = find(dose.records(loaded, Panel.of(loaded)), dose.FAMILY, WITHIN, "caw UMG")
    assert found.estimate == pytest.approx(1)
    assert found.n == 15
    assert found.p == pytest.approx(2 / 120**3)
    assert "L = 165" in found.method  # 3 blocks of 1 + 4 + 9 + 16 + 25


def test_page_counts_complete_blocks_alone(frame):
    part = frame[~((frame["source"] == "song 0") & (frame["epochs"] == 100))]
    loaded = responses.load(part)
    found = find(dose.records(loaded, Panel.of(loaded)), dose.FAMILY, WITHIN, "caw UMG")
    assert found.n == 10


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.drop(columns="source"), "does not say what the clips were made from"),
        (lambda f: f[~f["source"].isin(["song 1", "song 2"])], "1 of 1 sources have a clip"),
        (lambda f: f[f["epochs"].isna() | (f["epochs"] < 2000)], r"epoch count \(2\)"),
    ],
)
def test_page_says_why_not(frame, change, why):
    loaded = responses.load(change(frame))
    found = find(dose.records(loaded, Panel.of(loaded)), dose.FAMILY, WITHIN, "caw UMG")
    assert found.refused
    assert found.p is None
    assert re.search(why, found.note)


@pytest.mark.slow
def test_page_is_no_test_of_its_own_for_holm(frame):
    results = statistics.evaluate(responses.load(frame))
    assert find(results, dose.FAMILY, WITHIN, "caw UMG").p_holm is None


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_a_trend_says_that_its_epoch_counts_are_of_different_sources(frame, apart):
    """Or it would be read as what training does, where it may be what the songs are."""
    if apart:
        frame = frame[~((frame["source"] == "song 0") & (frame["epochs"] == 100))]
    results = statistics.evaluate(responses.load(frame))
    told = "epoch counts are of different sources (100: song 1, song 2; "
    for family, name in (
        (dose.FAMILY, f"{dose.TREND}: musicality{CHECK}"),
        (dose.FAMILY, panel_models.TREND.format("musicality")),
    ):
        found = find(results, family, name, "caw UMG")
        assert found.estimate is not None
        assert (told in found.note) == apart


def test_counts_of_several_backends_are_never_one_group():
    """500 steps of one system and 500 of another are different things."""
    rows = [("caw", 100), ("caw", 1000), ("caw", None), ("samplernn", 1000), ("mosaic", None)]
    table = pd.DataFrame(rows, columns=["backend", "epochs"]).astype({"epochs": "Int64"}).assign(truth="fake")
    dosed = conditions.with_epochs(table)
    named = conditions.epoch_labels(dosed)
    assert list(named) == ["caw 100", "caw 1000", "caw not stated", "samplernn 1000"]
    assert conditions.several_backends(dosed)
    assert sorted(named, key=conditions.sort_key) == list(named)
    alone = dosed[dosed["backend"] == "caw"]
    assert list(conditions.epoch_labels(alone)) == ["100", "1000", "not stated"]
    assert not conditions.several_backends(alone)
    assert sorted(["not stated", "1000", "100", "all"], key=conditions.sort_key) == [
        "100",
        "1000",
        "not stated",
        "all",
    ]
