"""The bench at its smallest; nothing is timed here."""

import json

import pytest
import soundfile

from tests.benchmarks import bench, bench_tables
from tests.caw.conftest import RATE, tune

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "clips").mkdir()
    for name, seed in (("lick_real", 5), ("lick_fake1", 6), ("lick_fake2", 7)):
        soundfile.write(folder / "clips" / f"{name}.flac", tune(seed=seed), RATE)
    arguments = ["--no-riff", "--clips", str(folder / "clips"), "--only", "anchors", "draw", "--epochs", "1",
                 "--draws", "2", "--seconds", "3"]  # fmt: skip
    arguments += ["--out", str(folder / "out"), "--results", str(folder / "results.md")]
    assert bench.main(arguments) == 0
    return folder, arguments


def test_the_table_holds_what_was_measured_and_says_what_was_not(benched):
    folder, _ = benched
    page = (folder / "results.md").read_text()
    assert str(folder) not in page
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line[:1] == "|"]
    targets = {row[0]: row for row in rows if len(row) == 5}
    for what in ("training, s", "training, peak GB", "drawing as long a clip, s", "UMG frechet_0.13",
                 "UMG diversity", "VAR onset_distance", "VAR longest copy, s"):  # fmt: skip
        _, clip, measured, target, met = targets[what]
        assert clip == "lick"
        assert float(measured) >= 0
        assert target
        assert met in ("yes", "no")
    assert targets["paper: step against the plain loop"][2] == bench_tables.NOT_MEASURED
    kinds = [row[1] for row in rows if row[0] == "lick" and len(row) == 9]
    assert kinds == ["UMG", "VAR", "authors", "halves", "noise"]


def test_a_second_bench_measures_nothing_again(benched, monkeypatch):
    folder, arguments = benched
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.json")}
    assert sorted(path.name for path in before) == ["anchors-lick.json", "draw-lick.json", "train-lick.json"]
    monkeypatch.setattr(bench, "run", lambda *_: pytest.fail("measured again"))
    assert bench.main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.json")} == before


def test_other_arguments_are_measured_anew(benched):
    folder, arguments = benched
    more = bench.options_of([*arguments, "--epochs", "2"])
    clips = bench.clips_of(more.clips, more.seconds)
    left = [p.name for p in bench.plan(clips, more) if bench.record_of(more.out, p) is None]
    assert left == ["train-lick", "draw-lick"]


def test_a_killed_part_leaves_the_others(benched, capsys):
    folder, arguments = benched
    record = folder / "out" / "draw-lick.json"
    kept, page = record.read_text(), (folder / "results.md").read_text()
    record.write_text(kept[:50])
    measured = json.loads(kept)
    bench_run = bench.run
    try:
        bench.run = lambda part, out: {"failed": "no memory"}
        assert bench.main(arguments) == 1
    finally:
        bench.run = bench_run
        record.write_text(kept)
        (folder / "results.md").write_text(page)
    assert "no memory" in capsys.readouterr().out
    assert measured["part"] == "draw"


def umg(distance: float) -> dict:
    return {"frechet_0.13": distance, "frechet_0.5": distance + 1, "copied_share": 0.0}


def test_quality_by_epochs_is_plotted_and_must_fall():
    found = {
        "anchors-riff": {"halves": umg(0.1)},
        "train-riff": {"epochs": 1000, "seconds": 300.0},
        "draw-riff": {"UMG": umg(0.2)},
        "epochs-100": {"epochs": 100, "seconds": 30.0, "UMG": umg(0.9)},
    }
    drawn = bench_tables.chart(found).to_dict()
    points = next(iter(drawn["datasets"].values()))
    assert [(p["epochs"], p["distance"]) for p in points if p["patches"] == "0.13 s"] == [
        (100, 0.9),
        (1000, 0.2),
    ]
    assert [row[-1] for row in bench_tables.epoch_targets(found)] == ["yes", "yes"]
    found["epochs-100"]["UMG"] = umg(0.15)
    assert [row[-1] for row in bench_tables.epoch_targets(found)] == ["no", "no"]
