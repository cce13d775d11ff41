"""The table of measures before and after, from clips whose values are made up."""

import csv

import numpy as np
import pytest

from caw import audio, measures
from tests.benchmarks import composing

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """One real clip, two outputs by `before`, one by `after`, one of the authors'; values by loudness."""
    noise = np.random.default_rng(0).standard_normal(composing.RATE).astype(np.float32)

    def clip(place, level):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, 0.01 * level * noise / np.abs(noise).max(), composing.RATE)

    for place, level in (
        ("lick.wav", 50), ("before/lick/umg-0.wav", 10), ("before/lick/umg-1.wav", 20),
        ("before/lick/var-0.wav", 44), ("before/lickety/umg-0.wav", 90), ("after/lick_umg-0.wav", 48),
        ("authors/lick_fake1.wav", 30),
    ):  # fmt: skip
        clip(place, level)
    taken = []

    def evaluate(real, fake, rate):
        taken.append(1)
        return {"pulse": round(float(np.abs(fake).max()), 3), "frechet_0.13": 0.02}

    monkeypatch.setattr(measures, "evaluate", evaluate)
    anchors = {
        "real": {"pulse": 0.5},
        "halves": {"pulse": 0.48, "frechet_0.13": 0.1},
        "imposed": {"frechet_0.13": 0.01},
    }
    monkeypatch.setattr(measures, "anchors", lambda real, rate: anchors)
    return tmp_path, taken


def test_each_clip_has_a_table_of_medians_with_its_anchors(folder, capsys):
    place, taken = folder
    outputs = [f"{name}={place / name}" for name in ("before", "after")]
    arguments = [
        "--real",
        str(place / "lick.wav"),
        "--outputs",
        *outputs,
        "--authors",
        str(place / "authors"),
    ]
    arguments += [
        "--cache",
        str(place / "cache"),
        "--out",
        str(place / "table"),
        "--only",
        "pulse,frechet_0.13",
    ]
    composing.main(arguments)
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()
    ]
    heads = ["real", "halves", "imposed", "authors", "before umg (2)", "before var", "after umg"]
    assert ["measure", "aim", *heads] in lines
    pulse = ["0.500", "0.480", "-", "0.300", "0.150", "0.440 yes", "0.480 yes"]
    assert ["`pulse`", "0.85 of real", *pulse] in lines
    assert ["`frechet_0.13`", "halves", "-", "0.100", "0.010*", *["0.020 yes"] * 4] in lines
    rows = list(csv.DictReader((place / "table.csv").open()))
    assert [row["column"] for row in rows] == ["real", "halves", "imposed", "authors"] + [
        "before umg", "before var", "after umg",
    ]  # fmt: skip
    assert len(taken) == 5
    composing.main(arguments)
    assert len(taken) == 5  # all else comes from the cache
