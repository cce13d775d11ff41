"""The command `caw measure`, as a user runs it."""

import contextlib
import csv
import io
import json
import sys
import warnings
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from caw import audio, measures
from caw.cli import measuring
from caw.cli.commands import main
from caw.measures import catalogue, display, spectra
from tests.caw.test_distances import music as played
from tests.caw.test_distances import white

RATE = 8000
SECONDS = 3.0


def caw(*arguments, cwd="."):
    """The command in this process: a fresh one takes seconds to load torch for the anchors."""
    out, err, showwarning = io.StringIO(), io.StringIO(), warnings.showwarning
    with (
        contextlib.chdir(cwd), mock.patch.object(sys, "argv", ["caw", *map(str, arguments)]),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended,
    ):  # fmt: skip
        main()
    warnings.showwarning = showwarning
    return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """real.wav; new1 to new5.wav at the same rate; stereo.flac at half of it."""
    folder = tmp_path_factory.mktemp("clips")
    audio.write(folder / "real.wav", played(SECONDS, rate=RATE), RATE)
    for number in range(1, 6):
        audio.write(folder / f"new{number}.wav", played(SECONDS, seed=number, rate=RATE), RATE)
    one = played(SECONDS, seed=9, rate=RATE // 2)
    audio.write(folder / "stereo.flac", np.stack([one, 0.5 * white(SECONDS, rate=RATE // 2)]), RATE // 2)
    return folder


def test_json_is_an_object_a_line_for_each_clip_with_its_anchors(clips, tmp_path):
    out = tmp_path / "found" / "all.jsonl"
    done = caw("measure", "real.wav", "new1.wav", "new2.wav", "--json", "--out", out, cwd=clips)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert out.read_text() == done.stdout
    assert [record["fake"] for record in records] == ["new1.wav", "new2.wav"]
    real, fake = (audio.read(clips / name)[0] for name in ("real.wav", "new2.wav"))
    expected = measures.evaluate(real, fake, RATE)
    found = records[1]["measures"]
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["diversity"] == records[0]["measures"]["diversity"]
    assert list(found) == [one.name for one in catalogue.measures(measures.edges(measures.SCALES, RATE))]
    assert records[0]["anchors"] == records[1]["anchors"]
    assert records[0]["anchors"]["noise"]["frechet_0.13"] > 5 * found["frechet_0.13"]
    assert records[0]["anchors"]["noise"]["match_4"] is None  # 3 s hold no 4 s


def test_the_table_fits_a_terminal_and_goes_on_after_two_clips(clips):
    names = [f"new{number}.wav" for number in range(1, 4)]
    done = caw("measure", "real.wav", *names, "--scales", "1000,2000", cwd=clips)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line.split() for line in lines if line.split()[:1] == ["better"]]
    assert heads == [["better", "1", "2", *display.ANCHORS], ["better", "3", *display.ANCHORS]]
    assert sum(line.startswith("edge_500 ") for line in lines) == 2
    assert sum(line.startswith("edge_1000 ") for line in lines) == 2
    assert not any(line.startswith("edge_2000 ") for line in lines)


def test_files_of_other_rates_and_channels_are_brought_together_and_that_is_said(clips):
    done = caw("measure", "real.wav", "new1.wav", "stereo.flac", cwd=clips)
    assert done.returncode == 0, done.stderr
    assert f"measured at {RATE // 2} Hz" in done.stdout
    assert f"rates differ: all are brought to {RATE // 2} Hz, that of stereo.flac" in done.stdout
    assert "stereo.flac: 2 channels, measured as their mean" in done.stdout


def test_a_passage_and_a_rate_are_taken_as_asked(clips):
    records, notes = measuring.measurements(
        clips / "real.wav", [clips / "new1.wav"], start=0.5, seconds=2.0, rate=4000, scales=measures.SCALES
    )
    passage = audio.read(clips / "real.wav", start=0.5, seconds=2.0, rate=4000)[0]
    assert records[0]["anchors"]["halves"] == measures.anchors(passage, 4000)["halves"]
    assert (records[0]["real_seconds"], records[0]["fake_seconds"]) == (2.0, SECONDS)
    assert records[0]["measures"]["diversity"] is None
    assert "2.0 s" in notes[0]


def test_csv_has_a_row_a_clip_and_a_column_a_measure_and_anchor(clips, tmp_path):
    out = tmp_path / "all.csv"
    assert caw("measure", "real.wav", "new1.wav", "new2.wav", "--out", out, cwd=clips).returncode == 0
    rows = list(csv.DictReader(out.open()))
    assert [row["fake"] for row in rows] == ["new1.wav", "new2.wav"]
    assert float(rows[0]["frechet_0.13"]) < float(rows[0]["noise_frechet_0.13"])
    assert rows[0]["match_4"] == ""


def test_pictures_are_drawn_where_asked(clips, tmp_path):
    folder = tmp_path / "seen"
    done = caw("measure", "real.wav", "new1.wav", "--pictures", folder, "--rate", "2000", cwd=clips)
    assert done.returncode == 0, done.stderr
    assert f"pictures: {folder / 'spectrograms-1.png'}" in done.stdout
    assert [file.name for file in folder.iterdir()] == ["spectrograms-1.png"]


def test_explain_says_every_measure():
    done = caw("measure", "--explain")
    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert max(map(len, said)) <= 80
    for one in catalogue.measures():
        assert any(line.startswith(f"{one.name} ") for line in said), one.name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.wav", "new1.wav"], "none.wav: no such file"),
        (["real.wav", "none.wav"], "none.wav: no such file"),
        (["real.wav"], "FAKE"),
        (["real.wav", "new1.wav", "--scales", "1k"], "--scales is '1k'; use rates in Hz"),
        (["real.wav", "new1.wav", "--rate", "44100"], "--rate is 44100 Hz, real.wav has 8000 Hz; ask for"),
        (["real.wav", "new1.wav", "--rate", "100"], "rate is 100; give a sampling rate of at least 200 Hz"),
        (["real.wav", "new1.wav", "--seconds", "60"], "60 s were asked for"),
        (["real.wav", "new1.wav", "--seconds", "0.3"], "real.wav is 0.30 s long; give at least 0.5 s"),
        (["real.wav", "new1.wav", "--pictures", "real.wav"], "--pictures real.wav is a file: name a folder"),
        (["real.wav", "new1.wav", "--out", "found.txt"], "found.txt: suffix '.txt' cannot be written"),
    ],
)
def test_a_mistake_is_one_line(clips, arguments, said):
    done = caw("measure", *arguments, cwd=clips)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_torch_shaped_noise_is_left_out(clips, monkeypatch):
    monkeypatch.setitem(sys.modules, "caw.flow.score", None)
    monkeypatch.delattr("caw.flow.score", raising=False)
    done = caw("measure", "real.wav", "new1.wav", cwd=clips)
    assert done.returncode == 0, done.stderr
    heads = [line.split() for line in done.stdout.splitlines() if line.split()[:1] == ["better"]]
    assert heads == [["better", "1", "real", "halves", "mosaic", "noise"]]
    assert display.NO_TARGET not in done.stdout


def test_what_shaped_noise_passes_is_marked(clips):
    records, _ = measuring.measurements(clips / "real.wav", [clips / "new1.wav"], scales=measures.SCALES)
    record = records[0]
    assert "frechet_0.13" in record["passed_by_noise"]
    assert "partial_mid" not in record["passed_by_noise"]
    marked = [line.split()[0] for line in display.tables(records).splitlines() if "*" in line]
    assert marked == [*record["passed_by_noise"], "*"]
    assert display.flat(record)["passed_by_noise"].split() == record["passed_by_noise"]
    assert record["anchors"]["real"]["pulse"] > record["anchors"]["noise"]["pulse"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (0.0, "0"),
        (-0.0001, "0"),
        (0.1234, "0.123"),
        (-2.347, "-2.35"),
        (36.66, "36.7"),
        (241.9, "242"),
    ],
)
def test_numbers_have_three_figures(value, said):
    assert display.number(value) == said


def test_the_documentation_names_every_measure():
    text = (measuring.Path(__file__).parents[2] / "docs" / "measures.md").read_text()
    for one in [*catalogue.measures(), catalogue.EDGE]:
        assert f"`{one.name}" in text, one.name


def test_errors_name_the_file(clips, tmp_path):
    audio.write(tmp_path / "short.wav", played(SECONDS, rate=RATE)[: RATE // 4], RATE)
    with pytest.raises(spectra.MeasureError, match=r"short.wav is 0.25 s long; give at least 0.5 s"):
        measuring.measurements(clips / "real.wav", [tmp_path / "short.wav"], scales=())
